"""From the files of a suite's runs and baselines to all that is said of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.core import paths
from benchmark.core.config import Params, Suite, load_suite, load_variant
from benchmark.core.files import require
from benchmark.evaluation.diagnostics.diagnosis import Diagnosis, read_diagnosis
from benchmark.evaluation.metrics_file import (
    BaselineMetrics,
    RunMetrics,
    SetMeasure,
    read_metrics,
)
from benchmark.evaluation.provenance import Origin, read_origin
from benchmark.evaluation.score_table import (
    Aggregate,
    Summary,
    aggregate,
    check_canaries,
    check_same_images,
    robust_psnr,
)
from benchmark.metrics import METRICS
from benchmark.metrics.registry import is_ratio
from benchmark.stats.comparison import (
    METRIC,
    ORACLE,
    TELEA,
    Scores,
    comparable_scores,
    image_groups,
    score_matrices,
)
from benchmark.stats.intervals import Spread, interval_of_mean, pooled
from benchmark.training.describe import generator_flops
from data.errors import InputError, printable

SKILL = "skill"
"""1 - mse_h / mse_h(telea): 1 is perfect, 0 is Telea, negative loses to it."""


@dataclass(frozen=True)
class Results:
    """All scores of a suite."""

    suite: Suite
    variants: tuple[str, ...]
    baselines: tuple[str, ...]
    """Without the oracle."""
    seeds: tuple[int, ...]
    """Of all variants together; see `seeds_of`."""
    frame: pd.DataFrame
    """Score table of all methods."""
    missing: Mapping[str, str]
    """Why a metric has no values."""
    refused: Mapping[str, str]
    """Why a baseline was not run."""
    curves: Mapping[tuple[str, int], pd.DataFrame]
    """One row per epoch, by variant and seed."""
    epochs: Mapping[tuple[str, int], int]
    """The epoch whose checkpoint was scored, by variant and seed."""
    diagnoses: Mapping[tuple[str, int], Mapping[str, Any]]
    """What discriminators go by, by variant and seed, where they were asked."""
    flops: Mapping[str, int]
    """Operations of a variant's generator for one image."""
    set_level: Mapping[tuple[str, int], Mapping[str, SetMeasure]]
    """Measures of the whole test set, by method and seed; a baseline has seed 0."""
    origins: Mapping[tuple[str, int], Origin]
    """Code, configuration, data and machines of a run, by variant and seed."""
    spreads: Mapping[tuple[str, str], Spread] = field(default_factory=dict)
    """Of a variant's mean in a metric between seeds, where other runs have shown it."""

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """All methods in the order of tables: variants, baselines, the oracle."""
        present = set(self.frame["method"])
        return self.variants + self.baselines + tuple({ORACLE} & present)

    def seeds_of(self, variant: str) -> list[int]:
        """Return the seeds with which a variant was trained."""
        return [seed for seed in self.seeds if (variant, seed) in self.curves]

    @property
    def image_px(self) -> int:
        """Pixels of an image."""
        return self.suite.image_size**2

    @cached_property
    def aggregate(self) -> Aggregate:
        """Every method's metrics over all seeds, and what is derived from them."""
        return self._derived(self.frame)

    @cached_property
    def by_seed(self) -> Mapping[int, Aggregate]:
        """Every variant's metrics for each seed alone."""
        if len(self.seeds) == 1:
            return {self.seeds[0]: self.aggregate}
        trained = self.frame[self.frame["method"].isin([*self.variants, TELEA])]
        parts: dict[int, Aggregate] = {}
        for seed in self.seeds:
            # A baseline has one seed, and is the same reference for all.
            rows = trained[(trained["seed"] == seed) | (trained["method"] == TELEA)]
            parts[seed] = self._derived(rows)
        return parts

    def scores(self, method: str, metric: str, to_ideal: bool = True) -> Scores:
        """Return a method's scores in a metric of the score table, see `comparable_scores`."""
        key = metric, to_ideal
        if key not in self._comparable:
            self._comparable[key] = self._scores(metric, to_ideal)
        return self._comparable[key][method]

    @cached_property
    def _comparable(self) -> dict[tuple[str, bool], dict[str, Scores]]:
        """Scores of all methods by metric and whether distances from the ideal are compared."""
        return {}

    def _scores(self, metric: str, to_ideal: bool) -> dict[str, Scores]:
        """Return the scores of every method in a metric."""
        frame = comparable_scores(self.frame, metric, self.image_px, to_ideal)
        found = {
            name: Scores(name, table, self._groups, name in self.variants)
            for name, table in score_matrices(frame, metric).items()
        }
        spreads = self._pooled_spreads(found, metric)
        return {name: replace(one, spread=spreads.get(name)) for name, one in found.items()}

    @cached_property
    def _groups(self) -> pd.Series | None:
        return image_groups(self.frame)

    def _pooled_spreads(self, scores: Mapping[str, Scores], metric: str) -> dict[str, Spread]:
        """Return what is known of each variant's seeds, here or elsewhere, all taken together."""
        known = {}
        for variant in self.variants:
            own = scores[variant].own_spread
            candidates = [s for s in (own, self.spreads.get((variant, metric))) if s]
            if candidates:
                known[variant] = max(candidates, key=lambda spread: spread.degrees)
        return pooled(known)

    def _derived(self, rows: pd.DataFrame) -> Aggregate:
        """Return metrics with skill, and with the median and the pooled PSNR."""
        scores = with_skill(aggregate(rows, self.image_px, self.missing))
        robust = robust_psnr(rows, self.image_px)
        return {method: metrics | robust[method] for method, metrics in scores.items()}

    @property
    def num_images(self) -> int:
        """Test images."""
        return int(self.frame["image"].nunique())


