"""U-Net (Ronneberger 2015) in a common variant: bilinear up-sampling, a halved bottleneck.

17,263,172 parameters with 3 channels and 4 classes at width 64.
"""

import torch
from torch import nn

from helpers.models.blocks import Network, conv_pair, decode, encode, enlarge


class Model(Network):
    """width: channels at full resolution, doubled at each of three poolings."""

    def __init__(self, in_channels: int, classes: int, *, width: int = 64) -> None:
        super().__init__(in_channels, classes)
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.down = nn.ModuleList(
            conv_pair(a, b) for a, b in zip([in_channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            conv_pair(2 * w, max(w // 2, width), mid_channels=w) for w in widths[3::-1]
        )
        self.head = nn.Conv2d(width, classes, 1)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(decode(encode(images, self.down), [enlarge] * 4, self.up))
