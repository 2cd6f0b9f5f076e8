"""The parts of VisTR (Wang 2021; detection parts after Carion 2020): backbone, transformer,
mask heads, boxes.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
import torchvision
from torch import nn


class StageNorm(nn.Module):
    """Batch normalisation without learned scale; ``frozen`` uses the stored statistics in
    training too.

    Tensors are those of a pretrained network's batch normalisation, held as buffers.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.frozen = False
        for name, value in (
            ("weight", 1.0),
            ("bias", 0.0),
            ("running_mean", 0.0),
            ("running_var", 1.0),
        ):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        learn = self.training and not self.frozen and x[:, 0].numel() > 1
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training=learn
        )


class Backbone(nn.Module):
    """Residual network, N×C×H×W to four stages' maps at 1/4 … 1/32, named as in torchvision."""

    def __init__(self, in_channels: int, name: str) -> None:
        super().__init__()
        whole = torchvision.models.get_model(name, weights=None, norm_layer=StageNorm)
        if in_channels != 3:
            whole.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        for part, module in whole.named_children():
            if part not in ("fc", "avgpool"):
                self.add_module(part, module)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps

    def stem_parameters(self) -> list[nn.Parameter]:
        """The first convolution's and first stage's parameters."""
        return [*self.conv1.parameters(), *self.layer1.parameters()]

    def freeze(self, stem: bool, norm: bool) -> None:
        """Freeze the stem's parameters; hold the normalisation at its stored statistics."""
        for parameter in self.stem_parameters():
            parameter.requires_grad_(not stem)
        for module in self.modules():
            if isinstance(module, StageNorm):
                module.frozen = norm


