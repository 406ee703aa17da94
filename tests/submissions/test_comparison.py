"""Submissions held against each other: paired by image, against SciPy and numbers by hand."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.evaluation.score_table import read_score_table
from benchmark.pipeline.baselines import evaluate_baselines
from benchmark.pipeline.split import split_suite
from benchmark.submissions.comparison import compare_submissions
from tests.submissions.test_doctor import (
    box,
    hand_in,
    mean_color,
    navier_stokes,
    photographs,
    save,
    telea,
)
from tests.support.html_page import Page
from tests.support.tiny import isolate, tiny_suite

KINDS = ("images", "completed", "masks")
FILLS = {"ours": telea, "theirs": navier_stokes, "flat": mean_color}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the scores of three submissions, of which two have baselines."""
    root = tmp_path_factory.mktemp("scored")
    for name, fill in FILLS.items():
        hand_in(root / "data" / name, photographs(9), fill=fill)
        places = [
            f"--{kind}={root / 'data' / name / kind}" for kind in ("images", "completed", "masks")
        ]
        options = ["--baselines"] if name != "flat" else []
        main(["score", *places, *options, "--name", name, "--out", str(root / name)])
    return root


def test_differences_are_those_of_scipy_for_paired_images(scored: Path) -> None:
    found = compare_submissions([scored / "ours", scored / "theirs"])
    assert found.submissions == ("ours", "theirs") and found.images == found.holes == 9
    assert found.baselines == ("mean_color", "telea", "navier_stokes")
    first = next(c for c in found.comparisons["mse_h"] if c.reference == "theirs")
    tables = [read_score_table(scored / name / "scores.csv") for name in ("ours", "theirs")]
    ours, theirs = (
        table[table["method"] == name].sort_values("image")["mse_h"].to_numpy()
        for table, name in zip(tables, ("ours", "theirs"), strict=True)
    )
    test = stats.ttest_rel(ours, theirs)
    expected = test.confidence_interval(0.95)
    assert first.difference == pytest.approx((ours - theirs).mean(), rel=1e-9)
    assert (first.low, first.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert first.p == pytest.approx(test.pvalue, rel=1e-6) and first.is_provisional in (True, False)
    # OpenCV's Telea is what the submission was filled with.
    same = next(
        c for c in found.comparisons["mse_h"] if (c.method, c.reference) == ("ours", "telea")
    )
    assert same.difference == 0 and same.verdict == "equivalent"


def test_p_values_are_adjusted_within_a_metric(scored: Path) -> None:
    found = compare_submissions([scored / name for name in FILLS])
    pairs = 3 + 3 * 3
    for compared in found.comparisons.values():
        assert len(compared) == pairs
        least = min(compared, key=lambda c: c.p)
        assert least.p_adjusted == pytest.approx(min(1.0, pairs * least.p))


def test_text_markdown_json_and_page_say_the_same(
    scored: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # no checkout is needed
    words = ["compare", *(str(scored / name) for name in FILLS)]
    page = tmp_path / "page.html"
    assert main([*words, "--html", str(page)]) == 0
    text = capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert main([*words, "--markdown"]) == 0
    markdown = capsys.readouterr().out
    mean = content["methods"]["ours"]["mse_h"]["mean"]
    html = Page(page.read_text(encoding="utf-8"))
    shown = " ".join(n.text for n in html.all("td")) + " ".join(n.text for n in html.all("th"))
    for said in (text, markdown, shown):
        assert f"{mean:.4f}" in said and "navier" in said
    (row,) = (
        c
        for c in content["comparisons"]["mse_h"]
        if (c["method"], c["reference"]) == ("ours", "flat")
    )
    assert f"{row['difference']:+.5f}" in text and f"{row['difference']:+.5f}" in markdown
    assert main([*words, "--html", str(page)]) == 2, "it is there already"
    assert main([*words, "--html", str(page), "--overwrite"]) == 0


def test_submissions_of_other_images_or_holes_are_not_compared(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(tmp_path / "data", photographs(9), lambda number: box(number, 20))
    places = [f"--{kind}={tmp_path / 'data' / kind}" for kind in KINDS]
    main(["score", *places, "--name", "other", "--out", str(tmp_path / "other")])
    capsys.readouterr()
    assert main(["compare", str(scored / "ours"), str(tmp_path / "other")]) == 2
    assert "18 of their holes are in one of both alone" in capsys.readouterr().err


def test_methods_of_one_name_are_called_by_their_folders(scored: Path, tmp_path: Path) -> None:
    for name in ("run-A", "run-B"):
        target = tmp_path / name
        target.mkdir()
        for file in (scored / "ours").iterdir():
            (target / file.name).write_bytes(file.read_bytes())
    found = compare_submissions([tmp_path / "run-A", tmp_path / "run-B"])
    assert found.submissions == ("run_a", "run_b")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--line"], "--line, --all: are for versions"),
        (["--json", "--markdown"], "choose one"),
    ],
)
def test_options_that_do_not_fit_are_named(
    words: list[str], message: str, scored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(scored / "ours"), str(scored / "theirs"), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_damaged_folder_is_named(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (scored / "ours").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "scores.csv").write_text("method,seed\n")
    assert main(["compare", str(scored / "theirs"), str(tmp_path)]) == 2
    assert f"{tmp_path}/scores.csv: not a readable score table" in capsys.readouterr().err
    (tmp_path / "metrics.json").write_text('{"protocol": "ib0"}')
    assert main(["compare", str(scored / "theirs"), str(tmp_path)]) == 2
    assert "of protocol ib0, not ib1" in capsys.readouterr().err


def _edit(path: Path, rows: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    rows(pd.read_csv(path, keep_default_na=False)).to_csv(path, index=False)


def _worse(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(mse_h=[np.inf, *table["mse_h"][1:]])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "fewer images": (
        lambda root: _edit(root / "scores.csv", lambda t: t[t["image"] != t["image"].iloc[0]]),
        "1 of their holes are in one of both alone",
    ),
    "a list of means": (
        lambda root: (root / "metrics.json").write_text("[]"),
        "metrics.json: of protocol unknown, not ib1",
    ),
    "no names": (
        lambda root: (root / "images.csv").write_text(""),
        "images.csv: not a readable list of images: No columns",
    ),
    "no sizes": (
        lambda root: (root / "images.csv").write_text("name,image\na,b\n"),
        "images.csv: not a readable list of images: ",
    ),
    "names of others": (
        lambda root: (root / "images.csv").write_text("image,height,width\na,9,9\n"),
        "images.csv: lacks images of the scores beside it",
    ),
    "an infinite error": (
        lambda root: _edit(root / "scores.csv", _worse),
        "scores.csv: mse_h is infinite, which only a PSNR can be",
    ),
    "no error": (
        lambda root: _edit(root / "scores.csv", lambda t: t.drop(columns="mse_h")),
        "scores.csv: lacks mse_h of some holes",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_that_cannot_be_compared_is_named_on_one_line(
    damage: str, scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, (spoil, message) = tmp_path / "spoiled", DAMAGES[damage]
    shutil.copytree(scored / "theirs", root)
    spoil(root)
    assert main(["compare", str(root), str(scored / "ours")]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ") and message in line and str(root) in line
    assert captured.out == ""


def test_score_tables_need_a_folder_beside_them(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = [str(scored / name / "scores.csv") for name in ("ours", "theirs")]
    assert main(["compare", *tables]) == 2
    assert "a comparison needs a folder that `python -m benchmark" in capsys.readouterr().err


def test_means_are_those_that_score_printed_of_several_completions(tmp_path: Path) -> None:
    images, data = photographs(4), tmp_path / "data"
    submission = hand_in(data, images)
    for number, image in enumerate(images):
        path = submission.completed / f"{number}.png"
        path.rename(path.with_name(f"{number}_s0.png"))
        # One is exact, whose PSNR is infinite; the others are sharp and have visible seams.
        spoiled = image if number == 0 else np.where(box(number)[..., None], 255 - image, image)
        save(submission.completed / f"{number}_s1.png", spoiled)
    places = [f"--{kind}={data / kind}" for kind in KINDS]
    out = tmp_path / "a"
    main(["score", *places, "--samples", "--baselines", "--name", "drawn", "--out", str(out)])
    found = compare_submissions([out])
    table = pd.read_csv(out / "scores.csv")
    rows = table[table["method"] == "drawn"]
    assert len(rows) == 8 and np.isinf(rows["psnr_h"]).sum() == 1
    printed = json.loads((out / "metrics.json").read_text())["methods"]
    for method, metrics in printed.items():
        for metric, summary in metrics.items():
            if summary["n"]:  # LPIPS has no weights here
                ours = found.means[method][metric]["mean"]
                assert ours == pytest.approx(summary["mean"], rel=1e-5), (method, metric)
    (seam,) = (c for c in found.comparisons["seam"] if c.reference == "telea")
    telea_rows = table[table["method"] == "telea"]
    expected = rows["seam"].abs().mean() - telea_rows["seam"].abs().mean()
    assert seam.difference == pytest.approx(expected, rel=1e-6)
    assert seam.images == 4


def _grouped(scored: Path, groups: str | NDArray[np.str_]) -> pd.DataFrame:
    """Return the score table of `theirs`, sorted by image, with a group for each."""
    table = pd.read_csv(scored / "theirs/scores.csv", dtype={"label": str})
    table = table[table["method"] == "theirs"].sort_values("image")
    table.insert(6, "group", groups)
    return table


@pytest.mark.parametrize("turned", [False, True])
def test_images_of_a_group_are_one_unit(turned: bool, scored: Path, tmp_path: Path) -> None:
    table = _grouped(scored, np.repeat(["photo0", "photo1", "photo2"], 3))
    table.to_csv(tmp_path / "theirs.csv", index=False)
    places = [scored / "ours", tmp_path / "theirs.csv"]
    found = compare_submissions(places[::-1] if turned else places)
    (first,) = (
        c for c in found.comparisons["mse_h"] if {c.method, c.reference} == {"ours", "theirs"}
    )
    tables = [read_score_table(scored / name / "scores.csv") for name in ("ours", "theirs")]
    values = [
        t[t["method"] == name].sort_values("image")["mse_h"].to_numpy().reshape(3, 3).mean(1)
        for t, name in zip(tables, ("ours", "theirs"), strict=True)
    ]
    # Of groups of one size, the interval is that of the groups' means.
    test = stats.ttest_rel(*values)
    assert first.p == pytest.approx(test.pvalue, rel=1e-6)
    low, high = found.intervals["ours", "mse_h"]
    expected = stats.t.interval(0.95, 2, values[0].mean(), stats.sem(values[0]))
    assert (low, high) == pytest.approx(expected, rel=1e-6)


def test_one_group_has_no_interval_and_json_says_so(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _grouped(scored, "photo").to_csv(tmp_path / "theirs.csv", index=False)
    assert main(["compare", str(scored / "ours"), str(tmp_path / "theirs.csv"), "--json"]) == 0
    # Infinity is Python's, and no JSON.
    content = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    (row,) = (c for c in content["comparisons"]["mse_h"] if c["reference"] == "theirs")
    assert (row["low"], row["high"], row["verdict"]) == (None, None, "inconclusive")
    assert content["methods"]["ours"]["mse_h"]["interval"] == [None, None]


def test_tables_that_disagree_on_the_group_of_an_image_are_refused(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = _grouped(scored, "photo")
    table.to_csv(tmp_path / "theirs.csv", index=False)
    table.assign(method="third", group=["other", *table["group"].iloc[1:]]).to_csv(
        tmp_path / "third.csv", index=False
    )
    tables = [str(tmp_path / name) for name in ("theirs.csv", "third.csv")]
    assert main(["compare", str(scored / "ours"), *tables]) == 2
    image = table["image"].iloc[0]
    assert f"image {image} is of the groups 'photo' and 'other'" in capsys.readouterr().err


def test_the_exported_test_set_of_a_suite_gives_a_row_beside_its_methods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for per_image in (1, 2):
        root = tmp_path / str(per_image)
        root.mkdir()
        isolate(monkeypatch, root)
        suite = tiny_suite(evaluation={"masks_per_image": per_image})
        monkeypatch.setattr("benchmark.core.config.load_suite", lambda *_, s=suite: s)
        split_suite(suite)
        evaluate_baselines(suite)
        assert main(["export", "--suite", "tiny", "--out", "set"]) == 0
        masks = sorted(Path("set/masks").iterdir())
        images = sorted(Path("set/images").iterdir())
        assert len(masks) == per_image * len(images)
        for mask in masks:
            stem = mask.stem.split("_mask")[0]
            picture, hole = (
                np.asarray(Image.open(path)) for path in (f"set/images/{stem}.png", mask)
            )
            Path("done").mkdir(exist_ok=True)
            Image.fromarray(telea(picture, hole > 0)).save(f"done/{mask.name}")
        several = ["--mask-name={stem}_mask{mask}", "--completed-name={stem}_mask{mask}"]
        places = ["--images=set/images", "--masks=set/masks", "--completed=done"]
        words = [*places, *(several if per_image > 1 else []), "--name=mine", "--out=scores"]
        main(["score", *words])
        found = compare_submissions([Path("scores"), paths.baseline_scores("tiny")])
        same = next(c for c in found.comparisons["mse_h"] if c.reference == "telea")
        assert same.method == "mine" and same.difference == pytest.approx(0, abs=1e-8)
        assert "oracle" not in found.means and found.holes == len(masks)
