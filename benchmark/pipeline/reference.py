"""The results of this checkout's runs of a suite → `reports/reference/<suite>/`, kept in git."""

import re
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path

from benchmark.core import paths
from benchmark.core.config import Suite, load_suite, load_variant, names_in
from benchmark.core.files import atomic_folder, read_json, write_json, write_text
from benchmark.core.hashing import ROOT
from benchmark.core.yaml_files import validate
from benchmark.evaluation.provenance import AnyProvenance
from benchmark.evaluation.reference_runs import (
    FACTS,
    FIGURE,
    SUITE,
    Facts,
    Machine,
    Reference,
    read_reference,
)
from benchmark.evaluation.results import Results, collect_results
from benchmark.reporting.blocks import Block, Items, Picture, Pictures, Text
from benchmark.reporting.dialect import plain, with_code
from benchmark.reporting.figures.pictures import chosen_rows, comparison, read_pictures, save_image
from benchmark.reporting.markdown import markdown_page
from benchmark.reporting.sections.suite.summary import reference_facts
from benchmark.reporting.tables import leaderboard, scores_table
from benchmark.reporting.verdicts import Verdicts
from benchmark.training.describe import generator_flops
from benchmark.training.gan import training_digest
from benchmark.versions.snapshot import Snapshot, Subject
from data.errors import InputError
from data.store import Store

README = "README.md"
FIGURE_BYTES = 1_000_000


def write_reference(
    suite_name: str,
    note: str = "",
    overwrite: bool = False,
    pictures: bool = False,
    add: bool = False,
) -> Facts:
    """Collect the complete runs of a suite into the folder of its reference runs.

    Args:
        suite_name: the suite.
        note: what to say of the budget, in one line; without one, that which is there is kept.
        overwrite: whether to replace a folder that is there.
        add: whether to keep the runs that are there beside those of this checkout, which take the
            place of the same ones. Suite, images and settings have to be the same.
        pictures: whether to keep a picture of completed images, which shows images of the dataset:
            its license has to allow that.

    Returns:
        What was written to `reference.json`.

    Raises:
        InputError: the folder is there, or has other images or settings than what is to be added;
            no run is complete, or a file is damaged. Nothing changes then.
    """
    suite, folder = load_suite(suite_name), paths.reference(suite_name)
    if folder.exists() and not (overwrite or add):
        raise InputError(f"{folder}: is there already; --add adds to it, --overwrite replaces it")
    prepared = paths.prepared(suite_name)
    split = read_json(prepared / "split.json", f"python -m benchmark split --suite {suite_name}")
    runs, left_out = find_runs(suite, Store(prepared).digest())
    if not runs:
        reasons = "; ".join(f"{run}: {reason}" for run, reason in left_out.items())
        raise InputError(f"suite {suite_name}: no run is complete ({reasons or 'there is none'})")
    variants = tuple(dict.fromkeys(run.variant for run in runs))
    flops = {name: generator_flops(suite, load_variant(name)) for name in variants}
    results = collect_results(suite, runs, flops)
    project = ROOT / "pyproject.toml"
    there = _addable(folder, suite, split["digest"]) if add and folder.exists() else None
    with atomic_folder(folder) as partial_folder:
        if there is not None:
            shutil.copytree(folder, partial_folder, dirs_exist_ok=True)
        _copy_files(runs, variants, partial_folder)
        facts = Facts(
            suite=suite_name,
            version=tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"],
            note=" ".join(note.split()),
            runs={name: results.seeds_of(name) for name in variants},
            left_out=left_out,
            machines=_machines(runs),
            split_counts=split["counts"],
            split_digest=split["digest"],
            flops=flops,
            figure=pictures and _write_figure(results, partial_folder / FIGURE),
        )
        facts = facts if there is None else _joined(there, facts)
        write_json(partial_folder / FACTS, facts.model_dump(mode="json"))
        reference = read_reference(partial_folder)
        write_text(partial_folder / README, reference_readme(reference))
    return facts


def _addable(folder: Path, suite: Suite, split_digest: str) -> Facts:
    """Return the facts of reference runs to which runs of a suite can be added.

    Raises:
        InputError: they are of other images or settings, or were scored otherwise.
    """
    reference, replaced = read_reference(folder), "--overwrite replaces it"
    prose = {"title", "description"}
    if reference.results.suite.model_dump(exclude=prose) != suite.model_dump(exclude=prose):
        raise InputError(f"{folder}: the suite has other settings now; {replaced}")
    if reference.facts.split_digest != split_digest:
        raise InputError(f"{folder}: the images or their splits are others now; {replaced}")
    if reference.outdated:
        names = ", ".join(reference.outdated)
        raise InputError(f"{folder}: the settings of {names} are others now; {replaced}")
    scores = paths.baseline_scores(suite.name)
    if paths.kept(folder, scores).read_bytes() != scores.read_bytes():
        raise InputError(f"{folder}: its baselines have other scores than {scores}; {replaced}")
    return reference.facts


