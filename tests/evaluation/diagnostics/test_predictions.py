"""Predictions against networks whose answer is known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.evaluation.diagnostics.predictions import Predictions, join, patch_centers, predict
from models.networks import Localization, Score, discriminator_class
from models.variant import DiscriminatorSpec
from tests.support.tiny import full_variant

SIZE = 64
BOXES = torch.tensor([[0, 0, 32, 32], [16, 24, 48, 56]], dtype=torch.int32)


def spec(looks_at: str) -> DiscriminatorSpec:
    found = full_variant("binary").discriminators["binary"]
    return found.model_copy(update={"input": looks_at})


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


class _Boxes(nn.Module):
    """Says of every image the same box."""

    def forward(self, images: Tensor) -> Localization:
        box = torch.tensor([0.25, 0.25, 0.75, 0.75]).expand(len(images), 4)
        return Localization(torch.full((len(images),), 2.0), box)


class _Patches(nn.Module):
    """Has patches of 8 px, each with the mean of its pixels as logit."""

    def forward(self, images: Tensor) -> Score:
        return Score(nn.functional.avg_pool2d(images, 8).mean(1))


class _Mean(nn.Module):
    """Scores the mean of the first channel of all that it sees."""

    def forward(self, images: Tensor) -> Score:
        return Score(images[:, 0].mean((1, 2)))


def _half_bright() -> Tensor:
    """Return images that are 255 in their squares and 0 elsewhere."""
    images = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)
    for image, (x0, y0, x1, y1) in zip(images, BOXES.tolist(), strict=True):
        image[:, y0:y1, x0:x1] = 255
    return images


def test_a_localizer_says_how_sure_and_where() -> None:
    found = predict(_Boxes(), spec("completed"), _half_bright(), BOXES)
    # Logits and boxes pass through float32.
    assert found.altered.tolist() == pytest.approx([_sigmoid(2)] * 2, rel=1e-6)
    assert found.iou is not None and found.box is not None
    # The predicted box is 16 to 48 px: 16 x 16 px in common with the first square, 32 x 24 with the
    # second; all have 1024 px.
    assert found.iou.tolist() == pytest.approx([256 / 1792, 768 / 1280], rel=1e-6)
    assert found.box.tolist() == [[0.25, 0.25, 0.75, 0.75]] * 2


def test_patches_count_inside_the_square_alone() -> None:
    found = predict(_Patches(), spec("completed"), _half_bright(), BOXES)
    assert found.altered.tolist() == pytest.approx([_sigmoid(-1)] * 2, rel=1e-6)
    assert found.iou is None
    everywhere = predict(_Mean(), spec("completed"), _half_bright(), BOXES)
    # A quarter of the pixels is 1, the rest -1.
    assert everywhere.altered.tolist() == pytest.approx([_sigmoid(0.5)] * 2, rel=1e-6)


def test_a_square_between_the_patches_has_the_score_of_all() -> None:
    boxes = torch.tensor([[0, 0, 2, 2], [1, 1, 3, 3]])
    found = predict(_Patches(), spec("completed"), torch.zeros_like(_half_bright()), boxes)
    assert found.altered.tolist() == pytest.approx([_sigmoid(1)] * 2, rel=1e-6)


@pytest.mark.parametrize("network", [_Patches(), _Mean()])
def test_one_that_looks_at_the_hole_sees_nothing_else(network: nn.Module) -> None:
    found = predict(network, spec("hole"), _half_bright(), BOXES)
    assert found.altered.tolist() == pytest.approx([_sigmoid(-1)] * 2, rel=1e-6)


def test_what_is_almost_sure_keeps_its_rank() -> None:
    class Sure(nn.Module):
        def forward(self, images: Tensor) -> Score:
            return Score(torch.tensor([50.0, 60.0]))

    found = predict(Sure(), spec("completed"), _half_bright(), BOXES)
    # 1 - sigmoid would be 0 for both.
    assert found.altered.tolist() == pytest.approx([math.exp(-50), math.exp(-60)], rel=1e-6)


@pytest.mark.parametrize(
    ("name", "size"), [("patchgan_small", 64), ("patchgan_small", 200), ("patchgan_instance", 128)]
)
def test_patches_lie_where_the_convolutions_look(name: str, size: int) -> None:
    network = discriminator_class(name)(size)
    # Without norms, and with equal weights, the gradient of a patch is where it looks.
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    for layer in layers:
        nn.init.ones_(layer.weight)
    images = torch.zeros(1, 3, size, size, requires_grad=True)
    maps = nn.Sequential(*layers)(images)
    centers = patch_centers(maps.shape[-1], size)
    middle = maps.shape[-1] // 2
    for row, column in ((middle, middle), (middle, middle - 1)):
        (gradient,) = torch.autograd.grad(maps[0, 0, row, column], images, retain_graph=True)
        seen = gradient[0, 0]
        weight = seen.sum(0) / seen.sum()
        across = (weight * (torch.arange(size) + 0.5)).sum()
        # A mean of float32 numbers of up to 200.
        assert across.item() == pytest.approx(centers[column].item(), abs=1e-2)


def test_batches_are_joined_in_order() -> None:
    box = np.zeros((1, 4))
    parts = [Predictions(np.array([v]), box, np.array([10 * v])) for v in (0.1, 0.2)]
    joined = join(parts)
    assert joined.altered.tolist() == [0.1, 0.2]
    assert joined.box is not None and joined.box.shape == (2, 4)
    assert joined.iou is not None and joined.iou.tolist() == [1.0, 2.0]
    scores = join([Predictions(np.array([0.1]), None, None)] * 2)
    assert scores.box is None and scores.altered.tolist() == [0.1, 0.1]
