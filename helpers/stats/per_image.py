"""`per_image.csv` read, and refused where it contradicts itself or the study's split."""

import numpy as np
import pandas as pd

from helpers import files
from helpers.errors import StudyError
from helpers.stats.counts import COUNTS, KEYS, canonical, has_patients, some
from helpers.studies import Study

DISTANCES = ["hd95_px", "assd_px", "hd95_mm", "assd_mm"]
_TEXT = {
    key: "string" for key in ["study", "model", "fold", "split", "patient_id", "image_id", "class"]
}


def read(study: Study) -> pd.DataFrame:
    """A study's `results/per_image.csv` as a checked frame (see :func:`check`), ids as text, counts
    as int64.

    Raises StudyError when the file is absent, lacks a column, or its rows contradict each other or
    the study's split.
    """
    path = study.run / "results" / "per_image.csv"
    if not path.is_file():
        raise StudyError(
            f"{path}: no such file; train and evaluate the study's models first (make study)"
        )
    return check(
        files.read_csv(path, dtype=_TEXT | {"seed": "Int64"}),
        path.name,
        study.split.get("unit", "patient"),
    )


def check(frame: pd.DataFrame, name: str = "per_image.csv", unit: str = "patient") -> pd.DataFrame:
    """The frame in canonical order, or StudyError with every problem on a line of its own.

    Looked for: missing columns; counts that are negative or not whole; distances that are none; a
    (model, fold, seed, image, class) given twice; an image without a class that others have; an
    image whose tp + fp + fn + tn differs between rows, or whose tp + fn of a class between
    predictions; classes of one prediction that do not add up to the image, or of which one has more
    false positives than the others have false negatives; a model without some images that others
    have; an image or a patient in two splits of one fold (patients only where the `unit` of the
    split is "patient": a split by image shares them on purpose).
    """
    missing = [c for c in [*KEYS, *COUNTS] if c not in frame]
    if missing:
        raise StudyError(
            f"{name}: column(s) {', '.join(missing)} missing; it has {', '.join(frame.columns)}"
        )
    if frame.empty:
        raise StudyError(f"{name}: no rows")
    try:
        counts = frame[COUNTS].to_numpy(dtype=float)
    except (TypeError, ValueError):
        raise StudyError(f"{name}: tp, fp, fn, tn must be whole numbers") from None
    problems = []
    bad = ~(np.isfinite(counts) & (counts >= 0) & (counts == np.round(counts))).all(axis=1)
    if bad.any():
        rows = np.flatnonzero(bad) + 2  # as a spreadsheet numbers them
        raise StudyError(
            f"{name}: tp, fp, fn, tn must be whole numbers of at least 0; "
            f"{bad.sum()} row(s) are not, line {some(rows)}"
        )
    for column in [c for c in DISTANCES if c in frame]:
        given, told = pd.to_numeric(frame[column], errors="coerce"), frame[column].notna()
        if (odd := told & ~(np.isfinite(given) & (given >= 0))).any():
            raise StudyError(
                f"{name}: {column} must be a distance of 0 or more, or empty; not so in line"
                f" {some(np.flatnonzero(odd) + 2)}"
            )
    out = canonical(frame.assign(**dict(zip(COUNTS, counts.astype("int64").T, strict=True))))
    has_patients(out)
    run = ["model", "fold", "seed"]
    twice = out.duplicated([*run, "image_id", "class"], keep=False)
    for key, rows in out[twice].groupby([*run, "image_id"], sort=True):
        problems.append(
            f"{name}: model {key[0]}, fold {key[1]}, seed {key[2]}, image {key[3]}: "
            f"class {some(rows['class'].unique())} given more than once"
        )
    if not problems:
        problems += _classes(out, name, run) or _sizes(out, name, run)
        problems += _coverage(out, name) + _leaks(out, name, unit)
    if problems:
        shown = problems[:20] + ([f"… and {len(problems) - 20} more"] if len(problems) > 20 else [])
        raise StudyError("\n".join(shown))
    return out


def _classes(out: pd.DataFrame, name: str, run: list[str]) -> list[str]:
    """A line for each prediction without a class that others have: it is called otherwise there."""
    known = set(out["class"])
    groups = out.groupby([*run, "image_id"], sort=True)["class"]
    number = groups.nunique()
    return [
        f"{name}: model {key[0]}, image {key[3]}: has no row of"
        f" {some(sorted(known - set(groups.get_group(key))))}"
        for key in number.index[number < len(known)]
    ]


def _sizes(out: pd.DataFrame, name: str, run: list[str]) -> list[str]:
    pixels = out[COUNTS].sum(axis=1)
    span = pixels.groupby(out["image_id"]).agg(["min", "max"])
    odd = span[span["min"] != span["max"]]
    problems = [
        f"{name}: image {image}: tp + fp + fn + tn is {row['min']} in one row and {row['max']} in"
        " another"
        for image, row in odd.iterrows()
    ]
    if problems:
        return problems
    reference = (out["tp"] + out["fn"]).groupby([out["image_id"], out["class"]]).agg(["min", "max"])
    problems = [
        f"{name}: image {image}: {class_} has tp + fn = {row['min']} in one row and {row['max']} in"
        " another, and one reference for all predictions"
        for (image, class_), row in reference[reference["min"] != reference["max"]].iterrows()
    ]
    if problems:
        return problems
    whole = out.assign(
        reference=out["tp"] + out["fn"], predicted=out["tp"] + out["fp"], pixels=pixels
    )
    sums = whole.groupby([*run, "image_id"]).agg(
        reference=("reference", "sum"), predicted=("predicted", "sum"), pixels=("pixels", "first")
    )
    odd = sums[(sums["reference"] != sums["pixels"]) | (sums["predicted"] != sums["pixels"])]
    problems = [
        f"{name}: model {key[0]}, image {key[3]}: the classes cover {row['reference']} reference"
        f" and {row['predicted']} predicted of {row['pixels']} pixels; every class, background"
        " included, needs a row"
        for key, row in odd.iterrows()
    ]
    if problems:
        return problems
    missed = out.groupby([*run, "image_id"])["fn"].transform("sum") - out["fn"]
    return [
        f"{name}: model {row['model']}, image {row['image_id']}: {row['class']} has {row['fp']}"
        " false positives, more than the other classes have false negatives"
        for _, row in out[out["fp"] > missed].iterrows()
    ]


def _coverage(out: pd.DataFrame, name: str) -> list[str]:
    have = out[["model", "fold", "split", "image_id"]].drop_duplicates()
    problems = []
    for (fold, split), rows in have.groupby(["fold", "split"], sort=True):
        every = set(rows["image_id"])
        for model, own in rows.groupby("model", sort=True):
            lack = sorted(every - set(own["image_id"]))
            if lack:
                problems.append(
                    f"{name}: model {model} has no result for {len(lack)} of {len(every)} {split}"
                    f" images of fold {fold} that other models have ({some(lack)}); predict"
                    " them too"
                )
    return problems


def _leaks(out: pd.DataFrame, name: str, unit: str) -> list[str]:
    problems = []
    for column in dict.fromkeys([f"{unit}_id", "image_id"]):
        pairs = out.loc[out[column] != "", ["fold", column, "split"]].drop_duplicates()
        for (fold, who), rows in pairs.groupby(["fold", column], sort=True):
            if len(rows) > 1:
                problems.append(
                    f"{name}: {column.removesuffix('_id')} {who} is in the splits "
                    f"{some(rows['split'])} of fold {fold}; keep each in one split"
                )
    return problems
