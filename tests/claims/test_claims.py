"""Claims on score tables whose truth was planted, against verdicts and intervals worked outside."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from benchmark.claims.comparisons import ClaimComparison
from benchmark.claims.definitions import JOINT, SINGLE, Claim, load_claims
from benchmark.claims.testing import COMPARE, ClaimFinding, ClaimResult, evaluate_claims
from benchmark.core import paths
from benchmark.core.config import load_params, load_suite, load_variant, names_in
from benchmark.reporting.markdown import markdown_blocks, markdown_table
from benchmark.reporting.sections.claims import (
    ORIGINS,
    claims_csv,
    claims_json,
    claims_table,
    section,
)
from benchmark.reporting.suite_report import Report
from benchmark.stats.intervals import Sample, Spread, unpaired_interval
from benchmark.stats.rulebook import Effect
from data.errors import InputError
from models.baselines import BASELINES
from tests.claims.made_up import (
    NUM_IMAGES,
    PSNR,
    WOBBLE,
    claim,
    evaluated,
    only,
    pair,
    reason,
    results,
)
from tests.support.comparisons import interval
from tests.support.tiny import ROOT

# Each end of the interval of a mean of `size * WOBBLE` is this times `size` away from it.
REACH = float(stats.t.ppf(0.975, NUM_IMAGES - 1)) * 2 / math.sqrt(NUM_IMAGES)


def test_all_claims_of_the_systems_are_there() -> None:
    assert list(load_claims(ROOT)) == [f"c{number}" for number in range(1, 26)]


def test_every_kind_of_comparison_is_used_and_can_be_made() -> None:
    claims = load_claims(ROOT).values()
    assert all(any(getattr(tested, kind) for tested in claims) for kind in (*JOINT, *SINGLE))
    assert {*COMPARE} == {*JOINT}


@pytest.mark.parametrize(("name", "tested"), load_claims(ROOT).items())
def test_a_claim_has_its_origin_and_place(name: str, tested: Claim) -> None:
    assert tested.origin in ORIGINS and tested.where.strip()
    assert bool(tested.quote.strip()) == (tested.origin == "author"), name
    assert not {*tested.quote} & set('"“”'), f"{name}: the report adds quotation marks"


CANNOT = {
    *(("c5", "reversed"), ("c18", "negligible"), ("c20", "negligible"), ("c22", "reversed")),
    ("c23", "negligible"),
}
"""A difference of either side; what has no margin; a choice of the best; what is exact."""


@pytest.mark.parametrize(("name", "tested"), load_claims(ROOT).items())
def test_what_is_found_is_a_sentence_whatever_the_verdict(name: str, tested: Claim) -> None:
    possible = {v for v in ("reversed", "negligible") if (name, v) not in CANNOT}
    assert {*tested.instead} == (possible if tested.is_compared else set())
    said = [tested.claim, *tested.instead.values()]
    assert len({*said}) == len(said) and all(text[-1] == "." and '"' not in text for text in said)


@pytest.mark.parametrize(
    ("name", "words"),
    [("c13", "further from that of the truth"), ("c25", "further from the original")],
)
def test_a_reversed_claim_says_what_was_measured(name: str, words: str) -> None:
    assert words in load_claims(ROOT)[name].finding("reversed")


def test_a_verdict_says_what_was_found() -> None:
    tested = claim(better=pair(), instead={"reversed": "It is the other way."})
    assert tested.finding("supported") == "It is so." and tested.instead_of("supported") == ""
    assert tested.finding("inconclusive") == "Not decided: It is so."
    assert tested.finding("reversed") == tested.instead_of("reversed") == "It is the other way."
    assert tested.finding("negligible") == "Not so: It is so."


def test_the_share_of_the_authors_budget_is_that_of_the_images_seen() -> None:
    curves = {
        (name, 0): pd.DataFrame({"epoch": [1, 2], "images_seen": [7_500, seen]})
        for name, seen in (("l2", 15_000), ("binary", 150_000), ("mine", 9))
    }
    scores = {"l2": PSNR + 1, "binary": PSNR, "mine": PSNR}
    found = results(scores, curves=curves)
    # LocPaint: 30 epochs of 50,000 images. Nobody says how long the third one was trained.
    assert only(claim(better=pair("psnr_h", "l2", "binary")), found).shares == (0.01, 0.1)
    assert only(claim(better=pair("psnr_h", "l2", "mine")), found).shares == (0.01,)
    assert only(claim(better=pair("psnr_h", "l2", "mine")), results(scores)).shares == ()


@pytest.mark.parametrize(("name", "tested"), load_claims(ROOT).items())
def test_a_claim_names_what_exists(name: str, tested: Claim) -> None:
    variants = {*names_in(ROOT / paths.VARIANTS)}
    assert {*tested.methods} | {pair.variant for pair in tested.across} <= variants
    baselines = {every.baseline for every in (*tested.all_beat, *tested.all_follow)}
    assert baselines | {pair.over for pair in tested.across} <= {*BASELINES}
    asked = [
        (s.variant, s.discriminator) for s in (*tested.sees_seam, *tested.finds, *tested.misses)
    ]
    for each in tested.more_specific:
        asked += [(each.variant, each.discriminator), (each.than, each.than_discriminator)]
    for variant, discriminator in asked:
        assert discriminator in load_variant(variant, ROOT).discriminators
    for suites in tested.across:
        px = {load_suite(suite, ROOT).image_size for suite in (suites.suite, suites.than)}
        assert len(px) == 1, f"{name}: PSNR depends on the size of the images"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("whom: x", "claims.c1.whom: unknown key, did you mean who?"),
        ("origin: theirs", "claims.c1.origin: "),
        ("origin: author", "claims.c1: quote: an author's claim needs the author's words"),
        ("quote: It is so!", "claims.c1: quote: an author's claim needs the author's words"),
        ("better: [{metric: psnr, variant: a, than: b}]", "claims.c1.better.0.metric: there is no"),
        ("better: [{metric: psnr_h, variant: a}]", "claims.c1.better.0.than: this key is missing"),
        (
            "better: [{metric: psnr_h, variant: a, than: b, by: 1}]",
            "claims.c1.better.0.by: unknown key (valid: margin, metric, than, variant)",
        ),
        ("better: []", "claims.c1: names no comparison; it needs one of better, differ"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(tmp_path: Path, broken: str, message: str) -> None:
    path = tmp_path / paths.CLAIMS
    path.parent.mkdir(parents=True)
    keys = {"who": "someone", "claim": "It is so.", "origin": "ours", "where": "here"}
    lines = [f"{key}: {value}" for key, value in keys.items() if not broken.startswith(key + ":")]
    path.write_text("claims:\n  c1:\n    " + "\n    ".join([*lines, broken]) + "\n")
    with pytest.raises(InputError) as caught:
        load_claims(tmp_path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "mean", "size", "verdict"),
    [
        # The interval is `mean ± REACH * size`, and REACH about 1.67; the margin is .1 dB.
        ("better", 1.0, 0.1, "supported"),
        ("better", -1.0, 0.1, "reversed"),
        ("better", 0.2, 0.1, "supported"),  # .03 to .37
        ("better", 0.1, 0.1, "inconclusive"),  # -.07 to .27
        ("better", 0.0, 0.01, "negligible"),  # no difference worth the name
        ("better", 0.0, 1.0, "inconclusive"),
        ("differ", 1.0, 0.1, "supported"),
        ("differ", -1.0, 0.1, "supported"),
        ("differ", 0.02, 0.01, "negligible"),
        ("differ", 0.1, 0.1, "inconclusive"),
        ("as_good", 1.0, 0.1, "supported"),
        ("as_good", -0.05, 0.01, "supported"),
        ("as_good", -1.0, 0.1, "reversed"),
        ("as_good", -0.2, 0.1, "inconclusive"),  # -.37 to -.03
    ],
)
def test_the_verdict_on_a_planted_difference(
    kind: str, mean: float, size: float, verdict: str
) -> None:
    found = only(
        claim(**{kind: pair()}), results({"ours": PSNR + mean + size * WOBBLE, "theirs": PSNR})
    )
    assert found.verdict == verdict
    (part,) = found.comparisons
    # A few float64 operations lie between.
    assert (part.difference, part.low, part.high) == pytest.approx(
        (mean, mean - REACH * size, mean + REACH * size), abs=1e-12
    )
    assert (part.images, part.seeds, part.covers_seeds) == (NUM_IMAGES, 1, False)
    assert found.runs == ("tiny/ours/seed0", "tiny/theirs/seed0")


@pytest.mark.parametrize(("metric", "sign"), [("mse_h", -1), ("ssim_h", 1), ("lpips_alex", -1)])
def test_better_is_the_direction_of_the_metric(metric: str, sign: int) -> None:
    base = np.linspace(0.2, 0.3, NUM_IMAGES)
    scores = {"ours": base + sign * 0.01 + 1e-4 * WOBBLE, "theirs": base}
    assert only(claim(better=pair(metric)), results(scores, metric)).verdict == "supported"
    reverse = claim(better=pair(metric, "theirs", "ours"))
    assert only(reverse, results(scores, metric)).verdict == "reversed"


def test_the_margin_is_that_of_the_metric() -> None:
    base = np.linspace(0.2, 0.3, NUM_IMAGES)
    for metric, sign, verdict in (("ssim_h", 1, "negligible"), ("mse_h", -1, "supported")):
        scores = {"ours": base + sign * 0.001 + 1e-5 * WOBBLE, "theirs": base}
        assert only(claim(better=pair(metric)), results(scores, metric)).verdict == verdict


def test_of_the_seam_its_distance_from_zero_counts() -> None:
    # Means: 0 for ours, although no image is better than .05; .01 for theirs.
    signs = np.array([1, -1] * (NUM_IMAGES // 2))
    scores = {"ours": signs * (0.05 + 1e-3 * WOBBLE), "theirs": np.full(NUM_IMAGES, 0.01)}
    found = only(claim(better=pair("seam")), results(scores, "seam"))
    assert found.verdict == "reversed"
    assert found.comparisons[0].difference == pytest.approx(0.04, abs=1e-12)
    assert found.comparisons[0].what == "|seam|: ours - theirs"


def test_ratios_are_compared_by_their_logarithms() -> None:
    # One nearly flat image has a ratio of 40 and would decide a mean of ratios.
    theirs = np.array([0.5, 0.2, 0.8, 40.0, 0.4, np.nan, 0.1, 0.3])
    frame = results({"ours": 2 * theirs, "theirs": theirs}, "sharpness_c")
    (part,) = only(claim(better=pair("sharpness_c")), frame).comparisons
    # Five come nearer to 1 by ln 2, one gets as much farther, and .8 becomes 1.6.
    expected = (math.log(1.6 * 0.8) - 4 * math.log(2)) / 7
    assert part.difference == pytest.approx(expected, rel=1e-12)
    assert (part.what, part.images) == ("|ln sharpness_c|: ours - theirs", NUM_IMAGES - 1)
    halves = {"ours": np.full(NUM_IMAGES, 2.0), "theirs": np.full(NUM_IMAGES, 0.5)}
    (part,) = only(claim(better=pair("sharpness_c")), results(halves, "sharpness_c")).comparisons
    assert part.difference == 0, "half is as far from 1 as double"


def test_a_ratio_of_zero_is_not_infinitely_blurry() -> None:
    scores = {"ours": np.ones(NUM_IMAGES), "theirs": np.r_[0.0, np.ones(NUM_IMAGES - 1)]}
    (part,) = only(claim(better=pair("sharpness_c")), results(scores, "sharpness_c")).comparisons
    assert part.difference == pytest.approx(-2 * math.log(10) / NUM_IMAGES, rel=1e-12)


def test_an_exact_completion_counts_as_off_by_one_in_one_channel() -> None:
    scores = {"ours": np.r_[np.inf, PSNR[1:]], "theirs": PSNR}
    (part,) = only(claim(better=pair()), results(scores)).comparisons
    cap = 10 * math.log10(255**2 * 3 * 256)
    assert part.difference == pytest.approx((cap - PSNR[0]) / NUM_IMAGES, rel=1e-12)


def test_seeds_are_independent_draws_and_covered_from_two_on() -> None:
    sides = np.array([0.8, 0.9, 1.0]), np.array([0.0, 0.3])
    ours, theirs = (PSNR + side[:, None] for side in sides)
    found = only(claim(better=pair()), results({"ours": ours, "theirs": theirs}))
    # The pooled variance is .065 / 3, with 3 degrees of freedom; that of the other side is larger.
    reach = stats.t.ppf(0.975, 3) * math.sqrt(0.065 / 3 / 3 + 0.045 / 2)
    (part,) = found.comparisons
    # Images differ by rounding alone, which leaves a variance of about 1e-30.
    assert (part.low, part.high) == pytest.approx((0.75 - reach, 0.75 + reach), rel=1e-9)
    assert (part.seeds, part.covers_seeds, found.verdict) == (2, True, "supported")
    apart = results({"ours": ours, "theirs": theirs}, seeds={"ours": [0, 1, 4], "theirs": [5, 6]})
    assert only(claim(better=pair()), apart).comparisons[0].low == part.low


def test_a_measured_spread_makes_one_seed_count_for_less() -> None:
    scores = {"ours": PSNR + 1 + 0.1 * WOBBLE, "theirs": PSNR}
    (part,) = only(claim(better=pair()), results(scores)).comparisons
    assert (part.verdict, part.covers_seeds) == ("supported", False)
    spreads = {(name, "psnr_h"): Spread(0.3, 2) for name in scores}
    (part,) = only(claim(better=pair()), results(scores, spreads=spreads)).comparisons
    assert (part.verdict, part.covers_seeds) == ("inconclusive", True)


def test_all_claims_are_one_family() -> None:
    # Alone it has a p of about .045.
    scores = {"ours": PSNR + 0.17 + 0.1 * WOBBLE, "theirs": PSNR}
    places = [("tiny", results(scores))]
    alone = evaluate_claims({"a": claim(better=pair())}, places)
    assert alone["a"].overall == "supported"
    many = evaluate_claims({name: claim(better=pair()) for name in "abcd"}, places)
    assert [result.overall for result in many.values()] == ["inconclusive"] * 4
    (part,) = many["a"].findings[0].comparisons
    assert part.verdict_alone == "supported"
    row = claims_table(many).groups[0].rows[0]
    assert row.cells[2].text.endswith("] (supported by itself)")


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((1.0, 2.0), "supported"),
        ((1.0, 1.0), "negligible"),  # 1 over the first, but 0 over the second
        ((-1.0, 2.0), "reversed"),
    ],
)
def test_one_part_can_decide_a_claim_of_several(gains: tuple[float, float], verdict: str) -> None:
    scores = {
        "localizer": PSNR,
        "binary": PSNR + gains[0] + 0.01 * WOBBLE,
        "staged": PSNR + gains[1] - 0.01 * WOBBLE,
    }
    tests = pair("psnr_h", "binary", "localizer") + pair("psnr_h", "staged", "binary")
    found = only(claim(better=tests), results(scores))
    assert found.verdict == verdict
    assert len(found.comparisons) == 2


def test_a_part_that_is_open_leaves_a_claim_open() -> None:
    tests = pair() + pair(than="others")
    scores = {"ours": PSNR + 1, "theirs": PSNR, "others": PSNR + 1 + WOBBLE}
    assert only(claim(better=tests), results(scores)).verdict == "inconclusive"


def test_a_margin_of_a_claim_stands_above_that_of_the_metric() -> None:
    base = np.linspace(0.2, 0.3, NUM_IMAGES)
    scores = {"localizer": base - 0.0015 + 1e-5 * WOBBLE, "l2": base}
    tested = load_claims(ROOT)["c2"]
    assert only(tested, results(scores, "stlpips_alex")).verdict == "supported", "author: .0019"
    usual = claim(better=pair("stlpips_alex", "localizer", "l2"))
    assert only(usual, results(scores, "stlpips_alex")).verdict == "negligible"


def test_sharpness_at_a_cost_in_perception_is_not_what_is_claimed() -> None:
    tested = load_claims(ROOT)["c13"]
    frames = {}
    for metric, ours, theirs in (("sharpness_c", 0.9, 0.3), ("stlpips_alex_h", 0.25, 0.2)):
        noise = 1e-4 * WOBBLE
        frames[metric] = {"binary": ours + noise, "l2": np.full(NUM_IMAGES, theirs)}
    both = results(frames["sharpness_c"], "sharpness_c")
    worse = results(frames["stlpips_alex_h"], "stlpips_alex_h").frame["stlpips_alex_h"]
    found = only(tested, replace(both, frame=both.frame.assign(stlpips_alex_h=worse)))
    assert [part.verdict for part in found.comparisons] == ["supported", "reversed"]
    assert found.verdict == "reversed"
    overshot = {"binary": np.full(NUM_IMAGES, 4.7), "l2": np.full(NUM_IMAGES, 2.3)}
    both = results(overshot, "sharpness_c")
    assert only(tested, replace(both, frame=both.frame.assign(stlpips_alex_h=0.2))).verdict == (
        "reversed"
    ), "4.7 is farther from 1 than 2.3"


def test_fewer_operations_are_cheaper() -> None:
    tested = load_claims(ROOT)["c17"]
    scores: dict[str, ArrayLike] = {"attention_unet_whole": PSNR, "attention_unet": PSNR}
    other = 43_400_000_000
    for ours, verdict in (
        (11_000_000_000, "supported"),
        (50_000_000_000, "reversed"),
        (other, "negligible"),
    ):
        flops = {"attention_unet_whole": ours, "attention_unet": other}
        found = only(tested, results(scores, flops=flops))
        assert found.verdict == verdict
        assert found.comparisons[0].difference == pytest.approx(ours / 1e9 - 43.4, rel=1e-12)
    assert reason(tested, results(scores)) == (
        "the operations of attention_unet_whole are not known"
    )


def test_half_the_channels_need_less_memory() -> None:
    scores: dict[str, ArrayLike] = {"attention_unet_whole": PSNR, "attention_unet": PSNR}
    tiny = results(scores)
    found = only(load_claims(ROOT)["c16"], tiny)
    assert found.verdict == "supported"
    # Maps of all layers at each resolution, in multiples of the base channels, counted by hand.
    maps = 8 + 21 / 4 + 38 / 16 + 33 / 64
    mib = 4 * (64 - 32) * maps * tiny.suite.image_size**2 / 2**20
    assert found.comparisons[0].difference == pytest.approx(-mib, rel=1e-12)


def _diagnosis(seam: float, content: float, wobble: float = 0.01, **facts: Any) -> dict[str, Any]:
    """Return a localizer's diagnosis of 8 images, with effects of such means."""
    shifts = wobble * np.arange(-3.5, 4)
    cells = {"real": 0, "seam_only": seam, "seam_free": content, "completed": seam + content}
    values = {name: (0.1 + value * (1 + shifts)).tolist() for name, value in cells.items()}
    numbers = {"predicts": "localization", "input": "completed", "effects": {"verdict": "unread"}}
    entry = numbers | {"per_image": values} | facts
    return {"images": 8, "discriminators": {"localizer": entry}}


