"""The gate: whether results are whole, and nothing in them got worse than those of a base version.

What does not train (baselines, the oracle) is a canary: it may not change at all, as its scores
depend on images, holes and metrics alone. What trains may not be worse, image by image, by more
than its band.
"""

import math
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from scipy.stats import norm

from benchmark.bands import BANDS, COMMAND, TRAINED, Bands, spread_over_seeds
from benchmark.compare import MetricChange, VersionComparison, compare_versions
from benchmark.comparison_text import comparison_json
from benchmark.documents import load
from benchmark.metric_files import BaselineMetrics, RunMetrics, read_metrics
from benchmark.metrics import METRICS
from benchmark.snapshots import BASELINES, MADE_BY, Snapshot, Subject
from benchmark.statistics import CONFIDENCE, MIN_SEEDS
from benchmark.verdict import equivalence_margin
from data.errors import InputError, printable

Kind = Literal["damaged", "vanished", "missing", "not comparable", "canary", "regression"]


@dataclass(frozen=True)
class Failure:
    """A reason to refuse a version."""

    kind: Kind
    where: str
    """`suite/method/metric`, or less of it."""
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}: {self.what}"

    def is_of(self, name: str) -> bool:
        """Return whether a name is that of the failure, or of the suite or method that it is in."""
        return f"{self.where}/".startswith(f"{name.rstrip('/')}/")


@dataclass(frozen=True)
class GateResult:
    """What the gate found."""

    comparison: VersionComparison
    failures: tuple[Failure, ...]
    allowed: tuple[Failure, ...]
    """What was found and is allowed by name."""
    checked: int
    """Metrics of methods that were compared."""
    without_spread: tuple[str, ...]
    """Methods of which no seed spread is known, so that their bands are those of images alone."""


def check_gate(base: Snapshot, new: Snapshot, allowed: Sequence[str] = ()) -> GateResult:
    """Hold the results of a version against those of a base.

    Args:
        base: the version to hold against; its bands count, as those of the new one may be wider.
        new: the version to check.
        allowed: names `suite/method/metric`, or beginnings of them, of failures that are meant.

    Raises:
        InputError: the base's own files are damaged, or a name in `allowed` allows nothing.
    """
    damages = {subject: faults for subject in new.subjects if (faults := _damage(new, subject))}
    found = compare_versions(base, replace(new, without=frozenset(damages)))
    failures = [failure for listed in damages.values() for failure in listed]
    failures += _lost_runs(found, damages)
    bands = _Bands(base, found)
    failures += [failure for change in found.metrics if (failure := _judge(change, bands))]
    for name in allowed:
        if not any(failure.is_of(name) for failure in failures):
            raise InputError(f"--allow {printable(name)}: nothing of that name fails; leave it out")
    let = [f for f in failures if any(f.is_of(name) for name in allowed)]
    return GateResult(
        comparison=found,
        failures=tuple(f for f in failures if f not in let),
        allowed=tuple(let),
        checked=len(found.metrics),
        without_spread=tuple(sorted(bands.without_spread)),
    )


def _damage(new: Snapshot, subject: Subject) -> list[Failure]:
    """Return what is wrong with the files of a subject by themselves."""
    metrics, ledger = new.place(subject.metrics), new.place(subject.scores)
    for path in (metrics, ledger):
        if not path.is_file():
            return [Failure("missing", str(subject), f"there is no {path}; `{MADE_BY}` makes it")]
    model = BaselineMetrics if subject.name == BASELINES else RunMetrics
    try:
        found, frame = read_metrics(model, metrics, MADE_BY, ledger, new.image_px(subject.suite))
    except InputError as error:
        return [Failure("damaged", str(subject), str(error))]
    images = frame.groupby("method")["image"].nunique()
    failures = []
    for method, entries in found.methods.items():
        for name, entry in entries.items():
            if 0 < (count := int(entry["n"] or 0)) < images[method]:
                where = f"{subject.suite}/{method}/{name}"
                what = f"has values of {count} of {images[method]} images"
                failures.append(Failure("missing", where, what))
    return failures


