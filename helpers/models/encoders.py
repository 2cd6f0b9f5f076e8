"""Pretrained encoders: weights from ImageNet, from a local file, or none; never a silent random
start.
"""

import hashlib
import os
from pathlib import Path

import safetensors
import torch
from torch import nn

from helpers.errors import StudyError


def load(
    encoder: nn.Module, encoder_weights: str | None, architecture: str
) -> dict[str, str] | None:
    """Fill an encoder in place and return where its weights came from.

    encoder: module with torchvision's tensor names (``features.0.weight``,
    ``layer1.0.conv1.weight``), 1 or 3 input channels; with 1 channel the first convolution's
    weights are summed over the three colours, which equals the grey image copied to three channels.
    encoder_weights: 'none'; 'imagenet' (the safetensors files that the environment variable
    ENCODER_WEIGHTS names, else a download through segmentation-models-pytorch); or a path.
    architecture: e.g. 'vgg16', its name in segmentation-models-pytorch.

    Returns None for 'none', else dict(encoder_weights, architecture, file, sha256). StudyError when
    the weights cannot be had or do not fit.
    """
    if encoder_weights in (None, "none"):
        return None
    files = _files(encoder_weights, architecture)
    wanted = {
        k: tuple(v.shape)
        for k, v in encoder.state_dict().items()
        if not k.endswith("num_batches_tracked")
    }
    problems = []
    for file in files:
        try:
            tensors = _read(file, wanted)
        except StudyError as error:
            problems.append(str(error))
            continue
        encoder.load_state_dict(tensors, strict=False)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return {
            "encoder_weights": encoder_weights,
            "architecture": architecture,
            "file": file.name,
            "sha256": digest,
        }
    raise StudyError(
        f"no {architecture} weights for encoder_weights={encoder_weights!r}: " + "; ".join(problems)
    )


def _files(encoder_weights: str, architecture: str) -> list[Path]:
    named = (
        encoder_weights if encoder_weights != "imagenet" else os.environ.get("ENCODER_WEIGHTS", "")
    )
    if named:
        files = [Path(part) for part in named.split(os.pathsep) if part]
        if missing := [str(f) for f in files if not f.is_file()]:
            raise StudyError(f"encoder weights: no such file: {', '.join(missing)}")
        return files
    from segmentation_models_pytorch.encoders import encoders

    settings = encoders.get(architecture, {}).get("pretrained_settings", {}).get("imagenet")
    if settings is None:
        raise StudyError(
            "encoder weights: segmentation-models-pytorch has no ImageNet weights for"
            f" {architecture!r}"
        )
    try:
        from huggingface_hub import hf_hub_download

        file = hf_hub_download(
            settings["repo_id"], filename="model.safetensors", revision=settings["revision"]
        )
    except Exception as error:
        raise StudyError(
            f"ImageNet weights of {architecture} cannot be downloaded ({type(error).__name__})."
            " Either set ENCODER_WEIGHTS=/path/file.safetensors (torchvision tensor names), or"
            " connect to the network, or say encoder_weights: none"
        ) from error
    return [Path(file)]


def _read(file: Path, wanted: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """The wanted tensors (name to shape) of a file; StudyError names the first that is amiss."""
    try:
        with safetensors.safe_open(str(file), framework="pt") as stored:
            names = set(stored.keys())
            if missing := sorted(set(wanted) - names):
                raise StudyError(f"{file.name} lacks {missing[0]} and {len(missing) - 1} more")
            tensors = {name: stored.get_tensor(name) for name in wanted}
    except safetensors.SafetensorError as error:
        raise StudyError(f"{file.name} is not a safetensors file: {error}") from None
    for name, shape in wanted.items():
        tensor = tensors[name].to(torch.float32)
        if tensor.ndim == 4 and tensor.shape[1] == 3 and shape[1] == 1:
            tensor = tensor.sum(1, keepdim=True)
        if tuple(tensor.shape) != shape:
            hint = "; pretrained encoders take 1 or 3 channels" if tensor.shape[1:2] == (3,) else ""
            raise StudyError(
                f"{file.name}: {name} is {tuple(tensor.shape)}, the encoder needs {shape}{hint}"
            )
        tensors[name] = tensor
    return tensors
