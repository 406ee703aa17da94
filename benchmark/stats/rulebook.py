"""Intervals → what they say, by one rule for tables, claims and the gate.

An effect lies above or below a value where that value is ruled out, within a margin where
everything beyond the margin is, and else the question is open. What is shown together shares one
chance of 5 % that anything said is false.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmark.stats.intervals import CONFIDENCE, Interval

Reading = Literal["above", "below", "within", "open"]


@dataclass(frozen=True)
class Effect:
    """An estimate with what it is held against."""

    interval: Interval
    margin: float = 0.0
    """Up to it an effect is as good as none; 0 where every effect counts."""
    null: float = 0.0
    """The value that the effect is above or below of."""
    adjusted: tuple[float, float] | None = None
    """The p values of both questions, adjusted by `family`; without them they stand alone."""

    @property
    def p(self) -> float:
        """Two-sided, of the null."""
        return self.interval.p(self.null)

    @property
    def p_within(self) -> float:
        """Of an effect at the margin or beyond; that of the interval that ends there.

        Source: Schuirmann, A comparison of the two one-sided tests procedure (1987), at half the
        level, so that what is called equivalent is what the interval shows.
        """
        mean = self.interval.mean
        if abs(mean) >= self.margin:
            return 1.0
        return self.interval.p(self.margin if mean > 0 else -self.margin)

    @property
    def p_adjusted(self) -> float:
        """Of the null, by Holm over what is shown together."""
        return self.adjusted[0] if self.adjusted else self.p

    @property
    def reading(self) -> Reading:
        """What is said of the effect."""
        level = 1 - CONFIDENCE
        p, p_within = self.adjusted or (self.p, self.p_within)
        if p_within < level:
            return "within"
        if p >= level:
            return "open"
        return "above" if self.interval.mean > self.null else "below"


def family(effects: Sequence[Effect]) -> list[Effect]:
    """Return effects that are shown together, the p values of all their questions adjusted."""
    asked = [p for effect in effects for p in (effect.p, effect.p_within)]
    # No effect is both none and beyond the margin, so half of the nulls are true at most.
    p = holm(asked, len(effects))
    return [replace(e, adjusted=(p[2 * i], p[2 * i + 1])) for i, e in enumerate(effects)]


def holm(p_values: Sequence[float], most_true: int) -> list[float]:
    """Return p values of which none below a level means an error with less than that probability.

    Args:
        p_values: of some hypotheses.
        most_true: how many of them can be true at once.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979); Shaffer, Modified
    sequentially rejective multiple test procedures (1986), for hypotheses that exclude each other.
    """
    values = np.array(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    factors = np.minimum(np.arange(len(values), 0, -1), most_true)
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, factors * values[order]))
    return [float(p) for p in adjusted]
