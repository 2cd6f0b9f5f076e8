"""Rankings of a challenge, by the three definitions of challengeR (Wiesenfarth et al., Sci Rep
2021;11:2369): all count every case once, whoever it is of.
"""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.stats.multiplicity import adjusted

#: scheme → what it does
SCHEMES = {
    "aggregate then rank": "mean over cases, then ranked",
    "rank then aggregate": "ranked in each case, the ranks averaged, then ranked",
    "test then rank": (
        "share of the others that it is significantly better than (one-sided Wilcoxon signed-rank"
        " test at 5 %), then ranked"
    ),
}


def better(table: pd.DataFrame) -> pd.DataFrame:
    """P of "the row's algorithm is better than the column's": one-sided Wilcoxon signed-rank test
    over cases, normal approximation with continuity correction, zeros dropped (R's ``wilcox.test``
    with exact = FALSE). NaN on the diagonal and where two are equal in every case.

    table: cases × algorithms, higher is better, complete.
    """
    out = pd.DataFrame(np.nan, index=table.columns, columns=table.columns)
    for a in table:
        for b in table:
            d = (table[a] - table[b]).round(12).to_numpy()
            if a != b and d.any():
                how = {"method": "approx", "correction": True, "alternative": "greater"}
                out.loc[a, b] = stats.wilcoxon(d, **how).pvalue
    return out


def rankings(
    table: pd.DataFrame, *, alpha: float = 0.05, multiplicity: str = "none"
) -> pd.DataFrame:
    """Rank of every algorithm by each of SCHEMES; ties share the smallest rank, as challengeR's
    default has it.

    table: cases × algorithms, higher is better, complete (StudyError is the reader's). alpha: of
    the tests; multiplicity: their adjustment over all ordered pairs, challengeR's default none.
    Columns: scheme, algorithm, score (mean; mean rank; share of the others), rank.
    """
    p = better(table)
    pairs = ~np.eye(len(p), dtype=bool)
    values = pd.Series(p.to_numpy()[pairs])
    if multiplicity != "none":
        values = pd.Series(np.asarray(adjusted(values, multiplicity)))
    wins = np.zeros(p.shape, bool)
    wins[pairs] = (values <= alpha).to_numpy()
    each = table.round(12).rank(axis=1, ascending=False, method="min")
    scores = {
        "aggregate then rank": table.mean(),
        "rank then aggregate": each.mean(),
        "test then rank": pd.Series(wins.sum(1) / max(len(p) - 1, 1), index=p.index),
    }
    rows = []
    for scheme, score in scores.items():
        small = scheme == "rank then aggregate"
        ranks = score.round(12).rank(ascending=small, method="min").astype(int)
        rows += [
            {"scheme": scheme, "algorithm": name, "score": score[name], "rank": ranks[name]}
            for name in ranks.sort_values(kind="stable").index
        ]
    return pd.DataFrame(rows)
