"""The checkpoints of a run: weights with a manifest, written by training and verified when read."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field
from torch import Tensor

from benchmark.core.files import atomic_folder, read_json, write_json, write_text
from benchmark.core.paths import Run
from benchmark.core.yaml_files import validate
from benchmark.training.gan import GAN
from benchmark.training.progress import Progress
from benchmark.training.step import loss_names
from benchmark.training.tensors import (
    check_tensors,
    load_tensors,
    verify_file,
    without_prefix,
)
from benchmark.training.validation import VALIDATION_METRICS, Gallery, write_animation
from data.errors import InputError
from models.variant import Variant

MANIFEST = "manifest.json"


def write_checkpoints(
    run: Run, source: Path, progress: Progress, gallery: Gallery, origin: Mapping[str, Any]
) -> None:
    """Write the checkpoint folder of a finished run.

    Args:
        run: whose folder to write.
        source: the folder of the weights and the pictures that `progress` names. They are copied,
            not moved: a run that crashes from here on resumes from what is in it.
        progress: the finished run's.
        gallery: the images of the pictures.
        origin: what the manifest says of the machine, and the digests of what went in.

    Raises:
        InputError: a file of `source` is damaged, or there is no room.
    """
    with atomic_folder(run.checkpoints) as folder:
        validation = folder / "validation"
        validation.mkdir()
        for file, sha256 in sorted(progress.files().items()):
            verify_file(source / file, sha256)
            shutil.copy(source / file, validation if file in progress.pictures else folder)
        pictures = [source / file for file in sorted(progress.pictures)]
        write_animation(validation / "progress.gif", pictures, gallery)
        manifest = {
            "run": {"suite": run.suite, "variant": run.variant, "seed": run.seed},
            "steps": progress.step,
            "checkpoints": progress.kept,
            **origin,
        }
        write_json(folder / MANIFEST, manifest)


def write_curves(run: Run, variant: Variant, progress: Progress) -> None:
    """Write the losses and the validation scores of a finished run, one row per epoch."""
    import pandas as pd

    columns = ["epoch", "images_seen", *loss_names(variant)]
    columns += [f"validation/{name}" for name in VALIDATION_METRICS]
    frame = pd.DataFrame(progress.curves).reindex(columns=columns)
    write_text(run.curves, frame.to_csv(index=False, float_format="%.7g", lineterminator="\n"))


class Kept(BaseModel):
    """The checkpoint that a criterion chose."""

    epoch: int = Field(ge=1)
    sha256: str


class InitialWeights(BaseModel):
    """The checkpoint that a run started from."""

    run: str
    criterion: str
    weights_sha256: str


class Manifest(BaseModel):
    """What a checkpoint folder says of itself."""

    run: Run
    checkpoints: dict[str, Kept]
    environment: dict[str, Any]
    config_sha256: str
    data_sha256: str
    code_sha256: str
    init_from: InitialWeights | None = None
    """Where the weights began, if they were not drawn."""

    def origin(self, criterion: str) -> dict[str, Any]:
        """Return where the weights of a criterion come from: digests, and the machine."""
        unset = {"init_from"} if self.init_from is None else set()
        origin = self.model_dump(mode="json", exclude={"run", "checkpoints", *unset})
        return origin | {"weights_sha256": self.checkpoints[criterion].sha256}


def read_manifest(folder: Path, made_by: str = "python -m benchmark train") -> Manifest:
    """Read the manifest of a checkpoint folder.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / MANIFEST
    return validate(Manifest, read_json(path, made_by), path)


def load_checkpoint(folder: Path, manifest: Manifest, criterion: str) -> dict[str, Tensor]:
    """Load the weights that a criterion (`last`, `best_val_psnr`, …) chose.

    Returns:
        The tensors, named `generator/…` and `discriminator/<name>/…`.

    Raises:
        InputError: the file is missing or damaged, or the criterion chose nothing.
    """
    if criterion not in manifest.checkpoints:
        there = ", ".join(manifest.checkpoints)
        raise InputError(f"{folder}: no checkpoint {criterion!r}; there are {there}")
    kept = manifest.checkpoints[criterion]
    return load_tensors(folder / f"epoch{kept.epoch:04d}.safetensors", kept.sha256)


def load_initial(folder: Path, gan: GAN) -> InitialWeights:
    """Set the networks of a run to the last weights of another one.

    Args:
        folder: checkpoints of the other run. Its networks are those of the same name; one that it
            has not keeps the weights that it has.
        gan: the networks of the run.

    Raises:
        InputError: there are no such checkpoints, or a network does not fit.
    """
    manifest, criterion = read_manifest(folder), "last"
    tensors = load_checkpoint(folder, manifest, criterion)
    for name, trained in gan.networks.items():
        if found := without_prefix(name, tensors):
            check_tensors(folder, found, trained.network.state_dict())
            trained.network.load_state_dict(found)
    sha256 = manifest.checkpoints[criterion].sha256
    return InitialWeights(run=str(manifest.run), criterion=criterion, weights_sha256=sha256)
