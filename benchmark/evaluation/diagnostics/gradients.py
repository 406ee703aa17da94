"""Adversarial gradients at completed images and errors per pixel → how far they go together."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.training.batches import make_output
from benchmark.training.network_inputs import shown
from models.batch import Batch
from models.losses import GENERATOR_TERMS
from models.squares import crop_squares
from models.variant import GeneratorTerm, Input


def gradient_error_correlations(
    network: nn.Module,
    what: Input,
    terms: Mapping[str, GeneratorTerm],
    progress: float,
    batch: Batch,
    raw: Tensor,
) -> NDArray[np.float64]:
    """Return the correlation of a discriminator's gradient with the error, over the hole's pixels.

    The gradient is that of the generator's adversarial loss at its output, the error that of the
    output; of both the absolute values are averaged over channels. It is 1 where the discriminator
    pulls hardest at the worst pixels.

    Args:
        network: the discriminator, in evaluation mode, so that images do not depend on each other.
        what: what it is shown for the generator's loss.
        terms: those of the generator's loss that judge its predictions.
        progress: the share of the run that is done, by which terms have their weights.
        batch: the true images and their holes.
        raw: `[N, 3, H, W]`, what the generator made of them.

    Returns:
        `[N]` Pearson correlations; NaN where the gradient or the error is the same everywhere, as
        it is of a discriminator whose terms have no weight.
    """
    with torch.enable_grad():
        raw = raw.detach().requires_grad_()
        output = make_output(batch, raw)
        prediction = network(shown(what, batch, output))
        loss = raw.sum() * 0
        for name, term in terms.items():
            if weight := term.weight_at(progress):
                value = GENERATOR_TERMS[name](batch, output, prediction, **term.options)
                loss = loss + weight * value
        gradient = torch.autograd.grad(loss, raw)[0]
    maps = (gradient.double(), raw.detach().double() - batch.image.double())
    sizes = (each.abs().mean(1, keepdim=True) for each in maps)
    pulls, errors = (
        crop_squares(size, batch.corner, batch.hole_size).flatten(1).cpu().numpy() for size in sizes
    )
    return _correlations(pulls, errors)


def _correlations(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation of each row; NaN where one of both is constant."""
    is_constant = (np.ptp(first, axis=1) == 0) | (np.ptp(second, axis=1) == 0)
    # Gradients may be so small that their squares vanish.
    scaled = [side / np.abs(side).max(1, keepdims=True).clip(1e-300) for side in (first, second)]
    a, b = (side - side.mean(1, keepdims=True) for side in scaled)
    with np.errstate(invalid="ignore"):
        found = (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.where(is_constant, np.nan, found)
