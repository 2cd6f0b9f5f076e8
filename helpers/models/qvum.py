"""Q-VUM: VGG16 encoder, U-Net decoder (the Q-VUM paper 2024, Network architecture, Fig. 2).

Layer widths follow the public VGG16 U-Net that the paper's description matches: the fifth pooling
is left out, the full-resolution skip is kept, no batch normalisation anywhere, bilinear up-sampling
with aligned corners, a 1×1 head. 24,891,332 parameters with 3 channels and 4 classes, 14,714,688 of
them in the encoder.
"""

import torch
from torch import nn

from helpers.models import encoders
from helpers.models.blocks import Network, decode, enlarge, initialise, plain_pair

#: convolution widths of each VGG16 stage, and where the stages lie in torchvision's
#: ``vgg16().features``
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
CUTS = ((0, 4), (4, 9), (9, 16), (16, 23), (23, 30))


class VGG16(nn.Module):
    """The 13 convolutions of VGG16, tensors named as in torchvision (``features.N.weight``)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        layers, width = [], in_channels
        for stage in STAGES:
            for out in stage:
                layers += [nn.Conv2d(width, out, 3, padding=1), nn.ReLU(inplace=True)]
                width = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[:-1])

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """N×C×H×W to the five stages' maps, widths 64, 128, 256, 512, 512 at 1/1 … 1/16."""
        maps = []
        for first, last in CUTS:
            for layer in self.features[first:last]:
                images = layer(images)
            maps.append(images)
        return maps


class Model(Network):
    """width: of the decoder's finest level, doubled at each coarser one; encoder_weights: see
    ``encoders.load``. Without any, weights start as He says; the decoder of a pretrained encoder as
    torch does, as in the public code (whose own start without pretraining, N(0, 0.02), hardly
    trains).
    """

    def __init__(
        self, in_channels: int, classes: int, *, width: int = 64, encoder_weights: str = "none"
    ) -> None:
        super().__init__(in_channels, classes)
        self.encoder = VGG16(in_channels)
        skips, outs = [stage[-1] for stage in STAGES], [width * 2**level for level in range(4)]
        raised = [*outs[1:], skips[-1]]
        self.decoder = nn.ModuleList(
            plain_pair(skip + below, out)
            for skip, below, out in zip(skips[:-1], raised, outs, strict=True)
        )
        self.head = nn.Conv2d(width, classes, 1)
        if encoder_weights in (None, "none"):
            initialise(self, "he")
        self.pretrained = encoders.load(self.encoder, encoder_weights, "vgg16")

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(decode(self.encoder(images), [enlarge] * 4, reversed(self.decoder)))
