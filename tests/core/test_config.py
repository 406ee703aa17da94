"""Configuration files: what they may hold, and what a mistake is answered with."""

import copy
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from benchmark.core import paths
from benchmark.core.config import Params, Suite, load_params, load_suite, load_variant, names_in
from benchmark.core.paths import Run
from benchmark.core.yaml_files import load
from data.errors import InputError
from models.variant import Variant
from tests.support.promises import tally

REPOSITORY = Path(__file__).parents[2]
SUITE: dict[str, Any] = {
    "title": "Portraits",
    "description": "Faces.",
    "source": {"name": "portraits", "count": 100, "seed": 0},
    "image_size": 64,
    "resize": {"fit": "crop", "filter": "bicubic", "crop_from": 60},
    "unreadable": "error",
    "splits": {"seed": 42, "train": 0.8, "val": 0.1, "test": 0.1, "digest": "0" * 64},
    "mask": {"kind": "random_square", "size": 32, "margin": 0},
    "training": {"epochs": 2, "batch_size": 4, "flip": True, "precision": "32-true"},
    "evaluation": {"checkpoint": "last", "mask_seed": 0, "masks_per_image": 1, "examples": 8},
}
ADAM = {"lr": 2e-4, "betas": [0.5, 0.999]}
VARIANT: dict[str, Any] = {
    "title": "Staged",
    "origin": "LocPaint",
    "generator": {
        "network": "locpaint_autoencoder",
        "optimizer": ADAM,
        "losses": {
            "hole_mse": {"weight": 1.0, "options": {"average": "image"}},
            "adversarial": {"weight": 0.1, "discriminator": "binary", "start": "2/3"},
        },
    },
    "discriminators": {
        "binary": {
            "network": "patch_dcgan",
            "input": "hole",
            "optimizer": ADAM,
            "losses": {"adversarial": 1.0},
        }
    },
}
PARAMS: dict[str, Any] = {
    "suites": ["portraits"],
    "runs": {f"portraits-l2-{seed}": {"suite": "portraits", "variant": "l2", "seed": seed}
             for seed in (0, 1)},
}  # fmt: skip
ABSENT = object()


