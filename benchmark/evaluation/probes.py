"""Probes: images of which one square is altered in a known way, to ask a discriminator about.

After the diagnostics of LocPaint (Kuo 2024), whose table says that blur, noise and mean color have
no boundary: they fade in over some pixels here, so that this is true. `seam_only` and `seam_free`
take a completed image apart into its boundary and its content. All are 8-bit images, as a user
could store them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtri
from torch import Tensor

from data.draws import random_bits, uniforms

BLURS = (3, 5, 10, 20)
"""Standard deviations of the blurs, in pixels of an image of `REFERENCE_PX`."""
NOISES = (0.1, 0.3, 0.5)
"""Standard deviations of the noise, in units of [-1, 1]."""
REFERENCE_PX = 128
"""Image size of LocPaint; blurs are scaled to look alike at other sizes."""
FADE_SHARE = 8
"""What has no boundary reaches its full strength behind this part of the square's side."""
REAL, SEAM_ONLY, SEAM_FREE = "real", "seam_only", "seam_free"
PROBES = (
    REAL,
    *(f"blur_{std}" for std in BLURS),
    *(f"noise_{std}" for std in NOISES),
    "mean_color",
    "completed",
    SEAM_ONLY,
    SEAM_FREE,
    "raw",
    "reconstructed",
)
"""All probes, in the order of tables."""


def make_probes(
    target: Tensor, boxes: Tensor, quantized: Tensor, reconstructed: Tensor, noise: Tensor
) -> dict[str, Tensor]:
    """Alter one square of each image in all ways.

    Args:
        target: `[N, 3, S, S]` uint8, the true images.
        boxes: `[N, 4]` integer pixels `(x0, y0, x1, y1)` of the squares, all of one size.
        quantized: `[N, 3, S, S]` uint8, the generator's raw output with the squares as holes.
        reconstructed: `[N, 3, S, S]` uint8, its raw output without any hole.
        noise: `[N, 3, S, S]` float64, of unit variance.

    Returns:
        Images `[N, 3, S, S]` uint8 by the name of the probe, in the order of `PROBES`. All but
        `raw` and `reconstructed` equal the target outside the squares.
    """
    depth = depths(boxes, target.shape[-1])
    completed = torch.where(depth > 0, quantized, target)
    fade = fade_weights(depth, fade_px(int(boxes[0, 2] - boxes[0, 0])))
    exact = target.double()

    def faded(change: Tensor) -> Tensor:
        return (exact + fade * change).round().clamp(0, 255).to(torch.uint8)

    scale = target.shape[-1] / REFERENCE_PX
    made = [
        target,
        *(faded(blurred(exact, std * scale) - exact) for std in BLURS),
        *(faded(std * 127.5 * noise) for std in NOISES),
        faded(_mean_colors(exact, depth > 0) - exact),
        completed,
        torch.where(depth == 1, quantized, target),
        faded(completed.double() - exact),
        quantized,
        reconstructed,
    ]
    return dict(zip(PROBES, made, strict=True))


def depths(boxes: Tensor, image_size: int) -> Tensor:
    """Return how deep in its square each pixel lies: 0 outside, 1 on the outermost frame.

    Args:
        boxes: `[N, 4]` integer pixels `(x0, y0, x1, y1)`.
        image_size: side of the images in pixels.

    Returns:
        `[N, 1, S, S]` int64.
    """
    along = torch.arange(image_size, device=boxes.device)
    x0, y0, x1, y1 = (edge[:, None] for edge in boxes.long().unbind(1))
    columns = torch.minimum(along - x0 + 1, x1 - along)
    rows = torch.minimum(along - y0 + 1, y1 - along)
    return torch.minimum(rows[:, None, :, None], columns[:, None, None, :]).clamp(min=0)


def fade_px(side: int) -> int:
    """Return over how many pixels a change fades in, in a square of that side."""
    return max(1, round(side / FADE_SHARE))


def fade_weights(depth: Tensor, width: int) -> Tensor:
    """Return the strength of a change that fades in, growing linearly from 0 outside to 1.

    Args:
        depth: of `depths`.
        width: pixels with less than full strength, on each side.

    Returns:
        Float64 of the same shape; 1 / (width + 1) on the outermost frame.
    """
    return (depth.double() / (width + 1)).clamp(max=1)


def blurred(images: Tensor, std_px: float) -> Tensor:
    """Blur whole images `[N, C, S, S]` float64 by a Gaussian, mirrored at their edges.

    As the surroundings take part, the blurred square goes over into them.
    """
    unit = np.eye(images.shape[-1])
    # Along one axis a blur is a matrix, whose columns are what becomes of a single bright pixel.
    matrix = torch.from_numpy(gaussian_filter1d(unit, std_px, axis=0, mode="reflect"))
    matrix = matrix.to(images.device)
    return matrix @ images @ matrix.T


def unit_noise(image_hashes: Sequence[str], image_size: int) -> NDArray[np.float64]:
    """Return Gaussian noise of unit variance, `[N, 3, S, S]`.

    An image's noise depends on its hash alone. It is the same for all strengths, so that these
    differ in nothing else.
    """
    shape = (3, image_size, image_size)
    count = -(-3 * image_size**2 // 4)
    bits = np.stack([random_bits(["probe noise", h], count) for h in image_hashes])
    drawn = uniforms(bits).reshape(len(image_hashes), -1)[:, : 3 * image_size**2]
    # The quantile of 0 would be infinite.
    return np.asarray(ndtri(np.maximum(drawn, 2.0**-54))).reshape(-1, *shape)


def _mean_colors(images: Tensor, mask: Tensor) -> Tensor:
    """Return each image's mean color inside a mask, `[N, 3, 1, 1]`."""
    total = torch.where(mask, images, 0).sum((2, 3), keepdim=True)
    return total / mask.sum((2, 3), keepdim=True)
