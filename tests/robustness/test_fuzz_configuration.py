"""Configurations broken in every way that was thought of, and at random: one line, never more.

A broken file is either still valid or refused by one `InputError` that names file and key; what is
accepted can be built, or is refused by such an error too.
"""

import copy
import functools
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from benchmark.__main__ import main
from benchmark.claims.budgets import BUDGETS, load_budgets
from benchmark.claims.definitions import load_claims
from benchmark.claims.reported import REPORTED, load_reported
from benchmark.core import paths
from benchmark.core.config import load_params, load_suite, load_variant, names_in
from benchmark.training.describe import describe_variant
from benchmark.training.gan import build_gan
from benchmark.training.step import training_step
from data.errors import InputError
from models.check import check_variant
from models.variant import Variant
from tests.support.promises import tally
from tests.support.tiny import ROOT, cpu_engine, random_batch, tiny_suite

pytestmark = pytest.mark.promise("configuration")
REFUSED = "invalid configurations refused"
KINDS: dict[str, tuple[Path, list[Path], Callable[[Path], object]]] = {
    "params": (paths.PARAMS, [paths.PARAMS], load_params),
    "suite": (
        paths.SUITES / "broken.yaml",
        [paths.SUITES / f"{name}.yaml" for name in ("portraits", "photos", "celeba_1024_128")],
        lambda root: load_suite("broken", root),
    ),
    "variant": (
        paths.VARIANTS / "broken.yaml",
        [
            paths.VARIANTS / f"{name}.yaml"
            for name in ("staged", "strided_random", "attention_unet")
        ],
        lambda root: load_variant("broken", root),
    ),
    "claims": (paths.CLAIMS, [paths.CLAIMS], load_claims),
    "published": (REPORTED, [REPORTED], load_reported),
    "budgets": (BUDGETS, [BUDGETS], load_budgets),
}
"""Where a file lies, what it is made of, and what reads it."""

LAUGHS = "\n".join(
    ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    + [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 9)]
)
HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "list": b"- a\n- b\n",
    "open bracket": b"title: [1, 2",
    "tab": b"title:\n\t- a\n",
    "twice": b"title: a\ntitle: b\n",
    "two documents": b"title: a\n---\ntitle: b\n",
    "latin-1": "title: Zo\u00eb\n".encode("latin-1"),
    "utf-16": "title: a\n".encode("utf-16"),
    "null byte": b"title: a\x00b\n",
    "escape": b"title: \x1b[31mred\n",
    "deep lists": b"title: " + b"[" * 300,
    "deep maps": b"".join(b" " * i + b"a:\n" for i in range(400)),
    "deep but legible": b"title: " + b"[" * 60 + b"]" * 60 + b"\n",
    "laughs": LAUGHS.encode(),
    "alias of itself": b"title: &a [*a]\n",
    "system": b'title: !!python/object/apply:os.system ["touch executed"]\n',
    "new": b'title: !!python/object/new:os.system ["touch executed"]\n',
    "name": b"title: !!python/name:os.system\n",
    "module": b"title: !!python/module:os\n",
    "own tag": b"title: !mine a\n",
    "no integer": b"title: !!int x\n",
    "no order": b"title: !!omap x\n",
    "set": b"title: !!set {a, b}\n",
    "date": b"title: 2020-01-01\n",
    "number key": b"1: a\n",
    "list as key": b"? [a, b]\n: c\n",
    "map as key": b"? {a: b}\n: c\n",
    "merge of text": b"<<: text\ntitle: a\n",
    "bad directive": b"%YAML a\n---\ntitle: a\n",
    "thousands of digits": b"title: " + b"9" * 10_000 + b"\n",
    "hexadecimal digits": b"image_size: 0x" + b"f" * 10_000 + b"\n",
    "not a number": b"image_size: .nan\n",
    "too many keys": b"".join(b"k%d: 1\n" % i for i in range(1_000)),
    "too many bytes": b"title: a\n" + b"#" * 2**20,
    "long key": b"? " + b"k" * 5000 + b"\n: 1\n",
    "line break in a key": b'"a\\nb": 1\n',
    "marks of direction": '"\u202ename": 1\n'.encode(),
}


