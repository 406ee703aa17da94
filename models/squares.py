"""Images -> square windows of them, and other sizes, by matrix products.

A product with selection matrices is exact, has no loop over the batch, and its backward pass is
deterministic on every device, which indexing and interpolation are not on CUDA.
"""

import torch
from torch import Tensor, nn


def crop_squares(images: Tensor, corner: Tensor, side: int) -> Tensor:
    """Cut one square out of each image.

    Args:
        images: `[N, C, H, W]`.
        corner: `[N, 2]` int64, `(x0, y0)` of the square in pixels.
        side: side of the squares in pixels.

    Returns:
        `[N, C, side, side]`.
    """
    columns = _selection(corner[:, 0], side, images.shape[3], images.dtype)
    rows = _selection(corner[:, 1], side, images.shape[2], images.dtype)
    return rows[:, None] @ images @ columns[:, None].transpose(-1, -2)


def paste_squares(squares: Tensor, corner: Tensor, canvas: Tensor) -> Tensor:
    """Put one square into each image.

    Args:
        squares: `[N, C, side, side]`.
        corner: `[N, 2]` int64, `(x0, y0)` of the square in pixels; it must lie inside the image.
        canvas: `[N, C, H, W]`, what surrounds the squares.

    Returns:
        `[N, C, H, W]`.
    """
    side = squares.shape[-1]
    columns = _selection(corner[:, 0], side, canvas.shape[3], canvas.dtype)
    rows = _selection(corner[:, 1], side, canvas.shape[2], canvas.dtype)
    placed = rows[:, None].transpose(-1, -2) @ squares @ columns[:, None]
    covered = rows.sum(1)[:, None, :, None] * columns.sum(1)[:, None, None, :]
    return torch.where(covered.bool(), placed, canvas)


def _selection(start: Tensor, side: int, size: int, dtype: torch.dtype) -> Tensor:
    """Return `[N, side, size]` matrices that pick `side` consecutive entries from `start` on."""
    picked = start[:, None] + torch.arange(side, device=start.device)
    return (picked[:, :, None] == torch.arange(size, device=start.device)).to(dtype)


class BilinearResize(nn.Module):
    """Resize `[N, C, in, in]` to `[N, C, out, out]`, without antialiasing.

    Equals `torch.nn.functional.interpolate(mode="bilinear")`: with `align_corners` the centers of
    the corner pixels fall on each other, without it the corners of the images do.
    """

    matrix: Tensor

    def __init__(self, in_size: int, out_size: int, *, align_corners: bool = False) -> None:
        super().__init__()
        position = torch.arange(out_size, dtype=torch.float64)
        if align_corners:
            center = position * (in_size - 1) / max(out_size - 1, 1)
        else:
            center = (position + 0.5) * in_size / out_size - 0.5
        center = center.clamp(0, in_size - 1)
        distance = (center[:, None] - torch.arange(in_size, dtype=torch.float64)).abs()
        matrix = (1 - distance).clamp(min=0).float()
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Resize images."""
        if self.matrix.shape[0] == self.matrix.shape[1]:
            return images
        return self.matrix @ images @ self.matrix.T
