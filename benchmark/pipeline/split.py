"""The split stage: from a source to packed images, content-based splits and fixed holes."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for_any
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.core.files import atomic_folder, write_json
from data.draws import Label
from data.errors import InputError
from data.masks import mask_bank
from data.sources import Item, UnreadableImageError
from data.splits import SPLITS, Candidate, assign_splits, find_leaks, sort_key, split_digest
from data.store import Record, pixel_sha256, write_manifest

CHUNK = 16
"""Images that a worker decodes at a time."""
STOPS = (signal.SIGINT, signal.SIGTERM)


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
    _check_sizes(suite, items)
    with atomic_folder(paths.prepared(suite.name)) as folder:
        packed = folder / "packed.bytes"
        hashes = _pack(suite, items, root, packed, workers)
        readable = [index for index, sha256 in enumerate(hashes) if sha256 is not None]
        candidates = [Candidate(hashes[i] or "", items[i].group, items[i].split) for i in readable]
        with _naming(suite):
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
    # Closed here: an exception keeps the frames that it has left, and with them their processes.
    results = closing(_map(decode, items, workers))
    with bar, path.open("wb") as packed, results as decoded:
        for result in decoded:
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
) -> Generator[Decoded, None, None]:
    """Decode in order, with a bounded number of images on the way, so that memory stays flat."""
    if workers <= 1 or len(items) <= CHUNK:
        yield from map(decode, items)
        return
    starts = range(0, len(items), CHUNK)
    chunks = iter(enumerate(items[start : start + CHUNK] for start in starts))
    done: dict[int, list[Decoded]] = {}
    with _processes(decode, min(workers, len(starts))) as idle:
        busy: dict[Connection, int] = {}
        for number in range(len(starts)):
            while number not in done:
                ahead = 4 * workers - len(done) - len(busy)
                for connection, (sent, chunk) in zip(idle[:ahead], chunks, strict=False):
                    idle.remove(connection)
                    busy[connection] = sent
                    with _noticing_the_dead():
                        connection.send(chunk)
                ready = wait_for_any(list(busy))
                for connection in [c for c in busy if c in ready]:
                    done[busy.pop(connection)] = _received(connection)
                    idle.append(connection)
            yield from done.pop(number)


def _received(connection: Connection) -> list[Decoded]:
    with _noticing_the_dead():
        result: list[Decoded] | Exception = connection.recv()
    if isinstance(result, Exception):
        raise result
    return result


@contextmanager
def _noticing_the_dead() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError):
        raise InputError(
            "a process that decodes was killed, probably for want of memory; try --workers 1"
        ) from None


@contextmanager
def _processes(decode: Callable[[Item], Decoded], count: int) -> Iterator[list[Connection]]:
    """Start processes that decode what they are sent, and end them with the block.

    Each has a connection of its own, so that one that is killed, be it in the middle of a result,
    is noticed.
    """
    # spawn: forking a process that has threads (PyTorch, OpenCV) can dead-lock.
    context = multiprocessing.get_context("spawn")
    resource_tracker.ensure_running()  # before signals are held, since it lets them through
    started: list[tuple[BaseProcess, Connection]] = []
    try:
        with _held_signals():
            for _ in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, decode), daemon=True)
                process.start()
                theirs.close()
                started.append((process, ours))
        yield [ours for _, ours in started]
    finally:
        for worker, connection in started:
            connection.close()
            worker.kill()  # what it is at may take long
        for worker, _ in started:
            worker.join()


@contextmanager
def _held_signals() -> Iterator[None]:
    """Let signals that stop a program wait for the end of the block.

    A process that is started within it does not hear them until it says so. Ctrl-C goes to all
    processes of a terminal, and would have one that still loads its modules print a traceback.
    """
    received: list[int] = []
    handlers = {}
    # Elsewhere no handler is called, and none may be set.
    if threading.current_thread() is threading.main_thread():
        handlers = {n: signal.signal(n, lambda number, _: received.append(number)) for n in STOPS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])


def _serve(connection: Connection, decode: Callable[[Item], Decoded]) -> None:
    """Decode what comes, until the process at the other end has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    with suppress(EOFError, ConnectionError):
        while True:
            items = connection.recv()
            try:
                result: list[Decoded] | Exception = [decode(item) for item in items]
            except Exception as error:
                error.add_note(traceback.format_exc())  # a traceback does not travel itself
                result = error
            connection.send(result)


def _decode(suite: Suite, root: Path, item: Item) -> NDArray[np.uint8] | UnreadableImageError:
    try:
        pixels = suite.source.read(item, root, suite.image_size)
    except UnreadableImageError as error:
        return error
    return suite.resize.apply(pixels, suite.image_size)


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
