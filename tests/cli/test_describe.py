"""The description of a variant: parameters and FLOPs that were published or follow by hand."""

import json
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.__main__ import main
from benchmark.core.config import names_in
from benchmark.core.paths import VARIANTS
from benchmark.training.describe import (
    Layer,
    describe_variant,
    description_text,
    generator_flops,
    trace_layers,
)
from data.errors import InputError
from models.layers import Conv2d, ConvTranspose2d
from models.squares import BilinearResize, paste_squares
from tests.support.tiny import ROOT, full_variant, tiny_suite

NAMES = names_in(ROOT / VARIANTS)


def _suite_200() -> Any:
    return tiny_suite(image_size=200, mask={"kind": "random_square", "size": 32, "margin": 16})


@pytest.mark.parametrize(
    ("name", "published"), [("attention_unet", 43.4e9), ("attention_unet_whole", 11.0e9)]
)
def test_flops_are_those_of_the_publication(name: str, published: float) -> None:
    # Published with three digits, so half a unit of the last one is what is known of it.
    found = generator_flops(_suite_200(), full_variant(name))
    assert found == pytest.approx(published, abs=0.05e9)
    assert found == describe_variant(full_variant(name), 200, 32)["generator"]["flops"]


def test_blocks_are_those_of_the_publication() -> None:
    generator = describe_variant(full_variant("attention_unet"), 200, 32)["generator"]
    assert generator["parameters"] == 4_880_836
    assert generator["blocks"] == {
        "enc1": 39_296,
        "enc2": 221_440,
        "enc3": 885_248,
        "attention": 82_241,
        "bottleneck": 1_180_160,
        "dec3": 1_769_984,
        "dec2": 590_080,
        "dec1": 112_387,
    }


class Parts(nn.Module):
    """One of each kind of layer whose products could be missed or counted twice."""

    def __init__(self) -> None:
        super().__init__()
        self.activation = nn.ReLU()
        self.wide = Conv2d(3, 8, 3, padding=1)
        self.narrow = Conv2d(8, 4, 16)  # a matrix product here: its output is one pixel
        self.grow = ConvTranspose2d(4, 2, 4)  # likewise: its input is
        self.attend = Attention()
        self.resize = BilinearResize(4, 8)

    def forward(self, images: Tensor, corner: Tensor) -> Tensor:
        features = self.activation(self.wide(images))
        features = self.activation(self.narrow(features))
        squares = self.resize(self.attend(self.attend(self.grow(features))))
        return paste_squares(squares, corner, images[:, :2])


