"""Images with holes -> completions without a network: the bar that a trained one has to clear.

Each takes images whose hole the caller has blanked, so none can see what it has to guess.
"""

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.restoration import inpaint_biharmonic

from models.ppca import Holes, Images, fit_ppca

RADIUS_PX = 3
BIHARMONIC_LIMIT_PX = 128
CHUNK_BYTES = 2**26
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
    filled = inpaint_biharmonic(image / 255.0, hole, channel_axis=-1)
    return np.asarray(np.rint(filled * 255), dtype=np.uint8)


def _per_image(fill: Callable[[Images, Holes], Images], masked: Images, hole: Holes) -> Images:
    _check(hole)
    completed = masked.copy()
    for image, where in zip(completed, hole, strict=True):
        image[where] = fill(image, where)[where]
    return completed


def _mean_of_nearest(masked: Images, hole: Holes, training: Images, count: int) -> Images:
    _check(hole)
    completed = np.empty_like(masked)
    step = max(1, CHUNK_BYTES // (8 * masked[0].size))
    for first in range(0, len(masked), step):
        rows = slice(first, first + step)
        nearest = _nearest(masked[rows], hole[rows], training, step, count)
        pasted = np.stack([np.rint(training[few].mean(0)) for few in nearest]).astype(np.uint8)
        completed[rows] = np.where(hole[rows, ..., None], pasted, masked[rows])
    return completed


def _nearest(
    masked: Images, hole: Holes, training: Images, step: int, count: int
) -> NDArray[np.int64]:
    """Return the training images that are nearest over each image's known pixels, `[N, count]`.

    |x - t|² over the known pixels, less the constant |x|², is two matrix products. Their terms are
    integers below 2**53, so float64 holds them exactly, in any order of summation.
    """
    known = (~hole).reshape(len(hole), -1).astype(np.float64)
    images = np.where(hole[..., None], 0, masked).reshape(len(hole), -1).astype(np.float64)
    distances = []
    for first in range(0, len(training), step):
        chunk = np.asarray(training[first : first + step], dtype=np.float64)
        energy = (chunk**2).sum(3).reshape(len(chunk), -1)
        distances.append(known @ energy.T - 2 * (images @ chunk.reshape(len(chunk), -1).T))
    return np.concatenate(distances, axis=1).argsort(axis=1, kind="stable")[:, :count]
