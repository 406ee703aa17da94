"""Parts of all charts: the plot, its scales and the legend.

Lengths are in CSS pixels: a chart has 72 dots an inch, so that a point is a pixel.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator
from matplotlib.transforms import IdentityTransform, Transform, blended_transform_factory

from benchmark.reporting.figures.style import FONT, MUTED, RULE, SMALL, WIDTH, Style, shortened
from benchmark.reporting.figures.svg import draw
from data.errors import printable

LOG_RATIO = 30
"""Positive values that span more than this are shown on a logarithmic scale."""
LEGEND_LINE, LEGEND_MARK, LONGEST_IN_LEGEND = 18, 25, 50


def plot_area(figure: Figure, left: float, right: float, top: float, bottom: float) -> Axes:
    """Add axes whose edges are this far from the left and the upper edge of the chart."""
    width, height = figure.get_size_inches() * 72
    place = (left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height)
    axes = figure.add_axes(place)
    axes.set_axis_off()  # `draw_scale` draws what is read, in a fraction of the time
    return axes


def beside_axes(axes: Axes) -> Transform:
    """Return where things beside a plot lie: pixels from the chart's left edge, and values of y."""
    return blended_transform_factory(IdentityTransform(), axes.transData)


def is_logarithmic(values: Iterable[float]) -> bool:
    """Return whether values are positive and span so much that a linear scale hides some."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and max(finite) > LOG_RATIO * min(finite) > 0


def draw_scale(axis: XAxis | YAxis, name: str, ticks: int = 5, integer: bool = False) -> None:
    """Name an axis and give it round numbers, about as many, with lines across the plot.

    Args:
        axis: all that sets its limits is drawn.
        name: what it shows.
        ticks: at most so many parts.
        integer: whether the numbers are whole.
    """
    axes, is_log = axis.axes, axis.get_scale() == "log"
    axes.autoscale_view()
    left, bottom, right, top = axes.bbox.extents
    look: dict[str, Any] = {"color": MUTED, "fontsize": SMALL, "transform": None}
    rule: dict[str, Any] = {"color": RULE, "lw": 1, "zorder": 0.5}
    write, name = axes.text, printable(name)
    for value in _round_numbers(axis, is_log, ticks, integer):
        number = f"{value:.6g}".replace("-", "\N{MINUS SIGN}")
        if isinstance(axis, XAxis):
            x, _ = axes.transData.transform((value, axes.get_ylim()[0]))
            write(x, bottom - 15, number, ha="center", **look)
            draw(axes, [x, x], [bottom, top], transform=IdentityTransform(), **rule)
        else:
            _, y = axes.transData.transform((axes.get_xlim()[0], value))
            write(left - 7, y - 4, number, ha="right", **look)
            draw(axes, [left, right], [y, y], transform=IdentityTransform(), **rule)
    if isinstance(axis, XAxis):
        write((left + right) / 2, bottom - 31.5, name, ha="center", **look)
        draw(axes, [left, right], [bottom] * 2, transform=IdentityTransform(), color=MUTED, lw=0.8)
    else:
        write(left, top + 9, f"{name}, logarithmic" if is_log else name, **look)


def _round_numbers(axis: XAxis | YAxis, is_log: bool, ticks: int, integer: bool) -> list[float]:
    """Return the numbers beside an axis."""
    low, high = sorted(axis.get_view_interval())
    if is_log:
        decades = math.log10(high / low)
        parts = (1,) if decades > 3 else (1, 3) if decades > 1.6 else (1, 2, 5)
        values = LogLocator(subs=parts, numticks=8).tick_values(low, high)
    else:
        steps = [1, 2, 2.5, 5, 10]
        values = MaxNLocator(ticks, steps=steps, integer=integer).tick_values(low, high)
    near = 1e-9 * (high - low)
    return [value for value in values if low - near <= value <= high + near]


def legend_height(styles: Mapping[str, Style]) -> int:
    """Return how many pixels the legend of these methods takes."""
    columns, _ = _legend_columns(styles)
    return LEGEND_LINE * math.ceil(len(styles) / columns) + 4


def draw_legend(figure: Figure, styles: Mapping[str, Style]) -> None:
    """Draw a legend from the chart's upper left corner on."""
    columns, width = _legend_columns(styles)
    for i, (name, style) in enumerate(styles.items()):
        x, y = 4 + i % columns * width, figure.bbox.height - 9 - i // columns * LEGEND_LINE
        middle = [x, x + LEGEND_MARK / 2, x + LEGEND_MARK]
        look = {**style.interval, "linestyle": style.dash, "transform": IdentityTransform()}
        figure.add_artist(Line2D(middle, [y] * 3, **look))
        figure.text(x + LEGEND_MARK + 6, y - 4, shortened(name, LONGEST_IN_LEGEND), transform=None)


def _legend_columns(names: Iterable[str]) -> tuple[int, float]:
    """Return how many columns there are, and how wide one is."""
    widest = max((min(len(name), LONGEST_IN_LEGEND) for name in names), default=1)
    width = 43 + 0.6 * FONT * widest
    return max(1, int(WIDTH / width)), width
