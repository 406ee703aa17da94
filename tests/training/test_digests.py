"""The digest of a run's settings: what it depends on, and that it stays what it was."""

from typing import Any

import pytest

from benchmark.core.config import Suite, Training, load_suite, names_in
from benchmark.core.paths import VARIANTS
from benchmark.training.gan import training_digest
from data.masks import MaskSpec
from models.variant import DiscriminatorSpec, GeneratorSpec, GeneratorTerm, Variant
from tests.support.tiny import ROOT, full_variant

DIGITS = 16
DIGESTS = {
    "attention_unet": "2a307ed93ad56f07",
    "attention_unet_code": "3b5c61a6c6d260f3",
    "attention_unet_l1_only": "dcd9b8ccb9579ad5",
    "attention_unet_no_attention": "d9dac3637911cc18",
    "attention_unet_no_dilation": "7e5f98762de4a00c",
    "attention_unet_no_edge": "6468ffe73de94d18",
    "attention_unet_no_ssim": "b3c3a7cb85fd2ab9",
    "attention_unet_skip": "94ebc037658e7de1",
    "attention_unet_whole": "0f716c16b6f85d3e",
    "binary": "e980fd4b04498f1f",
    "celeba_context_encoder": "5bd585c0ff751b68",
    "context_encoder": "07e140da86d23eb2",
    "context_encoder_border_shown": "534a95449e908dab",
    "context_encoder_l2": "22ed9d10d44c8c1d",
    "context_encoder_no_overlap": "512547cd9114128a",
    "context_encoder_nobias": "8cfbc6bea6d80287",
    "context_encoder_ratio_1": "a688ce227e554281",
    "context_encoder_ratio_100": "a1c1c51a4f748a52",
    "context_encoder_ratio_1000": "e16751ff27f2177e",
    "context_encoder_ratio_200": "123f9d952a922362",
    "context_encoder_ratio_500": "1af4af02cc52679a",
    "context_encoder_smooth": "6348b52aff536fae",
    "l2": "3cb2d665603a141c",
    "localizer": "aeac970d7e343195",
    "localizer_raw": "304fadfccb143758",
    "localizer_script": "ce77eb188eadce53",
    "staged": "a2748ae9ee2867f7",
    "strided_center": "2dceed9a641c692b",
    "strided_center_code": "0f5984da576ce80f",
    "strided_random": "2dceed9a641c692b",
    "strided_random_code": "0f5984da576ce80f",
    "unet_l1": "88ba37dab9e09098",
}
"""Of every variant on `portraits`. Who changes one on purpose makes its results anew, and says so
in the CHANGELOG under "Numbers changed"."""
DEFAULTS: dict[type, dict[str, Any]] = {
    Variant: {
        "deviations": (), "update_order": "discriminator_first", "discriminators": {},
    },
    GeneratorSpec: {
        "options": {}, "initialization": "fan_in", "clip_norm": None, "fill": None,
        "mask_dilation": 0, "shown_border_px": 0,
    },
    DiscriminatorSpec: {
        "options": {}, "initialization": "fan_in", "clip_norm": None, "generator_input": None,
        "label_smoothing": 0.0, "smoothing": "one_sided", "update_every": 1, "skip_above": None,
        "start": 0.0,
    },
    GeneratorTerm: {"discriminator": None, "start": 0.0, "ramp": 0.0, "options": {}},
    Training: {
        "flip": False, "drop_last": True, "mask": None, "hole_sizes": None,
        "precision": "32-true", "deterministic": True, "portable": False, "compile": None,
    },
    MaskSpec: {"margin": 0},
}  # fmt: skip
"""The digest leaves these out: another default would be another training with the same digest."""


def _suite(**training: Any) -> Suite:
    suite = load_suite("portraits", ROOT)
    settings = suite.training.model_dump() | training
    return suite.model_copy(update={"training": Training.model_validate(settings)})


@pytest.mark.parametrize("name", names_in(ROOT / VARIANTS))
def test_digest_is_the_one_it_was(name: str) -> None:
    assert training_digest(_suite(), full_variant(name))[:DIGITS] == DIGESTS[name]


def test_no_two_variants_have_one_digest_but_those_that_differ_in_the_suite_alone() -> None:
    alike = {"strided_random", "strided_random_code"}  # as strided_center and strided_center_code
    assert len({*DIGESTS.values()}) == len(DIGESTS) - len(alike)


@pytest.mark.parametrize("model", DEFAULTS)
def test_defaults_are_what_they_were(model: type) -> None:
    fields: dict[str, Any] = model.model_fields  # type: ignore[attr-defined]
    found = {name: field.default for name, field in fields.items() if not field.is_required()}
    assert found == DEFAULTS[model]


def _changed(part: str, **settings: Any) -> Variant:
    content = full_variant("staged").model_dump()
    place = {
        "variant": content,
        "generator": content["generator"],
        "discriminator": content["discriminators"]["binary"],
        "term": content["generator"]["losses"]["hole_mse"],
    }[part]
    place.update(settings)
    return Variant.model_validate(content)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("variant", "update_order", "discriminator_first"),
        ("generator", "initialization", "dcgan"), ("generator", "clip_norm", 1.0),
        ("generator", "fill", (1, 2, 3)), ("generator", "mask_dilation", 1),
        ("generator", "shown_border_px", 1), ("discriminator", "initialization", "dcgan"),
        ("discriminator", "clip_norm", 1.0), ("discriminator", "label_smoothing", 0.1),
        ("discriminator", "update_every", 2), ("discriminator", "start", 0.5),
        ("discriminator", "skip_above", {"accuracy": 0.8, "window": 5}),
        ("term", "ramp", 0.5), ("term", "options", {"average": "hole"}),
    ],
)  # fmt: skip
def test_every_setting_of_a_variant_that_is_used_changes_the_digest(
    part: str, key: str, value: Any
) -> None:
    changed = training_digest(_suite(), _changed(part, **{key: value}))
    assert changed != training_digest(_suite(), full_variant("staged"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 5), ("batch_size", 31), ("flip", False), ("drop_last", False),
        ("mask", {"kind": "center", "size": 32}), ("hole_sizes", (8, 16)),
        ("precision", "bf16-mixed"), ("deterministic", False),
        ("portable", True), ("compile", "default"),
    ],
)  # fmt: skip
def test_every_setting_of_a_training_that_is_used_changes_the_digest(key: str, value: Any) -> None:
    variant = full_variant("l2")
    assert training_digest(_suite(**{key: value}), variant) != training_digest(_suite(), variant)


def test_settings_that_are_named_with_their_default_change_nothing() -> None:
    named = _changed("generator", **DEFAULTS[GeneratorSpec])
    assert training_digest(_suite(), named) == training_digest(_suite(), full_variant("staged"))
    training = {key: value for key, value in DEFAULTS[Training].items() if key != "flip"}
    same = training_digest(_suite(**training), full_variant("l2"))
    assert same == training_digest(_suite(), full_variant("l2"))
