"""What networks are shown of a scene: fill colours, dilated holes, and who is shown what."""

import pytest
import torch
from torch import Tensor

from benchmark.views import Inpainter, complete, seen_fake, seen_real
from models.networks import GeneratorNetwork
from models.scene import Output, Scene
from models.variant import DiscriminatorSpec
from tests.tiny import IMAGE_PX, full_variant, numbers, random_scene


@pytest.mark.parametrize("colour", [(117, 104, 123), (0, 255, 128)])
def test_fill_is_the_colour_in_the_hole_and_the_image_elsewhere(
    colour: tuple[int, int, int],
) -> None:
    scene = random_scene()
    filled = scene.filled(colour)
    hole = scene.mask.bool().expand_as(filled)
    assert torch.equal(filled[~hole], scene.image[~hole])
    for channel, level in enumerate(colour):
        inside = filled[:, channel][scene.mask[:, 0].bool()]
        # One float32 rounding; 117 is (117 - 127.5) / 127.5.
        torch.testing.assert_close(inside, torch.full_like(inside, (level - 127.5) / 127.5))


def test_without_a_colour_the_hole_is_mid_grey() -> None:
    scene = random_scene()
    assert torch.equal(scene.filled(None), scene.masked)


@pytest.mark.parametrize("grow", [-8, -7, -1, 0, 1, 4, 40])
def test_window_moves_every_side_of_the_hole(grow: int) -> None:
    scene = random_scene(5)
    expected = torch.zeros_like(scene.mask)
    for mask, (x0, y0) in zip(expected, scene.corner.tolist(), strict=True):
        top, left = max(0, y0 - grow), max(0, x0 - grow)
        far = scene.hole_size + grow
        mask[0, top : max(0, y0 + far), left : max(0, x0 + far)] = 1
    assert torch.equal(scene.window(grow), expected)


class _Recorder(GeneratorNetwork):
    """Keeps what it is given, and fills with one level."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[Tensor, Tensor]] = []

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        self.given.append((masked, mask))
        return torch.full_like(masked, 0.2)


def test_generator_is_shown_what_its_variant_says() -> None:
    scene, network = random_scene(), _Recorder()
    spec = full_variant("attention_unet").generator
    assert spec.mask_dilation == 4
    Inpainter(network, spec)(scene)
    Inpainter(network, full_variant("context_encoder").generator)(scene)
    assert torch.equal(network.given[0][0], scene.masked)  # grey in the hole itself alone
    assert torch.equal(network.given[0][1], scene.window(4))
    assert torch.equal(network.given[1][0], scene.filled((117, 104, 123)))
    assert torch.equal(network.given[1][1], scene.mask)


def test_completion_keeps_known_pixels_whatever_the_mask_that_is_shown() -> None:
    images = (numbers()(2, IMAGE_PX, IMAGE_PX, 3) * 127 + 128).to(torch.uint8)
    boxes = torch.tensor([[0, 0, 16, 16], [8, 4, 24, 20]])
    done = complete(
        Inpainter(_Recorder(), full_variant("attention_unet").generator), images, boxes, 16
    )
    hole = done.mask.expand_as(done.target)
    assert torch.equal(done.completed[~hole], done.target[~hole])
    assert (done.completed[hole] == 153).all()  # (.2 + 1) * 127.5
    assert (done.quantised == 153).all()
    assert int(done.mask.sum()) == 2 * 16 * 16


def _slices(images: Tensor, scene: Scene) -> Tensor:
    side = scene.hole_size
    corners = zip(images, scene.corner.tolist(), strict=True)
    return torch.stack([image[:, y : y + side, x : x + side] for image, (x, y) in corners])


@pytest.mark.parametrize("name", ["completed", "raw", "hole"])
def test_discriminators_are_shown_their_input(name: str) -> None:
    scene = random_scene()
    output = Output(numbers(1)(*scene.image.shape), numbers(2)(*scene.image.shape))
    spec = full_variant("binary").discriminators["binary"].model_copy(update={"input": name})
    real = {"hole": _slices(scene.image, scene)}.get(name, scene.image)
    fake = {"hole": _slices(output.raw, scene), "raw": output.raw}.get(name, output.completed)
    assert torch.equal(seen_real(spec, scene), real)
    assert torch.equal(seen_fake(spec, scene, output), fake)


@pytest.mark.parametrize(("shown", "for_generator"), [("hole", "completed"), ("raw", "hole")])
def test_a_discriminator_cannot_look_at_a_hole_once_and_at_an_image_once(
    shown: str, for_generator: str
) -> None:
    spec = full_variant("localizer_raw").discriminators["localizer"].model_dump()
    with pytest.raises(ValueError, match="generator_input: an image and a hole"):
        DiscriminatorSpec.model_validate({**spec, "input": shown, "generator_input": for_generator})
