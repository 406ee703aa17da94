"""The gate: what it refuses and what it lets pass, by hand and by trainings that are broken."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.pipeline.baselines import evaluate_baselines
from benchmark.pipeline.evaluate import evaluate_run
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from benchmark.training.batches import masks_from_boxes
from benchmark.versions.gate import Failure, GateResult, check_gate, gate_json, gate_text
from benchmark.versions.snapshot import open_version
from benchmark.versions.tolerances import TOLERANCES, origin_digest
from data.errors import InputError
from models.variant import Variant
from tests.support.promises import tally
from tests.support.report_tree import BAD, EVEN, GOOD
from tests.support.tiny import isolate, params_text, tiny_suite, tiny_variant
from tests.support.two_trees import L2, Trees
from tests.support.version_control import commit

pytestmark = pytest.mark.promise("gate")
GAN = paths.Run("tiny", "gan", 0)
NOISE = np.array([0.9, 1.1, 1.05, 0.95])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    return Trees(tmp_path_factory.mktemp("built"), {"l2": GOOD, "gan": EVEN})


@pytest.fixture
def trees(built: Trees, tmp_path: Path) -> Trees:
    """Return two checkouts with the same results."""
    return built.copy(tmp_path)


def _gate(trees: Trees, *allowed: str) -> GateResult:
    return _gate_folders(trees.old_folder, trees.new_folder, *allowed)


def _gate_folders(old_folder: Path, new_folder: Path, *allowed: str) -> GateResult:
    with open_version(str(old_folder)) as old, open_version(str(new_folder)) as new:
        return check_gate(old, new, allowed)


def _found(result: GateResult) -> set[tuple[str, str]]:
    return {(failure.kind, failure.where) for failure in result.failures}


def _edit(path: Path, pattern: str, to: str) -> None:
    text, count = re.subn(pattern, to, path.read_text(), count=1)
    assert count == 1
    path.write_text(text)


def _damage_scores(trees: Trees) -> None:
    path = trees.new_folder / L2.scores
    path.write_text(path.read_text().replace("0.016", "0.017"))


def _truncate_scores(trees: Trees) -> None:
    path = trees.new_folder / L2.scores
    path.write_bytes(path.read_bytes()[:-30])


def _drop_row(trees: Trees) -> None:
    path = trees.new_folder / L2.scores
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def _edit_metrics(trees: Trees) -> None:
    _edit(trees.new_folder / L2.metrics, r'"mean": 0\.02', '"mean": 0.01')


def _write_nan(trees: Trees) -> None:
    _edit(trees.new_folder / L2.metrics, r'"mean": [0-9.]+', '"mean": NaN')


def _lose_scores(trees: Trees) -> None:
    trees.change_scores(lambda f: f.assign(ssim_h=f["ssim_h"].where(f.index != 2)))


def _lose_metric_values(trees: Trees) -> None:
    trees.change_scores(lambda f: f.assign(ssim_h=np.nan))


def _lose_metric(trees: Trees) -> None:
    trees.change_scores(lambda f: f.drop(columns="ssim_h"))


def _lose_run(trees: Trees) -> None:
    trees.new.params(["l2"], [0])


def _lose_metrics_file(trees: Trees) -> None:
    (trees.new_folder / L2.metrics).unlink()


def _lose_table(trees: Trees) -> None:
    (trees.new_folder / L2.scores).unlink()


def _lose_baseline(trees: Trees) -> None:
    trees.change_baselines(lambda f: f[f["method"] != "telea"])


def _improve_baseline(trees: Trees) -> None:
    trees.change_baselines(
        lambda f: f.assign(mse_h=f["mse_h"].where(f["method"] != "telea", f["mse_h"] / 1.00001))
    )


def _swap_canary_scores(trees: Trees) -> None:
    trees.change_baselines(
        lambda f: f.assign(seam=f["seam"].where(f["method"] != "telea", -f["seam"]))
    )


def _take_foreign_scores(trees: Trees) -> None:
    for mine, other in ((L2.scores, GAN.scores), (L2.metrics, GAN.metrics)):
        shutil.copy(trees.new_folder / other, trees.new_folder / mine)


def _change_holes(trees: Trees) -> None:
    trees.change_scores(lambda f: f.assign(hole_px=f["hole_px"] - 1, mse_h=f["mse_h"] * 2))


def _change_images(trees: Trees) -> None:
    trees.change_scores(lambda f: f.assign(image=["0" * 16, *f["image"][1:]]))


def _get_worse(trees: Trees) -> None:
    trees.new.write_run("l2", 0, BAD)


BREAKING: dict[str, tuple[Callable[[Trees], None], tuple[str, str]]] = {
    "damaged score table": (_damage_scores, ("damaged", "tiny/l2/seed0")),
    "truncated score table": (_truncate_scores, ("damaged", "tiny/l2/seed0")),
    "row removed": (_drop_row, ("damaged", "tiny/l2/seed0")),
    "metrics edited by hand": (_edit_metrics, ("damaged", "tiny/l2/seed0")),
    "NaN in metrics": (_write_nan, ("damaged", "tiny/l2/seed0")),
    "one NaN score": (_lose_scores, ("missing", "tiny/l2/ssim_h")),
    "NaN scores": (_lose_metric_values, ("missing", "tiny/l2/ssim_h")),
    "removed metric": (_lose_metric, ("missing", "tiny/l2/ssim_h")),
    "removed run": (_lose_run, ("vanished", "tiny/gan/seed0")),
    "removed metrics": (_lose_metrics_file, ("missing", "tiny/l2/seed0")),
    "removed score table": (_lose_table, ("missing", "tiny/l2/seed0")),
    "removed baseline": (_lose_baseline, ("missing", "tiny/telea/mse_h")),
    "better baseline": (_improve_baseline, ("canary", "tiny/telea/mse_h")),
    "canary with the same mean distance": (_swap_canary_scores, ("canary", "tiny/telea/seam")),
    "score table of another run": (_take_foreign_scores, ("damaged", "tiny/l2/seed0")),
    "other holes": (_change_holes, ("not comparable", "tiny/l2/seed0")),
    "another image": (_change_images, ("not comparable", "tiny/l2/seed0")),
    "worse": (_get_worse, ("regression", "tiny/l2/mse_h")),
}


@pytest.mark.parametrize("name", BREAKING)
def test_what_is_broken_is_refused(name: str, trees: Trees) -> None:
    change, expected = BREAKING[name]
    change(trees)
    result = _gate(trees)
    assert expected in _found(result)
    assert {where.split("/")[1] for _, where in _found(result)} == {expected[1].split("/")[1]}
    assert gate_json(result)["passed"] is False and "passed" not in gate_text(result)
    tally("regressions refused")


def _change_nothing(trees: Trees) -> None:
    pass


def _get_better(trees: Trees) -> None:
    trees.new.write_run("gan", 0, GOOD - 0.001)


def _add_run(trees: Trees) -> None:
    trees.new.write_run("other", 0, BAD)
    trees.new.params(["l2", "gan", "other"], [0])


def _add_seed(trees: Trees) -> None:
    for run in (L2, GAN):
        trees.new.write_run(run.variant, 1, BAD)
    trees.new.params(["l2", "gan"], [0, 1])


def _add_metric(trees: Trees) -> None:
    for run in (L2, GAN):
        trees.change_scores(lambda f: f.assign(mae_h=0.1), run)
    trees.change_baselines(lambda f: f.assign(mae_h=0.1))


def _move_within_the_margin(trees: Trees) -> None:
    trees.change_scores(lambda f: f.assign(psnr_h=20.0), old=True)
    trees.change_scores(lambda f: f.assign(psnr_h=19.91))


def _tiny_hole(trees: Trees) -> None:
    """Where the hole is tiny, sharpness has no value with any method, in either version."""
    for old in (True, False):
        trees.change_scores(
            lambda f: f.assign(sharpness_c=f["sharpness_c"].where(f.index != 1)), old=old
        )
    _get_better(trees)


def _add_baseline(trees: Trees) -> None:
    trees.change_baselines(
        lambda f: pd.concat([f, f[f["method"] == "telea"].assign(method="another")])
    )


def _reorder_rows(trees: Trees) -> None:
    trees.change_scores(lambda f: f.iloc[::-1])


def _paint_over_known_pixels(trees: Trees) -> None:
    trees.change_scores(lambda f: f.assign(known_mae_raw=0.5))


PASSING = [_change_nothing, _get_better, _add_run, _add_seed, _add_metric, _move_within_the_margin]
PASSING += [_add_baseline, _tiny_hole, _reorder_rows, _paint_over_known_pixels]


@pytest.mark.parametrize("change", PASSING)
def test_what_is_no_worse_passes(change: Callable[[Trees], None], trees: Trees) -> None:
    change(trees)
    result = _gate(trees)
    assert result.failures == ()
    assert gate_json(result)["passed"] is True and gate_text(result).endswith("passed\n")
    tally("sound changes accepted")


def test_new_run_with_scores_that_are_missing_is_refused(trees: Trees) -> None:
    _add_run(trees)
    other = paths.Run("tiny", "other", 0)
    trees.change_scores(lambda f: f.assign(ssim_h=f["ssim_h"].where(f.index != 1)), other)
    assert _found(_gate(trees)) == {("missing", "tiny/other/ssim_h")}


def _measure(folder: Path, *mse: float, config: str | None = None) -> None:
    """Write tolerances for which l2 has been measured with some seeds."""
    training = json.loads((folder / L2.provenance).read_text())["training"]
    digest = origin_digest(training if config is None else {**training, "config_sha256": config})
    entry = {
        "measured": {"l2": {"digest": digest, "seeds": list(range(len(mse)))}},
        "metrics": {
            "mse_h": {"tolerance": {"l2": 0.003}, "seed_sd": {"l2": float(np.std(mse, ddof=1))}}
        },
    }
    (folder / TOLERANCES).parent.mkdir(parents=True, exist_ok=True)
    (folder / TOLERANCES).write_text(json.dumps({"suites": {"tiny": entry}}))


def _worse_by(trees: Trees, shift: float) -> None:
    trees.change_scores(lambda f: f.assign(mse_h=GOOD + shift * NOISE))


def test_tolerance_is_what_another_seed_would_change(trees: Trees) -> None:
    _measure(trees.old_folder, 0.020, 0.021, 0.022)  # standard deviation .001
    # Two runs of one seed, and images, whose half-width grows with the shift.
    of_seeds = 1.959964 * np.sqrt(2) * 0.001
    of_images = float(stats.t.ppf(0.975, 3)) * NOISE.std(ddof=1) / 2
    reach = of_seeds / np.sqrt(1 - of_images**2)
    _worse_by(trees, reach * 0.99)
    assert _gate(trees).failures == ()
    _worse_by(trees, reach * 1.01)
    (failure,) = _gate(trees).failures
    assert failure.kind == "regression" and "beyond the tolerance of 0.0005" in failure.what


def test_tolerances_of_the_new_version_do_not_count(trees: Trees) -> None:
    _measure(trees.old_folder, 0.020, 0.021, 0.022)
    _measure(trees.new_folder, 0.020, 0.220, 0.420)
    _worse_by(trees, 0.004)
    assert _found(_gate(trees)) == {("regression", "tiny/l2/mse_h")}
    tally("regressions refused")


def test_tolerances_of_other_settings_do_not_count_and_it_is_said(trees: Trees) -> None:
    _measure(trees.old_folder, 0.020, 0.120, 0.220, config="0" * 64)
    _worse_by(trees, 0.001)
    result = _gate(trees)
    assert _found(result) == {("regression", "tiny/l2/mse_h")}
    assert result.without_seed_sd == ("tiny/l2/mse_h",)
    assert "what another seed changes is not known of tiny/l2/mse_h" in gate_text(result)


def test_another_machine_widens_the_tolerance_and_it_is_said(trees: Trees) -> None:
    _measure(trees.old_folder, 0.020, 0.0201, 0.0202)
    _worse_by(trees, 0.002)
    assert _found(_gate(trees)) == {("regression", "tiny/l2/mse_h")}
    _edit(trees.new_folder / L2.provenance, '"threads": 2', '"threads": 8')
    result = _gate(trees)
    assert result.failures == () and result.elsewhere == ("tiny/l2",)
    assert "another machine" in gate_text(result)
    _worse_by(trees, 0.004)
    assert _found(_gate(trees)) == {("regression", "tiny/l2/mse_h")}


def test_three_seeds_have_their_deviation_in_the_interval(trees: Trees) -> None:
    _measure(trees.old_folder, 0.02, 0.12, 0.22)
    for side, shifts in ((trees.old, (0.0, 0.0, 0.0)), (trees.new, (0.001, 0.0011, 0.0009))):
        for seed, shift in enumerate(shifts):
            side.write_run("l2", seed, GOOD + shift * NOISE)
        side.params(["l2"], [0, 1, 2])
    assert ("regression", "tiny/l2/mse_h") in _found(_gate(trees))


def test_metric_that_this_code_does_not_know_cannot_be_judged(trees: Trees) -> None:
    trees.change_scores(lambda f: f.assign(fancy=1.0), old=True)
    trees.change_scores(lambda f: f.assign(fancy=2.0))
    assert _found(_gate(trees)) == {("not comparable", "tiny/l2/fancy")}


def test_what_is_allowed_by_name_passes_and_is_printed(trees: Trees) -> None:
    _get_worse(trees)
    failing = {where for _, where in _found(_gate(trees))}
    assert len(failing) > 2
    result = _gate(trees, "tiny/l2/mse_h")
    assert {where for _, where in _found(result)} == failing - {"tiny/l2/mse_h"}
    result = _gate(trees, "tiny/l2/")
    assert result.failures == () and {f.where for f in result.allowed} == failing
    assert "allowed: regression: tiny/l2/mse_h" in gate_text(result)
    with pytest.raises(InputError, match="--allow tiny/gan: nothing of that name fails"):
        _gate(trees, "tiny/l2", "tiny/gan")


@pytest.mark.parametrize("name", ["a", "a/", "a/b", "a/b/c"])
def test_name_or_its_beginning_allows(name: str) -> None:
    assert Failure("regression", "a/b/c", "x").is_of(name)


@pytest.mark.parametrize("name", ["b", "a/b", "a/b/", "a/bc/c/d", "a/bc/cc", "", "/"])
def test_other_names_do_not_allow(name: str) -> None:
    assert not Failure("regression", "a/bc/c", "x").is_of(name)


def test_base_without_results_is_wrong_use(trees: Trees) -> None:
    # Its settings name runs, and none is there: nothing vanished, and nothing passes either.
    shutil.rmtree(trees.old_folder / "reports" / "metrics")
    with pytest.raises(InputError, match="old: has no results that these could be held against"):
        _gate(trees)


def test_difference_of_distances_is_called_so(trees: Trees) -> None:
    trees.change_scores(lambda frame: frame.assign(seam=0.01), old=True)
    # Further from 0 on the other side: the mean falls, and the distance grows.
    trees.change_scores(lambda frame: frame.assign(seam=[-0.05, -0.051, -0.049, -0.05]))
    (failure,) = (f for f in _gate(trees).failures if f.where == "tiny/l2/seam")
    assert failure.kind == "regression"
    assert "0.01 -> -0.05; distance from the ideal +0.04 [" in failure.what


def test_base_that_is_damaged_is_wrong_use(trees: Trees) -> None:
    (trees.old_folder / L2.metrics).write_text("{")
    with pytest.raises(InputError, match=r"seed0\.json"):
        _gate(trees)


def test_exit_codes_and_json(
    trees: Trees, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trees.new_folder)
    commit(trees.new_folder)
    assert main(["gate", "--base", "HEAD"]) == 0
    assert capsys.readouterr().out.endswith("passed\n")
    _get_worse(trees)
    assert main(["gate", "--base", "HEAD", "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["passed"] is False and content["failures"][0]["kind"] == "regression"
    assert content["comparison"]["identical"] is False
    commit(trees.new_folder)
    assert main(["gate", "--base", "HEAD~1", "--new", "HEAD"]) == 1
    assert "/tmp" not in capsys.readouterr().out
    assert main(["gate", "--base", "HEAD~1", "--allow", "tiny/l2"]) == 0
    assert main(["gate", "--base", "HEAD~1", "--allow", "nothing"]) == 2
    assert main(["gate", "--base", "no_such"]) == 2


def test_damaged_files_of_a_revision_are_named_by_it(
    trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trees.new_folder)
    commit(trees.new_folder)
    _damage_scores(trees)
    (trees.new_folder / GAN.metrics).unlink()
    commit(trees.new_folder)
    with open_version("HEAD~1") as old, open_version("HEAD") as new:
        failures = check_gate(old, new).failures
    told = {failure.where: failure.what for failure in failures}
    assert told["tiny/l2/seed0"].startswith(f"HEAD:{L2.metrics}: does not follow from HEAD:")
    assert told["tiny/gan/seed0"].startswith(f"there is no HEAD:{GAN.metrics};")


RATE, SUITE = (
    0.02,
    tiny_suite(
        {"epochs": 8},
        splits={"seed": 1, "train": 48, "val": 8, "test": 40},
        source={"name": "portraits", "count": 96},
    ),
)


def _variant(rate: float) -> Variant:
    variant = tiny_variant("l2")
    optimizer = variant.generator.optimizer.model_copy(update={"lr": rate})
    generator = variant.generator.model_copy(update={"optimizer": optimizer})
    return variant.model_copy(update={"generator": generator})


def _train(rate: float) -> None:
    train_run(SUITE, _variant(rate), L2, "cpu")
    torch.use_deterministic_algorithms(False)  # training sets it for the whole process


def _score(rate: float) -> None:
    evaluate_run(SUITE, _variant(rate), L2, "cpu")
    evaluate_baselines(SUITE)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout that has trained and scored a run."""
    folder = tmp_path_factory.mktemp("scored")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        split_suite(SUITE)
        _train(RATE)
        _score(RATE)
        paths.PARAMS.write_text(params_text(["tiny"], ["l2"], [0]))
        paths.SUITES.mkdir(parents=True, exist_ok=True)
        (paths.SUITES / "tiny.yaml").write_text(f"image_size: {SUITE.image_size}\n")
    return folder


