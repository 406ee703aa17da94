"""Probes and what discriminators predict of them in, a picture of both out."""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from PIL import Image

from benchmark.evaluation.diagnostics.predictions import Predictions
from benchmark.reporting.figures.pictures import (
    FONT_PX,
    GAP_PX,
    LINE_PX,
    MARGIN_PX,
    GridPlan,
    Images,
    enlarged,
    plan_grid,
    readable,
)
from benchmark.reporting.figures.style import PALETTE

Answers = Mapping[str, Mapping[str, Predictions]]
"""Predictions by discriminator and probe."""

DASHES = ("-", "--", ":", "-.")
Outline = dict[str, Any]
"""Color, dash and width of an outline, as Matplotlib takes them."""
LINE_WIDTH_PX = 2.0
TRUE_STYLE: Outline = {"color": PALETTE[0], "linestyle": "-", "linewidth": LINE_WIDTH_PX}
CAPTION_GAP_PX = 6
MOST_COLUMNS = 10
"""More probes continue below, in a further block of rows."""


def probe_picture(
    probes: Mapping[str, Images],
    boxes: NDArray[np.int32],
    said: Answers,
    row_names: Sequence[str],
) -> Image.Image:
    """Draw probes with the true and the predicted squares, and the predictions below.

    Args:
        probes: columns: `[E, S, S, 3]` by name.
        boxes: `[E, 4]` true squares in pixels.
        said: predictions of these probes; may be empty.
        row_names: one for each of the E images.

    Returns:
        A picture in which each pixel of a probe is a whole number of pixels.
    """
    tiles = {name: [enlarged(image) for image in images] for name, images in probes.items()}
    side = next(iter(tiles.values()))[0].shape[0]
    plans = _plans(tiles, side, row_names, len(said))
    notes, styles = _notes(said), _styles(said)
    width = max(plan.size[0] for plan in plans.values())
    below = max(plan.size[1] for plan in plans.values())
    height = below + LINE_PX * (len(notes) + 1)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"font.size": FONT_PX - 2})
        # With 72 dots an inch, a point is a pixel.
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(_pasted(tiles, plans, width, height), interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        for columns, plan in plans.items():
            _label(axes, plan, columns, row_names, side)
            for x, name in zip(plan.lefts, columns, strict=True):
                for row, y in enumerate(plan.tops):
                    for line, (judge, judged) in enumerate(said.items()):
                        _draw_answer(axes, (x, y), side, judged[name], row, line, styles.get(judge))
                    true = boxes[row] / probes[name].shape[1]
                    _outline(axes, (x, y), side, true, TRUE_STYLE, outside=True)
        left = next(iter(plans.values())).lefts[0]
        _explain(axes, styles, notes, left, below)
        stream = io.BytesIO()
        figure.savefig(stream, format="rgba")
        return Image.frombytes("RGBA", (width, height), stream.getvalue()).convert("RGB")


def _plans(
    tiles: Mapping[str, Sequence[Images]], side: int, row_names: Sequence[str], num_lines: int
) -> dict[tuple[str, ...], GridPlan]:
    """Place blocks of columns one below the other, by the names of the columns."""
    plans: dict[tuple[str, ...], GridPlan] = {}
    top = MARGIN_PX + LINE_PX
    for first in range(0, len(tiles), MOST_COLUMNS):
        columns = tuple(tiles)[first : first + MOST_COLUMNS]
        plans[columns] = plan_grid(
            [len(columns)],
            len(row_names),
            # The gap leaves room for outlines, which lie outside the squares.
            (side, side + CAPTION_GAP_PX + LINE_PX * num_lines),
            left=MARGIN_PX + 8 * max(len(name) for name in row_names) + GAP_PX,
            top=top,
        )
        top = plans[columns].size[1] + LINE_PX
    return plans


def _pasted(
    tiles: Mapping[str, Sequence[Images]],
    plans: Mapping[tuple[str, ...], GridPlan],
    width: int,
    height: int,
) -> Images:
    """Put the tiles on white."""
    sheet = np.full((height, width, 3), 255, np.uint8)
    for columns, plan in plans.items():
        for x, name in zip(plan.lefts, columns, strict=True):
            for y, tile in zip(plan.tops, tiles[name], strict=True):
                sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def _label(
    axes: Axes, plan: GridPlan, columns: Sequence[str], rows: Sequence[str], side: int
) -> None:
    for x, name in zip(plan.lefts, columns, strict=True):
        axes.text(x + side / 2, plan.tops[0] - GAP_PX / 2, readable(name), ha="center")
    for y, name in zip(plan.tops, rows, strict=True):
        axes.text(plan.lefts[0] - GAP_PX, y + side / 2, readable(name), ha="right", va="center")


def _draw_answer(
    axes: Axes,
    corner: tuple[int, int],
    side: int,
    judged: Predictions,
    row: int,
    line: int,
    style: Outline | None,
) -> None:
    """Write what a discriminator says of one probe below it, and outline the predicted square."""
    if judged.box is None or judged.iou is None or style is None:
        text = f"{1 - judged.altered[row]:.2f}"
    else:
        text = f"{judged.altered[row]:.2f}, {judged.iou[row]:.2f}"
        _outline(axes, corner, side, judged.box[row], style)
    below = corner[1] + side + CAPTION_GAP_PX + LINE_PX * line
    axes.text(corner[0] + side / 2, below, text, ha="center", va="top")


def _outline(
    axes: Axes,
    corner: tuple[int, int],
    side: int,
    box: NDArray[np.float64],
    style: Outline,
    outside: bool = False,
) -> None:
    """Outline a box given in [0, 1], on request outside of it, so that its border can be seen."""
    x0, y0, x1, y1 = box * side
    if x1 <= x0 or y1 <= y0:  # an empty box
        return
    reach = LINE_WIDTH_PX if outside else 0
    # Pixel 0 reaches from -.5 to .5.
    place = corner[0] + x0 - 0.5 - reach, corner[1] + y0 - 0.5 - reach
    border = [withStroke(linewidth=LINE_WIDTH_PX + 1, foreground="white")]
    size = x1 - x0 + 2 * reach, y1 - y0 + 2 * reach
    axes.add_patch(Rectangle(place, *size, fill=False, path_effects=border, **style))


def _localizes(by_probe: Mapping[str, Predictions]) -> bool:
    return all(judged.box is not None for judged in by_probe.values())


def _styles(said: Answers) -> dict[str, Outline]:
    """Return how each localizer's boxes are outlined, never as the true ones are."""
    names = [name for name, by_probe in said.items() if _localizes(by_probe)]
    colors, dashes = cycle(PALETTE[1:]), cycle(DASHES[1:])
    return {
        name: {**TRUE_STYLE, "color": color, "linestyle": dash}
        for name, color, dash in zip(names, colors, dashes, strict=False)
    }


def _notes(said: Answers) -> list[str]:
    """Say what is written below the probes, a line for each discriminator."""
    notes = []
    for name, by_probe in said.items():
        localizes = _localizes(by_probe)
        what = "confidence, IoU with the true square" if localizes else "score (1 is real)"
        notes.append(f"{readable(name)}: {what}")
    if len(notes) == 1:
        return [f"below a picture: {notes[0]}"]
    return [f"line {i} below a picture: {note}" for i, note in enumerate(notes, start=1)]


def _explain(
    axes: Axes, styles: Mapping[str, Outline], notes: Sequence[str], left: int, top: int
) -> None:
    """Write the legend below the probes."""
    lines = {"true square": TRUE_STYLE}
    lines |= {f"predicted by {readable(name)}": style for name, style in styles.items()}
    handles = [Line2D([], [], label=label, **style) for label, style in lines.items()]
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(left, top),
        bbox_transform=axes.transData,
        ncols=len(handles),
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=3,
    )
    for number, note in enumerate(notes, start=1):
        axes.text(left, top + LINE_PX * number, note, va="top")
