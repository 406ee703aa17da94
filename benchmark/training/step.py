"""The training step: from a batch to networks that are updated once, and the loss terms."""

from collections.abc import Mapping
from functools import reduce

import torch
from torch import Tensor

from benchmark.training.batches import make_output
from benchmark.training.gan import GAN, TrainableNetwork
from benchmark.training.network_inputs import shown
from benchmark.training.rng import StepDraws
from models.batch import Batch, Output, to_device
from models.losses import (
    DISCRIMINATOR_TERMS,
    GENERATOR_TERMS,
    Labels,
    Prediction,
    accuracy,
    box_iou,
)
from models.networks import Localization, discriminator_class
from models.replicas import together, total
from models.variant import DiscriminatorSpec, Variant

GRADIENT_NORM = "generator/gradient_"


def training_step(gan: GAN, batch: Batch, step: int, total_steps: int) -> dict[str, Tensor]:
    """Update all networks once; the generator's forward pass serves all updates.

    Args:
        gan: the networks, in training mode.
        batch: one batch.
        step: number of steps done before this one.
        total_steps: number of steps of the whole run, for schedules.

    Returns:
        By the names of `loss_names`, scalars on the device, without gradients: the unweighted loss
        terms, weighted sums of them, and what a discriminator got right. Nothing here waits for
        them.
    """
    progress = step / total_steps
    variant = gan.variant
    active = {n: d for n, d in variant.discriminators.items() if progress >= d.start}
    gan.begin_step(step, batch.part)
    output = make_output(batch, gan.inpainter(batch))
    detached = Output(output.raw.detach(), output.completed.detach())
    losses: dict[str, Tensor] = {}
    if variant.update_order == "generator_first":
        losses |= _update_generator(gan, active, batch, output, progress)
    for name, spec in active.items():
        if (step + 1) % spec.update_every == 0:
            losses |= _update_discriminator(name, spec, gan.discriminators[name], batch, detached)
    if variant.update_order == "discriminator_first":
        losses |= _update_generator(gan, active, batch, output, progress)
    return _of_all_parts(losses, batch)


def _of_all_parts(losses: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """Return the losses of the whole batch, of which other processes may have parts."""
    if not together():
        return losses
    norms = {name for name in losses if name.startswith(GRADIENT_NORM)}  # whose squares add up
    weighted = [v.square() if n in norms else v * batch.share for n, v in losses.items()]
    summed = dict(zip(losses, total(torch.stack(weighted)).unbind(), strict=True))
    return summed | {name: summed[name].sqrt() for name in norms}


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
    labels = _labels(spec, discriminator.label_draws, len(batch.image), batch.image.device)
    parts = {t: DISCRIMINATOR_TERMS[t](batch, real, fake, labels) for t in spec.losses}
    terms = {term: on_real + on_fake for term, (on_real, on_fake) in parts.items()}
    loss = torch.stack([weight * terms[term] for term, weight in spec.losses.items()]).sum()
    right = accuracy(real, fake)
    skip = None
    if discriminator.recent is not None:
        skip = discriminator.recent.note(total(right * batch.share))
    discriminator.update(loss * batch.share, skip)
    weighted = [(weight, parts[term]) for term, weight in spec.losses.items()]
    values = terms | {
        "real": torch.stack([weight * part.real for weight, part in weighted]).sum(),
        "fake": torch.stack([weight * part.fake for weight, part in weighted]).sum(),
        "accuracy": right,
    }
    if isinstance(fake, Localization):
        values["mean_iou"] = box_iou(fake.box, batch.box).mean()
    return {f"discriminator/{name}/{what}": value.detach() for what, value in values.items()}


def _labels(
    spec: DiscriminatorSpec, draws: StepDraws | None, count: int, device: torch.device
) -> Labels:
    """Return the labels of a batch of `count` images."""
    smoothing = spec.label_smoothing
    if draws is None:
        return Labels(1.0 - smoothing, smoothing if spec.smoothing == "two_sided" else 0.0)
    ones, zeros = to_device((smoothing * draws((2, count), axis=1)).float(), device)
    return Labels(1 - ones, zeros)


def _update_generator(
    gan: GAN,
    active: Mapping[str, DiscriminatorSpec],
    batch: Batch,
    output: Output,
    progress: float,
) -> dict[str, Tensor]:
    predictions: dict[str, Prediction] = {}
    values: dict[str, Tensor] = {}
    zero = torch.zeros((), device=output.raw.device)
    reconstruction, adversarial = zero, zero
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
        value: Tensor = GENERATOR_TERMS[name](batch, output, prediction, **term.options)
        values[f"generator/{name}"] = value.detach()
        if asked is None:
            reconstruction = reconstruction + weight * value
        else:
            adversarial = adversarial + weight * value
    # The gradient at the output in two parts, which takes no longer and says who steers.
    steering = {"reconstruction": reconstruction, "adversarial": adversarial}
    steering = {n: part * batch.share for n, part in steering.items() if part.requires_grad}
    gradients = {
        name: torch.autograd.grad(part, output.raw, retain_graph=name != [*steering][-1])[0]
        for name, part in steering.items()
    }
    values |= {f"{GRADIENT_NORM}{name}": part.norm() for name, part in gradients.items()}
    gan.generator.update(output.raw, gradient=reduce(torch.add, gradients.values()))
    for name in predictions:
        gan.discriminators[name].network.requires_grad_(True)
    values["generator/reconstruction"] = reconstruction.detach()
    values["generator/total"] = (reconstruction + adversarial).detach()
    return values


def loss_names(variant: Variant) -> list[str]:
    """Return the names of everything that `training_step` may return, in a fixed order.

    `gradient_reconstruction` and `gradient_adversarial` are the Euclidean norms of the two parts of
    the gradient at the generator's output, over the whole batch; `real` and `fake` the weighted
    parts of a discriminator's loss; `accuracy` the share of its right answers; `mean_iou` that of
    the box it predicts on fake images.
    """
    names = [f"generator/{n}" for n, term in variant.generator.losses.items() if term.weight > 0]
    names += ["generator/reconstruction", "generator/total", f"{GRADIENT_NORM}reconstruction"]
    names += [f"{GRADIENT_NORM}adversarial"] if variant.discriminators else []
    for name, spec in variant.discriminators.items():
        predicts = discriminator_class(spec.network).predicts
        found = [*spec.losses, "real", "fake", "accuracy"]
        found += ["mean_iou"] if predicts is Localization else []
        names += [f"discriminator/{name}/{what}" for what in found]
    return names
