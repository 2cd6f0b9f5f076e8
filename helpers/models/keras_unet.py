"""The U-Net of the Keras tutorials, which three of the papers used at different widths.

Two 3×3 convolutions with bias a level, no normalisation, dropout between them, 2×2 transposed
up-sampling to the skip's width, up-sampled map first in the concatenation. Public Keras code;
weights start as Keras starts them (Glorot uniform or He normal, zero bias; Keras truncates the
normal at two deviations, torch does not).
"""

import torch
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

#: dropout of the public starter, encoder levels 1–5 then decoder levels 4–1
STARTER_DROPOUT = (0.1, 0.1, 0.2, 0.2, 0.3, 0.2, 0.2, 0.1, 0.1)
NO_DROPOUT = (0.0,) * 9


def raised_first(skip: torch.Tensor, raised: torch.Tensor) -> torch.Tensor:
    """Enlarged map and skip as one, in Keras' order."""
    return torch.cat([raised, skip], 1)


class KerasUNet(Network):
    """width: channels at full resolution, doubled at each of four poolings. dropout: rate for each
    of the nine levels, in order. sigmoid: one foreground class is a single sigmoid output.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int,
        *,
        dropout: tuple[float, ...] = STARTER_DROPOUT,
        activation: type[nn.Module] = nn.ReLU,
        init: str = "he",
        sigmoid: bool = True,
    ) -> None:
        super().__init__(in_channels, classes)
        self.outputs = sigmoid_outputs(classes) if sigmoid else classes
        widths = [width * 2**i for i in range(5)]
        levels = zip([in_channels, *widths], widths, dropout, strict=False)
        self.down = nn.ModuleList(
            plain_pair(a, b, activation=activation, dropout=p) for a, b, p in levels
        )
        up = list(zip(widths[-2::-1], dropout[5:], strict=True))
        self.raise_ = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w, _ in up)
        self.up = nn.ModuleList(
            plain_pair(2 * w, w, activation=activation, dropout=p) for w, p in up
        )
        self.head = nn.Conv2d(width, self.outputs, 1)
        initialise(self, init)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        x = self.head(decode(encode(images, self.down), self.raise_, self.up, raised_first))
        return x if self.outputs == self.classes else with_background(x)
