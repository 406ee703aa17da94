"""The stale stages of the pipeline, several at a time, in the order of what waits for what."""

import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing, contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NoReturn, Protocol

from filelock import FileLock, Timeout
from tqdm import tqdm

from benchmark.core import paths
from benchmark.distributed.tasks import Engine, Task
from data.errors import InputError, printable

LOGS = paths.SCRATCH / "logs"
LOOK_S = 1.0
"""Time between two looks at how far the tasks are."""
MOST_SHOWN = 4
LAST_BYTES = 4000
"""Of a log; a line of a progress bar has fewer."""


class Work(Protocol):
    """Stages that wait for each other."""

    folder: Path
    """Where the commands run."""

    @property
    def needs(self) -> Mapping[str, set[str]]:
        """By the name of a stage those that it waits for."""

    def command(self, name: str) -> str:
        """Return the command of a stage."""

    def is_done(self, name: str) -> bool:
        """Return whether a stage need not run, now that those that it waits for are recorded."""

    def record(self, name: str) -> None:
        """Take note that the command of a stage has succeeded."""

    def tidy(self) -> None:
        """Is called in the end."""


class StagesFailedError(Exception):
    """Some stages failed; the others are done."""


@contextmanager
def only_one() -> Iterator[Path]:
    """Keep others from running the pipeline of this checkout, and yield the file that says so.

    Raises:
        InputError: another process runs it.
    """
    paths.SCRATCH.mkdir(parents=True, exist_ok=True)
    path = paths.SCRATCH / "repro.lock"
    try:
        with FileLock(path, blocking=False):
            yield path
    except Timeout:
        raise InputError(f"{path}: another `repro` runs in this checkout") from None


def run_stages(
    stages: Work, engine: Engine, token: Path, variables: Mapping[str, str]
) -> list[str]:
    """Run what is stale and return the names of the stages that ran.

    Args:
        stages: the pipeline.
        engine: what runs the commands.
        token: a file by which a machine sees that it has this checkout.
        variables: of the environment of each command.

    Raises:
        StagesFailedError: a stage failed. That stops the stages that wait for it, and no other.
    """
    order = TopologicalSorter(stages.needs)
    order.prepare()
    running: dict[Future[int], str] = {}
    ran: list[str] = []
    failed: list[str] = []
    left_out: set[str] = set()
    with closing(engine), tqdm(total=len(stages.needs), desc="stages", unit="stage") as bar:
        while order.is_active():
            for name in order.get_ready():
                if not stages.needs[name].isdisjoint({*failed, *left_out}):
                    left_out.add(name)
                else:
                    with _noted(name, failed, bar):
                        if not stages.is_done(name):
                            task = _task(stages, name, token, variables)
                            running[engine.submit(task)] = name
                            continue
                order.done(name)
                bar.update()
            for future in wait(running, LOOK_S, FIRST_COMPLETED).done:
                name = running.pop(future)
                with _noted(name, failed, bar):
                    _check(stages, name, future)
                    stages.record(name)
                    ran.append(name)
                order.done(name)
                bar.update()
            # In a file, a line for each look would be thousands.
            bar.set_postfix_str(_how_far(stages, running.values()), refresh=sys.stderr.isatty())
    stages.tidy()
    if failed:
        others = f", and {len(left_out)} that wait for it were left out" if left_out else ""
        raise StagesFailedError(
            f"failed: {', '.join(sorted(failed))}{others}; {stages.folder / LOGS} has their logs"
        )
    return ran


@contextmanager
def _noted(name: str, failed: list[str], bar: "tqdm[NoReturn]") -> Iterator[None]:
    """Take note of a stage that fails, and go on."""
    try:
        yield
    except InputError as error:
        failed.append(name)
        bar.write(printable(f"{name}: {error}"), file=sys.stderr)


def _task(stages: Work, name: str, token: Path, variables: Mapping[str, str]) -> Task:
    command, log = tuple(shlex.split(stages.command(name))), _log(stages, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")  # of an earlier attempt
    return Task(name, command, str(stages.folder), str(log), str(token.resolve()), variables)


def _check(stages: Work, name: str, future: "Future[int]") -> None:
    """Raise `InputError` for a task that has failed."""
    if error := future.exception():
        cause = getattr(error, "cause", None) or error  # Ray puts a traceback around it
        raise InputError(str(cause).strip().splitlines()[-1])
    if code := future.result():
        raise InputError(_last_lines(stages, name)[-1] if code > 0 else f"ended by signal {-code}")


def _log(stages: Work, name: str) -> Path:
    return stages.folder / LOGS / f"{name}.log"


def _last_lines(stages: Work, name: str) -> list[str]:
    with _log(stages, name).open("rb") as file:
        file.seek(max(0, _log(stages, name).stat().st_size - LAST_BYTES))
        text = file.read().decode("utf-8", "replace")
    return [line for line in re.split("[\r\n]", text) if line.strip()]


def _how_far(stages: Work, names: Iterable[str]) -> str:
    """Return the stages that have begun, each with the share that its progress bar shows last."""
    shown = []
    for name in names:
        if lines := _last_lines(stages, name):
            shares = re.findall(r"\b\d+%", " ".join(lines))
            shown.append(" ".join([name, *shares[-1:]]))
    more = [f"{len(shown) - MOST_SHOWN} more"] if len(shown) > MOST_SHOWN else []
    return ", ".join(shown[:MOST_SHOWN] + more)
