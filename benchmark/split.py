"""The split stage: from a source to packed images, content-based splits and fixed holes."""

import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmark import paths
from benchmark.config import Suite
from benchmark.files import atomic_folder, write_json
from data.draws import Label
from data.errors import InputError
from data.masks import mask_bank
from data.sources import Item, UnreadableImageError
from data.splits import SPLITS, Candidate, assign_splits, find_leaks, sort_key, split_digest
from data.store import Record, pixel_sha256, write_manifest

CHUNK = 16
"""Images that a worker decodes at a time."""


def usable_cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def split_suite(suite: Suite, root: Path | None = None, workers: int = 1) -> dict[str, Any]:
    """Decode, resize, split and pack the images of a suite.

    Args:
        suite: what to split.
        root: folder of the images; `data/raw/<suite>` where it is None.
        workers: number of processes that decode; does not change the result.

    Returns:
        The summary that is also written to `split.json`.

    Raises:
        InputError: the images are missing, unreadable or too few, or differ from the pinned digest.
    """
    root = root or paths.raw(suite.name)
    items = list(suite.source.items(root))
    if repeated := [item_id for item_id, n in Counter(i.id for i in items).items() if n > 1]:
        raise InputError(f"suite {suite.name}: two images have the id {repeated[0]!r}")
    with atomic_folder(paths.prepared(suite.name)) as folder:
        packed = folder / "packed.bytes"
        hashes = _pack(suite, items, root, packed, workers)
        readable = [index for index, sha256 in enumerate(hashes) if sha256 is not None]
        candidates = [Candidate(hashes[i] or "", items[i].group, items[i].split) for i in readable]
        places = assign_splits(candidates, suite.splits)
        records, rows = _order(suite, [items[i] for i in readable], candidates, places)
        summary = {
            "counts": {split: sum(r.split == split for r in records) for split in SPLITS},
            "duplicates": len(readable) - len({c.sha256 for c in candidates}),
            "left_out": sum(place is None for place in places),
            "unreadable": [item.id for i, item in enumerate(items) if hashes[i] is None],
            "digest": split_digest([r.sha256 for r in records], [r.split for r in records]),
        }
        _check(suite, records, summary)
        for split in SPLITS:
            wanted = [row for row, r in zip(rows, records, strict=True) if r.split == split]
            _copy_rows(packed, wanted, suite.image_size, folder / f"{split}.npy")
        for split in ("val", "test"):
            sha256s = [r.sha256 for r in records if r.split == split]
            labels: list[Label] = [suite.evaluation.mask_seed, f"{split} mask"]
            bank = mask_bank(
                suite.mask, suite.image_size, labels, sha256s, suite.evaluation.masks_per_image
            )
            np.save(folder / f"{split}_boxes.npy", bank)
        write_manifest(folder / "manifest.csv", records)
        write_json(folder / "split.json", summary)
        packed.unlink()
    return summary


def _pack(
    suite: Suite, items: Sequence[Item], root: Path, path: Path, workers: int
) -> list[str | None]:
    """Write the pixels of all readable images one after the other, in the source's order.

    Files are written and read piecewise: pages of a mapped one would count as memory in use.

    Returns:
        The hash of each image, None where it is unreadable.
    """
    hashes: list[str | None] = []
    decode = partial(_decode, suite, root)
    bar = tqdm(total=len(items), desc=f"split {suite.name}", unit="image", mininterval=0.5)
    with bar, path.open("wb") as packed:
        for result in _map(decode, items, workers):
            if isinstance(result, UnreadableImageError):
                if suite.unreadable == "error":
                    raise InputError(
                        f"{result}. Remove it, or set `unreadable: skip` in "
                        f"{paths.SUITES / suite.name}.yaml to leave such files out and count them"
                    )
                hashes.append(None)
            else:
                packed.write(result.tobytes())
                hashes.append(pixel_sha256(result))
            bar.update()
    return hashes


Decoded = NDArray[np.uint8] | UnreadableImageError


def _map(
    decode: Callable[[Item], Decoded], items: Sequence[Item], workers: int
) -> Iterator[Decoded]:
    """Decode in order, with a bounded number of images on the way, so that memory stays flat."""
    if workers <= 1 or len(items) <= CHUNK:
        yield from map(decode, items)
        return
    chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
    # spawn: forking a process that has threads (PyTorch, OpenCV) can dead-lock.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            waiting = deque(
                pool.submit(_decode_all, decode, c) for c in islice(chunks, 4 * workers)
            )
            while waiting:
                yield from waiting.popleft().result()
                waiting.extend(pool.submit(_decode_all, decode, c) for c in islice(chunks, 1))
    except BrokenProcessPool:
        raise InputError(
            "a process that decodes was killed, probably for want of memory; try --workers 1"
        ) from None


def _decode_all(decode: Callable[[Item], Decoded], items: Sequence[Item]) -> list[Decoded]:
    return [decode(item) for item in items]


def _decode(suite: Suite, root: Path, item: Item) -> NDArray[np.uint8] | UnreadableImageError:
    try:
        pixels = suite.source.read(item, root, suite.image_size)
    except UnreadableImageError as error:
        return error
    return suite.resize.apply(pixels, suite.image_size)


def _order(
    suite: Suite,
    items: Sequence[Item],
    candidates: Sequence[Candidate],
    places: Sequence[str | None],
) -> tuple[list[Record], list[int]]:
    """Put the images of each split into content order, so that names play no part."""
    records, rows = [], []
    for split in SPLITS:
        members = [i for i, place in enumerate(places) if place == split]
        members.sort(key=lambda i: (sort_key(suite.splits.seed, candidates[i].sha256), items[i].id))
        for index, i in enumerate(members):
            records.append(Record(split, index, items[i].id, candidates[i].sha256, items[i].label))
        rows += members
    return records, rows


def _check(suite: Suite, records: Sequence[Record], summary: dict[str, Any]) -> None:
    counts: dict[str, int] = summary["counts"]
    if empty := [split for split, n in counts.items() if n == 0]:
        raise InputError(
            f"suite {suite.name}: the {empty[0]} split is empty; the sizes are {counts} of "
            f"{sum(counts.values())} images"
        )
    if counts["train"] < suite.training.batch_size:
        raise InputError(
            f"suite {suite.name}: {counts['train']} training images are fewer than "
            f"training.batch_size, {suite.training.batch_size}"
        )
    if leaks := find_leaks([r.sha256 for r in records], [r.split for r in records]):
        raise InputError(f"suite {suite.name}: {len(leaks)} images stand in two splits: {leaks[0]}")
    pinned = suite.splits.digest
    if pinned is not None and pinned != summary["digest"]:
        raise InputError(
            f"suite {suite.name}: the split's digest is {summary['digest']}, splits.digest pins "
            f"{pinned}: these are not the images, sizes or seed that the suite was made with"
        )


def _copy_rows(packed: Path, rows: Sequence[int], size: int, path: Path) -> None:
    """Copy images out of the packed bytes into an array file of their own."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(rows), size, size, 3)}
    image_bytes = size * size * 3
    with packed.open("rb") as source, path.open("wb") as target:
        np.lib.format.write_array_header_1_0(target, header)
        for row in rows:
            source.seek(row * image_bytes)
            target.write(source.read(image_bytes))
