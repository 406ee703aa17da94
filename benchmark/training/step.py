"""The training step: from a batch to networks that are updated once, and the loss terms."""

from collections.abc import Mapping

import torch
from torch import Tensor

from benchmark.training.batches import make_output
from benchmark.training.gan import GAN, TrainableNetwork
from benchmark.training.network_inputs import shown
from models.batch import Batch, Output
from models.losses import DISCRIMINATOR_TERMS, GENERATOR_TERMS, Prediction, accuracy
from models.variant import DiscriminatorSpec, Variant


def training_step(gan: GAN, batch: Batch, step: int, total_steps: int) -> dict[str, Tensor]:
    """Update all networks once; the generator's forward pass serves all updates.

    Args:
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
            discriminator = gan.discriminators[name]
            losses |= _update_discriminator(name, spec, discriminator, batch, detached)
    losses |= _update_generator(gan, active, batch, output, progress)
    return losses


def _update_discriminator(
    name: str,
    spec: DiscriminatorSpec,
    discriminator: TrainableNetwork,
    batch: Batch,
    output: Output,
) -> dict[str, Tensor]:
    truth = Output(batch.image, batch.image)
    real = discriminator.network(shown(spec.input, batch, truth))
    fake = discriminator.network(shown(spec.input, batch, output))
    terms = {
        term: DISCRIMINATOR_TERMS[term](batch, real, fake, spec.label_smoothing)
        for term in spec.losses
    }
    total = torch.stack([weight * terms[term] for term, weight in spec.losses.items()]).sum()
    skip = None if discriminator.recent is None else discriminator.recent.note(accuracy(real, fake))
    discriminator.update(total, skip)
    return {f"discriminator/{name}/{term}": value.detach() for term, value in terms.items()}


def _update_generator(
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
        asked = term.discriminator
        if weight == 0 or (asked is not None and asked not in active):
            continue
        if asked is not None and asked not in predictions:
            network = gan.discriminators[asked].network
            # Its gradients would be thrown away; those of its input are needed.
            network.requires_grad_(False)
            what = active[asked].generator_input or active[asked].input
            predictions[asked] = network(shown(what, batch, output))
        prediction = None if asked is None else predictions[asked]
        value = GENERATOR_TERMS[name](batch, output, prediction, **term.options)
        values[f"generator/{name}"] = value.detach()
        total = total + weight * value
        if asked is None:
            reconstruction = reconstruction + weight * value.detach()
    gan.generator.update(total)
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
