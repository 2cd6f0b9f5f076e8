"""Linear mixed models of paired differences, fitted exactly: restricted likelihood in one unknown,
no optimiser traps.

With every network on every image, y ~ network + (1|patient) + (1|patient:network) + (1|image)
splits, by an orthonormal change of the networks' axis, into their mean and K − 1 contrasts. Patient
and image effects cancel from the contrasts, which share two variances: patient-by-network and
residual. Their restricted likelihood has one unknown, the ratio of the two, and is searched over
its whole range. This equals lme4's fit wherever the patient and image variances are not estimated
as zero. Reference: Searle, Casella & McCulloch, Variance Components, ch. 3 and 6.
"""

import numpy as np
import pandas as pd
from scipy import linalg, stats

from helpers.errors import StudyError
from helpers.stats.counts import MIN_UNITS
from helpers.stats.paired import (
    ABOUT,
    CONSTANT,
    COUNTED,
    FEW,
    TESTED,
    about,
    bounded,
    differences,
    paired_t,
)
from helpers.stats.values import wide

GOLDEN = (np.sqrt(5) - 1) / 2
NOT_APART = (
    f"fewer than {MIN_UNITS} patients have more than one image: variation between patients and"
    " within them cannot be told apart"
)


def reml(sizes: np.ndarray, means: np.ndarray, within: np.ndarray) -> dict[str, np.ndarray]:
    """Random-intercept model by restricted maximum likelihood, for many data sets at once.

    sizes: (G,) rows a group; means: (G, m, S) group means of m independent contrasts that share
    both variances, in S data sets; within: (S,) sum of squares about the group means, over all m.
    Returns mean (m, S), se (S,), between and residual variance (S,), each estimated; between is 0
    where the groups differ less than by chance.
    """
    n = sizes.astype(float)[:, None]
    m = means.shape[1]
    free = m * (n.sum() - 1)

    def fit(share: np.ndarray) -> tuple[np.ndarray, ...]:  # between / (between + residual), (S,)
        odds = share / (1 - share)
        weight = n / (1 + n * odds)  # (G, S)
        total = weight.sum(0)
        centre = (weight[:, None] * means).sum(0) / total
        quadratic = within + (weight[:, None] * (means - centre) ** 2).sum((0, 1))
        with np.errstate(divide="ignore"):
            deviance = free * np.log(quadratic) + m * (np.log1p(n * odds).sum(0) + np.log(total))
        return deviance, centre, quadratic / free, total

    grid = np.concatenate([[0.0], 1 / (1 + np.exp(np.linspace(12, -12, 121)))])
    best = np.argmin([fit(np.full(len(within), share))[0] for share in grid], axis=0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    for _ in range(60):
        a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        left = fit(a)[0] <= fit(b)[0]
        low, high = np.where(left, low, a), np.where(left, b, high)
    share = (low + high) / 2
    share = np.where(fit(np.zeros_like(share))[0] <= fit(share)[0], 0.0, share)
    _, centre, residual, total = fit(share)
    return {
        "mean": centre,
        "se": np.sqrt(residual / total),
        "between": residual * share / (1 - share),
        "residual": residual,
    }


def group_sums(y: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Sizes (G,), group means (G, m) and the within sum of squares of y (N, m)."""
    index = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(index)
    means = np.stack([np.bincount(index, column) / sizes for column in y.T], axis=1)
    return sizes, means, float(((y - means[index]) ** 2).sum())


def told_apart(sizes: np.ndarray | pd.Series) -> bool:
    """Whether variation between patients and within them can be told apart: five patients or more
    have several images. With one image each the two are one number, and a fit that splits it says
    nothing. sizes: (G,) images of each patient.
    """
    return int((np.asarray(sizes) > 1).sum()) >= MIN_UNITS


def _patients(table: pd.DataFrame, values: pd.DataFrame) -> np.ndarray:
    owner = values.drop_duplicates("image_id").set_index("image_id")["patient_id"]
    groups = owner.reindex(table.index).to_numpy(dtype=str)
    if (groups == "").any():
        raise StudyError(
            "patient_id is empty: a mixed model needs the patients; images are the only unit"
            " there is"
        )
    return groups


def mixed_differences(values: pd.DataFrame, headline: str, level: float = 0.95) -> pd.DataFrame:
    """Per comparator: difference ~ 1 + (1|patient) over images, t with patients − 1 degrees of
    freedom.

    Columns of :func:`paired.paired_t` plus between (patient variance of the difference), residual
    and icc; these are NaN, and note says so, where they cannot be told apart (:func:`told_apart`):
    the test, which needs their sum alone, holds all the same. With z in place of t the size would
    be about 6 % at 22 patients; a patient intercept on the scores themselves (not the differences)
    would not repair the clustering at all.
    """
    table = differences(values, headline, "image")
    groups = _patients(table, values)
    out = paired_t(values, headline, "patient", level).assign(test="mixed model on differences")
    out[["between", "residual", "icc"]] = np.nan
    for i, model in enumerate(out["model"]):
        if out.loc[i, "note"]:
            continue
        sizes, means, within = group_sums(table[[model]].to_numpy(), groups)
        fit = {
            k: v.ravel()[0] for k, v in reml(sizes, means[..., None], np.array([within])).items()
        }
        row = _t(fit["mean"], fit["se"], len(sizes) - 1, level) | _variances(fit, sizes)
        row["sd"] = np.sqrt(fit["between"] + fit["residual"])
        out.loc[i, list(row)] = list(row.values())
    return bounded(out)


def _variances(fit: dict, sizes: np.ndarray) -> dict:
    """between, residual, icc and note of a fit; NaN and why where they cannot be told apart."""
    if not told_apart(sizes):
        return {"between": np.nan, "residual": np.nan, "icc": np.nan, "note": NOT_APART}
    between, residual = fit["between"], fit["residual"]
    return {
        "between": between,
        "residual": residual,
        "icc": between / (between + residual),
        "note": "",
    }


def _t(estimate: float, se: float, df: int, level: float) -> dict[str, float]:
    t = estimate / se
    half = stats.t.ppf((1 + level) / 2, df) * se
    return {
        "difference": estimate,
        "statistic": t,
        "df": df,
        "p": 2 * stats.t.sf(abs(t), df),
        "low": estimate - half,
        "high": estimate + half,
    }


def mixed_models(values: pd.DataFrame, headline: str, level: float = 0.95) -> pd.DataFrame:
    """All networks at once: y ~ network + (1|patient) + (1|patient:network) + (1|image), contrasts
    with the headline.

    Complete images only. t with (patients − 1)(networks − 1) degrees of freedom, which is exact for
    balanced data. Columns: model, headline, class, metric, unit, test, n (patients), n_images,
    dropped_images, difference, se, statistic, df, p, low, high, between (patient:network variance),
    residual, icc (of a difference), note.
    """
    table = wide(values, "image")
    if headline not in table or table.shape[1] < 2:
        raise StudyError(
            f"the headline model {headline!r} and at least one other need results; there are"
            f" {list(table)}"
        )
    groups = _patients(table, values)
    y = table.to_numpy()
    k, g = y.shape[1], len(np.unique(groups))
    contrasts = linalg.helmert(k)  # (K − 1, K), orthonormal rows
    projected = (y @ contrasts.T).round(12)  # rounding is no variation
    sizes, means, within = group_sums(projected, groups)
    same = {
        "test": "mixed model, all networks",
        "n": g,
        "n_images": len(y),
        "dropped_images": table.attrs["dropped_images"],
    }
    varies = np.ptp(projected, axis=0).any()
    note = FEW if g < MIN_UNITS else "" if varies else CONSTANT
    fit = None
    if not note:
        fit = reml(sizes, means[..., None], np.array([within]))
        fit = {name: value[..., 0] for name, value in fit.items()}
    rows = []
    for j, model in enumerate(table):
        if model == headline:
            continue
        plain = (table[headline] - table[model]).mean()
        row = about(values, model, headline, "patient") | same
        row |= {"note": note, "difference": plain}
        if fit is not None:
            sign = (np.array(table.columns) == headline).astype(float) - (np.arange(k) == j)
            se = np.sqrt(2) * fit["se"]
            row |= _t(sign @ contrasts.T @ fit["mean"], se, (g - 1) * (k - 1), level)
            row |= {"se": se} | _variances(fit, sizes)
        rows.append(row)
    variances = ["between", "residual", "icc"]
    columns = [*ABOUT, "test", *COUNTED, "difference", "se", *TESTED, *variances, "note"]
    return bounded(pd.DataFrame(rows, columns=columns))
