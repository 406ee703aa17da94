"""Differences of all parts of a rebuild -> a verdict, as text and as plain values."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmark.versions.diff import Exactness, FileDiff, MeanDiff

CLASSES = {
    "E0": "on a CPU, and the fingerprints are equal: files have to be identical",
    "E1": "on a GPU, deterministic, and the fingerprints are equal: files have to be identical",
    "E2": "data have to be identical and metrics within their tolerances",
}


@dataclass(frozen=True)
class Part:
    """A run, a suite's baselines or the report, compared with the expected one."""

    name: str
    exactness: Exactness
    reasons: Sequence[str]
    """Why it is of no better class."""
    files: Sequence[FileDiff]
    means: Sequence[MeanDiff] = ()
    notes: Sequence[str] = ()
    is_derived: bool = False
    """Whether it follows from the other parts."""

    @property
    def is_of_same_code(self) -> bool:
        """Whether it was made by the code that made the expected one."""
        return all(file.state == "identical" for file in self.files if file.part == "code_sha256")

    @property
    def is_identical(self) -> bool:
        """Whether every expected result came out again."""
        return all(file.state != "different" for file in self.files if file.is_result)

    @property
    def is_as_promised(self) -> bool:
        """Whether it is what its class promises."""
        if self.is_identical:
            return True
        if self.exactness != "E2":
            return False
        has_other_data = any(file.is_data and file.state == "different" for file in self.files)
        has_other_means = not self.means or any(mean.state == "different" for mean in self.means)
        return self.is_derived or not (has_other_data or has_other_means)


@dataclass(frozen=True)
class Verification:
    """All parts of a rebuild, compared with the expected results."""

    parts: Sequence[Part]

    @property
    def exactness(self) -> Exactness:
        """The weakest class of all."""
        return max(part.exactness for part in self.parts)

    @property
    def reasons(self) -> list[str]:
        """Why it is no better one."""
        return _distinct(reason for part in self.parts for reason in part.reasons)

    @property
    def notes(self) -> list[str]:
        """What a reader has to know to judge the rest."""
        notes = _distinct(note for part in self.parts for note in part.notes)
        if others := [part.name for part in self.parts if not part.is_of_same_code]:
            code = "the code is not the one that made the expected results of "
            notes.insert(0, f"{code}{', '.join(others)}: differences may come from it")
        return notes

    @property
    def files(self) -> list[FileDiff]:
        """All files."""
        return [file for part in self.parts for file in part.files]

    @property
    def means(self) -> list[MeanDiff]:
        """All means."""
        return [mean for part in self.parts for mean in part.means]

    @property
    def is_identical(self) -> bool:
        """Whether every expected result came out again."""
        return all(part.is_identical for part in self.parts)

    @property
    def verdict(self) -> Literal["identical", "within tolerance", "different"]:
        """The answer."""
        if self.is_identical:
            return "identical"
        kept = all(part.is_as_promised for part in self.parts)
        return "within tolerance" if kept else "different"

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "identical": self.is_identical,
            "class": self.exactness,
            "reasons": self.reasons,
            "notes": self.notes,
            "files": [asdict(file) for file in self.files],
            "metrics": [
                asdict(mean) | {"difference": mean.difference, "state": mean.state}
                for mean in self.means
            ],
            "verdict": self.verdict,
        }

    def as_text(self) -> str:
        """Return all of it as lines: notes, files with the means that they hold, the verdict."""
        lines = [f"note: {note}" for note in self.notes]
        lines.append(f"class {self.exactness}: {CLASSES[self.exactness]}")
        lines += [f"  {reason}" for reason in self.reasons]
        for part in self.parts:
            for file in part.files:
                name = f"{file.path} ({file.part})" if file.part else file.path
                lines.append(f"{file.state:16} {name}")
                if file.state == "different" and file.part is None:
                    lines += [f"  {mean}" for mean in part.means if mean.path == file.path]
        expected = [f for f in self.files if f.is_result and f.state != "nothing expected"]
        same = sum(file.state == "identical" for file in expected)
        verdict = f"verdict: {self.verdict}; class {self.exactness}; {same} of {len(expected)} "
        verdict += "comparisons of files are identical"
        if broken := [part.name for part in self.parts if not part.is_as_promised]:
            verdict += f"; not as promised: {', '.join(broken)}"
        return "\n".join([*lines, verdict]) + "\n"


def _distinct(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))
