"""A selection of runs → their results, built again by the stages in a copy of the checkout."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.core import git, paths
from benchmark.core.exit_codes import INTERRUPTED, MISUSED
from benchmark.versions.snapshot import Subject
from data.errors import InputError

SOURCES = (
    *("benchmark", "data", "models", "dvc.yaml", "params.yaml", "requirements.lock"),
    *("reports/reference", "reports/throughput.json", "reports/versions"),
)
"""What the stages read of a checkout, the packed images and weights apart."""
LEFT_OUT = (paths.RAW, Path("data/prepared"), Path("models/checkpoints"), paths.SCRATCH)
RUN_STAGES = ("train", "evaluate")
WITHOUT_ONEDNN = (
    "import runpy, sys, torch; torch.backends.mkldnn.set_flags(False); del sys.argv[0]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)
"""Runs a module as `python -m` does, without oneDNN, which no variable switches off."""

Stage = tuple[str, ...]
"""The command of a stage and its options."""


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


@contextmanager
def checkout_copy(keep: Path | None = None, commit: str | None = None) -> Iterator[Path]:
    """Give a copy of a checkout without its results, and remove it in the end.

    Images of a user are linked, not copied.

    Args:
        keep: a folder to make the copy in and to leave there; else a temporary one.
        commit: whose files are copied; else the present ones.

    Raises:
        InputError: that folder exists.
    """
    if keep is not None and keep.exists():
        raise InputError(f"{keep}: exists already; name a new folder")
    with tempfile.TemporaryDirectory(prefix="inpaintbench-") as temporary:
        folder = keep or Path(temporary)
        if commit is None:
            copy_sources(folder)
        else:
            git.extract(commit, commit, SOURCES, folder)
            shutil.rmtree(folder / paths.RAW, ignore_errors=True)
        (folder / paths.RAW).mkdir(parents=True, exist_ok=True)
        for images in sorted(paths.RAW.glob("*")):
            (folder / paths.RAW / images.name).symlink_to(images.resolve())
        yield folder


def copy_sources(folder: Path) -> None:
    """Copy what the stages read of the present checkout, without results and user images."""
    for source in map(Path, SOURCES):
        if source.is_dir():
            shutil.copytree(source, folder / source, ignore=_left_out)
        elif source.is_file():
            (folder / source).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / source)


def _left_out(folder: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if name == "__pycache__" or Path(folder, name) in LEFT_OUT]


def stages_of(subjects: Iterable[Subject]) -> list[Stage]:
    """Return the stages that build some results, in order; first those that may lack images."""
    subjects = tuple(subjects)
    stages: list[Stage] = [
        ("split", "--suite", suite) for suite in dict.fromkeys(s.suite for s in subjects)
    ]
    for subject in subjects:
        if subject.is_run:
            stages += [(stage, *run_options(subject.run)) for stage in RUN_STAGES]
        else:
            stages.append(("baselines", "--suite", subject.suite))
    return stages


def run_options(run: paths.Run) -> Stage:
    """Return the options that name a run."""
    return ("--suite", run.suite, "--variant", run.variant, "--seed", str(run.seed))


def run_stages(folder: Path, stages: Sequence[Stage], setting: Setting) -> None:
    """Run stages in a copy of the checkout, and say on stderr which one is at work.

    Raises:
        InputError: a stage refused its input.
        RebuildFailedError: a stage failed in another way.
        KeyboardInterrupt: a stage, or this process, was interrupted; the stage has ended then.
    """
    for number, (stage, *options) in enumerate(stages, start=1):
        print(f"[{number}/{len(stages)}] {stage} {' '.join(options)}", file=sys.stderr, flush=True)
        on_device = ["--device", setting.device] if stage in RUN_STAGES else []
        _run(folder, setting, stage, *options, *on_device)


def _run(folder: Path, setting: Setting, *arguments: str) -> None:
    """Run the command line of a checkout in a process of its own."""
    process = subprocess.Popen(
        setting.command("benchmark", *arguments),
        cwd=folder,
        env=os.environ | setting.environment,
        stdout=2,  # stdout is for the answer alone
    )
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    shown = " ".join(["python -m benchmark", *arguments])
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code == MISUSED:
        raise InputError(f"`{shown}` refuses what it was given, see above")
    if code != 0:
        raise RebuildFailedError(f"`{shown}` failed with exit code {code}, see above")
