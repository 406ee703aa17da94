"""Files of the whole report: every mean, and every claim."""

import json
from typing import Any

from benchmark.evaluation.results import Results, seed_means
from benchmark.reporting.blocks import Download, Downloads, Section, Text
from benchmark.reporting.sections.claims import claims_csv, claims_json
from benchmark.reporting.suite_report import Report


def section(report: Report) -> Section:
    """Return the summary of all suites, and the claims."""
    summaries = {suite.results.suite.name: summary(suite.results) for suite in report.local}
    files = [
        Download("summary.json", "application/json", _json(summaries)),
        Download("claims.json", "application/json", _json(claims_json(report.tested))),
        Download("tables/claims.csv", "text/csv", claims_csv(report.tested)),
    ]
    note = "The tables of a suite are at the end of its section."
    return Section("Downloads", [Text(note), Downloads(files)], "downloads", "Downloads")


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


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"
