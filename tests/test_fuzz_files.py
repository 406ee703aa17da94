"""Files that are damaged at random, and files of others: refused, or equal in all that matters.

Every file of a small checkout is damaged in turn, by flips of bits, cuts, insertions and swaps. What
then reads it either raises one `InputError` that names it, or finds exactly what was there before.
"""

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import paths
from benchmark.baselines import evaluate_baselines
from benchmark.checkpoints import MANIFEST
from benchmark.config import Suite
from benchmark.evaluate import evaluate_run
from benchmark.paths import Run
from benchmark.pictures import read_pictures
from benchmark.results import Results, collect_results
from benchmark.scoring import load_test_set
from benchmark.split import split_suite
from benchmark.trained import load_trained
from data.errors import InputError
from data.store import Store
from tests.promises import tally
from tests.tiny import cpu_fabric, isolate, tiny_suite, tiny_variant, train_tiny

pytestmark = pytest.mark.promise("damage")
REFUSED = "corrupted files refused"
RUN = Run("tiny", "l2", 0)
PREPARED = paths.prepared("tiny")
FILES = [
    *[PREPARED / f"{split}.npy" for split in ("train", "val", "test")],
    *[PREPARED / name for name in ("val_boxes.npy", "test_boxes.npy", "manifest.csv", "digest.txt")],
    RUN.checkpoints / MANIFEST,
    RUN.checkpoints / "*.safetensors",
    *[RUN.scores, RUN.metrics, paths.baseline_scores("tiny"), paths.baseline_metrics("tiny")],
    *[RUN.provenance, RUN.curves],
]


def _suite() -> Suite:
    return tiny_suite({"epochs": 2})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a trained run and baselines, both scored."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        split_suite(_suite())
        train_tiny("l2", epochs=2)
        evaluate_run(_suite(), tiny_variant("l2"), RUN, "cpu")
        evaluate_baselines(_suite())
    return folder


@pytest.fixture
def checkout(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as the present folder; a test puts back what it damages."""
    isolate(monkeypatch, made)
    return made


def _read() -> dict[str, Any]:
    """Read everything, and return what matters of it."""
    suite, store = _suite(), Store(PREPARED)
    store.verify("train", "val", "test")
    test = load_test_set(suite)
    trained = load_trained(suite, tiny_variant("l2"), RUN, cpu_fabric())
    found = collect_results(suite, [RUN], {"l2": 0})
    read_pictures(found)
    return {
        "data": store.digest(),
        "pixels": [_sha256(store.images(split)) for split in ("train", "val", "test")],
        "boxes": [_sha256(store.boxes(split)) for split in ("val", "test")],
        "labels": [record.label for record in test.records],
        "weights": {n: _sha256(t) for n, t in trained.inpainter.network.state_dict().items()},
        "epoch": trained.epoch,
        "scores": _scores(found),
    }


def _scores(found: Results) -> str:
    facts = [dict(found.missing), dict(found.refused), {str(k): v for k, v in found.epochs.items()}]
    return json.dumps([found.aggregate, facts]) + found.frame.to_csv()


def _sha256(values: Any) -> str:
    array = np.ascontiguousarray(values.numpy() if isinstance(values, torch.Tensor) else values)
    return hashlib.sha256(array.tobytes()).hexdigest()


@contextmanager
def _damaged(path: Path, content: bytes) -> Iterator[None]:
    """Put another content in the place of a file's for a while."""
    whole = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(whole)


def _damage(content: bytes, chance: random.Random) -> bytes:
    """Flip a bit, cut, insert, swap two blocks, blank, or repeat a line."""
    damaged, size = bytearray(content), len(content)
    start = chance.randrange(size)
    end = min(size, start + chance.choice([1, 2, 16, 512]))
    match chance.choice(["flip", "flip", "flip", "cut", "tail", "insert", "swap", "blank", "line"]):
        case "flip":
            damaged[start] ^= 1 << chance.randrange(8)
        case "cut":
            del damaged[start:end]
        case "tail":
            del damaged[start:]
        case "insert":
            damaged[start:start] = chance.randbytes(end - start)
        case "swap":
            other = chance.randrange(size)
            length = min(end - start, size - max(start, other))
            ours, theirs = damaged[start : start + length], damaged[other : other + length]
            damaged[start : start + length], damaged[other : other + length] = theirs, ours
        case "blank":
            damaged[start:end] = bytes(end - start)
        case _:
            lines = content.splitlines(keepends=True)
            line = chance.randrange(len(lines))
            damaged = bytearray(b"".join([*lines[:line], *lines[line:][:1], *lines[line:]]))
    return bytes(damaged)


def _is_refused(path: Path, before: dict[str, Any]) -> bool:
    """Return whether reading is refused by a line that names the file; else check what is read."""
    try:
        found = _read()
    except InputError as error:
        message = str(error)
        assert message.isprintable(), message
        # What no longer fits a digest is named together with the others that it could be.
        assert any(name in message for name in (path.name, "digest.txt", str(RUN))) or (
            "suite tiny: " in message
        ), message
        tally(REFUSED)
        return True
    assert found == before, path
    return False


def _fuzz(pattern: Path, times: int) -> int:
    (path,) = Path().glob(str(pattern))
    before, content = _read(), path.read_bytes()
    chance, refused = random.Random(str(pattern)), 0
    for _ in range(times):
        if (damaged := _damage(content, chance)) != content:
            with _damaged(path, damaged):
                refused += _is_refused(path, before)
    return refused
