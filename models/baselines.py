"""Images with holes -> completions without a network: the bar that a trained one has to clear.

Each takes images whose hole the caller has blanked, so none can see what it has to guess.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.restoration import inpaint_biharmonic

from models.ppca import Holes, Images, fit_ppca

RADIUS_PX = 3
BIHARMONIC_LIMIT_PX = 128
CHUNK_BYTES = 2**26
EXACT_PX = 341
"""Pixels whose 1,023 products of two levels, each at most 2**14, sum up to less than 2**24."""
NEIGHBORS = 20
FACTORS = 200


class BaselineRefused(ValueError):
    """A baseline does not run on images of this kind; the message says why."""


Completion = Callable[[Images, Holes], Images]
"""Completes images whose hole is blank.

Its arguments are images `[N, H, W, 3]` uint8, the hole's pixels 0, and the holes `[N, H, W]` bool.
It returns the completed images, and raises `BaselineRefused` where it does not run on them, or
`ValueError` where an image has no known pixel.
"""
Baseline = Callable[[Images], Completion]
"""From training images `[M, H, W, 3]` uint8, possibly memory-mapped, to a completion."""


def mean_color(masked: Images, hole: Holes) -> Images:
    """Fill with the mean color of the image's known pixels, rounded half to even."""
    _check(hole)
    known_px = (~hole).sum((1, 2))
    total = np.where(hole[..., None], 0, masked).sum((1, 2), dtype=np.int64)
    color = np.rint(total / known_px[:, None]).astype(np.uint8)
    return np.asarray(np.where(hole[..., None], color[:, None, None, :], masked))


def telea(masked: Images, hole: Holes) -> Images:
    """Fill by fast marching (Telea 2004), OpenCV, radius 3."""
    return _per_image(partial(_opencv, method=cv2.INPAINT_TELEA), masked, hole)


def navier_stokes(masked: Images, hole: Holes) -> Images:
    """Fill by fluid dynamics (Bertalmio et al. 2001), OpenCV, radius 3."""
    return _per_image(partial(_opencv, method=cv2.INPAINT_NS), masked, hole)


def biharmonic(masked: Images, hole: Holes) -> Images:
    """Fill with a biharmonic surface (Damelin and Hoang 2018), scikit-image."""
    height, width = masked.shape[1:3]
    if max(height, width) > BIHARMONIC_LIMIT_PX:
        raise BaselineRefused(
            f"biharmonic solves one linear system per image and is kept to "
            f"{BIHARMONIC_LIMIT_PX} px a side; these are {height}x{width}"
        )
    return _per_image(_biharmonic, masked, hole)


def nearest_train(training: Images) -> Completion:
    """Paste from the training image whose pixels are nearest where the image is known.

    Nearest is the least sum of squared differences, exact; ties go to the lowest index.
    """
    return partial(_mean_of_nearest, training=training, count=1)


def knn_mean(training: Images) -> Completion:
    """Fill with the mean of the 20 training images that are nearest where the image is known."""
    return partial(_mean_of_nearest, training=training, count=NEIGHBORS)


def train_mean(training: Images) -> Completion:
    """Fill with the mean training image, shifted to the mean color of the known pixels."""
    steps = range(0, len(training), 1024)
    total = sum(training[first : first + 1024].sum(0, dtype=np.int64) for first in steps)
    mean = total / len(training)

    def complete(masked: Images, hole: Holes) -> Images:
        _check(hole)
        known = ~hole[..., None]
        shift = ((masked - mean) * known).sum((1, 2)) / known.sum((1, 2))
        filled = np.rint((mean + shift[:, None, None]).clip(0, 255)).astype(np.uint8)
        return np.asarray(np.where(known, masked, filled))

    return complete


def ppca(training: Images) -> Completion:
    """Fill with what a probabilistic PCA of the training images expects, with 200 factors."""
    model = fit_ppca(training, FACTORS)

    def complete(masked: Images, hole: Holes) -> Images:
        _check(hole)
        return model.complete(masked, hole)

    return complete


def _untrained(complete: Completion) -> Baseline:
    return lambda training: complete


BASELINES: dict[str, Baseline] = {
    "mean_color": _untrained(mean_color),
    "telea": _untrained(telea),
    "navier_stokes": _untrained(navier_stokes),
    "biharmonic": _untrained(biharmonic),
    "train_mean": train_mean,
    "nearest_train": nearest_train,
    "knn_mean": knn_mean,
    "ppca": ppca,
}


