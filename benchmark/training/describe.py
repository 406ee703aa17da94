"""A variant -> what it is made of and trained with: layers, parameters, FLOPs, loss terms.

Layers are traced here, as torchinfo counts neither the products between activations (attention)
nor those of layers that have a cheaper form (`models/layers.py`), and so finds other FLOPs.
"""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from tabulate import SEPARATING_LINE, tabulate
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.core.config import Suite
from data.errors import InputError, printable
from models.networks import discriminator_class, generator_class
from models.variant import NetworkSpec, Variant

NOMINAL_IMAGE_PX, NOMINAL_HOLE_PX = 128, 64
"""Sizes where no suite gives them: those of most publications."""
CONVENTION = (
    "FLOPs are those of the forward pass of one image. They count the products of convolutions, "
    "linear layers and matrices, a multiplication and an addition as two, and nothing else."
)
RESAMPLING = (
    "Resampling is counted apart: products that resize or move pixels, which other code bases do "
    "without a product."
)
WIDTH = 100
HEADS = ("layer", "kind", "output", "parameters", "MFLOP", "resampling MFLOP")


@dataclass(frozen=True)
class Layer:
    """One use of a layer in a forward pass."""

    name: str
    """Path in the network; empty for the network itself."""
    kind: str
    output: list[int]
    """Shape without the batch."""
    parameters: int
    """Its own, without those of its parts; 0 from the second use on."""
    flops: int
    resampling_flops: int
    """Of products that resize or move pixels, which involve no weights."""


def generator_flops(suite: Suite, variant: Variant) -> int:
    """Return the FLOPs of the forward pass of a variant's generator, for one image of a suite.

    A multiplication and an addition count as two; resizing and pasting are left out.

    Raises:
        InputError: the generator cannot be built for the sizes of the suite.
    """
    return int(_describe_generator(variant, suite.image_size, suite.mask.size)["flops"])


def generator_parameters(suite: Suite, variant: Variant) -> int:
    """Return the number of parameters of a variant's generator.

    Raises:
        InputError: the generator cannot be built for the sizes of the suite.
    """
    image_size, hole_size = suite.image_size, suite.mask.size
    spec = variant.generator
    make = partial(generator_class(spec.network), image_size, hole_size, **spec.options)
    return _count(_built(variant, make, image_size, hole_size).parameters())


def describe_variant(
    variant: Variant,
    image_size: int = NOMINAL_IMAGE_PX,
    hole_size: int = NOMINAL_HOLE_PX,
    suite: str | None = None,
) -> dict[str, Any]:
    """Return all facts of a variant as plain values.

    Args:
        variant: the variant.
        image_size: side of the images in pixels.
        hole_size: side of the holes in pixels.
        suite: the name of the suite whose sizes these are.

    Raises:
        InputError: a network cannot be built for these sizes.
    """
    discriminators = {}
    for name, spec in variant.discriminators.items():
        side = hole_size if spec.input == "hole" else image_size
        make = partial(discriminator_class(spec.network), side, **spec.options)
        inputs = [torch.empty(1, 3, side, side, device="meta")]
        discriminators[name] = _describe_network(variant, spec, make, inputs, image_size, hole_size)
    return {
        "variant": variant.name,
        "title": variant.title,
        "origin": variant.origin,
        "deviations": list(variant.deviations),
        "suite": suite,
        "image_size": image_size,
        "hole_size": hole_size,
        "convention": f"{CONVENTION} {RESAMPLING}",
        "generator": _describe_generator(variant, image_size, hole_size),
        "discriminators": discriminators,
    }


def _describe_generator(variant: Variant, image_size: int, hole_size: int) -> dict[str, Any]:
    spec = variant.generator
    make = partial(generator_class(spec.network), image_size, hole_size, **spec.options)
    with torch.device("meta"):
        masked, mask = (torch.empty(1, c, image_size, image_size) for c in (3, 1))
        corner = torch.empty(1, 2, dtype=torch.int64)
    return _describe_network(variant, spec, make, [masked, mask, corner], image_size, hole_size)


def _describe_network(
    variant: Variant,
    spec: NetworkSpec,
    make: Callable[[], nn.Module],
    inputs: Sequence[Tensor],
    image_size: int,
    hole_size: int,
) -> dict[str, Any]:
    """Build a network and return its facts."""
    network = _built(variant, make, image_size, hole_size)
    layers = trace_layers(network, inputs)
    blocks = {name: _count(block.parameters()) for name, block in network.named_children()}
    return {
        "network": spec.network,
        "parameters": _count(network.parameters()),
        "blocks": {name: count for name, count in blocks.items() if count},
        "flops": sum(layer.flops for layer in layers),
        "resampling_flops": sum(layer.resampling_flops for layer in layers),
        "layers": [asdict(layer) for layer in layers],
        "training": spec.model_dump(mode="json", exclude={"network"}),
    }


def _built(
    variant: Variant, make: Callable[[], nn.Module], image_size: int, hole_size: int
) -> nn.Module:
    """Build a network without memory for its weights."""
    try:
        with torch.device("meta"):
            return make()
    except ValueError as error:
        raise InputError(
            f"variant {variant.name} does not fit images of {image_size} px with holes of "
            f"{hole_size} px: {error}"
        ) from None


