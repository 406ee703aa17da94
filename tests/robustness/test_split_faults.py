"""Splitting in processes that are interrupted, killed, out of room, or not allowed to write."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from benchmark.__main__ import main
from tests.support.faults import (
    children_of,
    command_of,
    is_running,
    largest_file,
    obeyed_permissions,
    small_disk,
)
from tests.support.promises import tally
from tests.support.tiny import ROOT, files_below

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

IMAGES, FEW, SIDE_PX = 400, 20, 1500
PACKED_BYTES = 64 * 64 * 3
BEFORE = {"split.json": b"the previous one"}
PREPARED = Path("data/prepared/small")
SUITE = {
    "title": "Small",
    "description": "",
    "source": {"name": "image_folder"},
    "image_size": 64,
    "splits": {"seed": 0, "train": 0.8, "val": 0.1, "test": 0.1},
    "mask": {"kind": "center", "size": 32},
    "training": {"epochs": 1, "batch_size": 2},
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with an earlier result, and with images that take long and little room."""
    images = tmp_path / "data/raw/small"
    images.mkdir(parents=True)
    Image.new("1", (SIDE_PX, SIDE_PX)).save(images / "0.png")
    for number in range(1, IMAGES):
        os.link(images / "0.png", images / f"{number}.png")
    (tmp_path / "benchmark/suites").mkdir(parents=True)
    write_suite(tmp_path)
    (tmp_path / PREPARED).mkdir(parents=True)
    (tmp_path / PREPARED / "split.json").write_bytes(BEFORE["split.json"])
    return tmp_path


def leave_few_images(checkout: Path) -> None:
    for number in range(FEW, IMAGES):
        (checkout / f"data/raw/small/{number}.png").unlink()


def write_suite(checkout: Path, **changes: object) -> None:
    # Every JSON document is one of YAML 1.2.
    path = checkout / "benchmark/suites/small.yaml"
    path.write_text(json.dumps({**SUITE, **changes}))


