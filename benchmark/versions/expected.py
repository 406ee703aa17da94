"""The results that a rebuild is compared with: those of the checkout, or reference runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from benchmark.core import paths
from benchmark.core.config import Suite, load_params, load_suite, load_variant
from benchmark.core.files import read_json
from benchmark.core.yaml_files import load, validate
from benchmark.evaluation.reference_runs import FACTS, SUITE, Facts
from benchmark.evaluation.results import Provenance
from benchmark.metrics import missing_metrics
from benchmark.training.gan import training_digest
from benchmark.versions.rebuild import Selection, file_md5, file_md5s, folder_md5
from data.errors import InputError
from models.variant import Variant

LOCK = Path("dvc.lock")
REPORT_FILES = ("report.md", "report.html", "summary.json", "claims.json")
Item = TypeVar("Item", str, int)


@dataclass(frozen=True)
class Pinned:
    """Results that were kept, and what they were made with."""

    selection: Selection
    suites: Mapping[str, Suite]
    variants: Mapping[str, Variant]
    place: Callable[[Path], Path] = Path
    """From where a checkout has an artefact to where the pinned one is."""
    configurations: Mapping[Path, Path] = field(default_factory=dict)
    """Files to put into the copy, by their place there."""
    is_reference: bool = False
    locked: Mapping[str, str] = field(default_factory=dict)
    """DVC's hash of every output of the pipeline."""

    def check(self) -> None:
        """Find out before a rebuild what would stop it, or leave nothing to compare with.

        Raises:
            InputError: there is no such result, it has other settings, or images are missing.
        """
        for run in self.selection.runs:
            self._check_run(run)
        for name in self.selection.suites:
            if self.selection.baselines:
                place = self.place(paths.baseline_metrics(name))
                self._require(place, f"the baselines of {name}")
            self.suites[name].source.items(paths.raw(name))
        if self.selection.report:
            for file in REPORT_FILES:
                self._require(paths.REPORTS / file, "the report")
        if not self.hides_weights and (gaps := self._gaps()):
            raise InputError(
                f"{gaps[0]} is pinned and cannot be computed here: {missing_metrics()[gaps[0]]}"
            )

    def _check_run(self, run: paths.Run) -> None:
        for path in (run.metrics, run.scores, run.curves):
            self._require(self.place(path), str(run))
        training = self.provenance(run).get("training", {})
        if "data_sha256" not in training:
            raise InputError(f"{self.place(run.provenance)}: does not say of which data the run is")
        present = training_digest(self.suites[run.suite], self.variants[run.variant])
        # Of reference runs the settings are kept, and an older version may have hashed them.
        if not self.is_reference and training.get("config_sha256") != present:
            raise InputError(
                f"no pinned result of {run} with the present settings; `dvc repro` makes it"
            )

    def _require(self, path: Path, what: str) -> None:
        if not path.is_file():
            raise InputError(f"no pinned result of {what}: {path} is missing")

    def _gaps(self) -> list[str]:
        return [name for name in missing_metrics() if name not in self._missing()]

    @property
    def hides_weights(self) -> bool:
        """Whether a rebuild has to do without weights of LPIPS, as what is pinned did."""
        return bool(self._missing())

    def _missing(self) -> set[str]:
        files = [self.place(run.metrics) for run in self.selection.runs]
        gaps = [_gaps_of(path) for path in files]
        if any(names != gaps[0] for names in gaps):
            raise InputError(
                "the pinned results were made with and without weights of LPIPS; narrow them with "
                "--suite, --variant and --seed"
            )
        return gaps[0]

    def provenance(self, run: paths.Run) -> Mapping[str, Any]:
        """Return where a run comes from.

        Raises:
            InputError: there is no such run.
        """
        path = self.place(run.provenance)
        self._require(path, str(run))
        content = read_json(path, "python -m benchmark evaluate")
        validate(Provenance, content, path)
        return cast(Mapping[str, Any], content)

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


def locked_md5s() -> dict[str, str]:
    """Return the hash of every output that `dvc.lock` records; of a damaged file, none."""
    try:
        stages = YAML(typ="safe").load(LOCK.read_text(encoding="utf-8"))["stages"]
        return {
            out["path"]: out["md5"]
            for stage in stages.values()
            for out in stage.get("outs", [])
            if "md5" in out
        }
    except (OSError, YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return {}


def pinned_checkout(suite: str | None, variant: str | None, seed: int | None) -> Pinned:
    """Return the results of what params.yaml selects, narrowed to those names that are given.

    Raises:
        InputError: params.yaml does not select such a run.
    """
    params = load_params()
    runs = params.all_runs
    suites = _narrow("suite", suite, params.suites, lambda: load_suite(suite or ""))
    variants = _narrow("variant", variant, params.variants, lambda: load_variant(variant or ""))
    seeds = _narrow("seed", seed, tuple(dict.fromkeys(run.seed for run in runs)))
    runs = tuple(r for r in runs if r.suite in suites and r.variant in variants and r.seed in seeds)
    whole_suites = variant is None and seed is None
    return Pinned(
        Selection(runs, baselines=whole_suites, report=whole_suites and suite is None),
        {name: load_suite(name) for name in suites},
        {name: load_variant(name) for name in variants},
        locked=locked_md5s(),
    )


def pinned_reference(suite: str | None, variant: str | None, seed: int | None) -> Pinned:
    """Return reference runs of a suite, with the settings that they were made with.

    Raises:
        InputError: no such run is kept.
    """
    kept = sorted(path.parent.name for path in paths.REFERENCES.glob(f"*/{FACTS}"))
    if suite is None or suite not in kept:
        problem = "needs --suite" if suite is None else f"no reference runs of suite {suite!r}"
        raise InputError(f"--reference: {problem}; there are {', '.join(kept) or 'none'}")
    folder = paths.reference(suite)
    facts = load(Facts, folder / FACTS)
    variants = _narrow("variant", variant, tuple(facts.runs))
    every = [paths.Run(suite, name, number) for name in variants for number in facts.runs[name]]
    seeds = _narrow("seed", seed, tuple(dict.fromkeys(run.seed for run in every)))
    files = {paths.SUITES / f"{suite}.yaml": folder / SUITE}
    files |= {
        paths.VARIANTS / f"{name}.yaml": folder / "variants" / f"{name}.yaml" for name in variants
    }
    return Pinned(
        Selection(
            tuple(run for run in every if run.seed in seeds),
            baselines=variant is None and seed is None,
        ),
        {suite: load(Suite, folder / SUITE, name=suite)},
        {n: load(Variant, folder / "variants" / f"{n}.yaml", name=n) for n in variants},
        place=partial(paths.kept, folder),
        configurations=files,
        is_reference=True,
    )


def _narrow(
    kind: str,
    wanted: Item | None,
    selected: Sequence[Item],
    check: Callable[[], object] = lambda: None,
) -> Sequence[Item]:
    if wanted is None:
        return selected
    if wanted not in selected:
        check()  # says of a name that is that of nothing which one was meant
        shown = ", ".join(str(item) for item in selected)
        raise InputError(f"no pinned result of {kind} {wanted}; there are those of {shown}")
    return [wanted]


def _gaps_of(path: Path) -> set[str]:
    """Return the metrics that a metrics file says are missing."""
    content = read_json(path, "python -m benchmark evaluate")
    gaps = content.get("missing", {}) if isinstance(content, dict) else None
    if not isinstance(gaps, dict):
        raise InputError(f"{path}: not a file of metrics")
    return set(gaps)
