"""Large images and their holes -> metrics from the surroundings of the hole.

A composite differs from its target in the hole alone, so that its surroundings tell all; they cost
as much as the hole is large, and not as the image is. Smaller images are taken as a whole.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

LARGEST_PX = 2**20
"""Of larger images the surroundings of the hole alone are looked at."""
NEAR_PX = 16
"""How far these reach, beyond what any window of pixels does that touches the hole."""
TILE_PX = 384
"""Side of the tiles in which networks look at large surroundings, so that memory stays flat."""
Sides = tuple[int, int]
"""Height and width, in pixels."""


def is_large(images: Tensor) -> bool:
    """Return whether images `[N, 3, H, W]` are large."""
    return images.shape[2] * images.shape[3] > LARGEST_PX


def around(hole: Tensor, reach: int, grid: int = 1) -> tuple[slice, slice]:
    """Return the rows and columns that are near a hole `[H, W]`, from a multiple of `grid` on."""
    found = []
    for axis, size in enumerate(hole.shape):
        along = hole.any(1 - axis).nonzero()
        first, last = int(along[0]) - reach, int(along[-1]) + reach
        found.append(slice(max(0, first // grid * grid), min(size, last // grid * grid + grid)))
    return found[0], found[1]


def by_area(value: Tensor, near: Sides, whole: Sides) -> Tensor:
    """Return a mean over an image, from that over a part outside which all is 0."""
    return value * (near[0] * near[1] / (whole[0] * whole[1]))


def in_decibels(value: Tensor, near: Sides, whole: Sides) -> Tensor:
    """Return a PSNR over an image, from that over a part outside which nothing differs."""
    return value - 10 * torch.log10(by_area(torch.ones_like(value), near, whole))


def by_windows(side: int) -> Callable[[Tensor, Sides, Sides], Tensor]:
    """Return what brings a mean similarity of windows of a side to an image, elsewhere being 1."""

    def widen(value: Tensor, near: Sides, whole: Sides) -> Tensor:
        valid = [(h - side + 1) * (w - side + 1) for h, w in (near, whole)]
        return 1 - (1 - value) * (valid[0] / valid[1])

    return widen


def maps_around(
    distances: Callable[[Tensor, Tensor], Sequence[Tensor]],
    images: tuple[Tensor, Tensor, Tensor],
    sizes: Sequence[Sides],
    strides: Sequence[int],
    reach: int,
) -> list[Tensor]:
    """Return maps of distances between networks' features, which are 0 away from the hole.

    Args:
        distances: from `completed` and `target`, `[1, 3, h, w]`, to a map of each layer.
        images: `completed`, `target` and `mask`, as `Metric` has them.
        sizes: of each layer's map of the whole image.
        strides: of each layer, in pixels; the greatest one is a multiple of all.
        reach: beyond which no pixel changes a feature.

    Returns:
        For each layer `[N, 1, h, w]` float32.
    """
    completed, target, mask = images
    maps = [torch.zeros(len(target), 1, *size, device=target.device) for size in sizes]
    grid, limits = max(strides), (target.shape[2], target.shape[3])
    for row, hole in enumerate(mask[:, 0]):
        for core in _tiles(around(hole, reach, grid)):
            crop = tuple(
                slice(max(0, part.start - -(-reach // grid) * grid), min(size, part.stop + reach))
                for part, size in zip(core, limits, strict=True)
            )
            inside = (slice(row, row + 1), slice(None), *crop)
            if torch.equal(completed[inside], target[inside]):
                continue
            found_in = distances(completed[inside], target[inside])
            for whole, found, stride in zip(maps, found_in, strides, strict=True):
                there, here = [], []
                for part, shown, size, length in zip(
                    core, crop, limits, whole.shape[2:], strict=True
                ):
                    first, offset = part.start // stride, shown.start // stride
                    last = length if part.stop == size else part.stop // stride
                    there.append(slice(first, last))
                    here.append(slice(first - offset, last - offset))
                whole[row, 0, there[0], there[1]] = found[0, 0, here[0], here[1]]
    return maps


def _tiles(region: tuple[slice, slice]) -> Iterator[tuple[slice, slice]]:
    """Cut a region into tiles."""
    for top in range(region[0].start, region[0].stop, TILE_PX):
        rows = slice(top, min(top + TILE_PX, region[0].stop))
        for left in range(region[1].start, region[1].stop, TILE_PX):
            yield rows, slice(left, min(left + TILE_PX, region[1].stop))