class Attention(nn.Module):
    """Products between activations, beside a layer with weights."""

    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Conv2d(2, 2, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        key = self.key(features).flatten(2)
        attended: Tensor = key @ (key.transpose(1, 2) @ key)
        return attended.reshape(features.shape)


def test_layers_of_a_network_made_by_hand() -> None:
    with torch.device("meta"):
        network = Parts()
        inputs = [torch.empty(1, 3, 16, 16), torch.empty(1, 2, dtype=torch.int64)]
    # In the order in which they end: a multiplication and an addition for each weight and position.
    # Attention: [16, 2] @ [2, 16], then [2, 16] @ [16, 16]. Resizing 4 to 8: [8, 4] @ [4, 4], then
    # [8, 4] @ [4, 8], for 2 channels. Pasting 8 into 16: [16, 8] @ [8, 8], then [16, 8] @ [8, 16].
    attention = 2 * (16 * 2 * 16 + 2 * 16 * 16)
    resizing = 2 * 2 * (8 * 4 * 4 + 8 * 4 * 8)
    pasting = 2 * 2 * (16 * 8 * 8 + 16 * 8 * 16)
    assert trace_layers(network, inputs) == [
        Layer("wide", "Conv2d", [8, 16, 16], 3 * 8 * 9 + 8, 2 * 3 * 8 * 9 * 256, 0),
        Layer("activation", "ReLU", [8, 16, 16], 0, 0, 0),
        Layer("narrow", "Conv2d", [4, 1, 1], 8 * 4 * 256 + 4, 2 * 8 * 4 * 256, 0),
        Layer("activation", "ReLU", [4, 1, 1], 0, 0, 0),
        Layer("grow", "ConvTranspose2d", [2, 4, 4], 4 * 2 * 16 + 2, 2 * 4 * 2 * 16, 0),
        Layer("attend.key", "Conv2d", [2, 4, 4], 4, 2 * 2 * 2 * 16, 0),
        Layer("attend", "Attention", [2, 4, 4], 0, attention, 0),
        Layer("attend.key", "Conv2d", [2, 4, 4], 0, 2 * 2 * 2 * 16, 0),  # its weights are counted
        Layer("attend", "Attention", [2, 4, 4], 0, attention, 0),
        Layer("resize", "BilinearResize", [2, 8, 8], 0, 0, resizing),
        Layer("", "Parts", [2, 16, 16], 0, 0, pasting),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_adds_up(name: str) -> None:
    content = describe_variant(full_variant(name))
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    for facts in (content["generator"], *content["discriminators"].values()):
        assert sum(facts["blocks"].values()) == facts["parameters"] > 0
        for key in ("parameters", "flops", "resampling_flops"):
            assert sum(layer[key] for layer in facts["layers"]) == facts[key], key
        convolutions = [n for n in facts["layers"] if n["kind"] in ("Conv2d", "ConvTranspose2d")]
        assert all(n["flops"] > 0 and n["resampling_flops"] == 0 for n in convolutions)


@pytest.mark.parametrize("name", NAMES)
def test_text_fits_and_is_aligned(name: str) -> None:
    content = describe_variant(full_variant(name))
    lines = description_text(content).splitlines()
    assert max(len(line) for line in lines) <= 100
    assert all(line == line.rstrip() for line in lines)
    heads = [i for i, line in enumerate(lines) if re.match("  layer +kind +output", line)]
    networks = [content["generator"], *content["discriminators"].values()]
    for head, facts in zip(heads, networks, strict=True):
        layers = facts["layers"]
        ends = {m[0]: m.end() for m in re.finditer("kind|output|parameters", lines[head])}
        rule = head + 2 + len(layers)
        for ruled in (head + 1, rule):
            assert set(lines[ruled]) == {"-", " "}
        for line, layer in zip(lines[head + 2 : rule], layers, strict=True):
            start = ends["kind"] - len("kind")
            assert line[start:].startswith(f"{layer['kind']} ")
            shape, count = "x".join(map(str, layer["output"])), layer["parameters"]
            assert line[: ends["output"]].endswith(f" {shape}")
            if count:
                assert line[: ends["parameters"]].endswith(f" {count:,}")
        total = lines[rule + 1 + len(facts["blocks"])]
        assert total.startswith("  total ") and f" {facts['parameters']:,} " in total


def test_text_says_how_it_is_trained() -> None:
    text = description_text(describe_variant(full_variant("staged")))
    training = text[text.index("\nTraining\n") :]
    for line in (
        "loss hole_mse: weight 0.999, options average image\n",
        "loss adversarial: weight 0.001, discriminator binary\n",
        "loss iou: weight 0.0005, discriminator localizer, start 0.6667, ramp 0.1667\n",
        "optimizer: lr 0.0002, betas 0.5 / 0.999\n",
        "input: completed",
        "update_every: 1",
        "start: 0.7",
    ):
        assert line in training
    assert "Origin: LocPaint" in text
    nobias = description_text(describe_variant(full_variant("context_encoder_nobias")))
    assert "    options: bias False" in nobias
    assert "  - The budget is the suite's; the authors trained 30 epochs." in text


def test_json_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "staged", "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    content = json.loads(printed.out)
    assert printed.out == json.dumps(content, indent=1, sort_keys=True) + "\n"
    assert content["generator"]["parameters"] == 17_480_419
    assert content["discriminators"]["localizer"]["parameters"] == 9_052_229
    assert content["discriminators"]["binary"]["parameters"] == 2_766_529
    assert (content["suite"], content["image_size"], content["hole_size"]) == (None, 128, 64)
    assert content["generator"]["layers"][0]["output"] == [64, 32, 32]


def test_sizes_are_those_of_the_suite(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "binary", "--suite", "portraits"]) == 0
    text = capsys.readouterr().out
    assert "images of 32 px with holes of 16 px (suite portraits)" in text
    assert re.search(r"layers\.0 +Conv2d +64x8x8", text)  # the discriminator sees the hole


def test_wrong_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "locliser"]) == 2
    assert "Did you mean localizer?" in capsys.readouterr().err
    assert main(["describe", "l2", "--suite", "portrait"]) == 2
    assert "Did you mean portraits?" in capsys.readouterr().err


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="context_encoder does not fit images of 200 px"):
        describe_variant(full_variant("context_encoder"), 200, 64)
