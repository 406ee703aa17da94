"""Scores of a suite in, out come its comparisons and what they say in words."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import combinations, product

import numpy as np

from benchmark.evaluation.results import Results, mean_of
from benchmark.stats.bootstrap import resampled_means
from benchmark.stats.comparison import (
    METRIC,
    TELEA,
    Comparison,
    NothingInCommonError,
    comparable_scores,
    compare_matrices,
    family,
    score_matrix,
)
from benchmark.stats.intervals import MIN_SEEDS

UNDECIDED = ("inconclusive", "equivalent")
"""Verdicts that name no winner."""


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
    def seeds(self) -> int:
        """The fewest seeds of any comparison."""
        return min(comparison.seeds for comparison in [*self.against, *self.between])

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
    pairs = product(results.variants, results.baselines)
    return _family(results, pairs, metric, has_seeds=False)


def between_variants(results: Results, metric: str = METRIC) -> list[Comparison]:
    """Compare all pairs of variants that have values of a metric and a seed in common."""
    return _family(results, combinations(results.variants, 2), metric, has_seeds=True)


def _family(
    results: Results, pairs: Iterable[tuple[str, str]], metric: str, has_seeds: bool
) -> list[Comparison]:
    scored = {
        name for name in results.methods if mean_of(results.aggregate[name].get(metric)) is not None
    }
    if not scored:
        return []
    frame, _ = comparable_scores(results.frame, metric, results.image_px)
    matrices = {name: score_matrix(frame, name, metric) for name in scored}
    found = []
    for pair in pairs:
        if scored.issuperset(pair):
            ours, theirs = (matrices[name] for name in pair)
            with suppress(NothingInCommonError):
                found.append(compare_matrices(*pair, metric, ours, theirs, has_seeds=has_seeds))
    return family(found)


def resamples_seeds(results: Results) -> bool:
    """Return whether all variants have the same seeds, and enough of them to be resampled."""
    every = {tuple(results.seeds_of(name)) for name in results.variants}
    return len(every) == 1 and len(*every) >= MIN_SEEDS


def chances_of_best(results: Results) -> dict[str, float]:
    """Return how often each method has the best mean of the deciding metric when resampled.

    Equal ones share. Images are resampled, the same for all methods, and training seeds where
    `resamples_seeds`.
    """
    methods = [*results.variants, *results.baselines]
    scores = {name: score_matrix(results.frame, name).to_numpy(float) for name in methods}
    means = resampled_means(scores, resamples_seeds(results))
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
    verdicts = {c.reference: c.verdict for c in comparisons}
    for reference in (TELEA, strongest, *verdicts):
        if verdicts.get(reference) == "worse":
            return f"✗ loses to {reference}"
    even = [name for name, verdict in verdicts.items() if verdict in UNDECIDED]
    return f"≈ even with {', '.join(even)}" if even else "✓ beats every baseline"


def headline(means: Mapping[str, float], comparisons: Sequence[Comparison], strongest: str) -> str:
    """Return one sentence for each reference that matters: Telea and the strongest baseline.

    Args:
        means: each method's mean of the deciding metric.
        comparisons: of every variant with every baseline.
        strongest: the baseline with the best mean.
    """
    sentences = []
    for reference in dict.fromkeys((TELEA, strongest)):
        against = [c for c in comparisons if c.reference == reference]
        if not against:
            continue
        best = min((c.method for c in against), key=lambda name: (means[name], name))
        counts = {v: sum(c.verdict == v for c in against) for v in ("better", "worse")}
        role = ", the strongest baseline" if reference == strongest else ""
        who = _who(counts["better"], counts["worse"], len(against), f"{reference}{role}")
        sentences.append(
            f"{who} (best: {best}, {METRIC} {means[best]:.4f} against {means[reference]:.4f})"
        )
    text = "; ".join(sentences)
    return f"{text[:1].upper()}{text[1:]}."


def _who(better: int, worse: int, total: int, reference: str) -> str:
    """Say how many variants win and lose against a reference."""
    every = "the only learned variant" if total == 1 else "every learned variant"
    if worse == total:
        return f"{every} loses to {reference}"
    if better == total:
        return f"{every} beats {reference}"
    if not better and not worse:
        return f"{every} is not distinguishable from {reference}"
    even = total - better - worse
    counts = (
        (worse, "loses to", "lose to"),
        (even, "is not distinguishable from", "are not distinguishable from"),
        (better, "beats", "beat"),
    )
    parts = [f"{n} {one if n == 1 else many} it" for n, one, many in counts if n]
    return f"against {reference}, of {total} learned variants {', '.join(parts)}"


def coverage(seeds: int) -> str:
    """Say what the intervals cover."""
    if seeds < MIN_SEEDS:
        count = "1 seed" if seeds == 1 else f"{seeds} seeds"
        return (
            f"With {count} the intervals cover image sampling only, not what another training seed "
            "would change."
        )
    return f"The intervals cover the sampling of images and of training seeds ({seeds} seeds)."
