"""Several P values at once: Holm within a named family, or the false discovery rate."""

import numpy as np
import pandas as pd

from helpers.errors import StudyError


def holm(p) -> np.ndarray:
    """Holm's step-down adjusted P values. NaN (no test was possible) stays NaN and does not count
    in the family.
    """
    p = np.asarray(p, dtype=float)
    out, real = np.full(p.shape, np.nan), np.flatnonzero(~np.isnan(p))
    order = real[np.argsort(p[real], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return out


def fdr(p) -> np.ndarray:
    """Benjamini–Hochberg adjusted P values; NaN as in :func:`holm`."""
    p = np.asarray(p, dtype=float)
    out, real = np.full(p.shape, np.nan), np.flatnonzero(~np.isnan(p))
    order = real[np.argsort(-p[real], kind="stable")]
    m = len(order)
    out[order] = np.minimum.accumulate(np.minimum(p[order] * m / np.arange(m, 0, -1), 1))
    return out


METHODS = {"holm": holm, "fdr": fdr}


def adjust(frame: pd.DataFrame, method: str = "holm", name: str = "") -> pd.DataFrame:
    """`frame` with columns p_adjusted, adjustment and family ("<name>: <m> tests"): its rows are
    one family.
    """
    if method not in METHODS:
        raise StudyError(f"multiplicity {method!r} is unknown; known: {', '.join(METHODS)}")
    family = f"{name}: {frame['p'].count()} tests".removeprefix(": ")
    return frame.assign(p_adjusted=METHODS[method](frame["p"]), adjustment=method, family=family)
