"""From uint8 images to predicted classes: device, precision, normalisation, batches."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from helpers import models
from helpers.errors import StudyError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
#: layers whose weights autocast rounds, and that hold most of them
ROUNDED = (nn.Conv2d, nn.ConvTranspose2d)


def best_device() -> torch.device:
    """CUDA where there is one, else Apple's GPU, else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """True where bfloat16 arithmetic is faster than float32, not merely possible."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return (
        device.type == "cpu"
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and torch.cpu._is_avx512_bf16_supported()
    )


def as_scored(network: nn.Module) -> nn.Module:
    """The network, its weights already in the precision that ``logits`` works in.

    Autocast rounds those of convolutions anew at every call, which for a single image is a quarter
    of the time; rounded here once, they give the same answers to the bit.
    """
    if has_bf16(next(network.parameters()).device):
        for part in network.modules():
            if isinstance(part, ROUNDED):
                part.to(torch.bfloat16)
    return network


def normalisation(spec: dict, images: Sequence[np.ndarray]) -> dict:
    """Mean and standard deviation a channel, and their origin. images: training only, uint8."""
    kind, channels = spec["normalise"], spec["channels"]
    if kind == "none":
        return {"kind": kind, "mean": [0.0] * channels, "std": [1.0] * channels}
    if kind == "imagenet":
        if channels != 3:
            raise StudyError(
                f"{spec['name']}: normalise: imagenet needs channels: 3, the protocol says"
                f" {channels}"
            )
        return {"kind": kind, "mean": list(IMAGENET[0]), "std": list(IMAGENET[1])}
    values = np.concatenate([image.ravel() for image in images]) / 255.0
    return {
        "kind": kind,
        "fitted_on": f"{len(images)} training images",
        "mean": [float(values.mean())] * channels,
        "std": [float(values.std())] * channels,
    }


def learning_layout(device: torch.device) -> torch.memory_format:
    """The memory layout that networks learn fastest in (``benchmarks/training.py``): channels last,
    but on a processor that ends with AVX2, where that makes gradients of weights slow.
    """
    avx2 = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
    return torch.contiguous_format if avx2 else torch.channels_last


def prepare(
    images: torch.Tensor, norm: dict, layout: torch.memory_format = torch.channels_last
) -> torch.Tensor:
    """uint8 or 0…1 float (N, 1, H, W) to normalised float32 (N, channels, H, W), in a layout."""
    x = images.float() / 255 if images.dtype == torch.uint8 else images
    mean, std = (
        torch.tensor(norm[k], device=x.device)[None, :, None, None] for k in ("mean", "std")
    )
    return ((x - mean) / std).contiguous(memory_format=layout)


def clips(positions: np.ndarray, patients: Iterable, clip: int) -> np.ndarray:
    """Positions (int array) ordered so that each ``clip`` in a row are one patient's consecutive
    images, the last of them repeated where too few are left; as they are for networks that read
    single images (clip 1).

    patients: an id for each position; without one (not a string) an image is a clip of its own.
    """
    if clip == 1:
        return positions
    owners = {}
    for position, patient in zip(positions, patients, strict=True):
        owners.setdefault(patient if isinstance(patient, str) else int(position), []).append(
            position
        )
    return np.array(
        [p for own in owners.values() for p in own + own[-1:] * (-len(own) % clip)], dtype=np.int64
    )


def logits(
    network: nn.Module, images: torch.Tensor, norm: dict, batch: int = 16, bf16: bool | None = None
) -> Iterator[torch.Tensor]:
    """Yield the logits, (n, classes, H, W), of batches of images.

    images: uint8 tensor (N, H, W) on any device; network in any mode. bf16: None follows the one
    rule by which networks are trained and scored, ``has_bf16`` of the device.
    """
    device = next(network.parameters()).device
    bf16 = has_bf16(device) if bf16 is None else bf16
    batch = max(1, batch // models.clip_length(network)) * models.clip_length(network)
    network.eval()
    for start in range(0, len(images), batch):
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            found = network(prepare(images[start : start + batch, None].to(device), norm))
        yield found


def predict(
    network: nn.Module, images: torch.Tensor, norm: dict, batch: int = 16, bf16: bool | None = None
) -> np.ndarray:
    """Class of every pixel, uint8 (N, H, W); as ``logits``."""
    found = (x.argmax(1).to(torch.uint8).cpu() for x in logits(network, images, norm, batch, bf16))
    return torch.cat(list(found)).numpy()
