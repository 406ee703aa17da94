"""From a suite's settings and an option to the device and the precision that networks run with."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.core import paths
from benchmark.core.config import Suite, Training
from data.errors import InputError


@dataclass(frozen=True)
class Engine:
    """Where networks run, and how precisely."""

    device: torch.device
    precision: str = "32-true"
    """`32-true`, or `bf16-mixed`: the forward pass under autocast, the weights in float32."""
    compile: str | None = None
    """The mode in which `torch.compile` takes networks that are trained; None leaves them."""

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device and let it compute in the precision."""
        network = network.to(self.device)
        if self.precision == "bf16-mixed":
            network.forward = _in_bfloat16(network.forward, self.device.type)
        if self.compile is not None:
            network.forward = _compiled_in_training(network, self.compile)
        return network


def _in_bfloat16(forward: Callable[..., Any], device_type: str) -> Callable[..., Any]:
    """Let a forward pass compute in bfloat16 where that is safe, and return float32."""

    @wraps(forward)
    def mixed(*inputs: Tensor) -> Any:
        with torch.autocast(device_type, dtype=torch.bfloat16):
            output = forward(*(i.bfloat16() if i.is_floating_point() else i for i in inputs))
        if isinstance(output, Tensor):
            return output.float()
        return type(output)(*(part.float() for part in output))  # what a discriminator predicts

    return mixed


def _compiled_in_training(network: nn.Module, mode: str) -> Callable[..., Any]:
    """Compile a forward pass, but for evaluation: that comes in many batch sizes and few times."""
    forward = network.forward

    @cache
    def compiled() -> Callable[..., Any]:  # when it is first needed: the compiler loads for seconds
        return torch.compile(forward, mode=mode, dynamic=False)

    @wraps(forward)
    def chosen(*inputs: Tensor) -> Any:
        return (compiled() if network.training else forward)(*inputs)

    return chosen


def open_device(training: Training, device: str = "auto") -> Engine:
    """Set PyTorch up for a suite and return what its networks run with.

    Args:
        training: precision, and whether only deterministic algorithms may be used.
        device: `cpu`, `cuda`, `mps` (Apple's GPUs), or `auto`, which is CUDA where there is such a
            device.

    Raises:
        InputError: there is no such device, or it cannot do the precision.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch finds no CUDA device; `--device cpu` does without")
    if device == "mps" and not torch.backends.mps.is_available():
        raise InputError("--device mps: PyTorch finds no GPU of Apple; `--device cpu` does without")
    if training.deterministic:
        # cuBLAS reads this when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # `use_deterministic_algorithms` does the same, but loads PyTorch's compiler for seconds.
        torch.set_deterministic_debug_mode("error")
        # A debugging aid that costs time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        if training.compile is not None:
            torch.use_deterministic_algorithms(True)  # tells the compiler, too
    # The fastest algorithm, as timed here, is not the same one every time.
    torch.backends.cudnn.benchmark = not training.deterministic
    # Else convolutions round float32 to 10 bits of mantissa, and the fingerprint would not show it.
    torch.backends.cudnn.allow_tf32 = False
    number = int(os.environ.get("LOCAL_RANK", "0"))  # where several processes train one run
    chosen = torch.device("cuda", number) if device == "cuda" else torch.device(device)
    if training.precision == "bf16-mixed":
        try:
            torch.autocast(chosen.type, dtype=torch.bfloat16)
        except RuntimeError as error:
            raise InputError(f"--device {device}: {' '.join(str(error).split())}") from None
    return Engine(chosen, training.precision, training.compile)


_OUT_OF_MEMORY = (
    *("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED"),
    "could not create a primitive",
)
"""How the allocators of PyTorch, of CUDA and its libraries, and last of oneDNN put it."""


@contextmanager
def memory_for(setting: str, device: torch.device) -> Iterator[None]:
    """Turn a lack of memory into an error that says which setting to lower.

    Args:
        setting: name and value of the setting, and the file that it is in.
        device: where the memory is short.

    Raises:
        InputError: there is not enough memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(text in str(error) for text in _OUT_OF_MEMORY):
            raise
        raise InputError(f"out of memory on {device.type}: lower {setting}") from None


def batch_setting(suite: Suite, section: str) -> str:
    """Return a batch size of a suite with its name and its file, for `memory_for`."""
    value = getattr(suite, section).batch_size
    return f"{section}.batch_size ({value}) in {paths.SUITES / suite.name}.yaml"
