"""The score table's format, and its means against values worked by hand."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.evaluation.score_table import (
    aggregate,
    aggregate_by_area,
    aggregate_by_label,
    check_same_images,
    groups_of,
    metric_columns,
    read_score_table,
    robust_psnr,
    write_score_table,
)
from benchmark.metrics import METRICS
from benchmark.metrics.registry import mean_over_seeds
from data.errors import InputError

IMAGE_PX = 64


def _hash(text: str) -> str:
    return text.encode().hex().ljust(16, "0")[:16]


def _row(method: str, seed: int, image: str, mask: str, **metrics: float) -> dict[str, Any]:
    row = {"method": method, "seed": seed, "image": _hash(image), "mask": _hash(mask)}
    return row | {"hole_px": 16, "label": ""} | metrics


def _frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def _valid() -> pd.DataFrame:
    return _frame(
        _row("telea", 0, "a", "m", mse_h=0.123456789, psnr_h=math.inf, lpips_vgg=math.nan),
        _row("telea", 0, "b", "m", mse_h=1.5e-7, psnr_h=20.0, lpips_vgg=math.nan),
    )


def test_file_is_plain_text_with_seven_digits(tmp_path: Path) -> None:
    path = tmp_path / "new" / "scores.csv"
    write_score_table(path, _valid())
    assert path.read_bytes() == (
        b"method,seed,image,mask,hole_px,label,mse_h,psnr_h,lpips_vgg\n"
        b"telea,0,6100000000000000,6d00000000000000,16,,0.1234568,inf,\n"
        b"telea,0,6200000000000000,6d00000000000000,16,,1.5e-07,20,\n"
    )
    assert [p.name for p in path.parent.iterdir()] == ["scores.csv"]


@pytest.mark.promise("same_bytes")
def test_reading_returns_what_was_written_and_writing_it_again_the_same_bytes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "scores.csv"
    frame = _valid().assign(label=["old, gray", '"quoted"'], image=["1e10000000000000"] * 2)
    frame["mask"] = ["0000000000000001", "0000000000000002"]
    write_score_table(path, frame)
    written = path.read_bytes()
    back = read_score_table(path)
    # 5e-7 relative: half a unit of the seventh digit of a number that begins with 1.
    pd.testing.assert_frame_equal(back, frame, rtol=5e-7, check_dtype=False)
    assert metric_columns(back) == ["mse_h", "psnr_h", "lpips_vgg"]
    assert back[["seed", "hole_px"]].dtypes.eq("int64").all()
    assert back[metric_columns(back)].dtypes.eq("float64").all()
    write_score_table(path, back)
    assert path.read_bytes() == written


@pytest.mark.promise("same_bytes")
def test_groups_are_written_and_read_and_are_the_images_where_there_are_none(
    tmp_path: Path,
) -> None:
    path, plain = tmp_path / "scores.csv", _valid()
    assert groups_of(plain).tolist() == plain["image"].tolist()
    grouped = plain.copy()
    grouped.insert(6, "group", ["1e10000000000000"] * 2)
    write_score_table(path, grouped)
    written = path.read_bytes()
    assert written.splitlines()[0] == b"method,seed,image,mask,hole_px,label,group," + (
        b"mse_h,psnr_h,lpips_vgg"
    )
    back = read_score_table(path)
    assert groups_of(back).tolist() == ["1e10000000000000"] * 2
    assert metric_columns(back) == metric_columns(plain)
    assert aggregate(back, IMAGE_PX) == aggregate(back.drop(columns="group"), IMAGE_PX)
    write_score_table(path, back)
    assert path.read_bytes() == written
    # Where a group is left empty, or a table without the column is beside one that has it.
    write_score_table(path, grouped.assign(group=["", "g"]))
    assert groups_of(read_score_table(path)).tolist() == [_hash("a"), "g"]
    both = pd.concat([back.assign(method="g"), plain])
    assert groups_of(both).tolist() == ["1e10000000000000"] * 2 + plain["image"].tolist()


def test_methods_with_other_groups_are_not_mixed() -> None:
    one, other = _row("g", 0, "a", "m", mse_h=1.0), _row("telea", 0, "a", "m", mse_h=1.0)
    check_same_images(_frame(one, other), "s")
    check_same_images(_frame(one | {"group": "x"}, other | {"group": "x"}), "s")
    with pytest.raises(InputError, match="other images, holes or groups"):
        check_same_images(_frame(one | {"group": "x"}, other | {"group": "y"}), "s")


def test_a_row_takes_at_most_60_bytes_and_12_for_each_metric(tmp_path: Path) -> None:
    # As large as for a network of these suites, where similarities have a digit less than errors.
    metrics = dict.fromkeys(METRICS, 0.0123456789)
    metrics |= {name: 0.123456789 for name in METRICS if name.startswith(("ssim", "lpips"))}
    metrics |= {"psnr_h": 23.4567891, "psnr_w": 29.4567891, "seam": -0.00123456789}
    metrics |= {"mse_w": 0.000123456789, "mse_b": 0.00123456789, "known_mae_raw": 1.23456789e-05}
    row = _row("attention_unet_no_attention", 1234, "a", "m", **metrics)
    write_score_table(tmp_path / "s.csv", _frame(row | {"hole_px": 65536, "label": "Young_Male"}))
    header, line = (tmp_path / "s.csv").read_bytes().splitlines(keepends=True)
    assert header.count(b",") == line.count(b",")
    assert len(line) <= 60 + 12 * len(METRICS)


HEAD = "method,seed,image,mask,hole_px,label,mse_h"
GOOD = "telea,0,6100000000000000,6d00000000000000,16,,0.5"


@pytest.mark.promise("damage")
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "No columns"),
        (["method,seed,image,hole_px,label,mse_h", "a,0,b,1,,1"], "the first columns are not"),
        ([HEAD, GOOD, GOOD], "a row is there twice"),
        (
            [
                HEAD.replace("label", "label,group"),
                *(GOOD.replace("6d", n).replace("16,,", f"16,,g{n},") for n in ("01", "02")),
            ],
            "an image is in two groups",
        ),
        ([HEAD, GOOD, GOOD + ",7"], "Expected 7 fields in line 3, saw 8"),
        ([HEAD, GOOD + ",7"], "rows are longer than the heading"),
        ([HEAD, GOOD.replace("0.5", "much")], "could not convert string to float: 'much'"),
        ([HEAD, GOOD.replace(",0,", ",0.5,")], "invalid literal for int.*0.5"),
        ([HEAD, GOOD.replace(",16,", ",,")], "invalid literal for int"),
        ([HEAD, '"' + GOOD], "EOF inside string"),
    ],
)
def test_reading_refuses_what_is_no_score_table(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(InputError, match=message) as refusal:
        read_score_table(path)
    assert str(refusal.value).startswith(str(path))


@pytest.mark.promise("damage")
def test_reading_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv"):
        read_score_table(tmp_path / "none.csv")


def test_masks_are_averaged_first_then_images_then_seeds() -> None:
    frame = _frame(
        _row("g", 0, "a", "m1", mse_h=1.0),
        _row("g", 0, "a", "m2", mse_h=3.0),  # image a: 2
        _row("g", 0, "b", "m1", mse_h=6.0),  # seed 0: (2 + 6) / 2 = 4
        _row("g", 1, "a", "m1", mse_h=10.0),  # seed 1: 10
        _row("telea", 0, "a", "m1", mse_h=5.0),
    )
    result = aggregate(frame, IMAGE_PX)
    # By row the mean would be 5; by seed and image 6; by seed 7.
    # Over seeds, image a is (2 + 10) / 2 = 6 and image b is 6, so images do not spread.
    assert result["g"]["mse_h"] == {"mean": 7.0, "sd": 0.0, "n": 2, "infinite": 0}
    assert result["telea"]["mse_h"] == {"mean": 5.0, "sd": None, "n": 1, "infinite": 0}
    assert list(result) == ["g", "telea"]


def test_deviation_is_over_images_with_one_degree_of_freedom_less() -> None:
    rows = [_row("g", s, i, "m", mse_h=v + s) for s in (0, 2) for i, v in (("a", 1), ("b", 5))]
    summary = aggregate(_frame(*rows), IMAGE_PX)["g"]["mse_h"]
    assert summary["mean"] == 4.0
    assert summary["sd"] == pytest.approx(math.sqrt(8), rel=1e-15)  # of 2 and 6


def test_ratios_have_a_geometric_mean_everywhere() -> None:
    frame = _frame(
        _row("g", 0, "a", "m1", sharpness_c=0.5),
        _row("g", 0, "a", "m2", sharpness_c=2.0),  # image a: 1
        _row("g", 0, "b", "m1", sharpness_c=4.0),  # seed 0: 2
        _row("g", 1, "a", "m1", sharpness_c=1e6),  # seed 1: 100, the limit
        _row("g", 1, "b", "m1", sharpness_c=math.nan),
        _row("telea", 0, "a", "m1", sharpness_c=0.0),
    ).assign(label="x")
    by_label, by_area = aggregate_by_label(frame, IMAGE_PX), aggregate_by_area(frame, IMAGE_PX)
    for result in (aggregate(frame, IMAGE_PX), by_label["x"], by_area["(0.2, 0.3]"]):
        found = result["g"]["sharpness_c"]
        assert found["mean"] == pytest.approx(math.sqrt(2 * 100), rel=1e-12)
        # Of the logarithms of √(1·100) and 4.
        assert found["sd"] == pytest.approx(math.log(10 / 4) / math.sqrt(2), rel=1e-12)
        assert found["n"] == 2
        assert result["telea"]["sharpness_c"]["mean"] == pytest.approx(0.01, rel=1e-12)
    assert mean_over_seeds("sharpness_c", [2.0, 100.0]) == pytest.approx(math.sqrt(200), rel=1e-12)
    assert mean_over_seeds("mse_h", [2.0, 100.0]) == 51


def test_a_metric_that_is_not_known_has_a_plain_mean() -> None:
    frame = _frame(*(_row("g", 0, i, "m", sharpness_h=v) for i, v in (("a", 0.0), ("b", 300.0))))
    assert aggregate(frame, IMAGE_PX)["g"]["sharpness_h"]["mean"] == 150


def test_infinite_psnr_is_counted_and_capped() -> None:
    frame = _frame(
        _row("g", 0, "a", "m", psnr_h=math.inf, psnr_w=math.inf),
        _row("g", 0, "b", "m", psnr_h=20.0, psnr_w=26.0),
    )
    result = aggregate(frame, IMAGE_PX)["g"]
    # The best finite PSNR: one of 3·|R| values is off by one level of 255.
    cap_h, cap_w = (-10 * math.log10(1 / (255**2 * 3 * pixels)) for pixels in (16, IMAGE_PX))
    assert result["psnr_h"]["mean"] == pytest.approx((cap_h + 20) / 2, rel=1e-14)
    assert result["psnr_w"]["mean"] == pytest.approx((cap_w + 26) / 2, rel=1e-14)
    assert result["psnr_h"]["infinite"] == 1
    with pytest.raises(ValueError, match="mse_h is infinite"):
        aggregate(_frame(_row("g", 0, "a", "m", mse_h=math.inf)), IMAGE_PX)


def test_median_and_pooled_psnr_are_not_ruled_by_one_exact_hole() -> None:
    frame = _frame(
        _row("g", 0, "a", "m", mse_h=0.1, psnr_h=10.0),
        _row("g", 0, "b", "m", mse_h=0.01, psnr_h=20.0),
        _row("g", 0, "c", "m", mse_h=0.0, psnr_h=math.inf),
        _row("g", 1, "a", "m", mse_h=0.001, psnr_h=30.0),
        _row("g", 1, "b", "m", mse_h=0.001, psnr_h=30.0),
        _row("g", 1, "c", "m", mse_h=0.001, psnr_h=30.0),
        _row("oracle", 0, "a", "m", mse_h=0.0, psnr_h=math.inf),
        _row("flat", 0, "a", "m", mse_h=0.5, psnr_h=math.nan),
    )
    found = robust_psnr(frame, IMAGE_PX)
    assert found["g"]["psnr_h_median"] == {"mean": 25.0, "sd": None, "n": 3, "infinite": 1}
    pooled = (-10 * math.log10(0.11 / 3) + 30) / 2
    assert found["g"]["psnr_h_pooled"]["mean"] == pytest.approx(pooled, rel=1e-12)
    cap = 10 * math.log10(255**2 * 3 * 16)
    for entry in found["oracle"].values():
        assert entry["mean"] == pytest.approx(cap, rel=1e-12) and entry["infinite"] == 1
    for entry in found["flat"].values():
        assert entry["mean"] is None and "missing" in entry
    json.dumps(found, allow_nan=False)


def test_missing_metrics_are_gaps_with_a_reason() -> None:
    frame = _frame(
        _row("g", 0, "a", "m", mse_h=1.0, mse_c=math.nan, lpips_alex=math.nan),
        _row("g", 0, "b", "m", mse_h=3.0, mse_c=4.0, lpips_alex=math.nan),
    )
    reasons = {"lpips_alex": "no weights", "lpips_vgg": "no package"}
    result = aggregate(frame, IMAGE_PX, reasons)["g"]
    gap = {"mean": None, "sd": None, "n": 0, "infinite": 0}
    assert result["lpips_alex"] == gap | {"missing": "no weights"}
    assert result["lpips_vgg"] == gap | {"missing": "no package"}
    assert result["mse_c"] == {"mean": 4.0, "sd": None, "n": 1, "infinite": 0}
    assert [name for name in METRICS if name in result] == list(result)
    json.dumps(result, allow_nan=False)
    assert "missing" in aggregate(frame, IMAGE_PX)["g"]["lpips_alex"]


def test_bins_of_hole_area_include_their_upper_edge() -> None:
    areas = {"a": 10, "b": 11, "c": 30, "d": 31, "e": 100}
    rows = [_row("g", 0, i, "m", mse_h=float(px)) | {"hole_px": px} for i, px in areas.items()]
    bins = aggregate_by_area(_frame(*rows), 100)
    counted = {
        name: (cell["g"]["mse_h"]["n"], cell["g"]["mse_h"]["mean"]) for name, cell in bins.items()
    }
    assert counted == {
        "(0, 0.1]": (1, 10.0),
        "(0.1, 0.2]": (1, 11.0),
        "(0.2, 0.3]": (1, 30.0),
        "(0.3, 0.4]": (1, 31.0),
        "(0.6, 1]": (1, 100.0),
    }


def test_labels_are_broken_down_in_order_and_absent_ones_left_out() -> None:
    rows = [_row("g", 0, i, "m", mse_h=v) for i, v in (("a", 1.0), ("b", 2.0), ("c", 4.0))]
    frame = _frame(*rows)
    assert aggregate_by_label(frame, IMAGE_PX) == {}
    result = aggregate_by_label(frame.assign(label=["old", "", "new"]), IMAGE_PX)
    assert {label: cell["g"]["mse_h"]["mean"] for label, cell in result.items()} == {
        "new": 4.0,
        "old": 1.0,
    }
    assert list(result) == ["new", "old"]


def test_order_of_rows_does_not_matter() -> None:
    values = [0.1, 0.2, 0.3, 0.7]
    frame = _frame(*[_row("g", 0, str(i), "m", mse_h=v) for i, v in enumerate(values)])
    assert aggregate(frame, IMAGE_PX) == aggregate(frame.iloc[::-1], IMAGE_PX)
