"""Costs and errors of generators in, a chart out: what quality costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import IdentityTransform

from benchmark.reporting.figures.plot import draw_scale, is_logarithmic, plot_area
from benchmark.reporting.figures.style import DASHED, INK, MUTED, Style, shortened
from benchmark.reporting.figures.svg import blank_chart, chart_settings, draw, to_svg

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 292, 54, 306, 28, 252
"""Of the chart and its plot; names stand right of it."""
GAP = 15
"""Between the lines of two names."""
LONGEST_NAME = 17


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


@chart_settings()
def cost_svg(
    title: str,
    x_label: str,
    metric: str,
    priced: Sequence[Priced],
    baselines: Mapping[str, float],
    styles: Mapping[str, Style],
) -> str:
    """Draw errors against costs, with the front of what is worth its cost.

    Args:
        title: the title.
        x_label: what the cost is.
        metric: what the error is; lower is better.
        priced: the methods; not empty.
        baselines: the errors of methods without a network.
        styles: of the methods.
    """
    front = pareto_front(priced)
    figure = blank_chart(HEIGHT)
    axes = plot_area(figure, LEFT, RIGHT, TOP, BOTTOM)
    for value in baselines.values():
        axes.axhline(value, color=MUTED, lw=1, ls=DASHED, clip_on=False)
    corners = [(m.cost, m.error) for m in front[:1]]
    for before, after in pairwise(front):
        corners += [(after.cost, before.error), (after.cost, after.error)]
    draw(axes, [x for x, _ in corners], [y for _, y in corners], color=MUTED, lw=1.5)
    for method in sorted(priced, key=lambda m: m in front):  # those are to be seen
        note = f"{method.name}: {method.cost:.4g} {x_label}, {metric} {method.error:.4f}"
        if method in front:
            point = [method.cost], [method.error]
            draw(axes, *point, ls="none", marker="o", ms=18, mfc="none", mec=INK)
        errors = [method.low, method.error, method.high]
        draw(axes, [method.cost] * 3, errors, note, **styles[method.name].interval)
    errors = [value for m in priced for value in (m.low, m.error, m.high)]
    if is_logarithmic([*errors, *baselines.values()]):
        axes.set_yscale("log")
    costs = [m.cost for m in priced]
    if is_logarithmic(costs):
        axes.set_xscale("log")
    else:
        axes.set_xlim(0, 1.15 * max(costs) or 1)
    draw_scale(axes.yaxis, metric)
    draw_scale(axes.xaxis, x_label)
    _write_names(figure, axes, priced, baselines)
    described = "; ".join(
        f"{m.name}: {m.cost:.4g}, {m.error:.4f}{', on the front' if m in front else ''}"
        for m in priced
    )
    lines = "; ".join(f"{name} {value:.4f}" for name, value in baselines.items())
    description = f"{x_label} against {metric}. {described}. Without a network: {lines}."
    return to_svg(figure, title, description)


def _write_names(
    figure: Figure, axes: Axes, priced: Sequence[Priced], baselines: Mapping[str, float]
) -> None:
    """Write names right of the plot, as near to their heights as they can be, with leaders."""
    places = [(m.cost, m.error, m.name, INK) for m in priced]
    edge = axes.get_xlim()[1]
    places += [(edge, value, name, MUTED) for name, value in baselines.items()]
    places.sort(key=lambda place: (place[1], place[2]))
    # In pixels from the lower left corner.
    points = axes.transData.transform([place[:2] for place in places])
    heights = spread(points[:, 1].tolist(), GAP, HEIGHT - TOP + 4)
    for (x, y), height, (*_, name, color) in zip(points, heights, places, strict=True):
        leader = [x + 7, RIGHT + 14], [y, height]
        figure.add_artist(Line2D(*leader, color=MUTED, lw=0.6, transform=IdentityTransform()))
        figure.text(
            RIGHT + 18,
            height,
            shortened(name, LONGEST_NAME),
            color=color,
            weight="bold" if color == INK else "normal",
            va="center",
            transform=None,
        )


def spread(places: Sequence[float], gap: float, most: float) -> list[float]:
    """Return sorted places moved as little as makes them `gap` apart, with none above `most`."""
    moved: list[float] = []
    for place in places:
        moved.append(max([place, *(last + gap for last in moved[-1:])]))
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], most)
        most = moved[i] - gap
    return moved
