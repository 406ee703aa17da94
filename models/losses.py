"""A batch and predictions -> loss terms, by name.

A term of the generator's loss is a function of the batch, the generator's output and, for
adversarial terms, a discriminator's prediction on it. A term of a discriminator's loss is a
function of the batch, of its predictions on real and on fake images and of their labels, and has a
part for each of both kinds. Options are keyword-only arguments. With `average: image` a sum over
the hole is divided by the number of all values.

Where processes share a batch, a term of a part is such that those of all parts, weighted by
`Batch.share`, add up to that of the whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss, smooth_l1_loss

from models.batch import Batch, Output
from models.filters import similarity_map, sobel
from models.networks import Localization, Score
from models.replicas import everyones, total

Prediction = Score | Localization
Pixels = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
EDGE_EPSILON = 1e-6


@dataclass(frozen=True)
class Term:
    """A loss term, and the kind of prediction that it judges (None: it needs no discriminator)."""

    function: Callable[..., Any]
    judges: type[Score] | type[Localization] | None

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Compute the term."""
        return self.function(*arguments, **options)


# Reconstruction


def hole_mse(
    batch: Batch,
    output: Output,
    prediction: None,
    *,
    average: Literal["hole", "image"] = "hole",
    overlap_px: Pixels = 0,
    overlap_weight: Positive = 1.0,
) -> Tensor:
    """Return the mean squared error of the hole, in units of [-1, 1].

    A frame of `overlap_px` inside the hole's border counts `overlap_weight` times as much (10 in
    Pathak et al. 2016); the divisor stays. LocPaint averages over the image.
    """
    squared = (output.raw - batch.image).square()
    if overlap_px > 0:
        squared = squared * (overlap_weight - (overlap_weight - 1) * batch.window(-overlap_px))
    return _averaged(batch, squared, batch.mask, average)


def l1(
    batch: Batch,
    output: Output,
    prediction: None,
    *,
    dilation_px: Pixels = 0,
    average: Literal["hole", "image"] = "hole",
) -> Tensor:
    """Return the mean absolute error of the hole, dilated, of the raw output on [-1, 1]."""
    errors = (output.raw - batch.image).abs()
    return _averaged(batch, errors, batch.window(dilation_px), average)


def ssim(batch: Batch, output: Output, prediction: None) -> Tensor:
    """Return 1 minus the mean SSIM of the completed and the true image (Wang et al. 2004)."""
    return 1 - similarity_map(output.completed, batch.image, value_range=2).mean()


def edge(
    batch: Batch,
    output: Output,
    prediction: None,
    *,
    dilation_px: Pixels = 0,
    average: Literal["hole", "image"] = "hole",
    normalize: Literal["none", "batch_maximum"] = "none",
) -> Tensor:
    """Return the mean absolute difference of Sobel gradient magnitudes in the hole, dilated.

    Compared are the true and the completed image, so that the border of the hole counts.

    With `normalize: batch_maximum` each side is divided by its own maximum over the batch, as the
    attention U-Net's code does; the loss of an image then depends on its batch.
    """
    ours, truth = edge_magnitude(output.completed), edge_magnitude(batch.image)
    if normalize == "batch_maximum":
        ours, truth = (side / everyones(side.max()).max() for side in (ours, truth))
    return _averaged(batch, (ours - truth).abs(), batch.window(dilation_px), average)


def edge_magnitude(image: Tensor) -> Tensor:
    """Return √(gx² + gy² + ε) of the Sobel operator per channel; ε keeps the gradient finite."""
    gx, gy = sobel(image)
    return (gx.square() + gy.square() + EDGE_EPSILON).sqrt()


def _averaged(batch: Batch, values: Tensor, window: Tensor, average: str) -> Tensor:
    """Return the sum of `[N, C, H, W]` where `[N, 1, H, W]` is 1, over how many there are.

    In a part of a batch it is the sum over as many as the part's share of them.
    """
    if average == "image":
        return (values * window).mean()
    return (values * window).sum() / (total(window.sum()) * batch.share * values.shape[1])


# Adversarial terms of the generator

Label = Annotated[float, Field(ge=0, le=1)]


def adversarial_g(
    batch: Batch, output: Output, prediction: Score, *, target: Label = 1.0
) -> Tensor:
    """Return the cross-entropy of "real" for generated images (Goodfellow et al. 2014)."""
    return _cross_entropy(prediction.logits, target)


def least_squares_g(batch: Batch, output: Output, prediction: Score) -> Tensor:
    """Return the squared distance of generated images from "real" (Mao et al. 2017).

    It is taken after the sigmoid, as the crop report's code does, and not of logits.
    """
    return _squared_distance(prediction.logits, 1.0)


def confidence_g(
    batch: Batch, output: Output, prediction: Localization, *, target: Label = 0.0
) -> Tensor:
    """Return the cross-entropy of "there is no fake region"."""
    return _cross_entropy(prediction.confidence, target)


