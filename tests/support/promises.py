"""What the project promises, which tests hold it, and what those tests have counted.

A test that holds a promise is marked `@pytest.mark.promise("<id>")` and may count what it did with
`tally`. `make promises` writes all of it to `docs/promises.md`, so that the table there comes from
a run of the tests; `tests/reporting/test_promises.py` holds it to the tests that there are.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROMISES = {
    # Reproducibility
    "same_bytes": "The same run twice on one machine gives the same bytes: weights, metrics, "
    "score table, curves, pictures, report.",
    "workers": "The number of processes that decode changes no byte of the data or of what is "
    "trained on it.",
    "resume": "A run that is stopped or killed at any moment, and started again, ends with the "
    "bytes of a run that never stopped.",
    "lock": "At most one process trains a run.",
    "shared": "Processes that share the batches of a run compute what one process does, up to "
    "rounding.",
    "several": "Several stages at a time, here or on a cluster, give the results of one after the "
    "other.",
    "batch_size": "The batch size of the evaluation changes no mask, and of a filled pixel at most "
    "one level, in less than 1 of 10,000; means agree to 1e-4 of their value.",
    "names": "Names and order of files change no split; an image that is added moves no other one, "
    "except as the exact counts force.",
    "everywhere": "Splits, masks, initial weights and the order of the data are the same on every "
    "machine.",
    "gpu": "With `deterministic: true` every operation of a training step has a deterministic "
    "form on a GPU, and nothing in a step waits for it.",
    "verify": "`python -m benchmark verify` tells whether a rebuild is identical, within the band "
    "or different.",
    "gate": "`python -m benchmark gate` refuses results that got worse, are damaged or lack what "
    "was there, and nothing else.",
    "provenance": "Every run says from which code, configuration, data and machine it came.",
    "code": "No result is kept whose code changed while it was made, no stage depends on code that "
    "DVC does not watch, and committed results are those of the committed code.",
    # Truth
    "metrics": "Metrics equal independent implementations, and keep their identities.",
    "masks": "Every mask has the stated area, lies within the image, and is 1 in the hole.",
    "networks": "Networks have the parameter counts of the publications, and an exported file "
    "computes what PyTorch computes.",
    "watching": "Watching a run does not change it.",
    # Faults
    "damage": "A damaged, truncated or foreign checkpoint, resume state, array or manifest is "
    "refused.",
    "writing": "A full disk, a read-only folder or a crash while a file is written leaves the old "
    "file as it was.",
    "divergence": "A loss or weight that is no finite number stops a training with its step and "
    "name, and the last good state is kept.",
    "memory": "Out of memory is one line that names the setting to lower.",
    "images": "An image file of any kind is read as it looks, or refused with one line that names "
    "it.",
    "file_names": "Spaces, Unicode, line breaks and links in file names do no harm.",
    "configuration": "An invalid configuration is one line that says what is valid, never a "
    "traceback.",
    # Safety
    "no_execution": "Nothing that is loaded executes code.",
    "downloads": "Downloads are checked by their digest before they are opened; archives write "
    "nothing outside their folder.",
    "escaping": "Text from file names and configurations is text in the report, never markup.",
}  # fmt: skip
"""Every promise, in the order of the table."""

MARKER = "promise"


@dataclass
class Held:
    """What a test run has shown of one promise."""

    passed: int = 0
    """Test cases that passed."""
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)


_held: dict[str, Held] = defaultdict(Held)
_figures: Counter[str] = Counter()
"""What the running test has counted."""


def check(promises: Iterable[str]) -> None:
    """Raise `KeyError` if a test is marked with a promise that there is none of."""
    for name in promises:
        PROMISES[name]


def tally(figure: str, number: int = 1) -> None:
    """Add to a figure of the promise of the running test, e.g. `kills survived`."""
    _figures[figure] += number


def take_figures() -> dict[str, int]:
    """Return what was counted since the last call."""
    found = dict(_figures)
    _figures.clear()
    return found


def note_outcome(
    node: str, promises: Sequence[str], outcome: str, figures: Mapping[str, int]
) -> None:
    """Note how a test case ended, `passed`, `skipped` or `failed`, and what it counted."""
    for name in promises:
        held = _held[name]
        if outcome == "failed":
            held.failed.append(node)
        else:
            held.passed += outcome == "passed"
            held.skipped += outcome == "skipped"
    if promises:
        _held[promises[0]].figures.update(figures)


def held() -> Mapping[str, Held]:
    """Return what was noted so far, for each promise."""
    return {name: _held[name] for name in PROMISES}


def table(found: Mapping[str, Held], command: str, machine: str) -> str:
    """Return the page of promises as Markdown.

    Raises:
        ValueError: a promise is held by no test that passed, or a test of one failed.
    """
    broken = [f"{name}: {node} failed" for name, held in found.items() for node in held.failed]
    broken += [f"{name}: no test passed" for name, h in found.items() if not h.passed]
    if broken:
        raise ValueError("; ".join(broken))
    lines = [
        "# What is promised",
        "",
        f"Written by `{command}` from what its tests counted, on {machine}; do not edit.",
        "`make test-slow` counts more. The tests of a promise are marked with it: "
        "`grep -rn 'promise(\"resume\")' tests`.",
        "",
        "| promise | counted |",
        "|---|---|",
    ]
    for name, held in found.items():
        figures = [f"{number:,} {figure}" for figure, number in sorted(held.figures.items())]
        figures.append(f"{held.passed:,} test cases" if held.passed != 1 else "1 test case")
        if held.skipped:
            figures.append(f"{held.skipped} skipped")
        lines.append(f"| {PROMISES[name]} | {', '.join(figures)} |")
    return "\n".join(lines) + "\n"


def write(path: Path, command: str, machine: str) -> None:
    """Write the page of promises; see `table`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(table(held(), command, machine), encoding="utf-8", newline="\n")
