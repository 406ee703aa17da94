"""The pinned run of the regression suite, and how its baseline is written.

It is portable: any x86-64 processor with AVX2 has to come to the same bits. So it runs in a process
of its own, in which no library is loaded before it is capped.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmark.core.files import write_json
from benchmark.core.portable import cap_arrays, cap_networks, is_portable

ROOT = Path(__file__).resolve().parents[2]
BASELINE = ROOT / "tests/baselines/pinned_run.json"
VARIANT = "staged"
"""The one with most parts: two discriminators, one of which begins late."""
EPOCHS = 4


def run_pinned() -> dict[str, Any]:
    """Split, train and evaluate the tiny suite in a new process and return what is pinned."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.regression.pin", "--here"],
        cwd=ROOT,
        # Two threads that wait for each other spinning stand still where other tests want the CPUs.
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _run_here() -> dict[str, Any]:
    cap_arrays()
    cap_networks()
    from benchmark.core.config import Suite, load_variant
    from benchmark.core.paths import Run
    from benchmark.core.yaml_files import load
    from benchmark.pipeline.evaluate import evaluate_run
    from benchmark.pipeline.split import split_suite
    from benchmark.pipeline.train import train_run

    suite = load(Suite, ROOT / "tests/support/tiny_suite.yaml", name="tiny")
    training = suite.training.model_copy(update={"epochs": EPOCHS, "portable": True})
    suite, network = suite.model_copy(update={"training": training}), load_variant(VARIANT)
    run = Run("tiny", VARIANT, 0)
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        split_suite(suite)
        train_run(suite, network, run, device="cpu")
        evaluate_run(suite, network, run, device="cpu")
        metrics = json.loads(run.metrics.read_text())["methods"][VARIANT]
        manifest = json.loads((run.checkpoints / "manifest.json").read_text())
        os.chdir(ROOT)
    return {
        "metrics": {n: m["mean"] for n, m in metrics.items()},
        "weights_sha256": manifest["checkpoints"]["last"]["sha256"],
        "data_sha256": manifest["data_sha256"],
        "is_portable": is_portable(),
    }


def main() -> None:
    """Rewrite the baseline; or, with --here, print what this process finds."""
    if sys.argv[1:] == ["--here"]:
        print(json.dumps(_run_here()))
    else:
        write_json(BASELINE, run_pinned())


if __name__ == "__main__":
    main()
