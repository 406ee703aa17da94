"""Configuration: `params.yaml`, suites and variants, as frozen, typed, validated objects.

A key that is unknown, missing or out of range is an error that names the file, the path of the key,
the value, and what would be valid.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    StrictBool,
    ValidationError,
    model_validator,
)

from benchmark.core import paths
from benchmark.core.yaml_files import Frozen, explain, load, short_repr
from data.errors import InputError
from data.images import Resize
from data.masks import MaskSpec
from data.sources import ImageSource, source_class
from data.splits import SplitSpec

if TYPE_CHECKING:
    from models.variant import Variant

NAME_PATTERN = "^[a-z][a-z0-9_]*$"
"""No `-`: DVC joins the keys of a matrix with it and drops collisions silently."""

SEED_LIMIT = 2**31

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Seed = Annotated[int, Field(ge=0, lt=SEED_LIMIT)]
Criterion = Literal[
    "last",
    "best_train_loss",
    "best_val_psnr",
    "best_val_ssim",
    "best_val_stlpips",
    "best_val_lpips",
]


class SelectedRun(Frozen):
    """One run of the selection."""

    suite: Name
    variant: Name
    seed: Seed

    @property
    def key(self) -> str:
        """Its name in `params.yaml`, which is that of its DVC stages too."""
        return f"{self.suite}-{self.variant}-{self.seed}"


class Params(Frozen):
    """What `dvc repro` builds: suites with their baselines, and the runs on each of them."""

    suites: tuple[Name, ...] = Field(min_length=1)
    runs: dict[str, SelectedRun] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_consistent(self) -> "Params":
        if len(set(self.suites)) < len(self.suites):
            raise ValueError(f"suites names an entry twice: {list(self.suites)}")
        for key, run in self.runs.items():
            if key != run.key:
                raise ValueError(f"runs.{key}: its entry is that of {run.key}")
            if run.suite not in self.suites:
                raise ValueError(f"runs.{key}: {run.suite} is not in suites {list(self.suites)}")
        for suite in self.suites:
            if not self.runs_of(suite):
                raise ValueError(f"suites: {suite} has no entry in runs")
        return self

    @classmethod
    def of_product(
        cls, suites: Iterable[str], variants: Iterable[str], seeds: Iterable[int]
    ) -> "Params":
        """Select every suite with every variant and every seed."""
        names = [*suites]
        runs = [
            SelectedRun(suite=suite, variant=variant, seed=seed)
            for suite, variant, seed in product(names, [*variants], [*seeds])
        ]
        return cls(suites=tuple(names), runs={run.key: run for run in runs})

    def runs_of(self, suite: str) -> tuple[paths.Run, ...]:
        """Return the runs on a suite, in order."""
        return tuple(run for run in self.all_runs if run.suite == suite)

    @property
    def all_runs(self) -> tuple[paths.Run, ...]:
        """Every run, in order."""
        return tuple(paths.Run(run.suite, run.variant, run.seed) for run in self.runs.values())

    @property
    def variants(self) -> tuple[str, ...]:
        """Every variant of any suite, in order of appearance."""
        return tuple(dict.fromkeys(run.variant for run in self.runs.values()))


class Training(Frozen):
    """The budget and the manner of training, equal for all variants of a suite."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    flip: StrictBool = False
    """Mirror each image with probability one half."""
    drop_last: StrictBool = True
    """Whether images that fill no batch are left out of an epoch; else they are a smaller batch."""
    mask: MaskSpec | None = None
    """The holes in training, where they are not chosen as those of validation and test are."""
    hole_sizes: tuple[int, int] | None = None
    """Least and greatest side of the holes in training, drawn for each batch; else the mask's."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    deterministic: StrictBool = True
    portable: StrictBool = False
    """Whether every x86-64 processor with AVX2 shall compute the same bits, with two threads."""
    compile: Literal["default", "reduce-overhead"] | None = None
    """Mode of `torch.compile` for the networks in training: fused kernels, and with
    `reduce-overhead` CUDA graphs, too. Evaluation is not compiled."""

    @model_validator(mode="after")
    def _is_consistent(self) -> "Training":
        if self.portable and self.compile is not None:
            raise ValueError("portable: the compiler makes code for one machine; leave out compile")
        return self


class Evaluation(Frozen):
    """How trained models and baselines are scored, equal for all methods of a suite."""

    checkpoint: Criterion = "best_val_psnr"
    mask_seed: int = Field(default=0, ge=0)
    masks_per_image: int = Field(default=1, ge=1, le=1000)
    batch_size: int = Field(default=64, ge=1)
    examples: int = Field(default=64, ge=1)
    """Completed test images to keep for the report, the first of the test split."""


class Watching(Frozen):
    """What is kept to see how a training goes; has no influence on the trained weights."""

    images: int = Field(default=8, ge=1, le=16)
    """Validation images whose completion is kept, the first of the validation split."""
    images_every: int = Field(default=1, ge=1)
    """Epochs from one kept picture to the next; that of the last epoch is always kept."""
    checkpoints_every: int | None = Field(default=None, ge=1)
    """Epochs from one kept checkpoint `epoch<number>` to the next, beside those of the criteria."""


def _source(entry: Any) -> ImageSource:
    """Build what a suite's `source` entry describes: a name and the source's own options."""
    if isinstance(entry, ImageSource):
        return entry
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise ValueError("expected a mapping with the key name")
    options = {key: value for key, value in entry.items() if key != "name"}
    source = source_class(entry["name"])
    try:
        return source.model_validate(options)
    except ValidationError as error:
        raise ValueError("; ".join(explain(error, source))) from None


class Suite(Frozen):
    """Everything that is equal for all methods that are compared."""

    name: Name
    title: str
    description: str
    source: Annotated[SerializeAsAny[ImageSource], BeforeValidator(_source)]
    image_size: int = Field(ge=16, le=1024)
    resize: Resize = Resize()
    unreadable: Literal["error", "skip"] = "error"
    """What to do with a file that is not a readable image; skipped ones are counted."""
    splits: SplitSpec
    mask: MaskSpec
    training: Training
    evaluation: Evaluation = Evaluation()
    watching: Watching = Watching()
    inpainting: Literal["resize", "tile"] = "tile"
    """How `inpaint` brings an image of another size to the networks: the whole of it, stretched, as
    suits aligned ones; or in windows around the hole, at the size that it has."""

    @property
    def split_settings(self) -> dict[str, Any]:
        """What decides which images and fixed holes there are, defaults left out."""
        names = ("source", "image_size", "resize", "unreadable", "splits", "mask")
        wanted: dict[str, Any] = dict.fromkeys(names, True)
        return self.model_dump(
            mode="json",
            include=wanted | {"evaluation": {"mask_seed", "masks_per_image"}},
            exclude={"splits": {"digest"}},
            exclude_defaults=True,
        )

    @property
    def training_mask(self) -> MaskSpec:
        """How the holes in training are chosen."""
        return self.training.mask or self.mask

    @model_validator(mode="after")
    def _hole_fits(self) -> "Suite":
        for key, mask in {"mask": self.mask, "training.mask": self.training_mask}.items():
            if mask.positions(self.image_size) < 1 or mask.size == self.image_size:
                raise ValueError(
                    f"{key}: a hole of {mask.size} px with a margin of {mask.margin} px does not "
                    f"fit into an image of {self.image_size} px"
                )
        least, greatest = self.training.hole_sizes or (1, 1)
        room = self.image_size - 2 * self.training_mask.margin
        if not 1 <= least <= greatest <= min(room, self.image_size - 1):
            raise ValueError(
                f"training.hole_sizes: {least} to {greatest} px are not two sides in order that "
                f"fit into an image of {self.image_size} px with a margin of "
                f"{self.training_mask.margin} px"
            )
        if self.evaluation.masks_per_image > (places := self.mask.places(self.image_size)):
            raise ValueError(
                f"evaluation.masks_per_image: the hole has {places} different places in an image, "
                f"not {self.evaluation.masks_per_image}"
            )
        return self


def load_params(root: Path = Path()) -> Params:
    """Return the contents of `params.yaml`, its names checked.

    Raises:
        InputError: a key is wrong, or a name is not that of a suite or a variant.
    """
    params = load(Params, root / paths.PARAMS)
    try:
        check_names(params.suites, params.variants, root)
    except InputError as error:
        raise InputError(f"{root / paths.PARAMS}: {error}") from None
    return params


def check_names(suites: Iterable[str], variants: Iterable[str], root: Path = Path()) -> None:
    """Raise `InputError` unless these are names of suites and of variants."""
    for name in suites:
        _config_path(root / paths.SUITES, name, "suite")
    for name in variants:
        _config_path(root / paths.VARIANTS, name, "variant")


def load_suite(name: str, root: Path = Path()) -> Suite:
    """Return the suite of that name.

    Raises:
        InputError: there is no such suite, or its file has a wrong key.
    """
    return load(Suite, _config_path(root / paths.SUITES, name, "suite"), name=name)


def load_variant(name: str, root: Path = Path(), check: bool = True) -> "Variant":
    """Return the variant of that name.

    Args:
        name: the name.
        root: the checkout.
        check: compare it with the code of the networks and loss terms, which loads PyTorch.

    Raises:
        InputError: there is no such variant, or its file has a wrong key.
    """
    # Here, so that the split stage neither loads nor depends on the networks.
    from models.variant import Variant

    path = _config_path(root / paths.VARIANTS, name, "variant")
    variant = load(Variant, path, name=name)
    if check:
        from models.check import check_variant

        try:
            check_variant(variant)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
    return variant


def names_in(folder: Path) -> list[str]:
    """Return the names of the YAML files of a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _config_path(folder: Path, name: str, kind: str) -> Path:
    if name in names_in(folder):
        path = folder / f"{name}.yaml"
        if not re.fullmatch(NAME_PATTERN, name):
            raise InputError(f"{path}: the name of a {kind} must match {NAME_PATTERN}")
        return path
    close = difflib.get_close_matches(name, names_in(folder), n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    valid = ", ".join(names_in(folder)) or "none"
    raise InputError(f"no {kind} {short_repr(name)} in {folder}/.{hint} There are: {valid}")
