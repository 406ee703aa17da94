"""The score table: one row per (method, seed, image, mask), and the numbers drawn from it."""

import csv
import io
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.core.files import write_text
from benchmark.core.text import text_cell
from benchmark.metrics import METRICS
from benchmark.metrics.error import psnr_cap_db
from data.errors import InputError

KEYS = ("method", "seed", "image", "mask")
COLUMNS = (*KEYS, "hole_px", "label")
AREA_EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_HASH = re.compile(r"[0-9a-f]{16}")

# {"mean", "sd", "n", "infinite"} and, where no value is there, {"missing": reason}.
Summary = dict[str, float | int | str | None]
# method -> metric -> summary
Aggregate = dict[str, dict[str, Summary]]


def write_score_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a score table atomically; equal frames give equal bytes.

    Metrics have 7 significant digits, `inf` where infinite, nothing where missing. Labels are
    written by `text_cell`.

    Args:
        path: the CSV file; its folder is made if need be.
        frame: `method` str, `seed` int, `image` and `mask` the first 16 hex digits of a SHA-256,
            `hole_px` int, `label` str (may be empty), then one float column per metric.

    Raises:
        InputError: see `read_score_table`.
    """
    if "label" in frame:
        frame = frame.assign(label=frame["label"].map(text_cell))
    text = frame.to_csv(index=False, float_format="%.7g", na_rep="", lineterminator="\n")
    _parse(text, path)
    write_text(path, text)


def read_score_table(path: Path) -> pd.DataFrame:
    """Read a score table.

    Returns:
        The columns that `write_score_table` takes; a missing metric is NaN.

    Raises:
        InputError: the file is not there, a column is missing or misnamed, a value cannot be read,
            or two rows have the same method, seed, image and mask.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable score table: {error}") from error
    return _parse(text, path)


def metric_columns(frame: pd.DataFrame) -> list[str]:
    """Return the names of a score table's metrics, in its order."""
    return [name for name in frame.columns if name not in COLUMNS]


def _parse(text: str, path: Path) -> pd.DataFrame:
    try:
        header, *rows = csv.reader(io.StringIO(text), strict=True)
    except (csv.Error, ValueError) as error:
        raise InputError(f"{path}: not a table: {error}") from error
    if tuple(header[: len(COLUMNS)]) != COLUMNS or len(set(header)) < len(header):
        raise InputError(
            f"{path}: columns are {', '.join(header)}; they must be {', '.join(COLUMNS)} "
            "and then metrics, each once"
        )
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise InputError(f"{path}: row {number} has {len(row)} columns, not {len(header)}")
    raw = pd.DataFrame(rows, columns=header, dtype=str)
    for name in metric_columns(raw):
        if not _NAME.fullmatch(name):
            raise InputError(f"{path}: column {name!r}: a metric's name matches {_NAME.pattern}")
    _require(path, raw, "method", _NAME)
    _require(path, raw, "image", _HASH)
    _require(path, raw, "mask", _HASH)
    for name in ("seed", "hole_px"):
        _require(path, raw, name, re.compile(r"[0-9]{1,18}"))
    frame = raw.astype({"seed": np.int64, "hole_px": np.int64})
    frame["label"] = raw["label"].str.removeprefix("'")
    for name in metric_columns(raw):
        frame[name] = _floats(path, raw[name])
    repeated = frame.duplicated(list(KEYS))
    if repeated.any():
        first = int(repeated.to_numpy().argmax())
        key = ", ".join(str(frame[name].iloc[first]) for name in KEYS)
        where = f"{path}: columns {', '.join(KEYS)}, row {first + 2}"
        raise InputError(f"{where}: {key} is there twice")
    return frame


def _require(path: Path, raw: pd.DataFrame, name: str, pattern: re.Pattern[str]) -> None:
    wrong = ~raw[name].str.fullmatch(pattern.pattern)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        value = raw[name].iloc[row]
        raise InputError(
            f"{path}: column {name}, row {row + 2}: {value!r} does not match {pattern.pattern}"
        )


