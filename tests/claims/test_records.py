"""Claims about diagnoses, curves and sizes, on records whose numbers were made by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike
from scipy import stats

from benchmark.claims.definitions import load_claims
from tests.claims.made_up import PSNR, WOBBLE, claim, evaluated, only, reason, results
from tests.support.tiny import ROOT


def probed(iou: float, half: float, real: float = 0.30) -> dict[str, Any]:
    """Return a localizer's diagnosis of 8 images, with such a half-width of the difference."""
    wobble = WOBBLE * half / REACH
    per_image = {"real": [real] * 8, "blur_5": (iou + wobble).tolist()}
    return _localizer(per_image)


def _localizer(per_image: dict[str, Any]) -> dict[str, Any]:
    entry = {"predicts": "localization", "per_image": per_image}
    return {"images": 8, "discriminators": {"localizer": entry}}


REACH = float(stats.t.ppf(0.975, 7)) * 2 / np.sqrt(8)
"""Of the interval of the mean of WOBBLE."""
PROBE = {"variant": "localizer", "discriminator": "localizer", "probe": "blur_5"}


@pytest.mark.parametrize(
    ("iou", "half", "finds", "misses"),
    [
        (0.70, 0.02, "supported", "reversed"),
        (0.32, 0.01, "reversed", "supported"),  # within .05 of the unaltered image
        (0.10, 0.01, "reversed", "supported"),
        (0.35, 0.02, "inconclusive", "inconclusive"),
    ],
)
def test_a_square_is_found_where_its_iou_is_above_that_of_nothing(
    iou: float, half: float, finds: str, misses: str
) -> None:
    found = results({"localizer": PSNR}, diagnoses={("localizer", 0): probed(iou, half)})
    for kind, verdict in (("finds", finds), ("misses", misses)):
        finding = only(claim(**{kind: [PROBE]}), found)
        (part,) = finding.comparisons
        assert finding.verdict == verdict
        ends = iou - 0.30, iou - 0.30 - half, iou - 0.30 + half
        assert (part.difference, part.low, part.high) == pytest.approx(ends, abs=1e-12)
        assert (part.images, part.seeds, part.covers_seeds) == (8, 1, False)


def test_every_row_of_the_table_of_probes_is_read() -> None:
    tested = load_claims(ROOT)["c18"]
    rows = [*tested.finds, *tested.misses]
    per_image = {row.probe: [0.29, 0.31] * 4 for row in rows} | {"real": [0.3] * 8}
    per_image["completed"] = [0.79, 0.81] * 4
    diagnoses = {("localizer", 0): _localizer(per_image)}
    found = only(tested, results({"localizer": PSNR}, diagnoses=diagnoses))
    assert found.verdict == "supported" and len(found.comparisons) == len(rows) == 10
    per_image["mean_color"] = per_image["completed"]
    found = only(tested, results({"localizer": PSNR}, diagnoses=diagnoses))
    assert found.verdict == "reversed"


@pytest.mark.parametrize("lacking", [{}, _localizer({})])
def test_a_localizer_that_was_not_asked(lacking: dict[str, Any]) -> None:
    found = results({"localizer": PSNR}, diagnoses={("localizer", 0): lacking})
    assert reason(claim(finds=[PROBE]), found).startswith(
        "localizer of localizer has no IoU on blur_5 and real of each image; `python -m benchmark"
    )


SPECIFIC = load_claims(ROOT)["c24"]


def correlated(name: str, values: list[Any]) -> dict[str, Any]:
    numbers = {"per_image": {"gradient_error_correlation": values}}
    return {"images": len(values), "discriminators": {name: numbers}}


def gradients(localizer: list[Any], binary: list[Any]) -> Any:
    scores: dict[str, ArrayLike] = {"localizer": PSNR, "binary": PSNR}
    return results(
        scores,
        diagnoses={
            ("localizer", 0): correlated("localizer", localizer),
            ("binary", 0): correlated("binary", binary),
        },
    )


