"""A base version and this checkout -> both measured in turns, in processes that live side by side.

Whatever else the machine does hits both sides alike, so that even a busy one can be trusted.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmark.core import git, paths
from benchmark.core.text import one_line
from benchmark.throughput.measuring import Timing
from benchmark.throughput.slowdowns import RELEVANT, Comparison, compare_rounds
from data.errors import InputError, printable

FIRST_ROUNDS, ROUNDS, LEAST_ROUNDS = 5, 20, 2
"""Of everything; of what looks slower then; and the fewest of either, where the time is short."""
FIRST_S, LONGEST_S = 80.0, 215.0
"""Seconds since the start after which no round of either begins, the fewest ones apart."""
MODULE = "benchmark.throughput.worker"
FILE = Path("benchmark/throughput/worker.py")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONDONTWRITEBYTECODE": "1"}
"""One thread has nobody to wait for on a machine that others use too."""


class _Side:
    """A process that measures one version, which it holds in memory."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "cpu"],
            cwd=folder,
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def subjects(self) -> dict[str, int]:
        """Return the names of what can be measured, with the images of a call."""
        found: dict[str, int] = self._answer()
        return found

    def time(self, name: str) -> Timing:
        """Measure something once."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{name}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer will be that it has ended
        return Timing(*self._answer())

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise InputError(f"{self.name}: measuring it failed, see above")
        return json.loads(line)

    def end(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.communicate()


_Sides = tuple[_Side, _Side]
_Times = dict[str, list[Timing]]


def compare_with_base(
    base: str, only: str = "*", clock: Callable[[], float] = time.monotonic
) -> Comparison:
    """Measure a base version and this checkout in turns, and compare them.

    Args:
        base: a revision, or the folder of a checkout.
        only: a pattern of the names of what is measured.
        clock: seconds.

    Raises:
        InputError: there is no such version, one of them cannot be measured, or there is nothing to
            measure.
    """
    title, begin = f"{printable(base)} -> .", clock()
    with _checkout(base) as folder:
        if not (folder / FILE).is_file():
            return Comparison(title, notes=(f"{printable(base)} has no `bench` to compare with",))
        with ExitStack() as stack:
            sides = _Side(folder, printable(base)), _Side(Path(), "this checkout")
            for side in sides:
                stack.callback(side.end)
            return _search(sides, title, only, lambda: clock() - begin)


def _search(sides: _Sides, title: str, only: str, passed_s: Callable[[], float]) -> Comparison:
    """Measure everything, and what looks slower then a second time, which alone is judged."""
    old, new = (side.subjects() for side in sides)
    both = {**old, **new}
    notes = [f"not in both, or of other batches: {n}" for n in both if old.get(n) != new.get(n)]
    names = [name for name in old if old[name] == new.get(name) and fnmatch(name, only)]
    if not names:
        raise InputError(f"{title}: nothing to measure of both is named {one_line(only)}")
    times, _ = _take_turns(sides, names, FIRST_ROUNDS, lambda: passed_s() > FIRST_S)
    suspects = _slower(times)
    if not suspects:
        return replace(compare_rounds(*times, title), notes=tuple(notes))
    notes.append(f"measured again, as they looked slower at first: {', '.join(suspects)}")
    times, is_late = _take_turns(sides, suspects, ROUNDS, lambda: passed_s() > LONGEST_S, drop=True)
    if is_late:
        notes.append(f"in fewer than {ROUNDS} rounds, for want of time")
    return replace(compare_rounds(*times, title), notes=tuple(notes), checked=len(names))


def _take_turns(
    sides: _Sides,
    names: Sequence[str],
    rounds: int,
    is_late: Callable[[], bool],
    drop: bool = False,
) -> tuple[tuple[_Times, _Times], bool]:
    """Return the times of both sides in some rounds, and whether time has ended them.

    Args:
        sides: who is measured.
        names: what.
        rounds: how often.
        is_late: whether there is no time for another round.
        drop: leave out what no longer looks slower. That can only acquit, so that it makes no
            verdict against a side more likely.
    """
    times: tuple[_Times, _Times] = defaultdict(list), defaultdict(list)
    with tqdm(total=rounds * len(names), desc="gate", unit="pair", mininterval=0.5) as bar:
        for turn in range(rounds):
            if turn >= LEAST_ROUNDS:
                names = _slower(times) if drop else names
                if not names or is_late():
                    return times, bool(names)
            for place, name in enumerate(names):
                # Who is first changes from round to round and from subject to subject.
                for side in (0, 1) if (turn + place) % 2 else (1, 0):
                    times[side][name].append(sides[side].time(name))
                bar.update()
    return times, False


def _slower(times: tuple[_Times, _Times]) -> list[str]:
    """Return what looks slower, by either clock."""
    changes = compare_rounds(*times, "").changes
    return list(dict.fromkeys(change.name for change in changes if change.ratio > RELEVANT))


@contextmanager
def _checkout(base: str) -> Iterator[Path]:
    """Give a folder with the code of a version."""
    commit, reason = git.find_commit(base)
    if commit is None:
        if not (Path(base) / paths.PARAMS).is_file():
            raise InputError(
                f"{printable(base)}: neither a revision of this repository nor a folder with "
                f"{paths.PARAMS}{reason}"
            )
        yield Path(base)
        return
    with tempfile.TemporaryDirectory(prefix="inpaintbench-") as temporary:
        git.extract(base, commit, [*git.CODE, str(paths.PARAMS)], Path(temporary))
        yield Path(temporary)
