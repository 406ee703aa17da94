"""Results of suites and reference runs in; what the report's sections are made from out."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from benchmark.claims.testing import ClaimResult
from benchmark.core.config import Params, load_variant
from benchmark.core.paths import REFERENCES
from benchmark.core.portable import ANY_CPU
from benchmark.core.yaml_files import load
from benchmark.evaluation.curves import Key
from benchmark.evaluation.reference_runs import Reference
from benchmark.evaluation.results import Results, read_results
from benchmark.metrics.registry import METRICS, Column
from benchmark.reporting.budget import Budget, budget_clause, budgets, training_flops
from benchmark.reporting.figures.pictures import Pictures
from benchmark.reporting.figures.style import Style, styles_of
from benchmark.reporting.tables import Leaderboard, leaderboard
from benchmark.reporting.throughput import Throughput, forward_name, step_name
from benchmark.reporting.verdicts import PERCEPTUAL, Verdicts, best_of
from benchmark.stats.intervals import Spread
from benchmark.training.describe import generator_parameters
from benchmark.versions.tolerances import read_tolerances
from data.errors import InputError
from models.variant import Variant

PARAMETERS, FLOPS, IMAGES_SEEN = "params (M)", "GFLOP", "images seen"
TRAINED, INFERENCE = "trained images/s", "ms/image"
COSTS = (Column(PARAMETERS, "lower", 2), Column(FLOPS, "lower", 3), Column(IMAGES_SEEN, "lower", 0))
TIMES = (Column(TRAINED, "higher", 0), Column(INFERENCE, "lower", 2))


@dataclass(frozen=True)
class SuiteReport:
    """The results of a suite, of this checkout or of reference runs."""

    results: Results
    styles: Mapping[str, Style]
    """Of the variants of all suites."""
    pictures: Pictures | None = None
    """Completed images; reference runs have none."""
    reference: Reference | None = None
    """Where the results come from, if not from this checkout."""
    throughput: Throughput | None = None
    """What was timed, with images of a size of its own; the only source of any time."""

    @cached_property
    def verdicts(self) -> Verdicts:
        """The comparisons of its methods, and what they say."""
        return Verdicts(self.results, self._withheld)

    @property
    def _withheld(self) -> str:
        if self.reference is None or not self.reference.outdated:
            return ""
        maker = self.reference.facts.version or "an earlier version"
        return (
            f"Made by {maker}, whose settings of {', '.join(self.reference.outdated)} differ from "
            "the present ones: no verdict is drawn from these runs."
        )

    @cached_property
    def board(self) -> Leaderboard:
        """The table of its headline metrics."""
        return leaderboard(self.results, self.verdicts)

    @cached_property
    def costs(self) -> dict[str, dict[str, float]]:
        """What each variant took, by the columns of `COSTS` and `TIMES`; NaN where not known."""
        flops = self.results.flops
        return {
            name: {
                PARAMETERS: _parameters(self, name) / 1e6,
                FLOPS: flops.get(name, math.nan) / 1e9,
                IMAGES_SEEN: _images_seen(self.results, name),
                **_times(self, name),
            }
            for name in self.results.variants
        }

    @property
    def cost_columns(self) -> tuple[Column, ...]:
        """The costs that are shown: times where there are any."""
        return COSTS if self.throughput is None else (*COSTS, *TIMES)

    @cached_property
    def settings(self) -> dict[str, Variant]:
        """The variants as they were trained, by name, of which the present code can read."""
        found = {}
        for name in self.results.variants:
            with suppress(InputError):
                found[name] = _settings(self.reference, name)
        return found

    @cached_property
    def training_flops(self) -> dict[Key, NDArray[np.float64]]:
        """Operations of the whole training until each epoch's end, by variant and seed."""
        return training_flops(self.results, self.settings)

    @cached_property
    def budgets(self) -> dict[str, Budget]:
        """What the training of each variant took."""
        return budgets(self.results, self.settings, self.training_flops)

    @property
    def headline(self) -> str:
        """What is said first of the suite, after how much training, and what perception says."""
        if self.verdicts.withheld:
            return self.verdicts.headline
        said = [self.verdicts.headline]
        if clause := budget_clause(self.budgets.values()):
            said.append(f"This is after {clause}.")
        sides = self.results.variants, self.results.baselines
        best, strongest = (best_of(self.results, names, PERCEPTUAL) for names in sides)
        if best and strongest:
            said.append(
                f"By {PERCEPTUAL} the best variant is {best[0]}, {best[1]:.4f}, and the best "
                f"baseline {strongest[0]}, {strongest[1]:.4f}."
            )
        return " ".join(said)

    @property
    def title(self) -> str:
        """The suite's title and, of reference runs, where they come from."""
        title = self.results.suite.title
        return title if self.reference is None else f"{title} ({origin_of(self.reference)})"

    @property
    def name(self) -> str:
        """By which links find its section; different for every one of a report."""
        if self.reference is not None:
            return f"reference-{self.reference.name}"
        return self.results.suite.name

    @property
    def is_dataset(self) -> bool:
        """Whether its images are those of a dataset, and not the benchmark's own."""
        return self.results.suite.source.needs_folder

    @property
    def file(self) -> str:
        """The beginning of the names of its files, below `reports/tables/` and `figures/`."""
        return f"reference/{self.reference.name}" if self.reference else self.results.suite.name


