"""A suite, a network and batches that are small enough for tests."""

import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.core import paths
from benchmark.core.config import Params, Suite, load_variant, names_in
from benchmark.core.device import Engine
from benchmark.core.paths import Run
from benchmark.pipeline.baselines import evaluate_baselines
from benchmark.pipeline.evaluate import evaluate_run
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from models.batch import Batch
from models.generators import context_encoder, strided_context_encoder
from models.networks import GeneratorNetwork, generator_class
from models.variant import Variant

ROOT = Path(__file__).resolve().parents[2]
IMAGE_PX, HOLE_PX = 32, 16
EPOCHS, TRAINING_IMAGES, BATCH_SIZE = 3, 48, 8
STEPS_PER_EPOCH = TRAINING_IMAGES // BATCH_SIZE


def params_text(suites: Iterable[str], variants: Iterable[str], seeds: Iterable[int]) -> str:
    """Return a `params.yaml` of every suite with every variant and every seed."""
    return json.dumps(Params.of_product(suites, variants, seeds).model_dump(mode="json"))


class TinyGenerator(GeneratorNetwork):
    """Halves and doubles once; the batch norm gives it a state besides its weights."""

    def __init__(self, image_size: int, hole_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(4, 8, 4, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        output: Tensor = self.layers(torch.cat([masked, mask], dim=1))
        return output


def find_generator(name: str) -> type[GeneratorNetwork]:
    """Stand in for `generator_class`, which does not know the tiny network."""
    return TinyGenerator if name == "tiny" else generator_class(name)


def tiny_suite(training: dict[str, Any] | None = None, **changes: Any) -> Suite:
    """Return a suite of portraits: 48 to train on, 8 to validate and 10 to test."""
    settings: dict[str, Any] = {
        "name": "tiny",
        "title": "Tiny",
        "description": "For tests.",
        "source": {"name": "portraits", "count": 66},
        "image_size": IMAGE_PX,
        "splits": {"seed": 1, "train": TRAINING_IMAGES, "val": 8, "test": 10},
        "mask": {"kind": "random_square", "size": HOLE_PX},
        "evaluation": {"batch_size": 4, "examples": 3},
    }
    settings["training"] = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "flip": True}
    settings["training"] |= training or {}
    return Suite.model_validate(settings | changes)


def full_variant(name: str) -> Variant:
    """Return a variant of the checkout, wherever the test runs."""
    return load_variant(name, ROOT)


@cache
def one_of_each_kind() -> tuple[str, ...]:
    """Return the names of variants of which no two differ in the size of numbers alone."""
    kinds: dict[str, str] = {}
    for name in names_in(ROOT / paths.VARIANTS):
        content = full_variant(name).model_dump(exclude={"name", "title", "origin", "deviations"})
        kinds.setdefault(json.dumps(_without_sizes(content), sort_keys=True), name)
    return (*kinds.values(),)


def _without_sizes(content: Any) -> Any:
    """Put in the place of each fraction whether it is one."""
    if isinstance(content, dict):
        return {key: _without_sizes(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_sizes(value) for value in content]
    return bool(content) if isinstance(content, float) else content


def tiny_variant(name: str) -> Variant:
    """Return a variant of the checkout with the tiny generator, and with narrow localizers."""
    variant = full_variant(name)
    generator = variant.generator.model_copy(update={"network": "tiny", "options": {}})
    discriminators = {
        role: spec.model_copy(update={"options": spec.options | {"capacity": 0.125}})
        if spec.network == "localizer"
        else spec
        for role, spec in variant.discriminators.items()
    }
    return variant.model_copy(update={"generator": generator, "discriminators": discriminators})


def isolate(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make a folder the checkout, with the tiny network and without weights for LPIPS."""
    (folder / paths.SUITES).mkdir(parents=True, exist_ok=True)
    patch.chdir(folder)
    patch.setenv("TORCH_HOME", str(folder / "no_weights"))
    patch.setattr("benchmark.training.gan.generator_class", find_generator)
    # Neither what other tests have loaded nor someone who edits meanwhile is part of these tests.
    patch.setattr("benchmark.pipeline.train.stage_code", lambda stage: [])


def train_tiny(variant: str, seed: int = 0, **training: Any) -> Run:
    """Train in the present folder, to the end or until something stops it."""
    run = Run("tiny", variant, seed)
    try:
        train_run(tiny_suite(training), tiny_variant(variant), run, "cpu")
    finally:
        torch.use_deterministic_algorithms(False)  # training sets it for the whole process
    return run


def make_scored(suite: Suite) -> None:
    """Prepare a suite in the present folder, train `l2` with seed 0, and score it and baselines."""
    run, variant = Run(suite.name, "l2", 0), tiny_variant("l2")
    split_suite(suite)
    train_run(suite, variant, run, "cpu")
    torch.use_deterministic_algorithms(False)  # training sets it for the whole process
    evaluate_run(suite, variant, run, "cpu")
    evaluate_baselines(suite)


def only_operations(patch: pytest.MonkeyPatch) -> None:
    """Build networks with few latent channels and PyTorch's own weights, which takes less time."""
    for module in (context_encoder, strided_context_encoder):
        patch.setattr(module, "LATENT_CHANNELS", 8)
    patch.setattr("benchmark.training.gan.initialize", lambda *_: None)


def cpu_engine() -> Engine:
    return Engine(torch.device("cpu"))


def numbers(seed: int = 0) -> Callable[..., Tensor]:
    """Return a source of uniform numbers in [-1, 1) that shares no state with anything else."""
    state = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(*shape, generator=state) * 2 - 1


def random_batch(
    count: int = 4, image_px: int = IMAGE_PX, hole_px: int = HOLE_PX, seed: int = 0
) -> Batch:
    """Return noise with holes at various places, those at two corners included."""
    last = image_px - hole_px
    x0 = torch.linspace(0, last, count).long()
    y0 = torch.linspace(last, 0, count).long()
    y0[1:-1] += 1
    mask = torch.zeros(count, 1, image_px, image_px)
    for index in range(count):
        mask[index, 0, y0[index] : y0[index] + hole_px, x0[index] : x0[index] + hole_px] = 1
    image = numbers(seed)(count, 3, image_px, image_px)
    return Batch(image, mask, torch.stack([x0, y0], dim=1), hole_px)


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the content of all files below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
