"""All completed test images and all true ones -> how far apart the two sets are.

The features are those of ST-LPIPS, not Inception's: values compare methods of one suite, and never
with published ones. Small sets say too little, hence `MIN_IMAGES`.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from benchmark.metrics.shift_tolerant import SMALLEST_PX, stlpips_missing

MIN_IMAGES = 1000
GROUPS = 10
"""Into which the images are dealt in turn: a group is a subset for KID and a fold for U-IDS."""
RIDGE = 1e-3
"""Added to the covariance of the classifier, as a share of its mean variance."""

# {"value", "se", "n"} and, where there is no value, {"missing": reason}.
SetSummary = dict[str, float | int | str | None]


def set_level_missing(images: int, side_px: int) -> str | None:
    """Return why the measures cannot be computed, or None if they can.

    Args:
        images: distinct test images.
        side_px: side of an image.
    """
    if images < MIN_IMAGES:
        return f"needs {MIN_IMAGES:,} test images, and there are {images:,}"
    if side_px < SMALLEST_PX:
        return f"the features need {SMALLEST_PX} px a side, and images have {side_px}"
    return stlpips_missing()


def kid(truth: Tensor, completed: Tensor) -> Tensor:
    """Return the kernel inception distance of each group: unbiased squared MMD, cubic kernel.

    A pair of an image and its own completion does not count, as the two are not independent. That
    leaves the estimate unbiased, and 0 for the truth itself.

    Args:
        truth: `[N, D]` float64, a feature vector for each image.
        completed: of the same images, in the same order.

    Returns:
        `[GROUPS]` float64; 0 is ideal, and an estimate may be negative.

    Source: Binkowski et al., Demystifying MMD GANs (2018), the kernel; Gretton et al., A kernel
    two-sample test (2012), lemma 6, the estimate for paired samples.
    """
    return torch.stack([_squared_mmd(truth[g::GROUPS], completed[g::GROUPS]) for g in _groups()])


def _groups() -> range:
    return range(GROUPS)


def _squared_mmd(truth: Tensor, completed: Tensor) -> Tensor:
    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    crossed = kernel(truth, completed)
    terms = kernel(truth, truth) + kernel(completed, completed) - crossed - crossed.T
    images = len(truth)
    return (terms.sum() - terms.trace()) / (images * (images - 1))


def uids(truth: Tensor, completed: Tensor) -> Tensor:
    """Return how often a linear classifier errs, trained on the other groups, for each group.

    That is the unpaired inception discriminative score, cross-validated. An image and its
    completion are in the same fold. The classifier is Fisher's discriminant, which needs no search
    and no draws, in place of the source's support vector machine. A tie counts half.

    Args:
        truth: `[N, D]` float64, a feature vector for each image.
        completed: of the same images, in the same order.

    Returns:
        `[GROUPS]` float64: 0.5 where completions cannot be told from the truth, 0 where all are.

    Source: Zhao et al., Large scale image completion via co-modulated GANs (2021).
    """
    group = torch.arange(len(truth), device=truth.device) % GROUPS
    errors = []
    for held_out in _groups():
        chosen = group == held_out
        direction, middle = _discriminant(truth[~chosen], completed[~chosen])
        scores = [(features[chosen] - middle) @ direction for features in (truth, completed)]
        right = torch.cat([scores[0].sign(), -scores[1].sign()])
        errors.append(((1 - right) / 2).mean())
    return torch.stack(errors)


def _discriminant(truth: Tensor, completed: Tensor) -> tuple[Tensor, Tensor]:
    """Return the direction that points to the truth, and the point between both means."""
    means = truth.mean(0), completed.mean(0)
    within = (truth.T.cov() + completed.T.cov()) / 2
    ridge = RIDGE * within.trace() / len(within) * torch.eye(len(within)).to(within)
    # Features that are all the same have no covariance, and no direction either.
    direction = torch.linalg.lstsq(within + ridge, (means[0] - means[1])[:, None]).solution[:, 0]
    return direction, (means[0] + means[1]) / 2


SET_LEVEL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kid_stlpips": kid,
    "uids_stlpips": uids,
}
"""By name; lower is better of the first, higher of the second."""


def set_level(truth: Tensor, completed: Tensor) -> dict[str, SetSummary]:
    """Return the means over groups, with their standard error over groups, for each measure.

    Args:
        truth: `[N, D]` float32, a feature vector for each image.
        completed: of the same images, in the same order.
    """
    found: dict[str, SetSummary] = {}
    for name, measure in SET_LEVEL.items():
        groups = measure(truth.double(), completed.double())
        error = groups.std() / math.sqrt(GROUPS)
        # 7 digits: features are float32.
        value, se = (float(f"{number.item():.7g}") for number in (groups.mean(), error))
        found[name] = {"value": value, "se": se, "n": len(truth)}
    return found
