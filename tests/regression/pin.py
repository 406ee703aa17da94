"""The pinned run of the regression suite, and how its baseline is written."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmark.core.config import Suite, load_variant
from benchmark.core.environment import fingerprint
from benchmark.core.files import write_json
from benchmark.core.paths import Run
from benchmark.core.yaml_files import load
from benchmark.metrics.registry import is_ratio
from benchmark.pipeline.evaluate import evaluate_run
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from benchmark.versions.rebuild import Setting
from benchmark.versions.tolerance_measurement import SETTINGS
from benchmark.versions.tolerances import rounded

ROOT = Path(__file__).resolve().parents[2]
BASELINE = ROOT / "tests/baselines/pinned_run.json"
VARIANTS = ("l2", "staged")
EPOCHS = 12
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def run_pinned(variant: str, folder: Path, threads: int = 1) -> dict[str, Any]:
    """Split, train and evaluate the tiny suite in a folder and return what is pinned.

    One thread, so that machines that differ in the number of their cores alone agree to the bit.
    """
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    suite = load(Suite, ROOT / "tests/support/tiny_suite.yaml", name="tiny")
    training = suite.training.model_copy(update={"epochs": EPOCHS})
    suite = suite.model_copy(update={"training": training})
    run = Run("tiny", variant, 0)
    before = Path.cwd()
    os.chdir(folder)
    try:
        split_suite(suite)
        train_run(suite, load_variant(variant, ROOT), run, device="cpu")
        evaluate_run(suite, load_variant(variant, ROOT), run, device="cpu")
        metrics = json.loads(run.metrics.read_text())["methods"][variant]
        manifest = json.loads((run.checkpoints / "manifest.json").read_text())
        machine = fingerprint(torch.device("cpu"))
    finally:
        os.chdir(before)
        torch.set_num_threads(threads_before)
    return {
        "metrics": {n: m["mean"] for n, m in metrics.items() if "lpips" not in n},
        "weights_sha256": manifest["checkpoints"]["last"]["sha256"],
        "data_sha256": manifest["data_sha256"],
        "fingerprint": machine,
    }


def scale(metric: str, value: float) -> float:
    """Return what a change of a metric is relative to: its value or, of a ratio, the ideal 1.

    The ratio of a blurry completion is near 0, and changes by more than half of itself.
    """
    return 1.0 if is_ratio(metric) else abs(value)


def largest_change(setting: Setting, pinned: dict[str, dict[str, float]]) -> float:
    """Return the largest relative change of any metric of the pinned runs under a setting."""
    changes = []
    for variant, metrics in pinned.items():
        done = subprocess.run(
            setting.command("tests.regression.pin", variant),
            cwd=ROOT,
            env=os.environ | ONE_THREAD | dict(setting.environment),
            stdout=subprocess.PIPE,
            check=True,
        )
        found = json.loads(done.stdout)
        changes += [abs(found[n] - value) / scale(n, value) for n, value in metrics.items()]
    return rounded(max(changes))


def main() -> None:
    """Rewrite the baseline; or, given a variant, print its metrics with the threads of now."""
    if len(sys.argv) > 1:
        with TemporaryDirectory() as folder:
            found = run_pinned(sys.argv[1], Path(folder), torch.get_num_threads())
        print(json.dumps(found["metrics"]))
        return
    runs = {}
    for variant in VARIANTS:
        with TemporaryDirectory() as folder:
            runs[variant] = run_pinned(variant, Path(folder))
    machines = [run.pop("fingerprint") for run in runs.values()]
    metrics = {variant: run["metrics"] for variant, run in runs.items()}
    others = [s for s in SETTINGS if s.device == "cpu" and s.environment != ONE_THREAD]
    changes = {setting.name: largest_change(setting, metrics) for setting in others}
    write_json(BASELINE, {"fingerprint": machines[0], "runs": runs, "changes": changes})


if __name__ == "__main__":
    main()
