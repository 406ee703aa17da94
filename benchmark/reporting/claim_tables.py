"""What became of the authors' claims: as Markdown, CSV and JSON."""

import csv
import io
from collections import Counter
from collections.abc import Mapping
from typing import Any

from benchmark.claims.comparisons import ClaimComparison
from benchmark.claims.testing import ClaimFinding, ClaimResult
from benchmark.core.text import csv_cell, grid_markdown, sentence_markdown
from benchmark.stats.comparison import DECIBEL_MARGIN, SIMILARITY_MARGIN
from benchmark.stats.intervals import MIN_SEEDS

HEADS = ("claim", "suite", "verdict", "difference [95 % interval]", "images", "seeds")
COLUMNS = ("claim", "who", "suite", "verdict", "comparison", "comparison_verdict")
NUMBERS = ("difference", "low", "high", "images", "seeds", "covers_seeds")
COVERAGE_MARK = "*"


def claims_section(tested: Mapping[str, ClaimResult]) -> str:
    """Return the table of all claims that could be tested, and a list of the others."""
    rows = [row for name, claim in tested.items() for row in _rows(name, claim)]
    blocks = [grid_markdown(HEADS, rows, text_columns=4).strip()] if rows else []
    if any(row[-1].endswith(COVERAGE_MARK) for row in rows):
        blocks.append(
            f"\\{COVERAGE_MARK} Fewer than {MIN_SEEDS} training seeds: the interval covers image "
            "sampling only."
        )
    if rows:
        blocks.append(
            "The difference is the mean of paired differences, image by image and seed by seed. "
            "Supported: its whole interval lies beyond the margin of practical equivalence "
            f"({DECIBEL_MARGIN} dB; {SIMILARITY_MARGIN} of SSIM and LPIPS; none for others) on the "
            "side that the claim predicts. Refuted: none of it does. Inconclusive: part of it. "
            "Of a claim with several comparisons all must hold. Ratios are compared by their "
            "logarithms (ln); |…| is the distance from the ideal. Intervals are not widened for "
            "the number of comparisons. `claims.json` names all runs."
        )
    open_ones = [line for name, claim in tested.items() if (line := _untested(name, claim))]
    if open_ones:
        blocks.append("What the results at hand cannot test:\n\n" + "\n".join(open_ones))
    return "\n\n".join(blocks)


def _rows(name: str, tested: ClaimResult) -> list[list[str]]:
    """Return a row for each comparison; what repeats the row above stays blank."""
    rows: list[list[str]] = []
    for finding in tested.findings:
        for i, part in enumerate(finding.comparisons):
            head = "" if rows else f"{name}. {tested.claim.claim} ({_source(tested)})"
            place = [finding.place, finding.verdict] if i == 0 else ["", ""]
            # What refutes a claim of several parts is to be seen.
            said = f" ({part.verdict})" if len(finding.comparisons) > 1 else ""
            seeds = f"{part.seeds}{'' if part.covers_seeds else COVERAGE_MARK}"
            counts = [str(part.images), seeds] if part.images else ["", ""]
            rows.append([head, *place, evidence_text(part) + said, *counts])
    return rows


def _source(tested: ClaimResult) -> str:
    """Return who makes the claim and, where places disagree, how often each verdict was reached."""
    if tested.overall != "mixed":
        return tested.claim.who
    counts = Counter(finding.verdict for finding in tested.findings)
    listed = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))
    return f"{tested.claim.who}; mixed: {listed}"


def evidence_text(part: ClaimComparison) -> str:
    """Return a comparison as `metric: a - b difference [low, high]`."""
    numbers = [f"{round(n, part.decimals) + 0.0:+.{part.decimals}f}" for n in _ends(part)]
    interval = f" [{numbers[1]}, {numbers[2]}]" if part.images else ""
    return f"{part.what} {numbers[0]}{interval}"


def _ends(part: ClaimComparison) -> tuple[float, float, float]:
    return part.difference, part.low, part.high


def _untested(name: str, tested: ClaimResult) -> str:
    """Return a line on where and why a claim was not tested, places of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for place, reason in tested.untested:
        by_reason.setdefault(reason, []).append(f" on {place}" if place else "")
    reasons = "; ".join(
        f"not testable{','.join(places)}: {why}" for why, places in by_reason.items()
    )
    head = "" if tested.findings else f" {tested.claim.claim} ({tested.claim.who})"
    return f"- {sentence_markdown(f'{name}.{head} {reasons}')}" if reasons else ""


def claims_csv(tested: Mapping[str, ClaimResult]) -> str:
    """Return one line for each comparison, and for each place where a claim was not testable."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS, *NUMBERS, "runs", "reason"])
    for name, claim in tested.items():
        who = claim.claim.who
        for finding in claim.findings:
            for part in finding.comparisons:
                facts = _facts(part)
                words = [name, who, finding.place, finding.verdict, part.what, part.verdict]
                numbers = [facts[key] for key in NUMBERS]
                runs = csv_cell(" ".join(finding.runs))
                writer.writerow([*map(csv_cell, words), *numbers, runs, ""])
        for place, reason in claim.untested:
            blank = [""] * (len(COLUMNS) + len(NUMBERS) - 3)
            words = [name, who, place, "not testable", *blank, reason]
            writer.writerow([csv_cell(word) for word in words])
    return stream.getvalue()


def claims_json(tested: Mapping[str, ClaimResult]) -> dict[str, Any]:
    """Return everything that is known of every claim, numbers rounded."""
    return {
        name: {
            "who": claim.claim.who,
            "claim": claim.claim.claim,
            "overall": claim.overall,
            "findings": [_finding(finding) for finding in claim.findings],
            "untested": [{"suite": place, "reason": why} for place, why in claim.untested],
        }
        for name, claim in tested.items()
    }


def _finding(finding: ClaimFinding) -> dict[str, Any]:
    evidence = [
        {"comparison": part.what, "verdict": part.verdict, **_facts(part)}
        for part in finding.comparisons
    ]
    return {
        "suite": finding.place,
        "verdict": finding.verdict,
        "evidence": evidence,
        "runs": list(finding.runs),
    }


def _facts(part: ClaimComparison) -> dict[str, float | int | bool]:
    numbers = zip(("difference", "low", "high"), _ends(part), strict=True)
    return {
        **{key: float(f"{value:.7g}") + 0.0 for key, value in numbers},
        "images": part.images,
        "seeds": part.seeds,
        "covers_seeds": part.covers_seeds,
    }
