"""The code's networks, variants, data and metrics -> everything whose speed is measured."""

import itertools
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from benchmark.core import paths
from benchmark.core.config import Suite, load_params, load_variant, names_in
from benchmark.core.device import Engine, open_device
from benchmark.core.yaml_files import load
from benchmark.metrics import METRICS, composite, missing_metrics, quantize
from benchmark.pipeline.split import split_suite
from benchmark.reporting.throughput import forward_name, step_name
from benchmark.throughput.measuring import Subject, Work
from benchmark.training.batches import ImageFeed, training_batches
from benchmark.training.gan import build_gan
from benchmark.training.step import training_step
from data.images import decode
from models.batch import Batch
from models.networks import (
    discriminator_class,
    discriminator_names,
    generator_class,
    generator_names,
)
from models.variant import Variant

SUITE = Path(__file__).with_name("suite.yaml")
FEED_IMAGES = 2048
"""Of the training set that batches are taken from: a pass over all of it must not hide in one."""
PHOTO_PX = 256
"""Side of the files that are decoded."""
LAST_STEP = 10**6
"""The steps that are timed are the last ones of a run, when all of its schedule is active."""


@dataclass(frozen=True)
class Bench:
    """What all subjects share."""

    suite: Suite
    engine: Engine
    folder: Path
    """Temporary, with prepared images."""
    training: NDArray[np.uint8]
    """`[FEED_IMAGES, H, W, 3]`, mapped from a file as the training has it."""
    batch: Batch

    @property
    def device(self) -> torch.device:
        """Where networks run."""
        return self.engine.device


@contextmanager
def open_bench(device: str = "auto") -> Iterator[Bench]:
    """Prepare images in a temporary folder.

    Raises:
        InputError: there is no such device.
    """
    suite = load(Suite, SUITE, name="throughput")
    engine = open_device(suite.training, device)
    with tempfile.TemporaryDirectory(prefix="inpaintbench-") as temporary:
        folder = Path(temporary)
        _split(suite, folder)
        prepared = np.load(folder / paths.prepared(suite.name) / "train.npy")
        repeated = np.resize(prepared, (FEED_IMAGES, *prepared.shape[1:]))
        np.save(folder / "training.npy", repeated)
        training = np.load(folder / "training.npy", mmap_mode="r")
        feed = ImageFeed(training, engine.device)
        batch = next(training_batches(suite, 0, 0, 0, feed))
        yield Bench(suite, engine, folder, training, batch)


def all_subjects(bench: Bench) -> tuple[list[Subject], dict[str, str]]:
    """Return everything that is measured, and what cannot be measured with the reason."""
    variants = [load_variant(name) for name in names_in(paths.VARIANTS)]
    steps = list(_steps(bench, variants))
    if bench.device.type == "cuda":
        steps += _steps(bench, variants, is_free=True)
    missing = {f"metric/{name}": reason for name, reason in missing_metrics().items()}
    return [*_forwards(bench, variants), *steps, *_data(bench), *_metrics(bench)], missing


def fixed_subset(bench: Bench) -> list[Subject]:
    """Return what the gate measures: of variants, only those that `params.yaml` selects."""
    variants = [load_variant(name) for name in load_params().variants]
    return [*_forwards(bench, []), *_steps(bench, variants), *_data(bench), *_metrics(bench)]


def _forwards(bench: Bench, variants: Sequence[Variant]) -> Iterator[Subject]:
    """Yield the forward passes of all networks, and of those with other options in variants."""
    sides = bench.suite.image_size, bench.suite.mask.size
    batch, builds = bench.batch, dict[str, Callable[[], nn.Module]]()
    generators: list[tuple[str, Mapping[str, Any]]] = [(n, {}) for n in generator_names()]
    discriminators: list[tuple[str, Mapping[str, Any]]] = [(n, {}) for n in discriminator_names()]
    for variant in variants:
        generators.append((variant.generator.network, variant.generator.options))
        discriminators += [(d.network, d.options) for d in variant.discriminators.values()]
    for network, options in generators:
        name = forward_name("generator", network, options)
        builds[name] = partial(generator_class(network), *sides, **options)
    for network, options in discriminators:
        name = forward_name("discriminator", network, options)
        builds[name] = partial(discriminator_class(network), sides[0], **options)
    for name, build in builds.items():
        shown = (batch.masked, batch.mask, batch.corner)
        inputs = shown if name.startswith("generator/") else (batch.image,)
        yield Subject(name, len(batch.image), partial(_forward, bench, build, inputs))


