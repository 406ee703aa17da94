"""The generator of all LocPaint variants (Kuo 2024), after the context encoder."""

from torch import Tensor, nn

from models.generators.context_encoder import LATENT_CHANNELS, doubling_layers
from models.layers import Conv2d, ConvTranspose2d
from models.networks import GeneratorNetwork
from models.squares import BilinearResize


class Generator(GeneratorNetwork):
    """AlexNet-like encoder, 4000 latent channels, five-fold upsampling; 17,480,419 parameters.

    The latent map of a 128 px image is 1x1, so that the decoder's output is 32x32; it is resized
    bilinearly to the size of the image. The output is the whole image; mask and corner are not
    used.
    """

    def __init__(self, image_size: int, hole_size: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *_down(3, 64, kernel=11, stride=4, padding=5),
            *_down(64, 128, kernel=5, stride=2, padding=2),
            *_down(128, 256, kernel=3, stride=2, padding=1),
            *_down(256, 512, kernel=3, stride=2, padding=1),
            *_down(512, 512, kernel=3, stride=2, padding=1),
            *_down(512, 512, kernel=3, stride=2, padding=1),
            Conv2d(512, LATENT_CHANNELS, 1),
        )
        self.decoder = nn.Sequential(
            Conv2d(LATENT_CHANNELS, 512, 1),
            nn.ReLU(inplace=True),
            *doubling_layers([512, 512, 256, 128, 64]),
            ConvTranspose2d(64, 3, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        latent_size = -(-image_size // 128)  # the layers halve seven times, rounding up
        self.resize = BilinearResize(32 * latent_size, image_size)

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        """Return the whole image, `[N, 3, H, W]`."""
        output: Tensor = self.resize(self.decoder(self.encoder(masked)))
        return output


def _down(
    in_channels: int, out_channels: int, kernel: int, stride: int, padding: int
) -> list[nn.Module]:
    return [
        Conv2d(in_channels, out_channels, kernel, stride=stride, padding=padding),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]
