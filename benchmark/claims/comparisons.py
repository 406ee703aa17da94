"""One comparison that a claim makes and the results of suites → its difference and verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.claims.definitions import AcrossSuites, CostPair, Pair, SeamReliance
from benchmark.claims.verdicts import (
    ClaimVerdict,
    verdict_of_difference,
    verdict_of_reliance,
)
from benchmark.core.config import load_variant
from benchmark.evaluation.results import Results
from benchmark.metrics import METRICS
from benchmark.stats.comparison import (
    comparable_scores,
    paired_differences,
    score_matrix,
)
from benchmark.stats.intervals import (
    MIN_SEEDS,
    Array,
    Interval,
    paired_interval,
    unpaired_interval,
)
from benchmark.training.describe import describe_variant
from data.errors import InputError


class UntestableError(Exception):
    """The results do not have what a comparison needs; the message says what."""


@dataclass(frozen=True)
class ClaimComparison:
    """One comparison that a claim predicts, with what was measured."""

    what: str
    """Which difference, as `metric: a - b`."""
    difference: float
    low: float
    high: float
    """Ends of the interval; equal to the difference where that is exact."""
    verdict: ClaimVerdict
    images: int = 0
    """Of the smaller side where they differ; 0 for what needs none."""
    seeds: int = 0
    """Training seeds that were compared; 0 for what needs none."""
    covers_seeds: bool = False
    """Whether the interval covers the choice of training seeds, besides that of images."""
    decimals: int = 5
    """With which it is printed."""


def compare_methods(kind: str, pair: Pair, results: Results) -> ClaimComparison:
    """Compare two methods of a suite, image by image; `kind` is a key of `Claim`.

    Two variants are compared seed by seed, with the seeds that both have; a baseline has none.

    Raises:
        UntestableError: the metric has no values, or the variants have no seed in common.
    """
    frame, what = _comparable(pair.metric, results)
    ours, other = (score_matrix(frame, name, pair.metric) for name in (pair.variant, pair.than))
    differences = paired_differences(ours, other, pair.than not in results.baselines)
    if not len(differences):
        raise UntestableError(f"{pair.variant} and {pair.than} have no training seed in common")
    values = scored_images(differences, pair.metric, results)
    what = f"{what}: {pair.variant} - {pair.than}"
    return _comparison(kind, pair, what, paired_interval(values), values.shape)


def compare_suites(pair: AcrossSuites, ours: Results, other: Results) -> ClaimComparison:
    """Compare a variant's lead over a baseline on two suites, image by image.

    The baseline takes out what makes the images of one suite easier for every method. Score tables
    know an image by its pixels, so the images of two suites are taken for independent. Where they
    are the same photographs at two sizes, the interval is wider than it had to be.

    Raises:
        UntestableError: the metric has no values, or the baseline was not run.
    """
    sides, what = [], ""
    for results in (ours, other):
        frame, what = _comparable(pair.metric, results)
        require_baseline(pair.over, results)
        scores, base = (score_matrix(frame, n, pair.metric) for n in (pair.variant, pair.over))
        leads = paired_differences(scores, base, has_seeds=False)
        sides.append(scored_images(leads, pair.metric, results))
    what = f"{what}: {pair.variant} - {pair.over} on {pair.suite} - on {pair.than}"
    seeds, images = (min(sizes) for sizes in zip(*(side.shape for side in sides), strict=True))
    interval = unpaired_interval(sides[0], sides[1])
    return _comparison("better", pair, what, interval, (seeds, images))


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
    difference = sides[0] - sides[1]
    verdict: ClaimVerdict = "supported" if difference < 0 else "refuted"
    what = f"{unit} of {pair.cost} per image: {pair.variant} - {pair.than}"
    return ClaimComparison(what, difference, difference, difference, verdict, decimals=3)


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
    verdict = verdict_of_reliance(diagnosed)
    what = f"found by {name} of {variant}: seam_only - seam_free"
    return ClaimComparison(what, value, low, high, verdict, int(images), len(rows))


def _comparable(metric: str, results: Results) -> tuple[pd.DataFrame, str]:
    """Return a score table with a metric in comparable units, and the metric's name then."""
    require_metric(metric, results)
    return comparable_scores(results.frame, metric, results.image_px)


def require_metric(metric: str, results: Results) -> None:
    """Raise `UntestableError` where a score table lacks a metric."""
    if metric not in results.frame:
        raise UntestableError(f"{metric} has no values")


def scored_images(table: pd.DataFrame, metric: str, results: Results) -> Array:
    """Return the images of a table `[seeds, images]` that have all values."""
    kept = table.dropna(axis="columns")
    if kept.shape[1] == 1:
        raise UntestableError(f"{metric} has values of one image, which is too few")
    if kept.empty:
        reason = results.missing.get(metric)
        raise UntestableError(f"{metric} has no values" + (f" ({reason})" if reason else ""))
    return kept.to_numpy()


def _comparison(
    kind: str, pair: Pair | AcrossSuites, what: str, interval: Interval, shape: tuple[int, ...]
) -> ClaimComparison:
    verdict = verdict_of_difference(kind, pair.metric, interval.low, interval.high, pair.margin)
    return from_interval(interval, what, verdict, shape, decimals_of(pair.metric))


def decimals_of(metric: str) -> int:
    """Return with how many decimals differences of a metric are printed."""
    in_thousandths = METRICS[metric].unit == "dB" or METRICS[metric].better == "one"
    return 3 if in_thousandths else 5


def from_interval(
    interval: Interval, what: str, verdict: ClaimVerdict, shape: tuple[int, ...], decimals: int
) -> ClaimComparison:
    """Return a comparison of values `[seeds, images]` whose mean has an interval."""
    seeds, images = shape
    return ClaimComparison(
        what=what,
        difference=interval.mean,
        low=interval.low,
        high=interval.high,
        verdict=verdict,
        images=images,
        seeds=seeds,
        covers_seeds=seeds >= MIN_SEEDS,
        decimals=decimals,
    )
