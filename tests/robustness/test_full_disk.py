"""A full disk: one line, the old files as they were, and the same bytes once there is room."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.paths import Run
from tests.support.children import BUDGET, Children, Ended, Job, Results, results_below
from tests.support.faults import small_disk
from tests.support.promises import tally
from tests.support.tiny import files_below

pytestmark = pytest.mark.promise("writing")

RUN = Run("tiny", "l2", 0)


@pytest.fixture
def checkout(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "checkout"))


@pytest.fixture(scope="module")
def whole(
    prepared: Path, children: Children, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], tuple[Results, list[str]]]:
    """Return what a run leaves that always has room, and its events."""

    @cache
    def found() -> tuple[Results, list[str]]:
        folder = shutil.copytree(prepared, tmp_path_factory.mktemp("whole") / "checkout")
        ended = children.run(_job(folder))
        assert ended.code == 0 and ended.messages == []
        return results_below(folder), ended.events

    return found


def _job(folder: Path, **settings: Any) -> Job:
    return Job(str(folder), "l2", training=BUDGET, **settings)


def _check_refused(ended: Ended, folder: Path, reason: str) -> None:
    """Check that a run has ended with one line, and has left nothing half-written behind."""
    assert ended.code == 2, ended.messages
    (line,) = (line for line in ended.messages if not line.startswith("note: "))
    assert re.match("error: (models|reports)", line) and reason in line
    hidden = [p for p in folder.rglob(".*") if p.name != ".gitignore"]
    assert hidden == []


def _check_goes_on(folder: Path, children: Children, expected: Results) -> None:
    """Check that the same command, with room, ends with the bytes of a run that always had it."""
    again = children.run(_job(folder))
    assert again.code == 0, again.messages
    assert results_below(folder) == expected


Whole = Callable[[], tuple[Results, list[str]]]
WRITES = ("open", "os.mkdir", "fsync")


def _fill_at(moment: int, whole: Whole, folder: Path, children: Children) -> None:
    expected, events = whole()
    ended = children.run(_job(folder, full_from=moment))
    # The curves are the last result; what is noted beside the results after them may not fit.
    complete = max(i for i, event in enumerate(events) if event == "os.remove .seed0.csv.partial")
    if any(event.startswith(WRITES) for event in events[moment - 1 : complete]):
        _check_refused(ended, folder, "No space left on device")
    else:
        assert ended.code == 0, ended.messages
        found, noted = results_below(folder), RUN.version.as_posix()
        assert found in (expected, {name: expected[name] for name in expected if name != noted})
    _check_goes_on(folder, children, expected)
    tally("full disks survived")


@pytest.mark.parametrize(
    "file",
    [
        *("lock", ".state.json.partial", ".manifest.json.partial"),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (".epoch0001.png.partial", ".seed0.csv.partial")
        ),
    ],
)
def test_disk_that_is_full_from_a_file_on_loses_nothing(
    file: str, whole: Whole, checkout: Path, children: Children
) -> None:
    places = [place for place, e in enumerate(whole()[1], start=1) if e == f"open {file}"]
    # Not at once, where there are several, so that there is a state to lose.
    _fill_at(places[len(places) // 2], whole, checkout, children)


@pytest.mark.slow
def test_disk_that_is_full_from_any_moment_on_loses_nothing(
    whole: Whole, prepared: Path, tmp_path: Path, children: Children
) -> None:
    for moment in range(1, len(whole()[1]) + 1):
        folder = Path(shutil.copytree(prepared, tmp_path / "full"))
        _fill_at(moment, whole, folder, children)
        shutil.rmtree(folder)


def test_state_that_does_not_fit_leaves_the_one_before(
    whole: Whole, checkout: Path, children: Children
) -> None:
    expected, events = whole()
    first = 1 + events.index("training_step", events.index("training_step") + 1)
    assert children.run(_job(checkout, kill_at=first)).code < 0
    before = _states(checkout)
    (size,) = (len(content) for name, content in before.items() if "step00000001" in name)
    # A limit of the process in place of one of the disk; it cuts the file as one of the disk does.
    ended = children.run(_job(checkout, file_limit=size - 1))
    _check_refused(ended, checkout, "step00000002.safetensors: cannot be written")
    assert "File too large" in ended.messages[0]
    assert _states(checkout) == before
    _check_goes_on(checkout, children, expected)
    tally("full disks survived")


def _states(folder: Path) -> Results:
    """Return all files of the states to resume from."""
    return {name: c for name, c in files_below(folder / RUN.scratch).items() if name != "lock"}


def _leave(disk: Path, kib: int) -> None:
    """Let a disk have so much room."""
    stat = os.statvfs(disk)
    used_kib = (stat.f_blocks - stat.f_bfree) * stat.f_frsize // 1024
    options = ["-o", f"remount,size={used_kib + kib}k", str(disk)]
    subprocess.run(["mount", *options], check=True)


def test_real_disk_that_is_full_loses_nothing(
    whole: Whole, prepared: Path, tmp_path: Path, children: Children
) -> None:
    expected, _ = whole()
    refused = []
    with small_disk(tmp_path / "disk", 2**23) as disk:
        folder = Path(shutil.copytree(prepared, disk / "checkout"))
        for kib in range(8, 200, 16):
            _leave(disk, kib)
            ended = children.run(_job(folder, notes="../../child"))  # notes take no room
            if ended.code == 0:
                break
            _check_refused(ended, folder, "No space left on device")
            refused.append(ended.messages[0])
        assert ended.code == 0
        assert results_below(folder) == expected
    assert len({line.partition(": cannot")[0] for line in refused}) > 2, refused
    tally("full disks survived")
