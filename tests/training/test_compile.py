"""`training.compile`: the same step, its networks compiled; evaluation stays as it is."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from benchmark.core.device import Engine, open_device
from benchmark.training.gan import GAN, build_gan
from benchmark.training.step import training_step
from tests.support.tiny import cpu_engine, find_generator, random_batch, tiny_suite, tiny_variant

# The compiler looks at the gradient of whatever it is given.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")

CPU = torch.device("cpu")
NAMES = (
    *("staged", "attention_unet"),
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("l2", "localizer_script")),
)
"""One with two kinds of discriminators, one that clips, one without them, one with dropout."""


@pytest.fixture(autouse=True)
def _tiny_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("benchmark.training.gan.generator_class", find_generator)
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trace forward and backward passes, but leave out C++ and Triton; return the modes."""
    modes: list[str] = []
    compile_as = torch.compile

    def traced(forward: Callable[..., Any], mode: str, dynamic: bool) -> Any:
        modes.append(mode)
        return compile_as(forward, backend="aot_eager", dynamic=dynamic)

    monkeypatch.setattr(torch, "compile", traced)
    return modes


def _steps(engine: Engine, name: str) -> tuple[GAN, dict[str, Tensor]]:
    gan = build_gan(tiny_suite(), tiny_variant(name), 0, engine)
    gan.train(True)
    losses: dict[str, Tensor] = {}
    for step in (0, 28, 29):  # before and after discriminators that start later; odd and even
        losses |= training_step(gan, random_batch(4), step, 30)
    return gan, losses


@pytest.mark.parametrize("name", NAMES)
def test_compiled_step_is_the_plain_one(name: str, compilations: list[str]) -> None:
    (plain, expected), (compiled, found) = (
        _steps(Engine(CPU, compile=mode), name) for mode in (None, "default")
    )
    assert found.keys() == expected.keys()
    before, after = plain.tensors(), compiled.tensors()
    assert after.keys() == before.keys()
    for key in before:
        torch.testing.assert_close(after[key], before[key], rtol=1e-3, atol=1e-4, msg=key)
    assert len(compilations) == 1 + len(tiny_variant(name).discriminators)


def test_compiled_step_is_the_plain_one_in_bfloat16(compilations: list[str]) -> None:
    expected, found = (
        _steps(Engine(CPU, "bf16-mixed", mode), "staged")[1] for mode in (None, "default")
    )
    for key, value in expected.items():
        assert value.dtype == found[key].dtype == torch.float32
        torch.testing.assert_close(found[key], value, rtol=1e-2, atol=1e-2, msg=key)


def test_evaluation_is_not_compiled(compilations: list[str]) -> None:
    gan = build_gan(tiny_suite(), tiny_variant("l2"), 0, Engine(CPU, compile="default"))
    gan.train(False)
    plain = build_gan(tiny_suite(), tiny_variant("l2"), 0, cpu_engine())
    plain.train(False)
    batch = random_batch(4)
    assert torch.equal(gan.inpainter(batch), plain.inpainter(batch))
    assert compilations == []


def test_graphs_are_told_when_a_step_begins(
    compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[None] = []
    note = partial(begun.append, None)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", note)
    _steps(Engine(CPU, compile="reduce-overhead"), "l2")
    assert (compilations, len(begun)) == (["reduce-overhead"], 3)
    _steps(cpu_engine(), "l2")
    assert len(begun) == 3


@pytest.mark.parametrize("deterministic", [True, False])
def test_compiler_is_told_to_be_deterministic(deterministic: bool) -> None:
    from torch._inductor import config

    training = tiny_suite({"compile": "default", "deterministic": deterministic}).training
    try:
        engine = open_device(training, "cpu")
        assert config.deterministic is deterministic
    finally:
        torch.use_deterministic_algorithms(False)
    assert engine.compile == "default"
    assert open_device(tiny_suite({"deterministic": False}).training, "cpu").compile is None


def test_portable_suite_cannot_be_compiled() -> None:
    with pytest.raises(ValidationError, match="portable: the compiler makes code for one machine"):
        tiny_suite({"compile": "default", "portable": True})


@pytest.mark.slow
def test_step_of_the_compiler_of_the_cpu_is_the_plain_one() -> None:
    expected, found = (
        _steps(Engine(CPU, compile=mode), "staged")[1] for mode in (None, "reduce-overhead")
    )
    assert found.keys() == expected.keys()
    # Losses in another order of additions. Weights would not do: Adam makes a full step of the
    # gradient of a bias before a batch norm, which is rounding alone.
    for key in [key for key in found if not key.endswith("accuracy")]:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-2, atol=1e-3, msg=key)
