"""Comparisons in one metric in, a forest plot out: differences, intervals and verdicts."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from benchmark.reporting.figures.plot import beside_axes, draw_scale, plot_area
from benchmark.reporting.figures.style import BAD, DASHED, GOOD, INK, MUTED, SMALL, Style, shortened
from benchmark.reporting.figures.svg import blank_chart, chart_settings, draw, to_svg
from benchmark.stats.comparison import Comparison, is_more_better

LEFT, RIGHT = 136, 332
"""Where the intervals begin and end; left are names, right are verdicts."""
ROW, HEAD, GAP, BELOW = 18, 19, 6, 54
LONGEST_METHOD, LONGEST_REFERENCE = 55, 15
SIGNS = {"better": "✓", "worse": "✗", "equivalent": "=", "inconclusive": "?"}
COLORS = {"better": GOOD, "worse": BAD, "equivalent": MUTED, "inconclusive": MUTED}
DECIMALS = 5


@chart_settings()
def forest_svg(
    title: str, comparisons: Sequence[Comparison], styles: Mapping[str, Style], label: str
) -> str:
    """Draw comparisons in one metric, those of a method together.

    Args:
        title: the title.
        comparisons: not empty, of one metric.
        styles: of the methods.
        label: the quantity whose difference is shown.
    """
    methods = dict.fromkeys(c.method for c in comparisons)
    height = len(methods) * (HEAD + GAP) + len(comparisons) * ROW
    figure = blank_chart(height + BELOW)
    axes = plot_area(figure, LEFT, RIGHT, 0, height)
    axes.set_ylim(height, 0)  # a pixel is a unit, downwards
    margin = comparisons[0].margin
    ends = [v for c in comparisons for v in (c.low, c.difference, c.high) if math.isfinite(v)]
    axes.update_datalim([(v, 0) for v in (*ends, -margin, 0, margin)])
    axes.autoscale_view(scaley=False)
    axes.set_xlim(axes.get_xlim())
    draw_scale(axes.xaxis, f"difference in {label}", ticks=4)
    if margin > 0:
        axes.axvspan(-margin, margin, color=INK, alpha=0.1, lw=0, zorder=0, clip_on=False)
    draw(axes, [0, 0], [0, height], color=INK, lw=1, ls=DASHED)
    y = 0.0
    for method in methods:
        beside = beside_axes(axes)
        draw(axes, [10], [y + HEAD / 2], **styles[method].mark, transform=beside)
        name = shortened(method, LONGEST_METHOD)
        axes.text(22, y + HEAD / 2, name, va="center", weight="bold", transform=beside)
        y += HEAD
        for comparison in (c for c in comparisons if c.method == method):
            _draw_row(axes, comparison, styles[method], y + ROW / 2)
            y += ROW
        y += GAP
    sides = ("worse", "better") if is_more_better(comparisons[0].metric) else ("better", "worse")
    ends_text = (LEFT, f"← {sides[0]}", "left"), (RIGHT, f"{sides[1]} →", "right")
    for x, text, side in ends_text:
        figure.text(x, 5, text, ha=side, color=MUTED, fontsize=SMALL, transform=None)
    return to_svg(figure, title, f"{'; '.join(map(comparison_text, comparisons))}.")


def _draw_row(axes: Axes, comparison: Comparison, style: Style, y: float) -> None:
    """Draw a comparison: the other method's name, the interval, the difference, the verdict."""
    verdict, text, beside = comparison.verdict, comparison_text(comparison), beside_axes(axes)
    reference = f"vs {shortened(comparison.reference, LONGEST_REFERENCE)}"
    axes.text(LEFT - 8, y, reference, ha="right", va="center", transform=beside)
    # The interval of a single image is infinite.
    low, high = np.clip([comparison.low, comparison.high], *axes.get_xlim())
    draw(axes, [low, comparison.difference, high], [y] * 3, text, **style.interval)
    words = f"{SIGNS[verdict]} {verdict}{'*' * comparison.is_provisional}"
    said = axes.text(RIGHT + 10, y, words, va="center", transform=beside)
    said.set(color=COLORS[verdict], weight="bold")


def comparison_text(comparison: Comparison) -> str:
    """Return a comparison in words and numbers."""
    pair = f"{comparison.method} against {comparison.reference}"
    return f"{pair}: {difference_text(comparison)}, {comparison.verdict_text}"


def difference_text(comparison: Comparison) -> str:
    """Return a difference with its interval."""
    ends = [signed(v) for v in (comparison.difference, comparison.low, comparison.high)]
    return f"{ends[0]} [{ends[1]}, {ends[2]}]"


def signed(value: float) -> str:
    """Return a difference as printed."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{round(value, DECIMALS) + 0.0:+.{DECIMALS}f}"
