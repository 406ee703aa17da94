"""Decoding every kind of image file to upright 8-bit RGB, and bringing it to size."""

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from data.images import WIDEST, Resize, center_square, decode, decode_bytes
from data.sources import UnreadableImageError
from tests.support.exif import turned_upright
from tests.support.promises import tally


def colored(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.promise("images")
def test_color_is_kept(tmp_path: Path) -> None:
    pixels = colored(5, 7)
    found = decode(saved(Image.fromarray(pixels), tmp_path / "color.png"))
    assert found.dtype == np.uint8 and np.array_equal(found, pixels)
    tally("kinds of image files read")


@pytest.mark.promise("images")
def test_gray_becomes_three_equal_channels(tmp_path: Path) -> None:
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    found = decode(saved(Image.fromarray(gray), tmp_path / "gray.png"))
    assert np.array_equal(found, np.stack([gray] * 3, axis=2))
    tally("kinds of image files read")


@pytest.mark.promise("images")
def test_black_and_white_becomes_0_and_255(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1")
    assert decode(saved(image, tmp_path / "bilevel.png")).tolist() == [[[0] * 3, [255] * 3]]
    tally("kinds of image files read")


@pytest.mark.promise("images")
@pytest.mark.parametrize("options", [{}, {"transparency": 1}, {"transparency": bytes([0, 128])}])
def test_palette_is_looked_up(tmp_path: Path, options: dict[str, object]) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    found = decode(saved(image, tmp_path / "palette.png", **options))
    assert found.tolist() == [[[10, 20, 30], [200, 100, 50]]]
    tally("kinds of image files read")


@pytest.mark.promise("images")
def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    image = Image.new("CMYK", (8, 8), (255, 0, 255, 0))  # no magenta: green
    red, green, blue = decode(saved(image, tmp_path / "cmyk.tif"))[0, 0]
    assert (red, green, blue) == (0, 255, 0)
    tally("kinds of image files read")


@pytest.mark.promise("images")
@pytest.mark.parametrize(("mode", "color"), [("RGBA", (90, 60, 30, 0)), ("LA", (77, 0))])
def test_alpha_is_dropped(tmp_path: Path, mode: str, color: tuple[int, ...]) -> None:
    found = decode(saved(Image.new(mode, (2, 2), color), tmp_path / "alpha.png"))
    expected = (list(color[:-1]) * 3)[:3]
    assert found.tolist() == [[expected] * 2] * 2
    tally("kinds of image files read")


@pytest.mark.promise("images")
@pytest.mark.parametrize("name", ["wide.png", "wide.tif"])
def test_16_bit_gray_keeps_its_upper_byte(tmp_path: Path, name: str) -> None:
    wide = np.array([[0, 255, 256, 0x1234, 0x8000, 65535]], dtype=np.uint16)
    found = decode(saved(Image.fromarray(wide), tmp_path / name))
    assert found[0, :, 1].tolist() == [0, 0, 1, 0x12, 0x80, 255]
    tally("kinds of image files read")


@pytest.mark.promise("images")
def test_16_bit_color_keeps_its_upper_byte(tmp_path: Path) -> None:
    wide = np.array([[[0x1234, 0x80FF, 0xFF00]]], dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "wide.png"), wide[:, :, ::-1])  # OpenCV writes BGR
    assert decode(tmp_path / "wide.png").tolist() == [[[0x12, 0x80, 0xFF]]]
    tally("kinds of image files read")


WIDE = {"gray": np.uint16, "color": np.uint16, "float": np.float32}


def save_wide(kind: str, samples: NDArray[np.int64], scale: float, path: Path) -> Path:
    """Save `[h, w]` samples of more than 8 bits, in color with three channels that differ."""
    values = (samples * scale).astype(WIDE[kind])
    if kind == "color":
        values = np.stack([values, values // 2, values // 4], axis=2)
        cv2.imwrite(str(path), values[:, :, ::-1])
        return path
    return saved(Image.fromarray(values), path)


@pytest.mark.promise("images")
@pytest.mark.parametrize("kind", ["gray", "color"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_levels_of_fewer_bits_in_a_wider_type_are_refused_until_they_are_named(
    kind: str, bits: int, tmp_path: Path
) -> None:
    white = 2**bits - 1
    path = save_wide(kind, np.array([[0, white // 3, white]]), 1, tmp_path / "wide.png")
    with pytest.raises(
        UnreadableImageError, match=rf"wide\.png: .* {white}, .*--levels.* {white},"
    ):
        decode(path)
    assert decode(path, white)[0, :, 0].tolist() == [0, 85, 255]
    dark = [(white // 3 * 255 + 2**15) // WIDEST, (white * 255 + 2**15) // WIDEST]
    assert decode(path, WIDEST)[0, 1:, 0].tolist() == dark
    with pytest.raises(UnreadableImageError, match=f"above levels {white - 1}"):
        decode(path, white - 1)
    tally("kinds of image files read")


@pytest.mark.promise("images")
@pytest.mark.parametrize("kind", ["gray", "color"])
@pytest.mark.parametrize(("bits", "scale"), [(8, 257), (8, 256), (12, 16), (14, 4), (16, 1)])
def test_an_exactly_scaled_file_is_read_as_it_is(
    kind: str, bits: int, scale: int, tmp_path: Path
) -> None:
    samples = np.array([[0, 2 ** (bits - 1), 2**bits - 1]])
    path = save_wide(kind, samples, scale, tmp_path / "wide.png")
    assert decode(path)[0, :, 0].tolist() == [0, 128, 255]
    tally("kinds of image files read")


@pytest.mark.promise("images")
@pytest.mark.parametrize("white", [1.0, 255.0])
def test_white_of_floating_point_samples_has_to_be_named(white: float, tmp_path: Path) -> None:
    path = save_wide("float", np.array([[0, 51, 255]]), white / 255, tmp_path / "float.tif")
    with pytest.raises(UnreadableImageError, match=rf"float\.tif: .*--levels.*: {white:g}$"):
        decode(path)
    assert decode(path, white)[0, :, 0].tolist() == [0, 51, 255]
    tally("kinds of image files read")


@pytest.mark.promise("images")
def test_levels_are_no_matter_of_bytes(tmp_path: Path) -> None:
    path = saved(Image.fromarray(colored(4, 4)), tmp_path / "bytes.png")
    assert np.array_equal(decode(path, 4095), colored(4, 4))


@pytest.mark.promise("images")
@pytest.mark.parametrize("value", [np.float32(-0.5), np.float32(np.nan), np.int32(-1)])
@pytest.mark.parametrize("levels", [None, 255])
def test_samples_that_are_no_levels_are_refused(
    value: np.generic, levels: float | None, tmp_path: Path
) -> None:
    path = saved(Image.fromarray(np.full((2, 2), value)), tmp_path / "range.tif")
    with pytest.raises(UnreadableImageError, match=r"range\.tif: has samples that are negative"):
        decode(path, levels)


@pytest.mark.promise("images")
def test_samples_of_more_than_16_bits_are_refused(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.full((2, 2), np.int32(70_000))), tmp_path / "range.tif")
    with pytest.raises(UnreadableImageError, match=r"range\.tif: has samples of more than 16 bits"):
        decode(path)


@pytest.mark.promise("images")
@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_16_bit_color_is_upright_too(suffix: str, orientation: int, tmp_path: Path) -> None:
    stored = colored(4, 6)
    wide = stored.astype(np.uint16) * 257
    path = tmp_path / f"turned.{suffix}"
    cv2.imwrite(str(path), wide[:, :, ::-1])
    assert np.array_equal(decode(path), stored)
    if suffix == "png":
        content, exif = path.read_bytes(), Image.Exif()
        exif[0x0112] = orientation
        block = exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = b"eXIf" + block
        length, check = len(block).to_bytes(4, "big"), zlib.crc32(chunk).to_bytes(4, "big")
        head = content.index(b"IHDR") + 4 + 13 + 4
        path.write_bytes(content[:head] + length + chunk + check + content[head:])
        assert np.array_equal(decode(path), turned_upright(stored, orientation))


@pytest.mark.promise("images")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored, exif = colored(4, 6), Image.Exif()
    exif[0x0112] = orientation
    upright = turned_upright(stored, orientation)
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(Image.fromarray(stored), tmp_path / f"turned.{suffix}", exif=exif, **options)
    assert np.array_equal(decode(path), upright)
    tally("kinds of image files read")


@pytest.mark.promise("images")
@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "cut.gif"])
def test_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    whole = saved(Image.fromarray(colored(40, 40)), tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableImageError, match=rf"{name}: not a readable image \(.+\)$"):
        decode(tmp_path / name)


@pytest.mark.promise("images")
@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_non_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"notes\.png: not a readable image") as caught:
        decode(path)
    assert "\n" not in str(caught.value)


@pytest.mark.promise("images")
def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(UnreadableImageError, match=path.name):
            decode(path)


@pytest.mark.promise("images")
def test_bytes_are_decoded_like_the_file(tmp_path: Path) -> None:
    path = saved(Image.fromarray(colored(9, 4)).convert("L"), tmp_path / "gray.jpg")
    assert np.array_equal(decode_bytes(path.read_bytes(), "row 3"), decode(path))


@pytest.mark.promise("images")
@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_no_image_are_named_without_an_address(content: bytes) -> None:
    with pytest.raises(UnreadableImageError, match=r"^row 3: not a readable image \([\w ,]+\)$"):
        decode_bytes(content, "row 3")


def test_right_size_is_left_alone() -> None:
    pixels = colored(16, 16)
    assert np.array_equal(Resize().apply(pixels, 16), pixels)
    assert np.array_equal(Resize(fit="stretch").apply(pixels, 16), pixels)


def test_crop_keeps_the_middle() -> None:
    pixels = colored(4, 9)
    middle = pixels[:, 2:6]
    assert np.array_equal(Resize().apply(pixels, 4), middle)
    assert np.array_equal(Resize().apply(pixels.transpose(1, 0, 2), 4), middle.transpose(1, 0, 2))


def test_crop_then_box_averages_blocks_of_the_middle() -> None:
    pixels = colored(8, 12) // 4 * 4
    found = Resize(filter="box").apply(pixels, 4)
    means = pixels[:, 2:10].reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    # Along the first axis the means of multiples of 4 are whole; the second one is rounded.
    assert np.abs(found - means).max() <= 0.5


def test_stretch_uses_all_pixels() -> None:
    pixels = colored(4, 8)
    found = Resize(fit="stretch", filter="box").apply(pixels, 4)
    assert np.abs(found - pixels.reshape(4, 4, 2, 3).mean(axis=2)).max() <= 0.5


def test_crop_from_cuts_before_it_resizes() -> None:
    pixels = colored(11, 9)
    for fit in ("crop", "stretch"):
        spec = Resize.model_validate({"fit": fit, "filter": "box", "crop_from": 4})
        middle = pixels[3:7, 2:6]
        assert np.array_equal(spec.apply(pixels, 4), middle)
        means = middle.reshape(2, 2, 2, 2, 3).mean(axis=(1, 3))
        # Pillow rounds after each axis, by up to a half.
        assert np.abs(spec.apply(pixels, 2) - means).max() <= 1
    too_large = Resize(crop_from=100)
    assert np.array_equal(too_large.apply(pixels, 9), pixels[1:10])


def test_through_reduces_first_and_enlarges_from_there() -> None:
    pixels, bilinear = colored(40, 50), Image.Resampling.BILINEAR
    spec = Resize(filter="bilinear", through=16)
    small = Image.fromarray(pixels[:, 5:45]).resize((16, 16), bilinear)
    assert np.array_equal(spec.apply(pixels, 32), np.asarray(small.resize((32, 32), bilinear)))
    assert np.array_equal(spec.apply(pixels, 16), np.asarray(small))
    stretched = Image.fromarray(pixels).resize((16, 16), bilinear).resize((32, 32), bilinear)
    spec = spec.model_copy(update={"fit": "stretch"})
    assert np.array_equal(spec.apply(pixels, 32), np.asarray(stretched))


def test_through_its_own_size_is_no_step() -> None:
    pixels = colored(16, 16)
    assert np.array_equal(Resize(through=16).apply(pixels, 16), pixels)
    assert np.array_equal(Resize(through=16).apply(pixels, 24), Resize().apply(pixels, 24))


@pytest.mark.parametrize("name", ["box", "bilinear", "bicubic", "lanczos"])
def test_filters_are_those_of_pillow_and_keep_constants(name: str) -> None:
    spec = Resize.model_validate({"filter": name})
    assert (spec.apply(np.full((50, 30, 3), 77, np.uint8), 16) == 77).all()
    pixels = colored(64, 64)
    expected = Image.fromarray(pixels).resize((16, 16), Image.Resampling[name.upper()])
    assert np.array_equal(spec.apply(pixels, 16), np.asarray(expected))


def test_one_pixel_fills_the_image() -> None:
    found = Resize().apply(np.full((1, 5, 3), 9, np.uint8), 16)
    assert found.shape == (16, 16, 3) and (found == 9).all()


@pytest.mark.parametrize(("size", "side", "start"), [(5, 3, 1), (6, 3, 1), (4, 4, 0)])
def test_center_square_rounds_towards_the_origin(size: int, side: int, start: int) -> None:
    pixels = colored(size, size)
    stop = start + side
    assert np.array_equal(center_square(pixels, side), pixels[start:stop, start:stop])
