"""Files that are damaged at random, and files of others: refused, or equal in all that matters.

Every file of a small checkout is damaged in turn, by flips of bits, cuts, insertions and swaps.
What then reads it raises one `InputError` that names it, or finds exactly what was there before.
"""

import hashlib
import json
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.core import paths
from benchmark.core.config import Suite, load_suite
from benchmark.core.paths import Run
from benchmark.evaluation.reference_runs import read_reference
from benchmark.evaluation.results import Results, collect_results
from benchmark.evaluation.test_set import load_test_set
from benchmark.inference.trained import load_trained
from benchmark.pipeline.baselines import evaluate_baselines
from benchmark.pipeline.evaluate import evaluate_run
from benchmark.pipeline.reference import find_runs, write_reference
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from benchmark.reporting.figures.pictures import read_pictures
from benchmark.training.checkpoints import MANIFEST
from data.errors import InputError
from data.store import Store
from tests.support.promises import tally
from tests.support.report_tree import GOOD, Checkout, draw_nothing
from tests.support.tiny import cpu_engine, isolate, make_scored, tiny_suite, tiny_variant

pytestmark = pytest.mark.promise("damage")
REFUSED = "corrupted files refused"
RUN = Run("tiny", "l2", 0)
PREPARED = paths.prepared("tiny")
WEIGHTS = "epoch0002.safetensors"
HASHED = [
    *[PREPARED / f"{split}.npy" for split in ("train", "val", "test")],
    *[PREPARED / name for name in ("val_boxes.npy", "test_boxes.npy", "digest.txt")],
    RUN.checkpoints / WEIGHTS,
]
"""Files of which no content is left unseen, but for the header of an array."""
FILES = [
    *[PREPARED / f"{split}.npy" for split in ("train", "val", "test")],
    *[PREPARED / f"{split}_boxes.npy" for split in ("val", "test")],
    *[PREPARED / name for name in ("manifest.csv", "digest.txt")],
    RUN.checkpoints / MANIFEST,
    RUN.checkpoints / WEIGHTS,
    *[RUN.scores, RUN.metrics, paths.baseline_scores("tiny"), paths.baseline_metrics("tiny")],
    *[RUN.provenance, RUN.curves],
]


def _suite() -> Suite:
    return tiny_suite({"epochs": 2}, evaluation={"checkpoint": "last", "examples": 3})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a trained run and baselines, both scored."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        make_scored(_suite())
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
    trained = load_trained(suite, tiny_variant("l2"), RUN, cpu_engine())
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


def _fuzz(path: Path, times: int) -> int:
    """Damage a file a number of times and return how often that was refused."""
    before, content = _read(), path.read_bytes()
    chance, refused = random.Random(str(path)), 0
    for _ in range(times):
        if (damaged := _damage(content, chance)) != content:
            with _damaged(path, damaged):
                refused += _is_refused(path, before)
    return refused


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_damaged_file_is_refused_or_makes_no_difference(checkout: Path, path: Path) -> None:
    assert _fuzz(path, 4) > 0


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_damaged_often_is_refused_or_makes_no_difference(checkout: Path, path: Path) -> None:
    assert _fuzz(path, 150) > 0


@pytest.mark.parametrize("path", HASHED, ids=str)
def test_any_bit_of_what_is_hashed_matters(checkout: Path, path: Path) -> None:
    content, chance = path.read_bytes(), random.Random(0)
    for _ in range(8):
        # NumPy pads the header of an array with spaces to 128 bytes.
        place = chance.randrange(128 if path.suffix == ".npy" else 0, len(content))
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        with _damaged(path, bytes(damaged)), pytest.raises(InputError, match=r"tiny"):
            _read()
        tally(REFUSED)


@pytest.mark.parametrize("name", ["test", "val", "train"])
def test_images_in_another_order_are_refused(checkout: Path, name: str) -> None:
    path = PREPARED / f"{name}.npy"
    images = np.load(path)
    with _damaged(path, b""):
        np.save(path, images[::-1])
        with pytest.raises(InputError, match=rf"{name}\.npy: image 0 .* is not the one"):
            Store(PREPARED).images(name)
    tally(REFUSED)


