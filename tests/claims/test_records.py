"""Claims about diagnoses, curves and sizes, on records whose numbers were made by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike
from scipy import stats

from benchmark.claims.definitions import load_claims
from tests.claims.made_up import PSNR, claim, evaluated, only, reason, results
from tests.support.tiny import ROOT


def estimate(value: float, low: float | None, high: float | None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


def probed(iou: float, half: float, real: float = 0.30) -> dict[str, Any]:
    """Return a diagnosis of a localizer, with intervals of half a width of .01 on real images."""
    probes = {
        "real": {"iou": estimate(real, real - 0.01, real + 0.01)},
        "blur_5": {"iou": estimate(iou, iou - half, iou + half)},
    }
    return {"images": 8, "discriminators": {"localizer": {"probes": probes}}}


PROBE = {"variant": "localizer", "discriminator": "localizer", "probe": "blur_5"}


@pytest.mark.parametrize(
    ("iou", "half", "finds", "misses"),
    [
        (0.70, 0.02, "supported", "refuted"),
        (0.32, 0.01, "refuted", "supported"),  # within .05 of the unaltered image
        (0.10, 0.01, "refuted", "supported"),
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
        # Ends of a difference that holds whatever the correlation of the two.
        ends = iou - 0.30, iou - 0.30 - half - 0.01, iou - 0.30 + half + 0.01
        assert (part.difference, part.low, part.high) == pytest.approx(ends, abs=1e-12)
        assert (part.images, part.seeds, part.covers_seeds) == (8, 1, False)


def test_every_row_of_the_table_of_probes_is_read() -> None:
    tested = load_claims(ROOT)["c18"]
    rows = [*tested.finds, *tested.misses]
    probes = {row.probe: {"iou": estimate(0.3, 0.29, 0.31)} for row in rows}
    probes |= {"real": {"iou": estimate(0.3, 0.29, 0.31)}}
    probes["completed"] = {"iou": estimate(0.8, 0.79, 0.81)}
    entry = {"images": 8, "discriminators": {"localizer": {"probes": probes}}}
    found = only(tested, results({"localizer": PSNR}, diagnoses={("localizer", 0): entry}))
    assert found.verdict == "supported" and len(found.comparisons) == len(rows) == 10
    probes["mean_color"] = probes["completed"]
    found = only(tested, results({"localizer": PSNR}, diagnoses={("localizer", 0): entry}))
    assert found.verdict == "refuted"


@pytest.mark.parametrize("lacking", [{}, {"images": 8, "discriminators": {"localizer": {}}}])
def test_a_localizer_that_was_not_asked(lacking: dict[str, Any]) -> None:
    found = results({"localizer": PSNR}, diagnoses={("localizer", 0): lacking})
    assert reason(claim(finds=[PROBE]), found).startswith(
        "localizer of localizer has no IoU on blur_5 and real; `python -m benchmark evaluate`"
    )


SPECIFIC = load_claims(ROOT)["c24"]


def correlated(name: str, values: list[Any]) -> dict[str, Any]:
    numbers = {"gradient_error_correlation": {"per_image": values}}
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
    assert only(SPECIFIC, gradients(binary, ours)).verdict == "refuted"


def test_gradients_that_were_not_correlated_are_not_testable() -> None:
    assert reason(SPECIFIC, gradients([], [0.1, 0.2])) == (
        "the gradients of localizer of localizer were not correlated with the error; "
        "`python -m benchmark evaluate` does it"
    )
    assert reason(SPECIFIC, gradients([0.1], [0.1, 0.2])) == (
        "gradients were correlated on different images"
    )
    assert reason(SPECIFIC, gradients([0.1, None], [0.1, 0.2])) == (
        "gradients were correlated on fewer than two images"
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
    assert (found.verdict, part.seeds, part.covers_seeds) == ("inconclusive", 3, True)
    alike = [curves([3, 2, 1], [10.0, 15.0, 13.0])] * 3
    assert only(CHOICE, staged(*alike)).verdict == "supported"
    best = [curves([3, 1, 2], [10.0, 15.0, 13.0])] * 3
    assert only(CHOICE, staged(*best)).verdict == "refuted"


def test_a_choice_of_few_seeds_or_without_curves_is_not_judged() -> None:
    one = curves([2, 1], [10.0, 11.0])
    assert reason(CHOICE, staged(one)) == "needs runs of staged with 3 training seeds, and has 1"
    bare = one.drop(columns="validation/psnr_h")
    assert reason(CHOICE, staged(bare, bare, bare)) == (
        "the curves have no values of generator/reconstruction and validation/psnr_h"
    )


def test_a_quarter_of_the_area_is_not_a_fortieth() -> None:
    found = evaluated(load_claims(ROOT)["c23"])
    (finding,) = found.findings
    (part,) = finding.comparisons
    assert (finding.place, finding.verdict, finding.runs) == ("arithmetic", "refuted", ())
    assert part.difference == pytest.approx(1024 / 40000 - 0.25, rel=1e-12)
    assert part.what == "share of the area (32 px in 200 px): 0.0256 - 0.25 ="
    half = {"hole_px": 64, "image_px": 128, "share": 0.25, "margin": 0.05}
    assert evaluated(claim(covers=[half])).overall == "supported"
