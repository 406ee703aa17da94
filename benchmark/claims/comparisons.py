"""One comparison that a claim makes and the results of suites → its difference and verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.claims.definitions import AcrossSuites, CostPair, Pair
from benchmark.claims.verdicts import ClaimVerdict, Prediction, verdict_of
from benchmark.core.config import load_variant
from benchmark.evaluation.results import Results
from benchmark.metrics import METRICS
from benchmark.stats.comparison import Scores, comparable_name, image_groups, is_more_better
from benchmark.stats.intervals import (
    Interval,
    Sample,
    interval_of_difference,
    numbered,
    unpaired_interval,
)
from benchmark.stats.rulebook import Effect
from benchmark.training.describe import describe_variant
from data.errors import InputError


class UntestableError(Exception):
    """The results do not have what a comparison needs; the message says what."""


@dataclass(frozen=True)
class ClaimComparison:
    """One comparison that a claim predicts, with what was measured."""

    what: str
    """Which difference, as `metric: a - b`."""
    effect: Effect
    predicted: Prediction
    """Where the claim says that the difference lies."""
    images: int = 0
    """Of the smaller side where they differ; 0 for what needs none."""
    seeds: int = 0
    """Training seeds that were compared; 0 for what needs none."""
    decimals: int = 5
    """With which it is printed."""
    is_correlation: bool = False
    """Whether the effect is Fisher's z of a correlation, which is what is shown."""

    @property
    def is_exact(self) -> bool:
        """Whether it follows from networks and sizes alone, without any image."""
        return not self.images and not self.seeds

    @property
    def verdict(self) -> ClaimVerdict:
        """What became of the prediction."""
        return verdict_of(self.effect.reading, self.predicted)

    @property
    def verdict_alone(self) -> ClaimVerdict:
        """What would become of it if nothing else were asked."""
        return verdict_of(replace(self.effect, adjusted=None).reading, self.predicted)

    @property
    def difference(self) -> float:
        """The mean difference."""
        return self._shown(self.effect.interval.mean)

    @property
    def low(self) -> float:
        """The lower end of the interval; the difference where that is exact."""
        return self._shown(self.effect.interval.low)

    @property
    def high(self) -> float:
        """The upper end of the interval; the difference where that is exact."""
        return self._shown(self.effect.interval.high)

    @property
    def covers_seeds(self) -> bool:
        """Whether the interval covers the choice of training seeds, besides that of images."""
        return self.effect.interval.covers_seeds

    def _shown(self, value: float) -> float:
        return math.tanh(value) if self.is_correlation else value


def compare_methods(kind: str, pair: Pair, results: Results) -> ClaimComparison:
    """Compare two methods of a suite, image by image; `kind` is a key of `Claim`.

    Raises:
        UntestableError: the metric has no values.
    """
    ours, other = (scores_of(name, pair.metric, results) for name in pair.methods)
    images = ours.scored.intersection(other.scored)
    sides = [sample_of(side, images, pair.metric, results) for side in (ours, other)]
    what = f"{comparable_name(pair.metric)}: {pair.variant} - {pair.than}"
    return _comparison(kind, pair, what, interval_of_difference(*sides), sides)


def compare_suites(pair: AcrossSuites, ours: Results, other: Results) -> ClaimComparison:
    """Compare a variant's lead over a baseline on two suites, image by image.

    The baseline takes out what makes the images of one suite easier for every method. Score tables
    know an image by its pixels, so the images of two suites are taken for independent. Where they
    are the same photographs at two sizes, the interval is wider than it had to be.

    Raises:
        UntestableError: the metric has no values, or the baseline was not run.
    """
    sides = []
    for results in (ours, other):
        require_baseline(pair.over, results)
        scores, base = (scores_of(n, pair.metric, results) for n in (pair.variant, pair.over))
        images = scores.scored.intersection(base.scored)
        lead, fixed = (sample_of(side, images, pair.metric, results) for side in (scores, base))
        sides.append(replace(lead, scores=lead.scores - fixed.scores))
    name = comparable_name(pair.metric)
    what = f"{name}: {pair.variant} - {pair.over} on {pair.suite} - on {pair.than}"
    return _comparison("better", pair, what, unpaired_interval(*sides), sides)


