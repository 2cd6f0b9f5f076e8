"""The luck of training: several random starts of each network are a second thing that was sampled,
beside patients.
"""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import StudyError
from helpers.stats.bootstrap import draw_counts
from helpers.stats.counts import MIN_UNITS, canonical
from helpers.stats.paired import ABOUT
from helpers.stats.values import DIFFERENCE, default_unit, values, wide

ONE = (
    "one training of a network: its luck is in no interval; train with at least two seeds to see it"
)


def _by_seed(frame: pd.DataFrame, model: str, metric: str, class_: str, unit: str) -> pd.DataFrame:
    """Units × seeds: means over a unit's images of one network."""
    rows = frame[frame["model"] == model]
    columns = {}
    for seed, part in rows.groupby("seed", sort=True):
        columns[seed] = values(part, metric, class_).groupby(f"{unit}_id")["value"].mean()
    return pd.DataFrame(columns).dropna()


def training_luck(
    per_image: pd.DataFrame,
    headline: str,
    metric: str,
    class_: str,
    *,
    draws: int = 10_000,
    seed: int = 1,
    level: float = 0.95,
) -> pd.DataFrame:
    """Headline − network as methods, not as two sets of weights: patients and seeds both resampled.

    low, high: two-level bootstrap, percentile (patients and, for each network on its own, seeds
    drawn with replacement); with so few seeds it is too narrow. t_low, t_high, p: t with variance
    SE²(patients) + s²/S of each network's seed means and Satterthwaite's degrees of freedom; the
    part of the noise that is both is counted twice, so it errs wide. Columns: model, headline,
    class, metric, unit, n, seeds_headline, seeds_model, difference, se_patients, se_seeds,
    seed_share (of the variance of the difference, how much is the seeds'), df, p, t_low, t_high,
    low, high, note.
    """
    frame = canonical(per_image)
    # on the images that have a score of every network, as the tests compare them
    kept = wide(values(frame, metric, class_), "image").index
    frame = frame[frame["image_id"].isin(kept)]
    unit = default_unit(frame)
    names = sorted(set(frame["model"]))
    if headline not in names:
        raise StudyError(
            f"no results for the headline model {headline!r}; there are {', '.join(names)}"
        )
    first = _by_seed(frame, headline, metric, class_, unit)
    rows = []
    for model in names:
        if model == headline:
            continue
        a, b = first.align(_by_seed(frame, model, metric, class_, unit), join="inner", axis=0)
        g, sa, sb = len(a), a.shape[1], b.shape[1]
        a, b = a.to_numpy(), b.to_numpy()
        d = a.mean(1) - b.mean(1)
        row = {
            "model": model,
            "headline": headline,
            "class": class_,
            "metric": metric,
            "unit": unit,
            "n": g,
            "seeds_headline": sa,
            "seeds_model": sb,
            "difference": d.mean() if g else np.nan,
        }
        if g < MIN_UNITS or min(sa, sb) < 2:
            note = ONE if g >= MIN_UNITS else f"fewer than {MIN_UNITS} units: no interval"
            rows.append(row | {"note": note})
            continue
        parts = np.array(
            [d.var(ddof=1) / g, a.mean(0).var(ddof=1) / sa, b.mean(0).var(ddof=1) / sb]
        )
        se, freedom = np.sqrt(parts.sum()), np.array([g - 1, sa - 1, sb - 1])
        df = parts.sum() ** 2 / (parts**2 / freedom).sum() if se > 0 else np.nan
        half = stats.t.ppf((1 + level) / 2, df) * se
        by_t = np.clip([d.mean() - half, d.mean() + half], *DIFFERENCE)
        patients = draw_counts(g, draws, seed) / g
        drawn = [
            (patients @ y * (draw_counts(s, draws, seed + k) / s)).sum(1)
            for k, (y, s) in enumerate([(a, sa), (b, sb)], start=1)
        ]
        low, high = np.quantile(drawn[0] - drawn[1], [(1 - level) / 2, (1 + level) / 2])
        p = 2 * stats.t.sf(abs(d.mean()) / se, df) if se > 0 else np.nan
        rows.append(
            row
            | {
                "se_patients": np.sqrt(parts[0]),
                "se_seeds": np.sqrt(parts[1:].sum()),
                "seed_share": parts[1:].sum() / parts.sum() if se > 0 else np.nan,
                "df": df,
                "p": p,
                "t_low": by_t[0],
                "t_high": by_t[1],
                "low": low,
                "high": high,
                "note": "",
            }
        )
    seeds = ["seeds_headline", "seeds_model", "difference", "se_patients", "se_seeds", "seed_share"]
    columns = [*ABOUT, "n", *seeds, "df", "p", "t_low", "t_high", "low", "high", "note"]
    return pd.DataFrame(rows, columns=columns)
