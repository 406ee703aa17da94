"""The pixels of one completed image → detections of what went wrong when it was made.

Known pixels of a healthy completed image are those of the truth, or a network's copy of them. What
else they are has one of few causes, each with a detector of its own here.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.inference.holes import Hole
from benchmark.submissions.catalog import Detection
from benchmark.submissions.submission import Sample
from models.baselines import telea

LOSSY_FORMATS = frozenset({"JPEG", "MPO", "WEBP", "AVIF", "JPEG2000", "GIF"})
"""WebP, AVIF and JPEG 2000 can be lossless, GIF has 256 colors; known pixels tell."""
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
HOLE_SWAPPED = 0.7
"""Share of the hole's error that is left when red and blue are swapped back. Errors of a filling
that is right are twice as large with swapped channels, and equal on gray images."""


def detect(sample: Sample) -> list[Detection]:
    """Return what the pixels of an image point to.

    Where known pixels have changed, `known_changed` is among it, beside the likely cause.

    Args:
        sample: an image with a hole and known pixels, and a completed image of its size.
    """
    known = ~sample.hole
    shares = {
        "known_changed": _mean(sample.changed, known),
        "hole_changed": _mean(sample.changed, sample.hole),
    }
    cause = None
    found = [_unfilled(sample)]
    if shares["known_changed"]:
        cause = _cause(sample)
        evidence = {"known_changed": shares["known_changed"], "known_mae": sample.known_mae}
        found += [Detection("known_changed", sample.name, evidence), cause]
    else:
        found.append(_swapped(sample, sample.hole, sample.hole_mae, HOLE_SWAPPED))
    # In a hole that is none the truth is there by right.
    if cause is None or cause.id != "mask_elsewhere":
        found.append(_leak(sample))
    if _is_inverse(sample, **shares) and (cause is None or cause.id != "lossy"):
        # Flat images show too little to be sure.
        evidence = shares | {"known_mae": sample.known_mae, "hole_mae": sample.hole_mae}
        found.append(Detection("polarity", sample.name, evidence, sure=False))
    return [detection for detection in found if detection is not None]


def _mean(values: NDArray[Any], region: Hole) -> float:
    return float(values[region].mean())


def _is_inverse(sample: Sample, known_changed: float, hole_changed: float) -> bool:
    """Return whether the filling is where the mask says that pixels are known."""
    composited = hole_changed <= UNTOUCHED and known_changed >= FILLED
    plain = sample.known_mae >= max(PLAIN_LEVELS, sample.hole_mae / EXPLAINED)
    return composited or (plain and min(hole_changed, known_changed) > FILLED)


def _cause(sample: Sample) -> Detection | None:
    """Return the most likely reason why known pixels are not those of the truth, if any is."""
    return (
        _swapped(sample, ~sample.hole, sample.known_mae, HALVED)
        or _tone_curve(sample)
        or _shift(sample)
        or _lossy(sample)
        or _mask_shift(sample)
        or _mask_elsewhere(sample)
    )


def _lossy(sample: Sample) -> Detection | None:
    """Return whether the kind of the file is one that changes pixels."""
    is_lossy = sample.file_format in LOSSY_FORMATS
    return Detection("lossy", sample.name, {"known_mae": sample.known_mae}) if is_lossy else None


def _swapped(sample: Sample, region: Hole, mae: float, most_left: float) -> Detection | None:
    """Return whether a region fits better with red and blue swapped; on noise it never does."""
    swapped = _mean(cv2.absdiff(sample.completed[..., ::-1], sample.target), region)
    if mae < 1 or swapped > most_left * mae:
        return None
    evidence = {"mae": mae, "mae_swapped": swapped}
    return Detection("channels", sample.name, evidence, sure=swapped <= NEARLY_ALL * mae)


def _offsets() -> list[tuple[int, int]]:
    """Return the shifts that are tried, the nearest first."""
    span = range(-MOST_SHIFT_PX, MOST_SHIFT_PX + 1)
    offsets = [(y, x) for y in span for x in span if (y, x) != (0, 0)]
    return sorted(offsets, key=lambda offset: (offset[0] ** 2 + offset[1] ** 2, *offset))


def _moved(values: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    """Return the inner part of an image, its pixels moved."""
    inner = slice(MOST_SHIFT_PX, -MOST_SHIFT_PX)
    return np.roll(values, (down, right), (0, 1))[inner, inner]


def _shift(sample: Sample) -> Detection | None:
    """Find the shift after which known pixels fit, if there is one."""
    if sample.known_mae < 1:
        return None
    ours = _moved(sample.completed, 0, 0)
    best, plain, moved = (0, 0), 0.0, 0.0
    for y, x in _offsets():
        known = ~(_moved(sample.hole, 0, 0) | _moved(sample.hole, y, x))
        if known.sum() < SHIFT_PX:
            continue
        # Of the same pixels, as others may be darker.
        errors = [
            _mean(cv2.absdiff(ours, _moved(sample.target, *place)), known)
            for place in ((0, 0), (y, x))
        ]
        if best == (0, 0) or errors[1] * plain < moved * errors[0]:
            best, (plain, moved) = (y, x), errors
    if plain < 1 or moved > HALVED * plain:
        return None
    evidence = {"known_mae": plain, "known_mae_moved": moved}
    evidence |= {"down": best[0], "right": best[1]}
    return Detection("shifted", sample.name, evidence, sure=moved <= NEARLY_ALL * plain)


def _tone_curve(sample: Sample) -> Detection | None:
    """Return whether known levels are one function of the true levels, and not the identity.

    That holds of every wrong range: [0, 1] or [-1, 1] saved as if they were bytes, halved, clipped,
    wrapped or inverted levels, and of images of one color.
    """
    mae = sample.known_mae
    ours, truth = (image[~sample.hole].ravel() for image in (sample.completed, sample.target))
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
    return Detection("value_range", sample.name, evidence, sure=left <= NEARLY_ALL * mae)


def _mask_shift(sample: Sample) -> Detection | None:
    """Find the shift of the mask after which all that has changed lies in it, if there is one.

    Feathered edges and larger holes reach over the mask on all sides, which no shift explains.
    """
    ours, hole = _moved(sample.changed, 0, 0), _moved(sample.hole, 0, 0)
    outside = int((ours & ~hole).sum())
    if outside < 4:
        return None
    for y, x in _offsets():
        moved = _moved(sample.hole, y, x)
        left = hole & ~moved
        if left.any() and not (ours & ~moved).any() and _mean(ours, left) <= UNTOUCHED:
            evidence: dict[str, float] = {"known_px_changed": outside, "down": y, "right": x}
            return Detection("mask_shifted", sample.name, evidence, sure=False)
    return None


def _mask_elsewhere(sample: Sample) -> Detection | None:
    """Return whether a part of the hole was never filled, while other pixels were.

    A filling meets the truth exactly in few pixels that their surroundings do not tell.
    """
    same = ~sample.changed
    edits = float(sample.difference[sample.changed & ~sample.hole].mean())
    if edits < EDIT_LEVELS or _mean(same, sample.hole) < PART_UNFILLED / 2:
        return None
    untold = _untold(sample, EDIT_LEVELS)
    if untold.sum() < LEAK_PX or _mean(same, untold) < PART_UNFILLED:
        return None
    evidence = {"hole_unchanged": _mean(same, sample.hole), "known_px_mean_change": edits}
    return Detection("mask_elsewhere", sample.name, evidence)


def _untold(sample: Sample, levels: float) -> Hole:
    """Return the pixels of the hole that Telea's filling gets wrong by more than some levels."""
    blank = np.where(sample.hole[..., None], 0, sample.target).astype(np.uint8)
    guess = telea(blank[None], sample.hole[None])[0]
    missed = cv2.absdiff(guess, sample.target).mean(2) > levels
    return np.asarray(sample.hole & missed)


def _leak(sample: Sample) -> Detection | None:
    """Return whether the hole holds the truth where nothing around it tells what that is."""
    near = min(NEAR_LEVELS + 2 * sample.known_mae, MOST_NEAR_LEVELS)
    met = np.asarray(sample.difference.mean(2) <= near)
    if sample.hole.sum() < LEAK_PX or _mean(met, sample.hole) < LEAK_SHARE:
        return None
    untold = _untold(sample, 4 * near)
    count = int(untold.sum())
    if count < LEAK_PX or _mean(met, untold) < LEAK_SHARE:
        return None
    return Detection("truth_in_hole", sample.name, {"met": _mean(met, untold), "pixels": count})


def _unfilled(sample: Sample) -> Detection | None:
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
