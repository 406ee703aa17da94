"""Parts of holes that are the truth: found in each of their shapes, never in honest fillings."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import ndimage

from benchmark.submissions.doctor import examine
from benchmark.submissions.submission import Submission
from models.baselines import BASELINES
from tests.submissions.test_doctor import (
    COUNT,
    SIDE,
    Hole,
    Pixels,
    box,
    hand_in,
    ids,
    photographs,
    portraits,
    save,
    telea,
)


def _two_boxes(number: int) -> Hole:
    hole = np.zeros((SIDE, SIDE), np.bool_)
    hole[4:24, 6:26] = True
    hole[34:58, 30:56] = True
    return hole


def _rim(hole: Hole, width: int) -> Hole:
    return np.asarray(hole & (ndimage.distance_transform_edt(hole) <= width))


def _rows(hole: Hole, count: int) -> Hole:
    """Return the upper rows of a hole."""
    return np.asarray(hole & (np.cumsum(hole.any(1)) <= count)[:, None])


def _columns(hole: Hole, count: int) -> Hole:
    """Return the left columns of a hole."""
    return np.asarray(hole & (np.cumsum(hole.any(0)) <= count)[None])


def _strokes(number: int) -> Hole:
    """Return thin strokes, as of a brush or of scratches."""
    hole = np.zeros((SIDE, SIDE), np.uint8)
    for y in (8, 22, 36, 50):
        cv2.line(hole, (3, y), (60, y + 8), 1, 3)
    return np.asarray(hole > 0)


UPPER = (np.arange(SIDE) < 30)[:, None]
PARTS: dict[str, tuple[Callable[[int], Hole], Callable[[Hole], Hole]]] = {
    "the upper half": (box, lambda m: _rows(m, 13)),
    "the left third": (box, lambda m: _columns(m, 9)),
    "a corner": (box, lambda m: _rows(m, 12) & _columns(m, 12)),
    "one of two holes": (_two_boxes, lambda m: m & UPPER),
    "half of thin strokes": (_strokes, lambda m: m & UPPER),
    "a rim of 2 px": (box, lambda m: _rim(m, 2)),
    "a rim of 4 px": (box, lambda m: _rim(m, 4)),
    "a rim of one of two holes": (_two_boxes, lambda m: _rim(m, 3) & ~UPPER),
    "all but a spot": (box, lambda m: m & ~ndimage.binary_erosion(m, iterations=9)),
}


def _spoiled(root: Path, images: list[Pixels], part: str) -> Submission:
    hole, leaked = PARTS[part]
    return hand_in(
        root, images, hole, spoil=lambda x, m, c: (np.where(leaked(m)[..., None], x, c), m)
    )


@pytest.mark.parametrize("images", [portraits, photographs])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_hole_that_is_the_truth_is_found(
    part: str, images: Callable[[], list[Pixels]], tmp_path: Path
) -> None:
    findings = examine(_spoiled(tmp_path, images(), part))
    assert [finding.id for finding in findings] == ["truth_in_hole"]
    assert findings[0].severity == "error"
    # Pictures that are flat at that place show it less.
    assert findings[0].count >= COUNT - 2


@pytest.mark.parametrize("part", ["the upper half", "a rim of 4 px", "one of two holes"])
def test_a_single_image_of_many_is_found(part: str, tmp_path: Path) -> None:
    images = photographs(20)
    submission = hand_in(tmp_path, images, PARTS[part][0])
    _spoiled(tmp_path / "spoiled", images, part)
    leaked = (tmp_path / "spoiled/completed/7.png").read_bytes()
    (tmp_path / "completed/7.png").write_bytes(leaked)
    assert ids(examine(submission)) == [("truth_in_hole", 1)]


def test_several_holes_and_every_one_of_them_is_looked_at(tmp_path: Path) -> None:
    (image,) = photographs(1)
    hole = np.zeros((SIDE, SIDE), np.bool_)
    for y in (3, 24, 45):
        for x in (3, 24, 45):
            hole[y : y + 14, x : x + 14] = True
    honest = telea(image, hole)
    for y, x in ((3, 3), (24, 45), (45, 24)):
        completed = honest.copy()
        completed[y : y + 14, x : x + 14] = image[y : y + 14, x : x + 14]
        for kind, content in (("images", image), ("completed", completed), ("masks", hole)):
            save(tmp_path / f"{y}{x}/{kind}/0.png", content)
        root = tmp_path / f"{y}{x}"
        submission = Submission(root / "images", root / "completed", root / "masks")
        assert [finding.id for finding in examine(submission)] == ["truth_in_hole"]


@pytest.mark.parametrize("count", [60, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", sorted(BASELINES))
def test_no_baseline_is_taken_for_a_leak(name: str, count: int, tmp_path: Path) -> None:
    training = np.stack(portraits(40, first=1000))
    fill = BASELINES[name](training)
    for number, image in enumerate(portraits(count)):
        hole = box(number)
        blank = np.where(hole[..., None], 0, image).astype(np.uint8)
        save(tmp_path / f"images/{number:03}.png", image)
        save(tmp_path / f"completed/{number:03}.png", fill(blank[None], hole[None])[0])
        save(tmp_path / f"masks/{number:03}.png", hole)
    submission = Submission(tmp_path / "images", tmp_path / "completed", tmp_path / "masks")
    assert examine(submission) == []
