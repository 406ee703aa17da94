"""Numbers of a diagnosis against SciPy and cases worked by hand."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmark.core.paths import Run
from benchmark.evaluation.diagnostics.diagnosis import Resamples, diagnosis, read_diagnosis
from benchmark.evaluation.diagnostics.predictions import Predictions
from benchmark.evaluation.diagnostics.probes import PROBES
from data.errors import InputError
from tests.support import diagnoses
from tests.support.tiny import full_variant

LOCALIZER = full_variant("localizer").discriminators["localizer"]
BINARY = full_variant("binary").discriminators["binary"]
PULLS = np.array([0.25, -0.75])


def _auc(on_real: list[float], on_probe: list[float]) -> float:
    """Return the area under the curve by SciPy's rank test."""
    u = stats.mannwhitneyu(on_probe, on_real).statistic
    return float(u / len(on_real) / len(on_probe))


def _judged(altered: list[float], iou: list[float] | None = None) -> Predictions:
    box = None if iou is None else np.zeros((len(iou), 4))
    return Predictions(np.array(altered), box, None if iou is None else np.array(iou))


def test_resamples_draw_as_many_images_as_there_are_each_as_often() -> None:
    weights = Resamples(40).weights
    assert weights.shape == (2000, 40)
    assert (weights.sum(axis=1) == 40).all() and (weights >= 0).all()
    # 2000 draws of each: a standard error of 45 for the number of times that an image is drawn.
    assert np.abs(weights.sum(axis=0) - 2000).max() < 5 * 45
    np.testing.assert_array_equal(weights, Resamples(40).weights)


def test_interval_of_a_mean_is_that_of_normal_theory() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = Resamples(400).mean(values)
    reach = 1.96 * values.std() / math.sqrt(400)
    assert found["value"] == pytest.approx(values.mean(), rel=1e-6)  # 7 digits are kept
    assert found["low"] is not None and found["high"] is not None
    # The 2.5th percentile of 2000 replicates has a standard error of 3 % of its distance.
    assert found["value"] - found["low"] == pytest.approx(reach, rel=0.12)
    assert found["high"] - found["value"] == pytest.approx(reach, rel=0.12)


def test_auc_by_hand() -> None:
    found = Resamples(2).detection_auc(np.array([0.2, 0.6]), np.array([0.4, 0.6]))
    # Of four pairs .4 > .2 and .6 > .2 are right, .4 < .6 is wrong, .6 = .6 counts half.
    assert found["value"] == 0.625


@pytest.mark.parametrize("levels", [5, 10**9], ids=["ties", "no ties"])
def test_auc_and_its_resamples_are_those_of_scipy(levels: int) -> None:
    rng = np.random.default_rng(levels)
    real, probe = rng.integers(0, levels, 25) / levels, rng.integers(1, levels + 1, 25) / levels
    resamples = Resamples(25, replicates=40)
    found = resamples.detection_auc(real, probe)
    assert found["value"] == pytest.approx(_auc(list(real), list(probe)), rel=1e-6)
    replicates = [
        _auc(list(real.repeat(weights)), list(probe.repeat(weights)))
        for weights in resamples.weights
    ]
    expected = np.quantile(replicates, [0.025, 0.975])
    assert [found["low"], found["high"]] == pytest.approx(expected.tolist(), rel=1e-6)


def test_one_image_has_no_interval() -> None:
    found = Resamples(1).mean(np.array([0.25]))
    assert found == {"value": 0.25, "low": None, "high": None}


def test_one_group_has_no_interval_however_many_images_it_has() -> None:
    said = {name: _judged([0.5, 0.75, 0.5], [0.0, 0.5, 1.0]) for name in PROBES}
    one = Resamples(3, groups=np.zeros(3, np.int64))
    found = diagnosis(LOCALIZER, said, np.array([0.25, -0.75, 0.5]), one)
    measured = [*found["probes"]["completed"].values(), *found["probes"]["real"].values()]
    measured += [found["effects"]["seam"], found["gradient_error_correlation"]]
    assert all(each["low"] is None is each["high"] for each in measured)
    assert found["probes"]["real"]["iou"]["value"] == 0.5


def test_a_discriminator_that_was_not_asked_is_untrained() -> None:
    found = diagnosis(LOCALIZER, None, None, Resamples(3))
    assert found == {"predicts": "localization", "input": "completed", "trained": False}


