"""Pixels of a completed image and of the truth → how strong the mark of JPEG compression is.

JPEG cuts an image into blocks of 8 px and makes many coefficients of their cosine transform zero.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from benchmark.inference.holes import Hole, Pixels

ZERO_LEVEL = 0.75
"""A coefficient that JPEG made zero comes back below this level, as pixels are rounded by 0.5 at
most."""
LEAST_SIDE, LEAST_BLOCKS = 64, 6
"""Smaller images, and fewer blocks of 49 coefficients, give no share that is exact to some per
cent."""
LIKELY_STRENGTH = 0.03
"""Measured on photographs and drawings of 64 to 128 px: after JPEG of quality 75 to 95 all images
have more, and at most 17 % of those that were blurred, resized or made noisy instead."""


def jpeg_strength(completed: Pixels, target: Pixels, hole: Hole, changed: Hole) -> float:
    """Return how much more of JPEG's mark a completed image has than the truth; 0 if unknown.

    The mark is the share of coefficients that are zero on JPEG's grid of 8 px, less the share four
    pixels beside it. A photograph may have the mark itself; only more of it comes from the
    completed file.

    Args:
        completed: `[H, W, 3]`.
        target: `[H, W, 3]`.
        hole: `[H, W]`, True in the hole.
        changed: `[H, W]`, True where the two differ.
    """
    if min(hole.shape) < LEAST_SIDE:
        return 0.0
    ours, truth = (_mark(image, changed, hole) for image in (completed, target))
    return 0.0 if ours is None or truth is None else ours - max(truth, 0.0)


def _mark(image: Pixels, changed: Hole, hole: Hole) -> float | None:
    """Return the mark in blocks of known pixels of which some changed; None: there are too few."""
    luminance = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb))[..., 0].astype(np.float32)
    shares = []
    for start in (0, 4):
        blocks = _blocks(luminance, start)
        usable = ~_blocks(hole, start).any((1, 2)) & _blocks(changed, start).any((1, 2))
        # Flat blocks have no coefficients to lose.
        chosen = blocks[usable & (blocks.std((1, 2)) > 1)]
        if len(chosen) < LEAST_BLOCKS:
            return None
        coefficients = dctn(chosen, axes=(1, 2), norm="ortho")
        shares.append(float((np.abs(coefficients[:, 1:, 1:]) < ZERO_LEVEL).mean()))
    return shares[0] - shares[1]


def _blocks(values: NDArray[Any], start: int) -> NDArray[Any]:
    """Cut `[H, W]` into blocks from a place on, `[N, 8, 8]`."""
    inner = values[start:, start:]
    rows, columns = (size // 8 for size in inner.shape)
    cut = inner[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8)
    return np.asarray(cut.swapaxes(1, 2).reshape(-1, 8, 8))
