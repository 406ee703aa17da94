"""Two versions of the results → what changed, run by run and metric by metric."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from benchmark.evaluation.metrics_file import LARGEST
from benchmark.evaluation.score_table import metric_columns
from benchmark.metrics import METRICS
from benchmark.metrics.registry import mean_over_seeds
from benchmark.stats.comparison import (
    Comparison,
    Scores,
    comparable_scores,
    comparison_of,
    family,
    image_groups,
    score_matrix,
)
from benchmark.stats.intervals import Spread, interval_of_mean
from benchmark.versions.diff import changed_files, origin_changes, setting_changes
from benchmark.versions.snapshot import Snapshot, Subject
from data.errors import InputError

State = Literal["identical", "compared", "not comparable", "new", "vanished"]
PAIRED = ("method", "seed", "image", "mask", "hole_px")
"""What a score of the one version has to have in common with one of the other."""
SCORED: tuple[State, ...] = ("identical", "compared")
FEWEST_SEEDS = 3
"""From so many on their own differences show what seeds change."""
OLD, NEW = " old", " new"
"""Ends of the names of columns; no metric's name has a space."""


@dataclass(frozen=True)
class SubjectChange:
    """A run, or the baselines of a suite, in both versions."""

    subject: Subject
    state: State
    reason: str = ""
    """Why it is not comparable, or not all of it."""
    digests: tuple[str, ...] = ()
    """Which of code, config and data of its training differ."""
    environment: tuple[str, ...] = ()
    """What differs between the machines and libraries that trained and scored it."""


@dataclass(frozen=True)
class MetricChange:
    """A metric of a method in both versions; means over seeds."""

    suite: str
    method: str
    metric: str
    old: float | None
    new: float | None
    comparison: Comparison | None
    """Of the images, holes and seeds that both have; None where nothing changed, without values,
    and of metrics that this code does not know."""
    is_same: bool
    """Whether nothing changed, on any image."""

    @property
    def verdict(self) -> str:
        """What became of the metric, in one word or two."""
        if self.new is None:
            return "missing"
        if self.old is None:
            return "new"
        if self.is_same:
            return "identical"
        return "means only" if self.comparison is None else self.comparison.verdict

    def is_within(self, tolerance: float | None) -> bool:
        """Return whether it is the same, or its means differ by a known tolerance at most."""
        if self.is_same or tolerance is None or self.old is None or self.new is None:
            return self.is_same
        return abs(self.new - self.old) <= tolerance


@dataclass(frozen=True)
class VersionComparison:
    """Two versions, the old one first."""

    old: Snapshot
    new: Snapshot
    subjects: tuple[SubjectChange, ...]
    metrics: tuple[MetricChange, ...]
    settings: tuple[str, ...]
    """Keys that differ, with both values."""
    code: tuple[str, ...] | None
    """Files that differ; None where it is not known."""

    @property
    def identical(self) -> bool:
        """Whether every run of either version is in the other, with the same bytes."""
        return all(change.state == "identical" for change in self.subjects)


def compare_versions(old: Snapshot, new: Snapshot) -> VersionComparison:
    """Compare the results of two versions.

    Raises:
        InputError: a file of results is damaged.
    """
    ours, theirs = set(new.subjects), set(old.subjects)
    subjects = [_subject_change(s, old, new) for s in sorted(ours & theirs)]
    subjects += [SubjectChange(s, "vanished") for s in sorted(theirs - ours)]
    subjects += [SubjectChange(s, "new") for s in sorted(ours - theirs)]
    metrics: list[MetricChange] = []
    scored = [change for change in subjects if change.state in SCORED]
    for suite in dict.fromkeys(change.subject.suite for change in scored):
        metrics += _metric_changes(old, new, [c for c in scored if c.subject.suite == suite])
    files = changed_files(old, new)
    return VersionComparison(
        old=old,
        new=new,
        subjects=tuple(subjects),
        metrics=tuple(metrics),
        settings=tuple(setting_changes(old, new, ours & theirs)),
        code=None if files is None else tuple(files),
    )


def _subject_change(subject: Subject, old: Snapshot, new: Snapshot) -> SubjectChange:
    state, reason = _state(subject, old, new)
    origin = origin_changes(old, new, subject) if subject.is_run else ((), ())
    return SubjectChange(subject, state, reason, *origin)


def _state(subject: Subject, old: Snapshot, new: Snapshot) -> tuple[State, str]:
    """Return how far the two versions of a subject can be compared, and why no further."""
    contents = [side.content(subject) for side in (old, new)]
    for side, content in zip((old, new), contents, strict=True):
        for path in (subject.metrics, subject.scores):
            if path not in content:
                return "not comparable", f"{side.name} has no {path.as_posix()}"
    if contents[0] == contents[1]:
        return "identical", ""
    protocols = [side.metrics(subject).protocol for side in (old, new)]
    if protocols[0] != protocols[1]:
        return "not comparable", f"scored by protocol {protocols[0]}, and now {protocols[1]}"
    tables = [side.score_table(subject) for side in (old, new)]
    # A method that one side alone has is told by its metrics.
    shared = set.intersection(*(set(table["method"]) for table in tables))
    rows = [table.loc[table["method"].isin(shared), list(PAIRED)] for table in tables]
    both = rows[0].merge(rows[1], how="outer", indicator=True)["_merge"].value_counts()
    if not both["both"]:
        return "not comparable", "no image has the same hole in both"
    if both["left_only"] or both["right_only"]:
        counts = f"{both['left_only']} scores of {old.name} and {both['right_only']} of {new.name}"
        return "compared", (
            f"{counts} are not compared, for the other has none of the same image and hole"
        )
    return "compared", ""


