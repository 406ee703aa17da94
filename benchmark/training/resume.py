"""What a stopped run goes on from: its networks, and how far it was."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from benchmark.training.checkpoints import ResumeState, not_finite, verify_file
from benchmark.training.gan import GAN
from benchmark.training.progress import Progress, TrainingDivergedError


def restore_state(state: ResumeState, gan: GAN) -> Progress:
    """Set the networks as they were saved and return how far the run was; else that of a new one.

    Raises:
        InputError: the state, or a file that it names, is damaged.
    """
    if (saved := state.load()) is None:
        return Progress()
    tensors, fields = saved
    try:
        progress = Progress(**fields)
        for file, sha256 in progress.files().items():
            verify_file(state.folder / file, sha256)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise state.damaged(error) from None
    gan.restore(tensors)
    return progress


def save_state(state: ResumeState, gan: GAN, progress: Progress) -> None:
    """Make this the state to resume from, and remove the checkpoints that it no longer names.

    Raises:
        TrainingDivergedError: a number is NaN or infinite; the earlier state stays.
    """
    tensors = gan.tensors()
    check_finite(tensors, progress.step)
    state.save(progress.step, tensors, progress.as_json())
    kept = progress.files()
    for path in state.folder.glob("epoch*.safetensors"):
        if path.name not in kept:
            path.unlink()


def check_finite(tensors: Mapping[str, Tensor], step: int) -> None:
    """Raise `TrainingDivergedError` if a tensor holds NaN or infinity after a step."""
    if (name := not_finite(tensors)) is not None:
        raise TrainingDivergedError(f"{name} holds NaN or infinity after step {step}")


def remove_states(scratch: Path) -> None:
    """Remove the states of a run that has succeeded, those of other configurations too."""
    for folder in scratch.iterdir():
        if folder.is_dir():
            ResumeState(scratch, folder.name).remove()
