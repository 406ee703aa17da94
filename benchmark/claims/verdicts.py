"""Intervals of differences → the verdict on a claim.

A prediction is supported where the whole 95 % interval of the difference lies beyond the margin of
practical equivalence on the predicted side, refuted where none of it does, and else inconclusive.
"""

from collections.abc import Iterable
from typing import Literal

from benchmark.metrics import METRICS
from benchmark.stats.comparison import equivalence_margin

ClaimVerdict = Literal["supported", "refuted", "inconclusive"]
OverallVerdict = ClaimVerdict | Literal["mixed", "not testable"]


def verdict_of_difference(
    kind: str, metric: str, low: float, high: float, margin: float | None = None
) -> ClaimVerdict:
    """Return what the interval of `ours - other` says of a prediction.

    Args:
        kind: the key of `Claim`: `better`, `as_good` or `differ`.
        metric: in which the difference was measured.
        low: lower end of the interval.
        high: its upper end.
        margin: of practical equivalence; None for that of the metric.
    """
    if METRICS[metric].better != "higher":
        low, high = -high, -low
    margin = equivalence_margin(metric) if margin is None else margin
    return verdict_of_interval(kind, low, high, margin)


def verdict_of_interval(kind: str, low: float, high: float, margin: float) -> ClaimVerdict:
    """Return the same of an interval of which more is better."""
    if kind == "differ":
        if low > margin or high < -margin:
            return "supported"
        return "refuted" if -margin <= low and high <= margin else "inconclusive"
    if kind == "as_good":
        margin = -margin
    if low > margin:
        return "supported"
    return "refuted" if high <= margin else "inconclusive"


def verdict_of_distance(low: float, high: float, margin: float) -> ClaimVerdict:
    """Return what the interval of a difference from an ideal says of being within a margin of it.

    Args:
        low: lower end of the interval.
        high: its upper end.
        margin: how far from the ideal is near.
    """
    nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    return verdict_of_interval("as_good", -max(abs(low), abs(high)), -nearest, margin)


def verdict_of_reliance(diagnosed: Iterable[str]) -> ClaimVerdict:
    """Return what the diagnoses of all seeds say of a discriminator that is said to see seams.

    A diagnosis also asks whether the discriminator finds anything at all, which the difference
    between its two stimuli does not say.
    """
    verdicts: dict[frozenset[str], ClaimVerdict] = {
        frozenset({"boundary"}): "supported",
        frozenset({"content"}): "refuted",
    }
    return verdicts.get(frozenset(diagnosed), "inconclusive")


def joint_verdict(verdicts: Iterable[ClaimVerdict]) -> ClaimVerdict:
    """Return the verdict on a claim in one place: all comparisons must hold, one can refute it."""
    found = {*verdicts}
    order: tuple[ClaimVerdict, ...] = ("refuted", "inconclusive", "supported")
    return next(verdict for verdict in order if verdict in found)


def overall_verdict(verdicts: Iterable[ClaimVerdict]) -> OverallVerdict:
    """Return the verdict of all places where they agree."""
    found = {*verdicts}
    if not found:
        return "not testable"
    return found.pop() if len(found) == 1 else "mixed"
