"""A command of a stage -> its process, its log and how it ended; several of them at a time here.

`run_command` is also what Ray runs on other machines, where nothing of this checkout is loaded: it
uses the standard library alone.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from benchmark.distributed.parent import PARENT

TERM_S = 30.0
"""How long a command that is told to stop is waited for."""


@dataclass(frozen=True)
class Task:
    """A command to be run in the root of a checkout."""

    name: str
    command: tuple[str, ...]
    folder: str
    """Where it runs."""
    log: str
    """Where all output goes, at the end of what is there."""
    token: str
    """A file of the checkout: where it is missing, the machine has not the same one."""
    variables: Mapping[str, str]
    """Of the environment, besides those that are there."""


class Engine(Protocol):
    """Something that runs tasks."""

    def submit(self, task: Task) -> "Future[int]":
        """Run a task when there is room; the future has its exit code, or why it has none."""

    def close(self) -> None:
        """Stop what runs, and wait for it."""


class LostCheckoutError(Exception):
    """A machine does not have the checkout that the results are to be in."""


def run_command(
    task: Task, started: "Callable[[subprocess.Popen[bytes]], None]" = lambda _: None
) -> int:
    """Run a task to its end and return its exit code, negative for a signal.

    Args:
        task: what to run.
        started: is told of the process.

    Raises:
        LostCheckoutError: the checkout is not here.
    """
    if not os.path.exists(task.token):  # noqa: PTH110
        raise LostCheckoutError(f"{os.uname().nodename} does not share the folder {task.folder}")
    variables = {**os.environ, **task.variables, PARENT: str(os.getpid())}
    with open(task.log, "ab") as log:  # noqa: PTH123
        log.write(f"$ {' '.join(task.command)}  # on {os.uname().nodename}\n".encode())
        log.flush()
        process = subprocess.Popen(
            task.command,
            cwd=task.folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C goes to the one that has started all of them
        )
        try:
            started(process)
            return process.wait()
        except BaseException:
            process.terminate()  # training saves its state
            process.wait(TERM_S)
            raise


class Here:
    """Runs tasks on this machine, so many at a time."""

    def __init__(self, jobs: int) -> None:
        self._pool = ThreadPoolExecutor(jobs)
        self._processes: list[subprocess.Popen[bytes]] = []

    def submit(self, task: Task) -> "Future[int]":
        """Run a task when there is room."""
        return self._pool.submit(run_command, task, self._processes.append)

    def close(self) -> None:
        """Stop what runs, and wait for it."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        self._pool.shutdown()
