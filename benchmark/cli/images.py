"""Folders of images → scores of a submission, completed images, or a model as a file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from benchmark.cli.app import CHECKS, MODELS, app
from benchmark.cli.options import (
    Criterion,
    Device,
    Json,
    Overwrite,
    answer,
    flag,
    name_option,
    path_option,
)
from benchmark.core.exit_codes import FAILED, FINE, complain
from data.errors import InputError

if TYPE_CHECKING:
    from benchmark.submissions.submission import Submission

Hole = Literal["white", "black"]
Truth = Annotated[Path, path_option("the truth: images of any size, in sub-folders too")]
Completed = Annotated[Path, path_option("completed images of the same names and sizes")]
Masks = Annotated[Path, path_option("masks of the same names and sizes")]
HoleColor = Annotated[Hole, Option(help="the color that marks the hole in a mask")]
TrainingImages = Annotated[
    Path | None, path_option("training images, in which none of the images should be")
]
Checkpoint = Annotated[
    Path, path_option("weights of a run: models/checkpoints/<suite>/<variant>/seed<seed>")
]

SQUARES = ("center", "random")
"""Masks that are made, and not read from a folder."""

ONNX_EXAMPLE = """\
To use the file (a mask has one square of the trained size, which the metadata name):

  import numpy as np, onnxruntime
  from PIL import Image
  session = onnxruntime.InferenceSession("model.onnx")
  side = session.get_inputs()[0].shape[-1]
  picture = Image.open("picture.png").convert("RGB").resize((side, side))
  image = (np.asarray(picture, np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
  mask = np.zeros((1, 1, side, side), np.float32)
  hole = int(session.get_modelmeta().custom_metadata_map["hole_size"])
  mask[..., :hole, :hole] = 1  # 1 = hole
  completed, raw = session.run(None, {"image": image, "mask": mask})  # both in [-1, 1]
"""


def _submission(images: Path, completed: Path, masks: Path, hole: Hole) -> "Submission":
    from benchmark.submissions.submission import Submission

    return Submission(images, completed, masks, hole)


@app.command(rich_help_panel=CHECKS, short_help="score anybody's images")
def score(
    images: Truth,
    completed: Completed,
    masks: Masks,
    hole: HoleColor = "white",
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
) -> None:
    """Score completed images of any framework.

    Metrics are those of the composite: completed inside the hole, the truth outside; known_mae_raw
    says how far the known pixels were changed. Baselines are mean_color, telea and navier_stokes.
    What is written: scores.csv (a row for each image), images.csv (their names) and metrics.json.
    What `doctor` finds is printed as warnings. See docs/scoring.md.
    """
    from benchmark.inference.pairing import check_output
    from benchmark.submissions.score import (
        FILES,
        means_text,
        score_submission,
        summarize,
        write_scores,
    )

    submission = _submission(images, completed, masks, hole)
    if out is not None:
        results = [out / name for name in FILES]
        check_output(submission.folders().values(), out, results, overwrite)
    scores = score_submission(submission, name, baselines, train)
    summary = summarize(scores)
    if out is not None:
        write_scores(out, scores, summary)
    for finding in scores.findings:
        print(f"warning: {finding.as_line()}", file=sys.stderr)
    written = "" if out is None else f"-> {out.as_posix()}/"
    answer(as_json, summary, means_text(summary) + written)


@app.command(rich_help_panel=CHECKS, short_help="find what is wrong there")
def doctor(
    images: Truth,
    completed: Completed,
    masks: Masks,
    hole: HoleColor = "white",
    train: TrainingImages = None,
    as_json: Json = False,
) -> int:
    """Find what is wrong with completed images.

    Exit codes: 0 nothing found, or warnings alone; 1 an error that makes scores wrong; 2 wrong use.
    docs/scoring.md lists what is looked for.
    """
    from benchmark.submissions.catalog import CATALOG
    from benchmark.submissions.doctor import examine

    findings = examine(_submission(images, completed, masks, hole), train)
    content = {"findings": [finding.as_json() for finding in findings]}
    nothing = f"nothing found; {len(CATALOG)} kinds of mistakes were looked for"
    lines = [f"{finding.severity}: {finding.as_line()}" for finding in findings]
    answer(as_json, content, "\n".join(lines) or nothing)
    return FAILED if any(finding.severity == "error" for finding in findings) else FINE


@app.command(rich_help_panel=MODELS, short_help="fill holes in pictures")
def inpaint(
    checkpoint: Checkpoint,
    images: Annotated[Path, path_option("images of any size, in sub-folders too")],
    masks: Annotated[str, name_option("what to fill, see above", "FOLDER|center|random")],
    out: Annotated[Path, path_option("for the results, PNG files named like the images")],
    device: Device = "auto",
    hole: Annotated[
        Hole | None, Option(help="the color of what is to be filled; white if not given")
    ] = None,
    large_holes: Annotated[bool, flag("--large-holes", "of more than half of an image")] = False,
    overwrite: Overwrite = False,
    criterion: Criterion = None,
    seed: Annotated[
        int | None, Option(min=0, max=2**31 - 1, help="of random masks; 0 if not given")
    ] = None,
    as_json: Json = False,
) -> int:
    """Fill holes of your photographs with a trained run.

    Masks are a folder of files named like the images and as large; or `center` or `random`, for a
    square hole in the middle or at a random place, with the share of the image that it had in
    training. Of images in 8-bit RGB or gray, known pixels stay as they are, to the bit.
    """
    from benchmark.inference.inpaint import Request, inpaint_images

    ignored = {
        "--seed": seed is not None and masks != "random",
        "--hole": hole is not None and masks in SQUARES,
        "--large-holes": large_holes and masks in SQUARES,
    }
    if names := [name for name, is_ignored in ignored.items() if is_ignored]:
        raise InputError(f"{names[0]}: has no effect with --masks {masks}; leave it out")
    request = Request(
        checkpoint=checkpoint,
        images=images,
        masks=masks,
        out=out,
        criterion=criterion,
        hole=hole or "white",
        large_holes=large_holes,
        overwrite=overwrite,
        seed=seed or 0,
        device=device,
    )
    written, failed = inpaint_images(request)
    content = {"folder": out.as_posix(), "written": written, "failed": failed}
    answer(as_json, content, f"{written} images -> {out.as_posix()}/")
    if failed:
        return complain(f"{failed} images could not be filled, see above", FAILED)
    return FINE


@app.command(
    rich_help_panel=MODELS,
    short_help="write a model as ONNX",
    epilog="\b\n" + ONNX_EXAMPLE.replace("\n\n", "\n\n\b\n"),  # not to be wrapped
)
def export(
    checkpoint: Checkpoint,
    out: Annotated[Path, path_option("the file to write, e.g. model.onnx", metavar="FILE")],
    criterion: Criterion = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> int:
    """Write a trained generator as ONNX, checked for parity."""
    from benchmark.inference.export import ParityError, export_run

    try:
        trained, greatest = export_run(checkpoint, out, criterion, overwrite)
    except ParityError as error:
        return complain(error, FAILED)
    except ImportError as error:  # an environment without the extra `export`
        raise InputError(f"export needs a package ({error}); `make setup` installs it") from None
    difference = f"{greatest:.2g}"
    content = {"criterion": trained.criterion, "epoch": trained.epoch}
    text = (
        f"{out}: {trained.criterion}, epoch {trained.epoch}; onnxruntime and PyTorch differ by "
        f"{difference} at most, in units of [-1, 1]"
    )
    answer(as_json, {"file": out.as_posix(), "difference": float(difference), **content}, text)
    return FINE
