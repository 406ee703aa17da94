"""STL-10: its archive is unpacked piecewise, and read like torchvision reads it."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import STL10

from data.errors import InputError
from data.sources import source_class
from tests.support.layouts import digest, put_stl10


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return put_stl10(tmp_path / "raw", monkeypatch)


def unpacked(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "stl10_binary").iterdir())


def test_images_are_those_that_torchvision_reads(root: Path) -> None:
    source = source_class("stl10").model_validate({"unlabelled": True})
    items = source.items(root)
    for part, name in (("test", "test"), ("train", "train"), ("unlabelled", "unlabeled")):
        theirs = STL10(str(root), split=name)
        ours = [item for item in items if item.id.startswith(f"{part}/")]
        assert len(ours) == len(theirs) > 0
        for item, (image, number) in zip(ours, theirs, strict=True):
            assert np.array_equal(source.read(item, root, 96), np.asarray(image))
            # The official list of classes begins with airplane and ends with truck.
            assert item.label == {-1: "", 0: "airplane", 9: "truck"}.get(number, item.label)
            assert item.split == ("test" if part == "test" else None)
    assert len({item.label for item in items}) == 11


def test_what_is_not_asked_for_is_not_unpacked(root: Path) -> None:
    items = source_class("stl10")().items(root)
    assert {item.id.split("/")[0] for item in items} == {"test", "train"}
    assert unpacked(root) == ["test_X.bin", "test_y.bin", "train_X.bin", "train_y.bin"]


@pytest.mark.promise("downloads")
def test_unpacked_files_suffice_and_damaged_ones_are_replaced(root: Path) -> None:
    source = source_class("stl10")()
    items = list(source.items(root))
    damaged = root / "stl10_binary/train_X.bin"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1])
    assert list(source.items(root)) == items and damaged.read_bytes() == whole
    (root / STL10.filename).unlink()
    assert list(source.items(root)) == items


def add_members(root: Path, patch: pytest.MonkeyPatch, **members: bytes) -> None:
    """Put files first into the archive, and make it the official one."""
    archive = root / STL10.filename
    with tarfile.open(archive) as file:
        content = {m.name: f.read() for m in file if (f := file.extractfile(m)) is not None}
    with tarfile.open(archive, "w:gz") as file:
        for name, data in {**members, **content}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    patch.setattr(STL10, "tgz_md5", digest(archive, "md5"))


@pytest.mark.promise("downloads")
def test_no_path_of_the_archive_leads_out_of_the_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = root.parent / "outside.bin"
    evil = {str(outside): b"1", "../outside.bin": b"2", "stl10_binary/../../outside.bin": b"3"}
    add_members(root, monkeypatch, **evil, **{"../train_X.bin": b"4", "train_X.bin": b"5"})
    assert len(source_class("stl10")().items(root)) == 19
    assert not outside.exists()
    assert sorted(path.name for path in root.iterdir()) == ["stl10_binary", STL10.filename]


@pytest.mark.promise("downloads")
def test_file_that_is_not_the_official_one_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = [[name, "0" * 32] for name, _ in STL10.test_list]
    monkeypatch.setattr(STL10, "test_list", changed)
    with pytest.raises(InputError, match=r"test_X\.bin: not the official file"):
        source_class("stl10")().items(root)
