"""A selection of runs -> their results, built again by the stages in a copy of the checkout."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.core import git, paths
from benchmark.core.exit_codes import INTERRUPTED, MISUSED
from benchmark.training.checkpoints import MANIFEST
from data.errors import InputError

SOURCES = ("benchmark", "data", "models")
INPUTS = ("reports/reference", "reports/versions")
"""What the stages read of folders that they, or the user, fill."""
FILES = ("dvc.yaml", "params.yaml", "requirements.lock")
LEFT_OUT = ("data/prepared", "data/raw", "models/checkpoints", "models/scratch")
RUN_STAGES = ("train", "evaluate")
"""What makes the results of a run; the last one is the last to read its weights."""
PATIENCE_S = 20
"""How long a stage that is interrupted may take to clean up."""
WITHOUT_ONEDNN = (
    "import runpy, sys, torch; torch.backends.mkldnn.set_flags(False); del sys.argv[0]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)
"""Runs a module as `python -m` does, without oneDNN, which no variable switches off."""


class RebuildFailedError(Exception):
    """A stage failed in the copy."""


@dataclass(frozen=True)
class Setting:
    """A way to compute the same thing."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables beyond those of this process."""
    onednn: bool = True
    device: str = "cpu"

    def command(self, module: str, *arguments: str) -> list[str]:
        """Return the command that runs a module."""
        how = ["-m"] if self.onednn else ["-c", WITHOUT_ONEDNN]
        return [sys.executable, *how, module, *arguments]


@dataclass(frozen=True)
class Selection:
    """What is to be rebuilt."""

    runs: tuple[paths.Run, ...]
    baselines: bool = True
    """Whether the baselines of the runs' suites are."""
    report: bool = False

    @property
    def suites(self) -> list[str]:
        """The suites of the runs."""
        return list(dict.fromkeys(run.suite for run in self.runs))


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild has left."""

    folder: Path
    """The copy of the checkout."""
    weights: Mapping[paths.Run, Mapping[str, str]]
    """The MD5 of every file of a run's checkpoint folder, by its path there; of the files, the
    manifest alone is still there."""


@contextmanager
def checkout_copy(keep: Path | None = None) -> Iterator[Path]:
    """Give a copy of the present checkout without its results, and remove it in the end.

    Images of a user are linked, not copied.

    Args:
        keep: a folder to make the copy in and to leave there; else a temporary one.

    Raises:
        InputError: that folder exists.
    """
    if keep is not None and keep.exists():
        raise InputError(f"{keep}: exists already; name a new folder")
    files = source_files(Path())
    with tempfile.TemporaryDirectory(prefix="inpaintbench-") as temporary:
        folder = keep or Path(temporary)
        for path in files:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / path)
        (folder / paths.RAW).mkdir(parents=True, exist_ok=True)
        for images in sorted(paths.RAW.glob("*")):
            (folder / paths.RAW / images.name).symlink_to(images.resolve())
        yield folder


def source_files(root: Path) -> list[Path]:
    """Return the files of a checkout that the stages read, relative to it, sorted.

    Files that git ignores are left out; without git, all files below the folders of sources count.
    """
    options = ("-z", "--cached", "--others", "--exclude-standard")
    names = git.names("ls-files", *options, *SOURCES, *INPUTS, folder=root)
    # A checkout may lie in an ignored folder of another repository.
    if names is None or "benchmark/__main__.py" not in names:
        found = [path for top in (*SOURCES, *INPUTS) for path in (root / top).rglob("*")]
        names = [path.relative_to(root).as_posix() for path in found if path.suffix != ".pyc"]
    return sorted(
        path
        for path in {Path(name) for name in (*names, *FILES)}
        if (root / path).is_file() and not any(path.is_relative_to(top) for top in LEFT_OUT)
    )


def run_module(folder: Path, setting: Setting, module: str, *arguments: str) -> None:
    """Run a module of a checkout in a process of its own; its output goes to stderr.

    Raises:
        InputError: it refused its input.
        RebuildFailedError: it failed in another way.
        KeyboardInterrupt: it, or this process, was interrupted; it has ended then.
    """
    process = subprocess.Popen(
        setting.command(module, *arguments),
        cwd=folder,
        env=os.environ | setting.environment,
        stdout=2,  # stdout is for the answer alone
    )
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    shown = " ".join(["python -m", module, *arguments])
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code == MISUSED:
        raise InputError(f"`{shown}` refuses what it was given, see above")
    if code != 0:
        raise RebuildFailedError(f"`{shown}` failed with exit code {code}, see above")


def run_options(run: paths.Run) -> tuple[str, ...]:
    """Return the options that name a run."""
    return ("--suite", run.suite, "--variant", run.variant, "--seed", str(run.seed))


def stages_of(selection: Selection) -> list[tuple[str, ...]]:
    """Return the stages that build a selection, each with its options, in order."""
    stages: list[tuple[str, ...]] = []
    for suite in selection.suites:
        stages.append(("split", "--suite", suite))
        if selection.baselines:
            stages.append(("baselines", "--suite", suite))
        for run in selection.runs:
            if run.suite == suite:
                stages += [(stage, *run_options(run)) for stage in RUN_STAGES]
    return [*stages, ("report",)] if selection.report else stages


def rebuild(folder: Path, selection: Selection, setting: Setting, keep_weights: bool) -> Rebuilt:
    """Build a selection in a copy of the checkout.

    Args:
        folder: the copy.
        selection: what to build.
        setting: how.
        keep_weights: whether weights stay there once the run's last stage has read them.

    Raises:
        InputError: a stage refused its input.
        RebuildFailedError: a stage failed.
    """
    runs = {run_options(run): run for run in selection.runs}
    weights: dict[paths.Run, Mapping[str, str]] = {}
    stages = stages_of(selection)
    for number, (stage, *options) in enumerate(stages, start=1):
        run = runs.get(tuple(options))
        where = [stage, str(run)] if run else [stage, *options[1:]]
        print(f"[{number}/{len(stages)}] {' '.join(where)}", file=sys.stderr, flush=True)
        on_device = ["--device", setting.device] if run else []
        run_module(folder, setting, "benchmark", stage, *options, *on_device)
        if run and stage == RUN_STAGES[-1]:
            checkpoints = folder / run.checkpoints
            weights[run] = file_md5s(checkpoints)
            if not keep_weights:
                clear_weights(checkpoints)
    return Rebuilt(folder, weights)


def clear_weights(folder: Path) -> None:
    """Remove everything from a run's checkpoint folder but its manifest."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name != MANIFEST:
            path.unlink()


def file_md5s(folder: Path) -> dict[str, str]:
    """Return the MD5 of every file below a folder, by its path there."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): file_md5(path) for path in files}


def file_md5(path: Path) -> str:
    """Return the MD5 of a file: DVC names files by it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def folder_md5(md5s: Mapping[str, str]) -> str:
    """Return the hash that DVC gives a folder of files with these MD5s."""
    entries = [{"md5": md5s[p], "relpath": p} for p in sorted(md5s)]
    listing = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
