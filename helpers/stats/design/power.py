"""How many patients, and how many images of each, does the next study need? By simulation from the
fitted model.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from helpers.errors import StudyError
from helpers.stats.cluster import anova_icc
from helpers.stats.counts import MIN_UNITS
from helpers.stats.mixed import mixed_differences
from helpers.stats.paired import differences, paired_t
from helpers.stats.values import default_unit

GOALS = {
    "difference": "two-sided paired t over patients finds a difference",
    "non-inferiority": "one-sided: the headline is not worse by the margin",
}


def simulate_power(
    between: float,
    residual: float,
    difference: float,
    patients: int,
    images: int,
    *,
    goal: str = "difference",
    margin: float = 0.0,
    alpha: float = 0.05,
    runs: int = 10_000,
    seed: int = 1,
) -> float:
    """Share of simulated studies that reach the goal: a patient-level t-test on `patients` means of
    `images` images.

    between, residual: variances of a paired difference between and within patients (metric units
    squared), as :func:`mixed.mixed_differences` estimates them; difference: the true mean
    difference. Non-inferiority is tested one-sided at alpha/2, the lower limit of the two-sided
    interval against −margin.
    """
    if goal not in GOALS:
        raise StudyError(f"goal {goal!r} is unknown; known: {', '.join(GOALS)}")
    if patients < MIN_UNITS or images < 1:
        raise StudyError(
            f"{patients} patients with {images} images: at least {MIN_UNITS} patients and 1 image"
            " are needed"
        )
    if not between + residual > 0 or min(between, residual) < 0:
        raise StudyError(
            f"variances must be at least 0 and one above it, got {between} and {residual}"
        )
    rng = np.random.default_rng(seed)
    # a patient's mean difference is normal with variance between + residual / images: drawn
    # directly
    d = rng.normal(difference, np.sqrt(between + residual / images), (runs, patients))
    se = d.std(1, ddof=1) / np.sqrt(patients)
    critical = stats.t.ppf(1 - alpha / 2, patients - 1)
    if goal == "difference":
        return float((np.abs(d.mean(1)) > critical * se).mean())
    return float((d.mean(1) - critical * se > -margin).mean())


def variation(values: pd.DataFrame, headline: str) -> pd.DataFrame:
    """Variances of the paired differences headline − network, as a plan needs them; a row a
    network.

    Columns: model, difference, between, residual (variances between and within patients), icc with
    icc_low, icc_high (Searle's 95 % interval, cut at 0), told_apart, n, images_per_unit,
    sd_of_patient_mean, note. Where the two variances cannot be told apart (``mixed.told_apart``),
    or patients are unknown, all of it is between units, the safe side: more images of a patient
    then add nothing, and there is no ICC. Too few units, or none that vary: NaN, and note says why.
    """
    if default_unit(values) == "image":
        fit = paired_t(values, headline, "image")
        fit = fit.assign(between=np.nan, residual=np.nan, icc=np.nan)
    else:
        fit = mixed_differences(values, headline)
    apart, known = fit["between"].notna(), fit["p"].notna()
    per_unit = fit["n_images"] / fit["n"]
    out = fit.assign(
        between=fit["between"].where(apart, fit["sd"] ** 2).where(known),
        residual=fit["residual"].where(apart, 0.0).where(known),
        told_apart=apart,
        images_per_unit=per_unit,
    )
    out["sd_of_patient_mean"] = np.sqrt(out["between"] + out["residual"] / per_unit)
    limits = _icc_limits(values, headline).reindex(out["model"]).clip(0, 1).to_numpy()
    out["icc_low"], out["icc_high"] = np.where(apart.to_numpy(), limits.T, np.nan)
    return out[
        [
            "model",
            "difference",
            "between",
            "residual",
            "icc",
            "icc_low",
            "icc_high",
            "told_apart",
            "n",
            "images_per_unit",
            "sd_of_patient_mean",
            "note",
        ]
    ]


def _icc_limits(values: pd.DataFrame, headline: str) -> pd.DataFrame:
    """Searle's interval of the ICC of each network's differences: low, high, index the network."""
    table = differences(values, headline, "image")
    owner = values.drop_duplicates("image_id").set_index("image_id")["patient_id"]
    groups = owner.reindex(table.index).to_numpy(str)
    found = {model: anova_icc(table[model].to_numpy(), groups) for model in table}
    return pd.DataFrame(found).T[["low", "high"]].astype(float)


def exact_power(
    between: float,
    residual: float,
    difference: float,
    patients: int,
    images: float,
    *,
    goal: str = "difference",
    margin: float = 0.0,
    alpha: float = 0.05,
) -> float:
    """The same from the non-central t distribution, without simulation (used to check it)."""
    se = np.sqrt((between + residual / images) / patients)
    critical, df = stats.t.ppf(1 - alpha / 2, patients - 1), patients - 1
    if goal == "difference":
        shift = difference / se
        lower = stats.nct.cdf(-critical, df, shift)
        # scipy has no number for that tail where it is below 1e-15
        return float(stats.nct.sf(critical, df, shift) + np.nan_to_num(lower))
    return float(stats.nct.sf(critical, df, (difference + margin) / se))


def power_table(
    between: float,
    residual: float,
    differences: Sequence[float],
    patients: Sequence[int],
    images: Sequence[int],
    *,
    goal: str = "difference",
    margin: float = 0.0,
    alpha: float = 0.05,
    runs: int = 4000,
    seed: int = 1,
) -> pd.DataFrame:
    """:func:`simulate_power` over a grid; columns difference, patients, images, goal, power, low,
    high, icc.
    """
    rows = []
    for difference in differences:
        for m in images:
            for n in patients:
                power = simulate_power(
                    between,
                    residual,
                    difference,
                    n,
                    m,
                    goal=goal,
                    margin=margin,
                    alpha=alpha,
                    runs=runs,
                    seed=seed + len(rows),
                )
                low, high = stats.binomtest(round(power * runs), runs).proportion_ci(0.95, "wilson")
                rows.append(
                    {
                        "difference": difference,
                        "patients": n,
                        "images": m,
                        "goal": goal,
                        "power": power,
                        "low": low,
                        "high": high,
                        "icc": between / (between + residual),
                    }
                )
    return pd.DataFrame(rows)


def patients_needed(
    between: float,
    residual: float,
    differences: Sequence[float],
    images: Sequence[int],
    *,
    power: float = 0.8,
    goal: str = "difference",
    margin: float = 0.0,
    alpha: float = 0.05,
    most: int = 100_000,
) -> pd.DataFrame:
    """Fewest patients that reach `power` (NaN if above `most`).

    Columns: difference, images, goal, patients, power.
    """
    rows = []
    for difference in differences:
        for m in images:

            def power_of(n: int, difference: float = difference, m: int = m) -> float:
                return exact_power(
                    between, residual, difference, n, m, goal=goal, margin=margin, alpha=alpha
                )

            found = fewest(lambda n, of=power_of: of(n) >= power, most)
            rows.append(
                {
                    "difference": difference,
                    "images": m,
                    "goal": goal,
                    "patients": found,
                    "power": power_of(int(found)) if found <= most else np.nan,
                }
            )
    return pd.DataFrame(rows)


def fewest(reached: Callable, most: int = 100_000) -> float:
    """The smallest n from MIN_UNITS to `most` with ``reached(n)``, which holds from some n on; NaN
    for none.
    """
    low, high = MIN_UNITS - 1, MIN_UNITS
    while high <= most and not reached(high):
        low, high = high, high * 2
    while high <= most and high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high if high <= most else np.nan


def for_precision(
    between: float,
    residual: float,
    half_widths: Sequence[float],
    images: Sequence[int],
    level: float = 0.95,
) -> pd.DataFrame:
    """Fewest patients for which the t interval of a mean difference is no wider than ± half_width:
    columns half_width, images, patients. between, residual: as :func:`simulate_power`.
    """
    rows = []
    for half in half_widths:
        for m in images:
            variance = between + residual / m

            def narrow(n: int, half: float = half, variance: float = variance) -> bool:
                return stats.t.ppf((1 + level) / 2, n - 1) * np.sqrt(variance / n) <= half

            rows.append({"half_width": half, "images": m, "patients": fewest(narrow)})
    return pd.DataFrame(rows)


def for_share(share: float, half_width: float, level: float = 0.95) -> float:
    """Fewest patients, one image each, for which Wilson's interval of a share is no wider than
    ± half_width.
    """
    z = stats.norm.ppf((1 + level) / 2)

    def narrow(n: int) -> bool:
        wide = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
        return wide <= half_width

    return fewest(narrow)


def for_never(rate: float, level: float = 0.95) -> int:
    """How many patients without an event show that it happens in fewer than `rate` of them: n with
    (1 − rate)ⁿ ≤ 1 − level; the rule of three, 3/rate, is near it (Hanley & Lippman-Hand 1983).
    """
    return int(np.ceil(np.log(1 - level) / np.log1p(-rate)))
