"""A base version and a new one → whether the new results are whole and no worse.

What does not train (baselines, the oracle) is a canary: it may not change at all, as its scores
depend on images, holes and metrics alone. What trains may not be worse, image by image, by more
than its tolerance.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from benchmark.evaluation.metrics_file import AnyMean, BaselineMetrics, RunMetrics, read_metrics
from benchmark.metrics import METRICS
from benchmark.stats.comparison import Comparison
from benchmark.versions.compare import MetricChange, VersionComparison, compare_versions
from benchmark.versions.comparison_text import comparison_json
from benchmark.versions.snapshot import MADE_BY, Snapshot, Subject
from benchmark.versions.tolerances import BASELINES, COMMAND
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
    without_seed_sd: tuple[str, ...]
    """Metrics of methods whose seed standard deviation is not known: images decide."""
    elsewhere: tuple[str, ...]
    """Methods whose tolerances are wider, as they were made on another machine."""


def check_gate(base: Snapshot, new: Snapshot, allowed: Sequence[str] = ()) -> GateResult:
    """Hold the results of a version against those of a base.

    Args:
        base: the version to hold against; its tolerances count, as new ones may be wider.
        new: the version to check.
        allowed: names `suite/method/metric`, or beginnings of them, of failures that are meant.

    Raises:
        InputError: the base's own files are damaged, it has nothing to hold the results against, or
            a name in `allowed` allows nothing.
    """
    read = {subject: _damage(new, subject) for subject in new.subjects}
    failures = [damage for damage in read.values() if damage]
    whole = tuple(subject for subject, damage in read.items() if not damage)
    for subject in whole:
        canaries = Subject(subject.suite, BASELINES)
        failures += _gaps(base, new, subject, canaries if canaries in whole else subject)
    compared = compare_versions(base, replace(new, chosen=whole))
    failures += _lost_runs(compared, read)
    if not any(change.old is not None for change in compared.metrics) and not failures:
        raise InputError(f"{printable(base.name)}: has no results that these could be held against")
    limits = _Limits(base, compared)
    failures += [failure for change in compared.metrics if (failure := _judge(change, limits))]
    for name in allowed:
        if not any(failure.is_of(name) for failure in failures):
            raise InputError(f"--allow {printable(name)}: nothing of that name fails; leave it out")
    let = [f for f in failures if any(f.is_of(name) for name in allowed)]
    return GateResult(
        comparison=compared,
        failures=tuple(f for f in failures if f not in let),
        allowed=tuple(let),
        checked=sum(change.old is not None for change in compared.metrics),
        without_seed_sd=tuple(sorted(limits.without_seed_sd)),
        elsewhere=tuple(sorted(limits.widened)),
    )


def _damage(new: Snapshot, subject: Subject) -> Failure | None:
    """Return what is wrong with the files of a subject by themselves."""
    metrics, score_table = new.place(subject.metrics), new.place(subject.scores)
    for path in (metrics, score_table):
        if not path.is_file():
            what = new.named(f"there is no {path}; `{MADE_BY}` makes it")
            return Failure("missing", str(subject), what)
    model = RunMetrics if subject.is_run else BaselineMetrics
    try:
        _, frame = read_metrics(model, metrics, score_table, MADE_BY, new.image_px(subject.suite))
    except InputError as error:
        return Failure("damaged", str(subject), new.named(str(error)))
    owners = sorted(set(frame[["method", "seed"]].itertuples(index=False, name=None)))
    if subject.is_run and owners != [(subject.name, subject.seed)]:
        return Failure("damaged", str(subject), new.named(f"{score_table}: has rows of {owners}"))
    new.score_tables[subject] = frame
    return None


def _gaps(base: Snapshot, new: Snapshot, subject: Subject, canaries: Subject) -> list[Failure]:
    """Return the metrics of a subject that lack values which they should have.

    Some lack is usual: the core of a tiny hole is empty, with every method alike.
    """
    usual: Counter[str] = Counter()
    for entries in new.metrics(canaries).methods.values():
        usual |= _lacking(entries)
    before = base.metrics(subject).methods if subject.metrics in base.content(subject) else {}
    found, failures = new.metrics(subject), []
    for method, entries in found.methods.items():
        known = before.get(method, {})
        expected = {**usual, **_lacking(known)}
        for metric, count in _lacking(entries).items():
            # Where there is no value at all, there is a reason, or the change is judged.
            is_told = not entries[metric].n and (metric in found.missing or metric in known)
            if count > expected.get(metric, 0) and not is_told:
                where = f"{subject.suite}/{method}/{metric}"
                what = f"has no value of {count} images; {expected.get(metric, 0)} is usual"
                failures.append(Failure("missing", where, what))
    return failures


def _lacking(entries: Mapping[str, AnyMean]) -> Counter[str]:
    """Return of how many images each metric has no value."""
    images = max((entry.n for entry in entries.values()), default=0)
    return Counter({metric: images - entry.n for metric, entry in entries.items()})


def _lost_runs(found: VersionComparison, read: Collection[Subject]) -> list[Failure]:
    """Return the runs of the base that are no longer there, or cannot be compared."""
    failures = []
    for change in found.subjects:
        where = str(change.subject)
        if change.subject.metrics not in found.old.content(change.subject):
            continue
        if change.state == "vanished" and change.subject not in read:
            failures.append(Failure("vanished", where, f"{found.old.name} has it"))
        elif change.reason:
            failures.append(Failure("not comparable", where, change.reason))
    return failures


def _judge(change: MetricChange, limits: "_Limits") -> Failure | None:
    """Return what is wrong with a metric, if anything."""
    where = f"{change.suite}/{change.method}/{change.metric}"
    if change.old is None or change.is_same:
        return None
    if change.new is None:
        return Failure("missing", where, f"was {change.old:.5g}, and has no value now")
    numbers = f"{change.old:.5g} -> {change.new:.5g}"
    if (change.suite, change.method) not in limits.trained:
        return Failure("canary", where, f"{numbers}; it depends on images, holes and metrics alone")
    if change.metric not in METRICS:
        return Failure("not comparable", where, f"{numbers}; this code does not know the metric")
    # What is put on known pixels is discarded, and no measure of quality.
    if METRICS[change.metric].pixels == "raw":
        return None
    found = change.comparison
    if found is None or found.verdict != "worse":
        return None
    limit = limits.of(change, found)
    if abs(found.difference) <= limit:
        return None
    interval = f"{found.difference:+.4g} [{found.low:+.4g}, {found.high:+.4g}]"
    if METRICS[change.metric].better in ("zero", "one"):
        interval = f"distance from the ideal {interval}"
    return Failure(
        "regression", where, f"{numbers}; {interval}, beyond the tolerance of {limit:.3g}"
    )


class _Limits:
    """By how much methods may get worse where nothing is at fault."""

    def __init__(self, base: Snapshot, found: VersionComparison) -> None:
        trained = [c for c in found.subjects if c.subject.is_run]
        self.trained = {(c.subject.suite, c.subject.name) for c in trained}
        self._elsewhere = {(c.subject.suite, c.subject.name) for c in trained if c.environment}
        self._base = base
        self.without_seed_sd: set[str] = set()
        """Metrics of methods whose seeds were not measured: their images alone decide."""
        self.widened: set[str] = set()
        """Methods whose limits are wider, as they were made on another machine."""

    def of(self, change: MetricChange, found: Comparison) -> float:
        """Return by how much the mean may get worse, beyond what images and seeds may change."""
        key = (change.suite, change.method)
        if not found.effect.interval.covers_seeds:
            self.without_seed_sd.add("/".join((*key, change.metric)))
        if key in self._elsewhere:
            tolerance = self._base.tolerances.tolerance(*key, change.metric)
            if tolerance is not None:
                self.widened.add("/".join(key))
                return max(found.margin, tolerance)
        return found.margin


def gate_text(result: GateResult) -> str:
    """Return what the gate found as lines for a terminal."""
    old, new = result.comparison.old.name, result.comparison.new.name
    lines = [str(failure) for failure in result.failures]
    lines += [f"allowed: {failure}" for failure in result.allowed]
    if unknown := result.without_seed_sd:
        lines.append(
            f"note: what another seed changes is not known of {', '.join(unknown)}, so that "
            f"whatever the images show counts; `{COMMAND}` measures it"
        )
    if wider := result.elsewhere:
        lines.append(
            f"note: made on another machine, which widens the tolerances: {', '.join(wider)}"
        )
    count = len(result.failures)
    verdict = f"{count} failure{'s' if count > 1 else ''}" if count else "passed"
    lines.append(f"{printable(old)} -> {printable(new)}: {result.checked} metrics, {verdict}")
    return "\n".join(printable(line) for line in lines) + "\n"


def gate_json(result: GateResult) -> dict[str, Any]:
    """Return what the gate found as plain values."""
    return {
        "passed": not result.failures,
        "checked": result.checked,
        "without_seed_sd": list(result.without_seed_sd),
        "elsewhere": list(result.elsewhere),
        "failures": [asdict(failure) for failure in result.failures],
        "allowed": [asdict(failure) for failure in result.allowed],
        "comparison": comparison_json(result.comparison),
    }
