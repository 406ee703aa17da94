"""Weights and a batch -> one training step of each system, computed by another route in float64.

The networks are lists of layers as the sources give them, run by `torch.nn.functional`; holes are
slices; losses and Adam are written out. Only gradients are PyTorch's.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.functional import (
    batch_norm,
    conv2d,
    conv_transpose2d,
    instance_norm,
    interpolate,
    linear,
    logsigmoid,
    max_pool2d,
    pad,
)

from benchmark.training.gan import GAN, build_gan
from benchmark.training.rng import StepDraws
from benchmark.training.step import training_step
from models.batch import Batch
from models.variant import DiscriminatorSpec, Variant
from tests.support.tiny import cpu_engine, full_variant, random_batch, tiny_suite

LATENT = 24
"""Instead of 4000 channels, which would only take time."""
STEPS = 30
Weights = list[Tensor]
Losses = dict[str, Tensor]


# Networks: "c k s p" is a convolution and "t k s p" a transposed one, with kernel, stride, padding.


def _run(layers: str, x: Tensor, weights: Iterator[Tensor]) -> Tensor:
    for layer in layers.split(", "):
        kind, *numbers = layer.split()
        if kind in "ct":
            _, stride, padding = map(int, numbers)
            convolve = conv2d if kind == "c" else conv_transpose2d
            x = convolve(x, next(weights), next(weights), stride=stride, padding=padding)
        elif kind == "bn":
            x = batch_norm(x, None, None, next(weights), next(weights), training=True)
        else:
            x = PLAIN[kind](x)
    return x


PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: x.clamp(min=0),
    "lrelu": lambda x: torch.where(x > 0, x, 0.2 * x),
    "tanh": torch.tanh,
    "in": instance_norm,
}
DOWN, UP = "c 4 2 1, bn, lrelu", "t 4 2 1, bn, relu"


def _locpaint(masked: Tensor, mask: Tensor, weights: Iterator[Tensor]) -> Tensor:
    """G2 on 32 px, where its output has the size of the image."""
    down = "c 11 4 5, bn, relu, c 5 2 2, bn, relu" + 4 * ", c 3 2 1, bn, relu" + ", c 1 1 0"
    up = "c 1 1 0, relu, " + 4 * f"{UP}, " + "t 4 2 1, tanh"
    return _run(f"{down}, {up}", masked, weights)


def _context_encoder(bottleneck: str) -> Callable[..., Tensor]:
    """G1 on 32 px with a hole of 16 px: stages are left out until the map before the end is 4x4."""
    layers = f"c 4 2 1, lrelu, {DOWN}, {DOWN}, {bottleneck}, t 4 1 0, bn, relu, {UP}, t 4 2 1, tanh"
    return lambda masked, mask, weights: _run(layers, masked, weights)


def _celeba(masked: Tensor, mask: Tensor, weights: Iterator[Tensor]) -> Tensor:
    """G5 on 32 px with a hole of 16 px."""
    encoder = f"c 4 2 1, lrelu, {DOWN}, {DOWN}, c 4 1 0"
    decoder = "t 4 1 0, bn, lrelu, t 4 2 1, bn, lrelu, t 4 2 1, lrelu, tanh"
    return _run(f"{encoder}, {decoder}", masked, weights)


def _strided(masked: Tensor, mask: Tensor, weights: Iterator[Tensor]) -> Tensor:
    """G3 on 64 px with a hole of 32 px."""
    encoder = f"c 4 2 1, lrelu, {DOWN}, {DOWN}, {DOWN}, c 1 1 0"
    return _run(f"{encoder}, {UP}, {UP}, {UP}, c 3 1 1, tanh", masked, weights)


def _attention_unet(masked: Tensor, mask: Tensor, weights: Iterator[Tensor]) -> Tensor:
    """G4."""
    double = "c 3 1 1, lrelu, c 3 1 1, lrelu"

    def up(x: Tensor) -> Tensor:
        return interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)

    first = _run(double, torch.cat([masked, mask], 1), weights)
    second = _run(double, max_pool2d(first, 2), weights)
    third = _run(double, max_pool2d(second, 2), weights)
    x = max_pool2d(third, 2)
    query, key, value = (_run("c 1 1 0", x, weights).flatten(2) for _ in range(3))
    attention = torch.softmax(torch.einsum("ncq,nck->nqk", query, key), dim=2)
    attended = torch.einsum("nqk,nck->ncq", attention, value).reshape(x.shape)
    x = _run(double, x + next(weights) * attended, weights)
    x = _run(double, torch.cat([up(x), third], 1), weights)
    x = _run(double, torch.cat([up(x), second], 1), weights)
    return _run("c 3 1 1, lrelu, c 3 1 1, tanh", torch.cat([up(x), first], 1), weights)


GENERATORS: dict[str, Callable[..., Tensor]] = {
    "locpaint_autoencoder": _locpaint,
    "context_encoder": _context_encoder("c 4 1 0, bn, lrelu"),
    "context_encoder without norm": _context_encoder("c 4 1 0, lrelu"),
    "context_encoder_100": _celeba,
    "strided_context_encoder": _strided,
    "attention_unet": _attention_unet,
}
HOLE_ALONE = ("context_encoder", "context_encoder_100", "strided_context_encoder")
SCORING = {
    "patch_dcgan": f"c 4 2 1, lrelu, {DOWN}, c 4 1 0",
    "patchgan_small": f"c 4 2 1, lrelu, {DOWN}, c 4 1 1",
    "patchgan_instance": "c 4 2 1, lrelu" + 3 * ", c 4 2 1, in, lrelu" + ", c 4 1 1",
}


class _Answer(NamedTuple):
    """Logits of `real` of a scoring discriminator, of `there is a fake region` of a localizer."""

    logits: Tensor
    box: Tensor | None = None


def _judge(network: str, images: Tensor, parameters: Weights) -> _Answer:
    weights = iter(parameters)
    if network in SCORING:
        return _Answer(_run(SCORING[network], images, weights))
    x = _run("c 4 2 1, lrelu" + 4 * f", {DOWN}", images, weights).flatten(1)
    heads = []
    for _ in range(2):
        hidden = linear(x, next(weights), next(weights)).clamp(min=0)
        heads.append(linear(hidden, next(weights), next(weights)))
    return _Answer(heads[0][:, 0], torch.sigmoid(heads[1]))


# Holes


def _hole(images: Tensor, batch: Batch, border: int = 0) -> Iterator[Tensor]:
    """Yield a view of each image's hole without its border."""
    side = batch.hole_size - border
    for row, (x, y) in enumerate(batch.corner.tolist()):
        yield images[row, :, y + border : y + side, x + border : x + side]


