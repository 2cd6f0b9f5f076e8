"""How large is the difference, with intervals; and is it small enough to call the networks
equivalent?
"""

import numpy as np
import pandas as pd
from scipy import optimize, special, stats
from statsmodels.stats.proportion import proportion_confint

from helpers.errors import StudyError
from helpers.stats.counts import MIN_UNITS
from helpers.stats.multiplicity import adjust
from helpers.stats.paired import CONSTANT, FEW, about, differences, paired_t

#: of so large a t the scatter of its mean is nothing beside its SD's, and the quadrature coarse
FAR = 150
ONE_SIDE = "every unit lies on one side: no interval"


def noncentral_interval(t: float, df: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of dz = mean(d)/SD(d) from the non-central t distribution (Steiger & Fouladi
    1997).
    """
    tails = (1 + level) / 2, (1 - level) / 2
    if abs(t) > FAR:
        ends = t * np.sqrt(stats.chi2.ppf([(1 - level) / 2, (1 + level) / 2], df) / df / n)
        return min(ends), max(ends)
    # P(T ≤ t) = E Φ(t·√(V/df) − ncp), V ~ χ²(df), by Gauss–Legendre: scipy's nct.cdf is NaN for
    # some arguments
    nodes, weights = np.polynomial.legendre.leggauss(400)
    low, high = stats.chi2.ppf(1e-15, df), stats.chi2.isf(1e-15, df)
    v = (high - low) / 2 * nodes + (high + low) / 2
    weights = (high - low) / 2 * weights * stats.chi2.pdf(v, df)
    scaled = t * np.sqrt(v / df)

    def solve(p: float) -> float:
        def gap(ncp: float) -> float:
            return weights @ special.ndtr(scaled - ncp) - p

        width = 10.0
        while not (gap(t - width) > 0 > gap(t + width)) and width < 1e3:
            width *= 2
        return optimize.brentq(gap, t - width, t + width, xtol=1e-10)

    return solve(tails[0]) / np.sqrt(n), solve(tails[1]) / np.sqrt(n)


def effect_sizes(
    values: pd.DataFrame,
    headline: str,
    unit: str = "patient",
    level: float = 0.95,
    draws: int = 10_000,
    seed: int = 1,
) -> pd.DataFrame:
    """Effect sizes of headline − comparator with intervals; one row a comparator and measure.

    Measures: "dz" mean/SD of the differences (exact non-central t interval); "Hedges g" the same
    times the small-sample factor Γ(df/2)/(√(df/2) Γ((df−1)/2)); "rank-biserial" (W+ − W−)/(W+ + W−)
    (percentile bootstrap over units; none where all lie on one side); "share better" of the units,
    ties half (Wilson); "next better" Φ(dz), the chance on a new unit if the differences are normal.
    Columns: model, headline, class, metric, unit, n, measure, value, low, high, note.
    """
    table = differences(values, headline, unit)
    rows = []
    for model in table:
        d = table[model].to_numpy()
        n = len(d)
        same = about(values, model, headline, unit) | {"n": n}
        if n < MIN_UNITS or np.ptp(d) == 0:
            note = FEW if n < MIN_UNITS else CONSTANT
            rows.append(
                same
                | {
                    "measure": "dz",
                    "value": np.nan,
                    "low": np.nan,
                    "high": np.nan,
                    "note": note,
                }
            )
            continue
        dz = d.mean() / d.std(ddof=1)
        low, high = noncentral_interval(dz * np.sqrt(n), n - 1, n, level)
        half = (n - 1) / 2
        j = np.exp(special.gammaln(half) - special.gammaln(half - 0.5)) / np.sqrt(half)
        wins = (d > 0).sum() + 0.5 * (d == 0).sum()
        wilson = proportion_confint(wins, n, 1 - level, "wilson")  # takes half a win, as a tie is
        picks = np.random.default_rng(seed).integers(0, n, (draws, n))
        drawn = _rank_biserial(d[picks])
        rank = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        rank = rank if np.ptp(drawn) else np.full(2, np.nan)  # not "1 to 1": draws know no other
        nxt = special.ndtr([dz, low, high])
        rows += [
            same
            | {"measure": m, "value": v, "low": a, "high": b}
            | {"note": ONE_SIDE if np.isnan(a) else ""}
            for m, v, a, b in [
                ("dz", dz, low, high),
                ("Hedges g", j * dz, j * low, j * high),
                ("rank-biserial", _rank_biserial(d), *rank),
                ("share better", wins / n, *wilson),
                ("next better", *nxt),
            ]
        ]
    return pd.DataFrame(rows)


def _rank_biserial(d: np.ndarray) -> np.ndarray:
    """(W+ − W−)/(W+ + W−) along the last axis, zeros dropped; 0 where all are zero."""
    zeros = (d == 0).sum(-1, keepdims=True)  # they hold the lowest ranks
    ranks = np.where(d == 0, 0, stats.rankdata(np.abs(d), axis=-1) - zeros)
    return (ranks * np.sign(d)).sum(-1) / np.maximum(ranks.sum(-1), 1)


def equivalence(
    values: pd.DataFrame, headline: str, margin: float, unit: str = "patient", alpha: float = 0.05
) -> pd.DataFrame:
    """Two one-sided t-tests against ± `margin` (metric units), and non-inferiority of the headline
    (its lower test).

    Columns: model, verdict, difference, low, high (1 − 2·alpha interval), margin, p_not_inferior
    (H0: headline worse by the margin or more), p_not_superior (H0: better by the margin or more),
    p_equivalent (the larger of the two), p_adjusted (two-sided paired t against 0, Holm over the
    comparators), headline, class, metric, unit, n, note. verdict: "better" or "worse" by the
    adjusted test, with ", within the margin" where equivalence is shown too; else "equivalent",
    "not inferior", "undecided" or "cannot be tested". The margin must be chosen before the data.
    """
    if not margin > 0:
        raise StudyError(f"margin must be above 0, got {margin}")
    out = adjust(paired_t(values, headline, unit, 1 - 2 * alpha))
    shift, se, df = out["difference"], out["sd"] / np.sqrt(out["n"]), out["n"] - 1
    tested = out["note"] == ""
    out["margin"] = margin
    out["p_not_inferior"] = stats.t.sf((shift + margin) / se.where(tested), df)
    out["p_not_superior"] = stats.t.cdf((shift - margin) / se.where(tested), df)
    out["p_equivalent"] = out[["p_not_inferior", "p_not_superior"]].max(axis=1, skipna=False)
    equal = out["p_equivalent"] < alpha
    differs = np.where(shift > 0, "better", "worse") + np.where(equal, ", within the margin", "")
    out["verdict"] = np.select(
        [~tested, out["p_adjusted"] < alpha, equal, out["p_not_inferior"] < alpha],
        ["cannot be tested", differs, "equivalent", "not inferior"],
        "undecided",
    )
    return out[
        [
            "model",
            "verdict",
            "difference",
            "low",
            "high",
            "margin",
            "p_not_inferior",
            "p_not_superior",
            "p_equivalent",
            "p_adjusted",
            "headline",
            "class",
            "metric",
            "unit",
            "n",
            "note",
        ]
    ]
