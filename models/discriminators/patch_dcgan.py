"""The binary discriminator of the context encoder (Pathak et al. 2016), after DCGAN."""

from torch import Tensor, nn

from models.layers import Conv2d, halving_layers, halvings_to_4
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
        stages = halvings_to_4(input_size, "input")
        channels = [min(64 << stage, 512) for stage in range(stages)]
        self.layers = nn.Sequential(
            *halving_layers(channels, bias=bias), Conv2d(channels[-1], 1, 4, bias=bias)
        )

    def forward(self, images: Tensor) -> Score:
        """Return one logit an image, `[N]`."""
        return Score(self.layers(images).flatten())