def box_g(batch: Batch, output: Output, prediction: Localization) -> Tensor:
    """Return minus the smooth L1 distance of the predicted from the true box."""
    return -smooth_l1_loss(prediction.box, batch.box)


def iou_g(batch: Batch, output: Output, prediction: Localization) -> Tensor:
    """Return the mean intersection over union of the predicted and the true box."""
    return box_iou(prediction.box, batch.box).mean()


# Terms of the discriminators


class Labels(NamedTuple):
    """What a discriminator is to answer, a number, or one for each image, `[N]`."""

    one: float | Tensor = 1.0
    zero: float | Tensor = 0.0


class Parts(NamedTuple):
    """What real and fake images contribute to a term, scalars."""

    real: Tensor
    fake: Tensor


def adversarial_d(batch: Batch, real: Score, fake: Score, labels: Labels) -> Parts:
    """Return half the cross-entropies on real (label 1) and fake images (label 0)."""
    on_real = _cross_entropy(real.logits, labels.one)
    return Parts(on_real / 2, _cross_entropy(fake.logits, labels.zero) / 2)


def least_squares_d(batch: Batch, real: Score, fake: Score, labels: Labels) -> Parts:
    """Return half the squared distances from the labels, after the sigmoid (Mao et al. 2017)."""
    on_real = _squared_distance(real.logits, labels.one)
    return Parts(on_real / 2, _squared_distance(fake.logits, labels.zero) / 2)


def confidence_d(batch: Batch, real: Localization, fake: Localization, labels: Labels) -> Parts:
    """Return the cross-entropies on real (label 0) and fake images (label 1)."""
    on_fake = _cross_entropy(fake.confidence, labels.one)
    return Parts(_cross_entropy(real.confidence, labels.zero), on_fake)


def box_d(batch: Batch, real: Localization, fake: Localization, labels: Labels) -> Parts:
    """Return the smooth L1 distance of the predicted from the true box, on fake images."""
    return Parts(fake.box.new_zeros(()), smooth_l1_loss(fake.box, batch.box))


def iou_d(batch: Batch, real: Localization, fake: Localization, labels: Labels) -> Parts:
    """Return 1 minus the mean intersection over union, on fake images."""
    return Parts(fake.box.new_zeros(()), 1 - box_iou(fake.box, batch.box).mean())


def accuracy(real: Prediction, fake: Prediction) -> Tensor:
    """Return the share of right answers on real and on fake images, `[]` without gradient."""
    on_real, on_fake = (
        -p.confidence.detach() if isinstance(p, Localization) else p.logits.detach()
        for p in (real, fake)
    )
    return ((on_real > 0).float().mean() + (on_fake < 0).float().mean()) / 2


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersection over union of pairs of boxes, `[N]` in [0, 1]; 0 of empty ones.

    Boxes are `[N, 4]`, `(x0, y0, x1, y1)`; one whose far edge lies before its near edge is empty.
    """
    near = torch.maximum(first[:, :2], second[:, :2])
    far = torch.minimum(first[:, 2:], second[:, 2:])
    intersection = _area(torch.cat([near, far], dim=1))
    union = _area(first) + _area(second) - intersection
    return intersection / union.clamp(min=1e-9)  # both empty: 0 / 1e-9


def _area(boxes: Tensor) -> Tensor:
    # The backward pass of `prod` waits for the device.
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    return sides[:, 0] * sides[:, 1]


def _cross_entropy(logits: Tensor, label: float | Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(logits, _spread(label, logits))


def _squared_distance(logits: Tensor, label: float | Tensor) -> Tensor:
    return mse_loss(logits.sigmoid(), _spread(label, logits))


def _spread(label: float | Tensor, logits: Tensor) -> Tensor:
    """Return a label for each logit `[N, ...]` of all images, or of each one."""
    if not isinstance(label, Tensor):
        return torch.full_like(logits, label)
    return label.to(logits.dtype).view(-1, *[1] * (logits.dim() - 1)).expand_as(logits)


GENERATOR_TERMS = {
    "hole_mse": Term(hole_mse, None),
    "l1": Term(l1, None),
    "ssim": Term(ssim, None),
    "edge": Term(edge, None),
    "adversarial": Term(adversarial_g, Score),
    "least_squares": Term(least_squares_g, Score),
    "confidence": Term(confidence_g, Localization),
    "box": Term(box_g, Localization),
    "iou": Term(iou_g, Localization),
}
DISCRIMINATOR_TERMS = {
    "adversarial": Term(adversarial_d, Score),
    "least_squares": Term(least_squares_d, Score),
    "confidence": Term(confidence_d, Localization),
    "box": Term(box_d, Localization),
    "iou": Term(iou_d, Localization),
}