def _metric_changes(
    old: Snapshot, new: Snapshot, changes: Sequence[SubjectChange]
) -> list[MetricChange]:
    """Compare every metric of every method of a suite."""
    suite = changes[0].subject.suite
    image_px = new.image_px(suite)
    methods: dict[str, list[SubjectChange]] = {}
    for change in changes:
        sides = [side.metrics(change.subject).methods for side in (old, new)]
        for method in dict.fromkeys([*sides[0], *sides[1]]):
            methods.setdefault(method, []).append(change)
    found: list[MetricChange] = []
    for method, of_method in methods.items():
        subjects = [change.subject for change in of_method]
        before, after = (_means(side, method, subjects) for side in (old, new))
        pairs = None
        if any(change.state != "identical" for change in of_method):
            pairs = _pairs(old, new, method, subjects)
        # A metric that this code does not know is one all the same.
        for metric in dict.fromkeys([*METRICS, *before, *after]):
            means = before.get(metric), after.get(metric)
            if means == (None, None):
                continue
            same = means[0] == means[1] and not _moves(pairs, metric)
            compared = None
            if not same and pairs is not None:
                is_trained = subjects[0].is_run
                known = old.spread(suite, method, metric) if is_trained else None
                compared = _compared(pairs, method, metric, image_px, is_trained, known)
            found.append(MetricChange(suite, method, metric, *means, compared, same))
    return _adjusted(found)


def _means(side: Snapshot, method: str, subjects: Sequence[Subject]) -> dict[str, float]:
    """Return a method's mean over seeds of every metric of which all seeds have a value."""
    values: dict[str, list[float]] = {}
    for subject in subjects:
        for metric, entry in side.metrics(subject).methods.get(method, {}).items():
            if entry.value is not None:
                values.setdefault(metric, []).append(entry.value)
    whole = {metric: found for metric, found in values.items() if len(found) == len(subjects)}
    return {metric: mean_over_seeds(metric, found) for metric, found in whole.items()}


def _pairs(old: Snapshot, new: Snapshot, method: str, subjects: Sequence[Subject]) -> pd.DataFrame:
    """Return the scores of a method that both versions have, those of both in one row."""
    sides = []
    for side, end in ((old, OLD), (new, NEW)):
        frame = pd.concat([side.score_table(subject) for subject in subjects], ignore_index=True)
        names = {metric: f"{metric}{end}" for metric in metric_columns(frame)}
        kept = [*PAIRED, *names, *({"group"} & {*frame} if end == NEW else ())]
        sides.append(frame.loc[frame["method"] == method, kept].rename(columns=names))
    return sides[0].merge(sides[1], on=list(PAIRED))


def _moves(pairs: pd.DataFrame | None, metric: str) -> bool:
    """Return whether any score of a metric changed."""
    if pairs is None:
        return False
    columns = [f"{metric}{end}" for end in (OLD, NEW)]
    return {*columns} <= {*pairs.columns} and not pairs[columns[0]].equals(pairs[columns[1]])


def _compared(
    pairs: pd.DataFrame,
    method: str,
    metric: str,
    image_px: int,
    is_trained: bool,
    known: Spread | None,
) -> Comparison | None:
    """Compare a method with itself on the images, holes and seeds of both score tables.

    Here seeds are paired: where code that scores has changed, all seeds move alike. From three
    seeds on their differences show the spread; with fewer, it is that of two runs, taken as known
    from what was measured: a gate rather refuses once too often.
    """
    columns = [f"{metric}{end}" for end in (NEW, OLD)]
    if metric not in METRICS or not {*columns} <= {*pairs.columns}:
        return None
    whole, tables = pairs.dropna(subset=columns), []
    for column in columns:
        scaled = comparable_scores(whole.assign(**{metric: whole[column]}), metric, image_px)
        if not (scaled[metric].abs() < LARGEST).all():
            raise InputError(f"{method}: a score in {metric} is infinite, or not below {LARGEST:g}")
        tables.append(score_matrix(scaled, method, metric))
    moved, spread = tables[0] - tables[1], None
    if known is not None and len(moved) < FEWEST_SEEDS:
        spread = Spread(math.sqrt(2) * known.sd, math.inf)
    scores = Scores(method, moved, image_groups(whole), is_trained, spread)
    if scores.scored.empty:
        return None
    sample = scores.sample(scores.scored)
    means, seeds = sample.scores.mean(axis=0), len(sample.scores)
    names = method, "old", metric
    return comparison_of(names, interval_of_mean(sample), means, sample.groups, seeds)


def _adjusted(changes: Sequence[MetricChange]) -> list[MetricChange]:
    """Adjust the p values of a suite's changes, those of one metric together."""
    adjusted = list(changes)
    for metric in dict.fromkeys(change.metric for change in changes):
        places = [i for i, c in enumerate(changes) if c.metric == metric and c.comparison]
        found = family(c for i in places if (c := changes[i].comparison) is not None)
        for place, comparison in zip(places, found, strict=True):
            adjusted[place] = replace(changes[place], comparison=comparison)
    return adjusted
