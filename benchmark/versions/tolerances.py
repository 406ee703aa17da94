"""How far metrics may differ on another device, as measured, and how that compares with the seeds.

`device` is the largest difference of a metric, over all variants of a suite that were measured,
between the usual settings and others that stand for other devices: fewer or more threads, a CPU
without AVX-512, PyTorch's own kernels instead of oneDNN's, a GPU where there is one. Few of them
were tried, so `band` is three times that. `seeds` is the standard deviation over seeds, the largest
of all variants. The baselines of a suite have bands of their own; they do not train, and hardly any
setting reaches the libraries that compute them, so these bands may be 0.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import stdev
from typing import Any

from pydantic import BaseModel, ConfigDict

from benchmark.core.config import Name
from benchmark.core.files import write_json
from benchmark.core.yaml_files import load
from benchmark.versions.diff import NO_BAND, Band, BandOf

BANDS = Path("benchmark/versions/bands.json")
FACTOR = 3
BASELINES, TRAINED = "baselines", "trained"
COMMAND = "python -m benchmark bands"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MetricBand(_Frozen):
    """The band of a metric of a suite."""

    device: float
    band: float
    seeds: float | None = None


class Measurement(_Frozen):
    """What was measured of a variant, or of the baselines, of a suite on a machine."""

    suite: Name
    subject: Name
    """A variant, or `baselines`."""
    machine: str
    """Key of the machine's fingerprint."""
    config_sha256: str | None = None
    """The variant's `gan.training_digest`."""
    data_sha256: str
    seed: int
    """With which the settings were compared."""
    seeds: dict[int, dict[str, float]] = {}
    """Metrics with the usual settings, by seed."""
    differences: dict[str, dict[str, float]] = {}
    """Largest absolute difference of any method's metrics, by setting."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What there is one measurement of."""
        return self.suite, self.subject, self.machine


class Bands(_Frozen):
    """The content of `bands.json`."""

    made_by: str = COMMAND
    machines: dict[str, dict[str, Any]] = {}
    """Fingerprints."""
    measured: list[Measurement] = []
    bands: dict[Name, dict[str, dict[str, MetricBand]]] = {}
    """By suite, `trained` or `baselines`, and metric: what follows from the measurements."""

    def with_measurement(self, new: Measurement, fingerprint: Mapping[str, Any]) -> "Bands":
        """Return the bands with a measurement in the place of an earlier one of the same thing."""
        measured = [old for old in self.measured if old.key != new.key] + [new]
        measured.sort(key=lambda m: m.key)
        machines = self.machines | {new.machine: dict(fingerprint)}
        return Bands(machines=machines, measured=measured, bands=derive_bands(measured))

    def without_outdated(
        self, suite: str, digests: Mapping[str, tuple[str | None, str]]
    ) -> "Bands":
        """Return the bands without measurements of a suite with other settings or images.

        Args:
            suite: the suite.
            digests: settings and data as they are now, by variant, and of `baselines`.
        """
        measured = [
            m
            for m in self.measured
            if m.suite != suite or digests.get(m.subject) == (m.config_sha256, m.data_sha256)
        ]
        used = {m.machine for m in measured}
        machines = {key: facts for key, facts in self.machines.items() if key in used}
        return Bands(machines=machines, measured=measured, bands=derive_bands(measured))

    def find(self, suite: str, subject: str, machine: str) -> Measurement | None:
        """Return what was measured of a subject on a machine."""
        return next((m for m in self.measured if m.key == (suite, subject, machine)), None)

    def bands_of(
        self, suite: str, subject: str, config_sha256: str | None, data_sha256: str
    ) -> tuple[BandOf, str | None]:
        """Return the bands of a run or of a suite's baselines, or why there are none.

        Args:
            suite: the suite.
            subject: a variant, or `baselines`.
            config_sha256: digest of the settings of the training; None for baselines.
            data_sha256: digest of the images.
        """
        measured = [m for m in self.measured if (m.suite, m.subject) == (suite, subject)]
        if not self.measured:
            return _no_band, f"no bands were measured; `{COMMAND}` measures them"
        if not measured:
            return _no_band, f"no bands were measured for {suite}/{subject}"
        if all((m.config_sha256, m.data_sha256) != (config_sha256, data_sha256) for m in measured):
            return (
                _no_band,
                f"the bands of {suite}/{subject} were measured with other settings or images; "
                "they do not apply",
            )
        if not any(m.differences for m in measured):
            return _no_band, f"of {suite}/{subject} seeds alone were measured, no other settings"
        found = self.bands.get(suite, {}).get(_kind(subject), {})

        def band_of(method: str, metric: str) -> Band:
            entry = found.get(metric)
            return NO_BAND if entry is None else Band(entry.band, entry.seeds)

        return band_of, None


def _no_band(method: str, metric: str) -> Band:
    return NO_BAND


def _kind(subject: str) -> str:
    return BASELINES if subject == BASELINES else TRAINED


def derive_bands(
    measured: Sequence[Measurement],
) -> dict[str, dict[str, dict[str, MetricBand]]]:
    """Return the bands that follow from measurements, by suite, kind and metric."""
    found: dict[str, dict[str, dict[str, MetricBand]]] = {}
    for suite in sorted({m.suite for m in measured}):
        for kind in (TRAINED, BASELINES):
            members = [m for m in measured if m.suite == suite and _kind(m.subject) == kind]
            if bands := _bands_of_kind(members):
                found.setdefault(suite, {})[kind] = bands
    return found


def _bands_of_kind(measured: Sequence[Measurement]) -> dict[str, MetricBand]:
    device: dict[str, float] = {}
    for differences in (d for m in measured for d in m.differences.values()):
        for metric, difference in differences.items():
            device[metric] = max(difference, device.get(metric, 0.0))
    spreads = [spread_over_seeds(m.seeds) for m in measured]
    return {
        metric: MetricBand(
            device=rounded(difference),
            band=rounded(FACTOR * difference),
            seeds=max((rounded(s[metric]) for s in spreads if metric in s), default=None),
        )
        for metric, difference in sorted(device.items())
    }


def spread_over_seeds(seeds: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """Return the standard deviation of each metric; of fewer than two seeds there is none."""
    if len(seeds) < 2:
        return {}
    shared = set.intersection(*(set(values) for values in seeds.values()))
    return {metric: stdev([v[metric] for v in seeds.values()]) for metric in sorted(shared)}


def rounded(value: float, digits: int = 3) -> float:
    """Round to a number of significant digits."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else value


def bands_table(bands: Bands) -> str:
    """Return the bands as lines of text."""
    lines = []
    for suite, kinds in bands.bands.items():
        for kind, metrics in kinds.items():
            for metric, entry in metrics.items():
                seeds = "" if entry.seeds is None else f", seeds {entry.seeds:.3g}"
                lines.append(
                    f"{suite} {kind} {metric}: device {entry.device:.3g}{seeds}, "
                    f"band {entry.band:.3g}\n"
                )
    return "".join(lines)


def read_bands() -> Bands:
    """Read the measured bands; where there is no file, there are none.

    Raises:
        InputError: the file is damaged.
    """
    return load(Bands, BANDS) if BANDS.is_file() else Bands()


def write_bands(bands: Bands) -> None:
    """Write the bands atomically."""
    write_json(BANDS, bands.model_dump(mode="json", exclude_none=True))
