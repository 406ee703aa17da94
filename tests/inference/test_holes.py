"""Holes of a user's images: masks of all kinds of files, and squares drawn by value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.stats import chisquare

from benchmark.inference.holes import Hole, MaskReading, NoMaskError, read_mask, square_hole
from data.errors import InputError

WHITE, BLACK = MaskReading("white"), MaskReading("black")


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
        found = read_mask(tmp_path / name, WHITE)
        assert np.array_equal(found.hole, expected) and found.gray_share == 0
        assert np.array_equal(read_mask(tmp_path / name, BLACK).hole, ~expected)


@pytest.mark.promise("masks")
def test_masks_of_0_and_1_are_black_and_white(tmp_path: Path) -> None:
    ones = mask(20, 30, (4, 5, 9, 11)) // 255
    for name, values in {"gray": ones, "color": np.dstack([ones] * 3)}.items():
        path = tmp_path / f"{name}.png"
        Image.fromarray(values).save(path)
        assert np.array_equal(read_mask(path, WHITE).hole, ones == 1)
        assert np.array_equal(read_mask(path, BLACK).hole, ones == 0)
        assert read_mask(path, WHITE).gray_share == 0


def saved(values: NDArray[Any], path: Path, **options: Any) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


def test_a_mask_that_marks_nothing_says_what_its_values_are(tmp_path: Path) -> None:
    for value in (0, 1, 255):
        found = read_mask(saved(np.full((4, 5), value, np.uint8), tmp_path / "a.png"), WHITE)
        assert found.hole.all() if value else not found.hole.any()
        assert found.values == str(value)
    noisy = np.array([[0, 40, 90, 110, 60]], np.uint8).repeat(60, 0)
    noisy[:, 1:] = 0
    noisy[0] = (0, 40, 90, 110, 60)
    found = read_mask(saved(noisy, tmp_path / "dark.png"), WHITE)
    assert found.nothing_marked == "marks nothing as hole; its values are 0 to 110"


@pytest.mark.parametrize("values", [(0, 100), (0, 38), (60, 255), (100, 200)])
def test_of_two_values_the_greater_one_is_white(values: tuple[int, int], tmp_path: Path) -> None:
    box = mask(20, 30, (4, 5, 9, 11)) > 0
    found = read_mask(
        saved(np.where(box, *values[::-1]).astype(np.uint8), tmp_path / "a.png"), WHITE
    )
    assert np.array_equal(found.hole, box)


@pytest.mark.promise("masks")
@pytest.mark.parametrize("color", [(128, 0, 0), (0, 0, 255), (255, 255, 0)])
@pytest.mark.parametrize("has_palette", [True, False])
def test_of_black_and_a_color_the_color_is_white(
    color: tuple[int, int, int], has_palette: bool, tmp_path: Path
) -> None:
    indices = mask(20, 30, (4, 5, 9, 11)) // 255
    image = Image.fromarray(indices)
    image.putpalette([0, 0, 0, *color])
    image = image if has_palette else image.convert("RGB")
    image.save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png", WHITE).hole, indices == 1)


def brushed(box: Hole) -> NDArray[Any]:
    picture = np.random.default_rng(0).integers(0, 256, (*box.shape, 3), dtype=np.uint8)
    return np.where(box[..., None], np.array((255, 0, 0), np.uint8), picture)


def masked_photograph(box: Hole) -> NDArray[Any]:
    return np.where(box[..., None], np.uint8(255), brushed(np.zeros_like(box)))


def gray_photograph(box: Hole) -> NDArray[Any]:
    smooth = np.add.outer(np.arange(20), np.arange(30)) * 5
    return np.where(box, 255, smooth).astype(np.uint8)


def probabilities(box: Hole) -> NDArray[Any]:
    distance = np.asarray(ndimage.distance_transform_edt(~box))
    return np.asarray(np.rint(255 * np.exp(-distance / 12)), np.uint8)


@pytest.mark.promise("masks")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (brushed, "% of its pixels are colored"),
        (masked_photograph, "% of its pixels are colored"),
        (gray_photograph, "neither black nor white"),
        (probabilities, "neither black nor white"),
        (
            lambda box: np.where(box, 2, 0) + np.eye(20, 30, dtype=int),
            "0, 1, 2, 3, look like classes",
        ),
        (lambda box: np.where(box, 7, 3), "3, 7, look like classes"),
    ],
)
def test_what_is_no_mask_is_refused(
    make: Callable[[Hole], NDArray[Any]], said: str, tmp_path: Path
) -> None:
    box = mask(20, 30, (4, 5, 9, 11)) > 0
    path = saved(make(box).astype(np.uint8), tmp_path / "a.png")
    with pytest.raises(NoMaskError, match=rf"a\.png: is no mask: .*{said}"):
        read_mask(path, WHITE)


def test_a_map_is_cut_where_it_is_said(tmp_path: Path) -> None:
    box = mask(20, 30, (4, 5, 9, 11)) > 0
    path = saved(probabilities(box), tmp_path / "a.png")
    for threshold in (64, 200):
        found = read_mask(path, MaskReading(threshold=threshold))
        assert np.array_equal(found.hole, probabilities(box) >= threshold)
    wide = probabilities(box).astype(np.uint16) * 16  # of 12 bits
    found = read_mask(saved(wide, tmp_path / "wide.png"), MaskReading(threshold=64))
    assert np.array_equal(found.hole, probabilities(box) >= 64)


@pytest.mark.parametrize("scale", [1.0, 255.0, 0.25])
def test_floating_point_masks_are_read_by_their_greatest_value(
    scale: float, tmp_path: Path
) -> None:
    box = mask(20, 30, (4, 5, 9, 11)) > 0
    path = saved((box * scale).astype(np.float32), tmp_path / "a.tif")
    assert np.array_equal(read_mask(path, WHITE).hole, box)


@pytest.mark.parametrize("marks", ["white", "black"])
def test_holes_grow_by_a_distance(marks: Literal["white", "black"], tmp_path: Path) -> None:
    values = mask(40, 50, (20, 15, 21, 16))
    path = saved(values if marks == "white" else 255 - values, tmp_path / "a.png")
    found = read_mask(path, MaskReading(marks, dilate_px=5)).hole
    y, x = np.mgrid[:40, :50]
    assert np.array_equal(found, (y - 15) ** 2 + (x - 20) ** 2 <= 25)


def colored(tmp_path: Path, color: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> Path:
    path = tmp_path / "alpha.png"
    Image.fromarray(np.dstack([color] * 3 + [alpha])).save(path)
    return path


def test_transparency_is_questioned(tmp_path: Path) -> None:
    box = mask(20, 30, (4, 5, 9, 11))
    for marks in get_args(Literal["white", "black"]):
        with pytest.raises(InputError, match=rf"alpha\.png: has transparent .*, {marks} where"):
            read_mask(colored(tmp_path, box, 255 - box), MaskReading(marks))
    for opaque in (np.full_like(box, 255), np.full_like(box, 200)):
        found = read_mask(colored(tmp_path, box, opaque), WHITE)
        assert np.array_equal(found.hole, box > 0) and found.gray_share == 0


def test_soft_edges_are_cut_at_the_middle(tmp_path: Path) -> None:
    soft = np.array([[0] * 20 + [16, 17, 127, 128, 238, 239] + [255] * 20], np.uint8)
    path = saved(soft, tmp_path / "mask.png")
    found = read_mask(path, WHITE)
    assert found.hole.tolist() == [[False] * 23 + [True] * 23]
    assert found.gray_share == pytest.approx(4 / 46)
    assert np.array_equal(read_mask(path, BLACK).hole, ~found.hole)


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
