"""What one completed image shows of how it was made: numbers from pixels, and what they point to.

Known pixels of a healthy completed image are those of the truth, or a network's copy of them. What
else they are has one of few causes, each with a test of its own here.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.inference.holes import Hole
from benchmark.submissions.compression import LIKELY_COMB, SURE_COMB, comb_strength
from models.baselines import telea

Pixels = NDArray[np.uint8]

LOSSY_FORMATS = frozenset({"JPEG", "MPO", "WEBP", "AVIF", "JPEG2000", "GIF"})
"""WebP, AVIF and JPEG 2000 can be lossless, GIF has 256 colours; known pixels tell."""
UNTOUCHED = 0.02
"""At most this share of a region differs where nothing was filled. Even on cartoons a filling hits
the truth exactly in less than nine of ten pixels."""
FILLED = 0.5
"""At least this share of a region differs where all of it was filled or copied by a network; in
flat areas the truth is often met exactly."""
PLAIN_LEVELS, EXPLAINED = 4.0, 0.25
"""A filling is wrong by some ten levels, and a network's copy of known pixels by few: known pixels
that are wrong by four levels, and by four times as much as the hole, are the filling."""
HALVED, NEARLY_ALL = 0.5, 0.1
"""Share of a difference that is left once its cause is undone. Nothing but rounding and compression
is left of a mistake in saving, and less than half where a network's own error comes on top; of a
network's tint or blur no such cause explains half."""
MOST_SHIFT_PX, SHIFT_PX = 4, 256
"""Crops, paddings and strides are off by a few pixels. Fewer known pixels fit by chance."""
RANGE_LEVELS, RANGE_LEFT = 12.0, 0.15
"""A wrong range changes levels by 30 or more, if the image is not dark; a network that flattens
contrast by some per cent, by up to 10. Blur, however strong, leaves more than this share."""
EDIT_LEVELS = 8.0
"""Mean change of what was filled, other than by rounding or compression."""
NEAR_LEVELS, MOST_NEAR_LEVELS = 2.0, 8.0
"""How near to the truth a copy of it is: rounding, and beyond it what the known pixels show."""
LEAK_SHARE, LEAK_PX = 0.9, 32
"""A filling meets the truth in this share of so many pixels that their surroundings do not tell
only if it has seen them: the best networks are within 2 levels in some per cent of them."""
PART_UNFILLED = 0.25
"""Share of such pixels that are the truth exactly: of a filling at most some per cent are."""


@dataclass(frozen=True)
class Symptom:
    """What an image points to, with the numbers that say so."""

    id: str
    evidence: dict[str, float]
    sure: bool = True
    """Whether one image is enough. A program makes the same mistake in most images, so that others
    count only together."""


@dataclass(frozen=True)
class Look:
    """How a completed image differs from the truth, in levels of 255."""

    target: Pixels
    completed: Pixels
    hole: Hole
    file_format: str

    def difference(self) -> NDArray[np.uint8]:
        """Return the absolute difference, `[H, W, 3]`."""
        return np.asarray(cv2.absdiff(self.target, self.completed), np.uint8)


def find_symptoms(look: Look) -> tuple[list[Symptom], Symptom | None]:
    """Return what an image points to, and apart whether its mask looks like the inverse one.

    That the mask is inverted is certain only together with other images, as flat images show too
    little; if it is, nothing else of this image counts.

    Args:
        look: an image with a hole and known pixels, and a completed image of its size.
    """
    difference = look.difference()
    changed = np.asarray(difference.any(2))
    known = ~look.hole
    numbers = {
        "known_changed": _share(changed, known),
        "hole_changed": _share(changed, look.hole),
        "known_mae": _mean(difference, known),
        "hole_mae": _mean(difference, look.hole),
    }
    cause = _cause(look, changed, numbers) if numbers["known_changed"] else None
    # In a hole that is none the truth is there by right.
    by_right = cause is not None and cause.id == "mask_elsewhere"
    leak = None if by_right else _leak(look, difference, numbers["known_mae"])
    inverse = None
    if _is_inverse(numbers) and not (cause is not None and cause.id == "lossy"):
        inverse = Symptom("polarity", numbers)
    return [symptom for symptom in (cause, leak) if symptom is not None], inverse


