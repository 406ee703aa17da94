"""A batch that several processes share -> what depends on all of it, in each of them.

Each process has a replica of the networks and a part of every batch. Where there is one process
alone, everything here leaves its input as it is.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class Part:
    """The images of a batch that a process has: `count` of `whole`, from `first` on."""

    first: int
    count: int
    whole: int

    @property
    def share(self) -> float:
        """How much a mean over these images weighs in that over the batch."""
        return self.count / self.whole


def together() -> bool:
    """Return whether this process trains together with others (or as if it did: there is one)."""
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """Return the number of this process; 0 leads: it alone validates and writes."""
    return distributed.get_rank() if together() else 0


def processes() -> int:
    """Return how many processes share a batch."""
    return distributed.get_world_size() if together() else 1


def own_part(images: int) -> Part:
    """Return this process's part of a batch of so many images; the parts differ by one at most."""
    first, end = (images * number // processes() for number in (rank(), rank() + 1))
    return Part(first, end - first, images)


def total(values: Tensor) -> Tensor:
    """Return the sums over the processes, without gradient, in the shape of `values`."""
    if not together():
        return values
    summed = values.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(summed)
    return summed


def everyones(values: Tensor) -> Tensor:
    """Return the values of all processes, `[processes, ...]`.

    A gradient of them is the sum over the losses of all processes, so each of these has to be the
    process's part of the loss of the whole batch.
    """
    if not together():
        return values[None]
    places = torch.zeros(processes(), *[1] * values.dim(), device=values.device)
    places[rank()] = 1
    gathered: Tensor = _Sum.apply(places * values)
    return gathered


class _Sum(torch.autograd.Function):
    """The sum over processes, and for a gradient of it the sum of their gradients.

    `torch.distributed.nn` has the same, deprecated and without a public successor.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return total(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return total(gradients[0])


def sum_gradients(network: nn.Module) -> None:
    """Give the network of every process the sums of all processes' gradients."""
    if not together():
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    if not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


class SynchronizedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm (Ioffe and Szegedy 2015) by the statistics of the whole batch.

    `torch.nn.SyncBatchNorm` does the same on GPUs, and refuses tensors on the CPU.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalize `[N, C, H, W]`."""
        if not self.training:
            return super().forward(input)
        variance, mean = torch.var_mean(input.float(), dim=(0, 2, 3), correction=0)
        count = torch.full_like(mean, input.numel() // input.shape[1])
        counts, means, variances = everyones(torch.stack([count, mean, variance])).unbind(1)
        number = counts.sum(0)
        mean = (counts * means).sum(0) / number
        # Chan et al. 1983: variances within the parts, and that of the parts' means.
        variance = (counts * (variances + (means - mean).square())).sum(0) / number
        self._follow(mean.detach(), variance.detach() * (number / (number - 1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        normal = input.float() * scale[:, None, None] + shift[:, None, None]
        return normal.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, unbiased: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased, self.momentum)


def synchronize_norms(network: nn.Module) -> None:
    """Let every batch norm of a network take its statistics from the whole batch.

    Raises:
        ValueError: it has a kind of batch norm for which there is no such form.
    """
    for path, layer in network.named_modules():
        if type(layer) is nn.BatchNorm2d:
            layer.__class__ = SynchronizedBatchNorm2d
        elif isinstance(layer, _BatchNorm) and not isinstance(layer, SynchronizedBatchNorm2d):
            raise ValueError(f"{path}: {type(layer).__name__} cannot be shared by processes")
