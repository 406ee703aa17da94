"""What 0.1.0 wrote is read with the names of today."""

from pathlib import Path

import pytest

from benchmark.core import paths
from benchmark.core.config import load_variant
from benchmark.versions.earlier_names import RENAMED, renamed
from data.errors import InputError
from tests.support.tiny import ROOT


def test_keys_and_words_are_renamed_wherever_they_stand() -> None:
    old = {
        "generator": {"optimiser": {"lr": 1e-4}, "initialisation": "dcgan"},
        "mask": {"kind": "centre", "size": 8},
        "terms": [{"normalise": "none"}, 3, None],
    }
    assert renamed(old) == {
        "generator": {"optimizer": {"lr": 1e-4}, "initialization": "dcgan"},
        "mask": {"kind": "center", "size": 8},
        "terms": [{"normalize": "none"}, 3, None],
    }


def test_words_inside_a_text_stay() -> None:
    assert renamed({"title": "a centre hole"}) == {"title": "a centre hole"}


@pytest.mark.parametrize("key", ["generator.optimiser", "generator.initialisation"])
def test_spelling_of_0_1_0_is_refused_with_the_new_one(key: str, tmp_path: Path) -> None:
    text = (ROOT / paths.VARIANTS / "context_encoder.yaml").read_text(encoding="utf-8")
    new = RENAMED[key.split(".")[1]]
    path = tmp_path / paths.VARIANTS / "old.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text.replace(f"\n  {new}:", f"\n  {key.split('.')[1]}:", 1), encoding="utf-8")
    with pytest.raises(InputError, match=f"{key}: unknown key, did you mean {new}"):
        load_variant("old", tmp_path)