@pytest.mark.parametrize(
    ("effects", "verdicts"),
    [
        ((0.3, 0.1), ("supported", "supported")),
        ((0.1, 0.3), ("supported", "reversed")),
        ((0.2, 0.2), ("supported", "inconclusive")),
        ((0.03, 0.01), ("negligible", "supported")),  # less than counts
        ((0.0, -0.2), ("negligible", "supported")),  # it finds nothing at all
    ],
)
def test_a_seam_must_count_and_for_more_than_content(
    effects: tuple[float, float], verdicts: tuple[str, str]
) -> None:
    diagnoses = {("localizer", 0): _diagnosis(*effects)}
    found = only(load_claims(ROOT)["c6"], results({"localizer": PSNR}, diagnoses=diagnoses))
    assert tuple(part.verdict for part in found.comparisons) == verdicts
    shifts = 1 + np.arange(-3.5, 4) * 0.01
    values = effects[0] * shifts, (effects[0] - effects[1]) * shifts
    for part, of_images in zip(found.comparisons, values, strict=True):
        half = stats.t.ppf(0.975, 7) * of_images.std(ddof=1) / np.sqrt(8)
        expected = of_images.mean(), of_images.mean() - half, of_images.mean() + half
        assert (part.difference, part.low, part.high) == pytest.approx(expected, abs=1e-12)
        assert (part.images, part.seeds, part.covers_seeds) == (8, 1, False)


