"""Files, means and machines of two results -> how they differ, and the class of exactness.

Classes of exactness: E0, on a CPU with equal fingerprints, and E1, on a GPU with equal fingerprints
and `training.deterministic`, promise identical files. E2, everything else, promises the same data
and means within their tolerances. Of the data, `data_sha256` covers images, splits and holes, and
the first columns of a score table say what was scored. Initial weights and the order of the data
follow from settings, seed and code alone, so they are the same where the digests of these are.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.evaluation.score_table import COLUMNS

State = Literal["identical", "within tolerance", "different", "nothing expected"]
Exactness = Literal["E0", "E1", "E2"]
CODE_AND_SETTINGS = ("code_sha256", "config_sha256")
"""Digests that are told where they differ, but are no results."""
NOT_DATA = (*CODE_AND_SETTINGS, "weights_sha256")
"""Digests that may differ between machines or versions; all others of a provenance file may not."""


@dataclass(frozen=True)
class FileDiff:
    """How a file, or a part of it, compares with the expected one."""

    path: str
    state: State
    part: str | None = None
    """A digest within the file, or the columns of a score table that name images and holes."""
    is_data: bool = False
    """Whether it is promised to be the same on every machine."""

    @property
    def is_result(self) -> bool:
        """Whether a difference is one of results."""
        return self.part not in CODE_AND_SETTINGS


@dataclass(frozen=True)
class MeanDiff:
    """How the mean of a method's metric compares with the expected one."""

    path: str
    method: str
    metric: str
    here: float | None
    expected: float | None
    tolerance: float | None
    """None where only equality is good enough, or nothing was measured."""
    seed_sd: float | None
    """Standard deviation over training seeds, to judge the difference by."""

    @property
    def difference(self) -> float | None:
        """The mean here minus the expected one."""
        if self.here is None or self.expected is None:
            return None
        return self.here - self.expected

    @property
    def state(self) -> State:
        """Whether the two are equal, or near enough."""
        if self.here == self.expected:
            return "identical"
        if self.difference is None or self.tolerance is None:
            return "different"
        return "within tolerance" if abs(self.difference) <= self.tolerance else "different"

    def __str__(self) -> str:
        means = ["no value" if m is None else f"{m:.7g}" for m in (self.here, self.expected)]
        text = f"{self.state:16} {self.method} {self.metric}: {means[0]} here, {means[1]} expected"
        text += "" if self.difference is None else f", difference {self.difference:+.3g}"
        text += ", no tolerance" if self.tolerance is None else f", tolerance {self.tolerance:.3g}"
        return text + ("" if self.seed_sd is None else f", seeds ±{self.seed_sd:.3g}")


def exactness(
    here: Mapping[str, Any], expected: Mapping[str, Any], deterministic: bool
) -> tuple[Exactness, list[str]]:
    """Return the class of a run that is made again, and the reasons against a better one.

    E1 asks for the same CPU too, as it draws the initial weights and computes the scores.

    Args:
        here: the content of the provenance file of the run that was made again.
        expected: that of the expected one.
        deterministic: whether the suite asks for deterministic algorithms.
    """
    reasons: list[str] = []
    is_on_cpu = True
    ours, theirs = (
        (side.get("training", {}).get("environment"), side.get("evaluation"))
        for side in (here, expected)
    )
    for machine, other in zip(ours, theirs, strict=True):
        if not isinstance(machine, Mapping) or not isinstance(other, Mapping):
            reasons.append("the expected results have no fingerprint of the machine")
            continue
        reasons += machine_differences(machine, other)
        is_on_cpu &= machine.get("device") == "cpu"
    if not reasons and not is_on_cpu and not deterministic:
        reasons.append("training.deterministic is false")
    if reasons:
        return "E2", list(dict.fromkeys(reasons))
    return ("E0" if is_on_cpu else "E1"), []


def machine_differences(
    here: Mapping[str, Any],
    other: Mapping[str, Any],
    names: tuple[str, str] = ("here", "expected"),
    prefix: str = "",
) -> list[str]:
    """Return a line for each fact of two machines that differs.

    Args:
        here: the one.
        other: the other.
        names: what to call the two.
        prefix: of the names of facts.
    """
    lines = []
    for name in sorted(here.keys() | other.keys()):
        ours, theirs = here.get(name), other.get(name)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            lines += machine_differences(ours, theirs, names, f"{prefix}{name}.")
        elif ours != theirs:
            shown = ["none" if value is None else str(value) for value in (ours, theirs)]
            lines.append(f"{prefix}{name}: {shown[0]} {names[0]}, {shown[1]} {names[1]}")
    return lines


def diff_bytes(path: Path, here: Path, expected: Path) -> list[FileDiff]:
    """Compare the bytes of a file; nothing where it is on neither side.

    Args:
        path: its name in the answer.
        here: where it is.
        expected: where the expected one is.
    """
    if not here.is_file() and not expected.is_file():
        return []
    if not expected.is_file():
        return [FileDiff(path.as_posix(), "nothing expected")]
    same = here.is_file() and here.read_bytes() == expected.read_bytes()
    return [FileDiff(path.as_posix(), _state(same))]


def diff_digests(path: Path, here: str, expected: str | None) -> FileDiff:
    """Compare the digest of a file or folder with the expected one, where that is known."""
    state = "nothing expected" if expected is None else _state(here == expected)
    return FileDiff(path.as_posix(), state)


def diff_origins(
    path: Path, here: Mapping[str, Any], expected: Mapping[str, Any]
) -> list[FileDiff]:
    """Compare the digests that two provenance files have of a training."""
    names = [name for name in sorted(here.keys() | expected.keys()) if name.endswith("_sha256")]
    return [
        FileDiff(
            path.as_posix(),
            _state(here.get(name) == expected[name]) if name in expected else "nothing expected",
            part=name,
            is_data=name not in NOT_DATA,
        )
        for name in names
    ]


def diff_scored(path: Path, here: Path, expected: Path) -> FileDiff:
    """Compare which images and holes two score tables are about, and in which order."""
    same = expected.is_file() and here.is_file() and _scored(here) == _scored(expected)
    return FileDiff(path.as_posix(), _state(same), part="images and holes", is_data=True)


def _scored(path: Path) -> list[list[str]] | str:
    """Return the first columns of a score table; of one that is damaged, how."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [row[: len(COLUMNS)] for row in csv.reader(file, strict=True)]
    except (OSError, ValueError, csv.Error) as error:
        return f"{path}: {error}"


def _state(same: bool) -> State:
    return "identical" if same else "different"
