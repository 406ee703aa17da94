"""Names of subjects, a line each on stdin -> what each took now, a line of JSON each on stdout.

`gate --throughput --base` runs it once in each of two checkouts, and has them take turns.
"""

import json
import os
import sys
from typing import Any

import torch

from benchmark.throughput.measuring import Work, time_work
from benchmark.throughput.subjects import fixed_subset, open_bench


def main() -> None:
    """Say which subjects there are, then time each one that is asked for."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # nothing else may get among the answers

    def say(content: Any) -> None:
        print(json.dumps(content), file=answers, flush=True)

    torch.set_num_threads(1)
    with open_bench(*sys.argv[1:]) as bench:
        subjects = {subject.name: subject for subject in fixed_subset(bench)}
        say({name: subject.images for name, subject in subjects.items()})
        works: dict[str, Work] = {}
        for line in sys.stdin:
            name = line.rstrip("\n")
            if name not in works:
                works[name] = subjects[name].prepare()
                works[name]()
            say(time_work(works[name], bench.device))


if __name__ == "__main__":
    main()
