"""Completed images of anybody → a score for each image, the means, and a table for the terminal.

Every image is scored at its own size, by protocol ib1.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from benchmark.core.config import NAME_PATTERN
from benchmark.core.files import write_text
from benchmark.core.text import text_cell
from benchmark.evaluation.score_table import (
    PSNR_MEDIAN,
    PSNR_POOLED,
    aggregate,
    aggregate_by_area,
    aggregate_by_label,
    robust_psnr,
    write_score_table,
)
from benchmark.metrics import METRICS, PROTOCOL, known_mae_raw, missing_metrics, score_images
from benchmark.metrics.registry import ARROWS
from benchmark.stats.comparison import TELEA
from benchmark.submissions.catalog import Finding
from benchmark.submissions.doctor import Examination
from benchmark.submissions.files import IMAGES, METRICS_FILE, SCORES
from benchmark.submissions.samples import (
    Diversity,
    best_of,
    number_text,
    numbered,
    samples_text,
)
from benchmark.submissions.submission import Sample, Submission, misfit, read_sample
from data.errors import InputError, printable
from models.baselines import BASELINES
from models.filters import WINDOW

BASELINE_NAMES = ("mean_color", "telea", "navier_stokes")
"""Those that need no training images and run at any size."""


@dataclass
class Scores:
    """The scores of a submission."""

    score_table: pd.DataFrame
    """As `benchmark.evaluation.score_table` has it; rows in the order of the images' names. Several
    completions of an image and hole have the numbers from 0 on in the column `seed`."""
    images: pd.DataFrame
    """For each file its `name`, the keys `image` and `mask` of its row, `height` and `width`."""
    findings: list[Finding]
    """What the doctor says."""
    diversity: Mapping[str, Any] | None = None
    """See `Diversity.summary`; None where completions are not numbered."""

    @property
    def are_sound(self) -> bool:
        """Whether the doctor has found nothing that makes scores wrong."""
        return all(finding.severity != "error" for finding in self.findings)


def score_submission(
    submission: Submission, name: str, baselines: bool = False, training: Path | None = None
) -> Scores:
    """Score all images of a submission, each file decoded once.

    Args:
        submission: the folders.
        name: of the method, in the score table.
        baselines: whether to score them on the same holes.
        training: a folder of training images, in which the images should not be.

    Raises:
        InputError: the name cannot be used; files are missing or cannot be read, or do not fit
            their image; or images have different numbers of completions. What can be known before
            the work is.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise InputError(f"--name {name!r}: must match {NAME_PATTERN}")
    if baselines and name in BASELINE_NAMES:
        raise InputError(f"--name {name}: is a baseline, which --baselines scores too")
    pairing = submission.pair()
    pairing.require_whole()
    examination = Examination(submission, pairing, training)
    diversity = Diversity() if pairing.samples else None
    rows, images = [], []
    for stem, number in tqdm(numbered(pairing), desc="score", unit="image"):
        files = pairing.sets[stem]
        sample = read_sample(stem, files, submission)
        if problem := misfit(sample):
            raise InputError(f"{files['completed']} with {files['masks']}: {problem[1]}")
        height, width = sample.hole.shape
        if min(height, width) < WINDOW:
            raise InputError(f"{files['images']}: SSIM needs {WINDOW} px a side")
        examination.look_at(sample)
        scored = _score_image(sample, name, number, baselines and number == 0)
        if diversity:
            diversity.add(sample, number)
        rows += scored
        keys = {key: scored[0][key] for key in ("image", "mask")}
        images.append({"name": stem} | keys | {"height": height, "width": width})
    # An exact duplicate would count twice.
    table = pd.DataFrame(rows).drop_duplicates(["method", "seed", "image", "mask"])
    order = [name, *BASELINE_NAMES]
    table = table.sort_values("method", kind="stable", key=lambda names: names.map(order.index))
    return Scores(
        score_table=table.reset_index(drop=True),
        images=pd.DataFrame(images),
        findings=examination.findings(),
        diversity=diversity.summary() if diversity else None,
    )


