"""A hole of any shape → squares of the size that a network was trained on, which cover it.

All is integer geometry: the same hole gives the same squares in the same order everywhere. A corner
is `(x0, y0)` in pixels.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Corner = tuple[int, int]
Span = tuple[int, int]
"""First position, and the one after the last."""

TOUCHING = np.ones((3, 3), dtype=np.int8)
"""Pixels that touch by a corner belong to one part of a hole."""


def cover_hole(hole: NDArray[np.bool_], side: int, overlap: int = 0) -> list[Corner]:
    """Return few squares that cover a hole, in the order in which they are to be filled.

    Each connected part is cut into strips and these into squares, as few of each as there can be,
    and of even extent; what a square of another part covers needs none. Without overlap a part of
    `w x h` px has at most `ceil(w / side) * ceil(h / side)` squares, and at most three times those
    of its best cover. Within its play a square hides as few known pixels as possible.

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
    known = _integral(~hole)
    uncovered = hole.copy()
    parts, _ = ndimage.label(hole, TOUCHING)
    squares: list[Corner] = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(parts), 1):
        part, open_part = parts[rows, columns] == number, uncovered[rows, columns]
        for top, bottom in even_spans((part & open_part).any(1), side, overlap):
            strip, open_strip = part[top:bottom], open_part[top:bottom]
            for left, right in even_spans((strip & open_strip).any(0), side, overlap):
                # What the squares before have covered meanwhile needs no other.
                rest = strip[:, left:right] & open_strip[:, left:right]
                if not rest.any():
                    continue
                x, y = (
                    _extent(rest.any(axis), start)
                    for axis, start in ((0, columns.start + left), (1, rows.start + top))
                )
                x0, y0 = _place(x, y, side, known)
                uncovered[y0 : y0 + side, x0 : x0 + side] = False
                squares.append((x0, y0))
    depth = _integral(ndimage.distance_transform_cdt(hole, "chessboard"))
    return sorted(squares, key=lambda s: (int(_sums(depth, s[0], s[1], side)), s[1], s[0]))


def even_spans(occupied: NDArray[np.bool_], length: int, overlap: int = 0) -> list[Span]:
    """Cover the occupied positions of a line with few spans.

    Spans that touch are of even length, and so short that the squares about them overlap. Without
    overlap there are as few as there can be.

    Returns:
        Disjoint spans in ascending order; both ends of each are occupied.
    """
    places = np.flatnonzero(occupied)
    spans: list[Span] = []
    for first, after in _chains(_greedy_spans(places, length)):
        if after - first <= length:
            spans.append((first, after))
            continue
        chain = places[(places >= first) & (places < after)]
        # Squares about two spans can both be moved to the middle, so that each adds to the overlap.
        pair = _even_chain(chain, length - overlap // 2)
        spans += pair if len(pair) == 2 else _even_chain(chain, length - overlap)
    return spans


def _even_chain(places: NDArray[np.int64], length: int) -> list[Span]:
    """Cover with as few spans as possible, the longest as short as possible."""
    fewest = len(_greedy_spans(places, length))
    lengths = range(1, length + 1)
    shortest = bisect_left(lengths, True, key=lambda n: len(_greedy_spans(places, n)) <= fewest)
    return _greedy_spans(places, lengths[shortest])


def _chains(spans: list[Span]) -> list[Span]:
    """Join spans that touch."""
    chains: list[Span] = []
    for first, after in spans:
        if chains and chains[-1][1] == first:
            chains[-1] = (chains[-1][0], after)
        else:
            chains.append((first, after))
    return chains


def _greedy_spans(places: NDArray[np.int64], length: int) -> list[Span]:
    spans, first = [], 0
    while first < len(places):
        after = int(np.searchsorted(places, places[first] + length))
        spans.append((int(places[first]), int(places[after - 1]) + 1))
        first = after
    return spans


def _extent(occupied: NDArray[np.bool_], start: int) -> Span:
    places = np.flatnonzero(occupied)
    return start + int(places[0]), start + int(places[-1]) + 1


def _place(x: Span, y: Span, side: int, known: NDArray[np.int64]) -> Corner:
    """Place a square over a box where it hides the fewest known pixels, else about its middle."""
    height, width = known.shape[0] - 1, known.shape[1] - 1
    x0 = np.arange(max(0, x[1] - side), min(x[0], width - side) + 1)
    y0 = np.arange(max(0, y[1] - side), min(y[0], height - side) + 1)[:, None]
    hidden = _sums(known, x0, y0, side)
    off_center = abs(2 * x0 + side - sum(x)) + abs(2 * y0 + side - sum(y))
    # The second key is at most 2 * side.
    best = np.argmin(hidden * (2 * side + 1) + off_center)
    row, column = np.unravel_index(best, hidden.shape)
    return int(x0[column]), int(y0[row, 0])


def _integral(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the sums over all boxes that begin at the origin, `[H + 1, W + 1]`."""
    # float64 holds these sums exactly.
    sums = cv2.integral(values.astype(np.float32), sdepth=cv2.CV_64F)
    return np.asarray(sums).astype(np.int64)


def _sums(integral: NDArray[np.int64], x0: Any, y0: Any, side: int) -> NDArray[np.int64]:
    """Return the sums over squares."""
    x1, y1 = x0 + side, y0 + side
    return np.asarray(
        integral[y1, x1] - integral[y0, x1] - integral[y1, x0] + integral[y0, x0], np.int64
    )


def place_windows(
    squares: Sequence[Corner], room: Span, window: int, shape: tuple[int, int]
) -> list[Corner]:
    """Place what the network is shown around each square.

    The square is in the middle of its window where that lies inside the image, and else as far off
    as `room` allows. Where it allows too little, the window reaches over the edge of the image.

    Args:
        squares: corners in the image.
        room: least and greatest distance, along an axis, of the square from the window's corner.
        window: side of the windows, at most that of the image.
        shape: height and width of the image.
    """
    height, width = shape

    def start(square: int, size: int) -> int:
        inside = min(max(square - sum(room) // 2, 0), size - window)
        return min(max(inside, square - room[1]), square - room[0])

    return [(start(x, width), start(y, height)) for x, y in squares]


def independent_groups(
    squares: Sequence[Corner], windows: Sequence[Corner], side: int, window: int
) -> list[list[int]]:
    """Group squares so that none lies in the window of another one of its group.

    Squares that meet keep their order, so to fill group by group is to fill one by one.

    Returns:
        Indices of squares, each once.
    """
    if not squares:
        return []
    inner, outer = np.array(squares), np.array(windows)
    levels = np.zeros(len(inner), np.int64)
    for index in range(1, len(inner)):
        before = slice(index)
        seen = _meet(inner[before], side, outer[index], window)
        sees = _meet(inner[index], side, outer[before], window)
        levels[index] = levels[before].max(where=seen | sees, initial=-1) + 1
    return [np.flatnonzero(levels == level).tolist() for level in range(levels.max() + 1)]


def _meet(
    square: NDArray[np.int64], side: int, window: NDArray[np.int64], window_side: int
) -> NDArray[np.bool_]:
    apart = (square + side <= window) | (window + window_side <= square)
    return np.asarray(~apart.any(-1))


def mirrored(start: int, count: int, size: int) -> NDArray[np.int64]:
    """Return `count` positions from `start` on, those outside `[0, size)` mirrored back into it.

    The mirrors are the first and the last position, which are not repeated.
    """
    period = max(2 * (size - 1), 1)
    places = np.arange(start, start + count) % period
    return np.minimum(places, period - places) if size > 1 else np.zeros(count, np.int64)
