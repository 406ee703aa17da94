"""Times by a clock that is set by hand, operations and memory of work whose needs are known."""

import gc
import itertools
from collections.abc import Callable

import pytest
import torch

from benchmark.throughput import measuring
from benchmark.throughput.measuring import (
    Clocks,
    Needs,
    Subject,
    Timing,
    Work,
    measure,
    needs_of,
    time_work,
)

CPU = torch.device("cpu")


class Machine:
    """One whose clocks move only when something works; the CPU does so at half the pace."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, 0

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now, lambda: self.now / 2)

    def work(self, seconds: float) -> Work:
        def work() -> None:
            self.now += seconds
            self.calls += 1

        return work


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [(2.0, 1), (0.03125, 1), (0.015625, 1 + 2), (2**-10, 1 + 31), (2**-30, 1 + 1000)],
)
def test_short_work_is_repeated_and_long_work_is_not(seconds: float, calls: int) -> None:
    machine = Machine()
    assert time_work(machine.work(seconds), CPU, machine.clocks) == Timing(seconds, seconds / 2)
    assert machine.calls == calls


def test_first_call_of_short_work_does_not_count() -> None:
    machine = Machine()
    steps = itertools.chain([2**-6], itertools.repeat(2**-8))

    def work() -> None:
        machine.now += next(steps)

    assert time_work(work, CPU, machine.clocks).wall_s == 2**-8


def test_nothing_is_collected_while_time_is_taken() -> None:
    states: list[bool] = []
    time_work(lambda: states.append(gc.isenabled()), CPU, Machine().clocks)
    assert not any(states) and gc.isenabled()


def product(rows: int) -> Callable[[], Work]:
    """Prepare a product of square matrices, which has 2 n³ operations."""

    def prepare() -> Work:
        left = torch.ones(rows, rows)

        def work() -> None:
            left @ left

        return work

    return prepare


def test_operations_are_those_of_one_call_and_what_prepares_it_has_none() -> None:
    def prepare() -> Work:
        product(32)()()
        return product(64)()

    _, needs = needs_of(Subject("mm", 1, prepare), CPU)
    assert needs.gflop == 2 * 64**3 / 1e9
    _, needs = needs_of(Subject("add", 1, lambda: lambda: None), CPU)
    assert needs.gflop is None


@pytest.mark.skipif(not measuring.CLEAR.exists(), reason="Linux alone tells the peak")
def test_memory_is_the_peak_of_a_call_even_where_it_is_freed() -> None:
    def work() -> None:
        torch.ones(64 * 2**18)  # 64 MiB of float32

    _, needs = needs_of(Subject("ones", 1, lambda: work), CPU)
    assert needs.memory_mib is not None and 63 <= needs.memory_mib <= 80
    _, needs = needs_of(Subject("nothing", 1, lambda: lambda: None), CPU)
    assert needs.memory_mib is not None and needs.memory_mib <= 8


def test_system_that_does_not_tell_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CLEAR", measuring.CLEAR / "no")
    assert needs_of(Subject("nothing", 1, lambda: lambda: None), CPU)[1] == Needs(None, None)


def test_rounds_visit_everything_in_turn_and_keep_every_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    visits: list[str] = []

    def prepare(name: str) -> Work:
        visits.append(name)
        return lambda: None

    ticks = itertools.count(1)

    def roof() -> None: ...

    def fake(work: Work, device: torch.device) -> Timing:
        return Timing(0.5, 0.25) if work is roof else Timing(next(ticks), 1.0)

    monkeypatch.setattr(measuring, "roof_work", lambda device: roof)
    monkeypatch.setattr(measuring, "time_work", fake)
    subjects = [Subject(name, 4, lambda name=name: prepare(name)) for name in "ab"]  # type: ignore[misc]
    found = measure(subjects, 3, CPU, 4, 64, {"c": "no weights"})
    assert visits == ["a", "b"] * 3
    assert found.subjects["a"].wall_s == (1, 3, 5) and found.subjects["b"].wall_s == (2, 4, 6)
    assert found.roof.wall_s == (0.5,) * 3 and found.roof.cpu_s == (0.25,) * 3
    assert found.roof.gflop_per_s == pytest.approx(2 * 1024**3 / 1e9 / 0.5)
    assert found.subjects["a"].images_per_s == 4 / 3 and found.missing == {"c": "no weights"}
