"""How alike are the images of one patient: intraclass correlation, design effect, effective number
of images.
"""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import NotComputable
from helpers.stats.mixed import NOT_APART, told_apart
from helpers.stats.paired import differences
from helpers.stats.values import values as image_values


def anova_icc(y: np.ndarray, groups: np.ndarray, level: float = 0.95) -> dict:
    """ICC(1) by the one-way ANOVA estimator, unequal group sizes, with Searle's interval.

    y: (N,) float; groups: (N,) labels. Keys: icc (not cut at 0), low, high, n_groups, n_rows, size
    (n0, the mean size that enters), design_effect 1 + (m̃ − 1)·icc with m̃ = Σn²/Σn (what a mean
    over rows pays), n_effective. The interval is exact for equal sizes (Searle 1971) and
    approximate otherwise. NaN for one row a group or no variation.
    """
    index = np.unique(groups, return_inverse=True)[1]
    n = np.bincount(index).astype(float)
    g, total = len(n), n.sum()
    weighted = (n**2).sum() / max(total, 1)
    n0 = (total - weighted) / (g - 1) if g > 1 else np.nan
    out = {
        "icc": np.nan,
        "low": np.nan,
        "high": np.nan,
        "n_groups": g,
        "n_rows": int(total),
        "size": n0,
        "design_effect": np.nan,
        "n_effective": np.nan,
    }
    if g < 2 or total == g:
        return out
    means = np.bincount(index, y) / n
    within = ((y - means[index]) ** 2).sum() / (total - g)
    between = (n * (means - y.mean()) ** 2).sum() / (g - 1)
    if not within > 0:
        return out
    f = between / within
    icc = (f - 1) / (f + n0 - 1)
    tails = stats.f.ppf([(1 + level) / 2, (1 - level) / 2], g - 1, total - g)
    low, high = ((f / q - 1) / (f / q + n0 - 1) for q in tails)
    effect = 1 + (weighted - 1) * max(icc, 0)
    return out | {
        "icc": icc,
        "low": low,
        "high": high,
        "design_effect": effect,
        "n_effective": total / effect,
    }


def icc(per_image: pd.DataFrame, headline: str, metric: str, class_: str) -> pd.DataFrame:
    """ICC of each network's scores and, what decides for comparisons, of the differences headline −
    network.

    Columns: what ("score"|"difference"), model, class, metric and the keys of :func:`anova_icc`;
    for differences also t_inflation = √design_effect, by which an image-level t is too large. Where
    the variation between patients and within them cannot be told apart (``mixed.told_apart``) there
    is no ICC: NotComputable.
    """
    v = image_values(per_image, metric, class_)
    if (v["patient_id"] == "").all():
        raise NotComputable(
            "Patients are not known, so how alike the images of one are cannot be said"
        )
    sizes = v.dropna(subset=["value"]).groupby("patient_id")["image_id"].nunique()
    if not told_apart(sizes):
        raise NotComputable(NOT_APART[0].upper() + NOT_APART[1:])
    owner = v.drop_duplicates("image_id").set_index("image_id")["patient_id"]
    rows = []
    for model, part in v.dropna(subset=["value"]).groupby("model", sort=True):
        rows.append(
            {"what": "score", "model": model}
            | anova_icc(part["value"].to_numpy(), part["patient_id"].to_numpy(str))
        )
    if len(rows) > 1:
        table = differences(v, headline, "image")
        groups = owner.reindex(table.index).to_numpy(str)
        rows += [
            {"what": "difference", "model": m} | anova_icc(table[m].to_numpy(), groups)
            for m in table
        ]
    out = pd.DataFrame(rows).assign(**{"class": class_, "metric": metric})
    if out["icc"].isna().all():
        raise NotComputable("No score or difference varies between images, so there is no ICC")
    inflation = np.sqrt(out["design_effect"]).where(out["what"] == "difference")
    return out.assign(t_inflation=inflation)[
        [
            "what",
            "model",
            "class",
            "metric",
            "icc",
            "low",
            "high",
            "n_groups",
            "n_rows",
            "size",
            "design_effect",
            "n_effective",
            "t_inflation",
        ]
    ]
