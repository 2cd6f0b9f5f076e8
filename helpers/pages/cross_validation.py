"""Page 8: other divisions of the same images, and images from elsewhere."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from helpers import stats
from helpers.errors import NotComputable
from helpers.figures import model_label, tables
from helpers.studies import Study

FOUND = 0.5  # an image counts as found when its IoU is above this (Huang 2019)
OWN = "the study's test set"
TWIN = (
    " (= test set)"  # after the name of a fold that holds the very images of the study's test set
)
NONE = (
    "No cross-validation has been run for this study, so nothing here says whether another split"
    " would have given another answer. Declare `cross_validation` in study.yml and run the study"
    " again"
)
NO_EXTERNAL = (
    "No images from another hospital, device or operator have been examined. Everything above comes"
    " from one source. Results usually drop on other devices; until that is measured, do not assume"
    " they hold elsewhere. To add such data, give it a manifest of its own and predict it with the"
    " trained weights"
)
#: where the study's own split lies among the folds → was it a lucky one
LUCKY = {"within": "No", "above": "It may be", "below": "No, rather an unlucky one"}


def held_out(every: pd.DataFrame) -> pd.DataFrame:
    """The images held out in each fold, folds in words; NotComputable where there are none.

    every: rows of per_image.csv. A fold of just the study's own test images is named so (TWIN).
    """
    rows = stats.folds(every)
    if rows.empty:
        raise NotComputable(NONE)
    main = every[(every["fold"] == "main") & (every["split"] == "test")]
    held = rows.groupby("fold")["image_id"].agg(set)
    twin = held.map(lambda ids: TWIN if ids == set(main["image_id"]) else "")
    return rows.assign(fold=rows["fold"].str.replace("cv", "fold ") + rows["fold"].map(twin))


def others(folds: pd.DataFrame) -> pd.DataFrame:
    """The rows of folds that hold other images than the study's test set. folds: column fold."""
    return folds[(folds["fold"] != OWN) & ~folds["fold"].str.endswith(TWIN)]


def own_split(every: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """Test rows of the study's own split, of the networks that were cross-validated."""
    rows = stats.select(every)
    rows = rows[rows["model"].isin(folds["model"])]
    if rows.empty:
        raise NotComputable(
            "The cross-validated networks were not trained on the study's own split, so there is"
            " nothing to hold the folds against"
        )
    return rows


def by_network(
    frame: pd.DataFrame, function: Callable, *given: Any, **options: Any
) -> pd.DataFrame:
    """``function`` of each network's rows, joined, with the network's name."""
    parts = [
        function(part, *given, **options).assign(model=model)
        for model, part in frame.groupby("model")
    ]
    return pd.concat(parts, ignore_index=True)


def both(per_fold: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """The table of the study's own test set and the folds below it."""
    return pd.concat([own.assign(fold=OWN), per_fold])


def scores(folds: pd.DataFrame, metric: str, class_: str) -> pd.DataFrame:
    """One value an image: the columns of ``stats.values`` and fold."""
    parts = [
        stats.values(part, metric, class_).assign(fold=fold)
        for fold, part in folds.groupby("fold", sort=False)
    ]
    return pd.concat(parts, ignore_index=True)


def once(folds: pd.DataFrame) -> bool:
    """Whether every patient is held out in one fold only (False where patients are unknown)."""
    pairs = folds[["patient_id", "fold"]].drop_duplicates()
    return stats.has_patients(folds) and not pairs["patient_id"].duplicated().any()


def caveat(study: Study, every: pd.DataFrame, folds: pd.DataFrame | NotComputable) -> str:
    """What the unit of these results means, also where no folds were made (NotComputable)."""
    kept_together = not isinstance(folds, NotComputable) and once(folds)
    return stats.caveat(stats.default_unit(every), None if kept_together else study.split)


def answer(study: Study, folds: pd.DataFrame, per_fold: pd.DataFrame, own: pd.DataFrame) -> str:
    """Was the study's own split a lucky one? Markdown, a paragraph a network.

    per_fold, own: pooled IoU of the target in each fold and in the study's own test set, as
    ``stats.huang`` gives them.
    """
    networks = list(dict.fromkeys(folds["model"]))
    leak = once(folds) and study.split.get("unit") == "image"
    parts = [_stand_in(study, networks)] if study.headline not in networks else []
    parts += [_lucky(study, model, per_fold, own, leak) for model in networks]
    return "\n\n".join(parts)


def place(here: float, folds: pd.Series) -> str:
    """Where a number lies among those of the folds: 'within', 'above', 'below'; '' for unknown."""
    folds = folds.dropna()
    if pd.isna(here) or folds.empty:
        return ""
    return "above" if here > folds.max() else "below" if here < folds.min() else "within"


def _stand_in(study: Study, networks: list[str]) -> str:
    name = model_label(study.headline)
    return (
        f"**{name} itself was not cross-validated.** A faster one took its place:"
        f" {', '.join(map(model_label, networks))}. The folds show how much hangs on the choice of"
        f" test images, not how good {name} is."
    )


def _lucky(study: Study, model: str, per_fold: pd.DataFrame, own: pd.DataFrame, leak: bool) -> str:
    title = {c.name: c.title for c in study.classes}[study.target]
    # where no image shows it, an IoU of 0 says that it was drawn, not how well
    iou, here = (
        table.loc[(table["model"] == model) & (table["shown"] > 0), "pooled_IoU"]
        for table in (others(per_fold), own)
    )
    here = here.iloc[0] if len(here) else float("nan")
    where = place(here, iou)
    if not where:
        return (
            f"**Is the study's split a lucky one? It cannot be said of {model_label(model)}**: the"
            f" {title} is not to be scored in the study's test set or in folds of other images."
        )
    lucky = "Yes, it shares patients" if leak and where == "above" else LUCKY[where]
    text = (
        f"**Is the study's split a lucky one? {lucky}.** On the {title}, {model_label(model)}"
        f" reaches a pooled IoU of {here:.3f} on the study's own test set; in"
        f" {tables.counted(iou.notna().sum(), 'fold')} {iou.min():.3f} to {iou.max():.3f} (median"
        f" {iou.median():.3f}). That is {where} the range of the folds."
    )
    if leak:
        text += (
            " The folds keep each patient together; in the study's own split the network has"
            " learned from other images of the people in the test. The folds are nearer to what a"
            " new patient gets."
        )
    twins = per_fold.loc[per_fold["fold"].str.endswith(TWIN), "fold"].unique()
    if len(twins):
        text += f" Left out: {', '.join(twins)}, the very same images."
    usual = study.training(model, "main")
    changed = [f"{k} {v}" for k, v in study.training(model, "cv1").items() if v != usual.get(k)]
    if changed:
        text += (
            f" But the folds were trained differently ({', '.join(changed)}), so compare the folds"
            " with each other only."
        )
    return text


def external(every: pd.DataFrame) -> pd.DataFrame:
    """Rows of the study's test set and of images from elsewhere; NotComputable where none are."""
    if not (every["split"] == "external").any():
        raise NotComputable(NO_EXTERNAL)
    return every[(every["fold"] == "main") & every["split"].isin(["test", "external"])]


def external_target(rows: pd.DataFrame, target: str, threshold: float = FOUND) -> pd.DataFrame:
    """The target on the images from elsewhere alone, as ``stats.huang``. rows: of ``external``."""
    return stats.huang(rows[rows["split"] == "external"], target, threshold=threshold)
