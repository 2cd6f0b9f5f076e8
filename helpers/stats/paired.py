"""Is the headline network better than each other one? Paired tests, one row a comparator.

The unit decides: over patients the tests hold; over images they are the papers' and treat the
images of one patient as independent. Differences are headline − comparator, so positive favours the
headline.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.linear_model import OLS

from helpers.errors import NotComputable, StudyError
from helpers.stats.counts import MIN_UNITS
from helpers.stats.values import DIFFERENCE, RATIOS, wide

CONSTANT = "no variation between the units: no test"
FEW = f"fewer than {MIN_UNITS} units: no test"
#: what a comparison is about, and what it rests on: the first columns of every table of them
ABOUT = ["model", "headline", "class", "metric", "unit"]
COUNTED = ["n", "n_images", "dropped_images"]
TESTED = ["statistic", "df", "p", "low", "high"]
EXACT_FLIPS = 16  # up to so many units all 2**n sign patterns are enumerated


def differences(values: pd.DataFrame, headline: str, unit: str = "patient") -> pd.DataFrame:
    """Units × comparators: headline − comparator, of the units' means. `.attrs` as from
    :func:`units.wide`.
    """
    table = wide(values, unit)
    if headline not in table:
        raise StudyError(
            f"no results for the headline model {headline!r}; there are {', '.join(table)}"
        )
    if table.shape[1] < 2:
        raise StudyError(f"only {headline!r} has results: a comparison needs at least two models")
    # differences 0.01 apart otherwise differ in the 17th digit, which breaks ties in ranks
    out = table.drop(columns=headline).rsub(table[headline], axis=0).round(12)
    out.attrs = table.attrs
    return out


def about(values: pd.DataFrame, model: str, headline: str, unit: str) -> dict[str, str]:
    """The columns ABOUT of a row."""
    what = values["class"].iloc[0], values["metric"].iloc[0]
    return dict(zip(ABOUT, [model, headline, *what, unit], strict=True))


def bounded(rows: pd.DataFrame) -> pd.DataFrame:
    """Intervals of differences cut to what the metric allows: −1 to 1 for a share of pixels."""
    most = rows["metric"].isin(RATIOS).map({True: DIFFERENCE[1], False: np.inf})
    low, high = (rows[c].astype(float) for c in ("low", "high"))
    return rows.assign(low=low.clip(lower=-most), high=high.clip(upper=most))


def _rows(values: pd.DataFrame, headline: str, unit: str, test: str, one: Callable) -> pd.DataFrame:
    table = differences(values, headline, unit)
    rows = []
    for model in table:
        d = table[model].to_numpy()
        row = about(values, model, headline, unit) | {
            "test": test,
            "n": len(d),
            "n_images": table.attrs["images"],
            "dropped_images": table.attrs["dropped_images"],
            "difference": d.mean() if len(d) else np.nan,
            "sd": d.std(ddof=1) if len(d) > 1 else np.nan,
        }
        if len(d) < MIN_UNITS:
            row |= {"note": FEW}
        elif np.ptp(d) == 0:
            row |= {"note": CONSTANT}
        else:
            row |= one(d) | {"note": ""}
        rows.append(row)
    columns = [*ABOUT, "test", *COUNTED, "difference", "sd", *TESTED, "note"]
    empty = dict.fromkeys(TESTED, np.nan)
    return bounded(pd.DataFrame([empty | row for row in rows])[columns])


def paired_t(
    values: pd.DataFrame, headline: str, unit: str = "patient", level: float = 0.95
) -> pd.DataFrame:
    """Paired t-test, two-sided: t = mean(d) / (SD(d)/√n), df = n − 1.

    unit="image" is Table 3 of the Q-VUM paper (df = images − 1); unit="patient" is one mean
    difference a patient. Columns: model, headline, class, metric, unit, test, n, n_images,
    dropped_images, difference, sd, statistic, df, p, low, high (`level` interval of the mean
    difference), note.
    """

    def one(d: np.ndarray) -> dict[str, float]:
        result = stats.ttest_1samp(d, 0)
        low, high = result.confidence_interval(level)
        return {
            "statistic": result.statistic,
            "df": result.df,
            "p": result.pvalue,
            "low": low,
            "high": high,
        }

    return _rows(values, headline, unit, "paired t", one)


def wilcoxon(values: pd.DataFrame, headline: str, unit: str = "patient") -> pd.DataFrame:
    """Wilcoxon's signed-rank test, two-sided, zeros dropped; columns as :func:`paired_t`, statistic
    W+.

    Exact up to 50 units without ties or zeros, else the normal approximation with continuity
    correction (R's rule). It tests symmetry about 0, not a mean of 0: with skewed differences it is
    not a test of "no better on average".
    """

    def one(d: np.ndarray) -> dict[str, float]:
        kept = d[d != 0]
        exact = len(kept) == len(d) < 50 and len(np.unique(np.abs(d))) == len(d)
        result = stats.wilcoxon(d, method="exact" if exact else "approx", correction=not exact)
        ranks = stats.rankdata(np.abs(kept))
        return {"statistic": ranks[kept > 0].sum(), "p": result.pvalue}

    return _rows(values, headline, unit, "Wilcoxon signed-rank", one)


def sign_flip(
    values: pd.DataFrame, headline: str, unit: str = "patient", draws: int = 10_000, seed: int = 1
) -> pd.DataFrame:
    """Permutation test that flips the sign of whole units' differences; columns as
    :func:`paired_t`.

    All 2**n patterns up to 16 units, else `draws` random ones with p = (b + 1)/(draws + 1).
    Not scipy's permutation_test: the seed's P values, which reports quote, would be others.
    statistic: mean difference. Exact when the differences are symmetric about 0 under the null
    hypothesis.
    """
    table = differences(values, headline, unit)
    n = len(table)
    if n <= EXACT_FLIPS:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = 1 - 2 * np.random.default_rng(seed).integers(0, 2, (draws, n), dtype=np.int8)

    def one(d: np.ndarray) -> dict[str, float]:
        hits = (np.abs(signs @ d) >= abs(d.sum()) * (1 - 1e-12)).sum()
        p = hits / len(signs) if n <= EXACT_FLIPS else (hits + 1) / (len(signs) + 1)
        return {"statistic": d.mean(), "p": p}

    return _rows(values, headline, unit, "sign-flip permutation", one)


def cluster_robust(values: pd.DataFrame, headline: str, level: float = 0.95) -> pd.DataFrame:
    """Mean over images with patient-robust standard error (CR1) and t with patients − 1; columns as
    paired_t.

    The estimand is the mean over images: a patient with more images weighs more.
    """
    per_image = differences(values, headline, "image")
    patient = values.drop_duplicates("image_id").set_index("image_id")["patient_id"]
    groups, index = np.unique(
        patient.reindex(per_image.index).to_numpy(dtype=str), return_inverse=True
    )
    g = len(groups)
    out = paired_t(values, headline, "patient", level).assign(test="cluster-robust t (CR1)")
    for i, model in enumerate(out["model"]):
        d = per_image[model].to_numpy()
        if out.loc[i, "note"]:
            continue
        out.loc[i, ["difference", "sd"]] = d.mean(), d.std(ddof=1)
        robust = {"groups": index, "use_correction": True, "df_correction": True}
        fit = OLS(d, np.ones(len(d))).fit(cov_type="cluster", cov_kwds=robust, use_t=True)
        low, high = fit.conf_int(1 - level)[0]
        out.loc[i, ["statistic", "df", "p", "low", "high"]] = (
            fit.tvalues[0],
            g - 1,
            fit.pvalues[0],
            low,
            high,
        )
    return bounded(out)


def normality(values: pd.DataFrame, headline: str, unit: str = "patient") -> pd.DataFrame:
    """Shapiro–Wilk W and p, skewness of the differences per comparator: shown, never used to choose
    a test.

    Columns: model, unit, n, skewness, W, p.
    """
    table = differences(values, headline, unit)
    rows = []
    for model in table:
        d = table[model].to_numpy()
        w, p = stats.shapiro(d) if len(d) >= 3 and np.ptp(d) > 0 else (np.nan, np.nan)
        skew = stats.skew(d) if len(d) >= 3 and np.ptp(d) > 0 else np.nan
        rows.append({"model": model, "unit": unit, "n": len(d), "skewness": skew, "W": w, "p": p})
    out = pd.DataFrame(rows)
    if out["W"].isna().all():
        raise NotComputable("The differences are too few, or do not vary: their shape says nothing")
    return out
