"""Images that anybody has completed → their scores, and what is wrong with them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from benchmark.cli.app import CHECKS, app
from benchmark.cli.options import (
    PLACE,
    Dilate,
    Hole,
    Json,
    Levels,
    MaskName,
    Overwrite,
    Threshold,
    answer,
    flag,
    name_option,
    path_option,
)
from benchmark.core.exit_codes import FAILED, FINE
from data.errors import InputError

if TYPE_CHECKING:
    from benchmark.submissions.submission import Submission

Truth = Annotated[
    Path, path_option("the truth: images of any size, in sub-folders too", metavar=PLACE)
]
Completed = Annotated[
    Path, path_option("completed images of the same names and sizes", metavar=PLACE)
]
Masks = Annotated[
    Path, path_option("masks of the same names and sizes; one file is for all", metavar=PLACE)
]
HoleColor = Annotated[Hole, Option(help="the color that marks the hole in a mask")]
CompletedName = Annotated[
    str | None,
    name_option("of a completed image, e.g. {stem}_out.png or {stem}_{mask}", "PATTERN"),
]
SampleFlag = Annotated[
    bool, flag("--samples", "several completions an image, {stem}_s{sample} if not named otherwise")
]
TrainingImages = Annotated[
    Path | None, path_option("training images, in which none of the images should be")
]


def _submission(
    places: tuple[Path, Path, Path],
    reading: tuple[Hole, int | None, int],
    levels: float | None,
    mask_name: str,
    completed_name: str | None,
    samples: bool,
) -> "Submission":
    from benchmark.inference.holes import MaskReading
    from benchmark.submissions.submission import Submission

    several = "{stem}_s{sample}" if samples else "{stem}"
    completed_name = completed_name or several
    if samples != ("{sample}" in completed_name):
        raise InputError(
            f"--completed-name {completed_name}: needs {{sample}} with --samples, and else has none"
        )
    patterns = {"masks": mask_name, "completed": completed_name}
    return Submission(*places, MaskReading(*reading), levels, patterns)


@app.command(rich_help_panel=CHECKS, short_help="score anybody's images")
def score(
    images: Truth,
    completed: Completed,
    masks: Masks,
    hole: HoleColor = "white",
    threshold: Threshold = None,
    dilate: Dilate = 0,
    levels: Levels = None,
    mask_name: MaskName = "{stem}",
    completed_name: CompletedName = None,
    samples: SampleFlag = False,
    name: Annotated[str, Option(help="of the method, in tables")] = "completed",
    baselines: Annotated[bool, flag("--baselines", "also score them on the same holes")] = False,
    train: TrainingImages = None,
    out: Annotated[
        Path | None,
        path_option(
            "write scores.csv (a row per image), images.csv (names) and metrics.json there"
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> int:
    """Score completed images of any framework.

    Metrics are those of the composite: completed inside the hole, the truth outside; known_mae_raw
    says how far the known pixels were changed. Baselines are mean_color, telea and navier_stokes.
    What is written: scores.csv (a row for each image), images.csv (their names) and metrics.json.
    What `doctor` finds is printed too; where it is an error, the exit code is 1. See
    docs/scoring.md.
    """
    from benchmark.inference.pairing import check_output
    from benchmark.submissions.files import FILES
    from benchmark.submissions.score import (
        means_text,
        score_submission,
        summarize,
        write_scores,
    )

    places, reading = (images, completed, masks), (hole, threshold, dilate)
    submission = _submission(places, reading, levels, mask_name, completed_name, samples)
    if out is not None:
        results = [out / name for name in FILES]
        check_output(submission.folders().values(), out, results, overwrite)
    scores = score_submission(submission, name, baselines, train)
    summary = summarize(scores)
    if out is not None:
        write_scores(out, scores, summary)
    for finding in scores.findings:
        print(f"{finding.severity}: {finding.as_line()}", file=sys.stderr)
    written = "" if out is None else f"-> {out.as_posix()}/"
    answer(as_json, summary, means_text(summary) + written)
    return FINE if scores.are_sound else FAILED


@app.command(rich_help_panel=CHECKS, short_help="find what is wrong there")
def doctor(
    images: Truth,
    completed: Completed,
    masks: Masks,
    hole: HoleColor = "white",
    threshold: Threshold = None,
    dilate: Dilate = 0,
    levels: Levels = None,
    mask_name: MaskName = "{stem}",
    completed_name: CompletedName = None,
    samples: SampleFlag = False,
    train: TrainingImages = None,
    as_json: Json = False,
) -> int:
    """Find what is wrong with completed images.

    Exit codes: 0 nothing found, or warnings alone; 1 an error that makes scores wrong; 2 wrong use.
    docs/scoring.md lists what is looked for.
    """
    from benchmark.submissions.catalog import CATALOG
    from benchmark.submissions.doctor import examine

    places, reading = (images, completed, masks), (hole, threshold, dilate)
    submission = _submission(places, reading, levels, mask_name, completed_name, samples)
    findings = examine(submission, train)
    content = {"findings": [finding.as_json() for finding in findings]}
    nothing = f"nothing found; {len(CATALOG)} kinds of mistakes were looked for"
    lines = [f"{finding.severity}: {finding.as_line()}" for finding in findings]
    answer(as_json, content, "\n".join(lines) or nothing)
    return FAILED if any(finding.severity == "error" for finding in findings) else FINE
