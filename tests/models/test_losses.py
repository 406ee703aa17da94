"""Every loss term against a number worked by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from models.batch import Batch, Output
from models.losses import (
    DISCRIMINATOR_TERMS,
    GENERATOR_TERMS,
    Labels,
    accuracy,
    box_iou,
    edge_magnitude,
)
from models.networks import Localization, Score
from models.variant import Adam, GeneratorTerm
from tests.support.tiny import full_variant, numbers, random_batch

LOG_2, LOG_3, LOG_4 = math.log(2), math.log(3), math.log(4)
LOGITS = torch.tensor([0.0, LOG_3])
"""Probabilities 1/2 and 3/4."""
EXACT = 1e-6
"""Relative; a handful of float32 roundings of 6e-8 each."""


def _batch() -> Batch:
    """Return two black images of 4 px with a hole of 2 px, at (1, 0) and (0, 2)."""
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, 0, 0:2, 1:3] = 1
    mask[1, 0, 2:4, 0:2] = 1
    return Batch(torch.zeros(2, 3, 4, 4), mask, torch.tensor([[1, 0], [0, 2]]), 2)


def _output(batch: Batch) -> Output:
    """Return .5 in the first hole, 1 in the second, and nonsense on known pixels."""
    value = torch.tensor([0.5, 1.0])[:, None, None, None]
    raw = torch.where(batch.mask.bool(), value, torch.tensor(9.0))
    return Output(raw.expand(2, 3, 4, 4), batch.image)


def _localization(box: Tensor) -> Localization:
    return Localization(LOGITS, box)


BOXES = torch.tensor([[0.25, 0.0, 0.75, 0.5], [0.0, 0.5, 0.5, 1.0]])
"""The true boxes of the batch."""
MOVED = BOXES + torch.tensor([[0.2, 0.0, 0.2, 0.0], [0.0, 0.0, 0.0, -0.4]])


def test_boxes_are_the_holes_as_shares_of_the_side() -> None:
    assert torch.equal(_batch().box, BOXES)


def test_hole_mse_averages_over_the_hole_or_the_image() -> None:
    batch, term = _batch(), GENERATOR_TERMS["hole_mse"]
    # (.25 + 1) / 2 over the hole; a quarter of the image is hole.
    assert term(batch, _output(batch), None).item() == 0.625
    assert term(batch, _output(batch), None, average="hole").item() == 0.625
    assert term(batch, _output(batch), None, average="image").item() == 0.625 / 4


def _wide_batch() -> Batch:
    """Return a black image of 8 px with a hole of 4 px at (2, 3)."""
    mask = torch.zeros(1, 1, 8, 8)
    mask[0, 0, 3:7, 2:6] = 1
    return Batch(torch.zeros(1, 3, 8, 8), mask, torch.tensor([[2, 3]]), 4)


def test_frame_inside_the_hole_counts_more() -> None:
    batch, term = _wide_batch(), GENERATOR_TERMS["hole_mse"]
    raw = torch.full((1, 3, 8, 8), 0.5)
    raw[:, :, 4:6, 3:5] = 1.0  # the inner 2x2 of the hole
    # Twelve pixels of the frame with error .25, four inside with error 1.
    options = {"overlap_px": 1, "overlap_weight": 10.0}
    expected = (12 * 10 * 0.25 + 4 * 1.0) / 16
    assert term(batch, Output(raw, raw), None, **options).item() == pytest.approx(expected, EXACT)
    by_image = term(batch, Output(raw, raw), None, average="image", **options).item()
    assert by_image == pytest.approx(expected / 4, EXACT)
    # A frame that meets in the middle leaves nothing that counts once.
    everything = {"overlap_px": 2, "overlap_weight": 10.0}
    all_ten = term(batch, Output(raw, raw), None, **everything).item()
    assert all_ten == pytest.approx(10 * (12 * 0.25 + 4) / 16, EXACT)


def test_l1_averages_over_the_dilated_hole() -> None:
    batch, term = _wide_batch(), GENERATOR_TERMS["l1"]
    raw = torch.full((1, 3, 8, 8), -0.5)
    raw[:, :, 3:7, 2:6] = 1.0
    output = Output(raw, batch.image)
    assert term(batch, output, None).item() == 1.0
    # 36 pixels, of them 16 with error 1 and 20 with error .5.
    assert term(batch, output, None, dilation_px=1).item() == pytest.approx(26 / 36, EXACT)
    # The image is 8 px: dilated by 4, rows -1 to 10 and columns -2 to 9 are cut to all of it.
    assert term(batch, output, None, dilation_px=4).item() == pytest.approx(40 / 64, EXACT)
    by_image = term(batch, output, None, dilation_px=1, average="image").item()
    assert by_image == pytest.approx(26 / 64, EXACT)


SOBEL = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])


def _step_image(height: float) -> Tensor:
    """Return an image of 8 px that is 0 left of column 4 and `height` from there on."""
    image = torch.zeros(1, 3, 8, 8)
    image[..., 4:] = height
    return image


def test_edge_compares_gradient_magnitudes_of_the_completed_image_in_the_hole() -> None:
    batch, term = _wide_batch(), GENERATOR_TERMS["edge"]
    # A vertical step of .5, put out everywhere, but completed in the hole alone (columns 2 to 5,
    # rows 3 to 6), beside which the black image makes edges of its own.
    raw = _step_image(0.5)
    completed = torch.where(batch.mask.bool(), raw, batch.image)
    reference = np.hypot(
        *(correlate(completed[0, 0].numpy(), kernel, mode="nearest") for kernel in (SOBEL, SOBEL.T))
    )
    # The image is black, so its magnitude is √ε.
    expected = np.sqrt(reference**2 + 1e-6) - 1e-3
    output = Output(raw, completed)
    inside = expected[3:7, 2:6]
    assert term(batch, output, None).item() == pytest.approx(inside.mean(), EXACT)
    assert term(batch, output, None, dilation_px=1).item() == pytest.approx(
        expected[2:8, 1:7].mean(), EXACT
    )
    by_image = term(batch, output, None, average="image").item()
    assert by_image == pytest.approx(inside.sum() / 64, EXACT)
    # Past the last column of the hole it is a step down, of 4 times .5.
    assert edge_magnitude(completed)[0, 0, 4, 6].item() == pytest.approx(2.0, abs=1e-5)


def test_edge_over_the_maximum_of_the_batch_does_not_see_contrast() -> None:
    truth = _step_image(1.0)
    batch = Batch(truth, torch.ones(1, 1, 8, 8), torch.tensor([[0, 0]]), 8)
    raw = _step_image(0.25)
    term, output = GENERATOR_TERMS["edge"], Output(raw, raw)
    # 4 and 1 in two columns of eight.
    assert term(batch, output, None).item() == pytest.approx(3 * 2 / 8, rel=1e-4)
    # Both 1 after the division; ε leaves 1e-3 / 1 against 1e-3 / 4 in the flat part.
    normalized = term(batch, output, None, normalize="batch_maximum").item()
    assert normalized == pytest.approx(6 / 8 * (1e-3 - 1e-3 / 4), rel=1e-2)


def test_edge_has_a_finite_gradient_where_everything_is_flat() -> None:
    batch = _wide_batch()
    raw = torch.zeros(1, 3, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(GENERATOR_TERMS["edge"](batch, Output(raw, raw), None), raw)
    assert gradient.isfinite().all()


def test_ssim_is_one_minus_that_of_scikit_image() -> None:
    image, completed = numbers(0)(2, 3, 24, 24), numbers(1)(2, 3, 24, 24)
    batch = Batch(image, torch.ones(2, 1, 24, 24), torch.zeros(2, 2).long(), 24)
    found = GENERATOR_TERMS["ssim"](batch, Output(completed, completed), None).item()
    values = []
    for ours, truth in zip(completed.numpy(), image.numpy(), strict=True):
        full = structural_similarity(  # type: ignore[no-untyped-call]
            ours, truth, data_range=2, channel_axis=0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )[1]  # fmt: skip
        values.append(full[:, 5:-5, 5:-5].mean())
    # float32 sums of 121 products against float64.
    assert found == pytest.approx(1 - np.mean(values), abs=1e-5)
    same = GENERATOR_TERMS["ssim"](batch, Output(image, image), None)
    assert same.item() == 0.0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("hole_mse", {"overlap_px": 2, "overlap_weight": 10.0}),
        ("l1", {"dilation_px": 2}),
        ("edge", {"dilation_px": 2}),
        ("edge", {"normalize": "batch_maximum"}),
        ("ssim", {}),
    ],
)
def test_gradient_of_a_reconstruction_term_is_the_numerical_one(
    name: str, options: dict[str, Any]
) -> None:
    small = random_batch(1, 12, 4)
    batch = Batch(small.image.double(), small.mask.double(), small.corner, 4)
    raw = numbers(3)(1, 3, 12, 12).double().requires_grad_()

    def loss(raw: Tensor) -> Tensor:
        completed = torch.where(batch.mask.bool(), raw, batch.image)
        value: Tensor = GENERATOR_TERMS[name](batch, Output(raw, completed), None, **options)
        return value

    assert torch.autograd.gradcheck(loss, (raw,))


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        # Right: 2 of 4 on real, 3 of 4 on fake.
        (
            Score(torch.tensor([[1.0, -1], [2, -3]])),
            Score(torch.tensor([[-1.0, -1], [2, -3]])),
            0.625,
        ),
        # A localizer is right where it says 0 on real and 1 on fake: 1 of 2, and 2 of 2.
        (
            Localization(torch.tensor([-1.0, 1]), torch.zeros(2, 4)),
            Localization(torch.tensor([3.0, 1]), torch.zeros(2, 4)),
            0.75,
        ),
    ],
)
def test_accuracy_counts_right_answers(
    real: Score | Localization, fake: Score | Localization, expected: float
) -> None:
    assert accuracy(real, fake).item() == expected


def test_hole_mse_has_no_gradient_on_known_pixels() -> None:
    batch = _batch()
    raw = _output(batch).raw.clone().requires_grad_()
    loss = GENERATOR_TERMS["hole_mse"](batch, Output(raw, batch.image), None)
    (gradient,) = torch.autograd.grad(loss, raw)
    assert torch.equal(gradient != 0, batch.mask.bool().expand_as(raw))


@pytest.mark.parametrize(
    ("name", "prediction", "expected"),
    [
        # -log p
        ("adversarial", Score(LOGITS), (LOG_2 + LOG_4 - LOG_3) / 2),
        # -log(1 - p)
        ("confidence", _localization(BOXES), (LOG_2 + LOG_4) / 2),
        # Differences .2, .2 and -.4 of 8 numbers, each d²/2, negated.
        ("box", _localization(MOVED), -(0.02 + 0.02 + 0.08) / 8),
        # The first slides by .2 of .5: .3 / .7. The second loses .4 of .5: .1 / .5.
        ("iou", _localization(MOVED), (3 / 7 + 1 / 5) / 2),
    ],
)
def test_adversarial_terms_of_the_generator(
    name: str, prediction: Score | Localization, expected: float
) -> None:
    batch = _batch()
    value = GENERATOR_TERMS[name](batch, _output(batch), prediction)
    assert value.shape == ()
    assert value.item() == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_adversarial_term_of_the_discriminator(smoothing: float) -> None:
    real, fake = Score(LOGITS), Score(torch.tensor([0.0, 0.0]))
    # The label of real is 1 - s: -(1 - s) log p - s log(1 - p); that of fake stays 0.
    on_real = (LOG_2 + (1 - smoothing) * (LOG_4 - LOG_3) + smoothing * LOG_4) / 2
    labels = Labels(1 - smoothing)
    parts = DISCRIMINATOR_TERMS["adversarial"](_batch(), real, fake, labels)
    assert parts.real.item() == pytest.approx(on_real / 2, rel=EXACT)
    assert parts.fake.item() == pytest.approx(LOG_2 / 2, rel=EXACT)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_confidence_term_of_the_discriminator(smoothing: float) -> None:
    real, fake = Localization(torch.zeros(2), BOXES), _localization(BOXES)
    # Here 1 means "there is a fake region", so the label that is smoothed is that of fake.
    on_fake = (LOG_2 + (1 - smoothing) * (LOG_4 - LOG_3) + smoothing * LOG_4) / 2
    labels = Labels(1 - smoothing)
    parts = DISCRIMINATOR_TERMS["confidence"](_batch(), real, fake, labels)
    assert parts.real.item() == pytest.approx(LOG_2, rel=EXACT)
    assert parts.fake.item() == pytest.approx(on_fake, rel=EXACT)


def test_labels_can_be_smoothed_on_both_sides_and_differ_from_image_to_image() -> None:
    real, fake = Score(LOGITS), Score(LOGITS)
    labels = Labels(torch.tensor([0.9, 0.7]), torch.tensor([0.2, 0.1]))
    parts = DISCRIMINATOR_TERMS["adversarial"](_batch(), real, fake, labels)
    # LOGITS are those of probabilities 1/2 and 3/4: -y log p - (1 - y) log(1 - p).
    on_real = (LOG_2 + 0.7 * (LOG_4 - LOG_3) + 0.3 * LOG_4) / 2
    on_fake = (LOG_2 + 0.1 * (LOG_4 - LOG_3) + 0.9 * LOG_4) / 2
    assert parts.real.item() == pytest.approx(on_real / 2, rel=EXACT)
    assert parts.fake.item() == pytest.approx(on_fake / 2, rel=EXACT)
    # Every patch of an image has the label of its image.
    patches = Score(LOGITS[:, None, None].expand(2, 3, 3))
    again = DISCRIMINATOR_TERMS["adversarial"](_batch(), patches, patches, labels)
    assert again.real.item() == pytest.approx(on_real / 2, rel=EXACT)


def test_least_squares_are_taken_after_the_sigmoid() -> None:
    score = Score(LOGITS)  # probabilities 1/2 and 3/4
    value = GENERATOR_TERMS["least_squares"](_batch(), _output(_batch()), score)
    assert value.item() == pytest.approx((1 / 4 + 1 / 16) / 2, rel=EXACT)
    parts = DISCRIMINATOR_TERMS["least_squares"](_batch(), score, score, Labels())
    assert parts.real.item() == pytest.approx((1 / 4 + 1 / 16) / 4, rel=EXACT)
    assert parts.fake.item() == pytest.approx((1 / 4 + 9 / 16) / 4, rel=EXACT)


def test_generator_can_aim_at_a_smoothed_label() -> None:
    batch = _batch()
    value = GENERATOR_TERMS["adversarial"](batch, _output(batch), Score(LOGITS), target=0.9)
    expected = (LOG_2 + 0.9 * (LOG_4 - LOG_3) + 0.1 * LOG_4) / 2
    assert value.item() == pytest.approx(expected, rel=EXACT)
    box = Localization(LOGITS, BOXES)
    value = GENERATOR_TERMS["confidence"](batch, _output(batch), box, target=0.1)
    expected = (LOG_2 + 0.1 * (LOG_4 - LOG_3) + 0.9 * LOG_4) / 2
    assert value.item() == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize(
    ("name", "expected"), [("box", (0.02 + 0.02 + 0.08) / 8), ("iou", 1 - (3 / 7 + 1 / 5) / 2)]
)
def test_box_terms_of_the_discriminator_look_at_fake_images_alone(
    name: str, expected: float
) -> None:
    term, fake = DISCRIMINATOR_TERMS[name], _localization(MOVED)
    for real in (_localization(BOXES), _localization(1 - BOXES)):
        parts = term(_batch(), real, fake, Labels(0.9))
        assert parts.real.item() == 0
        assert parts.fake.item() == pytest.approx(expected, rel=EXACT)


def test_cross_entropies_are_finite_where_a_sigmoid_is_saturated() -> None:
    certain = torch.tensor([200.0, -200.0], requires_grad=True)
    loss = GENERATOR_TERMS["adversarial"](_batch(), _output(_batch()), Score(certain))
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


def test_backward_of_the_overlap_does_not_wait_for_the_device() -> None:
    boxes = BOXES.clone().requires_grad_()
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        torch.autograd.grad(box_iou(boxes, MOVED).sum(), boxes)
    names = {event.key for event in recorded.key_averages()}
    assert "aten::mul" in names
    assert not names & {"aten::item", "aten::_local_scalar_dense", "aten::nonzero"}
