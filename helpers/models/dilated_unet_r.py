"""DilatedUNet-R, a reconstruction of the dilated U-Net of Miyatake 2022, of which only the abstract
is public.

Three levels, a bottleneck of six 3×3 convolutions in cascade with dilations 1, 2, 4, 8, 16, 32
whose outputs are summed, nearest up-sampling followed by a convolution; no normalisation (a widely
used public design). 8,507,005 parameters at width 44 with 1 channel and one foreground class; the
twin without dilation has as many.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from helpers.models.blocks import (
    Network,
    decode,
    encode,
    initialise,
    plain_pair,
    sigmoid_outputs,
    with_background,
)


def _raise(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return F.relu(layer(F.interpolate(x, scale_factor=2, mode="nearest")))


class Model(Network):
    """width: channels at full resolution. dilated: False sets all six rates to 1."""

    stride = 8

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        width: int = 44,
        dilated: bool = True,
    ) -> None:
        super().__init__(in_channels, classes)
        self.outputs = sigmoid_outputs(classes)
        widths = [width, 2 * width, 4 * width]
        self.down = nn.ModuleList(
            plain_pair(a, b) for a, b in zip([in_channels, *widths], widths, strict=False)
        )
        deep = [4 * width] + [8 * width] * 6
        rates = [2**i if dilated else 1 for i in range(6)]
        self.cascade = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=r, dilation=r)
            for a, b, r in zip(deep, deep[1:], rates, strict=False)
        )
        self.raise_ = nn.ModuleList(nn.Conv2d(2 * w, w, 3, padding=1) for w in reversed(widths))
        self.up = nn.ModuleList(plain_pair(2 * w, w) for w in reversed(widths))
        self.head = nn.Conv2d(width, self.outputs, 1)
        initialise(self, "he")

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        maps = encode(images, self.down)
        x, steps = F.max_pool2d(maps[-1], 2), []
        for layer in self.cascade:
            x = F.relu(layer(x))
            steps.append(x)
        raises = [partial(_raise, layer) for layer in self.raise_]
        x = self.head(decode([*maps, sum(steps[1:], steps[0])], raises, self.up))
        return x if self.outputs == self.classes else with_background(x)
