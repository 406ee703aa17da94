"""What became of the authors' claims, as a section, CSV and JSON."""

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
SHORT_HEADS = ("claim", "verdict", "difference", "on")
COLUMNS = ("claim", "who", "suite", "verdict", "comparison", "comparison_verdict")
NUMBERS = ("difference", "low", "high", "images", "seeds", "covers_seeds")
COVERAGE_MARK = "*"
MARGINS = ", ".join(
    f"{METRICS[name].margin:.2g} {METRICS[name].unit or name}"
    for name in ("psnr_h", "mse_h", "ssim_h", "stlpips_alex")
)


def section(report: Report) -> Section:
    """Return all claims with what each place says of them."""
    blocks: list[Block] = [
        Text(
            "What the authors of these systems claim, tested on every suite that has the runs for "
            "it, datasets first. Each says whose it is and where it stands. A verdict is one on "
            "the budget of these runs: the last column has its share of the authors' own."
        ),
        claims_table(report.tested),
        Text(
            "The difference is the mean over images, seeds averaged. Supported: it lies on the "
            "side that the claim predicts. Reversed: it lies on the other. Negligible: it lies "
            f"within the margin of practical equivalence ({MARGINS}). Else it is inconclusive. "
            "The rule is that of all tables: p values are adjusted by Holm over everything in this "
            "table, so that with a probability of 5 % any verdict here is false; intervals are for "
            "one comparison. Of a claim with several comparisons all must hold. Ratios are "
            "compared by their logarithms (ln); |…| is the distance from the ideal. `claims.json` "
            "names all runs.",
            "notes",
        ),
    ]
    findings = [finding for claim in report.tested.values() for finding in claim.findings]
    if any(part.seeds and not part.covers_seeds for f in findings for part in f.comparisons):
        note = "Provisional: one training seed, so that the interval covers image sampling only."
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
    """Return a table of the claims that datasets decide, and which ones they leave open."""
    rows, left_open = [], []
    for name, result in tested.items():
        if found := [finding for finding in result.findings if finding.on_datasets]:
            overall = overall_verdict(finding.verdict for finding in found)
            if overall == "inconclusive":
                left_open.append(name)
            else:
                rows.append(_short_row(name, result.claim, found, overall))
    heads = [Head(name, is_text=True) for name in SHORT_HEADS]
    blocks: list[Block] = [Table("Claims", heads, [Group(rows)])] if rows else []
    if left_open:
        blocks.append(Text(f"{SIGNS['inconclusive']} Not decided: {', '.join(left_open)}."))
    return blocks


def _short_row(
    name: str, claim: Claim, findings: Sequence[ClaimFinding], overall: OverallVerdict
) -> Row:
    first = findings[0]
    decisive = next(part for part in first.comparisons if part.verdict == first.verdict)
    if overall == "mixed":
        said, evidence = claim.claim, _counts(findings)
    else:
        said = claim.finding(first.verdict)
        evidence = f"{decisive.what.split(': ')[0]} {_numbers(decisive)}"
    suites = dict.fromkeys(suite.name for finding in findings for suite in finding.suites)
    cells = [
        Cell(f"{name}. {said}"),
        Cell(f"{SIGNS[overall]} {overall}"),
        Cell(evidence),
        Cell(", ".join(suites)),
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
    # What refutes a claim of several parts is to be seen.
    said = [f" ({part.verdict})" if len(parts) > 1 else "" for part in parts]
    first, *more = [evidence_text(p) + verdict for p, verdict in zip(parts, said, strict=True)]
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
    interval = f" [{numbers[1]}, {numbers[2]}]" if part.images or part.seeds else ""
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
                rows.append([*place, *facts, " ".join(finding["runs"]), ""])
        for gap in claim["untested"]:
            blank = [""] * (len(COLUMNS) + len(NUMBERS) - 3)
            rows.append([name, claim["who"], gap["suite"], UNTESTED, *blank, gap["reason"]])
    return csv_text(rows)


def claims_json(tested: Mapping[str, ClaimResult]) -> dict[str, Any]:
    """Return everything that is known of every claim, numbers rounded."""
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
        **{key: float(f"{value:.7g}") + 0.0 for key, value in numbers},
        "images": part.images,
        "seeds": part.seeds,
        "covers_seeds": part.covers_seeds,
    }
