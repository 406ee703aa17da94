"""The store that reads what the split stage wrote, and refuses what it did not write."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.config import Suite
from benchmark.pipeline.split import split_suite
from data.errors import InputError
from data.store import MANIFEST_COLUMNS, Store, write_manifest

PREPARED = Path("data/prepared/small")


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with 20 images of 16 px, of which 12 train, 4 validate and 4 test."""
    monkeypatch.chdir(tmp_path)
    content = {
        "name": "small", "title": "Small", "description": "", "image_size": 16,
        "source": {"name": "portraits", "count": 20},
        "splits": {"seed": 42, "train": 12, "val": 4, "test": 4},
        "mask": {"kind": "random_square", "size": 8},
        "training": {"epochs": 1, "batch_size": 4},
        "evaluation": {"masks_per_image": 3},
    }  # fmt: skip
    split_suite(Suite.model_validate(content))


def truncate(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


@pytest.mark.usefixtures("prepared")
def test_digest_of_the_store_is_of_pixels_holes_and_labels() -> None:
    before = Store(PREPARED).digest()
    boxes = np.load(PREPARED / "test_boxes.npy")
    boxes[0, 0] += 1
    np.save(PREPARED / "test_boxes.npy", boxes)
    moved = Store(PREPARED).digest()
    records = [r for name in ("train", "val", "test") for r in Store(PREPARED).records(name)]
    write_manifest(PREPARED / "manifest.csv", [replace(records[0], label="cat"), *records[1:]])
    assert len({before, moved, Store(PREPARED).digest()}) == 3


@pytest.mark.usefixtures("prepared")
def test_groups_are_kept_and_count_in_the_digest_whatever_they_are_called() -> None:
    path, parts = PREPARED / "manifest.csv", ("train", "val", "test")
    plain = path.read_bytes()
    records = [record for name in parts for record in Store(PREPARED).records(name)]
    assert plain.startswith(b"split,index,id,sha256,label\n")
    digests = [Store(PREPARED).digest()]
    for groups in (["a", "a", "b"], ["x\ny", "x\ny", "a"], ["a", "b", "b"], ["a", "a", ""]):
        grouped = [
            replace(r, group=group)
            for r, group in zip(records, groups + [""] * (len(records) - 3), strict=True)
        ]
        write_manifest(path, grouped)
        assert [r for name in parts for r in Store(PREPARED).records(name)] == grouped
        digests.append(Store(PREPARED).digest())
    assert digests[1] == digests[2] and len({*digests}) == 4
    write_manifest(path, records)
    assert path.read_bytes() == plain and Store(PREPARED).digest() == digests[0]
    with pytest.raises(InputError, match="carriage return"):
        write_manifest(path, [replace(records[0], group="a\rb"), *records[1:]])


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.5, 0.99])
def test_truncated_arrays_are_refused(share: float) -> None:
    truncate(PREPARED / "train.npy", share)
    truncate(PREPARED / "val_boxes.npy", share)
    with pytest.raises(InputError, match=r"train\.npy: damaged .*; run the split stage again"):
        Store(PREPARED).images("train")
    with pytest.raises(InputError, match=r"val_boxes\.npy: damaged .*; run the split stage again"):
        Store(PREPARED).boxes("val")


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("name", ["train.npy", "test_boxes.npy"])
def test_arrays_of_other_lengths_or_types_are_refused(name: str) -> None:
    whole = np.load(PREPARED / name)
    for wrong in (whole[:-1], whole.astype(np.float64), whole[0], np.array([{}])):
        np.save(PREPARED / name, wrong)
        with pytest.raises(InputError, match=rf"{name}: .*; run the split stage again"):
            store = Store(PREPARED)
            store.images("train") if name == "train.npy" else store.boxes("test")


HEADER = ",".join(MANIFEST_COLUMNS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "split,index,id,sha256\ntrain,0,a,b\n",
        f"{HEADER}\ntrain,0,a,b\n",
        f"{HEADER}\ntrain,0,a,b,c,d\n",
        f"{HEADER},group\ntrain,0,a,b,c\n",
        f"{HEADER},person\ntrain,0,a,b,c,d\n",
        f"{HEADER}\ntrain,zero,a,b,c\n",
        f"{HEADER}\ntrain,1,a,b,c\ntrain,0,a,b,c\n",
        f"{HEADER}\ntrain,0,a,b,c\ntrain,2,a,b,c\n",
        f'{HEADER}\ntrain,0,a,b,"c\n',
        f"{HEADER}\ntrain,0,a\rb,c,d\n",
        "\udcff",
    ],
    ids=[
        *("empty", "columns", "short", "long", "short group", "no group", "word", "swapped", "gap"),
        *("quote", "return", "bytes"),
    ],
)
def test_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"manifest\.csv: damaged .*; run the split stage again"):
        Store(tmp_path).records("train")


@pytest.mark.usefixtures("prepared")
def test_manifest_of_other_images_is_refused() -> None:
    records = Store(PREPARED).records("train")
    write_manifest(PREPARED / "manifest.csv", records[:-1])
    with pytest.raises(InputError, match=r"train\.npy: has uint8 \(12, 16, 16, 3\), .* 11 images"):
        Store(PREPARED).images("train")


def test_missing_files_name_the_command_that_makes_them(tmp_path: Path) -> None:
    store = Store(tmp_path / "small")
    for read in (store.images, store.boxes, store.records):
        with pytest.raises(InputError, match="missing; `python -m benchmark split --suite small`"):
            read("test")
