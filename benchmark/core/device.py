"""The device and the precision that networks run with."""

import os

import torch
from lightning.fabric import Fabric

from benchmark.core.config import Training
from data.errors import InputError


def open_device(training: Training, device: str = "auto") -> Fabric:
    """Set PyTorch up for a suite and return its Fabric.

    Args:
        training: precision, and whether only deterministic algorithms may be used.
        device: `cpu`, `cuda`, or `auto`, which is CUDA where there is such a device.

    Raises:
        InputError: there is no such device, or it cannot do the precision.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if training.deterministic:
        # cuBLAS reads this when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        # A debugging aid that costs time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
    # Else convolutions round float32 to 10 bits of mantissa, and the fingerprint would not show it.
    torch.backends.cudnn.allow_tf32 = False
    try:
        return Fabric(accelerator=device, devices=1, precision=training.precision)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"--device {device}: {' '.join(str(error).split())}") from None
