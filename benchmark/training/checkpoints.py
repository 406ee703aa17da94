"""The checkpoints of a run: weights with a manifest, written by training and verified when read."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmark.core.files import atomic_folder, read_json, write_json, write_text
from benchmark.core.paths import Run
from benchmark.training.progress import Progress
from benchmark.training.run_log import write_animation
from benchmark.training.step import loss_names
from benchmark.training.tensors import load_tensors, verify_file
from benchmark.training.validation import VALIDATION_METRICS, Gallery
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


def load_checkpoint(folder: Path, criterion: str, made_by: str) -> tuple[dict[str, Tensor], Any]:
    """Load the weights that a criterion chose.

    Args:
        folder: a run's checkpoint folder.
        criterion: `last`, `best_val_psnr`, …
        made_by: the command that makes the folder, for the error.

    Returns:
        The tensors, named `generator/…` and `discriminator/<name>/…`, and the manifest.

    Raises:
        InputError: a file is missing or damaged, or the criterion chose nothing.
    """
    manifest = read_json(folder / MANIFEST, made_by)
    try:
        entry = manifest["checkpoints"].get(criterion)
        if entry is None:
            raise InputError(
                f"{folder / MANIFEST}: no checkpoint {criterion!r}; there are "
                f"{', '.join(manifest['checkpoints'])}"
            )
        file, sha256, epoch = str(entry["file"]), str(entry["sha256"]), entry["epoch"]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / MANIFEST}: not a checkpoint manifest ({error!r})") from None
    if not isinstance(epoch, int) or file != f"epoch{epoch:04d}.safetensors":
        raise InputError(
            f"{folder / MANIFEST}: not a checkpoint manifest (epoch {epoch!r} in file {file!r})"
        )
    return load_tensors(folder / file, sha256), manifest


def training_origin(manifest: Mapping[str, Any], criterion: str) -> dict[str, Any]:
    """Return what a manifest says of where the weights of a criterion come from."""
    kept = {k: v for k, v in manifest.items() if k.endswith("_sha256") or k == "environment"}
    return kept | {"weights_sha256": manifest["checkpoints"][criterion]["sha256"]}
