"""Mask files, or a share of the image → holes."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.inference.photographs import read_alpha
from data.draws import integers_below, random_bits
from data.errors import InputError
from data.images import decode, open_image
from data.store import pixel_sha256

Pixels = NDArray[np.uint8]
"""`[H, W, 3]`."""
Hole = NDArray[np.bool_]
"""`[H, W]`, True in the hole."""

WHITE_FROM = 128
"""Gray values of a mask from this one on count as white."""
NEARLY = 16
"""Values this close to black or white are what compression makes of them."""
MOST_GRAY = 0.01
"""A mask with a greater share of other values is probably no mask."""
NOTHING_KNOWN = "marks the whole image as hole, so that nothing is known"


def read_mask(path: Path, marks: Literal["white", "black"]) -> tuple[Hole, float]:
    """Read the hole that a mask marks in a color.

    Of a mask that has the values 0 and 1 alone, 1 is white, as programs write them.

    Returns:
        The hole, and the share of the mask's pixels that are neither black nor white.

    Raises:
        UnreadableImageError: the file is no image.
        InputError: it has transparent pixels.
    """
    values = np.asarray(Image.fromarray(decode(path)).convert("L"))
    if values.max() == 1:
        values = values * np.uint8(255)
    with open_image(path, str(path)) as image:
        alpha = read_alpha(image)
    if alpha is not None and alpha.min() < WHITE_FROM:
        raise InputError(
            f"{path}: has transparent pixels, which can mean the hole as well as what is known; "
            f"save it without transparency, {marks} where the hole is"
        )
    white = values >= WHITE_FROM
    gray = (values > NEARLY) & (values < 255 - NEARLY)
    return white if marks == "white" else ~white, float(gray.mean())


def square_hole(pixels: Pixels, share: tuple[int, int], seed: int | None = None) -> Hole:
    """Return a square hole of an image, in its middle or at a place drawn by value.

    Args:
        pixels: `[H, W, 3]`; a drawn place depends on them and the seed alone.
        share: the square's side, as parts of a number of parts of the image's shorter side.
        seed: of the draw; None for the middle.

    Returns:
        `[H, W]`, at least one pixel.
    """
    height, width = pixels.shape[:2]
    parts, of = share
    side = max((min(height, width) * parts + of // 2) // of, 1)
    play = width - side, height - side
    if seed is None:
        x0, y0 = (n // 2 for n in play)
    else:
        bits = random_bits([seed, "inpaint hole", pixel_sha256(pixels)], 1)[0]
        x0, y0 = (int(integers_below(bits[i], n + 1)) for i, n in enumerate(play))
    hole = np.zeros((height, width), np.bool_)
    hole[y0 : y0 + side, x0 : x0 + side] = True
    return hole
