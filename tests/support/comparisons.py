"""Comparisons as they might have come out."""

import math

import numpy as np
from scipy.stats import norm

from benchmark.metrics import METRICS
from benchmark.stats.comparison import METRIC, Comparison
from benchmark.stats.intervals import Interval
from benchmark.stats.rulebook import Effect


def interval(low: float, high: float, covers_seeds: bool = True) -> Interval:
    """Return an interval with these ends, of a variance that is known."""
    error = (high - low) / 2 / float(norm.ppf(0.975))
    return Interval((low + high) / 2, ((error**2, math.inf),), covers_seeds)


def comparison(
    method: str,
    reference: str,
    low: float,
    high: float,
    metric: str = METRIC,
    covers_seeds: bool = True,
) -> Comparison:
    """Return a comparison with an interval, on its own."""
    return Comparison(
        method=method,
        reference=reference,
        metric=metric,
        effect=Effect(interval(low, high, covers_seeds), METRICS[metric].margin),
        differences=np.array([low, high]),
        improvement=0.5,
        images=10,
        seeds=1,
    )
