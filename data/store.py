"""The folder of a suite's packed images -> verified arrays, boxes and records."""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.errors import InputError, printable

MANIFEST, DIGEST, SUMMARY = "manifest.csv", "digest.txt", "split.json"
MANIFEST_COLUMNS = ("split", "index", "id", "sha256", "label")
GROUP_COLUMN = "group"
"""The last one, where there are groups."""


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
    group: str = ""
    """What the source calls its group; empty where the image is one of its own."""

    @property
    def unit(self) -> str:
        """Its group, or its own hash."""
        return self.group or self.sha256


@dataclass(frozen=True)
class Store:
    """The folder that the split stage writes.

    `<split>.npy` holds `[N, S, S, 3]` uint8 in content order, `<split>_boxes.npy` the fixed holes
    `[N, K, 4]` int32 of val and test, `manifest.csv` one line an image, `digest.txt` what `digest`
    returned when they were written, `split.json` a summary with the digest of the settings.
    """

    folder: Path

    def images(self, split: str) -> NDArray[np.uint8]:
        """Return the images of a split, memory-mapped, once all of them have been verified.

        Raises:
            InputError: the array is missing or damaged, or an image is not the one that was split.
        """
        images = self._images(split)
        self.verify(split)
        return images

    def _images(self, split: str) -> NDArray[np.uint8]:
        images: NDArray[np.uint8] = self._load(f"{split}.npy", mapped=True)
        self._check(f"{split}.npy", images, split, np.uint8, 4)
        return images

    def verify(self, *splits: str) -> None:
        """Compare the manifest and the holes with their digest, and all pixels of some splits.

        A split is compared once, as that reads all of it.

        Raises:
            InputError: an image, a hole, a label or the order is not what was split.
        """
        for split in splits:
            if split in self._verified:
                continue
            images = self._images(split)
            self._verify_digest()
            for record, pixels in zip(self.records(split), images, strict=True):
                if pixel_sha256(pixels) != record.sha256:
                    shown = f"image {record.index} ({record.id}) is not the one of the manifest"
                    raise self._wrong(f"{split}.npy", shown)
            self._verified.add(split)

    @cached_property
    def _verified(self) -> set[str]:
        return set()

    def require_settings(self, sha256: str) -> None:
        """Refuse images that were split by settings with another digest.

        Raises:
            InputError: they were, or nothing tells by which.
        """
        try:
            found = json.loads((self.folder / SUMMARY).read_bytes())["settings_sha256"]
        except FileNotFoundError:
            raise self._missing(SUMMARY) from None
        except (OSError, ValueError, LookupError, TypeError):
            found = None  # of a folder that was split before there was one too
        if found != sha256:
            raise self._wrong(SUMMARY, "the images were split with other settings of the suite")

    def _verify_digest(self) -> None:
        try:
            expected = (self.folder / DIGEST).read_bytes()
        except OSError:  # of a folder that was split before there was one too
            raise self._missing(DIGEST) from None
        if expected != f"{self.digest()}\n".encode():
            shown = f"is not that of {MANIFEST}, val_boxes.npy and test_boxes.npy"
            raise self._wrong(DIGEST, f"{shown}, so one of them is damaged or foreign")

    def boxes(self, split: str) -> NDArray[np.int32]:
        """Return the fixed holes of a split, `[N, K, 4]` boxes in pixels.

        Raises:
            InputError: the array is missing or damaged, or its length is not the manifest's.
        """
        boxes: NDArray[np.int32] = self._load(f"{split}_boxes.npy", mapped=False)
        self._check(f"{split}_boxes.npy", boxes, split, np.int32, 3)
        return boxes

    def _check(
        self, name: str, found: NDArray[Any], split: str, dtype: type[np.generic], axes: int
    ) -> None:
        expected, last = len(self.records(split)), {3: 4, 4: 3}[axes]
        fits = found.dtype == dtype and found.ndim == axes and found.shape[-1] == last
        if not fits or len(found) != expected:
            shown = f"has {found.dtype} {found.shape}, the manifest lists {expected} images"
            raise self._wrong(name, shown)

    def _load(self, name: str, mapped: bool) -> NDArray[Any]:
        try:
            mode: Literal["r"] | None = "r" if mapped else None
            found: NDArray[Any] = np.load(self.folder / name, mmap_mode=mode, allow_pickle=False)
        except FileNotFoundError:
            raise self._missing(name) from None
        # A header is Python text, and may be damaged in as many ways.
        except Exception as error:
            raise self._wrong(name, f"damaged ({printable(str(error))})") from None
        if not isinstance(found, np.ndarray):
            raise self._wrong(name, "not an array")
        return found

    def records(self, split: str) -> list[Record]:
        """Return the manifest's lines of a split, in the order of its array."""
        return [record for record in self._manifest if record.split == split]

    @cached_property
    def _manifest(self) -> list[Record]:
        try:
            with (self.folder / MANIFEST).open(encoding="utf-8", newline="") as file:
                header, *rows = csv.reader(file, strict=True)
            if tuple(header) not in (MANIFEST_COLUMNS, (*MANIFEST_COLUMNS, GROUP_COLUMN)):
                raise ValueError(f"the columns are {header}, not {list(MANIFEST_COLUMNS)}")
            if any(len(row) != len(header) for row in rows):
                raise ValueError(f"a line does not have {len(header)} fields")
            found = [Record(split, int(index), *texts) for split, index, *texts in rows]
            listed = Counter[str]()
            for record in found:
                if record.index != listed[record.split]:
                    raise ValueError(f"{record.split} {record.index} is not in its place")
                listed[record.split] += 1
            return found
        except FileNotFoundError:
            raise self._missing(MANIFEST) from None
        except (OSError, ValueError, csv.Error) as error:
            raise self._wrong(MANIFEST, f"damaged ({printable(str(error))})") from None

    def _missing(self, name: str) -> InputError:
        command = f"python -m benchmark split --suite {self.folder.name}"
        return InputError(f"{self.folder / name}: missing; `{command}` makes it")

    def _wrong(self, name: str, fault: str) -> InputError:
        return InputError(f"{self.folder / name}: {fault}; run the split stage again")

    def digest(self) -> str:
        """Return the SHA-256 over what later stages read: pixels, order, boxes, labels, groups.

        What a group is called plays no part.
        """
        return _digest(self._manifest, [self.boxes(split) for split in ("val", "test")])


