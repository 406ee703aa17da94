"""Randomness is a value: what it depends on, what not, and that nothing else draws any."""

import ast
import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import kstest
from torch import Tensor

from benchmark.training.batches import ImageFeed, training_batches
from benchmark.training.gan import build_gan
from benchmark.training.rng import (
    StepDraws,
    training_boxes,
    training_flips,
    training_hole_sizes,
    training_order,
    weight_uniforms,
)
from data.errors import InputError
from data.masks import MaskSpec
from models.initialization import initialize
from tests.support.tiny import (
    ROOT,
    cpu_engine,
    find_generator,
    full_variant,
    numbers,
    tiny_suite,
    tiny_variant,
)

LAW = MaskSpec(kind="random_square", size=16)
GOLDEN = {
    "fan_in": "12354d2a4f94586a719c965974494dbeb8fe1a4f81e410886bee8794b18ee532",
    "dcgan": "2b26e63972f08cefe72ec7354b2d01e4311b3fabdf24a75850d328cba4b2764b",
    "order": "1e14eb8aea67dccde6690f7ef49ed46162959d260cf3a59075ec5461b7d39b3f",
    "holes": "b36f15392cb965029c4d460886ff929219a1a26295c280a5d46acd3ca2e13b11",
    "sizes": "8a3c32fbe5df526da1a8dc3a7691af201f8928402294805e7b756e3a5da2d8d5",
    "flips": "e9474e02bca1c9bc20c92ed32a8f383d8fd4e67404f3b779b2ffb36bf6a10fd9",
    "dropout": "e70d4d753d7a0317412d2f785b863840106f85b4c5230851033692cac68524fb",
}
"""SHA-256 of what is drawn; equal on every machine, as are the runs that are made of it."""
PACKAGES = ("benchmark", "models", "data")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


# Initial weights


@pytest.fixture(autouse=True)
def _tiny_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.training.gan.generator_class", find_generator)


def _initial(variant: str, seed: int) -> dict[str, torch.Tensor]:
    return build_gan(tiny_suite(), tiny_variant(variant), seed, cpu_engine()).weights()


def test_variants_that_share_a_network_start_from_equal_weights() -> None:
    first = {name: _initial(name, 0) for name in ("l2", "binary", "localizer", "localizer_raw")}
    for weights in first.values():
        for name, value in first["l2"].items():
            assert torch.equal(weights[name], value)
    for name, value in first["localizer"].items():
        assert torch.equal(first["localizer_raw"][name], value)


@pytest.mark.promise("everywhere")
def test_initial_weights_differ_by_seed_and_by_parameter_and_not_by_the_global_state() -> None:
    torch.manual_seed(1)
    first = _initial("localizer", 0)
    torch.manual_seed(2)
    again, other = _initial("localizer", 0), _initial("localizer", 1)
    drawn = [name for name, value in first.items() if value.min() < value.max()]
    assert len(drawn) > 15
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in drawn)
    heads = [first[f"discriminator/localizer/{head}.0.weight"] for head in ("confidence", "box")]
    assert not torch.equal(*heads)


@pytest.mark.parametrize("layer", ["Conv2d", "ConvTranspose2d", "Linear"])
def test_initial_weights_have_the_distribution_of_torch(layer: str) -> None:
    options = {} if layer == "Linear" else {"kernel_size": 4}
    ours: torch.nn.Module = getattr(torch.nn, layer)(64, 256, **options)
    theirs: torch.nn.Module = getattr(torch.nn, layer)(64, 256, **options)
    initialize(ours, weight_uniforms(0, "test"))
    for name, parameter in theirs.named_parameters():
        drawn, reference = ours.get_parameter(name), parameter
        # Both fill the same interval: of 256 uniform numbers the outermost are within 5 % of its
        # ends but for a chance of e^-6 a side; the mean's standard deviation is 3.6 % of its half.
        assert drawn.max().item() == pytest.approx(reference.max().item(), rel=0.05)
        assert drawn.min().item() == pytest.approx(reference.min().item(), rel=0.05)
        assert abs(drawn.mean().item()) < 0.15 * drawn.max().item()


