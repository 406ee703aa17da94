"""`python -m benchmark verify`: results built again and compared with those that are kept."""

import argparse
from pathlib import Path

from benchmark.cli.arguments import add_device, add_json, path, print_json, seed
from benchmark.core.exit_codes import FAILED, FINE, complain

SUMMARY = "build results again and compare with those kept"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "Everything is built in a temporary copy of the checkout (TMPDIR says where; the weights "
        "of one run at a time lie in it), in the time that `dvc repro` takes for it. Exit codes: 0 "
        "as promised: identical, or on another machine the same data and metrics within their "
        "tolerances; 1 different; 2 nothing to compare with."
    )
    parser.add_argument("--suite", help="this suite alone (default: all of params.yaml)")
    parser.add_argument("--variant", help="this variant alone, without baselines and report")
    parser.add_argument("--seed", type=seed, help="this seed alone, likewise")
    add_device(parser, "takes what the expected results were made on, if it is there")
    parser.add_argument(
        "--reference",
        action="store_true",
        help="compare with the runs in reports/reference/<suite>/, with their settings",
    )
    add_json(parser)
    parser.add_argument(
        "--keep", type=path, metavar="FOLDER", help="make the copy there, and keep it"
    )


def run(options: argparse.Namespace) -> int:
    """Build again, compare, and say how it differs."""
    from benchmark.versions.expected import expected_results
    from benchmark.versions.rebuild import RebuildFailedError
    from benchmark.versions.verify import verify

    expected = expected_results(options.suite, options.variant, options.seed, options.reference)
    keep = Path(options.keep) if options.keep else None
    try:
        found = verify(expected, options.device, keep)
    except RebuildFailedError as error:
        return complain(error, FAILED)
    if options.json:
        print_json(found.as_json())
    else:
        print(found.as_text(), end="")
    return FAILED if found.verdict == "different" else FINE
