"""The options of `verify` -> the results that a rebuild is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from benchmark.core import paths
from benchmark.core.config import Suite, load_params, load_suite, load_variant
from benchmark.core.files import read_json
from benchmark.core.yaml_files import load, validate
from benchmark.evaluation.provenance import Provenance
from benchmark.evaluation.reference_runs import FACTS
from benchmark.metrics import missing_metrics
from benchmark.training.gan import training_digest
from benchmark.versions.rebuild import Selection, file_md5, file_md5s, folder_md5
from benchmark.versions.snapshot import Snapshot, Subject
from benchmark.versions.tolerances import BASELINES
from data.errors import InputError

LOCK = Path("dvc.lock")
REPORT_FILES = ("report.md", "report.html", "summary.json", "claims.json")


@dataclass(frozen=True)
class Expected:
    """Results that are kept, and which of them to build again."""

    results: Snapshot
    selection: Selection
    locked: Mapping[str, str]
    """DVC's hash of every output of the pipeline, by path."""

    @property
    def is_reference(self) -> bool:
        """Whether these are reference runs, of which the settings are kept, and no weights."""
        return self.results.reference is not None

    def suite(self, name: str) -> Suite:
        """Return a suite as it was used."""
        path = paths.SUITES / f"{name}.yaml"
        return load(Suite, self.results.settings_file(path), name=name)

    @property
    def configurations(self) -> dict[Path, Path]:
        """The files of settings, by their place in a checkout."""
        files = [paths.SUITES / f"{name}.yaml" for name in self.selection.suites]
        variants = dict.fromkeys(run.variant for run in self.selection.runs)
        files += [paths.VARIANTS / f"{name}.yaml" for name in variants]
        return {path: self.results.settings_file(path) for path in files}

    def provenance(self, run: paths.Run) -> Mapping[str, Any]:
        """Return where a run comes from."""
        return self.results.provenance(Subject.of(run))

    def check(self) -> None:
        """Find out before a rebuild what would stop it, or leave nothing to compare with.

        Raises:
            InputError: there is no such result, it has other settings, or images are missing.
        """
        place = self.results.place
        for run in self.selection.runs:
            for path in (run.metrics, run.scores, run.curves, run.provenance):
                _require(place(path), str(run))
            self._check_origin(run)
        for name in self.selection.suites:
            if self.selection.baselines:
                _require(place(paths.baseline_metrics(name)), f"the baselines of {name}")
            self.suite(name).source.items(paths.raw(name))
        if self.selection.report:
            for file in REPORT_FILES:
                _require(paths.REPORTS / file, "the report")
        gaps = [name for name in missing_metrics() if name not in self.missing_metrics]
        if gaps and not self.missing_metrics:
            raise InputError(
                f"{gaps[0]} is expected and cannot be computed here: {missing_metrics()[gaps[0]]}"
            )

    def _check_origin(self, run: paths.Run) -> None:
        path = self.results.place(run.provenance)
        validate(Provenance, read_json(path, "python -m benchmark evaluate"), path)
        training = self.provenance(run)["training"]
        if "data_sha256" not in training:
            raise InputError(f"{path}: does not say which data the run was trained on")
        # Reference runs keep their settings, and an older version may have hashed them.
        if not self.is_reference:
            present = training_digest(self.suite(run.suite), load_variant(run.variant))
            if training.get("config_sha256") != present:
                what = f"no expected result of {run} with the present settings"
                raise InputError(f"{what}; `dvc repro` makes it")

    @property
    def missing_metrics(self) -> set[str]:
        """The metrics that the runs were scored without, as weights of LPIPS were not there.

        Raises:
            InputError: some runs were scored with them, and some without.
        """
        gaps = []
        for run in self.selection.runs:
            metrics = self.results.metrics(Subject.of(run))
            gaps.append(set(metrics.missing) if metrics else set())
        if any(names != gaps[0] for names in gaps):
            raise InputError(
                "the expected results were made with and without weights of LPIPS; narrow them "
                "with --suite, --variant and --seed"
            )
        return gaps[0]

    def md5(self, path: Path, beside: Path) -> str | None:
        """Return DVC's hash of an artefact that is not in git; None where it is not known.

        Args:
            path: the artefact.
            beside: one that is in git and was made by the same stage. `dvc.lock` speaks of other
                results if its hash is another.
        """
        if self.is_reference:
            return None
        known = self.locked.get(path.as_posix())
        if known is not None and beside.is_file():
            if self.locked.get(beside.as_posix()) == file_md5(beside):
                return known
        if path.is_dir():
            return folder_md5(file_md5s(path))
        return file_md5(path) if path.is_file() else None


def _require(path: Path, what: str) -> None:
    if not path.is_file():
        raise InputError(f"no expected result of {what}: {path} is missing")


def expected_results(
    suite: str | None = None,
    variant: str | None = None,
    seed: int | None = None,
    reference: bool = False,
) -> Expected:
    """Return the results of this checkout, or reference runs, narrowed to the names that are given.

    Raises:
        InputError: there are no such runs.
    """
    folder = Path()
    if reference:
        kept = sorted(path.parent.name for path in paths.REFERENCES.glob(f"*/{FACTS}"))
        if suite is None or suite not in kept:
            problem = "needs --suite" if suite is None else f"no reference runs of suite {suite!r}"
            raise InputError(f"--reference: {problem}; there are {', '.join(kept) or 'none'}")
        folder = paths.reference(suite)
    else:
        load_params()  # names a suite or variant that there is none of
    results = Snapshot(folder.as_posix(), folder)
    runs = tuple(subject.run for subject in results.subjects if subject.name != BASELINES)
    for kind, wanted in (("suite", suite), ("variant", variant), ("seed", seed)):
        if wanted is None:
            continue
        known = list(dict.fromkeys(getattr(run, kind) for run in runs))
        if wanted not in known:
            if kind != "seed":  # a name that was misspelled is answered with the one that was meant
                (load_suite if kind == "suite" else load_variant)(str(wanted))
            listed = ", ".join(map(str, known))
            raise InputError(f"no expected result of {kind} {wanted}; there are those of {listed}")
        runs = tuple(run for run in runs if getattr(run, kind) == wanted)
    is_whole = variant is None and seed is None
    selection = Selection(
        runs, baselines=is_whole, report=is_whole and suite is None and not reference
    )
    return Expected(results, selection, _locked_md5s())


def _locked_md5s() -> dict[str, str]:
    """Return the hash of every output that `dvc.lock` records; of a damaged file, none."""
    try:
        stages = YAML(typ="safe").load(LOCK.read_text(encoding="utf-8"))["stages"]
        outs = [out for stage in stages.values() for out in stage.get("outs", [])]
        return {out["path"]: out["md5"] for out in outs if "md5" in out}
    except (OSError, YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return {}
