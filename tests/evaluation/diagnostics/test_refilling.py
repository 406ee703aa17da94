"""Filling what a localizer finds, with networks that were made by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.evaluation.diagnostics.refilling import ELSEWHERE, ROUNDS, refill, refilled
from benchmark.evaluation.test_set import TestSet
from benchmark.metrics import score_images
from benchmark.training.network_inputs import Inpainter
from data.store import Record
from models.networks import Localization
from tests.support.tiny import tiny_variant

IMAGES, PX, HOLE = 5, 32, 8
CPU = torch.device("cpu")


class Gray(nn.Module):
    """Fills every hole with mid-gray, 128."""

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        """Return a raw output."""
        return torch.full_like(masked, 1 / 255)


class Finds(nn.Module):
    """Finds the same square in every image."""

    def __init__(self, corner: int, side: int) -> None:
        super().__init__()
        self.corner, self.side = corner, side

    def forward(self, images: Tensor) -> Localization:
        """Return a box and how sure it is."""
        box = torch.tensor([self.corner, self.corner, *[self.corner + self.side] * 2]) / PX
        return Localization(torch.zeros(len(images)), box.expand(len(images), 4))


@pytest.fixture
def test_set() -> TestSet:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, PX, PX, 3), dtype=np.uint8)
    corners = rng.integers(0, PX - HOLE + 1, (IMAGES, 1, 2))
    boxes = np.concatenate([corners, corners + HOLE], axis=2).astype(np.int32)
    records = [Record("test", i, f"{i}.png", f"{i:064x}", "") for i in range(IMAGES)]
    return TestSet(images, boxes, records, [*range(IMAGES)])


def _scores(images: np.ndarray, truth: np.ndarray) -> list[float]:
    ours, theirs = (torch.from_numpy(i).permute(0, 3, 1, 2) for i in (images, truth))
    mask = (ours != theirs).any(dim=1, keepdim=True)
    found: list[float] = score_images(ours, theirs, mask, ["stlpips_alex"])["stlpips_alex"].tolist()
    return found


@pytest.mark.parametrize(
    ("corner", "side", "start"),
    [(10, 8, 10), (10, 12, 12), (-6, 8, 0), (30, 8, PX - HOLE)],  # larger; partly outside
)
def test_squares_around_the_middle_of_the_box_are_filled(
    corner: int, side: int, start: int, test_set: TestSet
) -> None:
    inpainter = Inpainter(Gray(), tiny_variant("localizer").generator)
    found = refill(inpainter, Finds(corner, side), test_set, CPU, batch_size=2)
    expected = np.array(test_set.images)
    for image, (x0, y0, x1, y1) in zip(expected, test_set.boxes[:, 0], strict=True):
        image[y0:y1, x0:x1] = 128
    truth = test_set.images
    # Five digits are kept.
    assert found[refilled(0)] == pytest.approx(_scores(expected, truth), rel=1e-4)
    expected[:, start : start + HOLE, start : start + HOLE] = 128
    for rounds in range(1, ROUNDS + 1):  # the second and later ones find it again
        assert found[refilled(rounds)] == pytest.approx(_scores(expected, truth), rel=1e-4)
    assert found.keys() == {*map(refilled, range(ROUNDS + 1)), ELSEWHERE}
    assert all(len(values) == IMAGES for values in found.values())


def test_images_that_are_too_small_for_the_metric_are_not_filled_again(test_set: TestSet) -> None:
    inpainter = Inpainter(Gray(), tiny_variant("localizer").generator)
    for px, is_filled in ((20, False), (21, True)):
        small = replace(test_set, images=np.ascontiguousarray(test_set.images[:, :px, :px]))
        small.boxes[:] = [1, 1, 1 + HOLE, 1 + HOLE]
        found = refill(inpainter, Finds(10, 8), small, CPU, batch_size=2)
        assert bool(found) == is_filled
        json.dumps(found, allow_nan=False)


def test_squares_elsewhere_are_others_for_each_image_and_round_and_not_for_a_batch_size(
    test_set: TestSet,
) -> None:
    inpainter = Inpainter(Gray(), tiny_variant("localizer").generator)
    localizer = Finds(10, 8)
    one, all_at_once = (
        refill(inpainter, localizer, test_set, CPU, batch_size)[ELSEWHERE] for batch_size in (1, 9)
    )
    assert one == pytest.approx(all_at_once, rel=1e-4)
    assert one != refill(inpainter, localizer, test_set, CPU, 9)[refilled(ROUNDS)]