def _window(batch: Batch, grow: int) -> Tensor:
    """Return 1 in the holes, grown on each side, and 0 elsewhere."""
    window = torch.zeros_like(batch.mask)
    for image, (x, y) in zip(window, batch.corner.tolist(), strict=True):
        far_y, far_x = y + batch.hole_size + grow, x + batch.hole_size + grow
        image[:, max(0, y - grow) : far_y, max(0, x - grow) : far_x] = 1
    return window


def _generate(variant: Variant, batch: Batch, weights: Weights) -> Tensor:
    spec, shown = variant.generator, batch.image.clone()
    color = torch.tensor(spec.fill or (127.5,) * 3, dtype=torch.float64) / 127.5 - 1
    for hidden in _hole(shown, batch, spec.shown_border_px):
        hidden[:] = color[:, None, None]
    network = spec.network
    if spec.options.get("latent_norm") is False:
        network += " without norm"
    output = GENERATORS[network](shown, _window(batch, spec.mask_dilation), iter(weights))
    if spec.network not in HOLE_ALONE:
        return output
    raw = shown.clone()
    for place, square in zip(_hole(raw, batch), output, strict=True):
        place[:] = square
    return raw


def _shown(what: str, raw: Tensor, completed: Tensor, batch: Batch) -> Tensor:
    if what == "hole":
        return torch.stack([*_hole(raw, batch)])
    return completed if what == "completed" else raw


# Losses


def _cross_entropy(logits: Tensor, label: float | Tensor) -> Tensor:
    return -(label * logsigmoid(logits) + (1 - label) * logsigmoid(-logits)).mean()


def _smooth_l1(found: Tensor, truth: Tensor) -> Tensor:
    distance = (found - truth).abs()
    return torch.where(distance < 1, distance**2 / 2, distance - 0.5).mean()