def test_seeds_that_disagree_leave_the_seam_open() -> None:
    scores: dict[str, ArrayLike] = {"localizer": np.stack([PSNR] * 3)}
    diagnoses = {("localizer", s): _diagnosis(v, 0.1) for s, v in enumerate((0.2, 0.4, 0.6))}
    found = only(load_claims(ROOT)["c6"], results(scores, diagnoses=diagnoses))
    part = found.comparisons[1]
    assert part.covers_seeds and part.low < 0 < part.difference
    assert (part.verdict, found.verdict) == ("inconclusive", "inconclusive")


@pytest.mark.parametrize(
    ("diagnosis", "expected"),
    [
        ({}, "was not asked image by image; `python -m benchmark evaluate` asks it"),
        ({"discriminators": {}}, "was not asked image by image"),
        (_diagnosis(0.2, 0.1, effects=None), "was not asked image by image"),
        (_diagnosis(0.2, 0.1, input="hole"), "sees the hole alone, which has no border"),
    ],
)
def test_without_a_diagnosis_reliance_is_not_testable(
    diagnosis: dict[str, Any], expected: str
) -> None:
    found = results({"localizer": PSNR}, diagnoses={("localizer", 0): diagnosis})
    assert reason(load_claims(ROOT)["c6"], found).startswith(f"localizer of localizer {expected}")


