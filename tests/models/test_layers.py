"""Layers against PyTorch's own, and dropout against its definition."""

import pytest
import torch
from torch.nn.functional import conv2d, conv_transpose2d, max_pool2d

from models.layers import CHANNELS, Conv2d, ConvTranspose2d, Dropout, Gain, HalvingMaxPool
from tests.support.tiny import numbers


def test_pooling_and_its_gradient_are_those_of_torch() -> None:
    images = numbers()(2, 3, 8, 6).requires_grad_()
    weights = numbers(1)(2, 3, 4, 3)
    expected = max_pool2d(images, 2)
    assert torch.equal(HalvingMaxPool()(images), expected)
    gradients = [
        torch.autograd.grad((pooled * weights).sum(), images)[0]
        for pooled in (HalvingMaxPool()(images), expected)
    ]
    assert torch.equal(*gradients)


@pytest.mark.parametrize("channels", [8, CHANNELS, 600])
def test_transposed_convolution_and_its_gradients_are_those_of_torch(channels: int) -> None:
    layer = ConvTranspose2d(channels, 3, 4, stride=2, padding=1)
    with torch.no_grad():
        layer.weight.copy_(numbers(1)(*layer.weight.shape))
    features = numbers()(2, channels, 2, 2).requires_grad_()
    assert layer.bias is not None
    wrt = (features, layer.weight, layer.bias)
    expected = conv_transpose2d(*wrt, stride=2, padding=1)
    found = layer(features)
    # Sums of 4 * 600 products of numbers up to 1, in another order.
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)
    for mine, theirs in zip(
        torch.autograd.grad(found.square().sum(), wrt),
        torch.autograd.grad(expected.square().sum(), wrt),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-1)


@pytest.mark.parametrize("channels", [8, CHANNELS, 600])
def test_convolution_and_its_gradients_are_those_of_torch(channels: int) -> None:
    layer = Conv2d(3, channels, 4, stride=2, padding=1)
    with torch.no_grad():
        layer.weight.copy_(numbers(1)(*layer.weight.shape))
    images = numbers()(2, 3, 8, 8).requires_grad_()
    assert layer.bias is not None
    wrt = (images, layer.weight, layer.bias)
    expected = conv2d(*wrt, stride=2, padding=1)
    found = layer(images)
    torch.testing.assert_close(found, expected)
    for mine, theirs in zip(
        torch.autograd.grad(found.square().sum(), wrt),
        torch.autograd.grad(expected.square().sum(), wrt),
        strict=True,
    ):
        # Sums of 4 * 600 products of numbers up to 50, in another order.
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-2)


def test_gradient_of_a_strided_convolution_sums_so_many_channels_at_a_time() -> None:
    layer = Conv2d(3, 600, 4, stride=2, padding=1, bias=False)
    images, above = numbers()(2, 3, 8, 8).requires_grad_(), numbers(1)(2, 600, 4, 4)
    layer(images).backward(above)
    parts: list[torch.Tensor] = []
    for first in range(0, 600, CHANNELS):
        some = slice(first, first + CHANNELS)
        alone = images.detach().requires_grad_()
        output = conv2d(alone, layer.weight[some], stride=2, padding=1)
        parts += torch.autograd.grad(output, alone, above[:, some])
    # Autograd adds from the last part on.
    assert images.grad is not None
    assert torch.equal(images.grad, parts[2] + parts[1] + parts[0])


def test_transposed_convolution_sums_so_many_channels_at_a_time() -> None:
    """More than that PyTorch's library would divide by the size of the processor's caches."""
    layer = ConvTranspose2d(600, 3, 4, stride=2, padding=1, bias=False)
    features = numbers()(2, 600, 2, 2)
    expected = torch.zeros(2, 3, 4, 4)
    for first in range(0, 600, CHANNELS):
        some = slice(first, first + CHANNELS)
        expected = expected + conv_transpose2d(
            features[:, some], layer.weight[some], stride=2, padding=1
        )
    assert torch.equal(layer(features), expected)


def test_gain_starts_at_zero_and_is_trained() -> None:
    gain, features = Gain(), numbers()(2, 3)
    assert torch.equal(gain(features), torch.zeros(2, 3))
    gain(features).sum().backward()
    assert gain.factor.grad is not None
    torch.testing.assert_close(gain.factor.grad, features.sum())


def test_dropout_drops_below_the_probability_and_keeps_the_mean() -> None:
    layer = Dropout(0.25)
    layer.uniforms = lambda shape: torch.tensor([0.0, 0.24, 0.25, 0.99]).expand(shape)
    assert layer(torch.full((2, 4), 3.0)).tolist() == [[0, 0, 4, 4]] * 2


def test_dropout_does_nothing_in_evaluation_mode_or_at_probability_0() -> None:
    features = numbers()(2, 3)
    assert layer_output(Dropout(0.5).eval(), features) is features
    assert layer_output(Dropout(0.0), features) is features


def layer_output(layer: torch.nn.Module, features: torch.Tensor) -> torch.Tensor:
    output: torch.Tensor = layer(features)
    return output


def test_dropout_without_draws_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="draws"):
        Dropout(0.5)(torch.ones(1))
