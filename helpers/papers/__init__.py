"""What the paper printed, beside what this run found.

``data_manifest/<study>/published.yml`` holds the printed numbers (format:
``tools/audit/AUDIT.md``). ``compare`` puts ours beside each one, with the interval of
``helpers.stats``, and a verdict. Numbers from synthetic images are shown but never called
reproduced. Nothing here imports torch.
"""

import numpy as np
import pandas as pd

from helpers import metrics, stats
from helpers.errors import StudyError
from helpers.papers.ours import MODELS, Run
from helpers.studies import ROOT
from tools.audit import Paper, audit
from tools.audit import read as read_paper
from tools.audit.comparisons import implied_sd, pairs

REPRODUCED, NOT_REPRODUCED, NOT_COMPARABLE = "reproduced", "not reproduced", "not comparable"
COLUMNS = [
    "paper",
    "table",
    "model",
    "class",
    "metric",
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


def paper(study):
    """The printed numbers of a study as an audit Paper; StudyError when it has none."""
    path = study.root / "published.yml"
    if not path.exists():
        raise StudyError(
            f"{path}: no such file; a study without a paper has no printed numbers to compare with"
        )
    return read_paper(path)


def load(study):
    """Printed numbers as a DataFrame, one row each, in the paper's order.

    Columns: study, table, model, class, metric, printed (text), value (float; NaN for a limit such
    as <0.05), low, high (rounding interval), sd, n, unit, definition, note, origin (printed |
    figure | derived). Empty text where the paper says nothing.
    """
    rows = []
    for e in paper(study).everything:
        value = (e.value.low + e.value.high) / 2 if e.value.bounded else np.nan
        sd = (e.sd.low + e.sd.high) / 2 if e.sd else np.nan
        rows.append(
            (
                e.study,
                e.table,
                e.model,
                e.structure,
                e.metric,
                e.text,
                value,
                e.value.low,
                e.value.high,
                sd,
                e.n,
                e.unit,
                e.definition,
                e.note,
                e.published,
            )
        )
    columns = [
        "study",
        "table",
        "model",
        "class",
        "metric",
        "printed",
        "value",
        "low",
        "high",
        "sd",
        "n",
        "unit",
        "definition",
        "note",
        "origin",
    ]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64"})


def oracle(study):
    """The confusion matrix that gives every printed Q-VUM figure: (class names, int64 matrix, rows
    reference).
    """
    found = paper(study).oracle
    if found is None:
        raise StudyError(f"{study.root / 'published.yml'}: qvum_confusion_matrix_oracle: missing")
    return list(found["classes"]), np.array(found["matrix"], dtype=np.int64)


def oracle_counts(study):
    """The same as a frame for ``helpers.metrics``: model, image_id, class, tp, fp, fn, tn; one row
    a class.
    """
    classes, matrix = oracle(study)
    frame = pd.DataFrame(metrics.counts_of(matrix), columns=metrics.COUNTS)
    return frame.assign(**{"class": classes, "model": "qvum", "image_id": "all"})


def compare(study, per_image, images, patients=None, speed=None, draws=None):
    """Every printed number with ours beside it -> DataFrame with the columns ``COLUMNS``.

    per_image: rows of per_image.csv; images, patients: frames of ``helpers.studies`` (sets, counts,
    Table 1); speed: the table of 07_speed (model, fps; first row of a network: one image at a
    time); draws: resamplings (None: those that study.yml declares). ours_low, ours_high: 95 %
    interval, patients resampled whole (images where no patient is known), NaN where the number is
    not a metric. verdict: "reproduced" when the printed digits meet our interval, network, images
    and protocol being the paper's; "not reproduced" when they do not; else "not comparable", and
    ``why`` says why.
    """
    source = paper(study)
    run = Run(
        study,
        source.everything,
        per_image,
        images,
        patients,
        speed,
        draws or study.statistics["draws"],
    )
    rows = []
    for e in source.everything:
        if e.published == "derived":
            continue
        ours, low, high, model, missing = run.ours(e)
        verdict, why = _verdict(study, source, e, model, low, high, missing)
        rows.append(
            (
                source.name,
                e.table,
                e.model,
                e.structure,
                e.metric,
                str(e),
                e.value.low,
                e.value.high,
                model,
                ours,
                low,
                high,
                e.n,
                verdict,
                why,
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS).astype(
        {"n": "Int64", "ours": float, "ours_low": float, "ours_high": float}
    )


def _verdict(study, source, e, model, low, high, missing):
    """(verdict, why) of one printed number; the first reason against a comparison wins."""
    wanted = MODELS.get(e.model)
    reasons = [
        (e.quoted, "quoted from another paper"),
        (missing is not None, missing),
        (study.synthetic, "synthetic images"),
        (not source.same_images, "other images than the paper's"),
        (e.unit == "count", "a count, not a result"),
        (e.published == "figure", "read off a figure, not printed"),
        (bool(wanted) and wanted.endswith("_r"), "ours is a reconstruction"),
        (bool(wanted) and model != wanted, f"another network: the paper's is {e.model}"),
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
    inside = e.value.low <= high and low <= e.value.high
    return (
        (REPRODUCED, "printed number within our interval")
        if inside
        else (
            NOT_REPRODUCED,
            f"printed number {'above' if e.value.low > high else 'below'} our interval",
        )
    )


def spreads(study, per_image):
    """How much two networks differ from image to image: what a printed t implies, beside this run.

    Columns: model, metric, printed_t, n, implied_low, implied_high (SD of the paired differences
    behind the printed t), ours (SD of the same differences over our test images), images (ours).
    One row a printed t whose two networks are both in this run; empty where the paper prints none.
    """
    names = {"Dice_mean": "Dice", "accuracy_pixel": "accuracy", "mIoU": "IoU", "mPA": "recall"}
    test = per_image[(per_image["fold"] == "main") & (per_image["split"] == "test")]
    rows = []
    for pair in pairs(paper(study)):
        ours = [MODELS.get(e.model) for e in (pair.reference, pair.other)]
        if (
            not set(ours) <= set(test["model"])
            or pair.reference.metric not in names
            or not pair.reference.n
        ):
            continue
        each = stats.values(test[test["model"].isin(ours)], names[pair.reference.metric], stats.ALL)
        wide = each.pivot_table(index="image_id", columns="model", values="value").dropna()
        implied = implied_sd(pair.gap, pair.t.value, pair.reference.n)
        rows.append(
            (
                pair.other.model,
                pair.reference.metric,
                pair.t.text,
                pair.reference.n,
                implied.low,
                implied.high,
                (wide[ours[0]] - wide[ours[1]]).std(),
                len(wide),
            )
        )
    columns = ["model", "metric", "printed_t", "n", "implied_low", "implied_high", "ours", "images"]
    return pd.DataFrame(rows, columns=columns)


def library():
    """The distinct papers of data_manifest/*/published.yml, each once, in the order of their
    studies' names.
    """
    found = (read_paper(path) for path in sorted((ROOT / "data_manifest").glob("*/published.yml")))
    return list({p.name: p for p in reversed(list(found))}.values())[::-1]


def audits(papers):
    """The audit of several papers in one table (columns of ``tools.audit.audit``)."""
    return pd.concat([audit(p) for p in papers], ignore_index=True)


def summary(table):
    """How many printed numbers there are per paper, verdict and reason: columns paper, verdict,
    why, numbers.
    """
    counts = table.groupby(["paper", "verdict", "why"]).size().rename("numbers").reset_index()
    return counts.sort_values(
        ["paper", "verdict", "numbers"], ascending=[True, False, False], ignore_index=True
    )


__all__ = [
    "MODELS",
    "NOT_COMPARABLE",
    "NOT_REPRODUCED",
    "REPRODUCED",
    "Paper",
    "audits",
    "compare",
    "library",
    "load",
    "oracle",
    "oracle_counts",
    "paper",
    "spreads",
    "summary",
]
