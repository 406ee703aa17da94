"""Names of variants in, how they look in all charts out; and the axes and legends of all charts.

Lengths are in CSS pixels: a chart has 72 dots an inch, so that a point is a pixel.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from matplotlib.transforms import IdentityTransform, Transform, blended_transform_factory

# Okabe and Ito (2008), for color-blind readers too; without yellow, too pale on white.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
INK, MUTED, RULE, PAPER = "#1b1f23", "#59626c", "#dfe2e4", "#fdfdfb"
GOOD, BAD = "#00694b", "#a63f00"
DASHED = (0, (3, 3))
DASHES: tuple[Any, ...] = (
    "-",
    *((0, lengths) for lengths in ((7, 3), (2, 3), (9, 3, 2, 3), (12, 4), (5, 2, 2, 2), (1, 2))),
)
MARKERS = "osD^vXP"
WIDTH = 440
"""Of every chart; it fits a phone and half a desktop page without being scaled much."""
FONT, SMALL = 11.5, 10.5
LOG_RATIO = 30
"""Positive values that span more than this are shown on a logarithmic scale."""
STEPS = [1, 2, 2.5, 5, 10]
"""Between ticks, times a power of 10."""
LEGEND_LINE, LONGEST_IN_LEGEND = 18, 50


@dataclass(frozen=True)
class Style:
    """How a method looks in every chart."""

    color: str
    """One of this module's, which have a counterpart on dark paper."""
    dash: Any
    """As Matplotlib takes it: `-`, or an offset and the lengths of strokes and gaps."""
    marker: str
    is_hollow: bool = False

    @property
    def line(self) -> dict[str, Any]:
        """Matplotlib's settings of a line."""
        return {"color": self.color, "linestyle": self.dash, "linewidth": 2}

    @property
    def mark(self) -> dict[str, Any]:
        """Matplotlib's settings of a marker."""
        edge, width = (self.color, 1.75) if self.is_hollow else (PAPER, 0.75)
        face = PAPER if self.is_hollow else self.color
        look = {"marker": self.marker, "ms": 8, "mfc": face, "mec": edge, "mew": width}
        return {"linestyle": "none", **look}


BASELINE = Style(MUTED, DASHED, "o", is_hollow=True)


def styles_of(names: Iterable[str]) -> dict[str, Style]:
    """Give every variant a style, the same in all charts of a report.

    Args:
        names: in the order of the report. The first 7 differ in color, dash and marker, the first
            49 in one of them at least.
    """
    styles = {}
    for i, name in enumerate(dict.fromkeys(names)):
        shifted = (i + i // len(PALETTE)) % len(PALETTE)
        styles[name] = Style(PALETTE[i % len(PALETTE)], DASHES[shifted], MARKERS[shifted])
    return styles


def shortened(name: str, most: int) -> str:
    """Return a name as it fits a chart; the chart's description has it whole."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def plot_area(figure: Figure, left: float, right: float, top: float, bottom: float) -> Axes:
    """Add axes whose edges are this far from the left and the upper edge of the chart."""
    width, height = figure.get_size_inches() * 72
    place = (left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height)
    axes = figure.add_axes(place, facecolor="none", axisbelow=True)
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.tick_params(which="both", bottom=False, left=False, labelcolor=MUTED, labelsize=SMALL)
    return axes


def beside_axes(axes: Axes) -> Transform:
    """Return where things beside a plot lie: pixels from the chart's left edge, and values of y."""
    return blended_transform_factory(IdentityTransform(), axes.transData)


def is_logarithmic(values: Iterable[float]) -> bool:
    """Return whether values are positive and span so much that a linear scale hides some."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and max(finite) > LOG_RATIO * min(finite) > 0


def set_scale(axis: XAxis | YAxis, name: str, is_log: bool = False, ticks: int = 5) -> None:
    """Name an axis and give it round ticks, about as many, with gridlines."""
    text: dict[str, Any] = {"color": MUTED, "fontsize": SMALL}
    if isinstance(axis, XAxis):
        axis.axes.set_xscale("log" if is_log else "linear")
        axis.axes.set_xlabel(name, labelpad=6, **text)
    else:
        axis.axes.set_yscale("log" if is_log else "linear")
        heading = f"{name}, logarithmic" if is_log else name
        axis.axes.set_title(heading, loc="left", pad=9, fontdict=text)
    axis.set_major_locator(MaxNLocator(nbins=ticks, steps=STEPS))
    if is_log:
        low, high = axis.get_view_interval()
        decades = math.log10(high / low)
        parts = (1,) if decades > 3 else (1, 3) if decades > 1.6 else (1, 2, 5)
        axis.set_major_locator(LogLocator(subs=parts, numticks=8))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:.6g}"))
    axis.grid(visible=True, color=RULE, linewidth=1, clip_on=False)


def legend_height(styles: Mapping[str, Style]) -> int:
    """Return how many pixels the legend of these methods takes."""
    return LEGEND_LINE * math.ceil(len(styles) / _legend_columns(styles)) + 4


def draw_legend(figure: Figure, styles: Mapping[str, Style]) -> None:
    """Draw a legend from the chart's upper left corner on."""
    figure.legend(
        [Line2D([], [], **{**style.mark, **style.line}) for style in styles.values()],
        [shortened(name, LONGEST_IN_LEGEND) for name in styles],
        loc="upper left",
        ncols=_legend_columns(styles),
        frameon=False,
        labelcolor=INK,
        borderpad=0.35,
        borderaxespad=0,
        handlelength=2.2,
        handletextpad=0.5,
        columnspacing=1,
        labelspacing=(LEGEND_LINE - 1.17 * FONT) / FONT,
    )


def _legend_columns(names: Iterable[str]) -> int:
    widest = max((min(len(name), LONGEST_IN_LEGEND) for name in names), default=1)
    return max(1, int(WIDTH / (43 + 0.6 * FONT * widest)))
