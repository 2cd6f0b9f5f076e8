"""What several networks share: interface, padding, pairs of convolutions, U-shape, start."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn


class Network(nn.Module):
    """Base of all networks: images float N×C×H×W of any size to logits N×classes×H×W.

    A network down-samples by ``stride`` in all; other sizes are padded at the right and bottom by
    repeating the edge, and the logits are cropped back. Subclasses define ``logits(images)`` for
    sizes that fit. ``pretrained`` says where the encoder's weights came from (dict), None for a
    random start. ``mirrored``: outside of training the logits are the mean of those of the image
    and of its mirror image.
    """

    stride = 16
    clip_length = 1
    pretrained: dict[str, str] | None = None
    mirrored = False

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.in_channels, self.classes = in_channels, classes

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Pad to a multiple of ``stride``; ValueError for another number of channels."""
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise ValueError(
                f"images must be N×{self.in_channels}×H×W, found {tuple(images.shape)}"
            )
        bottom, right = (-images.shape[2]) % self.stride, (-images.shape[3]) % self.stride
        return F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self._fitted(images)
        if self.mirrored and not self.training:
            found = (found + self._fitted(images.flip(-1)).flip(-1)) / 2
        return found

    def _fitted(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[-2:]
        return self.logits(self.prepare(images))[..., :height, :width]


def conv_pair(
    in_channels: int, out_channels: int, mid_channels: int | None = None, bias: bool = False
) -> nn.Sequential:
    """Two 3×3 convolutions, each with batch normalisation and ReLU."""
    mid = mid_channels or out_channels
    return nn.Sequential(
        nn.Conv2d(in_channels, mid, 3, padding=1, bias=bias),
        nn.BatchNorm2d(mid),
        nn.ReLU(inplace=True),
        nn.Conv2d(mid, out_channels, 3, padding=1, bias=bias),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def plain_pair(
    in_channels: int,
    out_channels: int,
    *,
    activation: type[nn.Module] = nn.ReLU,
    dropout: float = 0.0,
    padding: int = 1,
) -> nn.Sequential:
    """Two 3×3 convolutions with bias and activation, dropout between them where asked."""
    between = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=padding),
        activation(),
        *between,
        nn.Conv2d(out_channels, out_channels, 3, padding=padding),
        activation(),
    )


#: doubles the size, aligned corners
enlarge = partial(F.interpolate, scale_factor=2, mode="bilinear", align_corners=True)


def encode(images: torch.Tensor, blocks: Iterable[nn.Module]) -> list[torch.Tensor]:
    """The map of every level, finest first: each block reads the one before it, max-pooled."""
    maps = []
    for block in blocks:
        maps.append(block(F.max_pool2d(maps[-1], 2) if maps else images))
    return maps


def skip_first(skip: torch.Tensor, raised: torch.Tensor) -> torch.Tensor:
    """Skip and enlarged map as one, in the order most networks use."""
    return torch.cat([skip, raised], 1)


def decode(
    maps: Sequence[torch.Tensor],
    raises: Iterable[Callable],
    blocks: Iterable[nn.Module],
    join: Callable = skip_first,
) -> torch.Tensor:
    """From the coarsest of ``maps`` to the finest: enlarge, join with the level's skip, convolve.
    raises and blocks: one callable a level, coarsest first.
    """
    *skips, x = maps
    for raise_, block, skip in zip(raises, blocks, reversed(skips), strict=True):
        x = block(join(skip, raise_(x)))
    return x


def with_background(foreground: torch.Tensor) -> torch.Tensor:
    """Sigmoid networks: foreground logits N×K×H×W to N×(K+1)×H×W, background fixed at 0.

    The argmax is then the strongest foreground class where its sigmoid exceeds 0.5, else
    background; with one foreground class the softmax of (0, z) is sigmoid(z) itself, so
    cross-entropy is binary cross-entropy.
    """
    return torch.cat([torch.zeros_like(foreground[:, :1]), foreground], 1)


def sigmoid_outputs(classes: int) -> int:
    """Output channels of a network whose paper has one sigmoid output for one foreground class."""
    return 1 if classes == 2 else classes


def initialise(module: nn.Module, how: str) -> None:
    """Start all convolutions and linear layers of a module; biases become zero.

    how: 'he' (normal, variance 2/fan-in, He 2015) or 'glorot' (uniform, Keras' default).
    """
    he = partial(nn.init.kaiming_normal_, nonlinearity="relu")
    start = {"he": he, "glorot": nn.init.xavier_uniform_}[how]
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            start(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
