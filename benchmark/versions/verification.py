"""The parts of a rebuild, each beside the kept one → a verdict, as text and as plain values.

Classes of exactness: P, of a portable suite on any x86-64 processor with AVX2, E0, on a CPU with
equal fingerprints, and E1, on a GPU with equal fingerprints and `training.deterministic`, promise
identical files. E2, everything else, promises the same data
and means within their tolerances. Of the data, `data_sha256` covers images, splits and holes, and
the rows of a score table say what was scored. Initial weights and the order of the data follow from
settings, seed and code alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.core.portable import ANY_CPU
from benchmark.evaluation.provenance import AnyProvenance
from benchmark.versions.compare import MetricChange

Exactness = Literal["P", "E0", "E1", "E2"]
# From the strongest promise on.
CLASSES = {
    "P": "portable, on any x86-64 CPU with AVX2: files have to be identical",
    "E0": "on a CPU, and the fingerprints are equal: files have to be identical",
    "E1": "on a GPU, deterministic, and the fingerprints are equal: files have to be identical",
    "E2": "data have to be identical and metrics within their tolerances",
}


def exactness(
    origin: AnyProvenance, differences: Sequence[str], deterministic: bool
) -> tuple[Exactness, list[str]]:
    """Return the class of a run that is made again, and the reasons against a better one.

    E1 asks for the same CPU too, as it draws the initial weights and computes the scores.

    Args:
        origin: that of the kept run.
        differences: what differs between the machines.
        deterministic: whether the suite asks for deterministic algorithms.
    """
    machines, reasons = (origin.training.environment, origin.evaluation), [*differences]
    if not all(machines):
        reasons.append("the kept results do not say on which machine they were made")
    is_on_cpu = all(machine.get("device") == "cpu" for machine in machines)
    if not reasons and not is_on_cpu and not deterministic:
        reasons.append("training.deterministic is false")
    if reasons:
        return "E2", reasons
    if not is_on_cpu:
        return "E1", []
    return "P" if all(machine["cpu"] == ANY_CPU for machine in machines) else "E0", []


Mean = tuple[MetricChange, float | None]
"""A mean beside the kept one, and its tolerance where more than equality is good enough."""


@dataclass(frozen=True)
class Part:
    """A run, a suite's baselines or the report, compared with the kept one."""

    name: str
    exactness: Exactness
    reasons: Sequence[str]
    """Why it is of no better class."""
    files: Mapping[str, bool]
    """Whether each file, or digest of a provenance file, is identical."""
    has_same_data: bool = True
    """Whether the same images and holes were scored."""
    means: Sequence[Mean] | None = None
    """None of the report, which follows from the other parts."""
    notes: Sequence[str] = ()

    @property
    def is_identical(self) -> bool:
        """Whether every kept result came out again."""
        return all(self.files.values())

    @property
    def is_as_promised(self) -> bool:
        """Whether it is what its class promises."""
        if self.is_identical or self.exactness != "E2" or self.means is None:
            return self.is_identical or self.exactness == "E2"
        has_means = bool(self.means) and all(c.is_within(most) for c, most in self.means)
        return self.has_same_data and has_means


def weakest(parts: Sequence[Part]) -> Part:
    """Return the first of the parts that are promised least."""
    return max(parts, key=lambda part: [*CLASSES].index(part.exactness))


@dataclass(frozen=True)
class Verification:
    """All parts of a rebuild, compared with the kept results."""

    parts: Sequence[Part]

    @property
    def exactness(self) -> Exactness:
        """The weakest class of all."""
        return weakest(self.parts).exactness

    @property
    def reasons(self) -> list[str]:
        """Why it is no better one."""
        return list(dict.fromkeys(reason for part in self.parts for reason in part.reasons))

    @property
    def notes(self) -> list[str]:
        """What a reader has to know to judge the rest."""
        return list(dict.fromkeys(note for part in self.parts for note in part.notes))

    @property
    def files(self) -> dict[str, bool]:
        """Whether each file, or digest, is identical."""
        return {name: same for part in self.parts for name, same in part.files.items()}

    @property
    def verdict(self) -> Literal["identical", "within tolerance", "different"]:
        """The answer."""
        if all(part.is_identical for part in self.parts):
            return "identical"
        kept = all(part.is_as_promised for part in self.parts)
        return "within tolerance" if kept else "different"

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "identical": self.verdict == "identical",
            "class": self.exactness,
            "reasons": self.reasons,
            "notes": self.notes,
            "files": [{"path": name, "identical": same} for name, same in self.files.items()],
            "metrics": [
                {
                    "part": part.name,
                    "method": change.method,
                    "metric": change.metric,
                    "here": change.new,
                    "expected": change.old,
                    "tolerance": tolerance,
                    "state": _state(change, tolerance),
                }
                for part in self.parts
                for change, tolerance in part.means or ()
            ],
            "verdict": self.verdict,
        }

    def as_text(self) -> str:
        """Return all of it as lines: notes, files and means that differ, the verdict."""
        lines = [f"note: {note}" for note in self.notes]
        lines.append(f"class {self.exactness}: {CLASSES[self.exactness]}")
        lines += [f"  {reason}" for reason in self.reasons]
        for part in self.parts:
            lines += [f"{_word(same):16} {name}" for name, same in part.files.items()]
            lines += [_line(*mean) for mean in part.means or () if not mean[0].is_same]
        verdict = f"verdict: {self.verdict}; class {self.exactness}; {sum(self.files.values())} of "
        verdict += f"{len(self.files)} files and digests are identical"
        if broken := [part.name for part in self.parts if not part.is_as_promised]:
            verdict += f"; not as promised: {', '.join(broken)}"
        return "\n".join([*lines, verdict]) + "\n"


def _word(is_identical: bool) -> str:
    return "identical" if is_identical else "different"


def _state(change: MetricChange, tolerance: float | None) -> str:
    is_near = not change.is_same and change.is_within(tolerance)
    return "within tolerance" if is_near else _word(change.is_same)


def _line(change: MetricChange, tolerance: float | None) -> str:
    here, kept = ("no value" if m is None else f"{m:.7g}" for m in (change.new, change.old))
    most = "no tolerance" if tolerance is None else f"tolerance {tolerance:.3g}"
    name = f"{change.method} {change.metric}"
    return f"  {_state(change, tolerance):16} {name}: {here} here, {kept} expected, {most}"
