"""A trained model at work: completed images, or the model as a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from benchmark.cli.app import MODELS, app
from benchmark.cli.options import (
    PLACE,
    SUITE,
    Criterion,
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
from benchmark.core.exit_codes import FAILED, FINE, complain
from data.errors import InputError

if TYPE_CHECKING:
    from benchmark.inference.inpaint import Filled

AnyDevice = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    Option(help="auto takes a CUDA device where there is one; mps is a GPU of Apple"),
]
CHECKPOINT = path_option("weights of a run: models/checkpoints/<suite>/<variant>/seed<seed>")

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


@app.command(rich_help_panel=MODELS, short_help="fill holes in pictures")
def inpaint(
    checkpoint: Annotated[Path, CHECKPOINT],
    images: Annotated[Path, path_option("images of any size, in sub-folders too", metavar=PLACE)],
    masks: Annotated[str, name_option("what to fill, see above", f"{PLACE}|center|random")],
    out: Annotated[Path, path_option("for the results, PNG files named like the images")],
    device: AnyDevice = "auto",
    hole: Annotated[
        Hole | None, Option(help="the color of what is to be filled; white if not given")
    ] = None,
    threshold: Threshold = None,
    dilate: Dilate = 0,
    levels: Levels = None,
    mask_name: MaskName = "{stem}",
    large_holes: Annotated[bool, flag("--large-holes", "of more than half of an image")] = False,
    overwrite: Overwrite = False,
    skip_existing: Annotated[
        bool, flag("--skip-existing", "leave out what is there already, to go on")
    ] = False,
    criterion: Criterion = None,
    seed: Annotated[
        int | None, Option(min=0, max=2**31 - 1, help="of random masks; 0 if not given")
    ] = None,
    as_json: Json = False,
) -> int:
    """Fill holes of your photographs with a trained run.

    Masks are a folder of files named like the images and as large, or one file for all; or `center`
    or `random`, for a square hole in the middle or at a random place, with the share of the image
    that it had in training. Of images in 8-bit RGB or gray, known pixels stay as they are, to the
    bit.
    """
    from benchmark.inference.holes import MaskReading
    from benchmark.inference.inpaint import Request, inpaint_images

    given = {
        "--hole": hole is not None,
        "--threshold": threshold is not None,
        "--dilate": dilate > 0,
        "--mask-name": mask_name != "{stem}",
        "--large-holes": large_holes,
    }
    _refuse_ignored(masks, given, seed is not None)
    if overwrite and skip_existing:
        raise InputError("--overwrite, --skip-existing: one of the two; they contradict each other")
    request = Request(
        checkpoint=checkpoint,
        images=images,
        masks=masks,
        out=out,
        criterion=criterion,
        reading=MaskReading(hole or "white", threshold, dilate),
        mask_name=mask_name,
        levels=levels,
        large_holes=large_holes,
        overwrite=overwrite,
        skip_existing=skip_existing,
        seed=seed or 0,
        device=device,
    )
    return _report_filled(inpaint_images(request), out, as_json)


def _refuse_ignored(masks: str, given: Mapping[str, bool], has_seed: bool) -> None:
    """Refuse options on mask files where there are none, and a seed where nothing is drawn."""
    from benchmark.inference.inpaint import SQUARES

    ignored = [name for name, is_given in given.items() if is_given and masks in SQUARES]
    if has_seed and masks != "random":
        ignored.insert(0, "--seed")
    if ignored:
        raise InputError(f"{ignored[0]}: has no effect with --masks {masks}; leave it out")


def _report_filled(done: "Filled", out: Path, as_json: bool) -> int:
    speed = done.written / done.seconds if done.written else 0.0
    content = {"folder": out.as_posix(), "written": done.written, "failed": done.failed}
    content |= {"skipped": done.skipped, "images_per_s": round(speed, 3)}
    skipped = f", {done.skipped} were there already" if done.skipped else ""
    text = f"{done.written} images -> {out.as_posix()}/{skipped}; {speed:.3g} images/s"
    answer(as_json, content, text)
    if done.failed:
        return complain(f"{done.failed} images could not be filled, see above", FAILED)
    return FINE


@app.command(
    rich_help_panel=MODELS,
    short_help="a model, or a test set",
    epilog="\b\n" + ONNX_EXAMPLE.replace("\n\n", "\n\n\b\n"),  # not to be wrapped
)
def export(
    out: Annotated[
        Path,
        path_option("the file to write, e.g. model.onnx; of a test set a folder", metavar="PATH"),
    ],
    checkpoint: Annotated[Path | None, CHECKPOINT] = None,
    suite: Annotated[str | None, SUITE] = None,
    criterion: Criterion = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> int:
    """Write a trained generator as ONNX, checked for parity; or a suite's test set with its holes.

    With --checkpoint it writes a model. With --suite it writes images/ and masks/, for methods of
    any framework to complete, and leaves all else in the folder as it is; docs/scoring.md says how
    they get a row beside ours.
    """
    if (checkpoint is None) == (suite is None):
        raise InputError("--checkpoint, --suite: name one of them")
    if suite is not None:
        if criterion is not None:
            raise InputError("--criterion: is one of a --checkpoint")
        return _export_test_set(suite, out, overwrite, as_json)
    from benchmark.inference.export import ParityError, export_run

    assert checkpoint is not None
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


def _export_test_set(name: str, out: Path, overwrite: bool, as_json: bool) -> int:
    from benchmark.core.config import load_suite
    from benchmark.inference.export_test_set import export_test_set

    images, masks = export_test_set(load_suite(name), out, overwrite)
    content = {"folder": out.as_posix(), "images": images, "masks": masks}
    answer(as_json, content, f"{images} images and {masks} masks -> {out.as_posix()}/")
    return FINE