@pytest.fixture
def broken(scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a copy of it, which is the present folder."""
    shutil.copytree(scored, tmp_path / "new")
    isolate(monkeypatch, tmp_path / "new")
    yield tmp_path / "new"


def test_the_same_again_is_identical(scored: Path, broken: Path) -> None:
    _score(RATE)
    result = _gate_folders(scored, broken)
    assert result.failures == () and result.comparison.identical


def _mask_of_one_more_pixel(boxes: torch.Tensor, image_size: int) -> torch.Tensor:
    return masks_from_boxes(boxes + torch.tensor([0, 0, 1, 0]), image_size)


def _mask_one_pixel_further(boxes: torch.Tensor, image_size: int) -> torch.Tensor:
    return masks_from_boxes(boxes + 1, image_size)


@pytest.mark.parametrize(
    "draw",
    [_mask_of_one_more_pixel, pytest.param(_mask_one_pixel_further, marks=pytest.mark.slow)],
)
def test_masks_off_by_one_are_refused(
    draw: Callable[[torch.Tensor, int], torch.Tensor],
    scored: Path,
    broken: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("training.batches", "evaluation.test_set"):
        monkeypatch.setattr(f"benchmark.{module}.masks_from_boxes", draw)
    _score(RATE)
    expected = {("not comparable", "tiny/baselines"), ("not comparable", "tiny/l2/seed0")}
    assert expected <= _found(_gate_folders(scored, broken))
    tally("regressions refused")


def test_masks_off_by_one_in_the_network_alone_are_refused(
    scored: Path, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holes and baselines stay, so that only what is filled tells."""
    monkeypatch.setattr("benchmark.training.batches.masks_from_boxes", _mask_one_pixel_further)
    monkeypatch.setattr("benchmark.evaluation.test_set.masks_from_boxes", masks_from_boxes)
    _score(RATE)
    found = _found(_gate_folders(scored, broken))
    # A line of pixels along two sides is not filled.
    assert {("regression", "tiny/l2/mse_b"), ("regression", "tiny/l2/seam")} <= found
    assert {kind for kind, _ in found} == {"regression"}
    tally("regressions refused")


def test_another_window_of_ssim_is_refused(
    scored: Path, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.filters.WINDOW", 9)
    monkeypatch.setattr("benchmark.metrics.ssim.WINDOW", 9)
    _score(RATE)
    found = _found(_gate_folders(scored, broken))
    canaries = {where for kind, where in found if kind == "canary"}
    assert canaries >= {"tiny/telea/ssim_h", "tiny/telea/ssim_w", "tiny/mean_color/ssim_w"}
    assert not any("mse" in where or "oracle" in where for where in canaries)
    tally("regressions refused")


def test_ten_times_the_learning_rate_is_refused(scored: Path, broken: Path) -> None:
    shutil.rmtree(broken / L2.checkpoints)
    _train(10 * RATE)
    _score(10 * RATE)
    found = _found(_gate_folders(scored, broken))
    assert ("regression", "tiny/l2/mse_h") in found and ("regression", "tiny/l2/psnr_h") in found
    assert not any(kind == "canary" for kind, _ in found)
    tally("regressions refused")
