"""Structural similarity (Wang et al. 2004), as protocol ib1 fixes it, and with uniform windows."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.metrics.pixels import mean_over
from benchmark.metrics.sharing import shared
from models.filters import WINDOW, similarity_map

UNIFORM_WINDOW = 7
PART_BYTES = 2**19
"""Of an intermediate result on a CPU, so that all of them stay in its cache: thrice as fast."""


def ssim_w(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return each image's mean SSIM over all valid windows and 3 channels.

    Arguments and result are those of `Metric`; raises the error of `ssim_map`.
    """
    return ssim_map(completed, target).mean((1, 2, 3))


def ssim_h(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return each image's mean SSIM over the valid windows that touch the hole.

    For composites `ssim_w = 1 - (touching / valid)(1 - ssim_h)`. Arguments, result and errors are
    those of `ssim_w`.
    """
    similarity = ssim_map(completed, target)
    touching = functional.max_pool2d(mask.float(), WINDOW, stride=1) > 0.5
    return mean_over(similarity, touching)


@shared
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
    return _in_parts(_gaussian_map, first, second)


def _gaussian_map(first: Tensor, second: Tensor) -> Tensor:
    return similarity_map(first.double(), second.double(), value_range=255)


def _in_parts(compare: Callable[[Tensor, Tensor], Tensor], first: Tensor, second: Tensor) -> Tensor:
    """Compare images, on a CPU a few at a time, which changes no value."""
    at_once = max(1, PART_BYTES // (8 * first.shape[1:].numel()))
    if first.device.type != "cpu":
        at_once = max(1, len(first))
    pairs = zip(torch.split(first, at_once), torch.split(second, at_once), strict=True)
    return torch.cat([compare(ours, truth) for ours, truth in pairs])


def ssim_uniform_w(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return each image's mean SSIM over all valid 7 by 7 windows of equal weights and 3 channels.

    With sample covariances: the default of scikit-image, which some of the sources report. Never
    to be compared with `ssim_w`. Arguments and result are those of `Metric`.
    """
    return _in_parts(_uniform_map, completed, target).mean((1, 2, 3))


def _uniform_map(first: Tensor, second: Tensor) -> Tensor:
    """Return the SSIM of each channel and uniform window, `[N, 3, H - 6, W - 6]` float64.

    Numerators and denominators are multiplied by numbers of pixels, so that all but the constants
    are integers below 2**31, and a variance loses nothing by being a difference of large numbers.
    """
    count = UNIFORM_WINDOW**2
    x, y = first.int(), second.int()
    sum_x, sum_y = _window_sums(x), _window_sums(y)
    products, squares = 2 * sum_x * sum_y, sum_x**2 + sum_y**2
    covariances = 2 * count * _window_sums(x * y) - products
    variances = count * _window_sums(x**2 + y**2) - squares
    c1 = (0.01 * 255 * count) ** 2
    c2 = (0.03 * 255) ** 2 * count * (count - 1)
    similar = (products.double() + c1) * (covariances.double() + c2)
    return similar / ((squares.double() + c1) * (variances.double() + c2))


def _window_sums(image: Tensor) -> Tensor:
    """Sum each uniform window of integers, `[N, C, H - 6, W - 6]`."""
    for axis in (2, 3):
        pairs = _sum(image, image, 1, axis)
        fours = _sum(pairs, pairs, 2, axis)
        image = _sum(_sum(fours, pairs, 4, axis), image, 6, axis)
    return image


def _sum(first: Tensor, second: Tensor, shift: int, axis: int) -> Tensor:
    """Add what lies so many pixels further along an axis, as far as it reaches."""
    length = second.shape[axis] - shift
    return first.narrow(axis, 0, length) + second.narrow(axis, shift, length)
