"""Known pixels that are not those of the truth → why.

Known pixels of a healthy completed image are those of the truth, or a network's copy of them. What
else they are has one of few causes, each with a function here. They are asked in the order in which
a person would look: what the file says, whose picture it is, its colors, small changes.
"""

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.inference.holes import Hole, Pixels
from benchmark.submissions.catalog import GROSS_LEVELS, Detection
from benchmark.submissions.leaks import (
    EDIT_LEVELS,
    LEAK_PX,
    PART_UNFILLED,
    PLAIN_LEVELS,
    UNTOUCHED,
    find_untold,
    share,
)
from benchmark.submissions.submission import Sample

LOSSY_FORMATS = frozenset({"JPEG", "MPO", "WEBP", "AVIF", "JPEG2000", "GIF"})
"""WebP, AVIF and JPEG 2000 can be lossless, GIF has 256 colors; known pixels tell."""
FILLED = 0.5
"""At least this share of a region differs where all of it was filled or copied by a network; in
flat areas the truth is often met exactly."""
EXPLAINED = 0.25
"""A filling is wrong by some ten levels, and a network's copy of known pixels by few: known pixels
that are wrong by `PLAIN_LEVELS`, and by four times as much as the hole, are the filling."""
HALVED, NEARLY_ALL = 0.5, 0.1
"""Share of a difference that is left once its cause is undone. Nothing but rounding and compression
is left of a mistake in saving, and less than half where a network's own error comes on top; of a
network's tint or blur no such cause explains half."""
MOST_SHIFT_PX, SHIFT_PX = 4, 256
"""Crops, paddings and strides are off by a few pixels. Fewer known pixels fit by chance."""
RANGE_LEVELS, RANGE_LEFT = 12.0, 0.15
"""A wrong range changes levels by 30 or more, if the image is not dark; a network that flattens
contrast by some per cent, by up to 10. Blur, however strong, leaves more than this share."""
HOLE_SWAPPED = 0.7
"""Share of the hole's error that is left when red and blue are swapped back. Errors of a filling
that is right are twice as large with swapped channels, and equal on gray images."""
ANOTHER_LEVELS = 4.0
"""Another picture, or one that is turned, is off by at least so many levels."""
MOST_SIDE = 256
"""To which pictures are reduced that are compared with a turned one."""
QUALITIES = range(95, 5, -5)
"""Of JPEG, as programs offer them."""
SAVED_LEFT = 0.25
"""Share of the difference that is left where the truth is compressed likewise: blocks that touch
the hole have other values. More than `GROSS_LEVELS` are not lost."""
REDUCED = (2 / 3, 1 / 2, 1 / 4, 1 / 8)
"""Shares of the side to which completed images are commonly reduced."""
COLOR_LEVELS = 4.0
"""An image is in color where its channels differ by so much on average."""

TURNS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "mirrored": lambda x: x[:, ::-1],
    "turned by 180 degrees": lambda x: x[::-1, ::-1],
    "upside down": lambda x: x[::-1],
    "transposed": lambda x: x.swapaxes(0, 1),
    "turned by 90 degrees clockwise": lambda x: x[::-1].swapaxes(0, 1),
    "transposed across": lambda x: x[::-1, ::-1].swapaxes(0, 1),
    "turned by 90 degrees counterclockwise": lambda x: x.swapaxes(0, 1)[::-1],
}
"""What may have been done to a picture, in the order of the EXIF orientations 2 to 8."""


def find_cause(whole: Sample) -> list[Detection]:
    """Return that known pixels have changed, and the most likely reason if there is one.

    Args:
        whole: an image with a hole and known pixels, and a completed image of its size.

    Returns:
        Nothing where no known pixel has changed.
    """
    known = ~whole.hole
    if not (known_changed := share(whole.changed, known)):
        return []
    sample = whole.window()
    if not (sample.changed & ~sample.hole).any():  # it has changed elsewhere
        sample = whole
    evidence = {"known_changed": known_changed, "known_mae": whole.known_mae}
    cause = (
        _transparent(sample)
        or _turned(whole)
        or _gray(sample)
        or _swapped(sample, ~sample.hole, sample.known_mae, HALVED)
        or _tone_curve(sample)
        or _shift(sample)
        or _lossy(sample)
        or _palette(sample)
        or _saved_anew(sample)
        or _mask_shift(sample)
        or _mask_elsewhere(sample)
    )
    found = Detection("known_changed", whole.name, evidence)
    return [found, cause] if cause else [found]


