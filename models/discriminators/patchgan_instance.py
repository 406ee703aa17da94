"""The patch discriminator with instance norm of the fixed and random crop report (2020)."""

from torch import Tensor, nn

from models.layers import Conv2d, halving_layers
from models.networks import DiscriminatorNetwork, Score


class Discriminator(DiscriminatorNetwork):
    """Four halvings and one convolution to patches; 2,764,737 parameters.

    The sigmoid of the original is part of the loss, which takes logits.

    Args:
        input_size: side of what it looks at in pixels, at least 32; at least 64 with
            `printed_end`, as instance norm needs more than one patch.
        printed_end: whether instance norm and LeakyReLU follow the last convolution too, as in the
            code that the report prints.
    """

    predicts = Score

    def __init__(self, input_size: int, *, printed_end: bool = False) -> None:
        super().__init__()
        least = 64 if printed_end else 32
        if input_size < least:
            raise ValueError(f"input size {input_size} is less than {least}")
        layers = halving_layers([64, 128, 256, 512], norm=nn.InstanceNorm2d)
        layers.append(Conv2d(512, 1, 4, padding=1))
        if printed_end:
            layers += [nn.InstanceNorm2d(1), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Score:
        """Return one logit a patch, `[N, h, w]`."""
        return Score(self.layers(images).squeeze(1))
