"""Any folder of images, with or without a folder for each split or class."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from data.errors import InputError
from data.folders import visible_files
from data.images import decode
from data.sources import ImageSource, Item
from data.splits import SPLITS

ANY_LAYOUT = "Expected are image files in it or in any folders of it, such as cats/1.jpg"
OFFICIAL_LAYOUT = (
    "Expected are folders train/, test/ and maybe val/ and nothing else beside them, with image "
    "files in them or in folders of classes, such as train/cats/1.jpg and test/cats/2.jpg"
)

Folder = Annotated[str, Field(pattern=r"^[^/.][^/]*(/[^/.][^/]*)*$")]
"""Below the root: neither absolute nor with a hidden part."""


def _groups_option(value: str) -> str:
    try:
        if value == "folder" or re.compile(value).groups == 1:
            return value
        fault = "has not exactly one group in parentheses"
    except (re.error, OverflowError, RecursionError) as error:
        fault = str(error)
    raise ValueError(
        rf"is neither folder nor a regular expression with one group, such as ^(\d+)_: {fault}"
    )


class Source(ImageSource):
    """Every file below the folder, hidden ones excepted.

    With `official_splits` the folder has one sub-folder per split (`train/`, `val/`, `test/`; at
    least `test/`) and nothing else. Where they have other names, `split_folders` gives them
    (ImageNet: `{train: train, test: val}`), and what lies elsewhere is left alone. Images of the
    training folder may be cut further. With `labels` the last folder of a path is its class.

    `groups: folder` makes each folder a group; images at the top, or right in the folder of a
    split, are on their own. Another value is a regular expression that is searched for in the path
    of each image, and what its one group in parentheses finds is the name of the image's group.
    """

    official_splits: bool = False
    split_folders: dict[Literal["train", "val", "test"], Folder] = Field(default_factory=dict)
    labels: bool = False
    groups: Annotated[str, AfterValidator(_groups_option)] | None = None
    levels: float | None = Field(default=None, gt=0)
    """The level that is white where samples are no bytes; see `decode`."""

    @model_validator(mode="after")
    def _one_way_to_name_splits(self) -> "Source":
        if self.official_splits and self.split_folders:
            raise ValueError("give official_splits or split_folders, not both")
        return self

    def items(self, root: Path) -> Sequence[Item]:
        """Return one item a file, sorted by path.

        Raises:
            InputError: the folder is missing, empty, or lacks a folder for a split; or `groups`
                finds nothing in the path of an image.
        """
        if self.split_folders:
            return self._items_of_folders(root)
        paths = visible_files(root)
        if not paths:
            layout = OFFICIAL_LAYOUT if self.official_splits else ANY_LAYOUT
            raise InputError(f"{root}: the folder has no files. {layout}")
        if not self.official_splits:
            return [self._item(path) for path in paths]
        if not (root / "test").is_dir():
            raise InputError(
                f"{root}: official_splits needs a folder test/, found {_tops(paths)}. "
                f"{OFFICIAL_LAYOUT}"
            )
        return [self._official_item(path) for path in paths]

    def _items_of_folders(self, root: Path) -> list[Item]:
        folders = self.split_folders
        if missing := [name for name in folders.values() if not (root / name).is_dir()]:
            raise InputError(
                f"{root}: no folder {missing[0]}/. source.split_folders expects there "
                f"{', '.join(f'{name}/' for name in folders.values())}: link a folder that has "
                "them, with image files in them or in folders of classes, with "
                "`python -m benchmark attach`, or name it with --root"
            )
        found = []
        for split, folder in folders.items():
            below = visible_files(root / folder)
            if not below:
                raise InputError(f"{root / folder}: the folder has no files. {ANY_LAYOUT}")
            found += [self._item(f"{folder}/{path}", folder, split) for path in below]
        return sorted(found, key=lambda item: item.id)

    def _official_item(self, path: str) -> Item:
        split, _, below = path.partition("/")
        if split not in SPLITS or not below:
            raise InputError(
                f"{path}: official_splits allows only {', '.join(SPLITS)}/ at the top. "
                f"{OFFICIAL_LAYOUT}"
            )
        return self._item(path, split, split)

    def _item(self, path: str, top: str = "", split: str | None = None) -> Item:
        """Return the item of a path in the folder `top` of a split, or anywhere."""
        # Interned: a million images have a thousand labels.
        label = sys.intern(path.split("/")[-2]) if self.labels and "/" in path else ""
        # What lies in train/ may be cut further into train and val; val/ and test/ are kept.
        free = None if split == "train" else split
        return Item(id=path, split=free, label=label, group=self._group(path, top))

    def _group(self, path: str, top: str) -> str | None:
        if self.groups is None:
            return None
        if self.groups == "folder":
            folder = sys.intern(path.rpartition("/")[0])
            return None if folder == top else folder
        match = re.search(self.groups, path)
        if match is None or not match[1]:
            raise InputError(f"{path}: source.groups {self.groups!r} finds no group in this path")
        return sys.intern(match[1])

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Decode the file."""
        return decode(root / item.id, self.levels)


def _tops(paths: Sequence[str], most: int = 5) -> str:
    """Return what lies at the top, the first of it."""
    tops = sorted({path.split("/")[0] + "/" * ("/" in path) for path in paths})
    return ", ".join(tops[:most]) + (", …" if len(tops) > most else "")