def _share(flags: Hole, region: Hole) -> float:
    return float(flags[region].mean())


def _mean(difference: Pixels, region: Hole) -> float:
    return float(difference[region].mean())


def _is_inverse(numbers: dict[str, float]) -> bool:
    """Tell whether the filling is where the mask says that pixels are known."""
    composited = numbers["hole_changed"] <= UNTOUCHED and numbers["known_changed"] >= FILLED
    plain = numbers["known_mae"] >= max(PLAIN_LEVELS, numbers["hole_mae"] / EXPLAINED)
    return composited or (plain and min(numbers["hole_changed"], numbers["known_changed"]) > FILLED)


def _cause(look: Look, changed: Hole, numbers: dict[str, float]) -> Symptom:
    """Return the most likely reason why known pixels are not those of the truth."""
    known, mae = ~look.hole, numbers["known_mae"]
    weak = {"known_changed": numbers["known_changed"], "known_mae": mae}
    swapped = _mean(np.asarray(cv2.absdiff(look.target, look.completed[..., ::-1])), known)
    if mae >= 1 and swapped <= HALVED * mae:
        evidence = {"known_mae": mae, "known_mae_swapped": swapped}
        return Symptom("channels", evidence, sure=swapped <= NEARLY_ALL * mae)
    if curve := _tone_curve(look, mae):
        return curve
    if moved := _shift(look, mae):
        return moved
    if look.file_format in LOSSY_FORMATS:
        return Symptom("lossy", weak)
    if misplaced := _mask_shift(look.hole, changed) or _mask_elsewhere(look):
        return misplaced
    comb = comb_strength(look.completed, look.target, look.hole, changed)
    # Compression spares no part of an image.
    if comb >= LIKELY_COMB and numbers["hole_changed"] > UNTOUCHED:
        return Symptom("lossy", weak | {"jpeg_mark": comb}, sure=comb >= SURE_COMB)
    return Symptom("known_changed", weak)


def _offsets() -> list[tuple[int, int]]:
    """Return the shifts that are tried, the nearest first."""
    span = range(-MOST_SHIFT_PX, MOST_SHIFT_PX + 1)
    return sorted(((y, x) for y in span for x in span if (y, x) != (0, 0)), key=_distance)


def _distance(offset: tuple[int, int]) -> tuple[int, int, int]:
    return offset[0] ** 2 + offset[1] ** 2, *offset


def _overlap(offset: int, size: int) -> tuple[slice, slice]:
    """Return where something lies after a shift along an axis, and where it came from."""
    return (
        slice(max(offset, 0), size + min(offset, 0)),
        slice(max(-offset, 0), size - max(offset, 0)),
    )


def _shift(look: Look, mae: float) -> Symptom | None:
    """Find the shift after which known pixels fit, if there is one."""
    height, width = look.hole.shape
    if mae < 1:
        return None
    ours, truth = (np.asarray(cv2.cvtColor(i, cv2.COLOR_RGB2GRAY)) for i in _pair(look))
    best, plain, moved = (0, 0), 0.0, 0.0
    for y, x in _offsets():
        (rows, from_rows), (columns, from_columns) = _overlap(y, height), _overlap(x, width)
        known = ~(look.hole[rows, columns] | look.hole[from_rows, from_columns])
        if known.sum() < SHIFT_PX:
            continue
        # Of the same pixels, as others may be darker.
        errors = [
            _mean(np.asarray(cv2.absdiff(ours[rows, columns], other)), known)
            for other in (truth[rows, columns], truth[from_rows, from_columns])
        ]
        if best == (0, 0) or errors[1] * plain < moved * errors[0]:
            best, (plain, moved) = (y, x), errors
    if plain < 1 or moved > HALVED * plain:
        return None
    evidence = {"known_mae": plain, "known_mae_moved": moved}
    evidence |= {"down": best[0], "right": best[1]}
    return Symptom("shifted", evidence, sure=moved <= NEARLY_ALL * plain)