def check(load: Callable[[], object], path: Path) -> bool:
    """Return whether a file is refused, which has to be by one line that names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            load()
    except InputError as error:
        message = str(error)
        assert message.startswith(f"{path}: ") and len(message) < 5000, message
        assert message.isprintable(), message
        tally(REFUSED)
        return True
    return False


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose suites and variants are those of this one."""
    folder = tmp_path_factory.mktemp("checkout")
    for kind in (paths.SUITES, paths.VARIANTS):
        (folder / kind).mkdir(parents=True)
        for name in names_in(ROOT / kind):
            path = kind / f"{name}.yaml"
            (folder / path).write_bytes((ROOT / path).read_bytes())
    (folder / paths.CLAIMS).parent.mkdir()
    return folder


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        *[("suite", what) for what in HOSTILE],
        *[(kind, what) for kind in KINDS for what in ("laughs", "system", "twice", "set")],
    ],
)
def test_hostile_files_are_refused_in_one_line(
    kind: str, what: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    place, _, load = KINDS[kind]
    (root / place).write_bytes(HOSTILE[what])
    assert check(lambda: load(root), root / place)


@pytest.mark.promise("no_execution")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["system", "new", "name", "module"])
def test_no_tag_executes_anything(
    kind: str, what: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    place, _, load = KINDS[kind]
    (root / place).write_bytes(HOSTILE[what])
    with pytest.raises(InputError, match="could not determine a constructor for the tag"):
        load(root)
    assert not (root / "executed").exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("marks", ["byte order mark", "line ends of Windows"])
def test_what_editors_do_is_no_harm(kind: str, marks: str, root: Path) -> None:
    place, (original, *_), load = KINDS[kind]
    content = (ROOT / original).read_bytes()
    (root / place).write_bytes(content)
    expected = load(root)
    if marks == "byte order mark":
        content = b"\xef\xbb\xbf" + content
    else:
        content = content.replace(b"\n", b"\r\n")
    (root / place).write_bytes(content)
    assert load(root) == expected


PIECES = [b"", b":", b"\n", b"\t", b"- ", b"&a ", b"*a", b"!!int ", b"{", b"]", b"\xff", b"'", b"|"]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 3, 7, 0.5, -0.5, 1e-320, 1e300, 10**17, 2**53, 10**400),
    *(float("nan"), float("inf"), -float("inf"), "", " ", "0", "1/3", "1/0", "1e999999999", "-"),
    *("l2", "portraits", "name", "last", "a\nb", "\x1b[0m", "\u202e", "x" * 3000, "a/b", "../a"),
    *([], [1], [[[[]]]], [None], {}, {"a": {"b": [1]}}, {"name": "photos"}, {"name": "nothing"}),
    *(date(2020, 1, 1), ["a"] * 200, list(range(300)), {str(i): i for i in range(300)}),
]


