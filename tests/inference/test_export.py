"""ONNX files: they compute what PyTorch computes, need nothing else, and give nothing away."""

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmark.__main__ import main
from benchmark.cli.inference import ONNX_EXAMPLE
from benchmark.core.config import Suite
from benchmark.core.hashing import file_sha256
from benchmark.core.paths import Run
from benchmark.inference.export import (
    MAX_DIFFERENCE,
    Completer,
    export_run,
    largest_difference,
    onnx_bytes,
)
from benchmark.inference.trained import load_folder
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from benchmark.training.checkpoints import MANIFEST
from benchmark.training.network_inputs import Inpainter
from models.networks import generator_class, generator_names
from models.variant import Variant
from tests.support.tiny import (
    HOLE_PX,
    IMAGE_PX,
    ROOT,
    full_variant,
    isolate,
    random_batch,
    tiny_suite,
    tiny_variant,
)

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

RUN = Run("tiny", "l2", 3)
FOLDER = RUN.checkpoints
OUT = Path("model.onnx")
CLOSE = 1e-5
"""The tiny network sums up to 128 float32 products per value, in two orders."""


def _suite(name: str = "tiny", root: Path = Path()) -> Suite:
    return tiny_suite({"epochs": 2})


def _variant(name: str = "l2", root: Path = Path()) -> Variant:
    """Return a variant that shows its generator another color and another mask than usual."""
    variant = tiny_variant(name)
    generator = variant.generator.model_copy(update={"fill": (117, 104, 123), "mask_dilation": 3})
    return variant.model_copy(update={"generator": generator})


def _isolate(patch: pytest.MonkeyPatch, folder: Path) -> None:
    isolate(patch, folder)
    patch.setattr("benchmark.inference.trained.load_suite", _suite)
    patch.setattr("benchmark.inference.trained.load_variant", _variant)
    patch.setattr("benchmark.__main__.snapshot", dict)  # someone may edit while this runs


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout with a trained and exported run, and without its images."""
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        _isolate(patch, folder)
        split_suite(_suite())
        train_run(_suite(), _variant(), RUN, "cpu")
        torch.use_deterministic_algorithms(False)  # training sets it for the whole process
        shutil.rmtree("data")
        export_run(FOLDER, OUT)
    return folder


@pytest.fixture
def checkout(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of it, which is the present folder."""
    shutil.copytree(exported, tmp_path / "checkout")
    _isolate(monkeypatch, tmp_path / "checkout")
    return tmp_path / "checkout"


@pytest.fixture
def session(checkout: Path) -> Any:
    return onnxruntime.InferenceSession(OUT)


def _run(session: Any, image: Tensor, mask: Tensor) -> list[NDArray[np.float32]]:
    found: list[NDArray[np.float32]] = session.run(
        ["completed", "raw"], {"image": image.numpy(), "mask": mask.numpy()}
    )
    return found


# What is computed


@pytest.mark.promise("networks")
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_file_computes_what_the_trained_generator_computes(session: Any, count: int) -> None:
    trained = load_folder(FOLDER, "cpu")[2]
    batch = random_batch(count, seed=count)  # holes at two corners of the image among them
    with torch.no_grad():
        expected = trained.inpainter(batch).numpy()
    completed, raw = _run(session, batch.image, batch.mask)
    assert raw.shape == (count, 3, IMAGE_PX, IMAGE_PX)
    np.testing.assert_allclose(raw, expected, rtol=0, atol=CLOSE)
    hole = np.broadcast_to(batch.mask.bool().numpy(), raw.shape)
    assert np.array_equal(completed[hole], raw[hole])
    assert np.array_equal(completed[~hole], batch.image.numpy()[~hole])


def test_nothing_in_the_hole_is_looked_at(session: Any) -> None:
    batch = random_batch(3)
    expected = _run(session, batch.image, batch.mask)
    for content in (1.0, -7.0, float("nan"), float("inf")):
        image = torch.where(batch.mask.bool(), content, batch.image)
        for found, wanted in zip(_run(session, image, batch.mask), expected, strict=True):
            assert np.array_equal(found, wanted)


def test_generator_is_shown_what_it_was_trained_on(session: Any) -> None:
    # The fill and the grown mask both matter to this network, so a graph without one is off.
    batch = random_batch(3)
    trained = load_folder(FOLDER, "cpu")[2]
    found = torch.from_numpy(_run(session, batch.image, batch.mask)[1])
    for update in ({"fill": None}, {"mask_dilation": 0}):
        spec = trained.inpainter.spec.model_copy(update=update)
        with torch.no_grad():
            other = Inpainter(trained.inpainter.network, spec)(batch)
        assert (found - other).abs().max() > 100 * CLOSE