def is_inverse(sample: Sample, known_changed: float, hole_changed: float) -> bool:
    """Return whether the filling is where the mask says that pixels are known."""
    composited = hole_changed <= UNTOUCHED and known_changed >= FILLED
    plain = sample.known_mae >= max(PLAIN_LEVELS, sample.hole_mae / EXPLAINED)
    return composited or (plain and min(hole_changed, known_changed) > FILLED)


def swapped_in_hole(whole: Sample) -> Detection | None:
    """Return whether the hole alone fits better with other channels, of a composited image."""
    sample = whole.window()
    return _swapped(sample, sample.hole, sample.hole_mae, HOLE_SWAPPED)


def _off(completed: Pixels, picture: Pixels, region: Hole) -> float:
    """Return the mean difference of a region, in levels."""
    return float(cv2.absdiff(completed, picture)[region].mean())


def _transparent(sample: Sample) -> Detection | None:
    """Return whether known pixels have changed where they are transparent, and not elsewhere."""
    seen = sample.completed_file.transparent
    if seen is None or not (seen & ~sample.hole).any():
        return None
    opaque = ~sample.hole & ~seen
    left = share(sample.difference.mean(2), opaque) if opaque.any() else 0.0
    if left > HALVED * sample.known_mae:
        return None
    evidence = {"known_mae": sample.known_mae, "transparent": share(seen, ~sample.hole)}
    return Detection("transparent", sample.name, evidence)


def _turned(sample: Sample) -> Detection | None:
    """Find what turns the completed image back, be it an EXIF orientation that was not obeyed."""
    if sample.known_mae < ANOTHER_LEVELS:
        return None
    # Reduced by area averaging, which turns with the picture.
    height, width = sample.hole.shape
    scale = min(1.0, MOST_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    ours, truth, hole = (
        np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        for part in (sample.completed, sample.target, sample.hole.astype(np.uint8) * 255)
    )
    found: list[tuple[float, float, int]] = []
    for number, turn in enumerate(TURNS.values(), 2):
        if turn(hole).shape != hole.shape:
            continue
        known = (hole == 0) & (turn(hole) == 0)
        if known.sum() >= SHIFT_PX:
            turned = np.ascontiguousarray(turn(truth))
            plain = _off(ours, truth, known)
            if plain >= ANOTHER_LEVELS and _off(ours, turned, known) <= HALVED * plain:
                found.append((_off(ours, turned, known) / plain, plain, number))
    if not found:
        return None
    left, plain, number = min(found)
    evidence = {"known_mae": sample.known_mae, "known_mae_turned": left * plain}
    sure = left <= NEARLY_ALL
    exif = {sample.target_file.orientation, sample.completed_file.orientation} - {1}
    if {number, {6: 8, 8: 6}.get(number, number)} & exif:
        detail = f"EXIF orientation {min(exif)}"
        return Detection("orientation", sample.name, evidence, detail, sure=sure)
    detail = f"{sample.name} is {[*TURNS][number - 2]}"
    return Detection("turned", sample.name, evidence, detail, sure=sure)


def _gray(sample: Sample) -> Detection | None:
    """Return whether the completed image is gray, and the truth in color."""
    ours, truth = (
        sample.completed[~sample.hole].astype(int),
        sample.target[~sample.hole].astype(int),
    )
    if np.ptp(ours, axis=1).max() > 1 or np.ptp(truth, axis=1).mean() < COLOR_LEVELS:
        return None
    evidence = {"known_mae": sample.known_mae, "color": float(np.ptp(truth, axis=1).mean())}
    left = np.abs(ours.mean(1) - truth @ (0.299, 0.587, 0.114)).mean()
    if left > HALVED * sample.known_mae:
        return None
    return Detection("grayscale", sample.name, evidence)


def _lossy(sample: Sample) -> Detection | None:
    """Return whether the kind of the file is one that changes pixels."""
    is_lossy = sample.completed_file.kind in LOSSY_FORMATS
    return Detection("lossy", sample.name, {"known_mae": sample.known_mae}) if is_lossy else None


def _palette(sample: Sample) -> Detection | None:
    """Return whether the file has few colors."""
    has_it = sample.completed_file.has_palette
    return Detection("palette", sample.name, {"known_mae": sample.known_mae}) if has_it else None


def _saved_anew(sample: Sample) -> Detection | None:
    """Return whether the truth, compressed or resized, comes to the known pixels.

    So a picture shows that was saved without loss after it had been saved with it, or resized.
    """
    mae, known = sample.known_mae, ~sample.hole
    if mae < 0.5:
        return None
    for entry, name, picture in _saved(sample.target):
        left = _off(sample.completed, picture, known)
        if left <= (SAVED_LEFT if entry == "lossy" and mae < GROSS_LEVELS else NEARLY_ALL) * mae:
            evidence = {"known_mae": mae, "known_mae_left": left}
            return Detection(entry, sample.name, evidence, name, sure=left <= NEARLY_ALL * mae)
    return None


def _saved(truth: Pixels) -> Iterator[tuple[str, str, Pixels]]:
    """Yield the truth as it comes back from compression and resizing, and what was done."""
    bgr, (height, width) = np.ascontiguousarray(truth[..., ::-1]), truth.shape[:2]
    for quality in QUALITIES:
        _, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)
        yield "lossy", f"as JPEG of quality {quality}", np.ascontiguousarray(decoded[..., ::-1])
    for part in REDUCED:
        size = max(1, round(width * part)), max(1, round(height * part))
        for down in (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC):
            small = cv2.resize(truth, size, interpolation=down)
            for up in (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST):
                large = cv2.resize(small, (width, height), interpolation=up)
                yield "resized", f"by way of {size[0]}x{size[1]} px", np.asarray(large, np.uint8)


