"""Pixel errors: MSE, MAE, PSNR and the sources' L1.

Arguments and results are those of `Metric`, with a region of `region_pixels`; a value is NaN where
the region is empty.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.metrics.pixels import mean_over
from benchmark.metrics.regions import Region, region_pixels


def mse(completed: Tensor, target: Tensor, mask: Tensor, region: Region) -> Tensor:
    """Return each image's mean squared error over a region and 3 channels, on [0, 1]."""
    squares = (completed.int() - target.int()) ** 2
    return mean_over(squares, region_pixels(mask, region)) / 255**2


def mae(completed: Tensor, target: Tensor, mask: Tensor, region: Region) -> Tensor:
    """Return each image's mean absolute error over a region and 3 channels, on [0, 1]."""
    distances = (completed.int() - target.int()).abs()
    return mean_over(distances, region_pixels(mask, region)) / 255


def psnr_db(completed: Tensor, target: Tensor, mask: Tensor, region: Region) -> Tensor:
    """Return each image's PSNR over a region, in dB; `inf` where the region matches exactly."""
    return -10 * torch.log10(mse(completed, target, mask, region))


def l1_percent_h(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the hole's mean absolute error in per cent, as Pathak et al. (2016) report it."""
    return 100 * mae(completed, target, mask, "h")


def psnr_cap_db(pixels: Any) -> Any:
    """Return the PSNR of a region in which one channel of one pixel is off by one, in dB.

    Args:
        pixels: number of pixels of the region, or an array of such numbers.
    """
    return 10 * np.log10(255**2 * 3 * pixels)
