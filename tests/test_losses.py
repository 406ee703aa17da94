"""Every loss term against a number worked by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.losses import DISCRIMINATOR_TERMS, GENERATOR_TERMS, box_iou
from models.networks import Localisation, Score
from models.scene import Output, Scene
from models.variant import Adam, GeneratorTerm
from tests.tiny import full_variant

LOG_2, LOG_3, LOG_4 = math.log(2), math.log(3), math.log(4)
LOGITS = torch.tensor([0.0, LOG_3])
"""Probabilities 1/2 and 3/4."""
EXACT = 1e-6
"""Relative; a handful of float32 roundings of 6e-8 each."""


def _scene() -> Scene:
    """Return two black images of 4 px with a hole of 2 px, at (1, 0) and (0, 2)."""
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, 0, 0:2, 1:3] = 1
    mask[1, 0, 2:4, 0:2] = 1
    return Scene(torch.zeros(2, 3, 4, 4), mask, torch.tensor([[1, 0], [0, 2]]), 2)


def _output(scene: Scene) -> Output:
    """Return .5 in the first hole, 1 in the second, and nonsense on known pixels."""
    value = torch.tensor([0.5, 1.0])[:, None, None, None]
    raw = torch.where(scene.mask.bool(), value, torch.tensor(9.0))
    return Output(raw.expand(2, 3, 4, 4), scene.image)


def _localisation(box: Tensor) -> Localisation:
    return Localisation(LOGITS, box)


BOXES = torch.tensor([[0.25, 0.0, 0.75, 0.5], [0.0, 0.5, 0.5, 1.0]])
"""The true boxes of the scene."""
MOVED = BOXES + torch.tensor([[0.2, 0.0, 0.2, 0.0], [0.0, 0.0, 0.0, -0.4]])


def test_boxes_are_the_holes_as_shares_of_the_side() -> None:
    assert torch.equal(_scene().box, BOXES)


def test_hole_mse_averages_over_the_hole_or_the_image() -> None:
    scene, term = _scene(), GENERATOR_TERMS["hole_mse"]
    # (.25 + 1) / 2 over the hole; a quarter of the image is hole.
    assert term(scene, _output(scene), None).item() == 0.625
    assert term(scene, _output(scene), None, average="hole").item() == 0.625
    assert term(scene, _output(scene), None, average="image").item() == 0.625 / 4


def test_hole_mse_has_no_gradient_on_known_pixels() -> None:
    scene = _scene()
    raw = _output(scene).raw.clone().requires_grad_()
    loss = GENERATOR_TERMS["hole_mse"](scene, Output(raw, scene.image), None)
    (gradient,) = torch.autograd.grad(loss, raw)
    assert torch.equal(gradient != 0, scene.mask.bool().expand_as(raw))


@pytest.mark.parametrize(
    ("name", "prediction", "expected"),
    [
        # -log p
        ("adversarial", Score(LOGITS), (LOG_2 + LOG_4 - LOG_3) / 2),
        # -log(1 - p)
        ("confidence", _localisation(BOXES), (LOG_2 + LOG_4) / 2),
        # Differences .2, .2 and -.4 of 8 numbers, each d²/2, negated.
        ("box", _localisation(MOVED), -(0.02 + 0.02 + 0.08) / 8),
        # The first slides by .2 of .5: .3 / .7. The second loses .4 of .5: .1 / .5.
        ("iou", _localisation(MOVED), (3 / 7 + 1 / 5) / 2),
    ],
)
def test_adversarial_terms_of_the_generator(
    name: str, prediction: Score | Localisation, expected: float
) -> None:
    scene = _scene()
    value = GENERATOR_TERMS[name](scene, _output(scene), prediction)
    assert value.shape == ()
    assert value.item() == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_adversarial_term_of_the_discriminator(smoothing: float) -> None:
    real, fake = Score(LOGITS), Score(torch.tensor([0.0, 0.0]))
    # The label of real is 1 - s: -(1 - s) log p - s log(1 - p); that of fake stays 0.
    on_real = (LOG_2 + (1 - smoothing) * (LOG_4 - LOG_3) + smoothing * LOG_4) / 2
    value = DISCRIMINATOR_TERMS["adversarial"](_scene(), real, fake, smoothing)
    assert value.item() == pytest.approx((on_real + LOG_2) / 2, rel=EXACT)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_confidence_term_of_the_discriminator(smoothing: float) -> None:
    real, fake = Localisation(torch.zeros(2), BOXES), _localisation(BOXES)
    # Here 1 means "there is a fake region", so the label that is smoothed is that of fake.
    on_fake = (LOG_2 + (1 - smoothing) * (LOG_4 - LOG_3) + smoothing * LOG_4) / 2
    value = DISCRIMINATOR_TERMS["confidence"](_scene(), real, fake, smoothing)
    assert value.item() == pytest.approx(LOG_2 + on_fake, rel=EXACT)


@pytest.mark.parametrize(
    ("name", "expected"), [("box", (0.02 + 0.02 + 0.08) / 8), ("iou", 1 - (3 / 7 + 1 / 5) / 2)]
)
def test_box_terms_of_the_discriminator_look_at_fake_images_alone(
    name: str, expected: float
) -> None:
    term, fake = DISCRIMINATOR_TERMS[name], _localisation(MOVED)
    for real in (_localisation(BOXES), _localisation(1 - BOXES)):
        assert term(_scene(), real, fake, 0.1).item() == pytest.approx(expected, rel=EXACT)


def test_cross_entropies_are_finite_where_a_sigmoid_is_saturated() -> None:
    certain = torch.tensor([200.0, -200.0], requires_grad=True)
    loss = GENERATOR_TERMS["adversarial"](_scene(), _output(_scene()), Score(certain))
    (gradient,) = torch.autograd.grad(loss, certain)
    assert loss.item() == 100.0  # the mean of 0 and 200
    assert gradient.tolist() == [0.0, -0.5]


def _iou(first: list[float], second: list[float]) -> float:
    return box_iou(torch.tensor([first]), torch.tensor([second])).item()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1),
        ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3),
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7),
        ([0, 0, 4, 4], [1, 1, 2, 2], 1 / 16),
        ([0, 0, 2, 2], [2, 0, 4, 2], 0),  # they touch
        ([0, 0, 2, 2], [3, 3, 4, 4], 0),  # apart along both axes: no product of two negatives
        ([0, 0, 2, 2], [1, 1, 1, 1], 0),  # one is empty
        ([1, 1, 1, 1], [1, 1, 1, 1], 0),  # both are empty
        ([2, 2, 0, 0], [0, 0, 2, 2], 0),  # far edge before near edge: empty
        ([2, 2, 0, 0], [2, 2, 0, 0], 0),
        ([2, 0, 0, 2], [0, 0, 2, 2], 0),
    ],
)
def test_iou_by_hand(first: list[float], second: list[float], expected: float) -> None:
    assert _iou(first, second) == pytest.approx(expected, rel=EXACT)


def test_iou_of_empty_boxes_has_a_finite_gradient() -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.9, 0.9, 0.1, 0.1]], requires_grad=True)
    (gradient,) = torch.autograd.grad(box_iou(boxes, torch.zeros(2, 4)).sum(), boxes)
    assert gradient.isfinite().all()


UNTIMED = settings(deadline=None)  # a loaded machine is no failure
_corners = st.lists(st.integers(0, 8), min_size=4, max_size=4)


@UNTIMED
@given(first=_corners, second=_corners)
def test_iou_counts_pixels(first: list[int], second: list[int]) -> None:
    def pixels(box: list[int]) -> set[tuple[int, int]]:
        x0, y0, x1, y1 = box
        return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}

    union = pixels(first) | pixels(second)
    expected = len(pixels(first) & pixels(second)) / len(union) if union else 0.0
    assert _iou([*first], [*second]) == pytest.approx(expected, rel=EXACT)


_any_box = st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4)


@UNTIMED
@given(first=_any_box, second=_any_box)
def test_iou_is_symmetric_and_bounded(first: list[float], second: list[float]) -> None:
    value = _iou(first, second)
    assert value == _iou(second, first)
    assert 0 <= value <= 1 + EXACT


@UNTIMED
@given(box=_any_box)
def test_iou_of_a_box_with_itself_is_1_unless_it_is_empty(box: list[float]) -> None:
    area = max(box[2] - box[0], 0) * max(box[3] - box[1], 0)
    if area == 0:
        assert _iou(box, box) == 0
    elif area > 1e-6:  # below 1e-9 the guard against division by zero shows
        assert _iou(box, box) == pytest.approx(1, rel=EXACT)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0.0, 0.0), (0.499, 0.0), (0.5, 0.0), (0.5625, 0.5), (0.625, 1.0), (0.75, 2.0), (1.0, 2.0)],
)
def test_weight_ramps_from_start(progress: float, expected: float) -> None:
    term = GeneratorTerm(weight=2.0, start=0.5, ramp=0.25)
    assert term.weight_at(progress) == expected


def test_weight_without_a_ramp_jumps() -> None:
    assert GeneratorTerm(weight=2.0).weight_at(0.0) == 2.0
    late = GeneratorTerm(weight=2.0, start=0.5)
    assert [late.weight_at(p) for p in (0.49, 0.5, 1.0)] == [0.0, 2.0, 2.0]


def test_staged_weights_are_those_of_epochs_20_to_25_of_30() -> None:
    variant = full_variant("staged")
    confidence = variant.generator.losses["confidence"]
    for epoch in range(31):
        expected = 0.0005 * min(max((epoch - 20) / 5, 0), 1)
        assert confidence.weight_at(epoch / 30) == pytest.approx(expected, rel=1e-12, abs=1e-18)
    # LocPaint leaves the localizer alone while the ramp is below .2, which is epoch 21.
    assert variant.discriminators["localizer"].start == 21 / 30


def test_betas_and_rates_are_checked() -> None:
    with pytest.raises(ValueError, match="betas"):
        Adam(lr=1e-3, betas=(0.5, 1.0))
    with pytest.raises(ValueError, match="lr"):
        Adam(lr=0.0, betas=(0.5, 0.9))