def position_code(
    steps: int, height: int, width: int, channels: int, like: torch.Tensor
) -> torch.Tensor:
    """Sine code of (t, y, x), T×H×W×C, a third of C each, scaled to 2π, temperature 10⁴."""
    each = channels // 3
    axis = torch.arange(each, device=like.device)
    rate = 10000 ** (2 * (axis // 2) / each)
    parts = []
    for dim, length in enumerate((steps, height, width)):
        position = torch.arange(1, length + 1, device=like.device) / (length + 1e-6) * 2 * torch.pi
        angle = position[:, None] / rate
        code = torch.where(axis % 2 == 0, angle.sin(), angle.cos())
        shape = [1, 1, 1, each]
        shape[dim] = length
        parts.append(code.view(shape).expand(steps, height, width, each))
    return torch.cat(parts, -1).to(like.dtype)


class Layer(nn.Module):
    """Transformer layer, normalised after each part; ``cross``: it reads the encoder's memory."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, cross: bool) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.read = (
            nn.MultiheadAttention(width, heads, dropout, batch_first=True) if cross else None
        )
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if cross else 2))
        self.drop = nn.Dropout(dropout)

    def forward(
        self,
        x: torch.Tensor,
        place: torch.Tensor,
        memory: torch.Tensor | None = None,
        memory_place: torch.Tensor | None = None,
    ) -> torch.Tensor:
        asked = x + place
        x = self.norms[0](x + self.drop(self.attend(asked, asked, x, need_weights=False)[0]))
        if self.read is not None:
            found = self.read(x + place, memory + memory_place, memory, need_weights=False)[0]
            x = self.norms[1](x + self.drop(found))
        return self.norms[-1](x + self.drop(self.narrow(self.drop(F.relu(self.widen(x))))))


class Transformer(nn.Module):
    """Encoder and decoder of ``layers`` each; every decoder output, normalised, is returned."""

    def __init__(self, width: int, heads: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.encode = nn.ModuleList(
            Layer(width, heads, hidden, dropout, cross=False) for _ in range(layers)
        )
        self.decode = nn.ModuleList(
            Layer(width, heads, hidden, dropout, cross=True) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self, tokens: torch.Tensor, place: torch.Tensor, queries: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """tokens B×S×D, place S×D, queries Q×D to memory B×S×D and outputs layers×B×Q×D."""
        for layer in self.encode:
            tokens = layer(tokens, place)
        queries = queries.expand(tokens.shape[0], -1, -1)
        x, outputs = torch.zeros_like(queries), []
        for layer in self.decode:
            x = layer(x, queries, tokens, place)
            outputs.append(self.norm(x))
        return tokens, torch.stack(outputs)


class AttentionMaps(nn.Module):
    """Where each query looks in its frame: softmax over heads and positions (Carion 2020)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.heads = heads
        for layer in (self.query, self.key):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, queries: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        """queries F×K×D, memory F×D×h×w to F×K×heads×h×w."""
        asked = self.query(queries).unflatten(2, (self.heads, -1))
        keys = F.conv2d(memory, self.key.weight[..., None, None], self.key.bias).unflatten(
            1, (self.heads, -1)
        )
        scores = torch.einsum("fknc,fnchw->fknhw", asked * asked.shape[-1] ** -0.5, keys)
        return scores.flatten(2).softmax(-1).view(scores.shape)


class DeformableConv(nn.Module):
    """3×3 deformable convolution, version 1 (Dai 2017): offsets from a 1×1 convolution started
    at zero, no bias.

    Written with grid_sample, so that it runs and exports wherever torch does; equals
    torchvision.ops.deform_conv2d.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.offset = nn.Conv2d(in_channels, 18, 1)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=1)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[-2:]
        offset = self.offset(x).float()
        rows = torch.arange(height, device=x.device, dtype=torch.float32)[:, None]
        columns = torch.arange(width, device=x.device, dtype=torch.float32)
        total = x.new_zeros(())
        for tap in range(9):
            y = rows + (tap // 3 - 1) + offset[:, 2 * tap]
            column = columns + (tap % 3 - 1) + offset[:, 2 * tap + 1]
            grid = torch.stack([(2 * column + 1) / width - 1, (2 * y + 1) / height - 1], -1).to(
                x.dtype
            )
            sampled = F.grid_sample(
                x, grid, mode="bilinear", padding_mode="zeros", align_corners=False
            )
            total = total + F.conv2d(sampled, self.weight[:, :, tap // 3, tap % 3, None, None])
        return total


class MaskHead(nn.Module):
    """Feature pyramid: memory and each query's maps to features at 1/4 (width/16 channels)."""

    def __init__(self, joined: int, width: int, pyramid: Sequence[int]) -> None:
        super().__init__()
        sizes = (joined, joined, width // 2, width // 4, width // 8)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise(sizes)
        )
        self.adapters = nn.ModuleList(
            nn.Conv2d(a, b, 1) for a, b in zip(pyramid, sizes[2:], strict=True)
        )
        self.last = DeformableConv(width // 8, width // 16)
        self.norms = nn.ModuleList(nn.GroupNorm(8, size) for size in (*sizes[1:], width // 16))
        for conv in [*self.convs, *self.adapters]:
            nn.init.kaiming_uniform_(conv.weight, a=1)
            nn.init.zeros_(conv.bias)

    def forward(
        self, memory: torch.Tensor, maps: torch.Tensor, pyramid: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """memory F×D×h×w, maps F×K×heads×h×w, pyramid maps at 1/4, 1/8, 1/16 to F×K×C×H/4×W/4."""
        objects = maps.shape[1]
        x = torch.cat([memory[:, None].expand(-1, objects, -1, -1, -1), maps], 2).flatten(0, 1)
        for step, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=False)):
            x = F.relu(norm(conv(x)))
            if step:
                level = self.adapters[step - 1](pyramid[3 - step]).repeat_interleave(objects, 0)
                x = level + F.interpolate(x, size=level.shape[-2:], mode="nearest")
        return F.relu(self.norms[-1](self.last(x))).unflatten(0, (-1, objects))


class TimeHead(nn.Module):
    """3-D convolutions over the frames of a clip, one mask per object and frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers, width = [], channels
        for _ in range(3):
            layers += [
                nn.Conv3d(width, 12, 3, padding=2, dilation=2),
                nn.GroupNorm(4, 12),
                nn.ReLU(),
            ]
            width = 12
        self.layers = nn.Sequential(*layers, nn.Conv3d(12, 1, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """features B×T×K×C×h×w to mask logits (B·T)×K×h×w."""
        batch, _, objects = features.shape[:3]
        masks = self.layers(features.permute(0, 2, 3, 1, 4, 5).flatten(0, 1))
        return masks.squeeze(1).unflatten(0, (batch, objects)).transpose(1, 2).flatten(0, 1)


def detection_targets(target: torch.Tensor, objects: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Per frame and class: present (F×K), its box as centre and size in fractions, or 0."""
    masks = torch.stack([target == k + 1 for k in range(objects)], 1)
    boxes = []
    for dim, length in ((3, target.shape[2]), (2, target.shape[1])):
        hit = masks.any(5 - dim)
        low = hit.int().argmax(-1) / length
        high = 1 - hit.flip(-1).int().argmax(-1) / length
        boxes.append(((low + high) / 2, high - low))
    present = masks.any(dim=3).any(dim=2)
    (x, w), (y, h) = boxes
    return present, torch.stack([x, y, w, h], -1) * present[..., None]


def generalised_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Generalised IoU (Rezatofighi 2019) of boxes …×4 given as centre and size; in [−1, 1]."""
    a_low, a_high = a[..., :2] - a[..., 2:] / 2, a[..., :2] + a[..., 2:] / 2
    b_low, b_high = b[..., :2] - b[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2
    overlap = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - overlap
    hull = (torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)).prod(-1)
    return overlap / union.clamp(min=1e-9) - (hull - union) / hull.clamp(min=1e-9)
