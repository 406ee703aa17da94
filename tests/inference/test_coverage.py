"""Squares that cover a hole: every pixel, inside the image, few, in order; and their windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmark.inference.coverage import Corner, cover_hole, place_window

Hole = NDArray[np.bool_]


@st.composite
def holes(draw: st.DrawFn) -> tuple[Hole, int]:
    """Draw a hole of boxes and specks, and the side of squares that fit into the image."""
    height, width = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    hole = np.zeros((height, width), bool)
    for _ in range(draw(st.integers(1, 4))):
        x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        hole[y0 : y0 + draw(st.integers(1, 20)), x0 : x0 + draw(st.integers(1, 20))] = True
    seed = draw(st.integers(0, 99))
    specks = np.random.default_rng(seed).random((height, width)) < draw(st.sampled_from([0, 0.05]))
    return hole | specks, draw(st.integers(1, min(height, width)))


def covered(squares: list[Corner], side: int, shape: tuple[int, ...]) -> Hole:
    mask = np.zeros(shape, bool)
    for x0, y0 in squares:
        mask[y0 : y0 + side, x0 : x0 + side] = True
    return mask


@given(holes())
def test_every_pixel_is_covered_by_squares_inside_the_image(drawn: tuple[Hole, int]) -> None:
    hole, side = drawn
    squares = cover_hole(hole, side)
    assert (covered(squares, side, hole.shape) >= hole).all()
    for x0, y0 in squares:
        assert 0 <= x0 <= hole.shape[1] - side and 0 <= y0 <= hole.shape[0] - side
        assert hole[y0 : y0 + side, x0 : x0 + side].any()
    assert len(set(squares)) == len(squares)
    assert cover_hole(hole.copy(order="F"), side) == squares


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12))
def test_a_box_takes_as_many_squares_as_fit_side_by_side(
    width: int, height: int, side: int
) -> None:
    hole = np.zeros((height + 15, width + 15), bool)
    hole[3 : 3 + height, 7 : 7 + width] = True
    assert len(cover_hole(hole, side)) == -(-width // side) * -(-height // side)


def test_shapes_that_take_few_squares() -> None:
    diagonal = np.eye(64, dtype=bool)
    assert len(cover_hole(diagonal, 8)) == 8
    corner = np.zeros((64, 64), bool)
    corner[:, :8] = corner[-8:] = True
    assert len(cover_hole(corner, 8)) == 15
    specks = np.zeros((64, 64), bool)
    specks[10:18:3, 20:28:3] = True  # nine parts in one square
    assert len(cover_hole(specks, 8)) == 1
    assert cover_hole(np.zeros((9, 9), bool), 3) == []


def test_a_small_hole_is_in_the_middle_of_its_square() -> None:
    hole = np.zeros((50, 60), bool)
    hole[20:24, 30:36] = True
    assert cover_hole(hole, 10) == [(28, 17)]


@pytest.mark.parametrize(
    ("y", "x", "corner"), [(0, 0, (0, 0)), (49, 59, (50, 40)), (0, 30, (25, 0)), (25, 59, (50, 20))]
)
def test_at_the_edge_of_the_image_the_square_stays_inside(y: int, x: int, corner: Corner) -> None:
    hole = np.zeros((50, 60), bool)
    hole[y, x] = True
    ((x0, y0),) = cover_hole(hole, 10)
    # Ten pixels have no middle: one of two places.
    assert abs(x0 - corner[0]) <= 1 and abs(y0 - corner[1]) <= 1


def test_squares_overlap_each_other_before_they_hide_known_pixels() -> None:
    hole = np.zeros((50, 60), bool)
    hole[10:22, 20:35] = True
    squares = cover_hole(hole, 10)
    assert len(squares) == 4
    assert np.array_equal(covered(squares, 10, hole.shape), hole)


def test_a_large_hole_is_filled_from_its_border_inwards() -> None:
    hole = np.zeros((50, 50), bool)
    hole[10:40, 10:40] = True
    squares = cover_hole(hole, 10)
    assert squares == [(10, 10), (30, 10), (10, 30), (30, 30), (20, 10), (10, 20), (30, 20),
                       (20, 30), (20, 20)]  # fmt: skip
    at_the_edge = np.zeros((30, 30), bool)
    at_the_edge[:, :20] = True
    # Beyond the edge nothing is known, so it is not begun there.
    assert [x0 for x0, _ in cover_hole(at_the_edge, 10)] == [10, 10, 10, 0, 0, 0]


def test_a_hole_without_known_pixels_is_covered_as_well() -> None:
    assert sorted(cover_hole(np.ones((4, 6), bool), 2)) == [
        (x, y) for x in (0, 2, 4) for y in (0, 2)
    ]


def test_squares_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="5 px do not fit"):
        cover_hole(np.ones((9, 4), bool), 5)


@given(st.integers(17, 90), st.integers(17, 90), st.integers(0, 8))
def test_neighbors_overlap(width: int, height: int, overlap: int) -> None:
    hole = np.zeros((height + 40, width + 40), bool)
    hole[20:-20, 20:-20] = True
    squares = cover_hole(hole, 16, overlap)
    for axis in (0, 1):
        starts = sorted({corner[axis] for corner in squares})
        assert np.diff(starts).max() <= 16 - overlap // 2
    assert np.array_equal(covered(squares, 16, hole.shape), hole)


# Windows


@pytest.mark.parametrize(
    ("square", "window"),
    [
        ((40, 30), (35, 25)),  # in the middle
        ((0, 2), (0, 0)),  # at two edges of the image
        ((90, 58), (80, 50)),  # at the far edges
    ],
)
def test_windows_stay_inside_the_image(square: Corner, window: Corner) -> None:
    assert place_window(square, (0, 10), 20, (70, 100)) == window


def test_windows_reach_over_the_edge_where_the_square_must_keep_a_distance() -> None:
    in_the_middle = (5, 5)
    assert place_window((0, 58), in_the_middle, 20, (70, 100)) == (-5, 53)
    with_a_margin = (3, 7)
    assert place_window((0, 60), with_a_margin, 20, (70, 100)) == (-3, 53)
    assert place_window((2, 30), with_a_margin, 20, (70, 100)) == (-1, 25)


@given(st.integers(0, 80), st.integers(0, 50), st.integers(0, 10))
def test_windows_hold_their_square_at_an_allowed_place(x: int, y: int, margin: int) -> None:
    room = (margin, 20 - margin)
    window = place_window((x, y), room, 30, (60, 90))
    assert all(room[0] <= s - w <= room[1] for s, w in zip((x, y), window, strict=True))
