"""A selection of runs and what is asked of it → the new selection, and the text of its file."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benchmark.core import paths
from benchmark.core.config import Name, Params, Seed, SelectedRun, check_names
from benchmark.core.files import write_text
from benchmark.core.yaml_files import load, validate
from data.errors import InputError

_HEAD = "# What `dvc repro` builds. `python -m benchmark select` shows it and writes it.\n"
_NOT_TEXT = ("true", "false", "null")
"""Names that YAML takes for something else unless they are quoted."""


class _Part(BaseModel):
    """What a short file says of a suite."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variants: tuple[Name, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1)


class _Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


def with_suite(
    selection: Params, suite: str, variants: Sequence[str], seeds: Sequence[int]
) -> Params:
    """Return a selection with other runs of a suite: every variant with every seed.

    Raises:
        InputError: a name is not that of a suite or a variant, or is there twice.
    """
    return _selection(_by_suite(selection) | {suite: _runs(suite, variants, seeds)})


def without_suite(selection: Params, suite: str) -> Params:
    """Return a selection without a suite.

    Raises:
        InputError: the suite is not selected, or is all that is.
    """
    runs = _by_suite(selection)
    if suite not in runs:
        raise InputError(f"suite {suite!r} is not selected; selected are {', '.join(runs)}")
    if len(runs) == 1:
        raise InputError(f"suite {suite} is all that is selected; select another one first")
    return _selection({name: of_suite for name, of_suite in runs.items() if name != suite})


def read_selection(path: Path) -> Params:
    """Read a selection from a file like `params.yaml`, or from one with an entry for each suite.

    Raises:
        InputError: the file is missing or damaged, or a name is not that of a suite or a variant.
    """
    content = load(_Anything, path).model_extra or {}
    try:
        if "runs" in content:
            selection = load(Params, path)
            check_names(selection.suites, selection.variants)
            return selection
        runs = {}
        for suite, entry in content.items():
            part = validate(_Part, entry, Path(f"{path}: {suite}"))
            runs[suite] = _runs(suite, part.variants, part.seeds)
        return _selection(runs)
    except InputError as error:
        line = str(error)
        raise InputError(line if line.startswith(f"{path}: ") else f"{path}: {line}") from None


def write_selection(selection: Params) -> None:
    """Write `params.yaml`."""
    write_text(paths.PARAMS, params_text(selection))


def params_text(selection: Params) -> str:
    """Return a selection as `params.yaml` has it."""
    lines = [f"suites: [{', '.join(_quoted(suite) for suite in selection.suites)}]", "runs:"]
    for run in selection.runs.values():
        names = f"suite: {_quoted(run.suite)}, variant: {_quoted(run.variant)}"
        lines.append(f"  {run.key}: {{{names}, seed: {run.seed}}}")
    return _HEAD + "\n".join(lines) + "\n"


def selection_content(selection: Params) -> dict[str, Any]:
    """Return a selection as JSON: the seeds of each variant of each suite, and how many runs."""
    suites = {suite: _seeds(runs) for suite, runs in _by_suite(selection).items()}
    return {"runs": len(selection.runs), "suites": suites}


def selection_text(selection: Params) -> str:
    """Return a selection as text: a line for each suite, its variants together by their seeds."""
    lines = []
    for suite, runs in _by_suite(selection).items():
        variants: dict[str, list[str]] = {}
        for variant, seeds in _seeds(runs).items():
            variants.setdefault(", ".join(map(str, seeds)), []).append(variant)
        parts = [f"{', '.join(names)} (seeds {seeds})" for seeds, names in variants.items()]
        lines.append(f"{suite}: {_counted(len(runs))}: {'; '.join(parts)}\n")
    total = f"{_counted(len(selection.runs))} in all; `dvc repro` builds what is missing of them\n"
    return "".join(lines) + total


def _counted(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"


def _quoted(name: str) -> str:
    return f'"{name}"' if name in _NOT_TEXT else name


def _seeds(runs: Iterable[SelectedRun]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for run in runs:
        found.setdefault(run.variant, []).append(run.seed)
    return found


def _by_suite(selection: Params) -> dict[str, list[SelectedRun]]:
    every = selection.runs.values()
    return {suite: [run for run in every if run.suite == suite] for suite in selection.suites}


def _runs(suite: str, variants: Sequence[str], seeds: Sequence[int]) -> list[SelectedRun]:
    check_names([suite], variants)
    for what, values in (("variant", variants), ("seed", seeds)):
        if len(set(values)) < len(values):
            listed = ", ".join(map(str, values))
            raise InputError(f"{suite}: a {what} is named twice: {listed}")
    return [SelectedRun(suite=suite, variant=v, seed=s) for v in variants for s in seeds]


def _selection(runs: Mapping[str, Iterable[SelectedRun]]) -> Params:
    if not runs:
        raise InputError("no suite is selected; name one with its variants")
    every = {run.key: run for of_suite in runs.values() for run in of_suite}
    return Params(suites=tuple(runs), runs=every)
