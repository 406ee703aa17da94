"""`python -m benchmark split`: the images of a suite, decoded, resized and split."""

import argparse
import sys
from pathlib import Path

from benchmark.cli.arguments import add_json, add_suite, path, positive, print_json
from benchmark.core import paths
from data.errors import InputError, printable

SUMMARY = "decode, resize and split the images of a suite"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_suite(parser)
    parser.add_argument("--workers", type=positive, help="processes (default: one per usable CPU)")
    parser.add_argument(
        "--root",
        type=path,
        help="folder of the images (default: data/raw/<suite>); see also `attach`",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Split a suite and say how many images each split has."""
    from benchmark.core.config import load_suite
    from benchmark.pipeline.split import split_suite, usable_cpus

    suite, root = load_suite(options.suite), Path(options.root) if options.root else None
    if root is not None and not suite.source.needs_folder:
        raise InputError(f"--root: suite {suite.name} makes its images itself and reads no folder")
    summary = split_suite(suite, root, options.workers or usable_cpus())
    folder = paths.prepared(options.suite)
    if options.json:
        print_json({"folder": folder.as_posix(), **summary})
    else:
        counts = ", ".join(f"{n} {split}" for split, n in summary["counts"].items())
        print(f"{folder}: {counts}; digest {summary['digest']}")
    for name in summary["unreadable"]:
        print(f"skipped, not a readable image: {printable(name)}", file=sys.stderr)
