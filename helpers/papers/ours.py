"""Our own number for each printed one: the same quantity, from per_image.csv, the manifest or the
settings.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from helpers import stats
from helpers.errors import NotComputable
from helpers.studies import Study

#: network as the papers write it → ours
MODELS = {
    "Q-VUM": "qvum",
    "U-Net": "unet",
    "U-Net++": "unetpp",
    "BPSegSys": "bpsegsys_r",
    "VisTR": "vistr",
    "U-Net 8-128": "femoral_unet",
    "2D U-Net": "tlf_unet",
    "DMRNet": "dmrnet_r",
}
SPLITS = {
    "train": "train",
    "val": "val",
    "test": "test",
    "test1": "test",
    "test2": "external",
    "": "test",
}
COHORTS = {"total": None, "training": "train", "validation": "val", "test": "test"}
#: printed mean over classes → metric of helpers.stats
MEANS = {
    "mIoU": "IoU",
    "IoU_mean": "IoU",
    "mPA": "recall",
    "Dice_mean": "Dice",
    "Dice": "Dice",
    "accuracy_pixel": "accuracy",
}
CLASS_METRICS = ("IoU", "Dice", "recall", "precision", "TPR", "TNR", "FPR", "FNR")
QUANTILES = {"q1": 0.25, "median": 0.5, "q3": 0.75}

NOTHING = (np.nan, np.nan, np.nan, "")


class Run:
    """Our results, asked for one printed number at a time."""

    def __init__(
        self,
        study: Study,
        entries: Sequence,
        per_image: pd.DataFrame,
        images: pd.DataFrame,
        patients: pd.DataFrame | None,
        speed: pd.DataFrame | None,
        draws: int,
    ) -> None:
        self.study, self.images, self.patients, self.speed, self.draws = (
            study,
            images,
            patients,
            speed,
            draws,
        )
        self.rows = per_image
        self.classes = [c.name for c in study.classes]
        self.papers = {MODELS[e.model] for e in entries if e.model in MODELS and not e.quoted}
        self._cache = {}

    def ours(self, e: Any) -> tuple[float, float, float, str, str | None]:
        """(ours, low, high, our model, why nothing is shown or None) for one printed number.

        e: a row of ``helpers.papers.load``, its class as the attribute structure.
        """
        for kind in (
            self._people,
            self._numbers,
            self._setting,
            self._speed,
            self._test,
            self._folds,
            self._image,
            self._pooled,
        ):
            try:
                found = kind(e)
            except NotComputable as reason:
                found = *NOTHING, str(reason)
            if found is not None:
                return found
        return *NOTHING, "not measured here"

    def _model(self, e: Any, fold: str = "main") -> str:
        """The network of ours to show; "" when this run has none.

        Where the run has none of the paper's networks its headline network stands in (and is
        named); where it has some, a printed network without a counterpart stays without one.
        """
        trained = set(self.rows.loc[self.rows["fold"].str.startswith(fold), "model"])
        wanted = MODELS.get(e.model, "")
        if wanted in trained:
            return wanted
        stand_in = self.study.headline in trained and not self.papers & trained
        return self.study.headline if stand_in else ""

    def _class(self, e: Any) -> str | None:
        """Our class for a printed structure: of the same name, or the only one there is."""
        if e.structure in self.classes:
            return e.structure
        return self.classes[1] if len(self.classes) == 2 else None

    def _ids(self, e: Any) -> pd.Series:
        """image_id of the images of a printed set; test2 are those of another device."""
        return self.images.loc[self.images["split"] == SPLITS[e.set], "image_id"]

    def _part(self, model: str, e: Any) -> pd.DataFrame | None:
        """Rows of one network and printed set in the study's own division; None for none."""
        rows = self.rows[(self.rows["fold"] == "main") & (self.rows["model"] == model)]
        rows = rows[rows["split"] == SPLITS[e.set]]
        return None if rows.empty else rows

    def _absent(self, e: Any, model: str) -> str:
        return (
            f"this run has no {e.set or 'test'} set with results"
            if model
            else f"this run has no {e.model}"
        )

    def _pooled(self, e: Any) -> tuple | None:
        metric = e.stem.removesuffix("_sum").removesuffix("_as_text")
        own = self._class(e)
        if metric in CLASS_METRICS and own:
            name, where = metric, own
            if metric in ("FPR", "FNR") and "TP+FP+FN" in e.definition:
                name = f"{metric}_union"
        elif metric in MEANS:
            name, where = MEANS[metric], stats.FOREGROUND if "target" in e.structure else stats.ALL
            if name == "accuracy" and where == stats.FOREGROUND:
                return *NOTHING, "accuracy of the structures alone is not defined"
        else:
            return None
        model = self._model(e)
        rows = self._part(model, e)
        if rows is None:
            return *NOTHING, self._absent(e, model)
        key = model, e.set, name, where
        if key not in self._cache:
            settings = self.study.statistics
            row = stats.intervals(
                rows,
                [name],
                [where],
                ["pooled"],
                method=settings["interval"],
                draws=self.draws,
                seed=settings["seed"],
            ).iloc[0]
            self._cache[key] = row["estimate"], row["low"], row["high"]
        return *self._cache[key], model, None

    def _iou(self, rows: pd.DataFrame, own: str) -> tuple[np.ndarray, np.ndarray]:
        """Per-image IoU (defined ones, seeds averaged), and the number of each image's unit."""
        each = stats.values(rows, "IoU", own).dropna(subset="value")
        unit = each["patient_id"] if stats.has_patients(each) else each["image_id"]
        return each["value"].to_numpy(), pd.factorize(unit)[0]

    def _image(self, e: Any) -> tuple | None:
        """Quartiles of the images' IoU, and the share of images with IoU above one half."""
        quantile = re.fullmatch(r"IoU_image_(q1|median|q3)", e.stem)
        share = e.stem == "accuracy" and e.definition.startswith("share of images")
        if not quantile and not share:
            return None
        model, own = self._model(e), self._class(e)
        rows = self._part(model, e)
        if rows is None or own is None:
            return *NOTHING, self._absent(e, model)
        iou, unit = self._iou(rows, own)
        statistic = (
            (lambda v: float(np.quantile(v, QUANTILES[quantile[1]])))
            if quantile
            else (lambda v: float(np.mean(v > 0.5)))
        )
        return (
            *_bootstrap(statistic, iou, unit, self.draws, self.study.statistics["seed"]),
            model,
            None,
        )

    def _folds(self, e: Any) -> tuple | None:
        """Median and quartiles over folds; the interval resamples each fold's held-out images."""
        found = re.fullmatch(r"(IoU_sum|accuracy)_cv_(q1|median|q3|fold\d+)", e.metric)
        if not found:
            return None
        model, own = self._model(e, "cv"), self._class(e)
        rows = self.rows[self.rows["fold"].str.startswith("cv") & (self.rows["split"] == "test")]
        rows = rows[(rows["model"] == model) & (rows["class"] == own)]
        if rows.empty:
            return *NOTHING, "this run made no cross-validation"
        if found[2].startswith("fold"):
            return *NOTHING, "one fold of another random division"
        folds = [_of_fold(part, found[1] == "accuracy") for _, part in rows.groupby("fold")]
        middle = partial(np.quantile, q=QUANTILES[found[2]], axis=0)
        estimate = float(middle([top.sum() / bottom.sum() for top, bottom, _ in folds]))
        if min(len(np.unique(unit)) for _, _, unit in folds) < stats.MIN_UNITS:
            return estimate, np.nan, np.nan, model, None
        drawn = []
        for k, (top, bottom, unit) in enumerate(folds):
            times = stats.draw_counts(
                int(unit.max()) + 1, self.draws, self.study.statistics["seed"] + k
            )[:, unit]
            drawn.append((times @ top) / np.maximum(times @ bottom, 1e-12))
        low, high = np.quantile(middle(drawn), [0.025, 0.975])
        return estimate, float(low), float(high), model, None

    def _test(self, e: Any) -> tuple | None:
        """t and P of the paired test over images, P of the analysis of variance, as printed."""
        paired = re.fullmatch(r"(\w+)_(t|p)_vs_QVUM", e.metric)
        anova = re.fullmatch(r"(TPR|TNR|FPR|FNR)_anova_p", e.metric)
        rows = self.rows[(self.rows["fold"] == "main") & (self.rows["split"] == "test")]
        if paired:
            model, names = self._model(e), {"Dice_mean": "Dice", "accuracy_pixel": "Acc"}
            if model != MODELS[e.model] or "qvum" not in set(rows["model"]):
                return *NOTHING, f"this run has no {e.model}"
            if "table3" not in self._cache:
                self._cache["table3"] = stats.table3(rows, "qvum").set_index(["model", "metric"])
            ours = self._cache["table3"].loc[(model, names.get(paired[1], paired[1])), paired[2]]
            return ours, np.nan, np.nan, model, "a test of other images"
        if anova:
            if len(self.classes) < 3 or self.study.headline not in set(rows["model"]):
                return *NOTHING, "this run has nothing to compare structures on"
            metric = {"FPR": "FPR_union", "FNR": "FNR_union"}.get(anova[1], anova[1])
            ours = stats.anova_classes(rows, self.study.headline, [metric])["p"].iloc[0]
            return ours, np.nan, np.nan, self.study.headline, "a test of other images"
        return None

    def _people(self, e: Any) -> tuple | None:
        """Table 1: mean, number or percentage of our patients."""
        column = {
            "age": "age_years",
            "height": "height_cm",
            "weight": "weight_kg",
            "male": "sex",
            "female": "sex",
            "sex": "sex",
        }
        stem = re.sub(r"_(mean|percent|p)$", "", e.metric)
        if stem not in column or e.structure.split(" vs ")[0] not in COHORTS:
            return None
        if self.patients is None:
            return *NOTHING, "who the patients are is not known here"
        if e.metric.endswith("_p"):
            return self._people_test(column[stem], e.structure)
        split = COHORTS[e.structure]
        known = self.images if split is None else self.images[self.images["split"] == split]
        people = self.patients[self.patients["patient_id"].isin(known["patient_id"])]
        if column[stem] not in people or people.empty:
            return *NOTHING, f"patients.csv has no {column[stem]}"
        values = people[column[stem]].dropna()
        if column[stem] != "sex":
            ours = values.mean()
        else:
            ours = (
                (values == stem).mean() * 100
                if e.metric.endswith("_percent")
                else (values == stem).sum()
            )
        return float(ours), np.nan, np.nan, "", None

    def _people_test(self, trait: str, groups: str) -> tuple:
        """P of Table 1 as page 1 has it, of a trait and 'training vs test'."""
        why = "a test of other patients"
        assert self.patients is not None  # asked before
        people = stats.by_split(self.patients, self.images)
        if people["patient_id"].duplicated().any():
            return *NOTHING, "groups that share patients cannot be tested"
        reference, other = (COHORTS.get(name) or "" for name in groups.split(" vs "))
        kind = ([], [trait]) if trait == "sex" else ([trait], [])
        summary = stats.summarise(people, "split", *kind)
        if not {reference, other} <= set(summary["group"]):
            return *NOTHING, why
        return stats.table1_tests(summary, reference, [other])["p"].iloc[0], *NOTHING[1:], why

    def _numbers(self, e: Any) -> tuple | None:
        """Numbers of images and patients, in all and per split."""
        unit = e.stem.removesuffix("_total")
        if e.metric == "patients_excluded" and self.patients is not None:
            flow = stats.flow(self.images, self.patients)
            out = flow.loc[flow["stage"] == "excluded", "patients"].sum()
            return float(out), np.nan, np.nan, "", None
        if e.unit != "count" or unit not in ("images", "patients"):
            return None
        if unit == "patients" and self.patients is None:
            return *NOTHING, "who the patients are is not known here"
        rows = self.images[self.images["image_id"].isin(self._ids(e))] if e.set else self.images
        ours = len(rows) if unit == "images" else rows["patient_id"].nunique()
        return float(ours), np.nan, np.nan, "", None

    def _setting(self, e: Any) -> tuple | None:
        """Settings of the training; shown, never judged."""
        spec = self.study.spec
        weights = {c.name: c.weight for c in self.study.classes}
        found = {
            "input_size": spec["image_size"],
            "batch": spec["batch"],
            "epochs": spec["epochs"],
            "loss_class_weight": weights.get(e.structure),
            "loss_weight_focal": spec["loss"].get("focal_weight"),
            "loss_weight_dice": spec["loss"].get("dice_weight"),
            "classes": len(self.classes),
        }
        if e.metric in found and found[e.metric] is not None:
            return float(found[e.metric]), np.nan, np.nan, "", "a setting, not a result"
        return (
            (*NOTHING, "a setting, not a result")
            if e.metric.startswith(("aug_", "loss_w"))
            else None
        )

    def _speed(self, e: Any) -> tuple | None:
        if e.metric != "speed":
            return None
        why = "machine and timing not stated"
        model = MODELS.get(e.model, "")
        if self.speed is None:
            return *NOTHING, "no speed was measured in this run"
        if model not in set(self.speed["model"]):
            return *NOTHING, f"this run has no {e.model}"
        return (
            float(self.speed.loc[self.speed["model"] == model, "fps"].iloc[0]),
            np.nan,
            np.nan,
            model,
            why,
        )


def _of_fold(rows: pd.DataFrame, share: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numerator and denominator an image (of IoU, or of the share above one half), and its unit."""
    union = (rows["tp"] + rows["fp"] + rows["fn"]).to_numpy(float)
    tp = rows["tp"].to_numpy(float)
    unit = pd.factorize(rows["patient_id"] if stats.has_patients(rows) else rows["image_id"])[0]
    return (
        ((tp > 0.5 * union).astype(float), (union > 0).astype(float), unit)
        if share
        else (tp, union, unit)
    )


def _bootstrap(
    statistic: Callable, values: np.ndarray, unit: np.ndarray, draws: int, seed: int
) -> tuple[float, float, float]:
    """(estimate, low, high) of a statistic of images: percentile, units resampled whole."""
    estimate, units = statistic(values), int(unit.max()) + 1
    if units < stats.MIN_UNITS:
        return estimate, np.nan, np.nan
    times = stats.draw_counts(units, draws, seed)[:, unit]
    low, high = np.quantile(
        [statistic(np.repeat(values, t.astype(int))) for t in times], [0.025, 0.975]
    )
    return estimate, float(low), float(high)
