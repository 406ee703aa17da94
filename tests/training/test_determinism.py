"""With `deterministic: true` nothing in a training step has an order that a GPU chooses."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.core.device import open_device
from benchmark.core.paths import Run
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from benchmark.training.gan import GAN, build_gan
from benchmark.training.step import training_step
from models.batch import Batch
from tests.support.promises import tally
from tests.support.tiny import (
    cpu_engine,
    files_below,
    full_variant,
    isolate,
    one_of_each_kind,
    only_operations,
    random_batch,
    tiny_suite,
    tiny_variant,
)

pytestmark = pytest.mark.promise("gpu")

# The operations that `torch.use_deterministic_algorithms` documents to have no deterministic form
# on CUDA, by their names in ATen, and the attention kernels whose backward pass adds atomically.
WITHOUT_DETERMINISTIC_FORM = {
    "avg_pool3d_backward",
    "_adaptive_avg_pool2d_backward",
    "_adaptive_avg_pool3d_backward",
    "adaptive_max_pool2d_backward",
    "fractional_max_pool2d_backward",
    "fractional_max_pool3d_backward",
    "max_unpool2d",
    "max_unpool3d",
    "upsample_linear1d_backward",
    "upsample_bilinear2d_backward",
    "upsample_bicubic2d_backward",
    "upsample_trilinear3d_backward",
    "_upsample_bilinear2d_aa_backward",
    "_upsample_bicubic2d_aa_backward",
    "reflection_pad1d_backward",
    "reflection_pad2d_backward",
    "reflection_pad3d_backward",
    "nll_loss_forward",
    "nll_loss2d_forward",
    "_ctc_loss_backward",
    "_embedding_bag_dense_backward",
    "put_",
    "histc",
    "bincount",
    "median",
    "kthvalue",
    "grid_sampler_2d_backward",
    "grid_sampler_3d_backward",
    "scatter_reduce",
    "_scaled_dot_product_flash_attention_backward",
    "_scaled_dot_product_efficient_attention_backward",
    "_scaled_dot_product_cudnn_attention_backward",
    # Random numbers of a device are a state, and not the same ones on another device.
    "bernoulli_",
    "native_dropout",
    "normal_",
    "rand",
    "randn",
    "uniform_",
}


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the names of all operations, those of backward passes included."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def _small_gan(name: str, monkeypatch: pytest.MonkeyPatch) -> GAN:
    """Return a variant's networks for 64 px, narrow where width changes no operation."""
    only_operations(monkeypatch)
    suite = tiny_suite(image_size=64, mask={"kind": "random_square", "size": 32})
    gan = build_gan(suite, full_variant(name), 0, cpu_engine())
    gan.train(True)
    return gan


@pytest.mark.parametrize("name", one_of_each_kind())
def test_every_operation_of_a_step_has_a_deterministic_form(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan, batch = _small_gan(name, monkeypatch), random_batch(2, 64, 32)
    with Operations() as found:
        # The last step: all schedules have begun, and all discriminators are updated.
        losses = training_step(gan, batch, 29, 30)
    assert all(any(role in key for key in losses) for role in gan.discriminators)
    assert {"convolution_backward", "_fused_adam_"} <= found.names
    assert found.names & WITHOUT_DETERMINISTIC_FORM == set()
    tally("variants whose operations were looked up")


@pytest.mark.parametrize(
    "layer",
    [
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.ReflectionPad2d(1),
        nn.AdaptiveAvgPool2d(2),
        nn.Dropout(),
    ],
)
def test_operation_without_a_deterministic_form_is_found(layer: nn.Module) -> None:
    images = torch.zeros(1, 1, 4, 4, requires_grad=True)
    with Operations() as found:
        layer(images).sum().backward()
    assert found.names & WITHOUT_DETERMINISTIC_FORM


@pytest.mark.parametrize("deterministic", [True, False])
def test_suite_decides_whether_algorithms_are_deterministic(
    deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", deterministic)  # the other way
    try:
        open_device(tiny_suite({"deterministic": deterministic}).training, "cpu")
        assert torch.are_deterministic_algorithms_enabled() is deterministic
        # One of the two values that cuBLAS documents to give the same bits each time.
        found = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
        assert (found in (":4096:8", ":16:8")) is deterministic
        assert torch.backends.cudnn.benchmark is not deterministic
    finally:
        torch.use_deterministic_algorithms(False)


# On a GPU


def _on(device: torch.device, batch: Batch) -> Batch:
    image, mask, corner = (t.to(device) for t in (batch.image, batch.mask, batch.corner))
    return Batch(image, mask, corner, batch.hole_size)


@pytest.fixture
def train_on_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, bytes]]:
    """Return a function that trains a tiny run in a new folder and returns all that it wrote."""

    def train(folder: str, variant: str, device: str = "cuda") -> dict[str, bytes]:
        isolate(monkeypatch, tmp_path / folder)
        split_suite(tiny_suite())
        run = Run("tiny", variant, 0)
        try:
            train_run(tiny_suite(), tiny_variant(variant), run, device)
        finally:
            torch.use_deterministic_algorithms(False)
        return files_below(run.checkpoints) | {"curves": run.curves.read_bytes()}

    return train


@pytest.mark.gpu
@pytest.mark.parametrize("variant", ["l2", "localizer", "staged", "attention_unet_code"])
def test_same_run_gives_the_same_bytes_on_a_gpu(
    variant: str, train_on_gpu: Callable[..., dict[str, bytes]]
) -> None:
    first = train_on_gpu("first", variant)
    torch.cuda.empty_cache()  # so that the memory of the second run lies elsewhere
    assert train_on_gpu("second", variant) == first


@pytest.mark.gpu
@pytest.mark.parametrize("name", one_of_each_kind())
def test_networks_of_a_variant_step_to_the_same_bits_on_a_gpu(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Our draws of 71 million weights take half a minute, and any weights serve here.
    monkeypatch.setattr("benchmark.training.gan.initialize", lambda *_: None)
    suite = tiny_suite(image_size=64, mask={"kind": "random_square", "size": 32})
    try:
        engine = open_device(suite.training, "cuda")
        gan = build_gan(suite, full_variant(name), 0, engine)
        gan.train(True)
        batch = _on(engine.device, random_batch(8, 64, 32))
        initial = {key: value.clone() for key, value in gan.tensors().items()}

        def stepped() -> dict[str, Tensor]:
            gan.restore(initial)
            for step in (27, 28):
                training_step(gan, batch, step, 30)
            return {key: value.clone() for key, value in gan.tensors().items()}

        first, second = stepped(), stepped()
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["l2", "localizer", "context_encoder", "attention_unet"])
def test_initial_weights_are_those_of_the_cpu(name: str) -> None:
    suite = tiny_suite(image_size=64, mask={"kind": "random_square", "size": 32})
    try:
        there = build_gan(suite, full_variant(name), 0, open_device(suite.training, "cuda"))
    finally:
        torch.use_deterministic_algorithms(False)
    here = build_gan(suite, full_variant(name), 0, cpu_engine())
    expected = here.weights()
    assert all(torch.equal(value.cpu(), expected[key]) for key, value in there.weights().items())
