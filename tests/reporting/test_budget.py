"""What trainings took: against trainings whose updates and operations are counted, and by hand."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmark.claims.budgets import load_budgets
from benchmark.core.config import load_params
from benchmark.evaluation.results import read_results
from benchmark.reporting.budget import (
    Budget,
    budget_clause,
    image_flops,
    images_of_steps,
    percent,
    updated,
)
from benchmark.reporting.markdown import markdown_blocks
from benchmark.reporting.sections.suite import costs
from benchmark.reporting.suite_report import SuiteReport, suite_reports
from benchmark.training.describe import describe_variant
from benchmark.training.gan import GAN, TrainableNetwork, build_gan
from benchmark.training.step import training_step
from tests.support.report_tree import BAD, GOOD, Checkout
from tests.support.tiny import (
    EPOCHS,
    HOLE_PX,
    IMAGE_PX,
    ROOT,
    cpu_engine,
    find_generator,
    full_variant,
    random_batch,
    tiny_suite,
    tiny_variant,
    train_tiny,
)

# Updates


def _counted(variant: str, patch: pytest.MonkeyPatch, **training: Any) -> tuple[Counter[str], Path]:
    """Train, and return how often each network was updated, and the curves."""
    gans: list[GAN] = []
    counts: Counter[str] = Counter()
    update = TrainableNetwork.update

    def build(*arguments: Any) -> GAN:
        gans.append(build_gan(*arguments))
        return gans[-1]

    def count(self: TrainableNetwork, *arguments: Any, **options: Any) -> None:
        counts[next(name for name, found in gans[0].networks.items() if found is self)] += 1
        update(self, *arguments, **options)

    patch.setattr("benchmark.pipeline.train.build_gan", build)
    patch.setattr(TrainableNetwork, "update", count)
    return counts, train_tiny(variant, **training).curves


@pytest.mark.usefixtures("tiny_checkout")
@pytest.mark.parametrize("training", [{}, {"batch_size": 10, "drop_last": False}])
@pytest.mark.parametrize("name", ["l2", "localizer", "staged", "attention_unet_skip"])
def test_updates_are_those_of_a_training(
    name: str, training: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, curves = _counted(name, monkeypatch, **training)
    images = images_of_steps(tiny_suite(training), pd.read_csv(curves))
    steps = len(images)
    expected = {"generator": steps}
    for part, spec in tiny_variant(name).discriminators.items():
        expected[f"discriminator/{part}"] = int(updated(spec, steps).sum())
    assert counts == expected
    assert images.sum() == EPOCHS * 48 and set(images) == ({10, 8} if training else {8})


# Operations


def test_operations_of_each_step_by_hand() -> None:
    # The generator 3 x 10; a discriminator 6 times its own where it is updated and twice where it
    # is asked. The localizer starts at 7/10 of the run.
    found = image_flops(full_variant("staged"), 10, {"binary": 4, "localizer": 6}, 10)
    assert found.tolist() == [30 + 24 + 8] * 7 + [30 + 24 + 8 + 36 + 12] * 3
    # Updated in steps 2, 4, 6 and asked in all.
    found = image_flops(full_variant("localizer"), 10, {"localizer": 6}, 6)
    assert found.tolist() == [42, 78, 42, 78, 42, 78]
    assert image_flops(full_variant("l2"), 10, {}, 3).tolist() == [30, 30, 30]


def test_operations_of_the_tiny_generator_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.training.describe.generator_class", find_generator)
    facts = describe_variant(tiny_variant("l2"), IMAGE_PX, HOLE_PX)
    # 4 to 8 channels by 4 x 4 at 16 x 16 places, and 8 to 3 back; an addition counts as well.
    forward = 2 * 16 * 16 * 16 * (4 * 8 + 8 * 3)
    assert facts["generator"]["flops"] == forward
    found = image_flops(tiny_variant("l2"), facts["generator"]["flops"], {}, 4)
    assert found.sum() == 4 * 3 * forward


CROP = 2 * 3 * (16 * 32 * 32 + 16 * 32 * 16)
"""A hole of 16 px of an image of 32 px, cropped by two products, which move pixels alone."""
BOX_HEAD = {"localizer": 2 * (64 * 32 + 32 * 4), "staged": 2 * (64 * 16 + 16 * 4)}
"""The localizer's head for boxes, after 64 channels."""


