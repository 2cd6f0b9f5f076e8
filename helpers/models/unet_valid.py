"""The original U-Net (Ronneberger 2015, Fig. 1).

Unpadded convolutions, no normalisation, cropped skips. Each border loses 92 pixels (572 → 388 in
the paper), so the image is mirrored outwards first, as the paper's overlap-tile strategy does; the
logits have the image's size. 31,031,940 parameters with 3 channels and 4 classes.
"""

import torch
from torch import nn

from helpers.models.blocks import Network, decode, encode, initialise, plain_pair, skip_first

BORDER = 92


def mirrored(length: int, before: int, after: int, device: torch.device) -> torch.Tensor:
    """Positions −before … length+after−1 folded into 0 … length−1 by mirroring (int64)."""
    position = torch.arange(-before, length + after, device=device)
    last = length - 1
    return last - ((position % max(2 * last, 1)) - last).abs()


def cropped_skip_first(skip: torch.Tensor, raised: torch.Tensor) -> torch.Tensor:
    """The middle of the skip, as large as the enlarged map, and that map."""
    (height, width), (rows, columns) = skip.shape[2:], raised.shape[2:]
    top, left = (height - rows) // 2, (width - columns) // 2
    return skip_first(skip[..., top : top + rows, left : left + columns], raised)


class Model(Network):
    """width: channels at full resolution. Dropout 0.5 at the end of the contracting path."""

    stride = 1

    def __init__(self, in_channels: int, classes: int, *, width: int = 64) -> None:
        super().__init__(in_channels, classes)
        widths = [width * 2**i for i in range(5)]
        pairs = zip([in_channels, *widths], widths, strict=False)
        self.down = nn.ModuleList(plain_pair(a, b, padding=0) for a, b in pairs)
        for block in self.down[-2:]:
            block.append(nn.Dropout(0.5))
        self.raise_ = nn.ModuleList(
            nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths[-2::-1]
        )
        self.up = nn.ModuleList(plain_pair(2 * w, w, padding=0) for w in widths[-2::-1])
        self.head = nn.Conv2d(width, classes, 1)
        initialise(self, "he")

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[-2:]
        for dim, length in ((2, height), (3, width)):
            fitting = (4 - length) % 16  # output sizes are 4 more than a multiple of 16
            border = mirrored(length, BORDER, BORDER + fitting, images.device)
            images = images.index_select(dim, border)
        return self.valid(images)[..., :height, :width]

    def valid(self, images: torch.Tensor) -> torch.Tensor:
        """N×C×H×W to N×classes×(H−184)×(W−184), for sides 12 more than a multiple of 16 (572)."""
        maps = encode(images, self.down)
        return self.head(decode(maps, self.raise_, self.up, cropped_skip_first))
