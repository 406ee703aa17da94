"""Scores `[seeds, images]` → intervals of means and differences, by closed forms.

Images are common to all that is compared, so differences are taken image by image. Training seeds
are not: seed 0 of one variant and seed 0 of another are independent draws. Hence the variance of a
difference has three kinds of parts: `images / N + seeds of ours / S + seeds of the other / S`.
Images of one group (blocks of one photograph, pictures of one person) count as one draw.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy  # loads its parts when they are asked for, which for two of them takes long
from numpy.typing import NDArray

Array = NDArray[np.float64]
Part = tuple[float, float]
"""A variance of a mean, and the degrees of freedom of its estimate."""
CONFIDENCE = 0.95
MIN_SEEDS = 2
"""One seed alone does not show how much seeds differ."""
_LEAST_EXPONENT = -50.0
"""Of levels; far beyond it, quantiles of some degrees of freedom are no longer numbers."""


@dataclass(frozen=True)
class Spread:
    """The standard deviation of a mean between training seeds, measured with other runs."""

    sd: float
    degrees: float
    """Of freedom: the seeds measured, less one; infinite where it is taken as known."""
    is_pooled: bool = False
    """Whether the estimate is shared with other variants, so that two of them know no more."""


def pooled(spreads: Mapping[str, Spread]) -> dict[str, Spread]:
    """Return spreads that share their degrees of freedom, as in an analysis of variance.

    Three seeds alone know their spread so badly that nothing could ever be said. Variants of a
    suite have spreads alike; one whose own is larger than the pooled one keeps it.

    Args:
        spreads: by variant.
    """
    degrees = sum(spread.degrees for spread in spreads.values())
    squares = sum(spread.degrees * spread.sd**2 for spread in spreads.values())
    sd = math.sqrt(squares / degrees) if degrees else 0.0
    return {
        name: Spread(max(sd, spread.sd), degrees, len(spreads) > 1)
        for name, spread in spreads.items()
    }


@dataclass(frozen=True)
class Sample:
    """Scores of one method.

    A spread measured elsewhere counts where it is from more seeds than the sample has. Of one seed
    nobody can tell the residual from what images differ by, so that it counts twice then.
    """

    scores: Array
    """`[seeds, images]`."""
    groups: NDArray[np.int64] | None = None
    """Number of each image's group, from 0; without it each image is a group."""
    is_trained: bool = True
    """Whether other training seeds would give other scores."""
    spread: Spread | None = None


@dataclass(frozen=True)
class Interval:
    """An estimate and how sure it is."""

    mean: float
    parts: tuple[Part, ...]
    """What its variance is the sum of; none where the estimate is exact."""
    covers_seeds: bool = True
    """Whether the choice of training seeds is covered, besides that of images."""

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.reach(1 - CONFIDENCE)

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.reach(1 - CONFIDENCE)

    def reach(self, level: float) -> float:
        """Return half the width of the interval that is wrong with the probability `level`.

        Source: Cochran, Approximate significance levels of the Behrens-Fisher test (1964), of which
        this is the form for a sum of variances: each counts with a t quantile of its own.
        """
        quantiles = [float(scipy.special.stdtrit(degrees, level / 2)) for _, degrees in self.parts]
        pairs = zip(quantiles, self.parts, strict=True)
        return math.sqrt(sum(quantile**2 * variance for quantile, (variance, _) in pairs))

    def p(self, hypothesis: float = 0.0) -> float:
        """Return the two-sided p of a value: the level of the interval that ends there."""
        distance = abs(self.mean - hypothesis)
        if distance == 0 or any(math.isinf(variance) for variance, _ in self.parts):
            return 1.0
        if self.reach(10**_LEAST_EXPONENT) < distance:
            return 0.0

        def beyond(exponent: float) -> float:
            return self.reach(10**exponent) - distance

        found = scipy.optimize.brentq(beyond, _LEAST_EXPONENT, 0.0, xtol=1e-13, rtol=1e-13)
        return float(10**found)


def interval_of_mean(sample: Sample) -> Interval:
    """Return the interval of a method's mean, or of paired differences given as one sample."""
    images = image_part(sample.scores.mean(axis=0), sample.groups)
    return _interval(float(sample.scores.mean()), [images], [sample])


def interval_of_difference(ours: Sample, reference: Sample) -> Interval:
    """Return the interval of `mean(ours) - mean(reference)`, scored on the same images.

    The seeds of both are independent draws, as in Welch's test: two variants that start with the
    same seed end with weights of which that seed says nothing (the simulation in
    tests/stats/test_intervals.py has what pairing seeds by their labels would cost).
    """
    return interval_of_sum([ours, replace(reference, scores=-reference.scores)])


def interval_of_sum(samples: Sequence[Sample]) -> Interval:
    """Return the interval of the sum of means of methods that were scored on the same images."""
    of_images = np.sum([sample.scores.mean(axis=0) for sample in samples], axis=0)
    images = image_part(of_images, samples[0].groups)
    return _interval(float(of_images.mean()), [images], samples)


