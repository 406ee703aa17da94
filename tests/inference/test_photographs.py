"""Reading and writing of photographs: what belongs to the pixels comes through."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from benchmark.inference.photographs import read_photograph, write_photograph
from data.sources import UnreadableImageError
from tests.support.exif import turned_upright

ORIENTATION = 0x0112


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def through(path: Path, box: tuple[int, int, int, int] = (0, 0, 1, 1)) -> Image.Image:
    """Return what is written of a file whose hole, a box `(x0, y0, x1, y1)`, becomes red."""
    photograph = read_photograph(path)
    hole = np.zeros(photograph.pixels.shape[:2], bool)
    hole[box[1] : box[3], box[0] : box[2]] = True
    target = path.with_name("written") / "name.png"
    write_photograph(target, photograph, np.full_like(photograph.pixels, (255, 0, 0)), hole)
    assert [file.name for file in target.parent.iterdir()] == ["name.png"]
    with Image.open(target) as image:
        image.load()
        return image


def test_color_is_kept_outside_the_hole(tmp_path: Path) -> None:
    pixels = noise(7, 9, 3)
    written = through(saved(Image.fromarray(pixels), tmp_path / "a.png"), (2, 3, 5, 4))
    pixels[3:4, 2:5] = (255, 0, 0)
    assert written.mode == "RGB" and np.array_equal(np.asarray(written), pixels)


@pytest.mark.parametrize("mode", ["L", "1", "I;16"])
def test_gray_stays_gray(tmp_path: Path, mode: str) -> None:
    gray = noise(6, 8)
    if mode == "I;16":
        source = Image.fromarray(gray.astype(np.uint16) << 8 | 77)
    else:
        source = Image.fromarray(gray).convert(mode)
        gray = np.asarray(source.convert("L")).copy()
    written = through(saved(source, tmp_path / "a.png"))
    gray[0, 0] = 76  # red, by the luma weights of ITU-R BT.601
    assert written.mode == "L" and np.array_equal(np.asarray(written), gray)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_kept(tmp_path: Path, mode: str) -> None:
    source = Image.fromarray(noise(6, 8, len(mode)), mode)
    written = through(saved(source, tmp_path / "a.png"))
    assert written.mode == mode
    bands = zip(written.split(), source.split(), strict=True)
    *colors, alpha = ((np.asarray(new), np.asarray(old)) for new, old in bands)
    assert np.array_equal(alpha[0].flat[1:], alpha[1].flat[1:])
    assert alpha[0].flat[0] == 255  # what fills the hole, the first pixel, is to be seen
    assert all(np.array_equal(new.flat[1:], old.flat[1:]) for new, old in colors)


@pytest.mark.promise("images")
@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 100])])
def test_palette_with_transparency(tmp_path: Path, transparency: int | bytes) -> None:
    source = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    source.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    written = through(saved(source, tmp_path / "a.png", transparency=transparency))
    alpha = [255, 0, 255] if transparency == 1 else [255, 0, 100]
    assert np.asarray(written).tolist() == [
        [[255, 0, 0, alpha[0]], [40, 50, 60, alpha[1]], [70, 80, 90, alpha[2]]]
    ]


@pytest.mark.promise("images")
def test_palette_and_cmyk_become_color(tmp_path: Path) -> None:
    palette = Image.fromarray(noise(5, 5, 3)).quantize(4)
    expected = np.asarray(palette.convert("RGB")).copy()
    written = through(saved(palette, tmp_path / "a.gif"))
    expected[0, 0] = (255, 0, 0)
    assert written.mode == "RGB" and np.array_equal(np.asarray(written), expected)
    cmyk = Image.new("CMYK", (4, 4), (255, 0, 255, 0))
    assert through(saved(cmyk, tmp_path / "a.tif")).getpixel((3, 3)) == (0, 255, 0)


@pytest.mark.promise("images")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_images_are_turned_upright(tmp_path: Path, orientation: int, mode: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = noise(4, 6, len(mode))
    path = saved(Image.fromarray(stored), tmp_path / "a.png", exif=exif)
    upright = turned_upright(stored, orientation)
    written = through(path)
    assert np.array_equal(np.asarray(written)[1:], upright[1:])
    assert ORIENTATION not in written.getexif()


def test_color_profile_is_kept_where_the_color_space_is(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    color = saved(Image.fromarray(noise(4, 4, 3)), tmp_path / "a.png", icc_profile=profile)
    assert through(color).info["icc_profile"] == profile
    cmyk = saved(Image.new("CMYK", (4, 4)), tmp_path / "a.tif", icc_profile=profile)
    assert "icc_profile" not in through(cmyk).info


def test_bytes_repeat(tmp_path: Path) -> None:
    path = saved(Image.fromarray(noise(20, 30, 4)), tmp_path / "a.png")
    through(path)
    first = (tmp_path / "written/name.png").read_bytes()
    through(path)
    assert (tmp_path / "written/name.png").read_bytes() == first


@pytest.mark.promise("images")
@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"a\.png: not a readable image"):
        read_photograph(path)