def test_reliance_needs_the_same_images_of_all_seeds_and_two() -> None:
    scores: dict[str, ArrayLike] = {"localizer": np.stack([PSNR, PSNR])}
    whole, part = _diagnosis(0.2, 0.1), _diagnosis(0.2, 0.1)
    entry = part["discriminators"]["localizer"]
    entry["per_image"] = {name: values[:1] for name, values in entry["per_image"].items()}
    diagnoses = {("localizer", 0): whole, ("localizer", 1): part}
    said = reason(load_claims(ROOT)["c6"], results(scores, diagnoses=diagnoses))
    assert said == "the seeds were asked about different images"
    diagnoses = {("localizer", 0): part}
    said = reason(load_claims(ROOT)["c6"], results({"localizer": PSNR}, diagnoses=diagnoses))
    assert said == "too few images have values (1)"


def test_two_suites_give_the_interval_of_welchs_test() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.normal(17, 2, 40), rng.normal(15, 3, 60)
    across = {"metric": "psnr_h", "variant": "ours", "over": "biharmonic"}
    tested = claim(across=[across | {"suite": "small", "than": "large"}])
    suites = [
        # What every method gains by images that are easier for all is no lead.
        results({"ours": v + easier, "biharmonic": np.full(len(v), easier)}, name=n)
        for n, v, easier in (("small", small, 8.0), ("large", large, 3.0))
    ]
    expected = stats.ttest_ind(small, large, equal_var=False).confidence_interval(0.95)
    found = only(tested, *suites)
    (part,) = found.comparisons
    assert (part.low, part.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert (found.verdict, found.place, part.images) == ("supported", "small against large", 40)
    assert found.runs == (
        "small/ours/seed0", "small/biharmonic", "large/ours/seed0", "large/biharmonic",
    )  # fmt: skip
    assert reason(tested, suites[0]) == "needs runs of ours on both"
    without = results({"ours": small}, name="small", refused={"biharmonic": "above 128 px"})
    assert reason(tested, without, suites[1]) == "biharmonic was not run: above 128 px"


def test_seeds_of_two_suites_are_covered() -> None:
    sides = np.array([17.0, 17.2, 17.5]), np.array([15.0, 15.1, 15.6, 15.3])
    expected = stats.ttest_ind(*sides, equal_var=False).confidence_interval(0.95)
    ours, other = (Sample(np.repeat(side[:, None], 20, axis=1)) for side in sides)
    found = unpaired_interval(ours, other)
    # Images are equal up to rounding, which leaves a variance of about 1e-30.
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_every_variant_is_held_against_the_baseline_by_itself() -> None:
    tested = load_claims(ROOT)["c14"]
    base = np.linspace(0.02, 0.03, NUM_IMAGES)
    scores = {"good": base - 0.01, "bad": base + 0.01, "biharmonic": base + 1e-5 * WOBBLE}
    found = evaluated(tested, results(scores, "mse_h"))
    assert [(f.runs[0], f.verdict) for f in found.findings] == [
        ("tiny/good/seed0", "supported"),
        ("tiny/bad/seed0", "reversed"),
    ]
    assert found.findings[0].runs[1] == "tiny/biharmonic"
    assert found.overall == "mixed"
    refused = results({"good": base, "bad": base}, "mse_h", refused={"biharmonic": "above 128 px"})
    assert reason(tested, refused) == "biharmonic was not run: above 128 px"


def test_missing_runs_are_named() -> None:
    tested = load_claims(ROOT)["c10"]
    both = "attention_unet, attention_unet_no_attention"
    assert reason(tested, results({"l2": PSNR})) == f"needs runs of {both} on any one suite"
    assert reason(tested) == f"needs runs of {both} on any one suite"
    assert reason(tested, results({"l2": PSNR}), results({"attention_unet": PSNR}, name="b")) == (
        "needs runs of attention_unet_no_attention on b, which has attention_unet"
    )


def test_what_a_claim_needs_is_said_with_and_without_comparisons() -> None:
    partly = claim(better=pair(), needs="the gain")
    found = evaluated(partly, results({"ours": PSNR + 1 + 0.01 * WOBBLE, "theirs": PSNR}))
    assert (found.overall, found.untested) == ("supported", (("", "needs the gain"),))
    assert reason(claim(needs="other contexts"), results({"ours": PSNR})) == "needs other contexts"


def test_a_metric_without_values_is_not_a_missing_run() -> None:
    tested, gaps = load_claims(ROOT)["c1"], np.full(NUM_IMAGES, np.nan)
    found = results(
        {"localizer": gaps, "binary": gaps}, "stlpips_alex", missing={"stlpips_alex": "no weights"}
    )
    assert reason(tested, found) == "stlpips_alex has no values (no weights)"
    assert reason(tested, results({"localizer": PSNR, "binary": PSNR})) == (
        "stlpips_alex has no values"
    )


def test_one_image_is_not_enough() -> None:
    found = results({"ours": [20.0], "theirs": [19.0]})
    assert reason(claim(better=pair()), found) == "psnr_h has values of one image, which is too few"


def _simulated(rng: np.random.Generator, gain: float) -> dict[str, NDArray[np.float64]]:
    """Return scores of three seeds on 60 images, with a true difference of `gain` dB."""
    images = rng.normal(20, 3, (1, 60))
    return {
        name: images + mean + rng.normal(0, 0.1, (3, 1)) + rng.normal(0, 0.5, (3, 60))
        for name, mean in (("ours", gain), ("theirs", 0.0))
    }


@pytest.mark.parametrize(("gain", "right"), [(1.0, "supported"), (-1.0, "reversed")])
def test_noise_of_seeds_and_images_hides_no_large_difference(gain: float, right: str) -> None:
    rng = np.random.default_rng(0)
    verdicts = [only(claim(better=pair()), results(_simulated(rng, gain))).verdict
                for _ in range(10)]  # fmt: skip
    # The standard error is about .14 dB, with few degrees of freedom: some stay open, none errs.
    assert sum(verdict == right for verdict in verdicts) >= 8
    assert set(verdicts) <= {right, "inconclusive"}


def _tested() -> dict[str, Any]:
    base = {"l2": PSNR + 1 + 0.01 * WOBBLE, "binary": PSNR}
    reverse = {"l2": PSNR, "binary": PSNR + 1 + 0.01 * WOBBLE}
    suites = [
        ("tiny", results(base)),
        ("tiny_b (reference: <GPU> | model_x)", results(reverse, name="tiny_b")),
    ]
    wanted = {name: load_claims(ROOT)[name] for name in ("c1", "c3", "c10")}
    source = {"who": "*x*|y", "origin": "author", "where": "page |7", "quote": "it_is"}
    wanted["c99"] = claim(better=pair("psnr_w", "l2", "binary"), claim="A_<b>.", **source)
    return dict(evaluate_claims(wanted, suites))


def test_the_table_shows_findings_and_what_could_not_be_tested() -> None:
    lines = markdown_table(claims_table(_tested())).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]
    titles = [row[0] for row in rows if not any(row[1:])]
    assert titles[0].startswith("c1. **") and titles[2].startswith("c10. **")
    assert titles[1] == (
        "c3. **Adversarial training with a binary discriminator costs PSNR.** (LocPaint; author's "
        "figures: demonstration notebook, PSNR 20.68 dB (l2) against 19.51 dB (binary); the "
        "localizer has 20.66 dB) ≠ mixed: 1 reversed, 1 supported"
    )
    words = "author's words “it\\_is”: page \\|7"
    assert titles[3] == f"c99. **A\\_&lt;b&gt;.** (\\*x\\*\\|y; {words})"
    assert (
        "| tiny | ✓ supported | psnr\\_h: l2 - binary +1.000 \\[+0.983, +1.017\\] | 8 | 1\\* |  |"
        in lines
    )
    place = "tiny\\_b (reference: &lt;GPU&gt; \\| model\\_x)"
    (against,) = (row for row in rows if row[1].startswith("✗ reversed"))
    assert against[0] == place
    instead = "Adversarial training with a binary discriminator raises PSNR."
    assert against[1] == f"✗ reversed<br>{instead}"
    open_ones = [row for row in rows if row[1] == "· not testable"]
    assert len(open_ones) == 3, "c1, c10 and c99"
    assert "attention\\_unet, attention\\_unet\\_no\\_attention on any one suite" in open_ones[1][2]
    assert open_ones[2] == [
        f"tiny, {place}",
        "· not testable",
        "psnr\\_w has no values",
        "",
        "",
        "",
    ]


