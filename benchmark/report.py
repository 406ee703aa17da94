"""The report stage: from the ledgers of all runs to tables, figures, a page and a summary.

Every number is a function of the ledgers alone, and equal inputs give equal bytes.
"""

from typing import Any

from benchmark import figures, paths, plots
from benchmark.config import Params
from benchmark.files import write_json, write_text
from benchmark.page import report_page
from benchmark.results import Results, read_results
from benchmark.standings import Words, result_table, seed_means
from benchmark.tables import csv_table, latex_table


def write_report(params: Params) -> None:
    """Write the tables, figures, `report.md` and `summary.json` of all suites.

    Raises:
        InputError: a file of one of the runs is missing or damaged; nothing is written then.
    """
    everything = [read_results(params, name) for name in params.suites]
    words = [Words(results) for results in everything]
    for results, said in zip(everything, words, strict=True):
        table = result_table(results, said)
        folder, name = paths.REPORTS / "tables", results.suite.name
        write_text(folder / f"{name}.tex", latex_table(table))
        write_text(folder / f"{name}.csv", csv_table(table))
        _write_figures(results)
    write_text(paths.REPORTS / "report.md", report_page(params, everything, words))
    write_json(paths.REPORTS / "summary.json", {r.suite.name: summary(r) for r in everything})


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


def _write_figures(results: Results) -> None:
    folder, name = paths.REPORTS / "figures", results.suite.name
    rows = figures.chosen_rows(results.labels)
    boxes, truth = results.boxes[rows], results.truth[rows]
    names = [results.labels[row] or f"#{row}" for row in rows]
    done = [
        {method: results.pictures[method][rows] for method in methods}
        for methods in (results.variants, results.baselines)
    ]
    masked = {"masked input": figures.masked_inputs(truth, boxes)}
    whole = [{n: list(a) for n, a in g.items()} for g in (masked, *done, {"truth": truth})]
    holes = [
        {n: figures.cut_holes(a, boxes) for n, a in g.items()} for g in (*done, {"truth": truth})
    ]
    for groups, kind in ((whole, "comparison"), (holes, "zoomed")):
        picture, _ = figures.picture_grid(groups, names)
        figures.save_image(folder / f"{name}_{kind}.png", picture)
    plots.save_figure(folder / f"{name}_curves.png", plots.curves_figure(results.curves))
