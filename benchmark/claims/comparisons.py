"""One comparison that a claim makes and the results of suites → its difference and verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.claims.definitions import AcrossSuites, CostPair, Pair, SeamReliance
from benchmark.claims.verdicts import ClaimVerdict, Prediction, verdict_of
from benchmark.evaluation.results import Results
from benchmark.metrics import METRICS
from benchmark.stats.comparison import Scores, comparable_name, is_more_better
from benchmark.stats.intervals import (
    Interval,
    Sample,
    interval_of_difference,
    unpaired_interval,
)
from benchmark.stats.rulebook import Effect


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

    @property
    def verdict(self) -> ClaimVerdict:
        """What became of the prediction."""
        return verdict_of(self.effect.reading, self.predicted)

    @property
    def difference(self) -> float:
        """The mean difference."""
        return self.effect.interval.mean

    @property
    def low(self) -> float:
        """The lower end of the interval; the difference where that is exact."""
        return self.effect.interval.low

    @property
    def high(self) -> float:
        """The upper end of the interval; the difference where that is exact."""
        return self.effect.interval.high

    @property
    def covers_seeds(self) -> bool:
        """Whether the interval covers the choice of training seeds, besides that of images."""
        return self.effect.interval.covers_seeds


def compare_methods(kind: str, pair: Pair, results: Results) -> ClaimComparison:
    """Compare two methods of a suite, image by image; `kind` is a key of `Claim`.

    Raises:
        UntestableError: the metric has no values.
    """
    ours, other = (_scores(kind, pair.metric, name, results) for name in (pair.variant, pair.than))
    images = ours.scored.intersection(other.scored)
    sides = [_sample(side, images, pair.metric, results) for side in (ours, other)]
    what = f"{_name(kind, pair.metric)}: {pair.variant} - {pair.than}"
    return _comparison(kind, pair.metric, what, interval_of_difference(*sides), sides)


def compare_suites(pair: AcrossSuites, ours: Results, other: Results) -> ClaimComparison:
    """Compare a variant on two suites, whose images are taken for independent.

    Where they are the same photographs at two sizes, the interval is wider than it had to be.

    Raises:
        UntestableError: the metric has no values.
    """
    sides = []
    for results in (ours, other):
        scores = _scores("better", pair.metric, pair.variant, results)
        sides.append(_sample(scores, scores.scored, pair.metric, results))
    what = f"{_name('better', pair.metric)}: {pair.variant} on {pair.suite} - on {pair.than}"
    return _comparison("better", pair.metric, what, unpaired_interval(*sides), sides)


def compare_costs(pair: CostPair, results: Results) -> ClaimComparison:
    """Compare the operations of two generators, which are exact.

    Raises:
        UntestableError: they are not known.
    """
    try:
        ours, other = (results.flops[name] / 1e9 for name in (pair.variant, pair.than))
    except KeyError as error:
        raise UntestableError(f"the operations of {error.args[0]} are not known") from None
    what = f"GFLOP per image: {pair.variant} - {pair.than}"
    return ClaimComparison(what, Effect(Interval(ours - other, ())), "below", decimals=3)


def read_seam_reliance(claimed: SeamReliance, results: Results) -> ClaimComparison:
    """Read how much better a discriminator finds a seam without content than content without one.

    Over seeds, values and ends of intervals are averaged, which covers image sampling only.

    Raises:
        UntestableError: there is no diagnosis of the discriminator.
    """
    variant, name = claimed.variant, claimed.discriminator
    rows, diagnosed = [], set()
    for seed in results.seeds_of(variant):
        diagnosis = results.diagnoses.get((variant, seed), {})
        entry = diagnosis.get("discriminators", {}).get(name, {})
        reliance = entry.get("seam_reliance") or {}
        if None not in (ends := [reliance.get(key) for key in ("value", "low", "high")]):
            rows.append([*ends, diagnosis["images"]])
            diagnosed.add(reliance["verdict"])
    if not rows:
        raise UntestableError(
            f"{name} of {variant} was not asked; `python -m benchmark evaluate` asks it"
        )
    value, low, high, images = np.mean(rows, axis=0).tolist()
    what = f"found by {name} of {variant}: seam_only - seam_free"
    error = (high - low) / 4
    effect = Effect(Interval(value, ((error**2, np.inf),), covers_seeds=False))
    return ClaimComparison(what, effect, "above", int(images), len(rows))


def _scores(kind: str, metric: str, method: str, results: Results) -> Scores:
    """Return a method's scores in comparable units."""
    if metric not in results.frame:
        raise UntestableError(f"{metric} has no values")
    return results.scores(method, metric, to_ideal=kind != "higher")


def _name(kind: str, metric: str) -> str:
    """Return what a metric is called in the units in which it is compared."""
    return comparable_name(metric, to_ideal=kind != "higher")


def _sample(scores: Scores, images: pd.Index, metric: str, results: Results) -> Sample:
    """Return the scores of some images, of which there must be two."""
    if len(images) == 1:
        raise UntestableError(f"{metric} has values of one image, which is too few")
    if len(images) == 0:
        reason = results.missing.get(metric)
        raise UntestableError(f"{metric} has no values" + (f" ({reason})" if reason else ""))
    return scores.sample(images)


def _comparison(
    kind: str, metric: str, what: str, interval: Interval, sides: Sequence[Sample]
) -> ClaimComparison:
    facts = METRICS[metric]
    is_up = kind == "higher" or is_more_better(metric)
    effect = Effect(interval, facts.margin)
    predicted: Prediction = "above" if is_up else "below"
    if kind == "as_good":
        effect = Effect(interval, null=-facts.margin if is_up else facts.margin)
    return ClaimComparison(
        what=what,
        effect=effect,
        predicted="either side" if kind == "differ" else predicted,
        images=min(side.scores.shape[1] for side in sides),
        seeds=min((side.scores.shape[0] for side in sides if side.is_trained), default=0),
        decimals=3 if facts.unit == "dB" or facts.better == "one" else 5,
    )
