"""Printed and measured: figures worked by hand beside those that `reported.yaml` has."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.core.config import Params
from benchmark.evaluation.results import Results
from benchmark.reporting.markdown import markdown_blocks
from benchmark.reporting.sections import printed
from benchmark.reporting.suite_report import Report, suite_reports
from data.sources import source_class
from tests.claims.made_up import results

TABLE = "Lightning context encoder report, table 1, first row"
DATA = "Tiny ImageNet, 64 px enlarged to 128 px; a hole of 64 px in the center"
MSE = {1: 0.08, 100: 0.04, 1000: 0.02}
"""By ratio; the order is that of the first row of table 1."""


def _made(mse: dict[int, float], is_dataset: bool = True) -> Results:
    """Return results of the report's variants, each image with the same error."""
    scores = {f"context_encoder_ratio_{ratio}": np.full(4, value) for ratio, value in mse.items()}
    found = results(scores | {"telea": np.full(4, 0.03)}, "mse_h")
    frame = found.frame.assign(psnr_h=-10 * np.log10(found.frame["mse_h"]), l1_percent_h=5.0)
    name = "image_folder" if is_dataset else "portraits"
    source = source_class(name).model_validate({} if is_dataset else {"count": 66})
    return replace(found, frame=frame, suite=found.suite.model_copy(update={"source": source}))


def _section(found: Results) -> str:
    local, references = suite_reports([found], [], [None])
    params = Params.of_product(["tiny"], ["l2"], [0])
    made = printed.section(Report(params, local, references, {}))
    return "" if made is None else markdown_blocks([made])


def test_printed_figures_stand_beside_ours() -> None:
    lines = _section(_made(MSE)).splitlines()
    start = lines.index(f"| *`tiny`. {TABLE}: {DATA}* |  |")
    # -10 lg .08 is 10.97, -10 lg .04 is 13.98.
    assert lines[start + 1 : start + 3] == [
        r"| context\_encoder\_ratio\_1 | 11.56 → 10.97 |",
        r"| context\_encoder\_ratio\_100 | 14.34 → 13.98 |",
    ]


@pytest.mark.parametrize("is_same", [True, False])
def test_whether_the_order_is_the_printed_one_is_said(is_same: bool) -> None:
    names = [rf"context\_encoder\_ratio\_{ratio}" for ratio in (1000, 100, 1)]
    mse = MSE if is_same else {1: 0.02, 100: 0.04, 1000: 0.08}
    lines = _section(_made(mse)).splitlines()
    start = lines.index(f"| *`tiny`. {TABLE}: {DATA}* |  |")
    said = "the same" if is_same else ", ".join(reversed(names))
    assert lines[start + 4] == rf"| best first | psnr\_db: {', '.join(names)} → {said} |"


def test_a_single_variant_has_no_order_and_is_folded() -> None:
    text = _section(_made(MSE))
    shown, folded = text.split("<details>")
    assert "table 1, first row" in shown and "table 1, second row" not in shown
    assert r"| context\_encoder\_ratio\_1000 | 17.20 → 16.99 |" in folded  # -10 lg .02
    assert "<details>" in _section(_made({1: 0.08}))


def test_what_was_not_measured_here_has_no_column() -> None:
    scores = {"l2": np.full(4, 0.02), "binary": np.full(4, 0.04), "telea": np.full(4, 0.03)}
    found = results(scores, "mse_h")
    names = ("psnr_w", "ssim_uniform_w", "psnr_h", "l1_percent_h")
    frame = found.frame.assign(**dict.fromkeys(names, 0.5), lpips_alex=np.nan)
    source = source_class("image_folder").model_validate({})
    suite = found.suite.model_copy(update={"source": source})
    lines = _section(replace(found, frame=frame, suite=suite)).splitlines()
    heads = [line for line in lines if line.startswith("| variant")]
    assert heads == [r"| variant | mse\_x12 | psnr\_db | ssim\_7x7 |"]


def test_images_that_the_benchmark_draws_are_no_dataset() -> None:
    assert _section(_made(MSE, is_dataset=False)) == ""


def test_without_a_printed_variant_there_is_no_section() -> None:
    found = _made({1: 0.08})
    others = found.frame.replace({"method": {"context_encoder_ratio_1": "mine"}})
    (frame,) = found.curves.values()
    assert (
        _section(replace(found, variants=("mine",), frame=others, curves={("mine", 0): frame}))
        == ""
    )
