"""DMRNet-R, a reconstruction of DMRNet (2026), whose abstract names the modules and what each is
for.

Residual U-Net with AMD (multi-scale down-sampling), DAR (dense skip that selects salient regions),
AEH (up-sampling that emphasises critical features), the attentions BASA (where) and ER-MHA (what
belongs together), each of which can be switched off for an ablation. Every layer inside them is
ours. 20,950,501 parameters with 1 channel and 5 classes.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from helpers.models.blocks import Network

WIDTHS = (32, 64, 128, 256, 512)


def conv_norm(
    in_channels: int,
    out_channels: int,
    size: int = 3,
    stride: int = 1,
    dilation: int = 1,
    relu: bool = True,
) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU where asked."""
    padding = dilation * (size // 2)
    layers = [
        nn.Conv2d(in_channels, out_channels, size, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


class Residual(nn.Module):
    """Two 3×3 convolutions and a shortcut (1×1 where the width changes)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_norm(in_channels, out_channels), conv_norm(out_channels, out_channels, relu=False)
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class AMD(nn.Module):
    """Halves: three dilated branches, weighed per channel by their global mean, and a mean path."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            conv_norm(in_channels, out_channels, stride=2, dilation=d) for d in (1, 2, 4)
        )
        hidden = max(out_channels // 8, 16)
        self.weigh = nn.Sequential(
            nn.Linear(out_channels, hidden), nn.ReLU(), nn.Linear(hidden, 3 * out_channels)
        )
        self.mean_path = nn.Sequential(
            nn.AvgPool2d(2), conv_norm(in_channels, out_channels, 1, relu=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scales = torch.stack([branch(x) for branch in self.branches], 1)
        share = self.weigh(scales.sum(1).mean((2, 3))).unflatten(1, (3, -1)).softmax(1)
        return F.relu((scales * share[..., None, None]).sum(1) + self.mean_path(x))


class BASA(nn.Module):
    """Spatial attention from the channels' mean, maximum and edge strength: x·(1 + a)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 7, padding=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        edges = (x - F.avg_pool2d(x, 3, 1, 1)).abs()
        maps = torch.cat([x.mean(1, True), x.amax(1, True), edges.mean(1, True)], 1)
        return x * (1 + self.conv(maps).sigmoid())


class DAR(nn.Module):
    """Skip connection: dense block of three convolutions, fused, attended, added to its input."""

    def __init__(self, channels: int, basa: bool) -> None:
        super().__init__()
        half = channels // 2
        self.dense = nn.ModuleList(conv_norm(channels + i * half, half) for i in range(3))
        self.fuse = conv_norm(channels + 3 * half, channels, 1, relu=False)
        self.attend = BASA() if basa else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = x
        for layer in self.dense:
            features = torch.cat([features, layer(features)], 1)
        return F.relu(self.attend(self.fuse(features)) + x)


class ERMHA(nn.Module):
    """Self-attention over the bottleneck's positions; x + g·block(x), g learned from 0."""

    def __init__(self, channels: int, heads: int = 8) -> None:
        super().__init__()
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.widen = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = (x + self.position(x)).flatten(2).transpose(1, 2)
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        tokens = tokens + self.widen(self.norm2(tokens))
        return x + self.gain * tokens.transpose(1, 2).unflatten(2, x.shape[2:])


class AEH(nn.Module):
    """Doubles and joins the skip: transposed plus bilinear path, channel then spatial attention."""

    def __init__(self, channels: int, enhance: bool, basa: bool) -> None:
        super().__init__()
        self.raise_ = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.block = Residual(2 * channels, channels)
        self.enhance = enhance
        if enhance:
            self.smooth = nn.Conv2d(2 * channels, channels, 1)
            few = channels // 16
            self.squeeze = nn.Sequential(
                nn.Linear(channels, few), nn.ReLU(), nn.Linear(few, channels), nn.Sigmoid()
            )
            self.attend = BASA() if basa else nn.Identity()

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        up = self.raise_(x)
        if self.enhance:  # a 1×1 convolution and interpolation commute: the cheaper order
            up = up + F.interpolate(
                self.smooth(x), scale_factor=2, mode="bilinear", align_corners=False
            )
        y = self.block(torch.cat([up, skip], 1))
        if self.enhance:
            y = y + self.attend(y * self.squeeze(y.mean((2, 3)))[..., None, None])
        return y


class Model(Network):
    """amd, dar, aeh, basa, ermha: each part on or off. Off: a strided convolution, the plain skip,
    a transposed convolution alone, no spatial attention, no bottleneck attention.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        amd: bool = True,
        dar: bool = True,
        aeh: bool = True,
        basa: bool = True,
        ermha: bool = True,
    ) -> None:
        super().__init__(in_channels, classes)
        pairs = list(itertools.pairwise(WIDTHS))
        self.stem = Residual(in_channels, WIDTHS[0])
        self.down = nn.ModuleList(AMD(a, b) if amd else conv_norm(a, b, stride=2) for a, b in pairs)
        self.stages = nn.ModuleList(Residual(w, w) for w in WIDTHS[1:])
        self.skips = nn.ModuleList(DAR(w, basa) if dar else nn.Identity() for w in WIDTHS[:-1])
        self.bottom = nn.Sequential(*(ERMHA(WIDTHS[-1]) for _ in range(2 if ermha else 0)))
        self.up = nn.ModuleList(AEH(w, aeh, basa) for w in WIDTHS[-2::-1])
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        x, skips = self.stem(images), []
        for skip, down, stage in zip(self.skips, self.down, self.stages, strict=True):
            skips.append(skip(x))
            x = stage(down(x))
        x = self.bottom(x)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            x = block(x, skip)
        return self.head(x)
