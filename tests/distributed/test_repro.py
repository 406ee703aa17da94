"""Several stages at a time: what waits for what, what fails, and what DVC records in the end."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.__main__ import main
from benchmark.distributed import repro as module
from benchmark.distributed.ray_engine import RayEngine
from benchmark.distributed.repro import StagesFailedError, only_one, run_stages
from benchmark.distributed.stages import Stages
from benchmark.distributed.tasks import Here, Task, run_command
from data.errors import InputError
from tests.support.pipeline_checkout import ENVIRONMENT, PipelineCheckout
from tests.support.tiny import ROOT, params_text

PIPELINE = """\
stages:
  split:
    cmd: cp source split
    deps: [source]
    outs: [split]
  train:
    foreach: [1, 2]
    do:
      cmd: cp split train${item}
      deps: [split]
      outs: ['train${item}']
  report:
    cmd: cp train2 report
    deps: [train1, train2]
    outs: [report]
"""


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder with a pipeline of four stages that copy a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.distributed.stages.stage_code", lambda _: [])
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    _dvc("init", "--no-scm", "--quiet")
    Path("dvc.yaml").write_text(PIPELINE)
    Path("source").write_text("one")
    yield tmp_path


def _dvc(*words: str) -> str:
    command = [sys.executable, "-m", "dvc", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _repro(jobs: int = 2) -> list[str]:
    with only_one() as token:
        return run_stages(Stages(), Here(jobs), token, {})


# DVC's own; its maintainers have to mend them.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NAMES = {"split", "train@1", "train@2", "report"}


@pytest.mark.promise("several")
def test_what_is_stale_runs_and_what_waits_comes_after(pipeline: Path) -> None:
    ran = _repro()
    assert (ran[0], {*ran}, ran[-1]) == ("split", NAMES, "report")
    assert Path("report").read_text() == "one"
    assert "up to date" in _dvc("status")
    assert _repro() == []
    Path("train1").write_text("damaged")  # what depends on it does not change in the end
    assert _repro() == []  # DVC has what belongs there
    assert Path("train1").read_text() == "one"


def test_results_that_were_made_before_come_back_without_a_run(pipeline: Path) -> None:
    _repro()
    Path("source").write_text("two")
    assert {*_repro()} == NAMES
    Path("source").write_text("one")
    assert _repro() == []
    assert Path("report").read_text() == "one"


@pytest.mark.promise("several")
def test_the_record_is_that_of_dvc_repro(pipeline: Path) -> None:
    _dvc("repro", "--quiet")
    lock = Path("dvc.lock")
    expected = lock.read_text()
    lock.unlink()
    _repro()
    assert lock.read_text() == expected
    first, *entries = re.split(r"^(?=  \S)", expected, flags=re.MULTILINE)
    assert [entry.split(":")[0].strip() for entry in entries] == [
        "split", "train@1", "train@2", "report",
    ]  # fmt: skip
    lock.write_text(first + entries[2])  # an order that is there already stays
    _repro()
    assert lock.read_text() == "".join([first, entries[2], *entries[:2], entries[3]])


def test_a_stage_that_fails_stops_those_that_wait_for_it_alone(
    pipeline: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = PIPELINE.replace("cp split train${item}", "sh train.sh ${item}")
    Path("dvc.yaml").write_text(text)
    Path("train.sh").write_text("cp split train$1; [ $1 != 1 ] || { echo no luck >&2; exit 3; }")
    with pytest.raises(StagesFailedError, match=r"^failed: train@1, and 1 that wait for it were"):
        _repro()
    assert "train@1: no luck\n" in capfd.readouterr().err
    assert Path("train2").exists()
    Path("train.sh").write_text("cp split train$1")
    assert _repro() == ["train@1", "report"]  # train@2 is kept


@pytest.mark.promise("several")
def test_code_that_changes_while_a_stage_runs_is_not_recorded(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = iter("abcdefghijkl")
    monkeypatch.setattr(Stages, "_digest", lambda *_: next(digests))
    with pytest.raises(StagesFailedError, match=r"^failed: split, and 3 "):
        _repro()
    assert not Path("dvc.lock").exists()


def test_one_at_a_time(pipeline: Path) -> None:
    with only_one(), pytest.raises(InputError, match="another `repro` runs in this checkout"):
        _repro()
    _repro()


def test_an_interrupted_stage_is_told_to_stop(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "trap 'echo stopped > ended; exit 0' TERM; touch begun; while :; do sleep .05; done"
    Path("split.sh").write_text(script)
    Path("dvc.yaml").write_text(PIPELINE.replace("cp source split", "sh split.sh"))

    def interrupt(stages: Any, names: Any) -> str:
        if Path("begun").exists():
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(module, "_how_far", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _repro()
    assert Path("ended").read_text() == "stopped\n"


# Commands


def _task(folder: Path, *command: str, **variables: str) -> Task:
    (folder / "token").touch()
    return Task("task", command, str(folder), str(folder / "log"), str(folder / "token"), variables)


def test_a_command_has_its_folder_its_variables_and_its_log(tmp_path: Path) -> None:
    task = _task(tmp_path, "sh", "-c", "pwd; echo $THREADS >&2; exit 5", THREADS="3")
    assert run_command(task) == 5
    command, *said = (tmp_path / "log").read_text().splitlines()
    assert command.startswith("$ sh -c pwd;")
    assert said == [str(tmp_path), "3"]


def test_a_machine_with_another_folder_is_named(tmp_path: Path) -> None:
    task = _task(tmp_path, "true")
    (tmp_path / "token").unlink()
    with pytest.raises(Exception, match=f"does not share the folder {tmp_path}"):
        run_command(task)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_command_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """As that is killed, it can't tell the command to stop."""
    code = """
import sys
from benchmark.distributed.tasks import Task, run_command
command = ("sh", "-c", "echo $$ > pid; exec {python} -c '{child}'")
folder = sys.argv[1]
run_command(Task("task", command, folder, folder + "/log", folder + "/token", {variables}))
"""
    child = (
        "import time; from benchmark.distributed.parent import end_with_parent; "
        'end_with_parent(); open(\\"begun\\", \\"w\\"); time.sleep(60)'
    )
    code = code.replace("{python}", sys.executable).replace("{child}", child)
    code = code.replace("{variables}", repr({"PYTHONPATH": str(ROOT)}))
    (tmp_path / "token").touch()
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    _wait_for(lambda: (tmp_path / "begun").exists())
    child_pid = (tmp_path / "pid").read_text().strip()
    parent.kill()
    parent.wait()
    _wait_for(lambda: not Path(f"/proc/{child_pid}/status").exists() or _is_zombie(child_pid))


