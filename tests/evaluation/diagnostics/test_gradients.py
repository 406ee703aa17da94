"""The correlation of gradient and error against NumPy, where the gradient is known."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.evaluation.diagnostics.gradients import gradient_error_correlations
from models.batch import Batch
from models.networks import Localization, Score, discriminator_class
from models.variant import GeneratorTerm, Input
from tests.support.tiny import HOLE_PX, IMAGE_PX, full_variant, numbers, random_batch

BATCH = random_batch()
RAW = numbers(1)(*BATCH.image.shape)
ADVERSARIAL = {"adversarial": GeneratorTerm(weight=0.001, discriminator="judge")}


class _Weighted(nn.Module):
    """Scores a weighted sum of all pixels, so small that no sigmoid saturates."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, images: Tensor) -> Score:
        return Score((self.weights * images).sum((1, 2, 3)) / 1000)


def _holes(images: Tensor) -> list[NDArray[np.float64]]:
    """Return the mean absolute values over channels of the pixels in the hole."""
    corners = BATCH.corner.tolist()
    cut = [
        i[:, y : y + HOLE_PX, x : x + HOLE_PX] for i, (x, y) in zip(images, corners, strict=True)
    ]
    return [each.abs().double().mean(0).flatten().numpy() for each in cut]


def _errors() -> list[NDArray[np.float64]]:
    return _holes(RAW.double() - BATCH.image.double())


def _found(network: nn.Module, what: Input = "completed") -> NDArray[np.float64]:
    return gradient_error_correlations(network, what, ADVERSARIAL, 1.0, BATCH, RAW)


@pytest.mark.parametrize("what", ["completed", "raw"])
def test_correlations_are_those_of_numpy(what: Input) -> None:
    weights = numbers(2)(3, IMAGE_PX, IMAGE_PX)
    # What comes before the sum, a cross-entropy, scales an image's gradient alone.
    pulls = _holes(weights.expand_as(BATCH.image))
    expected = [np.corrcoef(p, e)[0, 1] for p, e in zip(pulls, _errors(), strict=True)]
    # Gradients are float32.
    np.testing.assert_allclose(_found(_Weighted(weights), what), expected, atol=1e-5)


def test_the_hole_alone_is_shown_as_in_training() -> None:
    weights = numbers(3)(3, HOLE_PX, HOLE_PX)
    pull = weights.abs().double().mean(0).flatten().numpy()
    expected = [np.corrcoef(pull, error)[0, 1] for error in _errors()]
    np.testing.assert_allclose(_found(_Weighted(weights), "hole"), expected, atol=1e-5)


def test_one_that_knows_the_error_has_a_correlation_of_one() -> None:
    weights = (RAW - BATCH.image).abs()
    np.testing.assert_allclose(_found(_Weighted(weights)), 1, atol=1e-5)
    # The more it pulls at the good pixels, the less.
    opposite = weights.mean(1, keepdim=True).max() - weights.mean(1, keepdim=True)
    np.testing.assert_allclose(_found(_Weighted(opposite.expand_as(RAW))), -1, atol=1e-5)


def test_a_gradient_that_is_the_same_everywhere_has_no_correlation() -> None:
    assert np.isnan(_found(_Weighted(torch.full((3, IMAGE_PX, IMAGE_PX), 0.5)))).all()
    assert np.isnan(_found(_Weighted(torch.zeros(3, IMAGE_PX, IMAGE_PX)))).all()


class _Corners(nn.Module):
    """Has boxes whose edges, and a confidence whose logit, are weighted sums of pixels."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, images: Tensor) -> Localization:
        first, second = ((w * images).sum((1, 2, 3)) for w in self.weights)
        box = torch.stack([second, second, second + 0.5, second + 0.5], 1)
        return Localization(first, box)


def test_terms_have_their_weights_of_that_time() -> None:
    network = _Corners(numbers(4)(2, 3, IMAGE_PX, IMAGE_PX) / 1000)
    terms = {
        "confidence": GeneratorTerm(weight=0.5, discriminator="judge", options={"target": 0.1}),
        "box": GeneratorTerm(weight=1.0, discriminator="judge", start=0.5, ramp=0.5),
    }

    def asked(progress: float) -> NDArray[np.float64]:
        return gradient_error_correlations(network, "completed", terms, progress, BATCH, RAW)

    weights = network.weights[0].expand_as(BATCH.image)
    alone = [np.corrcoef(p, e)[0, 1] for p, e in zip(_holes(weights), _errors(), strict=True)]
    np.testing.assert_allclose(asked(0.25), alone, atol=1e-5)
    assert np.abs(asked(1.0) - alone).max() > 0.01
    later = {name: term.model_copy(update={"start": 0.9}) for name, term in terms.items()}
    none = gradient_error_correlations(network, "completed", later, 0.5, BATCH, RAW)
    assert np.isnan(none).all()


@pytest.mark.parametrize("name", ["localizer", "binary"])
def test_an_image_does_not_depend_on_its_batch(name: str) -> None:
    variant = full_variant(name)
    spec = variant.discriminators[name]
    torch.manual_seed(0)
    size = HOLE_PX if spec.input == "hole" else IMAGE_PX
    network = discriminator_class(spec.network)(size, **spec.options).eval()
    terms = {t: v for t, v in variant.generator.losses.items() if v.discriminator == name}
    found = gradient_error_correlations(network, spec.input, terms, 1.0, BATCH, RAW)
    again = gradient_error_correlations(network, spec.input, terms, 1.0, BATCH, RAW)
    np.testing.assert_array_equal(found, again)
    alone = []
    for i in range(len(RAW)):
        one = Batch(BATCH.image[[i]], BATCH.mask[[i]], BATCH.corner[[i]], HOLE_PX)
        alone += [*gradient_error_correlations(network, spec.input, terms, 1.0, one, RAW[[i]])]
    # float32 gradients, which a mean over a batch of 4 instead of 1 scales.
    np.testing.assert_allclose(found, alone, atol=1e-4)
    assert np.isfinite(found).all()
