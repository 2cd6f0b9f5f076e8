"""A network to start from: one 3×3 convolution a structure. Change what it does."""

import torch
from torch import nn

from helpers.models.blocks import Network


class Model(Network):
    """images float N×C×H×W to logits N×classes×H×W. dropout: share of channels left out."""

    stride = 1  # sides need be multiples of this; the base class pads and crops

    def __init__(self, in_channels: int, classes: int, *, dropout: float = 0.0) -> None:
        super().__init__(in_channels, classes)
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, 16, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Dropout2d(dropout),
            nn.Conv2d(16, classes, 3, padding=1),
        )

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)