def test_dcgan_law_is_normal() -> None:
    convolution, norm = torch.nn.Conv2d(64, 128, 4), torch.nn.BatchNorm2d(4096)
    initialize(torch.nn.Sequential(convolution, norm), weight_uniforms(0, "test"), "dcgan")
    assert convolution.bias is not None
    assert not convolution.bias.any()
    assert not norm.bias.any()
    weights, scales = convolution.weight.detach().flatten(), norm.weight.detach()
    for values, mean in ((weights, 0.0), (scales, 1.0)):
        # The Kolmogorov-Smirnov distance stays below 1.95 / √n in 999 of 1,000 samples.
        distance = kstest((values.double().numpy() - mean) / 0.02, "norm").statistic
        assert distance < 1.95 / len(values) ** 0.5
    # Known draws have known quantiles: the median, and one standard deviation above it.
    known = torch.tensor([0.5, 0.8413447460685429], dtype=torch.float64)
    layer = torch.nn.Linear(2, 1)
    initialize(layer, lambda name, shape: known.reshape(1, 2), "dcgan")
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([[0.0, 0.02]]))


def test_draw_of_zero_has_a_finite_weight() -> None:
    layer = torch.nn.Linear(2, 2)
    initialize(layer, lambda name, shape: torch.zeros(shape, dtype=torch.float64), "dcgan")
    assert layer.weight.isfinite().all()


@pytest.mark.promise("everywhere")
@pytest.mark.parametrize("law", ["fan_in", "dcgan"])
def test_initial_weights_are_pinned(law: Literal["fan_in", "dcgan"]) -> None:
    layer = torch.nn.Conv2d(3, 8, 4)
    initialize(layer, weight_uniforms(0, "test"), law)
    digest = hashlib.sha256(layer.weight.detach().numpy().tobytes()).hexdigest()
    assert digest == GOLDEN[law]


@pytest.mark.promise("everywhere")
@pytest.mark.parametrize("what", ["order", "holes", "sizes", "flips", "dropout"])
def test_what_an_epoch_draws_is_pinned(what: str) -> None:
    draws = StepDraws(7, "dropout", "discriminator localizer.head")
    draws.begin_step(5)
    made: dict[str, Callable[[], NDArray[Any]]] = {
        "order": lambda: training_order(7, 3, 100),
        "holes": lambda: training_boxes(7, 3, 100, LAW, 64),
        "sizes": lambda: training_hole_sizes(7, 3, 100, (8, 40)),
        "flips": lambda: training_flips(7, 3, 100),
        "dropout": lambda: draws((4, 25)).numpy(),
    }
    found = made[what]()
    content = found.astype(found.dtype.newbyteorder("<")).tobytes()
    assert hashlib.sha256(content).hexdigest() == GOLDEN[what]


def test_dropout_draws_are_a_value_of_step_call_and_layer() -> None:
    def drawn(seed: int, layer: str, step: int, calls: int) -> Tensor:
        draws = StepDraws(seed, "dropout", layer)
        draws.begin_step(3)  # what came before leaves no trace
        draws((5,))
        draws.begin_step(step)
        return [draws((2, 7)) for _ in range(calls)][-1]

    expected = drawn(0, "a", 2, 2)
    assert torch.equal(drawn(0, "a", 2, 2), expected)
    assert expected.min() >= 0
    assert expected.max() < 1
    for other in (drawn(1, "a", 2, 2), drawn(0, "b", 2, 2), drawn(0, "a", 1, 2)):
        assert not torch.equal(other, expected)
    assert not torch.equal(drawn(0, "a", 2, 1), expected)


def test_batch_norm_starts_neutral_whatever_it_was() -> None:
    layer = torch.nn.BatchNorm2d(3)
    layer.train()(numbers()(4, 3, 2, 2))
    torch.nn.init.constant_(layer.weight, 7.0)
    initialize(layer, weight_uniforms(0, "test"))
    assert layer.weight.tolist() == [1.0] * 3
    assert layer.bias.tolist() == [0.0] * 3
    assert layer.running_mean is not None
    assert layer.running_mean.tolist() == [0.0] * 3


def test_layer_without_a_rule_is_refused() -> None:
    with pytest.raises(TypeError, match="no rule to initialize PReLU"):
        initialize(torch.nn.Sequential(torch.nn.PReLU()), weight_uniforms(0, "test"))


