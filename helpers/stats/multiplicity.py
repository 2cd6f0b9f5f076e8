"""Several P values at once: Holm within a named family, or the false discovery rate."""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import StudyError


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down (1979), float (n,). Not statsmodels', which empties Python's memory of
    garbage at every call: half a second each on a page.
    """
    order = np.argsort(p)
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    out = np.empty(len(p))
    out[order] = np.minimum(steps, 1)
    return out


#: name in study.yml → adjusted P values of several
METHODS = {"holm": holm, "fdr": stats.false_discovery_control}


def adjusted(p: pd.Series | np.ndarray, method: str = "holm") -> np.ndarray:
    """Adjusted P values by Holm's step-down ("holm") or Benjamini and Hochberg ("fdr"), float (n,).

    NaN (no test was possible) stays NaN and does not count in the family.
    """
    p = np.asarray(p, dtype=float)
    out, real = np.full(p.shape, np.nan), ~np.isnan(p)
    if real.any():
        out[real] = METHODS[method](p[real])
    return out


def adjust(frame: pd.DataFrame, method: str = "holm", name: str = "") -> pd.DataFrame:
    """`frame` with columns p_adjusted, adjustment and family ("<name>: <m> tests"): its rows are
    one family.
    """
    if method not in METHODS:
        raise StudyError(f"multiplicity {method!r} is unknown; known: {', '.join(METHODS)}")
    family = f"{name}: {frame['p'].count()} tests".removeprefix(": ")
    return frame.assign(p_adjusted=adjusted(frame["p"], method), adjustment=method, family=family)
