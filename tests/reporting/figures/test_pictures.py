"""Pictures against the pixels that went in."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.reporting.figures.pictures import (
    NEUTRAL,
    chosen_rows,
    cut_holes,
    enlarged,
    masked_inputs,
    picture_grid,
    save_image,
)


def _images(count: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_each_tile_shows_its_image_enlarged_by_an_integer() -> None:
    first, second, third = _images(2, 64), _images(2, 64, 1), _images(2, 64, 2)
    groups = [{"input": list(first)}, {"gan_with_a_long_name": list(second), "b": list(third)}]
    picture, plan = picture_grid(groups, ["#0", "#1"])
    pixels = np.asarray(picture)
    assert plan.tile == (128, 128)
    for left, images in zip(plan.lefts, (first, second, third), strict=True):
        for top, image in zip(plan.tops, images, strict=True):
            tile = pixels[top : top + 128, left : left + 128]
            np.testing.assert_array_equal(tile[::2, ::2], image)
            np.testing.assert_array_equal(tile[1::2, 1::2], image)


def test_groups_stand_apart_and_the_margin_is_white() -> None:
    column = list(_images(1, 64))
    picture, plan = picture_grid([{"a": column}, {"b": column, "c": column}], ["#0"])
    assert plan.lefts[1] - plan.lefts[0] > plan.lefts[2] - plan.lefts[1] > 128
    pixels = np.asarray(picture)
    assert picture.size == plan.size
    assert (pixels[-16:] == 255).all()
    assert (pixels[:, -16:] == 255).all()
    assert (pixels[: plan.tops[0]] < 128).any(), "there is no heading"


def test_smaller_tiles_are_centered() -> None:
    small, large = _images(1, 64)[0, :, :32], _images(1, 64)[0]
    picture, plan = picture_grid([{"a": [large, small]}], ["", ""])
    row = np.asarray(picture)[plan.tops[1] + 64, plan.lefts[0] : plan.lefts[0] + 128]
    np.testing.assert_array_equal(row[32:96:2], small[32])
    assert (row[:32] == 255).all()


def test_images_above_the_tile_size_keep_their_pixels() -> None:
    image = _images(1, 200)[0]
    np.testing.assert_array_equal(enlarged(image), image)


def test_masked_input_is_neutral_in_the_hole_and_untouched_elsewhere() -> None:
    images, boxes = _images(1, 16), np.array([[2, 4, 6, 12]], dtype=np.int32)
    before = images.copy()
    masked = masked_inputs(images, boxes)
    assert (masked[0, 4:12, 2:6] == NEUTRAL).all()
    masked[0, 4:12, 2:6] = images[0, 4:12, 2:6]
    np.testing.assert_array_equal(masked, before)
    np.testing.assert_array_equal(images, before)


def test_cut_holes_are_the_pixels_of_the_box() -> None:
    images, boxes = _images(1, 16), np.array([[2, 4, 6, 12]], dtype=np.int32)
    (hole,) = cut_holes(images, boxes)
    np.testing.assert_array_equal(hole, images[0, 4:12, 2:6])


def test_rows_are_the_first_images_or_one_per_class() -> None:
    assert chosen_rows([""] * 20) == list(range(8))
    assert chosen_rows(["", "", ""]) == [0, 1, 2]
    assert chosen_rows(["dog", "cat", "dog", "ape"]) == [3, 1, 0]
    assert len(chosen_rows([f"c{i:02}" for i in range(30)])) == 10


def test_a_saved_image_has_no_metadata_and_the_same_pixels(tmp_path: Path) -> None:
    image = Image.fromarray(_images(1, 32)[0])
    save_image(tmp_path / "x.png", image)
    with Image.open(tmp_path / "x.png") as saved:
        assert not saved.info
        np.testing.assert_array_equal(np.asarray(saved), np.asarray(image))
