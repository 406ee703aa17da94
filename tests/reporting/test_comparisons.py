"""What the report says of comparisons, on a checkout whose numbers are worked by hand."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.config import load_params
from benchmark.core.text import p_text
from benchmark.evaluation.results import Results, read_results
from benchmark.reporting import suite_report
from benchmark.reporting.markdown import markdown_blocks
from benchmark.reporting.sections.suite import comparisons
from benchmark.reporting.sections.suite.comparisons import comparisons_csv
from benchmark.reporting.suite_report import local_results, suite_reports
from benchmark.reporting.tables import leaderboard
from benchmark.reporting.verdicts import (
    Verdicts,
    against_baselines,
    between_variants,
    chances_of_best,
    resamples_seeds,
)
from benchmark.stats.intervals import Spread
from benchmark.versions.tolerances import Measured, SuiteTolerances, Tolerances, origin_digest
from tests.support.report_tree import BAD, EVEN, GOOD, TELEA, Checkout


def _results() -> Results:
    return read_results(load_params(), "tiny")


def _section(results: Results) -> str:
    """Return the section on comparisons as Markdown."""
    ((suite,), _) = suite_reports([results], [], [None])
    section = comparisons.section(suite)
    assert section is not None
    return markdown_blocks([section])


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path, {"good": GOOD, "bad_gan": BAD, "even": EVEN})
    monkeypatch.chdir(tmp_path)
    return made


def test_all_pairs_of_variants_are_one_family(checkout: Checkout) -> None:
    found = between_variants(_results())
    assert [(c.method, c.reference) for c in found] == [
        *(("good", "bad_gan"), ("good", "even"), ("bad_gan", "even")),
    ]
    first = found[0]
    # .004 below Telea and .010 above it, on every image.
    assert first.difference == pytest.approx(-0.014) and first.verdict == "better"
    assert first.improvement == 1 and first.images == 4
    # Of four images all 16 ways to flip signs: the two of equal signs are as far from 0.
    assert first.permutation_p == 2 / 16
    # Of three differences three nulls are true at most; the last one, even, is above none of them.
    assert [c.p_adjusted for c in found] == pytest.approx([min(1, 3 * c.p) for c in found])


def test_variants_without_a_common_seed_are_compared(checkout: Checkout) -> None:
    checkout.write_run("good", 1, GOOD)
    for name in ("good", "even"):
        checkout.write_run(name, 1, EVEN)
    found = _results()
    assert len(between_variants(found)) == 3
    frame = found.frame.copy()
    frame.loc[frame["method"] == "good", "seed"] = 5
    curves = {("good", 5) if k[0] == "good" else k: v for k, v in found.curves.items()}
    other = replace(found, frame=frame, curves=curves, seeds=(0, 5))
    assert [c.difference for c in between_variants(other)] == [
        c.difference for c in between_variants(found)
    ]


def test_metric_without_values_gives_no_comparison(checkout: Checkout) -> None:
    assert against_baselines(_results(), "lpips_alex") == []
    assert {c.reference for c in against_baselines(_results())} == {"mean_color", "telea"}


def test_chance_of_being_best_is_that_of_the_resampled_images(checkout: Checkout) -> None:
    # Better by the same on every image: whatever is drawn, it is the best.
    assert chances_of_best(_results())["good"] == 1
    checkout.write_run("good", 0, EVEN)
    checkout.write_run("even", 0, TELEA)
    checkout.params(["good", "even"], [0])
    # They differ by -1, 1, -1, 1 thousandths: the sum over four draws is below 0 in 5 of 16 cases,
    # above it in 5, and 0 in 6, of which each of the three has a third.
    found = chances_of_best(_results())
    # Three standard errors of a share of 10,000.
    assert found["good"] == pytest.approx(5 / 16 + 6 / 16 / 3, abs=0.015)
    assert found["even"] == found["telea"] == pytest.approx((1 - found["good"]) / 2)
    assert found["mean_color"] == 0


def test_section_says_how_sure_it_is(checkout: Checkout) -> None:
    results = _results()
    section = _section(results)
    assert (
        "| good - bad\\_gan | ✓ better (provisional) | -0.01400 \\[-0.01400, -0.01400\\] |"
        in section
    )
    assert ": good 100.0 %." in section
    assert "covers images and training seeds unless nothing is known of the seeds" in section
    assert "What another training seed changes is not known" in section


def test_seeds_that_are_there_say_what_a_seed_changes(checkout: Checkout) -> None:
    for seed, shift in ((1, 0.001), (2, 0.002)):
        for name, values in (("good", GOOD), ("bad_gan", BAD), ("even", EVEN)):
            checkout.write_run(name, seed, values + shift)
    checkout.params(["good", "bad_gan", "even"], [0, 1, 2])
    results = _results()
    # The standard deviation of 0, .001 and .002.
    assert "between seeds: good 0.00100 (3 seeds)" in _section(results)


def test_measured_spread_counts_for_these_settings_and_images_alone(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = _results()
    training = results.origins["good", 0].provenance["training"]

    def measured(suite: str = "tiny", **changed: str) -> Tolerances:
        digest = origin_digest({**training, **changed})
        entry = SuiteTolerances(
            measured={"good": Measured(digest=digest, seeds=(0, 1, 2))},
            metrics={"mse_h": {"seed_sd": {"good": 0.001}}},
        )
        return Tolerances(suites={suite: entry})

    def read() -> Results:
        (found,) = local_results(load_params())
        return found

    monkeypatch.setattr(suite_report, "read_tolerances", measured)
    said = "as `python -m benchmark tolerances` measured it with these settings: good 0.00100"
    assert said in _section(read())
    assert read().spreads == {("good", "mse_h"): Spread(0.001, 2)}
    others = [{"config_sha256": "0" * 64}, {"data_sha256": "0" * 64}, {"suite": "other"}]
    for changed in others:
        monkeypatch.setattr(
            suite_report, "read_tolerances", lambda changed=changed: measured(**changed)
        )
        assert "measured it" not in _section(read())


def test_csv_has_every_number_of_a_comparison(checkout: Checkout) -> None:
    found = between_variants(_results())
    rows = [*csv.DictReader(io.StringIO(comparisons_csv(found)))]
    assert [row["method"] for row in rows] == ["good", "good", "bad_gan"]
    assert float(rows[0]["difference"]) == pytest.approx(-0.014)
    assert json.loads(rows[0]["permutation_p"]) == 2 / 16
    assert rows[0]["verdict"] == "better"


@pytest.mark.parametrize(("p", "text"), [(0.00009, "< .0001"), (0.0001, "0.0001"), (1, "1.0000")])
def test_small_p_is_not_printed_as_zero(p: float, text: str) -> None:
    assert p_text(p) == text


def test_metric_that_one_seed_lacks_is_compared_by_the_others(checkout: Checkout) -> None:
    for name, values in (("good", GOOD), ("bad_gan", BAD), ("even", EVEN)):
        checkout.write_run(name, 1, values)
    checkout.params(["good", "bad_gan", "even"], [0, 1])
    results = _results()
    frame = results.frame.copy()
    frame.loc[(frame["method"] == "good") & (frame["seed"] == 0), "psnr_h"] = np.nan
    frame.loc[frame["method"] == "even", "psnr_h"] = np.nan
    found = replace(results, frame=frame)
    compared = {(c.method, c.reference): c for c in between_variants(found, "psnr_h")}
    assert set(compared) == {("good", "bad_gan")}
    assert compared["good", "bad_gan"].seeds == 1
    board = leaderboard(found, Verdicts(found))
    assert "psnr_h of good: the mean of seed 1 alone" in board.footnotes
    # All seeds of both that have values are compared, whichever these are.
    frame.loc[(frame["method"] == "bad_gan") & (frame["seed"] == 1), "psnr_h"] = np.nan
    (other,) = between_variants(replace(results, frame=frame), "psnr_h")
    assert other.seeds == 1


def test_seeds_are_resampled_where_all_variants_have_the_same(checkout: Checkout) -> None:
    for seed in (1, 2):
        for name, values in (("good", GOOD), ("bad_gan", BAD), ("even", EVEN)):
            checkout.write_run(name, seed, values)
    assert not resamples_seeds(_results())
    checkout.params(["good", "bad_gan", "even"], [0, 1, 2])
    results = _results()
    assert resamples_seeds(results) and Verdicts(results).covers_seeds
    assert "images and training seeds are resampled" in _section(results)
    fewer = {key: curve for key, curve in results.curves.items() if key != ("even", 2)}
    assert not resamples_seeds(replace(results, curves=fewer))
