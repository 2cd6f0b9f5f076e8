"""When can an outline be trusted? Calibration, which images to leave to a human, and what changes
of the image do.

Robustness answers what the thoracolumbar-fascia paper leaves open (Bonaldi 2025, Discussion: noise
patterns added to the test images); depth and gain are what an operator changes on the scanner.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy import ndimage
from torch import nn

from helpers import metrics, models
from helpers.datasets import Arrays, framed
from helpers.models import inference
from helpers.studies import Class

#: what is done to the test images → its levels; 0 (depth: 1) is the image as recorded
CHANGES = {
    "noise": (0, 0.05, 0.1, 0.2),  # SD of added Gaussian noise, share of the grey range
    "gain": (-12, -6, 0, 6, 12),  # dB on a log-compressed image of 60 dB
    "depth": (
        0.7,
        0.85,
        1,
        1.2,
        1.5,
    ),  # shown depth over recorded depth: > 1 makes everything smaller
}
#: the level of each change that is the image as recorded
UNCHANGED = {"noise": 0, "gain": 0, "depth": 1}
DYNAMIC_RANGE_DB = 60
LOWEST = 0.05  # probabilities below are left out of calibration: nearly all are plain background


def probabilities(
    network: nn.Module, arrays: Arrays, norm: dict, batch: int = 16, bf16: bool = False
) -> np.ndarray:
    """Softmax of every pixel, float32 (N, classes, H, W); beside an image it is background for
    certain. norm: as recorded in training; bf16: as results are scored (``inference.has_bf16``).
    """
    images, back = _clips(network, arrays)
    found = inference.logits(network, images, norm, batch, bf16)
    chance = np.concatenate([logits.float().softmax(1).cpu().numpy() for logits in found])[back]
    inside = arrays.inside()
    chance *= inside[:, None]
    chance[:, 0] += ~inside
    return chance


def _clips(network: nn.Module, arrays: Arrays) -> tuple[torch.Tensor, np.ndarray]:
    """The images in the order in which results were scored, a patient's together where a network
    reads clips, uint8 (M, H, W); where each of the N images lies among them, int (N,).
    """
    patients, clip = arrays.index["patient_id"], models.clip_length(network)
    order = inference.clips(np.arange(len(patients)), patients, clip)
    return torch.from_numpy(arrays.images[order]), np.unique(order, return_index=True)[1]


def calibration(
    probability: np.ndarray, reference: np.ndarray, classes: Sequence[Class], bins: int = 10
) -> pd.DataFrame:
    """How often a pixel that is said to be a structure with probability p really is: a row a class
    and bin.

    probability: float (N, classes, H, W); reference: uint8 (N, H, W). Columns: class, low, high (of
    the bin), said (mean probability), true (share), pixels, ece (of the class: mean |said − true|
    weighted by pixels).
    """
    edges, rows = np.linspace(0, 1, bins + 1), []
    for c in classes[1:]:
        p, y = probability[:, c.index].ravel(), (reference == c.index).ravel()
        keep = p >= LOWEST
        p, y = p[keep].astype(float), y[keep]
        which = np.clip(np.digitize(p, edges) - 1, 0, bins - 1)
        count, said, true = (np.bincount(which, w, bins) for w in (None, p, y))
        used = np.flatnonzero(count)
        gap = np.abs(said[used] - true[used]).sum() / max(count.sum(), 1)
        rows += [
            (
                c.name,
                edges[b],
                edges[b + 1],
                said[b] / count[b],
                true[b] / count[b],
                int(count[b]),
                gap,
            )
            for b in used
        ]
    return pd.DataFrame(rows, columns=["class", "low", "high", "said", "true", "pixels", "ece"])


def confidence(probability: np.ndarray, target: int) -> np.ndarray:
    """How sure the network is of its outline of one structure, a number an image: its mean
    probability over the pixels drawn as that structure; 0 where none was.

    probability: float (N, classes, H, W); target: index of the class.
    """
    drawn, chance = probability.argmax(1) == target, probability[:, target]
    return np.array([c[d].mean() if d.any() else 0.0 for c, d in zip(chance, drawn, strict=True)])


def risk_coverage(scored: pd.DataFrame) -> pd.DataFrame:
    """What is left of the error when the least sure images go to a human: a row for each number of
    images kept.

    scored: columns confidence and dice, a row an image. Columns: coverage (share kept), risk (mean
    of 1 − Dice over those kept), best (the same if the worst images were known).
    """
    error = 1 - scored["dice"].to_numpy(float)
    kept = np.arange(1, len(error) + 1)
    by_confidence = error[np.argsort(-scored["confidence"].to_numpy(float), kind="stable")]
    return pd.DataFrame(
        {
            "coverage": kept / len(error),
            "risk": by_confidence.cumsum() / kept,
            "best": np.sort(error).cumsum() / kept,
        }
    )


def change(arrays: Arrays, kind: str, level: float, seed: int = 1) -> Arrays:
    """The images and masks as ``kind`` of ``CHANGES`` at ``level`` would show them; what lies
    beside an image stays black.
    """
    images, masks = arrays.images.copy(), arrays.masks.copy()
    draws = np.random.default_rng(seed)
    parts = (framed(stack, arrays.index) for stack in (images, masks))
    for image, mask in zip(*parts, strict=True):
        image[:], mask[:] = _changed(image, mask, kind, level, draws)
    return Arrays(images, masks, arrays.index)


def _changed(
    image: np.ndarray, mask: np.ndarray, kind: str, level: float, draws: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    if kind == "noise":
        return np.clip(np.rint(image + draws.normal(0, 255 * level, image.shape)), 0, 255), mask
    if kind == "gain":
        # what is black stays black: outside the sector there is no echo to amplify
        lifted = np.where(image > 0, image + 255.0 * level / DYNAMIC_RANGE_DB, 0)
        return np.clip(np.rint(lifted), 0, 255), mask
    offset = (0, (1 - level) * (image.shape[1] - 1) / 2)  # the probe stays where it is: top centre
    image, mask = (
        ndimage.affine_transform(a, [level, level], offset, order=order, mode="constant")
        for a, order in ((image, 1), (mask, 0))
    )
    return image, mask


def robustness(
    network: nn.Module,
    arrays: Arrays,
    drawn: np.ndarray,
    norm: dict,
    classes: Sequence[Class],
    bf16: bool = False,
) -> pd.DataFrame:
    """Pooled Dice of every class after each change: columns change, level, class, Dice, IoU.

    drawn: what the network drew on the images as recorded, uint8 (N, H, W), which stands among the
    levels of every change; norm, bf16: as results were scored.
    """

    def scored(outlines: np.ndarray, reference: np.ndarray) -> pd.DataFrame:
        table = pd.DataFrame(
            metrics.counts(outlines, reference, len(classes)), columns=metrics.COUNTS
        )
        table = metrics.scores(table.assign(**{"class": [c.name for c in classes]}))
        return table.iloc[1:][["class", "Dice", "IoU"]]

    plain, rows = scored(drawn, arrays.masks), []
    for kind, levels in CHANGES.items():
        for level in levels:
            table = plain
            if level != UNCHANGED[kind]:
                changed = change(arrays, kind, level)
                shown, back = _clips(network, changed)
                found = inference.predict(network, shown, norm, bf16=bf16)[back]
                table = scored(found * changed.inside(), changed.masks)
            rows.append(table.assign(change=kind, level=level))
    return pd.concat(rows, ignore_index=True)[["change", "level", "class", "Dice", "IoU"]]
