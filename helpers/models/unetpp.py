"""U-Net++ (Zhou 2018, Fig. 1): node (i, j) joins all earlier nodes of its depth i and the
up-sampled node below.

Two public layouts: 'pytorch' (batch normalisation, bilinear up-sampling; 9,163,824 parameters with
3 channels and 4 classes at width 32) and 'keras' (dropout 0.5, transposed up-sampling, sigmoid for
one class; 9,041,601 with 1 channel and one foreground class). With deep supervision each node (0,
1…4) has a 1×1 head and the training loss is the mean over them; the last head is the answer.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from helpers.errors import StudyError
from helpers.models.blocks import (
    Network,
    conv_pair,
    enlarge,
    initialise,
    sigmoid_outputs,
    with_background,
)


def _dropout_pair(in_channels: int, out_channels: int) -> nn.Sequential:
    layers = []
    for channels in (in_channels, out_channels):
        layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers)


class Model(Network):
    """width: channels at full resolution. deep_supervision: heads on all of (0, 1…4), else on (0,
    4) alone.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        width: int = 32,
        deep_supervision: bool = True,
        layout: str = "pytorch",
    ) -> None:
        super().__init__(in_channels, classes)
        if layout not in ("pytorch", "keras"):
            raise StudyError(f"unetpp: layout {layout!r} is pytorch or keras")
        keras = layout == "keras"
        widths = [width * 2**i for i in range(5)]
        self.outputs = sigmoid_outputs(classes) if keras else classes
        pair = _dropout_pair if keras else partial(conv_pair, bias=True)
        self.blocks, self.raise_ = nn.ModuleDict(), nn.ModuleDict()
        for i, w in enumerate(widths):
            for j in range(5 - i):
                before = widths[i - 1] if i else in_channels
                joined = w * j + (w if keras else 2 * w) if j else before
                self.blocks[f"{i}_{j}"] = pair(joined, w)
                if keras and j:
                    self.raise_[f"{i}_{j}"] = nn.ConvTranspose2d(2 * w, w, 2, stride=2)
        heads = (1, 2, 3, 4) if deep_supervision else (4,)
        self.heads = nn.ModuleDict({str(j): nn.Conv2d(width, self.outputs, 1) for j in heads})
        if keras:
            initialise(self, "he")

    def _raise(self, key: str, x: torch.Tensor) -> torch.Tensor:
        return self.raise_[key](x) if key in self.raise_ else enlarge(x)

    def _heads(self, images: torch.Tensor) -> list[torch.Tensor]:
        nodes = {}
        for diagonal in range(5):
            for j in range(diagonal + 1):
                i = diagonal - j
                key, x = f"{i}_{j}", images
                if j:
                    raised = self._raise(key, nodes[i + 1, j - 1])
                    x = torch.cat([*(nodes[i, k] for k in range(j)), raised], 1)
                elif i:
                    x = F.max_pool2d(nodes[i - 1, 0], 2)
                nodes[i, j] = self.blocks[key](x)
        logits = [head(nodes[0, int(j)]) for j, head in self.heads.items()]
        return logits if self.outputs == self.classes else [with_background(x) for x in logits]

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return self._heads(images)[-1]

    def training_loss(
        self, images: torch.Tensor, target: torch.Tensor, criterion: Callable
    ) -> torch.Tensor:
        """Mean of the criterion over the heads (Zhou 2018, deep supervision)."""
        height, width = images.shape[-2:]
        heads = self._heads(self.prepare(images))
        return torch.stack([criterion(x[..., :height, :width], target) for x in heads]).mean()
