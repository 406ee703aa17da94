"""Weights and batches -> training steps of each system, computed by another route in float64.

The networks are lists of layers as the sources give them, run by `torch.nn.functional`; holes are
slices; losses and Adam are written out. Only gradients are PyTorch's.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
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
from models.variant import DiscriminatorSpec, NetworkSpec, Variant
from tests.support.tiny import cpu_engine, full_variant, random_batch, tiny_suite

LATENT = 24
"""Instead of 4000 channels, which would only take time."""
STEPS = 31
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
    """G2, whose output has 32 px and is resized to the image."""
    down = "c 11 4 5, bn, relu, c 5 2 2, bn, relu" + 4 * ", c 3 2 1, bn, relu" + ", c 1 1 0"
    up = "c 1 1 0, relu, " + 4 * f"{UP}, " + "t 4 2 1, tanh"
    return _resized(_run(f"{down}, {up}", masked, weights), masked.shape[-1], align_corners=False)


def _resized(x: Tensor, size: int, *, align_corners: bool) -> Tensor:
    """Resize bilinearly, by weights in float32, as which the product stores them."""
    one_hot = torch.eye(x.shape[-1], dtype=torch.float64)[None]
    along = interpolate(one_hot, size=size, mode="linear", align_corners=align_corners)[0]
    along = along.float().double()
    return along.T @ x @ along


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
        return _resized(x, 2 * x.shape[-1], align_corners=True)

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


class _Trained:
    """The weights of a network, and what Adam keeps of its gradients."""

    def __init__(self, network: nn.Module) -> None:
        self.weights = [p.detach().clone().requires_grad_() for p in network.parameters()]
        self.first = self.second = [torch.zeros_like(weight) for weight in self.weights]
        self.gradients: Weights = []
        """Those of the latest update, clipped."""
        self.updates = 0

    def update(self, spec: NetworkSpec, gradients: Sequence[Tensor]) -> None:
        """Clip gradients and do an update of Adam (Kingma and Ba 2015)."""
        norm = math.sqrt(sum((g**2).sum().item() for g in gradients))
        scale = min(1.0, (spec.clip_norm or math.inf) / (norm + 1e-6))
        lr, (b1, b2) = spec.optimizer.lr, spec.optimizer.betas
        self.gradients, self.updates = [scale * g for g in gradients], self.updates + 1
        each, t = self.gradients, self.updates
        self.first = [b1 * m + (1 - b1) * g for m, g in zip(self.first, each, strict=True)]
        self.second = [b2 * v + (1 - b2) * g**2 for v, g in zip(self.second, each, strict=True)]
        moments = zip(self.weights, self.first, self.second, strict=True)
        self.weights = [
            (w.detach() - lr * (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + 1e-8))
            .requires_grad_()
            for w, m, v in moments
        ]  # fmt: skip


def _reference_step(
    variant: Variant, networks: dict[str, _Trained], batch: Batch, step: int
) -> Losses:
    progress, losses = step / STEPS, Losses()
    active = {n: d for n, d in variant.discriminators.items() if progress >= d.start}
    raw = _generate(variant, batch, networks["generator"].weights)
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
                answer = _judge(spec.network, seen, networks[f"discriminator/{role}"].weights)
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
        generator = networks["generator"]
        generator.update(variant.generator, torch.autograd.grad(total, generator.weights))

    def update_discriminators() -> None:
        for role, spec in active.items():
            if (step + 1) % spec.update_every:
                continue
            key = f"discriminator/{role}"
            images = (batch.image, batch.image), (raw.detach(), completed.detach())
            real, fake = (
                _judge(spec.network, _shown(spec.input, *pair, batch), networks[key].weights)
                for pair in images
            )
            found = _judging(spec, batch, real, fake, _drawn_labels(spec, role, step, len(raw)))
            losses.update({f"{key}/{name}": value for name, value in found.items()})
            total = found["real"] + found["fake"]
            networks[key].update(spec, torch.autograd.grad(total, networks[key].weights))

    updates = [update_discriminators, update_generator]
    for update in updates[:: -1 if variant.update_order == "generator_first" else 1]:
        update()
    return losses


def _drawn_labels(spec: DiscriminatorSpec, role: str, step: int, count: int) -> Tensor | None:
    """Return labels of ones and zeros, `[2, N]`, whose draws and type are the product's."""
    if spec.smoothing != "random":
        return None
    draws = StepDraws(0, "label", f"discriminator/{role}")
    draws.begin_step(step)
    ones, zeros = (spec.label_smoothing * draws((2, count))).float()
    return torch.stack([1 - ones, zeros]).double()


