"""Plans against simulated comparisons and score tables with known variances."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.stats.power import Components, detectable_difference
from benchmark.versions.power import Plan, make_plan, plan_text
from benchmark.versions.snapshot import open_version
from benchmark.versions.tolerances import TOLERANCES, origin_digest
from data.errors import InputError
from tests.support.promises import tally
from tests.support.report_tree import EVEN, GOOD, TELEA
from tests.support.simulation import two_versions
from tests.support.two_trees import L2, Trees

PARTS = Components(seeds=(0.02,), image=1.0, residual=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
def test_verdicts_on_score_tables_are_as_frequent_as_planned(tmp_path: Path, seeds: int) -> None:
    from benchmark.versions.compare import compare_versions

    rng = np.random.default_rng(seeds)
    parts = PARTS if seeds >= 2 else Components((), PARTS.image, PARTS.residual)
    difference = detectable_difference(parts, 60, seeds, 0.8)
    verdicts = []
    for _ in range(500):
        versions = two_versions(tmp_path, rng, {"a": difference}, parts, (seeds, 60))
        (change,) = [c for c in compare_versions(*versions).metrics if c.method == "a"]
        assert change.comparison is not None
        verdicts.append(change.comparison.verdict)
    # Two standard errors of a share of .8 of 500 are .036.
    assert verdicts.count("worse") / 500 == pytest.approx(0.8, abs=0.04)
    assert verdicts.count("better") / 500 < 0.01


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path, {"l2": GOOD, "gan": EVEN})


def _plan(
    folder: Path,
    suite: str,
    method: str,
    reference: str,
    metric: str,
    difference: float | None = None,
) -> Plan:
    with open_version(str(folder)) as results:
        return make_plan(results, suite, method, reference, metric, difference)


def test_variances_are_those_of_the_score_table(trees: Trees) -> None:
    plan = _plan(trees.new_folder, "tiny", "gan", "telea", "mse_h")
    # EVEN is TELEA with -1, 1, -1, 1 thousandths.
    assert plan.components.image == pytest.approx(np.var(EVEN - TELEA, ddof=1), rel=1e-4)
    assert (plan.components.seeds, plan.components.residual) == ((0.0,), 0)
    assert plan.images == 4 and plan.difference == 0.0005
    assert plan.seed_variance_from == "" and "not known" in plan_text(plan)
    assert [row.covers_seeds for row in plan.rows] == [False] * 4


def test_seeds_of_the_score_tables_tell_their_variance(trees: Trees) -> None:
    rng = np.random.default_rng(0)
    for seed in range(4):
        trees.new.write_run("l2", seed, GOOD + 0.001 * seed + rng.normal(0, 1e-4, 4))
        trees.new.write_run("gan", seed, EVEN)
    trees.new.params(["l2", "gan"], range(4))
    plan = _plan(trees.new_folder, "tiny", "l2", "gan", "mse_h")
    # Of 0, 1, 2 and 3 thousandths; what is drawn beside them changes it by a tenth at most.
    assert plan.components.seeds == pytest.approx(
        (np.var([0, 1e-3, 2e-3, 3e-3], ddof=1), 0), rel=0.1
    )
    assert plan.seed_variance_from == "4 seeds of the score tables"
    assert [row.covers_seeds for row in plan.rows] == [False, True, True, True]


def test_tolerances_tell_the_variance_of_one_seed(trees: Trees) -> None:
    origin = json.loads((trees.new_folder / L2.provenance).read_text())["training"]
    measured = {"l2": {"digest": origin_digest(origin), "seeds": [0, 1, 2]}}
    entry = {"measured": measured, "metrics": {"mse_h": {"seed_sd": {"l2": 0.001}}}}
    (trees.new_folder / TOLERANCES).parent.mkdir(parents=True, exist_ok=True)
    (trees.new_folder / TOLERANCES).write_text(json.dumps({"suites": {"tiny": entry}}))
    plan = _plan(trees.new_folder, "tiny", "l2", "telea", "mse_h")
    assert plan.seed_variance_from == TOLERANCES.as_posix()
    assert plan.components.seeds == pytest.approx((1e-6,))
    # With one seed it is what intervals count.
    assert [row.covers_seeds for row in plan.rows] == [True] * 4
    assert plan.rows[0].detectable > 4.30 * 0.001
    # Nothing is known of the other variant, so that nothing is known of the difference.
    assert _plan(trees.new_folder, "tiny", "l2", "gan", "mse_h").seed_variance_from == ""


def test_no_number_of_images_makes_up_for_seeds(trees: Trees) -> None:
    for seed in range(3):
        trees.new.write_run("l2", seed, GOOD * (1 + seed))
    trees.new.params(["l2"], range(3))
    plan = _plan(trees.new_folder, "tiny", "l2", "telea", "mse_h", difference=1e-4)
    assert plan.rows[1].images is None and "no number" in plan_text(plan)
    json.dumps(asdict(plan), allow_nan=False)


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("no", "l2", "telea", "mse_h"), "--suite 'no': not one of tiny"),
        (("tiny", "no", "telea", "mse_h"), "no scores in mse_h of no"),
        (("tiny", "l2", "no", "mse_h"), "no scores in mse_h of no"),
        (("tiny", "l2", "telea", "no"), "--metric 'no': not one of mse_h"),
        (("tiny", "l2", "telea", "lpips_vgg"), "no scores in lpips_vgg"),
        (("tiny", "telea", "telea", "mse_h"), "by the same on all images"),
    ],
)
def test_plan_that_cannot_be_made(
    arguments: tuple[str, str, str, str], what: str, trees: Trees
) -> None:
    with pytest.raises(InputError, match=what):
        _plan(trees.new_folder, *arguments)
    tally("invalid configurations refused")


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_difference_that_is_none(value: float, trees: Trees) -> None:
    with pytest.raises(InputError, match="--difference"):
        _plan(trees.new_folder, "tiny", "l2", "telea", "mse_h", difference=value)


def test_infinite_psnrs_are_capped(trees: Trees) -> None:
    plan = _plan(trees.new_folder, "tiny", "l2", "oracle", "psnr_h")
    assert math.isfinite(plan.rows[0].detectable) and plan.difference == 0.1


def test_one_image_is_too_few(trees: Trees) -> None:
    trees.change_scores(lambda frame: frame.iloc[:1])
    with pytest.raises(InputError, match="fewer than two scored images"):
        _plan(trees.new_folder, "tiny", "l2", "telea", "mse_h")


def _in_groups(trees: Trees, groups: list[str]) -> None:
    """Say of which groups the four images are."""

    def grouped(frame: pd.DataFrame) -> pd.DataFrame:
        numbers = {image: group for image, group in zip(frame["image"], groups, strict=True)}
        frame.insert(6, "group", frame["image"].map(numbers))
        return frame

    trees.change_scores(grouped, paths.Run("tiny", "gan", 0))


def test_groups_of_images_are_less_sure(trees: Trees) -> None:
    alone = _plan(trees.new_folder, "tiny", "gan", "telea", "mse_h")
    _in_groups(trees, ["a", "a", "a", "b"])
    plan = _plan(trees.new_folder, "tiny", "gan", "telea", "mse_h")
    # As (3 + 1)^2 / (3^2 + 1^2) groups of one size, which have a degree of freedom at least.
    assert plan.components.group_size == pytest.approx(4 / 1.6)
    assert plan.rows[0].detectable > 3 * alone.rows[0].detectable


def test_one_group_is_too_few(trees: Trees) -> None:
    _in_groups(trees, ["photo"] * 4)
    with pytest.raises(InputError, match="of one group of tiny; a plan needs two"):
        _plan(trees.new_folder, "tiny", "gan", "telea", "mse_h")


def test_command(
    trees: Trees, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trees.new_folder)
    arguments = ["plan", "--suite", "tiny", "--variant", "gan", "--than", "telea"]
    assert main([*arguments, "--metric", "psnr_h", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["difference"] == 0.1 and [r["seeds"] for r in content["rows"]] == [1, 3, 5, 10]
    assert main(arguments) == 0
    assert "tiny, mse_h: gan - telea; 4 test images" in capsys.readouterr().out
    assert main([*arguments, "--power", "1"]) == 2
    assert main([*arguments, "--difference", "nan"]) == 2