def _is_zombie(pid: str) -> bool:
    return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()


def _wait_for(condition: Callable[[], bool], patience_s: float = 60) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


# Misuse


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


# Ray


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
    assert "up to date" in _dvc("status")


@pytest.mark.usefixtures("ray")
def test_more_gpus_than_a_machine_has_are_refused() -> None:
    with pytest.raises(InputError, match="--gpus-per-run 1: the largest machine of Ray has 0"):
        RayEngine("local", 1, 1)


RESULTS = (
    *("data/prepared", "models/checkpoints", "reports/metrics", "reports/scores"),
    *("reports/curves", "reports/diagnostics", "reports/provenance"),
)


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
        _wait_for(lambda: len(_begun(logs)) >= 5, 300)
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


@pytest.mark.slow
@pytest.mark.promise("several")
def test_several_jobs_make_what_one_makes(tmp_path: Path) -> None:
    serial, parallel = PipelineCheckout(tmp_path / "1"), PipelineCheckout(tmp_path / "2")
    serial.repro()
    command = [sys.executable, "-m", "benchmark", "repro", "--jobs", "3"]
    subprocess.run(command, cwd=parallel.folder, env=ENVIRONMENT, check=True)
    assert parallel.digests(*RESULTS) == serial.digests(*RESULTS)
    assert parallel.repro() == set()
