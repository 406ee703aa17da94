"""What changed between two versions of the results, run by run and metric by metric."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmark import paths
from benchmark.agreement import differences_of
from benchmark.metrics import METRICS
from benchmark.snapshots import BASELINES, Snapshot, Subject, changed_files
from benchmark.verdict import (
    Comparison,
    comparable_scores,
    comparison_of,
    family,
    paired_differences,
    score_table,
)
from data.errors import InputError

State = Literal["identical", "compared", "means only", "not comparable", "new", "vanished"]
DIGESTS = ("code", "config", "data")
PAIRED = ("method", "seed", "image", "mask", "hole_px")
"""What a score of the one version has to have in common with one of the other."""


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
    """Of the images, holes and seeds that both have; None without ledgers, or values."""

    @property
    def difference(self) -> float | None:
        """The change of the mean, in the metric's unit."""
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def is_same(self) -> bool:
        """Whether nothing changed, on any image."""
        if self.old != self.new:
            return False
        found = self.comparison
        return found is None or (found.difference == 0 and found.low == found.high == 0)


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
        InputError: a file of results is damaged, or there is none that both have.
    """
    ours, theirs = set(new.subjects), set(old.subjects)
    subjects = [_subject_change(s, old, new) for s in sorted(ours & theirs)]
    subjects += [SubjectChange(s, "vanished") for s in sorted(theirs - ours)]
    subjects += [SubjectChange(s, "new") for s in sorted(ours - theirs)]
    metrics: list[MetricChange] = []
    for suite in dict.fromkeys(change.subject.suite for change in subjects):
        changed = [c for c in subjects if c.subject.suite == suite]
        metrics += _metric_changes(old, new, changed)
    files = changed_files(old, new)
    return VersionComparison(
        old=old,
        new=new,
        subjects=tuple(subjects),
        metrics=tuple(metrics),
        settings=tuple(_setting_changes(old, new, ours | theirs)),
        code=None if files is None else tuple(files),
    )


def _subject_change(subject: Subject, old: Snapshot, new: Snapshot) -> SubjectChange:
    before, after = old.content(subject), new.content(subject)
    digests, environment = _origin_changes(subject, old, new)
    state: State = "compared"
    reason = ""
    if before[0] is None or after[0] is None:
        side = old if before[0] is None else new
        state, reason = "not comparable", f"{side.name} has no {subject.metrics.as_posix()}"
    elif before == after:
        state = "identical"
    elif before[1] is None or after[1] is None:
        side = old if before[1] is None else new
        state, reason = "means only", f"{side.name} has no {subject.scores.as_posix()} in git"
    else:
        ledgers = [snapshot.ledger(subject) for snapshot in (old, new)]
        keys = [set(zip(f["image"], f["mask"], strict=True)) for f in ledgers if f is not None]
        if not keys[0] & keys[1]:
            state, reason = "not comparable", "no image has the same hole in both"
        elif keys[0] != keys[1]:
            only = (len(keys[0] - keys[1]), len(keys[1] - keys[0]))
            reason = f"{only[0]} holes of {old.name} and {only[1]} of {new.name} are not compared"
    return SubjectChange(subject, state, reason, digests, environment)


def _origin_changes(
    subject: Subject, old: Snapshot, new: Snapshot
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which digests of a run differ, and what of its machine."""
    if subject.name == BASELINES:
        return (), ()
    before, after = old.training(subject), new.training(subject)
    digests = [n for n in DIGESTS if before.get(f"{n}_sha256") != after.get(f"{n}_sha256")]
    machines = [side.get("environment") for side in (after, before)]
    if not all(isinstance(machine, Mapping) for machine in machines):
        return tuple(digests), ()
    here, there = ({**machine} for machine in machines if isinstance(machine, Mapping))
    return tuple(digests), tuple(differences_of(here, there, names=("now", "before")))


def _metric_changes(
    old: Snapshot, new: Snapshot, changes: Sequence[SubjectChange]
) -> list[MetricChange]:
    """Compare every metric of every method of a suite that both versions have."""
    shared = [c for c in changes if c.state not in ("new", "vanished")]
    paired = [c.subject for c in shared if c.state in ("identical", "compared")]
    frames = [_frame(side, paired) for side in (old, new)]
    suite = changes[0].subject.suite
    image_px = new.image_px(suite)
    found: list[MetricChange] = []
    for method, subjects in _methods(old, new, shared).items():
        means = [_means(side, method, subjects) for side in (old, new)]
        for metric in METRICS:
            if means[0].get(metric) is None and means[1].get(metric) is None:
                continue
            compared = _paired(frames[0], frames[1], method, metric, image_px)
            sides = (means[0].get(metric), means[1].get(metric))
            found.append(MetricChange(suite, method, metric, *sides, compared))
    return _adjusted(found)


def _methods(
    old: Snapshot, new: Snapshot, changes: Iterable[SubjectChange]
) -> dict[str, list[Subject]]:
    """Return the subjects of every method that has metrics in both versions."""
    found: dict[str, list[Subject]] = {}
    for change in changes:
        try:
            sides = [side.metrics(change.subject)["methods"] for side in (old, new)]
        except InputError:
            continue  # said of the subject
        for name in sides[0]:
            if name in sides[1]:
                found.setdefault(name, []).append(change.subject)
    return found


def _means(side: Snapshot, method: str, subjects: Sequence[Subject]) -> dict[str, float | None]:
    """Return a method's mean over seeds of every metric; None where one is missing."""
    values: dict[str, list[float | None]] = {}
    for subject in subjects:
        for metric, entry in side.metrics(subject)["methods"][method].items():
            values.setdefault(metric, []).append(entry.get("mean"))
    means: dict[str, float | None] = {}
    for metric, listed in values.items():
        there = [value for value in listed if value is not None]
        means[metric] = float(np.mean(there)) if len(there) == len(subjects) else None
    return means


def _frame(side: Snapshot, subjects: Sequence[Subject]) -> pd.DataFrame | None:
    ledgers = [side.ledger(subject) for subject in subjects]
    there = [ledger for ledger in ledgers if ledger is not None]
    return pd.concat(there, ignore_index=True) if there else None


def _paired(
    old: pd.DataFrame | None,
    new: pd.DataFrame | None,
    method: str,
    metric: str,
    image_px: int,
) -> Comparison | None:
    """Compare a method with itself on the images, holes and seeds that both ledgers have."""
    if old is None or new is None or metric not in old or metric not in new:
        return None
    sides = [frame.loc[frame["method"] == method, [*PAIRED, metric]] for frame in (old, new)]
    both = sides[0].merge(sides[1], on=list(PAIRED), suffixes=("_old", "_new"))
    tables = []
    for side in ("old", "new"):
        scores = both[list(PAIRED)].assign(**{metric: both[f"{metric}_{side}"]})
        scaled, _ = comparable_scores(scores, metric, image_px)
        tables.append(score_table(scaled, method, metric))
    differences = paired_differences(tables[1], tables[0], has_seeds=True)
    if differences.empty:
        return None
    return comparison_of(method, "old", metric, differences.to_numpy(dtype=np.float64))


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
    """Return a line for each key of the settings that differs."""
    ordered = sorted(subjects)
    files = [paths.PARAMS]
    files += [paths.SUITES / f"{name}.yaml" for name in dict.fromkeys(s.suite for s in ordered)]
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
