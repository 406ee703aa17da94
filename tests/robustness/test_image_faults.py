"""Image files that are broken, too large, or something else: pixels or one line, never more."""

import errno
import io
import os
import random
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import EpsImagePlugin, Image

from benchmark.inference.photographs import SUFFIXES, read_photograph
from data.errors import InputError
from data.images import FORMATS, LARGEST_MEGAPIXELS, decode, decode_bytes, open_image
from data.sources import UnreadableImageError
from tests.support.faults import obeyed_permissions
from tests.support.promises import tally

pytestmark = pytest.mark.promise("images")

HEIGHT, WIDTH = 40, 50


def photograph(channels: int = 3) -> NDArray[np.uint8]:
    """Return waves, which compression keeps."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [np.sin(x / (5 + c)) + np.cos(y / (7 + c)) for c in range(channels)]
    return np.stack([127 + 60 * wave for wave in waves], axis=2).astype(np.uint8)


def encoded(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    if mode == "I;16":
        image = Image.fromarray(photograph()[..., 0].astype(np.uint16) << 8)
    else:
        image = Image.fromarray(photograph(4)).convert(mode)
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


# Kinds of files


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_files_of_every_suffix_that_is_taken_are_read(tmp_path: Path, suffix: str) -> None:
    kind = Image.registered_extensions()[suffix]
    assert kind in FORMATS
    gray = suffix in (".pbm", ".pgm")
    source = Image.fromarray(photograph()[..., 0] if gray else photograph())
    if suffix in (".pbm", ".gif"):
        source = source.convert("1") if suffix == ".pbm" else source.quantize()
    path = tmp_path / f"a{suffix.upper()}"
    source.save(path, format=kind)
    difference = np.abs(decode(path).astype(int) - np.asarray(source.convert("RGB")).astype(int))
    # What compression with loss changes of waves is less than 4 in the mean.
    assert difference.mean() < 4
    assert difference.max() == 0 or kind in ("JPEG", "WEBP", "AVIF")
    tally("kinds of image files read")


@pytest.mark.parametrize(
    "kind",
    "BLP DDS DIB EPS ICNS ICO MSP PCX PDF QOI SGI SPIDER XBM".split(),
)
def test_other_kinds_are_refused_whatever_their_names(tmp_path: Path, kind: str) -> None:
    content = encoded(kind, {"BLP": "P", "MSP": "1", "XBM": "1"}.get(kind, "RGB"))
    path = tmp_path / "honest.png"
    path.write_bytes(content)
    for read in (decode, read_photograph):
        with pytest.raises(UnreadableImageError, match=r"honest\.png: .* \(recognized as none of"):
            read(path)
    tally("files of other kinds refused")


@pytest.mark.promise("no_execution")
def test_no_interpreter_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap, tools = tmp_path / "trap", tmp_path / "bin"
    tools.mkdir()
    (tools / "gs").write_text(f"#!/bin/sh\ntouch '{trap}'\n")
    (tools / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    path = tmp_path / "honest.png"
    path.write_bytes(encoded("EPS"))
    for read in (decode, read_photograph):
        with pytest.raises(UnreadableImageError):
            read(path)
    assert not trap.exists()
    with pytest.raises(OSError), Image.open(path) as image:
        image.load()
    assert trap.exists(), "Pillow alone would have started it"


# Sizes


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def head_of_png(width: int, height: int) -> bytes:
    """Return a file that promises pixels and has none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


