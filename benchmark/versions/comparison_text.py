"""A comparison of two versions → text, Markdown for a pull request, and plain values."""

import math
from collections import Counter
from collections.abc import Sequence
from textwrap import shorten
from typing import Any

from tabulate import tabulate

from benchmark.core.text import escape_markdown, markdown_row, one_line, p_text
from benchmark.metrics import PROTOCOL
from benchmark.metrics.registry import HEADLINE
from benchmark.versions.compare import MetricChange, SubjectChange, VersionComparison
from benchmark.versions.snapshot import Snapshot
from benchmark.versions.tolerances import BASELINES, Tolerances

HEADS = ("method", "metric", "old", "new", "difference [95 % interval]", "p (Holm)", "verdict")
MOST_LINES = 40
"""Of settings or files that are listed; JSON has all."""
MOST_NAMES = 5
"""Of metrics that are listed in one line."""
LONGEST_LINE = 200
"""Characters of it; a setting may be a paragraph."""
RETURN = "git restore README.md dvc.lock reports"


def comparison_text(found: VersionComparison, all_metrics: bool = False) -> str:
    """Return a comparison as lines for a terminal."""
    blocks = [_title(found)]
    for heading, lines in _lists(found).items():
        blocks.append("\n".join([f"{heading}:", *(f"  {one_line(line)}" for line in lines)]))
    for suite, rows in _tables(found, all_metrics).items():
        cells = [[one_line(cell) for cell in row] for row in rows]
        table = tabulate(cells, HEADS, "plain", disable_numparse=True).replace("\n", "\n  ")
        blocks.append(f"{suite}\n  {table}" if rows else f"{suite}: {_nothing(found, suite)}")
    return "\n\n".join([*blocks, *_notes(found)]) + "\n"


def comparison_markdown(found: VersionComparison, all_metrics: bool = False) -> str:
    """Return a comparison as Markdown, with the long lists folded."""
    blocks = [f"### {escape_markdown(_title(found))}"]
    for suite, rows in _tables(found, all_metrics).items():
        told = _nothing(found, suite)
        if rows:
            cells = [[escape_markdown(cell) for cell in row] for row in (HEADS, *rows)]
            cells.insert(1, ["---"] * 2 + ["---:"] * (len(HEADS) - 2))
            told = "\n".join(map(markdown_row, cells))
        blocks.append(f"**{escape_markdown(suite)}**\n\n{told}")
    for heading, lines in _lists(found).items():
        listed = "\n".join(f"- {escape_markdown(line)}" for line in lines)
        blocks.append(f"<details><summary>{heading}</summary>\n\n{listed}\n\n</details>")
    blocks += [escape_markdown(note) for note in _notes(found)]
    return "\n\n".join(blocks) + "\n"


def comparison_json(found: VersionComparison) -> dict[str, Any]:
    """Return everything that is known, as plain values, numbers rounded."""
    return {
        "identical": found.identical,
        "protocol": PROTOCOL,
        "versions": [
            {"name": side.name, "commit": side.commit, "seeds": list(side.seeds)}
            for side in (found.old, found.new)
        ],
        "runs": {
            str(change.subject): {
                "state": change.state,
                "reason": change.reason,
                "changed": list(change.digests),
                "environment": list(change.environment),
            }
            for change in found.subjects
        },
        "settings": list(found.settings),
        "code": None if found.code is None else list(found.code),
        "metrics": [_metric_json(change) for change in found.metrics],
    }


def _metric_json(change: MetricChange) -> dict[str, Any]:
    content: dict[str, Any] = {
        "suite": change.suite,
        "method": change.method,
        "metric": change.metric,
        "old": _rounded(change.old),
        "new": _rounded(change.new),
        "verdict": change.verdict,
    }
    if (found := change.comparison) is not None:
        numbers = ("difference", "low", "high", "p", "p_adjusted", "wilcoxon_p", "permutation_p")
        content |= {name: _rounded(getattr(found, name)) for name in (*numbers, "improvement")}
        content |= {"images": found.images, "seeds": found.seeds}
    return content


def _rounded(value: float | None) -> float | None:
    """Return a number with 7 digits; None for what JSON has no number for."""
    return float(f"{value:.7g}") if value is not None and math.isfinite(value) else None


