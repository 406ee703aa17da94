"""An image file -> its pixels, upright and resized to a square."""

import errno
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

from data.errors import InputError
from data.sources import UnreadableImageError

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "TGA")
"""Kinds of files that are read, whatever their names say: pixels alone. Of the others that Pillow
knows some are programs, which it has another program run (EPS)."""
TRANSIENT = {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT}
"""Errors of the machine and not of a file, which must not be left out for them."""
LARGEST_MEGAPIXELS = 200
"""Larger images are refused before memory is taken; no camera's sensor has more."""


class LevelsError(UnreadableImageError):
    """A file whose samples do not tell which level is white."""


WIDEST, LEAST_WIDE = 2**16 - 1, 2**14 - 1
"""White of 16-bit samples; and that of 14 bits, up to which they are probably samples of fewer bits
that were saved in a wider type, as cameras and scanners do with 10, 12 or 14."""

# Pillow's own limit would warn of honest photographs, and refuse others without their size.
Image.MAX_IMAGE_PIXELS = None

_FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""


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
    """Side in pixels of a centered square to cut out before resizing, as is usual for CelebA."""
    through: int | None = Field(default=None, ge=1)
    """Side in pixels to come to first, so that larger images keep the detail of this size alone."""

    def apply(self, pixels: NDArray[np.uint8], image_size: int) -> NDArray[np.uint8]:
        """Return the image as `[image_size, image_size, 3]`; a step that keeps its size is none."""
        if self.crop_from is not None:
            pixels = center_square(pixels, min(self.crop_from, *pixels.shape[:2]))
        elif self.fit == "crop":
            pixels = center_square(pixels, min(pixels.shape[:2]))
        for side in (self.through or image_size, image_size):
            if pixels.shape[:2] != (side, side):
                image = Image.fromarray(pixels).resize((side, side), _FILTERS[self.filter])
                pixels = np.asarray(image)
        return pixels


