"""Structural similarity (Wang et al. 2004), as protocol ib1 fixes it."""

from torch import Tensor
from torch.nn import functional

from benchmark.metrics.pixels import check_images, mean_over
from models.similarity import WINDOW, similarity_map


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
    return similarity_map(first.double(), second.double(), value_range=255)