def trace_layers(network: nn.Module, inputs: Sequence[Tensor]) -> list[Layer]:
    """Run a network once and return its layers in the order in which they end.

    A layer is a module without parts, or one with parameters or products besides those of its
    parts.

    Args:
        network: is left with hooks, so it should not be used for anything else.
        inputs: a batch of one; tensors without memory (`meta`) will do.
    """
    names = {module: name for name, module in network.named_modules()}
    layers: list[Layer] = []
    used: set[nn.Module] = set()
    before: list[int] = []
    of_parts = [0]

    def enter(module: nn.Module, _: Any) -> None:
        before.append(counter.get_total_flops())
        of_parts.append(0)

    def leave(module: nn.Module, _: Any, output: Tensor | Sequence[Tensor]) -> None:
        total = counter.get_total_flops() - before.pop()
        own = total - of_parts.pop()
        of_parts[-1] += total
        count = 0 if module in used else _count(module.parameters(recurse=False))
        used.add(module)
        if count or own or next(module.children(), None) is None:
            first = output if isinstance(output, Tensor) else output[0]
            moved = 0 if _computes(module, network) else own
            kind, shape = type(module).__name__, list(first.shape[1:])
            layers.append(Layer(names[module], kind, shape, count, own - moved, moved))

    for module in names:
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(*inputs)
    return layers


def _computes(module: nn.Module, network: nn.Module) -> bool:
    """Return whether a module's own products involve what was learned.

    Those of a module without any parameter resize; those of a network besides its parts paste.
    """
    return next(module.parameters(recurse=module is not network), None) is not None


def _count(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def description_text(content: Mapping[str, Any]) -> str:
    """Return what `describe_variant` found as text for a terminal of 100 columns."""
    sizes = f"{content['image_size']} px with holes of {content['hole_size']} px"
    source = f"suite {content['suite']}" if content["suite"] else "nominal; see --suite"
    networks = {"generator": content["generator"]}
    networks |= {f"discriminator {n}": d for n, d in content["discriminators"].items()}
    lines = [
        *_wrapped(content["title"], f"{content['variant']}: "),
        *_wrapped(content["origin"], "Origin: "),
        f"Sizes: images of {sizes} ({source}).",
    ]
    for role, facts in networks.items():
        lines += ["", f"{role[0].upper()}{role[1:]}: {facts['network']}"]
        lines += _table(facts)
    lines += ["", *_wrapped(CONVENTION), *_wrapped(RESAMPLING), "", "Training"]
    for role, facts in networks.items():
        lines += [f"  {role}", *_training_lines(facts["training"])]
    lines += ["", "Deviations from the origin"]
    for text in content["deviations"] or ["none"]:
        lines += _wrapped(text, "  - ")
    return "\n".join(lines) + "\n"


def _wrapped(text: str, start: str = "") -> list[str]:
    """Return text in lines, those after the first indented as far as the start is, and by 2."""
    indent = " " * (len(start) - len(start.lstrip()) + 2) if start else ""
    return textwrap.wrap(
        printable(" ".join(text.split())), WIDTH, initial_indent=start, subsequent_indent=indent
    )


def _table(facts: Mapping[str, Any]) -> list[str]:
    """Return a network's layers, the parts that it names, and the total.

    Columns without a value are left out.
    """
    layers, sums = facts["layers"], []
    for block, count in facts["blocks"].items():
        inside = [n for n in layers if f"{n['name']}.".startswith(f"{block}.")]
        flops = {key: sum(n[key] for n in inside) for key in ("flops", "resampling_flops")}
        sums.append([block, "", "", *_amounts({"parameters": count, **flops})])
    sums.append(["total", "", "", *_amounts(facts)])
    rows: list[list[str]] = []
    for layer in layers:
        shape = "x".join(map(str, layer["output"]))
        rows.append([layer["name"] or "(whole)", layer["kind"], shape, *_amounts(layer)])
    shown = [i for i in range(len(HEADS)) if any(row[i] for row in rows)]
    lines: list[Any] = [[row[i] for i in shown] for row in (*rows, *sums)]
    lines.insert(len(rows), SEPARATING_LINE)
    aligned = ["left" if i < 2 else "right" for i in shown]
    table = tabulate(lines, [HEADS[i] for i in shown], disable_numparse=True, colalign=aligned)
    return [f"  {line}".rstrip() for line in table.splitlines()]


def _amounts(entry: Mapping[str, Any]) -> list[str]:
    """Return parameters, MFLOP and MFLOP of resampling as printed, nothing for zero."""
    flops = [entry[key] / 1e6 for key in ("flops", "resampling_flops")]
    parameters = f"{entry['parameters']:,}" if entry["parameters"] else ""
    return [parameters, *(f"{value:,.3f}" if value else "" for value in flops)]


def _training_lines(training: Mapping[str, Any]) -> list[str]:
    """Return what a network is trained with, by the keys of the variant's file."""
    entries = {key: value for key, value in training.items() if key != "losses"}
    entries |= {f"loss {name}": term for name, term in training["losses"].items()}
    return [
        line
        for key, value in entries.items()
        if value not in (None, {})
        for line in _wrapped(_words(value), f"    {key}: ")
    ]


def _words(value: Any) -> str:
    """Return plain values as text; entries of a mapping that have no effect are left out."""
    if isinstance(value, Mapping):
        idle = [(key, item) for key, item in value.items() if item in (None, {})]
        idle += [("start", 0), ("ramp", 0)]
        return ", ".join(f"{k} {_words(v)}" for k, v in value.items() if (k, v) not in idle)
    if isinstance(value, list):
        return " / ".join(_words(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
