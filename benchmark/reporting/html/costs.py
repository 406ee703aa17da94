"""The plot of what quality costs: operations or parameters of a generator against its error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmark.reporting.html.drawing import (
    Scale,
    Style,
    drawing,
    label,
    line,
    marker,
    path_of,
    scale_of,
    shortened,
    x_axis,
    y_axis,
)
from benchmark.reporting.html.markup import Markup, element

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 420, 54, 296, 26, 250
"""Of the drawing and its plot; names stand right of it."""
GAP = 15
"""Between the lines of two names."""


@dataclass(frozen=True)
class Priced:
    """A method with what it costs and how far off it is."""

    name: str
    cost: float
    error: float
    low: float
    high: float
    """Ends of the interval of the error."""


def pareto_front(methods: Sequence[Priced]) -> list[Priced]:
    """Return the methods that no other beats in cost or error without losing in the other.

    They are in the order of cost; of equal ones all are there.
    """
    front = [
        method
        for method in methods
        if not any(
            other.cost <= method.cost
            and other.error <= method.error
            and (other.cost, other.error) != (method.cost, method.error)
            for other in methods
        )
    ]
    return sorted(front, key=lambda method: (method.cost, method.error, method.name))


def cost_plot(
    title: str,
    cost: str,
    error: str,
    methods: Sequence[Priced],
    baselines: Mapping[str, float],
    styles: Mapping[str, Style],
) -> Markup:
    """Draw errors against costs, with the front of what is worth its cost.

    Args:
        title: the title.
        cost: what is on the horizontal axis.
        error: what is on the vertical one; lower is better.
        methods: not empty.
        baselines: the errors of methods without a network.
        styles: of the methods.
    """
    front = pareto_front(methods)
    across = scale_of([m.cost for m in methods], LEFT, RIGHT)
    if not across.is_log:
        across = Scale(0, 1.15 * max(m.cost for m in methods) or 1.0, LEFT, RIGHT)
    errors = [v for m in methods for v in (m.low, m.error, m.high)]
    up = scale_of([*errors, *baselines.values()], BOTTOM, TOP)
    parts = [*y_axis(up, LEFT, RIGHT, error), *x_axis(across, TOP, BOTTOM, cost)]
    heights: list[tuple[float, str, str, float]] = []
    for name, value in baselines.items():
        parts.append(line(LEFT, up(value), RIGHT, up(value), class_="baseline"))
        heights.append((up(value), name, "tick", RIGHT))
    steps = []
    for before, after in pairwise(front):
        corners = [(before.cost, before.error), (after.cost, before.error)]
        steps += [(across(x), up(y)) for x, y in [*corners, (after.cost, after.error)]]
    if steps:
        parts.append(element("path", d=path_of(steps), class_="front"))
    for method in sorted(methods, key=lambda m: m in front):  # those are to be seen
        x, y, style = across(method.cost), up(method.error), styles[method.name]
        note = f"{method.name}: {method.cost:.4g} {cost}, {error} {method.error:.4f}"
        whisker = f"interval {style.colour}"
        parts.append(line(x, up(method.low), x, up(method.high), class_=whisker))
        if method in front:
            parts.append(element("circle", cx=x, cy=y, r=9, class_="ring"))
        parts.append(marker(style, x, y, note))
        heights.append((y, method.name, style.colour, x))
    parts += _names(heights)
    described = "; ".join(
        f"{m.name}: {m.cost:.4g}, {m.error:.4f}{', on the front' if m in front else ''}"
        for m in methods
    )
    lines = "; ".join(f"{name} {value:.4f}" for name, value in baselines.items())
    description = f"{cost} against {error}. {described}. Without a network: {lines}."
    return drawing(title, description, WIDTH, BOTTOM + 36, *parts)


def _names(heights: Sequence[tuple[float, str, str, float]]) -> list[Markup]:
    """Return names right of a plot, as near to their heights as they can be without touching."""
    wanted = sorted(heights)
    placed = _apart([y for y, *_ in wanted])
    parts = []
    for at, (y, name, class_, x) in zip(placed, wanted, strict=True):
        parts.append(line(max(x, LEFT) + 7, y, RIGHT + 14, at, class_="leader"))
        parts.append(
            label(RIGHT + 18, at, shortened(name), class_=class_ if class_ == "tick" else "strong")
        )
    return parts


def _apart(places: Sequence[float]) -> list[float]:
    """Return sorted places moved as little as makes them `GAP` apart, within the plot."""
    moved: list[float] = []
    for place in places:
        moved.append(max([place, *(last + GAP for last in moved[-1:])]))
    limit = BOTTOM + 4.0
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], limit)
        limit = moved[i] - GAP
    return moved
