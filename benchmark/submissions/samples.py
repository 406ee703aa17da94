"""Several completions of the same image and hole → the best of them, and their diversity.

A method that draws its completions is judged by one number of three, which are never mixed: the
mean is what a user gets who takes the first, the best of n is what the truth would choose, and the
diversity is how far completions are from each other. For the mean, completions are rows of the
score table with numbers of their own in its column `seed`.
"""

import math
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from benchmark.evaluation.score_table import aggregate
from benchmark.inference.pairing import Pairing
from benchmark.metrics import METRICS, missing_metrics
from benchmark.metrics.registry import distance
from benchmark.metrics.shift_tolerant import SMALLEST_PX
from benchmark.submissions.submission import Sample
from data.errors import InputError

DIVERSITY = ("mse_h", "stlpips_alex_h")
"""By what completions are held against each other: the hole's error and its perceptual distance."""
SHOWN = ("mse_h", "psnr_h", "stlpips_alex_h")


def numbered(pairing: Pairing) -> list[tuple[str, int]]:
    """Return the sets of a pairing, each with the number of its completion, from 0 on.

    Completions of an image and mask come one after another. Their numbers are their ranks, so that
    every image has the same numbers, whatever its files are called.

    Raises:
        InputError: images and masks have different numbers of completions.
    """
    groups: dict[tuple[Path, Path], list[str]] = {}
    for name, files in pairing.sets.items():
        groups.setdefault((files["images"], files["masks"]), []).append(name)
    by_size = sorted(groups.values(), key=len)
    few, most = by_size[0], by_size[-1]
    if len(few) < len(most):
        raise InputError(
            f"{few[0]}: its image has {len(few)} completions, others have {len(most)}; "
            "the best of n is that of one n"
        )

    def rank(name: str) -> tuple[int, str]:
        text = pairing.samples.get(name, "")
        return (int(text), "") if text.isascii() and text.isdigit() else (-1, text)

    return [
        (name, number)
        for names in groups.values()
        for number, name in enumerate(sorted(names, key=rank))
    ]


class Diversity:
    """Takes completions one by one, in the order of `numbered`."""

    def __init__(self) -> None:
        self._given: list[Tensor] = []
        self._mask = torch.empty(0)
        self._means: dict[str, list[float]] = {name: [] for name in DIVERSITY}

    def add(self, sample: Sample, number: int) -> None:
        """Take a completion; with the number 0 another image or hole begins."""
        if number == 0:
            self._finish()
            self._mask = torch.from_numpy(sample.hole)[None, None]
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

    def summary(self) -> dict[str, Any]:
        """Return the means over images and holes of the means over pairs of completions.

        Returns:
            `diversity`, the mean of each metric, None where it has no value; and `missing`, why a
            metric has no value of some or all images.
        """
        self._finish()
        means: dict[str, float | None] = {}
        missing = {}
        for name, found in self._means.items():
            known = [value for value in found if not math.isnan(value)]
            means[name] = fmean(known) if known else None
            if not found:
                missing[name] = "it takes two completions of an image and hole"
            elif len(known) < len(found):
                missing[name] = (
                    f"{len(found) - len(known)} of {len(found)} images and holes have no value, as "
                    f"it takes images of {SMALLEST_PX} px a side"
                )
        return {"diversity": means, "missing": missing}


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
    shown = [f"{name} {number_text(best[name]['mean'])}" for name in SHOWN]
    apart = [f"{name} {number_text(value)}" for name, value in summary["diversity"].items()]
    return [
        f"{count} completions of each image and hole: the table has their means",
        f"best of {count}, each metric by itself: {', '.join(shown)}",
        f"diversity, mean over pairs: {', '.join(apart)}",
        *(f"diversity, {name}: {reason}" for name, reason in summary["missing"].items()),
    ]


def number_text(value: float | None) -> str:
    """Return a mean as printed."""
    return "missing" if value is None else f"{value:.5g}"
