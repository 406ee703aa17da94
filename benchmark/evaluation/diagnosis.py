"""From predictions of probes to what a discriminator goes by: means, detection, seam reliance.

All intervals are percentile intervals of a bootstrap over test images. One set of resamples serves
all numbers of a run, so that a difference or a detection rate compares the same images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from benchmark.core import paths
from benchmark.core.config import Name
from benchmark.core.files import read_json
from benchmark.core.yaml_files import validate
from benchmark.evaluation.predictions import Predictions
from benchmark.evaluation.probes import PROBES, REAL, SEAM_FREE, SEAM_ONLY
from benchmark.stats.bootstrap import counts_of
from data.draws import integers_below, random_bits
from data.errors import InputError
from models.networks import Localization, discriminator_class
from models.variant import DiscriminatorSpec

Values = NDArray[np.float64]
GoesBy = Literal["boundary", "content", "inconclusive"]

REPLICATES = 2000
SEED = 0
CONFIDENCE = 0.95


class Estimate(TypedDict):
    """A value and the ends of its interval, None where there is none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Resamples:
    """Bootstrap resamples of a number of images."""

    count: int
    replicates: int = REPLICATES

    @cached_property
    def weights(self) -> NDArray[np.int64]:
        """How often each image was drawn, `[replicates, count]`."""
        drawn = self.replicates * self.count
        bits = random_bits(["diagnosis bootstrap", SEED], -(-drawn // 4)).ravel()[:drawn]
        return counts_of(integers_below(bits, self.count).reshape(self.replicates, self.count))

    def estimate(self, value: float, replicates: Values) -> Estimate:
        """Return a value with the percentiles of its replicates, rounded to 7 significant digits.

        A single image says nothing of how much images differ.
        """
        if self.count < 2:
            return {"value": _rounded(value), "low": None, "high": None}
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(replicates, [tail, 1 - tail])
        return {"value": _rounded(value), "low": _rounded(low), "high": _rounded(high)}

    def mean(self, values: Values) -> Estimate:
        """Return the mean of one value an image, `[count]`."""
        return self.estimate(float(values.mean()), self.weights @ values / self.count)

    def detection_auc(self, on_real: Values, on_probe: Values) -> Estimate:
        """Return how well probes are told from real images.

        That is the area under the ROC curve: the probability that a probe looks more altered than
        a real image, ties counted by half (Mann and Whitney 1947). A resample takes an image's two
        versions together.

        Args:
            on_real: `[count]`, how altered the real images look.
            on_probe: `[count]`, the same of the probes of the same images.
        """
        order = np.argsort(on_real, kind="stable")
        below, not_above = (
            np.searchsorted(on_real[order], on_probe, side=side) for side in ("left", "right")
        )
        replicates = _auc(self.weights[:, order], self.weights, below, not_above)
        once = np.ones((1, self.count), np.int64)
        return self.estimate(float(_auc(once, once, below, not_above)[0]), replicates)


def _auc(
    real_weights: NDArray[np.int64],
    probe_weights: NDArray[np.int64],
    below: NDArray[np.intp],
    not_above: NDArray[np.intp],
) -> Values:
    """Return the area for each row of weights `[R, N]`, counted in integers.

    Real images are in the order of how altered they look. So many look less altered than each
    probe, `below` `[N]`, and so many less or equally altered, `not_above` `[N]`.
    """
    first = np.zeros((len(real_weights), 1), np.int64)
    counted = np.concatenate([first, real_weights.cumsum(axis=1)], axis=1)
    doubled = ((counted[:, below] + counted[:, not_above]) * probe_weights).sum(axis=1)
    return np.asarray(doubled / 2 / probe_weights.sum(axis=1) ** 2)


def diagnosis(
    spec: DiscriminatorSpec, predictions: Mapping[str, Predictions] | None, resamples: Resamples
) -> dict[str, Any]:
    """Return the numbers of one discriminator, as plain values.

    Args:
        spec: the discriminator.
        predictions: of each probe; None where it was not asked, as it was not trained.
        resamples: of the images.

    Returns:
        For each probe the mean `confidence` and `iou` of a localizer, the mean `score` of another,
        and the `auc` of telling it from `real`; and `seam_reliance`.
    """
    localizes = discriminator_class(spec.network).predicts is Localization
    entry: dict[str, Any] = {
        "predicts": "localization" if localizes else "score",
        "input": spec.input,
        "trained": predictions is not None,
    }
    if predictions is None:
        return entry
    entry["probes"] = {name: _measures(found, resamples) for name, found in predictions.items()}
    for name in predictions.keys() - {REAL}:
        auc = resamples.detection_auc(predictions[REAL].altered, predictions[name].altered)
        entry["probes"][name]["auc"] = auc
    entry["seam_reliance"] = _seam_reliance(predictions, resamples)
    return entry


def _measures(found: Predictions, resamples: Resamples) -> dict[str, Estimate]:
    if found.iou is None:
        return {"score": resamples.mean(1 - found.altered)}
    return {"confidence": resamples.mean(found.altered), "iou": resamples.mean(found.iou)}


def _seam_reliance(predictions: Mapping[str, Predictions], resamples: Resamples) -> dict[str, Any]:
    """Compare how well a seam and generated content are found, each without the other.

    Returns:
        The difference, as an estimate; both sides of it, and how far they are above the unaltered
        images; and what follows.
    """
    real, seam, content = (predictions[name].found for name in (REAL, SEAM_ONLY, SEAM_FREE))
    difference = resamples.mean(seam - content)
    gains = {SEAM_ONLY: resamples.mean(seam - real), SEAM_FREE: resamples.mean(content - real)}
    return {
        **difference,
        "measure": "1 - score" if predictions[REAL].iou is None else "iou",
        SEAM_ONLY: resamples.mean(seam),
        SEAM_FREE: resamples.mean(content),
        "over_real": gains,
        "verdict": _goes_by(difference, gains),
    }


def _goes_by(difference: Estimate, gains: Mapping[str, Estimate]) -> GoesBy:
    """Say by what a discriminator goes.

    What it does not find at all it does not go by, whatever the difference: content that looks more
    real than real images makes no seam count.
    """
    if _is_positive(gains[SEAM_ONLY]) and _is_positive(difference):
        return "boundary"
    high = difference["high"]
    if _is_positive(gains[SEAM_FREE]) and high is not None and high < 0:
        return "content"
    return "inconclusive"


def _is_positive(estimate: Estimate) -> bool:
    return estimate["low"] is not None and estimate["low"] > 0


def _rounded(value: float) -> float:
    return float(f"{value:.7g}") + 0.0  # turns -0.0 into 0.0


Diagnosis = Mapping[str, Any]
"""What the evaluate stage wrote of a run's discriminators."""

MEASURES = {"localization": ("confidence", "iou", "auc"), "score": ("score", "auc")}
"""What is measured of every probe, by what a discriminator predicts."""


class _Checked(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)


class _Estimate(_Checked):
    value: float
    low: float | None
    high: float | None


class _Reliance(_Estimate):
    seam_only: _Estimate
    seam_free: _Estimate
    verdict: GoesBy


class _Numbers(_Checked):
    """What was found of a discriminator; one that was not trained was not asked."""

    predicts: Literal["localization", "score"]
    input: Literal["completed", "raw", "hole"]
    trained: bool
    probes: dict[str, dict[str, _Estimate]] = {}
    seam_reliance: _Reliance | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "_Numbers":
        if self.trained:
            asked = {
                (probe, measure)
                for probe in PROBES
                for measure in MEASURES[self.predicts]
                if (probe, measure) != (REAL, "auc")
            }
            given = {(probe, name) for probe, found in self.probes.items() for name in found}
            if lacking := sorted(asked - given):
                raise ValueError(f"probes lack {'.'.join(lacking[0])}")
            if self.seam_reliance is None:
                raise ValueError("seam_reliance is missing")
        return self


class _DiagnosisFile(_Checked):
    suite: str
    variant: str
    seed: int
    epoch: int = Field(ge=1)
    images: int = Field(ge=1)
    discriminators: dict[Name, _Numbers]


def read_diagnosis(path: Path, run: paths.Run) -> Diagnosis:
    """Read what the evaluate stage wrote of a run's discriminators.

    Raises:
        InputError: the file is damaged, or that of another run.
    """
    content: Diagnosis = read_json(path, f"python -m benchmark evaluate {run.options}")
    found = validate(_DiagnosisFile, content, path)
    if paths.Run(found.suite, found.variant, found.seed) != run:
        raise InputError(f"{path}: is that of {found.suite}/{found.variant}/seed{found.seed}")
    return content