def test_numbers_of_a_localizer_by_hand() -> None:
    said = {name: _judged([0.5, 0.5], [0.0, 0.5]) for name in PROBES}
    said["completed"] = _judged([0.9, 0.7], [1.0, 0.5])
    found = diagnosis(LOCALIZER, said, PULLS, Resamples(2))
    completed = found["probes"]["completed"]
    assert completed["confidence"]["value"] == 0.8 and completed["iou"]["value"] == 0.75
    assert completed["auc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found["probes"]["raw"]["auc"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert "auc" not in found["probes"]["real"]
    # Both add 0 without and 1 with the other to the first image, and nothing to the second.
    effects = found["effects"]
    assert effects["seam"]["value"] == effects["content"]["value"] == 0.25
    assert (effects["measure"], effects["verdict"]) == ("iou", "inconclusive")
    assert effects["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert found["per_image"]["completed"] == [1.0, 0.5]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_score_is_the_opposite_of_altered() -> None:
    said = {name: _judged([0.25, 0.5]) for name in PROBES}
    found = diagnosis(BINARY, said, PULLS, Resamples(2))
    assert (found["predicts"], found["input"]) == ("score", "hole")
    assert found["probes"]["real"].keys() == {"score"}
    assert found["probes"]["raw"]["score"]["value"] == 0.625
    # Odds of 1 to 3 and of 1 to 1 that something is altered.
    assert found["per_image"]["real"] == [float(f"{-math.log(3):.5g}"), 0.0]


def test_the_mean_correlation_has_the_interval_of_a_t_test() -> None:
    said = {name: _judged([0.25] * 4) for name in PROBES}
    pulls = np.array([0.25, -0.75, np.nan, 0.5])
    found = diagnosis(BINARY, said, pulls, Resamples(4))
    expected = stats.ttest_1samp(pulls[[0, 1, 3]], 0).confidence_interval(0.95)
    mean = found["gradient_error_correlation"]
    # 7 digits are kept.
    assert (mean["low"], mean["high"]) == pytest.approx(expected, rel=1e-6)
    assert (mean["value"], mean["images"]) == (0.0, 3)
    assert found["per_image"]["gradient_error_correlation"] == [0.25, -0.75, None, 0.5]
    without = diagnosis(BINARY, said, np.full(4, np.nan), Resamples(4))
    assert "gradient_error_correlation" not in without


# Files


def _read(folder: Path, **discriminators: dict[str, Any]) -> Any:
    path = folder / "predictions.json"
    path.write_text(json.dumps(diagnoses.diagnosis("gan", 0, "photos", **discriminators)))
    return read_diagnosis(path, Run("photos", "gan", 0))


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    a, b, c = diagnoses.localizer(), diagnoses.binary(), diagnoses.binary(trained=False)
    assert _read(tmp_path, a=a, b=b, c=c)["discriminators"] == {"a": a, "b": b, "c": c}


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    numbers = diagnoses.earlier()
    assert _read(tmp_path, judge=numbers)["discriminators"] == {"judge": numbers}


@pytest.mark.parametrize(
    "generator",
    [
        {"context": {"filling": [0.1] * 3, "truth": [0.1] * 4}},
        {"context": {"filling": [0.1] * 4, "truth": [0.1] * 4}, "gains": {"block": 0.5}},
    ],
)
def test_what_was_taken_from_a_generator_is_of_all_images(
    generator: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "predictions.json"
    whole = diagnoses.diagnosis("gan", 0, "photos")
    path.write_text(json.dumps(whole | {"generator": generator}))
    with pytest.raises(InputError, match="generator has not 4 images"):
        read_diagnosis(path, Run("photos", "gan", 0))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"effects": None}, "effects is missing"),
        ({"probes": {}}, "probes lack"),
        ({"per_image": {}}, "per_image lacks completed"),
        ({"input": "hole"}, "effects does not fit the input"),
    ],
)
def test_a_damaged_file_is_refused(damage: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        _read(tmp_path, judge=diagnoses.localizer() | damage)


@pytest.mark.parametrize(
    ("values", "message"), [([0.5] * 3, "has not 4 images"), ([0.5, None, 0.5, 0.5], "no value")]
)
def test_every_image_has_a_value(values: list[Any], message: str, tmp_path: Path) -> None:
    numbers = diagnoses.localizer()
    numbers["per_image"]["seam_free"] = values
    with pytest.raises(InputError, match=message):
        _read(tmp_path, judge=numbers)
