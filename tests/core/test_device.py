"""What the device module sets before anything is computed."""

import pytest
import torch

from benchmark.core.device import open_device
from tests.support.tiny import tiny_suite


def test_float32_is_float32_in_convolutions_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    try:
        open_device(tiny_suite().training, "cpu")
        assert not torch.backends.cudnn.allow_tf32
    finally:
        torch.use_deterministic_algorithms(False)  # it is set for the whole process
