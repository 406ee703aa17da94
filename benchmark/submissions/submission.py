"""Three places with files → completed images, each with its truth and its mask."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from benchmark.inference.holes import NOTHING_KNOWN, Hole, Mask, MaskReading, Pixels, read_mask
from benchmark.inference.pairing import Pairing, pair_files
from benchmark.inference.photographs import read_alpha, size_text
from data.images import decode, open_image, orientation
from data.store import pixel_sha256

WINDOW_PX = 1024
"""Side of the window around the hole that is looked at in larger images."""
NEAR_PX = 32
"""How far the surroundings of a hole reach that tell what is in it."""


@dataclass(frozen=True)
class Submission:
    """Three folders, or single files, and how the files that belong together are named."""

    images: Path
    """The truth."""
    completed: Path
    masks: Path
    reading: MaskReading = field(default_factory=MaskReading)
    """How masks are read."""
    levels: float | None = None
    """White of images whose samples are no bytes; see `decode`."""
    patterns: Mapping[str, str] = field(default_factory=dict)
    """How completed images and masks are named after their image; see `pair_files`."""

    def folders(self) -> dict[str, Path]:
        """Return the places by what lies in them."""
        return {"images": self.images, "completed": self.completed, "masks": self.masks}

    def pair(self) -> Pairing:
        """Find the files that belong together.

        Raises:
            InputError: see `pair_files`.
        """
        return pair_files(self.folders(), self.patterns)


@dataclass(frozen=True)
class FileFacts:
    """What an image file says besides its pixels."""

    kind: str
    """Pillow's name of the format."""
    orientation: int
    """Of its EXIF block, 1 to 8; 1 is upright."""
    has_palette: bool
    transparent: Hole | None
    """`[H, W]`, where it is not opaque; None where it is everywhere."""


@dataclass(frozen=True)
class Sample:
    """One image as it was handed in."""

    name: str
    target: Pixels
    """`[H, W, 3]`."""
    completed: Pixels
    """`[h, w, 3]`; of another size where somebody resized."""
    mask: Mask
    """Its hole is `[h, w]`, likewise."""
    target_file: FileFacts
    completed_file: FileFacts
    image_sha256: str
    """Of the target's pixels."""

    @property
    def hole(self) -> Hole:
        """What the mask marks."""
        return self.mask.hole

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

    def window(self) -> "Sample":
        """Return the sample, or of a large image the part around the middle of its hole.

        Where holes are so far apart that none of them is in that part, it is the sample too.
        """
        place = []
        for along, size in zip(self._extent(), self.hole.shape, strict=True):
            start = max(0, min((sum(along) - WINDOW_PX) // 2, size - WINDOW_PX))
            place.append(slice(start, start + WINDOW_PX))
        part = self._part(place[0], place[1])
        return part if part.hole.any() else self

    def near_hole(self) -> "Sample":
        """Return the part of the image around its hole."""
        rows, columns = (slice(max(0, a - NEAR_PX), b + NEAR_PX) for a, b in self._extent())
        return self._part(rows, columns)

    def _extent(self) -> list[tuple[int, int]]:
        """Return where the hole begins and ends, from the top and from the left."""
        found = [np.flatnonzero(self.hole.any(axis)) for axis in (1, 0)]
        return [(int(along[0]), int(along[-1]) + 1) for along in found]

    def _part(self, rows: slice, columns: slice) -> "Sample":
        place, facts = (rows, columns), self.completed_file
        if facts.transparent is not None:
            facts = replace(facts, transparent=facts.transparent[place])
        return replace(
            self,
            target=self.target[place],
            completed=self.completed[place],
            mask=replace(self.mask, hole=self.hole[place]),
            completed_file=facts,
        )


def read_sample(name: str, files: Mapping[str, Path], submission: Submission) -> Sample:
    """Decode the files of one image, given by the kinds of `Submission.folders`.

    Raises:
        UnreadableImageError: a file is no image, or its levels are not clear.
        InputError: the mask does not say clearly what it marks.
    """
    target = decode(files["images"], submission.levels)
    return Sample(
        name=name,
        target=target,
        completed=decode(files["completed"], submission.levels),
        mask=read_mask(files["masks"], submission.reading),
        target_file=read_facts(files["images"]),
        completed_file=read_facts(files["completed"]),
        image_sha256=pixel_sha256(target),
    )


def read_facts(path: Path) -> FileFacts:
    """Read what an image file says besides its pixels.

    Raises:
        UnreadableImageError: it is no image.
    """
    with open_image(path, str(path)) as image:
        kind, turn, mode = str(image.format), orientation(image), image.mode
        alpha = read_alpha(image)
    seen = None if alpha is None or alpha.min() == 255 else alpha < 255
    return FileFacts(kind, turn, mode == "P", seen)


def misfit(sample: Sample) -> tuple[str, str] | None:
    """Return which mistake of the catalog keeps a sample from being scored, and why."""
    shape = sample.target.shape[:2]
    for kind, other in (("completed image", sample.completed.shape), ("mask", sample.hole.shape)):
        if other[:2] != shape:
            sizes = f"the {kind} is {size_text(other)}, the image {size_text(shape)}"
            turns = {"image": sample.target_file.orientation}
            turns["completed image"] = sample.completed_file.orientation
            turned = [
                f"the {who} has the EXIF orientation {n}" for who, n in turns.items() if n > 4
            ]
            if turned and other[1::-1] == shape:
                return "orientation", f"{sizes}; {turned[0]}, and images are read upright"
            return "size", sizes
    if sample.hole.all():
        return "empty_mask", f"the mask {NOTHING_KNOWN}"
    return None if sample.hole.any() else ("empty_mask", f"the mask {sample.mask.nothing_marked}")
