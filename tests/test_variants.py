"""Every variant of the listing: it builds, learns, and differs from its siblings as it says."""

import math
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from benchmark.config import names_in
from benchmark.paths import VARIANTS
from benchmark.players import (
    build_discriminator,
    build_generator,
    build_players,
    loss_names,
    training_step,
)
from models.scene import Scene
from tests.tiny import ROOT, cpu_fabric, full_variant, numbers, random_scene, tiny_suite

NAMES = names_in(ROOT / VARIANTS)
SUITE_64: dict[str, Any] = {"image_size": 64, "mask": {"kind": "random_square", "size": 32}}


def _content(name: str) -> dict[str, Any]:
    """Return a variant's file as it is, without what describes it in words."""
    path = ROOT / VARIANTS / f"{name}.yaml"
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return {k: v for k, v in content.items() if k not in ("title", "origin", "deviations")}


def test_there_are_variants() -> None:
    assert {"l2", "binary", "localizer", "localizer_raw", "staged"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_variant_says_where_it_is_from(name: str) -> None:
    variant = full_variant(name)
    assert variant.name == name
    assert variant.title
    assert variant.origin


@pytest.mark.parametrize("name", NAMES)
def test_variant_builds_for_64_px(name: str) -> None:
    suite, variant = tiny_suite(**SUITE_64), full_variant(name)
    scene = random_scene(2, 64, 32)
    with torch.no_grad():
        generator = build_generator(suite, variant).eval()
        assert generator(scene.masked, scene.mask, scene.corner).shape == (2, 3, 64, 64)
        for role, spec in variant.discriminators.items():
            side = 32 if spec.input == "hole" else 64
            discriminator = build_discriminator(suite, variant, role).eval()
            assert len(discriminator(numbers()(2, 3, side, side))[0]) == 2


def _smooth_scene() -> Scene:
    """Return four images of one colour each with the holes of `random_scene`."""
    scene = random_scene(4)
    colours = numbers(1)(4, 3, 1, 1) * 0.8
    return Scene(colours.expand(4, 3, 32, 32).contiguous(), scene.mask, scene.corner, 16)


@pytest.mark.parametrize("name", NAMES)
def test_variant_learns_one_batch(name: str) -> None:
    steps = 20
    fabric, variant, scene = cpu_fabric(), full_variant(name), _smooth_scene()
    players = build_players(tiny_suite(), variant, 0, fabric)
    players.train(True)
    seen: set[str] = set()
    history = []
    for step in range(steps):
        losses = {
            k: float(v) for k, v in training_step(fabric, players, scene, step, steps).items()
        }
        assert all(math.isfinite(value) for value in losses.values()), (step, losses)
        seen |= losses.keys()
        history.append(losses["generator/reconstruction"])
    # Every term that has a weight appears, and nothing else does.
    assert seen == set(loss_names(variant))
    # Four plain colours are learnt by heart: a thirtieth of the first loss is what it comes to.
    # Without learning the ratio would be 1; noise from batch statistics moves it by a tenth.
    assert history[-1] < history[0] / 4, history


def test_locpaint_family_differs_from_l2_in_losses_and_discriminators_alone() -> None:
    reference = _content("l2")
    assert reference["discriminators"] == {}
    for name in NAMES:
        content = _content(name)
        if content["generator"]["network"] != reference["generator"]["network"]:
            continue
        shared = {k: v for k, v in content["generator"].items() if k != "losses"}
        assert shared == {k: v for k, v in reference["generator"].items() if k != "losses"}, name
        ours = content["generator"]["losses"]["hole_mse"]
        assert ours["options"] == reference["generator"]["losses"]["hole_mse"]["options"], name


def test_localizer_raw_differs_from_localizer_in_the_input_alone() -> None:
    ours, raw = _content("localizer"), _content("localizer_raw")
    assert ours["discriminators"]["localizer"].pop("input") == "completed"
    assert raw["discriminators"]["localizer"].pop("input") == "raw"
    assert ours == raw


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("l2", {"hole_mse": 1.0}),
        ("binary", {"hole_mse": 0.999, "adversarial": 0.001}),
        ("localizer", {"hole_mse": 0.999, "confidence": 0.0005, "box": 0.0, "iou": 0.0005}),
        (
            "staged",
            {
                "hole_mse": 0.999,
                "adversarial": 0.001,
                "confidence": 0.0005,
                "box": 0.0001,
                "iou": 0.0005,
            },
        ),
    ],
)
def test_weights_are_those_of_locpaint(name: str, expected: dict[str, float]) -> None:
    variant = full_variant(name)
    losses = variant.generator.losses
    assert {term: losses[term].weight_at(1.0) for term in losses} == expected
    optimisers = [variant.generator.optimiser]
    optimisers += [spec.optimiser for spec in variant.discriminators.values()]
    for adam in optimisers:
        assert (adam.lr, adam.betas) == (2e-4, (0.5, 0.999))
    localizer = variant.discriminators.get("localizer")
    if localizer is not None:
        assert localizer.losses == {"confidence": 1.0, "box": 1.0, "iou": 0.5}
        assert localizer.update_every == 2
        assert localizer.label_smoothing == 0.1
