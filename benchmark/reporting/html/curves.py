"""Plots of training: one line a variant, with a band where there are several seeds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmark.reporting.html.drawing import (
    Scale,
    Style,
    drawing,
    legend,
    marker,
    path_of,
    scale_of,
    tick_text,
    x_axis,
    y_axis,
)
from benchmark.reporting.html.markup import Markup, element

WIDTH, HEIGHT, LEFT, RIGHT = 420, 176, 54, 408
"""Of the drawing and its plot; the legend is above."""
HEAD, FOOT = 34, 36
MARKS = 12
"""Marks along a line, at most."""
Curves = Mapping[tuple[str, int], pd.DataFrame]


def curves_plot(
    title: str, curves: Curves, column: str, styles: Mapping[str, Style]
) -> Markup | None:
    """Draw a column of the tables of epochs: the mean over seeds, and their least and greatest.

    Args:
        title: the title.
        curves: by variant and seed.
        column: its name.
        styles: of the variants.

    Returns:
        None where no table has finite values of it.
    """
    names = dict.fromkeys(variant for variant, _ in curves)
    tables = {name: _values(curves, name, column) for name in names}
    tables = {name: table for name, table in tables.items() if len(table)}
    if not tables:
        return None
    values = np.concatenate([table.to_numpy().ravel() for table in tables.values()]).tolist()
    keys, top = legend([(name, styles[name]) for name in tables], WIDTH, 10)
    top += HEAD - 12
    across = Scale(0.6, max(int(t.index.max()) for t in tables.values()) + 0.4, LEFT, RIGHT)
    near_zero = 0 <= min(values) < max(values) / 3
    up = scale_of(values, top + HEIGHT, top)
    if near_zero and not up.is_log:
        up = scale_of(values, top + HEIGHT, top, with_zero=True)
    parts = [*keys, *y_axis(up, LEFT, RIGHT, f"{column}{', logarithmic' if up.is_log else ''}")]
    parts += x_axis(across, top, up.start, "epoch")
    for name, table in tables.items():
        parts += _curve(name, table, styles[name], across, up)
    ends = "; ".join(f"{name} ends at {_last(table)}" for name, table in tables.items())
    description = f"{column} by epoch: {ends}."
    return drawing(title, description, WIDTH, up.start + FOOT, *parts)


def _values(curves: Curves, variant: str, column: str) -> pd.DataFrame:
    """Return a column by epoch (rows) and seed (columns), of the epochs that have values."""
    found = {
        seed: frame.set_index("epoch")[column]
        for (name, seed), frame in curves.items()
        if name == variant and column in frame
    }
    table = pd.DataFrame(found, dtype=np.float64)
    return table.where(np.isfinite(table)).dropna(how="any")


def _last(table: pd.DataFrame) -> str:
    seeds = f" (mean of {table.shape[1]} seeds)" if table.shape[1] > 1 else ""
    return f"{float(table.iloc[-1].mean()):.4g}{seeds}"


def _curve(name: str, table: pd.DataFrame, style: Style, across: Scale, up: Scale) -> list[Markup]:
    """Return a band from the least to the greatest seed, a line of means, and marks along it."""
    places = [across(float(epoch)) for epoch in table.index]
    parts = []
    if table.shape[1] > 1:
        low, high = ([up(float(v)) for v in table.agg(how, axis=1)] for how in ("min", "max"))
        rim = [*zip(places, low, strict=True), *zip(places[::-1], high[::-1], strict=True)]
        parts.append(element("path", d=f"{path_of(rim)}Z", class_=f"band {style.colour}"))
    means = table.mean(axis=1)
    points = [(x, up(float(mean))) for x, mean in zip(places, means, strict=True)]
    dash = style.dash or None
    curve = f"curve {style.colour}"
    parts.append(element("path", d=path_of(points), class_=curve, stroke_dasharray=dash))
    step = -(-len(points) // MARKS)
    for (x, y), epoch, mean in [*zip(points, table.index, means, strict=True)][::-step]:
        parts.append(
            marker(style, x, y, f"{name}, epoch {epoch}: {tick_text(float(f'{mean:.4g}'))}")
        )
    return parts


def bands_text(curves: Curves) -> str:
    """Say what lines and bands are."""
    several = len({seed for _, seed in curves}) > 1
    if several:
        return "Lines are means over training seeds; bands reach from the least to the greatest."
    return "One training seed, so lines have no band."


def panel_title(column: str) -> str:
    """Return the name of a loss term as words, its network first."""
    *network, term = column.split("/")
    return f"{' '.join(network)}: {term}".replace("_", " ").removeprefix(": ")
