"""Example images of a suite in, grids of them as PNG out; only `save_image` writes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmark.core import paths
from benchmark.core.files import atomic_path, require
from benchmark.evaluation.results import Results
from data.errors import InputError, printable
from data.store import Store

Images = NDArray[np.uint8]
TILE_PX = 128
"""Side to which a smaller image is enlarged, by an integer factor."""
GAP_PX = 10
GROUP_GAP_PX = 14
MARGIN_PX = 16
FONT_PX = 15
LINE_PX = 19
NEUTRAL = (128, 128, 128)
"""Color of the hole in a masked input: mid-gray, zero for the networks."""
INK = (34, 34, 34)


def masked_inputs(truth: Images, boxes: NDArray[np.int32]) -> Images:
    """Return images `[N, H, W, 3]` with their holes, boxes `[N, 4]`, in the neutral color."""
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
    """Width and height of the largest tile; smaller ones are centered."""
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
        image.save(partial, format="PNG")


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


@dataclass(frozen=True)
class Pictures:
    """The first test images of a suite as every method completed them."""

    variants: Mapping[str, Images]
    """`[E, H, W, 3]`, of each variant's first seed."""
    baselines: Mapping[str, Images]
    """`[E, H, W, 3]`."""
    truth: Images
    """`[E, H, W, 3]`."""
    boxes: NDArray[np.int32]
    """The first hole of each image, `[E, 4]` in pixels."""
    labels: list[str]
    """Their classes, empty where there are none."""


def read_pictures(results: Results) -> Pictures:
    """Read the pictures that belong to the results of this checkout.

    Raises:
        InputError: a file is missing, is damaged, or is not of the images that were scored.
    """
    suite, side, command = results.suite.name, results.suite.image_size, "python -m benchmark"
    variants, baselines = {}, {}
    for name in results.variants:
        run = paths.Run(suite, name, results.seeds_of(name)[0])
        options = f"--suite {suite} --variant {name} --seed {run.seed}"
        variants[name] = _read(run.completed, side, f"{command} evaluate {options}")
    for name in results.baselines:
        path = paths.baseline_completed(suite) / f"{name}.npy"
        baselines[name] = _read(path, side, f"{command} baselines --suite {suite}")
    count = min(len(array) for array in (*variants.values(), *baselines.values()))
    variants = {name: array[:count] for name, array in variants.items()}
    baselines = {name: array[:count] for name, array in baselines.items()}
    return Pictures(variants, baselines, *_examples(results.frame, suite, count))


def comparison(pictures: Pictures, rows: Sequence[int]) -> Image.Image:
    """Draw some images: the masked input, all completions and the truth."""
    boxes, truth = pictures.boxes[rows], pictures.truth[rows]
    groups = [{"masked input": masked_inputs(truth, boxes)}, *_completed(pictures, rows)]
    whole = [{name: list(images) for name, images in group.items()} for group in groups]
    return picture_grid(whole, _row_names(pictures, rows))[0]


def holes(pictures: Pictures, rows: Sequence[int]) -> Image.Image:
    """Draw the holes of some images: all completions and the truth."""
    boxes = pictures.boxes[rows]
    groups = [
        {name: cut_holes(images, boxes) for name, images in group.items()}
        for group in _completed(pictures, rows)
    ]
    return picture_grid(groups, _row_names(pictures, rows))[0]


def _completed(pictures: Pictures, rows: Sequence[int]) -> list[dict[str, Images]]:
    groups = (pictures.variants, pictures.baselines, {"truth": pictures.truth})
    return [{name: images[rows] for name, images in group.items()} for group in groups]


def _row_names(pictures: Pictures, rows: Sequence[int]) -> list[str]:
    return [pictures.labels[row] or f"#{row}" for row in rows]


def _read(path: Path, side: int, made_by: str) -> Images:
    require(path, made_by)
    try:
        array: Images = np.load(path, allow_pickle=False)
    # A header is Python text, and may be damaged in as many ways.
    except Exception as error:
        raise InputError(f"{path}: damaged ({printable(str(error))}); run `{made_by}`") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: not an array; run `{made_by}`")
    if array.dtype != np.uint8 or array.shape[1:] != (side, side, 3) or not len(array):
        found, wanted = f"{array.dtype} {array.shape}", f"uint8 [E, {side}, {side}, 3]"
        raise InputError(f"{path}: has {found}, not {wanted}; run `{made_by}`")
    return array


def _examples(
    frame: pd.DataFrame, suite_name: str, count: int
) -> tuple[Images, NDArray[np.int32], list[str]]:
    """Return the first scored test images, their first holes and their classes.

    They are found by hash: of exact duplicates only the first is scored.
    """
    store = Store(paths.prepared(suite_name))
    first: dict[str, int] = {}
    for row, record in enumerate(store.records("test")):
        first.setdefault(record.sha256[:16], row)
    if strangers := set(frame["image"]) - first.keys():
        raise InputError(
            f"suite {suite_name}: the score tables score image {min(strangers)}, which is not in "
            f"{store.folder}; evaluate again"
        )
    scored = frame.drop_duplicates("image")[["image", "label"]].head(count)
    rows = [first[image] for image in scored["image"]]
    return store.images("test")[rows], store.boxes("test")[rows, 0], scored["label"].tolist()
