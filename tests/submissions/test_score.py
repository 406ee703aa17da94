"""Scores of anybody's completed images, against NumPy, scikit-image and hand-made cases."""

import json
import weakref
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import skimage.metrics
from numpy.typing import NDArray
from PIL import Image

import benchmark.submissions.score
from benchmark.__main__ import main
from benchmark.evaluation.score_table import read_score_table
from benchmark.inference.holes import MaskReading
from benchmark.metrics import METRICS
from benchmark.submissions.score import score_submission, summarize
from benchmark.submissions.submission import Sample, Submission, read_sample
from data.images import decode
from data.procedural_faces import render_portrait
from tests.support.promises import tally
from tests.support.tiny import files_below

SIZES = {"a": (40, 56), "b": (64, 32), "deep/c": (40, 56), "deep/d": (33, 47)}
"""Height and width of the images of a submission."""


@pytest.fixture(autouse=True)
def without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no_weights"))


def image(number: int, height: int, width: int) -> NDArray[np.uint8]:
    return render_portrait(number, 64, 0)[:height, :width]


def hole(number: int, height: int, width: int) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), np.bool_)
    mask[6 + number : 25, 8 : 22 + number] = True
    return mask


def telea(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    blank = np.where(mask[..., None], 0, pixels).astype(np.uint8)
    filled = cv2.inpaint(blank, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return np.asarray(np.where(mask[..., None], filled, pixels), np.uint8)


def save(path: Path, pixels: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def hand_in(root: Path, known_change: int = 0) -> Submission:
    """Write a submission of four sizes, whose known pixels are changed by some levels."""
    for number, (name, (height, width)) in enumerate(SIZES.items()):
        truth, mask = image(number, height, width), hole(number, height, width)
        completed = telea(truth, mask)
        completed[~mask] ^= known_change
        save(root / f"images/{name}.bmp", truth)
        save(root / f"completed/{name}.png", completed)
        save(root / f"masks/{name}.png", mask)
    return Submission(root / "images", root / "completed", root / "masks")


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as opened:
        return np.asarray(opened)


def score(root: Path, *options: str) -> int:
    folders = [f"--{name}={root / name}" for name in ("images", "completed", "masks")]
    return main(["score", *folders, *options])


def refusal(root: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Score what must be refused, and return the message."""
    before = files_below(root)
    capsys.readouterr()
    assert score(root, *options) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and captured.out == "" and files_below(root) == before
    return lines[0]


# Values


@pytest.mark.promise("metrics")
def test_every_image_has_the_values_of_numpy_and_scikit_image(tmp_path: Path) -> None:
    reference: Any = skimage.metrics
    submission = hand_in(tmp_path, known_change=4)
    score_table = score_submission(submission, "mine").score_table
    for row, (number, (name, (height, width))) in zip(
        score_table.itertuples(), enumerate(SIZES.items()), strict=True
    ):
        truth, mask = image(number, height, width), hole(number, height, width)
        given = read(submission.completed / f"{name}.png")
        composite = np.where(mask[..., None], given, truth)
        error = (composite.astype(float) - truth) / 255
        raw = (given.astype(float) - truth) / 255
        assert row.hole_px == mask.sum()
        # The same sums of integers, divided once: to the last bits of float64.
        expected = {
            "mse_h": (error[mask] ** 2).mean(),
            "mae_h": np.abs(error[mask]).mean(),
            "mse_w": (error**2).mean(),
            "psnr_w": reference.peak_signal_noise_ratio(truth, composite, data_range=255),
            "known_mae_raw": np.abs(raw[~mask]).mean(),
        }
        for metric, value in expected.items():
            assert getattr(row, metric) == pytest.approx(value, rel=1e-12), (name, metric)
        _, similarity = reference.structural_similarity(
            truth,
            composite,
            channel_axis=-1,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        # Both are sums of 121 products in float64, in another order.
        assert row.ssim_w == pytest.approx(similarity[5:-5, 5:-5].mean(), rel=1e-10)
        tally("images of four sizes scored")
    assert score_table["known_mae_raw"].to_numpy() == pytest.approx(4 / 255)


def test_means_weigh_images_alike(tmp_path: Path) -> None:
    scores = score_submission(hand_in(tmp_path), "mine")
    content = summarize(scores)
    for metric in ("mse_h", "ssim_w", "seam"):
        summary = content["methods"]["mine"][metric]
        # The score table has 7 significant digits.
        assert summary["mean"] == pytest.approx(scores.score_table[metric].mean(), rel=1e-6)
        assert summary["n"] == len(SIZES)
    assert content["by_label"].keys() == {"deep"}
    assert content["by_label"]["deep"]["mine"]["mse_h"]["n"] == 2


def test_infinite_psnr_enters_with_the_size_of_its_own_image(tmp_path: Path) -> None:
    submission = hand_in(tmp_path)
    for name in SIZES:
        (submission.completed / f"{name}.png").write_bytes(
            (submission.images / f"{name}.bmp").read_bytes()
        )
    methods = summarize(score_submission(submission, "mine"))["methods"]["mine"]
    whole = [10 * np.log10(255**2 * 3 * h * w) for h, w in SIZES.values()]
    holes = [
        10 * np.log10(255**2 * 3 * hole(n, *size).sum()) for n, size in enumerate(SIZES.values())
    ]
    for metric, caps in (("psnr_w", whole), ("psnr_h", holes)):
        assert methods[metric]["mean"] == pytest.approx(np.mean(caps), rel=1e-12)
        assert methods[metric]["infinite"] == len(SIZES)


def test_baselines_stand_beside_and_skill_is_against_telea(tmp_path: Path) -> None:
    submission = hand_in(tmp_path)
    content = summarize(score_submission(submission, "mine", baselines=True))
    assert list(content["methods"]) == ["mine", "mean_color", "telea", "navier_stokes"]
    # The submission was filled by OpenCV's Telea.
    assert content["methods"]["mine"] == content["methods"]["telea"]
    errors = {name: values["mse_h"]["mean"] for name, values in content["methods"].items()}
    assert content["skill"]["mine"] == content["skill"]["telea"] == 0
    expected = 1 - errors["mean_color"] / errors["telea"]
    assert content["skill"]["mean_color"] == pytest.approx(expected, rel=1e-12)


def test_black_holes_are_white_ones_turned_round(tmp_path: Path) -> None:
    submission = hand_in(tmp_path)
    white = score_submission(submission, "mine").score_table
    for path in submission.masks.rglob("*.png"):
        save(path, ~read(path))
    black = Submission(
        submission.images, submission.completed, submission.masks, MaskReading("black")
    )
    pd.testing.assert_frame_equal(score_submission(black, "mine").score_table, white)


def test_image_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    submission = hand_in(tmp_path)
    alone = score_submission(submission, "mine").score_table
    for folder, suffix in ((submission.images, "bmp"), (submission.completed, "png")):
        (folder / f"z.{suffix}").write_bytes((folder / f"a.{suffix}").read_bytes())
    (submission.masks / "z.png").write_bytes((submission.masks / "a.png").read_bytes())
    scores = score_submission(submission, "mine")
    pd.testing.assert_frame_equal(scores.score_table, alone)
    assert list(scores.images["name"]) == [*SIZES, "z"]
    assert [finding.id for finding in scores.findings] == ["duplicate_image"]


# Cost


def test_files_are_decoded_once_and_memory_does_not_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(24):
        truth, mask = image(number, 40, 40), hole(number % 5, 40, 40)
        save(tmp_path / f"images/{number:02}.png", truth)
        save(tmp_path / f"completed/{number:02}.png", telea(truth, mask))
        save(tmp_path / f"masks/{number:02}.png", mask)
    alive: list[weakref.ref[Sample]] = []
    most, decoded = 0, []

    def watch(*arguments: Any) -> Sample:
        nonlocal most
        sample = read_sample(*arguments)
        alive.append(weakref.ref(sample))
        most = max(most, sum(reference() is not None for reference in alive))
        return sample

    def count(path: Path, levels: float | None) -> NDArray[np.uint8]:
        decoded.append(path.relative_to(tmp_path).as_posix())
        return decode(path)

    monkeypatch.setattr("benchmark.submissions.score.read_sample", watch)
    monkeypatch.setattr("benchmark.submissions.submission.decode", count)
    submission = Submission(tmp_path / "images", tmp_path / "completed", tmp_path / "masks")
    score_submission(submission, "mine")
    # The image before, and the one that is being read.
    assert most <= 2
    assert decoded == [f"{f}/{n:02}.png" for n in range(24) for f in ("images", "completed")]


# Files and tables


def test_results_are_whole_and_equal_bytes_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    hand_in(data)
    for out in ("one", "two"):
        assert score(data, "--baselines", "--out", str(tmp_path / out)) == 0
    files = files_below(tmp_path / "one")
    assert files == files_below(tmp_path / "two")
    assert files.keys() == {"scores.csv", "images.csv", "metrics.json"}
    score_table = read_score_table(tmp_path / "one/scores.csv")
    assert list(score_table["method"].unique()) == [
        "completed",
        *benchmark.submissions.score.BASELINE_NAMES,
    ]
    names = pd.read_csv(tmp_path / "one/images.csv")
    assert list(names["name"]) == list(SIZES)
    assert list(zip(names["height"], names["width"], strict=True)) == list(SIZES.values())
    assert list(names["image"]) == list(score_table["image"][: len(SIZES)])
    capsys.readouterr()
    assert score(data, "--baselines", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(files["metrics.json"]) and printed["protocol"] == "ib1"


def test_table_has_every_metric_with_its_direction_and_the_gaps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(tmp_path)
    assert score(tmp_path, "--name", "mine") == 0
    captured = capsys.readouterr()
    lines = {line.split()[0]: line for line in captured.out.splitlines()}
    assert METRICS.keys() <= lines.keys()
    assert lines["psnr_h"].split()[1:3] == ["[dB]", "↑"] and "→0" in lines["seam"]
    assert lines["mse_h"].split()[-1] == str(len(SIZES))
    assert "missing" in lines["lpips_alex"] and "python -m benchmark weights" in captured.out
    # Telea leaves known pixels alone, so that there is nothing to warn of.
    assert "warning: " not in captured.err


def test_findings_of_the_doctor_are_warnings_beside_the_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(tmp_path, known_change=4)
    assert score(tmp_path, "--json") == 0
    captured = capsys.readouterr()
    assert "warning: known_changed: " in captured.err
    (finding,) = json.loads(captured.out)["findings"]
    assert (finding["id"], finding["count"]) == ("known_changed", len(SIZES))


# Refusals


def test_completed_image_of_another_size_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submission = hand_in(tmp_path)
    save(submission.completed / "b.png", image(0, 64, 33))
    message = refusal(tmp_path, capsys)
    assert "completed/b.png" in message and "33x64 px, the image 32x64 px" in message


def test_missing_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    submission = hand_in(tmp_path)
    (submission.masks / "deep/c.png").rename(tmp_path / "c.png")
    message = refusal(tmp_path, capsys)
    assert f"images/deep/c.bmp has none in {submission.masks}; a file" in message
    (submission.completed / "a.png").unlink()
    assert f"images/a.bmp has none in {submission.completed} and 1" in refusal(tmp_path, capsys)


def test_two_files_of_one_name_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submission = hand_in(tmp_path)
    save(submission.completed / "a.bmp", image(0, 40, 56))
    assert "a.bmp and a.png have one name" in refusal(tmp_path, capsys)


def test_images_that_cannot_be_scored_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submission = hand_in(tmp_path)
    mask = submission.masks / "a.png"
    for pixels, reason in (
        (np.zeros((40, 56), np.uint8), "marks nothing as hole"),
        (np.full((40, 56), 255, np.uint8), "marks the whole image as hole"),
    ):
        save(mask, pixels)
        message = refusal(tmp_path, capsys)
        assert "masks/a.png" in message and reason in message
    save(submission.images / "a.bmp", image(0, 10, 40))
    save(submission.completed / "a.png", image(0, 10, 40))
    save(mask, hole(0, 40, 40)[:10])
    assert "images/a.bmp: SSIM needs 11 px a side" in refusal(tmp_path, capsys)
    (submission.completed / "a.png").write_bytes(b"text")
    assert "completed/a.png: not a readable image" in refusal(tmp_path, capsys)


def test_wrong_use_is_found_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submission = hand_in(tmp_path)
    assert "--name 'Mine'" in refusal(tmp_path, capsys, "--name", "Mine")
    taken = refusal(tmp_path, capsys, "--name", "telea", "--baselines")
    assert "--name telea: is a baseline" in taken
    inside = refusal(tmp_path, capsys, "--out", str(submission.completed / "scores"))
    assert "must lie neither in nor around" in inside
    assert score(tmp_path, "--out", str(tmp_path / "out")) == 0
    assert "--overwrite" in refusal(tmp_path, capsys, "--out", str(tmp_path / "out"))
    assert score(tmp_path, "--out", str(tmp_path / "out"), "--overwrite") == 0
