"""A folder of anybody's photographs and a checkpoint → the photographs with their holes filled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
from benchmark.inference.pairing import check_apart, images_by_stem, listed, partners, say
from benchmark.inference.photographs import (
    read_photograph,
    read_size,
    size_text,
    write_photograph,
)
from benchmark.inference.trained import load_folder
from data.errors import InputError
from data.sources import UnreadableImageError

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
    batch_size: int = 16
    """Squares that the network fills at a time."""


@dataclass(frozen=True)
class Job:
    """One image."""

    image: Path
    mask: Path | None
    output: Path


@dataclass(frozen=True)
class Outcome:
    """What became of the images."""

    written: int
    failed: int


def inpaint_images(request: Request) -> Outcome:
    """Fill the holes of all images of a folder; known pixels stay as they are, to the bit.

    An image or a mask that cannot be read is reported and costs the others nothing.

    Raises:
        InputError: checkpoint, folders, names or masks do not fit each other.
    """
    jobs = list_jobs(request)
    filler = load_filler(request)
    sound = jobs if jobs[0].mask is None else _check_masks(jobs, request)
    written = 0
    # Around the loop: what does not fit once will not fit for the next image either.
    with memory_for(f"--batch-size ({request.batch_size})", filler.device):
        for job in tqdm(sound, desc="inpaint", unit="image"):
            try:
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
    return Outcome(written, len(jobs) - written)


def list_jobs(request: Request) -> list[Job]:
    """Find the images, their masks, and where each result goes.

    Raises:
        InputError: a folder or a mask is missing, two files would get one name, a result exists,
            or results would lie among what is read.
    """
    has_masks = request.masks not in ("center", "centre", "random")
    folders = [request.images, *([Path(request.masks)] if has_masks else [])]
    for folder in folders:
        check_apart(folder, request.out)
    if has_masks and not Path(request.masks).is_dir():
        raise InputError(f"--masks {request.masks}: no such folder, nor `center` or `random`")
    images = images_by_stem(request.images)
    masks = partners(images, Path(request.masks), "mask") if has_masks else {}
    jobs = [
        Job(path, masks.get(stem), request.out / f"{stem}.png") for stem, path in images.items()
    ]
    if not request.overwrite and (there := [job.output for job in jobs if job.output.exists()]):
        raise InputError(f"already there: {listed(there)}; --overwrite replaces what is there")
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
        batch_size=request.batch_size,
    )


def hole_room(suite: Suite) -> tuple[int, int]:
    """Return the first and the last place, along an axis, of the hole in training, in pixels."""
    if suite.mask.kind == "centre":
        middle = (suite.image_size - suite.mask.size) // 2
        return middle, middle
    return suite.mask.margin, suite.image_size - suite.mask.size - suite.mask.margin


def _check_masks(jobs: list[Job], request: Request) -> list[Job]:
    """Look at all masks before the work, and return the jobs whose files can be read.

    Raises:
        InputError: a mask has not the size of its image, or does not mark clearly, or marks
            suspiciously much.
    """
    sound, gray = [], []
    for job in tqdm(jobs, desc="check masks", unit="mask"):
        assert job.mask is not None
        try:
            hole, gray_share = read_mask(job.mask, request.hole)
            shape = read_size(job.image)
        except UnreadableImageError as error:
            say(f"error: {error}")
            continue
        if hole.shape != shape:
            ours, other = size_text(hole.shape), size_text(shape)
            raise InputError(f"{job.mask}: is {ours}, its image {job.image} {other}")
        if hole.all():
            raise InputError(f"{job.mask}: {NOTHING_KNOWN}")
        if hole.mean() > LARGE_HOLE and not request.large_holes:
            other = "black" if request.hole == "white" else "white"
            raise InputError(
                f"{job.mask}: marks {hole.mean():.0%} of the image as hole; if {request.hole} "
                f"marks what is known, say --hole {other}; if it is meant, say --large-holes"
            )
        sound.append(job)
        if gray_share > MOST_GRAY:
            gray.append(f"{job.mask} ({gray_share:.0%} of its pixels)")
    if gray:
        say(f"warning: masks with gray, which counts as white from {WHITE_FROM}: {listed(gray)}")
    return sound


def _hole(job: Job, pixels: Pixels, filler: Filler, request: Request) -> Hole:
    if job.mask is not None:
        return read_mask(job.mask, request.hole)[0]
    seed = request.seed if request.masks == "random" else None
    try:
        return square_hole(pixels, (filler.hole_size, filler.image_size), seed)
    except InputError as error:
        raise InputError(f"{job.image}: {error}") from None
