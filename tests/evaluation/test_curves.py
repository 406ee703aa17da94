"""What is read off curves, on curves whose slopes, regrets and places are worked by hand."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from benchmark.evaluation.curves import (
    AtBudget,
    Checkpoint,
    at_equal_budget,
    checkpoint_regret,
    end_trend,
)
from benchmark.training.checkpoints import read_manifest
from tests.support.tiny import train_tiny

METRIC = "validation/mse_h"
PSNR, LOSS = "validation/psnr_h", "generator/reconstruction"


def _curve(images: Sequence[int], values: Sequence[float]) -> pd.DataFrame:
    return pd.DataFrame({"images_seen": images, METRIC: values})


# Trends


@pytest.mark.parametrize(("power", "direction"), [(-0.5, "falling"), (0.25, "rising")])
def test_a_power_of_the_images_is_found_in_the_last_third(power: float, direction: str) -> None:
    images = [100 * epoch for epoch in range(1, 13)]
    rng = np.random.default_rng(0)
    values = [*rng.uniform(0.1, 1, 8), *(3 * count**power for count in images[8:])]
    trend = end_trend([_curve(images, values)], METRIC)
    assert trend is not None
    assert (trend.direction, trend.epochs) == (direction, 4)
    assert trend.per_doubling == pytest.approx(2**power - 1)
    assert trend.standard_error == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(("share", "direction"), [(0.99, "falling"), (1.01, "unclear")])
def test_a_slope_within_its_error_is_no_trend(share: float, direction: str) -> None:
    # Logarithms 0, d - s, -2s at 1, 2 and 4 images: slope -s, residuals d (-1, 2, -1) / 3, so that
    # the standard error is d / sqrt(3), and Student's t at 1 degree of freedom is tan(.475 pi).
    s, t = 0.1, math.tan(0.475 * math.pi)
    d = share * s * math.sqrt(3) / t
    curve = _curve([1, 2, 4], np.exp([0, d - s, -2 * s]).tolist())
    trend = end_trend([curve], METRIC)
    assert trend is not None and trend.direction == direction
    assert trend.per_doubling == pytest.approx(math.exp(-s) - 1)
    assert trend.standard_error == pytest.approx(math.exp(-s) * d / math.sqrt(3))


def test_a_trend_is_that_of_the_mean_over_seeds() -> None:
    # Each is far from a line; their geometric mean halves with every doubling.
    first, second = np.array([1, 5, 1 / 7]), np.array([1, 1 / 5 / 4, 7 / 16])
    curves = [_curve([1, 2, 4], values.tolist()) for values in (first, second)]
    trend = end_trend(curves, METRIC)
    assert trend is not None and trend.per_doubling == pytest.approx(-0.5)
    assert trend.direction == "falling"


@pytest.mark.parametrize(
    "curves",
    [
        [_curve([1, 2], [0.2, 0.1])],
        [_curve([1, 2, 3], [0.2, 0.1, 0])],
        [_curve([1, 2, 3], [0.2, 0.1, math.nan])],
        [_curve([1, 2, 3], [0.3, 0.2, 0.1]), _curve([2, 4, 6], [0.3, 0.2, 0.1])],
        [_curve([1, 2, 3], [0.3, 0.2, 0.1]).drop(columns="images_seen")],
        [_curve([1, 2, 3], [0.3, 0.2, 0.1]).drop(columns=METRIC)],
    ],
    ids=["two epochs", "zero", "nan", "seeds differ", "no images", "no metric"],
)
def test_there_is_no_trend_without_what_it_needs(curves: list[pd.DataFrame]) -> None:
    assert end_trend(curves, METRIC) is None


# Checkpoints


def test_what_a_choice_of_checkpoint_costs() -> None:
    curve = pd.DataFrame(
        {PSNR: [18.0, 21.0, 20.5, 21.0], LOSS: [0.3, 0.2, 0.1, 0.1],
         "validation/stlpips_alex": [0.4, 0.5, 0.2, 0.3]}
    )  # fmt: skip
    missing = curve.assign(**{PSNR: math.nan})
    found = checkpoint_regret({("a", 0): curve, ("b", 1): missing, ("c", 0): curve[[LOSS]]})
    assert [*found] == [("a", 0)]
    regret = found["a", 0]
    # Of two equal epochs the first one is kept.
    assert regret.best_validation == Checkpoint(2, 21.0)
    assert regret.best_train_loss == Checkpoint(3, 20.5)
    assert regret.last == Checkpoint(4, 21.0)
    assert (regret.of_last, regret.of_train_loss) == (0.0, 0.5)
    # Of a metric that is better when lower, the least is the best.
    lower = checkpoint_regret({("a", 0): curve}, "best_val_stlpips")["a", 0]
    assert lower.best_validation.epoch == lower.best_train_loss.epoch == 3
    assert lower.of_last == pytest.approx(0.1) and lower.of_train_loss == 0


@pytest.mark.usefixtures("tiny_checkout")
def test_epochs_are_those_of_the_checkpoints_that_a_training_keeps() -> None:
    run = train_tiny("binary", epochs=5)
    kept = read_manifest(run.checkpoints).checkpoints
    found = checkpoint_regret({("binary", 0): pd.read_csv(run.curves)})["binary", 0]
    assert found.last.epoch == kept["last"].epoch == 5
    assert found.best_validation.epoch == kept["best_val_psnr"].epoch
    assert found.best_train_loss.epoch == kept["best_train_loss"].epoch


# Equal budgets


def test_places_at_a_budget_are_those_of_the_last_epochs_within_it() -> None:
    spent = {
        ("cheap", 0): np.array([1.0, 2.0, 3.0]),
        ("cheap", 1): np.array([1.0, 2.0, 3.0]),
        ("dear", 0): np.array([2.0, 4.0, 6.0]),
        ("dearest", 0): np.array([3.5, 7.0]),
    }
    values = {
        ("cheap", 0): np.array([0.9, 0.8, 0.7]),
        ("cheap", 1): np.array([0.9, 0.8, 0.3]),
        ("dear", 0): np.array([0.6, 0.2, 0.1]),
        ("dearest", 0): np.array([0.5, 0.4]),
    }
    limit, found = at_equal_budget(spent, values)
    assert limit == 3
    assert found["cheap"].epochs == (3, 3) and found["cheap"].value == pytest.approx(0.5)
    assert found["dear"] == AtBudget((1,), 0.6)
    assert found["dearest"].epochs == (0,) and math.isnan(found["dearest"].value)
