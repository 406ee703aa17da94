"""A machine with a GPU and some minutes -> one folder with all that should be kept of it.

`make gpu` runs the tests for a GPU, trains and scores what `params.yaml` selects, in a copy of the
checkout, and measures throughput. A step that fails or takes too long does not stop the others.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.core import paths
from benchmark.core.config import Training, load_params
from benchmark.core.device import open_device
from benchmark.core.environment import fingerprint
from benchmark.core.files import write_json
from benchmark.versions.rebuild import checkout_copy, run_options
from data.errors import InputError

STEP_S, TOTAL_S, KEEPING_S = 180, 480, 60
"""Limits of a command and of the whole session, and the part of it for keeping results."""
SIDE_BY_SIDE = 4
"""Runs that share the device: more than half the time of a short one is spent on the CPU."""
NOT_RUN = 125


@dataclass(frozen=True)
class Step:
    """What came of a command."""

    name: str
    code: int
    """Its exit code; 124 where it took too long, `NOT_RUN` where no time was left."""
    seconds: float


class Session:
    """Runs commands, each with a log of its own, until the time is over."""

    def __init__(self, out: Path, total_s: float) -> None:
        self.out = out
        self.steps: list[Step] = []
        self._begun, self._total_s = time.monotonic(), total_s
        (out / "logs").mkdir(parents=True)

    def run(self, name: str, command: Sequence[str], folder: Path, reserve_s: float = 0) -> bool:
        """Run a command in a folder and say whether it succeeded."""
        begun = time.monotonic()
        left_s = min(STEP_S, self._total_s - reserve_s - (begun - self._begun))
        code = NOT_RUN
        if left_s > 0:
            with (self.out / "logs" / f"{name.replace('/', '-')}.txt").open("wb") as log:
                code = _exit_code(command, folder, left_s, log.fileno())
        step = Step(name, code, round(time.monotonic() - begun, 1))
        self.steps.append(step)
        print(f"{'ok' if code == 0 else f'FAILED ({code})':13}{step.seconds:6.1f} s  {name}")
        return code == 0


def _exit_code(command: Sequence[str], folder: Path, limit_s: float, log: int) -> int:
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        return process.wait(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return 124


def hold_session(out: Path, device: str, tests: str, total_s: float = TOTAL_S) -> int:
    """Run everything that a GPU is wanted for, and return how many steps failed.

    Args:
        out: a new folder for tests.xml, throughput.json, reference/, machine.json, steps.json and
            logs/.
        device: `cuda`, or `cpu` to try this out.
        tests: options of pytest that choose the tests.
        total_s: the time for all of it.

    Raises:
        InputError: the folder exists, or there is no such device.
    """
    if out.exists():
        raise InputError(f"{out}: exists already; name a new folder")
    out = out.resolve()
    engine = open_device(Training(epochs=1, batch_size=2), device)
    session, python = Session(out, total_s), [sys.executable, "-m"]
    write_json(out / "machine.json", fingerprint(engine.device))
    pytest = [*python, "pytest", "-q", f"--junitxml={out / 'tests.xml'}"]
    session.run("tests", [*pytest, *shlex.split(tests)], Path.cwd(), KEEPING_S)
    with checkout_copy() as folder:
        shutil.copy("pyproject.toml", folder)  # reference runs state the version
        _train(session, folder, device)
    bench = [*python, "benchmark", "bench", "--device", device, "--out", f"{out}/throughput.json"]
    session.run("throughput", bench, Path.cwd())
    write_json(out / "steps.json", [asdict(step) for step in session.steps])
    return sum(step.code != 0 for step in session.steps)


def _train(session: Session, folder: Path, device: str) -> None:
    """Train and score the selection in a copy of the checkout, and keep it as reference runs."""
    program = [sys.executable, "-m", "benchmark"]
    params = load_params()

    def scored(run: paths.Run) -> None:
        for stage in ("train", "evaluate"):
            command = [*program, stage, *run_options(run), "--device", device]
            if not session.run(f"{stage} {run}", command, folder, KEEPING_S):
                return

    def of_suite(stage: str, suite: str, *options: str, reserve_s: float = 0) -> bool:
        command = [*program, stage, "--suite", suite, *options]
        return session.run(f"{stage} {suite}", command, folder, reserve_s)

    suites = [s for s in params.suites if of_suite("split", s, reserve_s=KEEPING_S)]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for suite in suites:
            pool.submit(of_suite, "baselines", suite, reserve_s=KEEPING_S)
        for run in params.all_runs:
            if run.suite in suites:
                pool.submit(scored, run)
    for suite in suites:
        kept = paths.reference(suite)
        if of_suite("reference", suite, "--overwrite", "--note", f"make gpu, --device {device}"):
            shutil.copytree(folder / kept, session.out / "reference" / suite)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tests", default="-m gpu -n 4", help="options of pytest")
    options = parser.parse_args()
    # cuBLAS and PyTorch read it once, be the first computation deterministic or not.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        failed = hold_session(options.out, options.device, options.tests)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps({"folder": str(options.out), "failed": failed}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
