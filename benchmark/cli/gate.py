"""`python -m benchmark gate`: refuses results that are damaged, or worse than those of a base."""

import argparse

from benchmark.cli.arguments import add_json, path, print_json
from benchmark.core.exit_codes import FAILED, FINE

SUMMARY = "refuse results that got worse since a base version"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "Refused are a metric that is worse, image by image, by more than its tolerance; one that is "
        "missing or NaN; a run that vanished; scores that do not follow from their score table; "
        "any change of a baseline. A tolerance is what another seed would change, as "
        "the base has measured it, and on another machine also what that changes. Exit code 1 if "
        "anything is refused."
    )
    parser.add_argument(
        "--base", type=path, required=True, help="a git revision, e.g. origin/main, or a folder"
    )
    parser.add_argument(
        "--new", type=path, default=".", help="what is checked (default: this checkout)"
    )
    parser.add_argument(
        "--allow",
        metavar="SUITE/METHOD/METRIC",
        action="append",
        default=[],
        help="a change that is meant, or the beginning of a name for several; is printed all the "
        "same; may be repeated",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Check and print."""
    from benchmark.versions.gate import check_gate, gate_json, gate_text
    from benchmark.versions.snapshot import open_version

    with open_version(options.base) as base, open_version(options.new) as new:
        result = check_gate(base, new, options.allow)
    if options.json:
        print_json(gate_json(result))
    else:
        print(gate_text(result), end="")
    return FAILED if result.failures else FINE
