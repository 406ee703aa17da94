"""Variants, suites and claims against the settings that the sources give, in one table each."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from benchmark.claims.definitions import JOINT, SINGLE, load_claims
from benchmark.core.config import load_suite
from models.losses import DISCRIMINATOR_TERMS, GENERATOR_TERMS
from models.networks import discriminator_class, generator_class
from tests.support.tiny import ROOT, full_variant

Settings = dict[str, Any]


def _adam(lr: float, beta_1: float = 0.5, beta_2: float = 0.999) -> Settings:
    return {"lr": lr, "betas": (beta_1, beta_2)}


def _term(
    weight: float, judge: str | None = None, start: float = 0, ramp: float = 0, **options: Any
) -> Settings:
    spec = {"weight": weight, "discriminator": judge, "start": start, "ramp": ramp}
    return spec | {"options": options}


def _mse(weight: float, average: str = "hole", width: int = 0, factor: float = 1) -> Settings:
    return _term(weight, average=average, overlap_px=width, overlap_weight=factor)


def _adversarial(weight: float, judge: str, target: float = 1) -> Settings:
    return _term(weight, judge, target=target)


def _confidence(*arguments: Any, target: float = 0) -> Settings:
    return _term(*arguments, target=target)


def _generator(
    network: str, optimizer: Settings, losses: Settings, options: Settings, **others: Any
) -> Settings:
    plain = {"initialization": "fan_in", "fill": None, "mask_dilation": 0, "clip_norm": None}
    plain |= {"shown_border_px": 0}
    spec = {"network": network, "optimizer": optimizer, "losses": losses, "options": options}
    return plain | spec | others


def _discriminator(
    network: str, seen: str, optimizer: Settings, losses: Settings, options: Settings, **others: Any
) -> Settings:
    plain: Settings = {
        "initialization": "fan_in",
        "clip_norm": None,
        "generator_input": None,
        "label_smoothing": 0,
        "smoothing": "one_sided",
        "update_every": 1,
        "skip_above": None,
        "start": 0,
    }
    spec = {"network": network, "input": seen, "optimizer": optimizer, "losses": losses}
    return plain | spec | {"options": options} | others


def _variant(
    generator: Settings, discriminators: Settings, order: str = "generator_first"
) -> Settings:
    # Without a discriminator there is no order, and the default stands.
    order = order if discriminators else "discriminator_first"
    return {"generator": generator, "update_order": order, "discriminators": discriminators}


def _locpaint(losses: Settings, **discriminators: Settings) -> Settings:
    generator = _generator("locpaint_autoencoder", _adam(2e-4), losses, {})
    return _variant(generator, discriminators)


def _dcgan(lr: float, *betas: float, bias: bool = True, **others: Any) -> Settings:
    losses, options = {"adversarial": 1}, {"bias": bias}
    return _discriminator("patch_dcgan", "hole", _adam(lr, *betas), losses, options, **others)


def _localizing(
    capacity: float, head_width: int, seen: str = "completed", **others: Any
) -> Settings:
    options = {"capacity": capacity, "depth": 5, "head_width": head_width, "dropout": 0}
    losses = {"confidence": 1, "box": 1, "iou": 0.5}
    return _discriminator("localizer", seen, _adam(2e-4), losses, options, **others)


LOCATED: Settings = {
    "hole_mse": _mse(0.999, "image"),
    "confidence": _confidence(0.0005, "localizer", target=0.1),
    "box": _term(0, "localizer"),
    "iou": _term(0.0005, "localizer"),
}
SMOOTHED_EVERY_2ND: Settings = {
    "label_smoothing": 0.1,
    "smoothing": "two_sided",
    "update_every": 2,
}
# Of 30 epochs, from the 20th on, over 5, and not before a fifth of these.
START, RAMP, ASKED = 20 / 30, 5 / 30, 21 / 30


def _context_encoder(
    weights: tuple[float, float] = (0.999, 0.001),
    overlap: tuple[int, float] = (4, 10),
    rates: tuple[float, float] = (2e-3, 2e-4),
    beta_2: float = 0.999,
    fill: tuple[int, int, int] | None = None,
    smoothing: float = 0,
    bias: bool = True,
    latent_norm: bool = True,
    start: str = "dcgan",
    order: str = "generator_first",
    shown_px: int = 0,
) -> Settings:
    losses = {"hole_mse": _mse(weights[0], "hole", *overlap)}
    judges = {}
    if weights[1]:
        losses["adversarial"] = _adversarial(weights[1], "binary")
        judges["binary"] = _dcgan(
            rates[1], 0.5, beta_2, bias=bias, label_smoothing=smoothing, initialization=start
        )
    options, shown = {"bias": bias, "latent_norm": latent_norm}, {"shown_border_px": shown_px}
    optimizer = _adam(rates[0], 0.5, beta_2)
    generator = _generator(
        "context_encoder", optimizer, losses, options, fill=fill, initialization=start, **shown
    )
    return _variant(generator, judges, order)


def _ratio(reconstruction: float, adversarial: float) -> Settings:
    """The Lightning report: PyTorch's initial weights, the discriminator first."""
    return _context_encoder(
        (reconstruction, adversarial),
        overlap=(7, 10),
        beta_2=0.9,
        latent_norm=False,
        start="fan_in",
        order="discriminator_first",
    )