def _lost_runs(found: VersionComparison, damaged: Container[Subject]) -> list[Failure]:
    """Return the runs of the base that are no longer there, or cannot be compared."""
    failures = []
    for change in found.subjects:
        where = str(change.subject)
        if change.state == "vanished" and change.subject not in damaged:
            failures.append(Failure("vanished", where, f"{found.old.name} has it"))
        elif change.state in ("not comparable", "means only"):
            failures.append(Failure("not comparable", where, change.reason))
        elif change.state == "compared" and change.reason:
            failures.append(Failure("not comparable", where, change.reason))
    return failures


def _judge(change: MetricChange, bands: "_Bands") -> Failure | None:
    """Return what is wrong with a metric, if anything."""
    where = f"{change.suite}/{change.method}/{change.metric}"
    if change.old is None or change.is_same:
        return None
    if change.new is None:
        return Failure("missing", where, f"was {change.old:.5g}, and has no value now")
    found = change.comparison
    numbers = f"{change.old:.5g} -> {change.new:.5g}"
    if (change.suite, change.method) not in bands.trained:
        return Failure("canary", where, f"{numbers}; it depends on images, holes and metrics alone")
    # What is put on known pixels is discarded, and no measure of quality.
    if METRICS[change.metric].pixels == "raw" or found is None or found.verdict != "worse":
        return None
    band = bands.of(change)
    if abs(found.difference) <= band:
        return None
    interval = f"{found.difference:+.4g} [{found.low:+.4g}, {found.high:+.4g}]"
    return Failure("regression", where, f"{numbers}; {interval}, beyond the band of {band:.3g}")


class _Bands:
    """By how much methods may get worse: what another seed, or another machine, would change."""

    def __init__(self, base: Snapshot, found: VersionComparison) -> None:
        path = base.folder / BANDS
        bands = load(Bands, path) if path.is_file() else Bands()
        self.trained = {
            (c.subject.suite, c.subject.name) for c in found.subjects if c.subject.name != BASELINES
        }
        self._elsewhere = {
            (c.subject.suite, c.subject.name) for c in found.subjects if c.environment
        }
        self._spreads = {(m.suite, m.subject): spread_over_seeds(m.seeds) for m in bands.measured}
        self._devices = {
            (suite, metric): entry.band
            for suite, kinds in bands.bands.items()
            for metric, entry in kinds.get(TRAINED, {}).items()
        }
        self.without_spread: set[str] = set()
        """Methods of which no spread over seeds was measured, which makes their bands narrower."""

    def of(self, change: MetricChange) -> float:
        """Return the band of a metric of a method that trains."""
        key, seeds = (change.suite, change.method), 0
        if change.comparison is not None:
            seeds = change.comparison.seeds
        band = equivalence_margin(change.metric)
        if key in self._elsewhere:
            band = max(band, self._devices.get((change.suite, change.metric), 0.0))
        if seeds >= MIN_SEEDS:  # then the interval covers them
            return band
        spread = self._spreads.get(key, {}).get(change.metric)
        if spread is None:
            self.without_spread.add("/".join(key))
            return band
        # The difference of two means over seeds, with the confidence of all intervals.
        reach = float(norm.ppf((1 + CONFIDENCE) / 2)) * math.sqrt(2 / max(1, seeds)) * spread
        return max(band, reach)


def gate_text(result: GateResult) -> str:
    """Return what the gate found as lines for a terminal."""
    old, new = result.comparison.old.name, result.comparison.new.name
    lines = [f"{failure}" for failure in result.failures]
    lines += [f"allowed: {failure}" for failure in result.allowed]
    if result.without_spread:
        listed = ", ".join(result.without_spread)
        lines.append(
            f"note: no spread over seeds is known of {listed}; their bands are those of images "
            f"alone. `{COMMAND}` measures it."
        )
    verdict = f"{len(result.failures)} failures" if result.failures else "passed"
    lines.append(f"{printable(old)} -> {printable(new)}: {result.checked} metrics, {verdict}")
    return "\n".join(printable(line) for line in lines) + "\n"


def gate_json(result: GateResult) -> dict[str, Any]:
    """Return what the gate found as plain values."""
    listed = {"failures": result.failures, "allowed": result.allowed}
    return {
        "passed": not result.failures,
        "checked": result.checked,
        "without_spread": list(result.without_spread),
        **{name: [asdict(failure) for failure in found] for name, found in listed.items()},
        "comparison": comparison_json(result.comparison),
    }
