"""What an effect says → the verdict on a claim.

The rule is that of all tables (`stats/rulebook.py`): a prediction is supported or reversed where
the difference lies on the one side or the other, negligible where it lies within the margin, and
else inconclusive.
"""

from collections.abc import Iterable
from typing import Literal

from benchmark.stats.rulebook import Reading

ClaimVerdict = Literal["supported", "reversed", "negligible", "inconclusive"]
OverallVerdict = ClaimVerdict | Literal["mixed", "not testable"]
Prediction = Literal["above", "below", "either side", "within"]


def verdict_of(reading: Reading, predicted: Prediction) -> ClaimVerdict:
    """Return what the reading of a difference says of what was predicted."""
    if reading == "open":
        return "inconclusive"
    if reading == predicted or (predicted == "either side" and reading != "within"):
        return "supported"
    return "negligible" if reading == "within" else "reversed"


def joint_verdict(verdicts: Iterable[ClaimVerdict]) -> ClaimVerdict:
    """Return the verdict on a claim in one place: all comparisons must hold."""
    found = {*verdicts}
    order: tuple[ClaimVerdict, ...] = ("reversed", "negligible", "inconclusive", "supported")
    return next(verdict for verdict in order if verdict in found)


def overall_verdict(verdicts: Iterable[ClaimVerdict]) -> OverallVerdict:
    """Return the verdict of all places where they agree."""
    found = {*verdicts}
    if not found:
        return "not testable"
    return found.pop() if len(found) == 1 else "mixed"