def test_images_and_manifest_in_another_order_are_refused(checkout: Path) -> None:
    """Both are exchanged alike, so that every image has its hash: only the digest tells."""
    path, manifest = PREPARED / "test.npy", PREPARED / "manifest.csv"
    images = np.load(path)
    lines = manifest.read_text().splitlines(keepends=True)
    first, second = (
        next(i for i, line in enumerate(lines) if line.startswith(f"test,{n},")) for n in (0, 1)
    )
    rest = [lines[i].split(",", 2)[2] for i in (second, first)]
    lines[first], lines[second] = f"test,0,{rest[0]}", f"test,1,{rest[1]}"
    with _damaged(path, b""), _damaged(manifest, "".join(lines).encode()):
        np.save(path, images[[1, 0, *range(2, len(images))]])
        with pytest.raises(InputError, match=r"digest\.txt: is not that of manifest\.csv"):
            Store(PREPARED).verify("test")
    tally(REFUSED)


def test_another_label_is_refused(checkout: Path) -> None:
    manifest = PREPARED / "manifest.csv"
    *lines, last = manifest.read_text().splitlines()
    assert last.endswith(",")
    text = "\n".join([*lines, f"{last}cat", ""])
    with _damaged(manifest, text.encode()), pytest.raises(InputError, match=r"digest\.txt"):
        load_test_set(_suite())
    tally(REFUSED)


def test_a_prepared_folder_without_its_digest_names_the_command(checkout: Path) -> None:
    path = PREPARED / "digest.txt"
    with _damaged(path, b""):
        path.unlink()
        message = r"digest\.txt: missing; `python -m benchmark split --suite tiny` makes it"
        with pytest.raises(InputError, match=message):
            load_test_set(_suite())
    tally(REFUSED)


# Whole files of others


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with other images and another seed."""
    folder = tmp_path_factory.mktemp("foreign")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        suite = _suite().model_copy(
            update={"splits": _suite().splits.model_copy(update={"seed": 2})}
        )
        run = Run("tiny", "l2", 0)
        split_suite(suite)
        train_run(suite, tiny_variant("l2"), run, "cpu")
        torch.use_deterministic_algorithms(False)
        evaluate_run(suite, tiny_variant("l2"), run, "cpu")
        evaluate_baselines(suite)
    return folder


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path not in (RUN.provenance, RUN.curves)],
    ids=str,
)
def test_a_file_of_another_checkout_is_refused(checkout: Path, foreign: Path, path: Path) -> None:
    content = (foreign / path).read_bytes()
    assert content != path.read_bytes()
    with _damaged(path, content), pytest.raises(InputError):
        _read()
    tally(REFUSED)


def test_a_prepared_folder_of_another_checkout_is_refused(checkout: Path, foreign: Path) -> None:
    """It is whole in itself, so that only those who know another one can tell."""
    kept = PREPARED.with_name("kept")
    PREPARED.rename(kept)
    try:
        shutil.copytree(foreign / PREPARED, PREPARED)
        with pytest.raises(InputError, match="trained with another data than the present one"):
            load_trained(_suite(), tiny_variant("l2"), RUN, cpu_engine())
        tally(REFUSED)
        with pytest.raises(InputError, match="which is not in"):
            read_pictures(collect_results(_suite(), [RUN], {"l2": 0}))
        tally(REFUSED)
    finally:
        shutil.rmtree(PREPARED)
        kept.rename(PREPARED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("l2,0,", "l2,1,"), r"\('l2', 1\)"),
        (lambda text: text.replace("l2,0,", "telea,0,"), r"does not follow from .*seed0\.csv"),
        (lambda text: "".join(_swapped(text)), "in another order"),
        (lambda text: text.replace("mse_h", "mse_x"), r"does not follow from .*seed0\.csv"),
        (lambda text: text.splitlines(keepends=True)[0], r"does not follow from .*seed0\.csv"),
        (lambda text: _last_digit(text), r"seed0\.json: does not follow from .*seed0\.csv"),
    ],
    ids=["seed", "method", "order", "column", "rows", "digit"],
)
def test_a_changed_ledger_is_refused(
    checkout: Path, change: Callable[[str], str], message: str
) -> None:
    text = RUN.scores.read_text()
    with _damaged(RUN.scores, change(text).encode()), pytest.raises(InputError, match=message):
        collect_results(_suite(), [RUN], {"l2": 0})
    tally(REFUSED)


def _swapped(text: str) -> list[str]:
    head, first, second, *rest = text.splitlines(keepends=True)
    return [head, second, first, *rest]


def _last_digit(text: str) -> str:
    """Change the last of seven digits of one score."""
    head, first, *rest = text.splitlines(keepends=True)
    cells = first.split(",")
    column = head.split(",").index("mae_h")
    cells[column] = cells[column][:-1] + str((int(cells[column][-1]) + 1) % 10)
    return head + ",".join(cells) + "".join(rest)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("protocol", "ib2"), ("epoch", 3), ("epoch", 0), ("epoch", "last"), ("epoch", None),
        ("checkpoint", "best"), ("missing", []), ("missing", {"lpips_alex": "another reason"}),
        ("methods", {}), ("by_label", {"cat": {}}), ("methods", None),
    ],
)  # fmt: skip
def test_changed_metrics_are_refused(checkout: Path, key: str, value: Any) -> None:
    content = json.loads(RUN.metrics.read_text()) | {key: value}
    with (
        _damaged(RUN.metrics, json.dumps(content).encode()),
        pytest.raises(InputError, match=r"l2/seed0\.json: "),
    ):
        collect_results(_suite(), [RUN], {"l2": 0})
    tally(REFUSED)


SHAPES: list[Any] = [[], None, 1, "text", {}, {"training": []}, {"evaluation": {}}]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *[(p, value) for p in (RUN.provenance, RUN.metrics, RUN.diagnosis) for value in SHAPES],
        # Nothing has to be in this one.
        *[(RUN.version, value) for value in SHAPES if value not in ({}, {"evaluation": {}})],
    ],
    ids=str,
)
def test_json_of_another_shape_is_refused(checkout: Path, path: Path, value: Any) -> None:
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        with (
            _damaged(path, json.dumps(value).encode()),
            pytest.raises(InputError, match=rf"{path}"),
        ):
            collect_results(_suite(), [RUN], {"l2": 0})
    finally:
        if is_new:
            path.unlink()
    tally(REFUSED)


# Nothing that is loaded executes code


class Trap:
    """Makes a file where it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


