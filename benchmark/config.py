"""Configuration: `params.yaml`, suites and variants, as frozen, typed, validated objects.

A key that is unknown, missing or out of range is an error that names the file, the path of the key,
the value, and what would be valid.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    StrictBool,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from benchmark import paths
from data.errors import InputError
from data.images import Resize
from data.masks import MaskLaw
from data.sources import ImageSource, source_class
from data.splits import SplitLaw

if TYPE_CHECKING:
    from models.variant import Variant

NAME_PATTERN = "^[a-z][a-z0-9_]*$"
"""No `-`: DVC joins the keys of a matrix with it and drops collisions silently."""

SEED_LIMIT = 2**31

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Criterion = Literal["last", "best_train_loss", "best_val_psnr", "best_val_ssim", "best_val_lpips"]
Config = TypeVar("Config", bound=BaseModel)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Params(_Frozen):
    """What `dvc repro` builds: every suite with every variant and every seed."""

    suites: tuple[Name, ...] = Field(min_length=1)
    variants: tuple[Name, ...] = Field(min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0, lt=SEED_LIMIT)], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_duplicates(self) -> "Params":
        for key in ("suites", "variants", "seeds"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"{key} names an entry twice: {list(values)}")
        return self


class Training(_Frozen):
    """The budget and the manner of training, equal for all variants of a suite."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    flip: StrictBool = False
    """Mirror each image with probability one half."""
    hole_sizes: tuple[int, int] | None = None
    """Least and greatest side of the holes in training, drawn for each batch; else the suite's."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    deterministic: StrictBool = True


class Evaluation(_Frozen):
    """How trained models and baselines are scored, equal for all methods of a suite."""

    checkpoint: Criterion = "best_val_psnr"
    mask_seed: int = Field(default=0, ge=0)
    masks_per_image: int = Field(default=1, ge=1)
    batch_size: int = Field(default=64, ge=1)
    examples: int = Field(default=64, ge=1)
    """Completed test images to keep for the report, the first of the test split."""


class Watching(_Frozen):
    """What is kept to see how a training goes; has no influence on the trained weights."""

    images: int = Field(default=8, ge=1, le=16)
    """Validation images whose completion is kept, the first of the validation split."""
    images_every: int = Field(default=1, ge=1)
    """Epochs from one kept picture to the next; that of the last epoch is always kept."""


def _source(entry: Any) -> ImageSource:
    """Build what a suite's `source` entry describes: a name and the source's own options."""
    if isinstance(entry, ImageSource):
        return entry
    if not isinstance(entry, Mapping) or "name" not in entry:
        raise ValueError("expected a mapping with the key name")
    options = {key: value for key, value in entry.items() if key != "name"}
    source = source_class(str(entry["name"]))
    try:
        return source.model_validate(options)
    except ValidationError as error:
        raise ValueError("; ".join(_explain(error, source))) from None


class Suite(_Frozen):
    """Everything that is equal for all methods that are compared."""

    name: Name
    title: str
    description: str
    source: Annotated[SerializeAsAny[ImageSource], BeforeValidator(_source)]
    image_size: int = Field(ge=16, le=1024)
    resize: Resize = Resize()
    unreadable: Literal["error", "skip"] = "error"
    """What to do with a file that is not a readable image; skipped ones are counted."""
    splits: SplitLaw
    mask: MaskLaw
    training: Training
    evaluation: Evaluation = Evaluation()
    watching: Watching = Watching()
    inpainting: Literal["resize", "tile"] = "tile"
    """How `inpaint` brings an image of another size to the networks: the whole of it, stretched, as
    suits aligned ones; or in windows around the hole, at the size that it has."""

    @model_validator(mode="after")
    def _hole_fits(self) -> "Suite":
        if self.mask.positions(self.image_size) < 1 or self.mask.size == self.image_size:
            raise ValueError(
                f"mask: a hole of {self.mask.size} px with a margin of {self.mask.margin} px does "
                f"not fit into an image of {self.image_size} px"
            )
        least, greatest = self.training.hole_sizes or (1, 1)
        room = self.image_size - 2 * self.mask.margin
        if not 1 <= least <= greatest <= min(room, self.image_size - 1):
            raise ValueError(
                f"training.hole_sizes: {least} to {greatest} px are not two sides in order that "
                f"fit into an image of {self.image_size} px with a margin of {self.mask.margin} px"
            )
        return self


def load_params(root: Path = Path()) -> Params:
    """Return the contents of `params.yaml`, its names checked.

    Raises:
        InputError: a key is wrong, or a name is not that of a suite or a variant.
    """
    params = load(Params, root / paths.PARAMS)
    for name in params.suites:
        _config_path(root / paths.SUITES, name, "suite")
    for name in params.variants:
        _config_path(root / paths.VARIANTS, name, "variant")
    return params


def load_suite(name: str, root: Path = Path()) -> Suite:
    """Return the suite of that name.

    Raises:
        InputError: there is no such suite, or its file has a wrong key.
    """
    return load(Suite, _config_path(root / paths.SUITES, name, "suite"), name=name)


def load_variant(name: str, root: Path = Path()) -> "Variant":
    """Return the variant of that name.

    Raises:
        InputError: there is no such variant, or its file has a wrong key.
    """
    # Here, so that the split stage neither loads nor depends on the networks.
    from models.variant import Variant

    return load(Variant, _config_path(root / paths.VARIANTS, name, "variant"), name=name)


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
    raise InputError(f"no {kind} {name!r} in {folder}/.{hint} There are: {valid}")


def load(model: type[Config], path: Path, **given: Any) -> Config:
    """Read a YAML 1.2 file into a model.

    Args:
        model: the type to build.
        path: the file.
        given: values that come from elsewhere (the name, from the file's name).

    Raises:
        InputError: the file is missing, is not YAML, or does not fit the model.
    """
    try:
        # YAML 1.2, the dialect of DVC: `1e-3` is a float and `on` a string.
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys and values, found {type(content).__name__}")
    if clash := sorted(given.keys() & content.keys()):
        raise InputError(f"{path}: {clash[0]}: not allowed, it is the file's name")
    try:
        return model.model_validate({**content, **given})
    except ValidationError as error:
        raise InputError("; ".join(f"{path}: {line}" for line in _explain(error, model))) from None


def _explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return one line for each mistake: key path, what is wrong, the value."""
    lines = []
    for mistake in error.errors():
        where = ".".join(str(part) for part in mistake["loc"])
        message = re.sub("^Value error, ", "", mistake["msg"])
        if mistake["type"] == "extra_forbidden":
            message = "unknown key" + _valid_keys(model, mistake["loc"])
        elif mistake["type"] == "missing":
            message = "this key is missing"
        value = (
            "" if mistake["type"] in ("missing", "extra_forbidden") else _shown(mistake["input"])
        )
        lines.append(f"{where}: {message}{value}" if where else f"{message}")
    return lines


def _shown(value: Any) -> str:
    return "" if isinstance(value, Mapping | BaseModel) else f" (it is {value!r})"


def _valid_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Return the valid keys at the place of an unknown one."""
    annotation: Any = model
    for part in location[:-1]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = annotation.model_fields[str(part)].annotation
        else:  # an entry of a dict or a tuple
            annotation = get_args(annotation)[-1]
    keys = sorted(annotation.model_fields)
    close = difflib.get_close_matches(str(location[-1]), keys, n=1)
    return (f", did you mean {close[0]}?" if close else "") + f" (valid: {', '.join(keys)})"
