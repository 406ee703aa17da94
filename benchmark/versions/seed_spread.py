"""By how much the choice of the training seed changes a mean, as a version's bands say."""

from statistics import fmean

from benchmark.metrics import METRICS
from benchmark.versions.snapshot import BASELINES, Snapshot
from benchmark.versions.tolerances import Measurement, spread_over_seeds


def seed_spread(results: Snapshot, suite: str, variant: str, metric: str) -> float | None:
    """Return the standard deviation over seeds of a variant's mean, on the scale of comparisons.

    Of a ratio, whose logarithms are compared, that is the relative one. Where distances from 0 are
    compared, it is that of the mean itself, which moves no less than the mean distance does if a
    seed moves all images alike.

    Args:
        results: the version; what was measured with other settings or images than its own is none.
        suite: the suite.
        variant: the variant.
        metric: the metric.

    Returns:
        None where it was not measured.
    """
    fitting = [m for m in results.bands.measured if _fits(results, m, suite, variant)]
    measured = max(fitting, key=lambda m: len(m.seeds), default=None)
    spread = spread_over_seeds(measured.seeds).get(metric) if measured else None
    if measured is None or spread is None or metric not in METRICS:
        return None
    if METRICS[metric].better != "one":
        return spread
    mean = fmean(values[metric] for values in measured.seeds.values())
    return spread / mean if mean > 0 else None


def _fits(results: Snapshot, measured: Measurement, suite: str, variant: str) -> bool:
    """Return whether a measurement is of how a variant is trained in a version."""
    if (measured.suite, measured.subject) != (suite, variant):
        return False
    runs = [s for s in results.subjects if (s.suite, s.name) == (suite, variant)]
    digests = (measured.config_sha256, measured.data_sha256)
    origins = [results.training(run) for run in runs if run.name != BASELINES]
    return any((o.get("config_sha256"), o.get("data_sha256")) == digests for o in origins)