def _assert_exports(name: str, size: int, close: float) -> None:
    network = generator_class(name)(size, size // 2).eval()
    with torch.no_grad():
        for path, parameter in network.named_parameters():
            if path.endswith("gain.factor"):  # starts at 0, which hides what it scales
                parameter.fill_(0.5)
    spec = full_variant("l2").generator.model_copy(update={"mask_dilation": 2})
    completer = Completer(Inpainter(network, spec), size // 2).eval()
    suite = tiny_suite(image_size=size, mask={"kind": "center", "size": size // 2})
    content = onnx_bytes(completer, suite, {})
    assert largest_difference(content, completer, suite) < close
    _assert_gives_nothing_away(content)


@pytest.mark.promise("networks")
def test_generator_that_pastes_can_be_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    # It has the most that a graph could get wrong: products for convolutions, and pasting. With a
    # hundredth of its widest layer, for the sake of time.
    monkeypatch.setattr("models.generators.context_encoder.LATENT_CHANNELS", 40)
    _assert_exports("context_encoder", IMAGE_PX, CLOSE)


@pytest.mark.promise("networks")
@pytest.mark.slow
@pytest.mark.parametrize("name", generator_names())
def test_every_generator_can_be_exported(name: str) -> None:
    _assert_exports(name, 64, MAX_DIFFERENCE)


def test_example_of_the_help_runs(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--help"]) == 0
    assert indent(ONNX_EXAMPLE, "  ") in capsys.readouterr().out
    Image.new("RGB", (50, 40), (255, 0, 0)).save("picture.png")
    names: dict[str, Any] = {}
    exec(ONNX_EXAMPLE.split("\n\n", 1)[1].replace("\n  ", "\n").removeprefix("  "), names)
    completed = names["completed"]
    assert completed.shape == (1, 3, IMAGE_PX, IMAGE_PX)
    assert completed[0, :, -1, -1].tolist() == [1, -1, -1]
    assert np.abs(completed[0, :, 5, 5] - [1, -1, -1]).max() > 0.01  # the corner that was the hole


# What is in the file


def test_file_is_valid_and_its_batch_has_any_size(checkout: Path) -> None:
    model = onnx.load(OUT)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 20)]
    found = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    whole = ["batch", 3, IMAGE_PX, IMAGE_PX]
    mask = ["batch", 1, IMAGE_PX, IMAGE_PX]
    assert found == {"image": whole, "mask": mask, "completed": whole, "raw": whole}


def test_metadata_says_what_a_user_needs(session: Any) -> None:
    manifest = json.loads((FOLDER / MANIFEST).read_text())
    chosen = manifest["checkpoints"]["best_val_psnr"]
    found = session.get_modelmeta().custom_metadata_map
    assert found == {
        "mask_polarity": "1 = hole",
        "value_range": "[-1, 1], RGB",
        "inputs": "image: float32 [N, 3, 32, 32]; mask: float32 [N, 1, 32, 32], one square of "
        "16 px in each",
        "outputs": "completed: float32 [N, 3, 32, 32], known pixels as in image; raw: float32 "
        "[N, 3, 32, 32], as the generator put it out",
        "image_size": "32",
        "hole_size": "16",
        "opset": "20",
        "suite": "tiny",
        "variant": "l2",
        "seed": "3",
        "title": full_variant("l2").title,
        "criterion": "best_val_psnr",
        "epoch": str(chosen["epoch"]),
        "checkpoint_sha256": file_sha256(FOLDER / chosen["file"]),
        "config_sha256": manifest["config_sha256"],
        "project": "InpaintBench",
    }


def _assert_gives_nothing_away(content: bytes) -> None:
    for trace in (str(ROOT), sys.prefix, "site-packages", 'File "'):
        assert trace.encode() not in content, trace
    if len(host := socket.gethostname()) > 5:  # a shorter one may be there by chance
        assert host.encode() not in content


@pytest.mark.promise("same_bytes")
def test_equal_runs_give_equal_bytes(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = OUT.read_bytes()
    assert str(checkout).encode() not in first
    _assert_gives_nothing_away(first)
    again = Path("elsewhere/again.onnx")
    assert main(["export", "--checkpoint", str(FOLDER.absolute()), "--out", str(again)]) == 0
    assert again.read_bytes() == first
    assert [path.name for path in again.parent.iterdir()] == ["again.onnx"]
    printed = capfd.readouterr()  # what libraries print too
    assert printed.err == ""
    pattern = rf"{again}: best_val_psnr, epoch [12]; .* PyTorch differ by (\S+) at most, .*\n"
    found = re.fullmatch(pattern, printed.out)
    assert found and float(found[1]) < CLOSE
    arguments = ["--checkpoint", str(FOLDER), "--out", str(again), "--overwrite", "--json"]
    assert main(["export", *arguments]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said.pop("epoch") in (1, 2) and said.pop("difference") == float(found[1])
    assert said == {"file": str(again), "criterion": "best_val_psnr"}


IN_A_PROCESS = """
import hashlib, torch
from benchmark.inference.export import Completer, onnx_bytes
from benchmark.training.network_inputs import Inpainter
from models.networks import generator_class
from tests.support.tiny import full_variant, tiny_suite
network = generator_class("attention_unet")(32, 16, channels=8).eval()
for index, parameter in enumerate(network.parameters()):
    torch.nn.init.constant_(parameter, index / 1000)
completer = Completer(Inpainter(network, full_variant("attention_unet").generator), 16)
print(hashlib.sha256(onnx_bytes(completer.eval(), tiny_suite(), {"b": "1", "a": "2"})).hexdigest())
"""


@pytest.mark.promise("same_bytes")
@pytest.mark.slow
def test_equal_networks_give_equal_bytes_in_every_process(tmp_path: Path) -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", IN_A_PROCESS],
            cwd=ROOT, capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


# The command


def test_criterion_chooses_the_checkpoint(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str] = {}

    def note(_: Completer, __: Suite, properties: dict[str, str]) -> bytes:
        seen.update(properties)
        return b"graph"

    monkeypatch.setattr("benchmark.inference.export.onnx_bytes", note)
    monkeypatch.setattr("benchmark.inference.export.largest_difference", lambda *_: 0.0)
    assert export_run(FOLDER, OUT, "last", overwrite=True)[0].criterion == "last"
    assert (seen["criterion"], seen["epoch"]) == ("last", "2")
    last = json.loads((FOLDER / MANIFEST).read_text())["checkpoints"]["last"]
    assert seen["checkpoint_sha256"] == last["sha256"]
    assert OUT.read_bytes() == b"graph"


@pytest.mark.parametrize("error", [2 * MAX_DIFFERENCE, float("nan")])
def test_file_that_computes_something_else_is_not_written(
    checkout: Path,
    error: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original: Callable[..., Any] = onnxruntime.InferenceSession

    class Wrong:
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._session = original(*arguments, **options)

        def run(self, *arguments: Any) -> list[NDArray[np.float32]]:
            completed, raw = self._session.run(*arguments)
            raw[-1, -1, -1, -1] += error
            return [completed, raw]

    before = OUT.read_bytes()
    monkeypatch.setattr("onnxruntime.InferenceSession", Wrong)
    monkeypatch.setattr("benchmark.inference.export.onnx_bytes", lambda *_: before)
    assert main(["export", "--checkpoint", str(FOLDER), "--out", "new.onnx"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: new.onnx: not written") and message.count("\n") == 1
    assert {path.name for path in Path().iterdir()} == {"benchmark", "models", "reports", OUT.name}


def test_difference_is_that_of_the_worst_value(checkout: Path) -> None:
    completer = Completer(load_folder(FOLDER, "cpu")[2].inpainter, HOLE_PX)
    content = OUT.read_bytes()
    assert largest_difference(content, completer, _suite()) < CLOSE

    class Shifted(Completer):
        def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
            completed, raw = super().forward(image, mask)
            completed[0, 0, 0, 0] += 0.25
            return completed, raw

    shifted = Shifted(completer._inpainter, HOLE_PX)
    assert largest_difference(content, shifted, _suite()) == pytest.approx(0.25, abs=CLOSE)


def _refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["export", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1
    return message


@pytest.mark.promise("writing")
@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_there_is_replaced_only_on_demand(
    checkout: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    place, before = Path("mine.onnx"), OUT.read_bytes()
    if kind == "file":
        place.write_bytes(b"mine")
    else:
        place.symlink_to("nowhere")
    options = ["--checkpoint", str(FOLDER), "--out", str(place)]
    assert f"{place}: is there already; --overwrite replaces it" in _refusal(capsys, *options)
    if kind == "file":
        assert main(["export", *options, "--overwrite"]) == 0 and place.read_bytes() == before
