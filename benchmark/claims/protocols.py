"""Score tables → the figures that the sources' own protocols give, beside what the sources report.

No verdict depends on these numbers. Each row of a score table counts as an image with its hole, in
the order of the test images. `docs/protocols.md` says what 8-bit completed images cannot give back,
and where a source's text and code disagree.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.metrics.registry import Column

Figures = dict[str, float]
"""By name, which carries the unit where there is one; NaN where a table lacks the metric."""

LOCPAINT_BATCH = 32
LIGHTNING_BATCH = 64
LOCPAINT_SCALE = 12
"""Three channels, times 2² for errors on [-1, 1] instead of [0, 1]."""
LOCPAINT_CAP_DB = 100.0


def locpaint(rows: pd.DataFrame, batch: int = LOCPAINT_BATCH) -> Figures:
    """Return what LocPaint's evaluation prints: `mse_x12`, `psnr_db`, `ssim_7x7`, `lpips_alex`.

    The MSE is that of all holes of a batch together, with squares on [-1, 1] summed over channels.
    PSNR, SSIM and LPIPS are those of whole completed images; an infinite PSNR counts as 100 dB.
    All are means of the means of batches, of which the last may be smaller.

    Source: `evaluate_model` of its `evaluate_models.py`, `calculate_metrics` of `utils/metrics.py`.
    """

    def of_batch(part: pd.DataFrame) -> Figures:
        psnr = _scores(part, "psnr_w")
        return {
            "mse_x12": LOCPAINT_SCALE * _pooled_mse(part),
            "psnr_db": float(np.where(np.isinf(psnr), LOCPAINT_CAP_DB, psnr).mean()),
            "ssim_7x7": float(_scores(part, "ssim_uniform_w").mean()),
            "lpips_alex": float(_scores(part, "lpips_alex").mean()),
        }

    return _mean_of_batches(rows, batch, of_batch)


def pathak(rows: pd.DataFrame) -> Figures:
    """Return the PSNR of the hole in dB, and its mean L1 and L2 losses in per cent of [0, 1].

    Each is a mean over images. The PSNR has no cap: it is infinite as soon as one hole is exact.

    Source: Pathak et al. (2016), the table on Paris StreetView.
    """
    return {
        "psnr_db": float(_scores(rows, "psnr_h").mean()),
        "l1_percent": float(_scores(rows, "l1_percent_h").mean()),
        "l2_percent": float(100 * _scores(rows, "mse_h").mean()),
    }


def lightning_report(rows: pd.DataFrame, batch: int = LIGHTNING_BATCH) -> Figures:
    """Return the PSNR in dB of the MSE of all holes of a batch, averaged over batches.

    The last batch may be smaller. The source takes the range of the pixels in the holes; here it is
    always the full one, as it is there where a batch has both black and white. The value is
    infinite where all holes of a batch are exact.

    Source: the Lightning context encoder report, `test_step` and `on_test_epoch_end` of
    `ContextEncoder`; batches of 64 images for Tiny ImageNet, 512 for ImageNet.
    """

    def of_batch(part: pd.DataFrame) -> Figures:
        with np.errstate(divide="ignore"):
            return {"psnr_db": float(-10 * np.log10(_pooled_mse(part)))}

    return _mean_of_batches(rows, batch, of_batch)


@dataclass(frozen=True)
class Protocol:
    """A source's protocol, and how its figures are shown."""

    compute: Callable[[pd.DataFrame], Figures]
    """From the score table of one method and seed."""
    columns: Sequence[Column]
    """Named like the figures."""
    needs: Mapping[str, str]
    """The metrics, by figure, that a score table may lack."""


PROTOCOLS: dict[str, Protocol] = {
    "locpaint": Protocol(
        locpaint,
        (
            Column("mse_x12", "lower", 4),
            Column("psnr_db", "higher", 2),
            Column("ssim_7x7", "higher", 4),
            Column("lpips_alex", "lower", 4),
        ),
        {"ssim_7x7": "ssim_uniform_w", "lpips_alex": "lpips_alex"},
    ),
    "pathak": Protocol(
        pathak,
        (
            Column("psnr_db", "higher", 2),
            Column("l1_percent", "lower", 2),
            Column("l2_percent", "lower", 2),
        ),
        {"l1_percent": "l1_percent_h"},
    ),
    "lightning_report": Protocol(lightning_report, (Column("psnr_db", "higher", 2),), {}),
}
"""By the name of the protocol."""


def _scores(rows: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    """Return a metric of every row; NaN where the score table has no such column."""
    if metric not in rows:
        return np.full(len(rows), np.nan)
    return rows[metric].to_numpy(np.float64)


def _pooled_mse(rows: pd.DataFrame) -> float:
    """Return the MSE of all pixels of the holes together, on [0, 1]."""
    return float(np.average(_scores(rows, "mse_h"), weights=rows["hole_px"]))


def _mean_of_batches(
    rows: pd.DataFrame, batch: int, compute: Callable[[pd.DataFrame], Figures]
) -> Figures:
    """Return the means of figures over batches with equal weight."""
    parts = [compute(rows.iloc[start : start + batch]) for start in range(0, len(rows), batch)]
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}
