"""What the results at hand say of the authors' claims, place by place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal

from benchmark.claims.definitions import Claim, EveryVariant, Pair, SuitePair
from benchmark.claims.evidence import (
    Evidence,
    UntestableError,
    Verdict,
    cost_evidence,
    pair_evidence,
    seam_evidence,
    suite_evidence,
)
from benchmark.evaluation.results import Results


@dataclass(frozen=True)
class Ground:
    """Results on which claims are tested."""

    results: Results
    machine: str = ""
    """Of reference runs; empty for the results of this checkout."""

    @property
    def name(self) -> str:
        """Suite and, of reference runs, machine."""
        name = self.results.suite.name
        return f"{name} (reference: {self.machine})" if self.machine else name


@dataclass(frozen=True)
class Finding:
    """What one place says of a claim."""

    place: str
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    runs: tuple[str, ...]
    """The runs it came from, `suite/variant/seed<n>`, or `suite/baseline`."""


@dataclass(frozen=True)
class Tested:
    """All that is known of a claim."""

    claim: Claim
    findings: tuple[Finding, ...]
    untested: tuple[tuple[str, str], ...]
    """Where it could not be tested, and why; nowhere in particular if it has no runs at all."""

    @property
    def overall(self) -> Verdict | Literal["mixed", "not testable"]:
        """The verdict if all findings agree."""
        verdicts = {finding.verdict for finding in self.findings}
        if not verdicts:
            return "not testable"
        return verdicts.pop() if len(verdicts) == 1 else "mixed"


def weigh_claims(claims: Mapping[str, Claim], grounds: Sequence[Ground]) -> dict[str, Tested]:
    """Test claims wherever the runs for them are."""
    return {name: _weigh(claim, grounds) for name, claim in claims.items()}


def _weigh(claim: Claim, grounds: Sequence[Ground]) -> Tested:
    trials: list[tuple[str, Callable[[], Finding]]] = []
    lacking: dict[str, list[str]] = {}
    for ground in grounds:
        if claim.joint:
            present = {*ground.results.variants, *ground.results.baselines}
            lacking[ground.name] = [name for name in claim.methods if name not in present]
            if not lacking[ground.name]:
                trials.append((ground.name, partial(_joint_finding, claim, ground)))
        for every, variant in product(claim.all_beat, ground.results.variants):
            trials.append((ground.name, partial(_beating, every, variant, ground)))
    for pair in claim.across:
        trials.append((f"{pair.suite} and {pair.than}", partial(_suite_finding, pair, grounds)))
    findings: list[Finding] = []
    untested: list[tuple[str, str]] = []
    for place, trial in trials:
        try:
            findings.append(trial())
        except UntestableError as reason:
            untested.append((place, str(reason)))
    if not trials:
        untested.append(("", _wanted(claim.methods, lacking)))
    return Tested(claim, tuple(findings), tuple(dict.fromkeys(untested)))


def _wanted(methods: Sequence[str], lacking: Mapping[str, Sequence[str]]) -> str:
    """Say which runs would make a claim testable, beside those of the suite that has most."""
    ground = min(lacking, key=lambda name: len(lacking[name]), default="")
    missing = lacking.get(ground, methods)
    if len(missing) == len(methods):
        runs = f" of {', '.join(methods)}" if methods else ""
        return f"needs runs{runs} on any one suite"
    there = ", ".join(name for name in methods if name not in missing)
    return f"needs runs of {', '.join(missing)} on {ground}, which has {there}"


def combined(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on a prediction of several parts: all must hold, and one can refute it."""
    if "refuted" in verdicts:
        return "refuted"
    return "inconclusive" if "inconclusive" in verdicts else "supported"


def _joint_finding(claim: Claim, ground: Ground) -> Finding:
    results = ground.results
    evidence = [pair_evidence(kind, pair, results) for kind, pair in claim.pairs]
    evidence += [cost_evidence(pair, results) for pair in claim.cheaper]
    evidence += [seam_evidence(judge, results) for judge in claim.sees_seam]
    verdict = combined([part.verdict for part in evidence])
    return Finding(ground.name, verdict, tuple(evidence), _runs(results, claim.methods))


def _beating(every: EveryVariant, variant: str, ground: Ground) -> Finding:
    results = ground.results
    if every.baseline not in results.baselines:
        reason = results.refused.get(every.baseline, "it is not among the baselines")
        raise UntestableError(f"{every.baseline} was not run: {reason}")
    pair = Pair(metric=every.metric, variant=variant, than=every.baseline)
    found = pair_evidence("better", pair, results)
    runs = _runs(results, (variant, every.baseline))
    return Finding(ground.name, found.verdict, (found,), runs)


def _suite_finding(pair: SuitePair, grounds: Sequence[Ground]) -> Finding:
    """Compare two suites, those of this checkout before those of references."""
    sides = []
    for suite in (pair.suite, pair.than):
        with_runs = [
            ground
            for ground in grounds
            if ground.results.suite.name == suite and pair.variant in ground.results.variants
        ]
        if not with_runs:
            raise UntestableError(f"needs runs of {pair.variant} on both")
        sides.append(min(with_runs, key=lambda ground: ground.machine != ""))
    found = suite_evidence(pair, sides[0].results, sides[1].results)
    runs = [run for side in sides for run in _runs(side.results, (pair.variant,))]
    place = " against ".join(side.name for side in sides)
    return Finding(place, found.verdict, (found,), tuple(runs))


def _runs(results: Results, methods: Sequence[str]) -> tuple[str, ...]:
    suite, runs = results.suite.name, []
    for method in methods:
        seeds = results.seeds_of(method) if method in results.variants else []
        runs += [f"{suite}/{method}/seed{seed}" for seed in seeds] or [f"{suite}/{method}"]
    return tuple(runs)
