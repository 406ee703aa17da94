"""A grid of settings: which runs it makes, what it refuses, and what it says in the end."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from benchmark.core.config import load_suite, load_variant
from benchmark.pipeline.sweep import Trials, read_sweep, result
from data.errors import InputError
from tests.support.tiny import ROOT

WEIGHT = "variant.generator.losses.adversarial.weight"
TEXT = f"""\
suite: tiny
variant: binary
seeds: [0, 1, 2]
grid:
  {WEIGHT}: [1e-4, 1e-2]
  suite.training.epochs: [1, 3]
"""


@pytest.fixture(autouse=True)
def _checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, name in (("benchmark/suites", "tiny"), ("models/variants", "binary")):
        Path(folder).mkdir(parents=True)
        source = "tests/support/tiny_suite.yaml" if name == "tiny" else f"{folder}/{name}.yaml"
        Path(folder, f"{name}.yaml").write_text((ROOT / source).read_text())


def _trials(text: str = TEXT) -> Trials:
    Path("grid.yaml").write_text(text)
    return Trials(read_sweep(Path("grid.yaml")))


def test_every_combination_has_its_settings_and_nothing_else() -> None:
    trials = _trials()
    variant, suite = load_variant("binary"), load_suite("tiny")
    assert len(trials.sweep.settings) == 4
    for index, setting in enumerate(trials.sweep.settings):
        run = trials.run(index, 2)
        ours = load_variant(run.variant, trials.folder)
        assert ours.generator.losses["adversarial"].weight == setting[WEIGHT]
        assert ours.discriminators == variant.discriminators
        theirs = load_suite(run.suite, trials.folder)
        assert theirs.training.epochs == setting["suite.training.epochs"]
        assert theirs.splits == suite.splits


def test_stages_wait_for_what_they_need_and_images_are_split_once_a_suite() -> None:
    trials = _trials()
    assert {name.split("@")[0] for name in trials.needs} == {"split", "train", "evaluate"}
    assert len(trials.needs) == 2 + 12 + 12
    assert trials.needs["train@3-1"] == {f"split@{trials.run(3, 1).suite}"}
    assert trials.needs["evaluate@3-1"] == {"train@3-1"}


def test_the_test_split_is_never_scored() -> None:
    trials = _trials()
    commands = [trials.command(name) for name in trials.needs]
    scoring = [command for command in commands if " evaluate " in command]
    assert len(scoring) == 12
    assert all(command.endswith(" --split val") for command in scoring)


def test_what_has_run_with_the_same_code_and_settings_is_done() -> None:
    trials = _trials()
    split, train = "split@tiny_0", "train@0-0"
    assert not trials.is_done(split)
    trials.record(split)
    trials.record(train)
    assert trials.is_done(split)
    assert trials.is_done(train)
    changed = _trials(TEXT.replace("1e-4", "1e-5"))
    assert changed.is_done(split)
    assert not changed.is_done(train)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (
            "generator.losses",
            "generator.loses",
            "grid, generator.loses.adversarial.weight = 0.0001",
        ),
        ("adversarial.weight", "adversarial.wait", "Extra|unknown|wait"),
        ("[1e-4, 1e-2]", "[-1]", "adversarial.weight = -1"),
        ("training.epochs", "training.epochs.more", "epochs has no settings below it"),
        ("suite.training.epochs", "epochs", "grid.epochs: expected suite.… or variant.…"),
        ("[1, 3]", "[]", "grid.suite.training.epochs: no value"),
        ("suite: tiny", "suite: tinny", "tinny"),
        ("seeds: [0, 1, 2]", "seeds: []", "seeds"),
        ("seeds: [0, 1, 2]", "metric: beauty", "metric"),
    ],
)
def test_settings_that_do_not_exist_are_refused_in_a_line(
    before: str, after: str, line: str
) -> None:
    assert before in TEXT
    with pytest.raises(InputError, match=line) as refused:
        _trials(TEXT.replace(before, after))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("metric", "best"), [("psnr_h", "0.01"), ("mse_h", "0.0001")])
def test_the_table_has_means_over_images_and_seeds_and_names_the_best(
    metric: str, best: str
) -> None:
    text = TEXT.replace("[1, 3]", "[3]").replace("grid:", f"metric: {metric}\ngrid:")
    trials = _trials(text)
    noise = np.random.default_rng(0).normal(0, 1e-3, (2, 3, 12))
    scores = 0.2 + 0.1 * np.arange(2)[:, None, None] + noise
    for index, of_seeds in enumerate(scores):
        for seed, values in enumerate(of_seeds):
            run = trials.run(index, seed)
            folder = trials.folder / run.of_split("val")
            folder.mkdir(parents=True)
            keys = {"method": run.variant, "seed": seed, "image": range(12), "mask": 0}
            frame = pd.DataFrame(keys | {"hole_px": 256, "label": ""})
            frame.assign(**{metric: values}).to_csv(folder / "scores.csv", index=False)
    said = result(trials)
    assert "training.epochs = 3; 3 seeds; 12 validation images" in said
    rows = [line for line in said.splitlines() if "adversarial.weight" in line]
    for row, of_seeds in zip(rows, scores, strict=True):
        assert f"| {of_seeds.mean():.4f} [" in row
    [chosen] = [row for row in rows if row.endswith("| best |")]
    assert f"= {best} |" in chosen
    [other] = [row for row in rows if row is not chosen]
    lead = scores[1].mean() - scores[0].mean()
    assert f"{lead if metric == 'mse_h' else -lead:+.4f}" in other
    assert other.endswith("| worse |")
    # Between seeds alone: the interval is at least as wide.
    half = scipy.stats.sem(scores[0].mean(axis=1)) * scipy.stats.t.ppf(0.975, 2)
    low, high = (float(n) for n in rows[0].split("[")[1].split("]")[0].split(", "))
    assert high - low >= 2 * half - 1e-4  # rounded to four digits
