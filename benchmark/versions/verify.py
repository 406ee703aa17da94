"""Expected results -> the same results built again in a copy of the checkout, and compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmark.core import paths
from benchmark.core.files import read_json, write_json
from benchmark.metrics import METRICS
from benchmark.training.checkpoints import MANIFEST
from benchmark.versions.compare import compare_versions
from benchmark.versions.diff import (
    Exactness,
    FileDiff,
    MeanDiff,
    diff_bytes,
    diff_digests,
    diff_origins,
    diff_scored,
    exactness,
)
from benchmark.versions.expected import REPORT_FILES, Expected
from benchmark.versions.rebuild import (
    Rebuilt,
    Selection,
    Setting,
    checkout_copy,
    file_md5,
    file_md5s,
    folder_md5,
    rebuild,
)
from benchmark.versions.snapshot import Snapshot, Subject
from benchmark.versions.tolerances import BASELINES, Tolerances, read_tolerances
from benchmark.versions.verification import Part, Verification

REPORT_FOLDERS = ("figures", "tables")

Build = Callable[[Path, Selection, Setting, bool], Rebuilt]
"""See `rebuild`."""


def verify(
    expected: Expected, device: str = "auto", keep: Path | None = None, build: Build = rebuild
) -> Verification:
    """Build expected results again, in a copy of the checkout, and compare.

    Args:
        expected: the results to compare with.
        device: `cpu`, `cuda`, or `auto`, which is what made the expected results, if it is there.
        keep: where to leave the copy; else it is removed.
        build: how to build a selection.

    Raises:
        InputError: something that is needed is missing, see `Expected.check`.
        RebuildFailedError: a stage failed.
    """
    expected.check()
    selection = expected.selection
    with checkout_copy(keep) as folder:
        for place, source in expected.configurations.items():
            (folder / place).write_bytes(source.read_bytes())
        # What was made without weights of LPIPS is built again without them.
        hidden = {"TORCH_HOME": str(folder / "no_weights")} if expected.missing_metrics else {}
        chosen = device if device != "auto" else _device(expected)
        setting = Setting("usual", hidden, device=chosen)
        runs = Selection(selection.runs, selection.baselines)
        comparison = _Comparison(
            expected, build(folder, runs, setting, keep is not None), read_tolerances()
        )
        parts = [comparison.run(run) for run in selection.runs]
        if selection.baselines:
            parts += [comparison.baselines(suite, parts) for suite in selection.suites]
        if selection.report:
            _take_origins(folder, selection.runs, parts)
            build(folder, Selection((), baselines=False, report=True), setting, False)
            parts.append(_compare_report(folder, parts))
    return Verification(parts)


def _device(expected: Expected) -> str:
    """Return the kind of device on which all runs were trained; `auto` if that is gone."""
    origins = [expected.provenance(run)["training"] for run in expected.selection.runs]
    kinds = {(origin.get("environment") or {}).get("device") for origin in origins}
    if kinds == {"cpu"}:
        return "cpu"
    return "cuda" if kinds == {"cuda"} and torch.cuda.is_available() else "auto"


@dataclass(frozen=True)
class _Comparison:
    """Compares what was built again with the expected results."""

    expected: Expected
    rebuilt: Rebuilt
    tolerances: Tolerances

    def run(self, run: paths.Run) -> Part:
        """Compare a run."""
        folder, subject = self.rebuilt.folder, Subject.of(run)
        origin = self.expected.provenance(run)
        here = read_json(folder / run.provenance, "python -m benchmark evaluate")
        deterministic = self.expected.suite(run.suite).training.deterministic
        found, reasons = exactness(here, origin, deterministic)
        files = diff_origins(run.provenance, here.get("training", {}), origin["training"])
        files += self._score_table(run.scores)
        for path in (run.metrics, run.curves, run.diagnosis, run.probes):
            files += self._bytes(path)
        completed = self.expected.md5(run.completed, beside=run.scores)
        files.append(diff_digests(run.completed, file_md5(folder / run.completed), completed))
        files.append(self._checkpoints(run))
        means, notes = self._means(subject, found, origin["training"])
        return Part(str(run), found, reasons, files, means, notes)

    def baselines(self, suite: str, parts: Sequence[Part]) -> Part:
        """Compare the baselines of a suite; nothing says where they come from, so its runs do."""
        weakest = _weakest([part for part in parts if part.name.startswith(f"{suite}/")])
        run = next(run for run in self.expected.selection.runs if run.suite == suite)
        training = self.expected.provenance(run)["training"]
        completed = paths.baseline_completed(suite)
        files = self._score_table(paths.baseline_scores(suite))
        files += self._bytes(paths.baseline_metrics(suite))
        here = folder_md5(file_md5s(self.rebuilt.folder / completed))
        known = self.expected.md5(completed, beside=paths.baseline_scores(suite))
        files.append(diff_digests(completed, here, known))
        origin = {"data_sha256": training["data_sha256"]}
        means, notes = self._means(Subject(suite, BASELINES), weakest.exactness, origin)
        name = f"the baselines of {suite}"
        return Part(name, weakest.exactness, weakest.reasons, files, means, notes)

    def _bytes(self, path: Path) -> list[FileDiff]:
        return diff_bytes(path, self.rebuilt.folder / path, self.expected.results.place(path))

    def _score_table(self, path: Path) -> list[FileDiff]:
        here, expected = self.rebuilt.folder / path, self.expected.results.place(path)
        return [*self._bytes(path), diff_scored(path, here, expected)]

    def _checkpoints(self, run: paths.Run) -> FileDiff:
        """Compare weights, pictures and manifest, except for where the run comes from."""
        folder = self.rebuilt.folder
        manifest = read_json(folder / run.checkpoints / MANIFEST, "python -m benchmark train")
        # Code and machine are compared by themselves: a difference here is one of the weights.
        origin = self.expected.provenance(run)["training"]
        manifest |= {name: value for name, value in origin.items() if name in manifest}
        renamed = folder / run.scratch / MANIFEST
        write_json(renamed, manifest)
        here = folder_md5({**self.rebuilt.weights[run], MANIFEST: file_md5(renamed)})
        known = self.expected.md5(run.checkpoints, beside=run.curves)
        return diff_digests(run.checkpoints, here, known)

    def _means(
        self, subject: Subject, found: Exactness, origin: Mapping[str, Any]
    ) -> tuple[list[MeanDiff], list[str]]:
        """Compare the means of all methods, and say why there are no tolerances.

        Args:
            subject: a run, or the baselines of a suite.
            found: the class; below E2 nothing but equality is good enough.
            origin: the digests of settings and images.
        """
        suite, name = subject.suite, subject.name
        results = replace(self.expected.results, chosen=(subject,))
        compared = compare_versions(
            results, Snapshot("rebuild", self.rebuilt.folder, chosen=(subject,))
        )
        gap = self.tolerances.gap(suite, name, origin)
        is_tolerant = found == "E2" and gap is None
        means = []
        for change in compared.metrics:
            metric, sd = change.metric, None
            if gap is None:
                sd = self.tolerances.seed_sd(suite, name, metric, [origin])
            if sd is not None and METRICS[metric].better == "one":  # then it is relative
                sd *= change.old or 0.0
            tolerance = self.tolerances.tolerance(suite, name, metric) if is_tolerant else None
            numbers = (change.new, change.old, tolerance, sd)
            means.append(MeanDiff(subject.metrics.as_posix(), change.method, metric, *numbers))
        return means, [gap] if gap is not None and found == "E2" else []


def _weakest(parts: Sequence[Part]) -> Part:
    return max(parts, key=lambda part: part.exactness)


def _take_origins(folder: Path, runs: Sequence[paths.Run], parts: Sequence[Part]) -> None:
    """Give runs that came out identical the origin of the expected ones.

    The report shows it, and would differ by the name of the code alone.
    """
    same = {part.name for part in parts if part.is_identical}
    for run in runs:
        for path in (run.provenance, run.version):
            if str(run) in same and path.is_file():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(path.read_bytes())


def _compare_report(folder: Path, parts: Sequence[Part]) -> Part:
    names = {paths.REPORTS / name for name in REPORT_FILES}
    for root in (Path(), folder):
        for name in REPORT_FOLDERS:
            found = (root / paths.REPORTS / name).rglob("*")
            names |= {path.relative_to(root) for path in found if path.is_file()}
    files = [file for path in sorted(names) for file in diff_bytes(path, folder / path, path)]
    return Part("the report", _weakest(parts).exactness, [], files, is_derived=True)
