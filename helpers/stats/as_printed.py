"""The papers' own analyses of results, to the digit: they treat images as independent (see `paired`
for what holds).
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from helpers import metrics
from helpers.errors import NotComputable
from helpers.stats.multiplicity import adjust
from helpers.stats.paired import paired_t
from helpers.stats.repeated import ONE_STRUCTURE
from helpers.stats.values import ALL, DIFFERENCE, OVERALL, values, wide

LABEL = "as in the paper; assumes independent images"
TABLE2 = ("TPR", "TNR", "FPR_union", "FNR_union", "FPR", "FNR")


def _by_class(
    per_image: pd.DataFrame, model: str, metric: str, background: str
) -> dict[str, np.ndarray]:
    rows = per_image[per_image["model"] == model]
    names = [c for c in dict.fromkeys(rows["class"]) if c != background]
    if len(names) < 2:
        raise NotComputable(ONE_STRUCTURE.format(", ".join(names) or "none"))
    parts = {c: values(rows, metric, c)["value"].dropna().to_numpy() for c in sorted(names)}
    return {c: v for c, v in parts.items() if len(v) > 1}


def anova_classes(
    per_image: pd.DataFrame,
    model: str,
    indicators: Sequence[str] = TABLE2,
    background: str = "background",
) -> pd.DataFrame:
    """Table 2's P: one-way ANOVA over images, the structures as independent groups, a row an
    indicator.

    Columns: metric, model, test, statistic, df1, df2, p, n (values used), dropped (undefined),
    label, note.
    """
    rows = []
    images = per_image.loc[per_image["model"] == model, "image_id"].nunique()
    for metric in indicators:
        groups = _by_class(per_image, model, metric, background)
        n = sum(map(len, groups.values()))
        f, p, note = np.nan, np.nan, "no variation: no test"
        if len(groups) > 1 and any(np.ptp(v) > 0 for v in groups.values()):
            (f, p), note = stats.f_oneway(*groups.values()), ""
        rows.append(
            {
                "metric": metric,
                "model": model,
                "test": "one-way ANOVA",
                "statistic": f,
                "df1": len(groups) - 1,
                "df2": n - len(groups),
                "p": p,
                "n": n,
                "dropped": images * len(groups) - n,
                "label": LABEL,
                "note": note,
            }
        )
    return pd.DataFrame(rows)


def _tukey(groups: dict, level: float) -> list[dict]:
    """Tukey–Kramer between all pairs of groups (name → two values or more), a − b; no P and no
    interval without variation.
    """
    varied = len(groups) > 1 and any(np.ptp(x) > 0 for x in groups.values())
    found: Any = stats.tukey_hsd(*groups.values()) if varied else None
    limits: Any = found.confidence_interval(level) if varied else None
    rows = []
    for (i, a), (j, b) in itertools.combinations(enumerate(groups), 2):
        d = groups[a].mean() - groups[b].mean()
        rows.append(
            {
                "a": a,
                "b": b,
                "difference": d,
                "low": max(limits.low[i, j], DIFFERENCE[0]) if varied else np.nan,
                "high": min(limits.high[i, j], DIFFERENCE[1]) if varied else np.nan,
                "p": found.pvalue[i, j] if varied else np.nan,
                "n_a": len(groups[a]),
                "n_b": len(groups[b]),
                "label": LABEL,
            }
        )
    return rows


def tukey_classes(
    per_image: pd.DataFrame,
    model: str,
    indicators: Sequence[str] = TABLE2,
    background: str = "background",
    level: float = 0.95,
) -> pd.DataFrame:
    """Figure 4: Tukey's HSD between structures (Tukey–Kramer where undefined values were dropped),
    a − b.

    Columns: metric, model, a, b, difference, low, high, p, n_a, n_b, label.
    """
    rows = []
    for metric in indicators:
        for row in _tukey(_by_class(per_image, model, metric, background), level):
            rows.append({"metric": metric, "model": model} | row)
    if not rows:
        raise NotComputable(
            "Fewer than two structures have a score in two images, so none can be compared"
        )
    return pd.DataFrame(rows)


def _networks(per_image: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Images × networks: a metric's mean over the classes, of two images or more."""
    table = wide(values(per_image, metric, ALL), "image")
    if len(table) < 2:
        raise NotComputable("There is one test image: a comparison over images needs two")
    return table


def anova_models(per_image: pd.DataFrame, names: dict[str, str] | None = None) -> pd.DataFrame:
    """One-way ANOVA over images between networks per overall metric.

    Columns: metric, statistic, df1, df2, p, n, label.
    """
    rows = []
    for name, metric in (names or OVERALL).items():
        table = _networks(per_image, metric)
        varied = np.ptp(table.to_numpy(), axis=0).any()
        f, p = stats.f_oneway(*table.to_numpy().T) if varied else (np.nan, np.nan)
        f, p = (0.0, 1.0) if f < 0 else (f, p)  # by rounding, where the networks' means are one
        rows.append(
            {
                "metric": name,
                "statistic": f,
                "df1": table.shape[1] - 1,
                "df2": table.size - table.shape[1],
                "p": p,
                "n": table.size,
                "label": LABEL,
            }
        )
    return pd.DataFrame(rows)