def _pair(look: Look) -> tuple[Pixels, Pixels]:
    return look.completed, look.target


def _tone_curve(look: Look, mae: float) -> Symptom | None:
    """Tell whether known levels are one function of the true levels, and not the identity.

    That holds of every wrong range: [0, 1] or [-1, 1] saved as if they were bytes, halved, clipped,
    wrapped or inverted levels, and of images of one colour.
    """
    ours, truth = (image[~look.hole].ravel() for image in _pair(look))
    if mae < (PLAIN_LEVELS if ours.max() <= 1 else RANGE_LEVELS):
        return None
    counts = np.bincount(truth, minlength=256)
    # A level that is there once would be explained by itself.
    if np.count_nonzero(counts) * 4 > len(truth):
        return None
    means = np.bincount(truth, ours, minlength=256) / np.maximum(counts, 1)
    left = float(np.abs(ours - means[truth]).mean())
    if left > RANGE_LEFT * mae:
        return None
    evidence = {"known_mae": mae, "known_mae_unexplained": left, "largest": float(ours.max())}
    return Symptom("value_range", evidence, sure=left <= NEARLY_ALL * mae)


def _mask_shift(hole: Hole, changed: Hole) -> Symptom | None:
    """Find the shift of the mask after which all that has changed lies in it, if there is one.

    Feathered edges and larger holes reach over the mask on all sides, which no shift explains.
    """
    height, width = hole.shape
    for y, x in _offsets():
        (rows, from_rows), (columns, from_columns) = _overlap(y, height), _overlap(x, width)
        ours, moved = changed[rows, columns], hole[from_rows, from_columns]
        left = hole[rows, columns] & ~moved
        if (ours & ~moved).any() or not left.any():
            continue
        outside = int((changed & ~hole).sum())
        if _share(ours, left) <= UNTOUCHED and outside >= 4:
            evidence: dict[str, float] = {"known_px_changed": outside, "down": y, "right": x}
            return Symptom("mask_shifted", evidence, sure=False)
    return None


def _mask_elsewhere(look: Look) -> Symptom | None:
    """Tell whether a part of the hole was never filled, while other pixels were.

    A filling meets the truth exactly in few pixels that their surroundings do not tell.
    """
    difference = look.difference()
    same = ~np.asarray(difference.any(2))
    edits = float(difference[~same & ~look.hole].mean())
    if edits < EDIT_LEVELS or _share(same, look.hole) < PART_UNFILLED / 2:
        return None
    untold = _untold(look, EDIT_LEVELS)
    if untold.sum() < LEAK_PX or _share(same, untold) < PART_UNFILLED:
        return None
    evidence = {"hole_unchanged": _share(same, look.hole), "known_px_mean_change": edits}
    return Symptom("mask_elsewhere", evidence)


def _untold(look: Look, levels: float) -> Hole:
    """Return the pixels of the hole that Telea's filling gets wrong by more than some levels."""
    blank = np.where(look.hole[..., None], 0, look.target).astype(np.uint8)
    guess = telea(blank[None], look.hole[None], blank[None])[0]
    missed = np.asarray(cv2.absdiff(guess, look.target)).mean(2) > levels
    return np.asarray(look.hole & missed)


def _leak(look: Look, difference: Pixels, known_mae: float) -> Symptom | None:
    """Tell whether the hole holds the truth where nothing around it tells what that is."""
    near = min(NEAR_LEVELS + 2 * known_mae, MOST_NEAR_LEVELS)
    met = np.asarray(difference.mean(2) <= near)
    if look.hole.sum() < LEAK_PX or _share(met, look.hole) < LEAK_SHARE:
        return None
    untold = _untold(look, 4 * near)
    count = int(untold.sum())
    if count < LEAK_PX or _share(met, untold) < LEAK_SHARE:
        return None
    return Symptom("truth_in_hole", {"met": _share(met, untold), "pixels": count})
