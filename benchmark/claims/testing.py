"""Claims and the results of suites → a verdict on each claim, suite by suite.

All comparisons that a claim makes of one suite must hold, and one of them can refute it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal

from benchmark.claims.comparisons import (
    ClaimComparison,
    ClaimVerdict,
    UntestableError,
    compare_costs,
    compare_methods,
    compare_suites,
    read_seam_reliance,
)
from benchmark.claims.definitions import AcrossSuites, Claim, EveryVariant, Pair
from benchmark.evaluation.results import Results


@dataclass(frozen=True)
class SuiteResults:
    """The results of a suite on one machine."""

    results: Results
    machine: str = ""
    """Of reference runs; empty for the results of this checkout."""

    @property
    def name(self) -> str:
        """Suite and, of reference runs, machine."""
        name = self.results.suite.name
        return f"{name} (reference: {self.machine})" if self.machine else name


@dataclass(frozen=True)
class ClaimFinding:
    """The verdict on a claim in one place: a suite, or two suites."""

    place: str
    verdict: ClaimVerdict
    comparisons: tuple[ClaimComparison, ...]
    runs: tuple[str, ...]
    """The runs it came from, `suite/variant/seed<n>`, or `suite/baseline`."""


@dataclass(frozen=True)
class ClaimResult:
    """A claim with its verdicts."""

    claim: Claim
    findings: tuple[ClaimFinding, ...]
    untested: tuple[tuple[str, str], ...]
    """Where it could not be tested, and why; the place is empty if there are no runs at all."""

    @property
    def overall(self) -> ClaimVerdict | Literal["mixed", "not testable"]:
        """The verdict if all findings agree."""
        verdicts = {finding.verdict for finding in self.findings}
        if not verdicts:
            return "not testable"
        return verdicts.pop() if len(verdicts) == 1 else "mixed"


def evaluate_claims(
    claims: Mapping[str, Claim], suites: Sequence[SuiteResults]
) -> dict[str, ClaimResult]:
    """Test every claim on every suite that has the runs for it."""
    return {name: _evaluate(claim, suites) for name, claim in claims.items()}


def _evaluate(claim: Claim, suites: Sequence[SuiteResults]) -> ClaimResult:
    findings: list[ClaimFinding] = []
    untested: list[tuple[str, str]] = []
    possible = list(_possible_tests(claim, suites))
    for place, run_test in possible:
        try:
            findings.append(run_test())
        except UntestableError as reason:
            untested.append((place, str(reason)))
    if not possible:
        untested.append(("", _wanted_runs(claim, suites)))
    return ClaimResult(claim, tuple(findings), tuple(dict.fromkeys(untested)))


def _possible_tests(
    claim: Claim, suites: Sequence[SuiteResults]
) -> Iterator[tuple[str, Callable[[], ClaimFinding]]]:
    """Yield each place where the claim can be tested, and what tests it there."""
    for suite in suites:
        if claim.joint and not _missing_methods(claim, suite):
            yield suite.name, partial(_joint_finding, claim, suite)
        for every, variant in product(claim.all_beat, suite.results.variants):
            yield suite.name, partial(_baseline_finding, every, variant, suite)
    for pair in claim.across:
        yield f"{pair.suite} and {pair.than}", partial(_across_finding, pair, suites)


def _missing_methods(claim: Claim, suite: SuiteResults) -> list[str]:
    present = {*suite.results.variants, *suite.results.baselines}
    return [name for name in claim.methods if name not in present]


def _wanted_runs(claim: Claim, suites: Sequence[SuiteResults]) -> str:
    """Say which runs would make a claim testable, beside those of the suite that has most."""
    missing = {suite.name: _missing_methods(claim, suite) for suite in suites if claim.joint}
    nearest = min(missing, key=lambda name: len(missing[name]), default="")
    wanted = missing.get(nearest, claim.methods)
    if len(wanted) == len(claim.methods):
        runs = f" of {', '.join(claim.methods)}" if claim.methods else ""
        return f"needs runs{runs} on any one suite"
    there = ", ".join(name for name in claim.methods if name not in wanted)
    return f"needs runs of {', '.join(wanted)} on {nearest}, which has {there}"


def _joint_finding(claim: Claim, suite: SuiteResults) -> ClaimFinding:
    """Test the comparisons of one suite together: all must hold, and one can refute the claim."""
    results = suite.results
    comparisons = [compare_methods(kind, pair, results) for kind, pair in claim.pairs]
    comparisons += [compare_costs(pair, results) for pair in claim.cheaper]
    comparisons += [read_seam_reliance(reliance, results) for reliance in claim.sees_seam]
    verdicts = {comparison.verdict for comparison in comparisons}
    order: tuple[ClaimVerdict, ...] = ("refuted", "inconclusive", "supported")
    verdict = next(verdict for verdict in order if verdict in verdicts)
    return ClaimFinding(suite.name, verdict, tuple(comparisons), _runs(results, claim.methods))


def _baseline_finding(every: EveryVariant, variant: str, suite: SuiteResults) -> ClaimFinding:
    results = suite.results
    if every.baseline not in results.baselines:
        reason = results.refused.get(every.baseline, "it is not among the baselines")
        raise UntestableError(f"{every.baseline} was not run: {reason}")
    pair = Pair(metric=every.metric, variant=variant, than=every.baseline)
    comparison = compare_methods("better", pair, results)
    runs = _runs(results, (variant, every.baseline))
    return ClaimFinding(suite.name, comparison.verdict, (comparison,), runs)


def _across_finding(pair: AcrossSuites, suites: Sequence[SuiteResults]) -> ClaimFinding:
    """Compare two suites, with the results of this checkout before those of references."""
    sides = []
    for name in (pair.suite, pair.than):
        with_runs = [
            suite
            for suite in suites
            if suite.results.suite.name == name and pair.variant in suite.results.variants
        ]
        if not with_runs:
            raise UntestableError(f"needs runs of {pair.variant} on both")
        sides.append(min(with_runs, key=lambda suite: suite.machine != ""))
    comparison = compare_suites(pair, sides[0].results, sides[1].results)
    runs = [run for side in sides for run in _runs(side.results, (pair.variant,))]
    place = " against ".join(side.name for side in sides)
    return ClaimFinding(place, comparison.verdict, (comparison,), tuple(runs))


def _runs(results: Results, methods: Sequence[str]) -> tuple[str, ...]:
    suite, runs = results.suite.name, []
    for method in methods:
        seeds = results.seeds_of(method) if method in results.variants else []
        runs += [f"{suite}/{method}/seed{seed}" for seed in seeds] or [f"{suite}/{method}"]
    return tuple(runs)
