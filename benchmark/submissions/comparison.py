"""Folders of scores that `score --out` wrote → who is better, image by image."""

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, combinations, product
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.core.config import NAME_PATTERN
from benchmark.core.files import read_json
from benchmark.evaluation.score_table import Aggregate, aggregate, read_score_table
from benchmark.metrics import METRICS, PROTOCOL
from benchmark.metrics.registry import HEADLINE, is_ratio
from benchmark.stats.comparison import (
    METRIC,
    ORACLE,
    Comparison,
    NothingInCommonError,
    Scores,
    comparable_scores,
    compare,
    family,
    score_matrices,
)
from benchmark.stats.intervals import interval_of_mean
from benchmark.submissions.files import IMAGES, METRICS_FILE, SCORES
from data.errors import InputError
from models.baselines import BASELINES

MADE_BY = "python -m benchmark score --out"
KEYS = ["image", "mask"]


@dataclass(frozen=True)
class SubmissionComparison:
    """Several submissions on the same images and holes, with the baselines that were scored too."""

    submissions: tuple[str, ...]
    baselines: tuple[str, ...]
    frame: pd.DataFrame
    """Score table of all of them; several completions of an image and hole are averaged."""
    means: Aggregate
    intervals: Mapping[tuple[str, str], tuple[float, float]]
    """95 % intervals of means, by method and metric; over images."""
    comparisons: Mapping[str, Sequence[Comparison]]
    """By metric, all pairs in which a submission is; p values are adjusted within a metric."""

    @property
    def images(self) -> int:
        """How many there are."""
        return int(self.frame["image"].nunique())

    @property
    def holes(self) -> int:
        """How many there are, of all images."""
        return len(self.frame[KEYS].drop_duplicates())


def compare_submissions(places: Sequence[Path]) -> SubmissionComparison:
    """Compare submissions that were scored on the same images and holes.

    Args:
        places: two or more: folders as `score --out` wrote them, and score tables of runs and
            baselines of a suite; at least one folder.

    Raises:
        InputError: a file is damaged or of another protocol, or images, holes or the scores of a
            baseline differ.
    """
    entries: list[tuple[Path, str, pd.DataFrame]] = []
    baselines: dict[str, pd.DataFrame] = {}
    for place in places:
        for method, rows in _read(place).groupby("method", sort=False):
            ours = rows.sort_values([*KEYS, "seed"]).reset_index(drop=True)
            if method in BASELINES:
                first = baselines.setdefault(str(method), ours)
                if not np.allclose(first[METRIC], ours[METRIC], rtol=1e-5):
                    raise InputError(f"{place}: {method!s} has other scores there than elsewhere")
            else:
                entries.append((place, str(method), ours))
    _require_same_holes(entries, baselines)
    names = _names(entries)
    tables = (table for _, _, table in entries)
    parts = [_averaged(t).assign(method=name) for name, t in zip(names, tables, strict=True)]
    frame = pd.concat([*parts, *baselines.values()], ignore_index=True)
    known = [name for name in HEADLINE if frame[name].notna().any()]
    scores = {metric: _scores(frame, metric, names) for metric in known}
    order = [name for name in BASELINES if name in baselines]
    return SubmissionComparison(
        submissions=tuple(names),
        baselines=tuple(order),
        frame=frame,
        means=aggregate(frame, _pixels(places, frame)),
        intervals=_intervals(frame, known),
        comparisons={metric: _pairs(scores[metric], names, order, metric) for metric in known},
    )


def _read(place: Path) -> pd.DataFrame:
    """Read a score table without the oracle, of a folder or by itself."""
    if place.suffix == ".csv":
        table = read_score_table(place)
        return table[table["method"] != ORACLE]
    summary = read_json(place / METRICS_FILE, MADE_BY)
    if summary.get("protocol") != PROTOCOL:
        raise InputError(f"{place}: of protocol {summary.get('protocol')}, not {PROTOCOL}")
    return read_score_table(place / SCORES)


def _names(entries: Sequence[tuple[Path, str, pd.DataFrame]]) -> list[str]:
    """Return a name for each submission: that of its method, or of its place where two agree."""
    methods = [method for _, method, _ in entries]
    names = [
        method if methods.count(method) == 1 else re.sub(r"[^a-z0-9_]+", "_", place.stem.lower())
        for place, method, _ in entries
    ]
    if len({*names}) < len(names) or not all(re.fullmatch(NAME_PATTERN, name) for name in names):
        raise InputError(
            f"{', '.join(str(place) for place, *_ in entries)}: methods have one name; score them "
            "with --name"
        )
    return names


def _require_same_holes(
    entries: Sequence[tuple[Path, str, pd.DataFrame]], baselines: Mapping[str, pd.DataFrame]
) -> None:
    if len(entries) < 1 or len(entries) + len(baselines) < 2:
        raise InputError("a comparison needs a submission, and another one or a baseline")
    tables = {f"{method} of {place}": table for place, method, table in entries}
    holes = {
        name: {*map(tuple, table[KEYS].to_numpy())}
        for name, table in (*tables.items(), *baselines.items())
    }
    first, *others = holes
    for other in others:
        if lacking := len(holes[first] ^ holes[other]):
            raise InputError(
                f"{first} and {other}: {lacking} of their holes are in one of both alone; a "
                "comparison needs the same images and masks"
            )


def _averaged(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which several completions of an image and hole are one row."""
    if not table.duplicated(KEYS).any():
        return table
    groups = table.groupby([*KEYS, "hole_px", "label"], sort=False)
    means = groups[[name for name in METRICS if name in table]].mean().reset_index()
    return means.assign(seed=0)[[name for name in table.columns if name != "method"]]


def _pixels(places: Sequence[Path], frame: pd.DataFrame) -> pd.Series:
    """Return the number of pixels of each row's image, as a folder of scores names it."""
    folder = next(place for place in places if place.suffix != ".csv")
    sizes = pd.read_csv(folder / IMAGES, dtype={"image": str}).drop_duplicates("image")
    areas = (sizes["height"] * sizes["width"]).to_numpy()
    return frame["image"].map(dict(zip(sizes["image"], areas, strict=True)))


def _scores(frame: pd.DataFrame, metric: str, trained: Sequence[str]) -> dict[str, Scores]:
    # No metric of the tables is a PSNR over the whole image, whose cap depends on its size.
    tables = score_matrices(comparable_scores(frame, metric, 1), metric)
    return {name: Scores(name, table, None, name in trained) for name, table in tables.items()}


def _pairs(
    scores: Mapping[str, Scores], names: Sequence[str], baselines: Sequence[str], metric: str
) -> list[Comparison]:
    found = []
    for ours, reference in chain(combinations(names, 2), product(names, baselines)):
        with suppress(NothingInCommonError):
            found.append(compare(scores[ours], scores[reference], metric))
    return family(found)


def _intervals(
    frame: pd.DataFrame, metrics: Sequence[str]
) -> dict[tuple[str, str], tuple[float, float]]:
    found = {}
    for metric in metrics:
        tables = score_matrices(comparable_scores(frame, metric, 1, to_ideal=False), metric)
        for name, table in tables.items():
            scores = Scores(name, table, None, False)
            if len(scores.scored) > 1:
                interval = interval_of_mean(scores.sample(scores.scored))
                ends = interval.low, interval.high
                is_log = is_ratio(metric)
                found[name, metric] = (math.exp(ends[0]), math.exp(ends[1])) if is_log else ends
    return found
