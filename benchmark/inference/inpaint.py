"""A folder of anybody's photographs and a checkpoint → the photographs with their holes filled."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from torch import Tensor
from tqdm import tqdm

from benchmark.core.config import Suite
from benchmark.core.device import memory_for
from benchmark.inference.filling import Filler
from benchmark.inference.holes import (
    MOST_GRAY,
    NOTHING_KNOWN,
    WHITE_FROM,
    Hole,
    MaskReading,
    Pixels,
    read_mask,
    square_hole,
)
from benchmark.inference.pairing import STEM, check_output, listed, pair_files, say
from benchmark.inference.photographs import read_photograph, size_text, write_photograph
from benchmark.inference.trained import load_folder
from data.errors import InputError
from models.batch import Batch

SQUARES = ("center", "random")
"""Masks that are made, and not read from a folder."""
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
    reading: MaskReading = field(default_factory=MaskReading)
    """How masks are read."""
    mask_name: str = STEM
    """How masks are named after their image; see `pair_files`."""
    levels: float | None = None
    """White of images whose samples are no bytes; see `decode`."""
    large_holes: bool = False
    """Whether a mask may mark more than half of its image."""
    overwrite: bool = False
    skip_existing: bool = False
    """Whether to leave out what is there already, as of a call that was stopped."""
    seed: int = 0
    """Of random holes."""
    device: str = "auto"


class Filled(NamedTuple):
    """What became of a folder of images."""

    written: int
    failed: int
    """Those that could not be filled."""
    skipped: int
    """Those that were there already."""
    seconds: float
    """For those that were written, without what it takes to load the model."""


def inpaint_images(request: Request) -> Filled:
    """Fill the holes of all images of a folder; known pixels stay as they are, to the bit.

    An image or a mask that cannot be used is reported and costs the others nothing.

    Raises:
        InputError: checkpoint, folders or names do not fit each other, or a result exists.
    """
    every = _list_jobs(request)
    jobs = [job for job in every if not (request.skip_existing and job.output.exists())]
    filler = load_filler(request)
    written, start = 0, time.perf_counter()
    for job in tqdm(jobs, desc="inpaint", unit="image"):
        try:
            with memory_for(f"the size of {job.image}", filler.device):
                photograph = read_photograph(job.image, request.levels)
                hole = _hole(job, photograph.pixels, filler, request)
                filled = filler(photograph.pixels, hole)
        except InputError as error:
            say(f"error: {error}")
            continue
        write_photograph(job.output, photograph, filled, hole)
        written += 1
    seconds = time.perf_counter() - start
    return Filled(written, len(jobs) - written, len(every) - len(jobs), seconds)


class _Job(NamedTuple):
    """The files of one image; without a mask its hole is a square."""

    image: Path
    mask: Path | None
    output: Path


def _list_jobs(request: Request) -> list[_Job]:
    """Find the images, their masks, and where each result goes."""
    folders = {"images": request.images}
    if request.masks not in SQUARES:
        folders["masks"] = Path(request.masks)
        if not folders["masks"].exists():
            raise InputError(
                f"--masks {request.masks}: no such folder or file, nor `center` or `random`"
            )
    pairing = pair_files(folders, {"masks": request.mask_name})
    if pairing.extra:
        say(f"note: {request.masks}: left out, as they belong to no image: {listed(pairing.extra)}")
    pairing.require_whole()
    jobs = [
        _Job(files["images"], files.get("masks"), request.out / f"{name}.png")
        for name, files in pairing.sets.items()
    ]
    results = [job.output for job in jobs]
    may_be_there = request.overwrite or request.skip_existing
    check_output(folders.values(), request.out, results, may_be_there)
    return jobs


def load_filler(request: Request) -> Filler:
    """Load the generator of a checkpoint, verified, for images of any size.

    The images that it was trained on need not be there.

    Raises:
        InputError: there is no such checkpoint, or it does not belong to its suite and variant.
    """
    suite, _, trained = load_folder(request.checkpoint, request.device, request.criterion)
    device = next(trained.inpainter.network.parameters()).device

    def inpaint(batch: Batch) -> Tensor:
        """Have the device do what the network does, and no more: some have no double precision."""
        image, mask, corner = (x.to(device) for x in (batch.image, batch.mask, batch.corner))
        there = Batch(image, mask, corner, batch.hole_size)
        return trained.inpainter(there).cpu()

    return Filler(
        inpainter=inpaint,
        image_size=suite.image_size,
        hole_size=suite.mask.size,
        room=hole_room(suite),
        mode=suite.inpainting,
        filter=Image.Resampling[suite.resize.filter.upper()],
        device=device,
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
        mask = read_mask(job.mask, request.reading)
        hole = mask.hole
        if not hole.any():
            raise InputError(f"{job.mask}: {mask.nothing_marked}")
        if mask.gray_share > MOST_GRAY:
            said = f"{mask.gray_share:.0%} gray; it is white from {WHITE_FROM} on"
            say(f"warning: {job.mask}: {said}")
    if hole.shape != pixels.shape[:2]:
        ours, other = size_text(hole.shape), size_text(pixels.shape)
        raise InputError(f"{job.mask}: is {ours}, its image {job.image} {other}")
    if hole.all():
        raise InputError(f"{job.mask or job.image}: {NOTHING_KNOWN}")
    if job.mask and hole.mean() > LARGE_HOLE and not request.large_holes:
        marks = request.reading.marks
        other = "black" if marks == "white" else "white"
        raise InputError(
            f"{job.mask}: marks {hole.mean():.0%} of the image as hole; if {marks} "
            f"marks what is known, say --hole {other}; if it is meant, say --large-holes"
        )
    return hole
