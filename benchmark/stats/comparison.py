"""Who wins: paired comparisons of two methods in one metric, on the same images and holes.

Two variants are compared seed by seed, with the seeds that both have; a baseline has none.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.metrics import METRICS
from benchmark.metrics.edges import log_ratio
from benchmark.metrics.error import psnr_cap_db
from benchmark.stats.bootstrap import sign_flip_p
from benchmark.stats.intervals import CONFIDENCE, holm, improvement, paired_interval, wilcoxon_p

TELEA = "telea"
"""The baseline that skill is measured against."""
ORACLE = "oracle"
"""The truth itself; it must score perfectly, and is never ranked or compared."""
METRIC = "mse_h"
"""The metric that decides who wins; lower is better."""
DECIBEL_MARGIN, SIMILARITY_MARGIN = 0.1, 0.002

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]


class NothingInCommonError(ValueError):
    """Two methods have no seed, or no score of a metric, in common."""


@dataclass(frozen=True)
class Comparison:
    """The paired difference `method - reference` in a metric, scaled by `comparable_scores`."""

    method: str
    reference: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    """Two-sided, of the distribution that the interval is from."""
    p_adjusted: float
    """By Holm, over the comparisons that are shown together."""
    wilcoxon_p: float
    """Of the signed-rank test over images."""
    permutation_p: float
    """Of the sign-flip test over images."""
    improvement: float
    """The probability that the method is better on an image."""
    images: int
    seeds: int
    margin: float
    """The difference up to which two methods are as good as equal."""

    @property
    def verdict(self) -> Verdict:
        """What interval and adjusted p say of the method."""
        if -self.margin <= self.low and self.high <= self.margin and self.margin > 0:
            return "equivalent"
        if self.p_adjusted >= 1 - CONFIDENCE:
            return "inconclusive"
        return "better" if (self.difference > 0) == is_more_better(self.metric) else "worse"


def is_more_better(metric: str) -> bool:
    """Return whether more of a metric is better, once it is scaled by `comparable_scores`."""
    return METRICS[metric].better == "higher"


def equivalence_margin(metric: str) -> float:
    """Return the difference up to which two values are as good as equal; 0 where none is set."""
    if METRICS[metric].unit == "dB":
        return DECIBEL_MARGIN
    return SIMILARITY_MARGIN if metric.startswith(("ssim_", "stlpips_", "lpips_")) else 0.0


def comparable_scores(
    frame: pd.DataFrame, metric: str, image_px: int, to_ideal: bool = True
) -> tuple[pd.DataFrame, str]:
    """Scale a metric so that differences mean something.

    Ratios become the logarithms of `log_ratio`. Where nearer to the ideal is better, that distance
    is compared. An infinite PSNR is capped as in every mean.

    Args:
        frame: a score table that has the metric.
        metric: the metric.
        image_px: pixels of an image.
        to_ideal: whether distances are wanted where nearer is better, or the values themselves.

    Returns:
        `method`, `seed`, `image` and the metric; and what it is called then.
    """
    facts, values, what = METRICS[metric], frame[metric], metric
    if facts.unit == "dB":
        pixels = frame["hole_px"] if facts.region == "h" else image_px
        values = values.mask(values == np.inf, psnr_cap_db(pixels))
    if facts.better == "one":
        values, what = log_ratio(values), f"ln {metric}"
    if facts.better in ("zero", "one") and to_ideal:
        values, what = values.abs(), f"|{what}|"
    return frame[["method", "seed", "image"]].assign(**{metric: values}), what


def score_matrix(frame: pd.DataFrame, method: str, metric: str = METRIC) -> pd.DataFrame:
    """Return a method's scores by seed (rows) and image (columns), the holes of an image averaged.

    Args:
        frame: a score table; the columns `method`, `seed`, `image` and the metric are read.
        method: the method.
        metric: the metric.

    Returns:
        Seeds and images sorted; NaN where a score is missing.
    """
    rows = frame[frame["method"] == method]
    # As `pivot_table`, which takes three times as long.
    return rows.groupby(["seed", "image"])[metric].mean().unstack("image")


def paired_differences(
    ours: pd.DataFrame, reference: pd.DataFrame, has_seeds: bool
) -> pd.DataFrame:
    """Return `ours - reference`, `[seeds, images]`, of the images that have both.

    Args:
        ours: as `score_matrix` returns it.
        reference: the same.
        has_seeds: whether the reference was trained; else it is compared with all seeds of ours.

    Returns:
        The seeds that both have; none if there are none.
    """
    if not has_seeds:
        return _complete(ours - reference.mean(axis=0))
    seeds = ours.index.intersection(reference.index)
    return _complete(ours.loc[seeds] - reference.loc[seeds])


def _complete(differences: pd.DataFrame) -> pd.DataFrame:
    """Leave out seeds without any value, then images that lack one of another seed."""
    scored = differences.dropna(how="all")
    return (differences if scored.empty else scored).dropna(axis="columns")


def compare(
    frame: pd.DataFrame,
    method: str,
    reference: str,
    metric: str = METRIC,
    *,
    has_seeds: bool = False,
    image_px: int = 0,
) -> Comparison:
    """Compare two methods on the images of a score_table.

    Args:
        frame: the score_table.
        method: the one.
        reference: the other.
        metric: in which they are compared.
        has_seeds: whether the reference was trained; see `paired_differences`.
        image_px: pixels of an image, for PSNRs of it.

    Raises:
        ValueError: the two were not scored on the same images.
        NothingInCommonError: they have no seed or no score in common.
    """
    scaled, _ = comparable_scores(frame, metric, image_px)
    ours, theirs = (score_matrix(scaled, name, metric) for name in (method, reference))
    return compare_matrices(method, reference, metric, ours, theirs, has_seeds=has_seeds)


def compare_matrices(
    method: str,
    reference: str,
    metric: str,
    ours: pd.DataFrame,
    theirs: pd.DataFrame,
    *,
    has_seeds: bool,
) -> Comparison:
    """Compare two methods by their comparable scores, as `score_matrix` returns them.

    Raises:
        ValueError, NothingInCommonError: see `compare`.
    """
    if not ours.columns.equals(theirs.columns):
        raise ValueError(f"{method} and {reference} were not scored on the same images")
    differences = paired_differences(ours, theirs, has_seeds)
    if differences.empty:
        raise NothingInCommonError(f"{method} and {reference} have no seed or score in common")
    return comparison_of(method, reference, metric, differences.to_numpy(dtype=np.float64))


def comparison_of(
    method: str, reference: str, metric: str, differences: NDArray[np.float64]
) -> Comparison:
    """Return what paired differences `[seeds, images]` say, as if nothing else were compared."""
    interval = paired_interval(differences)
    seeds, images = differences.shape
    return Comparison(
        method=method,
        reference=reference,
        metric=metric,
        difference=interval.mean,
        low=interval.low,
        high=interval.high,
        p=interval.p,
        p_adjusted=interval.p,
        wilcoxon_p=wilcoxon_p(differences),
        permutation_p=sign_flip_p(differences),
        improvement=improvement(differences if is_more_better(metric) else -differences),
        images=images,
        seeds=seeds,
        margin=equivalence_margin(metric),
    )


def family(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Return comparisons that are shown together, their p values adjusted for their number."""
    found = list(comparisons)
    adjusted = holm([comparison.p for comparison in found])
    return [replace(c, p_adjusted=p) for c, p in zip(found, adjusted, strict=True)]
