"""From packed images and holes to batches, and from raw outputs to completed images."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.batch import Batch, Output

RESIDENT_BYTES = 2**33
"""Training sets up to this size are kept on the accelerator."""


class ImageFeed:
    """Gathers rows of a packed array onto a device, from device memory where the array fits."""

    def __init__(self, images: NDArray[np.uint8], device: torch.device) -> None:
        self._images = images
        self._device = device
        self._resident: Tensor | None = None
        if device.type != "cpu" and images.nbytes <= RESIDENT_BYTES:
            self._resident = torch.from_numpy(np.array(images)).to(device)

    def __call__(self, rows: NDArray[np.int64], rows_on_device: Tensor) -> Tensor:
        """Return images `[len(rows), H, W, 3]` uint8.

        The rows are given in both places, so that none of them has to be fetched from the device.
        """
        if self._resident is not None:
            return self._resident[rows_on_device]
        return torch.from_numpy(self._images[rows]).to(self._device, non_blocking=True)


def masks_from_boxes(boxes: Tensor, image_size: int) -> Tensor:
    """Turn boxes `[N, 4]` in pixels into masks `[N, 1, H, W]` bool, True in the hole."""
    along = torch.arange(image_size, device=boxes.device)
    x0, y0, x1, y1 = (edge[:, None] for edge in boxes.unbind(1))
    columns = (along >= x0) & (along < x1)
    rows = (along >= y0) & (along < y1)
    return (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)


def make_batch(images: Tensor, boxes: Tensor, hole_size: int) -> Batch:
    """Return the batch of packed images and their holes.

    Args:
        images: `[N, H, W, 3]` uint8.
        boxes: `[N, 4]` integer pixels `(x0, y0, x1, y1)`.
        hole_size: side of all boxes; given, since reading it off the boxes would wait for the
            device.
    """
    image = images.permute(0, 3, 1, 2).float() / 127.5 - 1
    mask = masks_from_boxes(boxes, images.shape[1]).to(image.dtype)
    return Batch(image.contiguous(), mask, boxes[:, :2].long(), hole_size)


def make_output(batch: Batch, raw: Tensor) -> Output:
    """Composite a raw output with the known pixels of its batch, keeping gradients."""
    return Output(raw, torch.where(batch.mask.bool(), raw, batch.image))