def _check(hole: Holes) -> None:
    if hole.all((1, 2)).any():
        raise ValueError("hole: an image has no known pixel")


def _opencv(image: Images, hole: Holes, method: int) -> Images:
    # OpenCV reads the old content of a hole that is less than 2 px from the image's border.
    blank = np.where(hole[..., None], 0, image).astype(np.uint8)
    filled = cv2.inpaint(blank, hole.astype(np.uint8), RADIUS_PX, method)
    return np.asarray(filled, dtype=np.uint8)


def _biharmonic(image: Images, hole: Holes) -> Images:
    filled = inpaint_biharmonic(image / 255.0, hole.copy(), channel_axis=-1)
    return np.asarray(np.rint(filled * 255), dtype=np.uint8)


def _per_image(fill: Callable[[Images, Holes], Images], masked: Images, hole: Holes) -> Images:
    _check(hole)
    completed = masked.copy()
    for image, where in zip(completed, hole, strict=True):
        image[where] = fill(image, where)[where]
    return completed


def _mean_of_nearest(masked: Images, hole: Holes, training: Images, count: int) -> Images:
    _check(hole)
    completed = masked.copy()
    for image, where, few in zip(completed, hole, _search(masked, hole, training), strict=True):
        image[where] = np.rint(training[few[:count]].mean(0)).astype(np.uint8)[where]
    return completed


class _Search:
    """Finds the nearest training images, once where it is asked twice about the same arrays.

    Several baselines need them. Only arrays that nobody can write to are taken for the same.
    """

    def __init__(self) -> None:
        self._asked: tuple[NDArray[Any], ...] = ()
        self._found: list[NDArray[np.int64]] = []

    def __call__(self, masked: Images, hole: Holes, training: Images) -> list[NDArray[np.int64]]:
        asked = (masked, hole, training)
        if [*map(id, asked)] != [*map(id, self._asked)]:
            step = max(1, CHUNK_BYTES // (4 * masked[0].size))
            parts = [slice(first, first + step) for first in range(0, len(masked), step)]
            found = [_nearest(masked[part], hole[part], training, step) for part in parts]
            self._found = [few for part in found for few in part]
            can_change = any(a.flags.writeable for a in asked)  # codespell:ignore writeable
            self._asked = () if can_change else asked
        return self._found


_search = _Search()


def _nearest(masked: Images, hole: Holes, training: Images, step: int) -> NDArray[np.int64]:
    """Return the training images that are nearest over each image's known pixels, `[N, k]`.

    |x - t|² over the known pixels, less the constant |x|², is two matrix products. Levels count
    from 128, so that a product is at most 2**14, and the sum over a block of pixels at most 2**24:
    float32 holds it exactly, in any order of summation. The training images are passed over once.
    """
    count, num_pixels = len(training), hole[0].size
    known = (~hole).reshape(-1, num_pixels).astype(np.float32)
    levels = np.where(hole[..., None], 128, masked).astype(np.float32) - 128
    images = levels.reshape(-1, 3 * num_pixels)
    best = np.empty((len(masked), 0), np.int64)
    for first in range(0, count, step):
        chunk = training[first : first + step].reshape(-1, num_pixels, 3)
        distances = np.zeros((len(masked), len(chunk)))
        for start in range(0, num_pixels, EXACT_PX):
            levels = chunk[:, start : start + EXACT_PX].astype(np.float32) - 128
            energy = (levels**2).reshape(-1, 3) @ np.ones(3, np.float32)
            values = slice(3 * start, 3 * (start + EXACT_PX))
            distances += known[:, start : start + EXACT_PX] @ energy.reshape(len(chunk), -1).T
            distances -= 2 * (images[:, values] @ levels.reshape(len(chunk), -1).T)
        # The order of these whole numbers is that of the distances, and of indices among equals.
        keys = distances.astype(np.int64) * count + np.arange(first, first + len(chunk))
        best = np.concatenate([best, keys], axis=1)
        if best.shape[1] > NEIGHBORS:
            best = np.partition(best, NEIGHBORS - 1, axis=1)[:, :NEIGHBORS]
    return np.asarray(np.sort(best, axis=1) % count)
