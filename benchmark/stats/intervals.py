"""Intervals and tests of paired differences `[seeds, images]`, with closed forms and SciPy.

Seeds and images are crossed: every seed is scored on the same images. A difference is taken as
`mean + seed + image + residual`, each with a variance of its own, so that the mean's is
`seed/S + image/N + residual/SN`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]
CONFIDENCE = 0.95
MIN_SEEDS = 3
"""With fewer seeds their spread cannot be estimated, and intervals cover image sampling only."""


@dataclass(frozen=True)
class Interval:
    """A mean, how sure it is, and the p of the hypothesis that it is 0."""

    mean: float
    low: float
    high: float
    p: float
    """Two-sided, of the t distribution that the interval is from."""


@dataclass(frozen=True)
class Components:
    """Variances of what a crossed difference is made of; an estimate may be negative."""

    seed: float
    image: float
    residual: float


def variance_components(differences: Array) -> Components:
    """Estimate the variances by the method of moments.

    Args:
        differences: `[seeds, images]`, at least two of each.

    Source: Searle, Casella and McCulloch, Variance Components (1992), section 4.3: the two-way
    crossed design without interaction.
    """
    seeds, images = differences.shape
    of_seeds, of_images = differences.mean(axis=1), differences.mean(axis=0)
    rest = differences - of_seeds[:, None] - of_images + differences.mean()
    residual = float((rest**2).sum()) / ((seeds - 1) * (images - 1))
    return Components(
        seed=float(of_seeds.var(ddof=1)) - residual / images,
        image=float(of_images.var(ddof=1)) - residual / seeds,
        residual=residual,
    )


def paired_interval(differences: Array) -> Interval:
    """Return the interval of the mean of paired differences.

    With fewer than `MIN_SEEDS` seeds it is that of a paired t test on the images' differences,
    averaged over seeds. From then on it covers the choice of seeds too: the squared half-widths of
    images and of seeds, each with its own t quantile, are added, which covers what it should with
    three seeds of any spread; degrees of freedom by Satterthwaite and the percentile bootstrap
    cover less there (tests/stats/test_intervals.py has the simulation).

    Args:
        differences: `[seeds, images]`.

    Returns:
        Ends `(-inf, inf)` and p 1 for one image.

    Source: Cochran, Approximate significance levels of the Behrens-Fisher test (1964), of which
    this is the form for a sum of variance components.
    """
    seeds, images = differences.shape
    mean = float(differences.mean())
    if images < 2:
        return Interval(mean, -math.inf, math.inf, 1.0)
    parts = [(_variance_of_mean(differences.mean(axis=0)), images - 1.0)]
    if seeds >= MIN_SEEDS:
        # The residual is in the images' means already, and would count twice.
        residual = variance_components(differences).residual / (seeds * images)
        of_seeds = _variance_of_mean(differences.mean(axis=1)) - residual
        parts.append((max(0.0, of_seeds), seeds - 1.0))
    return _interval(mean, parts)


def unpaired_interval(ours: Array, reference: Array) -> Interval:
    """Return the interval of `mean(ours) - mean(reference)`, scored on different images.

    That of Welch's t test on the images' means; from `MIN_SEEDS` seeds on with the variance between
    a side's seeds added, as in `paired_interval`.

    Args:
        ours: `[seeds, images]`.
        reference: the same, of another number of seeds and images; at least two images each.
    """
    mean, sides = float(ours.mean() - reference.mean()), (ours, reference)
    parts = [_welch([side.mean(axis=0) for side in sides])]
    if of_seeds := [side.mean(axis=1) for side in sides if side.shape[0] >= MIN_SEEDS]:
        parts.append(_welch(of_seeds))
    return _interval(mean, parts)


def _welch(samples: Sequence[Array]) -> tuple[float, float]:
    """Return the variance of the sum of some samples' means, and its degrees of freedom."""
    variances = [_variance_of_mean(sample) for sample in samples]
    total = sum(variances)
    squares = sum(v**2 / (s.size - 1) for v, s in zip(variances, samples, strict=True))
    return total, total**2 / squares if squares else 1.0


def _variance_of_mean(sample: Array) -> float:
    return float(sample.var(ddof=1)) / sample.size


def _interval(mean: float, parts: Sequence[tuple[float, float]]) -> Interval:
    """Return the interval of a mean whose variance is a sum, given with degrees of freedom."""
    parts = [(variance, degrees) for variance, degrees in parts if variance > 0]
    if not parts:
        return Interval(mean, mean, mean, 1.0 if mean == 0 else 0.0)
    reach = _reach(parts, 1 - CONFIDENCE)
    return Interval(mean, mean - reach, mean + reach, _p(mean, parts))


def _reach(parts: Sequence[tuple[float, float]], level: float) -> float:
    """Return half the width of an interval that is wrong with the probability `level`."""
    return math.sqrt(sum(float(stats.t.isf(level / 2, n)) ** 2 * v for v, n in parts))


def _p(mean: float, parts: Sequence[tuple[float, float]]) -> float:
    """Return the level of the interval that ends at 0."""
    least = -150.0  # beyond it, squares of quantiles are no longer finite
    if mean == 0 or _reach(parts, 10**least) < abs(mean):
        return 1.0 if mean == 0 else 0.0

    def beyond(exponent: float) -> float:
        return _reach(parts, 10**exponent) - abs(mean)

    return float(10 ** optimize.brentq(beyond, least, 0.0, xtol=1e-13, rtol=1e-13))


def wilcoxon_p(differences: Array) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test over images, seeds averaged.

    Args:
        differences: `[seeds, images]`.
    """
    per_image = differences.mean(axis=0)
    # Without a difference there is nothing to rank.
    return float(stats.wilcoxon(per_image).pvalue) if per_image.any() else 1.0


def improvement(gains: Array) -> float:
    """Return the probability that one side beats the other on an image; a tie counts half.

    Args:
        gains: `[seeds, images]`, positive where it does.
    """
    return float(((gains > 0) + 0.5 * (gains == 0)).mean())


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values of which none below a level means an error with less than that probability.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    values = np.array(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, factors * values[order]))
    return [float(p) for p in adjusted]
