"""Segmentation metrics, all from four integers per image and class.

Every published figure is a function of the counts in ``per_image.csv``: *pooled* (micro) sums
the counts first and divides once; *per image* and *per patient* (macro) divide first and
average afterwards. Names say which.

``POLICY``, the rule for empty masks, is printed under every table that needs it.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import ndimage

COUNTS = ["tp", "fp", "fn", "tn"]
POLICY = (
    "A structure absent from both reference and prediction has no score and is left out of means; "
    "absent from only one of them it scores 0. Recall, TPR and FNR are of what is there to find."
)
#: name → (numerator, denominator) in tp, fp, fn, tn. The rates "over the union" are what Table 2 of
#: the Q-VUM paper prints as FPR and FNR (IoU + FPR_union + FNR_union = 1), beside the textbook ones
RATIOS = {
    "IoU": (lambda c: c.tp, lambda c: c.tp + c.fp + c.fn),
    "Dice": (lambda c: 2 * c.tp, lambda c: 2 * c.tp + c.fp + c.fn),
    "recall": (lambda c: c.tp, lambda c: c.tp + c.fn),
    "precision": (lambda c: c.tp, lambda c: c.tp + c.fp),
    "TPR": (lambda c: c.tp, lambda c: c.tp + c.fn),
    "TNR": (lambda c: c.tn, lambda c: c.tn + c.fp),
    "FPR": (lambda c: c.fp, lambda c: c.tn + c.fp),
    "FNR": (lambda c: c.fn, lambda c: c.tp + c.fn),
    "FPR_union": (lambda c: c.fp, lambda c: c.tp + c.fp + c.fn),
    "FNR_union": (lambda c: c.fn, lambda c: c.tp + c.fp + c.fn),
}
#: of which less is better, and what is compared in their place
ERRORS = {"FPR": "TNR", "FNR": "recall", "FPR_union": "IoU", "FNR_union": "IoU"}
OVERALL = {"mIoU": "IoU", "mPA": "recall", "Dice": "Dice"}


def confusion(prediction: np.ndarray, reference: np.ndarray, classes: int) -> np.ndarray:
    """Pixel confusion matrix, int64 (classes, classes), rows reference, columns prediction.

    prediction, reference: integer arrays of one shape with values 0 … classes − 1.
    """
    prediction, reference = np.asarray(prediction), np.asarray(reference)
    if prediction.shape != reference.shape:
        raise ValueError(
            f"prediction is {prediction.shape}, reference {reference.shape}: shapes must be equal"
        )
    for name, array in (("prediction", prediction), ("reference", reference)):
        if array.size and (array.min() < 0 or array.max() >= classes):
            raise ValueError(f"{name} holds {array.min()}…{array.max()}, expected 0…{classes - 1}")
    flat = reference.ravel().astype(np.int64) * classes + prediction.ravel()
    return np.bincount(flat, minlength=classes**2).reshape(classes, classes)


def counts_of(matrix: np.ndarray) -> np.ndarray:
    """tp, fp, fn, tn of every class, int64 (classes, 4); rows of the matrix: reference."""
    matrix = np.asarray(matrix, dtype=np.int64)
    tp = np.diag(matrix)
    fp, fn = matrix.sum(0) - tp, matrix.sum(1) - tp
    return np.stack([tp, fp, fn, matrix.sum() - tp - fp - fn], axis=1)


def counts(prediction: np.ndarray, reference: np.ndarray, classes: int) -> np.ndarray:
    """tp, fp, fn, tn of every class against the rest, int64 (classes, 4), in pixels."""
    return counts_of(confusion(prediction, reference, classes))


def _surface(mask: np.ndarray) -> np.ndarray:
    """Mask pixels with a 4-neighbour outside; the outermost row and column must be empty."""
    inner = mask.copy()
    inner[1:-1] &= mask[:-2] & mask[2:]
    inner[:, 1:-1] &= mask[:, :-2] & mask[:, 2:]
    return mask & ~inner


def _to_surfaces(
    prediction: np.ndarray, reference: np.ndarray, spacing: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Distances from each surface pixel of a binary mask to the other's surface, both ways."""
    either = prediction | reference
    # distances between two masks need only the box that holds both: an exact shortcut
    rows, cols = np.flatnonzero(either.any(1)), np.flatnonzero(either.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    p, r = _surface(np.pad(prediction[box], 1)), _surface(np.pad(reference[box], 1))
    to_reference = ndimage.distance_transform_edt(~r, sampling=spacing)[p]
    return to_reference, ndimage.distance_transform_edt(~p, sampling=spacing)[r]


def _percentile(values: np.ndarray, share: int) -> float:
    """``np.percentile`` of an unsorted array, equal to the last bit, at a third of its time."""
    place = share / 100 * (len(values) - 1)
    low = int(place)
    high, part = min(low + 1, len(values) - 1), place - low
    ends = np.partition(values, (low, high))
    step = ends[high] - ends[low]
    return ends[high] - step * (1 - part) if part >= 0.5 else ends[low] + step * part


def boundary(
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing: Sequence[float] = (1.0, 1.0),
    tolerances: Sequence[float] = (),
) -> tuple[float, ...]:
    """HD95, ASSD and normalised surface Dice at each tolerance of two binary masks (H, W).

    Surface: mask pixels with a 4-neighbour outside. HD95 is the larger of the two directed 95th
    percentiles, ASSD the mean over the surface pixels of both masks, NSD the share of them within
    the tolerance of the other. Returns (hd95, assd, nsd, …), distances and tolerances in the unit
    of ``spacing`` (row, column). HD95 and ASSD are NaN where either mask is empty, because no
    distance exists; NSD is NaN where both are, 0 where one is (``POLICY``).
    """
    prediction, reference = np.asarray(prediction, bool), np.asarray(reference, bool)
    there = prediction.any(), reference.any()
    if not all(there):
        return np.nan, np.nan, *(0.0 if any(there) else np.nan for _ in tolerances)
    both = _to_surfaces(prediction, reference, spacing)
    every = np.concatenate(both)
    hd95 = max(_percentile(each, 95) for each in both)
    return float(hd95), float(every.mean()), *(float((every <= t).mean()) for t in tolerances)


def distances(
    prediction: np.ndarray, reference: np.ndarray, spacing: Sequence[float] = (1.0, 1.0)
) -> tuple[float, ...]:
    """HD95 and ASSD of two binary masks (H, W), as :func:`boundary`."""
    return boundary(prediction, reference, spacing)


def surface_dice(
    prediction: np.ndarray,
    reference: np.ndarray,
    tolerance: float,
    spacing: Sequence[float] = (1.0, 1.0),
) -> float:
    """Normalised surface Dice of two binary masks (H, W) at one tolerance, as :func:`boundary`."""
    return boundary(prediction, reference, spacing, (tolerance,))[2]


def scores(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every ratio of ``RATIOS``, from tp, fp, fn, tn; 0/0 is NaN (``POLICY``)."""
    added = {}
    for name, (top, bottom) in RATIOS.items():
        denominator = bottom(frame).to_numpy(float)
        added[name] = np.divide(
            top(frame).to_numpy(float),
            denominator,
            where=denominator > 0,
            out=np.full(len(frame), np.nan),
        )
    # what is there and was missed has precision 0; recall, TPR and FNR share one denominator and
    # are undefined where there is nothing to find: "drawn where none" says the rest
    missed = (frame.fn > 0).to_numpy()
    added["precision"] = np.where(missed & np.isnan(added["precision"]), 0.0, added["precision"])
    return frame.assign(**added)


def pooled(frame: pd.DataFrame, by: Sequence[str] = ("model", "class")) -> pd.DataFrame:
    """Micro metrics, a row a group: counts summed over images, then divided once."""
    return scores(frame.groupby(list(by), sort=False, observed=True)[COUNTS].sum().reset_index())


def overall(
    frame: pd.DataFrame, by: Sequence[str] = ("model",), background: bool = True
) -> pd.DataFrame:
    """Means over classes of pooled metrics, as Q-VUM's Table 3: mIoU, mPA, Dice, accuracy.

    by: grouping columns ("image_id" among them gives the per-image values that the paper's
    tests use). background: counted as a class, as the paper did (networks.md 6.1); False gives
    the stricter mean. Accuracy is correct pixels over all pixels and always counts the
    background.
    """
    by = list(by)
    classes = pooled(frame, [*by, "class"])
    kept = classes if background else classes[classes["class"] != "background"]
    means = kept.groupby(by, sort=False, observed=True)[list(OVERALL.values())].mean()
    sums = classes.assign(pixels=classes[COUNTS].sum(axis=1)).groupby(by, sort=False, observed=True)
    result = means.rename(columns={v: k for k, v in OVERALL.items()})
    result["accuracy"] = sums["tp"].sum() / sums["pixels"].first()
    return result.reset_index()


def per_patient(
    frame: pd.DataFrame, by: Sequence[str] = ("model", "class", "patient_id")
) -> pd.DataFrame:
    """Macro metrics, a row a patient: the mean over a patient's images of the per-image scores.

    Column ``images`` counts the rows that went in, ``undefined`` those without a Dice
    (``POLICY``).
    """
    values = scores(frame)
    groups = values.groupby(list(by), sort=False, observed=True)
    result = groups[list(RATIOS)].mean()
    result["images"] = groups.size()
    result["undefined"] = groups["Dice"].apply(lambda dice: int(dice.isna().sum()))
    return result.reset_index()


def rows(
    prediction: np.ndarray,
    reference: np.ndarray,
    classes: Sequence,
    spacing_mm: np.ndarray | tuple[float, float] | float | None = None,
) -> pd.DataFrame:
    """The rows of one image: class, tp, fp, fn, tn, hd95_px, assd_px, hd95_mm, assd_mm.

    prediction, reference: uint8 (H, W); spacing_mm: of a pixel, (row, column) or one number for
    both; NaN or None where unknown.
    """
    table = pd.DataFrame(counts(prediction, reference, len(classes)), columns=COUNTS)
    table.insert(0, "class", [c.name for c in classes])
    pairs = [(np.nan,) * 4] + [
        distances_px_mm(prediction == c.index, reference == c.index, spacing_mm)
        for c in classes[1:]
    ]
    table[["hd95_px", "assd_px", "hd95_mm", "assd_mm"]] = pairs
    return table


def distances_px_mm(
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing_mm: np.ndarray | tuple[float, float] | float | None = None,
) -> tuple[float, ...]:
    """HD95 and ASSD of two binary masks in pixels and in mm: (hd95_px, assd_px, hd95_mm, assd_mm).

    spacing_mm: (row, column) or one number; where the two differ, which is so when an image that
    was not square was made square, the mm are measured with both, not scaled from pixels.
    """
    hd95, assd = distances(prediction, reference)
    spacing = np.broadcast_to(np.nan if spacing_mm is None else spacing_mm, 2).astype(float)
    if np.isnan(spacing).any() or spacing[0] == spacing[1]:
        return hd95, assd, hd95 * spacing[0], assd * spacing[0]
    return hd95, assd, *distances(prediction, reference, tuple(spacing))
