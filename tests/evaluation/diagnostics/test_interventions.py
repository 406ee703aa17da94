"""Interventions into generators that were made by hand, against NumPy and scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from benchmark.evaluation.diagnostics.interventions import intervene
from benchmark.evaluation.test_set import TestSet
from benchmark.training.network_inputs import Inpainter
from data.store import Record
from models.layers import Gain
from tests.support.tiny import tiny_variant

IMAGES, PX, HOLE = 5, 24, 8
CPU = torch.device("cpu")


class Blind(nn.Module):
    """Fills every hole with the same gray."""

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        """Return a raw output."""
        return torch.zeros_like(masked)


class CornerColor(nn.Module):
    """Fills a hole with the color of the image's first pixel."""

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        """Return a raw output."""
        return masked[:, :, :1, :1].expand_as(masked)


class Gained(Blind):
    """Adds the first pixel's color with a gain."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Gain()
        nn.init.constant_(self.block.factor, 1.0)

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        """Return a raw output."""
        added: Tensor = self.block(masked[:, :, :1, :1])
        return added.expand_as(masked)


@pytest.fixture
def test_set() -> TestSet:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, PX, PX, 3), dtype=np.uint8)
    corners = rng.integers(2, PX - HOLE - 2, (IMAGES, 1, 2))
    boxes = np.concatenate([corners, corners + HOLE], axis=2).astype(np.int32)
    records = [Record("test", i, f"{i}.png", f"{i:064x}", "") for i in range(IMAGES)]
    return TestSet(images, boxes, records, [*range(IMAGES)])


def _intervened(network: nn.Module, test: TestSet, batch_size: int = 2) -> dict[str, object]:
    inpainter = Inpainter(network.eval(), tiny_variant("l2").generator)
    return intervene(inpainter, test, CPU, batch_size)


def _holes(test: TestSet) -> list[tuple[slice, slice]]:
    return [(slice(y0, y1), slice(x0, x1)) for (x0, y0, x1, y1) in test.boxes[:, 0].tolist()]


def test_another_context_changes_nothing_for_a_blind_generator(test_set: TestSet) -> None:
    found = _intervened(Blind(), test_set)
    assert found.keys() == {"context"}
    context = found["context"]
    assert isinstance(context, dict) and context["filling"] == [0.0] * IMAGES
    # Of five images, two further on is another one, and neighbors are not.
    for row, (y, x) in enumerate(_holes(test_set)):
        pair = [test_set.images[i][y, x].astype(float) for i in (row, (row + 2) % IMAGES)]
        expected = ((pair[0] - pair[1]) ** 2).mean() / 255**2
        assert context["truth"][row] == pytest.approx(expected, rel=1e-4)  # 5 digits are kept


def test_a_filling_of_the_other_context_is_in_the_same_hole(test_set: TestSet) -> None:
    context = _intervened(CornerColor(), test_set)["context"]
    assert isinstance(context, dict)
    first = test_set.images[:, 0, 0].astype(float)
    expected = [((first[i] - first[(i + 2) % IMAGES]) ** 2).mean() / 255**2 for i in range(IMAGES)]
    assert context["filling"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_block_is_switched_off_and_on_again(test_set: TestSet, batch_size: int) -> None:
    network = Gained()
    found = _intervened(network, test_set, batch_size)
    assert found["gains"] == {"block": 1.0} and network.block.factor.item() == 1
    scores = {"ssim_h": test_set.images[:, 0, 0], "without": np.full((IMAGES, 3), 128)}
    for name, colors in scores.items():
        values = found[name]
        assert isinstance(values, list)
        for row, (y, x) in enumerate(_holes(test_set)):
            completed = test_set.images[row].copy()
            completed[y, x] = colors[row]
            assert values[row] == pytest.approx(
                _ssim_h(completed, test_set.images[row], y, x), abs=1e-4
            )


def _ssim_h(completed: np.ndarray, target: np.ndarray, y: slice, x: slice) -> float:
    """Return scikit-image's SSIM, averaged over the windows that touch the hole."""
    _, maps = structural_similarity(  # type: ignore[no-untyped-call]
        completed, target, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=255, channel_axis=2, full=True,
    )  # fmt: skip
    touched = np.zeros(target.shape[:2], bool)
    touched[max(0, y.start - 5) : y.stop + 5, max(0, x.start - 5) : x.stop + 5] = True
    touched[:5], touched[-5:], touched[:, :5], touched[:, -5:] = False, False, False, False
    return float(maps[touched].mean())