def _celeba_code() -> Settings:
    losses = {"hole_mse": _mse(0.999), "adversarial": _adversarial(0.001, "binary")}
    dcgan: Settings = {"initialization": "dcgan"}
    generator = _generator("context_encoder_100", _adam(2.5e-4), losses, {}, fill=WHITE, **dcgan)
    return _variant(generator, {"binary": _dcgan(1e-4, **dcgan)})


def _strided(lr: float, losses: Settings, judged: str, **others: Any) -> Settings:
    patch = _discriminator(
        "patchgan_instance", "hole", _adam(lr), {judged: 1}, {"printed_end": False}
    )
    generator = _generator("strided_context_encoder", _adam(lr), losses, {}, **others)
    return _variant(generator, {"patch": patch})


def _strided_text() -> Settings:
    losses = {"hole_mse": _mse(0.9), "adversarial": _adversarial(0.1, "patch")}
    return _strided(2e-4, losses, "adversarial")


def _strided_code() -> Settings:
    l1 = _term(0.999, dilation_px=0, average="hole")
    losses = {"l1": l1, "least_squares": _term(0.001, "patch")}
    return _strided(1e-4, losses, "least_squares", fill=WHITE)


def _attention_unet(
    channels: int = 64,
    dilation: int = 4,
    attention: bool = True,
    edge_weight: float = 10,
    without: tuple[str, ...] = (),
    normalize: str = "none",
    target: float = 1,
    skip: Settings | None = None,
) -> Settings:
    # The code averages over the whole image.
    grown: Settings = {"dilation_px": dilation, "average": "image"}
    losses = {
        "adversarial": _adversarial(1, "patch", target),
        "l1": _term(100, **grown),
        "edge": _term(edge_weight, normalize=normalize, **grown),
        "ssim": _term(1),
    }
    losses = {name: term for name, term in losses.items() if name not in without}
    options, clipped = {"channels": channels, "attention": attention}, {"clip_norm": 1}
    patch = _discriminator(
        "patchgan_small",
        "completed",
        _adam(2e-4),
        {"adversarial": 1},
        {},
        label_smoothing=0.1,
        skip_above=skip,
        **clipped,
    )
    unet = _generator(
        "attention_unet", _adam(2e-4), losses, options, mask_dilation=dilation, **clipped
    )
    judges = {"patch": patch} if "adversarial" in losses else {}
    return _variant(unet, judges, "discriminator_first")


