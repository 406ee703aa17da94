"""Processes that are stopped and killed at any moment, and go on with the same command."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.paths import Run
from data.draws import integers_below, random_bits, uniforms
from tests.support.children import BUDGET, Children, Ended, Job, Results, results_below
from tests.support.promises import tally
from tests.support.tiny import ROOT

pytestmark = pytest.mark.promise("resume")

VARIANTS = ("l2", "staged", "localizer")
"""One network; a discriminator that starts late; one that is updated at every second step."""
STOPPED = re.compile(
    r"error: (tiny/\w+/seed0: stopped after step \d+ of \d+; the same command continues"
    r"|interrupted(; the same command continues)?)"
)


@pytest.fixture
def checkout(prepared: Path, tmp_path: Path) -> Path:
    return _copy(prepared, tmp_path / "checkout")


def _job(folder: Path, variant: str = "l2", **settings: Any) -> Job:
    return Job(str(folder), variant, training=BUDGET, **settings)


def _copy(prepared: Path, folder: Path) -> Path:
    shutil.copytree(prepared, folder)
    return folder


Whole = Callable[[str], tuple[Results, int]]


@pytest.fixture(scope="module")
def whole(prepared: Path, children: Children, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Return what a run leaves that is never stopped, and the number of its events."""

    @cache
    def found(variant: str) -> tuple[Results, int]:
        folder = _copy(prepared, tmp_path_factory.mktemp("whole") / "checkout")
        ended = children.run(_job(folder, variant))
        assert ended.code == 0 and ended.messages == []
        return results_below(folder), len(ended.events)

    return found


def _check_stopped(ended: Ended, number: int) -> None:
    """Check that a process has ended as a signal wants it to, and not by mistake."""
    if number == signal.SIGKILL:
        assert ended.code == -signal.SIGKILL
        return
    assert ended.code == 130, ended.messages
    notes = [line for line in ended.messages if line.startswith("note: ")]
    (line,) = (line for line in ended.messages if line not in notes)
    assert STOPPED.fullmatch(line)


def _check_results(folder: Path, variant: str, expected: Results) -> None:
    """Check that a run left what one leaves that was never stopped, and nothing else."""
    assert results_below(folder) == expected
    assert [p.name for p in (folder / Run("tiny", variant, 0).scratch).iterdir()] == ["lock"]