@pytest.mark.promise("no_execution")
@pytest.mark.parametrize(
    "path",
    [
        *[path for path in FILES if path.suffix in (".npy", ".safetensors", ".json", ".csv")],
        RUN.completed,
        paths.baseline_completed("tiny") / "telea.npy",
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["pickle", "object array", "archive of arrays", "checkpoint"])
def test_code_in_a_file_is_not_executed(checkout: Path, path: Path, form: str) -> None:
    with _damaged(path, b""):
        if form == "pickle":
            path.write_bytes(pickle.dumps(Trap()))
        elif form == "checkpoint":
            torch.save({"generator": Trap()}, path)
        else:
            with path.open("wb") as file:
                array = np.array([Trap()], dtype=object)
                np.save(file, array) if form == "object array" else np.savez(file, array)
        with pytest.raises(InputError, match=path.name):
            _read()
    assert not Path("executed").exists()


# Reference runs


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of reference runs, whole."""
    checkout = Checkout(tmp_path, {"l2": GOOD})
    monkeypatch.chdir(tmp_path)
    draw_nothing(monkeypatch)
    write_reference(checkout.suite)
    return paths.reference(checkout.suite)


@pytest.mark.parametrize("name", ["reference.json", "suite.yaml", "scores/l2/seed0.csv"])
def test_damaged_reference_runs_are_refused_or_make_no_difference(kept: Path, name: str) -> None:
    path, chance = kept / name, random.Random(name)
    content, before = path.read_bytes(), _scores(read_reference(kept).results)
    for _ in range(20):
        damaged = _damage(content, chance)
        with _damaged(path, damaged):
            try:
                found = _scores(read_reference(kept).results)
            except InputError as error:
                assert str(error).isprintable()
                tally(REFUSED)
            else:
                assert name != "scores/l2/seed0.csv" or found == before, damaged


@pytest.mark.parametrize("value", [[], {"training": []}, {"training": {"environment": 1}}, 3])
def test_provenance_of_another_shape_is_refused_by_the_reference_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    checkout = Checkout(tmp_path, {"l2": GOOD})
    monkeypatch.chdir(tmp_path)
    checkout.write_json(Run("tiny", "l2", 0).provenance, value)
    digest = Store(paths.prepared("tiny")).digest()
    try:
        runs, left_out = find_runs(load_suite("tiny"), digest)
    except InputError as error:
        assert "provenance/tiny/l2/seed0.json" in str(error)
    else:
        assert not runs and "tiny/l2/seed0" in left_out
    tally(REFUSED)