MEAN_COLOR, WHITE = (117, 104, 123), (255, 255, 255)
VARIANTS = {
    "l2": _locpaint({"hole_mse": _mse(1, "image")}),
    "binary": _locpaint(
        {"hole_mse": _mse(0.999, "image"), "adversarial": _adversarial(0.001, "binary")},
        binary=_dcgan(2e-4),
    ),
    "localizer": _locpaint(LOCATED, localizer=_localizing(0.5, 256, **SMOOTHED_EVERY_2ND)),
    "localizer_raw": _locpaint(
        LOCATED,
        localizer=_localizing(0.5, 256, "raw", generator_input="completed", **SMOOTHED_EVERY_2ND),
    ),
    "localizer_script": _locpaint(
        LOCATED | {"box": _term(0.00025, "localizer"), "iou": _term(0.00025, "localizer")},
        localizer=_localizing(1, 256, **SMOOTHED_EVERY_2ND),
    ),
    "staged": _locpaint(
        {
            "hole_mse": _mse(0.999, "image"),
            "adversarial": _adversarial(0.001, "binary"),
            "confidence": _confidence(0.0005, "localizer", START, RAMP),
            "box": _term(0.0001, "localizer", START, RAMP),
            "iou": _term(0.0005, "localizer", START, RAMP),
        },
        binary=_dcgan(2e-4),
        localizer=_localizing(1, 128, start=ASKED),
    ),
    "context_encoder": _context_encoder(fill=MEAN_COLOR),
    "context_encoder_l2": _context_encoder((0.999, 0), fill=MEAN_COLOR),
    "context_encoder_border_shown": _context_encoder(fill=MEAN_COLOR, shown_px=4),
    "context_encoder_nobias": _context_encoder(fill=MEAN_COLOR, bias=False),
    "context_encoder_no_overlap": _context_encoder(fill=MEAN_COLOR, overlap=(0, 1)),
    "context_encoder_ratio_1": _ratio(0.5, 0.5),
    "context_encoder_ratio_100": _ratio(0.99, 0.01),
    "context_encoder_ratio_200": _ratio(0.995, 0.005),
    "context_encoder_ratio_500": _ratio(0.998, 0.002),
    "context_encoder_ratio_1000": _ratio(0.999, 0.001),
    "context_encoder_smooth": _context_encoder(
        overlap=(0, 1), rates=(2.5e-4, 1e-4), beta_2=0.99, smoothing=0.1
    ),
    "celeba_context_encoder": _celeba_code(),
    "strided_center": _strided_text(),
    "strided_random": _strided_text(),
    "strided_center_code": _strided_code(),
    "strided_random_code": _strided_code(),
    "attention_unet": _attention_unet(),
    "attention_unet_whole": _attention_unet(channels=32, dilation=0),
    "attention_unet_no_attention": _attention_unet(attention=False),
    "attention_unet_no_dilation": _attention_unet(dilation=0),
    "attention_unet_no_edge": _attention_unet(without=("edge",)),
    "attention_unet_no_ssim": _attention_unet(without=("ssim",)),
    "attention_unet_l1_only": _attention_unet(without=("adversarial", "edge", "ssim")),
    "attention_unet_skip": _attention_unet(skip={"accuracy": 0.8, "window": 50}),
    "attention_unet_code": _attention_unet(
        edge_weight=25, without=("ssim",), normalize="batch_maximum", target=0.9
    ),
}
"""What each system is trained with; every option, those that are left to their default too."""


def _complete(spec: Settings, found: Callable[..., Any]) -> Settings:
    """Return settings whose options have the defaults of the function or class that takes them."""
    parameters = inspect.signature(found).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return spec | {"options": defaults | spec["options"]}


def _settings(name: str) -> Settings:
    """Return all that a variant's training depends on."""
    content = full_variant(name).model_dump(include={"update_order", "generator", "discriminators"})
    generator = _complete(content["generator"], generator_class(content["generator"]["network"]))
    generator["losses"] = {
        term: _complete(spec, GENERATOR_TERMS[term].function)
        for term, spec in generator["losses"].items()
    }
    discriminators = {
        role: _complete(spec, discriminator_class(spec["network"]))
        for role, spec in content["discriminators"].items()
    }
    return content | {"generator": generator, "discriminators": discriminators}


