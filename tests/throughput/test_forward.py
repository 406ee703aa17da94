"""Forward passes of all networks: images/s and FLOP/s, with the facts of the machine.

Run by `make throughput`. No time is asserted here: a figure means something only beside another one
of the same machine and hour.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.core.environment import fingerprint
from benchmark.pipeline.split import usable_cpus
from models.networks import (
    discriminator_class,
    discriminator_names,
    generator_class,
    generator_names,
)

pytestmark = pytest.mark.throughput
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BATCH = 64


@pytest.fixture(autouse=True)
def all_threads() -> Iterator[None]:
    """Use all CPUs, where the other tests use one."""
    before = torch.get_num_threads()
    torch.set_num_threads(usable_cpus())
    yield
    torch.set_num_threads(before)


def measure(benchmark: Any, network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    """Time forward passes; keep and print images/s and FLOP/s."""
    network = network.to(DEVICE).eval()
    inputs = tuple(tensor.to(DEVICE) for tensor in inputs)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*inputs)
    flops = counter.get_total_flops()

    def forward() -> None:
        with torch.no_grad():
            network(*inputs)
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()

    benchmark.pedantic(forward, rounds=10, warmup_rounds=2)
    seconds = benchmark.stats.stats.median
    benchmark.extra_info |= {
        "images_per_s": BATCH / seconds,
        "flops_per_image": flops / BATCH,
        "flops_per_s": flops / seconds,
        "parameters": sum(p.numel() for p in network.parameters()),
        "machine": fingerprint(DEVICE),
    }
    assert flops > 0
    print(f"{BATCH / seconds:9.0f} images/s {flops / seconds / 1e9:7.1f} GFLOP/s", end=" ")


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("name", generator_names())
def test_generator(benchmark: Any, name: str, size: int) -> None:
    network = generator_class(name)(size, size // 2)
    masked, mask = torch.zeros(BATCH, 3, size, size), torch.zeros(BATCH, 1, size, size)
    corner = torch.zeros(BATCH, 2, dtype=torch.int64)
    measure(benchmark, network, (masked, mask, corner))


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("name", discriminator_names())
def test_discriminator(benchmark: Any, name: str, size: int) -> None:
    measure(benchmark, discriminator_class(name)(size), (torch.zeros(BATCH, 3, size, size),))


def test_measuring_costs_little(benchmark: Any) -> None:
    """Bound the harness's own share: a network that does nothing."""

    class Nothing(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images

    network, images = Nothing(), torch.zeros(BATCH, 3, 8, 8)
    benchmark.pedantic(lambda: network(images), rounds=50, warmup_rounds=2)