def places(content: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every entry of nested mappings and lists."""
    entries: list[tuple[Any, Any]] = []
    if isinstance(content, dict):
        entries = list(content.items())
    elif isinstance(content, list):
        entries = list(enumerate(content))
    found = [(*prefix, key) for key, _ in entries]
    return found + [path for key, value in entries for path in places(value, (*prefix, key))]


@st.composite
def mutations(draw: st.DrawFn, content: dict[str, Any]) -> dict[str, Any]:
    """Replace, remove, double or add an entry or two of a valid configuration."""
    mutated = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 2))):
        if not (left := places(mutated)):
            break
        *parents, key = draw(st.sampled_from(left))
        parent: Any = mutated
        for part in parents:
            parent = parent[part]
        action = draw(st.sampled_from(["replace", "replace", "remove", "add", "misspell"]))
        if action == "replace":
            parent[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif action == "remove" or not isinstance(parent, dict):
            del parent[key]
        elif action == "add":
            parent[draw(st.sampled_from(["extra", "name", "seed", "a.b", "a\nb", ""]))] = 1
        else:
            parent[f"{key}s"] = parent.pop(key)
    return mutated


def _break_entries(kind: str, root: Path, data: st.DataObject) -> None:
    place, originals, load = KINDS[kind]
    original = data.draw(st.sampled_from(originals))
    with (root / place).open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(data.draw(mutations(_content(original))), file)
    check(lambda: load(root), root / place)


@functools.cache
def _content(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load((ROOT / path).read_text("utf-8"))


def _break_bytes(kind: str, root: Path, data: st.DataObject) -> None:
    place, originals, load = KINDS[kind]
    content = bytearray((ROOT / data.draw(st.sampled_from(originals))).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = min(len(content), start + data.draw(st.integers(0, 8)))
        inserted = data.draw(st.sampled_from(PIECES))
        content[start:end] = inserted
    (root / place).write_bytes(content)
    check(lambda: load(root), root / place)


QUICK = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("count", [12, pytest.param(150, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("broken", [_break_entries, _break_bytes])
def test_broken_files_are_refused_in_one_line(
    broken: Callable[[str, Path, st.DataObject], None], kind: str, count: int, root: Path
) -> None:
    @settings(QUICK, max_examples=count)
    @given(data=st.data())
    def check_many(data: st.DataObject) -> None:
        broken(kind, root, data)

    check_many()


# The command line


def _commands(suite: str, variant: str) -> list[list[str]]:
    """Return the commands that read a suite, a variant or what a report is of."""
    options = ["--suite", suite, "--variant", variant]
    return [
        *[[stage, "--suite", suite] for stage in ("split", "baselines", "reference")],
        *[[stage, *options] for stage in ("train", "evaluate", "verify")],
        ["attach", "--suite", suite, "."],
        ["describe", variant, "--suite", suite],
        ["report"],
    ]


@pytest.mark.parametrize("broken", ["suite", "variant", "params", "claims"])
@pytest.mark.parametrize("what", ["laughs", "system", "latin-1", "line break in a key"])
def test_every_command_refuses_a_broken_file_in_one_line(
    broken: str,
    what: str,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(root)
    for kind, (place, originals, _) in KINDS.items():
        whole = (ROOT / originals[0]).read_bytes()
        (root / place).write_bytes(HOSTILE[what] if kind == broken else whole)
    reads = {"suite": "--suite", "variant": "broken", "params": "report", "claims": "report"}
    names = [
        "broken" if broken == kind else valid
        for kind, valid in (("suite", "portraits"), ("variant", "l2"))
    ]
    commands = [c for c in _commands(*names) if reads[broken] in c]
    assert commands
    for command in commands:
        assert main(command) == 2, command
        captured = capsys.readouterr()
        assert captured.err.startswith(f"error: {KINDS[broken][0]}: "), captured.err
        assert captured.err.count("\n") == 1 and captured.err.rstrip("\n").isprintable()
        assert captured.out == ""
        tally(REFUSED)
    assert not (root / "executed").exists()


def test_the_list_shows_the_others_beside_a_broken_file(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    for kind in ("suite", "variant"):
        (root / KINDS[kind][0]).write_bytes(HOSTILE["tab"])
    assert main(["list"]) == 2
    captured = capsys.readouterr()
    listed = [line.split()[0] for line in captured.out.splitlines() if line.startswith("  ")]
    expected = [name for kind in (paths.SUITES, paths.VARIANTS) for name in names_in(ROOT / kind)]
    assert listed == expected
    errors = captured.err.splitlines()
    assert [line.split(": ")[1] for line in errors] == [
        str(KINDS[kind][0]) for kind in ("suite", "variant")
    ]
    assert all("line 2, column 1" in line for line in errors)
    tally(REFUSED, 2)


# What is accepted


ADAM = {"lr": 1e-4, "betas": [0.5, 0.999]}
TERMS = {"localizer": "confidence"}
SIDES = [16, 24, 32, 33, 40, 64]
NETWORK_OPTIONS: dict[str, dict[str, list[Any]]] = {
    "localizer": {
        "capacity": [1e-9, 0.01, 0.1, 1, 9, -1, float("nan"), "1"],
        "depth": [0, 1, 3, 5, 8, 9, 1.5],
        "head_width": [0, 1, 4, 8, True],
        "dropout": [0, 0.5, 1],
    },
    "patch_dcgan": {"bias": [True, False, 1, None]},
    "patchgan_instance": {"printed_end": [True, False, "yes"]},
    "patchgan_small": {"stride": [1]},
}
"""Options of discriminators, some of which are refused or fit some sizes alone."""
LOSS_OPTIONS: dict[str, dict[str, list[Any]]] = {
    "l1": {"dilation_px": [0, 3, 60_000, -1, 2**40], "average": ["hole", "image", "mean"]},
    "edge": {"dilation_px": [0, 4], "normalize": ["none", "batch_maximum", 1]},
    "hole_mse": {"overlap_px": [0, 3, 60_000], "overlap_weight": [1, 10, 0, float("inf")]},
    "ssim": {"window": [11]},
}


@st.composite
def options(draw: st.DrawFn, known: dict[str, list[Any]]) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from([*known]), unique=True, max_size=2))
    return {name: draw(st.sampled_from(known[name])) for name in names}


@st.composite
def variants(draw: st.DrawFn) -> dict[str, Any]:
    """Return a variant with a small generator, with one discriminator or without any."""
    term = draw(st.sampled_from([*LOSS_OPTIONS]))
    losses: dict[str, Any] = {
        term: {
            "weight": draw(st.sampled_from([0, 1, 1e-300])),
            "options": draw(options(LOSS_OPTIONS[term])),
            "start": draw(st.sampled_from([0, 0, 0.5])),
        }
    }
    judges = {}
    if network := draw(st.sampled_from([None, *NETWORK_OPTIONS])):
        judged = TERMS.get(network, "adversarial")
        losses[judged] = {"weight": 1, "discriminator": "judge"}
        judges["judge"] = {
            "network": network,
            "options": draw(options(NETWORK_OPTIONS[network])),
            "optimizer": ADAM,
            "input": draw(st.sampled_from(["completed", "raw", "hole"])),
            "losses": {judged: 1.0},
            "start": draw(st.sampled_from([0, 0, 0.5])),
        }
    generator = {
        "network": "attention_unet",
        "options": {"channels": draw(st.sampled_from([0, 2, 2, 2, 3, 4]))},
        "optimizer": ADAM,
        "losses": losses,
        "mask_dilation": draw(st.sampled_from([0, 1, 1024])),
    }
    return {
        "name": "drawn", "title": "t", "origin": "o", "generator": generator,
        "discriminators": judges,
    }  # fmt: skip


def _build_and_train(content: dict[str, Any], image_px: int, hole_px: int) -> None:
    """Load, build, train by a step and describe a variant, unless it is refused."""
    try:
        variant = Variant.model_validate(content)
        check_variant(variant)
        suite = tiny_suite(image_size=image_px, mask={"kind": "random_square", "size": hole_px})
    except ValueError:  # pydantic's `ValidationError` is one too
        tally(REFUSED)
        return
    engine = cpu_engine()
    try:
        gan = build_gan(suite, variant, 0, engine)
        gan.train(True)
        losses = training_step(gan, random_batch(2, image_px, hole_px), 0, 10)
        described = describe_variant(variant, image_px, hole_px)
    except InputError as error:
        assert "variant drawn does not fit" in str(error) and str(error).isprintable()
        tally(REFUSED)
        return
    assert torch.isfinite(losses["generator/total"])
    assert described["generator"]["parameters"] > 0


@pytest.mark.parametrize("count", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_what_is_accepted_can_be_trained(count: int) -> None:
    @settings(QUICK, max_examples=count)
    @given(variants(), st.sampled_from(SIDES), st.sampled_from([1, 8, 15, 16, 32]))
    def check_many(content: dict[str, Any], image_px: int, hole_px: int) -> None:
        _build_and_train(content, image_px, hole_px)

    check_many()