def _forward(bench: Bench, build: Callable[[], nn.Module], inputs: Sequence[Tensor]) -> Work:
    network = bench.engine.place(build()).eval()

    @torch.no_grad()
    def work() -> None:
        network(*inputs)

    return work


def _steps(bench: Bench, variants: Sequence[Variant], is_free: bool = False) -> Iterator[Subject]:
    """Yield the training steps of variants with their batches, all networks updated at least once.

    Args:
        bench: what they run with.
        variants: the variants.
        is_free: whether algorithms that are not deterministic may be used.
    """
    for variant in variants:
        calls = math.lcm(*(d.update_every for d in variant.discriminators.values()))
        name = step_name(variant.name) + " free" * is_free
        prepare = partial(_step, bench, variant, calls, is_free)
        yield Subject(name, calls * bench.suite.training.batch_size, prepare)


def _step(bench: Bench, variant: Variant, calls: int, is_free: bool) -> Work:
    gan = build_gan(bench.suite, variant, 0, bench.engine, drawn=False)
    gan.train(True)
    feed = ImageFeed(bench.training, bench.device)
    epochs = (training_batches(bench.suite, 0, epoch, 0, feed) for epoch in itertools.count())
    batches = itertools.chain.from_iterable(epochs)

    def work() -> None:
        with free() if is_free else nullcontext():
            for step in range(LAST_STEP - calls, LAST_STEP):
                training_step(gan, next(batches), step, LAST_STEP)

    return work


@contextmanager
def free() -> Iterator[None]:
    """Allow all algorithms, which is what `deterministic: false` buys on a GPU."""
    mode, cudnn = torch.get_deterministic_debug_mode(), torch.backends.cudnn
    torch.set_deterministic_debug_mode("default")
    cudnn.benchmark = True
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        cudnn.benchmark = False


def _data(bench: Bench) -> Iterator[Subject]:
    """Yield what brings images to the networks: the split, the decoder, the batches of an epoch."""
    source, count = bench.suite.source, bench.suite.training.batch_size

    def split() -> None:
        _split(bench.suite, bench.folder)

    def batches() -> Work:
        feed = ImageFeed(bench.training, bench.device)

        def epoch() -> None:
            for _ in training_batches(bench.suite, 0, 0, 0, feed):
                pass

        return epoch

    def decoded(files: Sequence[Path]) -> None:
        for file in files:
            bench.suite.resize.apply(decode(file), bench.suite.image_size)

    yield Subject("split", len(source.items(bench.folder)), lambda: split)
    yield Subject("batches", FEED_IMAGES, batches)
    items = source.items(bench.folder)[:count]
    drawn = [Image.fromarray(source.read(item, bench.folder, PHOTO_PX)) for item in items]
    for kind in ("jpg", "png"):
        files = [bench.folder / f"{item.id}.{kind}" for item in items]
        for image, file in zip(drawn, files, strict=True):
            image.save(file)
        yield Subject(f"decode/{kind}", count, partial(partial, decoded, files))


def _split(suite: Suite, folder: Path) -> None:
    # Its bar has no place among the others.
    with chdir(folder), redirect_stderr(StringIO()):
        split_suite(suite)


def _metrics(bench: Bench) -> Iterator[Subject]:
    """Yield all metrics that can be computed, of images whose holes show other images."""
    batch, missing = bench.batch, missing_metrics()
    target, other = quantize(batch.image), quantize(batch.image.roll(1, 0))
    mask = batch.mask.bool()
    shown = {"raw": other, "completed": composite(other, target, mask)}
    for name, metric in METRICS.items():
        if name not in missing:
            prepare = partial(_metric, metric.function, shown[metric.pixels], target, mask)
            yield Subject(f"metric/{name}", len(target), prepare)


def _metric(function: Callable[..., Tensor], *images: Tensor) -> Work:
    def work() -> None:
        function(*images)

    return work
