"""What comparisons say, in words."""

from collections.abc import Mapping, Sequence

from benchmark.stats.comparison import METRIC, TELEA, Comparison
from benchmark.stats.intervals import MIN_SEEDS

UNDECIDED = ("inconclusive", "equivalent")
"""Verdicts that name no winner."""


def marker(comparisons: Sequence[Comparison], strongest: str) -> str:
    """Return the short verdict that stands beside a variant's row.

    A symbol and words, never a colour: losing to Telea is named first, then losing to the
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


def headline(
    title: str, means: Mapping[str, float], comparisons: Sequence[Comparison], strongest: str
) -> str:
    """Return one sentence for each reference that matters: Telea and the strongest baseline.

    Args:
        title: the suite's title.
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
    return f"{title}: {'; '.join(sentences)}."


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


def sentence(comparisons: Sequence[Comparison], mean: float) -> str:
    """Return what one variant's comparisons with every baseline say, grouped by verdict."""
    phrases = {"better": "better than", "worse": "worse than", "equivalent": "as good as"}
    groups = []
    for verdict in ("worse", *UNDECIDED, "better"):
        group = [c for c in comparisons if c.verdict == verdict]
        if group:
            listed = ", ".join(
                f"{c.reference} ({_signed(c.difference)} [{_signed(c.low)}, {_signed(c.high)}])"
                for c in group
            )
            groups.append(f"{phrases.get(verdict, 'not distinguishable from')} {listed}")
    return f"{comparisons[0].method} ({METRIC} {mean:.4f}) is " + "; ".join(groups) + "."


def _signed(value: float) -> str:
    return f"{round(value, 5) + 0.0:+.5f}"  # + 0.0 turns -0.0 into 0.0


def coverage(seeds: int) -> str:
    """Say what the intervals cover."""
    if seeds < MIN_SEEDS:
        count = "1 seed" if seeds == 1 else f"{seeds} seeds"
        return (
            f"With {count} the intervals cover image sampling only, not what another training seed "
            "would change."
        )
    return f"The intervals cover the sampling of images and of training seeds ({seeds} seeds)."
