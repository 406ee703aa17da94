"""Layers with an exact cheaper form, or whose backward pass or draws PyTorch leaves open.

A convolution whose output is 1x1 reads each weight at most once, and a transposed convolution whose
input is 1x1 writes each output once: both are one matrix product with the taps that meet the map.
Parameters keep their names, shapes and counts; results differ from PyTorch's by rounding alone.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear

from models.batch import to_device

CHANNELS = 256
"""Channels that a strided convolution sums at a time on a CPU, forward or backward.

Where there are more, oneDNN takes as many at a time as suits the processor's caches, so that the
order of the sum, and its last bits, would change from processor to processor."""


class Conv2d(nn.Conv2d):
    """A convolution with square kernels and zero padding."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve `[N, C, H, W]`."""
        height, width = input.shape[2:]
        if self._output_size(height) == 1 and self._output_size(width) == 1:
            return self._product(input)
        if self.stride[0] == 1 or input.device.type != "cpu":
            return super().forward(input)
        weights = torch.split(self.weight, CHANNELS)  # their backward passes are summed
        biases = [None] * len(weights) if self.bias is None else torch.split(self.bias, CHANNELS)
        outputs = [
            conv2d(input, weight, bias, self.stride, self.padding)
            for weight, bias in zip(weights, biases, strict=True)
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1)

    def _product(self, input: Tensor) -> Tensor:
        height, width = input.shape[2:]
        top, left = int(self.padding[0]), int(self.padding[1])
        # The only window starts `padding` before the map, and ends in padding again.
        taps = self.weight[:, :, top : top + height, left : left + width]
        seen = input[:, :, : taps.shape[2], : taps.shape[3]]
        return linear(seen.flatten(1), taps.flatten(1), self.bias)[:, :, None, None]

    def _output_size(self, size: int) -> int:
        return (size + 2 * int(self.padding[0]) - self.kernel_size[0]) // self.stride[0] + 1


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution with square kernels."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve `[N, C, H, W]`."""
        if output_size is not None or any(self.output_padding):
            return super().forward(input, output_size)
        if input.shape[2:] != (1, 1):
            return self._in_parts(input)
        cut, end = int(self.padding[0]), self.kernel_size[0] - int(self.padding[0])
        taps = self.weight[:, :, cut:end, cut:end]
        output = (input.flatten(1) @ taps.flatten(1)).view(-1, *taps.shape[1:])
        return output if self.bias is None else output + self.bias[:, None, None]

    def _in_parts(self, input: Tensor) -> Tensor:
        channels = CHANNELS if input.device.type == "cpu" else self.in_channels
        seen, taps = torch.split(input, channels, 1), torch.split(self.weight, channels)
        biases = [self.bias, *[None] * (len(seen) - 1)]
        return reduce(
            torch.add,
            [
                conv_transpose2d(*part, self.stride, self.padding)  # type: ignore[arg-type]
                for part in zip(seen, taps, biases, strict=True)
            ],
        )


class HalvingMaxPool(nn.Module):
    """The maximum of each 2 by 2 pixels; its backward pass is deterministic on every device."""

    def forward(self, input: Tensor) -> Tensor:
        """Halve `[N, C, H, W]`, whose sides are even."""
        even, odd = input[..., ::2, :], input[..., 1::2, :]
        rows = torch.maximum(even, odd)
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


class Gain(nn.Module):
    """A trained factor that starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(()))

    def reset_parameters(self) -> None:
        """Set the factor to zero."""
        nn.init.zeros_(self.factor)

    def forward(self, input: Tensor) -> Tensor:
        """Scale a tensor of any shape."""
        return self.factor * input


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) whose draws are given, so that a resumed run repeats them.

    Args:
        probability: share of the values that become 0; the others grow to keep the mean.
        channels: whether whole maps are dropped, `[N, C]`, and not single values.
    """

    def __init__(self, probability: float, *, channels: bool = False) -> None:
        super().__init__()
        self.probability = probability
        self.channels = channels
        self.uniforms: Callable[[tuple[int, ...]], Tensor] | None = None
        """From a shape to fresh numbers in [0, 1); to be set before the network is trained."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop values in training mode."""
        if not self.training or self.probability == 0:
            return input
        if self.uniforms is None:
            raise RuntimeError("the draws of a dropout layer are not set")
        shape = (*input.shape[:2], 1, 1) if self.channels else tuple(input.shape)
        kept = to_device(self.uniforms(shape) >= self.probability, input.device)
        return input * (kept.to(input.dtype) / (1 - self.probability))


def halving_layers(
    channels: Iterable[int],
    *,
    bias: bool = True,
    norm: type[nn.Module] = nn.BatchNorm2d,
    dropout: float = 0.0,
) -> list[nn.Module]:
    """Return convolutions that halve an RGB image, all but the first with a norm (DCGAN).

    Args:
        channels: those after each halving.
        bias: whether the convolutions have biases.
        norm: the kind of norm.
        dropout: probability with which each map from the third halving on is dropped in training.
    """
    layers: list[nn.Module] = []
    for stage, (narrower, wider) in enumerate(pairwise([3, *channels]), start=1):
        layers.append(Conv2d(narrower, wider, 4, stride=2, padding=1, bias=bias))
        if stage > 1:
            layers.append(norm(wider))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        if dropout > 0 and stage >= 3:
            layers.append(Dropout(dropout, channels=True))
    return layers


def halvings_to_4(size: int, what: str, least: int = 8) -> int:
    """Return how often a side in pixels has to be halved to be 4.

    Raises:
        ValueError: it is not the least one times a power of two.
    """
    stages = size.bit_length() - 3
    if size < least or size != 4 << stages:
        raise ValueError(f"{what} size {size} is not a power of two from {least} on")
    return stages
