"""Training on a device that is not the CPU, without one: nothing stays behind, nothing waits."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import benchmark.training.step as step_module
from benchmark.core.device import Engine
from benchmark.core.paths import Run
from benchmark.pipeline.train import train_run
from benchmark.training.batches import ImageFeed, training_batches
from benchmark.training.gan import GAN, build_gan
from benchmark.training.step import loss_names, training_step
from models.losses import accuracy
from tests.support.meta import META, allow_fused_adam, zeros_on_the_host
from tests.support.tiny import (
    HOLE_PX,
    full_variant,
    one_of_each_kind,
    only_operations,
    tiny_suite,
    tiny_variant,
)

pytestmark = pytest.mark.promise("gpu")
SUITE = tiny_suite({"batch_size": 2}, image_size=64, mask={"kind": "random_square", "size": 32})
TOTAL_STEPS = 30


@pytest.fixture(autouse=True)
def _narrow_and_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    only_operations(monkeypatch)
    allow_fused_adam(monkeypatch)


def _gan(name: str) -> GAN:
    gan = build_gan(SUITE, full_variant(name), 0, Engine(META))
    gan.train(True)
    return gan


def _step(gan: GAN, *steps: int) -> dict[str, Tensor]:
    """Do steps on the first batches of an epoch, as the train stage does."""
    feed = ImageFeed(np.zeros((8, 64, 64, 3), np.uint8), META)
    losses: dict[str, Tensor] = {}
    for step, batch in zip(steps, training_batches(SUITE, 0, 0, 0, feed), strict=False):
        losses |= training_step(gan, batch, step, TOTAL_STEPS)
    return losses


@pytest.mark.parametrize("name", one_of_each_kind())
def test_step_of_every_variant_stays_on_the_device_and_does_not_wait(name: str) -> None:
    gan = _gan(name)
    # Before and after the optimizers have a state and the schedules have begun; odd and even.
    losses = _step(gan, 0, 28, 29)
    assert losses.keys() == set(loss_names(gan.variant))
    assert {value.device for value in losses.values()} == {META}
    after = gan.tensors()
    counts = [key for key in after if key.endswith("recent/count")]
    assert {after[key].device for key in after.keys() - {*counts}} == {META}


def _waits(*arguments: Tensor) -> Tensor:
    share = accuracy(*arguments)  # type: ignore[arg-type]
    share.item()
    return share


def _stays_behind(*arguments: Tensor) -> Tensor:
    share = accuracy(*arguments)  # type: ignore[arg-type]
    return share + torch.zeros(1)


@pytest.mark.parametrize("fault", [_waits, _stays_behind])
def test_fault_in_a_step_is_found(
    fault: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_module, "accuracy", fault)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        _step(_gan("binary"), 0)


def test_images_that_are_not_resident_come_to_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.training.batches.RESIDENT_BYTES", 0)
    assert _step(_gan("l2"), 0, 1)


@pytest.mark.parametrize("name", ["l2", "staged", "attention_unet_code"])
@pytest.mark.usefixtures("tiny_checkout")
def test_train_stage_runs_on_the_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("tiny", name, 0)
    try:
        with zeros_on_the_host(HOLE_PX):
            train_run(tiny_suite({"epochs": 1}), tiny_variant(name), run, "meta")
    finally:
        torch.use_deterministic_algorithms(False)
    assert run.curves.is_file()
