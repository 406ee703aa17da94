"""Holes that hold the truth, in part or whole, or nothing → detections.

A filling meets the truth exactly in few pixels that their surroundings do not tell. Where it does
so in nearly all of a patch, the method has seen them. Each connected hole is looked at by itself,
so that one of several is found, and patches as well as rims, so that a part of one is.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmark.inference.filling import spread_known
from benchmark.inference.holes import Hole
from benchmark.submissions.catalog import GROSS_LEVELS, Detection
from benchmark.submissions.submission import Sample
from models.baselines import telea

UNTOUCHED = 0.02
"""At most this share of a region differs where nothing was filled. Even on cartoons a filling hits
the truth exactly in less than nine of ten pixels."""
EDIT_LEVELS = 8.0
"""Mean change of what was filled, other than by rounding or compression."""
PLAIN_LEVELS = 4.0
"""A filling is wrong by some ten levels."""
NEAR_LEVELS, MOST_NEAR_LEVELS = 1.0, 8.0
"""How near to the truth a copy of it is: rounding, and beyond it what the known pixels show."""
UNTOLD, LEAST_UNTOLD_LEVELS = 4.0, 8.0
"""A pixel is not told by its surroundings where simple fillings miss it by so many times as much as
a copy, and by so many levels at least."""
LEAK_SHARE, LEAK_PX = 0.9, 32
"""A filling meets the truth in this share of so many pixels that their surroundings do not tell
only if it has seen them: the best networks are as near in some per cent of them."""
PART_UNFILLED = 0.25
"""Share of such pixels that are the truth exactly: of a filling at most some per cent are."""
PATCHES_PX = (8, 16, 32, 64)
"""Sides of the squares in which a part of a hole is looked for."""
RIMS_PX = (1, 2, 4, 8)
"""Widths of the rims that a smaller mask than the one that is given would leave."""
RIM_LEVELS = 4.0
"""Rims are told better by what is around them: a pixel counts where that misses by more."""


def share(values: NDArray[Any], region: Hole) -> float:
    """Return the mean of values in a region."""
    return float(values[region].mean())


def find_untold(sample: Sample, levels: float) -> Hole:
    """Return the pixels of the hole that simple fillings get wrong by more than some levels."""
    blank = np.where(sample.hole[..., None], 0, sample.target).astype(np.uint8)
    guesses = telea(blank[None], sample.hole[None])[0], spread_known(blank, sample.hole)
    missed = [cv2.absdiff(guess, sample.target).mean(2) > levels for guess in guesses]
    return np.asarray(sample.hole & missed[0] & missed[1])


def find_leak(whole: Sample) -> Detection | None:
    """Return whether a hole holds the truth where nothing around it tells what that is."""
    hole_px = int(whole.hole.sum())
    if hole_px < LEAK_PX:
        return None
    # Where known pixels do not fit at all, they say nothing of how near a copy is.
    slack = 2 * whole.known_mae if whole.known_mae < GROSS_LEVELS else 0.0
    near = min(NEAR_LEVELS + slack, MOST_NEAR_LEVELS)
    sample = whole.near_hole()
    distance = sample.difference.mean(2)
    met = np.asarray(distance <= near)
    if share(met, sample.hole) * hole_px < LEAK_PX:
        return None
    untold = find_untold(sample, max(UNTOLD * near, LEAST_UNTOLD_LEVELS))
    leaked = _in_patches(met, untold)
    if not leaked.any() and whole.known_mae == 0:
        leaked = _in_rims(distance == 0, sample)
    if not leaked.any():
        return None
    evidence = {"met": share(leaked, sample.hole), "pixels": float(leaked.sum())}
    return Detection("truth_in_hole", whole.name, evidence)


def _in_patches(met: Hole, untold: Hole) -> Hole:
    """Return the untold pixels of patches in which nearly all of them are the truth."""
    counts, found = untold.astype(np.float32), (untold & met).astype(np.float32)
    leaked = np.zeros_like(untold)
    for side in PATCHES_PX:
        # Sums of so few ones are exact in float32.
        of_all, of_met = (
            cv2.boxFilter(part, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
            for part in (counts, found)
        )
        at = (of_all >= LEAK_PX) & (of_met >= LEAK_SHARE * of_all)
        if at.any():
            near = cv2.dilate(at.astype(np.uint8), np.ones((side, side), np.uint8))
            leaked |= (near > 0) & untold & met
    return leaked


def _in_rims(equal: Hole, sample: Sample) -> Hole:
    """Return the pixels of rims of holes that are the truth all around."""
    holes, count = ndimage.label(sample.hole)
    depth = ndimage.distance_transform_edt(sample.hole)
    told = cv2.absdiff(spread_known(sample.target, sample.hole), sample.target).mean(2)
    leaked = np.zeros_like(sample.hole)
    for width in RIMS_PX:
        rim = sample.hole & (depth <= width) & (told > RIM_LEVELS)
        numbers = np.arange(1, count + 1)
        counts = ndimage.sum_labels(rim, holes, numbers)
        shares = ndimage.sum_labels(rim & equal, holes, numbers) / np.maximum(counts, 1)
        of = numbers[(counts >= LEAK_PX) & (shares >= LEAK_SHARE)]
        leaked |= rim & np.isin(holes, of)
    return leaked


def find_unfilled(sample: Sample) -> Detection | None:
    """Return whether the hole has one color that is not that of its surroundings."""
    color = sample.completed[sample.hole][0]
    if (sample.completed[sample.hole] != color).any() or (sample.completed == color).all():
        return None
    # The mean color, with which the simplest of baselines fills, is one color too.
    distance = np.abs(sample.target[~sample.hole].mean(0) - color).max()
    if distance <= 2 * PLAIN_LEVELS or sample.hole_mae < 2 * PLAIN_LEVELS:
        return None
    detail = f"all of it is #{bytes(color).hex()}"
    return Detection("unfilled", sample.name, {"level": float(color.mean())}, detail, sure=False)
