"""The report stage: from the score tables of all runs to tables, figures, a page, claims and a summary.

Every number is a function of files alone, and equal files give equal bytes.
"""

from pathlib import Path
from typing import Any

from benchmark.claims.definitions import load_claims
from benchmark.claims.reported import load_reported
from benchmark.claims.testing import evaluate_claims
from benchmark.core import paths
from benchmark.core.config import Params
from benchmark.core.files import write_json, write_text
from benchmark.evaluation.reference_runs import read_references
from benchmark.evaluation.results import Results, read_results
from benchmark.reporting import figures, plots
from benchmark.reporting.claim_tables import claims_csv, claims_json
from benchmark.reporting.comparison_tables import comparisons_csv
from benchmark.reporting.html import html_report
from benchmark.reporting.leaderboard import Words, result_table, seed_means
from benchmark.reporting.page import Chapter, report_page
from benchmark.reporting.pictures import Pictures, comparison, holes, read_pictures
from benchmark.reporting.protocol_tables import protocol_csv
from benchmark.reporting.tables import csv_table, latex_table

TABLES, FIGURES = paths.REPORTS / "tables", paths.REPORTS / "figures"


def write_report(params: Params) -> None:
    """Write the tables, figures, `report.md`, `report.html`, `summary.json` and `claims.json`.

    Raises:
        InputError: a file of one of the runs is missing or damaged; nothing is written then.
    """
    claims, references = load_claims(), read_references()
    load_reported()  # a fault in it is found before anything is written
    everything = [read_results(params, name) for name in params.suites]
    pictures = [read_pictures(results) for results in everything]
    places = [(results.suite.name, results) for results in everything]
    for found in references:
        name = f"{found.results.suite.name} (reference: {found.machine})"
        places.append((name, found.results))
    tested = evaluate_claims(claims, places)
    chapters = []
    for results, shown in zip(everything, pictures, strict=True):
        chapters.append(Chapter(results, Words(results), shown.labels))
        _write_pictures(shown, results.suite.name)
        _write_chapter(chapters[-1], Path(results.suite.name))
    for found in references:
        chapters.append(Chapter(found.results, Words(found.results), reference=found))
        _write_chapter(chapters[-1], Path("reference", found.name))
    write_text(TABLES / "claims.csv", claims_csv(tested))
    write_text(paths.REPORTS / "report.md", report_page(params, chapters, tested))
    summaries = {r.suite.name: summary(r) for r in everything}
    by_name = {r.suite.name: shown for r, shown in zip(everything, pictures, strict=True)}
    page = html_report(params, chapters, by_name, tested, summaries)
    write_text(paths.REPORTS / "report.html", page)
    write_json(paths.REPORTS / "summary.json", summaries)
    write_json(paths.REPORTS / "claims.json", claims_json(tested))


def summary(results: Results) -> dict[str, dict[str, dict[str, Any]]]:
    """Return every method's every metric, a variant's with the mean of each seed, rounded."""
    return {
        method: {
            metric: {
                **{key: _rounded(value) for key, value in entry.items()},
                "seeds": [_rounded(mean) for mean in seed_means(results, method, metric)],
            }
            for metric, entry in metrics.items()
        }
        for method, metrics in results.aggregate.items()
    }


def _rounded(value: float | int | str | None) -> float | int | str | None:
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _write_pictures(pictures: Pictures, name: str) -> None:
    rows = figures.chosen_rows(pictures.labels)
    figures.save_image(FIGURES / f"{name}_comparison.png", comparison(pictures, rows))
    figures.save_image(FIGURES / f"{name}_zoomed.png", holes(pictures, rows))


def _write_chapter(chapter: Chapter, name: Path) -> None:
    """Write the tables and curves of a suite; the name is that of the files, without a suffix."""
    table = result_table(chapter.results, chapter.words)
    write_text(TABLES / f"{name}.tex", latex_table(table))
    write_text(TABLES / f"{name}.csv", csv_table(table))
    every = [c for found in chapter.words.comparisons.values() for c in found]
    comparisons = comparisons_csv([*every, *chapter.words.between])
    write_text(TABLES / f"{name}_comparisons.csv", comparisons)
    write_text(TABLES / f"{name}_protocols.csv", protocol_csv(chapter.results))
    for kind, draw in (("curves", plots.curves_figure), ("losses", plots.losses_figure)):
        plots.save_figure(FIGURES / f"{name}_{kind}.png", draw(chapter.results.curves))
