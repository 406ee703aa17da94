"""What all plots are drawn with: scales, frames, and how a variant looks in every one of them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.reporting.html.markup import Markup, decimal, element
from benchmark.reporting.plots import PALETTE

DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "5 2 2 2 2 2", "1 2")
SHAPES = ("circle", "square", "diamond", "triangle", "inverted", "cross", "plus")
RADIUS = 4.5
LONGEST_NAME = 17
LOG_RATIO = 30
"""Values of one sign that span more than this are shown on a logarithmic scale."""


@dataclass(frozen=True)
class Style:
    """How a method looks: a class that sets the colour, a dash and a shape."""

    colour: str
    dash: str
    shape: str
    is_hollow: bool = False


BASELINE = Style("grey", "3 3", "circle", is_hollow=True)


def styles_of(variants: Iterable[str]) -> dict[str, Style]:
    """Give every variant a style, the same in all plots of a report."""
    return {
        name: Style(f"c{i % len(PALETTE)}", DASHES[i % len(DASHES)], SHAPES[i % len(SHAPES)])
        for i, name in enumerate(dict.fromkeys(variants))
    }


def colour_rules() -> str:
    """Return the style sheet's lines of the palette; on a dark ground its colours are lighter."""
    lines = []
    for i, colour in enumerate(PALETTE):
        dark = f"color-mix(in oklab, {colour} {70 - 30 * (colour == '#000000')}%, white)"
        lines.append(f".c{i} {{ color: light-dark({colour}, {dark}); }}")
    return "\n".join(lines)


@dataclass(frozen=True)
class Scale:
    """Where a value lies between two places of a drawing."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value, at most at one of the ends."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return about as many round values."""
        if self.is_log:
            return _log_ticks(self.low, self.high)
        step = _round_step((self.high - self.low) / count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def scale_of(
    values: Iterable[float], start: float, end: float, *, with_zero: bool = False
) -> Scale:
    """Return a scale for some values, with room at both ends."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if low > 0 and high > LOG_RATIO * low and not with_zero:
        return Scale(low / 1.2, high * 1.2, start, end, is_log=True)
    if with_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return Scale(low - room, high + room, start, end)


def _round_step(wanted: float) -> float:
    size = 10.0 ** math.floor(math.log10(wanted))
    return float(next(n * size for n in (1, 2, 5, 10) if n * size >= wanted * 0.999))


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts in ((1,), (1, 3), (1, 2, 5)):
        found = [n * 10.0**d for d in decades for n in parts if low <= n * 10.0**d <= high]
        if len(found) >= 3:
            break
    return found[:: math.ceil(len(found) / 6)]


def tick_text(value: float) -> str:
    """Return the number of a tick."""
    if value and not 1e-4 <= abs(value) < 1e5:
        mantissa, _, exponent = f"{value:.0e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    return decimal(value, 6)


def drawing(title: str, description: str, width: int, height: float, *parts: str) -> Markup:
    """Return a picture with a text alternative."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *parts,
        viewBox=f"0 0 {width} {decimal(height)}",
        role="img",
        aria_label=f"{title}. {description}",
    )


def line(x1: float, y1: float, x2: float, y2: float, **attributes: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def shortened(name: str) -> str:
    """Return a name as it fits beside a plot; the plot's description has it whole."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def label(x: float, y: float, content: str, anchor: str = "start", class_: str = "") -> Markup:
    """Return text whose middle line is at `y`."""
    return element(
        "text", content, x=x, y=y, dy="0.35em", text_anchor=anchor, class_=class_ or None
    )


def marker(style: Style, x: float, y: float, note: str = "") -> Markup:
    """Return a method's mark; pointing at it shows the note."""
    path = element("path", d=_outline(style.shape, x, y))
    parts = [element("title", note), path] if note else [path]
    return element("g", *parts, class_=f"mark {style.colour}{' hollow' * style.is_hollow}")


def _outline(shape: str, x: float, y: float) -> str:
    r = RADIUS
    if shape == "circle":
        return f"M{decimal(x - r)} {decimal(y)}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
    t = r / 3
    corners = {
        "square": [(-r, -r), (r, -r), (r, r), (-r, r)],
        "diamond": [(0, -1.3 * r), (1.3 * r, 0), (0, 1.3 * r), (-1.3 * r, 0)],
        "triangle": [(0, -1.2 * r), (1.2 * r, r), (-1.2 * r, r)],
        "inverted": [(0, 1.2 * r), (1.2 * r, -r), (-1.2 * r, -r)],
    }
    plus = [(-t, -r), (t, -r), (t, -t), (r, -t), (r, t), (t, t)]
    plus += [(-a, -b) for a, b in plus]
    turned = [((a - b) * 0.8, (a + b) * 0.8) for a, b in plus]
    points = corners | {"plus": plus, "cross": turned}
    return f"M{'L'.join(f'{decimal(x + a)} {decimal(y + b)}' for a, b in points[shape])}Z"


def legend(
    names: Iterable[tuple[str, Style]], width: int, top: float
) -> tuple[list[Markup], float]:
    """Return a legend in as many lines as it needs, and where it ends."""
    parts, x, y = [], 4.0, top
    for name, style in names:
        needed = 34 + 6.6 * len(name)
        if x > 4 and x + needed > width:
            x, y = 4.0, y + 18
        dash = style.dash or "none"
        parts.append(line(x, y, x + 22, y, class_=f"curve {style.colour}", stroke_dasharray=dash))
        parts += [marker(style, x + 11, y), label(x + 27, y, name)]
        x += needed + 10
    return parts, y + 12


def x_axis(scale: Scale, top: float, bottom: float, name: str) -> list[Markup]:
    """Return the axis below a plot, with lines up through it."""
    parts = [line(scale.start, bottom, scale.end, bottom, class_="axis")]
    for tick in _whole(scale.ticks()):
        x = scale(tick)
        parts.append(line(x, top, x, bottom, class_="grid"))
        parts.append(label(x, bottom + 11, tick_text(tick), "middle", "tick"))
    parts.append(label((scale.start + scale.end) / 2, bottom + 27, name, "middle", "name"))
    return parts


def y_axis(scale: Scale, left: float, right: float, name: str) -> list[Markup]:
    """Return the axis left of a plot, with lines through it, and its name above."""
    parts = [label(0, scale.end - 13, name, class_="name")]
    for tick in _whole(scale.ticks()):
        y = scale(tick)
        parts.append(line(left, y, right, y, class_="grid"))
        parts.append(label(left - 6, y, tick_text(tick), "end", "tick"))
    return parts


def _whole(ticks: Sequence[float]) -> list[float]:
    """Return ticks without the errors of multiplying steps, such as 0.30000000000000004."""
    return [float(f"{tick:.10g}") for tick in ticks]


def path_of(points: Iterable[tuple[float, float]]) -> str:
    """Return the path through some points, with a gap where one is not finite."""
    parts, pen = [], "M"
    for x, y in points:
        if math.isfinite(y):
            parts.append(f"{pen}{decimal(x)} {decimal(y)}")
            pen = "L"
        else:
            pen = "M"
    return "".join(parts)


def swatch(style: Style) -> Markup:
    """Return a method's mark beside its name."""
    mark = marker(style, 7, 7)
    return element("svg", mark, viewBox="0 0 14 14", class_="swatch", aria_hidden="true")
