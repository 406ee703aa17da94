"""The score table: one row per (method, seed, image, mask), and the numbers drawn from it."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.core.files import write_text
from benchmark.core.text import text_cell
from benchmark.metrics import METRICS
from benchmark.metrics.edges import log_ratio
from benchmark.metrics.error import psnr_cap_db
from benchmark.metrics.registry import is_ratio
from benchmark.stats.comparison import METRIC, ORACLE
from data.errors import InputError, printable

KEYS = ("method", "seed", "image", "mask")
COLUMNS = (*KEYS, "hole_px", "label")
GROUP = "group"
"""A further column after those, where images form groups: see `groups_of`."""
PSNR_MEDIAN, PSNR_POOLED = "psnr_h_median", "psnr_h_pooled"
"""Beside the mean of psnr_h, which a few nearly exact holes rule."""
AREA_EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0)

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
            `hole_px` int, `label` str (may be empty), where there are groups `group` str, then one
            float column per metric.
    """
    frame = frame.assign(label=frame["label"].map(text_cell))
    write_text(path, frame.to_csv(index=False, float_format="%.7g", lineterminator="\n"))


def read_score_table(path: Path) -> pd.DataFrame:
    """Read a score table.

    Returns:
        The columns that `write_score_table` takes; a missing metric is NaN.

    Raises:
        InputError: the file is not there, a column is missing, a value is not of its type, two
            rows have the same method, seed, image and mask, or an image is in two groups.
    """
    try:
        frame = pd.read_csv(path, dtype=object, keep_default_na=False)
        if tuple(frame.columns[: len(COLUMNS)]) != COLUMNS:
            raise ValueError(f"the first columns are not {', '.join(COLUMNS)}")
        if not isinstance(frame.index, pd.RangeIndex):
            raise ValueError("rows are longer than the heading")
        if frame.duplicated(list(KEYS)).any():
            raise ValueError("a row is there twice")
        if GROUP in frame:
            frame[GROUP] = frame[GROUP].where(frame[GROUP] != "", frame["image"])
            if (frame.groupby("image")[GROUP].nunique() > 1).any():
                raise ValueError("an image is in two groups")
        names = metric_columns(frame)
        texts = [name for name in ("method", "image", "mask", "label", GROUP) if name in frame]
        frame = frame.astype(dict.fromkeys(texts, str))
        frame["label"] = frame["label"].str.removeprefix("'")
        frame = frame.astype({"seed": np.int64, "hole_px": np.int64})
        return frame.replace(dict.fromkeys(names, ""), np.nan).astype(dict.fromkeys(names, float))
    except (OSError, ValueError) as error:
        reason = printable(" ".join(str(error).split()))
        raise InputError(f"{path}: not a readable score table: {reason}") from None


def metric_columns(frame: pd.DataFrame) -> list[str]:
    """Return the names of a score table's metrics, in its order."""
    return [name for name in frame.columns if name not in (*COLUMNS, GROUP)]


def groups_of(frame: pd.DataFrame) -> pd.Series:
    """Return the group of each row, the statistical unit: blocks of one photograph, say.

    Where a score table has no column `group`, an image is a group of its own.
    """
    return frame[GROUP].fillna(frame["image"]) if GROUP in frame else frame["image"]


def aggregate(
    frame: pd.DataFrame, image_px: int | pd.Series, missing: Mapping[str, str] | None = None
) -> Aggregate:
    """Average masks inside each image, then images with equal weight, then seeds.

    An infinite PSNR is counted and enters the mean as 10·log10(255²·3·|R|), that of a region R in
    which one channel of one pixel is off by one. Ratios, whose ideal is 1, are averaged as their
    logarithms (`log_ratio`), and their mean is the geometric one.

    Args:
        frame: a score table.
        image_px: pixels of an image, |R| of the metrics over the whole image; where sizes differ,
            those of each row's image.
        missing: the reason why a metric has no values, by metric; these metrics are in the result
            even if the score table has no such column.

    Returns:
        For each method and metric: `mean`; `sd`, over images, of each image's mean over its masks
        and seeds (None below 2 images; of logarithms for ratios); `n`, the number of images;
        `infinite`, the number of rows; and `missing` where `n` is 0. All JSON, without NaN or
        infinity.

    Raises:
        ValueError: a metric other than a PSNR over `w` or `h` is infinite.
    """
    reasons = dict(missing or {})
    columns = metric_columns(frame)
    names = [name for name in METRICS if name in columns or name in reasons]
    names += [name for name in columns if name not in METRICS]
    finite, infinite = _cap(frame, columns, image_px)
    ratios = [name for name in columns if is_ratio(name)]
    finite[ratios] = log_ratio(finite[ratios])
    result: Aggregate = {}
    for method, rows in finite.groupby("method", sort=False):
        counts = infinite.loc[rows.index].sum()
        per_image = rows.groupby(["seed", "image"])[columns].mean()
        mean = per_image.groupby("seed").mean().mean()
        mean[ratios] = np.exp(mean[ratios])
        over_seeds = per_image.groupby("image").mean()
        deviation, number = over_seeds.std(ddof=1), over_seeds.count()
        summaries: dict[str, Summary] = {}
        for name in names:
            summary: Summary = {"mean": None, "sd": None, "n": 0, "infinite": 0}
            if name in columns and number[name]:
                summary |= {"mean": float(mean[name]), "n": int(number[name])}
                summary["sd"] = float(deviation[name]) if number[name] > 1 else None
                summary["infinite"] = int(counts[name])
            else:
                summary["missing"] = reasons.get(name, "the score table has no value")
            summaries[name] = summary
        result[str(method)] = summaries
    return result


