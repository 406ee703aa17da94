"""Filling holes of any shape: exact outside, aligned inside, and what the network is shown."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmark.inference.filling import Filler, spread_known, touched
from models.batch import Batch

SIZE, SIDE = 32, 16
COLOR = (200, 30, 77)
Pixels = NDArray[np.uint8]
Hole = NDArray[np.bool_]


def filler(
    inpainter: Callable[[Batch], Tensor],
    mode: Literal["resize", "tile"] = "tile",
    room: tuple[int, int] = (0, SIZE - SIDE),
) -> Filler:
    bicubic, cpu = Image.Resampling.BICUBIC, torch.device("cpu")
    return Filler(inpainter, SIZE, SIDE, room, mode, bicubic, cpu)


def paint(batch: Batch) -> Tensor:
    """Put out one color, whatever is shown."""
    color = torch.tensor(COLOR, dtype=torch.float32) / 127.5 - 1
    return color[:, None, None].expand_as(batch.image)


def average(batch: Batch) -> Tensor:
    """Put out the mean of what is shown, so that the result depends on all of it."""
    return batch.masked.mean((2, 3), keepdim=True).expand_as(batch.image)


def extend_plane(batch: Batch) -> Tensor:
    """Continue the plane through the known pixels that are not close to the hole or the edge."""
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    basis = torch.stack([rows, columns, torch.ones_like(rows)], dim=-1).double()
    near = torch.nn.functional.max_pool2d(batch.mask, 7, stride=1, padding=3)[:, 0] > 0
    near[:, :3] = near[:, -3:] = near[:, :, :3] = near[:, :, -3:] = True
    planes = []
    for image, excluded in zip(batch.image, near, strict=True):
        fitted = torch.linalg.lstsq(basis[~excluded], image[:, ~excluded].T.double()).solution
        planes.append((basis @ fitted).permute(2, 0, 1).float())
    return torch.stack(planes)


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def boxes(height: int, width: int, *corners: tuple[int, int, int, int]) -> Hole:
    """Return a hole of boxes `(x0, y0, x1, y1)`."""
    hole = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in corners:
        hole[y0:y1, x0:x1] = True
    return hole


HOLES = {
    "37x211": boxes(37, 211, (90, 3, 130, 30)),
    "211x37": boxes(211, 37, (0, 100, 37, 102)),
    "640x480": boxes(480, 640, (600, 440, 640, 480), (0, 0, 1, 1), (250, 100, 330, 190)),
    "equal": boxes(32, 32, (8, 8, 24, 24)),
    "smaller": boxes(20, 25, (3, 4, 15, 17)),
    "tiny": boxes(1, 3, (1, 0, 2, 1)),
    "strips": boxes(70, 90, (0, 11, 90, 12), (45, 0, 46, 70)),
    "borders": boxes(70, 90, (0, 30, 5, 40), (85, 30, 90, 40), (40, 0, 50, 5), (40, 65, 50, 70)),
    "frame": ~boxes(70, 90, (20, 20, 70, 50)),
    "all but one": ~boxes(50, 40, (33, 7, 34, 8)),
    "none": boxes(50, 40),
}


@pytest.mark.parametrize("mode", ["tile", "resize"])
@pytest.mark.parametrize("name", HOLES)
def test_known_pixels_stay_and_the_hole_is_painted(
    name: str, mode: Literal["resize", "tile"]
) -> None:
    hole = HOLES[name]
    pixels = noise(*hole.shape)
    before = pixels.copy()
    filled = filler(paint, mode)(pixels, hole)
    assert filled.dtype == np.uint8 and np.array_equal(pixels, before)
    assert np.array_equal(filled[~hole], pixels[~hole])
    if mode == "tile" and min(hole.shape) >= SIZE:
        assert (filled[hole] == COLOR).all()
    # Where it is resized, the edge of the hole is mixed with what is around it.
    flat = np.full_like(pixels, COLOR)
    assert (filler(paint, mode)(np.where(hole[..., None], pixels, flat), hole) == flat).all()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 80),
    st.integers(1, 80),
    st.integers(0, 1000),
    st.sampled_from(["tile", "resize"]),
    st.sampled_from([(0, 16), (8, 8), (4, 12)]),
)
def test_what_is_in_the_hole_plays_no_part(
    height: int, width: int, seed: int, mode: Literal["resize", "tile"], room: tuple[int, int]
) -> None:
    hole = np.random.default_rng(seed).random((height, width)) < (seed % 10) / 20
    hole[0, 0] = False
    first, second = noise(height, width, 1), noise(height, width, 2)
    second[~hole] = first[~hole]
    fill = filler(average, mode, room)
    assert np.array_equal(fill(first, hole), fill(second, hole))


@pytest.mark.parametrize(
    ("mode", "tolerance"),
    # Rounding to 8 bits, of what is shown and of what is put out; with resizing once more for each
    # direction. An error of one pixel would be two or three levels.
    [("tile", 1), ("resize", 1.5)],
)
def test_filled_pixels_are_in_their_place(
    mode: Literal["resize", "tile"], tolerance: float
) -> None:
    height, width = (48, 40) if mode == "resize" else (80, 70)
    rows, columns = np.mgrid[:height, :width]
    plane = np.stack([3 * columns, 2 * rows, 2 * columns + rows], axis=-1)
    hole = boxes(height, width, (14, 15, 24, 26))
    if mode == "tile":
        hole |= boxes(height, width, (50, 60, 66, 76), (60, 10, 61, 14))
    filled = filler(extend_plane, mode)(plane.astype(np.uint8), hole)
    assert np.abs(filled.astype(int) - plane)[hole].max() <= tolerance


def test_what_is_shown_is_the_image_around_the_hole() -> None:
    shown: list[Batch] = []

    def look(batch: Batch) -> Tensor:
        shown.append(batch)
        return paint(batch)

    pixels, hole = noise(100, 90), boxes(100, 90, (40, 50, 50, 56))
    filler(look)(pixels, hole)
    (batch,) = shown
    assert batch.corner.tolist() == [[8, 8]] and batch.hole_size == SIDE
    expected = torch.from_numpy(pixels[37:69, 29:61]).permute(2, 0, 1).float() / 127.5 - 1
    outside = batch.mask[0] == 0
    assert torch.equal(batch.image[0][:, outside[0]], expected[:, outside[0]])
    assert batch.mask.sum() == SIDE**2


def test_a_network_for_holes_in_the_middle_sees_them_there_at_the_edge_of_the_image_too() -> None:
    shown: list[Batch] = []

    def look(batch: Batch) -> Tensor:
        shown.append(batch)
        return paint(batch)

    pixels, hole = noise(60, 50), boxes(60, 50, (40, 0, 50, 9))
    filler(look, room=(8, 8))(pixels, hole)
    (batch,) = shown
    assert batch.corner.tolist() == [[8, 8]]
    # The square is at (34, 0), so eight rows above and eight columns to the right are mirrored.
    padded = np.pad(pixels, ((8, 0), (0, 8), (0, 0)), mode="reflect")[:32, 26:58]
    real = np.pad(~hole, ((8, 0), (0, 8)), mode="reflect")[:32, 26:58]
    real &= batch.mask[0, 0].numpy() == 0
    expected = torch.from_numpy(padded).permute(2, 0, 1).float() / 127.5 - 1
    assert torch.equal(batch.image[0][:, real], expected[:, real])


def test_later_squares_see_what_earlier_ones_filled() -> None:
    shown: list[Batch] = []

    def look(batch: Batch) -> Tensor:
        shown.append(batch)
        return paint(batch)

    hole = boxes(80, 120, (30, 20, 62, 36))
    filler(look)(np.zeros((80, 120, 3), np.uint8), hole)
    painted = [(batch.image[0, 0] > 0.5).sum() for batch in shown]
    assert painted[0] == 0 and painted[-1] > 0


def test_squares_fade_into_each_other() -> None:
    calls = []

    def white_then_black(batch: Batch) -> Tensor:
        calls.append(1)
        return torch.full_like(batch.image, 3 - 2 * len(calls))

    hole = boxes(80, 120, (30, 20, 58, 36))  # two squares, with an overlap of four pixels
    filled = filler(white_then_black)(np.full((80, 120, 3), 128, np.uint8), hole)
    assert len(calls) == 2
    line = filled[25, 30:58, 0].astype(int).tolist()
    assert line[:12] == [255] * 12 and line[16:] == [0] * 12
    # The shares of the first square are 4, 3, 2, 1 and those of the second 1, 2, 3, 4.
    assert line[12:16] == [204, 153, 102, 51]


def test_only_the_neighborhood_of_a_hole_is_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, hole = noise(300, 300), boxes(300, 300, (140, 150, 170, 160), (120, 145, 125, 149))
    sizes = []

    def spread(pixels: Pixels, hole: Hole) -> Pixels:
        sizes.append(hole.shape)
        return spread_known(pixels, hole)

    monkeypatch.setattr("benchmark.inference.filling.spread_known", spread)
    filled = filler(average)(pixels, hole)
    monkeypatch.setattr(Filler, "_neighborhood", lambda *_: (slice(0, 300), slice(0, 300)))
    assert np.array_equal(filler(average)(pixels, hole), filled)
    assert sizes == [(143, 178), (300, 300)]


# The parts


def test_the_nearest_known_pixel_is_spread() -> None:
    pixels = np.arange(5, dtype=np.uint8).repeat(3).reshape(1, 5, 3)
    hole = np.array([[False, True, True, False, True]])
    assert spread_known(pixels, hole)[0, :, 0].tolist() == [0, 0, 3, 3, 3]


@given(*[st.integers(1, 12)] * 4, st.integers(0, 99))
def test_stretched_holes_equal_a_loop_over_pixels(
    height: int, width: int, new_height: int, new_width: int, seed: int
) -> None:
    hole = np.random.default_rng(seed).random((height, width)) < 0.2
    expected = np.zeros((new_height, new_width), bool)
    for y, x in np.argwhere(hole):
        for v in range(new_height):
            for u in range(new_width):
                # Intervals y..y+1 of the one and v..v+1 of the other, on a common scale.
                down = max(y * new_height, v * height) < min((y + 1) * new_height, (v + 1) * height)
                across = max(x * new_width, u * width) < min((x + 1) * new_width, (u + 1) * width)
                expected[v, u] |= down and across
    assert np.array_equal(touched(hole, (new_height, new_width)), expected)


def test_a_single_pixel_of_a_large_image_is_not_lost() -> None:
    hole = boxes(1000, 1500, (1234, 567, 1235, 568))
    assert np.argwhere(touched(hole, (SIZE, SIZE))).tolist() == [[18, 26]]
