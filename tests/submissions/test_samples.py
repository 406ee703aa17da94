"""Several completions of an image: mean, best of n and diversity, worked by hand."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.__main__ import main
from benchmark.metrics import METRICS
from tests.submissions.test_doctor import Pixels, box, photographs, save

LEVELS = (4, 10, 1)
"""By how much each completion is off in the hole."""


def _hand_in(root: Path, count: int = 3) -> list[str]:
    """Write completions that are off by `LEVELS`, and return the words that name the folders."""
    for number, image in enumerate(photographs(count)):
        image = np.clip(image, 20, 235).astype(np.uint8)
        hole = box(number)
        save(root / f"images/{number}.png", image)
        save(root / f"masks/{number}.png", hole)
        for k, level in enumerate(LEVELS):
            completed: Pixels = np.where(hole[..., None], image + np.uint8(level + number), image)
            save(root / f"completed/{number}_s{k}.png", completed)
    places = [(f"--{kind}", str(root / kind)) for kind in ("images", "completed", "masks")]
    return [word for pair in places for word in pair]


def _mse(level: float) -> float:
    return (level / 255) ** 2


def test_mean_best_and_diversity_are_those_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = _hand_in(tmp_path)
    out = tmp_path / "scores"
    main(["score", *words, "--samples", "--baselines", "--json", "--out", str(out)])
    content = json.loads(capsys.readouterr().out)
    mean = np.mean([_mse(level + n) for level in LEVELS for n in range(3)])
    assert content["methods"]["completed"]["mse_h"]["mean"] == pytest.approx(mean, rel=1e-6)
    assert content["methods"]["completed"]["mse_h"]["n"] == 3
    found = content["samples"]
    assert found["count"] == 3
    best = np.mean([_mse(min(LEVELS) + n) for n in range(3)])
    assert found["best_of_n"]["mse_h"]["mean"] == pytest.approx(best, rel=1e-6)
    psnr = np.mean([-10 * np.log10(_mse(min(LEVELS) + n)) for n in range(3)])
    assert found["best_of_n"]["psnr_h"]["mean"] == pytest.approx(psnr, rel=1e-6)
    assert {*found["best_of_n"]} == {*METRICS}
    apart = np.mean([_mse(a - b) for a, b in combinations(LEVELS, 2)])
    assert found["diversity"]["mse_h"] == pytest.approx(apart, rel=1e-6)
    assert 0 < found["diversity"]["stlpips_alex_h"] < 1
    table = pd.read_csv(out / "scores.csv")
    ours, telea = (table[table["method"] == name] for name in ("completed", "telea"))
    assert ours.groupby("image")["seed"].apply(sorted).tolist() == [[0, 1, 2]] * 3
    assert telea["seed"].tolist() == [0] * 3


def test_the_text_declares_what_is_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["score", *_hand_in(tmp_path), "--samples"])
    text = capsys.readouterr().out
    assert "3 completions of each image and hole: the table has their means" in text
    assert "best of 3, each metric by itself: mse_h" in text
    assert "diversity, mean over pairs: mse_h" in text


def test_images_with_different_numbers_of_completions_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = _hand_in(tmp_path)
    (tmp_path / "completed/1_s2.png").unlink()
    assert main(["score", *words, "--samples"]) == 2
    assert "1_s0: its image has 2 completions, others have 3" in capsys.readouterr().err


def test_samples_are_declared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = _hand_in(tmp_path)
    assert main(["score", *words]) == 2, "without --samples they belong to no image"
    assert main(["score", *words, "--completed-name", "{stem}_s{sample}"]) == 2
    assert "needs {sample} with --samples, and else has none" in capsys.readouterr().err
    assert main(["score", *words, "--samples", "--completed-name", "{stem}_m"]) == 2
    named = ["--samples", "--completed-name", "{stem}_s{sample}.png"]
    assert main(["score", *words, *named]) == main(["score", *words, "--samples"])


def test_ten_completions_are_counted_in_their_order() -> None:
    from benchmark.submissions.samples import numbers_of

    found = numbers_of({str(n): text for n, text in enumerate(["10", "2", "0", "b", "a"])})
    assert found == {"a": 0, "b": 1, "0": 2, "2": 3, "10": 4}
