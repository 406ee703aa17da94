"""The context encoder of the CelebA context encoder's code (Gopalan): 100 latent channels."""

from itertools import pairwise

from torch import Tensor, nn

from models.generators.context_encoder import decoder_channels, encoder_channels
from models.layers import Conv2d, ConvTranspose2d, halving_layers
from models.networks import GeneratorNetwork
from models.squares import paste_squares

LATENT_CHANNELS = 100


class Generator(GeneratorNetwork):
    """Encoder down to 4x4, 100 latent channels, decoder up to the hole; 7,221,031 parameters.

    Unlike the context encoder of Pathak et al., the latent channels have neither norm nor
    activation, the decoder has leaky units, and one stands before the last tanh, too.

    Args:
        image_size: side of the images in pixels: 16, 32, 64, …
        hole_size: side of the holes in pixels: 8, 16, 32, …
    """

    one_hole_size = True

    def __init__(self, image_size: int, hole_size: int) -> None:
        super().__init__()
        channels, wider = encoder_channels(image_size), decoder_channels(hole_size)
        self.encoder = nn.Sequential(
            *halving_layers(channels), Conv2d(channels[-1], LATENT_CHANNELS, 4)
        )
        layers: list[nn.Module] = [ConvTranspose2d(LATENT_CHANNELS, wider[0], 4)]
        for this, after in pairwise([*wider, 3]):
            layers += [nn.BatchNorm2d(this), nn.LeakyReLU(0.2, inplace=True)]
            layers.append(ConvTranspose2d(this, after, 4, stride=2, padding=1))
        self.decoder = nn.Sequential(*layers, nn.LeakyReLU(0.2, inplace=True), nn.Tanh())

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        """Return the masked images with the generated squares in their holes."""
        return paste_squares(self.decoder(self.encoder(masked)), corner, masked)
