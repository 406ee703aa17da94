"""The context encoder whose code the fixed and random crop report prints (CSE-578, 2020)."""

from torch import Tensor, nn

from models.generators.context_encoder import (
    LATENT_CHANNELS,
    decoder_channels,
    doubling_layers,
    encoder_channels,
)
from models.layers import Conv2d, halving_layers
from models.networks import GeneratorNetwork
from models.squares import paste_squares


class Generator(GeneratorNetwork):
    """A context encoder whose bottleneck is a 1x1 convolution; 40,401,187 parameters.

    So each of the 16 cells of the 4x4 map has 4000 channels of its own, and nothing but the
    encoder's receptive field carries the context from one to another.

    Args:
        image_size: side of the images in pixels: 16, 32, 64, …
        hole_size: side of the holes in pixels: 8, 16, 32, …
    """

    one_hole_size = True

    def __init__(self, image_size: int, hole_size: int) -> None:
        super().__init__()
        channels, wider = encoder_channels(image_size), decoder_channels(hole_size)
        self.encoder = nn.Sequential(
            *halving_layers(channels), Conv2d(channels[-1], LATENT_CHANNELS, 1)
        )
        self.decoder = nn.Sequential(
            *doubling_layers([LATENT_CHANNELS, *wider]),
            Conv2d(wider[-1], 3, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        """Return the masked images with the generated squares in their holes."""
        return paste_squares(self.decoder(self.encoder(masked)), corner, masked)
