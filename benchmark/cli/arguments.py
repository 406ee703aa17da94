"""What the arguments of several commands have in common."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from benchmark.core import paths

DEVICES = ("auto", "cpu", "cuda")


def add_suite(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add `--suite`, the name of a suite."""
    parser.add_argument("--suite", required=required, help="a file of benchmark/suites/")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add what names a training run: `--suite`, `--variant` and `--seed`."""
    add_suite(parser)
    parser.add_argument("--variant", required=True, help="a file of models/variants/")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the run (default: 0)")


def add_device(
    parser: argparse.ArgumentParser, auto: str = "takes a CUDA device where there is one"
) -> None:
    """Add `--device`, and say what its default does."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help=f"auto (default) {auto}")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`: one JSON object on stdout and nothing else there."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def add_overwrite(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--overwrite`, without which nothing that is there is replaced."""
    parser.add_argument("--overwrite", action="store_true", help=f"replace {what}")


def run_of(options: argparse.Namespace) -> paths.Run:
    """Return the training run that the options of `add_run` name."""
    return paths.Run(options.suite, options.variant, options.seed)


def print_json(content: Mapping[str, Any]) -> None:
    """Print the one JSON object of `--json`."""
    print(json.dumps(content, indent=1, sort_keys=True))


def path(text: str) -> str:
    """Return the name of a file or a folder, which is not empty."""
    # An unset variable of a shell, which would mean the present folder.
    if not text:
        raise argparse.ArgumentTypeError("it is empty; name a file or a folder")
    return text


def seed(text: str) -> int:
    """Return a whole number in [0, 2**31)."""
    value = _whole(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{value} is not in [0, 2**31)")
    return value


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
