"""What became of the authors' claims, as a section, CSV and JSON."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.claims.comparisons import ClaimComparison
from benchmark.claims.definitions import Claim
from benchmark.claims.testing import ClaimFinding, ClaimResult
from benchmark.claims.verdicts import OverallVerdict, overall_verdict
from benchmark.core.text import csv_text
from benchmark.metrics import METRICS
from benchmark.reporting.blocks import Block, Cell, Group, Head, Row, Section, Table, Text
from benchmark.reporting.budget import share_range
from benchmark.reporting.dialect import plain, with_code
from benchmark.reporting.suite_report import Report

ORIGINS = {"author": "author's words", "table": "author's figures", "ours": "our hypothesis"}
UNTESTED = "not testable"
SIGNS = {
    "supported": "✓",
    "reversed": "✗",
    "negligible": "=",
    "inconclusive": "?",
    "mixed": "≠",
    UNTESTED: "·",
}
HEADS = ("where", "verdict", "difference [95 % interval]", "images", "seeds", "budget")
SHORT_HEADS = ("authors' claim", "what was found", "difference [95 % interval]", "on")
COLUMNS = ("claim", "who", "suite", "verdict", "comparison", "comparison_verdict")
NUMBERS = ("difference", "low", "high", "images", "seeds", "covers_seeds")
COVERAGE_MARK = "*"
NAMED = 2
"""So many suites are named where there is little room."""
MARGINS = ", ".join(
    f"{METRICS[name].margin:.2g} {METRICS[name].unit or name}"
    for name in ("psnr_h", "mse_h", "ssim_h", "stlpips_alex")
)


def section(report: Report) -> Section:
    """Return all claims with what each place says of them."""
    findings = [finding for claim in report.tested.values() for finding in claim.findings]
    parts = [part for finding in findings for part in finding.comparisons]
    tested = [part for part in parts if part.effect.interval.parts]  # the others are exact
    blocks: list[Block] = [
        Text(
            "What the authors of these systems claim, tested on every suite that has the runs for "
            "it, datasets first. Each says whose it is and where it stands. A verdict is one on "
            "the budget of these runs: the last column has its share of the images that the "
            "authors say they trained on, wherever they say so (LocPaint: for CIFAR-10)."
        ),
        claims_table(report.tested),
        Text(
            "The difference is the mean over images, seeds averaged. Supported: it lies on the "
            "side that the claim predicts. Reversed: it lies on the other. Negligible: it lies "
            f"within the margin of practical equivalence ({MARGINS}; 0.05 of an IoU or "
            "a share, 0.1 of a correlation; or what the claim names). Else it is inconclusive. "
            f"The rule is that of all tables: p values are adjusted by Holm over all {len(tested)} "
            "comparisons here that are not exact, so that any verdict is false with a probability "
            "of 5 % at most. Intervals are for one comparison, and so is “by itself”: the verdict "
            "if nothing else were asked. Perceptual quality is ST-LPIPS where the authors have "
            "LPIPS. Of a claim with several comparisons all must hold. Ratios are compared by "
            "their logarithms (ln); |…| is the distance from the ideal. `claims.json` names all "
            "runs.",
            "notes",
        ),
    ]
    if any(part.seeds and not part.covers_seeds for part in parts):
        note = (
            "The interval covers the sampling of images only, not what another training seed "
            "changes. One seed without this mark: other runs have shown what seeds change."
        )
        blocks.insert(2, Text(f"\\{COVERAGE_MARK} {note}", "notes"))
    return Section("Does it hold here?", blocks, "does-it-hold-here", "Does it hold?")


def claims_table(tested: Mapping[str, ClaimResult]) -> Table:
    """Return a group of rows for each claim, one row for each place."""
    heads = [Head(name, is_text=i < 3) for i, name in enumerate(HEADS)]
    groups = [_group(name, claim) for name, claim in tested.items()]
    return Table("Claims", heads, groups, "claims")


def _group(name: str, tested: ClaimResult) -> Group:
    claim = tested.claim
    title = f"{name}. **{plain(claim.claim)}** {plain(f'({claim.who}; {source_text(claim)})')}"
    if tested.overall == "mixed":
        title += f" {SIGNS['mixed']} mixed: {_counts(tested.findings)}"
    found = [_finding_row(claim, finding) for finding in tested.findings]
    return Group([*found, *_untested_rows(tested)], title)


def short_blocks(tested: Mapping[str, ClaimResult]) -> list[Block]:
    """Return a table of the claims that datasets decide, and what became of all others."""
    rows, left_open, untested, exact = [], [], [], []
    for name, result in tested.items():
        found = [finding for finding in result.findings if finding.on_datasets or finding.is_exact]
        overall = overall_verdict(finding.verdict for finding in found)
        if not found:
            untested.append(name)
        elif all(finding.is_exact for finding in found):
            exact.append(f"{name} {SIGNS[overall]} {overall}")
        elif overall == "inconclusive":
            left_open.append(name)
        else:
            rows.append(_short_row(name, result.claim, found, overall))
    if not rows and not left_open:
        return []
    heads = [Head(name, is_text=True) for name in SHORT_HEADS]
    blocks: list[Block] = [Table("Claims", heads, [Group(rows)])] if rows else []
    if exact:
        blocks.append(Text(f"By arithmetic: {', '.join(exact)}."))
    if left_open:
        blocks.append(Text(f"{SIGNS['inconclusive']} Not decided: {', '.join(left_open)}."))
    if untested:
        blocks.append(Text(f"{SIGNS[UNTESTED]} Without runs on datasets: {', '.join(untested)}."))
    return blocks


def _short_row(
    name: str, claim: Claim, findings: Sequence[ClaimFinding], overall: OverallVerdict
) -> Row:
    first = findings[0]
    decisive = next(part for part in first.comparisons if part.verdict == first.verdict)
    if overall == "mixed":
        more, evidence = _counts(findings), "—"
    else:
        more = claim.instead_of(first.verdict)
        mark = "" if decisive.covers_seeds else COVERAGE_MARK
        evidence = f"{evidence_text(decisive)}{mark}"
    suites = dict.fromkeys(suite.name for finding in findings for suite in finding.suites)
    cells = [
        Cell(f"{name}. {claim.claim}"),
        Cell(f"{SIGNS[overall]} {overall}{f': {more}' if more else ''}"),
        Cell(evidence),
        Cell(", ".join(suites) if len(suites) <= NAMED else f"{len(suites)} suites"),
    ]
    return Row(cells, overall)


def _counts(findings: Sequence[ClaimFinding]) -> str:
    counts = Counter(finding.verdict for finding in findings)
    return ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))


def source_text(claim: Claim) -> str:
    """Return whose a claim is, the source's words and their place."""
    words = f" “{claim.quote}”" if claim.quote else ""
    return f"{ORIGINS[claim.origin]}{words}: {claim.where}"


