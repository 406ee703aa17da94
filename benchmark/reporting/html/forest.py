"""Forest plots: paired differences with their intervals, and what they say."""

import math
from collections.abc import Mapping, Sequence

from benchmark.reporting.html.drawing import (
    Scale,
    Style,
    drawing,
    label,
    line,
    marker,
    scale_of,
    shortened,
    x_axis,
)
from benchmark.reporting.html.markup import Markup, element
from benchmark.stats.comparison import Comparison, is_more_better

WIDTH, LEFT, RIGHT = 420, 118, 318
"""Of the drawing, and where the intervals begin and end; left are names, right are verdicts."""
ROW, HEAD = 17, 22
SIGNS = {"better": "✓", "worse": "✗", "equivalent": "=", "inconclusive": "?"}
DECIMALS = 5


def forest_plot(
    title: str,
    comparisons: Sequence[Comparison],
    styles: Mapping[str, Style],
    what: str,
) -> Markup:
    """Draw comparisons in one metric, those of a method together.

    Args:
        title: the title.
        comparisons: not empty, of one metric.
        styles: of the methods.
        what: the quantity whose difference is shown.
    """
    metric = comparisons[0].metric
    ends = [v for c in comparisons for v in (c.low, c.high, c.difference, c.margin, -c.margin)]
    scale = scale_of(ends, LEFT, RIGHT, with_zero=True)
    parts, y = [], 12.0
    for method in dict.fromkeys(c.method for c in comparisons):
        style = styles[method]
        parts += [marker(style, 6, y), label(16, y, method, class_="strong")]
        y += HEAD - 4
        for comparison in (c for c in comparisons if c.method == method):
            parts += _row(comparison, style, scale, y)
            y += ROW
        y += 5
    bottom = y - 2
    more = is_more_better(metric)
    sides = ("worse", "better") if more else ("better", "worse")
    ground = x_axis(scale, 0, bottom, f"difference in {what}")
    if (margin := comparisons[0].margin) > 0:
        left, right = scale(-margin), scale(margin)
        band = element("rect", x=left, y=0, width=right - left, height=bottom, class_="margin")
        ground.insert(0, band)
    ground.append(line(scale(0), 0, scale(0), bottom, class_="zero"))
    ground.append(label(LEFT, bottom + 43, f"← {sides[0]}", class_="tick"))
    ground.append(label(RIGHT, bottom + 43, f"{sides[1]} →", "end", class_="tick"))
    description = "; ".join(comparison_text(c) for c in comparisons)
    return drawing(title, f"{description}.", WIDTH, bottom + 52, *ground, *parts)


def _row(comparison: Comparison, style: Style, scale: Scale, y: float) -> list[Markup]:
    verdict, middle = comparison.verdict, scale(comparison.difference)
    low, high = scale(comparison.low), scale(comparison.high)
    return [
        label(LEFT - 8, y, shortened(f"vs {comparison.reference}"), "end"),
        line(low, y, high, y, class_=f"interval {style.colour}"),
        marker(style, middle, y, comparison_text(comparison)),
        label(RIGHT + 8, y, f"{SIGNS[verdict]} {verdict}", class_=f"verdict {verdict}"),
    ]


def comparison_text(comparison: Comparison) -> str:
    """Return a comparison in words and numbers."""
    return (
        f"{comparison.method} against {comparison.reference}: {difference_text(comparison)}, "
        f"{comparison.verdict}"
    )


def difference_text(comparison: Comparison) -> str:
    """Return a difference with its interval."""
    ends = [signed(v) for v in (comparison.difference, comparison.low, comparison.high)]
    return f"{ends[0]} [{ends[1]}, {ends[2]}]"


def signed(value: float) -> str:
    """Return a difference as printed."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{round(value, DECIMALS) + 0.0:+.{DECIMALS}f}"
