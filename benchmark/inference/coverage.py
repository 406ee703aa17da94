"""A hole of any shape → squares of the size that a network was trained on, which cover it.

All is integer geometry: the same hole gives the same squares in the same order everywhere. A corner
is `(x0, y0)` in pixels.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Corner = tuple[int, int]
Span = tuple[int, int]
"""First position, and the one after the last."""


def cover_hole(hole: NDArray[np.bool_], side: int, overlap: int = 0) -> list[Corner]:
    """Return squares that cover a hole, in the order in which they are to be filled.

    Each part is cut into even strips and these into even pieces, with a square about each. Without
    overlap a part of `w x h` px has at most `ceil(w / side) * ceil(h / side)` squares.

    The order is from the border inwards: of a hole that is larger than a square every piece is
    guessed from as many known pixels as possible, and no error is carried across the whole hole.

    Args:
        hole: `[H, W]`, True in the hole.
        side: side of the squares, at most that of the image.
        overlap: pixels, less than the side, that neighbors should have in common where one square
            is not enough; they have at least half of them.

    Returns:
        Corners of squares that lie inside the image.
    """
    if side > min(hole.shape):
        raise ValueError(f"squares of {side} px do not fit into {hole.shape}")
    # Parts that are closer than a square are one, so that specks share squares.
    parts = ndimage.label(ndimage.maximum_filter(hole, side))[0] * hole
    squares: list[Corner] = []
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        part = parts[box] == number
        rows, columns = ((where.start, where.stop) for where in box)
        for top, bottom in _pieces(part.any(1), side, overlap):
            y0 = _place((rows[0] + top, rows[0] + bottom), rows, side, hole.shape[0])
            for left, right in _pieces(part[top:bottom].any(0), side, overlap):
                if part[top:bottom, left:right].any():
                    piece = columns[0] + left, columns[0] + right
                    squares.append((_place(piece, columns, side, hole.shape[1]), y0))
    depth = ndimage.distance_transform_cdt(hole, "chessboard")

    def order(square: Corner) -> tuple[int, int, int]:
        x0, y0 = square
        return int(depth[y0 : y0 + side, x0 : x0 + side].sum()), y0, x0

    return sorted(set(squares), key=order)


def _pieces(occupied: NDArray[np.bool_], side: int, overlap: int) -> Iterator[Span]:
    """Cut what is occupied of a line into few even pieces about which squares overlap."""
    places = np.flatnonzero(occupied)
    if places.size:
        first, extent = int(places[0]), int(places[-1] - places[0]) + 1
        count = max(1, -(-(extent - overlap) // (side - overlap)))
        for i in range(count):
            yield first + extent * i // count, first + extent * (i + 1) // count


def _place(piece: Span, part: Span, side: int, size: int) -> int:
    """Place a square about the middle of a piece, inside its part if it fits, and in the image."""
    middle = (sum(piece) - side) // 2
    inside = min(max(middle, part[0]), part[1] - side) if part[1] - part[0] >= side else middle
    return min(max(inside, 0), size - side)


def place_window(square: Corner, room: Span, window: int, shape: tuple[int, int]) -> Corner:
    """Place what the network is shown around a square.

    The square is in the middle of its window where that lies inside the image, and else as far off
    as `room` allows. Where it allows too little, the window reaches over the edge of the image.

    Args:
        square: a corner in the image.
        room: least and greatest distance, along an axis, of the square from the window's corner.
        window: side of the window, at most that of the image.
        shape: height and width of the image.
    """

    def start(place: int, size: int) -> int:
        inside = min(max(place - sum(room) // 2, 0), size - window)
        return min(max(inside, place - room[1]), place - room[0])

    return start(square[0], shape[1]), start(square[1], shape[0])
