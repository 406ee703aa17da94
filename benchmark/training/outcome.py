"""What a finished training leaves: checkpoints with their manifest, pictures and curves."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.core.files import atomic_folder, write_json, write_text
from benchmark.core.paths import Run
from benchmark.training.checkpoints import MANIFEST, verify_file
from benchmark.training.gan import loss_names
from benchmark.training.progress import Progress
from benchmark.training.run_log import write_animation
from benchmark.training.validation import VALIDATION_METRICS, Gallery
from models.variant import Variant


def write_outcome(
    run: Run,
    variant: Variant,
    source: Path,
    progress: Progress,
    gallery: Gallery,
    origin: Mapping[str, Any],
) -> None:
    """Write the checkpoint folder of a run and its curves.

    Args:
        run: whose places to write to.
        variant: what was trained.
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
    columns = ["epoch", "images_seen", *loss_names(variant)]
    columns += [f"validation/{name}" for name in VALIDATION_METRICS]
    frame = pd.DataFrame(progress.curves).reindex(columns=columns)
    write_text(run.curves, frame.to_csv(index=False, float_format="%.7g", lineterminator="\n"))
