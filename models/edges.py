"""Edges as the Sobel operator sees them."""

import torch
from torch import Tensor


def sobel(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the horizontal and the vertical response of the 3 by 3 Sobel operator per channel.

    Args:
        image: `[N, C, H, W]` float; it is continued by its border pixels.

    Returns:
        Two tensors `[N, C, H, W]`; exact for integer values.
    """
    # Concatenation, since the backward pass of replication padding is not deterministic on CUDA.
    padded = torch.cat([image[..., :1], image, image[..., -1:]], dim=-1)
    padded = torch.cat([padded[..., :1, :], padded, padded[..., -1:, :]], dim=-2)
    across = padded[..., 2:] - padded[..., :-2]
    down = padded[..., 2:, :] - padded[..., :-2, :]
    gx = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    gy = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return gx, gy
