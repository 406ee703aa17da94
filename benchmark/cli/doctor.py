"""`python -m benchmark doctor`: what is wrong with completed images before they are scored."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.arguments import add_json, path, print_json
from benchmark.core.exit_codes import FAILED, FINE

if TYPE_CHECKING:
    from benchmark.submissions.submission import Submission

SUMMARY = "find what is wrong with completed images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folders of a submission, and how to answer."""
    add_submission(parser)
    add_training(parser)
    add_json(parser)
    parser.epilog = (
        "Exit codes: 0 nothing found, or warnings alone; 1 an error that makes scores wrong; 2 "
        "wrong use. docs/scoring.md lists what is looked for."
    )


def add_submission(parser: argparse.ArgumentParser) -> None:
    """Add `--images`, `--completed`, `--masks` and `--hole`."""
    for name, what in (
        ("images", "the truth: images of any size, in sub-folders too"),
        ("completed", "completed images of the same names and sizes"),
        ("masks", "masks of the same names and sizes"),
    ):
        parser.add_argument(f"--{name}", type=path, required=True, metavar="FOLDER", help=f"{what}")
    parser.add_argument(
        "--hole",
        choices=("white", "black"),
        default="white",
        help="the colour that marks the hole in a mask (default: white)",
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add `--train`."""
    parser.add_argument(
        "--train",
        type=path,
        metavar="FOLDER",
        help="training images, in which none of the images should be",
    )


def submission_of(options: argparse.Namespace) -> "Submission":
    """Return the folders that the options of `add_submission` name."""
    from benchmark.submissions.submission import Submission

    folders = (Path(options.images), Path(options.completed), Path(options.masks))
    return Submission(*folders, options.hole)


def run(options: argparse.Namespace) -> int:
    """Print the findings."""
    from benchmark.submissions.catalogue import CATALOGUE, has_errors
    from benchmark.submissions.doctor import examine

    training = Path(options.train) if options.train else None
    findings = examine(submission_of(options), training)
    if options.json:
        print_json({"findings": [finding.as_json() for finding in findings]})
    elif not findings:
        print(f"nothing found; {len(CATALOGUE)} kinds of mistakes were looked for")
    else:
        print("\n".join(finding.as_line() for finding in findings))
    return FAILED if has_errors(findings) else FINE
