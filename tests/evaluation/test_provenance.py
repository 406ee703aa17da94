"""What the report says of where runs come from."""

from typing import Any

import pytest

from benchmark.core.hashing import json_digest
from benchmark.core.portable import ANY_CPU
from benchmark.evaluation.provenance import Origin, exactness, version_of
from benchmark.reporting.markdown import markdown_blocks
from benchmark.reporting.sections.suite.origins import origins_table

pytestmark = pytest.mark.promise("provenance")
CPU = {
    "cpu": "Some CPU",
    "cpu_capability": "AVX2",
    "device": "cpu",
    "threads": 2,
    "libraries": {"torch": "2.14.1", "numpy": "2.4.6"},
}
ANY = CPU | {"cpu": ANY_CPU}
GPU = CPU | {"device": "cuda", "gpu": "Some GPU", "driver": "570"}
TRAINING = {
    "code_sha256": "c" * 64,
    "config_sha256": "f" * 64,
    "data_sha256": "d" * 64,
    "weights_sha256": "a" * 64,
    "environment": CPU,
}
COMMIT = "0123456789abcdef"


def _record(of: str, **changes: Any) -> dict[str, Any]:
    return {"commit": COMMIT, "dirty": False, "result_sha256": of} | changes


def _origin(**changes: Any) -> Origin:
    given: dict[str, Any] = {
        "provenance": {"training": TRAINING, "evaluation": GPU},
        "versions": {
            "training": _record(json_digest(TRAINING)),
            "evaluation": _record("s", dirty=True),
        },
        "evaluation_sha256": "s",
    }
    return Origin(**given | changes)


def _cells(origin: Origin) -> list[str]:
    line = markdown_blocks(origins_table({("l2", 0): origin}, True)).splitlines()[2]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_row_names_commits_digests_and_machines() -> None:
    assert _cells(_origin()) == [
        *("l2, seed 0", "E1", "0123456789ab", "0123456789ab+"),
        *("c" * 12, "f" * 12, "d" * 12, "a" * 12, "1 / 2"),
    ]


def test_machines_are_listed_once_with_their_libraries() -> None:
    origins = {("l2", seed): _origin() for seed in (0, 1)}
    lines = markdown_blocks(origins_table(origins, True)).splitlines()
    assert [line for line in lines if line[:1].isdigit()] == [
        "1. Some CPU, AVX2, 2 threads, ? ?, Python ?, numpy 2.4.6, torch 2.14.1",
        "2. Some GPU, 570, Some CPU, AVX2, 2 threads, ? ?, Python ?, numpy 2.4.6, torch 2.14.1",
    ]


def test_record_of_another_result_counts_as_none() -> None:
    assert _cells(_origin(evaluation_sha256="other"))[3] == "not recorded"
    changed = {"training": TRAINING | {"weights_sha256": "b"}, "evaluation": CPU}
    assert _cells(_origin(provenance=changed))[2:4] == ["not recorded", "0123456789ab+"]
    assert _cells(_origin(versions={}))[2:4] == ["not recorded"] * 2


def test_unknown_commit_is_not_recorded() -> None:
    records = {"training": _record("w", commit=None, dirty=None)}
    assert version_of(records, "training", "w") == "not recorded"


@pytest.mark.parametrize(
    ("trained_on", "scored_on", "deterministic", "expected"),
    [
        (CPU, CPU, True, "E0"),
        (ANY, ANY, True, "P"),
        (ANY, CPU, True, "E0"),
        (CPU, CPU, False, "E0"),
        (GPU, GPU, True, "E1"),
        (GPU, CPU, True, "E1"),
        (CPU, GPU, True, "E1"),
        (GPU, GPU, False, "—"),
        (CPU, GPU, False, "—"),
    ],
)
def test_class_is_that_of_the_devices(
    trained_on: dict[str, Any], scored_on: dict[str, Any], deterministic: bool, expected: str
) -> None:
    provenance = {"training": {"environment": trained_on}, "evaluation": scored_on}
    assert exactness(provenance, deterministic) == expected


def test_machine_facts_are_text() -> None:
    hostile = CPU | {"cpu": "<b>|`x`"}
    origin = _origin(provenance={"training": {"environment": hostile}})
    assert "<b>" not in markdown_blocks(origins_table({("l2", 0): origin}, True))
