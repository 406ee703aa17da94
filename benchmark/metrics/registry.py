"""The metrics of protocol ib1, in the order in which tables show them.

Adding a metric takes a function, a line here and a test.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from benchmark.metrics.edges import edge_h, log_ratio, seam, sharpness_c
from benchmark.metrics.error import l1_percent_h, mae, mse, psnr_db
from benchmark.metrics.perceptual import lpips_h, lpips_missing, lpips_w
from benchmark.metrics.pixels import check_images, known_mae_raw
from benchmark.metrics.sharing import held
from benchmark.metrics.shift_tolerant import stlpips_h, stlpips_missing, stlpips_w
from benchmark.metrics.ssim import ssim_h, ssim_uniform_w, ssim_w

PROTOCOL = "ib1"


Better = Literal["lower", "higher", "zero", "one"]
"""Which values are better: lower, higher, nearer to zero, nearer to one."""
ARROWS: dict[Better, str] = {"lower": "↓", "higher": "↑", "zero": "→0", "one": "→1"}
WANTED: dict[Better, str] = {
    "lower": "lower is better",
    "higher": "higher is better",
    "zero": "0 is ideal",
    "one": "1 is ideal",
}


@dataclass(frozen=True)
class Metric:
    """A pure function of pixels to a number an image, and how to read it."""

    name: str
    """Column in score tables and tables."""
    region: str
    """`w` whole, `h` hole, `b` seam band, `c` core, `contour`, or `known`."""
    unit: str
    """`dB`, `%` or empty."""
    better: Better
    function: Callable[[Tensor, Tensor, Tensor], Tensor]
    """From `completed` and `target`, `[N, 3, H, W]` uint8, and `mask`, `[N, 1, H, W]` bool, True in
    the hole, which `check_images` accepts, to `[N]` float64."""
    pixels: Literal["completed", "raw"] = "completed"
    """What is scored: the composite, or the raw output (then by the caller)."""
    missing: Callable[[], str | None] = lambda: None
    """Returns why it cannot be computed here, or None where it can."""

    @property
    def margin(self) -> float:
        """The difference up to which two means are as good as equal, as comparisons scale them.

        A tenth of a decibel, and what that is of a squared error near .02; 5 % of a ratio; a gray
        level of a step; .002 of a similarity or a distance on [0, 1].
        """
        if self.unit:
            return {"dB": 0.1, "%": 0.2}[self.unit]
        if self.better in ("one", "zero"):
            return math.log(1.05) if self.better == "one" else 1 / 255
        return 0.0005 if self.name.startswith("mse_") else 0.002


def _lpips(name: str, region: str, function: Callable[..., Tensor], net: str) -> Metric:
    missing = partial(lpips_missing, net)
    return Metric(name, region, "", "lower", partial(function, net=net), missing=missing)


_METRICS = (
    Metric("mse_h", "h", "", "lower", partial(mse, region="h")),
    Metric("mae_h", "h", "", "lower", partial(mae, region="h")),
    Metric("psnr_h", "h", "dB", "higher", partial(psnr_db, region="h")),
    Metric("ssim_h", "h", "", "higher", ssim_h),
    Metric("stlpips_alex", "w", "", "lower", stlpips_w, missing=stlpips_missing),
    Metric("stlpips_alex_h", "h", "", "lower", stlpips_h, missing=stlpips_missing),
    Metric(
        "lpips_alex",
        "w",
        "",
        "lower",
        partial(lpips_w, net="alex"),
        missing=partial(lpips_missing, "alex"),
    ),
    Metric(
        "lpips_alex_h",
        "h",
        "",
        "lower",
        partial(lpips_h, net="alex"),
        missing=partial(lpips_missing, "alex"),
    ),
    Metric("seam", "contour", "", "zero", seam),
    Metric("sharpness_c", "c", "", "one", sharpness_c),
    Metric("edge_h", "h", "", "lower", edge_h),
    Metric("l1_percent_h", "h", "%", "lower", l1_percent_h),
    Metric("mse_b", "b", "", "lower", partial(mse, region="b")),
    Metric("mse_c", "c", "", "lower", partial(mse, region="c")),
    Metric("mse_w", "w", "", "lower", partial(mse, region="w")),
    Metric("mae_w", "w", "", "lower", partial(mae, region="w")),
    Metric("psnr_w", "w", "dB", "higher", partial(psnr_db, region="w")),
    Metric("ssim_w", "w", "", "higher", ssim_w),
    Metric("ssim_uniform_w", "w", "", "higher", ssim_uniform_w),
    Metric(
        "lpips_vgg",
        "w",
        "",
        "lower",
        partial(lpips_w, net="vgg"),
        missing=partial(lpips_missing, "vgg"),
    ),
    Metric(
        "lpips_squeeze",
        "w",
        "",
        "lower",
        partial(lpips_w, net="squeeze"),
        missing=partial(lpips_missing, "squeeze"),
    ),
    Metric("known_mae_raw", "known", "", "lower", known_mae_raw, pixels="raw"),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}


def missing_metrics() -> dict[str, str]:
    """Return the metrics that cannot be computed here, each with the reason."""
    return {metric.name: reason for metric in _METRICS if (reason := metric.missing())}


def score_images(
    completed: Tensor, target: Tensor, mask: Tensor, names: Iterable[str] | None = None
) -> dict[str, Tensor]:
    """Return every available metric of composited images.

    Args:
        completed: `[N, 3, H, W]` uint8, equal outside the hole; a side has at least 11 pixels.
        target: of the same shape and type.
        mask: `[N, 1, H, W]` bool, True in the hole.
        names: the metrics wanted; without it, all that score composites and are not missing.

    Returns:
        `[N]` float64 for each metric, on the device of the images.

    Raises:
        ValueError: see `check_images` and `ssim_map`; or an image differs outside its hole.
        KeyError: there is no metric of that name.
        MetricUnavailable: a metric asked for by name cannot be computed here.
    """
    check_images(completed, target, mask)
    if bool(((completed != target) & ~mask).any()):
        raise ValueError("completed: known pixels differ from the target's; composite first")
    if names is None:
        missing = missing_metrics()
        names = [m.name for m in _METRICS if m.pixels == "completed" and m.name not in missing]
    with held(completed, target), held(completed, target, mask):
        return {name: METRICS[name].function(completed, target, mask) for name in names}


def is_ratio(name: str) -> bool:
    """Return whether a metric is a ratio, whose mean is geometric (`log_ratio`)."""
    return name in METRICS and METRICS[name].better == "one"


def mean_over_seeds(name: str, means: Sequence[float]) -> float:
    """Return the mean of a metric's means of each seed."""
    if is_ratio(name):
        return math.exp(math.fsum(log_ratio(means)) / len(means))
    return math.fsum(means) / len(means)


@dataclass(frozen=True)
class Column:
    """A metric as a column."""

    name: str
    better: Better
    decimals: int = 4


def distance(value: float, better: Better) -> float:
    """Return how far a value is from ideal, to sort by; for `one`, half is as far as double."""
    if better == "lower":
        return value
    if better == "higher":
        return -value
    if better == "zero":
        return abs(value)
    return abs(math.log(value)) if value > 0 else math.inf


HEADLINE = ("mse_h", "psnr_h", "ssim_h", "stlpips_alex_h", "lpips_alex", "seam", "sharpness_c")
"""Metrics of the tables; the summary has all."""
