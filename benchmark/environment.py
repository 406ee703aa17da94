"""Fingerprints of the machine, of the code and of configurations."""

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
_LIBRARIES = (
    "lightning",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "scikit-image",
    "scipy",
    "torch",
)


def fingerprint(device: torch.device) -> dict[str, Any]:
    """Return what the bits of a result may depend on besides code, configuration and data."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "cpu": _cpu_model(),
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


def loaded_code() -> list[Path]:
    """Return the project modules that this process has loaded, and the lock file, sorted.

    The command line itself is left out: it decides nothing that a result depends on.
    """
    files = {ROOT / "requirements.lock"}
    for module in list(sys.modules.values()):
        path = Path(getattr(module, "__file__", None) or "/")
        if any(path.is_relative_to(ROOT / top) for top in ("benchmark", "models", "data")):
            files.add(path)
    return sorted(files - {ROOT / "benchmark" / "__main__.py"})


def code_digest(files: list[Path]) -> str:
    """Return the SHA-256 over the paths and contents of files of the checkout."""
    digest = hashlib.sha256()
    for path in files:
        content = file_sha256(path) if path.exists() else None
        digest.update(json.dumps([path.relative_to(ROOT).as_posix(), content]).encode())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_digest(content: Any) -> str:
    """Return the SHA-256 of plain values, as their sorted JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def usable_cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
