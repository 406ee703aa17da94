"""Subjects and a number of rounds -> how long each took in each round, and what it needed.

A round visits every subject once, so that a slow minute of the machine is part of one repetition
of many subjects and not of all repetitions of one.
"""

import ctypes
import gc
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from benchmark.core.environment import fingerprint
from benchmark.core.git import code_version
from benchmark.reporting.throughput import Measured, Roof, Throughput

Work = Callable[[], None]
LEAST_S, MOST_CALLS = 0.03, 1000
"""A repetition takes at least so long, of as many calls as that needs."""
ROOF_PX = 1024
"""Rows and columns of the matrices of the roof."""
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Subject:
    """Something whose speed is of interest."""

    name: str
    images: int
    """That one call takes through."""
    prepare: Callable[[], Work]
    """Sets everything up that is not timed, and returns what is."""


class Timing(NamedTuple):
    """Seconds of one call."""

    wall_s: float
    cpu_s: float


class Needs(NamedTuple):
    """What a call needs besides time, where it can be told; see `Measured`."""

    gflop: float | None
    memory_mib: float | None


@dataclass(frozen=True)
class Clocks:
    """What tells the time."""

    wall: Callable[[], float] = time.perf_counter
    cpu: Callable[[], float] = time.process_time


def time_work(work: Work, device: torch.device, clocks: Clocks | None = None) -> Timing:
    """Return the time of one call of work that has been called before.

    A first call says how many it takes for `LEAST_S`, and counts only where it is enough alone.
    """
    clocks = clocks or Clocks()

    def lap(calls: int) -> Timing:
        _wait(device)
        start = clocks.wall(), clocks.cpu()
        for _ in range(calls):
            work()
        _wait(device)
        return Timing((clocks.wall() - start[0]) / calls, (clocks.cpu() - start[1]) / calls)

    was_enabled = gc.isenabled()
    gc.disable()  # it would take its time from whatever is measured when it is due
    try:
        first = lap(1)
        if first.wall_s >= LEAST_S:
            return first
        return lap(min(MOST_CALLS, math.ceil(LEAST_S / max(first.wall_s, 1e-9))))
    finally:
        if was_enabled:
            gc.enable()


def measure(
    subjects: Sequence[Subject],
    rounds: int,
    device: torch.device,
    batch_size: int,
    image_px: int,
    missing: dict[str, str],
) -> Throughput:
    """Time subjects, in rounds.

    Args:
        subjects: what to time.
        rounds: repetitions of each.
        device: where they run.
        batch_size: images of a batch, for the record.
        image_px: their side, for the record.
        missing: what cannot be timed, with the reason.
    """
    times: dict[str, list[Timing]] = defaultdict(list)
    needs: dict[str, Needs] = {}
    roof, laps = roof_work(device), list[list[Timing]]()
    with tqdm(total=rounds * len(subjects), desc="bench", unit="visit", mininterval=0.5) as bar:
        for _ in range(rounds):
            laps.append([])
            for subject in subjects:
                laps[-1].append(time_work(roof, device))
                if subject.name in needs:
                    work = subject.prepare()
                    work()  # the first call allocates, and compiles kernels
                else:
                    work, needs[subject.name] = needs_of(subject, device)
                times[subject.name].append(time_work(work, device))
                del work
                gc.collect()
                bar.update()
    found = {
        subject.name: Measured(
            images=subject.images,
            **needs[subject.name]._asdict(),
            **_clocks(times[subject.name]),
        )
        for subject in subjects
    }
    return Throughput(
        machine=fingerprint(device),
        code=code_version(),
        batch_size=batch_size,
        image_px=image_px,
        roof=_roof(laps),
        subjects=found,
        missing=missing,
    )


def _roof(laps: Sequence[Sequence[Timing]]) -> Roof:
    rounds = [Timing(*(median(clock) for clock in zip(*lap, strict=True))) for lap in laps]
    best = min(timing.wall_s for lap in laps for timing in lap)
    return Roof(gflop=2 * ROOF_PX**3 / 1e9, best_s=_digits(best), **_clocks(rounds))


def _clocks(timings: Sequence[Timing]) -> dict[str, Any]:
    return {name: tuple(_digits(getattr(t, name)) for t in timings) for name in Timing._fields}


def throughput_text(found: Throughput) -> str:
    """Return what was measured as lines for a terminal."""
    lines = [f"{found.machine_text}; roof {found.roof.gflop_per_s:.0f} GFLOP/s"]
    lines.append(f"{'':42}{'images/s':>9} {'GFLOP/s':>8} {'of roof':>8} {'MiB':>7} {'spread':>7}")
    for name, one in found.subjects.items():
        rate, share = one.gflop_per_s, found.roof_share(name)
        cells = ["" if rate is None else f"{rate:.1f}", "" if share is None else f"{share:.0%}"]
        cells += ["" if one.memory_mib is None else f"{one.memory_mib:.0f}", f"{one.spread:.0%}"]
        numbers = f"{cells[0]:>8} {cells[1]:>8} {cells[2]:>7} {cells[3]:>7}"
        lines.append(f"{name:42}{one.images_per_s:9.0f} {numbers}")
    lines += [f"{name:42}not measured: {reason}" for name, reason in found.missing.items()]
    return "\n".join(lines) + "\n"


def roof_work(device: torch.device) -> Work:
    """Return a float32 matrix product with all threads, which no network is expected to exceed."""
    left, right = (torch.full((ROOF_PX, ROOF_PX), 0.5, device=device) for _ in range(2))
    out = torch.empty_like(left)

    def work() -> None:
        torch.mm(left, right, out=out)

    work()
    return work


def needs_of(subject: Subject, device: torch.device) -> tuple[Work, Needs]:
    """Return the work of a subject, called once, and what setting up and that call needed."""
    with FlopCounterMode(display=False) as counter:
        before = _memory_mib(device)
        work = subject.prepare()
        gc.collect()
        start = counter.get_total_flops()
        work()
        after = _memory_mib(device, peak=True)
    flops = counter.get_total_flops() - start
    grown = None if before is None or after is None else round(max(0.0, after - before), 1)
    return work, Needs(flops / 1e9 or None, grown)


def _memory_mib(device: torch.device, peak: bool = False) -> float | None:
    """Return the memory in use now, from which on the peak counts, or the peak since then.

    None where the system does not tell it, which Linux does.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        if peak:
            return torch.cuda.max_memory_allocated(device) / 2**20
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device) / 2**20
    try:
        if not peak:
            gc.collect()
            with suppress(AttributeError, OSError):  # what was freed goes back to the system
                ctypes.CDLL(None).malloc_trim(0)
            CLEAR.write_text("5")
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(lines["VmHWM" if peak else "VmRSS"].split()[0]) / 1024
    except (OSError, KeyError):
        return None


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _digits(value: float) -> float:
    return float(f"{value:.5g}")
