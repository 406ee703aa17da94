"""Any folder of images, with or without a folder for each split or class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.errors import InputError
from data.images import decode
from data.sources import ImageSource, Item
from data.splits import SPLITS


class Source(ImageSource):
    """Every file below the folder, hidden ones excepted.

    With `official_splits` the folder has one sub-folder per split (`train/`, `val/`, `test/`; at
    least `test/`); images of `train/` may be cut further. With `labels` the last folder of a path
    is its class.
    """

    official_splits: bool = False
    labels: bool = False

    def items(self, root: Path) -> Sequence[Item]:
        """Return one item a file, sorted by path.

        Raises:
            InputError: the folder is missing, empty, or lacks a folder for its test split.
        """
        if not root.is_dir():
            raise InputError(
                f"{root}: no such folder. Put the images there, link their folder with "
                "`python -m benchmark attach`, or name it with --root"
            )
        # By text: the order of Path objects differs between platforms.
        paths = sorted((p.relative_to(root) for p in _walk(root)), key=Path.as_posix)
        if not paths:
            raise InputError(f"{root}: the folder has no files")
        if self.official_splits and not (root / "test").is_dir():
            raise InputError(
                f"{root}: official_splits needs a folder test/ (and train/, maybe val/)"
            )
        return [self._item(path) for path in paths]

    def _item(self, path: Path) -> Item:
        if "\r" in path.as_posix() or not _is_text(path.as_posix()):
            raise InputError(
                f"{path.as_posix()!r}: a name that is not UTF-8, or has a carriage return, cannot "
                "be listed in the manifest; rename the file"
            )
        split = None
        if self.official_splits:
            split = path.parts[0]
            if split not in SPLITS or len(path.parts) < 2:
                raise InputError(
                    f"{path}: official_splits allows only {', '.join(SPLITS)}/ at the top"
                )
        label = path.parts[-2] if self.labels and len(path.parts) > 1 else ""
        # What lies in train/ may be cut further into train and val; val/ and test/ are kept.
        return Item(id=path.as_posix(), split=None if split == "train" else split, label=label)

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Decode the file."""
        return decode(root / item.id)


def _is_text(name: str) -> bool:
    """Tell whether a file name was decoded without stand-ins for bytes that are not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _walk(root: Path) -> list[Path]:
    """Return the visible files below a folder, through links, but no folder twice."""
    found: list[Path] = []
    seen: set[Path] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        # Sorted, so that of two links to one folder the same one counts everywhere.
        for path in sorted(folder.iterdir(), reverse=True):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                waiting.append(path)
            else:
                found.append(path)
    return found
