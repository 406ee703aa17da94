"""Three folders of files → completed images, each with its truth and its mask."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from benchmark.inference.holes import NOTHING_KNOWN, Hole, Pixels, read_mask
from benchmark.inference.photographs import size_text
from data.images import decode, open_image
from data.store import pixel_sha256


@dataclass(frozen=True)
class Submission:
    """Three folders in which files of one name belong together, whatever their suffix."""

    images: Path
    """The truth."""
    completed: Path
    masks: Path
    hole: Literal["white", "black"] = "white"
    """The color that marks the hole in a mask."""

    def folders(self) -> dict[str, Path]:
        """Return the folders by what lies in them."""
        return {"images": self.images, "completed": self.completed, "masks": self.masks}


@dataclass(frozen=True)
class Sample:
    """One image as it was handed in."""

    name: str
    target: Pixels
    """`[H, W, 3]`."""
    completed: Pixels
    """`[h, w, 3]`; of another size where somebody resized."""
    hole: Hole
    """`[h, w]`, likewise."""
    gray_share: float
    """Share of the mask's pixels that are neither black nor white."""
    file_format: str
    """Pillow's name of what the completed image was saved as."""
    image_sha256: str
    """Of the target's pixels."""

    @cached_property
    def difference(self) -> Pixels:
        """By how many levels the completed image is off, `[H, W, 3]`."""
        return np.asarray(cv2.absdiff(self.completed, self.target), np.uint8)

    @cached_property
    def changed(self) -> Hole:
        """Where it is off at all, `[H, W]`."""
        return np.asarray(self.difference.any(2))

    @cached_property
    def known_mae(self) -> float:
        """Mean difference of the known pixels, in levels."""
        return float(self.difference[~self.hole].mean())

    @cached_property
    def hole_mae(self) -> float:
        """Mean difference in the hole, in levels."""
        return float(self.difference[self.hole].mean())


def read_sample(name: str, files: Mapping[str, Path], marks: Literal["white", "black"]) -> Sample:
    """Decode the files of one image, given by the kinds of `Submission.folders`.

    Raises:
        UnreadableImageError: a file is no image.
        InputError: the mask does not say clearly what it marks.
    """
    target = decode(files["images"])
    hole, gray_share = read_mask(files["masks"], marks)
    with open_image(files["completed"], str(files["completed"])) as image:
        file_format = str(image.format)
    completed = decode(files["completed"])
    return Sample(
        name, target, completed, hole, gray_share, file_format, image_sha256=pixel_sha256(target)
    )


def misfit(sample: Sample) -> tuple[str, str] | None:
    """Return which mistake of the catalog keeps a sample from being scored, and why."""
    shape = sample.target.shape[:2]
    for kind, other in (("completed image", sample.completed.shape), ("mask", sample.hole.shape)):
        if other[:2] != shape:
            return "size", f"the {kind} is {size_text(other)}, the image {size_text(shape)}"
    if sample.hole.all():
        return "empty_mask", f"the mask {NOTHING_KNOWN}"
    return None if sample.hole.any() else ("empty_mask", "the mask marks nothing as hole")
