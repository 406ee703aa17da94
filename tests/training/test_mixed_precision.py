"""`precision: bf16-mixed`: the forward passes of all variants in bfloat16, the rest in float32."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmark.core.device import Engine
from benchmark.training.gan import GAN, build_gan, build_networks
from benchmark.training.network_inputs import Inpainter
from benchmark.training.step import training_step
from models.batch import Batch
from models.layers import Dropout
from tests.support.tiny import (
    full_variant,
    one_of_each_kind,
    only_operations,
    random_batch,
    tiny_suite,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
SUITE = tiny_suite(image_size=64, mask={"kind": "random_square", "size": 32})


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    only_operations(monkeypatch)


def _stepped(name: str, precision: str) -> tuple[GAN, dict[str, Tensor]]:
    torch.manual_seed(0)  # of the weights
    gan = build_gan(SUITE, full_variant(name), 0, Engine(CPU, precision))
    gan.train(True)
    return gan, training_step(gan, random_batch(2, 64, 32), 29, 30)


@pytest.mark.parametrize("name", one_of_each_kind())
def test_losses_weights_and_statistics_are_finite_float32(name: str) -> None:
    gan, losses = _stepped(name, "bf16-mixed")
    found = [t for t in (*losses.values(), *gan.tensors().values()) if t.is_floating_point()]
    assert {tensor.dtype for tensor in found} == {torch.float32}
    assert all(tensor.isfinite().all() for tensor in found)


@pytest.mark.parametrize("name", ["l2", "staged", "attention_unet", "strided_random_code"])
def test_losses_of_the_generator_are_near_those_of_float32(name: str) -> None:
    (_, found), (_, exact) = (_stepped(name, kind) for kind in ("bf16-mixed", "32-true"))
    # A bfloat16 has 8 bits. Gradients, as differences, and shares of right answers can have less.
    for key in [k for k in found if k.startswith("generator/") and "gradient" not in k]:
        assert float(found[key]) == pytest.approx(float(exact[key]), rel=0.05, abs=0.02), key


@pytest.fixture
def _tensors_of_cuda_without_values(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let autocast take CUDA without a device, and `.to` networks that are there already."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(nn.Module, "to", lambda self, device: self)
    with FakeTensorMode():
        yield


@pytest.mark.promise("gpu")
@pytest.mark.usefixtures("_tensors_of_cuda_without_values")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("name", one_of_each_kind())
def test_forward_passes_stay_on_a_cuda_device_and_end_in_float32(name: str, precision: str) -> None:
    variant, engine = full_variant(name), Engine(CUDA, precision)
    with CUDA:
        networks = build_networks(SUITE, variant)
        batch = Batch(
            torch.zeros(4, 3, 64, 64), torch.zeros(4, 1, 64, 64), torch.zeros(4, 2).long(), 32
        )
    inside: set[torch.dtype] = set()
    for role, network in networks.items():
        network = engine.place(network)
        for layer in network.modules():
            if isinstance(layer, Dropout):  # its draws have values
                layer.probability = 0
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(lambda _, inputs, output: inside.add(output.dtype))
        if role == "generator":
            outputs = [Inpainter(network, variant.generator)(batch)]
            assert outputs[0].shape == batch.image.shape
        else:
            spec = variant.discriminators[role.removeprefix("discriminator/")]
            side = 32 if spec.input == "hole" else 64
            outputs = [*network(batch.image[:, :, :side, :side])]
        assert {(o.device, o.dtype) for o in outputs} == {(CUDA, torch.float32)}
    assert inside == {torch.bfloat16 if precision == "bf16-mixed" else torch.float32}
