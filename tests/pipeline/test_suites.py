"""The suites: the splits of the default ones are the same everywhere, all follow their protocol."""

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmark.core.config import Suite, load_params, load_suite
from benchmark.core.portable import usable_cpus
from benchmark.pipeline.split import split_suite
from data.images import Resize
from data.store import Store

ROOT = Path(__file__).resolve().parents[2]
DIGESTS = {
    "photos": "c0ee54633638ca8d47be809f50ebb1039c3ca43cfdfa788696940393aeb7bb88",
    "few portraits": "e1524b8e5c30a1e5c3183a86c25e56ef77edd500adae33045b75bcb0fd25963f",
    "portraits": "55f330718154e05bb88340db4cb64d0bc4f5f850bac8be8906a2ac19b6eef9f8",
}
SIZES = {
    "celeba_1024": (1024, (819, 102, 103)),
    "celeba_1024_128": (1024, (819, 102, 103)),
    "celeba_1024_center": (1024, (819, 102, 103)),
    "celeba_1024_center_via_64": (1024, (819, 102, 103)),
    "celeba_64": (29_996, (24_000, 1_000, 1_000)),
    "celeba_64_center": (29_996, (24_000, 1_000, 1_000)),
    "celeba_64_long": (29_996, (24_000, 1_000, 1_000)),
    "celeba_64_unet": (1024, (819, 102, 103)),
    "celeba_center": (202_599, (195_000, 2_599, 5_000)),
    "celeba_locpaint": (30_113, (24_090, 3_011, 3_012)),
    "cifar10": (50_000, (45_000, 5_000, 0)),
    "cifar10_jpeg": (50_000, (45_000, 5_000, 0)),
    "imagenet_128": (1_281_167, (1_268_355, 12_812, 0)),
    "imagenet_64": (1_281_167, (1_268_355, 12_812, 0)),
    "paris_center": (14_900, (14_000, 800, 0)),
    "paris_random": (14_900, (14_000, 800, 0)),
    "portraits": (11_000, (10_000, 500, 500)),
    "stl10": (5_000, (4_500, 500, 0)),
    "tiny_imagenet": (100_000, (90_000, 10_000, 0)),
    "tiny_imagenet_64": (100_000, (20_000, 1_000, 0)),
}
"""Images without an official split, and how they are cut; a test size of 0 is an official one."""
DOWNLOADED = ["cifar10", "stl10", "tiny_imagenet"]
MADE = ["photos", "portraits"]
SUITES = sorted({*SIZES, "photos"})
"""Those that ship; others may stand beside them."""


def named(name: str) -> Suite:
    return load_suite(name, ROOT)


@pytest.mark.promise("everywhere")
@pytest.mark.parametrize(
    "name", ["photos", "few portraits", pytest.param("portraits", marks=pytest.mark.slow)]
)
def test_splits_of_the_suites_that_need_no_download_are_pinned(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = load_suite(name.removeprefix("few "), ROOT)
    if name.startswith("few "):
        content = suite.model_dump(exclude={"name"}) | {
            "source": {"name": "portraits", "count": 440, "seed": 0},
            "splits": {"seed": 42, "train": 400, "val": 20, "test": 20},
        }
        suite = Suite.model_validate({"name": "portraits", **content})
    monkeypatch.chdir(tmp_path)
    summary = split_suite(suite, workers=usable_cpus())
    assert summary["digest"] == DIGESTS[name]
    assert ("groups" in summary) == (name == "photos")


def test_photos_holds_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = load_suite("photos", ROOT)
    monkeypatch.chdir(tmp_path)
    summary = split_suite(suite, workers=usable_cpus())
    counts, groups = summary["counts"], summary["groups"]
    said = (
        f"{counts['train']} blocks of {groups['train']} to train on, {counts['val']} of "
        f"{groups['val']} to validate and {counts['test']} of {groups['test']} to test"
    )
    assert said in suite.description
    tested = Counter(r.group for r in Store(Path("data/prepared/photos")).records("test"))
    # No photograph dominates: each has less than twice an equal share.
    assert len(tested) >= 5 and max(tested.values()) < 2 * counts["test"] / len(tested)


@pytest.mark.parametrize("name", load_params(ROOT).suites)
def test_committed_scores_are_of_all_test_images(name: str) -> None:
    suite = load_suite(name, ROOT)
    for run in load_params(ROOT).runs_of(name):
        content = json.loads((ROOT / run.metrics).read_text(encoding="utf-8"))
        assert content["checkpoint"] == suite.evaluation.checkpoint
        assert content["methods"][run.variant]["mse_h"]["n"] >= 100


@pytest.mark.parametrize("name", sorted(SIZES))
def test_splits_have_the_sizes_of_the_protocol(name: str) -> None:
    available, sizes = SIZES[name]
    assert named(name).splits.counts(available) == sizes


@pytest.mark.parametrize("name", SUITES)
def test_description_says_how_to_get_the_images(name: str) -> None:
    if name in MADE:
        return
    word = "downloaded" if name in DOWNLOADED else "attached"
    assert word in named(name).description
    # DVC depends on the folder; where nothing can be attached it has to exist from the start.
    assert (ROOT / "data/raw" / name / ".gitkeep").exists() == (name in DOWNLOADED)


@pytest.mark.parametrize(
    ("name", "other", "differ"),
    [
        ("imagenet_64", "imagenet_128", {"resize"}),
        ("paris_random", "paris_center", {"mask", "training"}),
        ("celeba_1024_center_via_64", "celeba_1024_center", {"resize"}),
        ("celeba_64_long", "celeba_64", {"training"}),
        ("celeba_64_center", "celeba_64", {"mask", "training"}),
    ],
)
def test_suites_that_are_compared_differ_in_nothing_else(
    name: str, other: str, differ: set[str]
) -> None:
    texts = {"name", "title", "description"}
    one, two = named(name).model_dump(exclude=texts), named(other).model_dump(exclude=texts)
    assert {key for key in one if one[key] != two[key]} == differ


def test_images_upscaled_from_64_px_are_cropped_and_filtered_like_the_others() -> None:
    found = named("imagenet_64").resize.model_dump(exclude={"through"})
    assert found == named("imagenet_128").resize.model_dump(exclude={"through"})
    assert named("imagenet_64").resize == Resize(filter="bilinear", through=64)


def test_center_suites_have_their_hole_in_the_middle() -> None:
    centered = {"imagenet_128", "imagenet_64", "tiny_imagenet", "tiny_imagenet_64"}
    centered |= {name for name in SUITES if "center" in name}
    for name in SUITES:
        assert (named(name).mask.kind == "center") == (name in centered), name
    assert named("celeba_1024").mask.margin == 16
