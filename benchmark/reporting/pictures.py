"""The example pictures of a suite: read, and arranged for the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from benchmark.core import paths
from benchmark.core.files import require
from benchmark.evaluation.results import Results
from benchmark.reporting import figures
from data.errors import InputError, printable
from data.store import Store

Images = NDArray[np.uint8]


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
    suite, side, variants = results.suite.name, results.suite.image_size, {}
    for variant in results.variants:
        run = paths.Run(suite, variant, results.seeds_of(variant)[0])
        options = f"--suite {suite} --variant {variant} --seed {run.seed}"
        variants[variant] = _pictures(
            run.completed, side, f"python -m benchmark evaluate {options}"
        )
    folder, made_by = (
        paths.baseline_completed(suite),
        f"python -m benchmark baselines --suite {suite}",
    )
    baselines = {
        name: _pictures(folder / f"{name}.npy", side, made_by) for name in results.baselines
    }
    count = min(len(array) for array in (*variants.values(), *baselines.values()))
    truth, boxes, labels = _examples(results.frame, suite, count)
    return Pictures(
        variants={name: array[:count] for name, array in variants.items()},
        baselines={name: array[:count] for name, array in baselines.items()},
        truth=truth,
        boxes=boxes,
        labels=labels,
    )


def comparison(pictures: Pictures, rows: Sequence[int]) -> Image.Image:
    """Draw some images: the masked input, all completions and the truth."""
    boxes, truth = pictures.boxes[rows], pictures.truth[rows]
    groups = [{"masked input": figures.masked_inputs(truth, boxes)}, *_completed(pictures, rows)]
    whole = [{name: list(images) for name, images in group.items()} for group in groups]
    return figures.picture_grid(whole, _row_names(pictures, rows))[0]


def holes(pictures: Pictures, rows: Sequence[int]) -> Image.Image:
    """Draw the holes of some images: all completions and the truth."""
    boxes = pictures.boxes[rows]
    groups = [
        {name: figures.cut_holes(images, boxes) for name, images in group.items()}
        for group in _completed(pictures, rows)
    ]
    return figures.picture_grid(groups, _row_names(pictures, rows))[0]


def _completed(pictures: Pictures, rows: Sequence[int]) -> list[dict[str, Images]]:
    groups = (pictures.variants, pictures.baselines, {"truth": pictures.truth})
    return [{name: images[rows] for name, images in group.items()} for group in groups]


def _row_names(pictures: Pictures, rows: Sequence[int]) -> list[str]:
    return [pictures.labels[row] or f"#{row}" for row in rows]


def _pictures(path: Path, side: int, made_by: str) -> Images:
    require(path, made_by)
    try:
        array: Images = np.load(path, allow_pickle=False)
    # A header is Python text, and may be damaged in as many ways.
    except Exception as error:
        raise InputError(f"{path}: damaged ({printable(str(error))}); run `{made_by}`") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: not an array; run `{made_by}`")
    if array.dtype != np.uint8 or array.shape[1:] != (side, side, 3) or not len(array):
        raise InputError(
            f"{path}: has {array.dtype} {array.shape}, not uint8 [E, {side}, {side}, 3]; "
            f"run `{made_by}`"
        )
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
