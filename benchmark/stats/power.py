"""Variances of a paired difference -> the power of its interval, and what it takes to see one."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest

import numpy as np
from scipy import optimize
from scipy.stats import chi2, norm, t

from benchmark.stats.intervals import (
    CONFIDENCE,
    MIN_SEEDS,
    Array,
    Part,
    Sample,
    effective_number,
    image_part,
    residual_variance,
    seed_part,
    welch,
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
    measured: tuple[float, ...] = ()
    """Degrees of freedom of these sides' spreads as other runs have shown them; 0 of none."""
    group_size: float = 1.0
    """Images of a group, if all groups had one size and knew a mean as well."""

    def covers(self, seeds: int) -> bool:
        """Return whether intervals of so many seeds cover what seeds change on every side."""
        return sum(map(len, self.of_seeds(seeds))) == len(self.seeds)

    def of_seeds(self, seeds: int) -> tuple[list[Part], list[Part]]:
        """Return the sides whose seeds count in intervals of so many, as variances of one seed.

        Returns:
            Those whose spread other runs have shown, with more seeds; those that show their own.
        """
        measured: list[Part] = []
        own: list[Part] = []
        for variance, degrees in zip_longest(self.seeds, self.measured, fillvalue=0.0):
            if degrees > seeds - 1:
                measured.append((variance, degrees))
            elif seeds >= MIN_SEEDS:
                own.append((variance, seeds - 1.0))
        return measured, own


def components_of(ours: Sample, reference: Sample) -> Components:
    """Estimate the variances from scores of the same images.

    With one seed the residual is in the images' variance, and that between seeds is 0 where nobody
    measured it.
    """
    differences = ours.scores.mean(axis=0) - reference.scores.mean(axis=0)
    images = differences.size
    image = image_part(differences, ours.groups)[0] * images
    group_size = 1.0 if ours.groups is None else images / effective_number(ours.groups)
    seeds, measured, residual = [], [], 0.0
    for side in (ours, reference):
        if not side.is_trained:
            continue
        count, part = len(side.scores), seed_part(side)
        of_mean = residual_variance(side) if count >= MIN_SEEDS else 0.0
        seeds.append(max(0.0, part[0] - of_mean) * count if part else 0.0)
        image -= of_mean * images
        residual += of_mean * images * count
        measured.append(side.spread.degrees if side.spread else 0.0)
    return Components(tuple(seeds), max(0.0, image), residual, tuple(measured), group_size)


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
        seeds: of each method; with fewer than `MIN_SEEDS`, what seeds change is left out where
            nobody measured it, as the intervals leave it out.
        power: the probability.
    """
    if images <= parts.group_size:
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
    if images <= parts.group_size:
        return 0.0
    degrees = max(1.0, images / parts.group_size - 1)
    reach_of_images = _quantile(degrees) ** 2
    variance = (parts.image + parts.residual / seeds) / images
    squares = variance * reach_of_images * _scaled_variances(degrees)[:, None]
    measured, own = parts.of_seeds(seeds)
    total, degrees = welch([*measured, *own])
    if total:
        residual = parts.residual / (seeds * images)
        if seeds >= MIN_SEEDS:
            squares = np.maximum(0.0, squares - reach_of_images * residual)
        # What was measured stays as it is; what a comparison estimates comes out differently.
        estimated, of_own = welch(own)
        varies = 1 + estimated / total * (_scaled_variances(of_own) - 1)
        of_means = (total / seeds + residual) * varies
        squares = squares + _quantile(degrees) ** 2 * of_means
        variance += total / seeds
    reach, error = np.sqrt(squares), math.sqrt(variance)
    seen = norm.sf((reach - difference) / error) + norm.cdf((-reach - difference) / error)
    return float(seen.mean())


def _quantile(degrees: float) -> float:
    """Return the quantile of the t distribution by which intervals reach."""
    return float(t.isf((1 - CONFIDENCE) / 2, degrees))


@cache
def _scaled_variances(degrees: float) -> Array:
    """Return what an estimate of the variance 1 may come out as, each value as likely."""
    if math.isinf(degrees):
        return np.ones_like(_LEVELS)
    values: Array = chi2.ppf(_LEVELS, degrees) / degrees
    return values
