"""The results of one version: of a git revision, of a checkout, or of a folder of reference runs.

Only what is in git is read: metrics, score tables, provenance and settings, so that neither DVC's cache
nor a checkout of the version is needed.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from benchmark.core import paths
from benchmark.core.config import Params
from benchmark.core.files import read_json
from benchmark.core.git import extract, find_commit, listed
from benchmark.core.yaml_files import load, validate
from benchmark.evaluation.reference_runs import FACTS, SUITE, Facts
from benchmark.evaluation.score_table import read_score_table
from benchmark.versions.tolerances import BANDS, Bands
from data.errors import InputError, printable

BASELINES = "baselines"
ARCHIVED = (
    *("params.yaml", "benchmark/suites", "models/variants", str(BANDS)),
    *("reports/metrics", "reports/scores", "reports/provenance"),
)
SETTINGS = ("benchmark/suites/", "models/variants/")
CODE = ("benchmark", "models", "data", "requirements.lock", "dvc.yaml")
MADE_BY = "dvc repro"
LARGEST = 1e100
"""Greater numbers are none: their squares have no place in a float."""


@dataclass(frozen=True, order=True)
class Subject:
    """What has a score table: a run, or the baselines of a suite."""

    suite: str
    name: str
    """Of the variant, or `baselines`."""
    seed: int = 0

    def __str__(self) -> str:
        if self.name == BASELINES:
            return f"{self.suite}/{BASELINES}"
        return str(self.run)

    @property
    def run(self) -> paths.Run:
        """The run; not of baselines."""
        return paths.Run(self.suite, self.name, self.seed)

    @property
    def metrics(self) -> Path:
        """Where a checkout has its metrics."""
        is_run = self.name != BASELINES
        return self.run.metrics if is_run else paths.baseline_metrics(self.suite)

    @property
    def scores(self) -> Path:
        """Where a checkout has its score_table."""
        return self.run.scores if self.name != BASELINES else paths.baseline_scores(self.suite)


class _Anything(BaseModel):
    """A document of any keys: that of another version may have others than this one."""

    model_config = ConfigDict(extra="allow")


class Entry(BaseModel):
    """What any version says of a metric of a method."""

    mean: float | None
    n: int = 0

    @property
    def value(self) -> float | None:
        """The mean, where there is one."""
        return self.mean if self.mean is not None and abs(self.mean) < LARGEST else None


class Aggregated(BaseModel):
    """What a file of metrics has in any version."""

    protocol: str = "unknown"
    methods: dict[str, dict[str, Entry]]


@dataclass(frozen=True)
class Snapshot:
    """The results of a version, read when they are asked for."""

    name: str
    """As it was asked for."""
    folder: Path
    commit: str | None = None
    """None for a folder."""
    without: frozenset[Subject] = frozenset()
    """What is to be left out."""
    score_tables: dict[Subject, pd.DataFrame | None] = field(default_factory=dict, compare=False)
    """That were read."""
    aggregated: dict[Subject, Aggregated] = field(default_factory=dict, compare=False)
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
    def bands(self) -> Bands:
        """What was measured of seeds and machines; nothing where there is no such file."""
        path = self.folder / BANDS
        return load(Bands, path) if path.is_file() else Bands()

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        """What the version says that it has: exactly that, and nothing that lies about."""
        if (facts := self.reference) is not None:
            runs = [Subject(facts.suite, n, s) for n, seeds in facts.runs.items() for s in seeds]
            suites: tuple[str, ...] = (facts.suite,)
        else:
            params = read_params(self.folder / paths.PARAMS)
            runs = [Subject(run.suite, run.variant, run.seed) for run in params.all_runs]
            suites = params.suites
        every = (*runs, *(Subject(suite, BASELINES) for suite in suites))
        return tuple(subject for subject in every if subject not in self.without)

    @property
    def seeds(self) -> tuple[int, ...]:
        """All training seeds."""
        return tuple(sorted({s.seed for s in self.subjects if s.name != BASELINES}))

    def place(self, path: Path) -> Path:
        """Return where the version has an artefact that a checkout has at a path."""
        return paths.kept(self.folder, path) if self.reference else self.folder / path

    def image_px(self, suite: str) -> int:
        """Return the pixels of a suite's images, in which infinite PSNRs are capped.

        Raises:
            InputError: the suite does not say it.
        """
        path = paths.SUITES / f"{suite}.yaml"
        size = (self.settings(path) or {}).get("image_size")
        if not isinstance(size, int) or size < 1:
            raise InputError(f"{printable(self.name)}: {path} does not say how large images are")
        return size**2

    def metrics(self, subject: Subject) -> Aggregated | None:
        """Return the aggregated metrics of a subject; None where there are none.

        Raises:
            InputError: the file is damaged.
        """
        path = self.place(subject.metrics)
        if subject not in self.aggregated and path.is_file():
            self.aggregated[subject] = validate(Aggregated, read_json(path, MADE_BY), path)
        return self.aggregated.get(subject)

    def score_table(self, subject: Subject) -> pd.DataFrame | None:
        """Return the score table of a subject; None where it is not in git.

        Raises:
            InputError: it is damaged.
        """
        path = self.place(subject.scores)
        if subject not in self.score_tables:
            self.score_tables[subject] = read_score_table(path) if path.is_file() else None
        return self.score_tables[subject]

    def content(self, subject: Subject) -> tuple[bytes | None, bytes | None]:
        """Return the bytes of a subject's metrics and score table; None for what is not there."""
        files = (self.place(subject.metrics), self.place(subject.scores))
        metrics, scores = (file.read_bytes() if file.is_file() else None for file in files)
        return metrics, scores

    def training(self, subject: Subject) -> Mapping[str, Any]:
        """Return what a run's provenance says of its training; nothing where there is none."""
        path = self.place(subject.run.provenance)
        content = read_json(path, MADE_BY) if path.is_file() else {}
        found = content.get("training", {}) if isinstance(content, dict) else {}
        return found if isinstance(found, dict) else {}

    def settings(self, path: Path) -> Mapping[str, Any] | None:
        """Return a YAML file as nested keys and values; None where there is none."""
        if (facts := self.reference) is not None:
            if path.parent == paths.SUITES and path.stem != facts.suite:
                return None
            is_suite = path.parent == paths.SUITES
            file = self.folder / (SUITE if is_suite else f"variants/{path.name}")
        else:
            file = self.folder / path
        return load(_Anything, file).model_extra if file.is_file() else None


