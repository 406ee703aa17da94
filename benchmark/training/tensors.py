"""Named tensors in safetensors files, verified when read; nothing that is read executes code."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from benchmark.core.files import atomic_path
from benchmark.core.hashing import file_sha256
from data.errors import InputError


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write named tensors atomically and return the file's SHA-256."""
    on_cpu = _on_cpu(tensors)
    with atomic_path(path) as partial:
        try:
            save_file(on_cpu, partial)
        except SafetensorError as error:  # of a full disk too
            raise OSError(str(error)) from error
        partial.chmod(0o644)  # safetensors lets only the owner read
    return file_sha256(path)


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def tensors_to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Return named tensors as what a safetensors file has in it."""
    return save(_on_cpu(tensors))


def tensors_from_bytes(content: bytes) -> dict[str, Tensor]:
    """Return the tensors of `tensors_to_bytes`, on the CPU."""
    return load(content)


def load_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """Read named tensors onto the CPU.

    Args:
        path: a safetensors file.
        sha256: what the file's SHA-256 must be.

    Raises:
        InputError: the file is missing, is not what was saved, or is not safetensors.
    """
    verify_file(path, sha256)
    try:
        return load_file(path)
    # The second is what it raises where PyTorch has no such type of numbers.
    except (OSError, SafetensorError, AttributeError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def verify_file(path: Path, sha256: str) -> None:
    """Compare a file with the SHA-256 that it must have.

    Raises:
        InputError: the file is missing, or is not what was saved.
    """
    try:
        found = file_sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    if found != sha256:
        raise InputError(
            f"{path}: damaged or foreign; its SHA-256 is {found}, the manifest has {sha256}"
        )


def check_tensors(
    folder: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Compare the tensors of a folder with those of the networks that are to take them.

    Raises:
        InputError: one is missing or is not known, has another shape or type of numbers, or holds
            NaN or infinity.
    """
    for name in sorted({*tensors, *expected}):
        found, wanted = tensors.get(name), expected.get(name)
        if found is None:
            reason = "is missing"
        elif wanted is None:
            reason = "is not part of the networks"
        elif (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
            reason = f"is {found.dtype} {[*found.shape]}, not {wanted.dtype} {[*wanted.shape]}"
        elif not found.isfinite().all():
            reason = "holds NaN or infinity"
        else:
            continue
        raise InputError(f"{folder}: the weights do not fit: {name} {reason}")


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with `prefix/` before their names."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix/`, that cut off."""
    start = f"{prefix}/"
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
