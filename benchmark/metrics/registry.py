"""The metrics of protocol ib1, in the order in which tables show them.

Adding a metric takes a function, a line here and a test.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from benchmark.metrics.edges import edge_h, log_ratio, seam, sharpness_c
from benchmark.metrics.error import l1_percent_h, mae, mse, psnr_db
from benchmark.metrics.perceptual import lpips_h, lpips_missing, lpips_w
from benchmark.metrics.pixels import check_images, known_mae_raw
from benchmark.metrics.sharing import held
from benchmark.metrics.shift_tolerant import stlpips_h, stlpips_missing, stlpips_w
from benchmark.metrics.ssim import UNIFORM_WINDOW, ssim_h, ssim_uniform_w, ssim_w
from benchmark.metrics.windows import (
    NEAR_PX,
    Sides,
    around,
    by_area,
    by_windows,
    in_decibels,
    is_large,
)
from models.filters import WINDOW

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
    widen: Callable[[Tensor, Sides, Sides], Tensor] | None = None
    """From the value around the hole of a large image, and the sides of that part and of the image,
    to the value of the image; None where they are the same."""
    finds_hole: bool = False
    """Whether the function finds the surroundings of the hole by itself, in the whole image."""

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
    metric = partial(function, net=net)
    return Metric(name, region, "", "lower", metric, missing=missing, finds_hole=True)


def _stlpips(name: str, region: str, function: Callable[..., Tensor]) -> Metric:
    return Metric(name, region, "", "lower", function, missing=stlpips_missing, finds_hole=True)


_METRICS = (
    Metric("mse_h", "h", "", "lower", partial(mse, region="h")),
    Metric("mae_h", "h", "", "lower", partial(mae, region="h")),
    Metric("psnr_h", "h", "dB", "higher", partial(psnr_db, region="h")),
    Metric("ssim_h", "h", "", "higher", ssim_h),
    _stlpips("stlpips_alex", "w", stlpips_w),
    _stlpips("stlpips_alex_h", "h", stlpips_h),
    _lpips("lpips_alex", "w", lpips_w, "alex"),
    _lpips("lpips_alex_h", "h", lpips_h, "alex"),
    Metric("seam", "contour", "", "zero", seam),
    Metric("sharpness_c", "c", "", "one", sharpness_c),
    Metric("edge_h", "h", "", "lower", edge_h),
    Metric("l1_percent_h", "h", "%", "lower", l1_percent_h),
    Metric("mse_b", "b", "", "lower", partial(mse, region="b")),
    Metric("mse_c", "c", "", "lower", partial(mse, region="c")),
    Metric("mse_w", "w", "", "lower", partial(mse, region="w"), widen=by_area),
    Metric("mae_w", "w", "", "lower", partial(mae, region="w"), widen=by_area),
    Metric("psnr_w", "w", "dB", "higher", partial(psnr_db, region="w"), widen=in_decibels),
    Metric("ssim_w", "w", "", "higher", ssim_w, widen=by_windows(WINDOW)),
    Metric("ssim_uniform_w", "w", "", "higher", ssim_uniform_w, widen=by_windows(UNIFORM_WINDOW)),
    _lpips("lpips_vgg", "w", lpips_w, "vgg"),
    _lpips("lpips_squeeze", "w", lpips_w, "squeeze"),
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
    wanted = {name: METRICS[name] for name in names}
    if not is_large(target):
        return _compute(wanted, completed, target, mask)
    singles = zip(*(torch.split(x, 1) for x in (completed, target, mask)), strict=True)
    parts = [_score_large(wanted, *images) for images in singles]
    return {name: torch.cat([part[name] for part in parts]) for name in wanted}


def _compute(
    metrics: Mapping[str, Metric], completed: Tensor, target: Tensor, mask: Tensor
) -> dict[str, Tensor]:
    with held(completed, target), held(completed, target, mask):
        return {name: m.function(completed, target, mask) for name, m in metrics.items()}


def _score_large(
    metrics: Mapping[str, Metric], completed: Tensor, target: Tensor, mask: Tensor
) -> dict[str, Tensor]:
    """Compute metrics of one image from the surroundings of its hole."""
    rows, columns = around(mask[0, 0], NEAR_PX)
    near = [image[..., rows, columns].contiguous() for image in (completed, target, mask)]
    sides, all_sides = ((int(x.shape[2]), int(x.shape[3])) for x in (near[1], target))
    found = _compute({n: m for n, m in metrics.items() if not m.finds_hole}, *near)
    for name, value in found.items():
        if widen := metrics[name].widen:
            found[name] = widen(value, sides, all_sides)
    whole = {name: metric for name, metric in metrics.items() if metric.finds_hole}
    return found | _compute(whole, completed, target, mask)


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