def _flat(settings: Mapping[str, Any], path: str = "") -> Settings:
    """Return the values by their dotted paths, of which a failing comparison shows the wrong."""
    found: Settings = {}
    for key, value in settings.items():
        where = f"{path}.{key}" if path else key
        found |= _flat(value, where) if isinstance(value, Mapping) and value else {where: value}
    return found


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_variant_has_the_settings_of_its_source(name: str) -> None:
    assert _flat(_settings(name)) == _flat(VARIANTS[name])


def test_losses_of_discriminators_have_no_options() -> None:
    # Else the table of the variants would not show them all.
    for term in DISCRIMINATOR_TERMS.values():
        parameters = [*inspect.signature(term.function).parameters]
        assert parameters == ["batch", "real", "fake", "labels"]


class Protocol(NamedTuple):
    """What a suite takes from its source."""

    source: Settings
    image_px: int
    resize: tuple[str, str, int | None]
    """How images are made square, the filter, and the size in between."""
    hole: tuple[str, int, int]
    """Where it is, its side and its least distance from the edge, in pixels."""
    splits: tuple[float, float, float]
    batch_size: int
    epochs: int
    checkpoint: str = "last"
    flip: bool = False
    drop_last: bool = False
    """Whether images that fill no batch are left out, as no author does."""
    in_training: tuple[str, int, int] | None = None
    """The hole in training, where it is another."""
    holes: int = 1
    """How many of them a test image is completed in."""


def _folder(train: str = "", test: str = "", **others: Any) -> Settings:
    folders = {"train": train, "test": test} if train else {}
    spec = {"name": "image_folder", "split_folders": folders}
    options = {"official_splits": False, "labels": False, "groups": None, "levels": None}
    return spec | options | others


def _celeba(count: int | None = None) -> Settings:
    return {"name": "celeba", "count": count, "official_partition": False}


