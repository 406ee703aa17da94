"""Layers against PyTorch's own, and dropout against its definition."""

import pytest
import torch
from torch.nn.functional import max_pool2d

from models.layers import Dropout, Gain, HalvingMaxPool
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
