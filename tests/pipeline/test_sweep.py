"""A grid of settings: which runs it makes, what it refuses, and what it says in the end."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pooch
import pytest
import scipy.stats

from benchmark.__main__ import commands
from benchmark.cli.many import sweep
from benchmark.core import paths
from benchmark.core.config import load_suite, load_variant
from benchmark.distributed.repro import only_one
from benchmark.pipeline.attach import attach_folder
from benchmark.pipeline.sweep import Trials, read_sweep, result
from data.errors import InputError
from data.sources import cifar10
from tests.support.layouts import encoded, picture, put_cifar10, put_images
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


def _set_suite(**entries: str) -> None:
    file = paths.SUITES / "tiny.yaml"
    lines = [x for x in file.read_text().splitlines() if x.split(":")[0] not in entries]
    file.write_text("\n".join([*lines, *(f"{key}: {value}" for key, value in entries.items())]))


def _split(trials: Trials) -> None:
    """Run the command of a split as the sweep runs it."""
    words = shlex.split(trials.command("split@tiny_0"))[3:]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trials.folder)
        commands.main([*words, "--workers", "1"], standalone_mode=False)
    trials.record("split@tiny_0")


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


def test_images_that_were_lost_are_split_again() -> None:
    trials = _trials()
    _split(trials)
    assert trials.is_done("split@tiny_0")
    shutil.rmtree(trials.folder / paths.prepared("tiny_0"))
    assert not trials.is_done("split@tiny_0")


@pytest.mark.parametrize("change", ["another image", "another folder"])
def test_other_images_of_a_folder_make_its_runs_stale(change: str) -> None:
    _set_suite(source="{name: image_folder}")
    for folder in ("ours", "theirs"):
        put_images(Path(folder), *(f"{number:02d}.png" for number in range(72)))
    Path("theirs/00.png").write_bytes(encoded(picture(100)))
    attach_folder("tiny", Path("ours"))
    trials = _trials()
    _split(trials)
    trials.record("train@0-0")
    again = _trials()
    assert not again.is_done("split@tiny_0")  # which alone can tell
    _split(again)
    assert again.is_done("train@0-0")
    if change == "another image":
        shutil.copy("theirs/00.png", "ours/00.png")
    else:
        attach_folder("tiny", Path("theirs"))
    changed = _trials()
    _split(changed)
    assert not changed.is_done("train@0-0")


def test_images_are_downloaded_to_the_folder_of_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = put_cifar10(tmp_path / "official", monkeypatch) / cifar10.ARCHIVE

    def downloader(**_: Any) -> Any:
        return lambda url, file, _: shutil.copy(archive, file)

    monkeypatch.setattr(pooch, "HTTPDownloader", downloader)
    _set_suite(source="{name: cifar10}", splits="{seed: 0, train: 0.8, val: 0.2, test: 0}")
    assert not paths.raw("tiny").exists()
    _split(_trials())
    assert (paths.raw("tiny") / cifar10.ARCHIVE).read_bytes() == archive.read_bytes()


def test_scores_are_made_again_where_another_metric_can_be_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = {"lpips_alex": "no weights"}
    monkeypatch.setattr("benchmark.pipeline.sweep.missing_metrics", lambda: missing)
    trials = _trials()
    for name in ("split@tiny_0", "train@0-0", "evaluate@0-0"):
        trials.record(name)
    assert trials.is_done("evaluate@0-0")
    missing.clear()
    assert trials.is_done("train@0-0")
    assert not trials.is_done("evaluate@0-0")


def test_a_sweep_that_is_refused_leaves_the_settings_of_the_one_that_runs() -> None:
    def settings() -> dict[Path, str]:
        return {file: file.read_text() for file in trials.folder.rglob("*.yaml")}

    trials = _trials()
    before = settings()
    Path("grid.yaml").write_text(TEXT.replace("1e-4", "1e-5").replace("[1, 3]", "[1, 2, 3]"))
    with only_one(), pytest.raises(InputError, match="another `repro` runs"):
        sweep(Path("grid.yaml"))
    assert settings() == before


def test_the_table_is_made_before_another_sweep_may_change_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def says(trials: Trials) -> str:
        with pytest.raises(InputError, match="another `repro` runs"), only_one():
            pass
        return "the table"

    monkeypatch.setattr("benchmark.distributed.repro.run_stages", lambda *_: [])
    monkeypatch.setattr("benchmark.pipeline.sweep.result", says)
    Path("grid.yaml").write_text(TEXT)
    assert sweep(Path("grid.yaml")) == 0
    assert Path("runs/sweeps/grid/result.md").read_text() == "the table"


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


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("[1e-4, 1e-2]", "[0.001, 1e-3, 0.01]", f"{WEIGHT}: 0.001 is there twice"),
        ("epochs: [1, 3]", "flip: [true, false, true]", "flip: true is there twice"),
        ("seeds: [0, 1, 2]", "seeds: [0, 0, 1]", "seeds: 0 is there twice"),
    ],
)
def test_what_is_there_twice_is_refused_in_a_line(before: str, after: str, line: str) -> None:
    assert before in TEXT
    with pytest.raises(InputError, match=line) as refused:
        _trials(TEXT.replace(before, after))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("image_size", "[32, 48]"),
        ("resize.fit", "[crop, stretch]"),
        ("splits.train", "[48, 40]"),
        ("source.seed", "[0, 1]"),
        ("unreadable", "[error, skip]"),
        ("mask.size", "[16, 8]"),
        ("evaluation.mask_seed", "[0, 1]"),
    ],
)
def test_images_and_holes_that_choose_are_the_same_for_all(field: str, values: str) -> None:
    text = TEXT.replace("suite.training.epochs: [1, 3]", f"suite.{field}: VALUES")
    with pytest.raises(InputError, match=f"{field} = .*: the validation images or") as refused:
        _trials(text.replace("VALUES", values))
    assert "\n" not in str(refused.value)
    _trials(text.replace("VALUES", f"[{values.strip('[]').split(', ')[1]}]"))


def test_a_metric_that_cannot_be_computed_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmark.metrics.perceptual.weights_path", lambda net: Path("none"))
    line = "grid.yaml: metric: lpips_alex cannot be computed: .*`python -m benchmark weights`"
    with pytest.raises(InputError, match=line):
        _trials(TEXT.replace("grid:", "metric: lpips_alex\ngrid:"))
    _trials()


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
