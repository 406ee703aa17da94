"""The binary discriminator of the context encoder (Pathak et al. 2016), after DCGAN."""

from torch import Tensor, nn

from models.layers import Conv2d
from models.networks import DiscriminatorNetwork, Score


class Discriminator(DiscriminatorNetwork):
    """Judges a square by halving it to 4x4; 2,766,529 parameters for 64 px.

    For other sizes the last halving stages are dropped or repeated at 512 channels, so that the map
    before the last layer stays 4x4. The sigmoid of the original is part of the loss, which takes
    logits.
    """

    predicts = Score

    def __init__(self, input_size: int, *, bias: bool = True) -> None:
        super().__init__()
        stages = input_size.bit_length() - 3
        if input_size != 4 << stages or stages < 1:
            raise ValueError(
                f"input size {input_size} is not 8, 16, 32, …: a power of two from 8 on"
            )
        layers: list[nn.Module] = []
        channels = 3
        for stage in range(stages):
            wider = min(64 << stage, 512)
            layers.append(Conv2d(channels, wider, 4, stride=2, padding=1, bias=bias))
            if stage > 0:
                layers.append(nn.BatchNorm2d(wider))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            channels = wider
        layers.append(Conv2d(channels, 1, 4, bias=bias))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Score:
        """Return one logit an image, `[N]`."""
        return Score(self.layers(images).flatten())