# The comparison


def _gan(variant: Variant, image_px: int, hole_px: int) -> GAN:
    suite = tiny_suite(image_size=image_px, mask={"kind": "random_square", "size": hole_px})
    gan = build_gan(suite, variant, 0, cpu_engine())
    for trained in gan.networks.values():
        for name, parameter in trained.network.double().named_parameters():
            if name == "attention.gain.factor":
                parameter.data.fill_(0.5)  # at its start, 0, queries and keys have no gradient
            if name == "box.2.bias":
                parameter.data.copy_(torch.tensor([-1.0, -1.0, 1.0, 1.0]))  # no box is empty
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
LAST = 29
"""All networks are updated in it, and none is without the terms of its schedule."""
CASES: dict[str, tuple[Variant, int, int, int]] = {
    name: (full_variant(name), 32, 16, LAST)
    for name in (
        *("binary", "localizer", "localizer_raw", "staged"),
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
    "l2, resized": (full_variant("l2"), 64, 32, LAST),
    "staged before its transition": (full_variant("staged"), 32, 16, 0),
    "localizer in an odd step": (full_variant("localizer"), 32, 16, 0),
    "celeba, the discriminator first": (
        _changed("celeba_context_encoder", update_order="discriminator_first"), 32, 16, LAST,
    ),
    "ratio, the generator first": (
        _changed("context_encoder_ratio_100", update_order="generator_first"), 32, 16, LAST,
    ),
    "random labels": (_changed("celeba_context_encoder", "binary", **RANDOM), 32, 16, LAST),
    "random labels of patches": (_changed("strided_center_code", "patch", **RANDOM), 64, 32, LAST),
    "random labels of a localizer": (_changed("localizer", "localizer", **RANDOM), 32, 16, LAST),
    "one-sided labels": (_changed("localizer", "localizer", smoothing="one_sided"), 32, 16, LAST),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)  # PyTorch draws the weights, which takes less time
    monkeypatch.setattr("benchmark.training.gan.initialize", lambda *_: None)
    for name in ("context_encoder", "locpaint_autoencoder", "strided_context_encoder"):
        monkeypatch.setattr(f"models.generators.{name}.LATENT_CHANNELS", LATENT)


@pytest.mark.parametrize("case", CASES)
def test_step_is_that_of_the_sources(case: str) -> None:
    variant, image_px, hole_px, step = CASES[case]
    gan = _gan(variant, image_px, hole_px)
    networks = {name: _Trained(trained.network) for name, trained in gan.networks.items()}
    # A second update shows what Adam keeps; of the large networks it would take long.
    large = variant.generator.network == "locpaint_autoencoder" or image_px == 64
    for each in range(step, step + (1 if large else 2)):
        single = random_batch(4, image_px, hole_px, seed=each)
        batch = Batch(single.image.double(), single.mask.double(), single.corner, hole_px)
        updates = {name: network.updates for name, network in networks.items()}
        losses = _reference_step(variant, networks, batch, each)
        found = training_step(gan, batch, each, STEPS)
        assert found.keys() == losses.keys()
        for name, value in losses.items():
            # Rounding is 1e-16 and grows to 1e-13; right answers are counted in float32.
            room = 1e-7 if name.endswith("/accuracy") else 1e-10
            assert found[name].item() == pytest.approx(value.item(), rel=room, abs=1e-12), name
        for name, trained in gan.networks.items():
            _compare(trained.network, networks[name], trained.optimizer.param_groups[0]["lr"])
        moved = {name for name, network in networks.items() if network.updates > updates[name]}
        assert moved == {key.rsplit("/", 1)[0] for key in losses if "gradient" not in key}


def _compare(network: nn.Module, expected: _Trained, lr: float) -> None:
    """Compare gradients, and weights.

    Adam divides gradients by their size plus 1e-8, so that one that is 0 but for rounding (of a
    bias before a batch norm), 1e-15, moves a weight by 1e-7 of the rate.
    """
    parameters = list(network.parameters())
    for ours, weight in zip(parameters, expected.weights, strict=True):
        assert ours.shape == weight.shape and ours.dtype == weight.dtype
        assert (ours - weight).abs().max() <= 3e-6 * lr  # a NaN is not
    if expected.updates == 0:
        assert all(ours.grad is None for ours in parameters)
        return
    room = 1e-9 * max(float(gradient.abs().max()) for gradient in expected.gradients)
    for ours, gradient in zip(parameters, expected.gradients, strict=True):
        assert ours.grad is not None and (ours.grad - gradient).abs().max() <= room
