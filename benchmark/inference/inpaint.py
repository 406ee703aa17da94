"""A folder of anybody's photographs and a checkpoint → the photographs with their holes filled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image
from tqdm import tqdm

from benchmark.core.config import Suite
from benchmark.core.device import memory_for
from benchmark.inference.filling import Filler
from benchmark.inference.holes import (
    MOST_GRAY,
    NOTHING_KNOWN,
    WHITE_FROM,
    Hole,
    Pixels,
    read_mask,
    square_hole,
)
from benchmark.inference.pairing import check_output, pair_files, say
from benchmark.inference.photographs import read_photograph, size_text, write_photograph
from benchmark.inference.trained import load_folder
from data.errors import InputError

LARGE_HOLE = 0.5
"""A hole with a greater share of the image is probably what is known."""


@dataclass(frozen=True)
class Request:
    """What to fill, with what, and where to write it."""

    checkpoint: Path
    """Folder of a run's weights and their manifest."""
    images: Path
    masks: str
    """A folder, or `center` or `random`: a square as large as in training, drawn by value."""
    out: Path
    criterion: str | None = None
    """What chose the weights: `last`, `best_val_psnr`, …; None: what the suite says."""
    hole: Literal["white", "black"] = "white"
    """The color that marks the hole in a mask."""
    large_holes: bool = False
    """Whether a mask may mark more than half of its image."""
    overwrite: bool = False
    seed: int = 0
    """Of random holes."""
    device: str = "auto"


def inpaint_images(request: Request) -> tuple[int, int]:
    """Fill the holes of all images of a folder; known pixels stay as they are, to the bit.

    An image or a mask that cannot be used is reported and costs the others nothing.

    Returns:
        How many images were written, and how many could not be filled.

    Raises:
        InputError: checkpoint, folders or names do not fit each other, or a result exists.
    """
    jobs = _list_jobs(request)
    filler = load_filler(request)
    written = 0
    for job in tqdm(jobs, desc="inpaint", unit="image"):
        try:
            with memory_for(f"the size of {job.image}", filler.device):
                photograph = read_photograph(job.image)
                hole = _hole(job, photograph.pixels, filler, request)
                filled = filler(photograph.pixels, hole)
        except InputError as error:
            say(f"error: {error}")
            continue
        if not hole.any():
            say(f"note: {job.mask}: marks nothing as hole; {job.image} is written unchanged")
        write_photograph(job.output, photograph, filled, hole)
        written += 1
    return written, len(jobs) - written


class _Job(NamedTuple):
    """The files of one image; without a mask its hole is a square."""

    image: Path
    mask: Path | None
    output: Path


def _list_jobs(request: Request) -> list[_Job]:
    """Find the images, their masks, and where each result goes."""
    folders = {"images": request.images}
    if request.masks not in ("center", "random"):
        folders["masks"] = Path(request.masks)
        if not folders["masks"].is_dir():
            raise InputError(f"--masks {request.masks}: no such folder, nor `center` or `random`")
    pairing = pair_files(folders)
    pairing.require_whole()
    jobs = [
        _Job(files["images"], files.get("masks"), request.out / f"{name}.png")
        for name, files in pairing.sets.items()
    ]
    results = [job.output for job in jobs]
    check_output(folders.values(), request.out, results, request.overwrite)
    return jobs


def load_filler(request: Request) -> Filler:
    """Load the generator of a checkpoint, verified, for images of any size.

    The images that it was trained on need not be there.

    Raises:
        InputError: there is no such checkpoint, or it does not belong to its suite and variant.
    """
    suite, _, trained = load_folder(request.checkpoint, request.device, request.criterion)
    return Filler(
        inpainter=trained.inpainter,
        image_size=suite.image_size,
        hole_size=suite.mask.size,
        room=hole_room(suite),
        mode=suite.inpainting,
        filter=Image.Resampling[suite.resize.filter.upper()],
        device=next(trained.inpainter.network.parameters()).device,
    )


def hole_room(suite: Suite) -> tuple[int, int]:
    """Return the first and the last place, along an axis, of the hole in training, in pixels."""
    mask = suite.training_mask
    if mask.kind == "center":
        middle = (suite.image_size - mask.size) // 2
        return middle, middle
    return mask.margin, suite.image_size - mask.size - mask.margin


def _hole(job: _Job, pixels: Pixels, filler: Filler, request: Request) -> Hole:
    """Read or draw the hole of an image.

    Raises:
        InputError: the mask has not the size of its image, does not mark clearly, or marks
            suspiciously much.
    """
    if job.mask is None:
        seed = request.seed if request.masks == "random" else None
        hole = square_hole(pixels, (filler.hole_size, filler.image_size), seed)
    else:
        hole, gray_share = read_mask(job.mask, request.hole)
        if gray_share > MOST_GRAY:
            say(f"warning: {job.mask}: {gray_share:.0%} gray; it is white from {WHITE_FROM} on")
    if hole.shape != pixels.shape[:2]:
        ours, other = size_text(hole.shape), size_text(pixels.shape)
        raise InputError(f"{job.mask}: is {ours}, its image {job.image} {other}")
    if hole.all():
        raise InputError(f"{job.mask or job.image}: {NOTHING_KNOWN}")
    if job.mask and hole.mean() > LARGE_HOLE and not request.large_holes:
        other = "black" if request.hole == "white" else "white"
        raise InputError(
            f"{job.mask}: marks {hole.mean():.0%} of the image as hole; if {request.hole} "
            f"marks what is known, say --hole {other}; if it is meant, say --large-holes"
        )
    return hole
