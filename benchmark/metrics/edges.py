"""Pixels -> sharpness and edge distance in the hole, and how visible its contour is."""

import torch
from torch import Tensor

from benchmark.metrics.pixels import mean_over
from models.filters import sobel


def sharpness_h(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the hole's gradient energy over that of the target; below 1 is blurry.

    NaN where the target is flat in the hole. Arguments and result are those of `Metric`.
    """
    ours, truth = (mean_over(_gradient_energy(image), mask) for image in (completed, target))
    return (ours / truth).where(truth > 0, float("nan"))


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
