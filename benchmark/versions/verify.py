"""Kept results → whether they come out again from a build in a copy of the checkout."""

import filecmp
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.core import git, paths
from benchmark.core.config import Suite, load_params, load_suite, load_variant
from benchmark.core.files import require
from benchmark.core.yaml_files import load
from benchmark.evaluation.provenance import read_origin, version_of
from benchmark.evaluation.reference_runs import FACTS
from benchmark.training.checkpoints import MANIFEST
from benchmark.training.gan import training_digest
from benchmark.versions.compare import compare_versions
from benchmark.versions.diff import origin_changes
from benchmark.versions.rebuild import Setting, checkout_copy, run_stages, stages_of
from benchmark.versions.snapshot import MADE_BY, Snapshot, Subject
from benchmark.versions.tolerances import read_tolerances
from benchmark.versions.verification import Mean, Part, Verification, exactness, weakest
from data.errors import InputError

REPORT = [paths.REPORTS / f for f in ("report.md", "report.html", "summary.json", "claims.json")]
REPORT_FOLDERS = [paths.REPORTS / name for name in ("figures", "tables")]
DIGESTS = ("data_sha256", "weights_sha256")


def kept_results(
    suite: str | None = None,
    variant: str | None = None,
    seed: int | None = None,
    reference: bool = False,
) -> Snapshot:
    """Return the results of this checkout, or reference runs, narrowed to the names that are given.

    Raises:
        InputError: there are no such runs.
    """
    folder = Path()
    if reference:
        known = sorted(path.parent.name for path in paths.REFERENCES.glob(f"*/{FACTS}"))
        if suite is None or suite not in known:
            raise InputError(f"--reference: needs --suite, one of: {', '.join(known) or 'none'}")
        folder = paths.reference(suite)
    else:
        load_params()  # names a suite or variant that there is none of
    results = Snapshot(folder.as_posix(), folder)
    chosen = tuple(
        subject
        for subject in results.subjects
        if suite in (None, subject.suite)
        and (variant is None or (subject.is_run and subject.name == variant))
        and (seed is None or (subject.is_run and subject.seed == seed))
    )
    if not chosen:
        for name, look_up in ((suite, load_suite), (variant, load_variant)):
            if name is not None and not reference:
                look_up(name)  # a name that was misspelled is answered with the one that was meant
        known = [str(subject) for subject in results.subjects]
        raise InputError(f"no such results are kept; there are those of {', '.join(known)}")
    return replace(results, chosen=chosen)


def verify(kept: Snapshot, device: str = "auto", keep: Path | None = None) -> Verification:
    """Build kept results again, in a copy of the checkout, and compare.

    Reference runs are built with the code that scored them, where this repository has that commit.
    The report is built and compared where everything is that `params.yaml` selects.

    Args:
        kept: the results to compare with, see `kept_results`.
        device: `cpu`, `cuda`, or `auto`, which is what made the kept results, if it is there.
        keep: where to leave the copy, or a copy for each commit; else they are removed.

    Raises:
        InputError: something that is needed is missing, or the settings are others.
        RebuildFailedError: a stage failed.
    """
    for subject in kept.subjects:
        _check(kept, subject)
    if not kept.reference:
        return Verification(_build(kept, device, keep))
    parts, makers = [], _by_maker(kept)
    for maker, subjects in makers.items():
        commit = git.find_commit(maker)[0]
        note = f"made by commit {maker}, whose code builds it again"
        if commit is None:
            note = (
                f"its commit is not in this repository ({maker}): the present code builds it again"
            )
        place = keep / maker if keep and len(makers) > 1 else keep
        found = _build(replace(kept, chosen=tuple(subjects)), device, place, commit)
        parts += [replace(part, notes=[f"{part.name}: {note}", *part.notes]) for part in found]
    return Verification(parts)


def _by_maker(kept: Snapshot) -> dict[str, list[Subject]]:
    """Group reference runs by the commit that scored them, as `version_of` says it.

    No record says which commit made the baselines, so they go with the first run.
    """
    groups: dict[str, list[Subject]] = {}
    for subject in kept.subjects:
        if subject.is_run:
            run, place = subject.run, kept.place
            origin = read_origin(
                place(run.provenance), place(run.version), place(run.scores), MADE_BY
            )
            maker = version_of(origin.versions, "evaluation", origin.evaluation_sha256)
            groups.setdefault(maker, []).append(subject)
        else:
            next(iter(groups.values())).append(subject)
    return groups


