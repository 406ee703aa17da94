"""Weights as safetensors with a manifest, verified when loaded; nothing loaded executes code."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmark.core.files import atomic_path, read_json, write_json
from benchmark.core.hashing import file_sha256, json_digest
from data.errors import InputError

MANIFEST = "manifest.json"


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write named tensors atomically and return the file's SHA-256."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as partial:
        try:
            save_file(on_cpu, partial)
        except SafetensorError as error:  # of a full disk too
            raise OSError(str(error)) from error
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


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that holds NaN or infinity; waits for the device."""
    return next((name for name, value in tensors.items() if not value.isfinite().all()), None)


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
        file, sha256, epoch = str(entry["file"]), str(entry["sha256"]), entry["epoch"]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / MANIFEST}: not a checkpoint manifest ({error!r})") from None
    if not isinstance(epoch, int) or file != f"epoch{epoch:04d}.safetensors":
        raise InputError(
            f"{folder / MANIFEST}: not a checkpoint manifest (epoch {epoch!r} in file {file!r})"
        )
    return load_tensors(folder / file, sha256), manifest


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run's lock, so that at most one process trains it; it ends with the process.

    Raises:
        InputError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise InputError(f"{folder}: the run is being trained by {owner}") from None
        try:
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"process {os.getpid()}".encode())
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from error
        yield


class ResumeState:
    """The state of an unfinished run, in a scratch folder keyed by configuration, code and data.

    It consists of one tensor file and a JSON file that names it with its hash; replacing the JSON
    file is the moment at which a state becomes the current one.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder / key
        self.folder.mkdir(parents=True, exist_ok=True)
        self.step: int | None = None
        """Steps that the current state has behind it, as far as it was loaded or saved here."""
        for partial in self.folder.glob(".*"):  # what a process was writing when it was killed
            partial.unlink()

    def save(self, step: int, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Make this the current state."""
        name = f"step{step:08d}.safetensors"
        sha256 = save_tensors(self.folder / name, tensors)
        content = {"file": name, "sha256": sha256, "step": step, "progress": progress}
        write_json(self._path, content | {"content_sha256": json_digest(content)})
        self.step = step
        for old in self.folder.glob("step*.safetensors"):
            if old.name != name:
                old.unlink()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return tensors and progress of the current state; None where there is none.

        Raises:
            InputError: the state is damaged.
        """
        if not self._path.exists():
            return None
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content.pop("content_sha256") != json_digest(content):
                raise ValueError("its content is not what was saved")
            tensors = load_tensors(self.folder / content["file"], content["sha256"])
            self.step = content["step"]
            return tensors, content["progress"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.damaged(error) from None

    def damaged(self, reason: Exception) -> InputError:
        """Return the error that says what to do about a damaged state."""
        return InputError(
            f"{self._path}: the state to resume from is damaged ({' '.join(str(reason).split())}); "
            f"delete {self.folder} to begin anew"
        )

    def remove(self) -> None:
        """Remove all of it, the file that makes it a state first."""
        self._path.unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    @property
    def _path(self) -> Path:
        return self.folder / "state.json"


def optimizer_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimiser's state as named tensors."""
    state = optimiser.state_dict()["state"]
    return {f"{i}/{name}": value for i, entry in state.items() for name, value in entry.items()}


def restore_optimizer(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Set an optimiser's state from `optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        index, name = path.split("/")
        state.setdefault(int(index), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def training_origin(manifest: Mapping[str, Any], criterion: str) -> dict[str, Any]:
    """Return what a manifest says of where the weights of a criterion come from."""
    kept = {k: v for k, v in manifest.items() if k.endswith("_sha256") or k == "environment"}
    return kept | {"weights_sha256": manifest["checkpoints"][criterion]["sha256"]}
