"""How far a run is: loss sums, curves, and the checkpoints that each criterion keeps."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

CRITERIA = {
    "best_train_loss": ("generator/reconstruction", "lower"),
    "best_val_psnr": ("validation/psnr_h", "higher"),
    "best_val_ssim": ("validation/ssim_h", "higher"),
    "best_val_stlpips": ("validation/stlpips_alex", "lower"),
    "best_val_lpips": ("validation/lpips_alex", "lower"),
}
"""What each kept checkpoint is the best of: a column of the curves, and which values are better."""


class TrainingDivergedError(Exception):
    """A loss or a weight is no longer a finite number."""


@dataclass
class Progress:
    """Everything but tensors that the rest of a run depends on; plain JSON."""

    step: int = 0
    """Steps done."""
    curves: list[dict[str, float]] = field(default_factory=list)
    """One row per finished epoch."""
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    """For each criterion the epoch, file, SHA-256 and value of its checkpoint."""
    sums: dict[str, float] = field(default_factory=dict)
    """Loss sums of the unfinished epoch, as far as they were looked at."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many steps went into each sum."""
    pictures: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of each kept picture, by its file."""
    processes: list[int] = field(default_factory=list)
    """How many trained it together, at first and after each change; empty for one alone."""

    def files(self) -> dict[str, str]:
        """Return the SHA-256 of everything that lies in files, by file."""
        return {entry["file"]: entry["sha256"] for entry in self.kept.values()} | self.pictures

    def losses(self) -> dict[str, float]:
        """Return the mean losses of the epoch so far."""
        return {name: self.sums[name] / self.counts[name] for name in self.sums}

    def finish_epoch(self, row: dict[str, float]) -> list[str]:
        """Add a row to the curves and return the criteria by which it is the best so far."""
        self.curves.append(row)
        self.sums, self.counts = {}, {}
        return [name for name in CRITERIA if self._is_best(name)]

    def _is_best(self, criterion: str) -> bool:
        column, better = CRITERIA[criterion]
        value = self.curves[-1].get(column)
        if value is None:
            return False
        if criterion not in self.kept:
            return True
        best: float = self.kept[criterion]["value"]
        return value < best if better == "lower" else value > best

    def keep(self, criteria: list[str], epoch: int, file: str, sha256: str) -> None:
        """Note that a checkpoint is the one of some criteria."""
        for name in criteria:
            value = self.curves[-1][CRITERIA[name][0]] if name in CRITERIA else None
            self.kept[name] = {"epoch": epoch, "file": file, "sha256": sha256, "value": value}


class LossMeter:
    """Collects the loss terms of steps on the device, and adds them to the sums of a run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._unseen: list[tuple[int, str, Tensor]] = []

    def add(self, step: int, losses: dict[str, Tensor]) -> None:
        """Add the losses of the step of this number; does not wait for the device."""
        self._unseen += [(step, name, value) for name, value in losses.items()]

    def look(self) -> dict[str, float]:
        """Add what came since the last look to the sums; return the latest value of each loss.

        All values are brought to the host together, so that the device is waited for once, and that
        the step at which one of them went wrong is known all the same.

        Raises:
            TrainingDivergedError: one of them is NaN or infinite; it names the first.
        """
        unseen, self._unseen = self._unseen, []
        values = torch.stack([value.double() for _, _, value in unseen]).tolist() if unseen else []
        sums, counts = self._progress.sums, self._progress.counts
        latest: dict[str, float] = {}
        for (step, name, _), value in zip(unseen, values, strict=True):
            if not math.isfinite(value):
                raise TrainingDivergedError(f"the loss {name} is {value} at step {step}")
            sums[name] = sums.get(name, 0.0) + value
            counts[name] = counts.get(name, 0) + 1
            latest[name] = value
        return latest