def _digest(records: Sequence[Record], boxes: Sequence[NDArray[np.int32]]) -> str:
    digest, numbers = hashlib.sha256(), dict[str, int]()
    for record in records:
        content = [record.split, record.index, record.sha256, record.label]
        if record.group:
            content.append(numbers.setdefault(record.group, len(numbers)))
        digest.update(json.dumps(content).encode())
    for array in boxes:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write_manifest(path: Path, records: list[Record]) -> None:
    """Write the manifest as CSV, and beside it the digest; the holes have to be there already.

    Raises:
        InputError: the manifest could not be read back, for a carriage return in a name.
    """
    for record in records:
        if "\r" in record.id + record.label + record.group:
            raise InputError(
                f"{record.id!r} with the label {record.label!r}: what has a carriage return cannot "
                "be listed in the manifest"
            )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        is_grouped = any(record.group for record in records)
        columns = [*MANIFEST_COLUMNS, *([GROUP_COLUMN] if is_grouped else [])]
        writer.writerow(columns)
        writer.writerows([getattr(record, name) for name in columns] for record in records)
    boxes = [np.load(path.with_name(f"{split}_boxes.npy")) for split in ("val", "test")]
    digest = _digest(records, boxes)
    (path.parent / DIGEST).write_text(f"{digest}\n", encoding="ascii", newline="\n")


def pixel_sha256(pixels: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of an image's shape and pixels, hexadecimal."""
    digest = hashlib.sha256(json.dumps(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()
