"""`tolerances.yaml` → how far a mean may differ on another machine, and what a seed changes.

The numbers apply only to the settings and images that they were measured with, of which the file
has a digest.
"""

import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from benchmark.core.config import Name
from benchmark.core.files import write_text
from benchmark.core.hashing import json_digest
from benchmark.core.yaml_files import load
from benchmark.stats.intervals import Spread

TOLERANCES = Path("benchmark/versions/tolerances.yaml")
COMMAND = "python -m benchmark tolerances"
BASELINES = "baselines"
Kind = Literal["tolerance", "seed_sd"]
FACTOR = 3
"""Of the largest difference that was seen, as few other machines can be tried."""
HEADER = f"""\
# Written by `{COMMAND}`.
# tolerance: how far a mean may differ on another machine, {FACTOR} times the largest difference
#   that the listed settings make. Baselines do not train, so theirs may be 0.
# seed_sd: standard deviation of the mean over the listed training seeds; for ratios, whose ideal is
#   1, that of the logarithm.
"""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Measured(_Strict):
    """What was tried with a variant, or with the baselines, of a suite."""

    digest: str
    """See `origin_digest`."""
    settings: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()


class SuiteTolerances(_Strict):
    """What was measured on a suite."""

    machines: list[str] = []
    measured: dict[Name, Measured] = {}
    metrics: dict[Name, dict[Kind, dict[Name, float]]] = {}
    """By metric and kind, and then by variant or for `baselines`."""

    def values(self, metric: str, kind: Kind) -> dict[str, float]:
        """Return what was found for a metric, by variant or for `baselines`."""
        return self.metrics.get(metric, {}).get(kind, {})

    def set_value(self, metric: str, kind: Kind, subject: str, value: float) -> None:
        """Set what was found for a metric of a variant, or of the baselines."""
        self.metrics.setdefault(metric, {}).setdefault(kind, {})[subject] = value

    def forget(self, subject: str) -> None:
        """Remove what was measured of a variant, or of the baselines."""
        del self.measured[subject]
        for kinds in self.metrics.values():
            for values in kinds.values():
                values.pop(subject, None)
        if not self.measured:
            self.machines.clear()


class Tolerances(_Strict):
    """The content of `tolerances.yaml`."""

    suites: dict[Name, SuiteTolerances] = {}

    def suite(self, name: str) -> SuiteTolerances:
        """Return what was measured on a suite; nothing where nothing was."""
        return self.suites.get(name, SuiteTolerances())

    def tolerance(self, suite: str, subject: str, metric: str) -> float | None:
        """Return the largest tolerance of a metric over variants; for baselines, their own."""
        found = self.suite(suite).values(metric, "tolerance")
        kind = [v for name, v in found.items() if (name == BASELINES) == (subject == BASELINES)]
        return max(kind, default=None)

    def gap(self, suite: str, subject: str, origin: Mapping[str, Any]) -> str | None:
        """Return why a variant, or the baselines, have no tolerances; None where they have.

        Args:
            suite: the suite.
            subject: the variant, or `baselines`.
            origin: the digests of its settings and images, as in a provenance file.
        """
        measured = self.suite(suite).measured.get(subject)
        if measured and measured.settings and measured.digest == origin_digest(origin):
            return None
        return (
            f"no tolerances were measured for {suite}/{subject} with these settings and images; "
            f"`{COMMAND}` measures them"
        )

    def spread(
        self, suite: str, variant: str, metric: str, origins: Iterable[Mapping[str, Any]]
    ) -> Spread | None:
        """Return the spread of a variant's mean over seeds, as comparisons scale it.

        For a ratio, whose logarithms are compared, it is that of the logarithm. Where distances
        from 0 are compared, it is that of the mean itself, which moves no less than the mean
        distance does if a seed moves all images alike.

        Args:
            suite: the suite.
            variant: the variant.
            metric: the metric.
            origins: for each of its runs, the digests of settings and images.

        Returns:
            None where it was not measured, or with other settings or images than those of the runs.
        """
        measured = self.suite(suite).measured.get(variant)
        digests = {origin_digest(origin) for origin in origins}
        if measured is None or digests != {measured.digest}:
            return None
        sd = self.suite(suite).values(metric, "seed_sd").get(variant)
        return None if sd is None else Spread(sd, len(measured.seeds) - 1)


def origin_digest(origin: Mapping[str, Any]) -> str:
    """Return one digest of settings and images, for each of which a provenance file has one."""
    return json_digest([origin.get("config_sha256"), origin.get("data_sha256")])[:16]


def read_tolerances(folder: Path = Path()) -> Tolerances:
    """Read the tolerances of a checkout; without a file, there are none.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / TOLERANCES
    return load(Tolerances, path) if path.is_file() else Tolerances()


def tolerances_text(found: Tolerances) -> str:
    """Return the tolerances as YAML, with one line for each metric."""
    content = {
        name: {
            "machines": suite.machines,
            "measured": {n: _line(m.model_dump()) for n, m in sorted(suite.measured.items())},
            "metrics": {n: _line(k) for n, k in sorted(suite.metrics.items()) if any(k.values())},
        }
        for name, suite in sorted(found.suites.items())
        if suite.measured
    }
    yaml, stream = YAML(), io.StringIO()
    yaml.width = 1000  # so that no line is folded
    yaml.dump({"suites": content}, stream)
    return HEADER + stream.getvalue()


def write_tolerances(found: Tolerances) -> None:
    """Write the tolerances atomically."""
    write_text(TOLERANCES, tolerances_text(found))


def _line(entry: Mapping[Any, Any]) -> CommentedMap:
    """Return an entry as a mapping that is written in one line, without what is empty."""
    line = CommentedMap()
    for key in ("digest", "settings", "seeds", "tolerance", "seed_sd"):
        if value := entry.get(key):
            line[key] = dict(sorted(value.items())) if isinstance(value, Mapping) else value
    line.fa.set_flow_style()
    return line


def rounded(value: float, digits: int = 3) -> float:
    """Round to a number of significant digits."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else value
