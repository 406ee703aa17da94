"""Measuring by how much metrics differ between numerical settings and between seeds."""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from benchmark.core import paths
from benchmark.core.config import load_suite, load_variant, names_in
from benchmark.core.environment import fingerprint
from benchmark.core.hashing import json_digest
from benchmark.training.gan import training_digest
from benchmark.versions.diff import read_means
from benchmark.versions.rebuild import Setting, run_module, run_options
from benchmark.versions.tolerances import (
    BANDS,
    BASELINES,
    Bands,
    Measurement,
    read_bands,
    rounded,
    write_bands,
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
"""What stands for other devices."""

Means = Mapping[str, Mapping[str, float | None]]
"""By method and metric."""


class Builder(Protocol):
    """Something that builds results."""

    def prepare(self, suite: str) -> str:
        """Split a suite and return the digest of its images."""

    def means(self, suite: str, subject: str, seed: int, setting: Setting) -> Means:
        """Build a run, or a suite's baselines, and return the metrics."""


@dataclass(frozen=True)
class CopyBuilder:
    """Builds in a copy of the checkout."""

    folder: Path

    def prepare(self, suite: str) -> str:
        """Split a suite and return the digest of its images."""
        run_module(self.folder, USUAL, "benchmark", "split", "--suite", suite)
        return Store(self.folder / paths.prepared(suite)).digest()

    def means(self, suite: str, subject: str, seed: int, setting: Setting) -> Means:
        """Build a run, or a suite's baselines, and return the metrics."""
        if subject == BASELINES:
            run_module(self.folder, setting, "benchmark", "baselines", "--suite", suite)
            return read_means(self.folder / paths.baseline_metrics(suite))
        run = paths.Run(suite, subject, seed)
        for stage in ("train", "evaluate"):
            options = (*run_options(run), "--device", setting.device)
            run_module(self.folder, setting, "benchmark", stage, *options)
        shutil.rmtree(self.folder / run.checkpoints)
        return read_means(self.folder / run.metrics)


def settings_here(names: Sequence[str]) -> list[Setting]:
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


@dataclass(frozen=True)
class Measuring:
    """A measurement of suites and variants; what was measured before is not done again."""

    builder: Builder
    seeds: Sequence[int]
    """The first one is that of the comparison of settings."""
    settings: Sequence[Setting]

    def measure(self, suites: Sequence[str], variants: Sequence[str]) -> Bands:
        """Measure what is missing and keep it, step by step, in `benchmark/versions/bands.json`.

        Raises:
            InputError: a stage refused its input, or the file is damaged.
            RebuildFailedError: a stage failed; what was measured before is kept.
        """
        facts = fingerprint(torch.device("cpu"))
        for suite in suites:
            print(f"{suite}: split", file=sys.stderr, flush=True)
            data_sha256 = self.builder.prepare(suite)
            digests = _digests(suite, variants, data_sha256)
            with _alone():
                write_bands(read_bands().without_outdated(suite, digests))
            for subject in (*variants, BASELINES):
                empty = Measurement(
                    suite=suite,
                    subject=subject,
                    machine=json_digest(facts)[:12],
                    config_sha256=digests[subject][0],
                    data_sha256=data_sha256,
                    seed=0 if subject == BASELINES else self.seeds[0],
                )
                self._measure_subject(read_bands().find(*empty.key) or empty, facts)
        return read_bands()

    def _measure_subject(self, known: Measurement, facts: Mapping[str, Any]) -> None:
        # Those of baselines are made in seconds, and not kept.
        usual: Means = {known.subject: known.seeds.get(known.seed, {})}
        missing = [setting for setting in self.settings if setting.name not in known.differences]
        if known.subject == BASELINES:
            usual = self._build(known, 0, USUAL) if missing else {}
        else:
            for seed in dict.fromkeys([known.seed, *self.seeds]):
                if seed not in known.seeds:
                    means = self._build(known, seed, USUAL)
                    usual = means if seed == known.seed else usual
                    values = {m: rounded(v, 7) for m, v in _values(means[known.subject]).items()}
                    seeds = known.seeds | {seed: values}
                    known = _keep(known.model_copy(update={"seeds": seeds}), facts)
        for setting in missing:
            found = largest_differences(self._build(known, known.seed, setting), usual)
            differences = known.differences | {setting.name: found}
            known = _keep(known.model_copy(update={"differences": differences}), facts)

    def _build(self, known: Measurement, seed: int, setting: Setting) -> Means:
        where = f"{known.suite}/{known.subject}"
        where += "" if known.subject == BASELINES else f"/seed{seed}"
        print(f"{where}: {setting.name}", file=sys.stderr, flush=True)
        return self.builder.means(known.suite, known.subject, seed, setting)


def _keep(measurement: Measurement, facts: Mapping[str, Any]) -> Measurement:
    # Read anew, so that suites can be measured side by side.
    with _alone():
        write_bands(read_bands().with_measurement(measurement, facts))
    return measurement


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes from changing the bands between reading and writing them."""
    place = os.open(BANDS.parent, os.O_RDONLY)  # the file itself is replaced
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def _digests(
    suite: str, variants: Sequence[str], data_sha256: str
) -> dict[str, tuple[str | None, str]]:
    """Return the digests of settings and data of everything that is or was measured of a suite."""
    settings = load_suite(suite)
    before = {m.subject for m in read_bands().measured if m.suite == suite}
    names = {*variants, *(before & set(names_in(paths.VARIANTS)))}
    digests: dict[str, tuple[str | None, str]] = {
        name: (training_digest(settings, load_variant(name)), data_sha256) for name in names
    }
    return digests | {BASELINES: (None, data_sha256)}


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
