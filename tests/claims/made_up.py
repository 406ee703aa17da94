"""Made-up results of suites, and claims about them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from benchmark.claims.definitions import Claim
from benchmark.claims.testing import ClaimFinding, ClaimResult, evaluate_claims
from benchmark.evaluation.results import Results
from models.baselines import BASELINES
from tests.support.tiny import tiny_suite

NUM_IMAGES = 8
WOBBLE = np.array([-3.0, -2.0, -1.0, 0.0, 0.0, 1.0, 2.0, 3.0])
"""Adds nothing to a mean, and has a variance of 4."""
PSNR = np.linspace(18, 25, NUM_IMAGES)


def results(
    scores: Mapping[str, ArrayLike],
    metric: str = "psnr_h",
    seeds: dict[str, list[int]] | None = None,
    name: str = "tiny",
    **others: Any,
) -> Results:
    """Return the results of a suite from each method's scores, `[images]` or `[seeds, images]`.

    The methods telea and biharmonic are baselines.
    """
    rows: list[dict[str, Any]] = []
    trained: dict[str, list[int]] = {}
    for method, values in scores.items():
        table = np.atleast_2d(np.asarray(values, dtype=np.float64))
        used = (seeds or {}).get(method, [*range(len(table))])
        trained |= {} if method in BASELINES else {method: used}
        for seed, row in zip(used, table, strict=True):
            keys = {"method": method, "seed": seed, "mask": "0" * 16, "hole_px": 256, "label": ""}
            rows += [keys | {"image": f"{i:016x}", metric: v} for i, v in enumerate(row)]
    facts: dict[str, Any] = {"missing": {}, "refused": {}, "epochs": {}, "diagnoses": {}}
    facts |= {"flops": {}, "set_level": {}, "origins": {}}
    facts["curves"] = {(v, s): pd.DataFrame() for v, used in trained.items() for s in used}
    return Results(
        suite=tiny_suite(name=name),
        variants=tuple(trained),
        baselines=tuple(method for method in scores if method in BASELINES),
        seeds=tuple(dict.fromkeys(seed for used in trained.values() for seed in used)),
        frame=pd.DataFrame(rows),
        **(facts | others),
    )


def claim(**tests: Any) -> Claim:
    source = {"who": "someone", "claim": "It is so.", "origin": "ours", "where": "here"}
    return Claim.model_validate(source | tests)


def pair(metric: str = "psnr_h", variant: str = "ours", than: str = "theirs") -> list[Any]:
    return [{"metric": metric, "variant": variant, "than": than}]


def evaluated(tested: Claim, *suites: Results) -> ClaimResult:
    return evaluate_claims({"c": tested}, [(found.suite.name, found) for found in suites])["c"]


def only(tested: Claim, *suites: Results) -> ClaimFinding:
    """Return the one finding of a claim."""
    (finding,) = evaluated(tested, *suites).findings
    return finding


def reason(tested: Claim, *suites: Results) -> str:
    """Return the one reason for which a claim is not testable."""
    found = evaluated(tested, *suites)
    assert found.findings == () and found.overall == "not testable"
    ((_, text),) = found.untested
    return text
