"""Intervals of differences → the verdict on a claim.

A prediction is supported where the whole 95 % interval of the difference lies beyond the margin of
practical equivalence on the predicted side, refuted where none of it does, and else inconclusive.
"""

from collections.abc import Iterable
from typing import Literal

from benchmark.evaluation.effects import GoesBy
from benchmark.metrics import METRICS
from benchmark.stats.comparison import equivalence_margin

ClaimVerdict = Literal["supported", "refuted", "inconclusive"]
OverallVerdict = ClaimVerdict | Literal["mixed", "not testable"]


def verdict_of_difference(kind: str, metric: str, low: float, high: float) -> ClaimVerdict:
    """Return what the interval of `ours - other` says of a prediction.

    Args:
        kind: the key of `Claim`: `better`, `higher`, `as_good` or `differ`.
        metric: in which the difference was measured.
        low: lower end of the interval.
        high: its upper end.
    """
    margin = equivalence_margin(metric)
    if kind == "differ":
        if low > margin or high < -margin:
            return "supported"
        return "refuted" if -margin <= low and high <= margin else "inconclusive"
    if kind != "higher" and METRICS[metric].better != "higher":
        low, high = -high, -low
    if kind == "as_good":
        margin = -margin
    if low > margin:
        return "supported"
    return "refuted" if high <= margin else "inconclusive"


def verdict_of_reliance(goes_by: GoesBy) -> ClaimVerdict:
    """Return the verdict on a discriminator that is said to find the hole by its border."""
    verdicts: dict[GoesBy, ClaimVerdict] = {"boundary": "supported", "content": "refuted"}
    return verdicts.get(goes_by, "inconclusive")


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
