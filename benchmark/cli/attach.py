"""`python -m benchmark attach`: a folder of images, linked to a suite."""

import argparse
import sys
from pathlib import Path

from benchmark.cli.arguments import add_suite, path
from data.errors import printable

SUMMARY = "link a folder of your images to a suite"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_suite(parser)
    parser.add_argument("folder", type=path, help="the folder; its images stay where they are")


def run(options: argparse.Namespace) -> None:
    """Link the folder."""
    from benchmark.core.config import load_suite
    from benchmark.pipeline.attach import attach_folder

    suite = load_suite(options.suite)
    link = attach_folder(suite.name, Path(options.folder))
    folder = printable(options.folder)
    print(f"{link} -> {folder}; `dvc repro` now notices when these images change")
    if not suite.source.needs_folder:
        print(f"warning: suite {suite.name} reads no folder of images", file=sys.stderr)
