"""The comparisons by which claims are tested: differences, their intervals and verdicts.

A prediction is supported where the whole 95 % interval of the difference lies beyond the margin of
practical equivalence on the predicted side, refuted where none of it does, and else inconclusive.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.claims.definitions import CostPair, Judge, Pair, SuitePair
from benchmark.evaluation.results import Results
from benchmark.metrics import METRICS
from benchmark.stats.comparison import (
    comparable_scores,
    equivalence_margin,
    paired_differences,
    score_matrix,
)
from benchmark.stats.intervals import MIN_SEEDS, paired_interval, unpaired_interval

Verdict = Literal["supported", "refuted", "inconclusive"]


class UntestableError(Exception):
    """The results do not have what a comparison needs; the message says what."""


@dataclass(frozen=True)
class Evidence:
    """One comparison."""

    what: str
    """Which difference, as `metric: a - b`."""
    difference: float
    low: float
    high: float
    """Ends of the interval; equal to the difference where that is exact."""
    verdict: Verdict
    images: int
    """Of the smaller side where they differ; 0 for what needs none."""
    seeds: int
    """Training seeds that were compared; 0 for what needs none."""
    covers_seeds: bool = False
    """Whether the interval covers the choice of training seeds, besides that of images."""
    decimals: int = 5
    """With which it is printed."""


def pair_evidence(kind: str, pair: Pair, results: Results) -> Evidence:
    """Compare two methods of a suite, image by image.

    Two variants are compared seed by seed, with the seeds that both have; a baseline has none.

    Args:
        kind: `better`, `higher`, `differ` or `as_good`.
        pair: the metric and the methods.
        results: of a suite that has both.

    Raises:
        UntestableError: the metric has no values, or the variants have no seed in common.
    """
    frame, what = _side(kind, pair.metric, results)
    ours, reference = (score_matrix(frame, name, pair.metric) for name in (pair.variant, pair.than))
    differences = paired_differences(ours, reference, pair.than not in results.baselines)
    if not len(differences):
        raise UntestableError(f"{pair.variant} and {pair.than} have no training seed in common")
    differences = _complete(differences, pair.metric, results)
    interval = paired_interval(differences.to_numpy())
    return Evidence(
        what=f"{what}: {pair.variant} - {pair.than}",
        difference=interval.mean,
        low=interval.low,
        high=interval.high,
        verdict=judged(kind, pair.metric, interval.low, interval.high),
        images=differences.shape[1],
        seeds=len(differences),
        covers_seeds=len(differences) >= MIN_SEEDS,
        decimals=_decimals(pair.metric),
    )


def suite_evidence(pair: SuitePair, ours: Results, reference: Results) -> Evidence:
    """Compare a variant on two suites, whose images are taken for independent.

    Where they are the same photographs at two sizes, the interval is wider than it had to be.

    Raises:
        UntestableError: the metric has no values.
    """
    tables, what = [], ""
    for results in (ours, reference):
        frame, what = _side("better", pair.metric, results)
        table = score_matrix(frame, pair.variant, pair.metric)
        tables.append(_complete(table, pair.metric, results).to_numpy())
    interval = unpaired_interval(tables[0], tables[1])
    seeds = min(len(table) for table in tables)
    return Evidence(
        what=f"{what}: {pair.variant} on {pair.suite} - on {pair.than}",
        difference=interval.mean,
        low=interval.low,
        high=interval.high,
        verdict=judged("better", pair.metric, interval.low, interval.high),
        images=min(table.shape[1] for table in tables),
        seeds=seeds,
        covers_seeds=seeds >= MIN_SEEDS,
        decimals=_decimals(pair.metric),
    )


def judged(kind: str, metric: str, low: float, high: float) -> Verdict:
    """Return what the interval of a difference says of a prediction.

    Args:
        kind: `better`, `higher`, `differ` or `as_good`.
        metric: the metric.
        low: lower end of the interval of `ours - reference`, of values scaled by `_side`.
        high: its upper end.
    """
    margin = equivalence_margin(metric)
    if kind == "differ":
        if low > margin or high < -margin:
            return "supported"
        return "refuted" if -margin <= low and high <= margin else "inconclusive"
    if kind != "higher" and METRICS[metric].better != "higher":
        low, high = -high, -low
    if kind == "as_good":
        margin = -margin
    if low > margin:
        return "supported"
    return "refuted" if high <= margin else "inconclusive"


def _decimals(metric: str) -> int:
    return 3 if METRICS[metric].unit == "dB" or METRICS[metric].better == "one" else 5


def _side(kind: str, metric: str, results: Results) -> tuple[pd.DataFrame, str]:
    """Return a score table with a metric scaled so that differences mean something, and its name."""
    if metric not in results.frame:
        raise UntestableError(f"{metric} has no values")
    return comparable_scores(results.frame, metric, results.image_px, to_ideal=kind != "higher")


def _complete(table: pd.DataFrame, metric: str, results: Results) -> pd.DataFrame:
    """Return the images of a table `[seeds, images]` that have all values."""
    kept = table.dropna(axis="columns")
    if kept.shape[1] == 1:
        raise UntestableError(f"{metric} has values of one image, which is too few")
    if kept.empty:
        reason = results.missing.get(metric)
        raise UntestableError(f"{metric} has no values" + (f" ({reason})" if reason else ""))
    return kept


def cost_evidence(pair: CostPair, results: Results) -> Evidence:
    """Compare the operations of two generators, which are exact.

    Raises:
        UntestableError: they are not known.
    """
    try:
        ours, reference = (results.flops[name] / 1e9 for name in (pair.variant, pair.than))
    except KeyError as error:
        raise UntestableError(f"the operations of {error.args[0]} are not known") from None
    difference = ours - reference
    verdict: Verdict = "supported" if difference < 0 else "refuted"
    what = f"GFLOP per image: {pair.variant} - {pair.than}"
    return Evidence(what, difference, difference, difference, verdict, 0, 0, decimals=3)


def seam_evidence(judge: Judge, results: Results) -> Evidence:
    """Read how much better a discriminator finds a seam without content than content without one.

    Over seeds, values and ends of intervals are averaged, which covers image sampling only.

    Raises:
        UntestableError: there is no diagnosis of the discriminator.
    """
    found, said = [], set()
    for seed in results.seeds_of(judge.variant):
        diagnosis = results.diagnoses.get((judge.variant, seed), {})
        entry = diagnosis.get("discriminators", {}).get(judge.discriminator, {})
        reliance = entry.get("seam_reliance") or {}
        if None not in (ends := [reliance.get(key) for key in ("value", "low", "high")]):
            found.append([*ends, diagnosis["images"]])
            said.add(reliance["verdict"])
    if not found:
        raise UntestableError(
            f"{judge.discriminator} of {judge.variant} was not asked; "
            "`python -m benchmark diagnose` asks it"
        )
    value, low, high, images = np.mean(found, axis=0).tolist()
    # The diagnosis also asks whether it finds anything at all, which the difference does not say.
    verdicts: dict[str, Verdict] = {"boundary": "supported", "content": "refuted"}
    verdict = verdicts.get(said.pop(), "inconclusive") if len(said) == 1 else "inconclusive"
    what = f"found by {judge.discriminator} of {judge.variant}: seam_only - seam_free"
    return Evidence(what, value, low, high, verdict, int(images), len(found))