@pytest.mark.parametrize(
    ("width", "height", "said"),
    [
        (30_000, 30_000, "30000x30000 px are 900.00 megapixels, more than 200"),
        (20_001, 10_000, "20001x10000 px are 200.01 megapixels, more than 200"),
        (2**31 - 1, 2**31 - 1, "4,611,686,014,132.42 megapixels, more than 200"),
    ],
)
def test_larger_images_than_cameras_make_are_refused_before_they_are_decoded(
    tmp_path: Path, width: int, height: int, said: str
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(head_of_png(width, height))
    for read in (decode, read_photograph):
        with pytest.raises(UnreadableImageError) as caught:
            read(path)
        assert said in str(caught.value) and "\n" not in str(caught.value)
    tally("decompression bombs refused")


@pytest.mark.parametrize("size", [(20_000, 10_000), (16_320, 12_240), (14_204, 10_652)])
def test_the_largest_photographs_are_no_bombs(size: tuple[int, int]) -> None:
    # Warnings are errors here; Pillow alone warns from 89 megapixels on.
    assert size[0] * size[1] <= LARGEST_MEGAPIXELS * 10**6
    with open_image(io.BytesIO(head_of_png(*size)), "x") as image:
        assert image.size == size


@pytest.mark.slow
def test_a_photograph_of_100_megapixels_is_read_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "large.png"
    Image.new("L", (11_648, 8_736), 77).save(path)
    found = decode(path)
    assert found.shape == (8_736, 11_648, 3) and found.min() == found.max() == 77
    assert capfd.readouterr() == ("", "")


# Damage

KINDS: list[tuple[str, str, dict[str, Any]]] = [
    *(("JPEG", mode, {}) for mode in ("RGB", "L", "CMYK")),
    ("JPEG", "RGB", {"progressive": True}),
    *(("PNG", mode, {}) for mode in ("RGB", "RGBA", "LA", "P", "1", "I;16")),
    *((kind, "RGB", {}) for kind in ("WEBP", "GIF", "BMP", "PPM", "TGA", "JPEG2000")),
    *(("TIFF", mode, {}) for mode in ("RGB", "CMYK", "I;16")),
    *(
        ("TIFF", "RGB", {"compression": name})
        for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")
    ),
]


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Flip bits of a file, cut it, or overwrite a part of it."""
    changed = bytearray(content)
    how = draw.randrange(3)
    if how == 0:
        for _ in range(draw.choice([1, 4, 20])):
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    elif how == 1:
        del changed[draw.randrange(len(changed)) :]
    else:
        start = draw.randrange(len(changed))
        changed[start : start + 40] = draw.randbytes(40)
    return bytes(changed)


def read_damaged(kind: str, mode: str, options: dict[str, Any], count: int) -> None:
    content, draw = encoded(kind, mode, **options), random.Random(f"{kind}{mode}{options}")
    for number in range(count):
        try:
            found = decode_bytes(damaged(content, draw), f"file {number}")
            assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3
            tally("corrupted images read")
        except UnreadableImageError as error:
            assert str(error).startswith(f"file {number}: not a readable image (")
            assert str(error).isprintable()
            tally("corrupted images refused")


@pytest.mark.parametrize(("kind", "mode", "options"), KINDS)
def test_corrupted_files_are_pixels_or_one_line(
    kind: str, mode: str, options: dict[str, Any]
) -> None:
    read_damaged(kind, mode, options, 100)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "mode", "options"), KINDS)
def test_many_corrupted_files_are_pixels_or_one_line(
    kind: str, mode: str, options: dict[str, Any]
) -> None:
    read_damaged(kind, mode, options, 5000)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0",  # ends too early
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0six\0\0\0\0\0",  # a text
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",  # 99
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_costs_nothing_but_the_orientation(kind: str, exif: bytes) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = decode_bytes(encoded(kind, exif=exif), "x")
    assert not said
    whole = decode_bytes(encoded(kind), "x")
    # The one that ends too early tells before that it is to be turned.
    assert np.array_equal(found, whole) or np.array_equal(found, whole[::-1, ::-1])
    tally("corrupted images read")


# Files that are no files, or not for us


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "endless.png"):
        path, said = tmp_path / name, list[str]()
        thread = threading.Thread(target=note_refusal, args=(path, said), daemon=True)
        thread.start()
        thread.join(10)
        assert said == [f"{path}: not a readable image (no regular file)"]


def note_refusal(path: Path, said: list[str]) -> None:
    said.append(refusal(path))


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode(path)
    return str(caught.value)


def test_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encoded("PNG"))
    path.chmod(0)
    with obeyed_permissions():
        assert refusal(path) == f"{path}: not a readable image (Permission denied)"
    path.chmod(0o600)
    assert decode(path).shape == (HEIGHT, WIDTH, 3)


def test_system_errors_are_told_without_the_path_again(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    for name, reason in {
        "loop.png": "Too many levels of symbolic links",
        "gone.png": "No such file or directory",
        "absent.png": "No such file or directory",
        "n" * 300: "File name too long",
    }.items():
        assert refusal(tmp_path / name) == f"{tmp_path / name}: not a readable image ({reason})"


def test_want_of_memory_is_not_blamed_on_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(image: Image.Image) -> Image.Image:
        raise MemoryError

    monkeypatch.setattr("data.images.upright", exhausted)
    with pytest.raises(InputError, match=r"^x: too little memory to decode it$") as caught:
        decode_bytes(encoded("PNG"), "x")
    # So a suite that leaves out broken files does not leave out this one.
    assert not isinstance(caught.value, UnreadableImageError)


def test_fault_of_the_machine_is_not_one_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "image.png"
    Image.new("RGB", (4, 4)).save(path)
    monkeypatch.setattr("data.images.Image.open", fail)
    with pytest.raises(InputError, match=r"image\.png: cannot be read \(Input/output") as found:
        decode(path)
    assert not isinstance(found.value, UnreadableImageError)
