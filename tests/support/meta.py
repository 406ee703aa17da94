"""A device without numbers: what is left on the host, or waits for the device, fails on it.

PyTorch's `meta` device has shapes and types alone. An operation that takes a tensor of the host
beside one of the device raises there as it would on a GPU, and so does every wait for a value.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._foreach_utils import _get_fused_kernels_supported_devices

from models.batch import Batch

META = torch.device("meta")


def on_meta(batch: Batch) -> Batch:
    """Return a batch on the device."""
    image, mask, corner = (t.to(META) for t in (batch.image, batch.mask, batch.corner))
    return Batch(image, mask, corner, batch.hole_size)


def allow_fused_adam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the optimizer take `meta`, for which its fused kernel has a form, but no permission."""
    devices = [*_get_fused_kernels_supported_devices(), "meta"]
    module = sys.modules[torch.optim.Optimizer.__module__]
    monkeypatch.setattr(module, "_get_fused_kernels_supported_devices", lambda: devices)


class _ZeroOnTheHost(TorchFunctionMode):
    """Copies to the host give zeros; a check of all values holds, and one of any does not."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensor = args[0] if args and isinstance(args[0], Tensor) else None
        if tensor is None or tensor.device != META:
            return function(*args, **kwargs)
        whole = len(args) == 1 and not kwargs
        zeros: dict[Any, Callable[[], Any]] = {
            Tensor.cpu: lambda: torch.zeros(tensor.shape, dtype=tensor.dtype),
            Tensor.tolist: lambda: torch.zeros(tensor.shape, dtype=tensor.dtype).tolist(),
            Tensor.item: lambda: 0,
            Tensor.__float__: lambda: 0.0,
            Tensor.__int__: lambda: self.number,
            torch.unique: lambda: torch.empty(1, dtype=tensor.dtype, device=META),
        }
        if function in zeros:
            return zeros[function]()
        if whole and function in (Tensor.all, Tensor.any):
            return torch.tensor(function is Tensor.all)
        return function(*args, **kwargs)


@contextmanager
def zeros_on_the_host(number: int) -> Iterator[None]:
    """Allow to bring values to the host: those are 0, or a number where one integer is asked for.

    For stages that have to wait for the device, and all the same may not mix it with the host.
    """
    with _ZeroOnTheHost(number):
        yield
