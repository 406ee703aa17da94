"""From a suite and a variant to the GAN: networks with weights drawn, optimizers, on a device."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.core.config import Suite
from benchmark.core.device import Engine
from benchmark.core.hashing import json_digest
from benchmark.training.network_inputs import Inpainter
from benchmark.training.rng import StepDraws, weight_uniforms
from benchmark.training.tensors import with_prefix, without_prefix
from data.errors import InputError
from models.initialization import initialize
from models.layers import Dropout
from models.networks import discriminator_class, generator_class
from models.replicas import Part, sum_gradients, synchronize_norms, together
from models.variant import DiscriminatorSpec, GeneratorSpec, SkipRule, Variant


class RecentAccuracy:
    """The share of right answers of a discriminator in its latest steps, kept on the device."""

    def __init__(self, rule: SkipRule, device: torch.device) -> None:
        self._rule = rule
        self._values = torch.zeros(rule.window, device=device)
        self._count = 0

    def note(self, share: Tensor) -> Tensor:
        """Take note of a step's share of right answers.

        Returns:
            `[]`, 1 if the mean is now above the limit, so that the step is to be skipped, else 0.
        """
        self._values[self._count % self._rule.window] = share
        self._count += 1
        mean = self._values.sum() / min(self._count, self._rule.window)
        return (mean > self._rule.accuracy).float()

    def tensors(self) -> dict[str, Tensor]:
        """Return the state, for resuming."""
        return {"values": self._values, "count": torch.tensor(self._count)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set the state."""
        self._values.copy_(tensors["values"])
        self._count = int(tensors["count"])