def _finding_row(claim: Claim, finding: ClaimFinding) -> Row:
    parts = finding.comparisons
    first, *more = [evidence_text(part) + _remark(part, len(parts) > 1) for part in parts]
    images = dict.fromkeys(str(part.images) for part in parts if part.images)
    seeds = dict.fromkeys(
        f"{part.seeds}{'' if part.covers_seeds else COVERAGE_MARK}" for part in parts if part.seeds
    )
    cells = [
        Cell(finding.place),
        _verdict_cell(finding.verdict, claim.instead_of(finding.verdict)),
        Cell(first, more),
        Cell(", ".join(images)),
        Cell(", ".join(seeds)),
        Cell(share_range(finding.shares)),
    ]
    return Row(cells, finding.verdict)


def _remark(part: ClaimComparison, is_one_of_several: bool) -> str:
    """Return what the interval of a comparison does not tell of its verdict, in parentheses."""
    words: list[str] = (
        [part.verdict] if is_one_of_several else []
    )  # what refutes a claim is to be seen
    if part.verdict == "inconclusive" != part.verdict_alone:
        words.append(f"{part.verdict_alone} by itself")
    return f" ({', '.join(words)})" if words else ""


def _untested_rows(tested: ClaimResult) -> list[Row]:
    """Return where and why a claim was not tested, places of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for place, reason in tested.untested:
        by_reason.setdefault(reason, []).append(place)
    return [
        Row(
            [
                Cell(", ".join(place for place in places if place) or "anywhere"),
                _verdict_cell(UNTESTED),
                Cell(with_code(reason), is_sentence=True),
            ],
            UNTESTED,
        )
        for reason, places in by_reason.items()
    ]


def _verdict_cell(verdict: str, found: str = "") -> Cell:
    more = [found] if found else []
    return Cell(f"{SIGNS[verdict]} {verdict}", more, kind=verdict.replace(" ", "-"))


def evidence_text(part: ClaimComparison) -> str:
    """Return a comparison as `metric: a - b difference [low, high]`."""
    return f"{part.what} {_numbers(part)}"


def _numbers(part: ClaimComparison) -> str:
    numbers = [f"{round(n, part.decimals) + 0.0:+.{part.decimals}f}" for n in _ends(part)]
    interval = "" if part.is_exact else f" [{numbers[1]}, {numbers[2]}]"
    return f"{numbers[0]}{interval}"


def _ends(part: ClaimComparison) -> tuple[float, float, float]:
    return part.difference, part.low, part.high


def claims_csv(tested: Mapping[str, ClaimResult]) -> str:
    """Return one line for each comparison, and for each place where a claim was not testable."""
    rows: list[list[str | float]] = [[*COLUMNS, *NUMBERS, "runs", "reason"]]
    for name, claim in claims_json(tested).items():
        for finding in claim["findings"]:
            place = [name, claim["who"], finding["suite"], finding["verdict"]]
            for part in finding["evidence"]:
                facts = [part[key] for key in ("comparison", "verdict", *NUMBERS)]
                facts = [math.nan if fact is None else fact for fact in facts]
                rows.append([*place, *facts, " ".join(finding["runs"]), ""])
        for gap in claim["untested"]:
            blank = [""] * (len(COLUMNS) + len(NUMBERS) - 3)
            rows.append([name, claim["who"], gap["suite"], UNTESTED, *blank, gap["reason"]])
    return csv_text(rows)


def claims_json(tested: Mapping[str, ClaimResult]) -> dict[str, Any]:
    """Return everything that is known of every claim, numbers rounded; None for an infinite end."""
    return {
        name: {
            "who": claim.claim.who,
            "claim": claim.claim.claim,
            **{key: getattr(claim.claim, key) for key in ("origin", "where", "quote")},
            "overall": claim.overall,
            "findings": [_finding_facts(claim.claim, finding) for finding in claim.findings],
            "untested": [{"suite": place, "reason": why} for place, why in claim.untested],
        }
        for name, claim in tested.items()
    }


def _finding_facts(claim: Claim, finding: ClaimFinding) -> dict[str, Any]:
    return {
        "suite": finding.place,
        "verdict": finding.verdict,
        "found": claim.finding(finding.verdict),
        "budget": share_range(finding.shares),
        "evidence": [_evidence(part) for part in finding.comparisons],
        "runs": list(finding.runs),
    }


def _evidence(part: ClaimComparison) -> dict[str, Any]:
    numbers = zip(("difference", "low", "high"), _ends(part), strict=True)
    return {
        "comparison": part.what,
        "verdict": part.verdict,
        **{
            key: float(f"{value:.7g}") + 0.0 if math.isfinite(value) else None
            for key, value in numbers
        },
        "images": part.images,
        "seeds": part.seeds,
        "covers_seeds": part.covers_seeds,
    }
