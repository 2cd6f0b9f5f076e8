"""From pixel counts to one number an image, a patient, a model: every metric is a ratio of sums of
tp, fp, fn, tn.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from helpers import metrics
from helpers.errors import StudyError
from helpers.stats.counts import COUNTS, canonical, has_patients

_UNITS = SimpleNamespace(**dict(zip(COUNTS, np.eye(4), strict=True)))
# metric -> (numerator, denominator) as weights of (tp, fp, fn, tn), read off the definitions in
# helpers.metrics
RATIOS = {name: (top(_UNITS), bottom(_UNITS)) for name, (top, bottom) in metrics.RATIOS.items()}
RATIOS["accuracy"] = (_UNITS.tp + _UNITS.tn, np.ones(4))
RANGE = (0.0, 1.0)  # of every metric here
DIFFERENCE = (-1.0, 1.0)  # of a difference of two
ALL, FOREGROUND = "all", "foreground"  # means over the classes, with and without the background
OVERALL = {
    "mIoU": "IoU",
    "mPA": "recall",
    "Dice": "Dice",
    "Acc": "accuracy",
}  # Table 3's names, class "all"
EMPTY = {"undefined": np.nan, "zero": 0.0, "one": 1.0}


def ratio(counts: np.ndarray, metric: str, empty: str = "undefined") -> np.ndarray:
    """`metric` of counts (..., 4) as tp, fp, fn, tn -> (...) float.

    A structure absent from reference and prediction has no overlap to measure: IoU, Dice, recall,
    precision and the rates over the union are then `empty` ("undefined" NaN, "zero", "one"). Absent
    from one only, IoU and Dice are 0, and so is the precision of one that was missed. Recall, TPR
    and FNR have one denominator, and are NaN where there is nothing to find.
    """
    numerator, denominator = _known(metric)
    counts = np.asarray(counts, dtype=float)
    top, bottom = counts @ numerator, counts @ denominator
    out = np.full(np.shape(bottom), np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    if metric == "precision":
        out = np.where((bottom == 0) & (counts[..., 2] > 0), 0.0, out)
    if empty != "undefined" and metric not in ("TNR", "FPR", "accuracy"):
        # for an error rate the best value is 0, so "one" (a perfect score) means 0 there
        perfect = {"zero": 0.0, "one": 0.0 if metric.startswith("F") else 1.0}[empty]
        out = np.where(counts[..., :3].sum(-1) == 0, perfect, out)
    return out


def _known(metric: str) -> tuple[np.ndarray, np.ndarray]:
    if metric not in RATIOS:
        raise StudyError(f"unknown metric {metric!r}; known: {', '.join(RATIOS)}")
    return RATIOS[metric]


def values(
    frame: pd.DataFrame,
    metric: str = "Dice",
    class_: str = ALL,
    *,
    background: str = "background",
    empty: str = "undefined",
) -> pd.DataFrame:
    """One value an image: columns model, patient_id, image_id, class, metric, value (seeds
    averaged).

    `class_` is a class name, "all" (mean over every class, background included, as the papers'
    mIoU) or "foreground". "accuracy" of "all" is the share of pixels given their right class.
    `value` is NaN where undefined.
    """
    if empty not in EMPTY:
        raise StudyError(f"empty policy {empty!r} is unknown; known: {', '.join(EMPTY)}")
    _known(metric)
    classes = list(dict.fromkeys(frame["class"]))
    if class_ not in (*classes, ALL, FOREGROUND):
        raise StudyError(
            f"class {class_!r} is not in the results; there are {', '.join(sorted(classes))}"
        )
    rows = frame
    if class_ == FOREGROUND:
        rows = frame[frame["class"] != background]
    elif class_ != ALL:
        rows = frame[frame["class"] == class_]
    rows = canonical(
        rows[
            [c for c in ["model", "seed", "patient_id", "image_id", "class", *COUNTS] if c in rows]
        ]
    )
    key = ["model", "patient_id", "image_id", "seed"]
    if metric == "accuracy" and class_ in (ALL, FOREGROUND):
        if class_ == FOREGROUND:
            raise StudyError(
                "accuracy is defined over all classes or for one class, not for the foreground"
            )
        sums = rows.groupby(key, sort=True)[COUNTS].agg(
            {"tp": "sum", "fp": "first", "fn": "first", "tn": "first"}
        )
        first = rows.groupby(key, sort=True)[COUNTS].first()
        value = sums["tp"] / first.sum(axis=1)
    else:
        rows = rows.assign(value=ratio(rows[COUNTS].to_numpy(), metric, empty))
        value = rows.groupby(key, sort=True)["value"].mean()
    per_image = (
        value.rename("value").groupby(level=["model", "patient_id", "image_id"], sort=True).mean()
    )
    return per_image.reset_index().assign(**{"class": class_, "metric": metric})[
        ["model", "patient_id", "image_id", "class", "metric", "value"]
    ]


def unscored(frame: pd.DataFrame, metric: str, class_: str) -> pd.DataFrame:
    """How many images have no value of `metric`, a row a network; of a mean over classes: of one of
    them.

    Columns: model, undefined, images (all there are), in_any (images in which any network has
    none), patients (of those; 0 where patients are unknown).
    """
    classes, background = list(dict.fromkeys(frame["class"])), "background"
    if class_ not in (ALL, FOREGROUND):
        classes = [class_]
    elif metric == "accuracy":
        classes = []
    elif class_ == FOREGROUND:
        classes = [c for c in classes if c != background]
    each = values(frame, metric if classes else "accuracy", class_)
    each = each.drop(columns="value").assign(lost=False)
    for name in classes:
        each["lost"] |= values(frame, metric, name)["value"].isna()
    lost = each[each["lost"]]
    out = each.groupby("model").agg(undefined=("lost", "sum"), images=("lost", "size"))
    patients = lost.loc[lost["patient_id"] != "", "patient_id"].nunique()
    return out.assign(in_any=lost["image_id"].nunique(), patients=patients).reset_index()


def wide(values: pd.DataFrame, unit: str = "patient") -> pd.DataFrame:
    """Units (rows) × models (columns). `unit` "patient": mean over the patient's images; "image":
    the image.

    Images undefined for any of the models are dropped first (so that every model is compared on the
    same images) and counted in `.attrs["dropped_images"]`; `.attrs["images"]` holds the number of
    images kept.
    """
    # pivot_table would lose undefined images unseen
    table = values.pivot(  # noqa: PD010
        index=["patient_id", "image_id"], columns="model", values="value"
    ).sort_index()
    kept = table.dropna()
    if unit == "patient":
        if not has_patients(values):
            raise StudyError(
                "patient_id is empty: images are the only unit there is; use unit='image' and"
                " say so"
            )
        out = kept.groupby(level="patient_id", sort=True).mean()
    elif unit == "image":
        out = kept.droplevel("patient_id")
    else:
        raise StudyError(f"unit {unit!r} is unknown; use 'patient' or 'image'")
    out.attrs = {"dropped_images": len(table) - len(kept), "images": len(kept)}
    return out


def default_unit(frame: pd.DataFrame) -> str:
    """ "patient" where patients are known, else "image" (then an interval is too narrow if patients
    have several).
    """
    return "patient" if has_patients(frame) else "image"


def caveat(unit: str, split: dict | None = None) -> str:
    """The sentence to print under a result of this unit; with `split` of study.yml also what a
    split by image costs.
    """
    if unit == "image":
        return (
            "Patients are not known in this data set, so each image counts as independent; if"
            " several images came from one patient, the intervals are too narrow and the P values"
            " too small."
        )
    text = "The patient is the unit: images of one patient are not independent."
    if (split or {}).get("unit") == "image":
        text += (
            " This study is divided by image, so the networks learned from other images of the"
            " patients tested: the results say little about new patients."
        )
    return text
