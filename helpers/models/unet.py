"""U-Net (Ronneberger 2015) as commonly re-used.

Same padding, batch normalisation, transposed up-sampling.
31,037,828 parameters with 3 channels and 4 classes at width 64.
"""

import torch
from torch import nn

from helpers.models.blocks import Network, conv_pair, decode, encode


class Model(Network):
    """width: channels at full resolution, doubled at each of four poolings."""

    def __init__(self, in_channels: int, classes: int, *, width: int = 64) -> None:
        super().__init__(in_channels, classes)
        widths = [width * 2**i for i in range(5)]
        pairs = zip([in_channels, *widths], widths, strict=False)
        self.down = nn.ModuleList(conv_pair(a, b) for a, b in pairs)
        self.raise_ = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths[:-1])
        self.up = nn.ModuleList(conv_pair(2 * w, w) for w in widths[:-1])
        self.head = nn.Conv2d(width, classes, 1)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        maps = encode(images, self.down)
        return self.head(decode(maps, reversed(self.raise_), reversed(self.up)))
