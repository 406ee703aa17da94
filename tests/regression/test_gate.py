"""The results of this checkout against those of its last commit, by the gate."""

from pathlib import Path

import pytest

from benchmark.versions.gate import check_gate, gate_text
from benchmark.versions.snapshot import open_version
from data.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.promise("gate")
def test_results_are_no_worse_than_those_of_the_last_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    try:
        with open_version("HEAD"):
            pass
    except InputError as error:
        pytest.skip(f"there is no commit of this checkout to compare with: {error}")
    with open_version("HEAD") as base, open_version(".") as new:
        result = check_gate(base, new)
    assert result.failures == (), gate_text(result)
    assert result.checked > 0
