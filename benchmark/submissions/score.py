"""Completed images of anybody → a score for each image, the means, and a table for the terminal.

Every image is scored at its own size, by protocol ib1.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from benchmark.core.config import NAME_PATTERN
from benchmark.core.files import write_json, write_text
from benchmark.core.text import text_cell
from benchmark.evaluation.score_table import (
    aggregate,
    aggregate_by_area,
    aggregate_by_label,
    read_score_table,
    write_score_table,
)
from benchmark.inference.pairing import check_apart, listed
from benchmark.metrics import METRICS, PROTOCOL, known_mae_raw, missing_metrics, score_images
from benchmark.metrics.registry import ARROWS
from benchmark.submissions.catalogue import Finding
from benchmark.submissions.doctor import Examination
from benchmark.submissions.submission import (
    Pairing,
    Sample,
    Submission,
    pair_files,
    read_sample,
    require_whole,
    wrong_hole,
    wrong_size,
)
from data.errors import InputError, printable
from models.baselines import BASELINES
from models.filters import WINDOW

BASELINE_NAMES = ("mean_colour", "telea", "navier_stokes")
"""Those that need no training images and run at any size."""
SKILL_REFERENCE = "telea"
BATCH_PX = 2**20
"""Pixels that go through the metrics at a time, unless one image has more: of SSIM's float64 maps
these are some 300 MB."""
SCORES, METRICS_FILE, IMAGES = "scores.csv", "metrics.json", "images.csv"


@dataclass(frozen=True)
class Request:
    """What to score, and beside what."""

    submission: Submission
    name: str = "completed"
    """Of the method, in the score table."""
    baselines: bool = False
    training: Path | None = None
    """Training images, in which the images should not be."""
    out: Path | None = None
    """Folder for the results, see `write_scores`; None: nothing is written."""
    overwrite: bool = False


@dataclass
class Scores:
    """The scores of a submission."""

    score_table: pd.DataFrame
    """As `benchmark.evaluation.score_table` has it; rows in the order of the images' names."""
    images: pd.DataFrame
    """For each file its `name`, the keys `image` and `mask` of its row, `height` and `width`."""
    findings: list[Finding]
    """What the doctor says."""


def score_submission(request: Request) -> Scores:
    """Score all images of a submission, each file decoded once.

    Raises:
        InputError: the name or the output folder cannot be used; files are missing or cannot be
            read, or do not fit their image.
    """
    _check(request)
    pairing = pair_files(request.submission)
    require_whole(pairing, request.submission)
    examination = Examination(pairing)
    batches = _batches(_samples(pairing, request.submission, examination))
    rows = pd.concat([part for batch in batches for part in _score_batch(batch, request)])
    images = rows.loc[rows["method"] == request.name, ["name", "image", "mask", "height", "width"]]
    order = [request.name, *BASELINE_NAMES]
    table = rows.drop(columns=["name", "height", "width"])
    # An exact duplicate would count twice.
    table = table.drop_duplicates(["method", "image", "mask"])
    table = table.sort_values("method", kind="stable", key=lambda names: names.map(order.index))
    return Scores(
        table.reset_index(drop=True),
        images.reset_index(drop=True),
        examination.findings(request.training),
    )


def _check(request: Request) -> None:
    """Refuse what would fail after the work."""
    if not re.fullmatch(NAME_PATTERN, request.name):
        raise InputError(f"--name {request.name!r}: must match {NAME_PATTERN}")
    if request.baselines and request.name in BASELINE_NAMES:
        raise InputError(f"--name {request.name}: is a baseline, which --baselines scores too")
    if request.out is None:
        return
    for folder in request.submission.folders().values():
        check_apart(folder, request.out)
    paths = [request.out / name for name in (SCORES, METRICS_FILE, IMAGES)]
    if not request.overwrite and (there := [path for path in paths if path.exists()]):
        raise InputError(f"already there: {listed(there)}; --overwrite replaces what is there")


def _samples(
    pairing: Pairing, submission: Submission, examination: Examination
) -> Iterator[Sample]:
    """Read and examine all images in the order of their names.

    Raises:
        InputError: one cannot be read, or has another size or no hole.
    """
    for triple in tqdm(pairing.triples, desc="score", unit="image"):
        sample = read_sample(triple, submission.hole)
        if reason := wrong_size(sample) or wrong_hole(sample):
            raise InputError(f"{triple.completed} with {triple.mask}: {reason}")
        if min(sample.hole.shape) < WINDOW:
            raise InputError(f"{triple.image}: SSIM needs {WINDOW} px a side")
        examination.look_at(sample)
        yield sample


