"""What quality costs: the operations and parameters of each variant against its error."""

import math
from collections.abc import Mapping

from benchmark.evaluation.results import mean_intervals
from benchmark.reporting.blocks import Choice, Figure, Figures, Section
from benchmark.reporting.figures.costs import Priced, cost_svg
from benchmark.reporting.suite_report import FLOPS, PARAMETERS, SuiteReport
from benchmark.stats.comparison import METRIC

KINDS = {
    FLOPS: ("flops", "GFLOP of the generator, one image"),
    PARAMETERS: ("parameters", "million parameters of the generator"),
}
"""The name of a chart's file, and that of its axis."""


def section(suite: SuiteReport) -> Section | None:
    """Return the charts of error against operations and against parameters."""
    figures = []
    for column, (file, kind) in KINDS.items():
        costs = {name: found[column] for name, found in suite.costs.items()}
        known = {name: cost for name, cost in costs.items() if not math.isnan(cost)}
        if known:
            path = f"figures/{suite.file}_cost_{file}.svg"
            figures.append(_figure(suite, path, kind, known))
    if not figures:
        return None
    caption = "What quality costs; ringed: nothing is both cheaper and better"
    return Section("", [Figures([Choice(caption, "Cost", figures)])])


def _figure(suite: SuiteReport, path: str, kind: str, known: Mapping[str, float]) -> Figure:
    results, means = suite.results, suite.verdicts.means
    priced = []
    for name, cost in known.items():
        intervals = mean_intervals(results, name, [METRIC])
        low, high = intervals.get(METRIC, (means[name], means[name]))
        priced.append(Priced(name, cost, means[name], low, high))
    title = f"{suite.title}: what quality costs"
    baselines = {name: means[name] for name in results.baselines}
    svg = cost_svg(title, kind, METRIC, priced, baselines, suite.styles)
    return Figure(path, svg, "", f"{title}, {kind}", kind)
