"""How visible the hole's contour is."""

import torch
from torch import Tensor

from benchmark.metrics.pixels import check_images


def seam(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean step across the hole's contour beyond the step that the target has there.

    A step is the absolute difference of two 4-neighbors of which one is in the hole and one is
    known, over 3 channels, on [0, 1]. 0 is ideal, negative is smoother than the target.

    Args:
        completed: `[N, 3, H, W]` uint8.
        target: of the same shape and type.
        mask: `[N, 1, H, W]` bool, True in the hole.

    Returns:
        `[N]` float64.

    Raises:
        ValueError: see `check_images`.
    """
    check_images(completed, target, mask)
    excess = torch.zeros(len(mask), dtype=torch.int64, device=mask.device)
    pairs = torch.zeros_like(excess)
    for axis in (2, 3):
        crossing = mask.int().diff(dim=axis) != 0
        steps = completed.int().diff(dim=axis).abs() - target.int().diff(dim=axis).abs()
        excess += (steps * crossing).sum((1, 2, 3))
        pairs += crossing.sum((1, 2, 3))
    return excess.double() / (3 * 255 * pairs)
