"""Structural similarity (Wang et al. 2004), as protocol ib1 fixes it."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.metrics.pixels import check_images, mean_over

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


def ssim_w(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return each image's mean SSIM over all valid windows and 3 channels.

    Args:
        completed: `[N, 3, H, W]` uint8, H and W at least 11.
        target: of the same shape and type.
        mask: `[N, 1, H, W]` bool, True in the hole.

    Returns:
        `[N]` float64.

    Raises:
        ValueError: see `check_images` and `ssim_map`.
    """
    check_images(completed, target, mask)
    return ssim_map(completed, target).mean((1, 2, 3))


def ssim_h(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return each image's mean SSIM over the valid windows that touch the hole.

    For composites `ssim_w = 1 - (touching / valid)(1 - ssim_h)`. Arguments, result and errors are
    those of `ssim_w`.
    """
    check_images(completed, target, mask)
    similarity = ssim_map(completed, target)
    touching = functional.max_pool2d(mask.float(), WINDOW, stride=1) > 0.5
    return mean_over(similarity, touching)


def ssim_map(first: Tensor, second: Tensor) -> Tensor:
    """Return the SSIM of each channel and each valid 11 by 11 Gaussian window.

    Args:
        first: `[N, 3, H, W]` uint8.
        second: of the same shape and type.

    Returns:
        `[N, 3, H - 10, W - 10]` float64; exactly 1 where the windows are equal.

    Raises:
        ValueError: a side is below 11 pixels.
    """
    if min(first.shape[-2:]) < WINDOW:
        size = "x".join(map(str, first.shape[-2:]))
        raise ValueError(f"SSIM needs images of at least {WINDOW} px a side, not {size}")
    x, y = first.double(), second.double()
    mean_x, mean_y = _blur(x), _blur(y)
    means, squared_means = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = _blur(x * y) - means
    variances = _blur(x**2 + y**2) - squared_means
    return (2 * means + C1) * (2 * covariance + C2) / ((squared_means + C1) * (variances + C2))


def _blur(image: Tensor) -> Tensor:
    return _blur_axis(_blur_axis(image, 2), 3)


def _blur_axis(image: Tensor, axis: int) -> Tensor:
    """Blur along one axis by sums of shifted views.

    On a CPU this takes 60 % of the time of a float64 `conv2d`, and each result is the same for
    every batch size. Taps of equal weight are added first, so mirrored input gives mirrored output.
    """
    half = WINDOW // 2
    weights = [math.exp(-0.5 * (k / SIGMA) ** 2) for k in range(half, -1, -1)]
    scale = 2 * sum(weights[:-1]) + weights[-1]
    length = image.shape[axis] - WINDOW + 1
    blurred = image.narrow(axis, half, length) * (weights[-1] / scale)
    for k in range(half):
        pair = image.narrow(axis, k, length) + image.narrow(axis, WINDOW - 1 - k, length)
        blurred = torch.add(blurred, pair, alpha=weights[k] / scale)
    return blurred
