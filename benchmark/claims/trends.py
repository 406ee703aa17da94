"""Score tables → comparisons of more than two methods' means: a trend, an ideal, a correlation."""

import math
from dataclasses import replace
from functools import reduce

import numpy as np
import pandas as pd
import scipy

from benchmark.claims.comparisons import (
    ClaimComparison,
    UntestableError,
    comparison_of_samples,
    decimals_of,
    require_baseline,
    sample_of,
    scores_of,
    within_margin,
)
from benchmark.claims.definitions import Detail, Nearness, Trend
from benchmark.evaluation.results import Results
from benchmark.metrics import METRICS
from benchmark.stats.comparison import METRIC, comparable_name
from benchmark.stats.intervals import (
    Array,
    Interval,
    Sample,
    effective_number,
    interval_of_mean,
    interval_of_sum,
    numbered,
)
from benchmark.stats.rulebook import Effect

FEWEST_IMAGES = 4
"""That a correlation needs: with fewer, its interval has no width."""
DB = 10 / math.log(10)
"""Decibels of a relative change, to first order."""


def compare_trend(claimed: Trend, results: Results) -> ClaimComparison:
    """Fit a line to the PSNRs of variants over the logarithms of a setting.

    A variant's PSNR is the pooled one, that of its mean squared error over all holes. What is
    tested is the rise of the line from the least setting to the greatest, in dB.

    Raises:
        UntestableError: there are too few images.
    """
    scores = [scores_of(name, METRIC, results) for name in claimed.methods]
    images = reduce(pd.Index.intersection, (one.scored for one in scores))
    samples = [sample_of(one, images, METRIC, results) for one in scores]
    if not all(sample.scores.mean() for sample in samples):
        raise UntestableError("a variant fills all holes exactly, which has no PSNR")
    weights = _rise_weights(np.array([*claimed.settings.values()]))
    parts = [_weighted_psnr(s, w) for s, w in zip(samples, weights.tolist(), strict=True)]
    margin = METRICS["psnr_h"].margin if claimed.margin is None else claimed.margin
    ends = (f(claimed.settings, key=claimed.settings.__getitem__) for f in (min, max))
    what = f"rise of the pooled psnr_h: {' to '.join(ends)}, {len(parts)} variants"
    effect = Effect(interval_of_sum(parts), margin)
    return comparison_of_samples(what, effect, "above", parts, decimals_of("psnr_h"))


def _weighted_psnr(errors: Sample, weight: float) -> Sample:
    """Return values of single images whose mean is a multiple of the PSNR of the mean error.

    Their variance is that of this multiple to first order.

    Args:
        errors: mean squared errors.
        weight: of the PSNR.

    Source: Oehlert, A note on the delta method (1992).
    """
    mean = float(errors.scores.mean())
    psnr = -DB * math.log(mean) - DB * (errors.scores / mean - 1)
    spread = errors.spread
    if spread is not None:
        spread = replace(spread, sd=abs(weight) * DB * spread.sd / mean)
    return Sample(weight * psnr, errors.groups, errors.is_trained, spread)


def _rise_weights(settings: Array) -> Array:
    """Return the weights of values in the rise of their least-squares line over log settings.

    Args:
        settings: positive, `[variants]`.
    """
    places = np.log(settings)
    centered = places - places.mean()
    return np.asarray(np.ptp(places) * centered / (centered @ centered))


def compare_to_ideal(claimed: Nearness, results: Results) -> ClaimComparison:
    """Compare a variant's mean with the ideal of the metric, of ratios the geometric mean with 1.

    Raises:
        UntestableError: the metric has no values.
    """
    metric = claimed.metric
    scores = scores_of(claimed.variant, metric, results, to_ideal=False)
    sample = sample_of(scores, scores.scored, metric, results)
    effect = within_margin(interval_of_mean(sample), claimed.margin)
    what = f"{comparable_name(metric, to_ideal=False)}: {claimed.variant} - the ideal"
    return comparison_of_samples(what, effect, "within", [sample], decimals_of(metric))


def correlate(claimed: Detail, variant: str, results: Results) -> ClaimComparison:
    """Correlate a variant's scores with a baseline's from image to image, by Spearman's ranks.

    Seeds are averaged first, so the interval covers image sampling only. Where images form groups,
    the variance of Fisher's z is that of leaving out a group at a time.

    Raises:
        UntestableError: there are too few images or groups, or one side is the same on all images,
            or on all but a group's.

    Source: Bonett and Wright, Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations (2000), for the variance of Fisher's z; Miller, The jackknife (1974).
    """
    metric = claimed.metric
    require_baseline(claimed.baseline, results)
    ours, base = (scores_of(n, metric, results) for n in (variant, claimed.baseline))
    both = pd.concat([s.table.mean(axis=0) for s in (ours, base)], axis="columns").dropna()
    if len(both) < FEWEST_IMAGES:
        raise UntestableError(f"{metric} has values of {len(both)} images, which is too few")
    z = _fisher_z(both)
    if math.isnan(z):
        raise UntestableError(f"{metric} is the same on all images")
    part = (1 + math.tanh(z) ** 2 / 2) / (len(both) - 3), math.inf
    if ours.groups is not None:
        groups = numbered(ours.groups.loc[both.index])
        without = [_fisher_z(both[groups != number]) for number in range(int(groups.max()) + 1)]
        if len(without) < 2:
            raise UntestableError(f"{metric} has values of one group of images, which is too few")
        if any(map(math.isnan, without)):
            raise UntestableError(f"{metric} is the same on all images but those of a group")
        part = float(np.var(without)) * (len(without) - 1), max(1.0, effective_number(groups) - 1)
    interval = Interval(z, (part,), covers_seeds=False)
    return ClaimComparison(
        what=f"rank correlation of {metric}: {variant} with {claimed.baseline}",
        effect=Effect(interval, math.atanh(claimed.margin)),
        predicted="above",
        images=len(both),
        seeds=len(ours.table),
        decimals=3,
        is_correlation=True,
    )


def _fisher_z(pairs: pd.DataFrame) -> float:
    """Return Fisher's z of the rank correlation of two columns; NaN where one is constant."""
    if pairs.nunique().min() < 2:
        return math.nan
    rho = float(scipy.stats.spearmanr(pairs.iloc[:, 0], pairs.iloc[:, 1]).statistic)
    return math.atanh(min(max(rho, -1 + 1e-12), 1 - 1e-12))
