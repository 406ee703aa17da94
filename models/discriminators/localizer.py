"""The localizer discriminator of LocPaint (Kuo 2024): is there a fake region, and where."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from models.layers import Dropout, halving_layers
from models.networks import DiscriminatorNetwork, Localization

Positive = Annotated[float, Field(gt=0, le=8)]


class Discriminator(DiscriminatorNetwork):
    """Halving convolutions and two heads, one for the confidence and one for the box.

    Args:
        input_size: side of the images in pixels.
        capacity: factor on the 64 channels of the first layer, on the limit of 512 up to which they
            double, and on the width of the heads; each is rounded down.
        depth: number of halving layers.
        head_width: width of the heads' hidden layer at capacity 1.
        dropout: probability with which whole maps from the third halving on, and values of the
            heads' hidden layers, are dropped in training.
    """

    predicts = Localization

    def __init__(
        self,
        input_size: int,
        *,
        capacity: Positive = 1.0,
        depth: Annotated[int, Field(ge=1, le=8)] = 5,
        head_width: Annotated[int, Field(ge=1)] = 256,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        if input_size % 2**depth:
            raise ValueError(f"input size {input_size} cannot be halved {depth} times")
        width = int(head_width * capacity)
        if int(64 * capacity) < 1 or width < 1:
            raise ValueError(f"capacity {capacity} leaves no channel, or none of {head_width}")
        first, limit = int(64 * capacity), int(512 * capacity)
        channels = [min(first << stage, limit) for stage in range(depth)]
        self.features = nn.Sequential(*halving_layers(channels, dropout=dropout), nn.Flatten())
        num_features = channels[-1] * (input_size >> depth) ** 2
        self.confidence = _head(num_features, width, 1, dropout)
        self.box = _head(num_features, width, 4, dropout)

    def forward(self, images: Tensor) -> Localization:
        """Return a confidence logit `[N]` and a box `[N, 4]` for each image."""
        features = self.features(images)
        return Localization(self.confidence(features).flatten(), self.box(features).sigmoid())


def _head(num_features: int, width: int, outputs: int, dropout: float) -> nn.Sequential:
    dropped = [Dropout(dropout)] if dropout > 0 else []
    return nn.Sequential(
        nn.Linear(num_features, width), nn.ReLU(inplace=True), *dropped, nn.Linear(width, outputs)
    )
