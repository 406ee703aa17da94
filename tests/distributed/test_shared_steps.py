"""Processes that share a batch do what one does that has all of it."""

from functools import partial
from itertools import product
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.distributed.group import any_of, check_sameness, from_first
from benchmark.training.batches import ImageFeed, training_batches
from benchmark.training.gan import build_gan
from benchmark.training.step import training_step
from data.errors import InputError
from models.batch import Batch
from models.replicas import (
    Part,
    SynchronizedBatchNorm2d,
    everyones,
    own_part,
    rank,
    synchronize_norms,
    together,
    total,
)
from models.variant import Variant
from tests.support.promises import tally
from tests.support.tiny import (
    cpu_engine,
    find_generator,
    full_variant,
    numbers,
    one_of_each_kind,
    random_batch,
    tiny_suite,
    tiny_variant,
)
from tests.support.together import run_together

IMAGES = 7
"""No multiple of the number of processes, as the last batch of an epoch may be."""
FIRST, END = 28, 30
"""Steps near the end, when all discriminators of a schedule take part."""
SOME = ("staged", "attention_unet_code", "attention_unet_skip", "strided_random", "context_encoder")
"""Two discriminators; maxima over the batch; a step that is skipped; labels and values drawn."""


def part_of(batch: Batch, part: Part) -> Batch:
    rows = slice(part.first, part.first + part.count)
    return Batch(batch.image[rows], batch.mask[rows], batch.corner[rows], batch.hole_size, part)


def losses_of_steps(variants: list[Variant], steps: int = 1) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {}
    with patch("benchmark.training.gan.generator_class", find_generator):
        for variant in variants:
            suite = tiny_suite(image_size=64, mask={"kind": "random_square", "size": 32})
            gan = build_gan(suite, variant, 0, cpu_engine())
            gan.train(True)
            found[variant.name] = []
            for step in range(FIRST, FIRST + steps):
                batch = random_batch(IMAGES, 64, 32, seed=step)
                if together():
                    batch = part_of(batch, own_part(IMAGES))
                losses = training_step(gan, batch, step, END)
                found[variant.name].append({n: float(value) for n, value in losses.items()})
    return found


def check_losses(variants: list[Variant], count: int) -> None:
    alone = losses_of_steps(variants, steps=2)
    for shared in run_together(partial(losses_of_steps, variants, steps=2), count):
        for variant in variants:
            pairs = zip(alone[variant.name], shared[variant.name], strict=True)
            # The second step sees the weights after the first one, of which Adam moves each by the
            # sign of its gradient: where that is all but zero, rounding decides.
            for tolerance, (expected, found) in zip((1e-4, 5e-3), pairs, strict=True):
                assert found == pytest.approx(expected, rel=tolerance, abs=1e-6), variant.name
                tally("losses compared", len(expected))


@pytest.mark.promise("shared")
def test_losses_of_two_processes_are_those_of_one() -> None:
    check_losses([tiny_variant(name) for name in SOME], 2)


@pytest.mark.slow
@pytest.mark.promise("shared")
@pytest.mark.parametrize("count", [2, 4])
def test_losses_of_every_variant_are_those_of_one(count: int) -> None:
    check_losses([tiny_variant(name) for name in one_of_each_kind()], count)


@pytest.mark.slow
def test_losses_with_the_generators_of_the_sources_are_those_of_one() -> None:
    check_losses([full_variant(name) for name in ("l2", "context_encoder_l2")], 2)


