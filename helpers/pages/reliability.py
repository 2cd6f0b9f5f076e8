"""Page 12, when can it be trusted: sentences as functions of frames."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from helpers import figures, stats
from helpers.analyses import reliability
from helpers.errors import NotComputable
from helpers.studies import Study

SURE = 0.02  # mean difference of what is said and what is true from which it is too sure
ROBUSTNESS = (
    "Level of noise: its SD, as a share of the grey range; of gain: decibels; of depth: shown over"
    " recorded, above 1 everything is smaller."
    f" An image has {reliability.DYNAMIC_RANGE_DB} dB; the probe stays at the top centre."
)


def target(study: Study) -> int:
    """Index of the most important structure."""
    return next(c.index for c in study.classes if c.name == study.target)


def scored(sure: np.ndarray, ids: Iterable[str], dice: pd.Series, study: Study) -> pd.DataFrame:
    """Certainty and Dice of the images that have one: those rightly empty are no errors.

    sure: of ``reliability.confidence``; ids: the images in its order; dice: Series by image_id.
    """
    known = dice.reindex(ids).to_numpy(float)
    keep = ~np.isnan(known)
    if keep.sum() < stats.MIN_UNITS:
        raise NotComputable(
            f"Fewer than five test images have a Dice of {study.target.replace('_', ' ')}, so"
            " nothing can be said about which to leave to a human"
        )
    return pd.DataFrame({"confidence": np.asarray(sure)[keep], "dice": known[keep]})


def doubt_in_words(curve: pd.DataFrame, images: int, keep: float, study: Study) -> str:
    """Whether the network's own doubt finds its errors, Markdown.

    curve: of ``reliability.risk_coverage``; images: how many test images there are; keep: share
    that the network would keep.
    """
    whole, at, best, gained = stats.doubt(curve, keep)
    empty = images - len(curve)
    verdict = (
        "no image is worse than another, so there is nothing for doubt to find"
        if np.isnan(gained)
        else "its doubt helps"
        if gained > stats.HELPS
        else "it helps a little"
        if gained > stats.LITTLE
        else "of little use"
    )
    name = study.target.replace("_", " ")
    left = (
        f" ({empty} more show no {name}, and none was drawn: rightly empty, and no errors)"
        if empty
        else ""
    )
    return (
        f"On {len(curve)} test images{left} the mean error (1 − Dice of {name}) of"
        f" {figures.model_label(study.headline)} is **{whole:.3f}**. Leaving the"
        f" {100 * (1 - keep):.0f} % of which it is least sure to a human brings it to"
        f" **{at:.3f}**, knowing the worst ones would bring it to {best:.3f}: **{verdict}**."
    )


def sure_in_words(calibration: pd.DataFrame) -> str:
    """Whether it is too sure of its pixels; of ``reliability.calibration``."""
    if calibration.empty:
        raise NotComputable("The network gives no pixel any chance of being a structure")
    ece = calibration.groupby("class", sort=False)["ece"].first()
    pixels = calibration["pixels"]
    gap = ((calibration["said"] - calibration["true"]) * pixels).sum() / pixels.sum()
    sure = (
        "too sure"
        if gap > SURE
        else "too unsure"
        if gap < -SURE
        else "neither too sure nor too unsure"
    )
    return f"Of what it says of single pixels it is **{sure}** (calibration error {_between(ece)})."


def _between(values: pd.Series) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def changes_in_words(robust: pd.DataFrame) -> str:
    """Mean Dice from the images as recorded to the hardest setting of each change, Markdown.

    robust: of ``reliability.robustness``.
    """
    mean = robust.groupby(["change", "level"], sort=False)["Dice"].mean()
    if mean.isna().all():
        raise NotComputable("No structure is in a test image, so no change can be examined")
    falls = [
        f"{kind} {mean[kind, level]:.2f} → {mean[kind].min():.2f}"
        for kind, level in reliability.UNCHANGED.items()
    ]
    return (
        "Mean Dice over structures, from the images as recorded to the hardest setting tried:"
        f" **{'; '.join(falls)}**."
    )
