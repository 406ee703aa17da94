"""Two versions → what differs besides the scores: settings, code, digests and machines."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmark.core import git, paths
from benchmark.versions.snapshot import Snapshot, Subject

SETTINGS = ("benchmark/suites/", "models/variants/")
CODE = (*git.CODE, "dvc.yaml")
DIGESTS = ("code", "config", "data")


def setting_changes(old: Snapshot, new: Snapshot, subjects: Iterable[Subject]) -> list[str]:
    """Return a line for each key that differs of the settings of some runs that both have."""
    ordered = sorted(subjects)
    # Not params.yaml: it selects runs, and these are listed as new or vanished.
    files = [paths.SUITES / f"{name}.yaml" for name in dict.fromkeys(s.suite for s in ordered)]
    names = sorted({s.name for s in ordered if s.is_run})
    files += [paths.VARIANTS / f"{name}.yaml" for name in names]
    lines = []
    for path in files:
        before, after = (_flat(side.settings(path)) for side in (old, new))
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


def changed_files(old: Snapshot, new: Snapshot) -> list[str] | None:
    """Return which files of code differ; None where one side is neither a commit nor this tree."""
    is_here = new.commit is None and new.folder.resolve() == Path().resolve()
    if old.commit is None or (new.commit is None and not is_here):
        return None
    found = git.changed_files(old.commit, new.commit, CODE)
    # Settings are compared key by key.
    return None if found is None else [f for f in found if not f.startswith(SETTINGS)]


def origin_changes(
    old: Snapshot, new: Snapshot, subject: Subject
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which digests of a training differ, and what of the machines that made its results.

    What one side does not know is not another: there is no line for it.
    """
    before, after = old.origin(subject), new.origin(subject)
    sides = before.training.digests, after.training.digests
    digests = [name for name in DIGESTS if all(sides) and _differ(*sides, f"{name}_sha256")]
    lines = []
    for there, here in (
        (before.training.environment, after.training.environment),
        (before.evaluation, after.evaluation),
    ):
        lines += machine_differences(here, there) if there and here else []
    return tuple(digests), tuple(dict.fromkeys(lines))


def _differ(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> bool:
    return before.get(key) != after.get(key)


def machine_differences(
    here: Mapping[str, Any], other: Mapping[str, Any], prefix: str = ""
) -> list[str]:
    """Return a line for each fact of two machines that differs, e.g. `threads: 8 now, 2 before`."""
    lines = []
    for name in sorted(here.keys() | other.keys()):
        ours, theirs = here.get(name), other.get(name)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            lines += machine_differences(ours, theirs, f"{prefix}{name}.")
        elif ours != theirs:
            shown = ["none" if value is None else str(value) for value in (ours, theirs)]
            lines.append(f"{prefix}{name}: {shown[0]} now, {shown[1]} before")
    return lines