def _score_image(sample: Sample, name: str, seed: int, baselines: bool) -> list[dict[str, Any]]:
    """Return the rows of a completed image, one for each method."""
    hole = sample.hole[None]
    truth, mask = _tensor(sample.target[None]), torch.from_numpy(hole)[:, None]
    folder = Path(sample.name).parent.as_posix()
    facts = {
        "seed": seed,
        "image": sample.image_sha256[:16],
        "mask": hashlib.sha256(np.packbits(hole).tobytes()).hexdigest()[:16],
        "hole_px": int(hole.sum()),
        "label": "" if folder == "." else folder,
    }
    rows = []
    for method, pixels in _methods(sample, name, baselines):
        given = _tensor(pixels)
        scores = score_images(torch.where(mask, given, truth), truth, mask)
        scores["known_mae_raw"] = known_mae_raw(given, truth, mask)
        # A metric that cannot be computed here has a column all the same, and no value in it.
        values = {m: scores[m].item() if m in scores else math.nan for m in METRICS}
        rows.append({"method": method} | facts | values)
    return rows


def _methods(sample: Sample, name: str, baselines: bool) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield methods, and what each makes of an image, one after another as images may be large."""
    yield name, sample.completed[None]
    if baselines:
        # A baseline gets an image whose hole is blank.
        hole = sample.hole[None]
        blank = np.where(hole[..., None], np.uint8(0), sample.target[None])
        for baseline in BASELINE_NAMES:
            yield baseline, BASELINES[baseline](blank[:0])(blank, hole)


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    return torch.tensor(images).permute(0, 3, 1, 2)


def summarize(scores: Scores) -> dict[str, Any]:
    """Return the means of the score table, and all that is needed to read them."""
    table = scores.score_table
    missing = missing_metrics()
    sizes = scores.images.drop_duplicates("image").set_index("image")
    pixels = table["image"].map(sizes["height"] * sizes["width"])
    methods = aggregate(table, pixels, missing)
    summary: dict[str, Any] = {
        "protocol": PROTOCOL,
        "methods": methods,
        "by_label": aggregate_by_label(table, pixels, missing),
        "by_area": aggregate_by_area(table, pixels, missing),
        "derived": robust_psnr(table, pixels),
        "missing": missing,
        "findings": [finding.as_json() for finding in scores.findings],
    }
    if scores.diversity is not None:
        ours = table[table["method"] == next(iter(methods))]
        summary["samples"] = {
            "count": int(ours["seed"].nunique()),
            "best_of_n": best_of(ours, pixels[ours.index]),
            **scores.diversity,
        }
    if TELEA in methods:
        errors: dict[str, Any] = {name: found["mse_h"]["mean"] for name, found in methods.items()}
        reference = errors[TELEA]
        # The share of the reference's squared error that a method avoids.
        summary["skill"] = {
            name: 1 - error / reference if reference else None for name, error in errors.items()
        }
    return summary


def write_scores(out: Path, scores: Scores, summary: dict[str, Any]) -> None:
    """Write score table, names and means (see `summarize`); equal scores give equal bytes."""
    means = json.dumps(summary, indent=1, sort_keys=True, allow_nan=False)  # before any is written
    write_score_table(out / SCORES, scores.score_table)
    names = scores.images.assign(name=scores.images["name"].map(text_cell))
    write_text(out / IMAGES, names.to_csv(index=False, lineterminator="\n"))
    write_text(out / METRICS_FILE, means + "\n")


def means_text(summary: dict[str, Any]) -> str:
    """Return the means as aligned text, a line for each metric and a column for each method."""
    methods = summary["methods"]
    first = next(iter(methods))
    rows = {}
    for name, of_first in methods[first].items():
        unit = f" [{METRICS[name].unit}]" if METRICS[name].unit else ""
        means = [number_text(metrics[name]["mean"]) for metrics in methods.values()]
        rows[f"{name}{unit} {ARROWS[METRICS[name].better]}"] = [*means, str(of_first["n"])]
    for name in (PSNR_MEDIAN, PSNR_POOLED):
        found = [metrics[name] for metrics in summary["derived"].values()]
        rows[f"{name} [dB] ↑"] = [*(number_text(f["mean"]) for f in found), str(found[0]["n"])]
    if "skill" in summary:
        skills = [f"{v:.4f}" if v is not None else "-" for v in summary["skill"].values()]
        rows[f"skill against {TELEA} ↑"] = [*skills, ""]
    heads = pd.Index([*methods, "N"], name="metric")
    table = pd.DataFrame(rows.values(), index=[*rows], columns=heads)
    heading = f"Protocol {summary['protocol']}; means over N images"
    notes = [f"{name}: missing, as {reason}" for name, reason in summary["missing"].items()]
    notes += samples_text(summary["samples"]) if "samples" in summary else []
    return "\n".join([heading, table.to_string(), *map(printable, notes)]) + "\n"