def comparison_line(found: VersionComparison, tolerances: Tolerances) -> str:
    """Return in one line whether a rebuild gave what was committed, and how to return to that.

    Args:
        found: the committed results, and those of the checkout.
        tolerances: how far means may differ on another machine.
    """
    here, committed = _machine(found.new), _machine(found.old)
    where = f"made on the machine of the committed results ({here})"
    if here != committed:
        where = f"made on another machine ({here}) than the committed results ({committed})"
    elif any(change.environment for change in found.subjects):
        where += ", with other libraries or threads"
    if found.identical:
        return f"{where}: identical"
    compared = [c for c in found.metrics if c.old is not None and c.new is not None]
    trained = {(change.subject.suite, change.subject.name) for change in found.subjects}
    outside = []
    for c in compared:
        subject = c.method if (c.suite, c.method) in trained else BASELINES
        if not c.is_within(tolerances.tolerance(c.suite, subject, c.metric)):
            outside.append(f"{c.suite}/{c.method}/{c.metric}")
    parts = [f"{len(compared) - len(outside)} of {len(compared)} metrics within tolerance"]
    if outside:
        more = f" and {len(outside) - MOST_NAMES} more" if len(outside) > MOST_NAMES else ""
        parts.append(f"not {', '.join(outside[:MOST_NAMES])}{more}")
    for state in ("new", "vanished", "not comparable"):
        if names := [str(change.subject) for change in found.subjects if change.state == state]:
            parts.append(f"{state}: {', '.join(names)}")
    return f"{where}: {'; '.join(parts)}; `{RETURN}` returns to the committed ones"


def _machine(side: Snapshot) -> str:
    """Return the processors or GPUs that trained a version."""
    machines = [side.origin(s).training.environment for s in side.subjects if s.is_run]
    names = [str(machine.get("gpu") or machine.get("cpu") or "unknown") for machine in machines]
    return one_line(", ".join(dict.fromkeys(names)))


def _title(found: VersionComparison) -> str:
    names = [
        f"{one_line(s.name)} ({s.commit[:12]})" if s.commit else one_line(s.name)
        for s in (found.old, found.new)
    ]
    if found.identical:
        return f"{names[0]} -> {names[1]}: identical, all {len(found.subjects)} results"
    counts = Counter(change.state for change in found.subjects)
    listed = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    return f"{names[0]} -> {names[1]}: {listed}"


def _lists(found: VersionComparison) -> dict[str, list[str]]:
    """Return the lines to read about what changed besides the scores, by heading."""
    environments = dict.fromkeys(line for c in found.subjects for line in c.environment)
    lists = {
        "Runs": [line for change in found.subjects if (line := _run_line(change))],
        "Settings that changed": found.settings,
        "Code that changed": found.code or (),
        "Machines and libraries": list(environments),
    }
    return {heading: _cut(lines) for heading, lines in lists.items() if lines}


def _run_line(change: SubjectChange) -> str:
    """Return what there is to say of a run; nothing of one that is the same in all."""
    parts: list[str] = [] if change.state in ("identical", "compared") else [change.state]
    parts += [change.reason] if change.reason else []
    if change.digests:
        same = ", with the same result" if change.state == "identical" else ""
        parts.append(f"trained with other {', '.join(change.digests)}{same}")
    return f"{change.subject}: {'; '.join(parts)}" if parts else ""


def _cut(lines: Sequence[str]) -> list[str]:
    shown = [shorten(line, LONGEST_LINE, placeholder=" …") for line in lines[:MOST_LINES]]
    left = len(lines) - len(shown)
    return [*shown, f"… and {left} more, see --json"] if left else shown


def _tables(found: VersionComparison, all_metrics: bool) -> dict[str, list[list[str]]]:
    """Return the rows of every suite, without what is identical."""
    tables: dict[str, list[list[str]]] = {change.suite: [] for change in found.metrics}
    for change in found.metrics:
        if not change.is_same and (all_metrics or change.metric in HEADLINE):
            tables[change.suite].append(_row(change))
    return tables


def _row(change: MetricChange) -> list[str]:
    means = ["—" if mean is None else f"{mean:.5g}" for mean in (change.old, change.new)]
    difference = p = "—"
    if (found := change.comparison) is not None:
        difference = f"{found.difference:+.4g} [{found.low:+.4g}, {found.high:+.4g}]"
        p = p_text(found.p_adjusted)
    return [change.method, change.metric, *means, difference, p, change.verdict]


def _nothing(found: VersionComparison, suite: str) -> str:
    """Say that a suite's table has no rows."""
    others = sum(change.suite == suite and not change.is_same for change in found.metrics)
    return f"nothing moved but {others} metrics that --all shows" if others else "nothing moved"


def _notes(found: VersionComparison) -> list[str]:
    """Say what the intervals are of, where there are any."""
    compared = [change.comparison for change in found.metrics if change.comparison]
    if not compared:
        return []
    covers = "the sampling of images and of training seeds"
    if not all(comparison.effect.interval.covers_seeds for comparison in compared):
        covers = "image sampling only, not what another training seed would change"
    return [
        f"Paired differences new - old on {min(c.images for c in compared)} images or more, the "
        f"same holes and seeds; they cover {covers}. Distances are compared where nearer to 0 or 1 "
        "is better. p is adjusted for the methods of a suite; better and worse mean p < .05."
    ]