STRETCHED = ("stretch", "bilinear", None)
CENTER, ANYWHERE = ("center", 64, 0), ("random_square", 64, 0)
HALF_CENTER, HALF_ANYWHERE = ("center", 32, 0), ("random_square", 32, 0)
HALF_CELEBA = (24_000, 1_000, 1_000)
TENTHS, CUT = (0.8, 0.1, 0.1), (0.9, 0.1, 0)
IMAGENET = _folder("train", "val", labels=True)
PARIS = _folder("paris_train_original", "paris_eval/paris_eval_gt")
CROPPED = ("crop", "bicubic", None)
SUITES = {
    "cifar10": Protocol({"name": "cifar10"}, 128, STRETCHED, ANYWHERE, CUT, 64, 30),
    "cifar10_jpeg": Protocol(
        _folder(official_splits=True, labels=True),
        128,
        STRETCHED,
        ANYWHERE,
        CUT,
        64,
        30,
    ),
    "stl10": Protocol(
        {"name": "stl10", "unlabelled": False},
        128,
        STRETCHED,
        ANYWHERE,
        CUT,
        64,
        30,
    ),
    "celeba_locpaint": Protocol(_celeba(30_113), 128, STRETCHED, ANYWHERE, TENTHS, 64, 30),
    "celeba_1024_128": Protocol(_folder(), 128, CROPPED, ANYWHERE, TENTHS, 64, 30, drop_last=True),
    "celeba_1024": Protocol(
        _celeba(1024), 200, STRETCHED, ("random_square", 32, 16), (819, 102, 103), 20, 30
    ),
    "celeba_64": Protocol(_celeba(), 64, STRETCHED, HALF_ANYWHERE, HALF_CELEBA, 64, 5),
    "celeba_64_long": Protocol(_celeba(), 64, STRETCHED, HALF_ANYWHERE, HALF_CELEBA, 64, 15),
    "celeba_64_center": Protocol(_celeba(), 64, STRETCHED, HALF_CENTER, HALF_CELEBA, 64, 3),
    "celeba_64_unet": Protocol(
        _celeba(1024), 64, STRETCHED, ("random_square", 10, 5), (819, 102, 103), 20, 20, holes=10
    ),
    "celeba_1024_center": Protocol(
        _celeba(1024), 128, ("crop", "bilinear", None), CENTER, (819, 102, 103), 64, 30
    ),
    "celeba_1024_center_via_64": Protocol(
        _celeba(1024), 128, ("crop", "bilinear", 64), CENTER, (819, 102, 103), 64, 30
    ),
    "celeba_center": Protocol(
        _celeba(),
        128,
        ("stretch", "bicubic", None),
        CENTER,
        (195_000, 2_599, 5_000),
        64,
        12,
        in_training=ANYWHERE,
    ),
    "imagenet_128": Protocol(
        IMAGENET, 128, ("crop", "bilinear", None), CENTER, (0.99, 0.01, 0), 64, 5, "best_val_psnr"
    ),
    "imagenet_64": Protocol(
        IMAGENET, 128, ("crop", "bilinear", 64), CENTER, (0.99, 0.01, 0), 64, 5, "best_val_psnr"
    ),
    "tiny_imagenet_64": Protocol(
        {"name": "tiny_imagenet", "test_images": 1000},
        64,
        CROPPED,
        HALF_CENTER,
        (20_000, 1_000, 0),
        64,
        3,
    ),
    "tiny_imagenet": Protocol(
        {"name": "tiny_imagenet", "test_images": None},
        128,
        STRETCHED,
        CENTER,
        CUT,
        64,
        50,
        "best_val_psnr",
    ),
    "paris_center": Protocol(PARIS, 128, CROPPED, CENTER, (14_000, 800, 0), 256, 200),
    "paris_code": Protocol(
        PARIS, 128, CROPPED, CENTER, (14_000, 800, 0), 256, 200, in_training=ANYWHERE
    ),
    "paris_random": Protocol(PARIS, 128, CROPPED, ANYWHERE, (14_000, 800, 0), 256, 3000),
    "photos": Protocol(
        {
            **{"name": "photos", "block": 64, "scales": (1, 2), "min_contrast": 4},
            "max_blocks": 100,
        },
        64,
        CROPPED,
        ("random_square", 32, 0),
        (0.55, 0.15, 0.3),
        32,
        8,
        flip=True,
        drop_last=True,
    ),
    "portraits": Protocol(
        {"name": "portraits", "count": 11_000, "seed": 0},
        32,
        CROPPED,
        ("random_square", 16, 4),
        (10_000, 500, 500),
        64,
        4,
        flip=True,
        drop_last=True,
    ),
}
OF_FACES = {name for name in SUITES if "celeba" in name or name == "portraits"}


@pytest.mark.parametrize("name", sorted(SUITES))
def test_suite_has_the_protocol_of_its_source(name: str) -> None:
    suite = load_suite(name, ROOT)
    splits, training, evaluation = suite.splits, suite.training, suite.evaluation
    hole = training.mask
    found = Protocol(
        {"name": type(suite.source).__module__.split(".")[-1]} | suite.source.model_dump(),
        suite.image_size,
        (suite.resize.fit, suite.resize.filter, suite.resize.through),
        (suite.mask.kind, suite.mask.size, suite.mask.margin),
        (splits.train, splits.val, splits.test),
        training.batch_size,
        training.epochs,
        evaluation.checkpoint,
        training.flip,
        training.drop_last,
        None if hole is None else (hole.kind, hole.size, hole.margin),
        evaluation.masks_per_image,
    )
    assert found._asdict() == SUITES[name]._asdict()
    # Equal for all.
    assert (splits.seed, suite.resize.crop_from, training.hole_sizes) == (42, None, None)
    assert (training.precision, training.deterministic) == ("32-true", True)
    assert (evaluation.mask_seed, suite.unreadable) == (0, "error")
    assert suite.inpainting == ("resize" if name in OF_FACES else "tile")