@dataclass(frozen=True)
class TrainableNetwork:
    """A network and its optimizer, set up on a device."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    clip_norm: float | None = None
    recent: RecentAccuracy | None = None
    """Of a discriminator that is not updated while it is too good."""
    label_draws: StepDraws | None = None
    """Of a discriminator whose labels are drawn."""

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and optimizer state, for resuming."""
        tensors = with_prefix("network", self.network.state_dict())
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= with_prefix(f"optimizer/{index}", state)
        if self.recent is not None:
            tensors |= with_prefix("recent", self.recent.tensors())
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set weights and optimizer state."""
        self.network.load_state_dict(without_prefix("network", tensors))
        state: dict[int, dict[str, Tensor]] = defaultdict(dict)
        for path, value in without_prefix("optimizer", tensors).items():
            index, name = path.split("/")
            state[int(index)][name] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": dict(state)})
        if self.recent is not None:
            self.recent.restore(without_prefix("recent", tensors))

    def update(
        self, loss: Tensor, skip: Tensor | None = None, gradient: Tensor | None = None
    ) -> None:
        """Do a step of the optimizer.

        Args:
            loss: what to minimize, or what the gradient is known of; where processes share a batch,
                the process's part of the loss of all of it.
            skip: `[]`, 1 where neither weights nor the optimizer's state are to change, else 0; it
                stays on the device. Running statistics of batch norm change all the same.
            gradient: that of the loss, in the same shape; 1 without it.
        """
        self.optimizer.zero_grad()
        torch.autograd.backward(loss, gradient)
        sum_gradients(self.network)
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm)
        if skip is not None:
            # The fused kernel leaves everything as it is where this flag is set, as it does for
            # gradients that overflow in mixed precision.
            self.optimizer.found_inf = skip  # type: ignore[attr-defined]
        self.optimizer.step()


@dataclass(frozen=True)
class GAN:
    """All networks of a run."""

    variant: Variant
    generator: TrainableNetwork
    discriminators: dict[str, TrainableNetwork]
    draws: tuple[StepDraws, ...] = ()
    """Everything that is drawn in a step: dropped values and labels."""
    compiled: bool = False

    @property
    def inpainter(self) -> Inpainter:
        """The generator and what it is shown."""
        return Inpainter(self.generator.network, self.variant.generator)

    @property
    def networks(self) -> dict[str, TrainableNetwork]:
        """All networks, named `generator` and `discriminator/<name>`."""
        return {"generator": self.generator} | {
            f"discriminator/{name}": trained for name, trained in self.discriminators.items()
        }

    def begin_step(self, step: int, part: Part | None = None) -> None:
        """Say that the networks are next asked in the step of this number, for a part of a batch.

        Without a part they are asked for all of it.
        """
        for draws in self.draws:
            draws.begin_step(step, part)
        if self.compiled:
            # What a captured graph put out stays until here: without this, a discriminator's
            # backward pass would count as the end of the step, before that of the generator.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]

    def train(self, training: bool) -> None:
        """Put all networks into training or evaluation mode."""
        for trained in self.networks.values():
            trained.network.train(training)

    def weights(self) -> dict[str, Tensor]:
        """Return all weights, named `generator/…` and `discriminator/<name>/…`."""
        weights: dict[str, Tensor] = {}
        for name, trained in self.networks.items():
            weights |= with_prefix(name, trained.network.state_dict())
        return weights

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on."""
        tensors: dict[str, Tensor] = {}
        for name, trained in self.networks.items():
            tensors |= with_prefix(name, trained.tensors())
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set everything that `tensors` returned."""
        for name, trained in self.networks.items():
            trained.restore(without_prefix(name, tensors))


def training_digest(suite: Suite, variant: Variant) -> str:
    """Return the SHA-256 of all settings that trained weights depend on, besides seed and data.

    Titles and the manner of evaluation are not among them. Nor is what has its default, so that a
    new setting changes no digest where it is not used; a default therefore never changes.
    """
    ours = {"update_order", "generator", "discriminators"}
    content = variant.model_dump(mode="json", include=ours, exclude_defaults=True)
    theirs = {"image_size", "mask", "training"}
    return json_digest(
        content | suite.model_dump(mode="json", include=theirs, exclude_defaults=True)
    )


def build_networks(suite: Suite, variant: Variant) -> dict[str, nn.Module]:
    """Build the networks of a variant for the sizes of a suite, their weights not yet set.

    Returns:
        The networks, named `generator` and `discriminator/<name>`.

    Raises:
        InputError: a network cannot be built for these sizes.
    """
    image_px, hole_px, spec = suite.image_size, suite.mask.size, variant.generator
    make_generator = generator_class(spec.network)
    fixed = [name for name, d in variant.discriminators.items() if d.input == "hole"]
    if make_generator.one_hole_size:
        fixed.append(spec.network)
    try:
        if fixed and suite.training.hole_sizes is not None:
            raise ValueError(f"{fixed[0]} takes holes of one size, not training.hole_sizes")
        if fixed and suite.training_mask.size != hole_px:
            raise ValueError(
                f"{fixed[0]} takes holes of one size, and training.mask has others than mask"
            )
        networks: dict[str, nn.Module] = {
            "generator": make_generator(image_px, hole_px, **spec.options)
        }
        for name, d in variant.discriminators.items():
            size = hole_px if d.input == "hole" else image_px
            networks[f"discriminator/{name}"] = discriminator_class(d.network)(size, **d.options)
    except ValueError as error:
        raise InputError(
            f"variant {variant.name} does not fit the suite {suite.name}: {error}"
        ) from None
    return networks


def build_gan(suite: Suite, variant: Variant, seed: int, engine: Engine, drawn: bool = True) -> GAN:
    """Build all networks of a run with their initial weights and optimizers, on the device.

    Args:
        suite: the sizes.
        variant: the networks.
        seed: the run's.
        engine: the device.
        drawn: whether the weights are those of the run; else they are any, which is seconds faster.

    Raises:
        InputError: a network cannot be built for the sizes of the suite.
    """
    networks, draws = build_networks(suite, variant), list[StepDraws]()

    def set_up(name: str, spec: GeneratorSpec | DiscriminatorSpec) -> TrainableNetwork:
        network, kind, settings = networks[name], name.split("/")[0], spec.optimizer
        role = f"{kind} {spec.network}"
        if drawn:
            initialize(network, weight_uniforms(seed, role), spec.initialization)
        for path, layer in network.named_modules():
            if isinstance(layer, Dropout):
                layer.uniforms = StepDraws(seed, "dropout", f"{role}.{path}")
                draws.append(layer.uniforms)
                if engine.compile is not None:  # its draws are made on the host, in every step
                    hidden: Any = layer
                    hidden.forward = torch.compiler.disable(layer.forward)  # type: ignore[no-untyped-call]
        if together():
            try:
                synchronize_norms(network)
            except ValueError as error:
                raise InputError(f"{role}: {error}; train it on one device") from None
        network = engine.place(network)
        optimizer = torch.optim.Adam(
            network.parameters(), lr=settings.lr, betas=settings.betas, fused=True
        )
        if not isinstance(spec, DiscriminatorSpec):
            return TrainableNetwork(network, optimizer, spec.clip_norm)
        rule, labels = spec.skip_above, None
        recent = None if rule is None else RecentAccuracy(rule, engine.device)
        if spec.smoothing == "random":
            labels = StepDraws(seed, "label", name)
            draws.append(labels)
        return TrainableNetwork(network, optimizer, spec.clip_norm, recent, labels)

    generator = set_up("generator", variant.generator)
    discriminators = {
        name: set_up(f"discriminator/{name}", spec) for name, spec in variant.discriminators.items()
    }
    return GAN(variant, generator, discriminators, tuple(draws), engine.compile is not None)
