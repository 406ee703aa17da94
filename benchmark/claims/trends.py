"""Score tables → comparisons of more than two methods' means: a trend, an ideal, a correlation."""

import math

import numpy as np
import pandas as pd
from scipy import stats

from benchmark.claims.comparisons import (
    ClaimComparison,
    UntestableError,
    decimals_of,
    from_interval,
    require_baseline,
    require_metric,
    scored_images,
)
from benchmark.claims.definitions import Detail, Nearness, Trend
from benchmark.claims.verdicts import (
    verdict_of_difference,
    verdict_of_distance,
    verdict_of_interval,
)
from benchmark.evaluation.results import Results
from benchmark.stats.comparison import METRIC, comparable_scores, score_matrix
from benchmark.stats.intervals import CONFIDENCE, Array, paired_interval

FEWEST_IMAGES = 4
"""That a correlation needs: with fewer, its interval has no width."""


def compare_trend(claimed: Trend, results: Results) -> ClaimComparison:
    """Fit a line to the PSNRs of variants over the logarithms of a setting.

    A variant's PSNR is the pooled one, that of its mean squared error over all holes. What is
    tested is the rise of the line from the least setting to the greatest, in dB.

    Raises:
        UntestableError: the variants have no training seed in common, or too few images.
    """
    names = claimed.methods
    tables = [score_matrix(results.frame, name) for name in names]
    seeds = sorted(set.intersection(*(set(table.index) for table in tables)))
    if not seeds:
        raise UntestableError(f"{', '.join(names)} have no training seed in common")
    errors = np.stack([scored_images(table.loc[seeds], METRIC, results) for table in tables])
    if not errors.mean(axis=(1, 2)).all():
        raise UntestableError("a variant fills all holes exactly, which has no PSNR")
    rise = _rise(np.array([*claimed.settings.values()]), _pooled_psnr_db(errors))
    interval = paired_interval(rise)
    verdict = verdict_of_difference("better", "psnr_h", interval.low, interval.high, claimed.margin)
    ends = (f(claimed.settings, key=claimed.settings.__getitem__) for f in (min, max))
    what = f"rise of the pooled psnr_h: {' to '.join(ends)}, {len(names)} variants"
    return from_interval(interval, what, verdict, rise.shape, decimals_of("psnr_h"))


def _pooled_psnr_db(errors: Array) -> Array:
    """Return values of single images whose mean is the PSNR of the mean error.

    Their variance is that of this PSNR to first order.

    Args:
        errors: mean squared, `[..., seeds, images]`.

    Source: Oehlert, A note on the delta method (1992).
    """
    means = errors.mean(axis=(-2, -1), keepdims=True)
    return np.asarray(-10 * np.log10(means) - 10 / math.log(10) * (errors / means - 1))


def _rise(settings: Array, values: Array) -> Array:
    """Return the rise of the least-squares line over the logarithms of the settings.

    Args:
        settings: positive, `[variants]`.
        values: `[variants, ...]`.
    """
    places = np.log(settings)
    centered = places - places.mean()
    weights = np.ptp(places) * centered / (centered @ centered)
    return np.asarray(np.tensordot(weights, values, axes=1))


def compare_to_ideal(claimed: Nearness, results: Results) -> ClaimComparison:
    """Compare a variant's mean with the ideal of the metric, of ratios the geometric mean with 1.

    Raises:
        UntestableError: the metric has no values.
    """
    metric = claimed.metric
    require_metric(metric, results)
    frame, what = comparable_scores(results.frame, metric, results.image_px, to_ideal=False)
    values = scored_images(score_matrix(frame, claimed.variant, metric), metric, results)
    interval = paired_interval(values)
    verdict = verdict_of_distance(interval.low, interval.high, claimed.margin)
    what = f"{what}: {claimed.variant} - the ideal"
    return from_interval(interval, what, verdict, values.shape, decimals_of(metric))


def correlate(claimed: Detail, variant: str, results: Results) -> ClaimComparison:
    """Correlate a variant's scores with a baseline's from image to image, by Spearman's ranks.

    Seeds are averaged first, so the interval covers image sampling only.

    Raises:
        UntestableError: there are too few images, or one side is the same on all.

    Source: Bonett and Wright, Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations (2000), for the variance of Fisher's z.
    """
    metric = claimed.metric
    require_metric(metric, results)
    require_baseline(claimed.baseline, results)
    tables = [score_matrix(results.frame, n, metric) for n in (variant, claimed.baseline)]
    both = pd.concat([table.mean(axis=0) for table in tables], axis="columns").dropna()
    if len(both) < FEWEST_IMAGES:
        raise UntestableError(f"{metric} has values of {len(both)} images, which is too few")
    if both.nunique().min() == 1:
        raise UntestableError(f"{metric} is the same on all images")
    rho = float(stats.spearmanr(both.iloc[:, 0], both.iloc[:, 1]).statistic)
    reach = float(stats.norm.isf((1 - CONFIDENCE) / 2))
    reach *= math.sqrt((1 + rho**2 / 2) / (len(both) - 3))
    z = math.atanh(min(max(rho, -1 + 1e-12), 1 - 1e-12))
    low, high = math.tanh(z - reach), math.tanh(z + reach)
    verdict = verdict_of_interval("better", low, high, claimed.margin)
    what = f"rank correlation of {metric}: {variant} with {claimed.baseline}"
    seeds = len(tables[0])
    return ClaimComparison(what, rho, low, high, verdict, len(both), seeds, decimals=3)
