"""The authors' budgets: against what variants and suites say of them, and when they are refused."""

import re
from pathlib import Path

import pytest

from benchmark.claims.budgets import BUDGETS, load_budgets
from benchmark.core.config import load_suite, names_in
from benchmark.core.paths import VARIANTS
from data.errors import InputError
from tests.support.tiny import ROOT, full_variant

EPOCHS = re.compile(r"trained ([0-9,]+) epochs")
SILENT = {
    *(f"context_encoder_ratio_{ratio}" for ratio in (1, 100, 200, 500, 1000)),
    "unet_l1",
}
"""Variants whose sources name no budget: the Lightning report stops runs by eye, and ours has no
source."""


@pytest.mark.parametrize("name", names_in(ROOT / VARIANTS))
def test_epochs_are_those_that_the_variant_names(name: str) -> None:
    budget = load_budgets(ROOT).get(name)
    assert (budget is None) == (name in SILENT)
    named = EPOCHS.findall(" ".join(full_variant(name).deviations))
    if named:
        assert budget is not None and [f"{budget.epochs:,}"] == named


@pytest.mark.parametrize(
    ("suite", "variant"),
    [
        ("celeba_center", "celeba_context_encoder"), ("paris_center", "strided_center"),
        ("paris_random", "strided_random"), ("celeba_1024", "attention_unet"),
    ],
)  # fmt: skip
def test_images_are_those_of_the_suite_that_follows_the_source(suite: str, variant: str) -> None:
    assert load_budgets(ROOT)[variant].images == load_suite(suite, ROOT).splits.train


def test_images_seen_are_those_of_all_epochs() -> None:
    found = load_budgets(ROOT)
    assert found["l2"].images_seen == 1_500_000
    assert found["attention_unet"].images_seen == 16_380


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[strided_center, ", "[strided_random, ", "strided_random is in two places"),
        ("epochs: 12", "epochs: 0", "epochs"),
        ("epochs: 12", "epoch: 12", "did you mean epochs"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (ROOT / BUDGETS).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / BUDGETS).parent.mkdir(parents=True)
    (tmp_path / BUDGETS).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        load_budgets(tmp_path)