# Data order


@pytest.mark.parametrize("count", [1, 2, 48, 1000])
def test_order_is_a_permutation(count: int) -> None:
    order = training_order(0, 0, count)
    assert sorted(order.tolist()) == list(range(count))
    if count >= 48:  # by chance equal once in 48!
        assert order.tolist() != training_order(0, 1, count).tolist()
        assert order.tolist() != training_order(1, 0, count).tolist()
        assert order.tolist() != list(range(count))


def test_all_positions_are_equally_likely() -> None:
    places = np.array([np.flatnonzero(training_order(seed, 0, 10) == 0) for seed in range(2000)])
    counts = np.bincount(places.ravel(), minlength=10)
    # 200 each, standard deviation 13.4: five of them.
    assert np.abs(counts - 200).max() < 67


@pytest.mark.promise("everywhere")
def test_draws_of_an_image_do_not_depend_on_how_many_there_are() -> None:
    boxes, flips = training_boxes(3, 5, 100, LAW, 32), training_flips(3, 5, 100)
    assert np.array_equal(boxes[:10], training_boxes(3, 5, 10, LAW, 32))
    assert np.array_equal(flips[:10], training_flips(3, 5, 10))


def test_purposes_epochs_and_seeds_draw_apart() -> None:
    boxes = [training_boxes(seed, epoch, 50, LAW, 32) for seed in (0, 1) for epoch in (0, 1)]
    flips = [training_flips(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)]
    for draws in (boxes, flips):
        assert len({draw.tobytes() for draw in draws}) == 4
    assert 10 < flips[0].sum() < 40  # 25 on average, standard deviation 3.5


def test_order_hole_and_mirroring_of_an_image_have_nothing_in_common() -> None:
    order = training_order(0, 0, 1000)
    flips, boxes = training_flips(0, 0, 1000)[order], training_boxes(0, 0, 1000, LAW, 32)[order]
    place, x0, y0 = np.arange(1000), boxes[:, 0], boxes[:, 1]
    for first, second in ((place, flips), (place, x0), (place, y0), (flips, x0), (x0, y0)):
        # Zero on average, standard deviation 1/sqrt(1000) = .03; the same bits would give .8.
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.15


@pytest.mark.promise("everywhere")
@pytest.mark.parametrize("batch_size", [4, 6, 12, 24])
def test_scenes_of_an_epoch_do_not_depend_on_the_batch_size(batch_size: int) -> None:
    def epoch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        suite = tiny_suite(training={"batch_size": size})
        images = np.arange(24 * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8)
        packed = images.reshape(24, 32, 32, 3) + np.arange(24, dtype=np.uint8)[:, None, None, None]
        device = torch.device("cpu")
        batches = [*training_batches(suite, 7, 2, 0, ImageFeed(packed, device))]
        return torch.cat([s.image for s in batches]), torch.cat([s.mask for s in batches])

    for ours, reference in zip(epoch(batch_size), epoch(8), strict=True):
        assert torch.equal(ours, reference)


@pytest.mark.promise("everywhere")
def test_scenes_from_a_step_on_are_the_tail_of_the_epoch() -> None:
    suite, device = tiny_suite(), torch.device("cpu")
    packed = numbers()(48, 32, 32, 3).mul(127).add(128).byte().numpy()
    feed = ImageFeed(packed, device)
    whole = [*training_batches(suite, 0, 1, 0, feed)]
    tail = [*training_batches(suite, 0, 1, 4, feed)]
    assert len(whole) == 6
    for ours, reference in zip(tail, whole[4:], strict=True):
        assert torch.equal(ours.image, reference.image)
        assert torch.equal(ours.mask, reference.mask)


def test_hole_sizes_of_batches_are_all_between_the_bounds() -> None:
    sizes = training_hole_sizes(0, 0, 400, (8, 12))
    assert set(sizes.tolist()) == {8, 9, 10, 11, 12}
    assert np.array_equal(training_hole_sizes(0, 0, 7, (8, 12)), sizes[:7])
    assert not np.array_equal(training_hole_sizes(0, 1, 400, (8, 12)), sizes)


