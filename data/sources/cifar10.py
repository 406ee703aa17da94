"""CIFAR-10 (Krizhevsky 2009), as torchvision downloads it."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import InputError
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
        if not (root / ARCHIVE).is_file():
            _download(root)
        _check_archive(root / ARCHIVE)
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


def _download(root: Path) -> None:
    from torchvision.datasets.utils import download_url

    try:
        from torchvision.datasets import CIFAR10

        root.mkdir(parents=True, exist_ok=True)
        download_url(CIFAR10.url, str(root), ARCHIVE)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{root / ARCHIVE}: the download failed ({error}). Fetch {ARCHIVE} on a machine with "
            f"network access and put it into {root}/"
        ) from None


def _check_archive(archive: Path) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != ARCHIVE_SHA256:
        raise InputError(
            f"{archive}: SHA-256 is {found}, the official archive has {ARCHIVE_SHA256}"
        )


@lru_cache(maxsize=2)
def _load(root: Path, train: bool) -> Any:  # torchvision has no type annotations
    from torchvision.datasets import CIFAR10

    # `download` extracts the archive that is there; torchvision checks the MD5 of each extracted
    # file.
    return CIFAR10(str(root), train=train, download=True)
