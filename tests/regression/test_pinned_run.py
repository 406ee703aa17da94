"""A small run whose metrics are pinned: whoever changes a number has to say so.

`python -m tests.regression.pin` rewrites the baseline; the change belongs under "Numbers changed"
in the changelog.
"""

import json
from typing import Any

import pytest

from benchmark.versions.diff import machine_differences
from benchmark.versions.tolerances import FACTOR
from tests.regression.pin import BASELINE, VARIANTS, run_pinned, scale

TOLERANCE = FACTOR * max(json.loads(BASELINE.read_text())["changes"].values())
"""Relative difference allowed on another machine: like the tolerances of the suites, three times
the largest change of any metric under the other settings that `tests.regression.pin` tried on the
machine that made the baseline."""


@pytest.fixture(scope="module", params=VARIANTS)
def pinned_and_found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, Any]]:
    pinned = json.loads(BASELINE.read_text())
    found = run_pinned(request.param, tmp_path_factory.mktemp(request.param))
    return {**pinned["runs"][request.param], "fingerprint": pinned["fingerprint"]}, found


@pytest.mark.promise("same_bytes")
def test_metrics(pinned_and_found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    pinned, found = pinned_and_found
    assert found["metrics"].keys() >= pinned["metrics"].keys()  # one that is new has no value yet
    reasons = machine_differences(found["fingerprint"], pinned["fingerprint"])
    different = []
    for name, expected in pinned["metrics"].items():
        found_value = found["metrics"][name]
        tolerance = TOLERANCE * scale(name, expected) if reasons else 0
        if abs(found_value - expected) > tolerance:
            different.append(f"{name}: {found_value} here, {expected} pinned, {tolerance} allowed")
    assert not different, "\n".join([*different, *reasons])
    if not reasons:
        assert found["weights_sha256"] == pinned["weights_sha256"]


@pytest.mark.promise("everywhere")
def test_data_is_the_same_everywhere(
    pinned_and_found: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    pinned, found = pinned_and_found
    assert found["data_sha256"] == pinned["data_sha256"]
