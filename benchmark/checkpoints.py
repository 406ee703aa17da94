"""Weights as safetensors with a manifest, verified when loaded; nothing loaded executes code."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmark.code import file_sha256
from benchmark.files import atomic_path, read_json, write_json
from data.errors import InputError

MANIFEST = "manifest.json"


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write named tensors atomically and return the file's SHA-256."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as partial:
        save_file(on_cpu, partial)
        partial.chmod(0o644)  # safetensors lets only the owner read
    return file_sha256(path)


def load_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """Read named tensors onto the CPU.

    Args:
        path: a safetensors file.
        sha256: what the file's SHA-256 must be.

    Raises:
        InputError: the file is missing, is not what was saved, or is not safetensors.
    """
    try:
        found = file_sha256(path)
        if found != sha256:
            raise InputError(
                f"{path}: damaged or foreign; its SHA-256 is {found}, the manifest has {sha256}"
            )
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with `prefix/` before their names."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix/`, that cut off."""
    start = f"{prefix}/"
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


def load_checkpoint(folder: Path, criterion: str, made_by: str) -> tuple[dict[str, Tensor], Any]:
    """Load the weights that a criterion chose.

    Args:
        folder: a run's checkpoint folder.
        criterion: `last`, `best_val_psnr`, …
        made_by: the command that makes the folder, for the error.

    Returns:
        The tensors, named `generator/…` and `discriminator/<name>/…`, and the manifest.

    Raises:
        InputError: a file is missing or damaged, or the criterion chose nothing.
    """
    manifest = read_json(folder / MANIFEST, made_by)
    try:
        entry = manifest["checkpoints"].get(criterion)
        if entry is None:
            raise InputError(
                f"{folder / MANIFEST}: no checkpoint {criterion!r}; there are "
                f"{', '.join(manifest['checkpoints'])}"
            )
        return load_tensors(folder / entry["file"], entry["sha256"]), manifest
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / MANIFEST}: not a checkpoint manifest ({error!r})") from None


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run's lock, so that at most one process trains it; it ends with the process.

    Raises:
        InputError: another process holds it.
    """
    import fcntl
    import os

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise InputError(f"{folder}: the run is being trained by {owner}") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


class ResumeState:
    """The state of an unfinished run, in a scratch folder keyed by configuration, code and data.

    It consists of one tensor file and a JSON file that names it with its hash; replacing the JSON
    file is the moment at which a state becomes the current one.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder / key
        self.folder.mkdir(parents=True, exist_ok=True)

    def save(self, step: int, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Make this the current state."""
        name = f"step{step:08d}.safetensors"
        sha256 = save_tensors(self.folder / name, tensors)
        content = {"file": name, "sha256": sha256, "progress": progress}
        write_json(self.folder / "state.json", content)
        for old in self.folder.glob("step*.safetensors"):
            if old.name != name:
                old.unlink()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return tensors and progress of the current state; None where there is none.

        Raises:
            InputError: the state is damaged.
        """
        path = self.folder / "state.json"
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            tensors = load_tensors(self.folder / content["file"], content["sha256"])
            return tensors, dict(content["progress"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: the state to resume from is damaged ({error}); "
                f"delete {self.folder} to begin anew"
            ) from None


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimiser's state as named tensors."""
    state = optimiser.state_dict()["state"]
    return {f"{i}/{name}": value for i, entry in state.items() for name, value in entry.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Set an optimiser's state from `optimiser_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        index, name = path.split("/")
        state.setdefault(int(index), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