def test_correlations_of_gradient_and_error_are_paired_by_image() -> None:
    binary = [0.0, 0.5, -0.5, 0.2, -0.2, None]
    ours = [0.3, 0.9, -0.2, 0.5, 0.2, 0.9]
    found = only(SPECIFIC, gradients(ours, binary))
    gains = [0.3, 0.4, 0.3, 0.3, 0.4]
    expected = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    (part,) = found.comparisons
    assert (part.low, part.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert (found.verdict, part.images, part.seeds) == ("supported", 5, 1)
    assert only(SPECIFIC, gradients(binary, ours)).verdict == "reversed"


def test_gradients_that_were_not_correlated_are_not_testable() -> None:
    assert reason(SPECIFIC, gradients([], [0.1, 0.2])) == (
        "the gradients of localizer of localizer were not correlated with the error; "
        "`python -m benchmark evaluate` does it"
    )
    assert reason(SPECIFIC, gradients([0.1], [0.1, 0.2])) == (
        "the seeds were asked about different images"
    )
    assert reason(SPECIFIC, gradients([0.1, None], [0.1, 0.2])) == (
        "too few images have values (1)"
    )


def curves(losses: list[float], psnrs: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"generator/reconstruction": losses, "validation/psnr_h": psnrs})


CHOICE = load_claims(ROOT)["c22"]


def staged(*tables: pd.DataFrame) -> Any:
    found = results({"staged": np.stack([PSNR] * len(tables))})
    return found.__class__(
        **(vars(found) | {"curves": {("staged", i): t for i, t in enumerate(tables)}})
    )


def test_what_a_choice_by_training_loss_loses_in_psnr() -> None:
    # The lowest loss is in the last epoch, the highest PSNR in the second: 1, 2 and 3 dB lost.
    tables = [curves([3, 2, 1], [10.0, 15.0, 15.0 - lost]) for lost in (1.0, 2.0, 3.0)]
    found = only(CHOICE, staged(*tables))
    (part,) = found.comparisons
    expected = stats.ttest_1samp([1.0, 2.0, 3.0], 0).confidence_interval(0.95)
    assert (part.difference, part.low, part.high) == pytest.approx(
        (2.0, expected.low, expected.high), rel=1e-12
    )
    # -.5 to 4.5 dB.
    assert (found.verdict, part.seeds, part.covers_seeds) == ("inconclusive", 3, True)
    alike = [curves([3, 2, 1], [10.0, 15.0, 13.0])] * 3
    assert only(CHOICE, staged(*alike)).verdict == "supported"
    # Sure to be something, as it cannot be less than nothing, and not to be more than .1 dB.
    little = [curves([3, 2, 1], [10.0, 15.0, 15.0 - lost]) for lost in (0.10, 0.11, 0.12)]
    found = only(CHOICE, staged(*little))
    assert found.verdict == "inconclusive" and found.comparisons[0].low > 0
    best = [curves([3, 1, 2], [10.0, 15.0, 13.0])] * 3
    assert only(CHOICE, staged(*best)).verdict == "negligible"


def test_a_choice_of_few_seeds_or_without_curves_is_not_judged() -> None:
    one = curves([2, 1], [10.0, 11.0])
    assert reason(CHOICE, staged(one)) == "needs runs of staged with 2 training seeds, and has 1"
    bare = one.drop(columns="validation/psnr_h")
    assert reason(CHOICE, staged(bare, bare, bare)) == (
        "the curves lack the training loss or the validation PSNR"
    )


def intervened(name: str, *generators: dict[str, Any]) -> Any:
    diagnoses = {
        (name, seed): {"images": 4, "generator": found} for seed, found in enumerate(generators)
    }
    return results({name: np.stack([PSNR] * len(generators))}, diagnoses=diagnoses)


IGNORES = claim(ignores_context=[{"variant": "ours"}])


@pytest.mark.parametrize(
    ("filling", "verdict"),
    [
        ([0.0, 0.0, 0.0, 0.0], "supported"),
        ([0.001, 0.002, 0.001, 0.002], "supported"),  # 1.5 of 100
        ([0.08, 0.12, 0.08, 0.12], "reversed"),  # as different as the images
        ([0.0, 0.02, 0.0, 0.01], "inconclusive"),
    ],
)
def test_fillings_that_do_not_depend_on_the_context(filling: list[float], verdict: str) -> None:
    truth = [0.08, 0.12, 0.08, 0.12]
    content = {"context": {"filling": filling, "truth": truth}}
    found = only(IGNORES, intervened("ours", content))
    (part,) = found.comparisons
    assert found.verdict == verdict and part.images == 4
    assert part.difference == pytest.approx(np.mean(filling) / np.mean(truth), rel=1e-12)