def compare_costs(pair: CostPair, results: Results) -> ClaimComparison:
    """Compare what two generators need for one image, which is exact.

    Operations are those of the cost table. Activations are the outputs of all layers in float32,
    which training keeps for the backward pass; parameters and optimizers are not among them.

    Raises:
        UntestableError: they are not known.
    """
    try:
        if pair.cost == "operations":
            sides, unit = [results.flops[name] / 1e9 for name in pair.methods], "GFLOP"
        else:
            sides, unit = [_activations_mib(name, results) for name in pair.methods], "MiB"
    except KeyError as error:
        raise UntestableError(f"the operations of {error.args[0]} are not known") from None
    except InputError as error:
        raise UntestableError(str(error)) from None
    what = f"{unit} of {pair.cost} per image: {pair.variant} - {pair.than}"
    # Every difference counts but none at all.
    effect = Effect(Interval(sides[0] - sides[1], ()), margin=math.ulp(0.0))
    return ClaimComparison(what, effect, "below", decimals=3)


def _activations_mib(variant: str, results: Results) -> float:
    suite = results.suite
    facts = describe_variant(load_variant(variant), suite.image_size, suite.mask.size)
    layers: Sequence[Mapping[str, Any]] = facts["generator"]["layers"]
    return float(sum(4 * math.prod(layer["output"]) for layer in layers)) / 2**20


def require_baseline(name: str, results: Results) -> None:
    """Raise `UntestableError` where a baseline was not run."""
    if name not in results.baselines:
        reason = results.refused.get(name, "it is not among the baselines")
        raise UntestableError(f"{name} was not run: {reason}")


def scores_of(method: str, metric: str, results: Results, to_ideal: bool = True) -> Scores:
    """Return a method's scores in comparable units.

    Raises:
        UntestableError: the score table lacks the metric.
    """
    if metric not in results.frame:
        raise UntestableError(f"{metric} has no values")
    return results.scores(method, metric, to_ideal)


def sample_of(scores: Scores, images: pd.Index, metric: str, results: Results) -> Sample:
    """Return the scores of some images, of which there must be two.

    Raises:
        UntestableError: there are fewer.
    """
    if len(images) == 1:
        raise UntestableError(f"{metric} has values of one image, which is too few")
    if len(images) == 0:
        reason = results.missing.get(metric)
        raise UntestableError(f"{metric} has no values" + (f" ({reason})" if reason else ""))
    return scores.sample(images)


def sample_of_images(values: Sequence[Sequence[float | None]], results: Results) -> Sample:
    """Return what runs have recorded of every test image, `[seeds, images]`, as a sample.

    Images of which a seed has no value are left out.

    Raises:
        UntestableError: seeds have recorded different images, or fewer than two are left.
    """
    if len({len(row) for row in values}) > 1:
        raise UntestableError("the seeds were asked about different images")
    table = np.array(values, dtype=np.float64)
    is_known = np.asarray(np.isfinite(table).all(axis=0))
    if (count := int(is_known.sum())) < 2:
        raise UntestableError(f"too few images have values ({count})")
    of_images = image_groups(results.frame)
    groups: NDArray[np.int64] | None = None
    if of_images is not None and len(of_images) == is_known.size:
        groups = numbered(of_images.to_numpy()[is_known])
    return Sample(table[:, is_known], groups)


def decimals_of(metric: str) -> int:
    """Return with how many decimals differences of a metric are printed."""
    in_thousandths = METRICS[metric].unit == "dB" or METRICS[metric].better == "one"
    return 3 if in_thousandths else 5


def within_margin(interval: Interval, margin: float) -> Effect:
    """Return the effect of a claim that a value is within a margin of 0, or else beyond it."""
    return Effect(interval, margin, null=math.copysign(margin, interval.mean))


def comparison_of_samples(
    what: str,
    effect: Effect,
    predicted: Prediction,
    sides: Sequence[Sample],
    decimals: int,
) -> ClaimComparison:
    """Return a comparison of what samples say."""
    return ClaimComparison(
        what=what,
        effect=effect,
        predicted=predicted,
        images=min(side.scores.shape[1] for side in sides),
        seeds=min((len(side.scores) for side in sides if side.is_trained), default=0),
        decimals=decimals,
    )


def _comparison(
    kind: str, pair: Pair | AcrossSuites, what: str, interval: Interval, sides: Sequence[Sample]
) -> ClaimComparison:
    margin = METRICS[pair.metric].margin if pair.margin is None else pair.margin
    is_up = is_more_better(pair.metric)
    effect = Effect(interval, margin)
    predicted: Prediction = "above" if is_up else "below"
    if kind == "as_good":
        effect = Effect(interval, null=-margin if is_up else margin)
    if kind == "differ":
        predicted = "either side"
    return comparison_of_samples(what, effect, predicted, sides, decimals_of(pair.metric))