def _floats(path: Path, column: pd.Series) -> pd.Series:
    values = []
    for row, text in enumerate(column):
        try:
            value = float(text) if text else math.nan
        except ValueError:
            value = -math.inf
        if value == -math.inf or (text and math.isnan(value)):
            where = f"{path}: column {column.name}, row {row + 2}"
            raise InputError(f"{where}: {text!r} is not a number, inf or empty")
        values.append(value)
    return pd.Series(values, index=column.index, dtype=np.float64)


def aggregate(
    frame: pd.DataFrame, image_px: int | pd.Series, missing: Mapping[str, str] | None = None
) -> Aggregate:
    """Average masks inside each image, then images with equal weight, then seeds.

    An infinite PSNR is counted and enters the mean as 10·log10(255²·3·|R|), that of a region R in
    which one channel of one pixel is off by one.

    Args:
        frame: a score table.
        image_px: pixels of an image, |R| of the metrics over the whole image; where sizes differ,
            those of each row's image.
        missing: the reason why a metric has no values, by metric; these metrics are in the result
            even if the score table has no such column.

    Returns:
        For each method and metric: `mean`; `sd`, over images, of each image's mean over its masks
        and seeds (None below 2 images); `n`, the number of images; `infinite`, the number of
        rows; and `missing` where `n` is 0. All JSON, without NaN or infinity.

    Raises:
        ValueError: a metric other than a PSNR over `w` or `h` is infinite.
    """
    reasons = dict(missing or {})
    columns = metric_columns(frame)
    names = [name for name in METRICS if name in columns or name in reasons]
    names += [name for name in columns if name not in METRICS]
    finite, infinite = _cap(frame, columns, image_px)
    result: Aggregate = {}
    for method, rows in finite.groupby("method", sort=False):
        counts = infinite.loc[rows.index].sum()
        per_image = rows.groupby(["seed", "image"])[columns].mean()
        mean = per_image.groupby("seed").mean().mean()
        over_seeds = per_image.groupby("image").mean()
        deviation, number = over_seeds.std(ddof=1), over_seeds.count()
        result[str(method)] = {
            name: _summary(mean[name], deviation[name], int(number[name]), int(counts[name]))
            if name in columns and number[name]
            else _gap(reasons.get(name, "the score table has no value"))
            for name in names
        }
    return result


def _summary(mean: float, deviation: float, number: int, infinite: int) -> Summary:
    return {
        "mean": float(mean),
        "sd": float(deviation) if number > 1 else None,
        "n": number,
        "infinite": infinite,
    }


def _gap(reason: str) -> Summary:
    return {"mean": None, "sd": None, "n": 0, "infinite": 0, "missing": reason}


def _cap(
    frame: pd.DataFrame, columns: list[str], image_px: int | pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the score table with its infinities capped, and where they were."""
    infinite = frame[columns] == math.inf
    capped = frame.copy()
    for name in columns:
        if not infinite[name].any():
            continue
        metric = METRICS.get(name)
        if metric is None or metric.unit != "dB" or metric.region not in ("w", "h"):
            raise ValueError(f"{name} is infinite, and there is no cap for it")
        pixels = frame["hole_px"] if metric.region == "h" else image_px
        capped[name] = frame[name].mask(infinite[name], psnr_cap_db(pixels))
    return capped, infinite


def aggregate_by_area(
    frame: pd.DataFrame, image_px: int | pd.Series, missing: Mapping[str, str] | None = None
) -> dict[str, Aggregate]:
    """Aggregate the rows of each bin `(lo, hi]` of the realised hole area over the image's.

    Arguments and errors are those of `aggregate`; bins without rows are left out.
    """
    ratio = frame["hole_px"] / image_px
    bins = {
        f"({low:g}, {high:g}]": frame[(ratio > low) & (ratio <= high)]
        for low, high in pairwise(AREA_EDGES)
    }
    return {name: aggregate(rows, image_px, missing) for name, rows in bins.items() if len(rows)}


def aggregate_by_label(
    frame: pd.DataFrame, image_px: int | pd.Series, missing: Mapping[str, str] | None = None
) -> dict[str, Aggregate]:
    """Aggregate the rows of each label, in order; rows without a label are left out.

    Arguments and errors are those of `aggregate`.
    """
    labeled = frame[frame["label"] != ""]
    return {
        str(label): aggregate(rows, image_px, missing)
        for label, rows in labeled.groupby("label", sort=True)
    }
