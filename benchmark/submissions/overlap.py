"""Test images and a training folder → test images that are in it, to the pixel or nearly.

Exact ones are found by the SHA-256 of their pixels, near ones by thumbnails, which stay nearly the
same through resizing and compression.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmark.inference.pairing import say
from benchmark.submissions.catalog import Detection
from data.errors import InputError
from data.images import decode
from data.store import pixel_sha256

SIDE = 24
NEAR_CORRELATION, NEAR_LEVELS = 0.98, 6.0
"""As measured, resized and recompressed copies are above 0.98, but for flat ones, and within 5.2
levels; different images are below 0.95."""
LEAST_CONTRAST = 8.0
"""Standard deviation of a thumbnail's channels, in levels; flatter images look alike without being
copies."""

Thumbnail = NDArray[np.uint8]


class Fingerprint(NamedTuple):
    """What is kept of a test image: about 2 kB."""

    sha256: str
    thumbnail: Thumbnail


def thumbnail(pixels: NDArray[np.uint8]) -> Thumbnail:
    """Return an image as `[24, 24, 3]`."""
    return np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def compare_with_training(
    test: Mapping[str, Fingerprint],
    folder: Path,
    files: Sequence[str],
    levels: float | None = None,
) -> list[Detection]:
    """Return which test images are among the images of a training folder.

    Training images are read one by one; a note says how many cannot be read.

    Args:
        test: by name.
        folder: of the training images.
        files: their names in it.
        levels: white of images whose samples are no bytes; see `decode`.
    """
    names = [*test]
    first_of = {test[name].sha256: name for name in reversed(names)}
    thumbnails = np.array([known.thumbnail for known in test.values()]).reshape(-1, SIDE, SIDE, 3)
    contrasts = _contrasts(thumbnails)
    copied: dict[str, str] = {}
    alike: dict[str, str] = {}
    unread: list[InputError] = []
    for file in tqdm(files, desc="training images", unit="image"):
        try:
            pixels = decode(folder / file, levels)
        except InputError as error:
            unread.append(error)
            continue
        if same := first_of.get(pixel_sha256(pixels)):
            copied.setdefault(same, file)
            continue
        small = thumbnail(pixels)
        correlations = contrasts @ _contrasts(small[None])[0]
        for i in np.flatnonzero(correlations >= NEAR_CORRELATION):
            if cv2.absdiff(thumbnails[i], small).mean() <= NEAR_LEVELS:
                alike.setdefault(names[i], file)
    if unread:
        say(f"note: {folder}: {len(unread)} of {len(files)} files not compared: {unread[0]}")
    exact = [Detection("train_overlap", n, detail=f"{n} is {file}") for n, file in copied.items()]
    near = [
        Detection("train_near", name, detail=f"{name} looks like {file}")
        for name, file in alike.items()
        if name not in copied
    ]
    return exact + near


def most_alike(
    completed: Mapping[str, Thumbnail], truths: Mapping[str, Thumbnail], most: int = 3
) -> dict[str, list[str]]:
    """Return the images that some completed images look like, those of other names, best first.

    Args:
        completed: thumbnails by name.
        truths: those of all images of a submission.
        most: how many are returned for each.
    """
    names = [*truths]
    if len(names) < 2 or not completed:
        return {}
    known = _contrasts(np.array([*truths.values()]))
    found = {}
    for name, small in completed.items():
        alike = known @ _contrasts(small[None])[0]
        best = np.argsort(-alike, kind="stable")[: most + 1]
        found[name] = [names[i] for i in best if names[i] != name][:most]
    return found


def _contrasts(thumbnails: Thumbnail) -> NDArray[np.float64]:
    """Return vectors whose products are correlations, `[N, pixels]`; 0 for flat images."""
    # Without its channels' means, so that areas of one color are not alike by that color.
    apart = (thumbnails - thumbnails.mean((1, 2), keepdims=True)).reshape(
        len(thumbnails), SIDE**2 * 3
    )
    flat = apart.std(1, keepdims=True) < LEAST_CONTRAST
    return np.where(flat, 0, apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1))
