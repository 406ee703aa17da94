"""Times of two versions -> which subjects have become slower than their repetitions explain.

A subject is slower where its time has grown by more than `RELEVANT`, and chance alone would show as
much in one of `1 / LEVEL` comparisons of equal code at most, all subjects and clocks together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmark.reporting.throughput import Throughput
from benchmark.stats.rulebook import holm
from benchmark.throughput.measuring import Timing
from data.errors import InputError, printable

RELEVANT = 1.10
"""The ratio of times up to which code is as fast as before."""
LEVEL = 0.01
"""The chance that any of the comparisons of a gate is wrong, where nothing is slower."""
LEAST_SPREAD = 0.01
"""Standard error, in the logarithm, that a process has besides its repetitions: where its memory
happens to lie is drawn once for all of them."""
CLOCKS = ("wall", "CPU")
LEAST_ROUNDS = 5
PARTS = ("cpu", "cpu_capability", "gpu", "device", "threads", "machine", "system")
"""Of a fingerprint, what makes a machine another one. Other libraries are a reason to be slower."""


@dataclass(frozen=True)
class Change:
    """How the time of a subject has changed."""

    name: str
    clock: str
    ratio: float
    """The new time by the old one, a geometric mean over rounds."""
    p: float
    """Of a ratio up to `RELEVANT`, adjusted by Holm over everything that was compared."""
    note: str = ""

    @property
    def is_slower(self) -> bool:
        """Whether it is refused."""
        return self.p < LEVEL

    def __str__(self) -> str:
        p = "p < .0001" if self.p < 1e-4 else f"p = {self.p:.4f}"
        return f"{self.name}: {self.ratio:.2f} times the {self.clock} time ({p}){self.note}"


@dataclass(frozen=True)
class Comparison:
    """What the throughput gate found."""

    title: str
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    checked: int = 0
    """Subjects that were compared."""

    @property
    def failures(self) -> list[Change]:
        """What is slower."""
        return [change for change in self.changes if change.is_slower]


def compare_files(old: Throughput, new: Throughput, names: tuple[str, str]) -> Comparison:
    """Compare two runs of `bench`, by times relative to those of the roof in the same round.

    That way a machine that was slower as a whole while one of them ran is no slowdown of the code.

    Args:
        old: the base.
        new: what is held against it.
        names: what they are called.

    Raises:
        InputError: they are of different machines or settings, or have nothing or too few rounds to
            compare.
    """
    title = " -> ".join(printable(name) for name in names)
    for part in PARTS:
        values = [found.machine.get(part) for found in (old, new)]
        if values[0] != values[1]:
            raise InputError(
                f"{title}: not the same machine: {part} is {values[0]}, then {values[1]}; times "
                "of different machines cannot be compared"
            )
    for setting in ("batch_size", "image_px"):
        before, after = getattr(old, setting), getattr(new, setting)
        if before != after:
            raise InputError(f"{title}: measured with {setting} {before}, then {after}")
    shared = [name for name in old.subjects if name in new.subjects]
    if not shared:
        raise InputError(f"{title}: have no subject in common")
    found = []
    for name in shared:
        sides = [_relative(one, name, title).T for one in (old, new)]
        for clock, before, after in zip(CLOCKS, *sides, strict=True):
            found.append((name, clock, *_welch(before, after), _operations(old, new, name)))
    notes = [f"is gone: {name}" for name in old.subjects if name not in shared]
    notes += [f"is new: {name}" for name in new.subjects if name not in shared]
    libraries = [one.machine.get("libraries") for one in (old, new)]
    if libraries[0] != libraries[1]:
        notes.append("the libraries are of other versions")
    return Comparison(title, _adjusted(found), tuple(notes), len(shared))


def compare_rounds(
    old: Mapping[str, Sequence[Timing]], new: Mapping[str, Sequence[Timing]], title: str
) -> Comparison:
    """Compare two versions that were measured side by side, round by round, by both clocks.

    Args:
        old: by subject, the times of the base in each round.
        new: those of the other version, in the same rounds.
        title: what is compared.
    """
    found = []
    for name in old:
        pairs = np.array([old[name], new[name]])
        ratios = np.log(pairs[1] / pairs[0])
        for clock, values in zip(CLOCKS, ratios.T, strict=True):
            found.append((name, clock, *_paired(values), ""))
    return Comparison(title, _adjusted(found), checked=len(old))


def _relative(found: Throughput, name: str, title: str) -> NDArray[np.float64]:
    """Return the logarithms of a subject's times by those of the roof, `[rounds, clocks]`."""
    one, roof = found.subjects[name], found.roof
    counts = {len(times) for times in (one.wall_s, one.cpu_s, roof.wall_s, roof.cpu_s)}
    if len(counts) > 1 or min(counts) < LEAST_ROUNDS:
        raise InputError(
            f"{title}: {name} was timed in {min(counts)} rounds; it takes {LEAST_ROUNDS} of both"
        )
    times = np.log([one.wall_s, one.cpu_s]) - np.log([roof.wall_s, roof.cpu_s])
    return np.asarray(times.T)


def _welch(old: NDArray[np.float64], new: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ratio, and p of one up to `RELEVANT` by Welch's one-sided t test of logarithms."""
    parts = [values.var(ddof=1) / len(values) + LEAST_SPREAD**2 for values in (old, new)]
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (old, new), strict=True)
    )
    return _tested(float(new.mean() - old.mean()), math.sqrt(sum(parts)), freedom)


def _paired(ratios: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ratio, and p of one up to `RELEVANT` by the paired t test of logarithms."""
    error = math.sqrt(ratios.var(ddof=1) / len(ratios) + 2 * LEAST_SPREAD**2)
    return _tested(float(ratios.mean()), error, len(ratios) - 1)


def _tested(difference: float, error: float, freedom: float) -> tuple[float, float]:
    p = float(student.sf((difference - math.log(RELEVANT)) / error, freedom))
    return math.exp(difference), p


def _adjusted(found: Sequence[tuple[str, str, float, float, str]]) -> tuple[Change, ...]:
    adjusted = holm([p for *_, p, _ in found], len(found))
    return tuple(
        Change(name, clock, ratio, p, note)
        for (name, clock, ratio, _, note), p in zip(found, adjusted, strict=True)
    )


def _operations(old: Throughput, new: Throughput, name: str) -> str:
    """Say where the number of operations explains a change."""
    before, after = old.subjects[name].gflop, new.subjects[name].gflop
    return "" if before == after else f"; its GFLOP were {before}, and are {after}"


def comparison_text(found: Comparison) -> str:
    """Return what the gate found as lines for a terminal."""
    lines = [f"slower: {change}" for change in found.failures]
    lines += [f"note: {note}" for note in found.notes]
    count = len(found.failures)
    verdict = f"{count} failure{'s' if count > 1 else ''}" if count else "passed"
    lines.append(f"{found.title}: {found.checked} subjects, {verdict}")
    return "\n".join(lines) + "\n"


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Return what the gate found as plain values."""
    return {
        "passed": not found.failures,
        "checked": found.checked,
        "failures": [asdict(change) for change in found.failures],
        "changes": [asdict(change) for change in found.changes],
        "notes": list(found.notes),
    }
