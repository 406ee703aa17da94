"""Archives that mean harm: nothing is written outside, nothing grows, nothing is executed."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, STL10

from data.downloads import read_members
from data.errors import InputError
from data.sources import cifar10, source_class, stl10, tiny_imagenet
from data.sources.cifar10 import read_plain_pickle
from tests.support.layouts import digest, put_cifar10, put_stl10, put_tiny_imagenet
from tests.support.promises import tally
from tests.support.tiny import files_below

pytestmark = pytest.mark.promise("downloads")


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    yield
    cifar10._load.cache_clear()
    tiny_imagenet._archive.cache_clear()


# Archives of the kind tar.gz

KINDS = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "disk": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "folder": tarfile.DIRTYPE,
}


def member(name: str, content: bytes = b"", **changes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in changes.items():
        setattr(info, attribute, value)
    return info, content


def pack(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def read(archive: Path, total: int = 1 << 20) -> dict[str, bytes]:
    """Return the files `a` and `b`, of at most 100 bytes each."""
    found: dict[str, bytes] = {}

    def keep(name: str, file: IO[bytes]) -> None:
        found[name] = file.read()

    read_members(archive, {"top/a": 100, "top/b": 100}, total, keep)
    return found


def refusal(archive: Path, total: int = 1 << 20) -> str:
    with pytest.raises(InputError) as caught:
        read(archive, total)
    message = str(caught.value)
    assert message.startswith(f"{archive}: ") and "\n" not in message
    tally("hostile archives refused")
    return message


def test_wanted_files_are_handed_out_and_others_are_not(tmp_path: Path) -> None:
    evil = [
        member("/top/a", b"1"),
        member("../top/a", b"2"),
        member("top/../top/a", b"3"),
        member("top/c", b"4"),
        *(member(f"top/{kind}", type=code, linkname="/etc") for kind, code in KINDS.items()),
    ]
    archive = pack(tmp_path / "x.tar.gz", *evil, member("top/b", b"b"), member("top/a", b"a"))
    assert read(archive) == {"top/a": b"a", "top/b": b"b"}
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar.gz"]


@pytest.mark.parametrize("kind", KINDS)
def test_wanted_file_that_is_something_else_is_refused(tmp_path: Path, kind: str) -> None:
    info = member("top/a", type=KINDS[kind], linkname="/etc/hostname")
    archive = pack(tmp_path / "x.tar.gz", member("top/b", b"b"), info)
    assert "top/a is a link or a device, no file" in refusal(archive)


def test_larger_files_than_the_official_ones_are_refused(tmp_path: Path) -> None:
    assert read(pack(tmp_path / "x.tar.gz", member("top/a", bytes(100)))) == {"top/a": bytes(100)}
    archive = pack(tmp_path / "x.tar.gz", member("top/a", bytes(101)))
    assert "top/a has 101 bytes, the official one 100" in refusal(archive)


def test_declared_size_is_not_believed(tmp_path: Path) -> None:
    info, _ = member("top/a")
    info.size = 1 << 40
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(info.tobuf() + b"little"))
    assert f"top/a has {1 << 40} bytes" in refusal(tmp_path / "x.tar.gz")
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(member("top/a")[0].tobuf()[:-1]))
    assert "damaged" in refusal(tmp_path / "x.tar.gz")


@pytest.mark.parametrize("place", ["file", "link name"])
def test_bomb_is_not_unpacked_to_its_end(tmp_path: Path, place: str) -> None:
    size = 1 << 24
    if place == "file":
        bomb = member("top/c", bytes(size))
    else:  # a header of the kind PAX, which is read before any file is seen
        bomb = member("top/c", pax_headers={"comment": "x" * size})
    archive = pack(tmp_path / "x.tar.gz", bomb, member("top/a", b"a"))
    assert archive.stat().st_size < size / 200
    assert "unpacks to more than 1048576 bytes" in refusal(archive)
    assert read(archive, total=2 * size) == {"top/a": b"a"}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_or_damaged_archive_is_one_line(tmp_path: Path, share: float) -> None:
    noise = np.random.default_rng(0).bytes(5000)
    whole = pack(tmp_path / "x.tar.gz", member("top/c", noise), member("top/a", b"a")).read_bytes()
    place = int(len(whole) * share)
    for content in (whole[:place], b"damage" + whole[6:], noise):
        (tmp_path / "x.tar.gz").write_bytes(content)
        assert "damaged (" in refusal(tmp_path / "x.tar.gz")


# Sources


def repack(
    archive: Path, change: Callable[[dict[str, bytes]], list[tuple[tarfile.TarInfo, bytes]]]
) -> None:
    with tarfile.open(archive) as file:
        content = {m.name: f.read() for m in file if (f := file.extractfile(m)) is not None}
    pack(archive, *change(content))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, r"test_X\.bin is a link or a device"),
        (1, r"test_X\.bin has 1000 bytes, the official one 999"),
        (2, "unpacks to more than"),
        (3, r"test_X\.bin: not the official file"),
    ],
)
def test_hostile_stl10_writes_nothing_outside_and_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    root, name = put_stl10(tmp_path / "raw", monkeypatch), "stl10_binary/test_X.bin"
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    changes = [
        member(name, type=tarfile.SYMTYPE, linkname=str(outside)),
        member(name, bytes(1000)),
        member("stl10_binary/other.bin", bytes(1 << 24)),
        member(name, b"short"),
    ]
    monkeypatch.setattr(stl10, "_official_size", lambda name: 999)
    if number >= 2:
        monkeypatch.setattr(stl10, "_official_size", lambda name: 10**6)
    monkeypatch.setattr(stl10, "LARGEST_ARCHIVE_BYTES", 1 << 23)
    repack(
        root / STL10.filename,
        lambda content: [
            changes[number],
            *(member(n, data) for n, data in content.items() if n != name or number == 2),
        ],
    )
    monkeypatch.setattr(STL10, "tgz_md5", digest(root / STL10.filename, "md5"))
    with pytest.raises(InputError, match=said) as caught:
        source_class("stl10")().items(root)
    assert "\n" not in str(caught.value)
    assert outside.read_bytes() == b"mine"
    assert sorted(path.name for path in root.iterdir()) == ["stl10_binary", STL10.filename]
    assert not [p for p in (root / "stl10_binary").iterdir() if p.is_symlink() or p.name[0] == "."]
    tally("hostile archives refused")


def test_official_sizes_are_those_of_the_publication() -> None:
    # 5,000 training, 8,000 test and 100,000 other images of 96 px in three bytes a pixel.
    assert stl10._official_size("train_X.bin") == 5_000 * 27_648
    assert stl10._official_size("test_y.bin") == 8_000
    assert stl10._official_size("unlabeled_X.bin") == 2_764_800_000 < stl10.LARGEST_ARCHIVE_BYTES


def put_zip(
    root: Path, patch: pytest.MonkeyPatch, change: Callable[[zipfile.ZipFile], None]
) -> None:
    put_tiny_imagenet(root, patch)
    with warnings.catch_warnings(), zipfile.ZipFile(root / tiny_imagenet.ARCHIVE, "a") as archive:
        warnings.simplefilter("ignore")  # of two files of one name
        change(archive)
    sha256 = digest(root / tiny_imagenet.ARCHIVE, "sha256")
    patch.setattr(tiny_imagenet, "ARCHIVE_SHA256", sha256)


def test_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, source = tmp_path / "raw", source_class("tiny_imagenet")()
    image = "train/n01443537/images/n01443537_9.JPEG"

    def add(archive: zipfile.ZipFile) -> None:
        content = bytes(tiny_imagenet.LARGEST_FILE_BYTES + 1)
        archive.writestr(f"tiny-imagenet-200/{image}", content, zipfile.ZIP_DEFLATED)
        archive.writestr("../../outside", b"out")
        archive.writestr("/outside", b"out")

    put_zip(root, monkeypatch, add)
    (item,) = (item for item in source.items(root) if item.id == image)
    with pytest.raises(InputError, match=r"n01443537_9\.JPEG has 1048577 bytes, more than 1048576"):
        source.read(item, root, 64)
    assert [*files_below(tmp_path)] == [f"raw/{tiny_imagenet.ARCHIVE}"]
    tally("hostile archives refused")


def test_zip_that_lies_about_a_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, source = tmp_path / "raw", source_class("tiny_imagenet")()
    name = "tiny-imagenet-200/train/n01443537/images/n01443537_9.JPEG"
    put_zip(root, monkeypatch, lambda archive: archive.writestr(name, bytes(5000)))
    content = (root / tiny_imagenet.ARCHIVE).read_bytes()
    # Little-endian sizes of the file stand before its name, and in the list at the end.
    lie = content.replace(struct.pack("<II", 5000, 5000), struct.pack("<II", 5000, 10))
    assert lie != content
    (root / tiny_imagenet.ARCHIVE).write_bytes(lie)
    sha256 = digest(root / tiny_imagenet.ARCHIVE, "sha256")
    monkeypatch.setattr(tiny_imagenet, "ARCHIVE_SHA256", sha256)
    item = next(item for item in source.items(root) if name.endswith(item.id))
    with pytest.raises(InputError, match=r"n01443537_9\.JPEG: damaged \(Bad CRC-32"):
        source.read(item, root, 64)
    tally("hostile archives refused")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no zip", r"zip: damaged \(File is not a zip file\)"),
        (None, r"has no tiny-imagenet-200/val/val_annotations\.txt"),
    ],
)
def test_other_zips_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, said: str
) -> None:
    archive = tmp_path / tiny_imagenet.ARCHIVE
    if content is None:
        zipfile.ZipFile(archive, "w").close()
    else:
        archive.write_bytes(content)
    monkeypatch.setattr(tiny_imagenet, "ARCHIVE_SHA256", digest(archive, "sha256"))
    with pytest.raises(InputError, match=said):
        source_class("tiny_imagenet")().items(tmp_path)
    tally("hostile archives refused")


# Pickles, in which CIFAR-10 is handed out


class Mischief:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path, how: str) -> None:
        self.folder, self.how = folder, how

    def __reduce__(self) -> Any:
        if self.how == "eval":
            return eval, (f"__import__('os').mkdir({str(self.folder)!r})",)
        if self.how == "numpy":
            return np.save, (str(self.folder), 1)
        return os.mkdir, (str(self.folder),)


@pytest.mark.promise("no_execution")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("how", ["mkdir", "eval", "numpy"])
def test_pickle_that_executes_is_refused(tmp_path: Path, how: str, protocol: int) -> None:
    trap = tmp_path / "trap"
    content = pickle.dumps({"data": Mischief(trap, how), "labels": [1]}, protocol)
    with pytest.raises(InputError, match=r"^x: cannot be read \(it asks for \w+(\.\w+)*\)$"):
        read_plain_pickle(content, "x")
    assert [*tmp_path.iterdir()] == []
    pickle.loads(content)
    assert [*tmp_path.iterdir()], "the usual way would have executed it"
    tally("pickles that execute refused")


# As Python 2 and NumPy 1 wrote them: bytes are text, and names are those of then.
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n"
    b"q\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87"
    b"Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x00\x7f\x80\xfe\xff"
    b"\ntbU\x06labelsq\x08]q\x09(K\x06K\x09eu."
)


def test_arrays_of_python_2_and_3_are_read() -> None:
    expected = np.array([[0, 127, 128], [254, 255, 10]], np.uint8)
    theirs = pickle.loads(PYTHON_2, encoding="latin1")
    assert np.array_equal(theirs["data"], expected)  # the bytes above are what they say
    pickles = [PYTHON_2]
    for array in (expected, np.asfortranarray(expected)):
        content = {"data": array, "labels": [6, 9]}
        pickles += [pickle.dumps(content, protocol) for protocol in (3, 4)]
    for pickled in pickles:
        found = read_plain_pickle(pickled, "x")
        assert np.array_equal(found["data"], expected) and found["labels"] == [6, 9]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        PYTHON_2[:60],
        PYTHON_2.replace(b"u1", b"O8"),
        PYTHON_2.replace(b"K\x02K\x03\x86", b"K\x09K\x03\x86"),
        pickle.dumps([1]),
        pickle.dumps({"data": np.array([{}])}),
    ],
    ids=["empty", "garbage", "cut", "objects", "shape", "list", "array of objects"],
)
def test_damaged_pickle_is_one_line(content: bytes) -> None:
    with pytest.raises(InputError, match=r"^x: cannot be read \([^\n]+\)$"):
        read_plain_pickle(content, "x")


@pytest.mark.promise("no_execution")
def test_hostile_cifar10_executes_nothing_and_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, trap = put_cifar10(tmp_path / "raw", monkeypatch), tmp_path / "trap"
    evil = pickle.dumps({"data": Mischief(trap, "mkdir")})
    name = "cifar-10-batches-py/data_batch_2"
    archive = root / cifar10.ARCHIVE
    repack(archive, lambda files: [member(n, files[n] if n != name else evil) for n in files])
    monkeypatch.setattr(cifar10, "ARCHIVE_SHA256", digest(archive, "sha256"))
    with pytest.raises(InputError, match=rf"{name} is not the official file \(its MD5 differs\)"):
        source_class("cifar10")().items(root)
    lists = [
        [n, m if n != "data_batch_2" else hashlib.md5(evil).hexdigest()]
        for n, m in CIFAR10.train_list
    ]
    monkeypatch.setattr(CIFAR10, "train_list", lists)
    with pytest.raises(InputError, match=rf"{name}: cannot be read \(it asks for \w+\.mkdir\)"):
        source_class("cifar10")().items(root)
    assert not trap.exists() and [path.name for path in root.iterdir()] == [cifar10.ARCHIVE]
    tally("pickles that execute refused")


def test_cifar10_without_a_batch_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = put_cifar10(tmp_path / "raw", monkeypatch)
    archive = root / cifar10.ARCHIVE
    repack(archive, lambda files: [member(n, files[n]) for n in files if "test" not in n])
    monkeypatch.setattr(cifar10, "ARCHIVE_SHA256", digest(archive, "sha256"))
    with pytest.raises(InputError, match=r"gz: has no cifar-10-batches-py/test_batch$"):
        source_class("cifar10")().items(root)
    tally("hostile archives refused")
