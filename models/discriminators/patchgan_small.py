"""The small patch discriminator of the attention U-Net."""

from torch import Tensor, nn

from models.layers import Conv2d, halving_layers
from models.networks import DiscriminatorNetwork, Score


class Discriminator(DiscriminatorNetwork):
    """Judges overlapping patches of 22 px; 35,553 parameters.

    Args:
        input_size: side of the images in pixels, at least 8.
    """

    predicts = Score

    def __init__(self, input_size: int) -> None:
        super().__init__()
        if input_size < 8:
            raise ValueError(f"input size {input_size} is less than 8")
        self.layers = nn.Sequential(*halving_layers([32, 64]), Conv2d(64, 1, 4, padding=1))

    def forward(self, images: Tensor) -> Score:
        """Return one logit a patch, `[N, h, w]`."""
        return Score(self.layers(images).squeeze(1))
