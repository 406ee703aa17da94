"""CIFAR-10 (Krizhevsky 2009): 32 px images of ten classes, read from the official archive."""

import io
import pickle
import tarfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.downloads import fetch
from data.sources import ImageSource, Item

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
FOLDER = "cifar-10-batches-py"
TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = ("test_batch",)
CLASSES = "batches.meta"
SIDE_PX = 32
ARRAY_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
ARRAY_PARTS: dict[str, Any] = {
    "_reconstruct": np.zeros(0).__reduce__()[0],
    "ndarray": np.ndarray,
    "dtype": np.dtype,
}


class Source(ImageSource):
    """60,000 color images of 32 px in ten classes; the official test set is the test split."""

    def items(self, root: Path) -> Sequence[Item]:
        """Return the 50,000 training and 10,000 test images; download them where they are missing.

        Raises:
            InputError: the download failed, or the archive is not the official one.
        """
        files = _load(root)
        classes = files[CLASSES]["label_names"]
        found = []
        for part, split, batches in (("train", None, TRAINING), ("test", "test", TEST)):
            places = [
                (name, row, label)
                for name in batches
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
def _load(root: Path) -> dict[str, dict[str, Any]]:
    """Return what is in the files of the archive, once it is known to be the official one."""
    fetch(URL, root / ARCHIVE, f"sha256:{ARCHIVE_SHA256}")
    found = {}
    with tarfile.open(root / ARCHIVE) as archive:
        for name in (*TRAINING, *TEST, CLASSES):
            file = archive.extractfile(f"{FOLDER}/{name}")
            assert file is not None  # as it is for folders
            found[name] = read_pickled_arrays(file.read())
    return found


def read_pickled_arrays(content: bytes) -> dict[str, Any]:
    """Return a pickled dictionary of plain values and NumPy arrays, of Python 2 or 3.

    Nothing else is loaded, so no code of a pickle runs, whoever made it.

    Raises:
        pickle.UnpicklingError: it asks for anything but the parts of an array.
    """
    found: dict[str, Any] = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    return found


class _ArrayUnpickler(pickle.Unpickler):
    """Knows the names that NumPy gives the parts of an array, and refuses every other one."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name of a pickle stands for."""
        if module in ARRAY_MODULES and name in ARRAY_PARTS:
            return ARRAY_PARTS[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")