def _moments(labels: list[str | int], count: int, bound: int) -> list[int]:
    """Draw numbers of events, from 1 to a bound."""
    return [1 + int(place) for place in integers_below(random_bits(labels, count)[:, 0], bound)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_killed_by_each_signal_and_started_again_is_never_stopped(
    variant: str, whole: Whole, checkout: Path, children: Children
) -> None:
    expected, events = whole(variant)
    numbers = (signal.SIGTERM, signal.SIGKILL, signal.SIGINT)
    for number, moment in zip(numbers, _moments(["kills", variant], 3, events // 4), strict=True):
        ended = children.run(_job(checkout, variant, kill_at=moment, signal=number))
        _check_stopped(ended, number)
        tally("kills survived")
    assert children.run(_job(checkout, variant)).code == 0
    _check_results(checkout, variant, expected)


def test_killed_between_any_two_steps_of_saving_goes_on_from_a_whole_state(
    whole: Whole, checkout: Path, children: Children
) -> None:
    expected, _ = whole("l2")
    # The long version goes through all moments.
    moments = [("os.rename .step", 1), ("os.rename .state.json", 0), ("os.remove step", 0)]
    for event, later in moments:
        ended = children.run(_job(checkout, kill_on=event, kill_after=later))
        assert ended.messages == []  # a state that is not whole would be refused
        _check_stopped(ended, signal.SIGKILL)
        tally("kills survived")
    assert children.run(_job(checkout)).code == 0
    _check_results(checkout, "l2", expected)


@pytest.mark.parametrize(
    ("during", "number"),
    [
        ("training_step", signal.SIGINT),
        ("open .state.json", signal.SIGTERM),
        ("validate", signal.SIGINT),
        ("open .seed0.csv", signal.SIGINT),
    ],
)
def test_second_signal_does_no_more_than_the_first(
    during: str, number: int, whole: Whole, checkout: Path, children: Children
) -> None:
    first = children.run(_job(checkout, kill_at=60))
    assert first.code == -signal.SIGKILL
    ended = children.run(_job(checkout, kill_on=during, signal=number, signals=3))
    _check_stopped(ended, number)
    # While steps are done, a signal is noted alone; afterwards it ends what goes on.
    assert ("stopped after step" in ended.messages[-1]) is not during.endswith("csv")
    assert children.run(_job(checkout)).code == 0
    _check_results(checkout, "l2", whole("l2")[0])
    tally("stops survived")


def _twin(folder: Path) -> Path:
    return Path(shutil.copytree(folder, folder.with_name("twin")))


def test_signal_during_the_last_validation_is_not_lost(
    whole: Whole, checkout: Path, children: Children
) -> None:
    job = _job(checkout, save_every_s=1e9)
    events = children.run(_job(_twin(checkout), save_every_s=1e9)).events
    last = max(place for place, event in enumerate(events, start=1) if event == "validate")
    stopped = replace(job, kill_at=last, signal=signal.SIGTERM)
    _check_stopped(children.run(stopped), signal.SIGTERM)
    assert not (checkout / Run("tiny", "l2", 0).checkpoints).exists()
    assert children.run(job).code == 0
    _check_results(checkout, "l2", whole("l2")[0])
    tally("stops survived")


def test_killed_while_the_states_are_removed_is_whole_and_can_be_trained_again(
    whole: Whole, checkout: Path, children: Children
) -> None:
    expected, _ = whole("l2")
    # The files of the last state go one after the other.
    ended = children.run(_job(checkout, kill_on="os.remove state.json", kill_after=2))
    _check_stopped(ended, signal.SIGKILL)
    again = children.run(_job(checkout))
    assert again.code == 0, again.messages
    _check_results(checkout, "l2", expected)
    tally("kills survived")


@pytest.mark.promise("lock")
def test_second_training_is_refused_and_does_not_disturb_the_first(
    whole: Whole, checkout: Path, children: Children
) -> None:
    job = _job(checkout, save_every_s=1e9, step_s=0.5)
    first = children.start(job)
    deadline = time.monotonic() + 60
    while "training_step" not in job.events.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = children.run(replace(job, notes="second"))
    assert second.code == 2
    scratch = Run("tiny", "l2", 0).scratch
    assert second.messages == [f"error: {scratch}: the run is being trained by process {first}"]
    assert children.wait(first, job).code == 0
    _check_results(checkout, "l2", whole("l2")[0])
    tally("second trainings refused")


# Long versions


@pytest.mark.slow
def test_killed_at_every_event_of_a_run_and_started_again_is_never_stopped(
    prepared: Path, tmp_path: Path, children: Children
) -> None:
    undisturbed = _copy(prepared, tmp_path / "undisturbed")
    events = children.run(_job(undisturbed)).events
    expected = results_below(undisturbed)
    for moment in range(1, len(events) + 1):
        folder = _copy(prepared, tmp_path / "killed")
        _check_stopped(children.run(_job(folder, kill_at=moment)), signal.SIGKILL)
        again = children.run(_job(folder))
        assert again.code == 0, (events[moment - 1], again.messages)
        _check_results(folder, "l2", expected)
        shutil.rmtree(folder)
        tally("kills survived")


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_killed_at_any_time_from_outside_is_never_stopped(
    variant: str, whole: Whole, checkout: Path, children: Children
) -> None:
    expected, _ = whole(variant)
    numbers = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
    waits_s = (uniforms(random_bits(["waits", variant], 1000)[:, 0]) * 0.5).tolist()
    kills = 0
    while kills < 30:
        number = numbers[kills % 3]
        job = _job(checkout, variant)
        child = children.start(job)
        time.sleep(waits_s.pop())
        os.kill(child, number)
        ended = children.wait(child, job)
        if ended.code == 0:  # it was faster
            _check_results(checkout, variant, expected)
            shutil.rmtree(checkout / "models")
            shutil.rmtree(checkout / "reports")
            continue
        if ended.code != -number:  # which is how one ends that has not reached the command line
            _check_stopped(ended, number)
        kills += 1
        tally("kills survived")
    assert children.run(_job(checkout, variant)).code == 0
    _check_results(checkout, variant, expected)


@pytest.mark.slow
def test_killed_while_python_starts_is_never_stopped(tmp_path: Path) -> None:
    for name in ("benchmark", "data", "models"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=_no_products)
    shutil.copy(ROOT / "tests/support/tiny_suite.yaml", tmp_path / "benchmark/suites/tiny.yaml")
    for name in ("dvc.yaml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    options = [sys.executable, "-m", "benchmark"]

    def start(*arguments: str) -> "subprocess.Popen[str]":
        command = [*options, *arguments, "--suite", "tiny"]
        return subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)

    def train() -> Results:
        with start("train", "--variant", "l2", "--device", "cpu") as process:
            assert process.wait() == 0
        return results_below(tmp_path)

    with start("split") as process:
        assert process.wait() == 0
    expected = train()
    shutil.rmtree(tmp_path / "models/checkpoints")
    shutil.rmtree(tmp_path / "reports")
    begun = time.monotonic()
    with start("list") as process:
        process.wait()
    whole_s = time.monotonic() - begun
    numbers = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT] * 3
    shares = uniforms(random_bits(["start"], len(numbers))[:, 0]).tolist()
    for number, share in zip(numbers, shares, strict=True):
        with start("train", "--variant", "l2", "--device", "cpu") as process:
            time.sleep(share * whole_s)
            process.send_signal(number)
            process.wait()
        assert process.returncode in (-number, 130, 1)
        tally("kills survived")
    assert train() == expected


def _no_products(folder: str, names: list[str]) -> set[str]:
    products = {"__pycache__", "raw", "prepared", "scratch", "checkpoints"}
    return {name for name in names if name in products and Path(folder).parent == ROOT}
