"""Repeated trainings → `tolerances.yaml`: with other settings, and with other seeds."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import stdev

import torch
from filelock import FileLock

from benchmark.core import paths
from benchmark.core.config import load_suite, load_variant, names_in
from benchmark.core.environment import fingerprint
from benchmark.metrics.edges import log_ratio
from benchmark.metrics.registry import is_ratio
from benchmark.training.gan import training_digest
from benchmark.versions.rebuild import Setting, checkout_copy, run_stages, stages_of
from benchmark.versions.snapshot import Snapshot, Subject
from benchmark.versions.tolerances import (
    BASELINES,
    FACTOR,
    Measured,
    SuiteTolerances,
    Tolerances,
    origin_digest,
    read_tolerances,
    rounded,
    write_tolerances,
)
from data.errors import InputError
from data.store import Store

USUAL = Setting("usual")
SETTINGS = (
    Setting("one_thread", {"OMP_NUM_THREADS": "1"}),
    Setting("two_threads", {"OMP_NUM_THREADS": "2"}),
    Setting(
        "without_avx512",
        {
            "ATEN_CPU_CAPABILITY": "avx2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "OPENBLAS_CORETYPE": "Haswell",
        },
    ),
    Setting("without_onednn", onednn=False),
    Setting("cuda", device="cuda"),
)
"""What stands for other machines."""

Means = Mapping[str, Mapping[str, float | None]]
"""By method and metric."""


def settings_here(names: Sequence[str] = ()) -> list[Setting]:
    """Return the settings that change something on this machine.

    Args:
        names: which of them; all where it is empty.

    Raises:
        InputError: there is no setting of that name.
    """
    known = {setting.name: setting for setting in SETTINGS}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"--setting {unknown[0]}: there is none; there are {', '.join(known)}")
    chosen = [known[name] for name in names] or list(SETTINGS)
    changes = {
        "one_thread": torch.get_num_threads() != 1,
        "two_threads": torch.get_num_threads() != 2,
        "without_avx512": torch.backends.cpu.get_cpu_capability().startswith("AVX512"),
        "without_onednn": torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
        "cuda": torch.cuda.is_available(),
    }
    return [setting for setting in chosen if changes[setting.name]]


def measure(
    suites: Sequence[str],
    variants: Sequence[str],
    seeds: Sequence[int],
    settings: Sequence[Setting],
) -> Tolerances:
    """Measure what is not in `tolerances.yaml` yet, and write it there after every variant.

    Args:
        suites: the suites.
        variants: the variants; baselines are measured too.
        seeds: for the standard deviation; the first one is that of the runs with other settings.
        settings: what stands for other machines; see `settings_here`.

    Raises:
        InputError: a stage refused its input, or the file is damaged.
        RebuildFailedError: a stage failed; what was measured before is kept.
    """
    with checkout_copy() as folder:
        for suite in suites:
            digests = _digests(suite, variants, prepare(folder, suite))
            with _changed_tolerances() as found:
                for subject, known in [*found.suite(suite).measured.items()]:
                    if known.digest != digests.get(subject):
                        found.suite(suite).forget(subject)
            for subject in (*variants, BASELINES):
                _measure_subject(folder, suite, subject, digests[subject], seeds, settings)
    return read_tolerances()


def prepare(folder: Path, suite: str) -> str:
    """Split a suite in a copy of the checkout and return the digest of its images."""
    run_stages(folder, [("split", "--suite", suite)], USUAL)
    return Store(folder / paths.prepared(suite)).digest()


def build_means(folder: Path, suite: str, subject: str, seed: int, setting: Setting) -> Means:
    """Build a run, or a suite's baselines, in a copy of the checkout and return the metrics."""
    built = Subject(suite, subject, seed)
    print(f"{built}: {setting.name}", file=sys.stderr, flush=True)
    shutil.rmtree(folder / built.run.checkpoints, ignore_errors=True)  # of another setting
    stages = [stage for stage in stages_of([built]) if stage[0] != "split"]
    run_stages(folder, stages, setting)
    return Snapshot("copy", folder).metrics(built).means