def test_an_interval_without_ends_is_written_as_none() -> None:
    found = results({"l2": np.stack([PSNR + 1, PSNR + 1.1]), "binary": np.stack([PSNR, PSNR])})
    grouped = replace(found, frame=found.frame.assign(group="photo"))
    tested = evaluate_claims({"c3": load_claims(ROOT)["c3"]}, [("tiny", grouped)])
    content = json.loads(json.dumps(claims_json(tested), allow_nan=False))
    (part,) = content["c3"]["findings"][0]["evidence"]
    assert (part["low"], part["high"], part["verdict"]) == (None, None, "inconclusive")
    assert part["difference"] == pytest.approx(1.05)
    (line,) = csv.DictReader(io.StringIO(claims_csv(tested)))
    assert (line["difference"], line["low"], line["high"]) == ("1.05", "", "")


def test_the_family_has_what_is_tested_and_not_what_is_exact() -> None:
    wanted = {name: load_claims(ROOT)[name] for name in ("c3", "c23")}
    found = results({"l2": PSNR + 1 + 0.01 * WOBBLE, "binary": PSNR})
    tested = evaluate_claims(wanted, [("tiny", found)])
    assert [len(result.findings) for result in tested.values()] == [1, 1]
    text = markdown_blocks([section(Report(load_params(ROOT), [], [], tested))])
    assert "adjusted by Holm over all 1 comparisons here that are not exact" in text


