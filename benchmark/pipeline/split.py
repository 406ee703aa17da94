"""The split stage: a source of images -> packed images, splits by content and fixed holes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.core.files import atomic_folder, write_json
from benchmark.core.hashing import json_digest
from benchmark.pipeline.workers import map_in_order
from data.draws import Label
from data.errors import InputError
from data.images import LevelsError
from data.masks import mask_bank
from data.sources import Item, UnreadableImageError
from data.splits import SPLITS, Candidate, assign_splits, find_leaks, sort_key, split_digest
from data.store import Record, pixel_sha256, write_manifest

CHUNK = 16
"""Images that a worker decodes at a time."""


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
    _check_sizes(suite, items)
    with atomic_folder(paths.prepared(suite.name)) as folder:
        packed = folder / "packed.bytes"
        hashes = _pack(suite, items, root, packed, workers)
        readable = [index for index, sha256 in enumerate(hashes) if sha256 is not None]
        candidates = [Candidate(hashes[i] or "", items[i].group, items[i].split) for i in readable]
        with _naming(suite):
            places = assign_splits(candidates, suite.splits)
        records, members = _order(suite, [items[i] for i in readable], candidates, places)
        rows = [readable[member] for member in members]
        summary = {
            "counts": {split: sum(r.split == split for r in records) for split in SPLITS},
            "duplicates": len(readable) - len({c.sha256 for c in candidates}),
            "left_out": sum(place is None for place in places),
            "unreadable": [item.id for i, item in enumerate(items) if hashes[i] is None],
            "digest": split_digest([r.sha256 for r in records], [r.split for r in records]),
            "settings_sha256": json_digest(suite.split_settings),
        }
        if any(record.group for record in records):
            summary["groups"] = {
                split: len({r.unit for r in records if r.split == split}) for split in SPLITS
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
    suite: Suite, items: Sequence[Item], root: Path, packed: Path, workers: int
) -> list[str | None]:
    """Write the pixels of all images to a file, each at its place in the source's order.

    Files are written and read piecewise: pages of a mapped one would count as memory in use.

    Returns:
        The hash of each image, None where it is unreadable and its place stays empty.
    """
    packed.touch()
    hashes: list[str | None] = []
    starts = range(0, len(items), CHUNK)
    chunks = ((start, items[start : start + CHUNK]) for start in starts)
    work = partial(_pack_chunk, suite, root, packed.absolute())
    bar = tqdm(total=len(items), desc=f"split {suite.name}", unit="image", mininterval=0.5)
    # Closed here: an exception keeps the frames that it has left, and with them their processes.
    with bar, closing(map_in_order(work, chunks, min(workers, len(starts)))) as results:
        for chunk in results:
            for result in chunk:
                if isinstance(result, LevelsError):  # to skip it would be to choose by brightness
                    raise InputError(str(result))
                if isinstance(result, UnreadableImageError) and suite.unreadable == "error":
                    raise InputError(
                        f"{result}. Remove it, or set `unreadable: skip` in "
                        f"{paths.SUITES / suite.name}.yaml to leave such files out and count them"
                    )
                hashes.append(result if isinstance(result, str) else None)
            bar.update(len(chunk))
    return hashes


def _pack_chunk(
    suite: Suite, root: Path, packed: Path, chunk: tuple[int, Sequence[Item]]
) -> list[str | UnreadableImageError]:
    """Decode images and write their pixels; return the hash of each, or why there is none.

    Pixels go to the file from here, as they are too large to be handed over safely.
    """
    start, items = chunk
    results: list[str | UnreadableImageError] = []
    with packed.open("r+b") as file:
        for index, item in enumerate(items, start=start):
            try:
                pixels = suite.source.read(item, root, suite.image_size)
            except UnreadableImageError as error:
                results.append(error)
                continue
            pixels = suite.resize.apply(pixels, suite.image_size)
            file.seek(index * pixels.nbytes)
            file.write(pixels.tobytes())
            results.append(pixel_sha256(pixels))
    return results


@contextmanager
def _naming(suite: Suite) -> Iterator[None]:
    """Have an error say which suite it is about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"suite {suite.name}: {error}") from None


def _check_sizes(suite: Suite, items: Sequence[Item]) -> None:
    """Refuse sizes that these images cannot fill, before any of them is decoded."""
    free = sum(item.split is None for item in items)
    official = {item.split for item in items}
    with _naming(suite):
        counts = dict(zip(SPLITS, suite.splits.counts(free), strict=True))
        if empty := [s for s, count in counts.items() if count == 0 and s not in official]:
            raise InputError(
                f"the {empty[0]} split is empty; the sizes are {counts} of {free} images"
            )


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
            item, sha256 = items[i], candidates[i].sha256
            records.append(Record(split, index, item.id, sha256, item.label, item.group or ""))
        rows += members
    return records, rows


def _check(suite: Suite, records: Sequence[Record], summary: dict[str, Any]) -> None:
    counts: dict[str, int] = summary["counts"]
    if empty := [split for split, n in counts.items() if n == 0]:
        raise InputError(
            f"suite {suite.name}: the {empty[0]} split is empty; the sizes are {counts} of "
            f"{sum(counts.values())} images"
            + (f"; {suite.source.group_noun} stay whole" if "groups" in summary else "")
        )
    if counts["train"] < suite.training.batch_size:
        raise InputError(
            f"suite {suite.name}: {counts['train']} training images are fewer than "
            f"training.batch_size, {suite.training.batch_size}"
        )
    for what, names in (
        ("images", [r.sha256 for r in records]),
        (suite.source.group_noun, [r.unit for r in records]),
    ):
        if leaks := find_leaks(names, [r.split for r in records]):
            raise InputError(
                f"suite {suite.name}: {len(leaks)} {what} stand in two splits: {leaks[0]}"
            )
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
