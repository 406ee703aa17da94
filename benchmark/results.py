"""What the report reads of a suite: exactly its variants, seeds and baselines, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark import paths
from benchmark.config import Params, Suite, load_suite
from benchmark.files import read_json
from benchmark.ledger import Aggregate, Summary, aggregate, read_ledger
from benchmark.verdict import METRIC, ORACLE, TELEA
from data.errors import InputError
from data.store import Store

Images = NDArray[np.uint8]
SKILL = "skill"
"""1 - mse_h / mse_h(telea): 1 is perfect, 0 is Telea, negative loses to it."""


@dataclass(frozen=True)
class Results:
    """All results of a suite."""

    suite: Suite
    variants: tuple[str, ...]
    baselines: tuple[str, ...]
    """Without the oracle."""
    seeds: tuple[int, ...]
    frame: pd.DataFrame
    """Ledger of all methods."""
    missing: Mapping[str, str]
    """Why a metric has no values."""
    refused: Mapping[str, str]
    """Why a baseline was not run."""
    curves: Mapping[tuple[str, int], pd.DataFrame]
    """One row per epoch, by variant and seed."""
    epochs: Mapping[tuple[str, int], int]
    """The epoch whose checkpoint was scored, by variant and seed."""
    pictures: Mapping[str, Images]
    """The first test images as each method completed them, `[E, H, W, 3]`; of the first seed."""
    truth: Images
    """The same images, `[E, H, W, 3]`."""
    boxes: NDArray[np.int32]
    """Their first holes, `[E, 4]` in pixels."""
    labels: list[str]
    """Their classes, empty where there are none."""

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """All methods in the order of tables: variants, baselines, the oracle."""
        present = set(self.frame["method"])
        return self.variants + self.baselines + tuple({ORACLE} & present)

    @property
    def image_px(self) -> int:
        """Pixels of an image."""
        return self.suite.image_size**2

    @cached_property
    def aggregate(self) -> Aggregate:
        """Every method's metrics over all seeds, skill included."""
        return with_skill(aggregate(self.frame, self.image_px, self.missing))

    @cached_property
    def by_seed(self) -> Mapping[int, Aggregate]:
        """Every variant's metrics for each seed alone."""
        trained = self.frame[self.frame["method"].isin([*self.variants, TELEA])]
        parts: dict[int, Aggregate] = {}
        for seed in self.seeds:
            # A baseline has one seed, and is the same reference for all.
            rows = trained[(trained["seed"] == seed) | (trained["method"] == TELEA)]
            parts[seed] = with_skill(aggregate(rows, self.image_px, self.missing))
        return parts

    @property
    def num_images(self) -> int:
        """Test images."""
        return int(self.frame["image"].nunique())


def read_results(params: Params, suite_name: str) -> Results:
    """Read the results of a suite for the variants and seeds of the parameters.

    Raises:
        InputError: a file is missing, is damaged, or does not fit the others.
    """
    suite = load_suite(suite_name)
    evaluate_baselines = f"python -m benchmark baselines --suite {suite_name}"
    frame = _ledger(paths.baseline_scores(suite_name), evaluate_baselines)
    content = read_json(paths.baseline_metrics(suite_name), evaluate_baselines)
    missing, refused = dict(content.get("missing", {})), dict(content.get("refused", {}))
    present = tuple(dict.fromkeys(frame["method"]))
    baselines = tuple(str(name) for name in present if name != ORACLE)
    pictures, curves, epochs, ledgers = {}, {}, {}, []
    for variant in params.variants:
        for seed in params.seeds:
            run = paths.Run(suite_name, variant, seed)
            options = f"--suite {suite_name} --variant {variant} --seed {seed}"
            evaluate, train = (f"python -m benchmark {s} {options}" for s in ("evaluate", "train"))
            ledgers.append(_ledger(run.scores, evaluate))
            _check_owner(ledgers[-1], run)
            scored = read_json(run.metrics, evaluate)
            missing.update(scored.get("missing", {}))
            epochs[variant, seed] = int(scored.get("epoch", 0))
            curves[variant, seed] = _curves(run.curves, train)
            if seed == params.seeds[0]:
                pictures[variant] = _pictures(run.completed, evaluate)
    folder = paths.baseline_completed(suite_name)
    for name in baselines:
        pictures[name] = _pictures(folder / f"{name}.npy", evaluate_baselines)
    if clash := set(params.variants) & set(present):
        raise InputError(f"suite {suite_name}: {min(clash)} is both a variant and a baseline")
    frame = pd.concat([*ledgers, frame], ignore_index=True)
    _check_images(frame, suite_name)
    _check_canaries(frame, baselines, suite)
    count = min(len(array) for array in pictures.values())
    truth, boxes, labels = _examples(frame, suite_name, count)
    return Results(
        suite=suite,
        variants=params.variants,
        baselines=baselines,
        seeds=params.seeds,
        frame=frame,
        missing=missing,
        refused=refused,
        curves=curves,
        epochs=epochs,
        pictures={name: array[:count] for name, array in pictures.items()},
        truth=truth,
        boxes=boxes,
        labels=labels,
    )


