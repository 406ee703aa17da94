"""STL-10 (Coates et al. 2011): 96 px images of ten classes, unpacked from the archive."""

import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import StrictBool
from tqdm import tqdm

from data.downloads import fetch, has_digest
from data.errors import InputError
from data.sources import ImageSource, Item

CLASSES = (
    *("airplane", "bird", "car", "cat", "deer"),
    *("dog", "horse", "monkey", "ship", "truck"),
)
SIDE_PX = 96
IMAGE_BYTES = 3 * SIDE_PX**2


class Source(ImageSource):
    """The 5,000 training images; the official 8,000 test images are the test split.

    With `unlabelled` the 100,000 images without a class, which also show other things, are added to
    those that may be cut into training and validation.
    """

    unlabelled: StrictBool = False

    def items(self, root: Path) -> Sequence[Item]:
        """Return all images; download and unpack the archive where they are missing.

        Raises:
            InputError: the download failed, or a file is not the official one.
        """
        parts = {"test": "test", "train": "train"}
        parts |= {"unlabelled": "unlabeled"} if self.unlabelled else {}
        pixels = {part: f"{name}_X.bin" for part, name in parts.items()}
        labels = {part: f"{parts[part]}_y.bin" for part in ("test", "train")}
        folder = _unpack(root, [*pixels.values(), *labels.values()])
        found: list[Item] = []
        for part, file in pixels.items():
            count = (root / folder / file).stat().st_size // IMAGE_BYTES
            classes = bytes(count)
            if part in labels:
                classes = (root / folder / labels[part]).read_bytes()
            found += _items_of(part, f"{folder}/{file}", classes)
        return found

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Return the 96 px image, which is stored as three planes, column after column."""
        path, index = item.key
        with (root / path).open("rb") as file:
            file.seek(index * IMAGE_BYTES)
            planes = np.frombuffer(file.read(IMAGE_BYTES), dtype=np.uint8)
        return np.ascontiguousarray(planes.reshape(3, SIDE_PX, SIDE_PX).transpose(2, 1, 0))


def _items_of(part: str, path: str, classes: bytes) -> Iterator[Item]:
    """Yield the items of a file; a class is a number from 1 on, or 0 where there is none."""
    split = "test" if part == "test" else None
    for index, number in enumerate(classes):
        label = CLASSES[number - 1] if number else ""
        yield Item(id=f"{part}/{index:06d}", key=(path, index), split=split, label=label)


def _unpack(root: Path, names: Sequence[str]) -> str:
    """Make sure that some files of the archive are there; return their folder.

    A file's place is ours: whatever paths the archive has, nothing is written elsewhere.
    """
    from torchvision.datasets import STL10

    folder, digests = STL10.base_folder, dict(STL10.train_list + STL10.test_list)
    missing = [n for n in names if not has_digest(root / folder / n, f"md5:{digests[n]}")]
    if not missing:
        return str(folder)
    fetch(STL10.url, root / STL10.filename, f"md5:{STL10.tgz_md5}")
    (root / folder).mkdir(exist_ok=True)
    with tarfile.open(root / STL10.filename) as archive:
        for name in tqdm(missing, unit="file"):
            content = archive.extractfile(f"{folder}/{name}")
            assert content is not None  # as it is for folders
            with (root / folder / name).open("wb") as file:
                shutil.copyfileobj(content, file)
    for name in missing:
        if not has_digest(root / folder / name, f"md5:{digests[name]}"):
            raise InputError(f"{root / folder / name}: not the official file (its MD5 differs)")
    return str(folder)
