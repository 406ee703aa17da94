"""The split stage from a folder of images to packed arrays."""

import hashlib
import json
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmark.core import files
from benchmark.core.config import Suite
from benchmark.pipeline import split, workers
from benchmark.pipeline.attach import attach_folder
from benchmark.pipeline.split import split_suite
from data.errors import InputError
from data.masks import mask_bank
from data.sources import ImageSource, Item
from data.splits import SPLITS, find_leaks
from data.store import Store, pixel_sha256
from tests.support.faults import full_disk
from tests.support.promises import tally

PREPARED = Path("data/prepared/small")
ARTIFACTS = [
    *["digest.txt", "manifest.csv", "split.json", "test.npy", "test_boxes.npy"],
    *["train.npy", "val.npy", "val_boxes.npy"],
]


def suite(**changes: Any) -> Suite:
    entries: dict[str, Any] = {
        "name": "small",
        "title": "Small",
        "description": "",
        "source": {"name": "image_folder"},
        "image_size": 16,
        "splits": {"seed": 42, "train": 0.6, "val": 0.2, "test": 0.2},
        "mask": {"kind": "random_square", "size": 8},
        "training": {"epochs": 1, "batch_size": 4},
        "evaluation": {"masks_per_image": 3},
    }
    return Suite.model_validate({**entries, **changes})


def picture(number: int) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (18, 20, 3), dtype=np.uint8)


