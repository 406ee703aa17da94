"""Pictures of the report: arrays in, a picture out; only `save_image` writes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmark.core.files import atomic_path

Images = NDArray[np.uint8]
TILE_PX = 128
"""Side to which a smaller image is enlarged, by an integer factor."""
GAP_PX = 10
GROUP_GAP_PX = 14
MARGIN_PX = 16
FONT_PX = 15
LINE_PX = 19
NEUTRAL = (128, 128, 128)
"""Colour of the hole in a masked input: mid-grey, zero for the networks."""
INK = (34, 34, 34)


def masked_inputs(truth: Images, boxes: NDArray[np.int32]) -> Images:
    """Return images `[N, H, W, 3]` with their holes, boxes `[N, 4]`, in the neutral colour."""
    masked = truth.copy()
    for image, (x0, y0, x1, y1) in zip(masked, boxes, strict=True):
        image[y0:y1, x0:x1] = NEUTRAL
    return masked


def cut_holes(images: Images, boxes: NDArray[np.int32]) -> list[Images]:
    """Return the pixels inside each image's box, `[h, w, 3]` each."""
    return [
        image[y0:y1, x0:x1] for image, (x0, y0, x1, y1) in zip(images, boxes.tolist(), strict=True)
    ]


def chosen_rows(labels: Sequence[str], most: int = 8, most_classes: int = 10) -> list[int]:
    """Return which example images a figure shows.

    With classes, the first image of each of the first `most_classes` classes in their order;
    without, the first `most` images.
    """
    classes = sorted({label for label in labels if label})
    if classes:
        return [labels.index(label) for label in classes[:most_classes]]
    return list(range(min(most, len(labels))))


def enlarged(image: Images, side: int = TILE_PX) -> Images:
    """Enlarge an image `[h, w, 3]` by an integer, so that its longer side is about `side` px."""
    factor = max(1, round(side / max(image.shape[:2])))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


@dataclass(frozen=True)
class GridPlan:
    """Where the tiles of a grid lie, in pixels."""

    lefts: Sequence[int]
    """Left edge of each column."""
    tops: Sequence[int]
    """Upper edge of each row."""
    tile: tuple[int, int]
    """Width and height of the largest tile; smaller ones are centred."""
    size: tuple[int, int]
    """Width and height of the picture."""


def plan_grid(
    group_sizes: Sequence[int], num_rows: int, tile: tuple[int, int], left: int, top: int
) -> GridPlan:
    """Place the tiles of a grid; groups of columns stand further apart than columns."""
    lefts: list[int] = []
    x = left
    for count in group_sizes:
        lefts += [x + i * (tile[0] + GAP_PX) for i in range(count)]
        x += count * (tile[0] + GAP_PX) + GROUP_GAP_PX
    tops = [top + i * (tile[1] + GAP_PX) for i in range(num_rows)]
    size = (lefts[-1] + tile[0] + MARGIN_PX, tops[-1] + tile[1] + MARGIN_PX)
    return GridPlan(lefts, tops, tile, size)


def picture_grid(
    groups: Sequence[Mapping[str, Sequence[Images]]], row_names: Sequence[str]
) -> tuple[Image.Image, GridPlan]:
    """Draw images in a grid with a heading over each column and a name before each row.

    Args:
        groups: groups of columns; a column is a heading and one image `[h, w, 3]` uint8 per row.
        row_names: one for each row.

    Returns:
        The picture, and where its tiles lie.
    """
    columns = [
        (head, [enlarged(image) for image in column])
        for group in groups
        for head, column in group.items()
    ]
    tiles = [tile for _, column in columns for tile in column]
    width, height = max(t.shape[1] for t in tiles), max(t.shape[0] for t in tiles)
    font = _font()
    heads = [_wrapped(head, font, width) for head, _ in columns]
    names = [_wrapped(name, font, TILE_PX) for name in row_names]
    plan = plan_grid(
        [len(group) for group in groups],
        len(row_names),
        (width, height),
        left=MARGIN_PX + math.ceil(max(font.getlength(p) for n in names for p in n)) + GAP_PX,
        top=MARGIN_PX + LINE_PX * max(len(head) for head in heads) + GAP_PX // 2,
    )
    canvas = Image.new("RGB", plan.size, "white")
    draw = ImageDraw.Draw(canvas)
    for x, head, (_, column) in zip(plan.lefts, heads, columns, strict=True):
        lowest = plan.tops[0] - GAP_PX // 2 - LINE_PX * len(head)
        _write(draw, (x + width // 2, lowest), head, font, anchor="ma")
        for y, tile in zip(plan.tops, column, strict=True):
            inset = (width - tile.shape[1]) // 2, (height - tile.shape[0]) // 2
            canvas.paste(Image.fromarray(tile), (x + inset[0], y + inset[1]))
    for y, name in zip(plan.tops, names, strict=True):
        middle = y + (height - LINE_PX * len(name)) // 2
        _write(draw, (plan.lefts[0] - GAP_PX, middle), name, font, anchor="ra")
    return canvas, plan


def save_image(path: Path, image: Image.Image) -> None:
    """Write a PNG without metadata, atomically."""
    with atomic_path(path) as partial:
        image.save(partial, format="PNG", optimize=True)


def _font() -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans as it comes with Matplotlib, the same on every platform."""
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    # The basic layout engine is always there, Raqm is not.
    return ImageFont.truetype(str(path), FONT_PX, layout_engine=ImageFont.Layout.BASIC)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    lines: Sequence[str],
    font: ImageFont.FreeTypeFont,
    anchor: str,
) -> None:
    for i, line in enumerate(lines):
        draw.text((place[0], place[1] + i * LINE_PX), line, fill=INK, font=font, anchor=anchor)


def readable(name: str) -> str:
    """Return a name of a suite, variant or baseline as words."""
    return name.replace("_", " ")


def _wrapped(name: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break a name into lines that fit a width; a word that is too long is cut."""
    lines = [""]
    for word in readable(name).split():
        while font.getlength(word) > width:
            word = word[:-2] + "…"
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
