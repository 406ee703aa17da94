"""One comparison that a claim makes and the results of suites → its difference and verdict."""

from dataclasses import dataclass

import pandas as pd

from benchmark.claims.definitions import AcrossSuites, CostPair, Pair, SeamReliance
from benchmark.claims.verdicts import (
    ClaimVerdict,
    verdict_of_difference,
    verdict_of_reliance,
)
from benchmark.evaluation.effects import effects_of, join_seeds
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
    frame, what = _comparable(kind, pair.metric, results)
    ours, other = (score_matrix(frame, name, pair.metric) for name in (pair.variant, pair.than))
    differences = paired_differences(ours, other, pair.than not in results.baselines)
    if not len(differences):
        raise UntestableError(f"{pair.variant} and {pair.than} have no training seed in common")
    values = _scored_images(differences, pair.metric, results)
    what = f"{what}: {pair.variant} - {pair.than}"
    return _comparison(kind, pair.metric, what, paired_interval(values), values.shape)


def compare_suites(pair: AcrossSuites, ours: Results, other: Results) -> ClaimComparison:
    """Compare a variant on two suites, whose images are taken for independent.

    Where they are the same photographs at two sizes, the interval is wider than it had to be.

    Raises:
        UntestableError: the metric has no values.
    """
    sides, what = [], ""
    for results in (ours, other):
        frame, what = _comparable("better", pair.metric, results)
        scores = score_matrix(frame, pair.variant, pair.metric)
        sides.append(_scored_images(scores, pair.metric, results))
    what = f"{what}: {pair.variant} on {pair.suite} - on {pair.than}"
    seeds, images = (min(sizes) for sizes in zip(*(side.shape for side in sides), strict=True))
    interval = unpaired_interval(sides[0], sides[1])
    return _comparison("better", pair.metric, what, interval, (seeds, images))


def compare_costs(pair: CostPair, results: Results) -> ClaimComparison:
    """Compare the operations of two generators, which are exact.

    Raises:
        UntestableError: they are not known.
    """
    try:
        ours, other = (results.flops[name] / 1e9 for name in (pair.variant, pair.than))
    except KeyError as error:
        raise UntestableError(f"the operations of {error.args[0]} are not known") from None
    difference = ours - other
    verdict: ClaimVerdict = "supported" if difference < 0 else "refuted"
    what = f"GFLOP per image: {pair.variant} - {pair.than}"
    return ClaimComparison(what, difference, difference, difference, verdict, decimals=3)


def read_seam_reliance(claimed: SeamReliance, results: Results) -> ClaimComparison:
    """Compare what a seam and what generated content add to what a discriminator finds.

    Image by image and, where there are several, over training seeds, from what each diagnosis holds
    of every image.

    Raises:
        UntestableError: there is no diagnosis that says it, or the discriminator sees no seam.
    """
    variant, name = claimed.variant, claimed.discriminator
    found, evaluate = [], "`python -m benchmark evaluate` asks it"
    for seed in results.seeds_of(variant):
        diagnosis = results.diagnoses.get((variant, seed), {})
        entry = diagnosis.get("discriminators", {}).get(name, {})
        if entry.get("effects"):
            found.append(effects_of(entry))
    if not found:
        raise UntestableError(f"{name} of {variant} was not asked image by image; {evaluate}")
    if len({effects.content.shape for effects in found}) > 1:
        raise UntestableError(f"{name} of {variant} was asked about other images for each seed")
    effects = join_seeds(found)
    if effects.seam is None:
        raise UntestableError(f"{name} of {variant} sees the hole alone, which has no border")
    seeds, images = effects.content.shape
    if images == 1:
        raise UntestableError(f"{name} of {variant} was asked about one image, which is too few")
    difference = effects.intervals["difference"]
    return ClaimComparison(
        what=f"{effects.measure} of {name} of {variant}: effect of the seam - of the content",
        difference=difference.mean,
        low=difference.low,
        high=difference.high,
        verdict=verdict_of_reliance(effects.goes_by),
        images=images,
        seeds=seeds,
        covers_seeds=seeds >= MIN_SEEDS,
    )


def _comparable(kind: str, metric: str, results: Results) -> tuple[pd.DataFrame, str]:
    """Return a score table with a metric in comparable units, and the metric's name then."""
    if metric not in results.frame:
        raise UntestableError(f"{metric} has no values")
    return comparable_scores(results.frame, metric, results.image_px, to_ideal=kind != "higher")


def _scored_images(table: pd.DataFrame, metric: str, results: Results) -> Array:
    """Return the images of a table `[seeds, images]` that have all values."""
    kept = table.dropna(axis="columns")
    if kept.shape[1] == 1:
        raise UntestableError(f"{metric} has values of one image, which is too few")
    if kept.empty:
        reason = results.missing.get(metric)
        raise UntestableError(f"{metric} has no values" + (f" ({reason})" if reason else ""))
    return kept.to_numpy()


def _comparison(
    kind: str, metric: str, what: str, interval: Interval, shape: tuple[int, ...]
) -> ClaimComparison:
    seeds, images = shape
    in_thousandths = METRICS[metric].unit == "dB" or METRICS[metric].better == "one"
    return ClaimComparison(
        what=what,
        difference=interval.mean,
        low=interval.low,
        high=interval.high,
        verdict=verdict_of_difference(kind, metric, interval.low, interval.high),
        images=images,
        seeds=seeds,
        covers_seeds=seeds >= MIN_SEEDS,
        decimals=3 if in_thousandths else 5,
    )