def start(
    checkout: Path, workers: int = 2, prepare: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    """Start to split in a process group of its own, as a shell does."""
    command = [sys.executable, "-m", "benchmark", "split", "--suite", "small"]
    return subprocess.Popen(
        [*command, "--workers", str(workers)],
        cwd=checkout, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=prepare,
    )  # fmt: skip


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not is_so():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    return [pid for pid in children_of(process.pid) if "spawn_main" in command_of(pid)]


def wait_for_workers(process: subprocess.Popen[str], count: int = 2) -> list[int]:
    wait_until(lambda: len(workers_of(process)) == count, process)
    return workers_of(process)


def wait_for_pixels(checkout: Path, process: subprocess.Popen[str]) -> None:
    packed = checkout / PREPARED.with_name(".small.partial") / "packed.bytes"
    wait_until(lambda: packed.exists() and packed.stat().st_size > 0, process)


def errors_of(process: subprocess.Popen[str]) -> list[str]:
    """Wait for the end, and return what was said besides the progress."""
    said = process.communicate()[1].replace("\r", "\n").splitlines()
    return [line for line in said if line and not line.startswith("split small: ")]


def assert_nothing_is_left(checkout: Path, workers: list[int]) -> None:
    deadline = time.monotonic() + 10  # a process that has been ended may take a moment to go
    while any(map(is_running, workers)):
        assert time.monotonic() < deadline, "a worker outlives the command"
        time.sleep(0.01)
    assert files_below(checkout / PREPARED) == BEFORE
    assert [path.name for path in (checkout / PREPARED).parent.iterdir()] == ["small"]


@pytest.mark.promise("writing")
@pytest.mark.parametrize(
    ("number", "of_group", "moment"),
    [
        (signal.SIGINT, True, "start"),
        (signal.SIGINT, True, "work"),
        (signal.SIGTERM, False, "start"),
        (signal.SIGTERM, False, "work"),
    ],
)
def test_interrupt_is_one_line_and_leaves_nothing(
    checkout: Path, number: int, of_group: bool, moment: str
) -> None:
    process = start(checkout)
    workers = wait_for_workers(process)
    if moment == "work":
        wait_for_pixels(checkout, process)
    os.killpg(process.pid, number) if of_group else process.send_signal(number)
    assert errors_of(process) == ["error: interrupted"] and process.returncode == 130
    assert_nothing_is_left(checkout, workers)
    tally("interrupts survived")


@pytest.mark.slow
@pytest.mark.promise("writing")
def test_interrupt_at_any_moment_is_one_line_and_leaves_nothing(checkout: Path) -> None:
    draw = random.Random(0)
    for _ in range(60):
        number, of_group = draw.choice([signal.SIGINT, signal.SIGTERM]), draw.random() < 0.5
        delay_s, process = draw.uniform(0, 1), start(checkout, draw.choice([1, 2, 3]))
        # Python handles signals, and the command has begun, once it has looked at the suite.
        partial = checkout / PREPARED.with_name(".small.partial")
        wait_until(partial.exists, process)
        time.sleep(delay_s)
        workers = workers_of(process)
        os.killpg(process.pid, number) if of_group else process.send_signal(number)
        assert errors_of(process) == ["error: interrupted"] and process.returncode == 130
        assert_nothing_is_left(checkout, workers)
        tally("interrupts survived")


@pytest.mark.promise("writing")
@pytest.mark.parametrize("moment", ["start", "work", "result"])
def test_worker_that_is_killed_is_one_line(checkout: Path, moment: str) -> None:
    write_suite(checkout, image_size=256)  # so that a result does not fit into a pipe's memory
    process = start(checkout)
    workers = wait_for_workers(process)
    if moment != "start":
        wait_for_pixels(checkout, process)
    if moment == "result":
        process.send_signal(signal.SIGSTOP)  # it takes nothing, so its workers wait with a half
        time.sleep(1)
    os.kill(workers[1], signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    (error,) = errors_of(process)
    assert error.startswith("error: a process that decodes was killed") and "--workers 1" in error
    assert process.returncode == 2
    assert_nothing_is_left(checkout, workers)
    tally("kills survived")


@pytest.mark.promise("writing")
def test_workers_leave_an_interrupt_to_the_command(checkout: Path) -> None:
    leave_few_images(checkout)
    process = start(checkout)
    while process.poll() is None:  # while they load modules too
        for worker in workers_of(process):
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGINT)
        time.sleep(0.02)
    (error,) = errors_of(process)
    assert "split is empty" in error  # of equal images, and after all of them were decoded
    tally("interrupts survived")


@pytest.mark.promise("writing")
def test_workers_end_with_the_command_and_the_next_one_sweeps(checkout: Path) -> None:
    process = start(checkout)
    workers = wait_for_workers(process)
    wait_for_pixels(checkout, process)
    process.kill()
    process.communicate()
    assert (checkout / PREPARED.with_name(".small.partial")).is_dir()
    deadline = time.monotonic() + 20
    while any(map(is_running, workers)):
        assert time.monotonic() < deadline, "a worker outlives the command"
        time.sleep(0.01)
    leave_few_images(checkout)
    assert "split is empty" in errors_of(start(checkout, workers=1))[0]
    assert_nothing_is_left(checkout, workers)
    tally("kills survived")


# A disk without room, and places that cannot be written to


@pytest.fixture
def few_images(checkout: Path) -> Path:
    leave_few_images(checkout)
    return checkout


@pytest.mark.promise("writing")
@pytest.mark.parametrize("limit", [0, 20_000, FEW * PACKED_BYTES - 1])
def test_file_that_may_not_grow_is_one_line(few_images: Path, limit: int) -> None:
    process = start(few_images, workers=1, prepare=largest_file(limit))
    assert errors_of(process) == ["error: data/prepared/small: cannot be written (File too large)"]
    assert process.returncode == 2
    assert_nothing_is_left(few_images, [])
    tally("failed writes survived")


@pytest.mark.promise("writing")
def test_full_disk_is_one_line(few_images: Path) -> None:
    place = few_images / PREPARED
    (place / "split.json").unlink()
    place.rmdir()
    place.parent.rmdir()
    with small_disk(place.parent, 128 << 10):
        place.mkdir()
        (place / "split.json").write_bytes(BEFORE["split.json"])
        process = start(few_images, workers=1)
        assert errors_of(process) == [
            "error: data/prepared/small: cannot be written (No space left on device)"
        ]
        assert process.returncode == 2
        assert_nothing_is_left(few_images, [])
    tally("failed writes survived")


@pytest.mark.promise("writing")
def test_folder_that_is_read_only_is_one_line(
    few_images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(few_images)
    monkeypatch.setattr("benchmark.__main__.snapshot", dict)  # someone may edit while this runs
    (few_images / PREPARED).parent.chmod(0o555)
    with obeyed_permissions():
        assert main(["split", "--suite", "small", "--workers", "1"]) == 2
    line = "error: data/prepared/small: cannot be written (Permission denied)\n"
    assert capsys.readouterr().err == line
    assert_nothing_is_left(few_images, [])
    tally("failed writes survived")
