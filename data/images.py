"""Decoding and resizing of photographs."""

from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

from data.sources import UnreadableImageError

_FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class Resize(BaseModel):
    """How images of any shape become squares.

    `crop` scales the shorter side and cuts the middle; `stretch` ignores the aspect ratio. The
    filters are Pillow's, whose support grows with the reduction (antialiasing) and whose arithmetic
    is integer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: Literal["crop", "stretch"] = "crop"
    filter: Literal["box", "bilinear", "bicubic", "lanczos"] = "bicubic"
    crop_from: int | None = Field(default=None, ge=1)
    """Side in pixels of a centred square to cut out before resizing, as is usual for CelebA."""
    through: int | None = Field(default=None, ge=1)
    """Side in pixels to come to first, so that larger images keep the detail of this size alone."""

    def apply(self, pixels: NDArray[np.uint8], image_size: int) -> NDArray[np.uint8]:
        """Return the image as `[image_size, image_size, 3]`; a step that keeps its size is none."""
        if self.crop_from is not None:
            pixels = centre_square(pixels, min(self.crop_from, *pixels.shape[:2]))
        elif self.fit == "crop":
            pixels = centre_square(pixels, min(pixels.shape[:2]))
        for side in (self.through or image_size, image_size):
            if pixels.shape[:2] != (side, side):
                image = Image.fromarray(pixels).resize((side, side), _FILTERS[self.filter])
                pixels = np.asarray(image)
        return pixels


def centre_square(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Cut the middle square of a side in pixels out of an image."""
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return pixels[top : top + side, left : left + side]


def decode(path: Path) -> NDArray[np.uint8]:
    """Decode an image file to `[h, w, 3]` uint8, upright, without transparency.

    Raises:
        UnreadableImageError: the file is missing, truncated, not an image, or dangerously large.
    """
    return _decode(path, str(path))


def decode_bytes(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode the content of an image file, as `decode` does; `name` says in errors where it is."""
    return _decode(BytesIO(content), name)


def _decode(file: Path | BytesIO, name: str) -> NDArray[np.uint8]:
    try:
        with Image.open(file) as image:
            return np.asarray(_eight_bits(ImageOps.exif_transpose(image)).convert("RGB"))
    except UnidentifiedImageError:  # its text would be the path, or the address of a buffer
        reason = "of no known format"
    # Pillow reports broken files by many exception types, some of them plain Exception subclasses.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    raise UnreadableImageError(f"{name}: not a readable image ({reason})")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Bring an image to a mode that Pillow converts to RGB without loss of range or a warning."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if image.mode.startswith("I"):
        # Pillow clips wide grey values at 255; of 16-bit colour it keeps the upper byte, as here.
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError("pixels of more than 16 bits")
        return Image.fromarray((wide >> 8).astype(np.uint8))
    return image.convert("RGBA") if "transparency" in image.info else image
