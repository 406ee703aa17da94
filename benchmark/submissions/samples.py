"""Several completions of the same image and hole → the best of them, and their diversity.

A method that draws its completions is judged by one number of three, which are never mixed: the
mean is what a user gets who takes the first, the best of n is what the truth would choose, and the
diversity is how far completions are from each other. For the mean, completions are rows of the
score table with numbers of their own in its column `seed`.
"""

from collections.abc import Mapping
from itertools import combinations
from statistics import fmean
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from benchmark.evaluation.score_table import aggregate
from benchmark.metrics import METRICS, missing_metrics
from benchmark.metrics.registry import distance
from benchmark.submissions.submission import Sample
from data.errors import InputError

DIVERSITY = ("mse_h", "stlpips_alex_h")
"""By what completions are held against each other: the hole's error and its perceptual distance."""
SHOWN = ("mse_h", "psnr_h", "stlpips_alex_h")


def numbers_of(samples: Mapping[str, str]) -> dict[str, int]:
    """Return the numbers from 0 on of completions that are told apart by text, in its order."""

    def order(text: str) -> tuple[int, str]:
        return (int(text), "") if text.isascii() and text.isdigit() else (-1, text)

    return {text: number for number, text in enumerate(sorted({*samples.values()}, key=order))}


def require_equal_counts(table: pd.DataFrame, images: pd.DataFrame) -> int:
    """Return how many completions every image and hole has.

    Args:
        table: a score table of one method.
        images: the names of files, with the keys of their rows.

    Raises:
        InputError: it is not the same number everywhere.
    """
    counts = table.groupby(["image", "mask"], sort=False)["seed"].nunique()
    most = int(counts.max())
    if (counts < most).any():
        few = counts[counts < most].reset_index().merge(images, on=["image", "mask"])
        raise InputError(
            f"{few['name'].iloc[0]}: its image has {counts.min()} completions, others have {most}; "
            "the best of n is that of one n"
        )
    return most


class Diversity:
    """Takes completions one by one, those of an image and hole one after another."""

    def __init__(self) -> None:
        self._key: tuple[str, str] | None = None
        self._given: list[Tensor] = []
        self._mask = torch.empty(0)
        self._means: dict[str, list[float]] = {name: [] for name in DIVERSITY}

    def add(self, sample: Sample, row: Mapping[str, Any]) -> None:
        """Take a completion, with the row of its scores."""
        key = str(row["image"]), str(row["mask"])
        if key != self._key:
            self._finish()
            self._key, self._mask = key, torch.from_numpy(sample.hole)[None, None]
        given, truth = (
            torch.tensor(pixels).permute(2, 0, 1)[None]
            for pixels in (sample.completed, sample.target)
        )
        self._given.append(torch.where(self._mask, given, truth))

    def _finish(self) -> None:
        pairs = [*combinations(self._given, 2)]
        for name, means in self._means.items():
            if pairs:
                function = METRICS[name].function
                means.append(fmean(float(function(a, b, self._mask)) for a, b in pairs))
        self._given = []

    def means(self) -> dict[str, float]:
        """Return the means over images and holes of the means over pairs of completions."""
        self._finish()
        return {name: fmean(found) for name, found in self._means.items() if found}


def best_of(table: pd.DataFrame, pixels: pd.Series) -> dict[str, Any]:
    """Return the means of each metric's best value among the completions of an image and hole.

    Args:
        table: a score table of one method.
        pixels: those of the image of each row.
    """
    keys = ["method", "image", "mask", "hole_px", "label"]
    groups = table.assign(pixels=pixels).groupby(keys, sort=False)
    best = groups.agg({name: _best for name in METRICS} | {"pixels": "first"}).reset_index()
    sizes = best.pop("pixels")
    (found,) = aggregate(best.assign(seed=0), sizes, missing_metrics()).values()
    return found


def _best(values: pd.Series) -> float:
    better = METRICS[str(values.name)].better
    return min(values.dropna(), key=lambda value: distance(value, better), default=float("nan"))


def samples_text(summary: Mapping[str, Any]) -> list[str]:
    """Return lines on several completions of each image."""
    best, count = summary["best_of_n"], summary["count"]
    shown = [f"{name} {best[name]['mean']:.5g}" for name in SHOWN]
    apart = [f"{name} {value:.5g}" for name, value in summary["diversity"].items()]
    return [
        f"{count} completions of each image and hole: the table has their means",
        f"best of {count}, each metric by itself: {', '.join(shown)}",
        f"diversity, mean over pairs: {', '.join(apart)}",
    ]
