"""`python -m benchmark score`: completed images of any framework, scored by protocol ib1."""

import argparse
import sys
from pathlib import Path

from benchmark.cli.arguments import add_json, add_overwrite, path, print_json
from benchmark.cli.doctor import add_submission, add_training, submission_of

SUMMARY = "score completed images of any framework"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folders of a submission, and what to do with the scores."""
    add_submission(parser)
    parser.add_argument(
        "--name", default="completed", help="of the method, in tables (default: completed)"
    )
    parser.add_argument(
        "--baselines",
        action="store_true",
        help="also score mean_colour, telea and navier_stokes on the same holes",
    )
    add_training(parser)
    parser.add_argument(
        "--out",
        type=path,
        metavar="FOLDER",
        help="write scores.csv (a row for each image), images.csv (names) and metrics.json there",
    )
    add_overwrite(parser, "scores that are there")
    add_json(parser)
    parser.epilog = (
        "Metrics are those of the composite: completed inside the hole, the truth outside; "
        "known_mae_raw says how far the known pixels were changed. What `doctor` finds is printed "
        "as warnings. See docs/scoring.md."
    )


def run(options: argparse.Namespace) -> None:
    """Score, write, and print the means."""
    from benchmark.submissions import score

    out = Path(options.out) if options.out else None
    request = score.Request(
        submission_of(options),
        name=options.name,
        baselines=options.baselines,
        training=Path(options.train) if options.train else None,
        out=out,
        overwrite=options.overwrite,
    )
    scores = score.score_submission(request)
    summary = score.summarize(scores)
    if out is not None:
        score.write_scores(out, scores, summary)
    for finding in scores.findings:
        print(finding.as_line("warning"), file=sys.stderr)
    if options.json:
        print_json(summary)
        return
    print(score.means_text(summary), end="")
    if out is not None:
        print(f"-> {out.as_posix()}/")
