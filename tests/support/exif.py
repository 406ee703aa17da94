"""Stored pixels and an EXIF orientation -> the picture as a viewer shows it."""

from typing import Any

from numpy.typing import NDArray


def turned_upright(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return pixels `[H, W, C]` as EXIF section 4.6.4 places their row 0 and column 0."""
    return {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: stored[::-1].swapaxes(0, 1),
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: stored[:, ::-1].swapaxes(0, 1),
    }[orientation]
