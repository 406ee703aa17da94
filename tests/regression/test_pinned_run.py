"""A small run whose metrics are pinned: whoever changes a number has to say so.

`python -m tests.regression.pin` rewrites the baseline; the change belongs under "Numbers changed"
in the changelog.
"""

import json

import pytest

from benchmark.versions.tolerances import FACTOR
from tests.regression.pin import BASELINE, VARIANTS, run_pinned

# Relative difference allowed where the fingerprint is another one: like the bands of the suites,
# three times the largest change of any metric under the other settings that `tests.regression.pin`
# tried on the machine that made the baseline.
BAND = FACTOR * max(json.loads(BASELINE.read_text())["changes"].values())


@pytest.fixture(scope="module", params=VARIANTS)
def pinned_and_found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, object], dict[str, object]]:
    pinned = json.loads(BASELINE.read_text())
    found = run_pinned(request.param, tmp_path_factory.mktemp(request.param))
    return {**pinned["runs"][request.param], "fingerprint": pinned["fingerprint"]}, found


@pytest.mark.promise("same_bytes")
def test_metrics(pinned_and_found: tuple[dict[str, object], dict[str, object]]) -> None:
    pinned, found = pinned_and_found
    assert isinstance(pinned["metrics"], dict) and isinstance(found["metrics"], dict)
    # One that was added since has no pinned value.
    metrics = {name: found["metrics"].get(name) for name in pinned["metrics"]}
    if found["fingerprint"] == pinned["fingerprint"]:
        assert metrics == pinned["metrics"]
        assert found["weights_sha256"] == pinned["weights_sha256"]
    else:
        assert metrics == pytest.approx(pinned["metrics"], rel=BAND)


@pytest.mark.promise("everywhere")
def test_data_is_the_same_everywhere(
    pinned_and_found: tuple[dict[str, object], dict[str, object]],
) -> None:
    pinned, found = pinned_and_found
    assert found["data_sha256"] == pinned["data_sha256"]
