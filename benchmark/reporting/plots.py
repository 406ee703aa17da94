"""Training curves of the report: tables in, a figure out; only `save_figure` writes."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from benchmark.core.files import atomic_path
from benchmark.reporting.figures import readable

# Okabe and Ito (2008), for colour-blind readers too; without yellow, too pale on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Of Tol's muted scheme (2021), for figures of more than the palette's colours.
MORE_COLOURS = ("#882255", "#999933")
DASHES = ("-", "--", ":", "-.")
MARKERS = "osD^vPX"
Style = tuple[str, str, str]
"""Colour, dash and marker of a variant's lines."""
GREY = "#888888"
PANELS_ACROSS = 4
SYMMETRIC: dict[str, Any] = {"value": "symlog", "linthresh": 1e-3, "linscale": 0.8}
"""A logarithmic scale on both sides of a linear piece around 0, for terms that reach 0."""


def curves_figure(
    curves: Mapping[tuple[str, int], pd.DataFrame], validation: str = "mse_h"
) -> Figure:
    """Draw each variant's validation metric and losses over the epochs.

    Args:
        curves: by variant and seed, with the columns `epoch`, `validation/<metric>`,
            `generator/reconstruction` and any `discriminator/<name>/<term>`.
        validation: the metric of the large panel.

    Returns:
        One large panel and two small ones; a thin line for each seed where there are several,
        a thick one for their mean.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
        figure = Figure(figsize=(11, 5), dpi=110, layout=layout)
        FigureCanvasAgg(figure)
        panels = figure.subplot_mosaic(
            [["main", "generator"], ["main", "discriminator"]], width_ratios=[1.7, 1]
        )
        variants = list(dict.fromkeys(variant for variant, _ in curves))
        handles = []
        for i, variant in enumerate(variants):
            dash = DASHES[i // len(PALETTE) % len(DASHES)]
            style = (PALETTE[i % len(PALETTE)], dash, MARKERS[i % len(MARKERS)])
            frames = [frame for (name, _), frame in curves.items() if name == variant]
            main = [_line(f, f"validation/{validation}") for f in frames]
            handles.append(_draw(panels["main"], main, style))
            _draw(
                panels["generator"], [_line(f, "generator/reconstruction") for f in frames], style
            )
            _draw(panels["discriminator"], [_discriminators(f) for f in frames], style)
        _name_panels(panels, validation)
        names = [readable(variant) for variant in variants]
        figure.legend(
            handles, names, loc="outside lower center", ncols=5, frameon=False, handlelength=3
        )
    return figure


def losses_figure(curves: Mapping[tuple[str, int], pd.DataFrame]) -> Figure:
    """Draw all loss terms of each variant over the epochs, before weighting, and the weighted sum.

    Args:
        curves: by variant and seed, with the columns `epoch`, `generator/<term>`,
            `generator/total` and any `discriminator/<name>/<term>`.

    Returns:
        One panel for each variant, all with the same axes: a colour for each term and a dash for
        each network. The scale is logarithmic, and linear around 0 if a term is not positive.
    """
    variants = list(dict.fromkeys(variant for variant, _ in curves))
    styles = _term_styles(list(dict.fromkeys(c for f in curves.values() for c in f.columns)))
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
        layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06)
        rows = math.ceil(len(variants) / PANELS_ACROSS)
        figure = Figure(figsize=(11, 1.2 + 2.2 * rows), dpi=110, layout=layout)
        FigureCanvasAgg(figure)
        panels = _panels(figure, [readable(variant) for variant in variants])
        lowest = math.inf
        for variant, axes in zip(variants, panels, strict=True):
            frames = [frame for (name, _), frame in curves.items() if name == variant]
            for column, style in styles.items():
                if any(column in frame for frame in frames):
                    lines = [_line(frame, column) for frame in frames]
                    _draw(axes, lines, style, width=1.4)
                    lowest = min(lowest, *(line.min() for line in lines))
        panels[0].set_yscale(**SYMMETRIC if lowest <= 0 else {"value": "log"})
        figure.suptitle(
            "Losses by epoch: the terms before weighting, and the generator's weighted total"
        )
        handles = _term_legend(styles)
        figure.legend(
            handles=handles, loc="outside lower center", ncols=6, frameon=False, handlelength=3
        )
    return figure


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure as a PNG without date or software, atomically."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    with atomic_path(path) as partial:
        partial.write_bytes(stream.getvalue())


def _line(frame: pd.DataFrame, column: str) -> pd.Series:
    values = frame[column] if column in frame else pd.Series(np.nan, index=frame.index)
    return values.set_axis(frame["epoch"])


def _discriminators(frame: pd.DataFrame) -> pd.Series:
    """Sum the loss terms of all discriminators; NaN where there is none."""
    terms = [
        n for n in frame.columns if n.startswith("discriminator/") and not n.endswith("/total")
    ]
    return frame[terms].sum(axis=1, min_count=1).set_axis(frame["epoch"])


def _draw(axes: Axes, lines: Sequence[pd.Series], style: Style, width: float = 2) -> Line2D:
    """Draw one variant: its seeds thin, where there are several, and their mean thick."""
    colour, dash, marker = style
    if len(lines) > 1:
        for line in lines:
            axes.plot(line.index, line, color=colour, linewidth=0.4 * width, alpha=0.4)
    mean = pd.concat(list(lines), axis=1).mean(axis=1)
    (thick,) = axes.plot(
        mean.index,
        mean,
        color=colour,
        linestyle=dash,
        linewidth=width,
        marker=marker,
        markersize=2.5 * width,
        markevery=max(1, len(mean) // 15),
    )
    return thick


def _name_panels(panels: Mapping[str, Axes], validation: str) -> None:
    panels["main"].set_title(f"Validation {validation} (lower is better)", loc="left")
    panels["generator"].set_title("Training: reconstruction loss", loc="left")
    panels["discriminator"].set_title("Training: discriminator loss, all terms", loc="left")
    for axes in panels.values():
        axes.set_xlabel("epoch")
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels["generator"].set_xlabel("")
    if all(np.isnan(np.asarray(line.get_ydata())).all() for line in panels["discriminator"].lines):
        panels["discriminator"].text(
            0.5,
            0.5,
            "no discriminator",
            ha="center",
            va="center",
            transform=panels["discriminator"].transAxes,
        )


def _term_styles(columns: Sequence[str]) -> dict[str, Style]:
    """Give each loss term a colour and a marker, and each network a dash."""
    terms = [
        column.rpartition("/")
        for column in columns
        if column.startswith(("generator/", "discriminator/"))
        and column != "generator/reconstruction"  # a sum, and in the figure of the curves
    ]
    names = [name for name in dict.fromkeys(name for *_, name in terms) if name != "total"]
    networks = list(dict.fromkeys(network for network, *_ in terms))
    terms.sort(key=lambda term: term[2] != "total")  # below the term that it may be equal to
    colours, total = PALETTE[:-1] + MORE_COLOURS, PALETTE[-1]
    styles = {}
    for network, _, name in terms:
        place = 0 if name == "total" else names.index(name)
        colour = total if name == "total" else colours[place % len(colours)]
        marker = "" if name == "total" else MARKERS[place % len(MARKERS)]
        dash = DASHES[networks.index(network) % len(DASHES)]
        styles[f"{network}/{name}"] = (colour, dash, marker)
    return styles


def _term_legend(styles: Mapping[str, Style]) -> list[Line2D]:
    """Return a handle for each term, then one for each network."""
    handles = {}
    for column, (colour, dash, marker) in styles.items():
        network, _, name = column.rpartition("/")
        handles[name] = Line2D([], [], color=colour, marker=marker, markersize=4, label=name)
        label = network.replace("/", " ")
        handles[network] = Line2D([], [], color=GREY, ls=dash, label=readable(label))
    return sorted(handles.values(), key=lambda handle: handle.get_color() == GREY)


def _panels(figure: Figure, titles: Sequence[str]) -> list[Axes]:
    """Make small panels with the same axes."""
    across = min(PANELS_ACROSS, len(titles))
    grid = figure.subplots(
        math.ceil(len(titles) / across), across, sharex=True, sharey=True, squeeze=False
    )
    panels, unused = grid.flat[: len(titles)], grid.flat[len(titles) :]
    for axes in unused:
        axes.set_axis_off()
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, loc="left")
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.tick_params(labelbottom=True)
    return list(panels)
