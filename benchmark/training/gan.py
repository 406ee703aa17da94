"""From a suite and a variant to the GAN: networks with weights drawn, optimizers, on a device."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.core.config import Suite
from benchmark.core.device import Engine
from benchmark.core.hashing import json_digest
from benchmark.training.network_inputs import Inpainter
from benchmark.training.rng import DropoutDraws, weight_uniforms
from benchmark.training.tensors import with_prefix, without_prefix
from data.errors import InputError
from models.initialization import initialize
from models.layers import Dropout
from models.networks import discriminator_class, generator_class
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

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and optimizer state, for resuming."""
        tensors = with_prefix("network", self.network.state_dict())
        tensors |= with_prefix("optimizer", optimizer_tensors(self.optimizer))
        if self.recent is not None:
            tensors |= with_prefix("recent", self.recent.tensors())
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set weights and optimizer state."""
        self.network.load_state_dict(without_prefix("network", tensors))
        restore_optimizer(self.optimizer, without_prefix("optimizer", tensors))
        if self.recent is not None:
            self.recent.restore(without_prefix("recent", tensors))

    def update(self, loss: Tensor, skip: Tensor | None = None) -> None:
        """Do a step of the optimizer.

        Args:
            loss: what to minimize.
            skip: `[]`, 1 where neither weights nor the optimizer's state are to change, else 0; it
                stays on the device. Running statistics of batch norm change all the same.
        """
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm)
        if skip is not None:
            # The fused kernel leaves everything as it is where this flag is set, as it does for
            # gradients that overflow in mixed precision.
            self.optimizer.found_inf = skip  # type: ignore[attr-defined]
        self.optimizer.step()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimizer's state as named tensors."""
    state = optimizer.state_dict()["state"]
    return {f"{i}/{name}": value for i, entry in state.items() for name, value in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Set an optimizer's state from `optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        index, name = path.split("/")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


@dataclass(frozen=True)
class GAN:
    """All networks of a run."""

    variant: Variant
    generator: TrainableNetwork
    discriminators: dict[str, TrainableNetwork]
    dropouts: tuple[DropoutDraws, ...] = ()

    @property
    def inpainter(self) -> Inpainter:
        """The generator and what it is shown."""
        return Inpainter(self.generator.network, self.variant.generator)

    def train(self, training: bool) -> None:
        """Put all networks into training or evaluation mode."""
        for trained in (self.generator, *self.discriminators.values()):
            trained.network.train(training)

    def weights(self) -> dict[str, Tensor]:
        """Return all weights, named `generator/…` and `discriminator/<name>/…`."""
        weights = with_prefix("generator", self.generator.network.state_dict())
        for name, trained in self.discriminators.items():
            weights |= with_prefix(f"discriminator/{name}", trained.network.state_dict())
        return weights

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on."""
        tensors = with_prefix("generator", self.generator.tensors())
        for name, trained in self.discriminators.items():
            tensors |= with_prefix(f"discriminator/{name}", trained.tensors())
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set everything that `tensors` returned."""
        self.generator.restore(without_prefix("generator", tensors))
        for name, trained in self.discriminators.items():
            trained.restore(without_prefix(f"discriminator/{name}", tensors))


def training_digest(suite: Suite, variant: Variant) -> str:
    """Return the SHA-256 of all settings that trained weights depend on, besides seed and data.

    Titles and the manner of evaluation are not among them.
    """
    content = variant.model_dump(mode="json", include={"generator", "discriminators"})
    content |= suite.model_dump(mode="json", include={"image_size", "mask", "training"})
    return json_digest(content)


def build_generator(suite: Suite, variant: Variant) -> nn.Module:
    """Build a variant's generator for the sizes of a suite, its weights not yet set."""
    spec = variant.generator
    return _build(
        variant,
        lambda: generator_class(spec.network)(suite.image_size, suite.mask.size, **spec.options),
    )


def build_discriminator(suite: Suite, variant: Variant, name: str) -> nn.Module:
    """Build a variant's discriminator for the sizes of a suite, its weights not yet set."""
    spec = variant.discriminators[name]
    size = suite.mask.size if spec.input == "hole" else suite.image_size
    return _build(variant, lambda: discriminator_class(spec.network)(size, **spec.options))


def _build(variant: Variant, make: Callable[[], nn.Module]) -> nn.Module:
    try:
        return make()
    except ValueError as error:
        raise InputError(f"variant {variant.name} does not fit the suite: {error}") from None


def _check_hole_sizes(suite: Suite, variant: Variant) -> None:
    """Refuse holes of several sizes for networks that are built for one."""
    fixed = [n for n, spec in variant.discriminators.items() if spec.input == "hole"]
    if generator_class(variant.generator.network).one_hole_size:
        fixed.append(variant.generator.network)
    if suite.training.hole_sizes is not None and fixed:
        raise InputError(
            f"variant {variant.name} does not fit the suite: {fixed[0]} takes holes of one size, "
            f"and suite {suite.name} has training.hole_sizes"
        )


def build_gan(suite: Suite, variant: Variant, seed: int, engine: Engine) -> GAN:
    """Build all networks of a run with their initial weights and optimizers, on the device.

    Raises:
        InputError: a network cannot be built for the sizes of the suite.
    """
    _check_hole_sizes(suite, variant)
    dropouts: list[DropoutDraws] = []

    def set_up(
        network: nn.Module,
        kind: str,
        spec: GeneratorSpec | DiscriminatorSpec,
        skip: SkipRule | None,
    ) -> TrainableNetwork:
        role, settings = f"{kind} {spec.network}", spec.optimiser
        initialize(network, weight_uniforms(seed, role), spec.initialisation)
        for path, layer in network.named_modules():
            if isinstance(layer, Dropout):
                layer.uniforms = DropoutDraws(seed, f"{role}.{path}")
                dropouts.append(layer.uniforms)
        network = engine.place(network)
        optimizer = torch.optim.Adam(
            network.parameters(), lr=settings.lr, betas=settings.betas, fused=True
        )
        recent = RecentAccuracy(skip, engine.device) if skip is not None else None
        return TrainableNetwork(network, optimizer, spec.clip_norm, recent)

    generator = set_up(build_generator(suite, variant), "generator", variant.generator, None)
    discriminators = {
        name: set_up(build_discriminator(suite, variant, name), "discriminator", d, d.skip_above)
        for name, d in variant.discriminators.items()
    }
    return GAN(variant, generator, discriminators, tuple(dropouts))
