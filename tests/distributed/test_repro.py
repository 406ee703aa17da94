"""Several stages at a time: what waits for what, what fails, and what DVC records in the end."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark.distributed import repro as module
from benchmark.distributed.repro import StagesFailedError, only_one, run_stages
from benchmark.distributed.stages import Stages
from benchmark.distributed.tasks import Here
from data.errors import InputError
from tests.support.copying_pipeline import NAMES, PIPELINE, dvc
from tests.support.pipeline_checkout import ENVIRONMENT, RESULTS, PipelineCheckout


def _repro(jobs: int = 2) -> list[str]:
    with only_one() as token:
        return run_stages(Stages(), Here(jobs), token, {})


# DVC's own; its maintainers have to mend them.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.promise("several")
def test_what_is_stale_runs_and_what_waits_comes_after(pipeline: Path) -> None:
    ran = _repro()
    assert (ran[0], {*ran}, ran[-1]) == ("split", NAMES, "report")
    assert Path("report").read_text() == "one"
    assert "up to date" in dvc("status")
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
    dvc("repro", "--quiet")
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


@pytest.mark.slow
@pytest.mark.promise("several")
def test_several_jobs_make_what_one_makes(tmp_path: Path) -> None:
    serial, parallel = PipelineCheckout(tmp_path / "1"), PipelineCheckout(tmp_path / "2")
    serial.repro()
    command = [sys.executable, "-m", "benchmark", "repro", "--jobs", "3"]
    subprocess.run(command, cwd=parallel.folder, env=ENVIRONMENT, check=True)
    assert parallel.digests(*RESULTS) == serial.digests(*RESULTS)
    assert parallel.repro() == set()
