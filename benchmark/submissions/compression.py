"""The mark that JPEG leaves in pixels: on its grid, coefficients that are zero."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.inference.holes import Hole

Pixels = NDArray[np.uint8]

COMB_LEVEL = 0.75
"""A coefficient that JPEG made zero comes back below this level, as pixels are rounded by 0.5 at
most."""
SURE_COMB, LIKELY_COMB = 0.12, 0.03
"""By how much the share of these is larger on JPEG's grid of 8 than beside it. Measured on
photographs, drawings and noise of 64 and 128 px: JPEG of quality 90 gives 0.07 and, noise excepted,
0.24 or more, quality 95 0.03 and 0.12; what was never compressed, blurred or noisy, is below 0.09,
and in most images of a folder below 0.02."""
FEW_BLOCKS, MANY_BLOCKS = 6, 32
"""Blocks of 8 by 8 have 49 coefficients each. Fewer blocks than the first give no share that is
exact to some per cent, and fewer than the second none that is enough by itself."""


def comb_strength(completed: Pixels, target: Pixels, hole: Hole, changed: Hole) -> float:
    """Return how much more of JPEG's mark a completed image has than the truth; 0 if unknown.

    A photograph may have the mark itself; only more of it comes from the completed file.

    Args:
        completed: `[H, W, 3]`.
        target: `[H, W, 3]`.
        hole: `[H, W]`, True in the hole.
        changed: `[H, W]`, True where the two differ.
    """
    if min(hole.shape) < 16:
        return 0.0
    ours, truth = (_comb_excess(image, changed, hole) for image in (completed, target))
    if ours is None or truth is None:
        return 0.0
    strength = ours[0] - max(truth[0], 0.0)
    return strength if ours[1] >= MANY_BLOCKS else min(strength, LIKELY_COMB)


def _comb_excess(image: Pixels, changed: Hole, hole: Hole) -> tuple[float, int] | None:
    """Return how many more coefficients are zero on JPEG's grid than four pixels beside it.

    The second number is that of the blocks.

    Only blocks of known pixels count, of which some have changed; None where there are too few.
    """
    luminance = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb))[..., 0].astype(np.float32)
    shares, counts = [], []
    for start in (0, 4):
        blocks = _blocks(luminance, start)
        usable = ~_blocks(hole, start).any((1, 2)) & _blocks(changed, start).any((1, 2))
        # Flat blocks have no coefficients to lose.
        usable &= blocks.std((1, 2)) > 1
        chosen = blocks[usable]
        if len(chosen) < FEW_BLOCKS:
            return None
        counts.append(len(chosen))
        coefficients = _COSINES @ chosen @ _COSINES.T
        shares.append(float((np.abs(coefficients[:, 1:, 1:]) < COMB_LEVEL).mean()))
    return shares[0] - shares[1], min(counts)


def _blocks(values: NDArray[Any], start: int) -> NDArray[Any]:
    """Cut `[H, W]` into blocks from a place on, `[N, 8, 8]`."""
    inner = values[start:, start:]
    rows, columns = (size // 8 for size in inner.shape)
    cut = inner[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8)
    return np.asarray(cut.swapaxes(1, 2).reshape(-1, 8, 8))


def _cosines() -> NDArray[np.float32]:
    """Return the orthonormal matrix of the discrete cosine transform of 8 samples."""
    places = np.arange(8)
    matrix = np.cos(np.pi * np.outer(places, 2 * places + 1) / 16) / 2
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


_COSINES = _cosines()
