"""Who wins: comparisons of two methods in one metric, on the same images and holes."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.metrics import METRICS
from benchmark.metrics.edges import log_ratio
from benchmark.metrics.error import psnr_cap_db
from benchmark.stats import rulebook
from benchmark.stats.bootstrap import sign_flip_p
from benchmark.stats.intervals import (
    Array,
    Interval,
    Sample,
    Spread,
    group_means,
    improvement,
    interval_of_difference,
    numbered,
    wilcoxon_p,
)
from benchmark.stats.rulebook import Effect, Reading

TELEA = "telea"
"""The baseline that skill is measured against."""
ORACLE = "oracle"
"""The truth itself; it must score perfectly, and is never ranked or compared."""
METRIC = "mse_h"
"""The metric that decides who wins; lower is better."""

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]
UNDECIDED = ("inconclusive", "equivalent")
"""Verdicts that name no winner."""


class NothingInCommonError(ValueError):
    """Two methods have no score of a metric in common."""


@dataclass(frozen=True)
class Scores:
    """A method's scores in a metric, scaled by `comparable_scores`."""

    method: str
    table: pd.DataFrame
    """As `score_matrix` returns it."""
    groups: pd.Series | None = None
    """The group of each image, where images are not one each."""
    is_trained: bool = True
    """Whether other training seeds would give other scores."""
    spread: Spread | None = None

    def sample(self, images: pd.Index) -> Sample:
        """Return the scores of some images as numbers; of the seeds that have any."""
        places = self.table.columns.get_indexer(images)
        # Image after image in memory, as in a table: it decides in what order they are summed.
        scores = np.asfortranarray(self._known[:, places])
        groups = None if self.groups is None else numbered(self._labels[places])
        return Sample(scores, groups, self.is_trained, self.spread)

    @property
    def own_spread(self) -> Spread | None:
        """What the seeds of the table say of the spread between seeds; None of one."""
        if len(self._known) < 2:
            return None
        means = self.table.dropna(how="all")[self.scored].mean(axis="columns").dropna()
        return Spread(float(means.std()), len(means) - 1) if len(means) > 1 else None

    @cached_property
    def scored(self) -> pd.Index:
        """The images that have a score of every seed that has any."""
        (places,) = np.nonzero(~np.isnan(self._known).any(axis=0))
        return self.table.columns[places if len(self._known) else []]

    @cached_property
    def _known(self) -> Array:
        """The scores `[seeds, images]` of the seeds that have any."""
        scores: Array = self.table.to_numpy(np.float64)
        known: Array = scores[~np.isnan(scores).all(axis=1)]
        return known

    @cached_property
    def _labels(self) -> NDArray[np.object_]:
        """The group of each image of the table."""
        assert self.groups is not None
        return self.groups.loc[self.table.columns].to_numpy(object)


@dataclass(frozen=True)
class Comparison:
    """The paired difference `method - reference` in a metric, scaled by `comparable_scores`."""

    method: str
    reference: str
    metric: str
    effect: Effect
    differences: Array = field(repr=False, compare=False)
    """`[groups]`: of each group of images the mean difference."""
    improvement: float
    """The probability that the method is better on an image."""
    images: int
    seeds: int
    """Of what was trained; the smaller number of two."""

    @cached_property
    def wilcoxon_p(self) -> float:
        """Of the signed-rank test over groups of images."""
        return wilcoxon_p(self.differences)

    @cached_property
    def permutation_p(self) -> float:
        """Of the sign-flip test over groups of images."""
        return sign_flip_p(self.differences)

    @property
    def difference(self) -> float:
        """The mean difference."""
        return self.effect.interval.mean

    @property
    def low(self) -> float:
        """The lower end of the interval, for this comparison alone."""
        return self.effect.interval.low

    @property
    def high(self) -> float:
        """The upper end of the interval, for this comparison alone."""
        return self.effect.interval.high

    @property
    def p(self) -> float:
        """Two-sided, of no difference."""
        return self.effect.p

    @property
    def p_adjusted(self) -> float:
        """By Holm, over the comparisons that are shown together."""
        return self.effect.p_adjusted

    @property
    def margin(self) -> float:
        """The difference up to which two methods are as good as equal."""
        return self.effect.margin

    @property
    def verdict(self) -> Verdict:
        """What is said of the method."""
        return verdict_of(self.effect.reading, self.metric)

    @property
    def is_provisional(self) -> bool:
        """Whether a verdict rests on images alone: what other seeds change is not known."""
        return not self.effect.interval.covers_seeds and self.verdict != "inconclusive"

    @property
    def verdict_text(self) -> str:
        """The verdict as printed."""
        return f"{self.verdict} (provisional)" if self.is_provisional else self.verdict


def verdict_of(reading: Reading, metric: str) -> Verdict:
    """Return what the reading of a difference says of the method that comes first."""
    if reading == "open":
        return "inconclusive"
    if reading == "within":
        return "equivalent"
    return "better" if (reading == "above") == is_more_better(metric) else "worse"