def test_parts_of_a_claim_say_which_of_them_fails() -> None:
    effect = Effect(interval(0.5, 1.5))
    first = ClaimComparison("a", effect, "above", 8, 1, 1)
    second = ClaimComparison("b", effect, "below", 8, 1, 1)
    finding = ClaimFinding("tiny", (first, second), ())
    tested = ClaimResult(claim(better=pair()), (finding,), ())
    text = markdown_table(claims_table({"c1": tested}))
    assert (
        "a +1.0 \\[+0.5, +1.5\\] (supported)<br>b +1.0 \\[+0.5, +1.5\\] (reversed) | 8 | 1 |"
        in text
    )


def test_json_and_csv_hold_every_comparison() -> None:
    tested = _tested()
    content = json.loads(json.dumps(claims_json(tested), allow_nan=False))
    assert content["c3"]["overall"] == "mixed"
    assert [content["c99"][key] for key in ("origin", "where", "quote")] == [
        "author", "page |7", "it_is",
    ]  # fmt: skip
    assert [f["verdict"] for f in content["c3"]["findings"]] == ["supported", "reversed"]
    assert content["c3"]["findings"][0]["runs"] == ["tiny/l2/seed0", "tiny/binary/seed0"]
    assert content["c3"]["findings"][0]["evidence"][0]["difference"] == 1
    assert content["c10"]["overall"] == "not testable"
    lines = list(csv.DictReader(io.StringIO(claims_csv(tested))))
    assert {line["claim"]: line["verdict"] for line in lines if line["claim"] != "c3"} == {
        name: "not testable" for name in ("c1", "c10", "c99")
    }
    (local, reference) = (line for line in lines if line["claim"] == "c3")
    assert (local["suite"], local["runs"]) == ("tiny", "tiny/l2/seed0 tiny/binary/seed0")
    assert float(reference["difference"]) == -1
    assert all(line["reason"] for line in lines if line["verdict"] == "not testable")
