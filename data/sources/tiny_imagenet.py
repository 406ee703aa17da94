"""Tiny ImageNet (Stanford's course CS231n): 64 px images of 200 classes, read from the zip."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from data.downloads import fetch
from data.images import decode_bytes
from data.sources import ImageSource, Item

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
ARCHIVE = "tiny-imagenet-200.zip"
ARCHIVE_SHA256 = "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821"
"""Not published by its makers, but recorded by many who use it (248,100,043 bytes)."""
TOP = "tiny-imagenet-200"


class Source(ImageSource):
    """The 100,000 images of `train/`, which may be cut further; `val/` is the test split, 10,000.

    `test/`, whose labels were never published, is left out. A label is a WordNet number
    (`n01443537`). The archive is not extracted: one file is handled faster than 110,000.
    """

    def items(self, root: Path) -> Sequence[Item]:
        """Return the images of `train/` and `val/`; download the archive where it is missing.

        Raises:
            InputError: the download failed, or the archive is not the official one.
        """
        archive = _archive(root)
        lines = archive.read(f"{TOP}/val/val_annotations.txt").decode().splitlines()
        class_of = {name: label for name, label, *_ in (line.split("\t") for line in lines)}
        found = []
        for name in archive.namelist():
            path = name.removeprefix(f"{TOP}/")
            if match := re.fullmatch(r"train/(\w+)/images/\w+\.JPEG", path):
                found.append(Item(id=path, label=match[1]))
            elif match := re.fullmatch(r"val/images/(\w+\.JPEG)", path):
                found.append(Item(id=path, split="test", label=class_of[match[1]]))
        return sorted(found, key=lambda item: item.id)

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Decode the image within the archive."""
        content = _archive(root).read(f"{TOP}/{item.id}")
        return decode_bytes(content, f"{root / ARCHIVE}: {item.id}")


@lru_cache(maxsize=1)
def _archive(root: Path) -> ZipFile:
    """Return the archive, once it is known to be the official one; listing it takes a second."""
    fetch(URL, root / ARCHIVE, f"sha256:{ARCHIVE_SHA256}")
    return ZipFile(root / ARCHIVE)
