"""Claims on score tables whose truth was planted, against verdicts and intervals worked outside."""

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from benchmark.claims.comparisons import ClaimComparison
from benchmark.claims.definitions import Claim, load_claims
from benchmark.claims.testing import ClaimFinding, ClaimResult, evaluate_claims
from benchmark.core import paths
from benchmark.core.config import load_suite, load_variant, names_in
from benchmark.evaluation.results import Results
from benchmark.reporting.markdown import markdown_table
from benchmark.reporting.sections.claims import claims_csv, claims_json, claims_table
from benchmark.stats.intervals import unpaired_interval
from data.errors import InputError
from models.baselines import BASELINES
from tests.support.tiny import ROOT, tiny_suite

NUM_IMAGES = 8
WOBBLE = np.array([-3.0, -2.0, -1.0, 0.0, 0.0, 1.0, 2.0, 3.0])
"""Adds nothing to a mean, and has a variance of 4."""
PSNR = np.linspace(18, 25, NUM_IMAGES)
# Each end of the interval of a mean of `size * WOBBLE` is this times `size` away from it.
REACH = float(stats.t.ppf(0.975, NUM_IMAGES - 1)) * 2 / math.sqrt(NUM_IMAGES)


def results(
    scores: Mapping[str, ArrayLike],
    metric: str = "psnr_h",
    seeds: dict[str, list[int]] | None = None,
    name: str = "tiny",
    **others: Any,
) -> Results:
    """Return the results of a suite from each method's scores, `[images]` or `[seeds, images]`.

    The methods telea and biharmonic are baselines.
    """
    rows: list[dict[str, Any]] = []
    trained: dict[str, list[int]] = {}
    for method, values in scores.items():
        table = np.atleast_2d(np.asarray(values, dtype=np.float64))
        used = (seeds or {}).get(method, [*range(len(table))])
        trained |= {} if method in BASELINES else {method: used}
        for seed, row in zip(used, table, strict=True):
            keys = {"method": method, "seed": seed, "mask": "0" * 16, "hole_px": 256, "label": ""}
            rows += [keys | {"image": f"{i:016x}", metric: v} for i, v in enumerate(row)]
    facts: dict[str, Any] = {"missing": {}, "refused": {}, "epochs": {}, "diagnoses": {}}
    return Results(
        suite=tiny_suite(name=name),
        variants=tuple(trained),
        baselines=tuple(method for method in scores if method in BASELINES),
        seeds=tuple(dict.fromkeys(seed for used in trained.values() for seed in used)),
        frame=pd.DataFrame(rows),
        curves={(v, s): pd.DataFrame() for v, used in trained.items() for s in used},
        **(facts | {"flops": {}, "set_level": {}, "origins": {}} | others),
    )


def claim(**tests: Any) -> Claim:
    return Claim.model_validate({"who": "someone", "claim": "It is so."} | tests)


def pair(metric: str = "psnr_h", variant: str = "ours", than: str = "theirs") -> list[Any]:
    return [{"metric": metric, "variant": variant, "than": than}]


def evaluated(tested: Claim, *suites: Results) -> ClaimResult:
    return evaluate_claims({"c": tested}, [(found.suite.name, found) for found in suites])["c"]


def only(tested: Claim, *suites: Results) -> ClaimFinding:
    """Return the one finding of a claim."""
    (finding,) = evaluated(tested, *suites).findings
    return finding


def reason(tested: Claim, *suites: Results) -> str:
    """Return the one reason for which a claim is not testable."""
    found = evaluated(tested, *suites)
    assert found.findings == () and found.overall == "not testable"
    ((_, text),) = found.untested
    return text


def test_all_claims_of_the_systems_are_there() -> None:
    assert list(load_claims(ROOT)) == [f"c{number}" for number in range(1, 16)]


