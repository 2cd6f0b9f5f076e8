"""Repeated measures done as such: the same patients under every network, or with every structure.

Tables here are units × conditions (one number each); a unit without all conditions is dropped and
counted.
"""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import NotComputable, StudyError
from helpers.stats.counts import MIN_UNITS
from helpers.stats.multiplicity import adjust
from helpers.stats.values import DIFFERENCE, default_unit, values, wide

ONE_STRUCTURE = "A comparison between structures needs two; the results have {}"


def by_class(
    per_image: pd.DataFrame, model: str, metric: str, background: str = "background"
) -> pd.DataFrame:
    """Patients × structures of one model: means over a patient's images (images × structures if no
    patients).
    """
    rows = per_image[per_image["model"] == model]
    unit = default_unit(rows)
    names = sorted(c for c in dict.fromkeys(rows["class"]) if c != background)
    if len(names) < 2:
        raise NotComputable(ONE_STRUCTURE.format(", ".join(names) or "none"))
    return pd.DataFrame({c: wide(values(rows, metric, c), unit)[model] for c in names})


def by_model(per_image: pd.DataFrame, metric: str, class_: str) -> pd.DataFrame:
    """Patients × networks: means over a patient's images of one metric and class (images where no
    patients).
    """
    return wide(values(per_image, metric, class_), default_unit(per_image))


def rm_table(table: pd.DataFrame) -> dict:
    """Repeated-measures ANOVA of units × conditions: F, degrees of freedom, p, Greenhouse–Geisser ε
    and p.

    Keys: statistic, df1, df2, p, epsilon, p_gg, eta2_partial, n, dropped, note. ε = tr(S)²/((k−1)
    tr(S²)) of the covariance of k − 1 orthonormal contrasts (Greenhouse & Geisser 1959).
    """
    full = table.dropna()
    y = full.to_numpy(float)
    n, k = y.shape
    out = {
        "statistic": np.nan,
        "df1": k - 1,
        "df2": (k - 1) * (n - 1),
        "p": np.nan,
        "epsilon": np.nan,
        "p_gg": np.nan,
        "eta2_partial": np.nan,
        "n": n,
        "dropped": len(table) - n,
    }
    if n < MIN_UNITS:
        return out | {"note": f"fewer than {MIN_UNITS} units: no test"}
    residual = y - y.mean(0) - y.mean(1, keepdims=True) + y.mean()
    between, error = n * ((y.mean(0) - y.mean()) ** 2).sum(), (residual**2).sum()
    if not error > 1e-24 * (y**2).sum():
        return out | {"note": "no variation: no test"}
    f = between / out["df1"] / (error / out["df2"])
    s = np.cov(residual.T)
    epsilon = np.trace(s) ** 2 / ((k - 1) * (s**2).sum())
    return out | {
        "statistic": f,
        "p": stats.f.sf(f, out["df1"], out["df2"]),
        "epsilon": epsilon,
        "p_gg": stats.f.sf(f, epsilon * out["df1"], epsilon * out["df2"]),
        "eta2_partial": between / (between + error),
        "note": "",
    }


def rm_anova(
    per_image: pd.DataFrame, model: str, metric: str, background: str = "background"
) -> pd.DataFrame:
    """Do the structures differ on `metric` for one model? One row: metric, model and the keys of
    :func:`rm_table`.
    """
    return pd.DataFrame(
        [
            {"metric": metric, "model": model}
            | rm_table(by_class(per_image, model, metric, background))
        ]
    )


def friedman(table: pd.DataFrame) -> pd.DataFrame:
    """Friedman's test of units × conditions with ties corrected: statistic, df, p, W (Kendall's),
    n, dropped, note.
    """
    y = table.dropna().round(12)
    n, k = y.shape
    out = {
        "statistic": np.nan,
        "df": k - 1,
        "p": np.nan,
        "W": np.nan,
        "n": n,
        "dropped": len(table) - n,
        "note": "",
    }
    if n < MIN_UNITS or k < 3 or np.ptp(y.rank(axis=1).to_numpy()) == 0:
        out["note"] = f"needs {MIN_UNITS} units, three conditions and some variation"
    else:
        chi2, p = stats.friedmanchisquare(*y.to_numpy().T)
        out |= {"statistic": chi2, "p": p, "W": chi2 / (n * (k - 1))}
    return pd.DataFrame([out])


#: pairwise tests on ranks after Friedman's test, and what scikit-posthocs calls them
RANKS = {"nemenyi": "posthoc_nemenyi_friedman", "conover": "posthoc_conover_friedman"}


def pairs(
    table: pd.DataFrame, method: str = "paired t", multiplicity: str = "holm"
) -> pd.DataFrame:
    """All pairs of conditions of a units × conditions table of shares (0 to 1), a − b.

    method: "paired t" (adjusted by `multiplicity`), "nemenyi" or "conover" (ranks after Friedman;
    Nemenyi is adjusted by itself, Conover by `multiplicity`). Columns: a, b, method, difference (of
    means, or of mean ranks), low, high (paired t only), p, p_adjusted, n.
    """
    y = table.dropna().round(12)
    if method not in ("paired t", *RANKS):
        raise StudyError(f"method {method!r} is unknown; known: paired t, {', '.join(RANKS)}")
    if len(y) < MIN_UNITS:
        raise NotComputable(
            f"{len(y)} of {len(table)} units have every one of {', '.join(map(str, y.columns))};"
            f" comparing pairs needs {MIN_UNITS}"
        )
    rows = []
    ranks = y.rank(axis=1)
    by_ranks: Any = None
    if method in RANKS:
        import scikit_posthocs  # here: with it come the libraries that draw

        by_ranks = getattr(scikit_posthocs, RANKS[method])(y)
    for a, b in itertools.combinations(y.columns, 2):
        row = {"a": a, "b": b, "method": method, "n": len(y), "low": np.nan, "high": np.nan}
        if method in RANKS:
            row |= {
                "difference": ranks[a].mean() - ranks[b].mean(),
                "p": by_ranks.loc[a, b],
            }
        else:
            d = (y[a] - y[b]).round(12).to_numpy()  # rounding is no variation
            row |= {"difference": d.mean(), "p": np.nan}
            if np.ptp(d) > 0:
                test = stats.ttest_1samp(d, 0)
                low, high = np.clip(test.confidence_interval(), *DIFFERENCE)
                row |= {"p": test.pvalue, "low": low, "high": high}
        rows.append(row)
    out = pd.DataFrame(rows)
    out = out.assign(p_adjusted=out["p"]) if method == "nemenyi" else adjust(out, multiplicity)
    return out[["a", "b", "method", "difference", "low", "high", "p", "p_adjusted", "n"]]
