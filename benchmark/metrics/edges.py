"""What the Sobel operator sees in the hole: sharpness and edge distance."""

from torch import Tensor

from benchmark.metrics.pixels import check_images, mean_over
from models.filters import sobel


def sharpness_h(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the hole's gradient energy over that of the target; below 1 is blurry.

    Args:
        completed: `[N, 3, H, W]` uint8.
        target: of the same shape and type.
        mask: `[N, 1, H, W]` bool, True in the hole.

    Returns:
        `[N]` float64; NaN where the target is flat in the hole.

    Raises:
        ValueError: see `check_images`.
    """
    check_images(completed, target, mask)
    ours, truth = (mean_over(_gradient_energy(image), mask) for image in (completed, target))
    return (ours / truth).where(truth > 0, float("nan"))


def edge_h(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the hole's mean absolute difference of Sobel gradient magnitudes, on [0, 1] pixels.

    The edge distance of the attention U-Net family, without that source's division by the maximum
    of the batch, which would make an image's value depend on its neighbors. Arguments, result and
    errors are those of `sharpness_h`, but it is never NaN.
    """
    check_images(completed, target, mask)
    ours, truth = (_gradient_energy(image).sqrt() for image in (completed, target))
    return mean_over((ours - truth).abs(), mask) / 255


def _gradient_energy(image: Tensor) -> Tensor:
    """Return gx² + gy² of the Sobel operator per channel, `[N, 3, H, W]` float64, exact."""
    gx, gy = sobel(image.double())
    return gx**2 + gy**2
