"""Tiny ImageNet, read from an archive in its layout."""

import io
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from data.errors import InputError
from data.sources import UnreadableImageError, source_class, tiny_imagenet
from tests.support.faults import obeyed_permissions
from tests.support.layouts import digest, put_tiny_imagenet


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return put_tiny_imagenet(tmp_path / "raw", monkeypatch)


def test_official_validation_set_is_the_test_split(root: Path) -> None:
    items = source_class("tiny_imagenet")().items(root)
    assert [(item.id, item.split, item.label) for item in items] == [
        ("train/n01443537/images/n01443537_0.JPEG", None, "n01443537"),
        ("train/n01443537/images/n01443537_1.JPEG", None, "n01443537"),
        ("train/n02123045/images/n02123045_0.JPEG", None, "n02123045"),
        ("train/n02123045/images/n02123045_1.JPEG", None, "n02123045"),
        ("val/images/val_0.JPEG", "test", "n01443537"),
        ("val/images/val_1.JPEG", "test", "n02123045"),
        ("val/images/val_2.JPEG", "test", "n01443537"),
    ]


def test_pixels_are_those_of_the_archive(root: Path) -> None:
    source = source_class("tiny_imagenet")()
    with ZipFile(root / tiny_imagenet.ARCHIVE) as archive:
        for item in source.items(root):
            content = archive.read(f"tiny-imagenet-200/{item.id}")
            expected = Image.open(io.BytesIO(content))
            gray = item.split is None and item.id.endswith("_0.JPEG")
            assert expected.mode == ("L" if gray else "RGB")
            pixels = source.read(item, root, 64)
            assert np.array_equal(pixels, np.asarray(expected.convert("RGB")))


@pytest.mark.parametrize("top", ["", "tiny-imagenet-200"])
def test_extracted_images_are_those_of_the_archive(top: str, root: Path, tmp_path: Path) -> None:
    source, folder = source_class("tiny_imagenet")(), tmp_path / "extracted"
    with ZipFile(root / tiny_imagenet.ARCHIVE) as archive:
        archive.extractall(folder)
    place = folder if top else folder / "tiny-imagenet-200"
    items = source.items(root)
    pixels = [source.read(item, root, 64) for item in items]
    assert source.items(place) == items
    for item, expected in zip(items, pixels, strict=True):
        assert np.array_equal(source.read(item, place, 64), expected)
    (folder / "tiny-imagenet-200/val/images/val_1.JPEG").unlink()
    with pytest.raises(InputError, match=r"lacks 1 images of val/, val/images/val_1\.JPEG first"):
        source.items(place)


def test_part_of_the_official_validation_set_is_chosen_by_a_hash(root: Path) -> None:
    # By `printf val/images/val_0.JPEG | sha256sum`: 889f…, a8ca…, 0a10… of the three.
    by_hash = [f"val/images/val_{number}.JPEG" for number in (2, 0, 1)]
    for count in (1, 2, 3):
        items = tiny_imagenet.Source(test_images=count).items(root)
        assert [item.id for item in items if item.split == "test"] == sorted(by_hash[:count])
    with pytest.raises(InputError, match="asks for more than the 3 of val/"):
        tiny_imagenet.Source(test_images=4).items(root)


@pytest.mark.promise("downloads")
def test_nothing_is_extracted(root: Path) -> None:
    source = source_class("tiny_imagenet")()
    source.read(source.items(root)[0], root, 64)
    assert [path.name for path in root.iterdir()] == [tiny_imagenet.ARCHIVE]


@pytest.mark.promise("images")
def test_broken_image_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ZipFile(root / tiny_imagenet.ARCHIVE, "a") as archive:
        archive.writestr("tiny-imagenet-200/train/n01443537/images/n01443537_9.JPEG", b"no image")
    sha256 = digest(root / tiny_imagenet.ARCHIVE, "sha256")
    monkeypatch.setattr(tiny_imagenet, "ARCHIVE_SHA256", sha256)
    source = source_class("tiny_imagenet")()
    (broken,) = (item for item in source.items(root) if "_9" in item.id)
    with pytest.raises(UnreadableImageError, match=r"200\.zip: .*/n01443537_9\.JPEG: not a read"):
        source.read(broken, root, 64)


@pytest.fixture
def extracted(root: Path, tmp_path: Path) -> Path:
    with ZipFile(root / tiny_imagenet.ARCHIVE) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "tiny-imagenet-200"


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (b"val_0.JPEG\tn01443537\t0\nval_1.JP", 2),
        (b"val_0.JPEG\tn01443537\t0\nval_1.JPEG\t", 2),
        (b"val_0.JPEG\tn01443537\n\nval_1.JPEG\tn02123045\n", 2),
        (b"val_0.JPEG\tn01443537\nval_1.JPEG\tn02123045\nval_2.JPEG\tn0144\xff\n", 3),
    ],
    ids=["name", "tab", "blank", "no UTF-8"],
)
def test_damaged_list_is_refused_with_its_line(extracted: Path, rows: bytes, line: int) -> None:
    (extracted / "val/val_annotations.txt").write_bytes(rows)
    with pytest.raises(InputError, match=rf"/val/val_annotations\.txt, line {line}: not the name"):
        source_class("tiny_imagenet")().items(extracted)


def test_list_may_end_with_blank_lines(extracted: Path) -> None:
    source = source_class("tiny_imagenet")()
    items = source.items(extracted)
    with (extracted / "val/val_annotations.txt").open("a") as file:
        file.write("\n\n")
    assert source.items(extracted) == items


@pytest.mark.promise("images")
def test_file_that_may_not_be_read_is_named(extracted: Path) -> None:
    source = source_class("tiny_imagenet")()
    item = source.items(extracted)[0]
    (extracted / item.id).chmod(0)
    (extracted / "val/val_annotations.txt").chmod(0)
    with obeyed_permissions():
        with pytest.raises(UnreadableImageError, match=rf"/{item.id}: .*\(Permission denied\)"):
            source.read(item, extracted, 64)
        with pytest.raises(InputError, match=r"annotations\.txt: cannot be read \(Permission den"):
            source.items(extracted)
