"""A git revision, a checkout or a folder of reference runs → the results of that version.

Only what is in git is read (metrics, score tables, provenance, settings), so neither DVC's cache
nor a checkout of the version is needed.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from benchmark.core import git, paths
from benchmark.core.config import Name, Params, Seed
from benchmark.core.files import read_json
from benchmark.core.yaml_files import load, validate
from benchmark.evaluation.metrics_file import AnyMetrics, read_any_metrics
from benchmark.evaluation.provenance import AnyProvenance
from benchmark.evaluation.reference_runs import FACTS, SUITE, Facts
from benchmark.evaluation.score_table import read_score_table
from benchmark.stats.intervals import Spread
from benchmark.versions.earlier_names import RENAMED, renamed
from benchmark.versions.tolerances import BASELINES, TOLERANCES, Tolerances, read_tolerances
from data.errors import InputError, printable

ARCHIVED = (
    *("params.yaml", "benchmark/suites", "models/variants", str(TOLERANCES)),
    *("reports/metrics", "reports/scores", "reports/provenance"),
)
MADE_BY = "dvc repro"


@dataclass(frozen=True, order=True)
class Subject:
    """What has a score table: a run, or the baselines of a suite."""

    suite: str
    name: str
    """Of the variant, or `baselines`."""
    seed: int = 0

    @classmethod
    def of(cls, run: paths.Run) -> "Subject":
        """Return a run as a subject."""
        return cls(run.suite, run.variant, run.seed)

    def __str__(self) -> str:
        return str(self.run) if self.is_run else f"{self.suite}/{BASELINES}"

    @property
    def is_run(self) -> bool:
        """Whether it was trained."""
        return self.name != BASELINES

    @property
    def run(self) -> paths.Run:
        """The run; not of baselines."""
        return paths.Run(self.suite, self.name, self.seed)

    @property
    def metrics(self) -> Path:
        """Where a checkout has its metrics."""
        return self.run.metrics if self.is_run else paths.baseline_metrics(self.suite)

    @property
    def scores(self) -> Path:
        """Where a checkout has its score table."""
        return self.run.scores if self.is_run else paths.baseline_scores(self.suite)


class _Anything(BaseModel):
    """A document of any keys: that of another version may have others than this one."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class Snapshot:
    """The results of a version, read when they are asked for."""

    name: str
    """As it was asked for."""
    folder: Path
    commit: str | None = None
    """None for a folder."""
    chosen: tuple[Subject, ...] | None = None
    """What to look at, where that is not everything."""
    score_tables: dict[Subject, pd.DataFrame] = field(default_factory=dict, compare=False)
    """That were read."""
    aggregated: dict[Subject, AnyMetrics] = field(default_factory=dict, compare=False)
    """Metrics that were read."""

    def named(self, text: str) -> str:
        """Return text in which a revision's files are not called by where they were put."""
        return text.replace(f"{self.folder}{os.sep}", f"{self.name}:") if self.commit else text

    @cached_property
    def reference(self) -> Facts | None:
        """The facts of a folder of reference runs."""
        path = self.folder / FACTS
        return load(Facts, path) if path.is_file() else None

    @cached_property
    def tolerances(self) -> Tolerances:
        """What was measured of seeds and machines; nothing for versions without such a file."""
        return read_tolerances(self.folder)

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        """What the version says that it has: exactly that, and nothing that lies about."""
        if self.chosen is not None:
            return self.chosen
        if (facts := self.reference) is not None:
            runs = [Subject(facts.suite, n, s) for n, seeds in facts.runs.items() for s in seeds]
            suites: tuple[str, ...] = (facts.suite,)
        else:
            params = read_params(self.folder / paths.PARAMS)
            runs = [Subject.of(run) for run in params.all_runs]
            suites = params.suites
        return (*runs, *(Subject(suite, BASELINES) for suite in suites))

    @property
    def seeds(self) -> tuple[int, ...]:
        """All training seeds."""
        return tuple(sorted({s.seed for s in self.subjects if s.is_run}))

    def place(self, path: Path) -> Path:
        """Return where the version has a result, suite or variant that a checkout has at a path."""
        if self.reference is None:
            return self.folder / path
        if path.parent == paths.SUITES:
            return self.folder / SUITE
        if path.parent == paths.VARIANTS:
            return self.folder / "variants" / path.name
        return paths.kept(self.folder, path)

    def image_px(self, suite: str) -> int:
        """Return the pixels of a suite's images, in which infinite PSNRs are capped.

        Raises:
            InputError: the suite does not say it.
        """
        path = paths.SUITES / f"{suite}.yaml"
        size = self.settings(path).get("image_size")
        if not isinstance(size, int) or size < 1:
            raise InputError(f"{printable(self.name)}: {path} does not say how large images are")
        return size**2

    def metrics(self, subject: Subject) -> AnyMetrics:
        """Return the aggregated metrics of a subject.

        Raises:
            InputError: the file is missing or damaged.
        """
        if subject not in self.aggregated:
            path = self.place(subject.metrics)
            found = read_any_metrics(path, MADE_BY)
            methods = renamed(found.methods)
            self.aggregated[subject] = found.model_copy(update={"methods": methods})
        return self.aggregated[subject]

    def score_table(self, subject: Subject) -> pd.DataFrame:
        """Return the score table of a subject.

        Raises:
            InputError: it is missing or damaged.
        """
        if subject not in self.score_tables:
            frame = read_score_table(self.place(subject.scores))
            self.score_tables[subject] = frame.assign(method=frame["method"].replace(RENAMED))
        return self.score_tables[subject]

    def content(self, subject: Subject) -> dict[Path, bytes]:
        """Return the bytes of a subject's metrics and score table, where these are there."""
        files = {path: self.place(path) for path in (subject.metrics, subject.scores)}
        return {path: file.read_bytes() for path, file in files.items() if file.is_file()}

    def origin(self, subject: Subject) -> AnyProvenance:
        """Return where a run comes from.

        Raises:
            InputError: the file is damaged.
        """
        path = self.place(subject.run.provenance)
        return (
            validate(AnyProvenance, read_json(path, MADE_BY), path)
            if path.is_file()
            else AnyProvenance()
        )

    def settings(self, path: Path) -> Mapping[str, Any]:
        """Return a suite or variant as nested keys and values; none where there is no file."""
        file = self.place(path)
        return renamed((file.is_file() and load(_Anything, file).model_extra) or {})

    def spread(self, suite: str, variant: str, metric: str) -> Spread | None:
        """Return what is known of a variant's seeds, see `Tolerances.spread`."""
        runs = [s for s in self.subjects if s.is_run and (s.suite, s.name) == (suite, variant)]
        origins = [self.origin(run).training.digests for run in runs]
        return self.tolerances.spread(suite, variant, metric, origins)


