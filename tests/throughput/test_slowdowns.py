"""Verdicts on files and on rounds whose times are drawn from known laws."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark.reporting.throughput import Measured, Roof, Throughput
from benchmark.throughput.measuring import Timing
from benchmark.throughput.slowdowns import (
    compare_files,
    compare_rounds,
    comparison_json,
    comparison_text,
)
from data.errors import InputError

MACHINE = {"cpu": "Some CPU", "threads": 2, "device": "cpu", "libraries": {"torch": "2.14.1"}}
NAMES = [f"step/v{index}" for index in range(40)]
SIDES = ("old.json", "new.json")


def drawn(
    rng: np.random.Generator,
    rounds: int = 5,
    spread: float = 0.1,
    slower: dict[str, float] | None = None,
    load: float = 1.0,
    **changes: Any,
) -> Throughput:
    """Return a file: times of 10 ms with a log-normal spread, each subject's by a factor."""

    def times(factor: float) -> tuple[float, ...]:
        return tuple(0.01 * factor * load * np.exp(spread * rng.standard_normal(rounds)))

    factors = dict.fromkeys(NAMES, 1.0) | (slower or {})
    subjects = {
        name: Measured(images=8, gflop=1.0, wall_s=times(factor), cpu_s=times(factor))
        for name, factor in factors.items()
    }
    roof = Roof(gflop=2.0, wall_s=times(1), cpu_s=times(1), best_s=0.01)
    content = {"machine": MACHINE, "code": {}, "batch_size": 8, "image_px": 64}
    return Throughput(**content | {"roof": roof, "subjects": subjects} | changes)


@pytest.mark.parametrize(
    "spread", [0.02, *(pytest.param(s, marks=pytest.mark.slow) for s in (0.001, 0.3))]
)
def test_equal_code_is_refused_in_less_than_one_of_a_hundred_pairs_of_files(spread: float) -> None:
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(200):
        old, new = (drawn(rng, spread=spread, load=load) for load in (1.0, 1.7))
        alarms += bool(compare_files(old, new, SIDES).failures)
    # Of a binomial law with p = .01, more than 7 are there once in 1,000 times.
    assert alarms <= 7


def test_a_slowdown_of_just_the_margin_is_refused_no_more_often_than_the_level() -> None:
    # The worst case of the rule: every subject is slower by what is not yet relevant.
    rng, alarms = np.random.default_rng(1), 0
    for _ in range(200):
        new = drawn(rng, slower=dict.fromkeys(NAMES, 1.10))
        alarms += bool(compare_files(drawn(rng), new, SIDES).failures)
    assert alarms <= 7


def test_doubled_time_is_found_and_named_alone() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        new = drawn(rng, spread=0.05, slower={"step/v3": 2.0}, load=1.5)
        found = compare_files(drawn(rng, spread=0.05), new, SIDES)
        assert {failure.name for failure in found.failures} == {"step/v3"}
    assert "slower: step/v3: " in (text := comparison_text(found))
    assert text.endswith(f"{SIDES[0]} -> {SIDES[1]}: 40 subjects, {len(found.failures)} failures\n")
    assert comparison_json(found)["passed"] is False


def test_faster_code_passes() -> None:
    rng = np.random.default_rng(3)
    found = compare_files(drawn(rng), drawn(rng, slower={"step/v3": 0.5}), SIDES)
    assert not found.failures
    assert comparison_text(found) == "old.json -> new.json: 40 subjects, passed\n"


def test_a_slowdown_that_the_repetitions_explain_passes() -> None:
    rng = np.random.default_rng(4)
    old, new = (drawn(rng, spread=1.0, slower={"step/v3": factor}) for factor in (1.0, 1.5))
    assert not compare_files(old, new, SIDES).failures


@pytest.mark.parametrize(
    ("key", "value"), [("cpu", "Another CPU"), ("threads", 1), ("device", "cuda"), ("gpu", "H100")]
)
def test_files_of_different_machines_are_refused_with_the_reason(key: str, value: object) -> None:
    rng = np.random.default_rng(5)
    other = drawn(rng, machine=MACHINE | {key: value})
    expected = f"not the same machine: {key} is {MACHINE.get(key)}, then {value}"
    with pytest.raises(InputError, match=expected):
        compare_files(drawn(rng), other, SIDES)


def test_files_that_have_nothing_to_compare_are_refused() -> None:
    rng = np.random.default_rng(6)
    old = drawn(rng)
    with pytest.raises(InputError, match="batch_size 8, then 16"):
        compare_files(old, drawn(rng, batch_size=16), SIDES)
    with pytest.raises(InputError, match="no subject in common"):
        compare_files(old, drawn(rng, subjects={"x": old.subjects["step/v3"]}), SIDES)
    with pytest.raises(InputError, match="was timed in 4 rounds; it takes 5"):
        compare_files(old, drawn(rng, rounds=4), SIDES)


def test_what_is_new_or_gone_and_other_libraries_are_noted_and_operations_explain() -> None:
    rng = np.random.default_rng(7)
    old, new = drawn(rng, spread=0.01), drawn(rng, spread=0.01, slower={"step/v3": 2.0})
    subjects = {name: one for name, one in new.subjects.items() if name != "step/v1"}
    subjects["step/v3"] = subjects["step/v3"].model_copy(update={"gflop": 2.0})
    subjects["metric/x"] = subjects["step/v2"]
    machine = MACHINE | {"libraries": {"torch": "2.15.0"}}
    new = new.model_copy(update={"subjects": subjects, "machine": machine})
    found = compare_files(old, new, SIDES)
    assert found.notes == (
        "is gone: step/v1", "is new: metric/x", "the libraries are of other versions",
    )  # fmt: skip
    assert all(str(f).endswith("; its GFLOP were 1.0, and are 2.0") for f in found.failures)
    assert found.failures


def side(logs: NDArray[np.float64], names: Sequence[str] = NAMES) -> dict[str, list[Timing]]:
    times = [Timing(float(np.exp(value)), float(np.exp(value))) for value in logs]
    return dict.fromkeys(names, times)


def test_rounds_are_paired_so_that_a_busy_machine_hides_no_slowdown() -> None:
    # Rounds differ by factors of up to twenty, the two sides of a round by 30 %.
    busy = np.random.default_rng(8).uniform(0, 3, 12)
    found = compare_rounds(side(busy), side(busy + np.log(1.3)), "a -> b")
    assert len(found.failures) == 2 * len(NAMES)
    assert found.failures[0].ratio == pytest.approx(1.3)
    assert not compare_rounds(side(busy), side(busy + np.log(1.1)), "a -> b").failures


def test_equal_code_side_by_side_is_refused_in_less_than_one_of_a_hundred_runs() -> None:
    rng, alarms = np.random.default_rng(9), 0
    for _ in range(200):
        times = np.exp(0.4 * rng.standard_normal((2, len(NAMES), 8, 2)))
        old, new = (
            {name: [Timing(*pair) for pair in one] for name, one in zip(NAMES, half, strict=True)}
            for half in times
        )
        alarms += bool(compare_rounds(old, new, "a -> b").failures)
    assert alarms <= 7


def test_either_clock_is_enough() -> None:
    old = {"x": [Timing(1.0, 1.0)] * 6}
    for slow, clock in ((Timing(2.0, 1.0), "wall"), (Timing(1.0, 2.0), "CPU")):
        found = compare_rounds(old, {"x": [slow] * 6}, "a -> b")
        assert [failure.clock for failure in found.failures] == [clock]
