"""The default suites: what is in which split is the same everywhere."""

import json
from pathlib import Path

import pytest

from benchmark.config import load_params, load_suite
from benchmark.split import split_suite, usable_cpus

ROOT = Path(__file__).resolve().parent.parent
DIGESTS = {
    "photos": "70faa9dcd3e76bd867fb388033c6328955ef57280d4fe465b40d2037317750ef",
    "portraits": "a84795ca5b9a74d6e4afdd5a55defa232581d6323babfe08fa0f65ef067f7074",
}


@pytest.mark.parametrize("name", load_params(ROOT).suites)
def test_splits_of_the_default_suites_are_pinned(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = load_suite(name, ROOT)
    monkeypatch.chdir(tmp_path)
    assert split_suite(suite, workers=usable_cpus())["digest"] == DIGESTS[name]


@pytest.mark.parametrize("name", load_params(ROOT).suites)
def test_committed_scores_are_of_all_test_images(name: str) -> None:
    suite = load_suite(name, ROOT)
    for variant in load_params(ROOT).variants:
        path = ROOT / f"reports/metrics/{name}/{variant}/seed0.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content["checkpoint"] == suite.evaluation.checkpoint
        assert content["methods"][variant]["mse_h"]["n"] >= 100