def mean_of(entry: Summary | None) -> float | None:
    """Return the mean of an entry of an aggregate; None where there is none."""
    mean = entry["mean"] if entry else None
    return None if mean is None else float(mean)


def with_skill(scores: Aggregate) -> Aggregate:
    """Add the skill to every method's metrics."""
    reference = mean_of(scores.get(TELEA, {}).get(METRIC))
    for metrics in scores.values():
        ours = mean_of(metrics.get(METRIC))
        entry: Summary = {"mean": None, "sd": None, "n": 0, "infinite": 0}
        if reference and ours is not None:
            entry |= {"mean": 1 - ours / reference, "n": metrics[METRIC]["n"]}
        else:
            entry["missing"] = f"needs the {METRIC} of the baseline {TELEA}"
        metrics[SKILL] = entry
    return scores


def _require(path: Path, made_by: str) -> None:
    if not path.is_file():
        raise InputError(f"{path}: missing; `{made_by}` makes it")


def _ledger(path: Path, made_by: str) -> pd.DataFrame:
    _require(path, made_by)
    return read_ledger(path)


def _check_owner(frame: pd.DataFrame, run: paths.Run) -> None:
    owners = set(frame[["method", "seed"]].itertuples(index=False, name=None))
    if owners != {(run.variant, run.seed)}:
        raise InputError(f"{run.scores}: has rows of {sorted(owners)}, not of {run} alone")


def _curves(path: Path, made_by: str) -> pd.DataFrame:
    _require(path, made_by)
    try:
        curves = pd.read_csv(path)
        if curves.empty or not pd.api.types.is_numeric_dtype(curves["epoch"]):
            raise ValueError("no epoch")
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: not a table of epochs ({error}); run `{made_by}`") from None
    return curves


def _pictures(path: Path, made_by: str) -> Images:
    _require(path, made_by)
    try:
        array: Images = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: damaged ({error}); run `{made_by}`") from None
    if array.dtype != np.uint8 or array.ndim != 4 or not len(array):
        raise InputError(f"{path}: has {array.dtype} {array.shape}, not uint8 [E, H, W, 3]")
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
            f"suite {suite_name}: the ledgers score image {min(strangers)}, which is not in "
            f"{store.folder}; evaluate again"
        )
    scored = frame.drop_duplicates("image")[["image", "label"]].head(count)
    rows = [first[image] for image in scored["image"]]
    return store.images("test")[rows], store.boxes("test")[rows, 0], scored["label"].tolist()


def _check_canaries(frame: pd.DataFrame, baselines: tuple[str, ...], suite: Suite) -> None:
    """Refuse scores that cannot be right, whatever the methods are."""
    oracle = frame[frame["method"] == ORACLE]
    if (oracle[METRIC] != 0).any() or not (oracle["ssim_h"] == 1).all():
        raise InputError(f"suite {suite.name}: the {ORACLE} is not perfect; the scores are wrong")
    touched = frame[frame["method"].isin([*baselines, ORACLE]) & (frame["known_mae_raw"] != 0)]
    if len(touched):
        name = touched["method"].iloc[0]
        raise InputError(f"suite {suite.name}: {name} changed known pixels; its scores are wrong")
    # mse_w is mse_h times the share of the hole, as the completed image is exact elsewhere.
    share = 10 * np.log10(frame["hole_px"] / suite.image_size**2)
    difference = frame["psnr_w"] - frame["psnr_h"] + share
    # 1e-4 dB: a ledger keeps 7 significant digits of values below 100.
    if (difference[np.isfinite(difference)].abs() > 1e-4).any():
        raise InputError(f"suite {suite.name}: psnr_w and psnr_h of a ledger contradict each other")


def _check_images(frame: pd.DataFrame, suite_name: str) -> None:
    """Refuse ledgers that were made from different test images or holes."""
    keys = ["image", "mask"]
    expected: set[tuple[str, str]] | None = None
    for (method, seed), rows in frame.groupby(["method", "seed"], sort=False):
        found = set(rows[keys].itertuples(index=False, name=None))
        expected = expected or found
        if found != expected:
            raise InputError(
                f"suite {suite_name}: {method} with seed {seed} was scored on other images or "
                "holes than the rest; evaluate all again"
            )
