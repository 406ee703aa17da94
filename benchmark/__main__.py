"""The command line: `python -m benchmark <command>` → what the command prints, and an exit code."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from types import FrameType

import typer
from typer.completion import completion_init  # type: ignore[attr-defined]

from benchmark.cli import (  # noqa: F401
    catalog,
    completion,
    inference,
    many,
    results,
    stages,
    submissions,
)
from benchmark.cli.app import ANYWHERE, PROGRAM, app, misuse_line
from benchmark.cli.terminal import prepare_streams
from benchmark.core import paths
from benchmark.core.exit_codes import FAILED, FINE, INTERRUPTED, MISUSED, complain
from benchmark.core.hashing import ROOT, changed_code, changed_settings, read_first, snapshot
from benchmark.core.portable import cap_arrays
from benchmark.distributed.parent import end_with_parent
from data.errors import InputError

cap_arrays()  # before any command loads them
# By default GNU's OpenMP lets PyTorch's threads wait for each other spinning, so that a step of
# training takes five to ten times as long as soon as another process wants one of their cores.
# After this many turns they sleep, which costs a step up to an eighth (measured with two cores). It
# is read when PyTorch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
# Most objects of a short command live until it ends, and looking through them again and again for
# garbage takes a sixth of its time.
gc.set_threshold(100_000, 50, 1000)
# onnxruntime collects facts about its use unless it is told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

commands = typer.main.get_command(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    prepare_streams()
    words = [*(sys.argv[1:] if arguments is None else arguments)]
    if completion.VARIABLE in os.environ:
        completion_init()
        commands.main([], prog_name="benchmark", complete_var=completion.VARIABLE)
    if not words:
        with redirect_stdout(sys.stderr):
            main(["--help"])
        return MISUSED
    end_with_parent()
    if not _is_at_home(words):
        return complain(f"run this in the root of a checkout, such as {ROOT}", MISUSED)
    with _signals() as received:
        try:
            return _run(words)
        except typer.TyperException as error:
            return complain(misuse_line(error), MISUSED)
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FINE
        except KeyboardInterrupt:
            return complain("interrupted", INTERRUPTED)
        except (InputError, OSError, MemoryError) as error:
            # A library that is interrupted may answer with an error of its own, such as that it
            # cannot read a file.
            return complain("interrupted", INTERRUPTED) if received() else _failed(error)


def _is_at_home(words: list[str]) -> bool:
    """Return whether a command can do its work in the present folder."""
    is_command = words[0] in getattr(commands, "commands", ())
    return not is_command or words[0] in ANYWHERE or "--help" in words or paths.SUITES.is_dir()


def _run(words: list[str]) -> int:
    before = snapshot()
    read_first.clear()
    try:
        with commands.make_context(PROGRAM, words) as context:
            code: int = commands.invoke(context) or FINE
    except typer.Exit as end:  # after the help or the version
        code = end.exit_code
    sys.stdout.flush()  # here, where a reader that has gone is no error
    # DVC records the state of code and settings after a stage, so it would take the result for
    # that of the new ones.
    changed = changed_code(before) + changed_settings([paths.SUITES, paths.VARIANTS])
    if changed:
        return complain(f"{changed[0]} changed while this ran; run it again", MISUSED)
    return code


def _failed(error: InputError | OSError | MemoryError) -> int:
    if isinstance(error, MemoryError):
        return complain("not enough memory", FAILED)
    if isinstance(error, OSError) and error.filename:
        return complain(f"{error.filename}: {error.strerror}", MISUSED)
    return complain(error, MISUSED)


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Have what `kill` ends cleaned up as what Ctrl-C ends, and tell whether either came.

    Training has its own way.
    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    # In the background of a shell, Ctrl-C is ignored and shall stay so.
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
