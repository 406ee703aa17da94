"""Curves of runs → the trend at their end, the cost of choosing a checkpoint, scores at one budget.

Curves are tables with a row for each epoch, by variant and seed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from benchmark.training.progress import CRITERIA

Key = tuple[str, int]
"""Variant and seed."""
FEWEST_EPOCHS = 3
"""Of a fit, so that it has a standard error."""
IMAGES_SEEN = "images_seen"


@dataclass(frozen=True)
class Checkpoint:
    """The weights after an epoch, and what they score on the validation images."""

    epoch: int
    value: float


@dataclass(frozen=True)
class CheckpointRegret:
    """What a run's checkpoints score by the way they are chosen."""

    last: Checkpoint
    best_validation: Checkpoint
    best_train_loss: Checkpoint

    @property
    def of_last(self) -> float:
        """How much worse the last checkpoint is than the best, at least 0."""
        return abs(self.last.value - self.best_validation.value)

    @property
    def of_train_loss(self) -> float:
        """How much worse the checkpoint with the least training loss is than the best."""
        return abs(self.best_train_loss.value - self.best_validation.value)


def checkpoint_regret(
    curves: Mapping[Key, pd.DataFrame], criterion: str = "best_val_psnr"
) -> dict[Key, CheckpointRegret]:
    """Return what choosing the last checkpoint, or that of the least training loss, costs a run.

    The best epoch is chosen by the values that it is compared with, so that a regret is never
    negative, and on other images it is smaller on average. Of equal epochs the first one is kept,
    as in training.

    Args:
        curves: one row per epoch, by variant and seed.
        criterion: a criterion of validation, whose column is compared.

    Returns:
        By variant and seed, in the units of the column; a run that lacks a column is left out.
    """
    column, better = CRITERIA[criterion]
    loss = CRITERIA["best_train_loss"][0]
    found = {}
    for key, curve in curves.items():
        if not {column, loss} <= {*curve.columns} or curve[[column, loss]].isna().any(axis=None):
            continue
        values = curve[column].to_numpy(float)
        best = values.argmin() if better == "lower" else values.argmax()
        places = (len(values) - 1, best, curve[loss].to_numpy(float).argmin())
        found[key] = CheckpointRegret(*(Checkpoint(int(i) + 1, float(values[i])) for i in places))
    return found


@dataclass(frozen=True)
class Trend:
    """How a metric changes with the images seen, at the end of a training."""

    per_doubling: float
    """Relative change while the images seen double; -0.1 is a tenth less."""
    standard_error: float
    """Of that change, from the scatter of the epochs about the line."""
    direction: Literal["falling", "rising", "unclear"]
    """Unclear where the 95 % interval of the slope includes 0."""
    epochs: int
    """Of the fit."""


def end_trend(curves: Sequence[pd.DataFrame], column: str) -> Trend | None:
    """Fit a power of the images seen to a metric, in the last third of the epochs.

    The fit is by least squares of logarithms, averaged over seeds, with three epochs at least; the
    interval is that of Student's t. Epochs are taken for independent.

    Args:
        curves: of one variant, one for each seed.
        column: the metric, which is positive.

    Returns:
        The trend; None where a curve lacks the metric or the images seen, where there are fewer
        than three epochs, or where seeds have seen different images.
    """
    if any(not {column, IMAGES_SEEN} <= {*curve.columns} for curve in curves):
        return None
    images = [curve[IMAGES_SEEN].tolist() for curve in curves]
    values = [curve[column].to_numpy(float) for curve in curves]
    if any(row != images[0] for row in images) or not all((row > 0).all() for row in values):
        return None
    if len(images[0]) < FEWEST_EPOCHS:
        return None
    count = max(FEWEST_EPOCHS, math.ceil(len(images[0]) / 3))
    y = np.log(values).mean(axis=0)[-count:]
    fit = scipy.stats.linregress(np.log2(images[0][-count:]), y)
    is_clear = abs(fit.slope) > scipy.stats.t.ppf(0.975, count - 2) * fit.stderr
    factor = math.exp(fit.slope)
    return Trend(
        per_doubling=factor - 1,
        standard_error=factor * float(fit.stderr),
        direction="unclear" if not is_clear else "falling" if fit.slope < 0 else "rising",
        epochs=count,
    )


@dataclass(frozen=True)
class AtBudget:
    """A variant's score when it has spent a budget."""

    epochs: tuple[int, ...]
    """The last ones within the budget, of each seed; 0 where the first is beyond it."""
    value: float
    """Mean over seeds; NaN where a seed has no epoch within the budget."""


def at_equal_budget(
    spent: Mapping[Key, NDArray[np.float64]], values: Mapping[Key, NDArray[np.float64]]
) -> tuple[float, dict[str, AtBudget]]:
    """Return the largest budget that all runs have spent, and each variant's score at it.

    The score of a run is that of its last epoch at or below the budget.

    Args:
        spent: by variant and seed `[epochs]`, what a run has spent at the end of each epoch.
        values: by variant and seed `[epochs]`, the scores there.
    """
    limit = min(float(found[-1]) for found in spent.values())
    standings = {}
    for variant in dict.fromkeys(name for name, _ in spent):
        keys = [key for key in spent if key[0] == variant]
        epochs = tuple(int(np.searchsorted(spent[key], limit, side="right")) for key in keys)
        at = [values[k][e - 1] if e else math.nan for k, e in zip(keys, epochs, strict=True)]
        standings[variant] = AtBudget(epochs, float(np.mean(at)))
    return limit, standings
