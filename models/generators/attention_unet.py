"""The attention U-Net (CelebA inpainting project): skip connections, self-attention, no norms."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from models.layers import Conv2d, Gain, HalvingMaxPool
from models.networks import GeneratorNetwork
from models.squares import BilinearResize


class SelfAttention(nn.Module):
    """Self-attention over all positions of a map (Zhang et al. 2019), added with a gain from 0 on.

    Args:
        channels: channels of the map; queries and keys have an eighth of them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = Conv2d(channels, channels // 8, 1)
        self.key = Conv2d(channels, channels // 8, 1)
        self.value = Conv2d(channels, channels, 1)
        self.gain = Gain()

    def forward(self, features: Tensor) -> Tensor:
        """Let each position of `[N, C, H, W]` attend to all."""
        query, key = self.query(features).flatten(2), self.key(features).flatten(2)
        weights = (query.transpose(1, 2) @ key).softmax(dim=-1)
        value = self.value(features).flatten(2)
        attended = (value @ weights.transpose(1, 2)).view_as(features)
        added: Tensor = self.gain(attended)
        return features + added


class Generator(GeneratorNetwork):
    """Three halvings with skip connections; 4,880,836 parameters with 64 base channels.

    The input is the masked image and the mask; the output is the whole image.

    Args:
        image_size: side of the images in pixels, a multiple of 8.
        hole_size: side of the holes in pixels; not used.
        channels: channels of the first block, a multiple of 2.
        attention: whether there is self-attention before the bottleneck.
    """

    def __init__(
        self,
        image_size: int,
        hole_size: int,
        *,
        channels: Annotated[int, Field(ge=2, multiple_of=2)] = 64,
        attention: bool = True,
    ) -> None:
        super().__init__()
        if image_size % 8:
            raise ValueError(f"image size {image_size} is not a multiple of 8")
        n = channels
        self.pool = HalvingMaxPool()
        self.enc1 = _double(4, n)
        self.enc2 = _double(n, 2 * n)
        self.enc3 = _double(2 * n, 4 * n)
        self.attention = SelfAttention(4 * n) if attention else nn.Identity()
        self.bottleneck = _double(4 * n, 4 * n)
        self.up3, self.up2, self.up1 = (
            BilinearResize(image_size // k, 2 * image_size // k, align_corners=True)
            for k in (8, 4, 2)
        )
        self.dec3 = _double(8 * n, 4 * n)
        self.dec2 = _double(6 * n, 2 * n)
        self.dec1 = nn.Sequential(*_convolution(3 * n, n), Conv2d(n, 3, 3, padding=1), nn.Tanh())

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        """Return the whole image, `[N, 3, H, W]`."""
        skip1 = self.enc1(torch.cat([masked, mask], dim=1))
        skip2 = self.enc2(self.pool(skip1))
        skip3 = self.enc3(self.pool(skip2))
        features = self.bottleneck(self.attention(self.pool(skip3)))
        features = self.dec3(torch.cat([self.up3(features), skip3], dim=1))
        features = self.dec2(torch.cat([self.up2(features), skip2], dim=1))
        output: Tensor = self.dec1(torch.cat([self.up1(features), skip1], dim=1))
        return output


def _double(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(in_channels, channels), *_convolution(channels, channels))


def _convolution(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [Conv2d(in_channels, out_channels, 3, padding=1), nn.LeakyReLU(0.2, inplace=True)]
