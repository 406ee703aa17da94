"""The gallery of completed test images: pictures and scores for the page's script to compose.

The truth is there once; of every method there are the pixels of the holes alone, without loss.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from benchmark.evaluation.results import Results
from benchmark.reporting.figures.pictures import Images, Pictures
from benchmark.reporting.html.markup import Markup, data_uri, element, join, json_block
from benchmark.stats.comparison import METRIC

ACROSS = 8
"""Cells in a row of a sheet."""
MOST_PX = 48 * 64 * 64
"""Of all images of a suite, which keeps the report small; of larger images there are fewer."""
FEWEST = 6
SHOWN = (METRIC, "ssim_h")
"""Scores beside a picture."""
ORDERS = {
    "first": "first images, not selected",
    "random": "random images",
    "best": "best of the right method",
    "worst": "worst of the right method",
    "disagreement": "largest disagreement between variants",
}
COUNTS = (6, 12, 24, 48)


def gallery(shown: Mapping[str, tuple[Results, Pictures]]) -> Markup:
    """Return the gallery of some suites, by name: its controls, an empty grid and its data."""
    if not shown:
        return element("p", "No suite of this report has images that may be shown.")
    suites = [suite_data(results, pictures) for results, pictures in shown.values()]
    counts = [element("option", str(count), value=count) for count in COUNTS]
    orders = [element("option", words, value=key) for key, words in ORDERS.items()]
    controls = [
        _chooser("Suite", "suite"),
        _chooser("Left of the divider", "left"),
        _chooser("Right of the divider", "right"),
        _chooser("Images", "order", *orders),
        _chooser("Number", "count", *counts),
        _box("Outline the hole", "outline"),
        _box("Differences from the truth", "difference"),
        element("button", "Draw again", type="button", id="gallery-again"),
    ]
    unable = "The pictures are put together by a script, which does not run here."
    return join(
        element("p", unable, class_="without-script"),
        element("div", *controls, class_="controls"),
        element("p", id="gallery-status", class_="notes", role="status"),
        element("div", id="gallery-cards", class_="cards"),
        element("dialog", id="gallery-all", aria_label="All methods of an image"),
        json_block("gallery-data", suites),
    )


def _chooser(name: str, key: str, *options: Markup) -> Markup:
    return element("label", f"{name} ", element("select", *options, id=f"gallery-{key}"))


def _box(name: str, key: str) -> Markup:
    return element("label", element("input", type="checkbox", id=f"gallery-{key}"), f" {name}")


def suite_data(results: Results, pictures: Pictures) -> dict[str, Any]:
    """Return what the script needs of a suite, as plain values."""
    side = results.suite.image_size
    count = min(len(pictures.truth), max(FEWEST, MOST_PX // side**2))
    boxes = pictures.boxes[:count]
    sizes = boxes[:, 2:] - boxes[:, :2]
    cell = int(sizes.max())
    methods = []
    groups = {"variant": pictures.variants, "baseline": pictures.baselines}
    for kind, completed in groups.items():
        for name, images in completed.items():
            pairs = zip(images, boxes.tolist(), strict=False)
            holes = [image[y0:y1, x0:x1] for image, (x0, y0, x1, y1) in pairs]
            methods.append(
                {
                    "name": name,
                    "kind": kind,
                    "sheet": _png(sheet(holes, cell)),
                    "scores": _scores(results, name, count),
                }
            )
    return {
        "name": results.suite.name,
        "title": results.suite.title,
        "side": side,
        "cell": cell,
        "across": ACROSS,
        "truth": _png(sheet(list(pictures.truth[:count]), side)),
        "boxes": boxes.tolist(),
        "labels": list(pictures.labels[:count]),
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
    Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
    return data_uri("image/png", stream.getvalue())


def _scores(results: Results, method: str, count: int) -> dict[str, list[float | None]]:
    """Return a method's scores of the first hole of the first images, of its first seed."""
    frame = results.frame[results.frame["method"] == method]
    if method in results.variants:
        frame = frame[frame["seed"] == results.seeds_of(method)[0]]
    rows = frame.drop_duplicates("image").head(count)
    return {name: _plain(rows[name]) for name in SHOWN if name in rows}


def _plain(values: pd.Series) -> list[float | None]:
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in values.astype(float)]
