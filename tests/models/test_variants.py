"""Every variant of the listing: it builds, learns, and differs from its siblings as it says."""

import math
from typing import Any

import pytest
from ruamel.yaml import YAML

from benchmark.core.config import names_in
from benchmark.core.paths import VARIANTS
from benchmark.training.gan import build_gan
from benchmark.training.step import loss_names, training_step
from models.batch import Batch
from models.generators import context_encoder, strided_context_encoder
from tests.support.tiny import (
    ROOT,
    cpu_engine,
    full_variant,
    numbers,
    one_of_each_kind,
    random_batch,
    tiny_suite,
)

NAMES = names_in(ROOT / VARIANTS)
SYSTEMS = {
    "LocPaint": ("l2", "binary", "localizer", "localizer_raw", "localizer_script", "staged"),
    "context encoder": (
        "context_encoder",
        "context_encoder_nobias",
        "context_encoder_no_overlap",
        "context_encoder_l2",
        "context_encoder_border_shown",
        "celeba_context_encoder",
        "context_encoder_ratio_1",
        "context_encoder_ratio_100",
        "context_encoder_ratio_200",
        "context_encoder_ratio_500",
        "context_encoder_ratio_1000",
        "context_encoder_smooth",
    ),
    "strided": ("strided_center", "strided_random", "strided_center_code", "strided_random_code"),
    "attention U-Net": (
        "attention_unet",
        "attention_unet_code",
        "attention_unet_no_attention",
        "attention_unet_no_dilation",
        "attention_unet_no_edge",
        "attention_unet_no_ssim",
        "attention_unet_l1_only",
        "attention_unet_skip",
        "attention_unet_whole",
    ),
}
"""All systems of the sources."""


def _content(name: str) -> dict[str, Any]:
    """Return a variant's file as it is, without what describes it in words."""
    path = ROOT / VARIANTS / f"{name}.yaml"
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return {k: v for k, v in content.items() if k not in ("title", "origin", "deviations")}


def test_variants_of_all_systems_are_there() -> None:
    assert {name for family in SYSTEMS.values() for name in family} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_variant_says_where_it_is_from(name: str) -> None:
    variant = full_variant(name)
    assert variant.name == name
    assert variant.title
    assert variant.origin


