"""The networks: parameter counts of the publications, and a contract that all of them keep."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import (
    conv2d,
    interpolate,
    leaky_relu,
    max_pool2d,
    scaled_dot_product_attention,
)

from models.generators import context_encoder, locpaint_autoencoder, strided_context_encoder
from models.generators.attention_unet import SelfAttention
from models.layers import Gain
from models.networks import (
    Localization,
    Score,
    discriminator_class,
    discriminator_names,
    generator_class,
    generator_names,
)
from tests.support.tiny import numbers, random_batch

SIZES = (32, 128)
GENERATORS = [(name, size) for name in generator_names() for size in SIZES]
DISCRIMINATORS = [(name, size) for name in discriminator_names() for size in SIZES]


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.promise("networks")
def test_generator_has_the_parameters_of_the_publication() -> None:
    with torch.device("meta"):
        network = generator_class("locpaint_autoencoder")(128, 64)
    assert _count(network.get_submodule("encoder")) == 8_479_136
    assert _count(network.get_submodule("decoder")) == 9_001_283
    assert _count(network) == 17_480_419


@pytest.mark.promise("networks")
@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("context_encoder", {}, 71_130_531),
        ("context_encoder_100", {}, 7_221_031),
        ("context_encoder", {"bias": False}, 71_124_544),
        ("context_encoder", {"latent_norm": False}, 71_122_531),
        ("strided_context_encoder", {}, 40_401_187),
    ],
)
def test_context_encoders_have_the_parameters_of_the_publications(
    name: str, options: dict[str, Any], expected: int
) -> None:
    with torch.device("meta"):
        network = generator_class(name)(128, 64, **options)
    assert _count(network) == expected


BLOCKS = ("enc1", "enc2", "enc3", "attention", "bottleneck", "dec3", "dec2", "dec1")


@pytest.mark.promise("networks")
@pytest.mark.parametrize(
    ("channels", "total", "blocks"),
    [
        (
            64,
            4_880_836,
            (39_296, 221_440, 885_248, 82_241, 1_180_160, 1_769_984, 590_080, 112_387),
        ),
        (32, 1_221_860, (10_432, 55_424, 221_440, 20_641, 295_168, 442_624, 147_584, 28_547)),
    ],
)
def test_attention_unet_has_the_parameters_of_the_publication_in_every_block(
    channels: int, total: int, blocks: tuple[int, ...]
) -> None:
    with torch.device("meta"):
        network = generator_class("attention_unet")(200, 32, channels=channels)
        plain = generator_class("attention_unet")(200, 32, channels=channels, attention=False)
    assert tuple(_count(network.get_submodule(name)) for name in BLOCKS) == blocks
    assert _count(network) == total
    assert _count(plain) == total - blocks[BLOCKS.index("attention")]


@pytest.mark.promise("networks")
@pytest.mark.parametrize(
    ("name", "size", "options", "expected"),
    [
        ("patchgan_small", 200, {}, 35_553),
        ("patchgan_instance", 64, {}, 2_764_737),
        ("patchgan_instance", 64, {"printed_end": True}, 2_764_737),
        ("patch_dcgan", 64, {}, 2_766_529),
        ("patch_dcgan", 64, {"bias": False}, 2_765_568),
        ("localizer", 128, {"capacity": 1.0, "head_width": 256}, 11_150_277),
        ("localizer", 128, {"capacity": 0.5, "head_width": 256}, 2_789_861),
        ("localizer", 128, {"capacity": 0.5, "head_width": 256, "depth": 2}, 16_812_645),
        ("localizer", 128, {"capacity": 1.0, "head_width": 128}, 9_052_229),
        ("localizer", 128, {"capacity": 0.5, "head_width": 128}, 2_265_125),
        ("localizer", 128, {"capacity": 0.1, "head_width": 256}, 105_039),
        ("localizer", 128, {"capacity": 0.3, "head_width": 256}, 989_509),
        ("localizer", 128, {"capacity": 0.7, "head_width": 256}, 5_374_208),
    ],
)
def test_discriminators_have_the_parameters_of_the_publications(
    name: str, size: int, options: dict[str, Any], expected: int
) -> None:
    with torch.device("meta"):
        network = discriminator_class(name)(size, **options)
    assert _count(network) == expected


def _activations(network: nn.Module, *inputs: Tensor) -> list[tuple[str, tuple[int, ...]]]:
    """Return the kind and output shape of every layer, in the order of use."""
    seen: list[tuple[str, tuple[int, ...]]] = []

    def note(layer: nn.Module, _: Any, output: Tensor) -> None:
        seen.append((type(layer).__name__, tuple(output.shape[1:])))

    for layer in network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(note)
    network.eval()(*inputs)
    return seen


def test_generator_has_the_layers_of_the_publication() -> None:
    batch = random_batch(1, 128, 64)
    network = generator_class("locpaint_autoencoder")(128, 64)
    seen = _activations(network, batch.masked, batch.mask, batch.corner)
    convolutions = [shape for kind, shape in seen if kind.startswith("Conv")]
    # Kernel 11 stride 4, five times stride 2, down to 1x1; 4000 channels; up to 32x32 in five.
    down = [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2), (512, 1, 1)]
    up = [(512, 2, 2), (256, 4, 4), (128, 8, 8), (64, 16, 16), (3, 32, 32)]
    assert convolutions == [*down, (4000, 1, 1), (512, 1, 1), *up]
    kinds = [kind for kind, _ in seen]
    latent = kinds.index("BilinearResize")
    assert kinds[:18] == ["Conv2d", "BatchNorm2d", "ReLU"] * 6
    assert kinds[18:21] == ["Conv2d", "Conv2d", "ReLU"]  # no activation after the 4000
    assert kinds[21:33] == ["ConvTranspose2d", "BatchNorm2d", "ReLU"] * 4
    assert kinds[33:latent] == ["ConvTranspose2d", "Tanh"]


def _convolutions(network: nn.Module, size: int, hole_px: int) -> list[tuple[int, ...]]:
    batch = random_batch(1, size, hole_px)
    with torch.no_grad():
        seen = _activations(network, batch.masked, batch.mask, batch.corner)
    return [shape for kind, shape in seen if kind.startswith("Conv")]


def test_context_encoder_has_the_layers_of_the_publication() -> None:
    down = [(64, 64, 64), (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (4000, 1, 1)]
    up = [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (3, 64, 64)]
    network = generator_class("context_encoder")(128, 64)
    assert _convolutions(network, 128, 64) == down + up


def test_strided_context_encoder_has_the_layers_of_the_publication() -> None:
    down = [(64, 64, 64), (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (4000, 4, 4)]
    up = [(512, 8, 8), (256, 16, 16), (128, 32, 32), (64, 64, 64), (3, 64, 64)]
    network = generator_class("strided_context_encoder")(128, 64)
    assert _convolutions(network, 128, 64) == down + up


LATENT = 40
"""Latent channels in the comparisons below; that there are 4000 is held by the counts above."""


def _halvings(
    *channels: int, norm: type[nn.Module] = nn.BatchNorm2d, bias: bool = True
) -> list[nn.Module]:
    layers = [nn.Conv2d(3, channels[0], 4, 2, 1, bias=bias), nn.LeakyReLU(0.2)]
    for fewer, more in pairwise(channels):
        layers += [nn.Conv2d(fewer, more, 4, 2, 1, bias=bias), norm(more), nn.LeakyReLU(0.2)]
    return layers


def _doublings(*channels: int, bias: bool = True) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for more, fewer in pairwise(channels):
        layers += [nn.ConvTranspose2d(more, fewer, 4, 2, 1, bias=bias), nn.BatchNorm2d(fewer)]
        layers += [nn.ReLU()]
    return layers


DOWN, UP = (64, 64, 128, 256, 512), (512, 256, 128, 64)
FOR_64 = DOWN[1:], UP[:-1]
"""One stage less, so that 64 px come to 4x4 as well."""


def _plain_context_encoder(
    down: tuple[int, ...] = DOWN,
    up: tuple[int, ...] = UP,
    *,
    bias: bool = True,
    latent_norm: bool = True,
) -> nn.Sequential:
    return nn.Sequential(
        *_halvings(*down, bias=bias),
        nn.Conv2d(512, LATENT, 4, bias=bias),
        *([nn.BatchNorm2d(LATENT)] if latent_norm else []),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(LATENT, 512, 4, bias=bias),
        nn.BatchNorm2d(512),
        nn.ReLU(),
        *_doublings(*up, bias=bias),
        nn.ConvTranspose2d(up[-1], 3, 4, 2, 1, bias=bias),
        nn.Tanh(),
    )


def _plain_strided() -> nn.Sequential:
    latent = nn.Conv2d(512, LATENT, 1)  # no activation
    end = (nn.Conv2d(64, 3, 3, padding=1), nn.Tanh())
    return nn.Sequential(*_halvings(*DOWN), latent, *_doublings(LATENT, *UP), *end)


def _plain_locpaint() -> nn.Sequential:
    layers: list[nn.Module] = []
    for fewer, more, kernel, stride, padding in (
        (3, 64, 11, 4, 5),
        (64, 128, 5, 2, 2),
        (128, 256, 3, 2, 1),
        (256, 512, 3, 2, 1),
        (512, 512, 3, 2, 1),
        (512, 512, 3, 2, 1),
    ):
        layers += [nn.Conv2d(fewer, more, kernel, stride, padding), nn.BatchNorm2d(more), nn.ReLU()]
    return nn.Sequential(
        *layers,
        nn.Conv2d(512, LATENT, 1),  # no activation
        nn.Conv2d(LATENT, 512, 1),
        nn.ReLU(),
        *_doublings(512, 512, 256, 128, 64),
        nn.ConvTranspose2d(64, 3, 4, 2, 1),
        nn.Tanh(),
        nn.Upsample(128, mode="bilinear"),
    )


def _randomize(network: nn.Module) -> None:
    """Give all layers weights that keep the size of a signal, and batch norms a state."""
    draw = numbers(7)
    for name, values in network.state_dict().items():
        if name.endswith("running_var"):
            values.copy_(1 + draw(values.numel()) / 2)
        elif values.is_floating_point():
            inputs = values[0].numel() if values.dim() > 1 else 6
            values.copy_(draw(values.numel()).view_as(values) * (6 / inputs) ** 0.5)
    network.double()


@torch.no_grad()
def _assert_same_layers(
    network: nn.Module, plain: nn.Module, ask: Callable[[], Tensor], ask_plain: Callable[[], Tensor]
) -> None:
    """Compare a network with PyTorch's own layers, to which its state is given in its order."""
    _randomize(network)
    state = [*network.state_dict().values()]
    plain.double().load_state_dict(dict(zip(plain.state_dict(), state, strict=True)))
    for training in (False, True):
        network.train(training), plain.train(training)
        # Computed in float64, but for the matrices of a resizing, which are rounded to float32.
        torch.testing.assert_close(ask(), ask_plain(), rtol=0, atol=1e-6)
    # What batch norms have learned in training.
    for ours, theirs in zip(state, plain.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "size", "options", "build"),
    [
        ("locpaint_autoencoder", 128, {}, _plain_locpaint),
        ("context_encoder", 128, {}, _plain_context_encoder),
        (
            "context_encoder",
            64,
            {"bias": False},
            partial(_plain_context_encoder, *FOR_64, bias=False),
        ),
        (
            "context_encoder",
            64,
            {"latent_norm": False},
            partial(_plain_context_encoder, *FOR_64, latent_norm=False),
        ),
        ("strided_context_encoder", 128, {}, _plain_strided),
    ],
)
def test_generator_computes_what_the_publication_describes(
    name: str,
    size: int,
    options: dict[str, Any],
    build: Callable[[], nn.Module],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (context_encoder, locpaint_autoencoder, strided_context_encoder):
        monkeypatch.setattr(module, "LATENT_CHANNELS", LATENT)
    batch = random_batch(3, size, size // 2)
    network, plain = generator_class(name)(size, size // 2, **options), build()
    masked, mask = batch.masked.double(), batch.mask.double()

    def ask() -> Tensor:
        raw: Tensor = network(masked, mask, batch.corner)
        if not network.one_hole_size:
            return raw
        return torch.stack(
            [
                image[:, y0 : y0 + size // 2, x0 : x0 + size // 2]
                for image, (x0, y0) in zip(raw, batch.corner.tolist(), strict=True)
            ]
        )

    _assert_same_layers(network, plain, ask, lambda: plain(masked))


def _plain_dcgan(*channels: int, bias: bool = True) -> list[nn.Module]:
    return [*_halvings(*channels, bias=bias), nn.Conv2d(channels[-1], 1, 4, bias=bias)]


def _plain_patches(*channels: int, norm: type[nn.Module]) -> list[nn.Module]:
    return [*_halvings(*channels, norm=norm), nn.Conv2d(channels[-1], 1, 4, padding=1)]


def _plain_instance(printed_end: bool) -> list[nn.Module]:
    layers = _plain_patches(64, 128, 256, 512, norm=nn.InstanceNorm2d)
    return [*layers, nn.InstanceNorm2d(1), nn.LeakyReLU(0.2)] if printed_end else layers


@pytest.mark.parametrize(
    ("name", "size", "options", "build"),
    [
        ("patch_dcgan", 64, {}, partial(_plain_dcgan, 64, 128, 256, 512)),
        ("patch_dcgan", 32, {"bias": False}, partial(_plain_dcgan, 64, 128, 256, bias=False)),
        ("patchgan_small", 40, {}, partial(_plain_patches, 32, 64, norm=nn.BatchNorm2d)),
        ("patchgan_instance", 64, {}, partial(_plain_instance, printed_end=False)),
        (
            "patchgan_instance",
            64,
            {"printed_end": True},
            partial(_plain_instance, printed_end=True),
        ),
    ],
)
def test_discriminator_computes_what_the_publication_describes(
    name: str, size: int, options: dict[str, Any], build: Callable[[], list[nn.Module]]
) -> None:
    images = numbers()(3, 3, size, size).double()
    network, plain = discriminator_class(name)(size, **options), nn.Sequential(*build())
    _assert_same_layers(
        network,
        plain,
        lambda: network(images).logits.flatten(),
        lambda: plain(images).flatten(),
    )


@pytest.mark.parametrize(
    ("options", "channels", "width"),
    [
        ({"capacity": 0.5, "head_width": 256}, (32, 64, 128, 256, 256), 128),
        ({"capacity": 1.0, "head_width": 128}, (64, 128, 256, 512, 512), 128),
        ({"capacity": 0.5, "head_width": 256, "depth": 2}, (32, 64), 128),
    ],
)
def test_localizer_computes_what_the_publication_describes(
    options: dict[str, Any], channels: tuple[int, ...], width: int
) -> None:
    size = 64
    images = numbers()(3, 3, size, size).double()
    num_features = channels[-1] * (size >> len(channels)) ** 2
    features = nn.Sequential(*_halvings(*channels), nn.Flatten())
    confidence, box = (
        nn.Sequential(nn.Linear(num_features, width), nn.ReLU(), nn.Linear(width, outputs))
        for outputs in (1, 4)
    )
    network = discriminator_class("localizer")(size, **options)

    def ask() -> Tensor:
        prediction = network(images)
        return torch.cat([prediction.confidence[:, None], prediction.box], dim=1)

    def ask_plain() -> Tensor:
        seen = features(images)
        return torch.cat([confidence(seen), box(seen).sigmoid()], dim=1)

    _assert_same_layers(network, nn.ModuleList([features, confidence, box]), ask, ask_plain)


@pytest.mark.parametrize("attention", [True, False])
def test_attention_unet_computes_what_the_publication_describes(attention: bool) -> None:
    size = 40  # at the bottleneck 5
    batch = random_batch(2, size, 16)
    network = generator_class("attention_unet")(size, 16, channels=8, attention=attention)
    _randomize(network)
    masked, mask = batch.masked.double(), batch.mask.double()
    weights = {name: [*network.get_submodule(name).parameters()] for name in BLOCKS}

    def convolved(block: str, *inputs: Tensor) -> Tensor:
        features = torch.cat(inputs, dim=1)
        for weight, bias in zip(weights[block][::2], weights[block][1::2], strict=True):
            features = conv2d(features, weight, bias, padding=1)
            last = block == "dec1" and len(weight) == 3
            features = features.tanh() if last else leaky_relu(features, 0.2)
        return features

    def attended(features: Tensor) -> Tensor:
        if not attention:
            return features
        *kernels, gain = weights["attention"]
        query, key, value = (
            conv2d(features, weight, bias).flatten(2).transpose(1, 2)
            for weight, bias in zip(kernels[::2], kernels[1::2], strict=True)
        )
        assert query.shape[-1] == key.shape[-1] == 4  # an eighth of 32
        meant = scaled_dot_product_attention(query, key, value, scale=1.0).transpose(1, 2)
        return features + gain * meant.reshape(features.shape)

    def doubled(features: Tensor) -> Tensor:
        return interpolate(features, scale_factor=2, mode="bilinear", align_corners=True)

    with torch.no_grad():
        skip1 = convolved("enc1", masked, mask)
        skip2 = convolved("enc2", max_pool2d(skip1, 2))
        skip3 = convolved("enc3", max_pool2d(skip2, 2))
        features = convolved("bottleneck", attended(max_pool2d(skip3, 2)))
        for block, skip in (("dec3", skip3), ("dec2", skip2), ("dec1", skip1)):
            features = convolved(block, doubled(features), skip)
        raw = network(masked, mask, batch.corner)
    # Computed in float64, but for the matrices of the resizing, which are rounded to float32.
    torch.testing.assert_close(raw, features, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["context_encoder", "strided_context_encoder"])
@pytest.mark.parametrize(("size", "hole_px"), [(32, 16), (64, 32), (64, 16), (128, 32)])
def test_generated_square_is_pasted_into_its_hole_wherever_it_is(
    name: str, size: int, hole_px: int
) -> None:
    batch = random_batch(4, size, hole_px)  # two of the holes in corners of the image
    network = generator_class(name)(size, hole_px).eval()
    with torch.no_grad():
        squares = network.get_submodule("decoder")(network.get_submodule("encoder")(batch.masked))
        raw = network(batch.masked, batch.mask, batch.corner)
    assert torch.equal(raw * (1 - batch.mask), batch.image * (1 - batch.mask))
    for image, square, (x0, y0) in zip(raw, squares, batch.corner.tolist(), strict=True):
        assert torch.equal(image[:, y0 : y0 + hole_px, x0 : x0 + hole_px], square)


@pytest.mark.parametrize("name", ["context_encoder", "strided_context_encoder"])
@pytest.mark.parametrize(("size", "hole_px"), [(200, 32), (128, 60), (8, 8)])
def test_context_encoders_refuse_sizes_that_do_not_halve_to_4(
    name: str, size: int, hole_px: int
) -> None:
    with pytest.raises(ValueError, match=rf"{size}|{hole_px}"):
        generator_class(name)(size, hole_px)


def test_attention_starts_as_the_identity_and_lets_far_pixels_meet() -> None:
    attention = SelfAttention(16)
    features = numbers()(1, 16, 6, 6).requires_grad_()
    assert torch.equal(attention(features), features)
    nn.init.ones_(attention.gain.factor)
    # The first position depends on the last one, which no small kernel would reach.
    (gradient,) = torch.autograd.grad(attention(features)[0, :, 0, 0].sum(), features)
    assert gradient[0, :, -1, -1].abs().max() > 0


def test_attention_is_that_of_torch() -> None:
    attention = SelfAttention(16)
    nn.init.ones_(attention.gain.factor)
    features = numbers()(2, 16, 3, 5)
    query, key, value = (
        layer(features).flatten(2).transpose(1, 2)
        for layer in (attention.query, attention.key, attention.value)
    )
    expected = scaled_dot_product_attention(query, key, value, scale=1.0).transpose(1, 2)
    # Sums of 15 float32 products, in another order.
    torch.testing.assert_close(
        attention(features), features + expected.view_as(features), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(("name", "size"), GENERATORS)
def test_generator_keeps_the_contract(name: str, size: int) -> None:
    batch = random_batch(2, size, size // 2)
    network = generator_class(name)(size, size // 2).eval()
    for layer in network.modules():
        if isinstance(layer, Gain):  # at 0, nothing would reach the layers before it
            nn.init.ones_(layer.factor)
    raw = network(batch.masked, batch.mask, batch.corner)
    assert raw.shape == batch.image.shape
    assert raw.dtype == torch.float32
    _assert_gradients_reach_all(network, raw.square().sum())
    with torch.no_grad():
        alone = [
            network(batch.masked[i : i + 1], batch.mask[i : i + 1], batch.corner[i : i + 1])
            for i in range(2)
        ]
        # Sums of up to 8192 float32 products in an order that depends on the batch.
        torch.testing.assert_close(torch.cat(alone), raw.detach(), rtol=0, atol=1e-5)
        for parameter in network.parameters():
            parameter.mul_(10)  # far into saturation
        loud = network(batch.masked, batch.mask, batch.corner)
    assert loud.abs().max() <= 1
    assert loud.abs().max() > 0.5


@pytest.mark.parametrize(("name", "size"), DISCRIMINATORS)
def test_discriminator_keeps_the_contract(name: str, size: int) -> None:
    images = numbers()(3, 3, size, size)
    torch.manual_seed(0)  # for initial weights that are far enough into saturation below
    network = discriminator_class(name)(size).eval()
    prediction = network(images)
    assert isinstance(prediction, network.predicts)
    _assert_gradients_reach_all(network, torch.stack([p.square().sum() for p in prediction]).sum())
    with torch.no_grad():
        alone = [network(images[i : i + 1]) for i in range(3)]
        for together, *single in zip(prediction, *alone, strict=True):
            # Sums of up to 8192 float32 products in an order that depends on the batch.
            torch.testing.assert_close(torch.cat(single), together.detach(), rtol=0, atol=1e-5)
        for parameter in network.parameters():
            parameter.mul_(10)  # far into saturation
        loud = network(images)
    if isinstance(loud, Localization):
        assert loud.confidence.shape == (3,)
        assert loud.box.shape == (3, 4)
        assert loud.box.min() >= 0
        assert loud.box.max() <= 1
        assert max(loud.box.max(), 1 - loud.box.min()) > 0.9
    else:
        assert isinstance(loud, Score)
        assert len(loud.logits) == 3
        assert loud.logits.abs().max() > 1  # a logit, not a probability


def _assert_gradients_reach_all(network: nn.Module, loss: Tensor) -> None:
    # In evaluation mode, since batch statistics cancel the biases before a batch norm.
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_generator_sees_nothing_of_the_hole() -> None:
    batch = random_batch(2)
    assert torch.equal(batch.masked * batch.mask, torch.zeros_like(batch.masked))
    assert torch.equal(batch.masked * (1 - batch.mask), batch.image * (1 - batch.mask))


@pytest.mark.parametrize("size", [4, 12, 48, 65])
def test_patch_discriminator_refuses_sizes_that_it_cannot_halve_to_4(size: int) -> None:
    with pytest.raises(ValueError, match=f"{size}"):
        discriminator_class("patch_dcgan")(size)


@pytest.mark.parametrize(("size", "printed_end"), [(16, False), (32, True)])
def test_patches_with_instance_norm_refuse_too_few_of_them(size: int, printed_end: bool) -> None:
    with pytest.raises(ValueError, match=f"{size}"):
        discriminator_class("patchgan_instance")(size, printed_end=printed_end)


def test_printed_end_takes_away_what_patches_have_in_common() -> None:
    network = discriminator_class("patchgan_instance")(64, printed_end=True).eval()
    images = numbers()(2, 3, 64, 64)
    logits = network(images).logits
    # Before the LeakyReLU each image's patches had mean 0: what is below is a fifth.
    undone = torch.where(logits < 0, logits / 0.2, logits)
    # Nine float32 numbers of size 1.
    torch.testing.assert_close(undone.mean((1, 2)), torch.zeros(2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [16, 33, 100])
def test_localizer_refuses_sizes_that_it_cannot_halve(size: int) -> None:
    with pytest.raises(ValueError, match=f"{size}"):
        discriminator_class("localizer")(size)


def test_unknown_networks_are_named_with_those_that_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"no generator 'unet'.*attention_unet, .*locpaint_autoencoder"
    ):
        generator_class("unet")
    with pytest.raises(ValueError, match=r"no discriminator 'unet'.*localizer, patch_dcgan"):
        discriminator_class("unet")
