"""Pictures against the pixels that went in."""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmark.reporting.figures import (
    NEUTRAL,
    chosen_rows,
    cut_holes,
    enlarged,
    masked_inputs,
    picture_grid,
    save_image,
)
from benchmark.reporting.plots import curves_figure, losses_figure, save_figure


def _images(count: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def _curves(epochs: int = 3) -> pd.DataFrame:
    steps = np.arange(1, epochs + 1)
    return pd.DataFrame(
        {"epoch": steps, "generator/reconstruction": 1 / steps, "validation/mse_h": 0.5 / steps}
    )


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


def test_smaller_tiles_are_centred() -> None:
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


def test_curves_draw_each_variants_mean_over_its_seeds() -> None:
    other = _curves().assign(**{"validation/mse_h": 0.1})
    figure = curves_figure({("l2", 0): _curves(), ("l2", 1): other, ("gan_a", 0): _curves()})
    thick = [line for line in figure.axes[0].lines if line.get_linewidth() == 2]
    assert len(figure.axes[0].lines) == 4  # two seeds and their mean, and one alone
    expected = (np.array([0.5, 0.25, 0.5 / 3]) + 0.1) / 2
    assert thick[0].get_ydata() == pytest.approx(expected)  # two float64 operations
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["l2", "gan a"]


def test_curves_sum_a_discriminators_terms_and_say_where_there_is_none() -> None:
    curves = _curves().assign(**{"discriminator/d/a": 1.0, "discriminator/d/b": 2.0})
    panel = curves_figure({("gan", 0): curves}).axes[2]
    np.testing.assert_array_equal(panel.lines[0].get_ydata(), [3, 3, 3])
    alone = curves_figure({("l2", 0): _curves()}).axes[2]
    assert [text.get_text() for text in alone.texts] == ["no discriminator"]


def _losses(columns: Mapping[str, float], epochs: int = 3) -> pd.DataFrame:
    """Return curves that fall from these values; the generator's total falls from 5."""
    falling = 1 / np.arange(1, epochs + 1)
    table = {"epoch": np.arange(1, epochs + 1), "generator/total": 5 * falling}
    return pd.DataFrame(table | {name: value * falling for name, value in columns.items()})


def test_losses_have_a_panel_for_each_variant_with_all_terms() -> None:
    gan = _losses(
        {"generator/hole_mse": 2, "generator/reconstruction": 3, "discriminator/d/iou": 0.5}
    )
    figure = losses_figure({("l2", 0): _losses({"generator/hole_mse": 1}), ("gan_a", 0): gan})
    first, second = figure.axes
    assert [axes.get_title("left") for axes in figure.axes] == ["l2", "gan a"]
    drawn = [
        [float(np.asarray(line.get_ydata())[0]) for line in axes.lines] for axes in (first, second)
    ]
    assert drawn == [[5, 1], [5, 2, 0.5]]  # all but the reconstruction, which is a sum of terms
    assert first.get_yscale() == second.get_yscale() == "log"
    assert first.get_ylim() == second.get_ylim()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["total", "hole_mse", "iou", "generator", "discriminator d"]


def test_losses_tell_terms_by_colour_and_networks_by_dash() -> None:
    names = ["hole_mse", "l1", "ssim", "edge", "adversarial", "confidence", "box", "iou"]
    columns = {f"{player}/{n}": 1.0 for player in ("generator", "discriminator/d") for n in names}
    (axes,) = losses_figure({("gan", 0): _losses(columns)}).axes
    total, *terms = axes.lines
    own, other = terms[:8], terms[8:]
    assert len({line.get_color() for line in (total, *own)}) == 9
    assert [line.get_color() for line in own] == [line.get_color() for line in other]
    assert {line.get_linestyle() for line in (total, *own)} == {"-"}
    assert {line.get_linestyle() for line in other} == {"--"}


def test_losses_that_reach_zero_are_linear_around_it() -> None:
    for value in (0.0, -0.1):
        curves = {
            ("a", 0): _losses({"generator/l1": 1}),
            ("b", 0): _losses({"generator/box": value}),
        }
        assert {axes.get_yscale() for axes in losses_figure(curves).axes} == {"symlog"}


def test_losses_before_a_discriminator_starts_are_a_gap() -> None:
    late = _losses({"discriminator/d/iou": 0.5})
    late.loc[0, "discriminator/d/iou"] = np.nan
    (axes,) = losses_figure({("staged", 0): late}).axes
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [np.nan, 0.25, 0.5 / 3])
    assert axes.get_yscale() == "log"


def test_losses_of_several_seeds_are_drawn_thin_and_their_mean_thick() -> None:
    seeds = {("l2", 0): _losses({"generator/l1": 1}), ("l2", 1): _losses({"generator/l1": 3})}
    (axes,) = losses_figure(seeds).axes
    lines = [line for line in axes.lines if np.asarray(line.get_ydata())[0] != 5]
    assert [float(np.asarray(line.get_ydata())[0]) for line in lines] == [1, 3, 2]
    assert lines[2].get_linewidth() > lines[0].get_linewidth()


@pytest.mark.parametrize(
    ("variants", "rows", "across"), [(1, 1, 1), (4, 1, 4), (5, 2, 4), (22, 6, 4)]
)
def test_losses_of_many_variants_stay_readable(variants: int, rows: int, across: int) -> None:
    curves = {(f"variant_{i}", 0): _losses({"generator/l1": 1}, epochs=30) for i in range(variants)}
    figure = losses_figure(curves)
    figure.canvas.draw()
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == variants
    boxes = [axes.get_window_extent() for axes in shown]
    assert len({round(box.y0) for box in boxes}) == rows
    assert len({round(box.x0) for box in boxes}) == across
    assert min(box.width for box in boxes) > 200 and min(box.height for box in boxes) > 100
    lowest = figure.legends[0].get_window_extent().y1
    assert all(box.y0 > lowest for box in boxes)
    tight = [axes.get_tightbbox() for axes in shown]
    for one, other in combinations(tight, 2):
        assert one is not None and other is not None and not one.overlaps(other)


def test_losses_of_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_figure(tmp_path / name, losses_figure({("l2", 0): _losses({"generator/l1": 1})}))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_curves_of_equal_tables_are_equal_bytes_without_software_or_date(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_figure(tmp_path / name, curves_figure({("l2", 0): _curves(30)}))
    content = (tmp_path / "a.png").read_bytes()
    assert content == (tmp_path / "b.png").read_bytes()
    assert b"tEXt" not in content
    assert b"tIME" not in content
