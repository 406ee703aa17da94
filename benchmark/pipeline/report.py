"""The report stage: scores of all runs in; tables, figures, two pages, claims and a summary out.

Every number is a function of files alone, and equal files give equal bytes.
"""

from collections.abc import Sequence

from benchmark.claims.definitions import load_claims
from benchmark.claims.testing import evaluate_claims
from benchmark.core import paths
from benchmark.core.config import Params
from benchmark.core.files import write_text
from benchmark.evaluation.reference_runs import read_references
from benchmark.reporting.blocks import Downloads, Figures, Pictures, Section, figures_in, walk
from benchmark.reporting.figures.pictures import read_pictures, save_image
from benchmark.reporting.html_page import html_page
from benchmark.reporting.markdown import markdown_page
from benchmark.reporting.sections import all_sections
from benchmark.reporting.suite_report import (
    Report,
    local_results,
    origin_of,
    suite_reports,
)
from benchmark.reporting.throughput import THROUGHPUT, read_throughput

TITLE = "InpaintBench report"


def write_report(params: Params) -> None:
    """Write `report.md`, `report.html`, and the tables, figures and other files they are made of.

    Raises:
        InputError: a file of one of the runs is missing or damaged; nothing is written then.
    """
    found = all_sections(read_report(params))
    markdown, html = markdown_page(TITLE, found), html_page(TITLE, found)
    _write_files(found)
    write_text(paths.REPORTS / "report.md", markdown)
    write_text(paths.REPORTS / "report.html", html)


def read_report(params: Params, with_pictures: bool = True) -> Report:
    """Read everything that the report shows.

    Args:
        params: the selection.
        with_pictures: whether completed images are shown, too.

    Raises:
        InputError: a file of one of the runs is missing or damaged.
    """
    claims, references = load_claims(), read_references()
    results = local_results(params)
    pictures = [read_pictures(one) if with_pictures else None for one in results]
    places = [(one.suite.name, one) for one in results]
    places += [
        (f"{found.results.suite.name} ({origin_of(found)})", found.results)
        for found in references
        if not found.outdated
    ]
    places.sort(key=lambda place: not place[1].suite.source.needs_folder)  # datasets first
    throughput = read_throughput(THROUGHPUT) if THROUGHPUT.is_file() else None
    local, elsewhere = suite_reports(results, references, pictures, throughput)
    return Report(params, local, elsewhere, evaluate_claims(claims, places), throughput)


def _write_files(found: Sequence[Section]) -> None:
    """Write the files that sections are made of."""
    for block in walk(found):
        match block:
            case Downloads(files):
                for file in files:
                    write_text(paths.REPORTS / file.path, file.content)
            case Figures():
                for figure in figures_in(block):
                    write_text(paths.REPORTS / figure.path, f"{figure.svg}\n")
            case Pictures(pictures):
                for picture in pictures:
                    if picture.image is not None:
                        save_image(paths.REPORTS / picture.path, picture.image)
