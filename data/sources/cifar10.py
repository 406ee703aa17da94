"""CIFAR-10 (Krizhevsky 2009), as torchvision downloads it."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.downloads import fetch
from data.sources import ImageSource, Item

ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
"""The archive holds pickles, which can execute code: it is opened only if it is this very file."""


class Source(ImageSource):
    """60,000 colour images of 32 px in ten classes; the official test set is the test split."""

    def items(self, root: Path) -> Sequence[Item]:
        """Return the 50,000 training and 10,000 test images; download them where they are missing.

        Raises:
            InputError: the download failed, or the archive is not the official one.
        """
        from torchvision.datasets import CIFAR10

        fetch(CIFAR10.url, root / ARCHIVE, f"sha256:{ARCHIVE_SHA256}")
        found = []
        for train in (True, False):
            part = _load(root, train)
            name = "train" if train else "test"
            for index, target in enumerate(part.targets):
                found.append(
                    Item(
                        id=f"{name}/{index:05d}",
                        key=(train, index),
                        split=None if train else "test",
                        label=part.classes[target],
                    )
                )
        return sorted(found, key=lambda item: item.id)

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Return the 32 px image."""
        train, index = item.key
        pixels: NDArray[np.uint8] = _load(root, train).data[index]
        return pixels


@lru_cache(maxsize=2)
def _load(root: Path, train: bool) -> Any:  # torchvision has no type annotations
    from torchvision.datasets import CIFAR10

    # `download` extracts the archive that is there; torchvision checks the MD5 of each extracted
    # file.
    return CIFAR10(str(root), train=train, download=True)
