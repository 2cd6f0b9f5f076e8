"""Do the intervals of this study cover? Studies as large are drawn from its own units, and each
kind of interval is made of each.

The units of the study stand for the population, so the truth is known: its own estimate. A study
drawn with replacement repeats units, which a real one does not; with few units the coverage found
is therefore on the low side.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.stats.bootstrap import (
    SHARES,
    Limits,
    Ratios,
    Resampled,
    draw_counts,
    evaluate,
    limits,
    resample,
)
from helpers.stats.counts import MIN_UNITS

ENOUGH = 0.93  #: an interval of 95 % that covers less often gives way to one that covers more
KINDS = ("bootstrap_t", "t", "percentile")  #: those that stand in for each other
RULE = (
    "Coverage: how many of 1,000 studies drawn from this one's own patients (or images) have an"
    f" interval that holds the truth; 0.95 is meant. Below {ENOUGH:.2f} another kind of interval,"
    " the one that covers most, stands beside it."
)
NO_COVERAGE = (
    "How often such intervals hold the truth cannot be seen: the units are too few, or do not vary."
)
#: kind of interval → how it is called
NAMES = {"wilson": "Wilson, images", "wilson_units": "Wilson, as much as the units are worth"}
TOGETHER = 50  #: drawn studies whose intervals are made at once: some MB
BESIDE = ["coverage", "instead", "instead_low", "instead_high"]


def coverage(
    ratios: Ratios,
    methods: Sequence[str] = KINDS,
    within: tuple = (-np.inf, np.inf),
    runs: int = 1000,
    draws: int = 300,
    seed: int = 1,
    level: float = 0.95,
) -> dict[str, np.ndarray]:
    """Share of `runs` drawn studies whose interval holds the estimate, method → (S,).

    Studies in which a method gives no interval are left out; NaN where that is more than half of
    them, where fewer than five units have a value, or where the units do not vary.
    """
    g = len(ratios.numerator)
    known = (ratios.denominator > 0).any(-1)
    whole, studies = evaluate(ratios, np.ones((1, g))), draw_counts(g, runs, seed)
    estimate, error = evaluate(ratios, studies)
    assert error is not None and whole[1] is not None  # they were asked for
    truth, spread = whole[0][0], whole[1][0]
    total, units = studies @ ratios.denominator.sum(-1), studies @ known  # one drawn twice is two
    none = (known.sum(0) < MIN_UNITS) | ~(spread > 0)
    if set(methods) <= set(SHARES):  # nothing is drawn within a study: all of them at once
        flat, n = estimate.ravel(), units.ravel()
        r = Resampled(flat, error.ravel(), n, n, flat, total=total.ravel())
        every = {m: limits(r, m, level, within) for m in methods}
        return {m: np.where(none, np.nan, _holds(f, truth, runs).mean(0)) for m, f in every.items()}
    rng = np.random.default_rng(seed + 1)
    held, made = ({m: np.zeros(len(truth)) for m in methods} for _ in range(2))
    limit = [np.broadcast_to(end, truth.shape) for end in within]
    for start in range(0, runs, TOGETHER):
        part = np.s_[start : start + TOGETHER]
        drawn = studies[part]
        k = len(drawn)
        again = rng.multinomial(g, drawn[:, None] / g, (k, draws)).reshape(-1, g).astype(float)
        values, errors = (_beside(a, k) for a in evaluate(ratios, again) if a is not None)
        bent = None
        if "bca" in methods:
            bent = np.concatenate([_acceleration(ratios, study) for study in drawn])
        n, ends = units[part].ravel(), tuple(np.tile(end, k) for end in limit)
        r = Resampled(
            estimate[part].ravel(),
            error[part].ravel(),
            n,
            n,
            values,
            errors,
            bent,
            total[part].ravel(),
        )
        for method in methods:
            found = limits(r, method, level, ends)
            held[method] += _holds(found, truth, k).sum(0)
            made[method] += (found.note == "").reshape(k, -1).sum(0)
    return {
        m: np.where(none | (made[m] < runs / 2), np.nan, held[m] / np.maximum(made[m], 1))
        for m in methods
    }


def _beside(drawn: np.ndarray, studies: int) -> np.ndarray:
    """Draws of some studies one after the other (studies · draws, S) side by side, (draws,
    studies · S).
    """
    return (
        drawn.reshape(studies, -1, drawn.shape[-1])
        .swapaxes(0, 1)
        .reshape(-1, studies * drawn.shape[-1])
    )


def _acceleration(ratios: Ratios, study: np.ndarray) -> np.ndarray:
    """BCa's acceleration in a drawn study, (S,): a unit drawn twice is left out twice."""
    drawn = study > 0
    left, _ = evaluate(ratios, (study - np.eye(len(study)))[drawn], se=False)
    times = study[drawn, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        away = (times * left).sum(0) / study.sum() - left
        return (times * away**3).sum(0) / (6 * (times * away**2).sum(0) ** 1.5)


def _holds(found: Limits, truth: np.ndarray, runs: int) -> np.ndarray:
    """Whether the intervals of so many studies hold the truth (S,): bool (runs, S)."""
    low, high = found.low.reshape(runs, -1), found.high.reshape(runs, -1)
    return (low <= truth) & (truth <= high)


def rule(table: pd.DataFrame) -> str:
    """What stands under a table with column coverage."""
    return RULE if table["coverage"].notna().any() else NO_COVERAGE


def beside(every: pd.DataFrame, method: str, keys: list[str]) -> pd.DataFrame:
    """The rows of one kind of interval, and where that covers too seldom another beside it.

    every: a row a statistic (named by `keys`) and kind: method, low, high, note, coverage. Added
    columns: instead, instead_low, instead_high: where coverage is below 93 %, of all kinds the one
    that covers most ("", NaN elsewhere).
    """
    first = every[every["method"] == method].set_index(keys)
    usable = every[every["note"] == ""].dropna(subset="coverage").set_index(keys)
    best = usable.sort_values("coverage", kind="stable", ascending=False)
    best = best[~best.index.duplicated()].reindex(first.index)
    short = (first["coverage"] < ENOUGH) & (best["method"] != method) & best["method"].notna()
    kind = best["method"].map(lambda m: NAMES.get(m, str(m).replace("_", "-")))
    first["instead"] = kind.where(short, "")
    first[["instead_low", "instead_high"]] = best[["low", "high"]].where(short)
    return first.reset_index()[[*every.columns, *BESIDE[1:]]]


def covered(
    ratios: Ratios,
    keys: pd.DataFrame,
    kinds: Sequence[str],
    within: tuple,
    *,
    draws: int = 10_000,
    seed: int = 1,
    runs: int = 1000,
) -> pd.DataFrame:
    """Interval and coverage of each statistic of `ratios` (S of them) by the first of `kinds`, and
    where it covers too seldom the best of the others (:func:`beside`).

    keys: a row a statistic, the columns that name it. Added: estimate, low, high, method, note and
    BESIDE.
    """
    shares = set(kinds) <= set(SHARES)  # these need no draws within a study
    r = resample(ratios, 1 if shares else draws, seed, kinds)
    covers = coverage(ratios, kinds, within, runs, 1 if shares else 300, seed)
    rows = []
    for method in kinds:
        found = limits(r, method, 0.95, within)
        columns = {"estimate": r.estimate, "low": found.low, "high": found.high, "method": method}
        rows.append(keys.assign(**columns, note=found.note, coverage=covers[method]))
    return beside(pd.concat(rows, ignore_index=True), kinds[0], list(keys))


def sums(rows: pd.DataFrame, value: str, by: list[str]) -> tuple[Ratios, pd.DataFrame]:
    """Ratios of the mean of column `value` over rows that have it, units by column `unit`, and the
    groups it is a mean of: a row each, columns `by`.
    """
    known = rows.dropna(subset=value).astype({value: float})
    how = {"index": by, "columns": "unit", "values": value, "sort": False, "fill_value": 0}
    top, bottom = (known.pivot_table(aggfunc=f, **how) for f in ("sum", "size"))
    upper, lower = (table.to_numpy(float).T[..., None] for table in (top, bottom))
    return Ratios(upper, lower, np.ones(1)), top.index.to_frame(index=False)


def shares(rows: pd.DataFrame, by: list[str], seed: int = 1) -> pd.DataFrame:
    """Share of rows whose column `hit` holds, by the columns `by`, with Wilson's interval over
    images, how often it covers where whole units are drawn, and another where that is too seldom.

    rows: an image each (several of one `image_id`, of several trainings, count as their mean), with
    `unit`. Columns: `by`, hits, n, estimate, low, high, method, note and BESIDE; no rows, none.
    """
    if rows.empty:
        return pd.DataFrame(columns=[*by, "hits", "n", "estimate", "low", "high", *BESIDE])
    rows = rows.astype({"hit": float})
    rows = rows.groupby([*by, "unit", "image_id"], sort=False)["hit"].mean().reset_index()
    ratios, groups = sums(rows, "hit", by)
    table = covered(ratios, groups, SHARES, (0.0, 1.0), seed=seed)
    counted = rows.groupby(by, sort=False)["hit"].agg(hits="sum", n="size").reset_index()
    return counted.merge(table, on=by, validate="one_to_one")
