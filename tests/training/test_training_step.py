"""The step that trains all networks: who is updated when, from which gradients, seeing what."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.core.device import Engine
from benchmark.training.batches import ImageFeed, make_batch, make_output, masks_from_boxes
from benchmark.training.gan import GAN, RecentAccuracy, build_gan
from benchmark.training.progress import LossMeter, Progress
from benchmark.training.rng import training_boxes
from benchmark.training.step import loss_names, training_step
from models.batch import Batch
from models.losses import DISCRIMINATOR_TERMS, GENERATOR_TERMS, Labels
from models.variant import SkipRule
from tests.support.tiny import (
    IMAGE_PX,
    cpu_engine,
    find_generator,
    numbers,
    random_batch,
    tiny_suite,
    tiny_variant,
)

TOTAL_STEPS = 30
NAMES = (
    *("l2", "binary", "localizer", "localizer_raw", "staged"),
    *("attention_unet", "attention_unet_code", "context_encoder"),
)


@pytest.fixture(autouse=True)
def _tiny_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.training.gan.generator_class", find_generator)


def _gan(name: str) -> GAN:
    gan = build_gan(tiny_suite(), tiny_variant(name), 0, cpu_engine())
    gan.train(True)
    return gan


def _step(gan: GAN, step: int, batch: Batch | None = None) -> dict[str, Tensor]:
    return training_step(gan, batch or random_batch(), step, TOTAL_STEPS)


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def _equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def _watch(network: nn.Module) -> list[tuple[Tensor, ...]]:
    """Return a list that grows by a network's arguments each time it is asked."""
    calls: list[tuple[Tensor, ...]] = []
    network.register_forward_pre_hook(lambda _, inputs: calls.append(inputs))
    return calls


def test_localizer_is_updated_every_second_step_and_the_generator_every_step() -> None:
    gan = _gan("localizer")
    localizer, generator = gan.discriminators["localizer"].network, gan.generator.network
    for step in range(4):
        before = _weights(localizer), _weights(generator)
        losses = _step(gan, step)
        due = step in (1, 3)  # the second and the fourth step, as in LocPaint's code
        assert _equal(before[0], _weights(localizer)) is not due
        assert ("discriminator/localizer/confidence" in losses) is due
        assert not _equal(before[1], _weights(generator))
        assert "generator/confidence" in losses


