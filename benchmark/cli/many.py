"""Many runs: the pipeline and sweeps, several stages at a time, here or on a Ray cluster."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from benchmark.cli.app import CHECKS, PIPELINE, app
from benchmark.cli.options import name_option
from benchmark.core.exit_codes import FAILED, FINE, complain
from data.errors import InputError

if TYPE_CHECKING:
    from benchmark.distributed.repro import Work

_JOBS = Option(min=1, metavar="N", help="stages at a time on this machine")
_RAY = name_option(
    "run them on a Ray cluster instead: HOST:PORT, auto for the one that this machine is in, or "
    "local for this machine; all of it has to share this folder",
    "ADDRESS",
)
_GPUS = Option(min=0, metavar="G", help="GPUs of Ray for each stage; several share a run")
Jobs = Annotated[int, _JOBS]
Ray = Annotated[str | None, _RAY]
Gpus = Annotated[int, _GPUS]


@app.command(rich_help_panel=PIPELINE, short_help="all, several at a time")
def repro(jobs: Jobs = 1, ray: Ray = None, gpus_per_run: Gpus = 0) -> int:
    """Run what `dvc repro` would run, several stages at a time, with equal results.

    Each stage has as many threads as `dvc repro` gives it, and a log in models/scratch/logs. One
    that fails stops those that wait for it, and no other.
    """
    from benchmark.distributed.repro import only_one
    from benchmark.distributed.stages import Stages

    with only_one() as token:
        if code := _run(Stages(), token, jobs, ray, gpus_per_run):
            return code
    rest = [sys.executable, "-m", "dvc", "repro", "--quiet"]  # nothing, unless something changed
    return subprocess.run(rest, env=os.environ | {"PATH": _path()}).returncode


@app.command(rich_help_panel=CHECKS, short_help="choose among settings")
def sweep(
    file: Annotated[Path, Argument(help="the grid, such as sweeps/adversarial_weight.yaml")],
    jobs: Jobs = 1,
    ray: Ray = None,
    gpus_per_run: Gpus = 0,
) -> int:
    """Train a variant with each combination of a grid of settings, and say which is best.

    The validation images choose; test images are not looked at. All files are in
    runs/sweeps/<name>. What is there already is not run again, but a folder of images is split each
    time.
    """
    from benchmark.core.files import write_text
    from benchmark.core.hashing import ROOT
    from benchmark.distributed.repro import only_one
    from benchmark.pipeline.sweep import Trials, read_sweep, result

    wanted = read_sweep(file)
    with only_one() as token:  # from here on, as the settings that a sweep reads are written first
        trials = Trials(wanted)
        if code := _run(trials, token, jobs, ray, gpus_per_run, {"PYTHONPATH": str(ROOT)}):
            return code
        text = result(trials)
        write_text(trials.folder / "result.md", text)
    print(text, end="")
    return FINE


def _run(
    work: "Work",
    token: Path,
    jobs: int,
    ray: str | None,
    gpus: int,
    variables: Mapping[str, str] | None = None,
) -> int:
    """Run stages here or with Ray, say how many ran, and return an exit code."""
    import torch

    from benchmark.distributed.repro import StagesFailedError, run_stages
    from benchmark.distributed.tasks import Engine, Here

    if ray is None and gpus:
        raise InputError("--gpus-per-run is for --ray")
    threads = torch.get_num_threads()
    all_variables = {"OMP_NUM_THREADS": str(threads), "PATH": _path(), **(variables or {})}
    if gpus > 1:
        all_variables["INPAINTBENCH_DEVICES"] = str(gpus)
    engine: Engine = Here(jobs)
    if ray is not None:
        from benchmark.distributed.ray_engine import RayEngine

        engine = RayEngine(ray, gpus, threads)
    try:
        ran = run_stages(work, engine, token, all_variables)
    except StagesFailedError as error:
        return complain(error, FAILED)
    print(f"{len(ran)} of {len(work.needs)} stages ran", file=sys.stderr)
    return FINE


def _path() -> str:
    """Return where programs are looked for, this Python first: it is `python` in `dvc.yaml`."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