def put_images(root: Path, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(root / name)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with 20 images at the place of the suite's own."""
    monkeypatch.chdir(tmp_path)
    put_images(Path("data/raw/small"), [f"{i:02d}.png" for i in range(20)])
    return tmp_path / "data/raw/small"


def contents(folder: Path = PREPARED) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def truncate(path: Path, share: float = 0.5) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


# What is written


def test_artifacts_agree_with_each_other_and_with_the_images(root: Path) -> None:
    made = suite()
    summary = split_suite(made)
    assert list(contents()) == ARTIFACTS
    assert summary == json.loads((PREPARED / "split.json").read_text())
    assert summary["counts"] == {"train": 12, "val": 4, "test": 4}
    assert (summary["duplicates"], summary["left_out"], summary["unreadable"]) == (0, 0, [])
    store, seen = Store(PREPARED), []
    for name in ("train", "val", "test"):
        images, records = store.images(name), store.records(name)
        assert images.shape == (len(records), 16, 16, 3) and images.dtype == np.uint8
        for row, record in enumerate(records):
            original = picture(int(record.id.removesuffix(".png")))
            assert np.array_equal(images[row], made.resize.apply(original, 16))
            assert record.index == row
            assert record.sha256 == pixel_sha256(np.array(images[row]))
            seen.append((record.sha256, name, record.id))
    assert sorted(item_id for _, _, item_id in seen) == sorted(p.name for p in root.iterdir())
    lines = sorted(f"{name} {sha256}\n" for sha256, name, _ in seen)
    assert summary["digest"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert find_leaks([h for h, _, _ in seen], [name for _, name, _ in seen]) == []


@pytest.mark.promise("masks")
def test_holes_are_the_bank_of_the_packed_pixels(root: Path) -> None:
    made = suite(evaluation={"masks_per_image": 3, "mask_seed": 9})
    split_suite(made)
    store = Store(PREPARED)
    for name in ("val", "test"):
        hashes = [pixel_sha256(np.array(image)) for image in store.images(name)]
        expected = mask_bank(made.mask, 16, [9, f"{name} mask"], hashes, 3)
        assert np.array_equal(store.boxes(name), expected)


@pytest.mark.promise("workers")
def test_any_number_of_workers_writes_the_bytes_of_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first chunk takes longer, so that results in order of arrival would be in another order.
    Image.new("RGB", (3500, 3500), "teal").save(root / "00.png")
    split_suite(suite(), workers=1)
    alone = contents()
    processes = count_processes(monkeypatch)
    for number, chunk in ((2, split.CHUNK), (4, 3)):
        monkeypatch.setattr(split, "CHUNK", chunk)  # of twenty images
        split_suite(suite(), workers=number)
        assert contents() == alone and processes.pop() == number
        tally("numbers of workers compared")


def count_processes(patch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which every set of workers adds its number."""
    original, numbers = workers._pool, list[int]()

    def counted(count: int) -> Any:
        numbers.append(count)
        return original(count)

    patch.setattr(workers, "_pool", counted)
    return numbers


@pytest.mark.promise("names")
def test_names_decide_neither_arrays_nor_holes(root: Path) -> None:
    split_suite(suite())
    before, digest = contents(), Store(PREPARED).digest()
    for number, path in enumerate(sorted(root.iterdir())):
        (root / f"folder {number % 3}").mkdir(exist_ok=True)
        path.rename(root / f"folder {number % 3}" / f"renamed\n{97 * number % 101}.png")
    split_suite(suite())
    after = contents()
    for name in ARTIFACTS:
        assert (after[name] == before[name]) == (name != "manifest.csv"), name
    assert Store(PREPARED).digest() == digest
    assert {record.id.split("/")[0] for record in Store(PREPARED).records("train")} == {
        *("folder 0", "folder 1", "folder 2")
    }


@pytest.mark.promise("names")
def test_order_of_listing_decides_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (root / f"deep {number % 3}").mkdir(exist_ok=True)
        (root / f"{number:02d}.png").rename(root / f"deep {number % 3}/{number:02d}.png")
    split_suite(suite())
    before, scan = contents(), os.scandir
    for seed in range(3):

        @contextmanager
        def shuffled(folder: Path, seed: int = seed) -> Iterator[Iterator[os.DirEntry[str]]]:
            with scan(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
            random.Random(seed).shuffle(listed)
            yield iter(listed)

        with monkeypatch.context() as patch:
            patch.setattr("data.folders.os", SimpleNamespace(scandir=shuffled))
            split_suite(suite())
        assert contents() == before
        tally("orders of listing compared")


COUNTED = {"seed": 42, "train": 12, "val": 4, "test": 4}
SHARED = {"seed": 42, "train": 0.6, "val": 0.2, "test": 0.2}


@pytest.mark.promise("names")
@pytest.mark.parametrize("spec", [COUNTED, SHARED], ids=["counts", "fractions"])
def test_an_image_that_is_added_moves_others_only_over_the_cuts(
    root: Path, spec: dict[str, Any]
) -> None:
    before = members(split_suite(suite(splits=spec))["counts"])
    for number in range(100, 106):
        Image.fromarray(picture(number)).save(root / "new.png")
        after = members(split_suite(suite(splits=spec))["counts"])
        added = {pixel_sha256(suite().resize.apply(picture(number), 16))}
        # In content order the new image pushes at most one other over each cut: out of a split
        # into the next one, or, of the last one, out of the counts.
        for here, there in zip(SPLITS, (*SPLITS[1:], None), strict=True):
            left = before[here] - after[here]
            assert len(left) <= 1 and left <= (after[there] if there else left)
            assert len(after[here] - before[here] - added) <= 1
        gone = set().union(*before.values()) - set().union(*after.values())
        assert len(gone) == (spec is COUNTED and added <= set().union(*after.values()))
        tally("added images followed")


def members(counts: dict[str, int]) -> dict[str, set[str]]:
    """Return who is in which split, by content."""
    store = Store(PREPARED)
    found = {name: {record.sha256 for record in store.records(name)} for name in SPLITS}
    assert {name: len(hashes) for name, hashes in found.items()} == counts
    return found


def test_attached_folder_is_split_like_one_named_as_root(root: Path) -> None:
    link = attach_folder("linked", root)
    split_suite(suite(name="linked"))
    split_suite(suite(name="named"), root)
    assert contents(PREPARED.with_name("linked")) == contents(PREPARED.with_name("named"))
    other = root.parent / "other"
    put_images(other, ["1.png"])
    assert attach_folder("linked", other) == link and link.resolve() == other.resolve()


@pytest.mark.promise("writing")
def test_only_a_folder_is_attached_and_none_is_replaced(root: Path) -> None:
    with pytest.raises(InputError, match="absent: no such folder"):
        attach_folder("linked", Path("absent"))
    with pytest.raises(InputError, match="data/raw/small: is a folder of its own"):
        attach_folder("small", root)
    assert len(list(root.iterdir())) == 20


@pytest.mark.promise("writing")
def test_attached_folder_stays_where_no_other_can_be_attached(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = attach_folder("linked", root)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full_disk)
        with pytest.raises(OSError, match="No space left"):
            attach_folder("linked", root.parent)
    assert link.resolve() == root
    assert attach_folder("linked", root.parent).resolve() == root.parent
    assert sorted(path.name for path in root.parent.iterdir()) == ["linked", "small"]


def test_duplicates_are_counted_and_stay_together(root: Path) -> None:
    for number in range(5):
        (root / f"copy{number}.png").write_bytes((root / "03.png").read_bytes())
    assert split_suite(suite())["duplicates"] == 5
    store = Store(PREPARED)
    where = {record.id: name for name in ("train", "val", "test") for record in store.records(name)}
    assert len({where[name] for name in ["03.png", *(f"copy{i}.png" for i in range(5))]}) == 1


def test_official_test_image_is_left_out_of_training(root: Path) -> None:
    own = root.parent / "own"
    put_images(own / "train", [f"{i}.png" for i in range(10)])
    put_images(own / "test", [f"{i}.png" for i in range(3)])  # the same pixels as train/0 to 2
    made = suite(
        source={"name": "image_folder", "official_splits": True, "labels": True},
        splits={"seed": 1, "train": 5, "val": 2, "test": 0},
    )
    summary = split_suite(made, own)
    assert summary["counts"] == {"train": 5, "val": 2, "test": 3} and summary["left_out"] == 3
    assert {record.label for record in Store(PREPARED).records("test")} == {"test"}


# Groups


def grouped(root: Path, folders: Sequence[str], **changes: Any) -> Suite:
    """Move the images to folders in turn, and return a suite whose groups those are."""
    for number, path in enumerate(sorted(root.rglob("*.png"), key=lambda path: path.name)):
        place = root / folders[number % len(folders)]
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.name)
    return suite(source={"name": "image_folder", "groups": "folder"}, **changes)


@pytest.mark.promise("names")
def test_groups_are_split_whole_and_listed_whatever_they_are_called(root: Path) -> None:
    split_suite(suite())
    assert b"group" not in contents()["manifest.csv"] + contents()["split.json"]
    summary = split_suite(grouped(root, [f"g{i}" for i in range(7)]))
    before, store = contents(), Store(PREPARED)
    digest, place_of = store.digest(), dict[str, str]()
    for name in SPLITS:
        for record in store.records(name):
            assert record.group == record.id.split("/")[0] == f"g{int(record.id[-6:-4]) % 7}"
            assert place_of.setdefault(record.group, name) == name
    assert summary["groups"] == {name: [*place_of.values()].count(name) for name in SPLITS}
    assert sum(summary["counts"].values()) == 20 and len(place_of) == 7
    # A cut moves by less than a group, and the largest have three images.
    for cut, wanted in ((1, 12), (2, 16)):
        reached = sum(summary["counts"][name] for name in SPLITS[:cut])
        assert wanted <= reached < wanted + 3
    split_suite(grouped(root, [f"{7 - i}/{i}" for i in range(7)]))
    assert Store(PREPARED).digest() == digest
    assert {n for n, b in contents().items() if b != before[n]} == {"manifest.csv"}


def test_images_without_a_group_count_as_groups_of_their_own(root: Path) -> None:
    summary = split_suite(grouped(root, [*["."] * 8, "a", "b"]))
    assert sum(summary["groups"].values()) == 16 + 2


def test_too_few_groups_are_refused(root: Path) -> None:
    message = r"the val split is empty; .*; groups stay whole$"
    with pytest.raises(InputError, match=message):
        split_suite(grouped(root, ["a", "b"]))


def test_group_in_two_splits_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_turn = [*["train", "test"] * 4, *["train"] * 6, *["val"] * 6]
    monkeypatch.setattr(split, "assign_splits", lambda *_: in_turn)
    with pytest.raises(InputError, match=r"4 groups stand in two splits: a$"):
        split_suite(grouped(root, [*"abcdefghijklmnop"]))  # two images in each of a to d


# What is refused


@pytest.mark.promise("images")
@pytest.mark.parametrize("number", [1, 2])
def test_broken_file_is_named_with_advice(root: Path, number: int) -> None:
    truncate(root / "07.png")
    with pytest.raises(InputError, match=r"07\.png: not a readable image .* `unreadable: skip` in"):
        split_suite(suite(), workers=number)
    assert not PREPARED.exists()


@pytest.mark.promise("images")
def test_broken_files_are_skipped_and_counted_on_request(root: Path) -> None:
    truncate(root / "07.png")
    (root / "notes.txt").write_text("not an image")
    summary = split_suite(suite(unreadable="skip"))
    assert summary["unreadable"] == ["07.png", "notes.txt"]
    assert sum(summary["counts"].values()) == 19
    skipped = contents()
    (root / "07.png").unlink()
    (root / "notes.txt").unlink()
    split_suite(suite(unreadable="skip"))
    assert {n: b for n, b in contents().items() if n != "split.json"} == {
        n: b for n, b in skipped.items() if n != "split.json"
    }


@pytest.mark.promise("images")
@pytest.mark.parametrize("number", [1, 2])
def test_dark_16_bit_picture_is_never_skipped(root: Path, number: int) -> None:
    Image.fromarray(np.full((18, 20), 4000, np.uint16)).save(root / "07.png")
    for unreadable in ("skip", "error"):
        with pytest.raises(
            InputError, match=r"07\.png: .* levels of a suite's source: 4095, or \S+"
        ):
            split_suite(suite(unreadable=unreadable), workers=number)
    assert not PREPARED.exists()
    levels = {"name": "image_folder", "levels": 4095}
    assert split_suite(suite(source=levels, unreadable="skip"))["unreadable"] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"epochs": 1, "batch_size": 13}}, "12 training images are fewer than .* 13"),
    ],
)
def test_too_few_images_are_refused(root: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_suite(suite(**changes))
    assert not PREPARED.exists()


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0.8, 0.2, 0), r"small: the test split is empty; .*'test': 0} of 20 images$"),
        ((0.97, 0.01, 0.02), r"small: the val split is empty"),
        ((0, 5, 5), r"small: the train split is empty"),
        ((20, 5, 5), r"small: splits ask for 30 images \(20, 5, 5\), the source has 20$"),
    ],
)
def test_sizes_that_cannot_be_filled_are_found_before_the_work(
    root: Path, monkeypatch: pytest.MonkeyPatch, sizes: tuple[float, ...], message: str
) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("an image was decoded")

    monkeypatch.setattr(split, "_pack_chunk", decoded)
    spec = {"seed": 0, **dict(zip(SPLITS, sizes, strict=True))}
    with pytest.raises(InputError, match=f"^suite {message}"):
        split_suite(suite(splits=spec))
    assert not PREPARED.parent.exists()
    tally("invalid configurations refused")


def test_images_that_are_skipped_may_be_missing_from_the_counts(root: Path) -> None:
    truncate(root / "07.png")
    spec = {"seed": 0, "train": 12, "val": 4, "test": 4}
    with pytest.raises(InputError, match=r"^suite small: splits ask for 20 .*, the source has 19$"):
        split_suite(suite(splits=spec, unreadable="skip"))
    assert not PREPARED.exists()


def test_official_splits_count_where_sizes_are_looked_at(root: Path) -> None:
    own = root.parent / "own"
    put_images(own / "train", [f"{i}.png" for i in range(10)])
    put_images(own / "test", ["0.png"])
    source = {"name": "image_folder", "official_splits": True}
    for spec in ({"train": 8, "val": 3, "test": 0}, {"train": 10, "val": 1, "test": 0}):
        with pytest.raises(InputError, match=r"ask for 11 images .*, the source has 10"):
            split_suite(suite(source=source, splits={"seed": 0, **spec}), own)


def test_source_without_images_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match="split is empty"):
        split_suite(suite(source={"name": "photos", "block": 10_000, "max_blocks": 1}))


def test_missing_folder_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match="absent: no such folder"):
        split_suite(suite(), Path("absent"))
    with pytest.raises(InputError, match="data/raw/other: no such folder"):
        split_suite(suite(name="other"))


def test_pinned_digest_must_match(root: Path) -> None:
    digest = split_suite(suite())["digest"]
    spec = {"seed": 42, "train": 0.6, "val": 0.2, "test": 0.2, "digest": digest}
    assert split_suite(suite(splits=spec))["digest"] == digest
    (root / "00.png").write_bytes((root / "01.png").read_bytes())
    with pytest.raises(InputError, match=rf"the split's digest is (?!{digest})\w+, .* {digest}"):
        split_suite(suite(splits=spec))


def test_repeated_id_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def items(self: ImageSource, folder: Path) -> list[Item]:
        return [Item("twice"), Item("once"), Item("twice")]

    made = suite()
    monkeypatch.setattr(type(made.source), "items", items)
    with pytest.raises(InputError, match="two images have the id 'twice'"):
        split_suite(made)


def test_leak_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "copy.png").write_bytes((root / "03.png").read_bytes())

    def in_turn(candidates: Sequence[object], spec: object) -> list[str]:
        places = ["train"] * len(candidates)
        places[3], places[4] = "val", "test"  # 03.png; its copy, sorted last, stays in train
        return places

    monkeypatch.setattr(split, "assign_splits", in_turn)
    with pytest.raises(InputError, match="1 images stand in two splits"):
        split_suite(suite())


@pytest.mark.promise("writing")
def test_failed_run_leaves_the_previous_result(root: Path) -> None:
    split_suite(suite())
    before = contents()
    truncate(root / "19.png")
    with pytest.raises(InputError):
        split_suite(suite())
    assert contents() == before
    assert [path.name for path in PREPARED.parent.iterdir()] == ["small"]


@pytest.mark.promise("writing")
def test_interrupted_run_leaves_the_previous_result(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split_suite(suite())
    before = contents()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(split, "write_manifest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        split_suite(suite())
    assert contents() == before
    assert [path.name for path in PREPARED.parent.iterdir()] == ["small"]


@pytest.mark.promise("writing")
def test_what_a_killed_run_left_is_swept(root: Path) -> None:
    partial = PREPARED.with_name(".small.partial")
    partial.mkdir(parents=True)
    (partial / "packed.npy").write_bytes(b"half")
    split_suite(suite())
    assert list(contents()) == ARTIFACTS and not partial.exists()


@pytest.mark.promise("writing")
def test_file_in_place_of_the_folder_is_named(root: Path) -> None:
    Path("data/prepared").write_text("in the way")
    with pytest.raises(InputError, match="data/prepared/small: cannot be written"):
        split_suite(suite())


@pytest.mark.promise("writing")
def test_full_disk_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(InputError, match=r"small: cannot be written \(No space left on device\)"):
        split_suite(suite())
    assert not PREPARED.exists()


# Atomic files


@pytest.mark.promise("writing")
def test_atomic_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "numbers.json"
    files.write_json(path, {"b": 1, "a": [0.5]})
    assert path.read_bytes() == b'{\n "a": [\n  0.5\n ],\n "b": 1\n}\n'
    for bad in (float("nan"), float("inf"), {1, 2}):
        with pytest.raises((ValueError, TypeError)):
            files.write_json(path, bad)
    with pytest.raises(KeyboardInterrupt), files.atomic_path(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert files.read_json(path, "test") == {"a": [0.5], "b": 1}
    assert [p.name for p in path.parent.iterdir()] == ["numbers.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_unreadable_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json: cannot be read"):
        files.read_json(tmp_path / "x.json", "make")
    with pytest.raises(InputError, match=r"y\.json: missing; `make` makes it"):
        files.read_json(tmp_path / "y.json", "make")
