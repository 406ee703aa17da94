"""The verify command: are results made again here identical, within the band, or different?

Classes: E0, on a CPU with equal fingerprints, and E1, on a GPU with equal fingerprints and
`training.deterministic`, promise identical files. E2, everything else, promises the same data and
metrics within their bands. Of the data, `data_sha256` covers images, splits and holes, and the
first columns of a score table say what was scored. Initial weights and the order of the data follow from
settings, seed and code alone, so they are the same where the digests of these are.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmark.core import paths
from benchmark.core.files import read_json, write_json
from benchmark.training.checkpoints import MANIFEST
from benchmark.versions.diff import (
    FileAgreement,
    compare_digest,
    compare_file,
    compare_keys,
    compare_metrics,
    compare_origin,
    exactness,
    files_agree,
)
from benchmark.versions.expected import REPORT_FILES, Pinned
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
from benchmark.versions.tolerances import BASELINES, Bands, read_bands
from benchmark.versions.verification import Unit, Verification

REPORT_FOLDERS = ("figures", "tables")

Rebuild = Callable[[Path, Selection, Setting, bool], Rebuilt]
"""See `rebuild`."""


def verify(
    pinned: Pinned, device: str = "auto", keep: Path | None = None, build: Rebuild = rebuild
) -> Verification:
    """Build again what is pinned, in a copy of the checkout, and compare.

    Args:
        pinned: the results to compare with.
        device: `cpu`, `cuda`, or `auto`, which is what was used for the pinned results, if it is
            there.
        keep: where to leave the copy; else it is removed.
        build: how to build a selection.

    Raises:
        InputError: something that is needed is missing, see `Pinned.check`.
        RebuildFailedError: a stage failed.
    """
    pinned.check()
    bands, selection = read_bands(), pinned.selection
    with checkout_copy(keep) as folder:
        for place, source in pinned.configurations.items():
            (folder / place).write_bytes(source.read_bytes())
        # What was pinned without weights of LPIPS is built again without them.
        hidden = {"TORCH_HOME": str(folder / "no_weights")} if pinned.hides_weights else {}
        setting = Setting("usual", hidden, device=device if device != "auto" else _device(pinned))
        runs = Selection(selection.runs, selection.baselines)
        rebuilt = build(folder, runs, setting, keep is not None)
        units = [_compare_run(run, pinned, rebuilt, bands) for run in selection.runs]
        if selection.baselines:
            units += [
                _compare_baselines(name, pinned, folder, bands, units) for name in selection.suites
            ]
        if selection.report:
            _take_origins(folder, selection.runs, units)
            build(folder, Selection((), baselines=False, report=True), setting, False)
            units.append(_compare_report(folder, units))
    return Verification(units)


def _device(pinned: Pinned) -> str:
    """Return the kind of device on which all pinned runs were trained; `auto` if that is gone."""
    origins = [pinned.provenance(run)["training"] for run in pinned.selection.runs]
    kinds = {(origin.get("environment") or {}).get("device") for origin in origins}
    if kinds == {"cpu"}:
        return "cpu"
    return "cuda" if kinds == {"cuda"} and torch.cuda.is_available() else "auto"


def _compare_run(run: paths.Run, pinned: Pinned, rebuilt: Rebuilt, bands: Bands) -> Unit:
    folder, place = rebuilt.folder, pinned.place
    origin = pinned.provenance(run)
    training = origin["training"]
    here = read_json(folder / run.provenance, "python -m benchmark evaluate")
    deterministic = pinned.suites[run.suite].training.deterministic
    found, reasons = exactness(here, origin, deterministic)
    band_of, gap = bands.bands_of(
        run.suite, run.variant, training.get("config_sha256"), training["data_sha256"]
    )
    files = compare_origin(run.provenance, here, origin)
    files += _compare_scores(run.scores, folder, pinned)
    files += _compare_all((run.metrics, run.curves, run.diagnosis, run.probes), folder, pinned)
    completed = folder / run.completed
    files.append(
        compare_digest(run.completed, file_md5(completed), pinned.md5(run.completed, run.scores))
    )
    files.append(_compare_checkpoints(run, pinned, rebuilt))
    metrics = compare_metrics(run.metrics, folder / run.metrics, place(run.metrics), found, band_of)
    notes = [gap] if gap is not None and found == "E2" else []
    return Unit(str(run), found, reasons, files, metrics, notes)


def _compare_scores(path: Path, folder: Path, pinned: Pinned) -> list[FileAgreement]:
    place = pinned.place(path)
    return [*_compare_all((path,), folder, pinned), compare_keys(path, folder / path, place)]


def _compare_all(paths: Sequence[Path], folder: Path, pinned: Pinned) -> list[FileAgreement]:
    compared = [compare_file(path, folder / path, pinned.place(path)) for path in paths]
    return [agreement for agreement in compared if agreement is not None]


def _compare_checkpoints(run: paths.Run, pinned: Pinned, rebuilt: Rebuilt) -> FileAgreement:
    """Compare weights, pictures and manifest, except for where the run comes from."""
    manifest = read_json(rebuilt.folder / run.checkpoints / MANIFEST, "python -m benchmark train")
    # Code and machine are compared by themselves, so that a difference here is one of the weights.
    origin = pinned.provenance(run)["training"]
    manifest |= {name: value for name, value in origin.items() if name in manifest}
    renamed = rebuilt.folder / run.scratch / MANIFEST
    write_json(renamed, manifest)
    md5s = dict(rebuilt.weights[run]) | {MANIFEST: file_md5(renamed)}
    return compare_digest(
        run.checkpoints, folder_md5(md5s), pinned.md5(run.checkpoints, run.curves)
    )


def _compare_baselines(
    suite: str, pinned: Pinned, folder: Path, bands: Bands, runs: Sequence[Unit]
) -> Unit:
    """Compare the baselines of a suite; nothing says where they come from, so their runs do."""
    units = [unit for unit in runs if unit.name.startswith(f"{suite}/")]
    weakest = max(units, key=lambda unit: unit.exactness)
    run = next(run for run in pinned.selection.runs if run.suite == suite)
    data_sha256 = pinned.provenance(run)["training"]["data_sha256"]
    band_of, gap = bands.bands_of(suite, BASELINES, None, data_sha256)
    path, completed = paths.baseline_metrics(suite), paths.baseline_completed(suite)
    scores = paths.baseline_scores(suite)
    files = _compare_scores(scores, folder, pinned)
    files += _compare_all((path,), folder, pinned)
    found = folder_md5(file_md5s(folder / completed))
    files.append(compare_digest(completed, found, pinned.md5(completed, scores)))
    metrics = compare_metrics(path, folder / path, pinned.place(path), weakest.exactness, band_of)
    notes = [gap] if gap is not None and weakest.exactness == "E2" else []
    name = f"the baselines of {suite}"
    return Unit(name, weakest.exactness, weakest.reasons, files, metrics, notes)


def _take_origins(folder: Path, runs: Sequence[paths.Run], units: Sequence[Unit]) -> None:
    """Give runs that came out identical the origin of the pinned ones.

    The report shows it, and would differ by the name of the code alone.
    """
    same = {unit.name for unit in units if files_agree(unit.files)}
    for run in runs:
        for path in (run.provenance, run.version):
            if str(run) in same and path.is_file():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(path.read_bytes())


def _compare_report(folder: Path, units: Sequence[Unit]) -> Unit:
    files = {paths.REPORTS / name for name in REPORT_FILES}
    for root in (Path(), folder):
        for name in REPORT_FOLDERS:
            found = (root / paths.REPORTS / name).rglob("*")
            files |= {path.relative_to(root) for path in found if path.is_file()}
    compared = [compare_file(path, folder / path, path) for path in sorted(files)]
    present = [agreement for agreement in compared if agreement is not None]
    weakest = max(unit.exactness for unit in units)
    return Unit("the report", weakest, [], present, is_derived=True)
