"""Names of variants in, how they look in all charts out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from data.errors import printable

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

    @property
    def interval(self) -> dict[str, Any]:
        """Matplotlib's settings of three points: an interval with a marker inside it."""
        return {**self.mark, **self.line, "linestyle": "-", "markevery": [1]}


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
    name = printable(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"
