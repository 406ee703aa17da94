"""Numbers that are no longer finite: where it is noticed, what is said, and what is kept."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.__main__ import main
from benchmark.core.paths import Run
from benchmark.pipeline.train import train_run
from benchmark.training.gan import GAN
from benchmark.training.progress import LossMeter, Progress, TrainingDivergedError
from benchmark.training.step import training_step
from models.variant import Variant
from tests.support.promises import tally
from tests.support.tiny import (
    STEPS_PER_EPOCH,
    files_below,
    tiny_suite,
    tiny_variant,
    train_tiny,
)

pytestmark = [pytest.mark.promise("divergence"), pytest.mark.usefixtures("tiny_checkout")]

RUN = Run("tiny", "l2", 0)
NAN, INFINITY = float("nan"), float("inf")


def _after_step(
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    change: Callable[[GAN, dict[str, Tensor]], None],
) -> list[int]:
    """Change networks or losses after the step of a number, from 1 on; return the steps done."""
    steps: list[int] = []

    def wrapped(gan: GAN, batch: Any, step: int, total: int) -> Any:
        losses = training_step(gan, batch, step, total)
        steps.append(step + 1)
        if step + 1 == number:
            change(gan, losses)
        return losses

    monkeypatch.setattr("benchmark.pipeline.train.training_step", wrapped)
    return steps


def _break_loss(name: str, value: float) -> Callable[[GAN, dict[str, Tensor]], None]:
    def change(_: GAN, losses: dict[str, Tensor]) -> None:
        losses[name] = torch.tensor(value)

    return change


def _break_gradient(gan: GAN, _: dict[str, Tensor]) -> None:
    """Do one more update of the generator, with an infinite gradient; all losses are finite."""
    weight = next(gan.generator.network.parameters())
    weight.grad = torch.full_like(weight, INFINITY)
    gan.generator.optimizer.step()


def _diverge(variant: str = "l2", **training: Any) -> str:
    with pytest.raises(TrainingDivergedError) as caught:
        train_tiny(variant, **training)
    tally("divergences stopped")
    return str(caught.value)


def _state() -> Any:
    (path,) = RUN.scratch.glob("*/state.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("number", "value"),
    [(1, NAN), (6, INFINITY), (7, -INFINITY), (10, NAN), (11, INFINITY), (18, -INFINITY)],
)
def test_loss_is_named_with_the_very_step_wherever_it_is_looked_at(
    number: int, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = _after_step(monkeypatch, number, _break_loss("generator/hole_mse", value))
    message = f"tiny/l2/seed0: the loss generator/hole_mse is {value} at step {number}; "
    assert _diverge() == message + "no state was saved before"
    # Looked at after 10 steps and at the end of an epoch of 6, so not far behind.
    assert steps[-1] == min(s for s in (6, 10, 12, 18) if s >= number)
    assert not RUN.checkpoints.exists() and not RUN.curves.exists()


def test_first_of_several_losses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(_: GAN, losses: dict[str, Tensor]) -> None:
        for name in ("generator/total", "generator/confidence"):
            losses[name] = torch.tensor(NAN)

    _after_step(monkeypatch, 2, change)
    assert "the loss generator/confidence is nan at step 2" in _diverge("localizer")


def test_discriminator_that_is_updated_now_and_then_is_seen_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "discriminator/localizer/confidence"
    _after_step(monkeypatch, 3, _break_loss(name, INFINITY))
    assert f"the loss {name} is inf at step 3" in _diverge("localizer")


def test_looking_waits_for_the_device_once_for_all_losses() -> None:
    progress = Progress()
    meter = LossMeter(progress)
    assert meter.look() == {}
    meter.add(1, {"a": torch.tensor(1.0), "b": torch.tensor(2.0)})
    meter.add(2, {"a": torch.tensor(3.0)})
    assert meter.look() == {"a": 3.0, "b": 2.0}
    assert meter.look() == {}
    assert (progress.sums, progress.counts) == ({"a": 4.0, "b": 2.0}, {"a": 2, "b": 1})
    meter.add(3, {"a": torch.tensor(1.0), "b": torch.tensor(NAN)})
    meter.add(4, {"a": torch.tensor(INFINITY)})
    with pytest.raises(TrainingDivergedError, match=r"^the loss b is nan at step 3$"):
        meter.look()


# What is kept


@pytest.mark.parametrize("number", [2, 6, 8, 12])
def test_broken_weights_never_become_the_state(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The losses of this step are finite: they were computed before.
    monkeypatch.setattr("benchmark.pipeline.train.SAVE_EVERY_S", -1.0)
    steps = _after_step(monkeypatch, number, _break_gradient)
    message = _diverge()
    (state,) = RUN.scratch.glob("*/state.json")
    assert f"NaN or infinity after step {number}; " in message
    assert message.startswith("tiny/l2/seed0: generator/")
    assert message.endswith(f"the state after step {number - 1} is kept in {state.parent}")
    assert steps[-1] == number
    assert _state()["progress"]["step"] == number - 1


def test_broken_weights_are_no_checkpoint_of_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    _after_step(monkeypatch, STEPS_PER_EPOCH, _break_gradient)
    validated: list[Any] = []
    monkeypatch.setattr("benchmark.pipeline.train.validate", lambda *_: validated.append(1))
    assert f"NaN or infinity after step {STEPS_PER_EPOCH}; no state" in _diverge()
    assert validated == []
    assert [*RUN.scratch.glob("*/epoch*")] == []


def test_broken_weights_show_in_the_losses_of_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _after_step(monkeypatch, 2, _break_gradient)
    assert "the loss generator/hole_mse is nan at step 3; no state was saved before" in _diverge()


def test_broken_state_of_the_optimizer_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(gan: GAN, _: dict[str, Tensor]) -> None:
        entry = next(iter(gan.generator.optimizer.state.values()))
        entry["exp_avg_sq"].flatten()[0] = INFINITY

    monkeypatch.setattr("benchmark.pipeline.train.SAVE_EVERY_S", -1.0)
    _after_step(monkeypatch, 4, change)
    assert "generator/optimizer/0/exp_avg_sq holds NaN or infinity after step 4; " in _diverge()
    assert _state()["progress"]["step"] == 3


def test_kept_state_goes_on_to_the_same_bytes_once_the_cause_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = files_below(train_tiny("l2").checkpoints)
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.pipeline.train.SAVE_EVERY_S", -1.0)
        _after_step(patch, 8, _break_gradient)
        _diverge()
    steps = _after_step(monkeypatch, 0, _break_gradient)
    assert files_below(train_tiny("l2").checkpoints) == expected
    assert steps == [*range(8, 19)]


# Real divergence


def _fast(lr: float) -> Variant:
    variant = tiny_variant("l2")
    optimizer = variant.generator.optimizer.model_copy(update={"lr": lr})
    generator = variant.generator.model_copy(update={"optimizer": optimizer})
    return variant.model_copy(update={"generator": generator})


def test_learning_rate_that_is_far_too_large_ends_in_one_line_and_again_in_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmark.core.config.load_suite", lambda _: tiny_suite())
    monkeypatch.setattr("benchmark.core.config.load_variant", lambda _: _fast(1e30))
    monkeypatch.setattr("benchmark.__main__.snapshot", dict)
    monkeypatch.setattr("benchmark.pipeline.train.SAVE_EVERY_S", -1.0)

    def fails() -> str:
        assert main(["train", "--suite", "tiny", "--variant", "l2", "--device", "cpu"]) == 1
        torch.use_deterministic_algorithms(False)
        lines = capsys.readouterr().err.splitlines()
        (line,) = (line for line in lines if line and "image/s" not in line)
        return line

    first = fails()
    state = files_below(RUN.scratch)
    assert first.startswith("error: tiny/l2/seed0: ")
    assert "; the state after step " in first
    tally("divergences stopped")
    assert fails() == first
    assert files_below(RUN.scratch) == state
    assert not RUN.checkpoints.exists()


def test_state_of_a_real_divergence_is_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file

    monkeypatch.setattr("benchmark.pipeline.train.SAVE_EVERY_S", -1.0)
    try:
        with pytest.raises(TrainingDivergedError):
            train_run(tiny_suite(), _fast(1e30), RUN, "cpu")
    finally:
        torch.use_deterministic_algorithms(False)
    (path,) = RUN.scratch.glob("*/step*.safetensors")
    assert all(bool(value.isfinite().all()) for value in load_file(path).values())
