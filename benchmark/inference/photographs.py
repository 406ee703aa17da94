"""Image files ↔ photographs: pixels with their transparency, grayness and color profile."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.core.files import atomic_path
from data.images import decode, open_image, upright

SUFFIXES = frozenset(
    f".{name}"
    for name in "avif bmp gif jfif jp2 jpeg jpg pbm pgm png ppm tga tif tiff webp".split()
)
"""Names of image files end with one of these, in small letters or capitals."""


@dataclass(frozen=True)
class Photograph:
    """A decoded image file, upright."""

    pixels: NDArray[np.uint8]
    """`[H, W, 3]`; of a gray image three equal channels."""
    alpha: NDArray[np.uint8] | None
    """`[H, W]`, where the file has transparency."""
    is_gray: bool
    profile: bytes | None
    """Color profile (ICC) that the pixels are meant for."""


def read_photograph(path: Path, levels: float | None = None) -> Photograph:
    """Decode an image file.

    Args:
        path: the file.
        levels: white of samples that are no bytes; see `decode`.

    Raises:
        UnreadableImageError: see `decode`.
    """
    pixels = decode(path, levels)
    with open_image(path, str(path)) as image:
        is_gray = Image.getmodebase(image.mode) == "L"
        # Of another color space, such as CMYK, the profile does not fit what it is decoded to.
        kept = is_gray or image.mode in ("RGB", "RGBA", "P")
        profile = image.info.get("icc_profile") if kept else None
        return Photograph(pixels, read_alpha(image), is_gray, profile)


def read_alpha(image: Image.Image) -> NDArray[np.uint8] | None:
    """Return the opacity of an opened image, `[H, W]` and upright, if it has transparency."""
    if not image.has_transparency_data:
        return None
    return np.asarray(upright(image).convert("RGBA").getchannel("A"))


def size_text(shape: tuple[int, ...]) -> str:
    """Return a height and a width as people write them, the width first."""
    return f"{shape[1]}x{shape[0]} px"


def write_photograph(
    path: Path, photograph: Photograph, pixels: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    """Write pixels with what belongs to those of a photograph, as PNG, atomically.

    Args:
        path: the file.
        photograph: what to keep outside the hole.
        pixels: `[H, W, 3]`, what to write in the hole.
        hole: `[H, W]`, True in the hole.
    """
    image = Image.fromarray(np.where(hole[..., None], pixels, photograph.pixels))
    if photograph.is_gray:
        # Of three equal channels this is their value, so known pixels stay what they are.
        image = image.convert("L")
    if photograph.alpha is not None:
        # Who erased a part by making it transparent wants to see what fills it.
        image.putalpha(Image.fromarray(np.where(hole, 255, photograph.alpha).astype(np.uint8)))
    with atomic_path(path) as partial:
        image.save(partial, format="PNG", icc_profile=photograph.profile)
