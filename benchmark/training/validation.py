"""From the present weights of a run to validation scores and completed images."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.core.config import Suite
from benchmark.metrics import missing_metrics, quantize, score_images
from benchmark.metrics.error import psnr_cap_db
from benchmark.training.batches import make_batch
from benchmark.training.gan import GAN
from benchmark.training.network_inputs import complete
from data.store import Store

VALIDATION_METRICS = ("mse_h", "psnr_h", "ssim_h", "lpips_alex")
Strip = NDArray[np.uint8]
"""Images of equal size side by side, `[H, n·W, 3]`."""


class Validation(NamedTuple):
    """What the validation images say about the weights."""

    scores: dict[str, float]
    """Mean metrics over all images, named `validation/<metric>`."""
    completed: Strip
    """The first images, as many as the suite wants to watch."""


def validate(suite: Suite, store: Store, gan: GAN, device: torch.device) -> Validation:
    """Complete the validation images; leaves the networks in evaluation mode.

    Raises:
        ValueError: a network puts out NaN.
    """
    gan.train(False)
    images, boxes = store.images("val"), store.boxes("val")[:, 0]
    names = [name for name in VALIDATION_METRICS if name not in missing_metrics()]
    scores: dict[str, list[Tensor]] = {name: [] for name in names}
    pictures = []
    batch_size, count = suite.evaluation.batch_size, suite.watching.images
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        done = complete(
            gan.inpainter,
            torch.from_numpy(np.array(images[part])).to(device),
            torch.from_numpy(boxes[part]).to(device),
            suite.mask.size,
        )
        for name, values in score_images(done.completed, done.target, done.mask, names).items():
            scores[name].append(values)
        if start < count:
            pictures.append(done.completed[: count - start])
    cap = psnr_cap_db(suite.mask.size**2)
    means = {
        # Only a PSNR can be infinite, and no other metric comes near its cap.
        f"validation/{name}": float(torch.cat(values).clamp(max=cap).mean())
        for name, values in scores.items()
    }
    return Validation(means, _side_by_side(torch.cat(pictures)))


class Gallery:
    """The first validation images, as the networks are given them and as they are."""

    def __init__(self, suite: Suite, store: Store) -> None:
        count = suite.watching.images
        images = torch.from_numpy(np.array(store.images("val")[:count]))
        boxes = torch.from_numpy(store.boxes("val")[:count, 0])
        batch = make_batch(images, boxes, suite.mask.size)
        self.masked = _side_by_side(quantize(batch.masked))
        """Mid-gray in the hole."""
        self.truth = _side_by_side(images.permute(0, 3, 1, 2))

    def compare(self, completed: Strip) -> NDArray[np.uint8]:
        """Put completions below the masked images and above the truth, `[3·H, n·W, 3]`."""
        return np.concatenate([self.masked, completed, self.truth])


def _side_by_side(images: Tensor) -> Strip:
    """Turn `[n, 3, H, W]` uint8 into a strip."""
    strip: Strip = images.permute(2, 0, 3, 1).flatten(1, 2).cpu().numpy()
    return strip
