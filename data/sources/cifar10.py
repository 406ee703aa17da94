"""CIFAR-10 (Krizhevsky 2009): 32 px images of ten classes, read from the archive."""

import hashlib
import io
import pickle
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from data.downloads import fetch, read_members
from data.errors import InputError
from data.sources import ImageSource, Item

ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
SIDE_PX = 32
LARGEST_FILE_BYTES = 32_000_000
"""A batch of the official archive has some 31,036,000 bytes."""
FILES = 8
"""Of the official archive: six batches, the names of the classes and a page to read."""


class Source(ImageSource):
    """60,000 colour images of 32 px in ten classes; the official test set is the test split."""

    def items(self, root: Path) -> Sequence[Item]:
        """Return the 50,000 training and 10,000 test images; download them where they are missing.

        Raises:
            InputError: the download failed, or the archive is not the official one.
        """
        from torchvision.datasets import CIFAR10

        fetch(CIFAR10.url, root / ARCHIVE, f"sha256:{ARCHIVE_SHA256}")
        files = _load(root)
        classes = files[CIFAR10.meta["filename"]][CIFAR10.meta["key"]]
        found = []
        for part, split, batches in (
            ("train", None, CIFAR10.train_list),
            ("test", "test", CIFAR10.test_list),
        ):
            places = [
                (name, row, label)
                for name, _ in batches
                for row, label in enumerate(files[name]["labels"])
            ]
            for index, (name, row, label) in enumerate(places):
                item_id = f"{part}/{index:05d}"
                found.append(Item(item_id, key=(name, row), split=split, label=classes[label]))
        return sorted(found, key=lambda item: item.id)

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Return the 32 px image, which is stored as three planes."""
        name, row = item.key
        pixels: NDArray[np.uint8] = _load(root)[name]["data"][row]
        return np.ascontiguousarray(pixels.reshape(3, SIDE_PX, SIDE_PX).transpose(1, 2, 0))


@lru_cache(maxsize=1)
def _load(root: Path) -> dict[str, Any]:
    """Return what is in the files of the archive, by their names.

    Raises:
        InputError: the archive has other files than the official one.
    """
    from torchvision.datasets import CIFAR10

    md5 = dict([*CIFAR10.train_list, *CIFAR10.test_list])
    md5[CIFAR10.meta["filename"]] = CIFAR10.meta["md5"]
    paths = {f"{CIFAR10.base_folder}/{name}": name for name in md5}
    found: dict[str, Any] = {}

    def keep(path: str, file: IO[bytes]) -> None:
        content, name = file.read(), paths[path]
        if hashlib.md5(content).hexdigest() != md5[name]:
            raise InputError(f"{root / ARCHIVE}: {path} is not the official file (its MD5 differs)")
        found[name] = read_plain_pickle(content, f"{root / ARCHIVE}: {path}")

    sizes = dict.fromkeys(paths, LARGEST_FILE_BYTES)
    read_members(root / ARCHIVE, sizes, FILES * LARGEST_FILE_BYTES, keep)
    if missing := sorted(md5.keys() - found.keys()):
        raise InputError(f"{root / ARCHIVE}: has no {CIFAR10.base_folder}/{missing[0]}")
    return found


def read_plain_pickle(content: bytes, name: str) -> dict[str, Any]:
    """Return what a pickled dictionary of plain values and arrays of bytes holds.

    Nothing of it is executed: whatever it asks for by name is refused, but for the three names by
    which arrays go, and for these it is given stand-ins.

    Args:
        content: the pickle, of Python 2 or 3.
        name: says in errors where it is.

    Raises:
        InputError: it is damaged or holds something else.
    """
    try:
        found = _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
        return {
            key: value.pixels if isinstance(value, _Array) else value
            for key, value in found.items()
        }
    except Exception as error:  # a damaged pickle raises whatever comes of its operations
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: cannot be read ({reason})") from None


class _Array:
    """Stands in for an array of bytes."""

    pixels: NDArray[np.uint8]

    def __init__(self, *_: object) -> None:
        """Take the class, the shape and the type with which NumPy begins."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, _, is_fortran, content = state
        raw = content.encode("latin1") if isinstance(content, str) else content
        pixels = np.frombuffer(raw, np.uint8)
        self.pixels = pixels.reshape(shape, order="F" if is_fortran else "C")


class _ByteType:
    """Stands in for the type of an array, which has to be that of bytes."""

    def __init__(self, code: str, *_: object) -> None:
        if code != "u1":
            raise ValueError(f"an array of {code}")

    def __setstate__(self, state: object) -> None:
        """Take the byte order, which bytes have not."""


class _PlainUnpickler(pickle.Unpickler):
    """Gives stand-ins for what belongs to an array, and nothing else."""

    def find_class(self, module: str, name: str) -> type[_Array | _ByteType]:
        """Return what a name of a pickle stands for."""
        numpys = {"numpy", "numpy.core.multiarray", "numpy._core.multiarray"}
        if module in numpys and name in ("_reconstruct", "ndarray"):
            return _Array
        if (module, name) == ("numpy", "dtype"):
            return _ByteType
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")
