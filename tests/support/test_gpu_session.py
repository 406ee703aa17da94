"""`make gpu` on the CPU: what it keeps, and that a step that fails or hangs stops no other."""

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmark.core import paths
from benchmark.evaluation.reference_runs import read_reference
from benchmark.versions.rebuild import copy_sources
from data.errors import InputError
from tests.support import gpu_session
from tests.support.gpu_session import NOT_RUN, Session, hold_session
from tests.support.tiny import ROOT, params_text


def test_step_that_fails_or_hangs_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(tmp_path / "out", total_s=600)
    assert not session.run("fails", ["sh", "-c", "echo broken; exit 3"], tmp_path)
    monkeypatch.setattr(gpu_session, "STEP_S", 0.2)
    assert not session.run("hangs/0", ["sleep", "600"], tmp_path)
    monkeypatch.setattr(gpu_session, "STEP_S", 600)
    assert not session.run("late", ["true"], tmp_path, reserve_s=700)
    assert session.run("goes on", ["pwd"], tmp_path)
    assert [step.code for step in session.steps] == [3, 124, NOT_RUN, 0]
    logs = tmp_path / "out" / "logs"
    assert (logs / "fails.txt").read_text() == "broken\n"
    assert (logs / "goes on.txt").read_text() == f"{tmp_path}\n"
    assert (logs / "hangs-0.txt").is_file()
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["FAILED", "FAILED", "FAILED", "ok"]


def test_folder_that_is_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already; name a new folder"):
        hold_session(tmp_path, "cpu", "")


def test_make_gpu_calls_it() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.split("\ngpu:")[1].split("\n\n")[0]
    assert "-m tests.support.gpu_session --device $(DEVICE) --out $(OUT)" in recipe
    default = re.search(r"^OUT \?= (.+)$", makefile, re.MULTILINE)
    assert default is not None
    assert f"/{default[1]}/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
def test_session_on_the_cpu_leaves_everything_in_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout, out = tmp_path / "checkout", tmp_path / "out"
    monkeypatch.chdir(ROOT)
    copy_sources(checkout)
    shutil.copytree(ROOT / "tests", checkout / "tests")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    shutil.copy(ROOT / "tests/support/tiny_suite.yaml", checkout / paths.SUITES / "tiny.yaml")
    (checkout / paths.PARAMS).write_text(params_text(["tiny"], ["l2", "binary"], [0]))
    # The one that fails: the tests, of which there are none of this name.
    command = ["-m", "tests.support.gpu_session", "--device", "cpu", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, *command, "--tests", "tests/core/test_git.py -k no_such_test"],
        cwd=checkout, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    steps = {step["name"]: step["code"] for step in json.loads((out / "steps.json").read_text())}
    runs = [f"{stage} tiny/{v}/seed0" for v in ("l2", "binary") for stage in ("train", "evaluate")]
    expected = {"tests", "throughput", "split tiny", "baselines tiny", "reference tiny", *runs}
    assert steps.keys() == expected
    assert done.returncode == 1
    assert steps.pop("tests") == 5
    del steps["throughput"]  # has tests of its own
    assert set(steps.values()) == {0}
    kept = read_reference(out / "reference" / "tiny")
    assert kept.facts.runs.keys() == {"l2", "binary"}
    assert ET.parse(out / "tests.xml").getroot().tag == "testsuites"
    assert json.loads((out / "machine.json").read_text())["device"] == "cpu"
    assert not (checkout / "models/checkpoints/tiny").exists(), "nothing of the checkout changes"
    assert not (checkout / paths.reference("tiny")).exists()
