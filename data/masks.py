"""Random bits -> which square of an image is the hole, as a box.

A box becomes pixels where they are needed, on the device, by `masks_from_boxes`. Boxes are made
from random bits by integer arithmetic alone, so that a hole is the same on every platform.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from data.draws import Label, integers_below, random_bits


class MaskSpec(BaseModel):
    """How the hole is chosen: a square of `size` px, at least `margin` px from the edge."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["center", "random_square"]
    size: int = Field(ge=1)
    margin: int = Field(default=0, ge=0)

    def positions(self, image_size: int) -> int:
        """Return how many places the square has along an axis; below 1 where it does not fit."""
        return image_size - 2 * self.margin - self.size + 1

    def places(self, image_size: int) -> int:
        """Return how many different holes an image can have."""
        return 1 if self.kind == "center" else self.positions(image_size) ** 2

    def boxes(self, bits: NDArray[np.uint64], image_size: int) -> NDArray[np.int32]:
        """Place one hole per row of bits.

        Args:
            bits: `[N, 4]`, of `random_bits`; the first two words place the square.
            image_size: side of the square images, in pixels.

        Returns:
            `[N, 4]` boxes `(x0, y0, x1, y1)` in pixels, exclusive at the far edge.
        """
        if self.kind == "center":
            corners = np.full((len(bits), 2), (image_size - self.size) // 2, dtype=np.int64)
        else:
            corners = integers_below(bits[:, :2], self.positions(image_size)) + self.margin
        return np.concatenate([corners, corners + self.size], axis=1).astype(np.int32)


def mask_bank(
    spec: MaskSpec,
    image_size: int,
    labels: Sequence[Label],
    image_hashes: Sequence[str],
    count: int,
) -> NDArray[np.int32]:
    """Return the fixed holes of a set of images.

    A hole depends on its image's own content hash, so neither the order nor the presence of other
    images moves it. No image has the same hole twice.

    Returns:
        `[N, count, 4]` int32 boxes in pixels, `count` for every image.

    Raises:
        ValueError: an image does not have so many places for a hole.
    """
    if count > spec.places(image_size):
        raise ValueError(f"{count} holes for {spec.places(image_size)} places")
    banks = [_distinct_boxes(spec, image_size, [*labels, h], count) for h in image_hashes]
    return np.stack(banks) if banks else np.zeros((0, count, 4), np.int32)


def _distinct_boxes(
    spec: MaskSpec, image_size: int, labels: Sequence[Label], count: int
) -> NDArray[np.int32]:
    """Return the first `count` holes that are drawn, those left out that were drawn before."""
    drawn = count
    while True:
        boxes = spec.boxes(random_bits(labels, drawn), image_size)
        _, first = np.unique(boxes, axis=0, return_index=True)
        if len(first) >= count:
            return boxes[np.sort(first)[:count]]
        drawn *= 2
