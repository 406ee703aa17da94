"""Several completions of an image: mean, best of n and diversity, worked by hand."""

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.__main__ import main
from benchmark.inference.pairing import Pairing
from benchmark.metrics import METRICS
from benchmark.submissions.samples import numbered
from benchmark.submissions.score import Scores, write_scores
from tests.submissions.test_doctor import Pixels, box, photographs, save

LEVELS = (4, 10, 1)
"""By how much each completion is off in the hole."""


def _hand_in(root: Path, count: int = 3) -> list[str]:
    """Write completions that are off by `LEVELS`, and return the words that name the folders."""
    for number, image in enumerate(photographs(count)):
        _save(
            root, str(number), image, {f"_s{k}": level + number for k, level in enumerate(LEVELS)}
        )
    return _places(root)


def _save(
    root: Path, name: str, image: Pixels, levels: dict[str, int], side: int = 26, mask: str = ""
) -> None:
    """Write an image, a mask, and completions that are off by some levels in the hole."""
    image = np.clip(image, 20, 235).astype(np.uint8)
    height, width = image.shape[:2]
    hole = box(len(name) + len(mask), side)[:height, :width]
    save(root / f"images/{name}.png", image)
    save(root / f"masks/{name}{mask}.png", hole)
    for ending, level in levels.items():
        completed: Pixels = np.where(hole[..., None], image + np.uint8(level), image)
        save(root / f"completed/{name}{ending}.png", completed)


def _places(root: Path) -> list[str]:
    places = [(f"--{kind}", str(root / kind)) for kind in ("images", "completed", "masks")]
    return [word for pair in places for word in pair]


def _mse(level: float) -> float:
    return (level / 255) ** 2


def test_completions_of_one_image_are_no_copies_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = _hand_in(tmp_path)
    main(["doctor", *words, "--samples"])
    assert "duplicate" not in capsys.readouterr().out
    # Of another image one completion is the same.
    shutil.copy(tmp_path / "completed/0_s1.png", tmp_path / "completed/1_s2.png")
    main(["doctor", *words, "--samples", "--json"])
    found = {finding["id"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert found["duplicate_completion"]["detail"] == "1_s2 is 0_s1"


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
    samples = {text: text for text in ("10", "2", "0", "b", "a")}
    files = {"images": Path("i.png"), "masks": Path("m.png")}
    pairing = Pairing({text: files for text in samples}, [], [], samples, [])
    assert numbered(pairing) == [("a", 0), ("b", 1), ("0", 2), ("2", 3), ("10", 4)]


def test_images_whose_completions_have_other_numbers_weigh_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, kept = _hand_in(tmp_path), {"0": (0, 1), "1": (1, 2), "2": (1, 2)}
    for path in (tmp_path / "completed").iterdir():
        number, _, k = path.stem.partition("_s")
        if int(k) not in kept[number]:
            path.unlink()
    out = tmp_path / "scores"
    main(["score", *words, "--samples", "--baselines", "--json", "--out", str(out)])
    found = json.loads(capsys.readouterr().out)
    mean = np.mean([_mse(LEVELS[k] + int(number)) for number in kept for k in kept[number]])
    assert found["methods"]["completed"]["mse_h"]["mean"] == pytest.approx(mean, rel=1e-6)
    assert found["methods"]["telea"]["mse_h"]["n"] == 3 and found["samples"]["count"] == 2
    telea = found["methods"]["telea"]["mse_h"]["mean"]
    assert found["skill"]["completed"] == pytest.approx(1 - mean / telea, rel=1e-6)
    table = pd.read_csv(out / "scores.csv")
    ours = table[table["method"] == "completed"]
    assert ours.groupby("image")["seed"].apply(list).tolist() == [[0, 1]] * 3


@pytest.mark.parametrize("pattern", ["s{sample}_m{mask}", "m{mask}_s{sample}"])
def test_completions_of_two_masks_are_told_apart_whatever_their_names_order(
    pattern: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for mask in ("1", "01"):
        levels = {
            "_" + pattern.format(sample=k, mask=mask): level for k, level in enumerate(LEVELS)
        }
        _save(tmp_path, "a", photographs(1)[0], levels, mask=f"_m{mask}")
    named = [f"--completed-name={{stem}}_{pattern}", "--mask-name={stem}_m{mask}"]
    main(["score", *_places(tmp_path), *named, "--samples", "--json"])
    found = json.loads(capsys.readouterr().out)["samples"]
    apart = np.mean([_mse(a - b) for a, b in combinations(LEVELS, 2)])
    assert found["count"] == 3 and found["missing"] == {}
    assert found["diversity"]["mse_h"] == pytest.approx(apart, rel=1e-6)


def test_a_small_image_has_no_perceptual_diversity_and_the_text_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = photographs(1)[0][:16, :16]
    _save(tmp_path, "small", small, {"_s0": 4, "_s1": 10}, side=6)
    words, out = [*_places(tmp_path), "--samples"], tmp_path / "scores"
    main(["score", *words, "--out", str(out)])
    text = capsys.readouterr().out
    assert f"diversity, mean over pairs: mse_h {_mse(6):.5g}, stlpips_alex_h missing" in text
    assert "stlpips_alex_h: 1 of 1 images and holes have no value, as it takes images of 21" in text
    assert {path.name for path in out.iterdir()} == {"scores.csv", "images.csv", "metrics.json"}
    found = json.loads((out / "metrics.json").read_text())["samples"]
    assert found["diversity"]["stlpips_alex_h"] is None and [*found["missing"]] == [
        "stlpips_alex_h"
    ]
    large = tmp_path / "large"
    _hand_in(large, 1)
    main(["score", *_places(large), "--samples", "--json"])
    alone = json.loads(capsys.readouterr().out)["samples"]["diversity"]
    _save(large, "small", small, {"_s0": 4, "_s1": 10, "_s2": 1}, side=6)
    main(["score", *_places(large), "--samples", "--json"])
    both = json.loads(capsys.readouterr().out)["samples"]
    assert both["diversity"]["stlpips_alex_h"] == alone["stlpips_alex_h"]
    assert both["missing"]["stlpips_alex_h"].startswith("1 of 2 images and holes have no value")


def test_one_completion_has_no_diversity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _save(tmp_path, "a", photographs(1)[0], {"_s0": 4})
    main(["score", *_places(tmp_path), "--samples"])
    assert "mse_h: it takes two completions of an image and hole" in capsys.readouterr().out


def test_nothing_is_written_where_means_are_no_json(tmp_path: Path) -> None:
    scores = Scores(pd.DataFrame({"label": ["x"]}), pd.DataFrame({"name": ["x"]}), [])
    with pytest.raises(ValueError, match="JSON"):
        write_scores(tmp_path, scores, {"mean": float("nan")})
    assert list(tmp_path.iterdir()) == []