def _build(kept: Snapshot, device: str, keep: Path | None, commit: str | None = None) -> list[Part]:
    """Build results in a copy of the present code, or of a commit's, and compare them."""
    runs = [subject for subject in kept.subjects if subject.is_run]
    is_whole = not kept.reference and {*kept.subjects} == {*Snapshot(".", Path()).subjects}
    for path in REPORT if is_whole else ():
        require(path, MADE_BY)
    with checkout_copy(keep, commit) as folder:
        for run in runs:  # reference runs have settings of their own
            for path in (paths.SUITES / f"{run.suite}.yaml", paths.VARIANTS / f"{run.name}.yaml"):
                shutil.copy(kept.place(path), folder / path)
        # What was made without the weights of LPIPS is built again without them.
        lacks_lpips = any(kept.metrics(subject).missing for subject in kept.subjects)
        hidden = {"TORCH_HOME": str(folder / "no_weights")} if lacks_lpips else {}
        if device == "auto":
            kinds = {kept.origin(run).training.environment.get("device") for run in runs}
            device = "cpu" if kinds == {"cpu"} else device
        setting = Setting("usual", hidden, device=device)
        run_stages(folder, stages_of(kept.subjects), setting)
        found = Snapshot("rebuild", folder)
        parts = [_run_part(kept, found, run) for run in runs]
        for subject in kept.subjects:
            if not subject.is_run:
                parts.append(_baselines_part(kept, found, subject, parts))
        if is_whole:
            identical = {part.name for part in parts if part.is_identical}
            _take_origins(folder, [s.run for s in runs if str(s) in identical])
            run_stages(folder, [("report",)], setting)
            files = _same_files(kept, found, [*REPORT, *REPORT_FOLDERS])
            parts.append(Part("the report", weakest(parts).exactness, [], files))
    return parts


def _check(kept: Snapshot, subject: Subject) -> None:
    """Find out before a rebuild what would leave nothing to compare with."""
    of_run = (subject.run.curves, subject.run.provenance) if subject.is_run else ()
    for path in (subject.metrics, subject.scores, *of_run):
        require(kept.place(path), MADE_BY)
    kept.metrics(subject)
    # Reference runs keep their settings, and an older version may have hashed them.
    if subject.is_run and not kept.reference:
        present = training_digest(load_suite(subject.suite), load_variant(subject.name))
        if kept.origin(subject).training.digests.get("config_sha256") != present:
            what = f"no results of {subject} with the present settings are kept"
            raise InputError(f"{what}; `{MADE_BY}` makes them")


def _run_part(kept: Snapshot, found: Snapshot, subject: Subject) -> Part:
    """Compare a run."""
    run = subject.run
    names = [subject.scores, subject.metrics, run.curves, run.diagnosis, run.probes, run.completed]
    # Reference runs keep no weights, only their digest.
    files = _same_files(kept, found, names + ([] if kept.reference else [run.checkpoints]))
    origin, here = (side.origin(subject).training.digests for side in (kept, found))
    for name in DIGESTS:
        files[f"{run.provenance}: {name}"] = here.get(name) == origin.get(name)
    differences, notes = origin_changes(kept, found, subject)[1], []
    suite = load(Suite, kept.place(paths.SUITES / f"{subject.suite}.yaml"), name=subject.suite)
    deterministic = suite.training.deterministic
    found_class, reasons = exactness(kept.origin(subject), differences, deterministic)
    if here.get("code_sha256") != origin.get("code_sha256"):
        notes.append(f"{subject} is of other code: differences may come from it")
    part = Part(str(subject), found_class, reasons, files, notes=notes)
    return _with_means(part, kept, found, subject, origin)


def _baselines_part(
    kept: Snapshot, found: Snapshot, subject: Subject, parts: Sequence[Part]
) -> Part:
    """Compare the baselines of a suite; nothing says where they come from, so its runs do."""
    of_suite = [part for part in parts if part.name.startswith(f"{subject.suite}/")]
    bound = weakest(of_suite)
    run = next(s for s in kept.subjects if s.is_run and s.suite == subject.suite)
    origin = {"data_sha256": kept.origin(run).training.digests.get("data_sha256")}
    names = [subject.scores, subject.metrics, paths.baseline_completed(subject.suite)]
    files = _same_files(kept, found, names)
    part = Part(str(subject), bound.exactness, bound.reasons, files)
    return _with_means(part, kept, found, subject, origin)


def _with_means(
    part: Part, kept: Snapshot, found: Snapshot, subject: Subject, origin: Mapping[str, Any]
) -> Part:
    """Compare what was scored and the means, which in class E2 may differ by their tolerances."""
    both = compare_versions(replace(kept, chosen=(subject,)), replace(found, chosen=(subject,)))
    (change,), tolerances = both.subjects, read_tolerances()
    gap = tolerances.gap(subject.suite, subject.name, origin) if part.exactness == "E2" else None
    means: list[Mean] = [(metric, None) for metric in both.metrics]
    if part.exactness == "E2" and gap is None:
        where = (subject.suite, subject.name)
        means = [(m, tolerances.tolerance(*where, m.metric)) for m in both.metrics]
    return replace(
        part,
        has_same_data=not change.reason and "data" not in change.digests,
        means=means,
        notes=[*part.notes, gap] if gap else part.notes,
    )


def _same_files(kept: Snapshot, found: Snapshot, names: Sequence[Path]) -> dict[str, bool]:
    """Return of every kept file, below folders too, whether it came out again byte by byte."""
    same = {}
    for name in names:
        place = kept.place(name)
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            path = name / file.relative_to(place)
            here = found.folder / path
            # The manifest names code and machine, which provenance tells.
            if file.is_file() and file.name != MANIFEST:
                is_there = here.is_file()
                same[path.as_posix()] = is_there and filecmp.cmp(file, here, shallow=False)
    return same


def _take_origins(folder: Path, runs: Sequence[paths.Run]) -> None:
    """Give runs that came out identical the origin of the kept ones.

    The report shows it, and would differ by the name of the code alone.
    """
    for run in runs:
        for path in (run.provenance, run.version):
            if path.is_file():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / path)
