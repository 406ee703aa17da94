"""A number of runs -> in how many the throughput gate refuses code that has not changed.

Run by `python -m tests.throughput.false_alarms 20`; `docs/versions.md` states what came of it. Each
run is the gate's own, of a part of its subset so that twenty take minutes.
"""

import sys

from benchmark.throughput.side_by_side import compare_with_base

ONLY, ROUNDS = "[!g]*[ehs]", 8
"""By the last letter: some networks, steps and metrics, short and long ones."""


def main() -> None:
    """Compare this checkout with itself, again and again."""
    runs, alarms = int(sys.argv[1]), 0
    for run in range(runs):
        found = compare_with_base(".", ONLY, ROUNDS)
        alarms += bool(found.failures)
        ratios = [change.ratio for change in found.changes]
        print(
            f"{run + 1}: {len(ratios)} ratios, {min(ratios):.2f} to {max(ratios):.2f}", flush=True
        )
        for failure in found.failures:
            print(f"  {failure}", flush=True)
    print(f"{alarms} of {runs} runs refused equal code")


if __name__ == "__main__":
    main()
