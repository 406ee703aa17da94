"""Comparisons as they might have come out."""

from benchmark.stats.comparison import METRIC, Comparison, equivalence_margin


def comparison(
    method: str,
    reference: str,
    low: float,
    high: float,
    metric: str = METRIC,
    p: float | None = None,
) -> Comparison:
    """Return a comparison with an interval; without a p, one that fits it."""
    p = (0.5 if low <= 0 <= high else 0.001) if p is None else p
    return Comparison(
        method=method,
        reference=reference,
        metric=metric,
        difference=(low + high) / 2,
        low=low,
        high=high,
        p=p,
        p_adjusted=p,
        wilcoxon_p=p,
        permutation_p=p,
        improvement=0.5,
        images=10,
        seeds=1,
        margin=equivalence_margin(metric),
    )
