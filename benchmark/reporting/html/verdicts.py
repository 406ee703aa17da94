"""The table of claims: does it hold here?"""

from collections import Counter
from collections.abc import Mapping

from benchmark.claims.comparisons import ClaimComparison
from benchmark.claims.testing import ClaimResult
from benchmark.reporting.claim_tables import COVERAGE_MARK, evidence_text
from benchmark.reporting.html.markup import Markup, element, join, sentence, table_box
from benchmark.stats.comparison import DECIBEL_MARGIN, SIMILARITY_MARGIN
from benchmark.stats.intervals import MIN_SEEDS

UNTESTED = "not testable"
SIGNS = {"supported": "✓", "refuted": "✗", "inconclusive": "?", "mixed": "≠", UNTESTED: "·"}
HEADS = ("where", "verdict", "difference [95 % interval]", "images", "seeds")


def claims_table(tested: Mapping[str, ClaimResult]) -> Markup:
    """Return all claims with what each place says of them, to be filtered by verdict."""
    counts = Counter(verdict for claim in tested.values() for verdict, _ in _rows(claim))
    options = [
        element("option", f"{verdict} ({counts[verdict]})", value=verdict)
        for verdict in SIGNS
        if counts[verdict]
    ]
    every = element("option", f"all ({counts.total()})", value="")
    chooser = element("select", every, *options, id="claims-filter")
    control = element("label", "Verdict ", chooser)
    head = element("tr", *(_head(name, i) for i, name in enumerate(HEADS)))
    bodies = [_body(name, claim) for name, claim in tested.items()]
    caption = element("caption", "What the authors claim, and what holds here", class_="unseen")
    table = table_box("Claims", caption, element("thead", head), *bodies, class_="claims")
    status = element("output", for_="claims-filter", id="claims-shown")
    return join(element("div", control, status, class_="controls"), table, _explanation())


def _head(name: str, place: int) -> Markup:
    return element("th", name, scope="col", class_="right" if place > 2 else "left")


def _body(name: str, tested: ClaimResult) -> Markup:
    who = element("span", f"{tested.claim.who}", class_="who")
    title = join(element("span", f"{name}. ", class_="muted"), tested.claim.claim, " ", who)
    if tested.overall == "mixed":
        counts = Counter(finding.verdict for finding in tested.findings)
        listed = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))
        title = join(title, element("span", f"≠ mixed: {listed}", class_="muted"))
    head = element("th", title, scope="rowgroup", colspan=len(HEADS), class_="left")
    rows = [element("tr", *cells, data_verdict=verdict) for verdict, cells in _rows(tested)]
    return element("tbody", element("tr", head, class_="claim"), *rows)


def _rows(tested: ClaimResult) -> list[tuple[str, list[Markup]]]:
    """Return the cells of every place, with its verdict."""
    rows = []
    for finding in tested.findings:
        several = len(finding.comparisons) > 1
        parts = [element("div", _difference(part, several)) for part in finding.comparisons]
        images = sorted({str(part.images) for part in finding.comparisons if part.images})
        seeds = sorted({_seeds(part) for part in finding.comparisons if part.seeds})
        cells = [
            element("td", finding.place),
            verdict_cell(finding.verdict),
            element("td", *parts, class_="number"),
            element(
                "td", ", ".join(images), class_="right", data_unit="images" if images else None
            ),
            element("td", ", ".join(seeds), class_="right", data_unit="seeds" if seeds else None),
        ]
        rows.append((str(finding.verdict), cells))
    by_reason: dict[str, list[str]] = {}
    for place, reason in tested.untested:
        by_reason.setdefault(reason, []).append(place)
    for reason, places in by_reason.items():
        where = ", ".join(place for place in places if place) or "anywhere"
        why = element("td", sentence(reason), colspan=len(HEADS) - 2, class_="muted")
        rows.append((UNTESTED, [element("td", where), verdict_cell(UNTESTED), why]))
    return rows


def verdict_cell(verdict: str) -> Markup:
    """Return a verdict as a sign and a word."""
    kind = verdict.replace(" ", "-")
    return element("td", f"{SIGNS[verdict]} {verdict}", class_=f"verdict {kind}")


def _difference(part: ClaimComparison, several: bool) -> str:
    return evidence_text(part) + (f" ({part.verdict})" if several else "")


def _seeds(part: ClaimComparison) -> str:
    return f"{part.seeds}{'' if part.covers_seeds else COVERAGE_MARK}"


def _explanation() -> Markup:
    return element(
        "p",
        f"{COVERAGE_MARK} Fewer than {MIN_SEEDS} training seeds: the interval covers image "
        "sampling only. The difference is the mean of paired differences, image by image and seed "
        "by seed. Supported: its whole interval lies beyond the margin of practical equivalence "
        f"({DECIBEL_MARGIN} dB; {SIMILARITY_MARGIN} of SSIM and LPIPS; none for others) on the "
        "side that the claim predicts. Refuted: none of it does. Inconclusive: part of it. Of a "
        "claim with several comparisons all must hold. Ratios are compared by their logarithms "
        "(ln); |…| is the distance from the ideal. Intervals are not widened for the number of "
        "comparisons.",
        class_="notes",
    )
