"""Segmentation losses: logits N×C×H×W and target N×H×W (int64) to a scalar.

``build(spec, class_weights)`` makes one from a study's ``loss:`` entry. Pixels whose target is
``IGNORED`` take no part. ``dice`` and the focal forms follow the Q-VUM paper (Loss: focal and Dice,
0.5 each, class weights 1, 2, 3, 1) and the public code that its description matches.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from helpers.errors import StudyError

#: target of a pixel that is no part of the image, as in torch
IGNORED = -100


def _valid(target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mask of pixels that count (bool N×H×W), and the target with the others set to 0."""
    valid = target != IGNORED
    return valid, torch.where(valid, target, 0)


def _mean(values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    return (values * valid).sum() / valid.sum().clamp(min=1)


def cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy, over the sum of the pixels' class weights where there are any, as torch."""
    valid, labels = _valid(target)
    found = F.cross_entropy(logits, labels, weight=weights, reduction="none")
    if weights is None:
        return _mean(found, valid)
    return (found * valid).sum() / (weights[labels] * valid).sum().clamp(min=1e-12)


def focal(
    logits: torch.Tensor,
    target: torch.Tensor,
    weights: torch.Tensor | None = None,
    *,
    focal_form: str = "as_coded",
    gamma: float = 2.0,
    alpha: float = 0.5,
) -> torch.Tensor:
    """Focal loss, mean over pixels (not divided by the weights).

    p: softmax of the true class, w: its class weight. 'as_coded': −α·w·ln p·(1 − p^w)^γ, the class
    weight also inside the focusing term (public VGG16 U-Net code). 'textbook': −α·w·ln p·(1 − p)^γ
    (Lin 2017, eq. 5, α the same for all classes, times the class weight).
    """
    valid, labels = _valid(target)
    log_p = -F.cross_entropy(logits, labels, reduction="none")
    weighted = log_p if weights is None else log_p * weights[labels]
    focus = -torch.expm1(weighted if focal_form == "as_coded" else log_p)
    return _mean(-alpha * weighted * focus**gamma, valid)


def _one_hot(labels: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The labels as one map a class, shaped and typed as the logits."""
    return F.one_hot(labels, like.shape[1]).movedim(-1, 1).to(like)


def _overlap(
    probabilities: torch.Tensor, target: torch.Tensor, smooth: float, over: str
) -> torch.Tensor:
    """Smoothed Dice of each class, sums over pixels and, with over='batch', over images."""
    dims = (0, 2, 3) if over == "batch" else (2, 3)
    valid, labels = _valid(target)
    truth = _one_hot(labels, probabilities) * valid[:, None]
    probabilities = probabilities * valid[:, None]
    both = 2 * (probabilities * truth).sum(dims)
    return (both + smooth) / ((probabilities + truth).sum(dims) + smooth)


def dice(
    logits: torch.Tensor,
    target: torch.Tensor,
    *,
    smooth: float = 1e-5,
    include_background: bool = True,
    over: str = "batch",
) -> torch.Tensor:
    """1 − mean over classes of (2·Σpy + s)/(Σp + Σy + s), p the softmax.

    Sums over pixels and over the batch ('batch', as in the public VGG16 U-Net code) or per
    image, then averaged ('image'). Background counts as a class unless told; class weights do
    not enter. An absent class that is not predicted scores s/(Σp + s).
    """
    first = 0 if include_background else 1
    return 1 - _overlap(logits.softmax(1), target, smooth, over)[..., first:].mean()


def _log_odds(logits: torch.Tensor) -> torch.Tensor:
    """Foreground against background, N×(C−1)×H×W: what a network with a sigmoid a class gives."""
    return logits[:, 1:] - logits[:, :1]


def bce(
    logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Binary cross-entropy of each foreground class's sigmoid, mean over classes and pixels.

    With one foreground class it equals ``cross_entropy``. weights: of the classes' positive pixels.
    """
    positive = None if weights is None else weights[1:, None, None]
    valid, labels = _valid(target)
    truth = _one_hot(labels, logits)[:, 1:]
    found = F.binary_cross_entropy_with_logits(
        _log_odds(logits), truth, pos_weight=positive, reduction="none"
    )
    return _mean(found.mean(1), valid)


def sigmoid_dice(
    logits: torch.Tensor, target: torch.Tensor, *, smooth: float = 1e-5, over: str = "image"
) -> torch.Tensor:
    """Dice loss of the foreground sigmoids (see ``bce``), by image as in public U-Net++ code."""
    scores = _log_odds(logits)
    probabilities = torch.cat([torch.zeros_like(scores[:, :1]), scores.sigmoid()], 1)
    return 1 - _overlap(probabilities, target, smooth, over)[..., 1:].mean()


def log_cosh_dice(logits: torch.Tensor, target: torch.Tensor, **options: Any) -> torch.Tensor:
    """ln cosh of the Dice loss (Jadon 2020); options as in ``dice``."""
    loss = dice(logits, target, **options)
    return loss + F.softplus(-2 * loss) - math.log(2)


_DICE = {"smooth": 1e-5, "include_background": True, "over": "batch"}
_FOCAL = {"focal_form": "as_coded", "gamma": 2.0, "alpha": 0.5}
#: what a loss entry may say: name -> every key with its default
DEFAULTS = {
    "focal_dice": {"focal_weight": 0.5, "dice_weight": 0.5, **_FOCAL, **_DICE},
    "ce": {},
    "ce_dice": {"ce_weight": 1.0, "dice_weight": 1.0, **_DICE},
    "bce": {},
    "bce_dice": {"bce_weight": 0.5, "dice_weight": 1.0, "smooth": 1e-5, "over": "image"},
    "logcosh_dice": _DICE,
}


def resolve(spec: dict) -> dict:
    """A loss entry with its defaults filled in; StudyError names an unknown loss, key or value."""
    spec = dict(spec)
    name = spec.pop("name", None)
    if name not in DEFAULTS:
        raise StudyError(f"loss.name: {name!r} is none of {', '.join(DEFAULTS)}")
    known = DEFAULTS[name]
    if unknown := sorted(set(spec) - set(known)):
        raise StudyError(
            f"loss: {name} has no key {', '.join(unknown)}; it has {', '.join(known) or 'none'}"
        )
    full = known | spec
    for key, allowed in [("focal_form", ("as_coded", "textbook")), ("over", ("batch", "image"))]:
        if key in full and full[key] not in allowed:
            raise StudyError(f"loss.{key}: {full[key]!r} is none of {', '.join(allowed)}")
    for key in (k for k in full if k.endswith("_weight") or k in ("gamma", "alpha", "smooth")):
        if (
            isinstance(full[key], bool)
            or not isinstance(full[key], int | float)
            or not full[key] >= 0
        ):
            raise StudyError(f"loss.{key}: must be a number ≥ 0, found {full[key]!r}")
    shares = [full[key] for key in full if key.endswith("_weight")]
    if shares and not any(shares):
        raise StudyError(f"loss: every weight of {name} is 0, so nothing would be learnt")
    return {"name": name, **full}


def build(spec: dict, class_weights: list[float] | None = None) -> Callable:
    """The loss that a study names: callable(logits N×C×H×W, target N×H×W int64) -> scalar tensor.

    spec: ``name`` and any of the keys in DEFAULTS[name]. class_weights: one a class, ≥ 0; they
    enter cross-entropy, focal and the positive pixels of BCE, never Dice.
    """
    full = resolve(spec)
    weights = None if class_weights is None else torch.as_tensor(class_weights, dtype=torch.float32)
    return partial(_combined, full, weights)


def _combined(
    spec: dict, weights: torch.Tensor | None, logits: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    if weights is not None:
        if len(weights) != logits.shape[1]:
            raise ValueError(
                f"{len(weights)} class weights for logits of {logits.shape[1]} classes"
            )
        weights = weights.to(logits)
    focus = {key: spec[key] for key in ("focal_form", "gamma", "alpha") if key in spec}
    overlap = {key: spec[key] for key in ("smooth", "include_background", "over") if key in spec}
    overlap_loss = sigmoid_dice if spec["name"] == "bce_dice" else dice
    parts = {
        "focal_weight": lambda: focal(logits, target, weights, **focus),
        "ce_weight": lambda: cross_entropy(logits, target, weights),
        "bce_weight": lambda: bce(logits, target, weights),
        "dice_weight": lambda: overlap_loss(logits, target, **overlap),
    }
    if spec["name"] == "logcosh_dice":
        return log_cosh_dice(logits, target, **overlap)
    if spec["name"] in ("ce", "bce"):
        return parts[spec["name"] + "_weight"]()
    return sum(spec[key] * part() for key, part in parts.items() if spec.get(key))
