"""The networks of a run with their optimisers, and the step that trains them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from benchmark.core.config import Suite
from benchmark.core.hashing import json_digest
from benchmark.training.batches import make_output
from benchmark.training.checkpoints import (
    optimizer_tensors,
    restore_optimizer,
    with_prefix,
    without_prefix,
)
from benchmark.training.network_inputs import Inpainter, fake_input, judged_input, real_input
from benchmark.training.rng import DropoutDraws, weight_uniforms
from data.errors import InputError
from models.batch import Batch, Output
from models.initialization import initialize
from models.layers import Dropout
from models.losses import DISCRIMINATOR_TERMS, GENERATOR_TERMS, Prediction, accuracy
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
    """A network and its optimiser, set up on a device."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    clip_norm: float | None = None
    recent: RecentAccuracy | None = None
    """Of a discriminator that is not updated while it is too good."""

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and optimiser state, for resuming."""
        tensors = with_prefix("network", self.network.state_dict())
        tensors |= with_prefix("optimiser", optimizer_tensors(self.optimiser))
        if self.recent is not None:
            tensors |= with_prefix("recent", self.recent.tensors())
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set weights and optimiser state."""
        self.network.load_state_dict(without_prefix("network", tensors))
        restore_optimizer(self.optimiser, without_prefix("optimiser", tensors))
        if self.recent is not None:
            self.recent.restore(without_prefix("recent", tensors))

    def update(self, fabric: Fabric, loss: Tensor, skip: Tensor | None = None) -> None:
        """Do a step of the optimiser.

        Args:
            fabric: device and precision.
            loss: what to minimise.
            skip: `[]`, 1 where neither weights nor the optimiser's state are to change, else 0; it
                stays on the device. Running statistics of batch norm change all the same.
        """
        self.optimiser.zero_grad()
        fabric.backward(loss)
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm)
        if skip is not None:
            # The fused kernel leaves everything as it is where this flag is set, as it does for
            # gradients that overflow in mixed precision.
            self.optimiser.optimizer.found_inf = skip  # type: ignore[attr-defined]
        self.optimiser.step()


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
        for player in (self.generator, *self.discriminators.values()):
            player.network.train(training)

    def weights(self) -> dict[str, Tensor]:
        """Return all weights, named `generator/…` and `discriminator/<name>/…`."""
        weights = with_prefix("generator", self.generator.network.state_dict())
        for name, player in self.discriminators.items():
            weights |= with_prefix(f"discriminator/{name}", player.network.state_dict())
        return weights

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on."""
        tensors = with_prefix("generator", self.generator.tensors())
        for name, player in self.discriminators.items():
            tensors |= with_prefix(f"discriminator/{name}", player.tensors())
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set everything that `tensors` returned."""
        self.generator.restore(without_prefix("generator", tensors))
        for name, player in self.discriminators.items():
            player.restore(without_prefix(f"discriminator/{name}", tensors))


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


def build_gan(suite: Suite, variant: Variant, seed: int, fabric: Fabric) -> GAN:
    """Build all networks of a run with their initial weights and optimisers, on the device.

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
        optimiser = torch.optim.Adam(
            network.parameters(), lr=settings.lr, betas=settings.betas, fused=True
        )
        recent = RecentAccuracy(skip, fabric.device) if skip is not None else None
        on_device, wrapped = fabric.setup(network, optimiser)
        return TrainableNetwork(on_device, wrapped, spec.clip_norm, recent)

    generator = set_up(build_generator(suite, variant), "generator", variant.generator, None)
    discriminators = {
        name: set_up(build_discriminator(suite, variant, name), "discriminator", d, d.skip_above)
        for name, d in variant.discriminators.items()
    }
    return GAN(variant, generator, discriminators, tuple(dropouts))


def training_step(
    fabric: Fabric, gan: GAN, batch: Batch, step: int, total_steps: int
) -> dict[str, Tensor]:
    """Update all networks once; the generator's forward pass serves all updates.

    Args:
        fabric: device and precision.
        gan: the networks, in training mode.
        batch: one batch.
        step: number of steps done before this one.
        total_steps: number of steps of the whole run, for schedules.

    Returns:
        The unweighted loss terms, scalars on the device, without gradients. Nothing here waits for
        them.
    """
    progress = step / total_steps
    variant = gan.variant
    active = {n: d for n, d in variant.discriminators.items() if progress >= d.start}
    for draws in gan.dropouts:
        draws.begin_step(step)
    output = make_output(batch, gan.inpainter(batch))
    losses: dict[str, Tensor] = {}
    detached = Output(output.raw.detach(), output.completed.detach())
    for name, spec in active.items():
        if step % spec.update_every == 0:
            player = gan.discriminators[name]
            losses |= _update_discriminator(fabric, name, spec, player, batch, detached)
    losses |= _update_generator(fabric, gan, active, batch, output, progress)
    return losses


def _update_discriminator(
    fabric: Fabric,
    name: str,
    spec: DiscriminatorSpec,
    player: TrainableNetwork,
    batch: Batch,
    output: Output,
) -> dict[str, Tensor]:
    real = player.network(real_input(spec, batch))
    fake = player.network(fake_input(spec, batch, output))
    terms = {
        term: DISCRIMINATOR_TERMS[term](batch, real, fake, spec.label_smoothing)
        for term in spec.losses
    }
    total = torch.stack([weight * terms[term] for term, weight in spec.losses.items()]).sum()
    skip = None if player.recent is None else player.recent.note(accuracy(real, fake))
    player.update(fabric, total, skip)
    return {f"discriminator/{name}/{term}": value.detach() for term, value in terms.items()}


def _update_generator(
    fabric: Fabric,
    gan: GAN,
    active: Mapping[str, DiscriminatorSpec],
    batch: Batch,
    output: Output,
    progress: float,
) -> dict[str, Tensor]:
    predictions: dict[str, Prediction] = {}
    values: dict[str, Tensor] = {}
    total = torch.zeros((), device=output.raw.device)
    reconstruction = total
    for name, term in gan.variant.generator.losses.items():
        weight = term.weight_at(progress)
        judge = term.discriminator
        if weight == 0 or (judge is not None and judge not in active):
            continue
        if judge is not None and judge not in predictions:
            network = gan.discriminators[judge].network
            # Its gradients would be thrown away; those of its input are needed.
            network.requires_grad_(False)
            predictions[judge] = network(judged_input(active[judge], batch, output))
        prediction = None if judge is None else predictions[judge]
        value = GENERATOR_TERMS[name](batch, output, prediction, **term.options)
        values[f"generator/{name}"] = value.detach()
        total = total + weight * value
        if judge is None:
            reconstruction = reconstruction + weight * value.detach()
    gan.generator.update(fabric, total)
    for name in predictions:
        gan.discriminators[name].network.requires_grad_(True)
    return values | {"generator/reconstruction": reconstruction, "generator/total": total.detach()}


def loss_names(variant: Variant) -> list[str]:
    """Return the names of all loss terms that `training_step` may return, in a fixed order."""
    names = [f"generator/{n}" for n, term in variant.generator.losses.items() if term.weight > 0]
    names += ["generator/reconstruction", "generator/total"]
    for name, spec in variant.discriminators.items():
        names += [f"discriminator/{name}/{term}" for term in spec.losses]
    return names
