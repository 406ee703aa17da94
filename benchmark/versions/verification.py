"""What came of a rebuild: the agreement of all its parts, the verdict, and both as text."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmark.versions.diff import (
    Exactness,
    FileAgreement,
    MetricAgreement,
    files_agree,
    promise_kept,
)

CLASSES = {
    "E0": "on a CPU, and the fingerprints are equal: files have to be identical",
    "E1": "on a GPU, deterministic, and the fingerprints are equal: files have to be identical",
    "E2": "data have to be identical and metrics within their bands",
}


@dataclass(frozen=True)
class Unit:
    """The agreement of a run, of a suite's baselines, or of the report."""

    name: str
    exactness: Exactness
    reasons: Sequence[str]
    """Why it is of no better class."""
    files: Sequence[FileAgreement]
    metrics: Sequence[MetricAgreement] = ()
    notes: Sequence[str] = ()
    is_derived: bool = False
    """Whether it follows from the others."""

    @property
    def same_code(self) -> bool:
        """Whether it was made by the code that made the pinned one."""
        return all(f.state == "identical" for f in self.files if f.part == "code_sha256")

    @property
    def kept(self) -> bool:
        """Whether it is what its class promises."""
        if self.is_derived and self.exactness == "E2":
            return True
        return promise_kept(self.exactness, self.files, self.metrics)


@dataclass(frozen=True)
class Verification:
    """What came of a rebuild."""

    units: Sequence[Unit]

    @property
    def exactness(self) -> Exactness:
        """The weakest class of all."""
        return max(unit.exactness for unit in self.units)

    @property
    def reasons(self) -> list[str]:
        """Why it is no better one."""
        return _distinct(reason for unit in self.units for reason in unit.reasons)

    @property
    def notes(self) -> list[str]:
        """What a reader has to know to judge the rest."""
        other = [unit.name for unit in self.units if not unit.same_code]
        code = "the code is not the one that made the pinned results of {}: what differs may come "
        code += "from it"
        notes = _distinct(note for unit in self.units for note in unit.notes)
        return [code.format(", ".join(other)), *notes] if other else notes

    @property
    def files(self) -> list[FileAgreement]:
        """All files."""
        return [file for unit in self.units for file in unit.files]

    @property
    def metrics(self) -> list[MetricAgreement]:
        """All metrics."""
        return [metric for unit in self.units for metric in unit.metrics]

    @property
    def identical(self) -> bool:
        """Whether every result that is pinned came out again."""
        return files_agree(self.files)

    @property
    def verdict(self) -> Literal["identical", "within band", "different"]:
        """The answer."""
        if self.identical:
            return "identical"
        return "within band" if all(unit.kept for unit in self.units) else "different"

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "identical": self.identical,
            "class": self.exactness,
            "reasons": self.reasons,
            "notes": self.notes,
            "files": [asdict(file) for file in self.files],
            "metrics": [asdict(m) | {"difference": m.difference} for m in self.metrics],
            "verdict": self.verdict,
        }

    def as_text(self) -> str:
        """Return all of it as lines: what to know first, files and their metrics, the verdict."""
        lines = [f"note: {note}" for note in self.notes]
        lines.append(f"class {self.exactness}: {CLASSES[self.exactness]}")
        lines += [f"  {reason}" for reason in self.reasons]
        for unit in self.units:
            for file in unit.files:
                part = f" ({file.part})" if file.part else ""
                lines.append(f"{file.state:16} {file.path}{part}")
                if file.state == "different" and file.part is None:
                    shown = [m for m in unit.metrics if m.path == file.path and m.has_value]
                    lines += [_metric_line(m) for m in shown]
        return "\n".join([*lines, self._verdict_line()]) + "\n"

    def _verdict_line(self) -> str:
        pinned = [file for file in self.files if file.counts and file.state != "no pinned result"]
        same = sum(file.state == "identical" for file in pinned)
        answer = f"verdict: {self.verdict}; class {self.exactness}; {same} of {len(pinned)} "
        answer += "comparisons of files are identical"
        if broken := [unit.name for unit in self.units if not unit.kept]:
            answer += f"; not as promised: {', '.join(broken)}"
        return answer


def _metric_line(metric: MetricAgreement) -> str:
    band = "no band" if metric.band is None else f"band {metric.band:.3g}"
    seeds = "" if metric.seeds is None else f", seeds ±{metric.seeds:.3g}"
    difference = metric.difference
    shown = "" if difference is None else f", difference {difference:+.3g}"
    return (
        f"  {metric.state:14} {metric.method} {metric.metric}: {_number(metric.here)} here, "
        f"{_number(metric.pinned)} pinned{shown}, {band}{seeds}"
    )


def _number(value: float | None) -> str:
    return "no value" if value is None else f"{value:.7g}"


def _distinct(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))
