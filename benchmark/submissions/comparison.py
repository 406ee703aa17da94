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
from benchmark.evaluation.score_table import (
    GROUP,
    Aggregate,
    aggregate,
    metric_columns,
    read_score_table,
)
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
    scores_of,
)
from benchmark.stats.intervals import interval_of_mean
from benchmark.submissions.files import IMAGES, METRICS_FILE, SCORES
from data.errors import InputError
from models.baselines import BASELINES

MADE_BY = "python -m benchmark score --out"
KEYS = ["image", "mask"]

Table = tuple[Path, str, pd.DataFrame]
"""Where a score table is from, the one method in it, and its rows."""


@dataclass(frozen=True)
class SubmissionComparison:
    """Several submissions on the same images and holes, with the baselines that were scored too."""

    submissions: tuple[str, ...]
    baselines: tuple[str, ...]
    frame: pd.DataFrame
    """Score table of all of them; several completions of an image and hole have one seed."""
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
        InputError: no place is a folder; a file is damaged or of another protocol; or images,
            holes or the scores of a baseline differ.
    """
    if all(place.suffix == ".csv" for place in places):
        raise InputError(
            f"{', '.join(map(str, places))}: a comparison needs a folder that `{MADE_BY}` writes; "
            "score tables may stand beside it"
        )
    entries, baselines = _split(
        [
            (place, str(method), rows.sort_values([*KEYS, "seed"]).reset_index(drop=True))
            for place in places
            for method, rows in _read(place).groupby("method", sort=False)
        ]
    )
    names = _names(entries)
    tables = [t.assign(method=name) for name, (*_, t) in zip(names, entries, strict=True)]
    # All completions of an image and hole are one sample of it: they are no training seeds.
    frame = pd.concat([*tables, *baselines.values()], ignore_index=True).assign(seed=0)
    if GROUP in frame:  # a suite's tables name the groups of the images in all tables
        frame[GROUP] = frame["image"].map(_groups(frame))
    known = [name for name in HEADLINE if name in frame and frame[name].notna().any()]
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
    """Read a score table, of a folder or by itself; that of a suite without the oracle."""
    path = place
    if place.suffix != ".csv":
        summary = read_json(place / METRICS_FILE, MADE_BY)
        protocol = summary.get("protocol") if isinstance(summary, dict) else "unknown"
        if protocol != PROTOCOL:
            raise InputError(f"{place / METRICS_FILE}: of protocol {protocol}, not {PROTOCOL}")
        path = place / SCORES
    table = read_score_table(path)
    if METRIC not in table or table[METRIC].isna().any():
        raise InputError(f"{path}: lacks {METRIC} of some holes")
    for name in metric_columns(table):
        has_cap = name in METRICS and METRICS[name].unit == "dB"
        if (np.isinf(table[name]) & ~(has_cap & (table[name] > 0))).any():
            raise InputError(f"{path}: {name} is infinite, which only a PSNR can be")
    return table[table["method"] != ORACLE] if path == place else table


def _names(entries: Sequence[Table]) -> list[str]:
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


def _split(tables: Sequence[Table]) -> tuple[list[Table], dict[str, pd.DataFrame]]:
    """Return the tables of submissions, and one of each baseline by its name.

    Raises:
        InputError: images, holes or the scores of a baseline differ, or there is nothing to
            compare.
    """
    entries = [table for table in tables if table[1] not in BASELINES]
    if not entries or len(tables) < 2:
        raise InputError("a comparison needs a submission, and another one or a baseline")
    _require_same_holes({f"{method} of {place}": table for place, method, table in tables})
    baselines: dict[str, pd.DataFrame] = {}
    for place, method, table in tables:
        if method in BASELINES:
            first = baselines.setdefault(method, table)[METRIC]
            if len(first) != len(table) or not np.allclose(first, table[METRIC], rtol=1e-5):
                raise InputError(f"{place}: {method} has other scores there than elsewhere")
    return entries, baselines


def _require_same_holes(tables: Mapping[str, pd.DataFrame]) -> None:
    holes = {name: {*map(tuple, table[KEYS].to_numpy())} for name, table in tables.items()}
    first, *others = holes
    for other in others:
        if lacking := len(holes[first] ^ holes[other]):
            raise InputError(
                f"{first} and {other}: {lacking} of their holes are in one of both alone; a "
                "comparison needs the same images and masks"
            )


def _groups(frame: pd.DataFrame) -> pd.Series:
    """Return the group of each image that a table names one of."""
    named = frame[["image", GROUP]].dropna().drop_duplicates().set_index("image")[GROUP]
    if named.index.has_duplicates:
        image = named.index[named.index.duplicated()][0]
        groups = " and ".join(map(repr, named[[image]]))
        raise InputError(f"image {image} is of the groups {groups} in two score tables")
    return named


def _pixels(places: Sequence[Path], frame: pd.DataFrame) -> pd.Series:
    """Return the number of pixels of each row's image, as a folder of scores names it."""
    path = next(place for place in places if place.suffix != ".csv") / IMAGES
    types = {"image": str, "height": np.int64, "width": np.int64}
    try:
        sizes = pd.read_csv(path, dtype=types, usecols=[*types]).drop_duplicates("image")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a readable list of images: {reason}") from None
    pixels = frame["image"].map((sizes["height"] * sizes["width"]).set_axis(sizes["image"]))
    if pixels.isna().any():
        raise InputError(f"{path}: lacks images of the scores beside it")
    return pixels


def _scores(
    frame: pd.DataFrame, metric: str, trained: Sequence[str], to_ideal: bool = True
) -> dict[str, Scores]:
    # No metric of the tables is a PSNR over the whole image, whose cap depends on its size.
    scaled = comparable_scores(frame, metric, 1, to_ideal)
    return {
        str(name): scores_of(scaled, str(name), metric, name in trained)
        for name in scaled["method"].unique()
    }


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
        for name, scores in _scores(frame, metric, (), to_ideal=False).items():
            if len(scores.scored) > 1:
                interval = interval_of_mean(scores.sample(scores.scored))
                ends = interval.low, interval.high
                is_log = is_ratio(metric)
                found[name, metric] = (math.exp(ends[0]), math.exp(ends[1])) if is_log else ends
    return found