RATIOS = {f"context_encoder_ratio_{ratio}": float(ratio) for ratio in (1, 100, 200, 500, 1000)}
LOCALIZER = ("localizer", "localizer")
UNSEEN = (
    "blur_3", "blur_5", "blur_10", "blur_20", "noise_0.1", "noise_0.3", "noise_0.5", "mean_color",
    "reconstructed",
)  # fmt: skip
CLAIMS = {
    "c1": [("better", "localizer", "binary", "stlpips_alex")],
    "c2": [("better", "localizer", "l2", "stlpips_alex", 0.00095)],
    "c3": [("better", "l2", "binary", "psnr_h")],
    "c4": [
        ("better", "staged", "localizer", "stlpips_alex"),
        ("better", "staged", "binary", "stlpips_alex"),
    ],
    "c5": [("differ", "localizer", "localizer_raw", "psnr_h")],
    "c6": [("sees_seam", *LOCALIZER)],
    "c7": [
        ("psnr_rises", RATIOS),
        ("psnr_rises", {name: ratio for name, ratio in RATIOS.items() if ratio >= 100}),
    ],
    "c8": [
        ("across", "psnr_h", "context_encoder_ratio_1000", "biharmonic", "imagenet_64",
         "imagenet_128"),
        ("across", "psnr_h", "context_encoder_ratio_1000", "biharmonic",
         "celeba_1024_center_via_64", "celeba_1024_center"),
        ("across", "psnr_h", "context_encoder_ratio_1000", "telea",
         "celeba_1024_center_via_64", "celeba_1024_center"),
    ],
    "c9": [("better", "context_encoder", "context_encoder_no_overlap", "seam")],
    "c10": [
        ("better", "attention_unet", "attention_unet_no_attention", "ssim_h", 0.01),
        ("needs_gain", "attention_unet", 0.01),
    ],
    "c11": [("better", "attention_unet", "attention_unet_no_dilation", "seam")],
    "c12": [("better", "attention_unet_whole", "attention_unet", "ssim_h")],
    "c13": [
        ("better", "binary", "l2", "sharpness_c"),
        ("as_good", "binary", "l2", "stlpips_alex_h"),
    ],
    "c14": [("all_beat", "mse_h", "biharmonic")],
    "c15": [("better", "context_encoder_ratio_500", "context_encoder_ratio_1000", "psnr_h")],
    "c16": [("cheaper", "attention_unet_whole", "attention_unet", "activations")],
    "c17": [("cheaper", "attention_unet_whole", "attention_unet", "operations")],
    "c18": [
        ("finds", *LOCALIZER, "completed", 0.05),
        *(("misses", *LOCALIZER, probe, 0.05) for probe in UNSEEN),
    ],
    "c19": [
        ("better", "context_encoder_ratio_200", "context_encoder_ratio_1000", "sharpness_c"),
        ("near_ideal", "context_encoder_ratio_200", "sharpness_c", 0.2),
    ],
    "c20": [("ignores_context", "context_encoder_ratio_1", 0.05)],
    "c21": [("all_follow", "mse_h", "biharmonic", 0.1)],
    "c22": [("chooses_worse", "staged", "best_train_loss")],
    "c23": [("covers", 32, 200, 0.25, 0.05)],
    "c24": [("more_specific", "localizer", "binary", "localizer", "binary", 0.1)],
    "c25": [("refines", "localizer", "localizer")],
}  # fmt: skip
"""Kind, what is claimed to be ahead, of what, in which metric, and the margin of a claim's own."""


@pytest.mark.parametrize("name", sorted({*load_claims(ROOT), *CLAIMS}))
def test_claim_compares_what_its_source_does(name: str) -> None:
    tested = load_claims(ROOT)[name]
    kinds = ((kind, entry) for kind in (*JOINT, *SINGLE) for entry in getattr(tested, kind))
    found = [(kind, *entry.model_dump(exclude_none=True).values()) for kind, entry in kinds]
    assert found == CLAIMS[name]
