"""Mask files, or a share of the image → holes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from benchmark.inference.photographs import read_alpha
from data.draws import integers_below, random_bits
from data.errors import InputError
from data.images import decode, open_image, upright
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
"""A mask with a greater share of other values is worth a warning: it is cut at half."""
GRAY_PICTURE = 0.25
"""With a greater share it is a picture or a map of probabilities. A soft edge has less, even around
a hole of which it is a quarter."""
MOST_COLORED = 0.01
"""So is one with a greater share of colored pixels; compression makes fewer."""
MOST_CLASSES = 32
"""Values below this number are classes, but for 0 and 1, which are black and white; and two values
that differ by as much are black and white, whatever they are."""
NOTHING_KNOWN = "marks the whole image as hole, so that nothing is known"


class NoMaskError(InputError):
    """A file that is no mask, but a picture, classes or a map."""


@dataclass(frozen=True)
class MaskReading:
    """How the files of masks are read."""

    marks: Literal["white", "black"] = "white"
    """The color that marks the hole."""
    threshold: int | None = None
    """Gray values from this one on are white, in masks of any values; None for `WHITE_FROM`, in
    masks that are black and white but for their edges."""
    dilate_px: int = 0
    """By how many pixels holes are grown."""


@dataclass(frozen=True)
class Mask:
    """What a file of a mask says."""

    hole: Hole
    gray_share: float
    """Share of the pixels that are neither black nor white."""
    values: str
    """Which values it has, in words, for who wonders what it marks."""

    @property
    def nothing_marked(self) -> str:
        """Say that nothing is marked."""
        return f"marks nothing as hole; its values are {self.values}"


def read_mask(path: Path, reading: MaskReading) -> Mask:
    """Read the hole that a mask marks in a color.

    Of a mask with two values the greater one is white, as programs write 0 and 1; of one with two
    colors of which one is black, the other. Of samples wider than bytes the greatest one is white.

    Raises:
        UnreadableImageError: the file is no image.
        InputError: it has transparent pixels.
        NoMaskError: it is a picture, classes, or a map.
    """
    values = _gray_values(path, reading.marks)
    present = np.unique(values)
    said = ", ".join(map(str, present)) if len(present) <= 4 else f"{present[0]} to {present[-1]}"
    if present[-1] == 1:
        values = values * np.uint8(255)
    elif len(present) == 2 and present[1] - present[0] >= MOST_CLASSES:
        values = np.where(values == present[1], 255, 0)
    elif 0 < present[-1] < MOST_CLASSES and reading.threshold is None:
        raise NoMaskError(
            f"{path}: is no mask: its values, {said}, look like classes; save 255 where the hole "
            "is and 0 elsewhere"
        )
    gray_share = float(((values > NEARLY) & (values < 255 - NEARLY)).mean())
    if gray_share > GRAY_PICTURE and reading.threshold is None:
        raise NoMaskError(
            f"{path}: is no mask: {gray_share:.0%} of its pixels are neither black nor white, as "
            "of a picture or a map of probabilities; a map can be cut by --threshold"
        )
    white = values >= (WHITE_FROM if reading.threshold is None else reading.threshold)
    hole = white if reading.marks == "white" else ~white
    if reading.dilate_px and hole.any():
        hole = ndimage.distance_transform_edt(~hole) <= reading.dilate_px
    return Mask(hole, 0.0 if reading.threshold is not None else gray_share, said)


def _gray_values(path: Path, marks: str) -> NDArray[np.uint8]:
    """Return the gray values of a mask, `[H, W]`."""
    with open_image(path, str(path)) as image:
        alpha, mode = read_alpha(image), image.mode
        wide = np.asarray(upright(image)) if mode == "F" or mode.startswith("I") else None
    if alpha is not None and alpha.min() < WHITE_FROM:
        raise InputError(
            f"{path}: has transparent pixels, which can mean the hole as well as what is known; "
            f"save it without transparency, {marks} where the hole is"
        )
    if wide is not None:
        if not np.isfinite(wide).all() or wide.min() < 0:
            raise NoMaskError(f"{path}: is no mask: it has values that are negative or no numbers")
        greatest = float(wide.max())
        # Of two classes the greater one may be 1, of more they are to be seen as they are.
        scale = 255 / greatest if greatest >= MOST_CLASSES or mode == "F" else 1.0
        return np.asarray(np.rint(wide * (scale if greatest else 1.0)), np.uint8)
    pixels = decode(path)
    colored = pixels.max(2).astype(int) - pixels.min(2) > NEARLY
    if colored.any() and len(colors := np.unique(pixels.reshape(-1, 3), axis=0)) == 2:
        if not colors[0].any():  # sorted, so that black comes first
            return np.where(pixels.any(2), 255, 0).astype(np.uint8)
    if colored.mean() > MOST_COLORED:
        raise NoMaskError(
            f"{path}: is no mask: {colored.mean():.0%} of its pixels are colored; save it black "
            f"and white, {marks} where the hole is"
        )
    return np.asarray(Image.fromarray(pixels).convert("L"))


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
