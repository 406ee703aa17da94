"""Comparisons of two versions: cases worked by hand, SciPy, and known differences."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.evaluation.score_table import read_score_table
from benchmark.stats.power import Components
from benchmark.versions.compare import MetricChange, VersionComparison, compare_versions
from benchmark.versions.comparison_text import (
    LONGEST_LINE,
    comparison_json,
    comparison_line,
    comparison_markdown,
    comparison_text,
)
from benchmark.versions.snapshot import Subject, open_version
from benchmark.versions.tolerances import Tolerances
from data.errors import InputError
from tests.support.promises import tally
from tests.support.report_tree import BAD, EVEN, GOOD
from tests.support.simulation import two_versions
from tests.support.tiny import ROOT, params_text
from tests.support.two_trees import L2, Trees
from tests.support.version_control import commit, git

FloatArray = NDArray[np.float64]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    return Trees(tmp_path_factory.mktemp("built"), {"l2": GOOD, "gan": EVEN})


@pytest.fixture
def trees(built: Trees, tmp_path: Path) -> Trees:
    """Return two checkouts with the same results."""
    return built.copy(tmp_path)


def _states(found: VersionComparison) -> dict[str, str]:
    return {str(change.subject): change.state for change in found.subjects}


def _change(found: VersionComparison, metric: str, method: str = "l2") -> MetricChange:
    (change,) = [c for c in found.metrics if (c.method, c.metric) == (method, metric)]
    return change


def test_same_results_are_identical(trees: Trees) -> None:
    found = trees.compare()
    assert found.identical and set(_states(found).values()) == {"identical"}
    assert len(found.subjects) == 3
    assert {change.verdict for change in found.metrics} == {"identical"}
    assert {change.method for change in found.metrics} >= {"l2", "gan", "telea", "oracle"}
    content = comparison_json(found)
    assert content["identical"] is True
    assert "identical, all 3 results" in comparison_text(found)


def _tolerance(mse_h: float) -> Tolerances:
    metrics = {"mse_h": {"tolerance": {"l2": mse_h}}}
    return Tolerances.model_validate({"suites": {"tiny": {"metrics": metrics}}})


def test_line_of_a_rebuild_that_is_the_same(trees: Trees) -> None:
    machine = "the machine of the committed results (Some CPU (1-2-3, flags 0123abcd))"
    assert comparison_line(trees.compare(), Tolerances()) == f"made on {machine}: identical"


@pytest.mark.parametrize(
    ("largest", "said"),
    [(0.011, "35 of 35 metrics within tolerance"), (0.009, "34 of 35 .*; not tiny/l2/mse_h;")],
)
def test_line_of_a_rebuild_elsewhere(trees: Trees, largest: float, said: str) -> None:
    trees.change_scores(lambda frame: frame.assign(mse_h=frame["mse_h"] + 0.01))
    path = trees.new_folder / L2.provenance
    path.write_text(path.read_text().replace("Some CPU", "Other CPU"))
    line = comparison_line(trees.compare(), _tolerance(largest))
    assert "another machine (Other CPU" in line
    assert re.search(said, line), line
    assert line.endswith("`git restore README.md dvc.lock reports` returns to the committed ones")
    assert "\n" not in line


def test_line_names_runs_that_came_and_went(trees: Trees) -> None:
    (trees.new_folder / "params.yaml").write_text(params_text(["tiny"], ["l2", "far"], [0]))
    line = comparison_line(trees.compare(), Tolerances())
    assert "new: tiny/far/seed0" in line and "vanished: tiny/gan/seed0" in line


@pytest.mark.promise("same_bytes")
def test_two_commits_with_the_same_results_are_identical(
    trees: Trees, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trees.new_folder)
    first = commit(trees.new_folder)
    (trees.new_folder / "benchmark/code.py").write_text("weight = 2\n")
    commit(trees.new_folder)
    assert main(["compare", first, "HEAD", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["identical"] is True and content["code"] == ["benchmark/code.py"]
    assert {run["state"] for run in content["runs"].values()} == {"identical"}
    assert [v["commit"] for v in content["versions"]] == [
        first,
        git(trees.new_folder, "rev-parse", "HEAD"),
    ]
    assert main(["compare", first]) == 0 and "identical" in capsys.readouterr().out
    tally("files compared", 3)


def test_committed_results_are_identical_with_themselves() -> None:
    reference = str(ROOT / "reports/reference/celeba_64")
    with open_version(reference) as old, open_version(reference) as new:
        assert compare_versions(old, new).identical


def test_interval_is_that_of_scipy_for_images_paired_by_their_names(trees: Trees) -> None:
    changed = GOOD + np.array([0.001, 0.002, 0.0015, 0.004])
    trees.new.write_run("l2", 0, changed)
    trees.change_scores(lambda frame: frame.iloc[::-1])
    found = _change(trees.compare(), "mse_h")
    assert found.comparison is not None
    # Score tables keep seven digits.
    test = stats.ttest_rel(changed, GOOD)
    expected = test.confidence_interval(0.95)
    assert found.comparison.difference == pytest.approx((changed - GOOD).mean(), rel=1e-5)
    ends = (found.comparison.low, found.comparison.high)
    assert ends == pytest.approx((expected.low, expected.high), rel=1e-4)
    assert found.comparison.p == pytest.approx(test.pvalue, rel=1e-4)
    assert found.new is not None and found.old is not None
    assert found.old == pytest.approx(GOOD.mean())
    assert found.new - found.old == pytest.approx(found.comparison.difference)
    assert (found.comparison.images, found.comparison.seeds) == (4, 1)


def test_order_of_rows_changes_nothing_that_is_compared(trees: Trees) -> None:
    trees.change_scores(lambda frame: frame.iloc[[2, 0, 3, 1]])
    found = trees.compare()
    assert not found.identical and _states(found)["tiny/l2/seed0"] == "compared"
    assert {change.verdict for change in found.metrics} == {"identical"}


@pytest.mark.parametrize("change", [lambda scores: scores[::-1], lambda scores: -scores])
def test_change_that_leaves_the_mean_is_seen(
    trees: Trees, change: Callable[[FloatArray], FloatArray]
) -> None:
    before = np.array([1.0, -1.0, 2.0, -2.0]) / 64
    trees.change_scores(lambda frame: frame.assign(seam=before), old=True)
    trees.change_scores(lambda frame: frame.assign(seam=change(before)))
    found = _change(trees.compare(), "seam")
    assert found.old == found.new and not found.is_same


def test_means_are_over_the_seeds_that_both_have(trees: Trees) -> None:
    for side, seeds in ((trees.old, (0, 1, 2)), (trees.new, (1, 2, 3))):
        for seed in seeds:
            side.write_run("l2", seed, GOOD + 0.001 * seed + (side is trees.new) * 0.002)
        side.params(["l2"], seeds)
    found = trees.compare()
    states = _states(found)
    assert states.pop("tiny/l2/seed0") == "vanished" and states.pop("tiny/l2/seed3") == "new"
    assert states.pop("tiny/baselines") == "identical" and set(states.values()) == {"compared"}
    change = _change(found, "mse_h")
    assert change.old == pytest.approx(GOOD.mean() + 0.0015, rel=1e-6)
    assert change.new == pytest.approx(GOOD.mean() + 0.0035, rel=1e-6)
    assert change.comparison is not None and change.comparison.seeds == 2
    assert change.comparison.difference == pytest.approx(0.002, rel=1e-4)
    ratios = np.concatenate([1 + GOOD + 0.001, 1 + GOOD + 0.002])  # as the tree has them
    mean = _change(found, "sharpness_c").old
    assert mean == pytest.approx(np.exp(np.log(ratios).mean()), rel=1e-6)


def test_no_seed_in_common(trees: Trees) -> None:
    trees.new.write_run("l2", 5, GOOD)
    trees.new.params(["l2"], [5])
    found = trees.compare()
    assert (
        _states(found)["tiny/l2/seed5"] == "new" and _states(found)["tiny/l2/seed0"] == "vanished"
    )
    assert "l2" not in {change.method for change in found.metrics}


def test_runs_come_and_go(trees: Trees) -> None:
    trees.new.write_run("other", 0, BAD)
    trees.new.params(["l2", "other"], [0])
    found = trees.compare()
    assert not found.identical
    expected = {"tiny/gan/seed0": "vanished", "tiny/other/seed0": "new"}
    assert {k: v for k, v in _states(found).items() if v != "identical"} == expected
    text = comparison_text(found)
    assert "tiny/gan/seed0: vanished" in text and "tiny/other/seed0: new" in text


def test_origin_that_is_not_known_is_not_called_another(trees: Trees) -> None:
    (trees.old_folder / L2.provenance).unlink()
    (trees.old_folder / L2.metrics).write_text((trees.old_folder / L2.metrics).read_text() + "\n")
    (change,) = (c for c in trees.compare().subjects if c.subject.name == "l2")
    assert change.state == "compared" and change.digests == ()


def test_long_settings_are_shortened_for_readers(trees: Trees) -> None:
    suite = trees.new_folder / "benchmark/suites/tiny.yaml"
    suite.write_text(suite.read_text().replace("Noise.", f"Noise {'and so on ' * 60}."))
    found = trees.compare()
    (line,) = (ln for ln in comparison_text(found).splitlines() if "description" in ln)
    assert len(line) <= LONGEST_LINE + 2 and line.endswith(" …")
    (whole,) = comparison_json(found)["settings"]
    assert len(whole) > 500


def test_suite_that_vanished(trees: Trees) -> None:
    (trees.new_folder / paths.SUITES / "tiny.yaml").rename(
        trees.new_folder / paths.SUITES / "b.yaml"
    )
    (trees.new_folder / "params.yaml").write_text(params_text(["b"], ["l2"], [0]))
    assert set(_states(trees.compare()).values()) == {"vanished", "new"}


def test_metric_on_one_side_alone(trees: Trees) -> None:
    trees.change_scores(lambda frame: frame.drop(columns="seam"), old=True)
    trees.change_scores(lambda frame: frame.drop(columns="sharpness_c"))
    found = trees.compare()
    assert _change(found, "seam").verdict == "new"
    assert _change(found, "sharpness_c").verdict == "missing"
    assert _change(found, "mse_h").verdict == "identical"
    for text in (
        comparison_text(found),
        comparison_markdown(found),
        json.dumps(comparison_json(found)),
    ):
        assert "missing" in text and "new" in text


def test_metric_that_this_code_does_not_know(trees: Trees) -> None:
    trees.change_scores(lambda frame: frame.assign(fancy=1.0, gone=1.0), old=True)
    trees.change_scores(lambda frame: frame.assign(fancy=2.0))
    found = trees.compare()
    assert _change(found, "gone").verdict == "missing"
    assert _change(found, "fancy").verdict == "means only"


def test_method_that_is_gone(trees: Trees) -> None:
    frame = read_score_table(trees.new_folder / paths.baseline_scores("tiny"))
    trees.new.write_baselines(frame[frame["method"] != "telea"])
    found = trees.compare()
    assert _change(found, "mse_h", "telea").verdict == "missing"
    assert _change(found, "mse_h", "mean_color").verdict == "identical"


def test_other_images_are_not_compared(trees: Trees) -> None:
    trees.change_scores(lambda f: f.assign(mask=["0" * 16] * 2 + [*f["mask"][2:]]))
    found = trees.compare()
    change = _change(found, "mse_h")
    (subject,) = [c for c in found.subjects if str(c.subject) == str(L2)]
    assert "2 scores of" in subject.reason and subject.state == "compared"
    assert change.old == change.new
    trees.change_scores(lambda f: f.assign(mask="0" * 16))
    found = trees.compare()
    assert _states(found)[str(L2)] == "not comparable"
    assert "l2" not in {c.method for c in found.metrics}
    assert "no image has the same hole" in comparison_text(found)


def test_holes_of_another_size_are_other_holes(trees: Trees) -> None:
    trees.change_scores(lambda f: f.assign(hole_px=f["hole_px"] + 1))
    assert _states(trees.compare())[str(L2)] == "not comparable"


def test_another_protocol_is_not_compared(trees: Trees) -> None:
    path = trees.new_folder / L2.metrics
    path.write_text(path.read_text().replace('"ib1"', '"ib2"'))
    found = trees.compare()
    assert _states(found)[str(L2)] == "not comparable"
    assert "scored by protocol ib1, and now ib2" in comparison_text(found)


@pytest.mark.parametrize("path", [L2.metrics, L2.scores])
def test_without_a_file_nothing_is_compared_and_it_is_said(trees: Trees, path: Path) -> None:
    (trees.old_folder / path).unlink()
    found = trees.compare()
    assert _states(found)[str(L2)] == "not comparable" and not found.identical
    assert re.search(rf"tiny/l2/seed0: not comparable; .* has no {path}", comparison_text(found))


@pytest.mark.filterwarnings("error")
def test_perfect_images_have_the_largest_psnr_there_is(trees: Trees) -> None:
    trees.new.write_run("l2", 0, [0.0, *GOOD[1:]])
    change = _change(trees.compare(), "psnr_h")
    assert change.comparison is not None and np.isfinite(change.comparison.difference)
    cap = 10 * np.log10(255**2 * 3 * 32 * 32)
    expected = (cap + 10 * np.log10(GOOD[0])) / 4
    assert change.comparison.difference == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("score", ["inf", "1e308"])
def test_infinite_error_is_refused(score: str, trees: Trees) -> None:
    path = trees.new_folder / L2.scores
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    cells[lines[0].split(",").index("mse_h")] = score
    path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")
    with pytest.raises(InputError, match="l2: a score in mse_h is infinite"):
        trees.compare()


def test_images_without_a_value_are_left_out(trees: Trees) -> None:
    trees.new.write_run("l2", 0, GOOD + 0.001)
    trees.change_scores(lambda f: f.assign(mse_h=f["mse_h"].where(f.index != 1)))
    change = _change(trees.compare(), "mse_h")
    assert change.comparison is not None and change.comparison.images == 3
    assert change.comparison.difference == pytest.approx(0.001, rel=1e-3)
    trees.change_scores(lambda f: f.assign(mse_h=np.nan))
    assert _change(trees.compare(), "mse_h").verdict == "missing"


def test_one_image(trees: Trees) -> None:
    for run in (L2, paths.Run("tiny", "gan", 0)):
        for old in (True, False):
            trees.change_scores(lambda f: f.iloc[:1], run, old)
    assert _change(trees.compare(), "mse_h").verdict == "identical"
    trees.change_scores(lambda f: f.assign(mse_h=0.9))
    found = trees.compare()
    change = _change(found, "mse_h")
    assert change.verdict == "inconclusive"
    assert "[-inf, +inf]" in comparison_text(found)
    content = json.dumps(comparison_json(found), allow_nan=False)
    assert '"low": null' in content


def test_p_is_adjusted_for_the_methods_that_changed(trees: Trees) -> None:
    noise = np.array([0.001, 0.002, 0.0015, 0.004])
    trees.new.write_run("l2", 0, GOOD + noise)
    alone = _change(trees.compare(), "mse_h").comparison
    trees.new.write_run("gan", 0, EVEN + np.array([0.001, -0.002, 0.0015, 0.004]))
    both = _change(trees.compare(), "mse_h").comparison
    assert alone is not None and both is not None
    assert alone.p_adjusted == alone.p == both.p
    assert both.p_adjusted == pytest.approx(2 * both.p)


def test_settings_digests_and_machines_are_told(trees: Trees) -> None:
    (trees.new_folder / paths.VARIANTS / "l2.yaml").write_text(
        "generator: {optimizer: {lr: 2e-3}}\n"
    )
    path = trees.new_folder / L2.provenance
    content = json.loads(path.read_text())
    content["training"] |= {
        "data_sha256": "0" * 64,
        "environment": content["training"]["environment"] | {"threads": 4},
    }
    path.write_text(json.dumps(content))
    found = trees.compare()
    assert "models/variants/l2.yaml: generator.optimizer.lr: 0.0002 -> 0.002" in found.settings
    (change,) = [c for c in found.subjects if c.subject == Subject("tiny", "l2")]
    assert change.digests == ("data",) and change.environment == ("threads: 4 now, 2 before",)
    assert change.state == "identical"
    text = comparison_text(found)
    assert "trained with other data, with the same result" in text and "threads: 4 now" in text


MARKUP = "<img src=x onerror=alert(1)>|**b** `c`\n# d\x1b[31m\u202e"


@pytest.mark.promise("escaping")
def test_markup_is_text_and_control_characters_are_escaped(trees: Trees) -> None:
    trees.new.write_run("l2", 0, BAD)
    path = trees.new_folder / L2.metrics
    content = json.loads(path.read_text())
    content["methods"][MARKUP] = content["methods"]["l2"]
    content["methods"]["l2"]["<b>|x"] = {"mean": 1.0, "n": 4}
    path.write_text(json.dumps(content))
    suite = trees.new_folder / paths.SUITES / "tiny.yaml"
    suite.write_text(suite.read_text().replace("Noise.", json.dumps(MARKUP)))
    found = trees.compare()
    text, markdown = comparison_text(found, True), comparison_markdown(found, True)
    for shown in (text, markdown):
        assert all(line.isprintable() for line in shown.splitlines())
    assert "<img" not in markdown and "<b>" not in markdown
    assert "**b**" not in markdown and "\n# d" not in markdown and "`c`" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}
    assert json.loads(json.dumps(comparison_json(found)))["metrics"]
    tally("texts escaped", 3)


def test_markdown_folds_what_is_long(trees: Trees) -> None:
    trees.new.write_run("l2", 0, BAD)
    found = trees.compare()
    markdown = comparison_markdown(found)
    assert markdown.startswith("### ") and "| l2 | mse\\_h |" in markdown
    assert markdown.count("<details>") == markdown.count("</details>")
    assert "psnr\\_w" not in markdown and "psnr\\_w" in comparison_markdown(found, True)


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("bad", ["no_such", "-x", "HEAD~99", "a\nb", "'"])
def test_wrong_version_is_one_line(
    bad: str, capsys: pytest.CaptureFixture[str], trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trees.new_folder)
    commit(trees.new_folder)
    arguments = ["compare", "--", bad] if bad.startswith("-") else ["compare", bad]
    assert main(arguments) == 2
    message = capsys.readouterr()
    assert message.out == "" and message.err.count("\n") == 1
    assert message.err.startswith("error: ")
    tally("invalid configurations refused")


FAMILY = {"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.6}
"""True differences in dB; the last one makes the method better."""


def _wrong_families(folder: Path, trials: int, seeds: int, seed: int) -> float:
    """Return the share of families with a wrong verdict, scores of images being hole PSNRs."""
    rng = np.random.default_rng(seed)
    parts = Components(seeds=(0.02,), image=0.5, residual=0.3)
    if seeds < 3:
        parts = Components((), parts.image, parts.residual)
    wrong = 0
    for _ in range(trials):
        versions = two_versions(folder, rng, FAMILY, parts, (seeds, 40), "psnr_h")
        verdicts = {c.method: c.verdict for c in compare_versions(*versions).metrics}
        wrong += any(
            verdicts[name] in (("better", "worse") if shift == 0 else ("worse", "equivalent"))
            for name, shift in FAMILY.items()
        )
    return wrong / trials


def test_few_families_have_a_wrong_verdict(tmp_path: Path) -> None:
    # Of 25 families with an error of 5 % each, five or more have one with a probability of .7 %.
    assert _wrong_families(tmp_path, 25, 3, seed=1) <= 4 / 25


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_at_most_one_family_in_twenty_has_a_wrong_verdict(tmp_path: Path, seeds: int) -> None:
    # Two standard errors of a share of .05 of 400 are .0218.
    assert _wrong_families(tmp_path, 400, seeds, seed=seeds) <= 0.05 + 0.0218
