"""Completed test images: pictures of the first ones, and a gallery of all that are kept.

The gallery has the truth once, and of every method the pixels of the holes alone, without loss; the
page's script puts them together.
"""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from benchmark.evaluation.results import Results
from benchmark.reporting.blocks import Picture, Pictures, Section, Text
from benchmark.reporting.dialect import plain
from benchmark.reporting.figures.pictures import (
    Images,
    chosen_rows,
    comparison,
    cut_holes,
    holes,
)
from benchmark.reporting.figures.pictures import Pictures as Completed
from benchmark.reporting.suite_report import Report, SuiteReport
from benchmark.stats.comparison import METRIC

ACROSS = 8
"""Cells in a row of a sheet."""
MOST_PX = 48 * 64 * 64
"""Of all images of a suite, which keeps the report small; of larger images there are fewer."""
FEWEST = 6
SHOWN = (METRIC, "ssim_h")
"""Scores beside a picture."""


def section(report: Report) -> Section | None:
    """Return the pictures of all suites that have some."""
    shown = [(suite, suite.pictures) for suite in report.local if suite.pictures is not None]
    if not shown:
        return None
    pictures = [picture for suite, completed in shown for picture in _pictures(suite, completed)]
    gallery = [suite_data(suite.results, completed) for suite, completed in shown]
    note = "The hole of the input is gray. Of a variant, the pictures are those of its first seed."
    blocks = [Text(note), Pictures(pictures, gallery)]
    return Section("Completed test images", blocks, "completed-test-images", "Pictures")


def _pictures(suite: SuiteReport, completed: Completed) -> list[Picture]:
    """Return a picture of whole images and one of their holes alone."""
    rows, title = chosen_rows(completed.labels), suite.title
    what = "The first test image of each of the first" if any(completed.labels) else "The first"
    thing = "classes" if any(completed.labels) else "test images"
    caption = f"{plain(title)}: {what.lower()} {len(rows)} {thing}, not selected by result."
    path = f"figures/{suite.file}_{{}}.png".format
    whole, zoomed = comparison(completed, rows), holes(completed, rows)
    return [
        Picture(path("comparison"), f"{title}: completed images", caption, whole),
        Picture(path("zoomed"), f"{title}: holes", f"{plain(title)}: the holes alone.", zoomed),
    ]


def suite_data(results: Results, completed: Completed) -> dict[str, Any]:
    """Return what the page's script needs of a suite, as plain values."""
    side = results.suite.image_size
    count = min(len(completed.truth), max(FEWEST, MOST_PX // side**2))
    boxes = completed.boxes[:count]
    cell = int((boxes[:, 2:] - boxes[:, :2]).max())
    methods = [
        {
            "name": name,
            "kind": kind,
            "sheet": _png(sheet(cut_holes(images[:count], boxes), cell)),
            "scores": _scores(results, name, count),
        }
        for kind, group in (("variant", completed.variants), ("baseline", completed.baselines))
        for name, images in group.items()
    ]
    return {
        "name": results.suite.name,
        "title": results.suite.title,
        "side": side,
        "cell": cell,
        "across": ACROSS,
        "truth": _png(sheet(list(completed.truth[:count]), side)),
        "boxes": boxes.tolist(),
        "labels": list(completed.labels[:count]),
        "methods": methods,
    }


def sheet(images: Sequence[Images], cell: int) -> NDArray[np.uint8]:
    """Return images `[h, w, 3]` in the square cells of one picture, from the left and the top."""
    rows = -(-len(images) // ACROSS)
    canvas = np.zeros((rows * cell, min(len(images), ACROSS) * cell, 3), np.uint8)
    for i, image in enumerate(images):
        top, left = i // ACROSS * cell, i % ACROSS * cell
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas


def _png(pixels: NDArray[np.uint8]) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _scores(results: Results, method: str, count: int) -> dict[str, list[float | None]]:
    """Return a method's scores of the first hole of the first images, of its first seed."""
    frame = results.frame[results.frame["method"] == method]
    if method in results.variants:
        frame = frame[frame["seed"] == results.seeds_of(method)[0]]
    rows = frame.drop_duplicates("image").head(count)
    return {name: _plain(rows[name]) for name in SHOWN if name in rows}


def _plain(values: pd.Series) -> list[float | None]:
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in values.astype(float)]
