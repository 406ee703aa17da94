"""Real processes that train tiny variants, forked from one that has loaded all libraries.

They go through the command line. At a chosen event, which is a step of training or a system call
that changes files, they may be killed, or find the disk full.
"""

import errno
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.support.tiny import ROOT, files_below

CRASHED = 99
"""Exit code of a child that ends with a traceback."""
RESULTS = ("models/checkpoints/", "reports/")
"""Where the results of a training lie."""
Results = dict[str, bytes]
"""Files by name."""
BUDGET = {"epochs": 2, "batch_size": 16}
"""Six steps: a state of the larger networks takes a while to write."""


@dataclass(frozen=True)
class Job:
    """A training to the end, unless something stops it."""

    folder: str
    """The checkout; its images are prepared."""
    variant: str
    save_every_s: float = -1.0
    """Seconds between two states; negative: after every step."""
    kill_at: int = 0
    """Number of the event at which the process sends itself a signal; 0: never."""
    kill_on: str = ""
    """The signal is sent at the first event with this text; empty: as `kill_at` says."""
    kill_after: int = 0
    """How many events later than that."""
    signal: int = signal.SIGKILL
    signals: int = 1
    """How many of them, at as many events one after the other."""
    full_from: int = 0
    """Number of the event from which on the disk is full; 0: never."""
    file_limit: int = 0
    """Bytes that a file may have at most; 0: no limit."""
    room: int = 0
    """Bytes of memory that may be had beyond what the libraries take; 0: no limit."""
    step_s: float = 0.0
    """How long each step, and each validation, takes at least."""
    training: dict[str, int] = field(default_factory=dict)
    """Settings of the suite's training."""
    suite: dict[str, Any] = field(default_factory=dict)
    """Other settings of the suite."""
    notes: str = "child"
    """Where the child writes what it says and what happens in it, beginning at the checkout."""

    @property
    def log(self) -> Path:
        """What the child has said."""
        return Path(self.folder, f"{self.notes}.log")

    @property
    def events(self) -> Path:
        """What has happened in the child, a line an event."""
        return Path(self.folder, f"{self.notes}.events")


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    code: int
    """Its exit code, or the negative number of the signal that killed it."""
    messages: list[str]
    """The lines that it wrote to stderr, without the progress bars."""
    events: list[str]
    """What happened in it, in order."""


class Children:
    """Starts children and waits for them."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", "from tests.support.children import serve; serve()"],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, job: Job) -> int:
        """Start a child and return its process id."""
        job.events.write_text("")
        return int(self._ask({"job": asdict(job)}))

    def wait(self, pid: int, job: Job) -> Ended:
        """Wait until the child of a job has ended."""
        code = int(self._ask({"pid": pid}))
        lines = job.log.read_text().replace("\r", "\n").splitlines()
        messages = [line for line in lines if line.strip() and "image/s" not in line]
        return Ended(code, messages, job.events.read_text().splitlines())

    def run(self, job: Job) -> Ended:
        """Start a child and wait until it has ended."""
        return self.wait(self.start(job), job)

    def close(self) -> None:
        """End the process that children are forked from."""
        self._server.communicate("")

    def _ask(self, question: dict[str, Any]) -> str:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(question) + "\n")
        self._server.stdin.flush()
        return self._server.stdout.readline()


def results_below(folder: Path) -> Results:
    """Return what a training leaves: weights, manifest, pictures, curves."""
    return {
        name: content for name, content in files_below(folder).items() if name.startswith(RESULTS)
    }


def serve() -> None:
    """Fork a child for every job that is named on stdin, and say how each has ended."""
    import torch
    import torch._inductor  # what the first optimizer of a process loads, in seconds

    from benchmark import __main__  # noqa: F401
    from benchmark.cli import stages  # noqa: F401
    from benchmark.training import validation  # noqa: F401
    from models import check  # noqa: F401
    from tests.support import tiny  # noqa: F401 - so that not every child imports all of it

    torch.set_num_threads(1)
    for line in sys.stdin:
        question = json.loads(line)
        if "pid" in question:
            print(os.waitstatus_to_exitcode(os.waitpid(question["pid"], 0)[1]), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            _be_a_child(Job(**question["job"]))
        print(pid, flush=True)


def _be_a_child(job: Job) -> None:
    code = CRASHED
    try:
        os.chdir(job.folder)
        Path("benchmark/suites").mkdir(parents=True, exist_ok=True)  # as every checkout has
        log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = _train(job)
    except KeyboardInterrupt:  # before the command line was reached; Python ends in this way
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def _train(job: Job) -> int:
    import pytest

    from benchmark import __main__
    from benchmark.pipeline import train
    from benchmark.training import validation  # noqa: F401
    from tests.support.tiny import isolate, tiny_suite, tiny_variant

    patch = pytest.MonkeyPatch()
    isolate(patch, Path(job.folder))
    patch.setattr(__main__, "snapshot", dict)
    patch.setattr(
        "benchmark.core.config.load_suite", lambda name: tiny_suite(job.training, **job.suite)
    )
    patch.setattr("benchmark.core.config.load_variant", tiny_variant)
    patch.setattr("benchmark.core.git.code_version", lambda: {"commit": None, "dirty": None})
    patch.setattr(train, "SAVE_EVERY_S", job.save_every_s)
    note = _count_events(job)
    for name in ("training_step", "validate"):
        _note_calls(patch, name, note, job.step_s)
    patch.setattr(
        os, "fsync", lambda _: note("fsync")
    )  # only a power cut would tell the difference
    _limit(job)
    return __main__.main(["train", "--suite=tiny", f"--variant={job.variant}", "--device=cpu"])


def _count_events(job: Job) -> Callable[..., None]:
    """Return what notes an event, and sends the signal when its time has come."""
    numbers = itertools.count(1)
    kill_at = job.kill_at
    seen = os.open(job.events, os.O_WRONLY | os.O_APPEND)

    def note(event: str, file: str = "") -> None:
        nonlocal kill_at
        number = next(numbers)
        text = f"{event} {Path(file).name}".rstrip()
        os.write(seen, f"{text}\n".encode())
        if job.kill_on and job.kill_on in text and kill_at == 0:
            kill_at = number + job.kill_after
        if kill_at <= number < kill_at + job.signals and kill_at > 0:
            os.kill(os.getpid(), job.signal)
        # What has been written is only then brought to the disk, if there is room.
        if event in ("fsync", "os.mkdir", "open") and 0 < job.full_from <= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file or None)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod"):
            note(event, os.fsdecode(arguments[0]))

    sys.addaudithook(audit)
    return note


def _note_calls(patch: Any, name: str, note: Callable[..., None], least_s: float) -> None:
    from benchmark.pipeline import train

    function = getattr(train, name)

    def noted(*arguments: Any) -> Any:
        note(name)
        time.sleep(least_s)
        return function(*arguments)

    patch.setattr(train, name, noted)


def _limit(job: Job) -> None:
    if job.file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job.file_limit, job.file_limit))
    if job.room:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + job.room
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
