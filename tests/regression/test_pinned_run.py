"""A small run whose weights and metrics are pinned: whoever changes a number has to say so.

`python -m tests.regression.pin` rewrites the baseline; the change belongs under "Numbers changed"
in the changelog.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.regression.pin import BASELINE, run_pinned

Pinned = dict[str, Any]


def has_avx2() -> bool:
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


@pytest.fixture(scope="module")
def pinned_and_found() -> tuple[Pinned, Pinned]:
    return json.loads(BASELINE.read_text()), run_pinned()


@pytest.mark.promise("same_bytes")
def test_bits_are_those_of_any_processor_with_avx2(
    pinned_and_found: tuple[Pinned, Pinned],
) -> None:
    pinned, found = pinned_and_found
    if not has_avx2():
        pytest.skip("this is no x86-64 processor with AVX2")
    assert found["is_portable"]
    assert found["metrics"].keys() >= pinned["metrics"].keys()  # one that is new has no value yet
    assert {name: found["metrics"][name] for name in pinned["metrics"]} == pinned["metrics"]
    assert found["weights_sha256"] == pinned["weights_sha256"]


@pytest.mark.promise("everywhere")
def test_data_is_the_same_everywhere(pinned_and_found: tuple[Pinned, Pinned]) -> None:
    pinned, found = pinned_and_found
    assert found["data_sha256"] == pinned["data_sha256"]
