"""From packed images and holes to batches, and from raw outputs to completed images."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.core.config import Suite, Training
from benchmark.training.rng import (
    training_boxes,
    training_flips,
    training_hole_sizes,
    training_order,
)
from models.batch import Batch, Output

RESIDENT_BYTES = 2**33
"""Training sets up to this size are kept on the accelerator."""


class ImageFeed:
    """Gathers rows of a packed array onto a device, from device memory where the array fits."""

    def __init__(self, images: NDArray[np.uint8], device: torch.device) -> None:
        self._images = images
        self.device = device
        self._resident: Tensor | None = None
        if device.type != "cpu" and images.nbytes <= RESIDENT_BYTES:
            self._resident = torch.from_numpy(np.array(images)).to(device)

    def __len__(self) -> int:
        return len(self._images)

    def __call__(self, rows: NDArray[np.int64], rows_on_device: Tensor) -> Tensor:
        """Return images `[len(rows), H, W, 3]` uint8.

        The rows are given in both places, so that none of them has to be fetched from the device.
        """
        if self._resident is not None:
            return self._resident[rows_on_device]
        return torch.from_numpy(self._images[rows]).to(self.device, non_blocking=True)


def steps_per_epoch(training: Training, count: int) -> int:
    """Return how many batches an epoch of `count` images has."""
    whole, rest = divmod(count, training.batch_size)
    return whole if training.drop_last or not rest else whole + 1


def images_seen(training: Training, count: int, steps: int) -> int:
    """Return how many images of `count` the networks have been shown after so many steps."""
    epochs, more = divmod(steps, steps_per_epoch(training, count))
    each = min(count, steps_per_epoch(training, count) * training.batch_size)
    return epochs * each + more * training.batch_size


def training_batches(
    suite: Suite, seed: int, epoch: int, first_step: int, feed: ImageFeed
) -> Iterator[Batch]:
    """Yield the batches of an epoch, from a step of it on.

    Args:
        suite: batch size, holes and augmentation.
        seed: the run's.
        epoch: number of epochs before this one.
        first_step: number of steps of the epoch that are done.
        feed: the training images.
    """
    batch_size, count, device = suite.training.batch_size, len(feed), feed.device
    num_steps, mask = steps_per_epoch(suite.training, count), suite.training_mask
    sizes = [mask.size] * num_steps
    if (bounds := suite.training.hole_sizes) is not None:
        sizes = training_hole_sizes(seed, epoch, num_steps, bounds).tolist()
    boxes = {}
    for size in sorted(set(sizes)):  # as many sets of holes as there are sizes: a few dozen at most
        law = mask.model_copy(update={"size": size})
        drawn = training_boxes(seed, epoch, count, law, suite.image_size)
        boxes[size] = torch.from_numpy(drawn).to(device)
    order = training_order(seed, epoch, count)
    order_there = torch.from_numpy(order).to(device)
    flips = torch.from_numpy(training_flips(seed, epoch, count)).to(device)
    for step in range(first_step, num_steps):
        part, size = slice(step * batch_size, (step + 1) * batch_size), sizes[step]
        rows = order_there[part]
        images = feed(order[part], rows)
        if suite.training.flip:
            images = torch.where(flips[rows][:, None, None, None], images.flip(2), images)
        yield make_batch(images, boxes[size][rows], size)


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
