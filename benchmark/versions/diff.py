"""How far two results of the same run agree: exactness class, files, and metrics with bands."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.core.files import read_json
from benchmark.evaluation.score_table import COLUMNS
from data.errors import InputError

State = Literal["identical", "within band", "different", "no pinned result"]
Exactness = Literal["E0", "E1", "E2"]

NOT_DATA = ("code_sha256", "config_sha256", "weights_sha256")
"""Digests of a provenance file that may differ between machines or versions; all others are of what
must be the same everywhere."""


@dataclass(frozen=True)
class Band:
    """How much a metric may differ on another device, and what it differs by from seed to seed."""

    band: float | None
    seeds: float | None = None


NO_BAND = Band(None)
BandOf = Callable[[str, str], Band]
"""From a method and a metric to its band."""


@dataclass(frozen=True)
class FileAgreement:
    """How a file, or a part of it, compares with the pinned one."""

    path: str
    state: State
    part: str | None = None
    """A digest within the file, or the columns of a score table that name images and holes."""
    is_data: bool = False
    """Whether the promise is that it is the same on every machine."""

    @property
    def counts(self) -> bool:
        """Whether it is a result: code and settings are said to differ, but are none."""
        return self.part not in ("code_sha256", "config_sha256")


@dataclass(frozen=True)
class MetricAgreement:
    """How a method's mean compares with the pinned one."""

    path: str
    method: str
    metric: str
    here: float | None
    pinned: float | None
    band: float | None
    seeds: float | None
    """Standard deviation over seeds."""
    state: State

    @property
    def has_value(self) -> bool:
        """Whether there is a value on either side."""
        return self.here is not None or self.pinned is not None

    @property
    def difference(self) -> float | None:
        """What is here minus what is pinned."""
        if self.here is None or self.pinned is None:
            return None
        return self.here - self.pinned


def exactness(
    here: Mapping[str, Any], pinned: Mapping[str, Any], deterministic: bool
) -> tuple[Exactness, list[str]]:
    """Return the class of a run that is made again, and what speaks against a better one.

    E1 asks for the same CPU too, as it draws the initial weights and computes the scores.

    Args:
        here: content of the provenance file of the rebuilt run.
        pinned: that of the pinned one.
        deterministic: whether the suite asks for deterministic algorithms.
    """
    places = ((here.get("training", {}).get("environment"), "training"), (here.get("evaluation"),))
    reasons: list[str] = []
    on_cpu = True
    for ours, *key in places:
        theirs = pinned.get("training", {}).get("environment") if key else pinned.get("evaluation")
        if not isinstance(ours, Mapping) or not isinstance(theirs, Mapping):
            reasons.append("no fingerprint of the machine is pinned")
            continue
        reasons += differences_of(ours, theirs)
        on_cpu &= ours.get("device") == "cpu"
    if not reasons and not on_cpu and not deterministic:
        reasons.append("training.deterministic is false")
    if reasons:
        return "E2", list(dict.fromkeys(reasons))
    return ("E0" if on_cpu else "E1"), []


def differences_of(
    here: Mapping[str, Any],
    pinned: Mapping[str, Any],
    names: tuple[str, str] = ("here", "pinned"),
    prefix: str = "",
) -> list[str]:
    """Return a line for each fact of two machines that differs.

    Args:
        here: the one.
        pinned: the other.
        names: what to call the two.
        prefix: of the names of facts.
    """
    lines = []
    for name in sorted(here.keys() | pinned.keys()):
        ours, theirs = here.get(name), pinned.get(name)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            lines += differences_of(ours, theirs, names, f"{prefix}{name}.")
        elif ours != theirs:
            shown = ["none" if value is None else str(value) for value in (ours, theirs)]
            lines.append(f"{prefix}{name}: {shown[0]} {names[0]}, {shown[1]} {names[1]}")
    return lines


def compare_file(path: Path, here: Path, pinned: Path) -> FileAgreement | None:
    """Compare the bytes of a file; None where it is on neither side.

    Args:
        path: its name in the answer.
        here: where the rebuilt one is.
        pinned: where the pinned one is.
    """
    if not pinned.is_file():
        return FileAgreement(path.as_posix(), "no pinned result") if here.is_file() else None
    same = here.is_file() and here.read_bytes() == pinned.read_bytes()
    return FileAgreement(path.as_posix(), _state(same))