def tukey_models(
    per_image: pd.DataFrame, names: dict[str, str] | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Tukey's HSD between networks over images, a − b.

    Columns: metric, a, b, difference, low, high, p, n_a, n_b, label.
    """
    rows = []
    for name, metric in (names or OVERALL).items():
        table = _networks(per_image, metric)
        rows += [
            {"metric": name} | row for row in _tukey({m: table[m].to_numpy() for m in table}, level)
        ]
    return pd.DataFrame(rows)


def table3(per_image: pd.DataFrame, headline: str) -> pd.DataFrame:
    """Table 3: per network and overall metric the pooled value, the mean over images, and the
    paper's paired t.

    Columns: model, metric, pooled, per_image_mean, difference (headline − model, mean over images),
    t, df, p, p_adjusted (Holm over the whole table, not in the paper), label. The headline's own
    row has no test.
    """
    pool = metrics.overall(per_image).set_index("model").rename(columns={"accuracy": "Acc"})
    parts = []
    for name, metric in OVERALL.items():
        each = values(per_image, metric, ALL)
        mean = each.groupby("model")["value"].mean()
        tests = paired_t(each, headline, "image").set_index("model")
        for model in [headline, *tests.index]:
            row = {
                "model": model,
                "metric": name,
                "pooled": pool.loc[model, name],
                "per_image_mean": mean[model],
            }
            if model != headline:
                row |= {
                    "difference": tests.loc[model, "difference"],
                    "t": tests.loc[model, "statistic"],
                    "df": tests.loc[model, "df"],
                    "p": tests.loc[model, "p"],
                }
            parts.append(row)
    out = pd.DataFrame(
        parts, columns=["model", "metric", "pooled", "per_image_mean", "difference", "t", "df", "p"]
    )
    return adjust(out, "holm", name="Table 3").assign(label=LABEL)


def huang(
    per_image: pd.DataFrame,
    class_: str,
    by: Sequence[str] = ("model", "fold", "split"),
    threshold: float = 0.5,
) -> pd.DataFrame:
    """Huang 2019: pooled ("sum") IoU, median and quartiles of the images' IoU, accuracy (share with
    IoU > 0.5).

    Columns: the `by` columns, n_images, shown (of these, in the reference), pooled_IoU, median, q1,
    q3, accuracy, undefined (left out of all but pooled).
    """
    rows = []
    for key, part in per_image[per_image["class"] == class_].groupby(list(by), sort=False):
        sums = part[["tp", "fp", "fn"]].sum()
        iou = (part["tp"] / (part["tp"] + part["fp"] + part["fn"])).to_numpy(float)
        kept = iou[~np.isnan(iou)]
        q1, median, q3 = np.quantile(kept, [0.25, 0.5, 0.75]) if len(kept) else (np.nan,) * 3
        rows.append(
            dict(zip(by, key, strict=True))
            | {
                "n_images": part["image_id"].nunique(),
                "shown": part.loc[part["tp"] + part["fn"] > 0, "image_id"].nunique(),
                "pooled_IoU": sums["tp"] / sums.sum() if sums.sum() else np.nan,
                "median": median,
                "q1": q1,
                "q3": q3,
                "accuracy": (kept > threshold).mean() if len(kept) else np.nan,
                "undefined": len(iou) - len(kept),
            }
        )
    return pd.DataFrame(rows)


def quartiles(
    frame: pd.DataFrame, columns: Sequence[str] = ("pooled_IoU", "accuracy")
) -> pd.DataFrame:
    """Huang 2019, ten-fold summary: column, n, median, q1, q3 of one number a fold."""
    rows = []
    for column in columns:
        x = frame[column].dropna()
        q1, median, q3 = x.quantile([0.25, 0.5, 0.75])
        rows.append({"column": column, "n": len(x), "median": median, "q1": q1, "q3": q3})
    return pd.DataFrame(rows)


def bonaldi(per_image: pd.DataFrame, by: Sequence[str] = ("model",)) -> pd.DataFrame:
    """Bonaldi 2025: pixel accuracy, IoU and Dice averaged over the classes, of summed pixels, per
    test set.

    Columns: the `by` columns, accuracy, IoU, Dice.
    """
    return metrics.overall(per_image, by).rename(columns={"mIoU": "IoU"})[
        [*by, "accuracy", "IoU", "Dice"]
    ]
