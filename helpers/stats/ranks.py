"""Which network is first, and would it be first again? Ranks under resampling of patients, for each
way of ranking.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.errors import NotComputable, StudyError
from helpers.stats.bootstrap import Ratios, draw_counts, evaluate
from helpers.stats.counts import MIN_UNITS
from helpers.stats.intervals import Cube, over_classes
from helpers.stats.values import ALL, FOREGROUND

ORDERS = {
    "pooled": "pixels summed, then ranked",
    "mean": "averaged over patients, then ranked",
    "rank": "ranked within each patient, then the ranks averaged",
}


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks 1 (highest) … M along the last axis, ties share their mean rank; NaN ranks last."""
    x = np.where(np.isnan(scores), -np.inf, scores)
    above = (x[..., None, :] > x[..., :, None]).sum(-1)
    equal = (x[..., None, :] == x[..., :, None]).sum(-1)
    return above + (equal + 1) / 2


def _scores(cube: Cube, order: str, class_: str, metric: str, counts: np.ndarray) -> np.ndarray:
    """(draws, models): the number that is ranked, higher is better."""
    top, bottom = cube.terms(
        "pooled" if order == "pooled" else "per_patient", class_, metric, "undefined"
    )
    if order == "rank":
        each = np.divide(
            top[..., 0],
            bottom[..., 0],
            out=np.full(top.shape[:2], np.nan),
            where=bottom[..., 0] > 0,
        )
        top, bottom = -_ranks(each)[..., None], np.ones_like(top)
    bottom, weights = over_classes(bottom)
    return evaluate(Ratios(top, bottom, weights), counts, se=False)[0]


def ranking(
    per_image: pd.DataFrame,
    metrics: Sequence[str] = ("IoU", "Dice"),
    classes: Sequence[str] = (ALL,),
    orders: Sequence[str] = tuple(ORDERS),
    draws: int = 10_000,
    seed: int = 1,
    background: str = "background",
) -> pd.DataFrame:
    """Rank of every network on the data and over bootstrap draws of patients.

    Columns: metric, class, order (see ORDERS), model, score, rank, mean_rank, low, high (2.5 and
    97.5 % of the draws), p_first (share of draws in which it is first, ties split), tau (mean
    Kendall τ-b of a draw's order with the data's), unit, n_units, and p_rank1 … p_rankM. Fewer than
    five units, or a network without a score: NotComputable, such ranks say nothing.
    """
    cube = Cube.of(per_image, background)
    if cube.units < MIN_UNITS:
        raise NotComputable(
            f"{cube.units} units: fewer than {MIN_UNITS}, a ranking of so few would say nothing"
        )
    known = [*cube.classes, ALL, FOREGROUND]
    for given, allowed, what in [(orders, ORDERS, "order"), (classes, known, "class")]:
        if unknown := [g for g in given if g not in allowed]:
            raise StudyError(f"unknown {what} {', '.join(unknown)}; known: {', '.join(allowed)}")
    counts = np.vstack([np.ones(cube.units), draw_counts(cube.units, draws, seed)])
    m = len(cube.models)
    rows = []
    for metric in metrics:
        for class_ in classes:
            for order in orders:
                scores = _scores(cube, order, class_, metric, counts)
                if np.isnan(scores[0]).any():
                    raise NotComputable(
                        f"{class_.replace('_', ' ')} has no {metric} for every network, being in no"
                        " image, so networks cannot be ranked by it"
                    )
                ranks = _ranks(np.round(scores, 12))
                data, drawn = ranks[0], ranks[1:]
                best = drawn == drawn.min(1, keepdims=True)
                first = (best / best.sum(1, keepdims=True)).mean(0)
                tau = np.mean(_tau(data, drawn))
                nearest = np.stack([(np.round(drawn) == r + 1).mean(0) for r in range(m)])
                for j, model in enumerate(cube.models):
                    rows.append(
                        {
                            "metric": metric,
                            "class": class_,
                            "order": order,
                            "model": model,
                            "score": scores[0, j] if order != "rank" else -scores[0, j],
                            "rank": data[j],
                            "mean_rank": drawn[:, j].mean(),
                            "low": np.quantile(drawn[:, j], 0.025),
                            "high": np.quantile(drawn[:, j], 0.975),
                            "p_first": first[j],
                            "tau": tau,
                            "unit": cube.unit,
                            "n_units": cube.units,
                        }
                        | {f"p_rank{r + 1}": nearest[r, j] for r in range(m)}
                    )
    return pd.DataFrame(rows)


def _tau(data: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Kendall's τ-b of one ranking with each of many, (draws,); NaN if a ranking is all ties."""
    i, j = np.triu_indices(len(data), 1)
    a, b = np.sign(data[i] - data[j]), np.sign(drawn[:, i] - drawn[:, j])
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum(1) / np.sqrt((a**2).sum() * (b**2).sum(1))