Place = Callable[[Path], Path]
"""From where the checkout keeps an artifact to where it is read."""


def read_results(params: Params, suite_name: str) -> Results:
    """Read the results of a suite for the variants and seeds of the parameters.

    Raises:
        InputError: a file is missing, is damaged, or does not fit the others.
    """
    suite = load_suite(suite_name)
    runs = params.runs_of(suite_name)
    variants = dict.fromkeys(run.variant for run in runs)
    flops = {name: generator_flops(suite, load_variant(name)) for name in variants}
    return collect_results(suite, runs, flops)


def collect_results(
    suite: Suite,
    runs: Sequence[paths.Run],
    flops: Mapping[str, int],
    place: Place = Path,
    made_by: str | None = None,
) -> Results:
    """Read the results of some runs of a suite, and of its baselines.

    Args:
        suite: the suite.
        runs: the runs, in the order of tables.
        flops: operations of a variant's generator for one image.
        place: where they are read.
        made_by: the command that makes the files there; without it, that of their stage.

    Raises:
        InputError: a file is missing, is damaged, or does not fit the others.
    """
    evaluate_baselines = made_by or f"python -m benchmark baselines --suite {suite.name}"
    files = place(paths.baseline_metrics(suite.name)), place(paths.baseline_scores(suite.name))
    scored, frame = read_metrics(BaselineMetrics, *files, evaluate_baselines, suite.image_size**2)
    missing, refused = dict(scored.missing), scored.refused
    set_level = {(name, 0): measures for name, measures in scored.set_level.items()}
    present = tuple(dict.fromkeys(frame["method"]))
    baselines = tuple(str(name) for name in present if name != ORACLE)
    variants = tuple(dict.fromkeys(run.variant for run in runs))
    if clash := set(variants) & set(present):
        raise InputError(f"suite {suite.name}: {min(clash)} is both a variant and a baseline")
    found = {(run.variant, run.seed): _read_run(suite, run, place, made_by) for run in runs}
    for each in found.values():
        missing.update(each.metrics.missing)
    for (variant, seed), each in found.items():
        set_level[variant, seed] = each.metrics.set_level.get(variant, {})
    frame = pd.concat([*(each.score_table for each in found.values()), frame], ignore_index=True)
    check_same_images(frame, suite.name)
    check_canaries(frame, baselines, suite.name, suite.image_size**2)
    return Results(
        suite=suite,
        variants=variants,
        baselines=baselines,
        seeds=tuple(dict.fromkeys(run.seed for run in runs)),
        frame=frame,
        missing=missing,
        refused=refused,
        curves={key: each.curves for key, each in found.items()},
        epochs={key: each.metrics.epoch for key, each in found.items()},
        diagnoses={key: each.diagnosis for key, each in found.items() if each.diagnosis},
        flops=flops,
        set_level=set_level,
        origins={key: each.origin for key, each in found.items()},
    )


