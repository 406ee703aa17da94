"""The picture of probes against the pixels and boxes that went in."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.evaluation.diagnostics.predictions import Predictions
from benchmark.reporting.figures.probe_picture import probe_picture

SIZE, SIDE = 64, 32
BOXES = np.array([[10, 20, 42, 52], [0, 0, 32, 32]], dtype=np.int32)
BLUE, ORANGE = (0, 114, 178), (213, 94, 0)
LEFT, TOP, TILE = 42, 35, 128
"""Where the first tile lies: margin, a name of two letters and a gap; margin and heading."""


def _probes() -> dict[str, NDArray[np.uint8]]:
    drawn = np.random.default_rng(0).integers(0, 256, (2, 2, SIZE, SIZE, 3), dtype=np.uint8)
    return {"real": drawn[0], "seam_only": drawn[1]}


def _said(iou: bool = True) -> dict[str, Predictions]:
    box = np.array([[0.5, 0.5, 0.75, 0.75], [0.9, 0.9, 0.1, 0.1]])  # the second one is empty
    found = Predictions(np.array([0.25, 0.5]), box if iou else None, np.zeros(2) if iou else None)
    return {"real": found, "seam_only": found}


def _pixels(said: dict[str, dict[str, Predictions]]) -> NDArray[np.uint8]:
    return np.asarray(probe_picture(_probes(), BOXES, said, ["#0", "#1"]))


def _places(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.bool_]:
    # Lines are smoothed, their middle is not.
    return np.asarray((np.abs(pixels.astype(int) - color) <= 2).all(axis=2))


def test_tiles_are_the_probes_but_for_the_outlines() -> None:
    pixels = _pixels({})
    doubled = _probes()["real"][0].repeat(2, axis=0).repeat(2, axis=1)
    tile = pixels[TOP : TOP + TILE, LEFT : LEFT + TILE]
    # The square with its border, which is what probes differ in, and what is far from it.
    inside = (slice(2 * 20 + 1, 2 * 52 - 1), slice(2 * 10 + 1, 2 * 42 - 1))
    np.testing.assert_array_equal(tile[inside], doubled[inside])
    np.testing.assert_array_equal(tile[:30], doubled[:30])


def test_the_true_square_is_outlined_around_its_pixels() -> None:
    tile = _places(_pixels({}), BLUE)[TOP : TOP + TILE, LEFT : LEFT + TILE]
    rows, columns = np.nonzero(tile.sum(axis=1) > 60)[0], np.nonzero(tile.sum(axis=0) > 60)[0]
    x0, y0, x1, y1 = (2 * int(edge) for edge in BOXES[0])
    assert {y0 - 2, y1 + 1} <= {*rows.tolist()} and not {y0, y1 - 1} & {*rows.tolist()}
    assert {x0 - 2, x1 + 1} <= {*columns.tolist()} and not {x0, x1 - 1} & {*columns.tolist()}


def test_a_predicted_square_is_dashed_and_an_empty_one_is_not_drawn() -> None:
    found = _places(_pixels({"localizer": _said()}), ORANGE)
    first = found[TOP : TOP + TILE, LEFT : LEFT + TILE]
    rows, columns = np.nonzero(first)
    assert 60 <= rows.min() and rows.max() <= 100 and 60 <= columns.min() <= columns.max() <= 100
    line = first[:, first.sum(axis=0).argmax()][64:96]
    assert 0 < line.sum() < 32, "the line is solid"
    legend = 60
    assert not found[TOP + TILE : -legend].any(), "an empty box is drawn"
    assert not _places(_pixels({"binary": _said(iou=False)}), ORANGE).any()


def test_predictions_stand_below_each_picture() -> None:
    below = (slice(TOP + TILE + 5, TOP + TILE + 16), slice(LEFT, LEFT + TILE))
    written = [
        int((_pixels(said)[below] < 128).all(axis=2).sum())
        for said in ({}, {"binary": _said(iou=False)}, {"localizer": _said()})
    ]
    # A score is one number, a localizer's judgment two.
    assert written[2] > 1.5 * written[1] > 0 and written[0] == 0


def test_more_probes_than_fit_side_by_side_go_on_below() -> None:
    drawn = np.random.default_rng(1).integers(0, 256, (12, 2, SIZE, SIZE, 3), dtype=np.uint8)
    probes = {f"probe_{i}": images for i, images in enumerate(drawn)}
    pixels = np.asarray(probe_picture(probes, BOXES, {}, ["#0", "#1"]))
    step = TILE + 10
    assert LEFT + 10 * step < pixels.shape[1] < LEFT + 11 * step
    # Below the first block of two rows with their gap for captions: a margin and a heading.
    below = TOP + 2 * (TILE + 6) + 10 + 16 + 19
    tile = pixels[below : below + TILE, LEFT + step : LEFT + step + TILE]
    doubled = drawn[11][0].repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(tile[:30], doubled[:30])


def test_equal_input_gives_equal_pixels_and_wide_names_have_room() -> None:
    said = {"localizer": _said()}
    np.testing.assert_array_equal(_pixels(said), _pixels(said))
    wide = probe_picture(_probes(), BOXES, said, ["automobile", "#1"])
    assert isinstance(wide, Image.Image) and wide.width > _pixels(said).shape[1]
