"""Repeated trainings -> `tolerances.yaml`: with other settings, and with other seeds."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import torch

from benchmark.core import paths
from benchmark.core.config import load_suite, load_variant, names_in
from benchmark.core.environment import fingerprint
from benchmark.metrics import METRICS
from benchmark.training.gan import training_digest
from benchmark.versions.rebuild import Setting, checkout_copy, run_module, run_options
from benchmark.versions.snapshot import read_aggregated
from benchmark.versions.tolerances import (
    BASELINES,
    FACTOR,
    Kind,
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
    """Measure what is not in `tolerances.yaml` yet, and write it there after every step.

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
            print(f"{suite}: split", file=sys.stderr, flush=True)
            digests = _digests(suite, variants, prepare(folder, suite))
            before = read_tolerances().suite(suite)
            outdated = [n for n, m in before.measured.items() if m.digest != digests.get(n)]
            _write(suite, before.without(outdated))
            for subject in (*variants, BASELINES):
                _Measurement(folder, suite, subject, digests[subject]).complete(seeds, settings)
    return read_tolerances()


def prepare(folder: Path, suite: str) -> str:
    """Split a suite in a copy of the checkout and return the digest of its images."""
    run_module(folder, USUAL, "benchmark", "split", "--suite", suite)
    return Store(folder / paths.prepared(suite)).digest()


def build_means(folder: Path, suite: str, subject: str, seed: int, setting: Setting) -> Means:
    """Build a run, or a suite's baselines, in a copy of the checkout and return the metrics."""
    if subject == BASELINES:
        run_module(folder, setting, "benchmark", "baselines", "--suite", suite)
        return read_aggregated(folder / paths.baseline_metrics(suite)).means
    run = paths.Run(suite, subject, seed)
    for stage in ("train", "evaluate"):
        options = (*run_options(run), "--device", setting.device)
        run_module(folder, setting, "benchmark", stage, *options)
    shutil.rmtree(folder / run.checkpoints)
    return read_aggregated(folder / run.metrics).means


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


@dataclass(frozen=True)
class _Measurement:
    """The measurement of a variant, or of the baselines, on a suite."""

    folder: Path
    suite: str
    subject: str
    digest: str

    def complete(self, seeds: Sequence[int], settings: Sequence[Setting]) -> None:
        """Measure the seeds and settings that are missing."""
        known = read_tolerances().suite(self.suite).measured.get(self.subject)
        known = known or Measured(digest=self.digest)
        every = {*seeds, *known.seeds} if self.subject != BASELINES else {0}
        first = seeds[0] if self.subject != BASELINES else 0
        usual: Means = {}
        if len(every) > 1 and not {*seeds} <= {*known.seeds}:
            means = {seed: self._build(seed, USUAL) for seed in sorted(every)}
            usual = means[first]
            known = known.model_copy(update={"seeds": tuple(sorted(every))})
            self._keep(known, "seed_sd", seed_sds([m[self.subject] for m in means.values()]))
        missing = [setting for setting in settings if setting.name not in known.settings]
        if missing and not usual:
            usual = self._build(first, USUAL)
        for setting in missing:
            found = largest_differences(self._build(first, setting), usual)
            known = known.model_copy(update={"settings": (*known.settings, setting.name)})
            self._keep(known, "tolerance", {m: rounded(FACTOR * d) for m, d in found.items()})

    def _build(self, seed: int, setting: Setting) -> Means:
        where = f"{self.suite}/{self.subject}"
        where += "" if self.subject == BASELINES else f"/seed{seed}"
        print(f"{where}: {setting.name}", file=sys.stderr, flush=True)
        return build_means(self.folder, self.suite, self.subject, seed, setting)

    def _keep(self, measured: Measured, kind: Kind, values: Mapping[str, float]) -> None:
        """Write new values of all metrics; of tolerances, the largest of all settings counts."""
        before = read_tolerances().suite(self.suite)
        metrics = dict(before.metrics)
        for name, value in values.items():
            known = before.values(name, kind)
            least = known.get(self.subject, 0.0) if kind == "tolerance" else 0.0
            changed = {kind: known | {self.subject: max(least, value)}}
            metrics[name] = {**before.metrics.get(name, {}), **changed}
        machines = tuple(dict.fromkeys([*before.machines, _machine()]))
        subjects = before.measured | {self.subject: measured}
        _write(self.suite, SuiteTolerances(machines=machines, measured=subjects, metrics=metrics))


def _write(suite: str, content: SuiteTolerances) -> None:
    # Read anew, so that suites can be measured side by side.
    write_tolerances(Tolerances(suites=read_tolerances().suites | {suite: content}))


def _machine() -> str:
    facts = fingerprint(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    names = [facts[key] for key in ("cpu", "gpu") if key in facts]
    torch_version = facts["libraries"]["torch"]
    return ", ".join([*names, f"{facts['threads']} threads", f"torch {torch_version}"])


def seed_sds(means: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Return the standard deviation over seeds of each metric that all of them have.

    Args:
        means: the metrics of each seed, at least two.
    """
    found, seeds = {}, [_values(values) for values in means]
    for metric in sorted(set.intersection(*map(set, seeds))):
        values = [seed[metric] for seed in seeds]
        sd, mean = stdev(values), fmean(values)
        if metric in METRICS and METRICS[metric].better == "one":
            if mean <= 0:  # a ratio without a logarithm
                continue
            sd /= mean
        found[metric] = rounded(sd)
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
