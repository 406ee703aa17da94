"""Ellipses -> an image: painted back to front, then colored, lit and averaged to pixels.

A layer is an ellipse, possibly slanted and bent, that writes the number of its color into a map
with several samples per pixel. All arithmetic is on integers, so that the bytes are equal on every
platform. Shapes are given in the units of a frame: u to the right, v down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

SAMPLES = 4  # per pixel and axis
IMAGE = 1 << 16  # steps across the image
TURN = 1 << 12  # fixed-point one of the tilt's sine and cosine
FINE = 16  # steps of a coordinate per unit of the anatomy

Integers = NDArray[np.int64]
Color = NDArray[np.int64]  # `[3]` RGB in 0..255


@dataclass(frozen=True)
class Blob:
    """An ellipse, sheared so that its right end lies `slope` lower and both ends `bend` lower."""

    u: int
    v: int
    half_width: int
    half_height: int
    slope: int = 0
    bend: int = 0

    def covers(self, u: Integers, v: Integers) -> NDArray[np.bool_]:
        """Tell which points, in steps of `1 / FINE` unit, lie inside."""
        a, b = self.half_width, self.half_height
        across = u - FINE * self.u
        down = v - FINE * self.v
        if self.slope:
            down = down - self.slope * across // a
        if self.bend:
            down = down - self.bend * across**2 // (FINE * a**2)
        return np.asarray((across * b) ** 2 + (down * a) ** 2 <= (FINE * a * b) ** 2)


@dataclass(frozen=True)
class Layer:
    """A blob to paint where it lies inside one blob and outside another."""

    color: str
    blob: Blob
    within: Blob | None = None
    without: Blob | None = None


@dataclass(frozen=True)
class Frame:
    """Where the origin lies in the image, how large 1000 units are, and the sine of the tilt."""

    x: int
    y: int
    scale: int
    sine: int = 0

    @property
    def cosine(self) -> int:
        """The tilt's cosine, as a multiple of `1 / TURN`."""
        return isqrt(TURN**2 - self.sine**2)

    def coordinates(self, samples: int) -> tuple[Integers, Integers]:
        """Return u and v, `[samples, samples]` each, of the samples of an image."""
        positions = (2 * np.arange(samples, dtype=np.int64) + 1) * IMAGE // (2 * samples)
        x, y = positions[None, :] - self.x, positions[:, None] - self.y
        steps = 1000 * FINE
        u = (self.cosine * x + self.sine * y) * steps // (TURN * self.scale)
        v = (self.cosine * y - self.sine * x) * steps // (TURN * self.scale)
        return u, v

    def window(self, blob: Blob, samples: int) -> tuple[slice, slice]:
        """Return rows and columns of the samples outside which the blob is not."""
        width, height = blob.half_width, blob.half_height + abs(blob.slope) + abs(blob.bend)
        x = self.cosine * blob.u - self.sine * blob.v
        y = self.sine * blob.u + self.cosine * blob.v
        reach_x = self.cosine * width + abs(self.sine) * height
        reach_y = self.cosine * height + abs(self.sine) * width

        def span(origin: int, center: int, reach: int) -> slice:
            low, high = (
                (origin + end * self.scale // (1000 * TURN)) * samples // IMAGE
                for end in (center - reach, center + reach)
            )
            return slice(max(low - 1, 0), max(high + 2, 0))

        return span(self.y, y, reach_y), span(self.x, x, reach_x)


def blend(first: Color, second: Color, weight: int) -> Color:
    """Mix two colors; `weight` 0 gives the first and 256 the second."""
    return ((256 - weight) * first + weight * second) >> 8


def along(scale: Integers, place: int) -> Color:
    """Return the color at a place in `[0, 999]` of a scale of colors."""
    segment, rest = divmod(place * (len(scale) - 1), 1000)
    return blend(scale[segment], scale[segment + 1], rest * 256 // 1000)


def vivid(hue: int, saturation: int, value: int) -> Color:
    """Return a color of the wheel; the hue is in `[0, 1536)`, the others in `[0, 256]`."""
    ramps = abs(hue - 768) - 256, 512 - abs(hue - 512), 512 - abs(hue - 1024)
    pure = np.clip(np.array(ramps, dtype=np.int64), 0, 255)
    return (255 * 256 - saturation * (255 - pure)) * value >> 16


def paint(
    painted: NDArray[np.uint8],
    frame: Frame,
    grid: tuple[Integers, Integers],
    layer: Layer,
    number: int,
) -> None:
    """Write the number of a layer's color where the layer covers the samples."""
    rows, columns = frame.window(layer.blob, len(painted))
    u, v = grid[0][rows, columns], grid[1][rows, columns]
    covered = layer.blob.covers(u, v)
    if layer.within:
        covered &= layer.within.covers(u, v)
    if layer.without:
        covered &= ~layer.without.covers(u, v)
    painted[rows, columns][covered] = number


def average(
    painted: NDArray[np.uint8],
    light: NDArray[np.int32],
    palette: Sequence[Color],
    behind: Integers,
) -> NDArray[np.uint8]:
    """Color and light the painted samples, and average them to pixels over the background.

    Args:
        painted: `[samples, samples]`; 0 shows the background, n the n-th color of the palette.
        light: `[samples, samples]` factors in 1/256.
        palette: the colors.
        behind: `[size, size, 3]` background.
    """
    size = len(behind)
    blocks = (size, SAMPLES, size, SAMPLES)

    def block_sum(values: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.asarray(np.einsum("ijkl->ik", values.reshape(blocks)))

    share = block_sum((painted == 0).astype(np.int32))
    table = np.array([[0, 0, 0], *palette], dtype=np.int32)
    channels = [
        block_sum(np.minimum(table[painted, c] * light >> 8, 255)) + behind[:, :, c] * share
        for c in range(3)
    ]
    total = np.stack(channels, axis=-1)
    return ((total + SAMPLES**2 // 2) // SAMPLES**2).astype(np.uint8)
