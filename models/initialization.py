"""A network and uniform draws -> its initial weights."""

import math
from collections.abc import Callable
from functools import partial

import torch
from scipy.special import ndtri
from torch import Tensor, nn

from models.layers import Gain

Uniforms = Callable[[str, tuple[int, ...]], Tensor]
"""From a parameter's name and shape to numbers in [0, 1), float64."""
Draw = Callable[[], Tensor]
"""Fresh numbers in [0, 1) in the shape of the parameter that is to be set."""

DCGAN_STD = 0.02


@torch.no_grad()
def initialize(network: nn.Module, uniforms: Uniforms, scheme: str = "fan_in") -> None:
    """Set all parameters of a network by a scheme of `SCHEMES`.

    Raises:
        TypeError: a layer has parameters and no rule.
    """
    for path, layer in network.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
        for name, parameter in layer.named_parameters(recurse=False):
            drawn = partial(uniforms, f"{path}.{name}", tuple(parameter.shape))
            if isinstance(layer, Gain):
                layer.reset_parameters()
            elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.BatchNorm2d):
                parameter.copy_(SCHEMES[scheme](layer, name, drawn))
            else:
                raise TypeError(f"{path}: no rule to initialize {type(layer).__name__}")


def fan_in(layer: nn.Module, name: str, drawn: Draw) -> Tensor:
    """Draw weights and biases from ±1/√fan_in, PyTorch's default (He et al. 2015, a = √5).

    Batch norm starts at scale 1 and shift 0.
    """
    if isinstance(layer, nn.BatchNorm2d):
        return torch.tensor(1.0 if name == "weight" else 0.0)
    # PyTorch takes dimension 1 for the inputs, for transposed convolutions too.
    weight: Tensor = layer.get_parameter("weight")
    return (2 * drawn() - 1) / math.sqrt(weight[0].numel())


def dcgan(layer: nn.Module, name: str, drawn: Draw) -> Tensor:
    """Draw weights from N(0, .02) and scales of batch norm from N(1, .02) (Radford et al. 2016).

    Biases and shifts start at 0.
    """
    if name == "bias":
        return torch.tensor(0.0)
    mean = 1.0 if isinstance(layer, nn.BatchNorm2d) else 0.0
    # Of the 2**53 possible draws only 0 has no finite quantile.
    quantiles = ndtri(drawn().clamp(min=2.0**-54).numpy())
    return mean + DCGAN_STD * torch.from_numpy(quantiles)


SCHEMES: dict[str, Callable[[nn.Module, str, Draw], Tensor]] = {"fan_in": fan_in, "dcgan": dcgan}