def test_the_interval_of_a_share_is_that_of_resampled_images() -> None:
    rng = np.random.default_rng(0)
    truth = rng.lognormal(-2, 0.5, 300)
    filling = 0.3 * truth * rng.lognormal(0, 0.3, 300)
    content = {"context": {"filling": filling.tolist(), "truth": truth.tolist()}}
    (part,) = only(IGNORES, intervened("ours", content)).comparisons
    drawn = rng.integers(300, size=(4000, 300))
    shares = filling[drawn].mean(axis=1) / truth[drawn].mean(axis=1)
    # The standard deviation of 4,000 replicates is known to about 1 %, the rest is of first order.
    assert (part.high - part.low) / 2 == pytest.approx(1.968 * shares.std(), rel=0.05)


def test_a_block_that_is_worth_something_and_its_gain() -> None:
    tested = claim(needs_gain=[{"variant": "ours", "margin": 0.01}])
    values = {"ssim_h": [0.5, 0.6, 0.5, 0.6], "without": [0.4, 0.52, 0.41, 0.5]}
    context = {"context": {"filling": [0.1] * 4, "truth": [0.1] * 4}}
    found = only(tested, intervened("ours", context | values | {"gains": {"block": 0.25}}))
    (part,) = found.comparisons
    expected = stats.ttest_1samp([0.1, 0.08, 0.09, 0.1], 0).confidence_interval(0.95)
    assert (part.low, part.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert found.verdict == "supported" and part.what.endswith("(learned gain 0.25)")
    same = values | {"without": values["ssim_h"], "gains": {"block": 0.0}}
    assert only(tested, intervened("ours", context | same)).verdict == "negligible"
    assert (
        reason(tested, intervened("ours", context)) == "the generator of ours has no learned gain"
    )


REFINES = claim(refines=[{"variant": "localizer", "discriminator": "localizer"}])


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [(-0.02, "supported"), (0.02, "reversed"), (0.0, "negligible")],
)
def test_images_that_are_filled_again(gain: float, verdict: str) -> None:
    before = 0.2 + 0.01 * WOBBLE
    after = before + gain + 0.0005 * WOBBLE
    content = _localizer({"refilled_0": before.tolist(), "refilled_4": after.tolist()})
    found = only(REFINES, results({"localizer": PSNR}, diagnoses={("localizer", 0): content}))
    (part,) = found.comparisons
    assert found.verdict == verdict
    assert part.difference == pytest.approx(gain, abs=1e-12)
    assert part.what == "stlpips_alex of localizer: filled 4 times more - once"


def test_images_that_were_not_filled_again() -> None:
    found = results({"localizer": PSNR}, diagnoses={("localizer", 0): probed(0.5, 0.01)})
    assert reason(REFINES, found).startswith(
        "nothing was filled again where localizer of localizer finds it"
    )


def test_a_generator_that_was_not_asked() -> None:
    assert reason(IGNORES, intervened("ours", {})).startswith(
        "nothing was taken from the generator of ours; `python -m benchmark evaluate`"
    )
    flat = {"context": {"filling": [0.0] * 4, "truth": [0.0] * 4}}
    assert reason(IGNORES, intervened("ours", flat)) == "all images are the same in the holes"


def test_a_quarter_of_the_area_is_not_a_fortieth() -> None:
    found = evaluated(load_claims(ROOT)["c23"])
    (finding,) = found.findings
    (part,) = finding.comparisons
    assert (finding.place, finding.verdict, finding.runs) == ("arithmetic", "reversed", ())
    assert part.difference == pytest.approx(1024 / 40000 - 0.25, rel=1e-12)
    assert part.what == "share of the area (32 px in 200 px): 0.0256 - 0.25 ="
    half = {"hole_px": 64, "image_px": 128, "share": 0.25, "margin": 0.05}
    assert evaluated(claim(covers=[half])).overall == "supported"
