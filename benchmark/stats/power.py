"""Variances of a paired difference -> the power of its interval, and what it takes to see one."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import optimize
from scipy.stats import chi2, norm, t

from benchmark.stats.intervals import (
    CONFIDENCE,
    MIN_SEEDS,
    Array,
    Sample,
    image_part,
    residual_variance,
    seed_part,
)

MOST_IMAGES = 10**7
_LEVELS = (np.arange(200) + 0.5) / 200
"""Of the quantiles of a variance's estimate, over which a probability is averaged."""


@dataclass(frozen=True)
class Components:
    """Variances of what a difference of two methods is made of, each of one seed and image."""

    seeds: tuple[float, ...]
    """Between the seeds of each side that is trained."""
    image: float
    residual: float


def components_of(ours: Sample, reference: Sample) -> Components:
    """Estimate the variances from scores of the same images.

    With one seed the residual is in the images' variance, and that between seeds is 0 where nobody
    measured it.
    """
    differences = ours.scores.mean(axis=0) - reference.scores.mean(axis=0)
    images = differences.size
    image = image_part(differences, ours.groups)[0] * images
    seeds, residual = [], 0.0
    for side in (ours, reference):
        if not side.is_trained:
            continue
        count, part = len(side.scores), seed_part(side)
        of_mean = residual_variance(side) if count >= MIN_SEEDS else 0.0
        seeds.append(max(0.0, part[0] - of_mean) * count if part else 0.0)
        image -= of_mean * images
        residual += of_mean * images * count
    return Components(tuple(seeds), max(0.0, image), residual)


def images_needed(parts: Components, seeds: int, difference: float, power: float) -> int | None:
    """Return how many images it takes to see a difference; None where no number is enough.

    The arguments are those of `detectable_difference`, and the difference.
    """

    def suffices(count: int) -> bool:
        return probability_seen(parts, count, seeds, difference) >= power

    needed = bisect_left(range(MOST_IMAGES + 1), True, lo=2, key=suffices)
    return needed if needed <= MOST_IMAGES else None


def detectable_difference(parts: Components, images: int, seeds: int, power: float) -> float:
    """Return the least difference whose interval leaves out 0 with a probability.

    Args:
        parts: variances of a single difference, not all 0.
        images: of the test split.
        seeds: of each method; with fewer than `MIN_SEEDS`, what seeds change is left out, as the
            intervals leave it out.
        power: the probability.
    """
    if images < 2:
        return math.inf

    def excess(difference: float) -> float:
        return probability_seen(parts, images, seeds, difference) - power

    if excess(0) >= 0:
        return 0.0
    most = math.sqrt(sum(parts.seeds) + parts.image + parts.residual)
    while excess(most) < 0:
        most *= 2
    return float(optimize.brentq(excess, 0.0, most, xtol=1e-9 * most, rtol=1e-9))


def probability_seen(parts: Components, images: int, seeds: int, difference: float) -> float:
    """Return the probability that the interval of a difference leaves out 0.

    The interval is that of `intervals.interval_of_difference`, whose width varies too: variances
    are estimated, which with few seeds matters most. Differences are taken as normal.

    Args:
        parts: variances of a single difference, not all 0.
        images: of the test split.
        seeds: of each method; see `detectable_difference`.
        difference: what is to be seen.
    """
    if images < 2:
        return 0.0
    variance = (parts.image + parts.residual / seeds) / images
    squares = variance * _quantile(images - 1) ** 2 * _scaled_variances(images - 1)[:, None]
    of_seeds = sum(parts.seeds) / seeds
    if seeds >= MIN_SEEDS and of_seeds:
        # The degrees of freedom of Welch's test, with as many seeds on each side.
        degrees = (seeds - 1) * sum(parts.seeds) ** 2 / sum(part**2 for part in parts.seeds)
        residual = parts.residual / (seeds * images)
        squares = np.maximum(0.0, squares - _quantile(images - 1) ** 2 * residual)
        of_means = (of_seeds + residual) * _scaled_variances(degrees)
        squares = squares + _quantile(degrees) ** 2 * of_means
        variance += of_seeds
    reach, error = np.sqrt(squares), math.sqrt(variance)
    seen = norm.sf((reach - difference) / error) + norm.cdf((-reach - difference) / error)
    return float(seen.mean())


def _quantile(degrees: float) -> float:
    """Return the quantile of the t distribution by which intervals reach."""
    return float(t.isf((1 - CONFIDENCE) / 2, degrees))


@cache
def _scaled_variances(degrees: float) -> Array:
    """Return what an estimate of the variance 1 may come out as, each value as likely."""
    values: Array = chi2.ppf(_LEVELS, degrees) / degrees
    return values
