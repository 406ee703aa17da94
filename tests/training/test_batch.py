"""What networks are shown of a batch: fill colors, dilated holes, and who is shown what."""

import pytest
import torch
from torch import Tensor

from benchmark.training.network_inputs import Inpainter, complete, shown
from models.batch import Batch, Output
from models.networks import GeneratorNetwork
from models.variant import DiscriminatorSpec, Input
from tests.support.tiny import IMAGE_PX, full_variant, numbers, random_batch


@pytest.mark.parametrize("color", [(117, 104, 123), (0, 255, 128)])
def test_fill_is_the_color_in_the_hole_and_the_image_elsewhere(
    color: tuple[int, int, int],
) -> None:
    batch = random_batch()
    filled = batch.filled(color)
    hole = batch.mask.bool().expand_as(filled)
    assert torch.equal(filled[~hole], batch.image[~hole])
    for channel, level in enumerate(color):
        inside = filled[:, channel][batch.mask[:, 0].bool()]
        # One float32 rounding; 117 is (117 - 127.5) / 127.5.
        torch.testing.assert_close(inside, torch.full_like(inside, (level - 127.5) / 127.5))


@pytest.mark.parametrize("color", [None, (255, 0, 128)])
def test_border_of_the_hole_can_stay_visible(color: tuple[int, int, int] | None) -> None:
    batch = random_batch()
    filled, border = batch.filled(color, shown_border_px=3), 3
    hidden = torch.zeros_like(batch.mask, dtype=torch.bool)
    for mask, (x0, y0) in zip(hidden, batch.corner.tolist(), strict=True):
        far = batch.hole_size - border
        mask[0, y0 + border : y0 + far, x0 + border : x0 + far] = True
    hidden = hidden.expand_as(filled)
    assert torch.equal(filled[~hidden], batch.image[~hidden])
    assert torch.equal(filled[hidden], batch.filled(color)[hidden])


def test_without_a_color_the_hole_is_mid_gray() -> None:
    batch = random_batch()
    assert torch.equal(batch.filled(None), batch.masked)


@pytest.mark.parametrize("grow", [-8, -7, -1, 0, 1, 4, 40])
def test_window_moves_every_side_of_the_hole(grow: int) -> None:
    batch = random_batch(5)
    expected = torch.zeros_like(batch.mask)
    for mask, (x0, y0) in zip(expected, batch.corner.tolist(), strict=True):
        top, left = max(0, y0 - grow), max(0, x0 - grow)
        far = batch.hole_size + grow
        mask[0, top : max(0, y0 + far), left : max(0, x0 + far)] = 1
    assert torch.equal(batch.window(grow), expected)


class _Recorder(GeneratorNetwork):
    """Keeps what it is given, and fills with one level."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[Tensor, Tensor]] = []

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        self.given.append((masked, mask))
        return torch.full_like(masked, 0.2)


def test_generator_is_shown_what_its_variant_says() -> None:
    batch, network = random_batch(), _Recorder()
    spec = full_variant("attention_unet").generator
    assert spec.mask_dilation == 4
    Inpainter(network, spec)(batch)
    Inpainter(network, full_variant("context_encoder").generator)(batch)
    assert torch.equal(network.given[0][0], batch.masked)  # gray in the hole itself alone
    assert torch.equal(network.given[0][1], batch.window(4))
    assert torch.equal(network.given[1][0], batch.filled((117, 104, 123)))
    assert torch.equal(network.given[1][1], batch.mask)


def test_completion_keeps_known_pixels_whatever_the_mask_that_is_shown() -> None:
    images = (numbers()(2, IMAGE_PX, IMAGE_PX, 3) * 127 + 128).to(torch.uint8)
    boxes = torch.tensor([[0, 0, 16, 16], [8, 4, 24, 20]])
    done = complete(
        Inpainter(_Recorder(), full_variant("attention_unet").generator), images, boxes, 16
    )
    hole = done.mask.expand_as(done.target)
    assert torch.equal(done.completed[~hole], done.target[~hole])
    assert (done.completed[hole] == 153).all()  # (.2 + 1) * 127.5
    assert (done.quantized == 153).all()
    assert int(done.mask.sum()) == 2 * 16 * 16


def _slices(images: Tensor, batch: Batch) -> Tensor:
    side = batch.hole_size
    corners = zip(images, batch.corner.tolist(), strict=True)
    return torch.stack([image[:, y : y + side, x : x + side] for image, (x, y) in corners])


@pytest.mark.parametrize("name", ["completed", "raw", "hole"])
def test_discriminators_are_shown_their_input(name: Input) -> None:
    batch = random_batch()
    output = Output(numbers(1)(*batch.image.shape), numbers(2)(*batch.image.shape))
    real = {"hole": _slices(batch.image, batch)}.get(name, batch.image)
    fake = {"hole": _slices(output.raw, batch), "raw": output.raw}.get(name, output.completed)
    assert torch.equal(shown(name, batch, Output(batch.image, batch.image)), real)
    assert torch.equal(shown(name, batch, output), fake)


@pytest.mark.parametrize(("given", "for_generator"), [("hole", "completed"), ("raw", "hole")])
def test_a_discriminator_cannot_look_at_a_hole_once_and_at_an_image_once(
    given: str, for_generator: str
) -> None:
    spec = full_variant("localizer_raw").discriminators["localizer"].model_dump()
    with pytest.raises(ValueError, match="generator_input: an image and a hole"):
        DiscriminatorSpec.model_validate({**spec, "input": given, "generator_input": for_generator})