@contextmanager
def open_version(name: str) -> Iterator[Snapshot]:
    """Give the results of a version.

    Args:
        name: a git revision (tag, branch, commit), or a folder: a checkout, or reference runs. What
            is both is the revision; `./name` is the folder.

    Raises:
        InputError: there is neither, or no results are there.
    """
    commit, reason = find_commit(name)
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
            extract(name, commit, ARCHIVED, version.folder)
            if not _has_results(version.folder):
                raise InputError(f"{printable(name)}: this commit has no {paths.PARAMS}")
            yield version
        except InputError as error:
            raise InputError(version.named(str(error))) from None


class _ProductParams(BaseModel):
    """The `params.yaml` of version 0.1.0: every suite with every variant and every seed."""

    suites: tuple[str, ...]
    variants: tuple[str, ...]
    seeds: tuple[int, ...]


def read_params(path: Path) -> Params:
    """Read the selection of any version.

    Raises:
        InputError: it is missing or damaged.
    """
    if "variants" in (load(_Anything, path).model_extra or {}):
        old = load(_ProductParams, path)
        return Params.of_product(old.suites, old.variants, old.seeds)
    return load(Params, path)


def _has_results(folder: Path) -> bool:
    try:
        return (folder / paths.PARAMS).is_file() or (folder / FACTS).is_file()
    except OSError:  # such as a name that is too long
        return False


def changed_files(old: Snapshot, new: Snapshot) -> list[str] | None:
    """Return which files of code differ; None where one side is neither a commit nor this tree."""
    if old.commit is None:
        return None
    here = new.commit is None and new.folder.resolve() == Path().resolve()
    if new.commit is None and not here:
        return None
    options = ("--name-only", "-z", "--relative", "--no-renames", "--no-ext-diff", "--no-textconv")
    against = [new.commit] if new.commit else []
    tracked = listed("diff", *options, old.commit, *against, "--", *CODE)
    others = partial(listed, "ls-files", "-z", "--others", "--exclude-standard", "--", *CODE)
    untracked = others() if here else []
    if tracked is None or untracked is None:
        return None
    # Settings are compared key by key.
    return sorted(f for f in {*tracked, *untracked} if not f.startswith(SETTINGS))
