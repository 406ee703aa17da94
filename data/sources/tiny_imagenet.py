"""Tiny ImageNet (Stanford's course CS231n): 64 px images of 200 classes, read from the zip."""

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from data.downloads import fetch
from data.errors import InputError
from data.images import decode_bytes
from data.sources import ImageSource, Item

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
ARCHIVE = "tiny-imagenet-200.zip"
ARCHIVE_SHA256 = "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821"
"""Not published by its makers, but recorded by many who use it (248,100,043 bytes)."""
TOP = "tiny-imagenet-200"
LARGEST_FILE_BYTES = 1 << 20
"""An image has some kilobytes, the list of classes of `val/` a third of a megabyte."""


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
        archive = root / ARCHIVE
        fetch(URL, archive, f"sha256:{ARCHIVE_SHA256}")
        listing = f"{TOP}/val/val_annotations.txt"
        lines = _content(archive, listing).decode(errors="replace").splitlines()
        class_of = {line.split("\t")[0]: "".join(line.split("\t")[1:2]) for line in lines}
        found = []
        for name in _archive(archive).namelist():
            path = name.removeprefix(f"{TOP}/")
            if match := re.fullmatch(r"train/(\w+)/images/\w+\.JPEG", path):
                found.append(Item(id=path, label=match[1]))
            elif match := re.fullmatch(r"val/images/(\w+\.JPEG)", path):
                if match[1] not in class_of:
                    raise InputError(f"{archive}: {listing} does not list {match[1]}")
                found.append(Item(id=path, split="test", label=class_of[match[1]]))
        return sorted(found, key=lambda item: item.id)

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Decode the image within the archive."""
        archive = root / ARCHIVE
        return decode_bytes(_content(archive, f"{TOP}/{item.id}"), f"{archive}: {item.id}")


def _content(archive: Path, name: str) -> bytes:
    """Return a file of the archive.

    Raises:
        InputError: it is missing, damaged, or larger than any official one.
    """
    try:
        size = _archive(archive).getinfo(name).file_size
        if size <= LARGEST_FILE_BYTES:
            return _archive(archive).read(name)
    except KeyError:
        raise InputError(f"{archive}: has no {name}") from None
    # Two of these mean an unknown compression and a password.
    except (BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{archive}: {name}: damaged ({error})") from None
    raise InputError(f"{archive}: {name} has {size} bytes, more than {LARGEST_FILE_BYTES}")


@lru_cache(maxsize=1)
def _archive(path: Path) -> ZipFile:
    """Return an archive, opened once a process: its list of contents takes a second to read."""
    try:
        return ZipFile(path)
    except BadZipFile as error:
        raise InputError(f"{path}: damaged ({error})") from None