def _smooth_scene(size: int) -> Batch:
    """Return four images of one color each with the holes of `random_batch`."""
    batch = random_batch(4, size, size // 2)
    colors = numbers(1)(4, 3, 1, 1) * 0.8
    image = colors.expand(4, 3, size, size).contiguous()
    return Batch(image, batch.mask, batch.corner, size // 2)


@pytest.mark.parametrize("name", one_of_each_kind())
def test_variant_learns_one_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A tenth of the latent channels, in which most of the weights are; all of them are a slow test.
    for module in (context_encoder, strided_context_encoder):
        monkeypatch.setattr(module, "LATENT_CHANNELS", 400)
    _assert_learns_one_batch(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_variant_learns_one_batch_at_full_width(name: str) -> None:
    _assert_learns_one_batch(name)


def _assert_learns_one_batch(name: str) -> None:
    engine, variant = cpu_engine(), full_variant(name)
    # With a quarter of the channels and no norms, the plain U-Net moves slowly at the same rate;
    # the others of its kind need some steps to begin, and all the rest are below a half after four.
    steps = 4 if variant.generator.network != "attention_unet" else 12
    steps = 96 if name == "unet_l1" else steps
    # 64 px where instance norm would have a single value to work with, and 16 for the slowest.
    size = {"strided_context_encoder": 64, "attention_unet": 16}.get(variant.generator.network, 32)
    suite = tiny_suite(image_size=size, mask={"kind": "random_square", "size": size // 2})
    gan, batch = build_gan(suite, variant, 0, engine), _smooth_scene(size)
    gan.train(True)
    seen: set[str] = set()
    history = []
    for step in range(steps):
        losses = {k: float(v) for k, v in training_step(gan, batch, step, steps).items()}
        assert all(math.isfinite(value) for value in losses.values()), (step, losses)
        seen |= losses.keys()
        history.append(losses["generator/reconstruction"])
    # Every term that has a weight appears, and nothing else does.
    assert seen == set(loss_names(variant))
    # Without learning the ratio would be 1; noise from batch statistics moves it by a tenth.
    # Clipped gradients let the attention U-Net, the slowest, come to three quarters in these steps.
    assert history[-1] < history[0] * 0.85, history


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
    assert raw["discriminators"]["localizer"].pop("generator_input") == "completed"
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
    optimizers = [variant.generator.optimizer]
    optimizers += [spec.optimizer for spec in variant.discriminators.values()]
    for adam in optimizers:
        assert (adam.lr, adam.betas) == (2e-4, (0.5, 0.999))
    localizer = variant.discriminators.get("localizer")
    if localizer is not None:
        assert localizer.losses == {"confidence": 1.0, "box": 1.0, "iou": 0.5}
        alone = name != "staged"
        assert localizer.update_every == (2 if alone else 1)
        assert localizer.label_smoothing == (0.1 if alone else 0.0)


def _terms(name: str) -> dict[str, float]:
    return {term: spec.weight for term, spec in full_variant(name).generator.losses.items()}


@pytest.mark.parametrize(
    ("ratio", "reconstruction", "adversarial"),
    [
        (1, 0.5, 0.5),
        (100, 0.99, 0.01),
        (200, 0.995, 0.005),
        (500, 0.998, 0.002),
        (1000, 0.999, 0.001),
    ],
)
def test_ratios_differ_in_the_two_weights_alone(
    ratio: int, reconstruction: float, adversarial: float
) -> None:
    name = f"context_encoder_ratio_{ratio}"
    assert _terms(name) == {"hole_mse": reconstruction, "adversarial": adversarial}
    contents = [_content(each) for each in (name, "context_encoder_ratio_1")]
    for content in contents:
        for term in content["generator"]["losses"].values():
            del term["weight"]
    assert contents[0] == contents[1]
    assert contents[0]["generator"]["losses"]["hole_mse"]["options"]["overlap_px"] == 7


def test_context_encoder_has_the_settings_of_the_original() -> None:
    variant = full_variant("context_encoder")
    assert _terms("context_encoder") == {"hole_mse": 0.999, "adversarial": 0.001}
    assert variant.generator.losses["hole_mse"].options == {
        "overlap_px": 4,
        "overlap_weight": 10.0,
    }
    assert variant.generator.fill == (117, 104, 123)
    assert (variant.generator.optimizer.lr, variant.generator.optimizer.betas) == (
        2e-3,
        (0.5, 0.999),
    )
    assert variant.discriminators["binary"].optimizer.lr == 2e-4
    smooth = full_variant("context_encoder_smooth")
    assert (smooth.generator.optimizer.lr, smooth.generator.optimizer.betas) == (
        2.5e-4,
        (0.5, 0.99),
    )
    assert smooth.discriminators["binary"].optimizer.lr == 1e-4
    assert smooth.discriminators["binary"].label_smoothing > 0


@pytest.mark.parametrize(
    ("first", "second", "differing"),
    [
        ("context_encoder", "context_encoder_no_overlap", {"generator.losses.hole_mse.options"}),
        (
            "context_encoder",
            "context_encoder_nobias",
            {"generator.options", "discriminators.binary.options"},
        ),
        ("attention_unet", "attention_unet_no_attention", {"generator.options.attention"}),
        (
            "attention_unet",
            "attention_unet_no_dilation",
            {
                "generator.mask_dilation",
                "generator.losses.l1.options.dilation_px",
                "generator.losses.edge.options.dilation_px",
            },
        ),
        (
            "attention_unet_no_dilation",
            "attention_unet_whole",
            {"generator.options.channels"},
        ),
        (
            "attention_unet",
            "attention_unet_code",
            {
                "generator.losses.adversarial.options",
                "generator.losses.edge.weight",
                "generator.losses.edge.options.normalize",
                "generator.losses.ssim",
            },
        ),
        ("attention_unet", "attention_unet_no_edge", {"generator.losses.edge"}),
        ("attention_unet", "attention_unet_no_ssim", {"generator.losses.ssim"}),
        ("attention_unet", "attention_unet_skip", {"discriminators.patch.skip_above"}),
        (
            "attention_unet",
            "attention_unet_l1_only",
            {
                "generator.losses.adversarial",
                "generator.losses.edge",
                "generator.losses.ssim",
                "discriminators.patch",
            },
        ),
        (
            "context_encoder",
            "context_encoder_l2",
            {"update_order", "generator.losses.adversarial", "discriminators.binary"},
        ),
        ("context_encoder", "context_encoder_border_shown", {"generator.shown_border_px"}),
        (
            "context_encoder_smooth",
            "celeba_context_encoder",
            {
                "generator.network",
                "generator.fill",
                "generator.optimizer.betas",
                "discriminators.binary.optimizer.betas",
                "discriminators.binary.label_smoothing",
            },
        ),
        (
            "strided_center",
            "strided_center_code",
            {
                "generator.fill",
                "generator.optimizer.lr",
                "generator.losses.hole_mse",
                "generator.losses.adversarial",
                "generator.losses.l1",
                "generator.losses.least_squares",
                "discriminators.patch.optimizer.lr",
                "discriminators.patch.losses.adversarial",
                "discriminators.patch.losses.least_squares",
            },
        ),
        ("strided_center", "strided_random", set()),
        ("strided_center_code", "strided_random_code", set()),
    ],
)
def test_two_variants_differ_in_what_the_comparison_is_about(
    first: str, second: str, differing: set[str]
) -> None:
    assert set(_differences(_content(first), _content(second))) == differing


def _differences(first: Any, second: Any, path: str = "") -> list[str]:
    """Return the paths of the keys that are in one of two files alone or have different values."""
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return [] if first == second else [path]
    found = []
    for key in first.keys() | second.keys():
        inner = f"{path}.{key}" if path else str(key)
        found += _differences(first.get(key), second.get(key), inner)
    return found


def test_attention_unet_has_the_settings_of_the_source() -> None:
    variant = full_variant("attention_unet")
    assert _terms("attention_unet") == {"adversarial": 1.0, "l1": 100.0, "edge": 10.0, "ssim": 1.0}
    assert variant.generator.mask_dilation == 4
    patch = variant.discriminators["patch"]
    assert patch.input == "completed"
    assert patch.label_smoothing == 0.1
    assert patch.skip_above is None
    rule = full_variant("attention_unet_skip").discriminators["patch"].skip_above
    assert rule is not None and (rule.accuracy, rule.window) == (0.8, 50)
    for spec in (variant.generator, patch):
        assert spec.clip_norm == 1.0
        assert (spec.optimizer.lr, spec.optimizer.betas) == (2e-4, (0.5, 0.999))


def test_strided_variants_have_the_weights_of_the_text() -> None:
    for name in ("strided_center", "strided_random"):
        assert _terms(name) == {"hole_mse": 0.9, "adversarial": 0.1}