@pytest.mark.parametrize(("name", "tested"), load_claims(ROOT).items())
def test_a_claim_names_what_exists(name: str, tested: Claim) -> None:
    variants = {*names_in(ROOT / paths.VARIANTS)}
    assert {*tested.methods} | {pair.variant for pair in tested.across} <= variants
    assert {every.baseline for every in tested.all_beat} <= {*BASELINES}
    for reliance in tested.sees_seam:
        assert reliance.discriminator in load_variant(reliance.variant, ROOT).discriminators
    for suites in tested.across:
        px = {load_suite(suite, ROOT).image_size for suite in (suites.suite, suites.than)}
        assert len(px) == 1, f"{name}: PSNR depends on the size of the images"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("whom: x", "claims.c1.whom: unknown key, did you mean who?"),
        ("better: [{metric: psnr, variant: a, than: b}]", "claims.c1.better.0.metric: there is no"),
        ("better: [{metric: psnr_h, variant: a}]", "claims.c1.better.0.than: this key is missing"),
        (
            "better: [{metric: psnr_h, variant: a, than: b, by: 1}]",
            "claims.c1.better.0.by: unknown key (valid: metric, than, variant)",
        ),
        ("better: []", "claims.c1: names no comparison; it needs one of better, higher"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(tmp_path: Path, broken: str, message: str) -> None:
    path = tmp_path / paths.CLAIMS
    path.parent.mkdir(parents=True)
    path.write_text(f"claims:\n  c1:\n    who: someone\n    claim: It is so.\n    {broken}\n")
    with pytest.raises(InputError) as caught:
        load_claims(tmp_path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "mean", "size", "verdict"),
    [
        # The interval is `mean ± REACH * size`, and REACH about 1.67; the margin is .1 dB.
        ("better", 1.0, 0.1, "supported"),
        ("better", -1.0, 0.1, "refuted"),
        ("better", 0.2, 0.1, "inconclusive"),  # .03 to .37
        ("better", 0.0, 0.01, "refuted"),  # no difference worth the name
        ("better", 0.0, 1.0, "inconclusive"),
        ("higher", 1.0, 0.1, "supported"),
        ("differ", 1.0, 0.1, "supported"),
        ("differ", -1.0, 0.1, "supported"),
        ("differ", 0.02, 0.01, "refuted"),
        ("differ", 0.2, 0.1, "inconclusive"),
        ("as_good", 1.0, 0.1, "supported"),
        ("as_good", -0.05, 0.01, "supported"),
        ("as_good", -1.0, 0.1, "refuted"),
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
    assert only(reverse, results(scores, metric)).verdict == "refuted"


def test_similarities_have_a_margin_and_errors_have_none() -> None:
    base = np.linspace(0.2, 0.3, NUM_IMAGES)
    for metric, sign, verdict in (("ssim_h", 1, "refuted"), ("mse_h", -1, "supported")):
        scores = {"ours": base + sign * 0.001 + 1e-5 * WOBBLE, "theirs": base}
        assert only(claim(better=pair(metric)), results(scores, metric)).verdict == verdict


def test_of_the_seam_its_distance_from_zero_counts() -> None:
    # Means: 0 for ours, although no image is better than .05; .01 for theirs.
    signs = np.array([1, -1] * (NUM_IMAGES // 2))
    scores = {"ours": signs * (0.05 + 1e-3 * WOBBLE), "theirs": np.full(NUM_IMAGES, 0.01)}
    found = only(claim(better=pair("seam")), results(scores, "seam"))
    assert found.verdict == "refuted"
    assert found.comparisons[0].difference == pytest.approx(0.04, abs=1e-12)
    assert found.comparisons[0].what == "|seam|: ours - theirs"


def test_ratios_are_compared_by_their_logarithms() -> None:
    # One nearly flat image has a ratio of 40 and would decide a mean of ratios.
    theirs = np.array([0.5, 0.2, 0.8, 40.0, 0.4, np.nan, 0.1, 0.3])
    frame = results({"ours": 2 * theirs, "theirs": theirs}, "sharpness_c")
    (part,) = only(claim(higher=pair("sharpness_c")), frame).comparisons
    assert part.difference == pytest.approx(math.log(2), rel=1e-12)
    assert (part.what, part.images) == ("ln sharpness_c: ours - theirs", NUM_IMAGES - 1)
    halves = {"ours": np.full(NUM_IMAGES, 2.0), "theirs": np.full(NUM_IMAGES, 0.5)}
    (part,) = only(claim(better=pair("sharpness_c")), results(halves, "sharpness_c")).comparisons
    assert part.difference == 0, "half is as far from 1 as double"


def test_a_ratio_of_zero_is_not_infinitely_blurry() -> None:
    scores = {"ours": np.ones(NUM_IMAGES), "theirs": np.r_[0.0, np.ones(NUM_IMAGES - 1)]}
    (part,) = only(claim(higher=pair("sharpness_c")), results(scores, "sharpness_c")).comparisons
    assert part.difference == pytest.approx(2 * math.log(10) / NUM_IMAGES, rel=1e-12)


def test_an_exact_completion_counts_as_off_by_one_in_one_channel() -> None:
    scores = {"ours": np.r_[np.inf, PSNR[1:]], "theirs": PSNR}
    (part,) = only(claim(better=pair()), results(scores)).comparisons
    cap = 10 * math.log10(255**2 * 3 * 256)
    assert part.difference == pytest.approx((cap - PSNR[0]) / NUM_IMAGES, rel=1e-12)


def test_seeds_are_paired_and_covered_from_three_on() -> None:
    theirs = PSNR + np.array([[0.0], [5.0], [-5.0]])  # cancels where equal seeds are paired
    gains = np.array([0.8, 0.9, 1.0])
    found = only(claim(better=pair()), results({"ours": theirs + gains[:, None], "theirs": theirs}))
    expected = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    (part,) = found.comparisons
    # Images differ by rounding alone, which leaves a variance of about 1e-30.
    assert (part.low, part.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert (part.seeds, part.covers_seeds, found.verdict) == (3, True, "supported")


def test_only_seeds_that_both_have_are_compared() -> None:
    scores: dict[str, ArrayLike] = {"ours": np.stack([PSNR + 9, PSNR + 1]), "theirs": PSNR}
    found = only(claim(better=pair()), results(scores, seeds={"ours": [0, 4], "theirs": [4]}))
    assert (found.comparisons[0].difference, found.comparisons[0].seeds) == (1, 1)
    apart = results(scores, seeds={"ours": [0, 4], "theirs": [5]})
    assert reason(claim(better=pair()), apart) == "ours and theirs have no training seed in common"


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((1.0, 2.0), "supported"),
        ((1.0, 1.0), "refuted"),  # 1 over ratio_1, but 0 over ratio_100
        ((-1.0, 2.0), "refuted"),
    ],
)
def test_one_part_can_refute_a_claim_of_several(gains: tuple[float, float], verdict: str) -> None:
    names = [f"context_encoder_ratio_{weight}" for weight in (1, 100, 1000)]
    values = [PSNR, PSNR + gains[0] + 0.01 * WOBBLE, PSNR + gains[1] - 0.01 * WOBBLE]
    found = only(load_claims(ROOT)["c7"], results(dict(zip(names, values, strict=True))))
    assert found.verdict == verdict
    assert len(found.comparisons) == 2


def test_a_part_that_is_open_leaves_a_claim_open() -> None:
    tests = pair() + pair(than="others")
    scores = {"ours": PSNR + 1, "theirs": PSNR, "others": PSNR + 1 + WOBBLE}
    assert only(claim(better=tests), results(scores)).verdict == "inconclusive"


def test_whole_image_processing_must_be_as_good_and_cheaper() -> None:
    tested = load_claims(ROOT)["c12"]
    scores: dict[str, ArrayLike] = {"attention_unet_whole": PSNR, "attention_unet": PSNR}
    for ours, verdict in ((11_000_000_000, "supported"), (50_000_000_000, "refuted")):
        flops = {"attention_unet_whole": ours, "attention_unet": 43_400_000_000}
        found = only(tested, results(scores, flops=flops))
        assert found.verdict == verdict
        assert found.comparisons[1].difference == pytest.approx(ours / 1e9 - 43.4, rel=1e-12)
    assert reason(tested, results(scores)) == (
        "the operations of attention_unet_whole are not known"
    )


def _diagnosis(
    value: float, low: float | None, high: float | None, said: str = "boundary"
) -> dict[str, Any]:
    reliance = {"value": value, "low": low, "high": high, "verdict": said}
    return {"images": 8, "discriminators": {"localizer": {"seam_reliance": reliance}}}


@pytest.mark.parametrize(
    ("low", "high", "said", "verdict"),
    [
        (0.1, 0.3, ("boundary", "boundary"), "supported"),
        (-0.3, -0.1, ("content", "content"), "refuted"),
        (-0.1, 0.1, ("inconclusive", "inconclusive"), "inconclusive"),
        (0.1, 0.3, ("boundary", "content"), "inconclusive"),  # the seeds do not agree
        (0.1, 0.3, ("inconclusive", "inconclusive"), "inconclusive"),  # it finds nothing at all
    ],
)
def test_reliance_on_the_seam_is_read_from_the_diagnosis(
    low: float, high: float, said: tuple[str, str], verdict: str
) -> None:
    scores: dict[str, ArrayLike] = {"localizer": np.stack([PSNR, PSNR])}
    middle = (low + high) / 2
    diagnoses = {
        ("localizer", 0): _diagnosis(middle, low - 0.01, high, said[0]),
        ("localizer", 1): _diagnosis(middle, low + 0.01, high, said[1]),
    }
    found = only(load_claims(ROOT)["c6"], results(scores, diagnoses=diagnoses))
    (part,) = found.comparisons
    assert found.verdict == verdict
    assert (part.difference, part.low, part.high) == pytest.approx((middle, low, high), abs=1e-12)
    assert (part.images, part.seeds, part.covers_seeds) == (8, 2, False)


@pytest.mark.parametrize("diagnosis", [{}, _diagnosis(0.1, None, None), {"discriminators": {}}])
def test_without_a_diagnosis_reliance_is_not_testable(diagnosis: dict[str, Any]) -> None:
    found = results({"localizer": PSNR}, diagnoses={("localizer", 0): diagnosis})
    said = reason(load_claims(ROOT)["c6"], found)
    assert said.startswith("localizer of localizer was not asked; `python -m benchmark evaluate`")


def test_two_suites_give_the_interval_of_welchs_test() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.normal(17, 2, 40), rng.normal(15, 3, 60)
    tested = claim(
        across=[{"metric": "psnr_h", "variant": "ours", "suite": "small", "than": "large"}]
    )
    suites = [results({"ours": v}, name=n) for n, v in (("small", small), ("large", large))]
    expected = stats.ttest_ind(small, large, equal_var=False).confidence_interval(0.95)
    found = only(tested, *suites)
    (part,) = found.comparisons
    assert (part.low, part.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert (found.verdict, found.place, part.images) == ("supported", "small against large", 40)
    assert found.runs == ("small/ours/seed0", "large/ours/seed0")
    assert reason(tested, suites[0]) == "needs runs of ours on both"


def test_seeds_of_two_suites_are_covered_from_three_on() -> None:
    sides = np.array([17.0, 17.2, 17.5]), np.array([15.0, 15.1, 15.6, 15.3])
    expected = stats.ttest_ind(*sides, equal_var=False).confidence_interval(0.95)
    found = unpaired_interval(*(np.repeat(side[:, None], 20, axis=1) for side in sides))
    # Images are equal up to rounding, which leaves a variance of about 1e-30.
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_every_variant_is_held_against_the_baseline_by_itself() -> None:
    tested = load_claims(ROOT)["c14"]
    base = np.linspace(0.02, 0.03, NUM_IMAGES)
    scores = {"good": base - 0.01, "bad": base + 0.01, "biharmonic": base + 1e-5 * WOBBLE}
    found = evaluated(tested, results(scores, "mse_h"))
    assert [(f.runs[0], f.verdict) for f in found.findings] == [
        ("tiny/good/seed0", "supported"),
        ("tiny/bad/seed0", "refuted"),
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


@pytest.mark.parametrize(("gain", "right"), [(1.0, "supported"), (-1.0, "refuted")])
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
    wanted["c99"] = claim(better=pair("psnr_w", "l2", "binary"), claim="A_<b>.", who="*x*|y")
    return dict(evaluate_claims(wanted, suites))


def test_the_table_shows_findings_and_what_could_not_be_tested() -> None:
    lines = markdown_table(claims_table(_tested())).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]
    titles = [row[0] for row in rows if not any(row[1:])]
    assert titles[0].startswith("c1. **") and titles[2].startswith("c10. **")
    assert titles[1] == (
        "c3. **Adversarial training costs PSNR.** (LocPaint) ≠ mixed: 1 refuted, 1 supported"
    )
    assert titles[3] == "c99. **A\\_&lt;b&gt;.** (\\*x\\*\\|y)"
    assert (
        "| tiny | ✓ supported | psnr\\_h: l2 - binary +1.000 \\[+0.983, +1.017\\] | 8 | 1\\* |"
        in lines
    )
    place = "tiny\\_b (reference: &lt;GPU&gt; \\| model\\_x)"
    (refuted,) = (row for row in rows if row[1] == "✗ refuted")
    assert refuted[0] == place
    open_ones = [row for row in rows if row[1] == "· not testable"]
    assert len(open_ones) == 3, "c1, c10 and c99"
    assert "attention\\_unet, attention\\_unet\\_no\\_attention on any one suite" in open_ones[1][2]
    assert open_ones[2] == [f"tiny, {place}", "· not testable", "psnr\\_w has no values", "", ""]


def test_parts_of_a_claim_say_which_of_them_refutes_it() -> None:
    part = {"images": 8, "seeds": 1, "covers_seeds": True, "decimals": 1}
    first, second = (
        ClaimComparison(what, 1.0, 0.5, 1.5, verdict, **part)  # type: ignore[arg-type]
        for what, verdict in (("a", "supported"), ("b", "refuted"))
    )
    finding = ClaimFinding("tiny", (first, second), ())
    tested = ClaimResult(claim(better=pair()), (finding,), ())
    text = markdown_table(claims_table({"c1": tested}))
    assert (
        "a +1.0 \\[+0.5, +1.5\\] (supported)<br>b +1.0 \\[+0.5, +1.5\\] (refuted) | 8 | 1 |" in text
    )


def test_json_and_csv_hold_every_comparison() -> None:
    tested = _tested()
    content = json.loads(json.dumps(claims_json(tested), allow_nan=False))
    assert content["c3"]["overall"] == "mixed"
    assert [f["verdict"] for f in content["c3"]["findings"]] == ["supported", "refuted"]
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
