"""Tables of epochs in, the chart of one of their columns out: a line a variant."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from benchmark.reporting.figures.plot import (
    draw_legend,
    draw_scale,
    is_logarithmic,
    legend_height,
    plot_area,
)
from benchmark.reporting.figures.style import WIDTH, Style
from benchmark.reporting.figures.svg import blank_chart, chart_settings, draw, to_svg

HEIGHT, LEFT, RIGHT, ABOVE, BELOW = 176, 54, WIDTH - 12, 26, 40
"""Of the plot, and the room around it; the legend is above."""
MARKS = 12
"""Marks along a line, at most."""
Curves = Mapping[tuple[str, int], pd.DataFrame]
"""Tables with a row an epoch, by variant and seed."""


@chart_settings()
def curves_svg(title: str, curves: Curves, column: str, styles: Mapping[str, Style]) -> str | None:
    """Draw a column of the tables of epochs: the mean over seeds, and their least and greatest.

    Args:
        title: the title.
        curves: by variant and seed.
        column: its name.
        styles: of the variants.

    Returns:
        SVG; None where no table has finite values of the column.
    """
    names = dict.fromkeys(variant for variant, _ in curves)
    tables = {name: _values(curves, name, column) for name in names}
    tables = {name: table for name, table in tables.items() if len(table)}
    if not tables:
        return None
    shown = {name: styles[name] for name in tables}
    top = legend_height(shown) + ABOVE
    figure = blank_chart(top + HEIGHT + BELOW)
    axes = plot_area(figure, LEFT, RIGHT, top, top + HEIGHT)
    for name, table in tables.items():
        _draw_curve(axes, name, table, styles[name])
    values = np.concatenate([table.to_numpy().ravel() for table in tables.values()])
    if is_logarithmic(values.tolist()):
        axes.set_yscale("log")
    elif 0 <= values.min() < values.max() / 3:
        axes.autoscale_view()
        axes.set_ylim(bottom=0)
    draw_scale(axes.yaxis, column)
    draw_scale(axes.xaxis, "epoch", ticks=6, integer=True)
    draw_legend(figure, shown)
    ends = "; ".join(f"{name} ends at {_last(table)}" for name, table in tables.items())
    return to_svg(figure, title, f"{column} by epoch: {ends}.")


def _values(curves: Curves, variant: str, column: str) -> pd.DataFrame:
    """Return a column by epoch (rows) and seed (columns), of the epochs that have values."""
    found = {
        seed: pd.Series(frame[column].to_numpy(), frame["epoch"].to_numpy())
        for (name, seed), frame in curves.items()
        if name == variant and column in frame
    }
    table = pd.DataFrame(found, dtype=np.float64)
    return table.where(np.isfinite(table)).dropna(how="any")


def _last(table: pd.DataFrame) -> str:
    seeds = f" (mean of {table.shape[1]} seeds)" if table.shape[1] > 1 else ""
    return f"{float(table.iloc[-1].mean()):.4g}{seeds}"


def _draw_curve(axes: Axes, name: str, table: pd.DataFrame, style: Style) -> None:
    """Draw a band from the least to the greatest seed, the line of means, and marks along it."""
    epochs, means = table.index.to_numpy(), table.mean(axis=1).to_numpy()
    if table.shape[1] > 1:
        rim = np.concatenate([table.min(axis=1), table.max(axis=1)[::-1]])
        there_and_back = np.concatenate([epochs, epochs[::-1]])
        axes.fill(there_and_back, rim, color=style.color, alpha=0.18, lw=0, clip_on=False)
    draw(axes, epochs, means, name, **style.line)
    step = -(-len(epochs) // MARKS)
    for epoch, mean in [*zip(epochs.tolist(), means.tolist(), strict=True)][::-step]:
        draw(axes, [epoch], [mean], f"{name}, epoch {epoch}: {mean:.4g}", **style.mark)


def bands_text(curves: Curves) -> str:
    """Say what lines and bands are."""
    if len({seed for _, seed in curves}) > 1:
        return "Lines are means over training seeds; bands reach from the least to the greatest."
    return "One training seed, so lines have no band."


def panel_title(column: str) -> str:
    """Return the name of a loss term as words, its network first."""
    *network, term = column.split("/")
    return f"{' '.join(network)}: {term}".replace("_", " ").removeprefix(": ")
