"""What runs record besides scores, and what is arithmetic → comparisons that claims make."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.claims.comparisons import ClaimComparison, UntestableError, from_interval
from benchmark.claims.definitions import Area, Choice, Probing, Specificity
from benchmark.claims.verdicts import (
    verdict_of_difference,
    verdict_of_distance,
    verdict_of_interval,
)
from benchmark.evaluation.probes import REAL
from benchmark.evaluation.results import Results
from benchmark.stats.intervals import MIN_SEEDS, paired_interval
from benchmark.training.progress import CRITERIA

BEST = "best_val_psnr"
"""The checkpoint that a choice by another rule is held against."""


def read_probing(kind: str, claimed: Probing, results: Results) -> ClaimComparison:
    """Compare the IoU of a localizer's box on a probe with that on the unaltered image.

    The ends are those of both intervals taken together. The standard error of a difference is at
    most the sum of both, so the interval covers at least what it says. Over seeds, values and ends
    are averaged, which covers image sampling only.

    Args:
        kind: `finds` or `misses`.
        claimed: the localizer, the probe and the margin.
        results: of the suite.

    Raises:
        UntestableError: the discriminator was not asked, or does not localize.
    """
    rows = []
    for _, images, entry in _entries(claimed.variant, claimed.discriminator, results):
        probes = entry.get("probes", {})
        found, real = (probes.get(name, {}).get("iou") for name in (claimed.probe, REAL))
        if found and real and None not in (*found.values(), *real.values()):
            ends = found["low"] - real["high"], found["high"] - real["low"]
            rows.append([found["value"] - real["value"], *ends, images])
    if not rows:
        raise UntestableError(
            f"{claimed.discriminator} of {claimed.variant} has no IoU on {claimed.probe} and "
            f"{REAL}; `python -m benchmark evaluate` asks localizers for it"
        )
    value, low, high, images = np.mean(rows, axis=0).tolist()
    if kind == "finds":
        verdict = verdict_of_interval("better", low, high, claimed.margin)
    else:
        verdict = verdict_of_interval("as_good", -high, -low, claimed.margin)
    what = f"IoU of {claimed.discriminator}: {claimed.probe} - {REAL}"
    return ClaimComparison(what, value, low, high, verdict, int(images), len(rows), decimals=3)


def compare_specificity(claimed: Specificity, results: Results) -> ClaimComparison:
    """Compare how two discriminators' gradients follow the error, image by image.

    Each image has a correlation over its pixels, which the evaluate stage records.

    Raises:
        UntestableError: one has no such record, or they have no training seed in common.
    """
    sides = (
        _correlations(claimed.variant, claimed.discriminator, results),
        _correlations(claimed.than, claimed.than_discriminator, results),
    )
    seeds = sorted(sides[0].keys() & sides[1].keys())
    if not seeds:
        raise UntestableError(
            f"{claimed.variant} and {claimed.than} have no training seed in common"
        )
    if len({len(side[seed]) for side in sides for seed in seeds}) != 1:
        raise UntestableError("gradients were correlated on different images")
    ours, other = (np.array([side[seed] for seed in seeds], dtype=np.float64) for side in sides)
    differences = ours - other
    kept = differences[:, np.isfinite(differences).all(axis=0)]
    if kept.shape[1] < 2:
        raise UntestableError("gradients were correlated on fewer than two images")
    interval = paired_interval(kept)
    verdict = verdict_of_interval("better", interval.low, interval.high, claimed.margin)
    what = f"correlation of gradient and error: {claimed.variant} - {claimed.than}"
    return from_interval(interval, what, verdict, kept.shape, 3)


def _correlations(
    variant: str, discriminator: str, results: Results
) -> Mapping[int, Sequence[float | None]]:
    """Return each seed's correlations, image by image; None where an image has none."""
    found = {}
    for seed, _, entry in _entries(variant, discriminator, results):
        if values := entry.get("gradient_error_correlation", {}).get("per_image"):
            found[seed] = values
    if not found:
        raise UntestableError(
            f"the gradients of {discriminator} of {variant} were not correlated with the error; "
            "`python -m benchmark evaluate` does it"
        )
    return found


def compare_choice(claimed: Choice, results: Results) -> ClaimComparison:
    """Compare the validation PSNR of two choices of a checkpoint, seed by seed.

    The other choice is that of the best PSNR, so a difference is never negative and the verdict
    depends on the margin.

    Raises:
        UntestableError: the curves lack a column, or there are too few seeds.
    """
    seeds = results.seeds_of(claimed.variant)
    if len(seeds) < MIN_SEEDS:
        raise UntestableError(
            f"needs runs of {claimed.variant} with {MIN_SEEDS} training seeds, and has {len(seeds)}"
        )
    curves = (results.curves[claimed.variant, seed] for seed in seeds)
    lost = np.array([[_lost_db(table, claimed.checkpoint) for table in curves]])
    interval = paired_interval(lost)  # seeds are what is sampled
    verdict = verdict_of_difference("better", "psnr_h", interval.low, interval.high, claimed.margin)
    what = f"validation psnr_h of {claimed.variant}: {BEST} - {claimed.checkpoint}"
    return ClaimComparison(
        what, interval.mean, interval.low, interval.high, verdict,
        seeds=len(seeds), covers_seeds=True, decimals=3,
    )  # fmt: skip


def _lost_db(curves: pd.DataFrame, checkpoint: str) -> float:
    """Return how far the PSNR of a chosen epoch is below the best."""
    (column, better), (psnr, _) = CRITERIA[checkpoint], CRITERIA[BEST]
    if column not in curves or psnr not in curves or curves[column].isna().all():
        raise UntestableError(f"the curves have no values of {column} and {psnr}")
    chosen = curves[column].argmin() if better == "lower" else curves[column].argmax()
    return float(curves[psnr].max() - curves[psnr].iloc[chosen])


def compare_area(claimed: Area) -> ClaimComparison:
    """Compare the share of an image that a square covers with what is said."""
    share = (claimed.hole_px / claimed.image_px) ** 2
    off = share - claimed.share
    verdict = verdict_of_distance(off, off, claimed.margin)
    sizes = f"{claimed.hole_px} px in {claimed.image_px} px"
    what = f"share of the area ({sizes}): {share:.4f} - {claimed.share:g} ="
    return ClaimComparison(what, off, off, off, verdict, decimals=4)


def _entries(
    variant: str, discriminator: str, results: Results
) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
    """Yield seed, number of images and numbers of each diagnosis of a discriminator."""
    for seed in results.seeds_of(variant):
        diagnosis = results.diagnoses.get((variant, seed), {})
        if entry := diagnosis.get("discriminators", {}).get(discriminator):
            yield seed, diagnosis["images"], entry
