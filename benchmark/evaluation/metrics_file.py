"""The JSON file of metrics beside a score table: what it holds, and whether the table gives it."""

import math
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from benchmark.core.config import Criterion, Name
from benchmark.core.files import read_json, require
from benchmark.core.yaml_files import validate
from benchmark.evaluation.score_table import (
    Aggregate,
    aggregate,
    aggregate_by_label,
    read_score_table,
)
from benchmark.metrics import PROTOCOL
from data.errors import InputError

RECOMPUTED_TO = 1e-12
"""Sums in another order, as other versions of pandas have them, differ by less; a score table with
another last digit of one score of ten thousand differs by more."""
LARGEST = 1e100
"""Greater numbers are none: their squares have no place in a float."""


class AnyMean(BaseModel):
    """What any version says of a metric of a method."""

    mean: float | None
    n: int = 0

    @property
    def value(self) -> float | None:
        """The mean, where there is one."""
        return self.mean if self.mean is not None and abs(self.mean) < LARGEST else None


class AnyMetrics(BaseModel):
    """What the file has in any version, whatever its protocol and the names of its metrics."""

    protocol: str = "unknown"
    methods: dict[str, dict[str, AnyMean]]
    missing: dict[str, str] = {}
    """Why a metric has no values."""

    @property
    def means(self) -> dict[str, dict[str, float | None]]:
        """The means by method and metric; None where there is no value."""
        return {
            method: {metric: entry.value for metric, entry in entries.items()}
            for method, entries in self.methods.items()
        }


class SetMeasure(BaseModel):
    """A measure of the whole test set, or why there is none."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    value: float | None
    se: float | None = None
    n: int = 0
    missing: str = ""


class Metrics(BaseModel):
    """What the file has in this version."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    protocol: Literal[PROTOCOL]  # type: ignore[valid-type]
    methods: Aggregate
    by_label: dict[str, Aggregate]
    set_level: dict[str, dict[Name, SetMeasure]] = {}
    """Measures of the whole test set, by method; reference runs of earlier versions have none."""
    missing: dict[Name, str]
    """Why a metric has no values."""


class RunMetrics(Metrics):
    """That of a trained run."""

    checkpoint: Criterion
    epoch: int = Field(ge=1)


class BaselineMetrics(Metrics):
    """That of the baselines."""

    refused: dict[Name, str]
    """Why a baseline was not run."""


Found = TypeVar("Found", bound=Metrics)


def read_any_metrics(path: Path, made_by: str) -> AnyMetrics:
    """Read the metrics of any version, without their score table.

    Args:
        path: of the metrics.
        made_by: the command that makes the file, for errors.

    Raises:
        InputError: the file is missing or damaged.
    """
    return validate(AnyMetrics, read_json(path, made_by), path)


def read_metrics(
    model: type[Found], path: Path, score_table_path: Path, made_by: str, image_px: int
) -> tuple[Found, pd.DataFrame]:
    """Read the metrics of a score table, and the score table, which must give these metrics.

    Args:
        model: the type of the file.
        path: of the metrics.
        score_table_path: of the score table.
        made_by: the command that makes both files, for errors.
        image_px: pixels of an image.

    Raises:
        InputError: a file is missing or damaged, or the one does not follow from the other.
    """
    require(score_table_path, made_by)
    frame = read_score_table(score_table_path)
    found = validate(model, read_json(path, made_by), path)
    try:
        methods = aggregate(frame, image_px, found.missing)
        by_label = aggregate_by_label(frame, image_px, found.missing)
    except ValueError as error:
        raise InputError(f"{score_table_path}: {error}") from None
    if not (_agree(found.methods, methods) and _agree(found.by_label, by_label)):
        raise InputError(
            f"{path}: does not follow from {score_table_path}, so one of them is damaged or "
            f"foreign; `{made_by}` makes both"
        )
    return found, frame


def _agree(found: Any, expected: Any) -> bool:
    """Compare nested values, numbers up to the order of sums."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(
            _agree(found[key], value) for key, value in expected.items()
        )
    if isinstance(expected, float) and isinstance(found, int | float):
        return math.isclose(found, expected, rel_tol=RECOMPUTED_TO, abs_tol=RECOMPUTED_TO)
    return bool(found == expected)
