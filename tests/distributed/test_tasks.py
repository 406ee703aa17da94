"""A command of a stage: its folder, variables and log, and its end."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.distributed.tasks import Task, run_command
from tests.support.copying_pipeline import wait_until
from tests.support.tiny import ROOT


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
    wait_until(lambda: (tmp_path / "begun").exists())
    child_pid = (tmp_path / "pid").read_text().strip()
    parent.kill()
    parent.wait()
    wait_until(lambda: not Path(f"/proc/{child_pid}/status").exists() or _is_zombie(child_pid))


def _is_zombie(pid: str) -> bool:
    return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
