"""The command line: `python -m benchmark <command>`."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType

from benchmark import cli as commands
from benchmark.cli.parser import Parser, help_page
from benchmark.cli.version import version_line
from benchmark.core.exit_codes import FAILED, FINE, INTERRUPTED, MISUSED, complain
from benchmark.core.hashing import changed_code, snapshot
from data.errors import InputError

# By default GNU's OpenMP lets PyTorch's threads wait for each other spinning, so that a step of
# training takes five to ten times as long as soon as another process wants one of their cores.
# After this many turns they sleep, which costs a step up to an eighth (measured with two cores). It
# is read when PyTorch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
# onnxruntime collects facts about its use unless it is told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = command_parser()
    options = parser.parse_args(arguments)
    if options.version:
        print(version_line())
        return FINE
    if "run" not in options:
        print(parser.format_help(), end="", file=sys.stderr)
        return MISUSED
    with _signals() as received:
        try:
            return _run(options)
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FINE
        except KeyboardInterrupt:
            return complain("interrupted", INTERRUPTED)
        except (InputError, OSError, MemoryError) as error:
            # A library that is interrupted may answer with an error of its own, such as that it
            # cannot read a file.
            return complain("interrupted", INTERRUPTED) if received() else _failed(error)


def _run(options: argparse.Namespace) -> int:
    before = snapshot()
    code: int = options.run(options) or FINE
    sys.stdout.flush()  # here, where a reader that has gone is no error
    # DVC records the state of the code after a stage, so it would take the result for the new
    # code's.
    if changed := changed_code(before):
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


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands, which leaves the chosen one's function in `run`."""
    parser = Parser(prog="python -m benchmark", page=help_page(commands.GROUPS))
    parser.add_argument("--version", action="store_true")
    chosen = parser.add_subparsers(metavar="COMMAND")
    for name in commands.COMMANDS:
        module = import_module(f"benchmark.cli.{name}")
        summary = module.SUMMARY
        command = chosen.add_parser(name, description=summary[0].upper() + summary[1:])
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
