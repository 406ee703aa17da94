"""What quality costs: the operations, parameters and training images of each variant."""

from benchmark.reporting.blocks import Choice, Figure, Figures, Section
from benchmark.reporting.figures.costs import Priced, cost_svg
from benchmark.reporting.leaderboard import mean_intervals
from benchmark.reporting.suite_report import SuiteReport
from benchmark.stats.comparison import METRIC


def section(suite: SuiteReport) -> Section | None:
    """Return the charts of error against operations and against parameters."""
    costs = suite.costs
    kinds = {
        "GFLOP of the generator, one image": {
            name: found.flops / 1e9 for name, found in costs.items() if found.flops is not None
        },
        "million parameters of the generator": {
            name: found.parameters / 1e6
            for name, found in costs.items()
            if found.parameters is not None
        },
    }
    figures = []
    for kind, known in kinds.items():
        if known:
            name = f"figures/{suite.file}_cost_{'flops' if 'FLOP' in kind else 'parameters'}.svg"
            figures.append(_figure(suite, name, kind, known))
    if not figures:
        return None
    caption = "What quality costs; ringed: nothing is both cheaper and better"
    return Section("", [Figures([Choice(caption, "Cost", figures)])])


def _figure(suite: SuiteReport, path: str, kind: str, known: dict[str, float]) -> Figure:
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
