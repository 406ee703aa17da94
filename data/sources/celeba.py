"""CelebA (Liu et al. 2015): 202,599 aligned photographs of faces, to be obtained by hand."""

import os
import re
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool

from data.errors import InputError
from data.images import decode
from data.sources import ImageSource, Item

IMAGE_FOLDERS = (
    "img_align_celeba/img_align_celeba",
    "img_align_celeba",
    "Img/img_align_celeba",
    ".",
)
"""Where the archives of the authors and of Kaggle have the photographs; or they lie alone."""
PARTITIONS = (
    "list_eval_partition.txt",
    "list_eval_partition.csv",
    "Eval/list_eval_partition.txt",
)
IDENTITIES = ("identity_CelebA.txt", "Anno/identity_CelebA.txt")
SPLIT_OF = {"0": None, "1": "val", "2": "test"}
"""Official numbers of the splits; what is in the training set may be cut further."""
OBTAINING = (
    "CelebA is for non-commercial research only and has to be fetched by hand from its authors. "
    "Expected is a folder with img_align_celeba/000001.jpg to 202599.jpg and, beside "
    "img_align_celeba/, list_eval_partition.txt (or .csv), or the photographs alone; then run "
    "`python -m benchmark attach --suite SUITE FOLDER`"
)


class Source(ImageSource):
    """The aligned and cropped photographs, 178x218 px.

    `count` takes the first ones by number. With `official_partition` the authors' validation and
    test sets are kept, for which their list is needed. Where the authors' identity_CelebA.txt lies
    beside the photographs, those of one person are a group.
    """

    group_noun: ClassVar[str] = "people"

    count: int | None = Field(default=None, ge=1)
    official_partition: StrictBool = False

    def items(self, root: Path) -> Sequence[Item]:
        """Return one item a photograph, sorted by number.

        Raises:
            InputError: the folder does not have the layout, or lacks photographs; or a list is
                damaged or lacks one.
        """
        folder, names = _photographs(root)
        if self.count is not None:
            names = [name for name in names if int(Path(name).stem) <= self.count]
            if len(names) < self.count:
                raise InputError(
                    f"{root / folder}: has {len(names)} of the photographs 1 to {self.count} that "
                    "source.count asks for"
                )
        person_of = _identities(root, names)
        if not self.official_partition:
            return [Item(id=name, key=folder, group=person_of.get(name)) for name in names]
        listing, partition = _partition(root)
        _require_all(listing, partition, names)
        if self.count is None and (absent := partition.keys() - set(names)):
            raise InputError(
                f"{root / folder}: lacks {len(absent)} photographs that {listing.name} lists, "
                f"{min(absent)} first; complete it, or take the first ones alone with source.count"
            )
        return [
            Item(id=name, key=folder, split=partition[name], group=person_of.get(name))
            for name in names
        ]

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Decode the file."""
        return decode(root / item.key / item.id)


def _photographs(root: Path) -> tuple[str, list[str]]:
    """Return the folder of the photographs, relative to the root, and their names, sorted."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder. {OBTAINING}")
    for folder in IMAGE_FOLDERS:
        if (root / folder).is_dir():
            with os.scandir(root / folder) as entries:
                names = [e.name for e in entries if re.fullmatch(r"[0-9]{6}\.jpg", e.name)]
            if names:
                return folder, sorted(names)
    raise InputError(f"{root}: no photographs 000001.jpg, … there. {OBTAINING}")


def _partition(root: Path) -> tuple[Path, dict[str, str | None]]:
    """Return the list of the official splits, and the split of each photograph."""
    listing = next((root / name for name in PARTITIONS if (root / name).is_file()), None)
    if listing is None:
        raise InputError(f"{root}: official_partition needs {PARTITIONS[0]}. {OBTAINING}")
    expected = "a name and 0 (train), 1 (val) or 2 (test)"
    return listing, {name: SPLIT_OF[n] for name, n in _pairs(listing, "[012]", expected)}


def _identities(root: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the number of the person on each photograph; nothing where there is no list."""
    listing = next((root / name for name in IDENTITIES if (root / name).is_file()), None)
    if listing is None:
        return {}
    person_of = dict(_pairs(listing, "[0-9]+", "a name and the number of a person"))
    _require_all(listing, person_of, names)
    return person_of


def _require_all(listing: Path, listed: Container[str], names: Sequence[str]) -> None:
    if unlisted := [name for name in names if name not in listed]:
        raise InputError(f"{listing}: does not list {unlisted[0]}")


def _pairs(listing: Path, pattern: str, expected: str) -> Iterator[tuple[str, str]]:
    """Yield the names and numbers of the lines of a list."""
    # Undecodable bytes become signs that fail the check of the line.
    lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        fields = line.replace(",", " ").split()
        if not fields or fields[0] == "image_id":  # Kaggle's tables have a header
            continue
        if len(fields) != 2 or not re.fullmatch(pattern, fields[1]):
            raise InputError(f"{listing}, line {number}: {line!r} is not {expected}")
        yield fields[0], fields[1]