def _swapped(sample: Sample, region: Hole, mae: float, most_left: float) -> Detection | None:
    """Return whether a region fits better with other channels; on noise it never does."""
    if mae < 1:
        return None
    found = {
        order: _off(sample.completed[..., order], sample.target, region)
        for order in permutations(range(3))
        if order != (0, 1, 2)
    }
    order = min(found, key=lambda order: (found[order], order != (2, 1, 0)))
    if found[order] > most_left * mae:
        return None
    evidence = {"mae": mae, "mae_swapped": found[order]}
    names = "".join("RGB"[channel] for channel in order)
    is_sure = found[order] <= NEARLY_ALL * mae
    return Detection("channels", sample.name, evidence, f"{names} as RGB", sure=is_sure)


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
            share(cv2.absdiff(ours, _moved(sample.target, *place)), known)
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
    """Return whether known levels are a function of the true levels, and not the identity.

    That holds of every wrong range: [0, 1] or [-1, 1] saved as if they were bytes, halved, clipped,
    wrapped or inverted levels, channels that were normalized each by itself, and of images of one
    color.
    """
    mae = sample.known_mae
    ours, truth = (image[~sample.hole] for image in (sample.completed, sample.target))
    if mae < (PLAIN_LEVELS if ours.max() <= 1 else RANGE_LEVELS):
        return None
    left = 0.0
    for channel in range(3):
        given, true = ours[:, channel], truth[:, channel]
        counts = np.bincount(true, minlength=256)
        # A level that is there once would be explained by itself.
        if np.count_nonzero(counts) * 4 > len(true):
            return None
        means = np.bincount(true, given, minlength=256) / np.maximum(counts, 1)
        left += float(np.abs(given - means[true]).mean()) / 3
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
        if left.any() and not (ours & ~moved).any() and share(ours, left) <= UNTOUCHED:
            evidence: dict[str, float] = {"known_px_changed": outside, "down": y, "right": x}
            return Detection("mask_shifted", sample.name, evidence, sure=False)
    return None


def _mask_elsewhere(sample: Sample) -> Detection | None:
    """Return whether a part of the hole was never filled, while other pixels were.

    A filling meets the truth exactly in few pixels that their surroundings do not tell.
    """
    same = ~sample.changed
    edits = float(sample.difference[sample.changed & ~sample.hole].mean())
    if edits < EDIT_LEVELS or share(same, sample.hole) < PART_UNFILLED / 2:
        return None
    untold = find_untold(sample, EDIT_LEVELS)
    if untold.sum() < LEAK_PX or share(same, untold) < PART_UNFILLED:
        return None
    evidence = {"hole_unchanged": share(same, sample.hole), "known_px_mean_change": edits}
    return Detection("mask_elsewhere", sample.name, evidence)
