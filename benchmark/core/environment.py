"""The fingerprint of the machine and its libraries."""

import hashlib
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import torch

from benchmark.core.portable import ANY_CPU, is_portable

_LIBRARIES = (
    "numpy",
    "opencv-python-headless",
    "pillow",
    "scikit-image",
    "scipy",
    "torch",
)


def fingerprint(device: torch.device) -> dict[str, Any]:
    """Return what the bits of a result may depend on besides code, configuration and data."""
    portable = device.type == "cpu" and is_portable()
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "cpu": ANY_CPU if portable else _cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "device": device.type,
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
        facts["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        facts["driver"] = _driver_version()
    return facts


def _version(library: str) -> str:
    try:
        return str(importlib.metadata.version(library))
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cpu_model() -> str:
    """Return the model and a digest of its flags: one name can stand for several CPUs."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    fields = {}
    for line in text.split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    flags = hashlib.sha256(fields.get("flags", "").encode()).hexdigest()[:8]
    numbers = [fields.get(key, "?") for key in ("cpu family", "model", "stepping")]
    return f"{fields.get('model name', '?')} ({'-'.join(numbers)}, flags {flags})"


def _driver_version() -> str:
    try:
        return Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    except OSError:
        return "unknown"