def norms() -> list[Tensor]:
    """Return what batch norm makes of a batch twice, its gradients and its running statistics."""
    layer = nn.BatchNorm2d(3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
        layer.bias.copy_(torch.tensor([0.1, 0.0, -3.0]))
    images = 5 * numbers()(IMAGES, 3, 4, 4) + 20  # a mean far from zero, where digits are lost
    wanted = numbers(1)(IMAGES, 3, 4, 4)
    part = own_part(IMAGES)
    if together():
        synchronize_norms(layer)
        rows = slice(part.first, part.first + part.count)
        images, wanted = images[rows], wanted[rows]
    images.requires_grad_(True)
    output = layer(images)
    loss = part.share * (output - wanted).square().mean()
    torch.autograd.backward(loss)
    assert images.grad is not None and layer.weight.grad is not None
    assert layer.bias.grad is not None
    layer(2 * images)
    layer.train(False)
    state = [value.float() for value in layer.state_dict().values()]
    whole = [total(layer.weight.grad), total(layer.bias.grad), *state]
    return [output.detach(), images.grad, layer(images).detach(), *whole]


@pytest.mark.promise("shared")
def test_batch_norm_of_two_processes_is_that_of_one() -> None:
    first, second = run_together(norms, 2)
    for index, expected in enumerate(norms()):
        found = torch.cat([first[index], second[index]]) if index < 3 else first[index]
        # float32 of values near 20, of which the variance is taken.
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def agreements() -> list[object]:
    number = rank()
    values = torch.tensor([1.0 + number, 5.0 - number], requires_grad=True)
    largest = everyones(values).max(0).values  # of (1, 5) and (2, 4)
    torch.autograd.backward((1 + number) * largest.sum())
    found: list[object] = [largest.tolist(), [] if values.grad is None else values.grad.tolist()]
    found += [any_of(False), any_of(number == 1)]
    found.append(from_first(b"of the first" if number == 0 else None))
    try:
        check_sameness({"images": "equal", "code": f"version {number}"})
    except InputError as error:
        found.append(str(error))
    return found


@pytest.mark.promise("shared")
def test_processes_agree_by_hand() -> None:
    line = "process 1 of 2 has another code than process 0; give all machines the same checkout"
    # The losses of the two weigh the maxima 1 and 2 times: 3 for whoever has one.
    for found, gradient in zip(run_together(agreements, 2), ([0, 3], [3, 0]), strict=True):
        assert found[:-1] == [[2, 5], gradient, False, True, b"of the first"]
        assert str(found[-1]).startswith(line)


@pytest.mark.promise("shared")
@pytest.mark.parametrize(("processes", "drop_last"), [*product([2, 3, 5], [True, False])])
def test_parts_of_batches_are_the_batches_of_one_process(
    processes: int, drop_last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = tiny_suite({"batch_size": 30, "drop_last": drop_last})
    images = np.random.default_rng(0).integers(0, 256, (48, 32, 32, 3), dtype=np.uint8)
    feed = ImageFeed(images, torch.device("cpu"))
    alone = list(training_batches(suite, 0, 1, 0, feed))
    monkeypatch.setattr("models.replicas.processes", lambda: processes)
    parts = []
    for number in range(processes):
        monkeypatch.setattr("models.replicas.rank", lambda number=number: number)
        parts.append(list(training_batches(suite, 0, 1, 0, feed)))
    assert len(alone) == (1 if drop_last else 2)
    for batch, *shared in zip(alone, *parts, strict=True):
        for field in ("image", "mask", "corner"):
            whole = torch.cat([getattr(part, field) for part in shared])
            assert torch.equal(whole, getattr(batch, field))
        assert sum(part.share for part in shared) == pytest.approx(1)
        assert {part.images for part in shared} == {len(batch.image)}


def test_a_kind_of_norm_that_cannot_be_shared_is_refused() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.BatchNorm1d(12))
    with pytest.raises(ValueError, match="2: BatchNorm1d cannot be shared"):
        synchronize_norms(network)
    assert isinstance(network[0], SynchronizedBatchNorm2d)


def test_a_variant_with_such_a_norm_is_refused_in_a_line() -> None:
    unknown = ValueError("norm: BatchNorm1d cannot be shared by processes")
    with (
        patch("benchmark.training.gan.generator_class", find_generator),
        patch("benchmark.training.gan.together", return_value=True),
        patch("benchmark.training.gan.synchronize_norms", side_effect=unknown),
        pytest.raises(InputError, match=r"^generator \w+: norm: .* on one device$"),
    ):
        build_gan(tiny_suite(), tiny_variant("l2"), 0, cpu_engine())
