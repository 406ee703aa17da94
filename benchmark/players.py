"""The networks of a run with their optimisers, and the step that trains them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from benchmark.checkpoints import (
    optimiser_tensors,
    restore_optimiser,
    with_prefix,
    without_prefix,
)
from benchmark.code import json_digest
from benchmark.config import Suite
from benchmark.randomness import weight_uniforms
from benchmark.scenes import make_output
from data.errors import InputError
from models.initialisation import initialise
from models.losses import DISCRIMINATOR_TERMS, GENERATOR_TERMS, Prediction
from models.networks import discriminator_class, generator_class
from models.scene import Output, Scene
from models.squares import crop_squares
from models.variant import Adam, DiscriminatorSpec, Variant


@dataclass(frozen=True)
class Player:
    """A network and its optimiser, set up on a device."""

    network: nn.Module
    optimiser: torch.optim.Optimizer

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and optimiser state, for resuming."""
        weights = with_prefix("network", self.network.state_dict())
        return weights | with_prefix("optimiser", optimiser_tensors(self.optimiser))

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set weights and optimiser state."""
        self.network.load_state_dict(without_prefix("network", tensors))
        restore_optimiser(self.optimiser, without_prefix("optimiser", tensors))


@dataclass(frozen=True)
class Players:
    """All networks of a run."""

    variant: Variant
    generator: Player
    discriminators: dict[str, Player]

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


def build_players(suite: Suite, variant: Variant, seed: int, fabric: Fabric) -> Players:
    """Build all networks of a run with their initial weights and optimisers, on the device.

    Raises:
        InputError: a network cannot be built for the sizes of the suite.
    """

    def set_up(network: nn.Module, role: str, settings: Adam) -> Player:
        initialise(network, weight_uniforms(seed, role))
        optimiser = torch.optim.Adam(
            network.parameters(), lr=settings.lr, betas=settings.betas, fused=True
        )
        return Player(*fabric.setup(network, optimiser))

    spec = variant.generator
    generator = set_up(build_generator(suite, variant), f"generator {spec.network}", spec.optimiser)
    discriminators = {}
    for name, d in variant.discriminators.items():
        network = build_discriminator(suite, variant, name)
        discriminators[name] = set_up(network, f"discriminator {d.network}", d.optimiser)
    return Players(variant, generator, discriminators)


def training_step(
    fabric: Fabric, players: Players, scene: Scene, step: int, total_steps: int
) -> dict[str, Tensor]:
    """Update all networks once; the generator's forward pass serves all updates.

    Args:
        fabric: device and precision.
        players: the networks, in training mode.
        scene: one batch.
        step: number of steps done before this one.
        total_steps: number of steps of the whole run, for schedules.

    Returns:
        The unweighted loss terms, scalars on the device, without gradients. Nothing here waits for
        them.
    """
    progress = step / total_steps
    variant = players.variant
    active = {n: d for n, d in variant.discriminators.items() if progress >= d.start}
    output = make_output(scene, players.generator.network(scene.masked, scene.mask, scene.corner))
    losses: dict[str, Tensor] = {}
    detached = Output(output.raw.detach(), output.completed.detach())
    for name, spec in active.items():
        if step % spec.update_every == 0:
            player = players.discriminators[name]
            losses |= _update_discriminator(fabric, name, spec, player, scene, detached)
    losses |= _update_generator(fabric, players, active, scene, output, progress)
    return losses


def _update_discriminator(
    fabric: Fabric,
    name: str,
    spec: DiscriminatorSpec,
    player: Player,
    scene: Scene,
    output: Output,
) -> dict[str, Tensor]:
    real = player.network(_seen_real(spec, scene))
    fake = player.network(_seen_fake(spec, scene, output))
    terms = {
        term: DISCRIMINATOR_TERMS[term](scene, real, fake, spec.label_smoothing)
        for term in spec.losses
    }
    total = torch.stack([weight * terms[term] for term, weight in spec.losses.items()]).sum()
    player.optimiser.zero_grad()
    fabric.backward(total)
    player.optimiser.step()
    return {f"discriminator/{name}/{term}": value.detach() for term, value in terms.items()}


def _update_generator(
    fabric: Fabric,
    players: Players,
    active: Mapping[str, DiscriminatorSpec],
    scene: Scene,
    output: Output,
    progress: float,
) -> dict[str, Tensor]:
    predictions: dict[str, Prediction] = {}
    values: dict[str, Tensor] = {}
    total = torch.zeros((), device=output.raw.device)
    reconstruction = total
    for name, term in players.variant.generator.losses.items():
        weight = term.weight_at(progress)
        judge = term.discriminator
        if weight == 0 or (judge is not None and judge not in active):
            continue
        if judge is not None and judge not in predictions:
            network = players.discriminators[judge].network
            # Its gradients would be thrown away; those of its input are needed.
            network.requires_grad_(False)
            predictions[judge] = network(_seen_fake(active[judge], scene, output))
        prediction = None if judge is None else predictions[judge]
        value = GENERATOR_TERMS[name](scene, output, prediction, **term.options)
        values[f"generator/{name}"] = value.detach()
        total = total + weight * value
        if judge is None:
            reconstruction = reconstruction + weight * value.detach()
    players.generator.optimiser.zero_grad()
    fabric.backward(total)
    players.generator.optimiser.step()
    for name in predictions:
        players.discriminators[name].network.requires_grad_(True)
    return values | {"generator/reconstruction": reconstruction, "generator/total": total.detach()}


def _seen_real(spec: DiscriminatorSpec, scene: Scene) -> Tensor:
    if spec.input == "hole":
        return crop_squares(scene.image, scene.corner, scene.hole_size)
    return scene.image


def _seen_fake(spec: DiscriminatorSpec, scene: Scene, output: Output) -> Tensor:
    if spec.input == "hole":
        return crop_squares(output.raw, scene.corner, scene.hole_size)
    return output.completed if spec.input == "completed" else output.raw


def loss_names(variant: Variant) -> list[str]:
    """Return the names of all loss terms that `training_step` may return, in a fixed order."""
    names = [f"generator/{n}" for n, term in variant.generator.losses.items() if term.weight > 0]
    names += ["generator/reconstruction", "generator/total"]
    for name, spec in variant.discriminators.items():
        names += [f"discriminator/{name}/{term}" for term in spec.losses]
    return names