def robust_psnr(frame: pd.DataFrame, image_px: int | pd.Series) -> Aggregate:
    """Return the median of psnr_h over images, and the PSNR of their mean mse_h.

    The masks of an image are averaged first; seeds last. Where the mean mse_h is 0, the pooled
    PSNR is the mean of psnr_h, which is capped. Arguments are those of `aggregate`, without reasons
    for gaps; entries are those of its result.
    """
    columns = ["mse_h", "psnr_h"]
    capped, infinite = _cap(frame.reindex(columns=[*COLUMNS, *columns]), columns, image_px)
    result: Aggregate = {}
    for method, rows in capped.groupby("method", sort=False):
        per_image = rows.groupby(["seed", "image"])[columns].mean().dropna()
        images = int(per_image.index.get_level_values("image").nunique())
        entry: Summary = {"mean": None, "sd": None, "n": images, "infinite": 0}
        found = {PSNR_MEDIAN: entry, PSNR_POOLED: entry}
        if images:
            by_seed = per_image.groupby("seed")
            means, median = by_seed.mean(), by_seed["psnr_h"].median()
            errors = means["mse_h"].where(means["mse_h"] > 0)
            pooled = (-10 * np.log10(errors)).fillna(means["psnr_h"])
            entry["infinite"] = int(infinite.loc[rows.index, "psnr_h"].sum())
            found = {
                PSNR_MEDIAN: entry | {"mean": float(median.mean())},
                PSNR_POOLED: entry | {"mean": float(pooled.mean())},
            }
        else:
            entry["missing"] = "needs mse_h and psnr_h"
        result[str(method)] = found
    return result


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
    """Aggregate the rows of each bin `(lo, hi]` of the realized hole area over the image's.

    Arguments and errors are those of `aggregate`; bins without rows are left out.
    """
    bins = pd.cut(frame["hole_px"] / image_px, AREA_EDGES)
    return {
        f"({edges.left:g}, {edges.right:g}]": aggregate(rows, image_px, missing)
        for edges, rows in frame.groupby(bins, observed=True)
    }


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


def check_same_images(frame: pd.DataFrame, suite_name: str) -> None:
    """Refuse scores of different test images, holes or groups, with InputError."""
    frame = frame.assign(group=groups_of(frame))
    keys = ["image", "mask", GROUP]
    expected: list[tuple[str, str]] | None = None
    for (method, seed), rows in frame.groupby(["method", "seed"], sort=False):
        # In order, which is that of the images that are shown.
        found = list(rows[keys].itertuples(index=False, name=None))
        expected = expected or found
        if found != expected:
            raise InputError(
                f"suite {suite_name}: {method} with seed {seed} was scored on other images, holes "
                "or groups than the rest, or in another order; evaluate all again"
            )


def check_canaries(
    frame: pd.DataFrame, baselines: tuple[str, ...], suite_name: str, image_px: int
) -> None:
    """Refuse scores that cannot be right, whatever the methods are, with InputError."""
    oracle = frame[frame["method"] == ORACLE]
    if (oracle[METRIC] != 0).any() or not (oracle["ssim_h"] == 1).all():
        raise InputError(f"suite {suite_name}: the {ORACLE} is not perfect; the scores are wrong")
    touched = frame[frame["method"].isin([*baselines, ORACLE]) & (frame["known_mae_raw"] != 0)]
    if len(touched):
        name = touched["method"].iloc[0]
        raise InputError(f"suite {suite_name}: {name} changed known pixels; its scores are wrong")
    # mse_w is mse_h times the share of the hole, as the completed image is exact elsewhere.
    share = 10 * np.log10(frame["hole_px"] / image_px)
    difference = frame["psnr_w"] - frame["psnr_h"] + share
    # 1e-4 dB: a score table keeps 7 significant digits of values below 100.
    if (difference[np.isfinite(difference)].abs() > 1e-4).any():
        raise InputError(
            f"suite {suite_name}: psnr_w and psnr_h of a score table contradict each other"
        )
