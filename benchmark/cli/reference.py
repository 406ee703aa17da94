"""`python -m benchmark reference`: results of a suite that are kept in git."""

import argparse
import sys

from benchmark.cli.arguments import add_json, add_overwrite, add_suite, print_json
from benchmark.core import paths
from data.errors import printable

SUMMARY = "keep a suite's results in reports/reference/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_suite(parser)
    parser.add_argument("--note", default="", help="what to say of the budget, in one line")
    add_overwrite(parser, "the results that are kept already")
    parser.add_argument(
        "--pictures",
        action="store_true",
        help="also keep a picture of completed images; the dataset's licence has to allow it",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Keep the results of a suite and say which."""
    from benchmark.pipeline.reference import write_reference

    facts = write_reference(options.suite, options.note, options.overwrite, options.pictures)
    folder = paths.reference(options.suite)
    if options.json:
        runs = {variant: list(seeds) for variant, seeds in facts.runs.items()}
        print_json({"folder": folder.as_posix(), "runs": runs, "left_out": dict(facts.left_out)})
    else:
        count = sum(len(seeds) for seeds in facts.runs.values())
        print(f"{folder}: {count} runs of {len(facts.runs)} variants")
    for name, reason in facts.left_out.items():
        print(f"left out: {name}: {printable(reason)}", file=sys.stderr)