@dataclass(frozen=True)
class Report:
    """Everything that the report shows."""

    params: Params
    local: Sequence[SuiteReport]
    """Suites of this checkout."""
    references: Sequence[SuiteReport]
    tested: Mapping[str, ClaimResult]
    """The authors' claims."""
    throughput: Throughput | None = None
    """What was timed on one machine."""

    @property
    def suites(self) -> Sequence[SuiteReport]:
        """All of them, those that say most first.

        Datasets come before the images that the benchmark itself has or draws, and what has no
        verdicts comes last.
        """
        every = (*self.local, *self.references)
        return sorted(
            every, key=lambda suite: (bool(suite.verdicts.withheld), not suite.is_dataset)
        )


def suite_reports(
    results: Sequence[Results],
    references: Sequence[Reference],
    pictures: Sequence[Pictures | None],
    throughput: Throughput | None = None,
) -> tuple[list[SuiteReport], list[SuiteReport]]:
    """Return the reports of suites and of reference runs, in which a variant looks the same.

    Args:
        results: of the suites of this checkout.
        references: reference runs.
        pictures: for each suite, its completed images.
        throughput: what was timed, which is said of the suites of this checkout.
    """
    everything = [*results, *(found.results for found in references)]
    styles = styles_of(name for one in everything for name in one.variants)
    local = [
        SuiteReport(one, styles, shown, throughput=throughput)
        for one, shown in zip(results, pictures, strict=True)
    ]
    return local, [SuiteReport(one.results, styles, reference=one) for one in references]


def origin_of(reference: Reference) -> str:
    """Return what tells reference runs from those of this checkout: the machine, if it matters."""
    return "reference" if reference.machine == ANY_CPU else f"reference: {reference.machine}"


def _settings(reference: Reference | None, name: str) -> Variant:
    if reference is None:
        return load_variant(name)
    return load(Variant, REFERENCES / reference.name / "variants" / f"{name}.yaml", name=name)


def _parameters(suite: SuiteReport, name: str) -> float:
    """Return the parameters of a generator, if it can still be built."""
    try:
        return generator_parameters(suite.results.suite, suite.settings[name])
    except (KeyError, InputError):
        return math.nan


def _times(suite: SuiteReport, name: str) -> dict[str, float]:
    """Return the times of a variant: its training step's, and its generator's forward pass."""
    found, settings = suite.throughput, suite.settings.get(name)
    if found is None or settings is None:
        return {TRAINED: math.nan, INFERENCE: math.nan}
    spec = settings.generator
    step = found.subjects.get(step_name(name))
    forward = found.subjects.get(forward_name("generator", spec.network, spec.options))
    return {
        TRAINED: math.nan if step is None else step.images_per_s,
        INFERENCE: math.nan if forward is None else forward.ms_per_image,
    }


def _images_seen(results: Results, name: str) -> float:
    """Return how many images a variant had been trained on at the checkpoint that was scored."""
    seen = []
    for seed in results.seeds_of(name):
        curve = results.curves[name, seed]
        if "images_seen" not in curve:
            return math.nan
        seen.append(int(curve["images_seen"].iloc[results.epochs[name, seed] - 1]))
    return round(fmean(seen))


def local_results(params: Params) -> list[Results]:
    """Read the results of the selected suites, with what is known of the spread between seeds.

    Raises:
        InputError: a file of one of the runs is missing or damaged.
    """
    found = [read_results(params, name) for name in params.suites]
    return [replace(results, spreads=_measured_spreads(results)) for results in found]


def _measured_spreads(results: Results) -> dict[tuple[str, str], Spread]:
    """Return the spreads that were measured with the settings and images of these results."""
    tolerances, suite, spreads = read_tolerances(), results.suite.name, {}
    for variant in results.variants:
        origins = [
            origin.provenance["training"]
            for (name, _), origin in results.origins.items()
            if name == variant
        ]
        for metric in METRICS:
            if spread := tolerances.spread(suite, variant, metric, origins):
                spreads[variant, metric] = spread
    return spreads
