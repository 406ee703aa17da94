"""What more devices and machines cost and bring -> `docs/scale.md`.

`python -m tests.throughput.scale` takes about fifteen minutes on two idle cores.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmark.core import paths
from benchmark.core.config import load_suite, load_variant, names_in
from benchmark.core.device import Engine
from benchmark.core.environment import fingerprint
from benchmark.core.files import read_json, write_text
from benchmark.training.batches import ImageFeed, training_batches
from benchmark.training.gan import build_gan
from benchmark.training.step import training_step
from benchmark.versions.rebuild import checkout_copy, run_options
from data.errors import InputError
from tests.support.pipeline_checkout import ENVIRONMENT, PipelineCheckout
from tests.support.tiny import params_text

PAGE = Path("docs/scale.md")
PROSE = Path(__file__).with_name("scale_page.md")
SUITE, BATCH, IMAGES, EPOCHS = "shared", 64, 2048, 4
CONTENT = f"""\
title: Shared
description: For timing.
source: {{name: portraits, count: {IMAGES + 128}, seed: 0}}
image_size: 64
splits: {{seed: 42, train: {IMAGES}, val: 64, test: 64}}
mask: {{kind: random_square, size: 32}}
training: {{epochs: EPOCHS, batch_size: {BATCH}}}
"""
SHARED = ("l2", "binary", "localizer", "context_encoder_ratio_1000")
SHORT, SEEDS = ("l2", "binary", "localizer"), range(4)
ROUNDS = 3
SWEEP = Path("sweeps/adversarial_weight.yaml")
LARGE, LARGE_BATCH = "imagenet_128", 2
IMAGES_OF_LARGE = 1_281_167
"""Training images of ILSVRC 2012."""


def seconds_of(folder: Path, *command: str) -> float:
    """Run a command in a folder and return how long it took."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return time.perf_counter() - start


def training_rate(folder: Path, variant: str, *options: str) -> float:
    """Return images/s of a training, without its start: from one of a few epochs and one of one."""
    run, took = run_options(paths.Run(SUITE, variant, 0)), []
    for epochs in (1, EPOCHS):
        text = CONTENT.replace("EPOCHS", str(epochs))
        (folder / paths.SUITES / f"{SUITE}.yaml").write_text(text)
        took.append(seconds_of(folder, "benchmark", "train", *run, *options))
    return (EPOCHS - 1) * IMAGES / (took[1] - took[0])


def shared_rates() -> list[list[str]]:
    """Return rows of images/s with one process of two threads, and with two of one each."""
    rows = []
    with checkout_copy() as folder:
        (folder / paths.SUITES / f"{SUITE}.yaml").write_text(CONTENT.replace("EPOCHS", "1"))
        seconds_of(folder, "benchmark", "split", "--suite", SUITE)
        for variant in SHARED:
            one = training_rate(folder, variant, "--devices", "1")
            two = training_rate(folder, variant, "--devices", "2")
            rows.append([f"`{variant}`", f"{one:.0f}", f"{two:.0f}", f"{two / one:.2f}"])
    return rows


def repro_times() -> list[list[str]]:
    """Return rows of the time of twelve short runs, in turn and in each of the other ways."""
    ways = {
        "`dvc repro`": ("dvc", "repro"),
        "`python -m benchmark repro`": ("benchmark", "repro"),
        "`python -m benchmark repro --jobs 2`": ("benchmark", "repro", "--jobs", "2"),
        "`python -m benchmark repro --ray local`": ("benchmark", "repro", "--ray", "local"),
    }
    took = {}
    for way, command in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            checkout = PipelineCheckout(Path(folder, "checkout"))
            params = params_text(["tiny"], SHORT, SEEDS)
            (checkout.folder / "params.yaml").write_text(params)
            checkout.commit()
            took[way] = seconds_of(checkout.folder, *command)
    first = next(iter(took.values()))
    return [[way, f"{s:.0f}", f"{s / first:.2f}"] for way, s in took.items()]