def is_more_better(metric: str) -> bool:
    """Return whether more of a metric is better, once it is scaled by `comparable_scores`."""
    return METRICS[metric].better == "higher"


def comparable_scores(
    frame: pd.DataFrame, metric: str, image_px: int, to_ideal: bool = True
) -> pd.DataFrame:
    """Scale a metric so that differences mean something.

    Ratios become the logarithms of `log_ratio`. Where nearer to the ideal is better, that distance
    is compared. An infinite PSNR is capped as in every mean.

    Args:
        frame: a score table that has the metric.
        metric: the metric.
        image_px: pixels of an image.
        to_ideal: whether distances are wanted where nearer is better, or the values themselves.

    Returns:
        `method`, `seed`, `image`, the `group` where there is one, and the metric.
    """
    facts, values = METRICS[metric], frame[metric]
    if facts.unit == "dB":
        pixels = frame["hole_px"] if facts.region == "h" else image_px
        values = values.mask(values == np.inf, psnr_cap_db(pixels))
    if facts.better == "one":
        values = log_ratio(values)
    if facts.better in ("zero", "one") and to_ideal:
        values = values.abs()
    keys = [name for name in ("method", "seed", "image", "group") if name in frame]
    return frame[keys].assign(**{metric: values})


def comparable_name(metric: str, to_ideal: bool = True) -> str:
    """Return what a metric is called once it is scaled by `comparable_scores`."""
    better = METRICS[metric].better
    name = f"ln {metric}" if better == "one" else metric
    return f"|{name}|" if better in ("zero", "one") and to_ideal else name


def score_matrices(frame: pd.DataFrame, metric: str) -> dict[str, pd.DataFrame]:
    """Return `score_matrix` of every method; all must have been scored on the same images."""
    means = frame.groupby(["method", "seed", "image"])[metric].mean().unstack("image")
    return {str(name): rows.droplevel("method") for name, rows in means.groupby(level="method")}


def score_matrix(frame: pd.DataFrame, method: str, metric: str = METRIC) -> pd.DataFrame:
    """Return a method's scores by seed (rows) and image (columns), the holes of an image averaged.

    Args:
        frame: a score table; the columns `method`, `seed`, `image` and the metric are read.
        method: the method.
        metric: the metric.

    Returns:
        Seeds and images sorted; NaN where a score is missing.
    """
    rows = frame[frame["method"] == method]
    # As `pivot_table`, which takes three times as long.
    return rows.groupby(["seed", "image"])[metric].mean().unstack("image")


def scores_of(
    frame: pd.DataFrame,
    method: str,
    metric: str = METRIC,
    is_trained: bool = True,
    spread: Spread | None = None,
) -> Scores:
    """Return a method's scores from a table that `comparable_scores` returned."""
    return Scores(
        method, score_matrix(frame, method, metric), image_groups(frame), is_trained, spread
    )


def image_groups(frame: pd.DataFrame) -> pd.Series | None:
    """Return the group of each image of a score table; None where every image is one."""
    if "group" not in frame:
        return None
    return frame.drop_duplicates("image").set_index("image")["group"]


def compare(ours: Scores, reference: Scores, metric: str = METRIC) -> Comparison:
    """Compare two methods on the images that both have scores of.

    Raises:
        ValueError: the two were not scored on the same images.
        NothingInCommonError: they have no score in common.
    """
    if not ours.table.columns.equals(reference.table.columns):
        both = f"{ours.method} and {reference.method}"
        raise ValueError(f"{both} were not scored on the same images")
    images = ours.scored.intersection(reference.scored)
    if images.empty:
        raise NothingInCommonError(f"{ours.method} and {reference.method} have no score in common")
    sides = ours.sample(images), reference.sample(images)
    interval = interval_of_difference(*sides)
    differences = sides[0].scores.mean(axis=0) - sides[1].scores.mean(axis=0)
    seeds = min((side.scores.shape[0] for side in sides if side.is_trained), default=1)
    names = ours.method, reference.method, metric
    return comparison_of(names, interval, differences, sides[0].groups, seeds)


def comparison_of(
    names: tuple[str, str, str],
    interval: Interval,
    differences: Array,
    groups: NDArray[np.int64] | None,
    seeds: int,
) -> Comparison:
    """Return what the differences of images say, as if nothing else were compared.

    Args:
        names: the one method, the other, and the metric.
        interval: of their difference.
        differences: `[images]`, means over seeds.
        groups: number of each image's group.
        seeds: how many there are.
    """
    method, reference, metric = names
    return Comparison(
        method=method,
        reference=reference,
        metric=metric,
        effect=Effect(interval, METRICS[metric].margin),
        differences=group_means(differences, groups),
        improvement=improvement(differences if is_more_better(metric) else -differences),
        images=differences.size,
        seeds=seeds,
    )


def family(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Return comparisons that are shown together, their p values adjusted for their number."""
    found = list(comparisons)
    effects = rulebook.family([comparison.effect for comparison in found])
    return [replace(c, effect=effect) for c, effect in zip(found, effects, strict=True)]
