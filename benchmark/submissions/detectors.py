"""The pixels of one completed image → detections of what went wrong when it was made.

Known pixels of a healthy completed image are those of the truth, or a network's copy of them. What
else they are has one of few causes, each with a detector of its own here.
"""

import cv2
import numpy as np

from benchmark.inference.holes import Hole, Pixels
from benchmark.submissions.catalogue import Detection
from benchmark.submissions.compression import LIKELY_STRENGTH, jpeg_strength
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

    Args:
        sample: an image with a hole and known pixels, and a completed image of its size.
    """
    difference = _difference(sample.completed, sample.target)
    changed = np.asarray(difference.any(2))
    known = ~sample.hole
    numbers = {
        "known_changed": _mean(changed, known),
        "hole_changed": _mean(changed, sample.hole),
        "known_mae": _mean(difference, known),
        "hole_mae": _mean(difference, sample.hole),
    }
    cause = _cause(sample, difference, changed, numbers) if numbers["known_changed"] else None
    found = [cause, _unfilled(sample, numbers["hole_mae"])]
    if cause is None:
        found.append(_swapped_in_hole(sample, numbers["hole_mae"]))
    # In a hole that is none the truth is there by right.
    if cause is None or cause.id != "mask_elsewhere":
        found.append(_leak(sample, difference, numbers["known_mae"]))
    if _is_inverse(numbers) and not (cause is not None and cause.id == "lossy"):
        # Flat images show too little to be sure.
        found.append(Detection("polarity", sample.name, numbers, sure=False))
    return [detection for detection in found if detection is not None]


def _difference(ours: Pixels, truth: Pixels) -> Pixels:
    return np.asarray(cv2.absdiff(ours, truth), np.uint8)


def _mean(values: Hole | Pixels, region: Hole) -> float:
    return float(values[region].mean())


def _is_inverse(numbers: dict[str, float]) -> bool:
    """Return whether the filling is where the mask says that pixels are known."""
    composited = numbers["hole_changed"] <= UNTOUCHED and numbers["known_changed"] >= FILLED
    plain = numbers["known_mae"] >= max(PLAIN_LEVELS, numbers["hole_mae"] / EXPLAINED)
    return composited or (plain and min(numbers["hole_changed"], numbers["known_changed"]) > FILLED)


def _cause(
    sample: Sample, difference: Pixels, changed: Hole, numbers: dict[str, float]
) -> Detection:
    """Return the most likely reason why known pixels are not those of the truth."""
    name, hole, mae = sample.name, sample.hole, numbers["known_mae"]
    weak = {"known_changed": numbers["known_changed"], "known_mae": mae}
    swapped = _mean(_difference(sample.completed[..., ::-1], sample.target), ~hole)
    if mae >= 1 and swapped <= HALVED * mae:
        evidence = {"known_mae": mae, "known_mae_swapped": swapped}
        return _changed_by(name, "channels", evidence, sure=swapped <= NEARLY_ALL * mae)
    if whole := _tone_curve(sample, mae) or _shift(sample, mae):
        return whole
    if sample.file_format in LOSSY_FORMATS:
        return Detection("lossy", name, weak)
    if misplaced := _mask_shift(sample, changed) or _mask_elsewhere(sample, difference):
        return misplaced
    strength = jpeg_strength(sample.completed, sample.target, hole, changed)
    # Compression spares no part of an image.
    if strength >= LIKELY_STRENGTH and numbers["hole_changed"] > UNTOUCHED:
        return _changed_by(name, "lossy", weak | {"jpeg_mark": strength}, sure=False)
    return Detection("known_changed", name, weak)


def _changed_by(file: str, cause: str, evidence: dict[str, float], sure: bool) -> Detection:
    """Return a cause of changed known pixels, which stay changed if the cause is not believed."""
    return Detection(cause, file, evidence, sure=sure, otherwise="known_changed")


def _offsets() -> list[tuple[int, int]]:
    """Return the shifts that are tried, the nearest first."""
    span = range(-MOST_SHIFT_PX, MOST_SHIFT_PX + 1)
    offsets = [(y, x) for y in span for x in span if (y, x) != (0, 0)]
    return sorted(offsets, key=lambda offset: (offset[0] ** 2 + offset[1] ** 2, *offset))


def _overlap(y: int, x: int, shape: tuple[int, ...]) -> tuple[slice, slice, slice, slice]:
    """Return the rows where an image lies after a shift, and those it came from; so the columns."""
    (rows, from_rows), (columns, from_columns) = (
        (slice(max(n, 0), size + min(n, 0)), slice(max(-n, 0), size - max(n, 0)))
        for n, size in zip((y, x), shape, strict=True)
    )
    return rows, from_rows, columns, from_columns


def _shift(sample: Sample, mae: float) -> Detection | None:
    """Find the shift after which known pixels fit, if there is one."""
    if mae < 1:
        return None
    ours, truth = (
        np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        for image in (sample.completed, sample.target)
    )
    best, plain, moved = (0, 0), 0.0, 0.0
    for y, x in _offsets():
        rows, from_rows, columns, from_columns = _overlap(y, x, sample.hole.shape)
        known = ~(sample.hole[rows, columns] | sample.hole[from_rows, from_columns])
        if known.sum() < SHIFT_PX:
            continue
        # Of the same pixels, as others may be darker.
        errors = [
            _mean(_difference(ours[rows, columns], other), known)
            for other in (truth[rows, columns], truth[from_rows, from_columns])
        ]
        if best == (0, 0) or errors[1] * plain < moved * errors[0]:
            best, (plain, moved) = (y, x), errors
    if plain < 1 or moved > HALVED * plain:
        return None
    evidence = {"known_mae": plain, "known_mae_moved": moved}
    evidence |= {"down": best[0], "right": best[1]}
    return _changed_by(sample.name, "shifted", evidence, sure=moved <= NEARLY_ALL * plain)


def _tone_curve(sample: Sample, mae: float) -> Detection | None:
    """Return whether known levels are one function of the true levels, and not the identity.

    That holds of every wrong range: [0, 1] or [-1, 1] saved as if they were bytes, halved, clipped,
    wrapped or inverted levels, and of images of one color.
    """
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
    return _changed_by(sample.name, "value_range", evidence, sure=left <= NEARLY_ALL * mae)


def _mask_shift(sample: Sample, changed: Hole) -> Detection | None:
    """Find the shift of the mask after which all that has changed lies in it, if there is one.

    Feathered edges and larger holes reach over the mask on all sides, which no shift explains.
    """
    hole = sample.hole
    for y, x in _offsets():
        rows, from_rows, columns, from_columns = _overlap(y, x, hole.shape)
        ours, moved = changed[rows, columns], hole[from_rows, from_columns]
        left = hole[rows, columns] & ~moved
        if (ours & ~moved).any() or not left.any():
            continue
        outside = int((changed & ~hole).sum())
        if _mean(ours, left) <= UNTOUCHED and outside >= 4:
            evidence: dict[str, float] = {"known_px_changed": outside, "down": y, "right": x}
            return _changed_by(sample.name, "mask_shifted", evidence, sure=False)
    return None


def _mask_elsewhere(sample: Sample, difference: Pixels) -> Detection | None:
    """Return whether a part of the hole was never filled, while other pixels were.

    A filling meets the truth exactly in few pixels that their surroundings do not tell.
    """
    same = ~np.asarray(difference.any(2))
    edits = float(difference[~same & ~sample.hole].mean())
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
    guess = telea(blank[None], sample.hole[None], blank[None])[0]
    missed = _difference(guess, sample.target).mean(2) > levels
    return np.asarray(sample.hole & missed)


def _leak(sample: Sample, difference: Pixels, known_mae: float) -> Detection | None:
    """Return whether the hole holds the truth where nothing around it tells what that is."""
    near = min(NEAR_LEVELS + 2 * known_mae, MOST_NEAR_LEVELS)
    met = np.asarray(difference.mean(2) <= near)
    if sample.hole.sum() < LEAK_PX or _mean(met, sample.hole) < LEAK_SHARE:
        return None
    untold = _untold(sample, 4 * near)
    count = int(untold.sum())
    if count < LEAK_PX or _mean(met, untold) < LEAK_SHARE:
        return None
    return Detection("truth_in_hole", sample.name, {"met": _mean(met, untold), "pixels": count})


def _unfilled(sample: Sample, hole_mae: float) -> Detection | None:
    """Return whether the hole has one color that is not that of its surroundings."""
    color = sample.completed[sample.hole][0]
    if (sample.completed[sample.hole] != color).any() or (sample.completed == color).all():
        return None
    # The mean color, with which the simplest of baselines fills, is one color too.
    distance = np.abs(sample.target[~sample.hole].mean(0) - color).max()
    if distance <= 2 * PLAIN_LEVELS or hole_mae < 2 * PLAIN_LEVELS:
        return None
    detail = f"all of it is #{bytes(color).hex()}"
    return Detection("unfilled", sample.name, {"level": float(color.mean())}, detail, sure=False)


def _swapped_in_hole(sample: Sample, hole_mae: float) -> Detection | None:
    """Return whether the filling fits better with red and blue swapped; on noise it never does."""
    swapped = _mean(_difference(sample.completed[..., ::-1], sample.target), sample.hole)
    if swapped >= HOLE_SWAPPED * hole_mae:
        return None
    evidence = {"hole_mae": hole_mae, "hole_mae_swapped": swapped}
    return Detection("channels", sample.name, evidence, sure=False)