def changed(content: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return a copy with the entry at a dotted path set or, given `ABSENT`, removed."""
    copied = copy.deepcopy(content)
    *parents, last = key.split(".")
    place: Any = copied
    for part in parents:
        place = place[int(part) if isinstance(place, list) else part]
    if value is ABSENT:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return copied


def written(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = YAML(typ="safe", pure=True)
    writer.representer.ignore_aliases = lambda data: True
    writer.dump(content, path)
    return path


def complaint(model: type[BaseModel], path: Path, **given: Any) -> str:
    return refusal(path, lambda: load(model, path, **given))


def refusal(path: Path, read: Callable[[], object]) -> str:
    """Return why a file is refused."""
    with pytest.raises(InputError) as caught:
        read()
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    tally("invalid configurations refused")
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.promise("configuration")
def test_examples_of_this_file_are_valid(tmp_path: Path) -> None:
    assert load(Suite, written(tmp_path / "s.yaml", SUITE), name="s").mask.size == 32
    assert load(Variant, written(tmp_path / "v.yaml", VARIANT), name="v").title == "Staged"
    params = load(Params, written(tmp_path / "p.yaml", PARAMS))
    assert params.runs_of("portraits") == (Run("portraits", "l2", 0), Run("portraits", "l2", 1))
    assert params.variants == ("l2",) and Params.of_product(["portraits"], ["l2"], [0, 1]) == params


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("color", 1, r"color: unknown key \(valid: description, evaluation, image_size, inpaint"),
        (
            "names",
            1,
            r"names: unknown key \(valid: .*inpainting, mask, resize, source, .*watching\)$",
        ),
        ("mask.sizes", 1, r"mask\.sizes: unknown key, did you mean size\? \(valid: kind, margin,"),
        ("source.sed", 1, r"source: sed: unknown key, did you mean seed\? \(valid: count, seed\)"),
        ("image_size", ABSENT, "image_size: this key is missing"),
        ("splits.seed", ABSENT, r"splits\.seed: this key is missing"),
        ("source.count", ABSENT, "source: count: this key is missing"),
        ("source.name", ABSENT, "source: expected a mapping with the key name"),
        ("image_size", 8, r"image_size: .* greater than or equal to 16 \(it is 8\)"),
        ("image_size", 10**400, r"not valid YAML: line 4, .*: this number is not between -2\*\*53"),
        ("splits.train", float("nan"), "not valid YAML: line 8, column 31: this number is not"),
        ("title", date(2020, 1, 1), "not valid YAML: line 9, column 8: a date needs quotes$"),
        ("title", ["x" * 500], r"title: .* valid string \(it is \['x+\.\.\.x+'\]\)$"),
        ("splits.train", -0.1, r"splits\.train.*: .* equal to 0 \(it is -0\.1\)"),
        ("splits.train", 0.9, r"splits: the fractions \(0\.9, 0\.1, 0\.1\) add up to 1\.1"),
        ("splits.train", 80, r"splits: train, val, test must be all counts or all fractions"),
        ("splits.digest", "abc", r"splits\.digest: .* \(it is 'abc'\)"),
        ("source.count", 0, r"source: count: .* equal to 1 \(it is 0\)"),
        ("mask.size", 65, "mask: a hole of 65 px with a margin of 0 px does not fit .* 64 px"),
        ("mask.margin", 17, "mask: a hole of 32 px with a margin of 17 px does not fit"),
        ("image_size", 64.5, r"image_size: .* valid integer.* \(it is 64\.5\)"),
        ("training", [1], r"training: .* \(it is \[1\]\)"),
        ("title", 7, r"title: .* valid string \(it is 7\)"),
        ("training.flip", "maybe", r"training\.flip: .* \(it is 'maybe'\)"),
        ("mask.kind", "circle", r"mask\.kind: .*'center' or 'random_square' \(it is 'circle'\)"),
        (
            "evaluation.checkpoint",
            "best",
            r"evaluation\.checkpoint: .*'best_val_psnr'.* \(it is 'best'\)",
        ),
        (
            "training.hole_sizes",
            [16, 8],
            r"training\.hole_sizes: 16 to 8 px are not two sides in order that fit into",
        ),
        ("training.hole_sizes", [8, 64], r"training\.hole_sizes: 8 to 64 px are not two sides"),
        ("source.name", "faces", r"source: no source 'faces'; there are .*photos, portraits"),
        (
            "source",
            {"name": "image_folder", "groups": "(a"},
            r"source: groups: is neither folder nor a regular expression with one group, such as "
            r"\^\(\\d\+\)_: missing \).* at position 0 \(it is '\(a'\)$",
        ),
        ("source", "portraits", "source: expected a mapping with the key name"),
        ("name", "other", "name: not allowed, it is the file's name"),
    ],
)
def test_mistake_in_a_suite_names_key_value_and_what_is_valid(
    tmp_path: Path, key: str, value: Any, message: str
) -> None:
    path = written(tmp_path / "example.yaml", changed(SUITE, key, value))
    found = complaint(Suite, path, name="example")
    assert re.match(message, found), found


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("generator.optimizr", ADAM, r"generator\.optimizr: unknown key, did you mean optimizer"),
        ("generator.losses.hole_mse.wait", 1, r"generator\.losses\.hole_mse\.wait: unknown key"),
        ("discriminators.binary.every", 1, r"discriminators\.binary\.every: unknown key"),
        ("origin", ABSENT, "origin: this key is missing"),
        ("generator.optimizer.lr", 0, r"generator\.optimizer\.lr: .* than 0 \(it is 0\)"),
        ("generator.optimizer.betas.1", 1, r"generator\.optimizer\.betas\.1: .* less than 1"),
        ("discriminators.binary.label_smoothing", 0.5, r"label_smoothing: .* \(it is 0\.5\)"),
        ("discriminators.binary.input", "masked", r"input: .*'completed', 'raw' or 'hole'"),
        ("generator.network", "unet9", "generator.network: no generator 'unet9'; there are"),
        ("generator.losses.gram", {"weight": 1}, "generator.losses: no 'gram'; there are"),
        ("generator.losses.adversarial.start", "3/2", r"start: .* equal to 1 \(it is '?[13]"),
        ("generator.losses.adversarial.start", "2/0", r"start: Input should be a valid number"),
        ("generator.losses.adversarial.start", "late", r"start: Input should be a valid number"),
        ("generator.losses.adversarial.start", "1e999999999", r"start: Input should be"),
        (
            "generator.losses.hole_mse.start",
            0.5,
            "generator.losses: no term has a weight at the start of the run",
        ),
        ("generator.losses.hole_mse.weight", 0, "no term has a weight at the start of the run"),
        ("generator.losses.hole_mse.ramp", 0.5, "no term has a weight at the start of the run"),
        (
            "generator.losses.hole_mse.options.overlap_px",
            70_000,
            r"generator\.losses\.hole_mse\.options: overlap_px is not between -65536 and 65536",
        ),
        (
            "discriminators.binary.skip_above",
            {"accuracy": 0.9, "windows": 1},
            r"skip_above\.windows: unknown key, did you mean window\? \(valid: accuracy, window\)",
        ),
        (
            "discriminators",
            {"a/b": VARIANT["discriminators"]["binary"]},
            r"discriminators\.a/b.*: .*\^\[a-z\]\[a-z0-9_\]\*\$",
        ),
        (
            "generator.losses.hole_mse.options.average",
            "all",
            r"losses\.hole_mse\.options\.average: .*'hole' or 'image' \(it is 'all'\)",
        ),
        ("generator.losses.adversarial.discriminator", "x", "'x' is not one of: binary"),
        ("generator.losses.adversarial", ABSENT, r"discriminators\.binary: no term of"),
        (
            "generator.losses.hole_mse.discriminator",
            "binary",
            r"losses\.hole_mse\.discriminator: hole_mse cannot be computed from what patch_dcgan",
        ),
        (
            "generator.losses.adversarial.discriminator",
            ABSENT,
            r"discriminators\.binary: no term of generator\.losses uses it$",
        ),
        (
            "generator.losses.iou",
            {"weight": 1, "discriminator": "binary"},
            r"iou\.discriminator: iou cannot be computed from what patch_dcgan predicts$",
        ),
        ("generator.losses.box", {"weight": 1}, r"this key is missing; it is one of: binary$"),
        ("generator.initialization", "he", r"generator\.initialization: no 'he'; there are"),
        (
            "discriminators.binary.losses.iou",
            1,
            r"discriminators\.binary\.losses: no 'iou'; there are adversarial, least_squares$",
        ),
        ("generator.options", {"bias": 1}, r"generator\.options: no 'bias'; there are none$"),
        ("discriminators.binary.options", {"bias": 1}, r"options\.bias: .* \(it is 1\)$"),
    ],
)
def test_mistake_in_a_variant_names_key_value_and_what_is_valid(
    tmp_path: Path, key: str, value: Any, message: str
) -> None:
    path = written(tmp_path / paths.VARIANTS / "example.yaml", changed(VARIANT, key, value))
    found = refusal(path, lambda: load_variant("example", tmp_path))
    assert re.search(message, found), found


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("suite", ["a"], r"suite: unknown key, did you mean suites\? \(valid: runs, suites\)"),
        ("runs", ABSENT, "runs: this key is missing"),
        ("runs", {}, r"runs: .* at least 1 item"),
        ("runs", 3, r"runs: .* valid dictionary \(it is 3\)"),
        ("runs.portraits-l2-1.seed", -1, r"runs\.portraits-l2-1\.seed: .* to 0 \(it is -1\)"),
        (
            "runs.portraits-l2-1.seed",
            2,
            r"runs\.portraits-l2-1: its entry is that of portraits-l2-2",
        ),
        (
            "runs.portraits-l2-1.variant",
            "l-2",
            r"variant: .*\^\[a-z\]\[a-z0-9_\]\*\$.* \(it is 'l-2'\)",
        ),
        ("runs.portraits-l2-1.variant", "L2", r"variant: .* \(it is 'L2'\)"),
        ("runs.portraits-l2-1.variant", "l2\n", r"variant: .* \(it is 'l2\\n'\)"),
        ("suites", ["photos"], r"runs\.portraits-l2-0: portraits is not in suites \['photos'\]"),
        ("suites", ["portraits", "photos"], "suites: photos has no entry in runs"),
        ("suites", ["portraits", "portraits"], "suites names an entry twice"),
        ("suites", [1], r"suites\.0: .* valid string \(it is 1\)"),
    ],
)
def test_mistake_in_params_names_key_value_and_what_is_valid(
    tmp_path: Path, key: str, value: Any, message: str
) -> None:
    found = complaint(Params, written(tmp_path / "params.yaml", changed(PARAMS, key, value)))
    assert re.search(message, found), found


@pytest.mark.promise("configuration")
def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    content = changed(changed(SUITE, "mask.size", 0), "training.epochs", 0)
    found = complaint(Suite, written(tmp_path / "example.yaml", content), name="example")
    assert "mask.size" in found and "training.epochs" in found


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected keys and values, found NoneType"),
        (b"[1, 2]", "expected keys and values, found list"),
        (b"just text", "expected keys and values, found str"),
        (b"title: [1, 2", "not valid YAML: line 1, column 13: expected ',' or ']'"),
        (b"title: a\ntitle: b\n", "not valid YAML: line 2, column 1: found duplicate key"),
        (
            b"a: b\ntitle: \xff",
            "not valid YAML: 'utf-8' codec can't decode byte 0xff in position 12",
        ),
        (b"title: \x00", "not valid YAML: unacceptable character #x0000: .* position 7$"),
        (b"title: !!python/object:os.system x", "not valid YAML: line 1, column 8: could not"),
        (b"title: a\n---\ntitle: b\n", "not valid YAML: line 2, column 1: but found another doc"),
        (
            b"[" * 1000,
            "not valid YAML: line 1, column 51: maximum depth of data structure exceeded",
        ),
    ],
    ids=["empty", "list", "text", "open", "twice", "latin", "null", "object", "two", "deep"],
)
def test_what_is_not_a_mapping_in_yaml_is_refused(
    tmp_path: Path, text: bytes, message: str
) -> None:
    path = tmp_path / "example.yaml"
    path.write_bytes(text)
    found = complaint(Suite, path, name="example")
    assert re.search(message, found), found


class Scalars(BaseModel):
    """Takes values as the YAML reader gives them."""

    values: list[Any]


def test_a_file_is_read_anew_whatever_was_done_with_what_it_held(tmp_path: Path) -> None:
    path = written(tmp_path / "scalars.yaml", {"values": [1]})
    load(Scalars, path).values.append(2)
    assert load(Scalars, path).values == [1]
    written(path, {"values": [3]})
    assert load(Scalars, path).values == [3]


def test_dialect_is_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "scalars.yaml"
    path.write_text("values: [1e-3, 2E5, on, off, yes, no, 010, 0o10, 1:30, true, ~]\n")
    expected = [1e-3, 2e5, "on", "off", "yes", "no", 10, 8, "1:30", True, None]
    found = load(Scalars, path).values
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("text", "value"), [("2/3", 2 / 3), ("0.25", 0.25), ("'1/6'", 1 / 6), ("0", 0), ("1", 1)]
)
def test_shares_are_fractions_or_numbers(tmp_path: Path, text: str, value: float) -> None:
    path = written(tmp_path / "v.yaml", changed(VARIANT, "discriminators.binary.start", "SHARE"))
    path.write_text(path.read_text().replace("SHARE", text))
    assert load(Variant, path, name="v").discriminators["binary"].start == value


def test_defaults_of_a_suite_are_those_of_its_parts(tmp_path: Path) -> None:
    content = {k: v for k, v in SUITE.items() if k not in ("resize", "unreadable", "evaluation")}
    made = load(Suite, written(tmp_path / "s.yaml", content), name="s")
    assert (made.resize.fit, made.unreadable) == ("crop", "error")
    assert (made.evaluation.checkpoint, made.evaluation.masks_per_image) == ("best_val_psnr", 1)


@pytest.mark.parametrize("name", names_in(REPOSITORY / paths.SUITES))
def test_shipped_suite_loads(name: str) -> None:
    made = load_suite(name, REPOSITORY)
    assert made.name == name and made.title and made.description
    assert Suite.model_validate(made.model_dump() | {"source": made.source}) == made


@pytest.mark.parametrize("name", names_in(REPOSITORY / paths.VARIANTS))
def test_shipped_variant_loads(name: str) -> None:
    made = load_variant(name, REPOSITORY)
    assert made.name == name and made.title and made.origin
    assert Variant.model_validate(made.model_dump()) == made


def test_shipped_params_load() -> None:
    found = load_params(REPOSITORY)
    assert set(found.suites) <= set(names_in(REPOSITORY / paths.SUITES))
    assert set(found.variants) <= set(names_in(REPOSITORY / paths.VARIANTS))


@pytest.mark.promise("configuration")
def test_unknown_name_suggests_a_known_one(tmp_path: Path) -> None:
    written(tmp_path / paths.SUITES / "portraits.yaml", SUITE)
    with pytest.raises(InputError) as caught:
        load_suite("portrait", tmp_path)
    place = tmp_path / paths.SUITES
    assert str(caught.value) == (
        f"no suite 'portrait' in {place}/. Did you mean portraits? There are: portraits"
    )
    written(tmp_path / paths.PARAMS, PARAMS)
    with pytest.raises(
        InputError,
        match=r"params\.yaml: no variant 'l2' in .*variants/\. There are: none",
    ):
        load_params(tmp_path)
    for name in ("", "..", "../suites/portraits", "portraits.yaml"):
        with pytest.raises(InputError, match="no suite"):
            load_suite(name, tmp_path)


@pytest.mark.promise("configuration")
def test_file_with_a_bad_name_is_refused(tmp_path: Path) -> None:
    written(tmp_path / paths.SUITES / "two-words.yaml", SUITE)
    written(tmp_path / paths.VARIANTS / "Upper.yaml", VARIANT)
    pattern = r"must match \^\[a-z\]\[a-z0-9_\]\*\$"
    with pytest.raises(InputError, match=rf"two-words\.yaml: the name of a suite {pattern}"):
        load_suite("two-words", tmp_path)
    with pytest.raises(InputError, match=rf"Upper\.yaml: the name of a variant {pattern}"):
        load_variant("Upper", tmp_path)
