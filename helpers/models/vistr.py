"""VisTR, the clip transformer (Wang 2021), as set for the median nerve (Gujarati 2024) and for
still images.

Residual backbone → 1×1 to 384 channels → transformer over all positions of all frames → queries →
for each query an attention map over its frame, a feature-pyramid mask head, 3-D convolutions over
time. One query per foreground class and frame in fixed order, so nothing is matched. Masks at a
quarter of the size, enlarged bilinearly; sigmoid per class. 75,709,217 trainable parameters in the
authors' setting (ResNet-101, 36 frames, 1 class, 42 label outputs).

Batches are consecutive frames: clips of ``clip_length``, the last one filled by repeating its last
frame.
"""

import itertools
from collections.abc import Callable
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import nn

from helpers.errors import StudyError
from helpers.models import encoders
from helpers.models.blocks import Network, with_background
from helpers.models.vistr_parts import (
    AttentionMaps,
    Backbone,
    MaskHead,
    TimeHead,
    Transformer,
    detection_targets,
    generalised_iou,
    position_code,
)

WIDTH, HEADS = 384, 8


class Model(Network):
    """clip_length: frames a clip, T. backbone: 'resnet101' or 'resnet50'. detection: class and box
    heads, trained beside the masks as the authors do. outputs: label outputs, no-object last
    (default: classes). freeze_stem: keep the first convolution and stage (default: when
    pretrained); batch normalisation is then frozen too.
    """

    stride = 32

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        encoder_weights: str = "none",
        clip_length: int = 1,
        backbone: str = "resnet101",
        detection: bool = True,
        outputs: int | None = None,
        freeze_stem: bool | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(in_channels, classes)
        if (
            not isinstance(clip_length, int)
            or clip_length < 1
            or backbone not in ("resnet101", "resnet50")
        ):
            raise StudyError(
                f"vistr: clip_length {clip_length!r} must be ≥ 1, backbone {backbone!r} resnet101"
                " or resnet50"
            )
        self.clip_length, self.detection = clip_length, detection
        self.objects = max(classes - 1, 1)
        self.outputs = outputs or self.objects + 1
        if self.outputs < 2:
            raise StudyError(f"vistr: outputs must be at least 2, found {self.outputs}")
        self.encoder = Backbone(in_channels, backbone)
        self.project = nn.Conv2d(2048, WIDTH, 1)
        self.transformer = Transformer(WIDTH, HEADS, 2048, layers=6, dropout=dropout)
        self.queries = nn.Embedding(clip_length * self.objects, WIDTH)
        self.maps = AttentionMaps(WIDTH, HEADS)
        self.mask_head = MaskHead(WIDTH + HEADS, WIDTH, (1024, 512, 256))
        self.time_head = TimeHead(WIDTH // 16)
        if detection:
            self.label_head = nn.Linear(WIDTH, self.outputs)
            sizes = (WIDTH, WIDTH, WIDTH, 4)
            self.box_head = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        for parameter in self.transformer.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
        self.pretrained = encoders.load(self.encoder, encoder_weights, backbone)
        self.freeze_stem = self.pretrained is not None if freeze_stem is None else freeze_stem
        self.encoder.freeze(stem=self.freeze_stem, norm=self.pretrained is not None)

    def to(
        self, *arguments: Any, memory_format: torch.memory_format | None = None, **options: Any
    ) -> Self:
        """As torch's; a memory format goes to the 2-D convolutions alone, 3-D ones have none."""
        super().to(*arguments, **options)
        for module in self.modules() if memory_format is not None else ():
            if isinstance(module, nn.Conv2d):
                module.to(memory_format=memory_format)
        return self

    def always_frozen(self) -> list[nn.Parameter]:
        """Parameters that no schedule releases: the stem, when frozen."""
        return self.encoder.stem_parameters() if self.freeze_stem else []

    def _clips(self, frames: torch.Tensor) -> torch.Tensor:
        """N×… to (clips, T, …), the last clip filled with its last frame."""
        missing = (-frames.shape[0]) % self.clip_length
        if missing:
            frames = torch.cat([frames, frames[-1:].expand(missing, *frames.shape[1:])])
        return frames.unflatten(0, (-1, self.clip_length))

    def _run(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mask logits (clips·T, objects, h/4, w/4), decoder outputs (layers, clips, T·objects,
        width).
        """
        frames = self._clips(images).flatten(0, 1)
        steps = self.clip_length
        *pyramid, last = self.encoder(frames)
        source = self.project(last).unflatten(0, (-1, steps))  # clips, T, width, h, w
        height, width = source.shape[-2:]
        code = position_code(steps, height, width, WIDTH, source)
        tokens = source.movedim(2, -1).flatten(1, 3)
        memory, decoded = self.transformer(tokens, code.flatten(0, 2), self.queries.weight)
        memory = (
            memory.unflatten(1, (steps, height, width)).movedim(-1, 2).flatten(0, 1)
        )  # frames, width, h, w
        queries = (
            decoded[-1].unflatten(1, (steps, self.objects)).flatten(0, 1)
        )  # frames, objects, width
        features = self.mask_head(memory, self.maps(queries, memory), pyramid)
        return self.time_head(features.unflatten(0, (-1, steps))), decoded

    def _enlarge(self, masks: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        masks = F.interpolate(masks, size=images.shape[-2:], mode="bilinear", align_corners=False)[
            : len(images)
        ]
        return masks if self.classes == 1 else with_background(masks)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return self._enlarge(self._run(images)[0], images)

    def training_loss(
        self, images: torch.Tensor, target: torch.Tensor, criterion: Callable
    ) -> torch.Tensor:
        """criterion on the masks; with detection also labels (cross-entropy, no-object 0.1), boxes
        (5·L1 + 2·GIoU), both on every decoder layer (Wang 2021; the authors' median nerve code
        keeps them on).
        """
        padded = self.prepare(images)
        masks, decoded = self._run(padded)
        logits = self._enlarge(masks, padded)[..., : images.shape[2], : images.shape[3]]
        loss = criterion(logits, target)
        if not self.detection:
            return loss
        present, boxes = detection_targets(self._clips(target).flatten(0, 1), self.objects)
        shape = (-1, self.clip_length * self.objects)
        present, boxes = present.reshape(shape), boxes.reshape(*shape, 4)
        order = torch.arange(self.objects, device=images.device) % (self.outputs - 1)
        labels = torch.where(present, order.repeat(self.clip_length), self.outputs - 1)
        weights = torch.ones(self.outputs, device=images.device)
        weights[-1] = 0.1
        count = present.sum().clamp(min=1)
        for layer in decoded:
            loss = loss + F.cross_entropy(
                self.label_head(layer).flatten(0, 1).float(), labels.flatten(), weights
            )
            found = self._boxes(layer).float()
            wrong = 5 * (found - boxes).abs().sum(-1) + 2 * (1 - generalised_iou(found, boxes))
            loss = loss + (wrong * present).sum() / count
        return loss

    def _boxes(self, queries: torch.Tensor) -> torch.Tensor:
        for layer in self.box_head[:-1]:
            queries = F.relu(layer(queries))
        return self.box_head[-1](queries).sigmoid()