def test_discriminator_that_has_not_started_is_unchanged_and_not_asked() -> None:
    gan = _gan("staged")
    localizer = gan.discriminators["localizer"].network
    # With the buffers: a forward pass would move the running statistics of the batch norms.
    before = {name: value.clone() for name, value in localizer.state_dict().items()}
    calls = _watch(localizer)
    for step in (0, 1, 20):  # at 20 of 30 its terms have started, but it starts at 21
        losses = _step(gan, step)
        assert "generator/adversarial" in losses
        assert not any("localizer" in name or name == "generator/confidence" for name in losses)
    assert calls == []
    assert _equal(before, localizer.state_dict())
    assert gan.discriminators["localizer"].optimizer.state_dict()["state"] == {}
    losses = _step(gan, 21)
    assert {"generator/confidence", "discriminator/localizer/confidence"} <= losses.keys()
    assert len(calls) == 3
    assert not _equal(before, localizer.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_networks_are_asked_no_more_than_needed(name: str) -> None:
    gan = _gan(name)
    of_generator = _watch(gan.generator.network)
    calls = {role: _watch(trained.network) for role, trained in gan.discriminators.items()}
    _step(gan, 27)
    assert len(of_generator) == 1
    # Real and fake for its own update, fake again for the generator's.
    assert {role: len(inputs) for role, inputs in calls.items()} == dict.fromkeys(calls, 3)
    _step(gan, 28)
    assert len(of_generator) == 2
    for role, inputs in calls.items():
        assert len(inputs) == 3 + (1 if gan.variant.discriminators[role].update_every == 2 else 3)


def _loss_of_generator(gan: GAN, batch: Batch, judges: GAN, progress: float) -> Tensor:
    output = make_output(batch, gan.inpainter(batch))
    total = torch.zeros(())
    for name, term in gan.variant.generator.losses.items():
        prediction = None
        if term.discriminator is not None:
            spec = gan.variant.discriminators[term.discriminator]
            shown = spec.generator_input or spec.input
            seen = output.completed if shown == "completed" else output.raw
            if shown == "hole":
                seen = _slices(output.raw, batch)
            prediction = judges.discriminators[term.discriminator].network(seen)
        value = GENERATOR_TERMS[name](batch, output, prediction, **term.options)
        total = total + term.weight_at(progress) * value
    return total


def _clipped(gradients: Sequence[Tensor], limit: float | None) -> Sequence[Tensor]:
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    return gradients if limit is None or norm <= limit else [g * (limit / norm) for g in gradients]


@pytest.mark.parametrize("name", NAMES)
def test_gradient_of_the_generator_is_that_of_its_own_loss(name: str) -> None:
    batch, step = random_batch(), 27
    trained, fresh = _gan(name), _gan(name)
    _step(trained, step, batch)
    # The initial generator, judged by the discriminators as their updates have left them, or as
    # they were before.
    judges, others = trained, fresh
    if fresh.variant.update_order == "generator_first":
        judges, others = fresh, trained
    loss = _loss_of_generator(fresh, batch, judges, step / TOTAL_STEPS)
    parameters = dict(fresh.generator.network.named_parameters())
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    expected = _clipped(gradients, fresh.variant.generator.clip_norm)
    found = dict(trained.generator.network.named_parameters())
    # The parts of `staged` are added in another order. Relative to the largest gradient, since that
    # of a bias before a batch norm is rounding alone.
    # Clipping divides by the norm plus 1e-6.
    room = 2e-6 * max(float(gradient.abs().max()) for gradient in expected)
    for path, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(found[path].grad, gradient, rtol=0, atol=room)
    if name != "l2":
        wrong = _loss_of_generator(fresh, batch, others, step / TOTAL_STEPS)
        assert wrong != loss  # so the order of the updates shows in the comparison


@pytest.mark.parametrize("name", NAMES[1:])
def test_gradient_of_a_discriminator_is_that_of_its_own_loss(name: str) -> None:
    batch = random_batch()
    trained, fresh = _gan(name), _gan(name)
    _step(trained, 27, batch)
    with torch.no_grad():
        raw = fresh.inpainter(batch)
    completed = make_output(batch, raw).completed
    for role, spec in fresh.variant.discriminators.items():
        network = fresh.discriminators[role].network
        real, fake = batch.image, completed if spec.input == "completed" else raw
        if spec.input == "hole":
            real, fake = _slices(batch.image, batch), _slices(raw, batch)
        on_real, on_fake = network(real), network(fake)
        loss = torch.zeros(())
        smoothing = spec.label_smoothing
        labels = Labels(1 - smoothing, smoothing if spec.smoothing == "two_sided" else 0.0)
        for term, weight in spec.losses.items():
            parts = DISCRIMINATOR_TERMS[term](batch, on_real, on_fake, labels)
            loss = loss + weight * (parts.real + parts.fake)
        expected = _clipped(torch.autograd.grad(loss, list(network.parameters())), spec.clip_norm)
        found = trained.discriminators[role].network.parameters()
        room = 1e-6 * max(float(gradient.abs().max()) for gradient in expected)  # as above
        for parameter, gradient in zip(found, expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=room)
            assert parameter.requires_grad


def test_update_of_the_generator_leaves_no_gradient_in_a_discriminator() -> None:
    gan = _gan("localizer")
    losses = _step(gan, 2)  # the third step: only the generator is updated
    assert "generator/confidence" in losses
    localizer = gan.discriminators["localizer"].network
    assert all(p.grad is None and p.requires_grad for p in localizer.parameters())


@pytest.mark.parametrize("name", ["binary", "localizer"])
def test_gradients_of_two_steps_do_not_add_up(name: str) -> None:
    used, fresh, batch = _gan(name), _gan(name), random_batch(seed=2)
    initial = {name: value.clone() for name, value in fresh.tensors().items()}
    _step(used, 27, random_batch(seed=1))
    used.restore(initial)
    for gan in (used, fresh):
        _step(gan, 27, batch)
    pairs = [(used.generator, fresh.generator)]
    pairs += [
        (used.discriminators[role], fresh.discriminators[role]) for role in fresh.discriminators
    ]
    for first, second in pairs:
        for ours, expected in zip(
            first.network.parameters(), second.network.parameters(), strict=True
        ):
            assert ours.grad is not None
            assert expected.grad is not None
            assert torch.equal(ours.grad, expected.grad)


def _slices(images: Tensor, batch: Batch) -> Tensor:
    side = batch.hole_size
    return torch.stack(
        [
            image[:, y0 : y0 + side, x0 : x0 + side]
            for image, (x0, y0) in zip(images, batch.corner.tolist(), strict=True)
        ]
    )


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_scalars_without_history_under_known_names(name: str) -> None:
    gan = _gan(name)
    losses = _step(gan, 27)
    assert losses.keys() == set(loss_names(gan.variant))
    assert all(value.shape == () and not value.requires_grad for value in losses.values())
    terms = gan.variant.generator.losses
    total = sum(
        terms[n].weight_at(27 / 30) * losses[f"generator/{n}"] for n in terms if terms[n].weight
    )
    # Five float32 numbers, added in float32 here as well.
    assert float(losses["generator/total"]) == pytest.approx(float(total), rel=1e-6)
    weighted = sum(
        term.weight * losses[f"generator/{n}"]
        for n, term in terms.items()
        if term.discriminator is None
    )
    assert float(losses["generator/reconstruction"]) == pytest.approx(float(weighted), rel=1e-6)


class _NoWaiting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails on operations that bring a value, or a shape that depends on values, to the host."""

    forbidden = (
        torch.ops.aten._local_scalar_dense.default,
        torch.ops.aten.item.default,
        torch.ops.aten.is_nonzero.default,
        torch.ops.aten.equal.default,
        torch.ops.aten.nonzero.default,
        torch.ops.aten.masked_select.default,
        torch.ops.aten._unique2.default,
    )

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        assert func not in self.forbidden, f"{func} waits for the device"
        if func is torch.ops.aten.index.Tensor:
            masks = [i for i in args[1] if i is not None and i.dtype is torch.bool]
            assert not masks, "indexing by a mask waits for the device"
        return func(*args, **(kwargs or {}))


def _watch_for_waiting() -> _NoWaiting:
    return _NoWaiting()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "waiting",
    [
        lambda x: x.sum().item(),
        lambda x: float(x[0]),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
    ],
)
def test_the_watch_for_waiting_sees_it(waiting: Callable[[Tensor], Any]) -> None:
    with pytest.raises(AssertionError, match="waits for the device"), _watch_for_waiting():
        waiting(torch.ones(3))


@pytest.mark.promise("gpu")
def test_losses_are_collected_without_waiting() -> None:
    with _watch_for_waiting():
        LossMeter(Progress()).add(1, {"a": torch.tensor(float("nan")), "b": torch.tensor(1.0)})


@pytest.mark.promise("gpu")
@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_a_step_waits_for_the_device(name: str) -> None:
    gan, suite = _gan(name), tiny_suite()
    images = torch.randint(
        256, (8, IMAGE_PX, IMAGE_PX, 3), dtype=torch.uint8, generator=torch.Generator()
    )
    boxes = torch.from_numpy(training_boxes(0, 0, 8, suite.mask, IMAGE_PX))
    for step in (0, 28, 29):  # before and after the optimizers have a state; odd and even
        with _watch_for_waiting():
            _step(gan, step, make_batch(images, boxes, suite.mask.size))


def test_scene_of_packed_images() -> None:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(2, 8, 8, 3)
    boxes = torch.tensor([[1, 2, 4, 5], [5, 0, 8, 3]])
    batch = make_batch(images, boxes, 3)
    # Exactly -1 and 1 at the ends; 51/127.5 is .4, rounded once in float32.
    assert (batch.image[:, 0] == -1).all()
    assert (batch.image[:, 2] == 1).all()
    assert batch.image[0, 1, 0, 0].item() == pytest.approx(-0.6, abs=1e-7)
    for mask, (x0, y0, x1, y1) in zip(batch.mask, boxes.tolist(), strict=True):
        expected = torch.zeros(1, 8, 8)
        expected[:, y0:y1, x0:x1] = 1
        assert torch.equal(mask, expected)
    assert batch.corner.tolist() == [[1, 2], [5, 0]]
    assert torch.equal(masks_from_boxes(boxes, 8), batch.mask.bool())


def test_feed_gathers_rows_in_their_order() -> None:
    images = torch.arange(5 * 2 * 2 * 3, dtype=torch.uint8).reshape(5, 2, 2, 3)
    feed = ImageFeed(images.numpy(), torch.device("cpu"))
    assert torch.equal(feed(np.array([3, 0, 3]), torch.tensor([3, 0, 3])), images[[3, 0, 3]])


def test_composite_keeps_the_gradient_of_the_hole_alone() -> None:
    batch = random_batch(2)
    raw = numbers(3)(2, 3, IMAGE_PX, IMAGE_PX).requires_grad_()
    completed = make_output(batch, raw).completed
    (gradient,) = torch.autograd.grad(completed.sum(), raw)
    assert torch.equal(gradient, batch.mask.expand_as(raw))


def _patch_gan(**changes: Any) -> GAN:
    """Return the tiny generator against the patch discriminator of the attention U-Net."""
    variant = tiny_variant("attention_unet")
    spec = variant.discriminators["patch"].model_copy(update=changes)
    variant = variant.model_copy(update={"discriminators": {"patch": spec}})
    gan = build_gan(tiny_suite(), variant, 0, cpu_engine())
    gan.train(True)
    return gan


def _answer(gan: GAN, bias: float) -> None:
    """Make the patch discriminator say the same of all images: real for a positive bias."""
    last = list(gan.discriminators["patch"].network.parameters())[-2:]
    with torch.no_grad():
        last[0].zero_()
        last[1].fill_(bias)


def test_discriminator_is_skipped_while_its_recent_accuracy_is_above_the_limit() -> None:
    # One that says "real" of everything is right in half of the cases.
    rule = SkipRule(accuracy=0.5, window=2)
    gan = _patch_gan(skip_above=rule)
    trained = gan.discriminators["patch"]
    assert trained.recent is not None
    _answer(gan, 1.0)
    before = {name: value.clone() for name, value in trained.tensors().items()}
    _step(gan, 0)
    assert not _equal(_parameters(trained.tensors()), _parameters(before))  # .5 is not above .5
    # Two right answers of two in the past, so that the mean stays above the limit for one step.
    trained.recent.restore({"values": torch.tensor([1.0, 1.0]), "count": torch.tensor(2)})
    _answer(gan, 1.0)
    held = {name: value.clone() for name, value in trained.tensors().items()}
    generator = _weights(gan.generator.network)
    _step(gan, 1)  # the mean of 1 and .5
    after = {name: value.clone() for name, value in trained.tensors().items()}
    kept = [name for name in held if name.startswith("optimizer/")]
    assert kept
    assert all(torch.equal(after[name], held[name]) for name in kept)
    assert _equal(_parameters(after), _parameters(held))
    assert not _equal(_weights(gan.generator.network), generator)
    _step(gan, 2)  # .5 and .5
    assert not _equal(_parameters(trained.tensors()), _parameters(held))


def _parameters(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the parameters among a trained's tensors, without running statistics."""
    start = "network/"
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    return {
        name.removeprefix(start): value
        for name, value in tensors.items()
        if name.startswith(start) and not name.endswith(buffers)
    }


def test_recent_accuracy_is_the_mean_of_the_latest_updates() -> None:
    recent = RecentAccuracy(SkipRule(accuracy=0.8, window=3), torch.device("cpu"))
    shares = [1.0, 0.5, 0.95, 0.95, 0.55, 0.8]
    # Means: 1; .75; .8167; .8; .8167; .7667. At .8 it is rounding that decides, so it is left out.
    skipped = [recent.note(torch.tensor(share)).item() for share in shares]
    assert [skipped[i] for i in (0, 1, 2, 4, 5)] == [1, 0, 1, 1, 0]


def test_recent_accuracy_survives_a_restart() -> None:
    gan, fresh = _patch_gan(), _patch_gan()
    for step in range(3):
        _step(gan, step, random_batch(seed=step))
    fresh.restore({name: value.clone() for name, value in gan.tensors().items()})
    for each in (gan, fresh):
        _step(each, 3)
    assert gan.tensors().keys() == fresh.tensors().keys()
    assert _equal(gan.tensors(), fresh.tensors())


@pytest.mark.parametrize("limit", [1e-3, 1e6])
def test_gradients_are_clipped_to_the_norm(limit: float) -> None:
    plain, clipped = _patch_gan(clip_norm=None), _patch_gan(clip_norm=limit)
    for gan in (plain, clipped):
        _step(gan, 0)
    norms = [_norm(gan.discriminators["patch"].network) for gan in (plain, clipped)]
    assert norms[0] > 1e-2
    # PyTorch divides by the norm plus 1e-6, a thousandth of the smaller limit.
    assert norms[1] == pytest.approx(min(norms[0], limit), rel=2e-3)
    # The norm of the generator's gradient, in whose variant it is limited to 1.
    assert _norm(clipped.generator.network) == pytest.approx(1.0, rel=1e-4)


def _norm(network: nn.Module) -> float:
    gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    return float(torch.cat(gradients).norm())


def _dropping_gan() -> GAN:
    variant = tiny_variant("localizer")
    spec = variant.discriminators["localizer"]
    spec = spec.model_copy(update={"options": {**spec.options, "dropout": 0.5}})
    variant = variant.model_copy(update={"discriminators": {"localizer": spec}})
    gan = build_gan(tiny_suite(), variant, 0, cpu_engine())
    gan.train(True)
    return gan


def test_dropout_of_a_step_does_not_depend_on_the_steps_before() -> None:
    gan, fresh = _dropping_gan(), _dropping_gan()
    assert len(gan.draws) == 5  # after the last three halving layers, and in both heads
    for step in range(2):
        _step(gan, step, random_batch(seed=step))
    fresh.restore({name: value.clone() for name, value in gan.tensors().items()})
    torch.manual_seed(99)
    for each in (gan, fresh):
        _step(each, 3)
    assert _equal(gan.tensors(), fresh.tensors())
    without = _gan("localizer")
    _step(without, 1)
    assert not torch.equal(
        without.tensors()["discriminator/localizer/network/features.0.weight"],
        _stepped(_dropping_gan())["discriminator/localizer/network/features.0.weight"],
    )


def _stepped(gan: GAN) -> dict[str, Tensor]:
    _step(gan, 1)
    return gan.tensors()


@pytest.mark.promise("gpu")
@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_a_step_waits_for_the_gpu(name: str) -> None:
    suite, engine = tiny_suite(), Engine(torch.device("cuda", 0))
    gan = build_gan(suite, tiny_variant(name), 0, engine)
    gan.train(True)
    feed = ImageFeed(np.zeros((8, IMAGE_PX, IMAGE_PX, 3), np.uint8), engine.device)
    rows = torch.arange(8, device=engine.device)
    boxes = torch.from_numpy(training_boxes(0, 0, 8, suite.mask, IMAGE_PX)).to(engine.device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in (0, 28, 29):
            batch = make_batch(feed(np.arange(8), rows), boxes, suite.mask.size)
            training_step(gan, batch, step, TOTAL_STEPS)
    finally:
        torch.cuda.set_sync_debug_mode("default")
