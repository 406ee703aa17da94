"""Pixels -> sharpness and edge distance in the hole, and how visible its contour is."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.metrics.pixels import mean_over
from benchmark.metrics.regions import dilate, region_pixels
from models.filters import sobel

ROUNDING_ENERGY = 2.0
"""Mean gradient energy, in squared levels, of noise as rounding to 8 bits makes it: 24 times its
variance of 1/12, where 24 is the sum of the squared coefficients of both Sobel kernels."""
RATIO_LIMITS = (0.01, 100.0)
"""Ratios beyond them count as these in every mean and comparison."""


def sharpness_c(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the core's gradient energy over that of the target; below 1 is blurry.

    Pixels count whose Sobel window lies in the hole, so that the hole's border adds nothing. Less
    energy than `ROUNDING_ENERGY` counts as that much, so that a flat target rules no mean: against
    it, a flat completion has 1. NaN where no pixel counts. Arguments and result are those of
    `Metric`.
    """
    core = region_pixels(mask, "c") & ~dilate(~mask, 1)
    ours, truth = (
        mean_over(_gradient_energy(image), core).clamp(min=ROUNDING_ENERGY)  # keeps NaN
        for image in (completed, target)
    )
    return ours / truth


def log_ratio(ratios: Any) -> Any:
    """Return the logarithms in which ratios (`better` is `one`) are averaged and compared.

    A mean of ratios is a geometric one: half and double are equally far from 1. Ratios are clipped
    to `RATIO_LIMITS`.
    """
    return np.log(np.clip(ratios, *RATIO_LIMITS))


def edge_h(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the hole's mean absolute difference of Sobel gradient magnitudes, on [0, 1] pixels.

    The edge distance of the attention U-Net family, without that source's division by the maximum
    of the batch, which would make an image's value depend on its neighbors. Arguments and result
    are those of `Metric`.
    """
    ours, truth = (_gradient_energy(image).sqrt() for image in (completed, target))
    return mean_over((ours - truth).abs(), mask) / 255


def _gradient_energy(image: Tensor) -> Tensor:
    """Return gx² + gy² of the Sobel operator per channel, `[N, 3, H, W]` float64, exact."""
    gx, gy = sobel(image.double())
    return gx**2 + gy**2


def seam(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean step across the hole's contour beyond the step that the target has there.

    A step is the absolute difference of two 4-neighbors of which one is in the hole and one is
    known, over 3 channels, on [0, 1]. 0 is ideal, negative is smoother than the target. Arguments
    and result are those of `Metric`.
    """
    excess = torch.zeros(len(mask), dtype=torch.int64, device=mask.device)
    pairs = torch.zeros_like(excess)
    for axis in (2, 3):
        crossing = mask.int().diff(dim=axis) != 0
        steps = completed.int().diff(dim=axis).abs() - target.int().diff(dim=axis).abs()
        excess += (steps * crossing).sum((1, 2, 3))
        pairs += crossing.sum((1, 2, 3))
    return excess.double() / (3 * 255 * pairs)
