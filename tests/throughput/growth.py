"""Time and memory of every stage as data and runs grow -> `docs/growth.md` and its pictures.

`python -m tests.throughput.growth` takes about ten minutes on two idle cores.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmark.core import paths
from benchmark.core.config import Params, load_params
from benchmark.core.environment import fingerprint
from benchmark.core.files import write_json, write_text
from benchmark.versions.rebuild import checkout_copy, run_options

PAGE = Path("docs/growth.md")
IMAGES = (1_000, 10_000, 50_000)
RUNS = (1, 10, 60)
SUITE, VARIANT = "growing", "l2"
SMALL = """
import json, resource, subprocess, sys
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
code = subprocess.call(sys.argv[1:], **quiet)
print(json.dumps([code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""
"""Starts a command: the peak of a process begins at what the one that started it holds."""
CONTENT = """\
title: Growing
description: Drawn faces, of which a tenth is validated on and a tenth tested on.
source: {{name: portraits, count: {count}, seed: 0}}
image_size: 32
splits: {{seed: 42, train: {train}, val: {tenth}, test: {tenth}}}
mask: {{kind: random_square, size: 16}}
training: {{epochs: 1, batch_size: 64, portable: true}}
"""
PROSE = """\
# Growth
Seconds and the most memory of a process, as images and runs grow, on {machine}.
Made by `python -m tests.throughput.growth`.

## Images
Drawn faces of 32 px, four fifths to train on and a tenth each to validate and to test on;
`l2`, one epoch. `baselines` searches all training images for every test image, so that it grows
with both, and completes up to 16 MiB of test images together.

![seconds against images](growth_images.svg)

{stages}

## Runs
The committed run of `l2`, repeated under other seeds.

![seconds against runs](growth_runs.svg)

{commands}
"""


class Cost(NamedTuple):
    """What a command took."""

    seconds: float
    mib: float
    """Most memory that one of its processes held at a time."""


def cost_of(folder: Path, *arguments: str) -> Cost:
    """Run a command in a copy of the checkout and return what it took."""
    command = [sys.executable, "-m", "benchmark", *arguments]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", SMALL, *command], cwd=folder, stdout=subprocess.PIPE, check=True
    )
    seconds = time.perf_counter() - start
    code, kib = json.loads(done.stdout)
    if code != 0:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {code}")
    return Cost(seconds, kib / 1024)


def stages_at(folder: Path, count: int) -> dict[str, Cost]:
    """Return what each stage takes with so many images."""
    tenth = count // 10
    suite = CONTENT.format(count=count, train=count - 2 * tenth, tenth=tenth)
    (folder / paths.SUITES / f"{SUITE}.yaml").write_text(suite)
    run = run_options(paths.Run(SUITE, VARIANT, 0))
    return {
        "split": cost_of(folder, "split", "--suite", SUITE),
        "train": cost_of(folder, "train", *run),
        "evaluate": cost_of(folder, "evaluate", *run),
        "baselines": cost_of(folder, "baselines", "--suite", SUITE),
    }


def commands_at(folder: Path, count: int) -> dict[str, Cost]:
    """Return what the commands that read results take with so many runs of a suite."""
    suite = load_params().suites[0]
    params = Params.of_product([suite], [VARIANT], range(count))
    content = {"suites": [suite], "runs": {k: r.model_dump() for k, r in params.runs.items()}}
    write_json(folder / paths.PARAMS, content)  # which is YAML, too
    for seed in range(1, count):
        copy_run(folder, paths.Run(suite, VARIANT, 0), paths.Run(suite, VARIANT, seed))
    here = str(folder)
    return {
        "report": cost_of(folder, "report"),
        "list": cost_of(folder, "list"),
        "compare": cost_of(folder, "compare", here),
        "gate": cost_of(folder, "gate", "--base", here),
    }


def copy_run(folder: Path, run: paths.Run, copy: paths.Run) -> None:
    """Make the results of another seed of a run's."""
    for path in ("curves", "metrics", "scores", "provenance", "diagnosis", "completed"):
        source, target = folder / getattr(run, path), folder / getattr(copy, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    scores = pd.read_csv(folder / copy.scores, dtype=str, keep_default_na=False)
    scores.assign(seed=str(copy.seed)).to_csv(folder / copy.scores, index=False)
    diagnosis = json.loads((folder / copy.diagnosis).read_text()) | {"seed": copy.seed}
    write_json(folder / copy.diagnosis, diagnosis)


def table(title: str, costs: Mapping[int, Mapping[str, Cost]]) -> str:
    """Return a table of what each command took, a row for each number of images or runs."""
    names = [*next(iter(costs.values()))]
    head = [title, *(f"{name}, s" for name in names), *(f"{name}, MiB" for name in names)]
    rows = [
        [f"{count:,}", *(f"{c.seconds:.1f}" for c in found.values())]
        + [f"{c.mib:.0f}" for c in found.values()]
        for count, found in costs.items()
    ]
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def chart(path: Path, title: str, costs: Mapping[int, Mapping[str, Cost]]) -> None:
    """Draw seconds against the number of images or runs, both logarithmic."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel=title, ylabel="seconds")
    for name in next(iter(costs.values())):
        axes.plot([*costs], [found[name].seconds for found in costs.values()], "o-", label=name)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper")  # covers no point
    with rc_context({"svg.hashsalt": "growth"}):
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, and write the page with its pictures."""
    with checkout_copy() as folder:
        stages = {count: stages_at(folder, count) for count in IMAGES}
        for kept in (paths.prepared(load_params().suites[0]), paths.REPORTS):
            shutil.copytree(kept, folder / kept, dirs_exist_ok=True)
        commands = {count: commands_at(folder, count) for count in RUNS}
    chart(PAGE.with_name("growth_images.svg"), "images", stages)
    chart(PAGE.with_name("growth_runs.svg"), "runs", commands)
    machine = fingerprint(torch.device("cpu"))
    write_text(
        PAGE,
        PROSE.format(
            machine=f"{machine['cpu']}, {machine['threads']} threads",
            stages=table("images", stages),
            commands=table("runs", commands),
        ),
    )


if __name__ == "__main__":
    main()