def center_square(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Cut the middle square of a side in pixels out of an image."""
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return pixels[top : top + side, left : left + side]


def decode(path: Path, levels: float | None = None) -> NDArray[np.uint8]:
    """Decode an image file to `[h, w, 3]` uint8, upright, without transparency.

    Args:
        path: the file.
        levels: the level that is white, where samples have another type than 8 bits: 4095 of
            samples of 12 bits that are saved as 16, or 1 of floating-point ones. Without it white
            is 65535 in 16 bits, and a file that can hardly be meant so is refused.

    Raises:
        UnreadableImageError: the file is missing, truncated, not an image, or dangerously large, or
            its levels are not clear.
    """
    return _decode(path, str(path), levels)


def decode_bytes(content: bytes, name: str, levels: float | None = None) -> NDArray[np.uint8]:
    """Decode the content of an image file, as `decode` does; `name` says in errors where it is."""
    return _decode(BytesIO(content), name, levels)


@contextmanager
def open_image(file: Path | BytesIO, name: str) -> Iterator[Image.Image]:
    """Open an image file; its pixels are decoded when they are asked for.

    Whatever Pillow raises within the block is reported as an error of the file.

    Args:
        file: a path or a content.
        name: says in errors where it is.

    Raises:
        UnreadableImageError: the file is missing, truncated, not an image, or dangerously large.
        InputError: there is too little memory for it.
    """
    try:
        with warnings.catch_warnings():
            # Of Pillow, about what is odd in files and yet can be read.
            warnings.simplefilter("ignore")
            if isinstance(file, Path) and not stat.S_ISREG(file.stat().st_mode):
                raise ValueError("no regular file")  # to open a pipe would be to wait for a writer
            Image.init()
            known = [kind for kind in FORMATS if kind in Image.OPEN]  # AVIF is not known everywhere
            with Image.open(file, formats=known) as image:
                _check_size(image)
                yield image
        return
    except UnreadableImageError:  # says it all already
        raise
    except UnidentifiedImageError:  # its text would be the path, or the address of a buffer
        reason = f"recognized as none of {', '.join(FORMATS)}"
    except MemoryError:  # says nothing of the file, so it must not be left out like a broken one
        raise InputError(f"{name}: too little memory to decode it") from None
    # Pillow reports broken files by many exception types, some of them plain Exception subclasses.
    except Exception as error:
        if isinstance(error, OSError) and error.errno in TRANSIENT:  # says nothing of it either
            raise InputError(f"{name}: cannot be read ({error.strerror})") from None
        text = error.strerror if isinstance(error, OSError) else None  # without the path
        reason = " ".join((text or str(error)).split()) or type(error).__name__
    raise UnreadableImageError(f"{name}: not a readable image ({reason})")


def _check_size(image: Image.Image) -> None:
    megapixels = image.width * image.height / 1e6
    if megapixels > LARGEST_MEGAPIXELS:
        raise ValueError(
            f"{image.width}x{image.height} px are {megapixels:,.2f} megapixels, more than "
            f"{LARGEST_MEGAPIXELS}"
        )


def upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF orientation says; one that cannot be read says nothing."""
    image.load()  # before the orientation is read: some formats turn the pixels here
    method = _TURNS.get(orientation(image))
    return image if method is None else image.transpose(method)


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an image, 1 to 8, and 1 where there is none."""
    try:
        number = image.getexif().get(0x0112)
    except Exception:  # a broken EXIF block costs viewers nothing but the orientation
        return 1
    return number if isinstance(number, int) and number in _TURNS else 1


def _decode(file: Path | BytesIO, name: str, levels: float | None) -> NDArray[np.uint8]:
    with open_image(file, name) as image:
        if not _is_wide_color(image):
            return np.asarray(_eight_bits(upright(image), name, levels).convert("RGB"))
        method = _TURNS.get(orientation(image))
        narrow = Image.fromarray(_scaled(_wide_color(file), name, levels))
        return np.asarray(narrow if method is None else narrow.transpose(method))


def _eight_bits(image: Image.Image, name: str, levels: float | None) -> Image.Image:
    """Bring an image to a mode that Pillow converts to RGB without loss of range or a warning."""
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_scaled(np.asarray(image), name, levels))
    return image.convert("RGBA") if "transparency" in image.info else image


def _scaled(samples: NDArray[Any], name: str, levels: float | None) -> NDArray[np.uint8]:
    """Return samples that are no bytes as such, by what is white and not by what is brightest."""
    if not np.isfinite(samples).all() or samples.min() < 0:
        raise UnreadableImageError(f"{name}: has samples that are negative, or no numbers")
    greatest = float(samples.max())
    found = f"has {'floating-point' if samples.dtype.kind == 'f' else '16-bit'} samples up to"
    if levels is not None:
        if greatest > levels:
            raise LevelsError(f"{name}: {found} {greatest:g}, above levels {levels:g}")
        return np.asarray(np.rint(samples.astype(np.float64) * (255 / levels)), np.uint8)
    if samples.dtype.kind == "f":
        likely = "1" if greatest <= 1 else "255"
    elif greatest > WIDEST:
        raise UnreadableImageError(f"{name}: has samples of more than 16 bits")
    elif 0 < greatest <= LEAST_WIDE:
        likely = f"{2 ** max(8, int(greatest).bit_length()) - 1}, or {WIDEST} for a picture so dark"
    else:
        return np.asarray(samples.astype(np.int64) >> 8, np.uint8)
    raise LevelsError(
        f"{name}: {found} {greatest:g}, which does not tell what is white; say it by --levels, or "
        f"levels of a suite's source: {likely}"
    )


def _is_wide_color(image: Image.Image) -> bool:
    """Return whether an image that is not decoded yet has color of 16 bits a sample.

    Pillow keeps the upper byte of it, which leaves 16 levels of 12 bits.
    """
    return any(
        ";16" in str(tile[3]) for tile in getattr(image, "tile", ())
    ) and not image.mode.startswith("I")


def _wide_color(file: Path | BytesIO) -> NDArray[np.uint16]:
    """Decode 16-bit color to `[h, w, 3]`, as it is stored."""
    import cv2  # takes long to load, and few files need it

    content = file.read_bytes() if isinstance(file, Path) else file.getvalue()
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        raise ValueError("color of 16 bits that cannot be decoded")
    if found.ndim == 2:  # gray with transparency
        found = np.repeat(found[..., None], 3, axis=2)
    return np.asarray(found[..., 2::-1], np.uint16)
