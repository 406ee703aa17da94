"""From packed images and holes to batches, and from raw outputs to completed images."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

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
from models.batch import Batch, Output, to_device
from models.replicas import own_part

RESIDENT_BYTES = 2**33
"""Training sets up to this size are kept on the accelerator."""


class ImageFeed:
    """Gathers rows of a packed array onto a device, from device memory where the array fits.

    Where it does not, a thread reads the next batch while the device works on the present one.
    """

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
        return to_device(torch.from_numpy(self._images[rows]), self.device)

    def in_turn(
        self, order: NDArray[np.int64], order_on_device: Tensor, parts: Sequence[slice]
    ) -> Iterator[Tensor]:
        """Yield the images of each part of an order of rows."""

        def read(part: slice) -> Tensor:
            images = torch.from_numpy(self._images[order[part]])
            return images.pin_memory() if self.device.type == "cuda" else images

        # On a CPU nothing is won, as it is the CPU that computes.
        if self._resident is not None or self.device.type == "cpu":
            yield from (self(order[part], order_on_device[part]) for part in parts)
        else:
            yield from (to_device(images, self.device) for images in read_ahead(read, parts))


def read_ahead(read: Callable[[slice], Tensor], parts: Iterable[slice]) -> Iterator[Tensor]:
    """Yield what is read of each part, in order; a thread reads the next one meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        following: Future[Tensor] | None = None
        for part in parts:
            present, following = following, pool.submit(read, part)
            if present is not None:
                yield present.result()
        if following is not None:
            yield following.result()


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
    """Yield the batches of an epoch, from a step of it on; of each, this process's part.

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
    steps = range(first_step, num_steps)
    starts = [step * batch_size for step in steps]
    parts = [own_part(min(batch_size, count - start)) for start in starts]
    places = [slice(s + p.first, s + p.first + p.count) for s, p in zip(starts, parts, strict=True)]
    fed = feed.in_turn(order, order_there, places)
    for step, part, place, images in zip(steps, parts, places, fed, strict=True):
        rows, size = order_there[place], sizes[step]
        if suite.training.flip:
            images = torch.where(flips[rows][:, None, None, None], images.flip(2), images)
        yield replace(make_batch(images, boxes[size][rows], size), part=part)


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
