"""Holes of a user's images: masks of all kinds of files, and squares drawn by value."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import chisquare

from benchmark.inference.holes import Hole, read_mask, square_hole
from data.errors import InputError


def mask(height: int, width: int, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Return a mask whose hole is a box `(x0, y0, x1, y1)`."""
    values = np.zeros((height, width), np.uint8)
    values[box[1] : box[3], box[0] : box[2]] = 255
    return values


def extent(hole: Hole) -> tuple[int, int, int, int]:
    """Return the box `(x0, y0, x1, y1)` around a hole that fills it."""
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    assert hole.sum() == (box[2] - box[0]) * (box[3] - box[1])
    return box


@pytest.mark.promise("masks")
def test_masks_of_all_kinds_of_files(tmp_path: Path) -> None:
    values = mask(20, 30, (4, 5, 9, 11))
    expected = values > 0
    for name, image in {
        "gray.png": Image.fromarray(values),
        "one.png": Image.fromarray(values).convert("1"),
        "color.png": Image.fromarray(values).convert("RGB"),
        "palette.gif": Image.fromarray(values).convert("P"),
        "wide.png": Image.fromarray(values.astype(np.uint16) * 257),
    }.items():
        image.save(tmp_path / name)
        hole, gray = read_mask(tmp_path / name, "white")
        assert np.array_equal(hole, expected) and gray == 0
        assert np.array_equal(read_mask(tmp_path / name, "black")[0], ~expected)


@pytest.mark.promise("masks")
def test_masks_of_0_and_1_are_black_and_white(tmp_path: Path) -> None:
    ones = mask(20, 30, (4, 5, 9, 11)) // 255
    for name, values in {"gray": ones, "color": np.dstack([ones] * 3)}.items():
        path = tmp_path / f"{name}.png"
        Image.fromarray(values).save(path)
        assert np.array_equal(read_mask(path, "white")[0], ones == 1)
        assert np.array_equal(read_mask(path, "black")[0], ones == 0)
        assert read_mask(path, "white")[1] == 0


def test_black_mask_marks_nothing(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "a.png")
    assert not read_mask(tmp_path / "a.png", "white")[0].any()


def colored(tmp_path: Path, color: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> Path:
    path = tmp_path / "alpha.png"
    Image.fromarray(np.dstack([color] * 3 + [alpha])).save(path)
    return path


def test_transparency_is_questioned(tmp_path: Path) -> None:
    box = mask(20, 30, (4, 5, 9, 11))
    for marks in ("white", "black"):
        with pytest.raises(InputError, match=rf"alpha\.png: has transparent .*, {marks} where"):
            read_mask(colored(tmp_path, box, 255 - box), marks)
    for opaque in (np.full_like(box, 255), np.full_like(box, 200)):
        hole, gray = read_mask(colored(tmp_path, box, opaque), "white")
        assert np.array_equal(hole, box > 0) and gray == 0


def test_gray_is_cut_at_the_middle(tmp_path: Path) -> None:
    values = np.array([[0, 16, 17, 127, 128, 238, 239, 255]], np.uint8)
    Image.fromarray(values).save(tmp_path / "mask.png")
    hole, gray = read_mask(tmp_path / "mask.png", "white")
    assert hole.tolist() == [[False] * 4 + [True] * 4] and gray == 4 / 8
    assert read_mask(tmp_path / "mask.png", "black")[0].tolist() == [[True] * 4 + [False] * 4]


@pytest.mark.promise("masks")
@pytest.mark.parametrize(
    ("height", "width", "box"),
    [
        (64, 64, (16, 16, 48, 48)),
        (218, 178, (44, 64, 133, 153)),
        (51, 140, (57, 12, 83, 38)),  # half of 51 is rounded up
        (1, 5, (2, 0, 3, 1)),  # at least one pixel
    ],
)
def test_square_in_the_middle(height: int, width: int, box: tuple[int, int, int, int]) -> None:
    assert extent(square_hole(np.zeros((height, width, 3), np.uint8), (32, 64))) == box


@pytest.mark.promise("masks")
@given(st.integers(1, 60), st.integers(2, 60), st.integers(0, 9))
def test_drawn_squares_lie_inside(height: int, width: int, seed: int) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    x0, y0, x1, y1 = extent(square_hole(pixels, (40, 100), seed))
    assert 0 <= x0 and 0 <= y0 and x1 <= width and y1 <= height
    # Forty hundredths of the shorter side, to half a pixel.
    assert x1 - x0 == y1 - y0 and abs((x1 - x0) - 0.4 * min(height, width)) <= 0.6


def test_draws_depend_on_pixels_and_seed_and_reach_every_place() -> None:
    pixels = np.zeros((8, 10, 3), np.uint8)
    boxes = [extent(square_hole(pixels, (1, 2), seed)) for seed in range(2000)]
    places = np.bincount([7 * y0 + x0 for x0, y0, _, _ in boxes], minlength=35)
    # The draws are fixed: no flicker.
    assert len(places) == 35 and chisquare(places).pvalue > 1e-3
    assert extent(square_hole(pixels.copy(), (1, 2), 5)) == boxes[5]
    others = [extent(square_hole(pixels + 1, (1, 2), seed)) for seed in range(50)]
    assert others != boxes[:50]