def _batches(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    """Yield samples of one size that follow each other, together."""
    batch: list[Sample] = []
    for sample in samples:
        full = (len(batch) + 1) * sample.hole.size > BATCH_PX
        if batch and (full or sample.hole.shape != batch[0].hole.shape):
            yield batch
            batch.clear()  # the caller may hold the list while the next images are read
        batch.append(sample)
    if batch:
        yield batch


def _score_batch(batch: list[Sample], request: Request) -> Iterator[pd.DataFrame]:
    """Yield the rows of images of one size, method by method."""
    target = np.stack([sample.target for sample in batch])
    hole = np.stack([sample.hole for sample in batch])
    methods = {request.name: np.stack([sample.completed for sample in batch])}
    if request.baselines:
        # A baseline gets images whose holes are blank.
        blank = np.where(hole[..., None], 0, target).astype(np.uint8)
        methods |= {name: BASELINES[name](blank, hole, blank[:0]) for name in BASELINE_NAMES}
    truth, mask = _tensor(target), torch.from_numpy(hole)[:, None]
    height, width = hole.shape[1:]
    facts = {
        "name": [sample.name for sample in batch],
        "height": height,
        "width": width,
        "seed": 0,
        "image": [sample.image_sha256[:16] for sample in batch],
        "mask": [hashlib.sha256(np.packbits(part).tobytes()).hexdigest()[:16] for part in hole],
        "hole_px": hole.sum((1, 2)),
        "label": [Path(sample.name).parent.name for sample in batch],
    }
    for method, pixels in methods.items():
        given = _tensor(pixels)
        scores = score_images(torch.where(mask, given, truth), truth, mask)
        scores["known_mae_raw"] = known_mae_raw(given, truth, mask)
        # A metric that cannot be computed here has a column all the same, and no value in it.
        values = {name: scores[name].numpy() if name in scores else np.nan for name in METRICS}
        yield pd.DataFrame({"method": method} | facts | values)


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def summarize(scores: Scores) -> dict[str, Any]:
    """Return the means of the score table as it is written, and all that is needed to read them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / SCORES
        write_score_table(path, scores.score_table)
        score_table = read_score_table(path)
    missing = missing_metrics()
    sizes = scores.images.drop_duplicates("image").set_index("image")
    pixels = score_table["image"].map(sizes["height"] * sizes["width"])
    methods = aggregate(score_table, pixels, missing)
    summary: dict[str, Any] = {
        "protocol": PROTOCOL,
        "methods": methods,
        "by_label": aggregate_by_label(score_table, pixels, missing),
        "by_area": aggregate_by_area(score_table, pixels, missing),
        "missing": missing,
        "findings": [finding.as_json() for finding in scores.findings],
    }
    if SKILL_REFERENCE in methods:
        errors: dict[str, Any] = {name: found["mse_h"]["mean"] for name, found in methods.items()}
        reference = errors[SKILL_REFERENCE]
        # The share of the reference's squared error that a method avoids.
        summary["skill"] = {
            name: 1 - error / reference if reference else None for name, error in errors.items()
        }
    return summary


def write_scores(out: Path, scores: Scores, summary: dict[str, Any]) -> None:
    """Write score table, names and means (see `summarize`); equal scores give equal bytes."""
    write_score_table(out / SCORES, scores.score_table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(scores.images.columns)
    for name, *rest in scores.images.itertuples(index=False):
        writer.writerow([text_cell(str(name)), *rest])
    write_text(out / IMAGES, text.getvalue())
    write_json(out / METRICS_FILE, summary)


def means_text(summary: dict[str, Any]) -> str:
    """Return the means as aligned text, a line for each metric and a column for each method."""
    methods = summary["methods"]
    first = next(iter(methods))
    rows = {}
    for name, of_first in methods[first].items():
        unit = f" [{METRICS[name].unit}]" if METRICS[name].unit else ""
        means = [_number(metrics[name]["mean"]) for metrics in methods.values()]
        counts = [_number(of_first["sd"]), str(of_first["n"]), str(of_first["infinite"] or "")]
        rows[f"{name}{unit} {ARROWS[METRICS[name].better]}"] = [*means, *counts]
    if "skill" in summary:
        skills = [f"{v:.4f}" if v is not None else "-" for v in summary["skill"].values()]
        rows[f"skill against {SKILL_REFERENCE} ↑"] = [*skills, "", "", ""]
    heads = pd.Index([*methods, "sd", "N", "infinite"], name="metric")
    table = pd.DataFrame(rows.values(), index=[*rows], columns=heads)
    heading = (
        f"Protocol {summary['protocol']}; means over images; sd, N and infinite PSNR of {first}"
    )
    notes = [f"{name}: missing, as {reason}" for name, reason in summary["missing"].items()]
    return "\n".join([heading, table.to_string(), *map(printable, notes)]) + "\n"


def _number(value: float | None) -> str:
    return "missing" if value is None else f"{value:.5g}"
