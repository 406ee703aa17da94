"""The command line: `python -m benchmark <command>`."""

import argparse
import os
import signal
import sys
from importlib import import_module
from types import FrameType

from benchmark import commands
from benchmark.code import changed_code, snapshot
from benchmark.commands.parser import Parser, help_page
from benchmark.commands.version import version_line
from benchmark.exit_codes import FAILED, FINE, INTERRUPTED, MISUSED, complain
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
    # So that what `kill` ends is cleaned up as what Ctrl-C ends; training has its own way.
    before_us = signal.signal(signal.SIGTERM, _interrupt)
    try:
        before = snapshot()
        code: int = options.run(options) or FINE
        sys.stdout.flush()  # here, where a reader that has gone is no error
        # DVC records the state of the code after a stage, so it would take the result for the new
        # code's.
        if changed := changed_code(before):
            return complain(f"{changed[0]} changed while this ran; run it again", MISUSED)
        return code
    except InputError as error:
        return complain(error, MISUSED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except OSError as error:
        return complain(f"{error.filename}: {error.strerror}" if error.filename else error, MISUSED)
    except KeyboardInterrupt:
        return complain("interrupted", INTERRUPTED)
    except MemoryError:
        return complain("not enough memory", FAILED)
    finally:
        signal.signal(signal.SIGTERM, before_us)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands, which leaves the chosen one's function in `run`."""
    parser = Parser(prog="python -m benchmark", page=help_page(commands.GROUPS))
    parser.add_argument("--version", action="store_true")
    chosen = parser.add_subparsers(metavar="COMMAND")
    for name in commands.COMMANDS:
        module = import_module(f"benchmark.commands.{name}")
        summary = module.SUMMARY
        command = chosen.add_parser(name, description=summary[0].upper() + summary[1:])
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
