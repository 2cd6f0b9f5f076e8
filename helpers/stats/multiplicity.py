"""Several P values at once: Holm within a named family, or the false discovery rate."""

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from helpers.errors import StudyError

#: name in study.yml → name in statsmodels
METHODS = {"holm": "holm", "fdr": "fdr_bh"}


def adjusted(p, method="holm") -> np.ndarray:
    """Adjusted P values by Holm's step-down ("holm") or Benjamini and Hochberg ("fdr"), float (n,).

    NaN (no test was possible) stays NaN and does not count in the family.
    """
    p = np.asarray(p, dtype=float)
    out, real = np.full(p.shape, np.nan), ~np.isnan(p)
    if real.any():
        out[real] = multipletests(p[real], method=METHODS[method])[1]
    return out


def adjust(frame: pd.DataFrame, method: str = "holm", name: str = "") -> pd.DataFrame:
    """`frame` with columns p_adjusted, adjustment and family ("<name>: <m> tests"): its rows are
    one family.
    """
    if method not in METHODS:
        raise StudyError(f"multiplicity {method!r} is unknown; known: {', '.join(METHODS)}")
    family = f"{name}: {frame['p'].count()} tests".removeprefix(": ")
    return frame.assign(p_adjusted=adjusted(frame["p"], method), adjustment=method, family=family)
