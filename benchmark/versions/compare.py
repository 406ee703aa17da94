"""Two versions of the results -> what changed, run by run and metric by metric."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmark.core import paths
from benchmark.evaluation.score_table import metric_columns
from benchmark.metrics import METRICS
from benchmark.stats.comparison import (
    Comparison,
    comparable_scores,
    comparison_of,
    family,
    paired_differences,
    score_matrix,
)
from benchmark.versions.diff import diff_bytes, machine_differences
from benchmark.versions.snapshot import LARGEST, Snapshot, Subject, changed_files
from benchmark.versions.tolerances import BASELINES
from data.errors import InputError

State = Literal["identical", "compared", "means only", "not comparable", "new", "vanished"]
DIGESTS = ("code", "config", "data")
PAIRED = ("method", "seed", "image", "mask", "hole_px")
"""What a score of the one version has to have in common with one of the other."""
SCORED: tuple[State, ...] = ("identical", "compared", "means only")
OLD, NEW = " old", " new"
"""Ends of the names of columns; no metric's name has a space."""


@dataclass(frozen=True)
class SubjectChange:
    """A run, or the baselines of a suite, in both versions."""

    subject: Subject
    state: State
    reason: str = ""
    """Why it is not comparable, or only in its means."""
    digests: tuple[str, ...] = ()
    """Which of code, config and data of its training differ."""
    environment: tuple[str, ...] = ()
    """What differs between the machines and libraries that trained it."""


@dataclass(frozen=True)
class MetricChange:
    """A metric of a method in both versions; means over seeds."""

    suite: str
    method: str
    metric: str
    old: float | None
    new: float | None
    comparison: Comparison | None
    """Of the images, holes and seeds that both have; None without score tables or values, and where
    nothing changed."""
    is_same: bool
    """Whether nothing changed, on any image."""


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
        settings=tuple(_setting_changes(old, new, ours & theirs)),
        code=None if files is None else tuple(files),
    )


def _subject_change(subject: Subject, old: Snapshot, new: Snapshot) -> SubjectChange:
    state, reason = _state(subject, old, new)
    return SubjectChange(subject, state, reason, *_origin_changes(subject, old, new))


def _state(subject: Subject, old: Snapshot, new: Snapshot) -> tuple[State, str]:
    """Return how far the two versions of a subject can be compared, and why no further."""
    protocols, keys = [], []
    for side in (old, new):
        if (metrics := side.metrics(subject)) is None:
            return "not comparable", f"{side.name} has no {subject.metrics.as_posix()}"
        protocols.append(metrics.protocol)
    files = [
        file
        for path in (subject.metrics, subject.scores)
        for file in diff_bytes(path, new.place(path), old.place(path))
    ]
    if all(file.state == "identical" for file in files):
        return "identical", ""
    if protocols[0] != protocols[1]:
        return "not comparable", f"scored by protocol {protocols[0]}, and now {protocols[1]}"
    tables = [side.score_table(subject) for side in (old, new)]
    for side, table in zip((old, new), tables, strict=True):
        if table is None:
            return "means only", f"{side.name} has no {subject.scores.as_posix()} in git"
    present = [table for table in tables if table is not None]
    # A method that one side alone has is told by its metrics.
    shared = set.intersection(*(set(table["method"]) for table in present))
    for table in present:
        rows = table.loc[table["method"].isin(shared), list(PAIRED)]
        keys.append(set(rows.itertuples(index=False, name=None)))
    if not keys[0] & keys[1]:
        return "not comparable", "no image has the same hole in both"
    only = (len(keys[0] - keys[1]), len(keys[1] - keys[0]))
    if any(only):
        left_out = f"{only[0]} scores of {old.name} and {only[1]} of {new.name} are not compared"
        return "compared", f"{left_out}, for the other has none of the same image and hole"
    return "compared", ""


