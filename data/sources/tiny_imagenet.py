"""Tiny ImageNet (Stanford's course CS231n): 64 px images of 200 classes, zipped or extracted."""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.downloads import fetch
from data.errors import InputError
from data.folders import visible_files
from data.images import decode, decode_bytes
from data.sources import ImageSource, Item

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
ARCHIVE = "tiny-imagenet-200.zip"
ARCHIVE_SHA256 = "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821"
"""Not published by its makers, but recorded by many who use it (248,100,043 bytes)."""
TOP = "tiny-imagenet-200"
ANNOTATIONS = "val/val_annotations.txt"


class Source(ImageSource):
    """The 100,000 images of `train/`, which may be cut further; `val/` is the test split, 10,000.

    `test/`, whose labels were never published, is left out. A label is a WordNet number
    (`n01443537`). `test_images` takes so many of `val/`, the first by a hash of their names.

    Read is the extracted folder where there is one, be it attached or in it. Else the archive is
    downloaded, and not extracted: one file is handled faster than 110,000.
    """

    test_images: int | None = Field(default=None, ge=1)

    def items(self, root: Path) -> Sequence[Item]:
        """Return the images of `train/` and `val/`; download the archive where nothing is there.

        Raises:
            InputError: the download failed, the archive is not the official one, the list of
                `val/` is damaged, or images that it names are not there.
        """
        names = _names(root)
        class_of = _classes_of_val(root)
        if missing := sorted(class_of.keys() - {*names}):
            raise InputError(f"{root}: lacks {len(missing)} images of val/, {missing[0]} first")
        found = []
        for name in names:
            if match := re.fullmatch(r"train/(\w+)/images/\w+\.JPEG", name):
                found.append(Item(id=name, label=match[1]))
        tested = sorted(class_of, key=lambda name: sha256(name.encode()).digest())
        if self.test_images is not None and len(tested) < self.test_images:
            raise InputError(f"source.test_images asks for more than the {len(tested)} of val/")
        tested = tested[: self.test_images]
        found += [Item(id=name, split="test", label=class_of[name]) for name in tested]
        return sorted(found, key=lambda item: item.id)

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Decode the image."""
        if folder := _folder(root):
            return decode(folder / item.id)
        return decode_bytes(_archive(root).read(f"{TOP}/{item.id}"), f"{root / ARCHIVE}: {item.id}")


def _names(root: Path) -> list[str]:
    """Return the names of all files, relative to the top folder."""
    if folder := _folder(root):
        return visible_files(folder)
    return [name.removeprefix(f"{TOP}/") for name in _archive(root).namelist()]


def _classes_of_val(root: Path) -> dict[str, str]:
    """Return the class of each image of `val/`, as its list says."""
    if folder := _folder(root):
        place = str(folder / ANNOTATIONS)
        try:
            content = (folder / ANNOTATIONS).read_bytes()
        except OSError as error:
            raise InputError(f"{place}: cannot be read ({error.strerror})") from None
    else:
        place = f"{root / ARCHIVE}: {ANNOTATIONS}"
        content = _archive(root).read(f"{TOP}/{ANNOTATIONS}")
    classes = {}
    for number, line in enumerate(content.rstrip().splitlines(), start=1):
        try:
            name, label, *_ = line.decode().split("\t")
        except ValueError:  # too few fields, or bytes that are not UTF-8
            raise InputError(
                f"{place}, line {number}: not the name of an image, a tab and its class in UTF-8; "
                "the file may have been cut off"
            ) from None
        classes[f"val/images/{name}"] = label
    return classes


@lru_cache(maxsize=1)
def _folder(root: Path) -> Path | None:
    """Return the extracted top folder, if it is there."""
    return next((f for f in (root, root / TOP) if (f / ANNOTATIONS).is_file()), None)


@lru_cache(maxsize=1)
def _archive(root: Path) -> ZipFile:
    """Return the archive, once it is known to be the official one; listing it takes a second."""
    fetch(URL, root / ARCHIVE, f"sha256:{ARCHIVE_SHA256}")
    return ZipFile(root / ARCHIVE)