def _iou(found: Tensor, truth: Tensor) -> Tensor:
    values = []
    for (x0, y0, x1, y1), (u0, v0, u1, v1) in zip(found, truth, strict=True):
        width = (torch.minimum(x1, u1) - torch.maximum(x0, u0)).clamp(min=0)
        height = (torch.minimum(y1, v1) - torch.maximum(y0, v0)).clamp(min=0)
        area = (x1 - x0).clamp(min=0) * (y1 - y0).clamp(min=0)
        values.append(width * height / (area + (u1 - u0) * (v1 - v0) - width * height))
    return torch.stack(values).mean()


def _box(batch: Batch) -> Tensor:
    size = batch.image.shape[-1]
    return torch.cat([batch.corner, batch.corner + batch.hole_size], 1).double() / size


def _averaged(values: Tensor, window: Tensor, average: str) -> Tensor:
    share = 1.0 if average == "image" else float(window.mean())
    return (values * window).mean() / share


def _edges(images: Tensor) -> Tensor:
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=torch.float64)
    padded = pad(images, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[:, None]
    gx, gy = (conv2d(padded, k[None, None]) for k in (kernel, kernel.T))
    return (gx**2 + gy**2 + 1e-6).sqrt().view(images.shape)


def _ssim(first: Tensor, second: Tensor) -> Tensor:
    """Wang et al. 2004 with the range 2."""
    along = torch.exp(-(torch.arange(-5.0, 6, dtype=torch.float64) ** 2) / (2 * 1.5**2))
    kernel = torch.outer(along, along)[None, None] / along.sum() ** 2

    def blur(images: Tensor) -> Tensor:
        return conv2d(images.flatten(0, 1)[:, None], kernel)

    x, y, c1, c2 = blur(first), blur(second), 0.02**2, 0.06**2
    xx, yy, xy = blur(first**2) - x**2, blur(second**2) - y**2, blur(first * second) - x * y
    return ((2 * x * y + c1) * (2 * xy + c2) / ((x**2 + y**2 + c1) * (xx + yy + c2))).mean()


def _reconstruction(
    name: str, options: Mapping[str, Any], batch: Batch, raw: Tensor, completed: Tensor
) -> Tensor:
    average, window = options.get("average", "hole"), _window(batch, options.get("dilation_px", 0))
    if name == "hole_mse":
        weight = torch.ones_like(batch.mask)
        if width := options.get("overlap_px", 0):
            weight = weight * options["overlap_weight"]
            for core in _hole(weight, batch, width):
                core[:] = 1
        return _averaged(weight * (raw - batch.image) ** 2, batch.mask, average)
    if name == "l1":
        return _averaged((raw - batch.image).abs(), window, average)
    if name == "ssim":
        return 1 - _ssim(completed, batch.image)
    ours, truth = _edges(completed), _edges(batch.image)
    if options.get("normalize") == "batch_maximum":
        ours, truth = ours / ours.max(), truth / truth.max()
    return _averaged((ours - truth).abs(), window, average)


def _adversarial(name: str, options: Mapping[str, Any], batch: Batch, answer: _Answer) -> Tensor:
    if name == "least_squares":
        return ((torch.sigmoid(answer.logits) - 1) ** 2).mean()
    if name == "adversarial":
        return _cross_entropy(answer.logits, options.get("target", 1.0))
    if name == "confidence":
        return _cross_entropy(answer.logits, options.get("target", 0.0))
    assert answer.box is not None
    if name == "box":
        return -_smooth_l1(answer.box, _box(batch))
    return _iou(answer.box, _box(batch))


def _judging(
    spec: DiscriminatorSpec, batch: Batch, real: _Answer, fake: _Answer, drawn: Tensor | None
) -> Losses:
    s = spec.label_smoothing
    one: float | Tensor = 1 - s
    zero: float | Tensor = s if spec.smoothing == "two_sided" else 0.0
    if drawn is not None:
        one, zero = (label.view(-1, *[1] * (real.logits.dim() - 1)) for label in drawn)
    parts: dict[str, tuple[Tensor | float, Tensor]] = {}
    for name in spec.losses:
        if name == "adversarial":
            on_real, on_fake = _cross_entropy(real.logits, one), _cross_entropy(fake.logits, zero)
            parts[name] = on_real / 2, on_fake / 2
        elif name == "least_squares":
            on_real = ((torch.sigmoid(real.logits) - one) ** 2).mean()
            parts[name] = on_real / 2, ((torch.sigmoid(fake.logits) - zero) ** 2).mean() / 2
        elif name == "confidence":
            on_real, on_fake = _cross_entropy(real.logits, zero), _cross_entropy(fake.logits, one)
            parts[name] = on_real, on_fake
        else:
            assert fake.box is not None
            iou, near = _iou(fake.box, _box(batch)), _smooth_l1(fake.box, _box(batch))
            parts[name] = 0.0, near if name == "box" else 1 - iou
    losses = {name: on_real + on_fake for name, (on_real, on_fake) in parts.items()}
    for place, kind in enumerate(("real", "fake")):
        weighted = [w * torch.as_tensor(parts[n][place]).double() for n, w in spec.losses.items()]
        losses[kind] = torch.stack(weighted).sum()
    sign = -1 if fake.box is not None else 1
    right = (sign * real.logits > 0).double().mean() + (sign * fake.logits < 0).double().mean()
    losses["accuracy"] = right / 2
    if fake.box is not None:
        losses["mean_iou"] = _iou(fake.box, _box(batch))
    return losses


# The step


def _adam(variant_spec: Any, weights: Weights, gradients: Any) -> Weights:
    """Return the weights after the first update of Adam (Kingma and Ba 2015)."""
    norm = math.sqrt(sum((g**2).sum().item() for g in gradients))
    limit = variant_spec.clip_norm or math.inf
    scale = min(1.0, limit / (norm + 1e-6))
    adam, moved = variant_spec.optimizer, []
    for weight, gradient in zip(weights, gradients, strict=True):
        g = gradient * scale
        first, second = (1 - adam.betas[0]) * g, (1 - adam.betas[1]) * g**2
        m, v = first / (1 - adam.betas[0]), second / (1 - adam.betas[1])
        moved.append(weight - adam.lr * m / (v.sqrt() + 1e-8))
    return moved


def _reference_step(
    variant: Variant, weights: dict[str, Weights], batch: Batch, step: int
) -> tuple[Losses, dict[str, Weights]]:
    progress, losses, after = step / STEPS, Losses(), dict(weights)
    active = {n: d for n, d in variant.discriminators.items() if progress >= d.start}
    raw = _generate(variant, batch, weights["generator"])
    completed = torch.where(batch.mask > 0, raw, batch.image)

    def update_generator() -> None:
        sums = {"reconstruction": torch.zeros(()).double(), "adversarial": torch.zeros(()).double()}
        for name, term in variant.generator.losses.items():
            weight, role = term.weight_at(progress), term.discriminator
            if weight == 0 or (role is not None and role not in active):
                continue
            if role is None:
                value = _reconstruction(name, term.options, batch, raw, completed)
            else:
                spec = active[role]
                seen = _shown(spec.generator_input or spec.input, raw, completed, batch)
                answer = _judge(spec.network, seen, after[f"discriminator/{role}"])
                value = _adversarial(name, term.options, batch, answer)
            losses[f"generator/{name}"] = value
            sums["adversarial" if role else "reconstruction"] += weight * value
        for name, part in sums.items():
            if part.requires_grad:
                (gradient,) = torch.autograd.grad(part, raw, retain_graph=True)
                losses[f"generator/gradient_{name}"] = (gradient**2).sum().sqrt()
        total = sums["reconstruction"] + sums["adversarial"]
        losses["generator/reconstruction"] = sums["reconstruction"]
        losses["generator/total"] = total
        gradients = torch.autograd.grad(total, weights["generator"], retain_graph=True)
        after["generator"] = _adam(variant.generator, weights["generator"], gradients)

    def update_discriminators() -> None:
        for role, spec in active.items():
            if (step + 1) % spec.update_every:
                continue
            key = f"discriminator/{role}"
            images = (batch.image, batch.image), (raw.detach(), completed.detach())
            real, fake = (
                _judge(spec.network, _shown(spec.input, *pair, batch), weights[key])
                for pair in images
            )
            found = _judging(spec, batch, real, fake, _drawn_labels(spec, role, step, len(raw)))
            losses.update({f"{key}/{name}": value for name, value in found.items()})
            gradients = torch.autograd.grad(found["real"] + found["fake"], weights[key])
            after[key] = _adam(spec, weights[key], gradients)

    updates = [update_discriminators, update_generator]
    for update in updates[:: -1 if variant.update_order == "generator_first" else 1]:
        update()
    return losses, after


def _drawn_labels(spec: DiscriminatorSpec, role: str, step: int, count: int) -> Tensor | None:
    """Return labels of ones and zeros, `[2, N]`, of which the draws alone are the product's."""
    if spec.smoothing != "random":
        return None
    draws = StepDraws(0, "label", f"discriminator/{role}")
    draws.begin_step(step)
    ones, zeros = spec.label_smoothing * draws((2, count))
    return torch.stack([1 - ones, zeros])


# The comparison


def _gan(variant: Variant, image_px: int, hole_px: int) -> GAN:
    suite = tiny_suite(image_size=image_px, mask={"kind": "random_square", "size": hole_px})
    gan = build_gan(suite, variant, 0, cpu_engine())
    for trained in gan.networks.values():
        trained.network.double()
    gan.train(True)
    return gan


def _changed(name: str, role: str = "", **settings: Any) -> Variant:
    """Return a variant with other settings of its own, or of a discriminator."""
    content = full_variant(name).model_dump()
    (content["discriminators"][role] if role else content).update(settings)
    return Variant.model_validate(content)


def _small(name: str) -> Variant:
    """Return a variant of the attention U-Net with few channels."""
    content = full_variant(name).model_dump()
    content["generator"]["options"]["channels"] = 8
    return Variant.model_validate(content)


RANDOM = {"label_smoothing": 0.3, "smoothing": "random"}
LAST = STEPS - 1
CASES: dict[str, tuple[Variant, int, int, int]] = {
    name: (full_variant(name), 32, 16, LAST)
    for name in (
        *("l2", "binary", "localizer", "localizer_raw", "staged"),
        *("context_encoder", "context_encoder_l2"),
        *("context_encoder_border_shown", "context_encoder_ratio_100"),
        "celeba_context_encoder",
    )
}
CASES |= {n: (full_variant(n), 64, 32, LAST) for n in ("strided_center", "strided_center_code")}
CASES |= {
    name: (_small(name), 16, 8, LAST)
    for name in (
        *("attention_unet", "attention_unet_code", "attention_unet_no_dilation"),
        "attention_unet_l1_only",
    )
}
CASES |= {
    "staged before its transition": (full_variant("staged"), 32, 16, 0),
    "localizer in an odd step": (full_variant("localizer"), 32, 16, 0),
    "binary, the discriminator first": (
        _changed("binary", update_order="discriminator_first"), 32, 16, LAST,
    ),
    "ratio, the generator first": (
        _changed("context_encoder_ratio_100", update_order="generator_first"), 32, 16, LAST,
    ),
    "random labels": (_changed("binary", "binary", **RANDOM), 32, 16, LAST),
    "random labels of patches": (_changed("strided_center_code", "patch", **RANDOM), 64, 32, LAST),
    "random labels of a localizer": (_changed("localizer", "localizer", **RANDOM), 32, 16, LAST),
    "one-sided labels": (_changed("localizer", "localizer", smoothing="one_sided"), 32, 16, LAST),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("context_encoder", "locpaint_autoencoder", "strided_context_encoder"):
        monkeypatch.setattr(f"models.generators.{name}.LATENT_CHANNELS", LATENT)


@pytest.mark.parametrize("case", CASES)
def test_step_is_that_of_the_sources(case: str) -> None:
    variant, image_px, hole_px, step = CASES[case]
    gan, single = _gan(variant, image_px, hole_px), random_batch(4, image_px, hole_px)
    batch = Batch(single.image.double(), single.mask.double(), single.corner, hole_px)
    weights = {
        name: [p.detach().clone().requires_grad_() for p in trained.network.parameters()]
        for name, trained in gan.networks.items()
    }
    losses, after = _reference_step(variant, weights, batch, step)
    found = training_step(gan, batch, step, STEPS)
    # The U-Net's matrices of bilinear weights, and labels that are drawn, are float32.
    room = 1e-6 if "attention" in case or "random" in case else 1e-10
    assert found.keys() == losses.keys()
    for name, value in losses.items():
        assert float(found[name]) == pytest.approx(value.item(), rel=room, abs=1e-12), name
    for name, trained in gan.networks.items():
        rate = trained.optimizer.param_groups[0]["lr"]
        for ours, expected in zip(trained.network.parameters(), after[name], strict=True):
            # Most updates are the whole rate; where a gradient is near 0, rounding decides its sign.
            share = 1e-6 if room < 1e-6 else 0.1
            torch.testing.assert_close(ours, expected, rtol=0, atol=share * rate)
    moved = {n for n in after if not torch.equal(after[n][0], weights[n][0])}
    assert moved == {key.rsplit("/", 1)[0] for key in losses if "gradient" not in key}
