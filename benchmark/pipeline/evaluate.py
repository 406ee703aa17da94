"""The evaluate stage: from a trained run to test-set scores and what its discriminators go by."""

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.core.device import batch_setting, memory_for, open_device
from benchmark.core.environment import fingerprint
from benchmark.core.files import atomic_folder, atomic_path, write_json
from benchmark.evaluation.diagnostics.diagnosis import (
    CONFIDENCE,
    REPLICATES,
    SEED,
    Resamples,
    diagnosis,
)
from benchmark.evaluation.diagnostics.interventions import intervene
from benchmark.evaluation.diagnostics.predictions import ProbedRun
from benchmark.evaluation.diagnostics.probes import fade_px
from benchmark.evaluation.diagnostics.refilling import refill
from benchmark.evaluation.score_table import write_score_table
from benchmark.evaluation.test_set import (
    Scored,
    TestSet,
    load_test_set,
    metrics_content,
    save_examples,
    score_method,
)
from benchmark.inference.trained import Trained, load_trained
from benchmark.metrics import PROTOCOL
from benchmark.stats.intervals import numbered
from benchmark.training.network_inputs import complete
from models.variant import Variant

PICTURED = 3
"""Test images that the picture of the probes shows."""
ALONE = dict.fromkeys(("intervals", "foreign"), "there is one test image")
"""What a diagnosis lacks where there is one: `foreign` shows it unaltered."""


def evaluate_run(suite: Suite, variant: Variant, run: paths.Run, device: str = "auto") -> None:
    """Score a trained run and ask its discriminators about probes.

    Writes the score table, its metrics, completed examples and provenance; what interventions into
    the generator change; and the numbers of the discriminators with a picture of probes, which a
    variant without discriminators does without.

    Raises:
        InputError: the run is not trained, or was trained with other settings or images; or there
            is not enough memory.
    """
    engine = open_device(suite.training, device)
    with memory_for(batch_setting(suite, "evaluation"), engine.device):
        trained = load_trained(suite, variant, run, engine)
        test = load_test_set(suite)
        _score(suite, run, trained, test, engine.device)
        with atomic_folder(run.diagnosis.parent) as folder:
            content: dict[str, Any] = {
                "protocol": PROTOCOL,
                "suite": run.suite,
                "variant": run.variant,
                "seed": run.seed,
                "checkpoint": trained.criterion,
                "epoch": trained.epoch,
                "images": len(test.rows),
                "generator": intervene(
                    trained.inpainter, test, engine.device, suite.evaluation.batch_size
                ),
                "discriminators": {},
            }
            if variant.discriminators:
                picture = folder / run.probes.name
                content |= _diagnose(suite, variant, trained, test, engine.device, picture)
            write_json(folder / run.diagnosis.name, content)


def evaluate_split(
    suite: Suite, variant: Variant, run: paths.Run, device: str, split: Literal["train", "val"]
) -> Path:
    """Score a trained run on images that it was chosen or trained by, apart from its results.

    Returns:
        The folder with `scores.csv` and `metrics.json`, as the test split has them.

    Raises:
        InputError: see `evaluate_run`.
    """
    engine = open_device(suite.training, device)
    with memory_for(batch_setting(suite, "evaluation"), engine.device):
        trained, test = load_trained(suite, variant, run, engine), load_test_set(suite, split)
        scored = _scored(suite, run, trained, test, engine.device)
    with atomic_folder(run.of_split(split)) as folder:
        write_score_table(folder / "scores.csv", scored.score_table)
        measured = {run.variant: scored.set_level}
        content = metrics_content(suite, folder / "scores.csv", measured)
        content |= {"checkpoint": trained.criterion, "epoch": trained.epoch, "split": split}
        write_json(folder / "metrics.json", content)
    return run.of_split(split)


def _scored(
    suite: Suite, run: paths.Run, trained: Trained, test: TestSet, device: torch.device
) -> Scored:
    def fill(rows: list[int], mask_number: int) -> Tensor:
        images = torch.from_numpy(test.images[rows]).to(device)
        boxes = torch.from_numpy(test.boxes[rows, mask_number]).to(device)
        return complete(trained.inpainter, images, boxes, suite.mask.size).quantized

    return score_method(run.variant, run.seed, test, fill, suite.evaluation, device)


def _score(
    suite: Suite, run: paths.Run, trained: Trained, test: TestSet, device: torch.device
) -> None:
    scored = _scored(suite, run, trained, test, device)
    write_score_table(run.scores, scored.score_table)
    content = metrics_content(suite, run.scores, {run.variant: scored.set_level})
    content |= {"checkpoint": trained.criterion, "epoch": trained.epoch}
    write_json(run.metrics, content)
    provenance = {
        "training": trained.manifest.origin(trained.criterion),
        "evaluation": fingerprint(device),
    }
    write_json(run.provenance, provenance)
    with atomic_path(run.completed) as partial:
        save_examples(partial, scored.examples)


def _diagnose(
    suite: Suite,
    variant: Variant,
    trained: Trained,
    test: TestSet,
    device: torch.device,
    picture: Path,
) -> dict[str, Any]:
    """Return the numbers of the discriminators and draw some probes.

    One that had not started by the scored checkpoint is not asked.
    """
    # Here, as a variant without discriminators does without matplotlib.
    from benchmark.reporting.figures.pictures import chosen_rows, save_image
    from benchmark.reporting.figures.probe_picture import probe_picture

    done = trained.epoch / suite.training.epochs
    asked = {name: spec for name, spec in variant.discriminators.items() if done > spec.start}
    probed = ProbedRun(trained.inpainter, trained.discriminators, asked, test, device, done)
    batch_size = suite.evaluation.batch_size
    predictions = probed.predict_all(batch_size) if asked else {}
    correlations = probed.gradient_errors(batch_size) if asked else {}
    groups = None if test.groups is None else numbered(test.groups[row] for row in test.rows)
    resamples = Resamples(len(test.rows), groups=groups)

    labels = [test.records[row].label for row in test.rows]
    rows = [test.rows[i] for i in chosen_rows(labels, most=PICTURED, most_classes=PICTURED)]
    names = [test.records[row].label or f"#{row}" for row in rows]
    probes, boxes = probed.probes(rows), probed.boxes(rows)
    pixels = {name: image.permute(0, 2, 3, 1).cpu().numpy() for name, image in probes.items()}
    shown = probed.predictions(probes, boxes)
    save_image(picture, probe_picture(pixels, boxes.cpu().numpy(), shown, names))
    found = {
        name: diagnosis(spec, predictions.get(name), correlations.get(name), resamples)
        for name, spec in variant.discriminators.items()
    }
    for name, spec in asked.items():
        if found[name]["predicts"] == "localization" and spec.input == "completed":
            localizer = trained.discriminators[name]
            scores = refill(trained.inpainter, localizer, test, device, batch_size)
            found[name]["per_image"] |= scores
    return {
        "image_px": suite.image_size,
        "fade_px": fade_px(suite.mask.size),
        "bootstrap": {"replicates": REPLICATES, "seed": SEED, "confidence": CONFIDENCE},
        "missing": {} if len(test.rows) > 1 else ALONE,
        "discriminators": found,
    }
