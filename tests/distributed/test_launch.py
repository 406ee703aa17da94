"""One run in several processes: started, stopped, killed, resumed, and refused in a line."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.distributed.launch import launch, meeting_point
from data.errors import InputError
from tests.support.pipeline_checkout import ENVIRONMENT, PipelineCheckout
from tests.support.tiny import train_tiny

EPOCHS = 40
RUN = ("train", "--suite", "tiny", "--variant", "binary")
STATE = "models/scratch/tiny/binary/seed0"
KILLED = "error: process 1 was killed by SIGKILL; all have stopped, and the same command continues"
FINISHED = "models/checkpoints/tiny/binary/seed0/manifest.json"


class Command:
    """A command in a checkout, while it runs."""

    def __init__(self, checkout: PipelineCheckout, *words: str, **variables: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=checkout.folder, env=ENVIRONMENT | variables, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.pid = self._process.pid

    def end(self) -> tuple[int, list[str]]:
        """Wait for it; return its exit code and what it said, without progress bars."""
        said = self._process.communicate(timeout=300)[1].replace("\r", "\n").splitlines()
        return self._process.returncode, [line for line in said if line and "image/s" not in line]

    def workers(self) -> list[int]:
        """Return the processes that it has started, once they train."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            if len(found) >= 2 and all(_cpu_seconds(pid) > 8 for pid in found):
                return [int(pid) for pid in found]
            time.sleep(0.2)
        raise AssertionError("they did not begin")


def _cpu_seconds(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> PipelineCheckout:
    made = PipelineCheckout(tmp_path_factory.mktemp("checkout"))
    suite = made.folder / "benchmark/suites/tiny.yaml"
    suite.write_text(suite.read_text().replace("epochs: 2", f"epochs: {EPOCHS}"))
    done = Command(made, "benchmark", "split", "--suite", "tiny").end()
    assert done[0] == 0, done
    return made


def _processes(checkout: PipelineCheckout) -> list[int]:
    content = json.loads((checkout.folder / FINISHED).read_text())
    found: list[int] = content["environment"]["processes"]
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_that_is_stopped_and_killed_goes_on_with_other_numbers_of_processes(
    checkout: PipelineCheckout,
) -> None:
    command = Command(checkout, "benchmark", *RUN, "--devices", "2")
    command.workers()
    os.kill(command.pid, signal.SIGTERM)
    code, said = command.end()
    assert (code, len(said)) == (130, 1), said
    stopped = re.fullmatch(
        r"error: tiny/binary/seed0: stopped after step (\d+) of 120; the same command continues",
        said[0],
    )
    assert stopped, said
    [state] = (checkout.folder / STATE).glob("*/state.json")
    assert json.loads(state.read_text())["progress"]["step"] == int(stopped[1])

    command = Command(checkout, "benchmark", *RUN, "--devices", "4")
    os.kill(command.workers()[1], signal.SIGKILL)
    code, said = command.end()
    assert (code, said) == (1, [KILLED])

    assert Command(checkout, "benchmark", *RUN, "--devices", "4").end() == (0, [])
    assert _processes(checkout) == [2, 4]
    assert len(pd.read_csv(checkout.folder / "reports/curves/tiny/binary/seed0.csv")) == EPOCHS


@pytest.mark.slow
@pytest.mark.parametrize("machines", ["torchrun", "slurm"])
def test_processes_that_others_start_train_together(
    checkout: PipelineCheckout, machines: str
) -> None:
    if machines == "torchrun":
        agent = "torch.distributed.run", "--standalone", "--nproc-per-node", "2"
        commands = [Command(checkout, *agent, "-m", "benchmark", *RUN)]
    else:  # a step of a job on two machines, both of which are this one
        slurm = {"SLURM_JOB_ID": "7", "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1"}
        step = ("benchmark", *RUN, "--nodes", "2")
        commands = [Command(checkout, *step, **slurm) for _ in range(2)]
    assert [command.end()[0] for command in commands] == [0] * len(commands)
    assert _processes(checkout) == [2]


@pytest.mark.slow
def test_after_an_epoch_the_number_of_processes_matters_less_than_the_seed(
    checkout: PipelineCheckout,
) -> None:
    def psnr(*options: str, seed: int = 0) -> float:
        words = ("benchmark", "train", "--suite", "tiny", "--variant", "l2", "--seed", str(seed))
        assert Command(checkout, *words, *options).end()[0] == 0
        curves = pd.read_csv(checkout.folder / f"reports/curves/tiny/l2/seed{seed}.csv")
        return float(curves["validation/psnr_h"][0])

    alone = [psnr(seed=seed) for seed in range(3)]
    for number in ("2", "4"):
        assert abs(psnr("--devices", number) - alone[0]) < max(alone) - min(alone)


def test_more_devices_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, device in ((0, "cuda"), (2, "auto"), (2, "cuda")):
        monkeypatch.setattr("torch.cuda.device_count", lambda there=there: there)
        with pytest.raises(InputError, match=f"--devices 3: PyTorch finds {there} CUDA devices"):
            launch(RUN, device, 3, 1, None)


@pytest.mark.parametrize(
    ("given", "slurm", "expected"),
    [
        ("node1:5000", {}, "node1:5000"),
        ("node1", {"SLURM_LAUNCH_NODE_IPADDR": "10.0.0.1"}, "node1:29400"),
        ("node1:", {}, "node1:29400"),
        ("node-1.local:65535", {}, "node-1.local:65535"),
        (None, {"SLURM_LAUNCH_NODE_IPADDR": "10.0.0.1"}, "10.0.0.1:29400"),
    ],
)
def test_machines_meet_where_it_is_said(
    given: str | None, slurm: dict[str, str], expected: str
) -> None:
    assert meeting_point(given, slurm) == expected


@pytest.mark.parametrize(
    "given",
    [
        *(None, ":5000", "node1:http", "node1:5000:1"),
        *("node1:294000", "node1:65536", "node1:0", f"node1:{'9' * 5000}", "node/1:5000", "a b"),
    ],
)
def test_machines_that_cannot_meet_are_refused(given: str | None) -> None:
    with pytest.raises(InputError, match=r"^--(nodes|meet-at): "):
        meeting_point(given, {})


@pytest.mark.parametrize(
    ("number", "training", "line"),
    [
        (3, {}, "training.batch_size, 8, does not divide among 3 processes"),
        (5, {"batch_size": 45, "drop_last": False}, "leaves a batch of 3 of 48 images for 5"),
        (2, {"compile": "default"}, "training.compile is for one process"),
    ],
)
@pytest.mark.usefixtures("tiny_checkout")
def test_what_processes_cannot_share_is_refused(
    number: int, training: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.pipeline.train.processes", lambda: number)
    if "compile" in training:
        monkeypatch.setattr("benchmark.pipeline.train.together", lambda: True)
    with pytest.raises(InputError, match=line):
        train_tiny("l2", **training)
