"""The selection of params.yaml: what is asked of it, and the file that is written."""

from pathlib import Path

import pytest
import torch

from benchmark.core.config import Params, load_params, load_suite, load_variant
from benchmark.core.paths import PARAMS, SUITES, VARIANTS, Run
from benchmark.core.selection import (
    params_text,
    read_selection,
    selection_content,
    selection_text,
    with_suite,
    without_suite,
    write_selection,
)
from benchmark.training.gan import build_networks
from data.errors import InputError
from tests.support.tiny import ROOT

BOTH = Params.of_product(["portraits", "photos"], ["l2", "binary"], [0])
SHORT = "photos: {variants: [l2], seeds: [3]}\nportraits: {variants: [l2, binary]}\n"


@pytest.fixture(autouse=True)
def in_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def runs(selection: Params) -> list[str]:
    return [str(run) for run in selection.all_runs]


def test_runs_of_a_suite_are_replaced_and_the_others_stay_where_they_are() -> None:
    found = with_suite(BOTH, "portraits", ["staged"], [0, 2])
    assert found.suites == ("portraits", "photos")
    assert found.runs_of("portraits") == (
        Run("portraits", "staged", 0),
        Run("portraits", "staged", 2),
    )
    assert found.runs_of("photos") == BOTH.runs_of("photos")
    assert runs(with_suite(BOTH, "cifar10", ["l2"], [0]))[-1] == "cifar10/l2/seed0"
    assert with_suite(BOTH, "photos", ["l2", "binary"], [0]) == BOTH


def test_a_suite_is_taken_out_unless_it_is_the_last_one() -> None:
    found = without_suite(BOTH, "portraits")
    assert found == Params.of_product(["photos"], ["l2", "binary"], [0])
    with pytest.raises(InputError, match="photos is all that is selected; select another one"):
        without_suite(found, "photos")
    with pytest.raises(InputError, match="'cifar10' is not selected; selected are portraits, pho"):
        without_suite(BOTH, "cifar10")


@pytest.mark.parametrize(
    ("suite", "variants", "seeds", "message"),
    [
        ("portrait", ["l2"], [0], "no suite 'portrait' in .* Did you mean portraits?"),
        ("photos", ["l2", "binry"], [0], "no variant 'binry' in .* Did you mean binary?"),
        ("photos", [""], [0], "no variant '' in "),
        ("photos", ["l2", "l2"], [0], "photos: a variant is named twice: l2, l2"),
        ("photos", ["l2"], [1, 1], "photos: a seed is named twice: 1, 1"),
    ],
)
def test_wrong_names_are_refused(
    suite: str, variants: list[str], seeds: list[int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        with_suite(BOTH, suite, variants, seeds)


def test_file_is_that_of_the_checkout() -> None:
    assert params_text(load_params()) == (ROOT / PARAMS).read_text()


def test_what_is_written_is_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, names in ((SUITES, ("photos", "null")), (VARIANTS, ("l2", "true", "on"))):
        (tmp_path / folder).mkdir(parents=True)
        for name in names:  # some of which YAML takes for no text
            (tmp_path / folder / f"{name}.yaml").touch()
    monkeypatch.chdir(tmp_path)
    selection = Params.of_product(["photos", "null"], ["true", "on", "l2"], [7, 2**31 - 1])
    write_selection(selection)
    assert load_params() == selection
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [PARAMS.name]


def test_short_file_names_variants_and_seeds_by_suite(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text(SHORT)
    found = read_selection(path)
    expected = ["photos/l2/seed3", "portraits/l2/seed0", "portraits/binary/seed0"]
    assert runs(found) == expected and found.suites == ("photos", "portraits")
    path.write_text(params_text(found))
    assert read_selection(path) == found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}\n", "no suite is selected; name one with its variants"),
        ("- photos\n", "expected keys and values, found list"),
        ("photos: [l2]\n", "photos: Input should be"),
        ("photos: {seeds: [0]}\n", "photos: variants: this key is missing"),
        ("photos: {variants: []}\n", "photos: variants: Tuple should have at least 1"),
        ("photos: {variant: [l2]}\n", r"photos: .*variant: unknown key, did you mean variants\?"),
        ("photos: {variants: [l2], seeds: [-1]}\n", r"photos: seeds.0: .*\(it is -1\)"),
        ("photo: {variants: [l2]}\n", r"no suite 'photo' in .*\. Did you mean photos\?"),
        ("photos: {variants: [binry]}\n", r"no variant 'binry' in .*\. Did you mean binary\?"),
        ("suites: [photos]\nruns: {a: {suite: photos, variant: l2, seed: 0}}\n", "photos-l2-0"),
        (
            "suites: [photos]\nruns: {photos-no-0: {suite: photos, variant: no, seed: 0}}\n",
            "no variant 'no'",
        ),
    ],
)
def test_wrong_file_is_refused_in_one_line(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as refusal:
        read_selection(path)
    assert str(refusal.value).startswith(f"{path}: ") and "\n" not in str(refusal.value)


def test_selection_is_shown_by_suite() -> None:
    mixed = with_suite(with_suite(BOTH, "photos", ["l2"], [0, 1]), "cifar10", ["l2"], [0])
    assert selection_text(mixed) == (
        "portraits: 2 runs: l2, binary (seeds 0)\n"
        "photos: 2 runs: l2 (seeds 0, 1)\n"
        "cifar10: 1 run: l2 (seeds 0)\n"
        "5 runs in all; `dvc repro` builds what is missing of them\n"
    )
    uneven = mixed.model_copy(update={"runs": dict([*mixed.runs.items()][1:])})
    assert selection_content(uneven) == {
        "runs": 4,
        "suites": {"portraits": {"binary": [0]}, "photos": {"l2": [0, 1]}, "cifar10": {"l2": [0]}},
    }


@pytest.mark.parametrize("path", sorted((ROOT / "selections").glob("*.yaml")), ids=lambda p: p.stem)
def test_selections_that_ship_have_runs_whose_networks_fit_the_suite(path: Path) -> None:
    for run in read_selection(path).all_runs:
        with torch.device("meta"):
            assert build_networks(load_suite(run.suite), load_variant(run.variant))
