"""Test images and a training folder → test images that are in it, to the pixel or nearly.

Exact ones are found by the SHA-256 of their pixels. Near ones are looked for by a difference hash
of 256 bits, which stays nearly the same through resizing and compression, and confirmed by
thumbnails.
"""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmark.inference.pairing import names_by_stem
from benchmark.submissions.catalogue import Detection
from data.errors import InputError
from data.images import decode
from data.store import pixel_sha256

HASH_SIDE, THUMBNAIL_SIDE = 16, 24
MOST_BITS = 64
"""Of 256. Resized and recompressed copies differ in 5 bits on average and 63 at most, as measured;
drawings of different faces in 32 or more, so that thumbnails have to tell."""
NEAR_CORRELATION, NEAR_LEVELS = 0.98, 6.0
"""Of thumbnails: such copies are above 0.98, but for flat ones, and within 5.2 levels; different
images are below 0.95."""
LEAST_CONTRAST = 8.0
"""Standard deviation of a thumbnail's channels, in levels; flatter images look alike without being
copies."""

Thumbnail = NDArray[np.uint8]


@dataclass
class Fingerprints:
    """What is kept of the test images: about 2 kB each."""

    names: list[str] = field(default_factory=list)
    sha256: dict[str, str] = field(default_factory=dict)
    bits: list[NDArray[np.uint64]] = field(default_factory=list)
    thumbnails: list[Thumbnail] = field(default_factory=list)

    def add(self, name: str, image_sha256: str, pixels: NDArray[np.uint8]) -> None:
        """Keep an image's fingerprint."""
        self.sha256.setdefault(image_sha256, name)
        self.names.append(name)
        self.bits.append(difference_bits(pixels))
        self.thumbnails.append(thumbnail(pixels))


def difference_bits(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return whether each cell of a 16 by 17 grid is darker than the one beside it, as 4 words."""
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(gray, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA))
    darker = small[:, :-1] < small[:, 1:]
    return np.packbits(darker).view(np.uint64)


def thumbnail(pixels: NDArray[np.uint8]) -> Thumbnail:
    """Return an image as `[24, 24, 3]`."""
    sides = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return np.asarray(cv2.resize(pixels, sides, interpolation=cv2.INTER_AREA), np.uint8)


def look_alike(first: Thumbnail, second: Thumbnail) -> bool:
    """Tell whether two thumbnails are of one picture."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    # Else two areas of one color would be alike by that color.
    contrast_a, contrast_b = ((image - image.mean((0, 1))).ravel() for image in (a, b))
    if min(contrast_a.std(), contrast_b.std()) < LEAST_CONTRAST:
        return False
    correlation = float(np.corrcoef(contrast_a, contrast_b)[0, 1])
    return correlation >= NEAR_CORRELATION and float(np.abs(a - b).mean()) <= NEAR_LEVELS


def compare_with_training(test: Fingerprints, folder: Path) -> list[Detection]:
    """Return which test images are among the images of a training folder.

    Training images are read one by one; those that cannot be read cannot be compared.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    files = [name for names in names_by_stem(folder).values() for name in names]
    bits = np.array(test.bits, np.uint64).reshape(-1, HASH_SIDE**2 // 64)
    copied: dict[str, str] = {}
    alike: dict[str, str] = {}
    for file in tqdm(files, desc="training images", unit="image"):
        try:
            pixels = decode(folder / file)
        except InputError:
            continue
        if (same := test.sha256.get(pixel_sha256(pixels))) is not None:
            copied.setdefault(same, file)
            continue
        for name in _near(test, bits, pixels):
            alike.setdefault(name, file)
    exact = [Detection("train_overlap", n, detail=f"{n} is {file}") for n, file in copied.items()]
    near = [
        Detection("train_near", name, detail=f"{name} looks like {file}")
        for name, file in alike.items()
        if name not in copied
    ]
    return exact + near


def _near(test: Fingerprints, bits: NDArray[np.uint64], pixels: NDArray[np.uint8]) -> list[str]:
    """Return the test images that look like an image."""
    distances = np.bitwise_count(bits ^ difference_bits(pixels)).sum(1)
    candidates = np.flatnonzero(distances <= MOST_BITS)
    if not len(candidates):
        return []
    small = thumbnail(pixels)
    return [test.names[i] for i in candidates if look_alike(test.thumbnails[i], small)]
