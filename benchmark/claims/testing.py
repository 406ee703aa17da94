"""Claims and the results of suites → a verdict on each claim, suite by suite."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from benchmark.claims.budgets import budget_shares
from benchmark.claims.comparisons import (
    ClaimComparison,
    UntestableError,
    compare_costs,
    compare_methods,
    compare_suites,
    require_baseline,
)
from benchmark.claims.definitions import AcrossSuites, Claim, Detail, EveryVariant, Pair
from benchmark.claims.records import (
    compare_area,
    compare_choice,
    compare_contexts,
    compare_gain,
    compare_refilled,
    compare_specificity,
    read_probing,
    read_seam,
)
from benchmark.claims.trends import compare_to_ideal, compare_trend, correlate
from benchmark.claims.verdicts import (
    ClaimVerdict,
    OverallVerdict,
    joint_verdict,
    overall_verdict,
)
from benchmark.core.config import Suite
from benchmark.evaluation.results import Results
from benchmark.stats.rulebook import Effect, family

COMPARE: Mapping[str, tuple[Callable[[Any, Results], ClaimComparison], ...]] = {
    **{kind: (partial(compare_methods, kind),) for kind in ("better", "differ", "as_good")},
    **{kind: (partial(read_probing, kind),) for kind in ("finds", "misses")},
    "cheaper": (compare_costs,),
    "psnr_rises": (compare_trend,),
    "near_ideal": (compare_to_ideal,),
    "sees_seam": (partial(read_seam, "alone"), partial(read_seam, "more")),
    "more_specific": (compare_specificity,),
    "chooses_worse": (compare_choice,),
    "ignores_context": (compare_contexts,),
    "needs_gain": (compare_gain,),
    "refines": (compare_refilled,),
}
"""What tests each kind of comparison within a suite; all must hold."""
ARITHMETIC = "arithmetic"
"""The place of a claim that needs no runs."""
Place = tuple[str, Results]
"""What a place with results is called, and the results of its suite."""


@dataclass(frozen=True)
class ClaimFinding:
    """The verdict on a claim in one place: a suite, or two suites."""

    place: str
    comparisons: tuple[ClaimComparison, ...]
    runs: tuple[str, ...]
    """The runs it came from, `suite/variant/seed<n>`, or `suite/baseline`."""
    shares: tuple[float, ...] = ()
    """Of the authors' budget that the variants had, where it is known."""
    suites: tuple[Suite, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether all comparisons are."""
        return all(comparison.is_exact for comparison in self.comparisons)

    @property
    def on_datasets(self) -> bool:
        """Whether all suites have images of a dataset, and not the benchmark's own."""
        return bool(self.suites) and all(suite.source.needs_folder for suite in self.suites)

    @property
    def verdict(self) -> ClaimVerdict:
        """All comparisons must hold."""
        return joint_verdict(comparison.verdict for comparison in self.comparisons)


@dataclass(frozen=True)
class ClaimResult:
    """A claim with its verdicts."""

    claim: Claim
    findings: tuple[ClaimFinding, ...]
    untested: tuple[tuple[str, str], ...]
    """Where it could not be tested, and why; the place is empty if there are no runs at all."""

    @property
    def overall(self) -> OverallVerdict:
        """The verdict if all findings agree."""
        return overall_verdict(finding.verdict for finding in self.findings)


def evaluate_claims(claims: Mapping[str, Claim], places: Sequence[Place]) -> dict[str, ClaimResult]:
    """Test every claim in every place that has the runs for it, this checkout's before others.

    All comparisons together are one family: with a probability of 5 % any verdict is false.
    """
    found = {name: _evaluate(claim, places) for name, claim in claims.items()}
    findings = [finding for result in found.values() for finding in result.findings]
    # What is exact is not tested.
    tested = [c.effect for f in findings for c in f.comparisons if c.effect.interval.parts]
    adjusted = iter(family(tested))
    return {name: _adjusted(result, adjusted) for name, result in found.items()}


def _adjusted(result: ClaimResult, effects: Iterator[Effect]) -> ClaimResult:
    """Return a result with the next adjusted effects in place of its own."""
    findings = []
    for finding in result.findings:
        comparisons = tuple(
            replace(c, effect=next(effects)) if c.effect.interval.parts else c
            for c in finding.comparisons
        )
        findings.append(replace(finding, comparisons=comparisons))
    return replace(result, findings=tuple(findings))


def _evaluate(claim: Claim, places: Sequence[Place]) -> ClaimResult:
    findings: list[ClaimFinding] = []
    untested: list[tuple[str, str]] = []
    possible = list(_possible_tests(claim, places))
    for place, run_test in possible:
        try:
            findings.append(run_test())
        except UntestableError as reason:
            untested.append((place, str(reason)))
    if claim.is_compared and not possible:
        untested.append(("", _wanted_runs(claim, places)))
    if claim.needs:
        untested.append(("", f"needs {claim.needs}"))
    return ClaimResult(claim, tuple(findings), tuple(dict.fromkeys(untested)))


def _possible_tests(
    claim: Claim, places: Sequence[Place]
) -> Iterator[tuple[str, Callable[[], ClaimFinding]]]:
    """Yield each place where the claim can be tested, and what tests it there."""
    for place, results in places:
        if claim.methods and not _missing_methods(claim, results):
            yield place, partial(_joint_finding, claim, place, results)
        for every, variant in product(claim.all_beat, results.variants):
            yield place, partial(_baseline_finding, every, variant, place, results)
        for detail, variant in product(claim.all_follow, results.variants):
            yield place, partial(_detail_finding, detail, variant, place, results)
    for pair in claim.across:
        yield f"{pair.suite} and {pair.than}", partial(_across_finding, pair, places)
    for area in claim.covers:
        yield ARITHMETIC, partial(ClaimFinding, ARITHMETIC, (compare_area(area),), ())


def _missing_methods(claim: Claim, results: Results) -> list[str]:
    present = {*results.variants, *results.baselines}
    return [name for name in claim.methods if name not in present]


def _wanted_runs(claim: Claim, places: Sequence[Place]) -> str:
    """Say which runs would make a claim testable, beside those of the suite that has most."""
    missing = {place: _missing_methods(claim, results) for place, results in places}
    nearest = min(missing, key=lambda place: len(missing[place]), default="")
    wanted = missing.get(nearest, claim.methods)
    if len(wanted) == len(claim.methods):
        runs = f" of {', '.join(claim.methods)}" if claim.methods else ""
        return f"needs runs{runs} on any one suite"
    there = ", ".join(name for name in claim.methods if name not in wanted)
    return f"needs runs of {', '.join(wanted)} on {nearest}, which has {there}"


def _joint_finding(claim: Claim, place: str, results: Results) -> ClaimFinding:
    comparisons = [test(entry, results) for kind, entry in claim.joint for test in COMPARE[kind]]
    return _finding(place, comparisons, [(results, claim.methods)])


def _baseline_finding(
    every: EveryVariant, variant: str, place: str, results: Results
) -> ClaimFinding:
    require_baseline(every.baseline, results)
    pair = Pair(metric=every.metric, variant=variant, than=every.baseline, margin=every.margin)
    comparison = compare_methods("better", pair, results)
    return _finding(place, [comparison], [(results, (variant, every.baseline))])


def _detail_finding(detail: Detail, variant: str, place: str, results: Results) -> ClaimFinding:
    comparison = correlate(detail, variant, results)
    return _finding(place, [comparison], [(results, (variant, detail.baseline))])


def _across_finding(pair: AcrossSuites, places: Sequence[Place]) -> ClaimFinding:
    """Compare two suites, each in the first place that has runs."""
    sides = []
    for name in (pair.suite, pair.than):
        for place, results in places:
            if results.suite.name == name and pair.variant in results.variants:
                sides.append((place, results))
                break
        else:
            raise UntestableError(f"needs runs of {pair.variant} on both")
    (place, ours), (other_place, other) = sides
    methods = (pair.variant, pair.over)
    comparison = compare_suites(pair, ours, other)
    where = f"{place} against {other_place}"
    return _finding(where, [comparison], [(ours, methods), (other, methods)])


def _finding(
    place: str,
    comparisons: Sequence[ClaimComparison],
    sides: Sequence[tuple[Results, Sequence[str]]],
) -> ClaimFinding:
    """Return what comparisons say of some methods on one suite, or on each of two."""
    return ClaimFinding(
        place=place,
        comparisons=tuple(comparisons),
        runs=tuple(run for side in sides for run in _runs(*side)),
        shares=tuple(share for side in sides for share in budget_shares(*side)),
        suites=tuple(results.suite for results, _ in sides),
    )


def _runs(results: Results, methods: Sequence[str]) -> tuple[str, ...]:
    suite, runs = results.suite.name, []
    for method in methods:
        seeds = results.seeds_of(method) if method in results.variants else []
        runs += [f"{suite}/{method}/seed{seed}" for seed in seeds] or [f"{suite}/{method}"]
    return tuple(runs)