def sweep_result() -> str:
    """Return the table of the sweep that is in this repository, run here."""
    command = [sys.executable, "-m", "benchmark", "sweep", str(SWEEP)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split("\n", 1)[1].strip()


def step_gflop(name: str) -> float | None:
    """Return the GFLOP of a training step for each image; None where a variant does not fit."""
    suite, variant = load_suite(LARGE), load_variant(name)
    training = suite.training.model_copy(update={"batch_size": LARGE_BATCH})
    suite = suite.model_copy(update={"training": training})
    try:
        gan = build_gan(suite, variant, 0, Engine(torch.device("cpu")), drawn=False)
    except InputError:
        return None
    gan.train(True)
    images = np.zeros((LARGE_BATCH, suite.image_size, suite.image_size, 3), np.uint8)
    [batch] = training_batches(suite, 0, 0, 0, ImageFeed(images, torch.device("cpu")))
    steps = max([1, *(d.update_every for d in variant.discriminators.values())])
    with FlopCounterMode(display=False) as counter:
        for step in range(10**6 - steps, 10**6):  # the last ones, when all of a schedule is active
            training_step(gan, batch, step, 10**6)
    return float(counter.get_total_flops()) / 1e9 / steps / LARGE_BATCH


def table(*lines: Sequence[str]) -> str:
    """Return rows as Markdown, numbers to the right but in the first column."""
    head, *rows = lines
    marks = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, marks, *rows])


def main() -> None:
    """Measure, and write the page."""
    costs = {name: step_gflop(name) for name in names_in(paths.VARIANTS)}
    fitting = {name: cost for name, cost in costs.items() if cost is not None}
    suite, seeds = load_suite(LARGE), 3
    seen = suite.training.epochs * int(IMAGES_OF_LARGE * float(suite.splits.train))
    total = seeds * seen * sum(fitting.values()) / 1e9  # in EFLOP
    feed = read_json(paths.REPORTS / "throughput.json", "bench")["subjects"]["batches"]
    decode = read_json(paths.REPORTS / "throughput.json", "bench")["subjects"]["decode/jpg"]
    machine = fingerprint(torch.device("cpu"))
    few = sorted(fitting, key=lambda name: fitting[name])
    shown = [few[0], "l2", "localizer", "context_encoder_ratio_1000", few[-1]]
    image_bytes = 3 * suite.image_size**2
    shared = shared_rates()
    ratios = [float(row[-1]) for row in shared]
    content = PROSE.read_text(encoding="utf-8").format(
        machine=f"{machine['cpu']}, {machine['threads']} threads",
        shared=table(["variant", "1 process, 2 threads", "2 processes, 1 thread", "ratio"],
                     *shared),
        slower=f"{100 * (1 - max(ratios)):.0f} to {100 * (1 - min(ratios)):.0f} %",
        repro=table(["twelve short runs", "s", "ratio"], *repro_times()),
        gflop=table(["variant", "GFLOP for an image"],
                    *([f"`{n}`", f"{fitting[n]:.1f}"] for n in dict.fromkeys(shown))),
        fitting=len(fitting),
        runs=seeds * len(fitting),
        seen=f"{seen / 1e6:.1f}",
        gigabytes=f"{(IMAGES_OF_LARGE + 50_000) * image_bytes / 1e9:.0f}",
        total=f"{total:,.0f}",
        hours=f"{total * 1e18 / (8 * 20e12) / 3600:,.0f}",
        feed_rate=f"{feed['images_per_s']:,.0f}",
        feed_mb=f"{feed['images_per_s'] * 3 * 64**2 / 1e6:,.0f}",
        feed_large=f"{feed['images_per_s'] * 64**2 / suite.image_size**2:,.0f}",
        need=f"{20e3 / fitting['l2']:,.0f}",
        batch=BATCH,
        sweep=sweep_result(),
        decode_rate=f"{decode['images_per_s']:,.0f}",
        decode_hours=f"{(IMAGES_OF_LARGE + 50_000) / decode['images_per_s'] / 3600:.1f}",
    )  # fmt: skip
    write_text(PAGE, content)


if __name__ == "__main__":
    main()
