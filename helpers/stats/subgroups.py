"""Does it work alike for everyone? Subgroups of patients, each with its interval, and one test of
the interaction.
"""

import itertools

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import NotComputable
from helpers.stats.counts import MIN_UNITS
from helpers.stats.multiplicity import adjust
from helpers.stats.paired import differences
from helpers.stats.values import DIFFERENCE, RANGE, values, wide

SUBGROUPS = (
    "Subgroups of a test set this small are descriptive: true differences are easily missed, chance"
    " ones found. Read the interaction test, not whether one subgroup is significant and the other"
    " is not. P, adjusted: over the variables of one network and structure."
)
CUTS = {"age_years": "median", "bmi_kg_m2": [25.0], "sex": None, "device": None}


def memberships(patients: pd.DataFrame) -> pd.DataFrame:
    """patient_id, variable, group: text variables as they are, numbers cut ("median" of these
    patients, or at edges).

    A variable that is absent, or the same for everyone, is left out; unknown values are left out of
    their variable.
    """
    parts = []
    for variable, cut in CUTS.items():
        if variable not in patients:
            continue
        known = patients.dropna(subset=[variable])
        if known.empty:
            continue
        group = known[variable]
        if cut is not None:
            number = pd.to_numeric(known[variable])
            edges = [number.median()] if isinstance(cut, str) else list(cut)
            names = [
                f"< {edges[0]:g}",
                *(f"{a:g} to {b:g}" for a, b in itertools.pairwise(edges)),
                f"≥ {edges[-1]:g}",
            ]
            group = pd.cut(number, [-np.inf, *edges, np.inf], right=False, labels=names).astype(str)
        if len(set(group)) > 1:
            parts.append(
                pd.DataFrame(
                    {
                        "patient_id": known["patient_id"].astype(str),
                        "variable": variable,
                        "group": group.astype(str),
                    }
                )
            )
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=["patient_id", "variable", "group"])
    )


def subgroups(
    per_image: pd.DataFrame,
    membership: pd.DataFrame,
    model: str,
    metric: str,
    class_: str,
    headline: str | None = None,
    level: float = 0.95,
    multiplicity: str = "holm",
) -> pd.DataFrame:
    """Patient means of `model` (or differences headline − model) within each group, and the test
    between groups.

    Per group: mean and t interval over its patients, within what the metric can be. p_interaction:
    Welch's ANOVA between the groups of a variable (two groups: Welch's t), adjusted over the
    variables. A group of fewer than five patients has no interval, and its variable no test.
    Columns: variable, group, model, class, metric, n, mean, low, high, statistic, p_interaction,
    p_adjusted, note.
    """
    v = values(per_image, metric, class_)
    if headline is None:
        score = wide(v[v["model"] == model], "patient")[model]
    else:
        score = differences(v, headline, "patient")[model]
    within = RANGE if headline is None else DIFFERENCE
    rows, tests = [], []
    for variable, part in membership.groupby("variable", sort=False):
        merged = (
            part.set_index("patient_id")
            .join(score.rename("score"), how="inner")
            .dropna(subset=["score"])
        )
        samples = {g: x["score"].to_numpy() for g, x in merged.groupby("group", sort=True)}
        usable = [x for x in samples.values() if len(x) >= MIN_UNITS and np.ptp(x) > 0]
        f, p = (
            _welch(usable) if len(usable) > 1 and len(usable) == len(samples) else (np.nan, np.nan)
        )
        tests.append({"variable": variable, "statistic": f, "p": p})
        for name, x in samples.items():
            few = len(x) < MIN_UNITS or np.ptp(x) == 0
            half = (
                np.nan
                if few
                else stats.t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
            )
            rows.append(
                {
                    "variable": variable,
                    "group": name,
                    "model": model,
                    "class": class_,
                    "metric": metric,
                    "n": len(x),
                    "mean": x.mean(),
                    "low": max(x.mean() - half, within[0]),
                    "high": min(x.mean() + half, within[1]),
                    "note": _why(x),
                }
            )
    if not rows:
        raise NotComputable(
            f"No subgroup can be formed: of the patients with a {metric} of"
            f" {class_.replace('_', ' ')}, nothing in patients.csv tells one from another"
        )
    tests = adjust(pd.DataFrame(tests), multiplicity, name="subgroups").rename(
        columns={"p": "p_interaction"}
    )
    return pd.DataFrame(rows).merge(
        tests[["variable", "statistic", "p_interaction", "p_adjusted"]], on="variable"
    )[
        [
            "variable",
            "group",
            "model",
            "class",
            "metric",
            "n",
            "mean",
            "low",
            "high",
            "statistic",
            "p_interaction",
            "p_adjusted",
            "note",
        ]
    ]


def _why(x: np.ndarray) -> str:
    """Why a group of patients has no interval; '' where it has one."""
    if len(x) < MIN_UNITS:
        return f"fewer than {MIN_UNITS} patients: no interval"
    return "all alike: no interval" if np.ptp(x) == 0 else ""


def _welch(samples: list[np.ndarray]) -> tuple[float, float]:
    """Welch's ANOVA (1951): F and p."""
    k = len(samples)
    n, mean, var = (
        np.array([f(x) for x in samples]) for f in (len, np.mean, lambda x: x.var(ddof=1))
    )
    w = n / var
    centre = (w * mean).sum() / w.sum()
    tail = ((1 - w / w.sum()) ** 2 / (n - 1)).sum()
    f = (w * (mean - centre) ** 2).sum() / (k - 1) / (1 + 2 * (k - 2) / (k**2 - 1) * tail)
    return float(f), float(stats.f.sf(f, k - 1, (k**2 - 1) / (3 * tail)))