@contextmanager
def open_version(name: str) -> Iterator[Snapshot]:
    """Give the results of a version.

    Args:
        name: a git revision (tag, branch, commit), or a folder: a checkout, or reference runs. What
            is both is the revision; `./name` is the folder.

    Raises:
        InputError: there is neither, or no results are there.
    """
    commit, reason = git.find_commit(name)
    if commit is None:
        folder = Path(name)
        if not _has_results(folder):
            raise InputError(
                f"{printable(name)}: neither a revision of this repository nor a folder with "
                f"{paths.PARAMS} or {FACTS}{reason}"
            )
        yield Snapshot(name, folder)
        return
    with tempfile.TemporaryDirectory(prefix="inpaintbench-") as temporary:
        version = Snapshot(name, Path(temporary), commit)
        try:
            git.extract(name, commit, ARCHIVED, version.folder)
            if not _has_results(version.folder):
                raise InputError(f"{printable(name)}: this commit has no {paths.PARAMS}")
            yield version
        except InputError as error:
            raise InputError(version.named(str(error))) from None


class _ProductParams(BaseModel):
    """The `params.yaml` of version 0.1.0: every suite with every variant and every seed."""

    suites: tuple[Name, ...] = Field(min_length=1)
    variants: tuple[Name, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field(min_length=1)


def read_params(path: Path) -> Params:
    """Read the selection of any version.

    Raises:
        InputError: it is missing or damaged.
    """
    if "variants" in (load(_Anything, path).model_extra or {}):
        old = load(_ProductParams, path)
        return Params.of_product(dict.fromkeys(old.suites), old.variants, old.seeds)
    return load(Params, path)


def _has_results(folder: Path) -> bool:
    try:
        return (folder / paths.PARAMS).is_file() or (folder / FACTS).is_file()
    except OSError:  # such as a name that is too long
        return False