def _origin_changes(
    subject: Subject, old: Snapshot, new: Snapshot
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which digests of a run differ, and what of its machine."""
    if subject.name == BASELINES:
        return (), ()
    before, after = old.training(subject), new.training(subject)
    if not before or not after:  # not known is not another
        return (), ()
    digests = [n for n in DIGESTS if before.get(f"{n}_sha256") != after.get(f"{n}_sha256")]
    machines = [side.get("environment") for side in (after, before)]
    if not all(isinstance(machine, Mapping) for machine in machines):
        return tuple(digests), ()
    here, there = ({**machine} for machine in machines if isinstance(machine, Mapping))
    return tuple(digests), tuple(machine_differences(here, there, names=("now", "before")))


def _metric_changes(
    old: Snapshot, new: Snapshot, changes: Sequence[SubjectChange]
) -> list[MetricChange]:
    """Compare every metric of every method of a suite."""
    suite = changes[0].subject.suite
    image_px = new.image_px(suite)
    found: list[MetricChange] = []
    for method, of_method in _methods(old, new, changes).items():
        subjects = [change.subject for change in of_method]
        before, after = (_means(side, method, subjects) for side in (old, new))
        pairs = None
        if not (untouched := all(change.state == "identical" for change in of_method)):
            pairs = _pairs(old, new, method, [c.subject for c in of_method if c.state in SCORED])
        # A metric that this code does not know is one all the same.
        for metric in dict.fromkeys([*METRICS, *before, *after]):
            means = before.get(metric), after.get(metric)
            if means == (None, None):
                continue
            same = untouched or (means[0] == means[1] and not _moves(pairs, metric))
            compared = None if same else _compared(pairs, method, metric, image_px)
            found.append(MetricChange(suite, method, metric, *means, compared, same))
    return _adjusted(found)


def _methods(
    old: Snapshot, new: Snapshot, changes: Iterable[SubjectChange]
) -> dict[str, list[SubjectChange]]:
    """Return the subjects of every method of either version."""
    found: dict[str, list[SubjectChange]] = {}
    for change in changes:
        sides = [side.metrics(change.subject) for side in (old, new)]
        for name in dict.fromkeys(name for side in sides if side for name in side.methods):
            found.setdefault(name, []).append(change)
    return found


def _means(side: Snapshot, method: str, subjects: Sequence[Subject]) -> dict[str, float]:
    """Return a method's mean over seeds of every metric of which all seeds have a value."""
    values: dict[str, list[float]] = {}
    for subject in subjects:
        content = side.metrics(subject)
        for metric, entry in (content.methods.get(method, {}) if content else {}).items():
            if entry.value is not None:
                values.setdefault(metric, []).append(entry.value)
    whole = {metric: found for metric, found in values.items() if len(found) == len(subjects)}
    return {metric: math.fsum(found) / len(found) for metric, found in whole.items()}


def _pairs(
    old: Snapshot, new: Snapshot, method: str, subjects: Sequence[Subject]
) -> pd.DataFrame | None:
    """Return the scores of a method that both versions have, those of both in one row."""
    sides = []
    for side, end in ((old, OLD), (new, NEW)):
        tables = [side.score_table(subject) for subject in subjects]
        present = [table[table["method"] == method] for table in tables if table is not None]
        if not present:
            return None
        frame = pd.concat(present, ignore_index=True)
        names = {metric: f"{metric}{end}" for metric in metric_columns(frame)}
        sides.append(frame[[*PAIRED, *names]].rename(columns=names))
    return sides[0].merge(sides[1], on=list(PAIRED))


def _moves(pairs: pd.DataFrame | None, metric: str) -> bool:
    """Return whether any score of a metric changed."""
    if pairs is None:
        return False
    columns = [f"{metric}{end}" for end in (OLD, NEW)]
    return {*columns} <= {*pairs.columns} and not pairs[columns[0]].equals(pairs[columns[1]])


def _compared(
    pairs: pd.DataFrame | None, method: str, metric: str, image_px: int
) -> Comparison | None:
    """Compare a method with itself on the images, holes and seeds of both score tables."""
    columns = [f"{metric}{end}" for end in (NEW, OLD)]
    if pairs is None or metric not in METRICS or not {*columns} <= {*pairs.columns}:
        return None
    tables = []
    whole = pairs.dropna(subset=columns)
    for column in columns:
        scores = whole[list(PAIRED)].assign(**{metric: whole[column]})
        scaled, _ = comparable_scores(scores, metric, image_px)
        if not (scaled[metric].abs() < LARGEST).all():
            raise InputError(f"{method}: a score in {metric} is infinite, or not below {LARGEST:g}")
        tables.append(score_matrix(scaled, method, metric))
    differences = paired_differences(tables[0], tables[1], has_seeds=True).to_numpy(np.float64)
    if not differences.size:
        return None
    return comparison_of(method, "old", metric, differences)


def _adjusted(changes: Sequence[MetricChange]) -> list[MetricChange]:
    """Adjust the p values of a suite's changes, those of one metric together."""
    adjusted = list(changes)
    for metric in dict.fromkeys(change.metric for change in changes):
        places = [i for i, c in enumerate(changes) if c.metric == metric and c.comparison]
        found = family(c for i in places if (c := changes[i].comparison) is not None)
        for place, comparison in zip(places, found, strict=True):
            adjusted[place] = replace(changes[place], comparison=comparison)
    return adjusted


def _setting_changes(old: Snapshot, new: Snapshot, subjects: Iterable[Subject]) -> list[str]:
    """Return a line for each key that differs of the settings of what both versions have."""
    ordered = sorted(subjects)
    # Not params.yaml: it selects runs, and these are listed as new or vanished.
    files = [paths.SUITES / f"{name}.yaml" for name in dict.fromkeys(s.suite for s in ordered)]
    names = sorted({s.name for s in ordered} - {BASELINES})
    files += [paths.VARIANTS / f"{name}.yaml" for name in names]
    lines = []
    for path in files:
        before, after = (_flat(side.settings(path) or {}) for side in (old, new))
        for key in sorted(before.keys() | after.keys()):
            sides = [json.dumps(s[key]) if key in s else "nothing" for s in (before, after)]
            if sides[0] != sides[1]:
                lines.append(f"{path.as_posix()}: {key}: {sides[0]} -> {sides[1]}")
    return lines


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested keys as paths with dots."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
