"""From discriminators and probes of the test images to predictions: altered or not, and where."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from benchmark.evaluation.diagnostics.gradients import gradient_error_correlations
from benchmark.evaluation.diagnostics.probes import PROBES, make_probes, unit_noise
from benchmark.evaluation.test_set import TestSet
from benchmark.metrics import quantize
from benchmark.training.batches import make_batch
from benchmark.training.network_inputs import Inpainter, complete
from models.losses import box_iou
from models.networks import Localization
from models.squares import crop_squares
from models.variant import DiscriminatorSpec


@dataclass(frozen=True)
class Predictions:
    """What a discriminator predicts of a number of images, in float64."""

    altered: NDArray[np.float64]
    """`[N]` probability that something is altered: confidence of a localizer, 1 - score else."""
    box: NDArray[np.float64] | None
    """`[N, 4]` in [0, 1], where; None where the discriminator does not say."""
    iou: NDArray[np.float64] | None
    """`[N]` intersection over union of that and the square."""


def join(parts: Sequence[Predictions]) -> Predictions:
    """Put the predictions of several batches one after the other."""
    boxes = [part.box for part in parts if part.box is not None]
    ious = [part.iou for part in parts if part.iou is not None]
    altered = np.concatenate([part.altered for part in parts])
    if not boxes:
        return Predictions(altered, None, None)
    return Predictions(altered, np.concatenate(boxes), np.concatenate(ious))


@torch.no_grad()
def predict(
    network: nn.Module, spec: DiscriminatorSpec, images: Tensor, boxes: Tensor
) -> Predictions:
    """Ask a discriminator about images.

    Args:
        network: the discriminator, in evaluation mode.
        spec: what it looks at: the whole image, or the square alone.
        images: `[N, 3, S, S]` uint8.
        boxes: `[N, 4]` integer pixels `(x0, y0, x1, y1)` of the squares, all of one size.
    """
    shown = images.float() / 127.5 - 1
    if spec.input == "hole":
        shown = crop_squares(shown, boxes[:, :2].long(), int(boxes[0, 2] - boxes[0, 0]))
    prediction = network(shown)
    if isinstance(prediction, Localization):
        box = prediction.box.double()
        iou = box_iou(box, boxes.double() / images.shape[-1])
        altered = prediction.confidence.double().sigmoid()
        return Predictions(altered.cpu().numpy(), box.cpu().numpy(), iou.cpu().numpy())
    # Of the negative logit: 1 - sigmoid would round what is nearly 0, and make ties.
    fake = (-prediction.logits.double()).sigmoid()
    if spec.input == "hole" or fake.ndim < 3:
        altered = fake.reshape(len(fake), -1).mean(1)
    else:
        altered = _mean_inside(fake, boxes, images.shape[-1])
    return Predictions(altered.cpu().numpy(), None, None)


def _mean_inside(maps: Tensor, boxes: Tensor, image_size: int) -> Tensor:
    """Return the means `[N]` of maps `[N, ..., h, w]` over the patches centered in the squares.

    Where none is, as in a square that is smaller than their distance, all patches count.
    """
    rows, columns = (patch_centers(n, image_size).to(maps.device) for n in maps.shape[-2:])
    x0, y0, x1, y1 = (edge[:, None] for edge in boxes.unbind(1))
    across, down = (columns >= x0) & (columns < x1), (rows >= y0) & (rows < y1)
    inside = down[:, :, None] & across[:, None, :]
    inside = (inside | ~inside.any(2, keepdim=True).any(1, keepdim=True)).to(maps.dtype)
    averaged = maps.reshape(len(maps), -1, *maps.shape[-2:]).mean(1)
    return (averaged * inside).sum((1, 2)) / inside.sum((1, 2))


def patch_centers(count: int, image_size: int) -> Tensor:
    """Return where the patches of a discriminator are centered along an axis, `[count]` float64.

    Pixel `i` reaches from `i` to `i + 1`. Where a size to be halved is odd, they lie up to half
    their distance off.
    """
    stride = 2.0 ** math.floor(math.log2(image_size / count))
    offset = torch.arange(count, dtype=torch.float64) - (count - 1) / 2
    return image_size / 2 + stride * offset


ByProbe = dict[str, dict[str, Predictions]]
"""Predictions by discriminator and probe."""


@dataclass(frozen=True)
class ProbedRun:
    """The networks of a run, and the test images whose probes are shown to discriminators."""

    inpainter: Inpainter
    discriminators: Mapping[str, nn.Module]
    asked: Mapping[str, DiscriminatorSpec]
    test: TestSet
    device: torch.device
    progress: float
    """The share of the run that is done, for the weights of loss terms."""

    def boxes(self, rows: Sequence[int]) -> Tensor:
        """Return the first hole of some test images, `[n, 4]` in pixels."""
        return torch.from_numpy(self.test.boxes[list(rows), 0]).to(self.device)

    @torch.no_grad()
    def probes(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return the probes of some test images, `[n, 3, H, W]` uint8 each."""
        boxes, hole_size = self.boxes(rows), self.test.hole_size
        images, other = self._images(rows), self._images([self.test.other(row) for row in rows])
        done = complete(self.inpainter, images, boxes, hole_size)
        batch = make_batch(images, boxes, hole_size)
        # No pixel is missing, so none is filled in or marked.
        unmasked = self.inpainter.network(batch.image, torch.zeros_like(batch.mask), batch.corner)
        hashes = [self.test.records[row].sha256 for row in rows]
        noise = torch.from_numpy(unit_noise(hashes, images.shape[1])).to(self.device)
        reconstructed = quantize(unmasked.float())
        other = other.permute(0, 3, 1, 2)
        return make_probes(done.target, boxes, done.quantized, reconstructed, noise, other)

    def _images(self, rows: Sequence[int]) -> Tensor:
        return torch.from_numpy(self.test.images[list(rows)]).to(self.device)

    def predictions(self, probes: Mapping[str, Tensor], boxes: Tensor) -> ByProbe:
        """Ask every discriminator about every probe."""
        return {
            name: {
                probe: predict(self.discriminators[name], spec, images, boxes)
                for probe, images in probes.items()
            }
            for name, spec in self.asked.items()
        }

    def predict_all(self, batch_size: int) -> ByProbe:
        """Ask about all test images, a batch at a time."""
        rows = self.test.rows
        parts: list[ByProbe] = []
        with tqdm(total=len(rows), desc="probe discriminators", unit="image", leave=False) as bar:
            for start in range(0, len(rows), batch_size):
                part = rows[start : start + batch_size]
                parts.append(self.predictions(self.probes(part), self.boxes(part)))
                bar.update(len(part))
        return {
            name: {probe: join([part[name][probe] for part in parts]) for probe in PROBES}
            for name in self.asked
        }

    def gradient_errors(self, batch_size: int) -> dict[str, NDArray[np.float64]]:
        """Return how far each discriminator's gradient goes with the error, for every test image.

        Returns:
            `[N]` by discriminator; see `gradient_error_correlations`.
        """
        rows, losses = self.test.rows, self.inpainter.spec.losses
        found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in self.asked}
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            batch = make_batch(self._images(part), self.boxes(part), self.test.hole_size)
            with torch.no_grad():
                raw = self.inpainter(batch)
            for name, spec in self.asked.items():
                terms = {t: term for t, term in losses.items() if term.discriminator == name}
                network, what = self.discriminators[name], spec.generator_input or spec.input
                found[name].append(
                    gradient_error_correlations(network, what, terms, self.progress, batch, raw)
                )
        return {name: np.concatenate(parts) for name, parts in found.items()}