def _joined(there: Facts, added: Facts) -> Facts:
    """Return the facts of the runs that are there and of those that are added."""
    names = dict.fromkeys((*there.runs, *added.runs))
    runs = {name: sorted({*there.runs.get(name, ()), *added.runs.get(name, ())}) for name in names}
    kept = {f"{there.suite}/{name}/seed{seed}" for name, seeds in runs.items() for seed in seeds}
    left_out = {r: why for r, why in (there.left_out | added.left_out).items() if r not in kept}
    machines = [*there.machines, *(m for m in added.machines if m not in there.machines)]
    return added.model_copy(
        update={
            "note": added.note or there.note,
            "runs": runs,
            "left_out": left_out,
            "machines": machines,
            "flops": there.flops | added.flops,
            "figure": there.figure or added.figure,
        }
    )


def _required(run: paths.Run) -> tuple[Path, ...]:
    """Return what a run must have to be kept."""
    return run.scores, run.metrics, run.curves, run.provenance


def find_runs(suite: Suite, data_sha256: str) -> tuple[list[paths.Run], dict[str, str]]:
    """Return the complete runs of a suite, sorted, and why the others are not complete.

    Args:
        suite: the suite.
        data_sha256: digest of its prepared images.
    """
    found = {
        paths.Run(suite.name, path.parent.name, int(path.stem.removeprefix("seed")))
        for kind in ("scores", "metrics", "curves", "provenance")
        for path in (paths.REPORTS / kind / suite.name).glob("*/seed*")
        if re.fullmatch(r"seed[0-9]{1,10}\.(csv|json)", path.name)
    }
    reasons = {run: _incomplete(suite, run, data_sha256) for run in sorted(found)}
    complete = [run for run, reason in reasons.items() if reason is None]
    return complete, {str(run): reason for run, reason in reasons.items() if reason is not None}


def _incomplete(suite: Suite, run: paths.Run, data_sha256: str) -> str | None:
    """Return why a run cannot be kept."""
    for path in _required(run):
        if not path.is_file():
            return f"{path} is missing"
    if run.variant not in names_in(paths.VARIANTS):
        return f"there is no variant {run.variant}"
    training = _origin(run).training.digests
    if training.get("config_sha256") != training_digest(suite, load_variant(run.variant)):
        return "it was trained with other settings than the present ones"
    if training.get("data_sha256") != data_sha256:
        return "it was trained on other images than the present ones"
    if training.get("init_from"):
        return "it started from the weights of another run, which may have seen the test images"
    return None


def _origin(run: paths.Run) -> AnyProvenance:
    return Snapshot("", Path()).origin(Subject.of(run))


def _machines(runs: Sequence[paths.Run]) -> list[Machine]:
    """Return the machines on which some runs were trained and scored, each once."""
    machines: list[Machine] = []
    for run in runs:
        origin = _origin(run)
        for facts in (origin.training.environment, origin.evaluation):
            known = {name: facts.get(name) for name in Machine.model_fields}
            known["torch"] = facts.get("libraries", {}).get("torch")
            machine = validate(Machine, known, run.provenance)
            machines += [] if machine in machines else [machine]
    return machines


def _copy_files(runs: Sequence[paths.Run], variants: Sequence[str], folder: Path) -> None:
    suite = runs[0].suite
    results = [paths.baseline_scores(suite), paths.baseline_metrics(suite)]
    for run in runs:
        results += [*_required(run), *filter(Path.is_file, (run.version, run.diagnosis))]
    copies = {path: paths.kept(folder, path) for path in results}
    copies[paths.SUITES / f"{suite}.yaml"] = folder / SUITE
    for name in variants:
        copies[paths.VARIANTS / f"{name}.yaml"] = folder / "variants" / f"{name}.yaml"
    for path, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())


def _write_figure(results: Results, path: Path) -> bool:
    """Draw as many completed images as fit into the size of a figure, and say whether any did."""
    try:
        pictures = read_pictures(results)
    except InputError:  # scores can be kept without them
        return False
    rows = chosen_rows(pictures.labels)
    while rows:
        save_image(path, comparison(pictures, rows))
        if path.stat().st_size <= FIGURE_BYTES:
            return True
        rows = rows[: len(rows) // 2]
    path.unlink(missing_ok=True)
    return False


def reference_readme(reference: Reference) -> str:
    """Return the page of a folder of reference runs."""
    results, facts = reference.results, reference.facts
    board = leaderboard(results, Verdicts(results))
    blocks: list[Block] = [
        Text(
            f"Made by `python -m benchmark reference --suite {facts.suite}`; shown by the report."
        ),
        Items(reference_facts(reference)),
        scores_table(board.caption, board.rows, board.columns),
        Text(plain(board.caption)),
        Items([with_code(note) for note in board.footnotes]),
    ]
    if facts.left_out:
        left_out = [f"`{run}`: {plain(why)}" for run, why in sorted(facts.left_out.items())]
        blocks += [Text("Left out:"), Items(left_out)]
    if facts.figure:
        blocks.append(Pictures([Picture(FIGURE, "completed images")]))
    title = f"Reference runs: {plain(results.suite.title)} (`{facts.suite}`)"
    return markdown_page(title, blocks)
