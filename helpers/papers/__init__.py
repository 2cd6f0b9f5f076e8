"""What the paper printed, beside what this run found.

``python -m tools.audit data_manifest/<study>/published.yml --out runs/<study>/results`` writes the
printed numbers and their audit as tables; this room reads them. ``compare`` puts ours beside each
number, with the interval of ``helpers.stats``, and a verdict. Numbers from synthetic images are
shown but never called reproduced. Nothing here imports torch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers import files, stats
from helpers.errors import NotComputable, StudyError
from helpers.papers.grades import DEFINITION, GRADES, HOLDS, IMPOSSIBLE, QUESTION
from helpers.papers.ours import MODELS, Run
from helpers.studies import Study

REPRODUCED, NOT_REPRODUCED, NOT_COMPARABLE = "reproduced", "not reproduced", "not comparable"
COLUMNS = [
    "paper",
    "table",
    "model",
    "class",
    "metric",
    "structure",
    "quantity",
    "printed",
    "printed_low",
    "printed_high",
    "our_model",
    "ours",
    "ours_low",
    "ours_high",
    "n",
    "verdict",
    "why",
]
SPREADS = [
    "model",
    "metric",
    "printed_t",
    "paper_images",
    "implied_low",
    "implied_high",
    "ours",
    "congruence",
    "assumed_congruence",
    "images",
]
#: columns of the tables that are numbers; every other one is text, and empty where nothing is known
NUMBERS = (
    "value",
    "low",
    "high",
    "sd",
    "n",
    "implied_low",
    "implied_high",
    "printed_low",
    "printed_high",
    "possible_low",
    "possible_high",
)
FLAGS = ("same_images", "quoted", "own")
#: metrics whose mean over images a printed t compares → ours
PAIRED = {"Dice_mean": "Dice", "accuracy_pixel": "accuracy", "mIoU": "IoU", "mPA": "recall"}


def _read(study: Study, name: str) -> pd.DataFrame:
    """One of the tables that the audit wrote for a study."""
    path = study.run / "results" / f"{name}.csv"
    if not path.is_file():
        raise StudyError(
            f"{path}: no such file; `python -m tools.audit"
            f" data_manifest/{study.name}/published.yml --out runs/{study.name}/results` writes it"
        )
    frame = files.read_csv(path, dtype=str, na_values=[])
    for column in frame.columns:
        if column in NUMBERS:
            frame[column] = pd.to_numeric(frame[column].replace("", np.nan)).astype(float)
        elif column in FLAGS:
            frame[column] = frame[column] == "True"
    return frame.astype({"n": "Int64"}) if "n" in frame else frame


@dataclass(frozen=True)
class Paper:
    """The paper that a study reproduces, as the audit left it.

    numbers: of ``load``.
    checks: every check of this paper and of the others here: title, own (is it this study's),
    paper, rule, grade, where, printed, implied, tolerance, sentence, explanations, metric,
    quantity and four bounds.
    pairs: every printed t: reference, model, metric, printed_t, n, implied_low, implied_high.
    items: its tables and figures: item, shows, page (the notebook that has ours).
    """

    numbers: pd.DataFrame
    checks: pd.DataFrame
    pairs: pd.DataFrame
    items: pd.DataFrame

    @property
    def title(self) -> str:
        """How figures and sentences call the paper."""
        return self.numbers["title"].iloc[0]

    @property
    def own(self) -> pd.DataFrame:
        """The checks of this paper alone."""
        return self.checks[self.checks["own"]].drop(columns=["own", "title"])

    @property
    def findings(self) -> pd.DataFrame:
        """Those of its checks that do not hold, gravest first."""
        return self.own[self.own["grade"] != HOLDS]


def load(study: Study) -> pd.DataFrame:
    """Printed numbers as a DataFrame, one row each, in the paper's order.

    Columns: paper, title, same_images, study, table, model, class, metric, stem and set (the metric
    and the images that its name says), structure and quantity (class and metric in words), printed
    (text), shown (text with SD), value (float; NaN for a limit such as <0.05), low, high (rounding
    interval), sd, n, unit, definition, note, origin (printed | figure | derived), quoted. Empty
    text where the paper says nothing. NotComputable where the study reproduces no paper.
    """
    numbers = _read(study, "printed")
    if numbers.empty:
        raise NotComputable(
            f"This study reproduces no paper: data_manifest/{study.name}/published.yml holds no"
            " printed number"
        )
    return numbers


def paper(study: Study) -> Paper:
    """The Paper that a study reproduces; NotComputable where it reproduces none."""
    others = ("audit", "printed_pairs", "printed_items")
    return Paper(load(study), *(_read(study, name) for name in others))


def speed(study: Study) -> pd.DataFrame | None:
    """The speeds that page 7 measured (model, fps, …), or None where it has not run."""
    path = study.run / "results" / "speed.csv"
    return files.read_csv(path) if path.is_file() else None


def compare(
    study: Study,
    paper: Paper,
    per_image: pd.DataFrame,
    images: pd.DataFrame,
    patients: pd.DataFrame | None = None,
    speed: pd.DataFrame | None = None,
    draws: int | None = None,
) -> pd.DataFrame:
    """Every printed number with ours beside it -> DataFrame with the columns ``COLUMNS``.

    paper: of ``paper``; per_image: rows of per_image.csv; images, patients: frames of
    ``helpers.studies`` (sets, counts, Table 1); speed: of ``speed`` (first row of a network: one
    image at a time); draws: resamplings (None: those that study.yml declares). ours_low,
    ours_high: 95 % interval, patients resampled whole (images where no patient is known), NaN where
    the number is not a metric. verdict: "reproduced" when the printed digits meet our interval,
    network, images and protocol being the paper's; "not reproduced" when they do not; else "not
    comparable", and ``why`` says why.
    """
    names = {"class": "structure", "structure": "who"}
    entries = list(paper.numbers.rename(columns=names).itertuples())
    run = Run(
        study, entries, per_image, images, patients, speed, draws or study.statistics["draws"]
    )
    rows = []
    for e in entries:
        if e.origin == "derived":
            continue
        ours, low, high, model, missing = run.ours(e)
        verdict, why = _verdict(study, e, model, low, high, missing)
        words = (e.who, e.quantity, e.shown, e.low, e.high)
        found = (model, ours, low, high, e.n, verdict, why)
        rows.append((e.paper, e.table, e.model, e.structure, e.metric, *words, *found))
    return pd.DataFrame(rows, columns=COLUMNS).astype(
        {"n": "Int64", "ours": float, "ours_low": float, "ours_high": float}
    )


def _verdict(
    study: Study, e: Any, model: str, low: float, high: float, missing: str | None
) -> tuple[str, str]:
    """(verdict, why) of one printed number; the first reason against a comparison wins."""
    wanted = MODELS.get(e.model)
    reasons = [
        (e.quoted, "quoted from another paper"),
        (missing is not None, missing or ""),
        (study.synthetic, "synthetic images"),
        (not e.same_images, "other images than the paper's"),
        (e.unit == "count", "a count, not a result"),
        (e.origin == "figure", "read off a figure, not printed"),
        (wanted is not None and wanted.endswith("_r"), "ours is a reconstruction"),
        (wanted is not None and model != wanted, f"another network: the paper's is {e.model}"),
        (
            bool(wanted) and study.protocol != "paper",
            f"another training: protocol {study.protocol}, not the paper's",
        ),
    ]
    for applies, why in reasons:
        if applies:
            return NOT_COMPARABLE, why
    if np.isnan(low):
        return NOT_COMPARABLE, "no interval: too few units or no spread"
    if e.low <= high and low <= e.high:
        return REPRODUCED, "printed number within our interval"
    side = "above" if e.low > high else "below"
    return NOT_REPRODUCED, f"printed number {side} our interval"


def spreads(paper: Paper, per_image: pd.DataFrame) -> pd.DataFrame:
    """How much two networks differ from image to image: what a printed t implies, beside this run.

    Columns ``SPREADS``: model (the other network), metric, printed_t, paper_images, implied_low,
    implied_high (SD of the paired differences behind the printed t), ours (SD of the same
    differences over our test images), congruence (of the two networks' scores, their correlation
    from image to image), assumed_congruence (by the audit, where it has no t), images (ours). One
    row a printed t whose two networks are both in this run; NotComputable where there is none.
    """
    test = per_image[(per_image["fold"] == "main") & (per_image["split"] == "test")]
    rows = []
    for pair in paper.pairs.itertuples():
        ours = [MODELS.get(pair.reference), MODELS.get(pair.model)]
        if not set(ours) <= set(test["model"]) or pair.metric not in PAIRED:
            continue
        each = stats.values(test[test["model"].isin(ours)], PAIRED[pair.metric], stats.ALL)
        wide = each.pivot_table(index="image_id", columns="model", values="value").dropna()
        first, second = wide.reindex(columns=ours).T.to_numpy()
        alike = len(wide) > 2 and first.std() > 0 and second.std() > 0
        rows.append(
            (
                pair.model,
                pair.quantity,
                pair.printed_t,
                pair.n,
                pair.implied_low,
                pair.implied_high,
                float(np.std(first - second, ddof=1)) if len(wide) > 1 else np.nan,
                float(np.corrcoef(first, second)[0, 1]) if alike else np.nan,
                pair.assumed_congruence,
                len(wide),
            )
        )
    if not rows:
        raise NotComputable(
            "The paper prints no t value for two networks that are both in this run"
        )
    return pd.DataFrame(rows, columns=SPREADS)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Printed numbers per paper, verdict and reason: columns paper, verdict, why, numbers."""
    counts = table.groupby(["paper", "verdict", "why"]).size().rename("numbers").reset_index()
    return counts.sort_values(
        ["paper", "verdict", "numbers"], ascending=[True, False, False], ignore_index=True
    )


__all__ = [
    "DEFINITION",
    "GRADES",
    "HOLDS",
    "IMPOSSIBLE",
    "MODELS",
    "NOT_COMPARABLE",
    "NOT_REPRODUCED",
    "QUESTION",
    "REPRODUCED",
    "Paper",
    "compare",
    "load",
    "paper",
    "speed",
    "spreads",
    "summary",
]
