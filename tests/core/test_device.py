"""What the device module sets, how networks compute on it, and how soon training can begin."""

import subprocess
import sys
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from benchmark.core.device import Engine, open_device
from data.errors import InputError
from tests.support.tiny import ROOT, numbers, tiny_suite

CPU = torch.device("cpu")


def test_float32_is_float32_in_convolutions_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    try:
        open_device(tiny_suite().training, "cpu")
        assert not torch.backends.cudnn.allow_tf32
    finally:
        torch.use_deterministic_algorithms(False)  # it is set for the whole process


def test_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="--device cuda: PyTorch finds no CUDA device"):
        open_device(tiny_suite().training, "cuda")


class Parts(NamedTuple):
    """Two outputs, as of a localizer."""

    first: Tensor
    second: Tensor


class Two(nn.Module):
    """Puts out its input, what a layer makes of it, and notes the types of both."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 8)
        self.seen: list[torch.dtype] = []

    def forward(self, values: Tensor, rows: Tensor) -> Parts:
        made = self.layer(values[rows])
        self.seen += [values.dtype, made.dtype]
        return Parts(values, made)


def test_mixed_precision_computes_in_bfloat16_and_returns_float32() -> None:
    values, rows = numbers()(4, 64), torch.tensor([2, 0])
    networks = [Two(), Two()]
    networks[1].load_state_dict(networks[0].state_dict())
    exact, mixed = (
        Engine(CPU, precision).place(network)
        for precision, network in zip(("32-true", "bf16-mixed"), networks, strict=True)
    )
    found, expected = mixed(values, rows), exact(values, rows)
    assert networks[0].seen == [torch.float32] * 2
    assert networks[1].seen == [torch.bfloat16] * 2
    assert [part.dtype for part in found] == [torch.float32] * 2
    assert isinstance(found, Parts)
    assert torch.equal(found.first, values.bfloat16().float())
    assert not torch.equal(found.second, expected.second)
    torch.testing.assert_close(found.second, expected.second, rtol=0, atol=2e-2)
    torch.autograd.backward(found.second.sum())
    # The weights stay in float32, under their own names.
    assert networks[1].layer.weight.grad is not None
    assert networks[1].layer.weight.grad.dtype == torch.float32
    assert mixed.state_dict().keys() == exact.state_dict().keys()


def test_training_starts_without_what_it_does_not_use() -> None:
    # Each of these takes a good part of the time that PyTorch takes, or more.
    heavy = ("lightning", "pandas", "matplotlib", "skimage", "lpips", "torchvision", "tensorboard")
    code = (
        "import sys, benchmark.pipeline.train\n"
        "print(*{name.split('.')[0] for name in sys.modules}, 'torch._dynamo' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *loaded, dynamo = done.stdout.split()
    assert "torch" in loaded
    assert not {*heavy} & {*loaded}
    assert dynamo == "False"
