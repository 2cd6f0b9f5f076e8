"""The one table of counts (``per_image`` reads it): its order, its units, which of its rows."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from helpers.errors import StudyError

COUNTS = ["tp", "fp", "fn", "tn"]
KEYS = ["model", "fold", "seed", "split", "patient_id", "image_id", "class"]
MIN_UNITS = 5  # fewer patients than this: no interval, no test


def canonical(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in one order (by KEYS), patient_id as text ("" where unknown): results cannot depend on
    file order.
    """
    out = frame.assign(
        **{
            key: frame[key].astype(object).where(frame[key].notna(), "").astype(str)
            for key in ["model", "fold", "split", "patient_id", "image_id", "class"]
            if key in frame
        }
    )
    if "seed" not in out:
        out["seed"] = 0
    return out.sort_values([key for key in KEYS if key in out], kind="stable", ignore_index=True)


def has_patients(frame: pd.DataFrame) -> bool:
    """True when every row names its patient. Some named and some not is an error."""
    named = frame["patient_id"].notna() & (frame["patient_id"].astype(str) != "")
    if named.any() and not named.all():
        images = frame.loc[~named, "image_id"].unique()
        raise StudyError(
            f"patient_id is empty for {len(images)} images ({some(images)}) but filled for others;"
            " fill it everywhere or nowhere"
        )
    return bool(named.all())


def with_unit(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with column unit: the patient, or the image where patients are unknown."""
    patients = rows["patient_id"].astype(object).where(lambda ids: ids.notna() & (ids != ""))
    return rows.assign(unit=patients.fillna(rows["image_id"]))


def select(
    frame: pd.DataFrame,
    split: str = "test",
    fold: str = "main",
    models: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Rows of one split and fold (and of the models asked for), in canonical order; StudyError if
    there are none.
    """
    rows = frame[(frame["split"] == split) & (frame["fold"] == fold)]
    if rows.empty:
        folds, splits = (some(sorted(frame[column].unique())) for column in ["fold", "split"])
        raise StudyError(
            f"no results for split {split!r} of fold {fold!r}; there are folds {folds} and splits"
            f" {splits}"
        )
    if models is not None:
        absent = [m for m in models if m not in set(rows["model"])]
        if absent:
            raise StudyError(
                f"no results for model {some(absent)}; there are"
                f" {some(sorted(rows['model'].unique()))}"
            )
        rows = rows[rows["model"].isin(models)]
    return canonical(rows)


def folds(frame: pd.DataFrame) -> pd.DataFrame:
    """Cross-validation rows (fold cv1, cv2, …), held-out images only, folds in numerical order;
    empty if none.

    Held out is split "test" where a fold has one, else "val".
    """
    rows = frame[frame["fold"].str.fullmatch(r"cv\d+")]
    tested = rows["fold"].isin(rows.loc[rows["split"] == "test", "fold"])
    rows = rows[rows["split"] == np.where(tested, "test", "val")]
    number = rows["fold"].str.removeprefix("cv").astype(int)
    return rows.iloc[np.argsort(number.to_numpy(), kind="stable")].reset_index(drop=True)


def some(items: Iterable, most: int = 4) -> str:
    """The first of them as text, and how many there are."""
    items = [str(item) for item in items]
    return ", ".join(items[:most]) + (f", … ({len(items)} in all)" if len(items) > most else "")
