"""From predictions of probes to what a discriminator goes by: effects, means, detection.

Intervals are over test images. Those of a probe's mean and detection are percentile intervals of a
bootstrap, of which one set of resamples serves all numbers of a run; those of effects and of the
correlation of gradient and error are of a t distribution, as in comparisons and claims.
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
from benchmark.evaluation.diagnostics.effects import CELLS, GoesBy, cell_values, effects_of
from benchmark.evaluation.diagnostics.predictions import Predictions
from benchmark.evaluation.diagnostics.probes import PROBES, REAL
from benchmark.stats.bootstrap import counts_of
from benchmark.stats.intervals import Interval, Sample, interval_of_mean, numbered
from data.draws import integers_below, random_bits
from data.errors import InputError
from models.networks import Localization, discriminator_class
from models.variant import DiscriminatorSpec

Values = NDArray[np.float64]

REPLICATES = 2000
SEED = 0
CONFIDENCE = 0.95
CORRELATION = "gradient_error_correlation"
CORRELATION_DIGITS = 4


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
    groups: NDArray[np.int64] | None = None
    """Number of each image's group, from 0; a group is drawn whole."""

    @property
    def units(self) -> int:
        """How many images, or groups of them, are drawn."""
        return self.count if self.groups is None else int(self.groups.max()) + 1

    @cached_property
    def weights(self) -> NDArray[np.int64]:
        """How often each image was drawn, `[replicates, count]`."""
        drawn = self.replicates * self.units
        bits = random_bits(["diagnosis bootstrap", SEED], -(-drawn // 4)).ravel()[:drawn]
        counts = counts_of(integers_below(bits, self.units).reshape(self.replicates, self.units))
        return counts if self.groups is None else counts[:, self.groups]

    def estimate(self, value: float, replicates: Values) -> Estimate:
        """Return a value with the percentiles of its replicates, rounded to 7 significant digits.

        A single image or group says nothing of how much images differ.
        """
        if self.units < 2:
            return {"value": _rounded(value), "low": None, "high": None}
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(replicates, [tail, 1 - tail])
        return {"value": _rounded(value), "low": _rounded(low), "high": _rounded(high)}

    def mean(self, values: Values) -> Estimate:
        """Return the mean of one value an image, `[count]`."""
        means = self.weights @ values / self.weights.sum(axis=1)
        return self.estimate(float(values.mean()), means)

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
    spec: DiscriminatorSpec,
    predictions: Mapping[str, Predictions] | None,
    correlations: Values | None,
    resamples: Resamples,
) -> dict[str, Any]:
    """Return the numbers of one discriminator, as plain values.

    Args:
        spec: the discriminator.
        predictions: of each probe; None where it was not asked, as it was not trained.
        correlations: of its gradient with the error, `[images]`, NaN where there is none; None
            where it was not asked.
        resamples: of the images.

    Returns:
        For each probe the mean `confidence` and `iou` of a localizer, the mean `score` of another,
        and the `auc` of telling it from `real`; the `effects` of seam and content; the mean
        correlation; and what the last two are computed from, `per_image`, with the IoU of every
        probe.
    """
    localizes = discriminator_class(spec.network).predicts is Localization
    entry: dict[str, Any] = {
        "predicts": "localization" if localizes else "score",
        "input": spec.input,
        "trained": predictions is not None,
    }
    if predictions is None or correlations is None:
        return entry
    entry["probes"] = {name: _measures(found, resamples) for name, found in predictions.items()}
    for name in predictions.keys() - {REAL}:
        auc = resamples.detection_auc(predictions[REAL].altered, predictions[name].altered)
        entry["probes"][name]["auc"] = auc
    rounded = [
        None if np.isnan(value) else round(value, CORRELATION_DIGITS) + 0.0
        for value in correlations.tolist()
    ]
    # Claims are about what a localizer finds on single probes, too.
    kept = predictions if localizes else CELLS
    entry["per_image"] = {name: cell_values(predictions[name]) for name in kept}
    entry["per_image"][CORRELATION] = rounded
    effects = effects_of(entry, resamples.groups)
    entry["effects"] = {name: _estimate(found) for name, found in effects.intervals.items()}
    entry["effects"] |= {"measure": effects.measure, "verdict": effects.goes_by}
    known = np.flatnonzero([value is not None for value in rounded])
    if known.size:
        groups = None if resamples.groups is None else numbered(resamples.groups[known])
        values = np.array(rounded, dtype=np.float64)[None, known]
        found = interval_of_mean(Sample(values, groups))
        entry[CORRELATION] = {**_estimate(found), "images": known.size}
    return entry


def _measures(found: Predictions, resamples: Resamples) -> dict[str, Estimate]:
    if found.iou is None:
        return {"score": resamples.mean(1 - found.altered)}
    return {"confidence": resamples.mean(found.altered), "iou": resamples.mean(found.iou)}


def _estimate(found: Interval) -> Estimate:
    """Return an interval with plain values; a single image or group gives none."""
    if not np.isfinite(found.low):
        return {"value": _rounded(found.mean), "low": None, "high": None}
    return {
        "value": _rounded(found.mean), "low": _rounded(found.low), "high": _rounded(found.high)
    }  # fmt: skip


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


class _Effects(_Checked):
    measure: Literal["iou", "auc"]
    seam: _Estimate | None = None
    content: _Estimate
    difference: _Estimate | None = None
    verdict: GoesBy


class _Numbers(_Checked):
    """What was found of a discriminator; one that was not trained was not asked.

    Earlier versions had fewer probes, and `seam_reliance` in place of what is per image.
    """

    predicts: Literal["localization", "score"]
    input: Literal["completed", "raw", "hole"]
    trained: bool
    probes: dict[str, dict[str, _Estimate]] = {}
    effects: _Effects | None = None
    per_image: dict[str, list[float | None]] = {}
    gradient_error_correlation: _Estimate | None = None
    seam_reliance: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "_Numbers":
        if not self.trained:
            return self
        is_earlier = self.effects is None and self.seam_reliance is not None
        asked = {
            (probe, measure)
            for probe in ({REAL, *self.probes} if is_earlier else PROBES)
            for measure in MEASURES[self.predicts]
            if (probe, measure) != (REAL, "auc")
        }
        given = {(probe, name) for probe, found in self.probes.items() for name in found}
        if lacking := sorted(asked - given):
            raise ValueError(f"probes lack {'.'.join(lacking[0])}")
        if not is_earlier:
            self._check_effects()
        return self

    def _check_effects(self) -> None:
        if self.effects is None:
            raise ValueError("effects is missing")
        sees_seam = self.input != "hole"
        if {self.effects.seam is not None, self.effects.difference is not None} != {sees_seam}:
            raise ValueError("effects does not fit the input")
        if lacking := {*CELLS, CORRELATION} - self.per_image.keys():
            raise ValueError(f"per_image lacks {min(lacking)}")
        if any(None in self.per_image[cell] for cell in CELLS):
            raise ValueError("per_image has no value of an image")


class _Context(_Checked):
    filling: list[float]
    truth: list[float]


class _Generator(_Checked):
    """What interventions into the generator change, image by image; see `interventions`."""

    context: _Context
    gains: dict[str, float] = {}
    ssim_h: list[float] = []
    without: list[float] = []


class _DiagnosisFile(_Checked):
    suite: str
    variant: str
    seed: int
    epoch: int = Field(ge=1)
    images: int = Field(ge=1)
    discriminators: dict[Name, _Numbers]
    generator: _Generator | None = None
    """None in files of earlier versions."""

    @model_validator(mode="after")
    def _has_all_images(self) -> "_DiagnosisFile":
        for name, numbers in self.discriminators.items():
            if {len(values) for values in numbers.per_image.values()} - {self.images}:
                raise ValueError(f"discriminators.{name}.per_image has not {self.images} images")
        if self.generator is not None:
            asked = self.generator
            lists = [asked.context.filling, asked.context.truth]
            lists += [asked.ssim_h, asked.without] if asked.gains else []
            if {len(values) for values in lists} - {self.images}:
                raise ValueError(f"generator has not {self.images} images")
        return self


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
