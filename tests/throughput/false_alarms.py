"""A number of runs -> in how many the throughput gate refuses code that has not changed.

Run by `python -m tests.throughput.false_alarms 20`; `docs/versions.md` states what came of it. Each
run is the gate's own, of a part of its subset so that twenty take minutes.
"""

import sys

from benchmark.throughput.side_by_side import compare_with_base

ONLY = "[!g]*[ehs]"
"""By the last letter: the batches, a network and some metrics, short and long ones."""


def main() -> None:
    """Compare this checkout with itself, again and again."""
    runs, alarms = int(sys.argv[1]), 0
    for run in range(runs):
        found = compare_with_base(".", ONLY)
        alarms += bool(found.failures)
        print(f"{run + 1}: {found.checked} subjects; {'; '.join(found.notes)}", flush=True)
        for failure in found.failures:
            print(f"  {failure}", flush=True)
    print(f"{alarms} of {runs} runs refused equal code")


if __name__ == "__main__":
    main()
