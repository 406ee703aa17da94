"""Stages on a Ray cluster: what runs there, what is refused, and a machine that dies."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.__main__ import main
from benchmark.distributed.ray_engine import RayEngine
from benchmark.distributed.repro import StagesFailedError, only_one, run_stages
from benchmark.distributed.stages import Stages
from data.errors import InputError
from tests.support.copying_pipeline import NAMES, PIPELINE, dvc, wait_until
from tests.support.pipeline_checkout import ENVIRONMENT, RESULTS, PipelineCheckout
from tests.support.tiny import params_text

# DVC's own; its maintainers have to mend them.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="--ray needs `pip install ray`"):
        RayEngine("auto", 0, 1)


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1", "nonsense"])
def test_a_cluster_that_cannot_be_reached_is_named(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/nowhere")
    with pytest.raises(InputError, match=f"^--ray {address}: no cluster there"):
        RayEngine(address, 0, 1)


def test_gpus_are_for_ray(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repro", "--gpus-per-run", "1"]) == 2
    assert capsys.readouterr().err == "error: --gpus-per-run is for --ray\n"


@pytest.fixture
def ray() -> Iterator[None]:
    yield
    import ray

    ray.shutdown()


@pytest.mark.usefixtures("ray")
def test_ray_runs_what_is_stale_and_says_what_fails(pipeline: Path) -> None:
    def repro() -> list[str]:
        with only_one() as token:
            return run_stages(Stages(), RayEngine("local", 0, 1), token, {"THREADS": "3"})

    text = PIPELINE.replace("cp split train${item}", "sh train.sh ${item}")
    Path("dvc.yaml").write_text(text)
    Path("train.sh").write_text("echo no luck with $THREADS threads >&2; exit 3")
    with pytest.raises(StagesFailedError, match=r"^failed: train@1, train@2, and 1 "):
        repro()
    log = Path("models/scratch/logs/train@1.log").read_text().splitlines()
    assert log[-1] == "no luck with 3 threads"
    Path("train.sh").write_text("cp split train$1")
    assert {*repro()} == NAMES - {"split"}
    assert Path("report").read_text() == "one"
    assert "up to date" in dvc("status")


@pytest.mark.usefixtures("ray")
def test_more_gpus_than_a_machine_has_are_refused() -> None:
    with pytest.raises(InputError, match="--gpus-per-run 1: the largest machine of Ray has 0"):
        RayEngine("local", 1, 1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kills a machine of a local cluster")
@pytest.mark.promise("several")
def test_twelve_runs_on_three_machines_of_which_one_dies(tmp_path: Path) -> None:
    """The results are those of one machine, byte by byte."""
    from ray.cluster_utils import Cluster

    made = []
    for name in ("serial", "cluster"):
        checkout = PipelineCheckout(tmp_path / name)
        params = params_text(["tiny"], ["l2", "binary", "localizer"], range(4))
        (checkout.folder / "params.yaml").write_text(params)
        checkout.commit()
        made.append(checkout)
    serial, shared = made
    serial.repro()
    one = {"num_cpus": 1, "include_dashboard": False}
    cluster: Any = Cluster(initialize_head=True, head_node_args=one)
    try:
        _, doomed = cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)
        command = subprocess.Popen(
            [sys.executable, "-m", "benchmark", "repro", "--ray", cluster.address],
            cwd=shared.folder, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        logs = shared.folder / "models/scratch/logs"
        wait_until(lambda: len(_begun(logs)) >= 5, 300)
        cluster.remove_node(doomed, allow_graceful=False)
        said = command.communicate(timeout=600)[1]
    finally:
        cluster.shutdown()
    assert command.returncode == 0, said[-3000:]
    assert any(log.read_text().count("$ python") > 1 for log in logs.glob("train@*.log"))
    assert shared.digests(*RESULTS) == serial.digests(*RESULTS)
    assert shared.repro() == set()


def _begun(logs: Path) -> list[Path]:
    """Return the logs of trainings that have begun."""
    return [log for log in logs.glob("train@*.log") if log.stat().st_size > 0]
