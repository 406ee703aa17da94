"""Scores of a suite in, out come its comparisons and what they say in words."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import combinations, product

import numpy as np

from benchmark.evaluation.results import Results, mean_of
from benchmark.stats.bootstrap import FEWEST_SEEDS, resampled_means
from benchmark.stats.comparison import (
    METRIC,
    TELEA,
    UNDECIDED,
    Comparison,
    NothingInCommonError,
    compare,
    family,
)

PERCEPTUAL = "stlpips_alex_h"
"""The perceptual metric that is always there, of the hole."""
PROVISIONAL = " (provisional)"
NAMED = 2
"""So many baselines are named, and more are counted."""


class Verdicts:
    """The comparisons of a suite's variants with its baselines and each other, and what they say.

    Those with baselines are one family of tests, those between variants another.

    Args:
        results: the suite's.
        withheld: why nothing is to be concluded from them; nothing where it may be.
    """

    def __init__(self, results: Results, withheld: str = "") -> None:
        self.withheld = withheld
        # The deciding metric is finite for every image, so a mean is always there.
        self.means = {m: mean_of(s[METRIC]) or 0.0 for m, s in results.aggregate.items()}
        self.strongest = min(results.baselines, key=lambda name: (self.means[name], name))
        self.against = against_baselines(results)
        self.between = between_variants(results)
        self.best_first = sorted(results.variants, key=lambda name: (self.means[name], name))
        """The variants by the mean of the deciding metric."""

    @property
    def covers_seeds(self) -> bool:
        """Whether all intervals cover the choice of training seeds, besides that of images."""
        every = [*self.against, *self.between]
        return all(comparison.effect.interval.covers_seeds for comparison in every)

    @property
    def headline(self) -> str:
        """What is said first of the suite."""
        return self.withheld or headline(self.means, self.against, self.strongest)

    def marker(self, method: str) -> str:
        """Return the short verdict on a variant; nothing for a baseline."""
        found = [c for c in self.against if c.method == method]
        return marker(found, self.strongest) if found and not self.withheld else ""


def against_baselines(results: Results, metric: str = METRIC) -> list[Comparison]:
    """Compare every variant with every baseline that have values of a metric."""
    return _family(results, product(results.variants, results.baselines), metric)


def between_variants(results: Results, metric: str = METRIC) -> list[Comparison]:
    """Compare all pairs of variants that have values of a metric."""
    return _family(results, combinations(results.variants, 2), metric)


def _family(results: Results, pairs: Iterable[tuple[str, str]], metric: str) -> list[Comparison]:
    scores = {
        name: results.scores(name, metric)
        for name in results.methods
        if mean_of(results.aggregate[name].get(metric)) is not None
    }
    found = []
    for ours, reference in pairs:
        if scores.keys() >= {ours, reference}:
            with suppress(NothingInCommonError):
                found.append(compare(scores[ours], scores[reference], metric))
    return family(found)


def best_of(results: Results, methods: Iterable[str], metric: str) -> tuple[str, float] | None:
    """Return the method with the least mean of a metric, and the mean; None where none has one."""
    known = ((name, mean_of(results.aggregate[name].get(metric))) for name in methods)
    found = [(mean, name) for name, mean in known if mean is not None]
    if not found:
        return None
    mean, name = min(found)
    return name, mean


def resamples_seeds(results: Results) -> bool:
    """Return whether all variants have the same seeds, and enough of them to be resampled."""
    every = {tuple(results.seeds_of(name)) for name in results.variants}
    return len(every) == 1 and len(*every) >= FEWEST_SEEDS


def chances_of_best(results: Results) -> dict[str, float]:
    """Return how often each method has the best mean of the deciding metric when resampled.

    Equal ones share. Images are resampled, the same for all methods, and training seeds where
    `resamples_seeds`.
    """
    methods = [*results.variants, *results.baselines]
    scores = {name: results.scores(name, METRIC) for name in methods}
    samples = {name: found.sample(found.scored) for name, found in scores.items()}
    means = resampled_means(samples, resamples_seeds(results))
    every = np.array([means[name] for name in methods])
    is_best = every == every.min(axis=0)
    chances = (is_best / is_best.sum(axis=0)).mean(axis=1)
    return dict(zip(methods, chances.tolist(), strict=True))


def marker(comparisons: Sequence[Comparison], strongest: str) -> str:
    """Return the short verdict that stands beside a variant's row.

    A symbol and words, never a color: losing to Telea is named first, then losing to the
    strongest baseline, then losing to any other.

    Args:
        comparisons: of one variant, with every baseline.
        strongest: the baseline with the best mean.
    """
    found = {c.reference: c for c in comparisons}
    for reference in (TELEA, strongest, *found):
        if reference in found and found[reference].verdict == "worse":
            return f"✗ loses to {reference}{PROVISIONAL * found[reference].is_provisional}"
    even = [name for name, comparison in found.items() if comparison.verdict in UNDECIDED]
    if even:
        named = ", ".join(even) if len(even) <= NAMED else f"{len(even)} of {len(found)} baselines"
        return f"≈ even with {named}"
    return f"✓ beats every baseline{PROVISIONAL * any(c.is_provisional for c in comparisons)}"


def headline(means: Mapping[str, float], comparisons: Sequence[Comparison], strongest: str) -> str:
    """Return the sentence on how many variants beat the strongest baseline.

    Args:
        means: each method's mean of the deciding metric.
        comparisons: of every variant with every baseline.
        strongest: the baseline with the best mean.
    """
    found = [comparison for comparison in comparisons if comparison.reference == strongest]
    best = min((c.method for c in found), key=lambda name: (means[name], name), default="")
    who = _who(*outcome(found), f"{strongest}, the strongest baseline")
    text = f"{who} (best: {best}, {METRIC} {means[best]:.4f} against {means[strongest]:.4f})"
    if any(comparison.is_provisional for comparison in found):
        text += "; provisional, as nobody knows what another training seed changes"
    return f"{text[:1].upper()}{text[1:]}."


def outcome(comparisons: Sequence[Comparison]) -> tuple[int, int, int]:
    """Return how many variants win against a reference, lose, and do neither."""
    found = [comparison.verdict for comparison in comparisons]
    better, worse = found.count("better"), found.count("worse")
    return better, worse, len(found) - better - worse


def _who(better: int, worse: int, even: int, reference: str) -> str:
    """Say how many variants win and lose against a reference."""
    total = better + worse + even
    every = "the only learned variant" if total == 1 else "every learned variant"
    if worse == total:
        return f"{every} loses to {reference}"
    if better == total:
        return f"{every} beats {reference}"
    if not better and not worse:
        return f"{every} is not distinguishable from {reference}"
    counts = (
        (worse, "loses to", "lose to"),
        (even, "is not distinguishable from", "are not distinguishable from"),
        (better, "beats", "beat"),
    )
    parts = [f"{n} {one if n == 1 else many} it" for n, one, many in counts if n]
    return f"against {reference}, of {total} learned variants {', '.join(parts)}"


def coverage(covers_seeds: bool) -> str:
    """Say what the intervals cover."""
    if covers_seeds:
        return "The intervals cover the sampling of images and of training seeds."
    return (
        "Provisional verdicts (*) are of one training seed: their intervals cover image sampling "
        "only, not what another seed would change."
    )
