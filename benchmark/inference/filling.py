"""An image of any size with a hole of any shape, and a network for one size → the filled image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from benchmark.inference.coverage import Corner, Span, cover_hole, place_window
from benchmark.inference.holes import Hole, Pixels
from benchmark.training.network_inputs import complete
from models.batch import Batch

OVERLAP = 4
"""Neighboring squares overlap by one in so many parts of their side. With less overlap their seams
stand out, with more there are more squares."""


@dataclass(frozen=True)
class Filler:
    """A generator, and how it is brought to images and holes that it was not trained on."""

    inpainter: Callable[[Batch], Tensor]
    """From a batch to its raw output, both on the CPU."""
    image_size: int
    """Side in pixels of what it is shown."""
    hole_size: int
    """Side in pixels of the square that it fills."""
    room: Span
    """Least and greatest distance of that square from the near edges of what it is shown."""
    mode: Literal["resize", "tile"]
    filter: Image.Resampling
    """What brings an image to the size of the network."""
    device: torch.device
    """Where the inpainter computes."""

    def __call__(self, pixels: Pixels, hole: Hole) -> Pixels:
        """Return the image with its hole filled; nothing in the hole is looked at.

        Args:
            pixels: `[H, W, 3]`.
            hole: `[H, W]`, True in the hole; at least one pixel must be known.
        """
        if not hole.any():
            return pixels.copy()
        completed = pixels.copy()
        near = self._neighborhood(hole)
        blank, inner = spread_known(pixels[near], hole[near]), hole[near]
        shape = self._working_shape(inner.shape)
        if shape == inner.shape:
            filled = self._fill_squares(blank, inner)
        else:
            small = resize_pixels(blank, shape, self.filter)
            filled = self._fill_squares(small, touched(inner, shape))
            filled = resize_pixels(filled, inner.shape, Image.Resampling.BICUBIC)
        completed[near][inner] = filled[inner]
        return completed

    def _neighborhood(self, hole: Hole) -> tuple[slice, slice]:
        """Return the part of the image that can matter, so that a small hole costs little."""
        if self.mode == "resize":
            return slice(0, hole.shape[0]), slice(0, hole.shape[1])
        rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
        # A window holds a square, which holds a part of the hole.
        reach = 2 * self.image_size
        return (
            slice(max(int(rows[0]) - reach, 0), int(rows[-1]) + reach + 1),
            slice(max(int(columns[0]) - reach, 0), int(columns[-1]) + reach + 1),
        )

    def _working_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return height and width at which squares are filled."""
        size, shorter = self.image_size, min(shape)
        if self.mode == "resize":
            return size, size
        if shorter >= size:
            return shape
        # Training images that are too small are enlarged as well. Mirrored copies around the image,
        # the alternative, would be no further evidence of what is in the hole.
        height, width = (-(-n * size // shorter) for n in shape)
        return height, width

    def _fill_squares(self, blank: Pixels, hole: Hole) -> Pixels:
        """Fill an image that is at least as large as what the network is shown.

        Where squares overlap, each counts the more, the farther its edge is, so that one fades into
        the other.
        """
        side, canvas = self.hole_size, blank.copy()
        overlap = side // OVERLAP
        ramp = np.minimum(np.arange(1, side + 1), overlap + 1)
        ramp = np.minimum(ramp, ramp[::-1])
        shares, share = np.zeros(hole.shape, np.int32), np.outer(ramp, ramp)
        for x0, y0 in cover_hole(hole, side, overlap):
            place = slice(y0, y0 + side), slice(x0, x0 + side)
            shares[place] += share
            weight = (share / shares[place])[..., None]
            patch = self._complete(canvas, (x0, y0))
            mixed = np.rint(canvas[place] * (1 - weight) + patch * weight)
            canvas[place] = np.where(hole[place][..., None], mixed, canvas[place])
        return canvas

    def _complete(self, canvas: Pixels, square: Corner) -> Pixels:
        """Return what the network puts into a square, `[side, side, 3]`."""
        side, size = self.hole_size, self.image_size
        height, width = canvas.shape[:2]
        left, top = place_window(square, self.room, size, (height, width))
        shown = canvas[np.ix_(_mirrored(top, size, height), _mirrored(left, size, width))]
        x0, y0 = square[0] - left, square[1] - top
        box = torch.tensor([[x0, y0, x0 + side, y0 + side]])
        done = complete(self.inpainter, torch.from_numpy(shown[None]), box, side)
        whole = done.completed[0].permute(1, 2, 0).numpy()
        return np.asarray(whole[y0 : y0 + side, x0 : x0 + side])


def _mirrored(start: int, count: int, size: int) -> NDArray[np.int64]:
    """Return `count` positions from `start` on, those outside `[0, size)` mirrored into it."""
    return np.pad(np.arange(size), count, mode="reflect")[start + count : start + 2 * count]


def spread_known(pixels: Pixels, hole: Hole) -> Pixels:
    """Return the image with the nearest known pixel in the place of each of the hole."""
    nearest = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
    return np.asarray(pixels[tuple(nearest)])


def resize_pixels(pixels: Pixels, shape: tuple[int, ...], filter_: Image.Resampling) -> Pixels:
    """Stretch an image to a height and a width."""
    return np.asarray(Image.fromarray(pixels).resize((shape[1], shape[0]), filter_))


def touched(hole: Hole, shape: tuple[int, int]) -> Hole:
    """Stretch a hole to a height and a width; no part of it, however thin, is lost."""
    pooled = adaptive_max_pool2d(torch.from_numpy(hole)[None].float(), shape)
    return np.asarray(pooled[0] > 0)