@dataclass(frozen=True)
class _RunResults:
    """What the stages have written of a run."""

    metrics: RunMetrics
    score_table: pd.DataFrame
    curves: pd.DataFrame
    origin: Origin
    diagnosis: Diagnosis | None


def _read_run(suite: Suite, run: paths.Run, place: Place, made_by: str | None) -> _RunResults:
    evaluate = made_by or f"python -m benchmark evaluate {run.options}"
    train = made_by or f"python -m benchmark train {run.options}"
    path, scores = place(run.metrics), place(run.scores)
    metrics, score_table = read_metrics(RunMetrics, path, scores, evaluate, suite.image_size**2)
    _check_owner(score_table, run)
    curves = _curves(place(run.curves), train)
    if metrics.epoch > len(curves):
        raise InputError(f"{path}: epoch {metrics.epoch} is not in {place(run.curves)}")
    origin = read_origin(place(run.provenance), place(run.version), scores, evaluate)
    # Reference runs of earlier versions have the second. The report does without either.
    diagnoses = place(run.diagnosis), place(run.diagnosis.parent).with_suffix(".json")
    diagnosis = next((read_diagnosis(file, run) for file in diagnoses if file.is_file()), None)
    return _RunResults(metrics, score_table, curves, origin, diagnosis)


def mean_of(entry: Summary | None) -> float | None:
    """Return the mean of an entry of an aggregate; None where there is none."""
    mean = entry["mean"] if entry else None
    return None if mean is None else float(mean)


def seed_means(results: Results, method: str, metric: str) -> list[float | None]:
    """Return a metric's mean for each training seed; for a baseline, its one mean."""
    if method not in results.variants:
        return [mean_of(results.aggregate[method].get(metric))]
    return [mean_of(results.by_seed[seed][method].get(metric)) for seed in results.seeds_of(method)]


def mean_intervals(
    results: Results, method: str, metrics: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Return the 95 % intervals of a method's means, of the metrics that have enough scores.

    Those of a ratio are the intervals of the mean logarithm, turned back into ratios.
    """
    intervals = {}
    for name in metrics:
        if name not in results.frame or name not in METRICS:
            continue
        scores = results.scores(method, name, to_ideal=False)
        if len(scores.scored) > 1:
            found = interval_of_mean(scores.sample(scores.scored))
            ends = (found.low, found.high)
            intervals[name] = (math.exp(ends[0]), math.exp(ends[1])) if is_ratio(name) else ends
    return intervals


def with_skill(scores: Aggregate) -> Aggregate:
    """Add the skill to every method's metrics."""
    reference = mean_of(scores.get(TELEA, {}).get(METRIC))
    for metrics in scores.values():
        ours = mean_of(metrics.get(METRIC))
        entry: Summary = {"mean": None, "sd": None, "n": 0, "infinite": 0}
        if reference and ours is not None:
            entry |= {"mean": 1 - ours / reference, "n": metrics[METRIC]["n"]}
        else:
            entry["missing"] = f"needs the {METRIC} of the baseline {TELEA}"
        metrics[SKILL] = entry
    return scores


def _check_owner(frame: pd.DataFrame, run: paths.Run) -> None:
    owners = set(frame[["method", "seed"]].itertuples(index=False, name=None))
    if owners != {(run.variant, run.seed)}:
        raise InputError(f"{run.scores}: has rows of {sorted(owners)}, not of {run} alone")


def _curves(path: Path, made_by: str) -> pd.DataFrame:
    require(path, made_by)
    try:
        curves = pd.read_csv(path)
        if curves.empty or curves["epoch"].tolist() != [*range(1, len(curves) + 1)]:
            raise ValueError("the epochs are not 1, 2, 3, …")
        if words := [name for name in curves if curves[name].dtype.kind not in "if"]:
            raise ValueError(f"{words[0]} is not all numbers")
    except (ValueError, KeyError) as error:
        reason = printable(str(error).strip())
        raise InputError(f"{path}: not a table of epochs ({reason}); run `{made_by}`") from None
    return curves
