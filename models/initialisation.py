"""Initial weights, drawn by the caller."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Uniforms = Callable[[str, tuple[int, ...]], Tensor]
"""From a parameter's name and shape to numbers in [0, 1)."""


@torch.no_grad()
def initialise(network: nn.Module, uniforms: Uniforms) -> None:
    """Set all parameters of a network.

    Weights and biases of convolutions and linear layers are uniform in ±1/√fan_in, which is
    PyTorch's own default distribution (He et al. 2015 with a = √5); batch norm starts at scale 1
    and shift 0.

    Raises:
        TypeError: a layer has parameters and no rule.
    """
    for path, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            # PyTorch takes dimension 1 for the inputs, for transposed convolutions too.
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for name, parameter in layer.named_parameters(recurse=False):
                drawn = uniforms(f"{path}.{name}", tuple(parameter.shape))
                parameter.copy_((2 * drawn - 1) * bound)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        elif next(layer.parameters(recurse=False), None) is not None:
            raise TypeError(f"{path}: no rule to initialise {type(layer).__name__}")
