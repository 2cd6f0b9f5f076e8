"""All networks, by name, behind one interface.

    network = models.build("qvum", 3, 4, encoder_weights="imagenet")
    logits = network(images)                     # float N×C×H×W, any H and W -> N×classes×H×W
    loss = models.training_loss(network, images, target, criterion)

``build`` imports the file of the one network asked for. Class probabilities are always
``logits.softmax(1)`` and the prediction ``logits.argmax(1)``; networks whose paper uses sigmoid
outputs return logits for which both hold. ``training_loss`` hides deep supervision and auxiliary
heads. A clip network (``clip_length(network)`` > 1) reads the batch as consecutive frames of one
patient, ``clip_length`` frames a clip, the last clip filled by repetition. What is known of a
network (label, source, reconstruction or not) is in ``catalogue``, which needs no torch.
"""

import importlib
import inspect
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from helpers.errors import StudyError
from helpers.models.catalogue import NAMES, entry, label

if TYPE_CHECKING:  # the name of a network is looked up without torch
    import torch
    from torch import nn

__all__ = [
    "NAMES",
    "build",
    "clip_length",
    "encoder_parameters",
    "entry",
    "freeze_encoder",
    "label",
    "provenance",
    "training_loss",
]


# the networks' library loads a progress bar that nobody shows, and says so on every page
warnings.filterwarnings("ignore", message="IProgress not found")


def build(
    name: str, in_channels: int, classes: int, encoder_weights: str = "none", **options: Any
) -> "nn.Module":
    """The network ``name`` with random weights, or a pretrained encoder where it has one.

    in_channels: 1 or 3 (others where the encoder is not pretrained); classes: background included,
    ≥ 1. encoder_weights: 'none', 'imagenet' or a safetensors path (see ``encoders.load``). options:
    mirrored (see ``blocks.Network``), and the network's own (keyword arguments of its class).
    Returns nn.Module, images N×C×H×W -> logits N×classes×H×W. StudyError for an unknown network or
    option, or weights for a network without such an encoder.
    """
    found = entry(name)
    if in_channels < 1 or classes < 1:
        raise StudyError(
            f"{name}: needs at least one channel and one class, got {in_channels} and {classes}"
        )
    module = importlib.import_module(f"helpers.models.{found.module}")
    signature = inspect.signature(module.Model).parameters.values()
    known = {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY}
    for key, value in options.items():  # "no" would count as true, true as 1
        usual = (known | {"mirrored": False}).get(key)
        numbers = isinstance(usual, float) and type(value) is int
        if usual is not None and type(value) is not type(usual) and not numbers:
            raise StudyError(f"{name}: option {key} is like {usual!r}, not {value!r}")
    mirrored = options.pop("mirrored", False)
    if found.module == "zoo":
        options["architecture"] = name[4:]
    elif unknown := sorted(set(options) - set(known)):
        raise StudyError(
            f"{name} has no option {', '.join(unknown)}; its options are"
            f" {', '.join([*known, 'mirrored'])}"
        )
    if found.pretrained:
        options["encoder_weights"] = encoder_weights
    elif encoder_weights not in (None, "none"):
        raise StudyError(f"{name} has no encoder to pretrain; say encoder_weights: none for it")
    network = module.Model(in_channels, classes, **options)
    network.mirrored = mirrored
    return network


def training_loss(
    network: "nn.Module", images: "torch.Tensor", target: "torch.Tensor", criterion: Callable
) -> "torch.Tensor":
    """The loss of one batch as the network's paper trains it.

    images: float N×C×H×W; target: int64 N×H×W; criterion: callable(logits, target) -> scalar, from
    losses.build. U-Net++ averages the criterion over its heads, VisTR adds its detection losses;
    all others are ``criterion(network(images), target)``, and so is what is validated of any that
    answers by the mean with the mirror image. Returns a scalar tensor with gradient.
    """
    answers = getattr(network, "mirrored", False) and not network.training
    own = None if answers else getattr(network, "training_loss", None)
    return own(images, target, criterion) if own else criterion(network(images), target)


def clip_length(network: "nn.Module") -> int:
    """How many consecutive frames the network reads together; 1 for all but clip networks."""
    return getattr(network, "clip_length", 1)


def encoder_parameters(network: "nn.Module") -> "list[nn.Parameter]":
    """The parameters of the pretrained encoder (list), empty when nothing was pretrained."""
    encoder = getattr(network, "encoder", None)
    return list(encoder.parameters()) if encoder is not None and network.pretrained else []


def freeze_encoder(network: "nn.Module", frozen: bool) -> int:
    """Freeze or release the pretrained encoder; returns how many numbers that concerns.

    Only what was pretrained is frozen (0 otherwise): a random encoder would stay random. Layers
    that are never trained (VisTR's first stage and batch normalisation) stay as they are; running
    means are not affected.
    """
    kept = set(getattr(network, "always_frozen", list)())
    concerned = [p for p in encoder_parameters(network) if p not in kept]
    for parameter in concerned:
        parameter.requires_grad_(not frozen)
    return sum(p.numel() for p in concerned)


def provenance(network: "nn.Module") -> dict[str, str]:
    """Where the weights started: as ``encoders.load`` gives it, or encoder_weights 'none'."""
    return getattr(network, "pretrained", None) or {"encoder_weights": "none"}
