"""The packed form of a suite's images: arrays, boxes and a manifest."""

import csv
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.errors import InputError

MANIFEST_COLUMNS = ("split", "index", "id", "sha256", "label")


@dataclass(frozen=True)
class Record:
    """One image of the manifest."""

    split: str
    index: int
    """Row of the split's array."""
    id: str
    sha256: str
    """Hash of the packed pixels."""
    label: str


@dataclass(frozen=True)
class Store:
    """The folder that the split stage writes.

    `<split>.npy` holds `[N, S, S, 3]` uint8 in content order, `<split>_boxes.npy` the fixed holes
    `[N, K, 4]` int32 of val and test, `manifest.csv` one line an image.
    """

    folder: Path

    def images(self, split: str) -> NDArray[np.uint8]:
        """Return the images of a split, memory-mapped.

        Raises:
            InputError: the array is missing or damaged, or its length is not the manifest's.
        """
        images = self._load(f"{split}.npy", mapped=True)
        expected = len(self.records(split))
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) != expected:
            raise InputError(
                f"{self.folder / split}.npy: has {images.dtype} {images.shape}, the manifest lists "
                f"{expected} images; run the split stage again"
            )
        return images

    def boxes(self, split: str) -> NDArray[np.int32]:
        """Return the fixed holes of a split, `[N, K, 4]` boxes in pixels."""
        boxes: NDArray[np.int32] = self._load(f"{split}_boxes.npy", mapped=False)
        return boxes

    def _load(self, name: str, mapped: bool) -> NDArray[Any]:
        try:
            mode: Literal["r"] | None = "r" if mapped else None
            found: NDArray[Any] = np.load(self.folder / name, mmap_mode=mode, allow_pickle=False)
        except FileNotFoundError:
            raise InputError(
                f"{self.folder / name}: missing; "
                f"`python -m benchmark split --suite {self.folder.name}` makes it"
            ) from None
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{self.folder / name}: damaged ({error}); run the split stage again"
            ) from None
        return found

    def records(self, split: str) -> list[Record]:
        """Return the manifest's lines of a split, in the order of its array."""
        return [record for record in self._manifest if record.split == split]

    @cached_property
    def _manifest(self) -> list[Record]:
        path = self.folder / "manifest.csv"
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            return [
                Record(r["split"], int(r["index"]), r["id"], r["sha256"], r["label"]) for r in rows
            ]
        except FileNotFoundError:
            raise InputError(
                f"{path}: missing; `python -m benchmark split --suite {self.folder.name}` makes it"
            ) from None
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"{path}: damaged ({error}); run the split stage again") from None

    def digest(self) -> str:
        """Return the SHA-256 over what later stages read: pixels, order, boxes, labels."""
        digest = hashlib.sha256()
        for record in self._manifest:
            content = [record.split, record.index, record.sha256, record.label]
            digest.update(json.dumps(content).encode())
        for split in ("val", "test"):
            digest.update(np.ascontiguousarray(self.boxes(split)).tobytes())
        return digest.hexdigest()


def write_manifest(path: Path, records: list[Record]) -> None:
    """Write the manifest as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(MANIFEST_COLUMNS)
        writer.writerows((r.split, r.index, r.id, r.sha256, r.label) for r in records)


def pixel_sha256(pixels: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of an image's shape and pixels, hexadecimal."""
    digest = hashlib.sha256(json.dumps(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()