def unpaired_interval(ours: Sample, reference: Sample) -> Interval:
    """Return the interval of `mean(ours) - mean(reference)`, scored on different images."""
    mean = float(ours.scores.mean() - reference.scores.mean())
    images = [image_part(side.scores.mean(axis=0), side.groups) for side in (ours, reference)]
    return _interval(mean, images, [ours, reference])


def _interval(mean: float, images: Sequence[Part], samples: Sequence[Sample]) -> Interval:
    trained = [sample for sample in samples if sample.is_trained]
    seeds = [part for sample in trained if (part := seed_part(sample))]
    variance, degrees = welch(images)
    if math.isfinite(variance):
        # The residual is in the means of seeds already.
        variance -= sum(residual_variance(s) for s in trained if len(s.scores) >= MIN_SEEDS)
    of_seeds = welch(seeds)
    if pools := [s.spread.degrees for s in trained if s.spread and s.spread.is_pooled]:
        of_seeds = of_seeds[0], min(of_seeds[1], *pools)
    kept = tuple(part for part in ((variance, degrees), of_seeds) if part[0] > 0)
    return Interval(mean, kept, covers_seeds=len(seeds) == len(trained))


def welch(parts: Sequence[Part]) -> Part:
    """Return the sum of independent variances, with Satterthwaite's degrees of freedom.

    Source: Welch, The generalization of Student's problem (1947).
    """
    total = sum(variance for variance, _ in parts)
    if math.isinf(total):
        return total, 1.0
    squares = sum(variance**2 / degrees for variance, degrees in parts)
    return total, total**2 / squares if squares else math.inf


def seed_part(sample: Sample) -> Part | None:
    """Return the variance of a mean that training seeds make; None where nobody knows it.

    It holds the residual, by which seeds differ from image to image, and which is taken off the
    images' part: of few seeds this covers more than the other way round.
    """
    seeds, spread = sample.scores.shape[0], sample.spread
    if spread is not None and spread.degrees > seeds - 1:
        return spread.sd**2 / seeds, spread.degrees
    if seeds < MIN_SEEDS:
        return None
    return float(sample.scores.mean(axis=1).var(ddof=1)) / seeds, seeds - 1.0


def residual_variance(sample: Sample) -> float:
    """Return the variance of the mean that is neither of images nor of seeds; two seeds at least.

    Source: Searle, Casella and McCulloch, Variance Components (1992), section 4.3: the two-way
    crossed design without interaction.
    """
    seeds = len(sample.scores)
    rest = sample.scores - sample.scores.mean(axis=0)
    total = math.fsum(image_part(row, sample.groups)[0] for row in rest)
    return total / ((seeds - 1) * seeds)


def image_part(values: Array, groups: NDArray[np.int64] | None = None) -> Part:
    """Return the variance of a mean over images, and its degrees of freedom.

    With groups, it is the cluster-robust one, scaled so that it has no bias where the means of
    groups vary alike. Its degrees of freedom are those of so many groups of one size as would know
    the mean as well.

    Args:
        values: `[images]`.
        groups: number of each image's group, from 0.

    Returns:
        An infinite variance for one group alone.

    Source: Bell and McCaffrey, Bias reduction in standard errors for linear regression with
    multi-stage samples (2002), for a mean; Kish, Survey Sampling (1965), the effective number.
    """
    sizes = np.ones(values.size) if groups is None else np.bincount(groups)
    if sizes.size < 2:
        return math.inf, 1.0
    weights = sizes / values.size
    squares = weights**2
    found = float((squares * (group_means(values, groups) - values.mean()) ** 2).sum())
    share = float((squares * (1 - 2 * weights + squares.sum())).sum() / squares.sum())
    degrees = values.size - 1.0 if groups is None else max(1.0, effective_number(groups) - 1)
    return found / share, degrees


def effective_number(groups: NDArray[np.int64]) -> float:
    """Return how many groups of one size would know a mean as well (Kish 1965)."""
    sizes = np.bincount(groups).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def numbered(labels: Iterable[Hashable]) -> NDArray[np.int64]:
    """Return a number for each label, from 0 and none left out."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], np.int64)


def group_means(values: Array, groups: NDArray[np.int64] | None) -> Array:
    """Return the mean of each group of images; `[images]` becomes `[groups]`."""
    if groups is None:
        return values
    return np.bincount(groups, weights=values) / np.bincount(groups)


def wilcoxon_p(differences: Array) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test.

    Args:
        differences: one for each image or group, seeds averaged.
    """
    # Without a difference there is nothing to rank.
    return float(scipy.stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def improvement(gains: Array) -> float:
    """Return the probability that one side beats the other on an image; a tie counts half.

    Args:
        gains: positive where it does.
    """
    return float(((gains > 0) + 0.5 * (gains == 0)).mean())
