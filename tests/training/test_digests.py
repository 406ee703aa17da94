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
    "attention_unet": "7da7d4417a4fb392",
    "attention_unet_code": "8e3b38a5798e0964",
    "attention_unet_l1_only": "6d79223f4f379e2c",
    "attention_unet_no_attention": "cbf36d8165857664",
    "attention_unet_no_dilation": "c34f00d13bddcafc",
    "attention_unet_no_edge": "2c4a177e62bc151d",
    "attention_unet_no_ssim": "77d20331adb06601",
    "attention_unet_skip": "c9073d5ace7c6a2f",
    "attention_unet_whole": "30086903064a37a0",
    "binary": "442ec4662996ba1b",
    "celeba_context_encoder": "fedc03b53659e87a",
    "context_encoder": "4a9b1ff758c67e46",
    "context_encoder_border_shown": "69dc72cb640f87ae",
    "context_encoder_l2": "462b1da6b06ad7dd",
    "context_encoder_no_overlap": "6c6a2457aa57e71c",
    "context_encoder_nobias": "9ce3488bdb4cb4c5",
    "context_encoder_ratio_1": "dcd7dbaebafa39e4",
    "context_encoder_ratio_100": "b88f1929d4a05320",
    "context_encoder_ratio_1000": "3aa39637a67cbb44",
    "context_encoder_ratio_200": "fc313b863e87bb81",
    "context_encoder_ratio_500": "7d05a624cb3b4ee0",
    "context_encoder_smooth": "50ccb91380a1ed46",
    "l2": "79dfe4e24ba2a5d4",
    "localizer": "62f113b72fab92e4",
    "localizer_raw": "b77076d08a6c09ed",
    "localizer_script": "da5d918bbd5fdefd",
    "staged": "56dd7c8674d4388a",
    "strided_center": "9eee78802f449a00",
    "strided_center_code": "5e8bfae81dc2eeb9",
    "strided_random": "9eee78802f449a00",
    "strided_random_code": "5e8bfae81dc2eeb9",
    "unet_l1": "9b7e857b0a456bee",
}
"""Of every variant on `photos`. Who changes one on purpose makes its results anew, and says so
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
    suite = load_suite("photos", ROOT)
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