def _digests(suite: str, variants: Sequence[str], data_sha256: str) -> dict[str, str]:
    """Return the present digests of everything that is or was measured on a suite."""
    before = set(read_tolerances().suite(suite).measured) & set(names_in(paths.VARIANTS))
    settings = load_suite(suite)
    configs: dict[str, str | None] = {
        name: training_digest(settings, load_variant(name)) for name in {*variants, *before}
    }
    return {
        name: origin_digest({"config_sha256": config, "data_sha256": data_sha256})
        for name, config in (configs | {BASELINES: None}).items()
    }


def _measure_subject(
    folder: Path,
    suite: str,
    subject: str,
    digest: str,
    seeds: Sequence[int],
    settings: Sequence[Setting],
) -> None:
    """Measure and write what is missing of a variant, or of the baselines."""
    known = read_tolerances().suite(suite).measured.get(subject) or Measured(digest=digest)
    seeds = seeds if subject != BASELINES else (0,)
    lacks_seeds = len(seeds) > 1 and not {*seeds} <= {*known.seeds}
    missing = [setting for setting in settings if setting.name not in known.settings]
    if not lacks_seeds and not missing:
        return
    built = sorted({*seeds, *known.seeds}) if lacks_seeds else seeds[:1]
    usual = {seed: build_means(folder, suite, subject, seed, USUAL) for seed in built}
    others = [build_means(folder, suite, subject, seeds[0], setting) for setting in missing]
    with _changed_tolerances() as found:
        here = found.suites.setdefault(suite, SuiteTolerances())
        if lacks_seeds:
            known.seeds = tuple(built)
            for metric, sd in seed_sds([means[subject] for means in usual.values()]).items():
                here.set_value(metric, "seed_sd", subject, sd)
        known.settings += tuple(setting.name for setting in missing)
        for means in others:
            for metric, difference in largest_differences(means, usual[seeds[0]]).items():
                before = here.values(metric, "tolerance").get(subject, 0.0)
                largest = max(before, rounded(FACTOR * difference))
                here.set_value(metric, "tolerance", subject, largest)
        here.measured[subject] = known
        here.machines = list(dict.fromkeys([*here.machines, _machine()]))


@contextmanager
def _changed_tolerances() -> Iterator[Tolerances]:
    """Give what is written now, and write what becomes of it.

    One process does so at a time, so that suites can be measured side by side.
    """
    paths.SCRATCH.mkdir(parents=True, exist_ok=True)
    with FileLock(paths.SCRATCH / "tolerances.lock"):
        found = read_tolerances()
        yield found
        write_tolerances(found)


def _machine() -> str:
    facts = fingerprint(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    names = [facts[key] for key in ("cpu", "gpu") if key in facts]
    torch_version = facts["libraries"]["torch"]
    return ", ".join([*names, f"{facts['threads']} threads", f"torch {torch_version}"])


def seed_sds(means: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Return the standard deviation over seeds of each metric that all of them have.

    That of a ratio is of its logarithm, as comparisons scale it.

    Args:
        means: the metrics of each seed, at least two.
    """
    found, seeds = {}, [_values(values) for values in means]
    for metric in sorted(set.intersection(*map(set, seeds))):
        values = [seed[metric] for seed in seeds]
        found[metric] = rounded(stdev(log_ratio(values) if is_ratio(metric) else values))
    return found


def largest_differences(here: Means, usual: Means) -> dict[str, float]:
    """Return the largest absolute difference of each metric over methods, 3 significant digits."""
    found: dict[str, float] = {}
    for method, metrics in usual.items():
        there = _values(here.get(method, {}))
        for metric, value in _values(metrics).items():
            if metric in there:
                difference = rounded(abs(there[metric] - value))
                found[metric] = max(difference, found.get(metric, 0.0))
    return found


def _values(metrics: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if value is not None}
