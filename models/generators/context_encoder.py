"""The context encoder for a missing square (Pathak et al. 2016, version for the center region)."""

from itertools import pairwise

from torch import Tensor, nn

from models.layers import Conv2d, ConvTranspose2d, halving_layers, halvings_to_4
from models.networks import GeneratorNetwork
from models.squares import paste_squares

LATENT_CHANNELS = 4000


class Generator(GeneratorNetwork):
    """Encoder down to 4x4, 4000 latent channels, decoder up to the hole; 71,130,531 parameters.

    For other sizes than 128 px with a hole of 64 px, stages at the outer, 64-channel end are
    dropped or repeated, so that the map before the bottleneck stays 4x4.

    Args:
        image_size: side of the images in pixels: 16, 32, 64, …
        hole_size: side of the holes in pixels: 8, 16, 32, …
        bias: whether convolutions have biases (the original sets its own to 0 at every step).
        latent_norm: whether batch norm follows the 4000-channel convolution.
    """

    one_hole_size = True

    def __init__(
        self, image_size: int, hole_size: int, *, bias: bool = True, latent_norm: bool = True
    ) -> None:
        super().__init__()
        channels = encoder_channels(image_size)
        latent: list[nn.Module] = [nn.BatchNorm2d(LATENT_CHANNELS)] if latent_norm else []
        self.encoder = nn.Sequential(
            *halving_layers(channels, bias=bias),
            Conv2d(channels[-1], LATENT_CHANNELS, 4, bias=bias),
            *latent,
            nn.LeakyReLU(0.2, inplace=True),
        )
        wider = decoder_channels(hole_size)
        self.decoder = nn.Sequential(
            ConvTranspose2d(LATENT_CHANNELS, wider[0], 4, bias=bias),
            nn.BatchNorm2d(wider[0]),
            nn.ReLU(inplace=True),
            *doubling_layers(wider, bias),
            ConvTranspose2d(wider[-1], 3, 4, stride=2, padding=1, bias=bias),
            nn.Tanh(),
        )

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        """Return the masked images with the generated squares in their holes."""
        return paste_squares(self.decoder(self.encoder(masked)), corner, masked)


def encoder_channels(image_size: int) -> list[int]:
    """Return the channels after each halving of an image down to 4x4.

    Raises:
        ValueError: the size is not 16, 32, 64, …
    """
    stages = halvings_to_4(image_size, "image", least=16)
    return [64] * (stages - 3) + [128, 256, 512][-stages:]


def decoder_channels(hole_size: int) -> list[int]:
    """Return the channels at 4x4 and after each doubling but the last one.

    Raises:
        ValueError: the size is not 8, 16, 32, …
    """
    stages = halvings_to_4(hole_size, "hole")
    return ([512, 256, 128] + [64] * (stages - 3))[:stages]


def doubling_layers(channels: list[int], bias: bool = True) -> list[nn.Module]:
    """Return transposed convolutions that double a map, each with batch norm."""
    layers: list[nn.Module] = []
    for wider, narrower in pairwise(channels):
        layers.append(ConvTranspose2d(wider, narrower, 4, stride=2, padding=1, bias=bias))
        layers += [nn.BatchNorm2d(narrower), nn.ReLU(inplace=True)]
    return layers