@pytest.mark.parametrize("name", ["l2", "binary", "localizer", "staged"])
def test_operations_are_those_that_pytorch_counts_in_a_step(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compare with another code base's counter of the products that a step really does.

    What it does not do: the gradient of a true or masked image, of which a first layer has one
    pass; and what a box of a true image would teach. What it does besides is to crop holes.
    """
    for place in ("gan", "describe"):
        monkeypatch.setattr(f"benchmark.training.{place}.generator_class", find_generator)
    variant, steps, step, count = tiny_variant(name), 10, 9, 4
    gan = build_gan(tiny_suite(), variant, 0, cpu_engine())
    gan.train(True)
    with FlopCounterMode(display=False) as counter:
        training_step(gan, random_batch(count), step, steps)
    facts = describe_variant(variant, IMAGE_PX, HOLE_PX)
    networks = {part: found["flops"] for part, found in facts["discriminators"].items()}
    expected = image_flops(variant, facts["generator"]["flops"], networks, steps)[step]
    expected -= facts["generator"]["layers"][0]["flops"]
    expected -= sum(2 * _first_layer(found) for found in facts["discriminators"].values())
    if "binary" in networks:  # of the true and the completed image, and to ask and back
        expected += 4 * CROP
    if "localizer" in networks:
        expected -= 2 * BOX_HEAD[name]
    assert counter.get_total_flops() == count * expected


def _first_layer(facts: dict[str, Any]) -> int:
    return next(int(layer["flops"]) for layer in facts["layers"] if layer["flops"])


# In words


def _budget(images: float, variant: str) -> Budget:
    return Budget(images, load_budgets(ROOT).get(variant), None, math.nan, None)


def test_a_clause_says_images_and_the_share_of_the_authors() -> None:
    same = [_budget(60_000, "l2"), _budget(60_000, "staged"), _budget(60_000, "unet_l1")]
    assert budget_clause(same) == "60,000 images, 4 % of the authors' stated budget"
    # 1,500,000 and 16,380 images.
    two = [_budget(15_000, "l2"), _budget(16_380, "attention_unet")]
    assert (
        budget_clause(two) == "15,000 to 16,380 images, 1 % to 100 % of the authors' stated budget"
    )


def test_without_a_source_there_is_no_share() -> None:
    budget = _budget(60_000, "unet_l1")
    assert budget.authors is None and math.isnan(budget.share)
    assert budget_clause([budget]) == "60,000 images"
    assert budget_clause([_budget(math.nan, "l2")]) == ""


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.00123, "0.12 %"), (0.07, "7 %"), (0.126, "13 %"), (12.5, "1,250 %"), (math.nan, "—")],
)
def test_shares_as_percent(share: float, text: str) -> None:
    assert percent(share) == text


# The section


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Return runs of 3 epochs of 4 images in batches of 2."""
    made = Checkout(tmp_path, {"l2": GOOD, "localizer": BAD, "unet_l1": BAD})
    monkeypatch.chdir(tmp_path)
    for name in ("localizer", "unet_l1"):
        text = (ROOT / f"models/variants/{name}.yaml").read_text(encoding="utf-8")
        Path(f"models/variants/{name}.yaml").write_text(text, encoding="utf-8")
    _write_curve("l2", [0.04, 0.02, 0.01], [14.0, 17.0, 16.0])
    _write_curve("localizer", [0.01, 0.02, 0.0133], [20.0, 17.0, 18.8])
    _write_curve("unet_l1", [0.03, 0.03, 0.03], [15.2, 15.2, 15.2])
    return made


def _write_curve(variant: str, mse: list[float], psnr: list[float], seed: int = 0) -> None:
    curve = pd.DataFrame(
        {"epoch": [1, 2, 3], "images_seen": [4, 8, 12], "generator/reconstruction": [3, 2, 1],
         "validation/mse_h": mse, "validation/psnr_h": psnr}
    )  # fmt: skip
    curve.to_csv(f"reports/curves/tiny/{variant}/seed{seed}.csv", index=False)


def _report() -> SuiteReport:
    ((suite,), _) = suite_reports([read_results(load_params(), "tiny")], [], [None])
    return suite


def _tables(suite: SuiteReport) -> list[list[list[str]]]:
    section = costs.section(suite)
    blocks = markdown_blocks([section]).split("\n\n")
    tables = [block.split("\n") for block in blocks if block.startswith("|")]
    return [
        [[c.strip().replace("\\", "") for c in row[1:-1].split("|")] for row in (t[0], *t[2:])]
        for t in tables
    ]


def test_the_section_by_hand(checkout: Checkout) -> None:
    suite = _report()
    budgets, authors, equal, checkpoints = _tables(suite)
    flops = {name: found[-1] for (name, _), found in suite.training_flops.items()}
    # 12 of 1,500,000 images; 6 steps of 2 images, of which the localizer learns in every second.
    assert [row[:5] for row in budgets[1:]] == [
        ["l2", "12", "0.0008 %", "6", "none"],
        ["localizer", "12", "0.0008 %", "6", "localizer 3"],
        ["unet_l1", "12", "—", "6", "none"],
    ]
    assert [row[5] for row in budgets[1:]] == [
        f"{flops[row[0]] / 1e12:,.2f}" for row in budgets[1:]
    ]
    assert [row[7] for row in budgets[1:]] == ["no clear trend", "no clear trend", "no clear trend"]
    assert authors[1:] == [
        ["l2, localizer", "LocPaint (Kuo 2024)", "50,000", "30", "1,500,000", authors[1][5]]
    ]
    # At equal compute l2, the cheapest, is at its end and the others are in earlier epochs.
    assert flops["l2"] < flops["localizer"] < flops["unet_l1"]
    assert equal[0][1:] == ["at 12 images", f"at {flops['l2'] / 1e12:,.2f} TFLOP"]
    assert [row[1] for row in equal[1:]] == [
        "1 (0.0100, epoch 3)", "2 (0.0133, epoch 3)", "3 (0.0300, epoch 3)",
    ]  # fmt: skip
    for name in ("localizer", "unet_l1"):
        assert int((suite.training_flops[name, 0] <= flops["l2"]).sum()) == 1
    assert [row[2] for row in equal[1:]] == [
        "1 (0.0100, epoch 3)", "1 (0.0100, epoch 1)", "2 (0.0300, epoch 1)",
    ]  # fmt: skip
    assert checkpoints[1:] == [
        ["l2", "16.00 (epoch 3)", "17.00 (epoch 2)", "16.00 (epoch 3)", "1.00", "1.00"],
        ["localizer", "18.80 (epoch 3)", "20.00 (epoch 1)", "18.80 (epoch 3)", "1.20", "1.20"],
        ["unet_l1", "15.20 (epoch 3)", "15.20 (epoch 1)", "15.20 (epoch 3)", "0.00", "0.00"],
    ]


def test_seeds_of_a_variant_share_a_row(checkout: Checkout) -> None:
    checkout.write_run("l2", 1, GOOD)
    _write_curve("l2", [0.04, 0.02, 0.03], [14.0, 17.0, 14.0], seed=1)
    checkout.params(["l2"], [0, 1])
    *_, checkpoints = _tables(_report())
    # Lost are 1 and 3 dB, whose standard deviation is the square root of 2.
    assert checkpoints[1:] == [
        ["l2", "15.00 (epoch 3 / 3)", "17.00 (epoch 2 / 2)", "15.00 (epoch 3 / 3)",
         "2.00 ± 1.41", "2.00 ± 1.41"],
    ]  # fmt: skip


def test_the_headline_names_the_budget_that_it_holds_for(checkout: Checkout) -> None:
    suite = _report()
    clause = "This is after 12 images, 0.0008 % of the authors' stated budget."
    assert suite.headline == f"{suite.verdicts.headline} {clause}"


def test_runs_that_do_not_say_how_many_images_they_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Checkout(tmp_path, {"l2": GOOD})
    monkeypatch.chdir(tmp_path)
    suite = _report()
    (budgets, authors) = _tables(suite)
    assert budgets[1] == ["l2", *["—"] * 7] and authors[1][0] == "l2"
    assert suite.headline == suite.verdicts.headline
