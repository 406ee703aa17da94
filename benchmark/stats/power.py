"""Variances of a paired difference -> the power of its interval, and what it takes to see one."""

import math
from bisect import bisect_left
from functools import cache

import numpy as np
from scipy import optimize
from scipy.stats import chi2, norm, t

from benchmark.stats.intervals import CONFIDENCE, MIN_SEEDS, Array, Components

MOST_IMAGES = 10**7
_LEVELS = (np.arange(200) + 0.5) / 200
"""Of the quantiles of a variance's estimate, over which a probability is averaged."""


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
    most = math.sqrt(parts.seed + parts.image + parts.residual)
    while excess(most) < 0:
        most *= 2
    return float(optimize.brentq(excess, 0.0, most, xtol=1e-9 * most, rtol=1e-9))


def probability_seen(parts: Components, images: int, seeds: int, difference: float) -> float:
    """Return the probability that the interval of a difference leaves out 0.

    The interval is that of `intervals.paired_interval`, whose width varies too: variances are
    estimated, which with three seeds matters most. Differences are taken as normal.

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
    if seeds >= MIN_SEEDS:
        residual = parts.residual / (seeds * images)
        estimated = (parts.seed / seeds + residual) * _scaled_variances(seeds - 1) - residual
        squares = squares + _quantile(seeds - 1) ** 2 * np.maximum(0.0, estimated)
        variance += parts.seed / seeds
    reach, error = np.sqrt(squares), math.sqrt(variance)
    seen = norm.sf((reach - difference) / error) + norm.cdf((-reach - difference) / error)
    return float(seen.mean())


def _quantile(degrees: int) -> float:
    """Return the quantile of the t distribution by which intervals reach."""
    return float(t.isf((1 - CONFIDENCE) / 2, degrees))


@cache
def _scaled_variances(degrees: int) -> Array:
    """Return what an estimate of the variance 1 may come out as, each value as likely."""
    values: Array = chi2.ppf(_LEVELS, degrees) / degrees
    return values
