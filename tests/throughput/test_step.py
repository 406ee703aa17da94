"""Training steps of some variants: images/s, with deterministic algorithms and without.

The ratio of the two is the price of determinism on this machine. On a CPU there is none: PyTorch
has one algorithm for each operation of a step there.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.core.device import open_device
from benchmark.core.environment import fingerprint
from benchmark.training.batches import ImageFeed, make_batch
from benchmark.training.gan import build_gan
from benchmark.training.rng import training_boxes
from benchmark.training.step import training_step
from tests.support.tiny import full_variant, tiny_suite

pytestmark = pytest.mark.throughput
BATCH, SIZE, STEPS = 32, 64, 5


@pytest.fixture(autouse=True)
def pytorch_is_put_back() -> Iterator[None]:
    """Undo what a device sets for the whole process."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("name", ["l2", "localizer", "context_encoder", "attention_unet"])
def test_step(benchmark: Any, name: str, deterministic: bool) -> None:
    suite = tiny_suite(
        {"batch_size": BATCH, "deterministic": deterministic},
        image_size=SIZE,
        mask={"kind": "random_square", "size": SIZE // 2},
    )
    engine = open_device(suite.training)
    torch.backends.cudnn.benchmark = not deterministic
    gan = build_gan(suite, full_variant(name), 0, engine)
    gan.train(True)
    feed = ImageFeed(np.zeros((BATCH, SIZE, SIZE, 3), np.uint8), engine.device)
    rows = torch.arange(BATCH, device=engine.device)
    holes = training_boxes(0, 0, BATCH, suite.mask, SIZE)
    boxes = torch.from_numpy(holes).to(engine.device)

    def steps() -> None:
        for step in range(STEPS):
            batch = make_batch(feed(np.arange(BATCH), rows), boxes, suite.mask.size)
            training_step(gan, batch, step, STEPS)
        if engine.device.type == "cuda":
            torch.cuda.synchronize()

    benchmark.pedantic(steps, rounds=5, warmup_rounds=1)
    speed = BATCH * STEPS / benchmark.stats.stats.median
    benchmark.extra_info |= {
        "images_per_s": speed,
        "deterministic": deterministic,
        "machine": fingerprint(engine.device),
    }
    print(f"{speed:9.0f} images/s", end=" ")
