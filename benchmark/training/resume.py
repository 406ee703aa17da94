"""Stopping a run and going on: signals, the saved state, and the lock that keeps others out."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from benchmark.core.environment import fingerprint
from benchmark.core.files import write_json
from benchmark.core.hashing import code_digest, json_digest, stage_code
from benchmark.training.gan import GAN
from benchmark.training.progress import Progress, TrainingDivergedError
from benchmark.training.tensors import load_tensors, save_tensors, verify_file
from data.errors import InputError
from models.replicas import rank, together


class TrainingInterruptedError(Exception):
    """The run was asked to stop; its state is saved and the same command goes on from there."""


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a flag that is read between two steps.

    Raises:
        KeyboardInterrupt: one came when there was no step left.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, note) for number in numbers]
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run's lock, so that at most one process trains it; it ends with the process.

    Of processes that train it together the first one holds it.

    Raises:
        InputError: another process holds it, or it cannot be written.
    """
    if rank() > 0:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
        path.write_text(f"process {os.getpid()}", encoding="utf-8")
    except Timeout:
        owner = path.read_text(encoding="utf-8") or "another process"
        raise InputError(f"{folder}: the run is being trained by {owner}") from None
    except OSError as error:
        lock.release()
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()


class ResumeState:
    """The state of an unfinished run, in a scratch folder keyed by configuration, code and data.

    It consists of one tensor file and a JSON file that names it with its hash; replacing the JSON
    file is the moment at which a state becomes the current one.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder / key
        self.step: int | None = None
        """Steps that the current state has behind it, as far as it was loaded or saved here."""
        self._facts: dict[str, Any] = {}

    def save(self, gan: GAN, progress: Progress) -> None:
        """Make this the current state, and remove the tensor files that it does not name.

        Raises:
            TrainingDivergedError: a number is NaN or infinite; the earlier state stays.
        """
        tensors = gan.tensors()
        check_finite(tensors, progress.step)
        name = f"step{progress.step:08d}.safetensors"
        sha256 = save_tensors(self.folder / name, tensors)
        self._facts = self._facts or _facts(gan)
        content = {"file": name, "sha256": sha256, "progress": asdict(progress)}
        content["facts"] = self._facts
        write_json(self._path, content | {"content_sha256": json_digest(content)})
        self.step = progress.step
        for path in self.folder.glob("*.safetensors"):
            if path.name not in {name, *progress.files()}:
                path.unlink()

    def load(self, gan: GAN) -> Progress:
        """Make the folder, set the networks as they were saved, and return how far the run was.

        Without a state nothing is set, and the run is at its beginning. A note says so where there
        is a state under another key, which `remove_states` removes at the end.

        Raises:
            InputError: the state, or a file that it names, is damaged.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for partial in self.folder.glob(".*"):  # what a process was writing when it was killed
            partial.unlink()
        self._facts = self._facts or _facts(gan)  # now, as code may change while the run goes on
        if not self._path.exists():
            self._note_others()
            return Progress()
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content.pop("content_sha256") != json_digest(content):
                raise ValueError("its content is not what was saved")
            tensors = load_tensors(self.folder / content["file"], content["sha256"])
            progress = Progress(**content["progress"])
            for file, sha256 in progress.files().items():
                verify_file(self.folder / file, sha256)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self._path}: the state to resume from is damaged "
                f"({' '.join(str(error).split())}); delete {self.folder} to begin anew"
            ) from None
        gan.restore(tensors)
        self.step = progress.step
        return progress

    def remove(self) -> None:
        """Remove all of it, the file that makes it a state first."""
        self._path.unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    def _note_others(self) -> None:
        """Say that the run begins anew, and how the state that got furthest differs."""
        scratch, found = self.folder.parent, []
        for path in sorted(scratch.glob("*/state.json")):
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                reason = _difference(content.get("facts"), self._facts)
                found.append((int(content["progress"]["step"]), path.parent.name, reason))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue  # damaged, so that nothing could go on from it
        if found:
            step, name, reason = max(found)
            print(
                f"note: {scratch}: begins anew; the state after step {step} in {name} differs in "
                f"{reason}, and is removed when the run is done",
                file=sys.stderr,
            )

    @property
    def _path(self) -> Path:
        return self.folder / "state.json"


def _facts(gan: GAN) -> dict[str, Any]:
    """Return what a key stands for, as far as it is known here: the code and the machine."""
    machine = fingerprint(next(gan.generator.network.parameters()).device)
    if together():  # the others may change
        machine = {key: machine[key] for key in ("device", "libraries")}
    libraries: dict[str, str] = machine.pop("libraries")
    number = "several" if together() else "one"
    return {"code": code_digest(stage_code("train")), "processes": number, **libraries, **machine}


def _difference(before: dict[str, Any] | None, now: dict[str, Any]) -> str:
    """Return in words how the facts of a state under another key differ from the present ones."""
    if before is None:  # saved before there were any
        return "code, settings or machine"
    differing = [name for name in now if name in before and before[name] != now[name]]
    found = [n if n == "code" else f"{n} ({before[n]}, now {now[n]})" for n in differing]
    return " and ".join(found) or "settings, images or initial weights"


def check_finite(tensors: Mapping[str, Tensor], step: int) -> None:
    """Raise `TrainingDivergedError` if a tensor holds NaN or infinity after a step."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise TrainingDivergedError(f"{name} holds NaN or infinity after step {step}")


def remove_states(scratch: Path) -> None:
    """Remove the states of a run that has succeeded, those of other configurations too."""
    for folder in scratch.iterdir():
        if folder.is_dir():
            ResumeState(scratch, folder.name).remove()