def compare_digest(path: Path, here: str, pinned: str | None) -> FileAgreement:
    """Compare the digest of a file or folder."""
    state = "no pinned result" if pinned is None else _state(here == pinned)
    return FileAgreement(path.as_posix(), state)


def compare_origin(
    path: Path, here: Mapping[str, Any], pinned: Mapping[str, Any]
) -> list[FileAgreement]:
    """Compare the digests of two provenance files."""
    ours, theirs = here.get("training", {}), pinned.get("training", {})
    names = [name for name in sorted(ours.keys() | theirs.keys()) if name.endswith("_sha256")]
    return [
        FileAgreement(
            path.as_posix(),
            _state(ours.get(name) == theirs[name]) if name in theirs else "no pinned result",
            part=name,
            is_data=name not in NOT_DATA,
        )
        for name in names
    ]


def compare_keys(path: Path, here: Path, pinned: Path) -> FileAgreement:
    """Compare what two score tables say of which images and holes were scored, in which order."""
    same = pinned.is_file() and here.is_file() and _keys(here) == _keys(pinned)
    return FileAgreement(path.as_posix(), _state(same), part="images and holes", is_data=True)


def _keys(path: Path) -> list[list[str]] | str:
    """Return the first columns of a score table; of one that is damaged, how."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [row[: len(COLUMNS)] for row in csv.reader(file, strict=True)]
    except (OSError, ValueError, csv.Error) as error:
        return f"{path}: {error}"


def compare_metrics(
    path: Path, here: Path, pinned: Path, exactness: Exactness, band_of: BandOf
) -> list[MetricAgreement]:
    """Compare the means of all methods of two metrics files.

    Args:
        path: its name in the answer.
        here: the rebuilt file.
        pinned: the pinned file.
        exactness: below E2 nothing but equality is good enough.
        band_of: how much a metric may differ.

    Raises:
        InputError: a file cannot be read.
    """
    ours, theirs = read_means(here), read_means(pinned)
    compared = []
    for method in dict.fromkeys([*theirs, *ours]):
        found, expected = ours.get(method, {}), theirs.get(method, {})
        for metric in dict.fromkeys([*expected, *found]):
            band = band_of(method, metric)
            value, reference = found.get(metric), expected.get(metric)
            state: State = "different"
            if metric in found and metric in expected:
                state = _metric_state(value, reference, band.band if exactness == "E2" else None)
            numbers = (value, reference, band.band, band.seeds)
            compared.append(MetricAgreement(path.as_posix(), method, metric, *numbers, state))
    return compared


def _metric_state(here: float | None, pinned: float | None, band: float | None) -> State:
    if here == pinned:
        return "identical"
    if here is None or pinned is None or band is None:
        return "different"
    return "within band" if abs(here - pinned) <= band else "different"


def read_means(path: Path) -> dict[str, dict[str, float | None]]:
    """Return the means of a metrics file by method and metric; None where there is no value.

    Raises:
        InputError: it is missing or not such a file.
    """
    content = read_json(path, "python -m benchmark evaluate")
    try:
        return {
            method: {
                metric: None if entry["mean"] is None else float(entry["mean"])
                for metric, entry in metrics.items()
            }
            for method, metrics in content["methods"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a file of metrics ({error!r})") from None


def files_agree(files: Sequence[FileAgreement]) -> bool:
    """Return whether every result that is pinned is identical."""
    return all(f.state in ("identical", "no pinned result") for f in files if f.counts)


def promise_kept(
    exactness: Exactness, files: Sequence[FileAgreement], metrics: Sequence[MetricAgreement]
) -> bool:
    """Return whether a rebuilt run is what its class promises."""
    if files_agree(files):
        return True
    if exactness != "E2" or any(f.is_data and f.state == "different" for f in files):
        return False
    return all(metric.state != "different" for metric in metrics)


def _state(same: bool) -> State:
    return "identical" if same else "different"