def test_scenes_have_holes_of_the_size_drawn_for_their_batch() -> None:
    suite = tiny_suite({"hole_sizes": [8, 12], "batch_size": 4})
    images = np.zeros((48, 32, 32, 3), np.uint8)
    device = torch.device("cpu")
    batches = list(training_batches(suite, 0, 0, 0, ImageFeed(images, device)))
    expected = training_hole_sizes(0, 0, 12, (8, 12)).tolist()
    assert [batch.hole_size for batch in batches] == expected
    for batch in batches:
        assert batch.mask.sum((1, 2, 3)).tolist() == [batch.hole_size**2] * 4
        assert torch.equal(batch.mask, batch.window(1) * batch.mask)
    later = next(training_batches(suite, 0, 0, 5, ImageFeed(images, device)))
    assert torch.equal(later.mask, batches[5].mask)


@pytest.mark.parametrize(
    ("name", "network"), [("binary", "binary"), ("context_encoder", "context")]
)
def test_networks_for_one_hole_size_refuse_several(name: str, network: str) -> None:
    suite = tiny_suite({"hole_sizes": [8, 12]})
    with pytest.raises(InputError, match=f"{network}.* takes holes of one size"):
        build_gan(suite, full_variant(name), 0, cpu_engine())


def test_flip_mirrors_left_and_right_of_some_images() -> None:
    device = torch.device("cpu")
    packed = numbers()(48, 32, 32, 3).mul(127).add(128).byte().numpy()
    feed = ImageFeed(packed, device)
    order, flips = training_order(0, 0, 48), training_flips(0, 0, 48)
    plain, mirrored = (
        torch.cat([s.image for s in training_batches(suite, 0, 0, 0, feed)])
        for suite in (tiny_suite(training={"flip": False}), tiny_suite())
    )
    for place, row in enumerate(order):
        expected = plain[place].flip(2) if flips[row] else plain[place]
        assert torch.equal(mirrored[place], expected)


# Nothing else draws

TORCH_DRAWS = ("rand", "manual_seed", "seed", "normal", "bernoulli", "multinomial", "dropout")
METHODS = ("uniform_", "normal_", "bernoulli_", "random_", "seed_everything", "urandom", "uuid4")


def _drawing(tree: ast.AST) -> Iterator[str]:
    """Yield what a module uses of the generators with a state."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            dotted = re.fullmatch(r"[\w.]+", ast.unparse(node))
            names = [dotted[0] if dotted else f"….{node.attr}"]
        yield from (name for name in names if _draws(name))


def _draws(name: str) -> bool:
    first, *rest = name.split(".")
    if first in ("np", "numpy"):
        # Philox is counter-based, and seeded by nothing but its arguments.
        return rest[:1] == ["random"] and len(rest) > 1 and rest[1] != "Philox"
    if first == "torch" and any(part.startswith(TORCH_DRAWS) for part in rest):
        return True
    return first in ("random", "secrets") or rest[-1:] in ([last] for last in METHODS)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import random", ["random"]),
        ("from random import choice", ["random.choice"]),
        ("np.random.rand(3)", ["np.random.rand"]),
        ("numpy.random.default_rng()", ["numpy.random.default_rng"]),
        ("from numpy.random import default_rng", ["numpy.random.default_rng"]),
        ("torch.manual_seed(0)", ["torch.manual_seed"]),
        ("torch.cuda.manual_seed_all(0)", ["torch.cuda.manual_seed_all"]),
        ("torch.randperm(3)", ["torch.randperm"]),
        ("x.normal_()", ["x.normal_"]),
        ("torch.empty(3).uniform_()", ["….uniform_"]),
        ("os.urandom(3)", ["os.urandom"]),
        ("np.random.Philox(key=1).random_raw(3)", []),
        ("from benchmark.training.rng import training_order", []),
        ("torch.round(x) + np.rint(y)", []),
    ],
)
def test_the_search_finds_what_draws(code: str, expected: list[str]) -> None:
    assert [*_drawing(ast.parse(code))] == expected


@pytest.mark.promise("everywhere")
def test_nothing_draws_from_a_generator_with_a_state() -> None:
    assert len(MODULES) > 30
    for path in MODULES:
        assert [*_drawing(ast.parse(path.read_text(encoding="utf-8")))] == [], path
