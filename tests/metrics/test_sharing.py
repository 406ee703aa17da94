"""What metrics share is computed once for the same images, and never mistaken for others'."""

from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.metrics import METRICS, missing_metrics, score_images, shift_tolerant, ssim
from benchmark.metrics.sharing import held, shared


def test_a_function_is_computed_once_for_the_tensors_that_a_block_holds() -> None:
    calls = []

    @shared
    def total(image: Tensor, *, power: int = 1) -> float:
        calls.append(power)
        return float((image**power).sum())

    first, second = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    assert [total(first), total(first)] == [3, 3]
    assert len(calls) == 2, "nothing is held outside of a block"
    with held(first):
        with held(first, second):
            assert [total(first), total(first), total(second)] == [3, 3, 7]
        assert total(first, power=2) == 5, "options tell results apart"
        assert [total(first), total(first)] == [3, 3], (
            "what is known of it outlives the inner block"
        )
        first += 1
    assert total(first) == 5, "nothing outlives the block"
    assert calls == [1, 1, 1, 1, 2, 1]


def test_metrics_share_features_and_have_the_values_that_each_has_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    target, other = torch.from_numpy(rng.integers(0, 256, (2, 3, 3, 32, 32), dtype=np.uint8))
    mask = torch.zeros(3, 1, 32, 32, dtype=torch.bool)
    mask[:, :, 8:20, 5:17] = True
    completed = torch.where(mask, other, target)
    names = [
        n for n, m in METRICS.items() if m.pixels == "completed" and n not in missing_metrics()
    ]
    alone = {name: METRICS[name].function(completed, target, mask) for name in names}
    features = Mock(wraps=shift_tolerant._features)
    monkeypatch.setattr(shift_tolerant, "_features", features)
    together = score_images(completed, target, mask)
    assert together.keys() == alone.keys()
    for name, values in together.items():
        assert torch.equal(values, alone[name]), name
    assert features.call_count == 2, "one pass over the completion and one over the target"


def test_parts_in_which_similarity_is_computed_change_no_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    first, second = torch.from_numpy(rng.integers(0, 256, (2, 5, 3, 24, 19), dtype=np.uint8))
    found = []
    for part_bytes in (1, 2 * 8 * first[0].numel(), 2**40):
        monkeypatch.setattr(ssim, "PART_BYTES", part_bytes)
        found.append((ssim.ssim_map(first, second), ssim.ssim_uniform_w(first, second, first)))
    for pair in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(pair, found[0], strict=True))
