"""What each analysis does when nothing is there: false-positive rates and coverage, by simulation,
without loops.

Two networks, no true difference: score of network m, patient i, image j = a_i + c_mi + e_ij +
f_mij, with variance 1: half of it between patients (a + c), e = 0.3, f = 0.2. What decides is the
ICC of the *differences*, c/(c + f): patient difficulty a and image difficulty e cancel in a pair.
Reported in units of the SD of an image's difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from helpers.stats.bootstrap import draw_counts
from helpers.stats.mixed import reml

#: 636 images of 22 patients, unevenly
UNEQUAL = (29, 25, 40, 29, 20, 34, 59, 48, 18, 13, 19, 28, 8, 24, 13, 17, 19, 22, 35, 50, 25, 61)
IMAGE = "paired t, images (the paper's)"
RESIDUAL, IMAGE_EFFECT, PATIENT = 0.2, 0.3, 0.5  # f, e, and a + c
ANALYSES = (
    IMAGE,
    "paired t, patients",
    "Wilcoxon signed-rank, patients",
    "sign-flip permutation",
    "cluster-robust t (CR1)",
    "mixed model on differences, t",
    "mixed model on differences, z",
    "mixed model, patient intercept only",
    "bootstrap, percentile",
    "bootstrap, BCa",
    "bootstrap-t",
)


@dataclass(frozen=True)
class Design:
    """patients; images: one number, or one a patient; icc: of the differences; skewed: exponential
    patient effect.
    """

    patients: int = 22
    images: int | tuple[int, ...] = 29
    icc: float = 0.5
    skewed: bool = False

    @property
    def sizes(self) -> np.ndarray:
        """Images of each patient, (patients,)."""
        return np.broadcast_to(np.atleast_1d(np.asarray(self.images)), self.patients).astype(int)


def sums(
    design: Design, runs: int, rng: np.random.Generator, shift: float = 0.0
) -> dict[str, np.ndarray]:
    """Sufficient statistics of `runs` studies: per-patient means of the differences (G, runs),
    their within sum of squares (runs,), per-patient means of the two networks' sum (G, runs) and
    its within sum of squares.

    The mean over n normal residuals and their sum of squares are drawn as what they are, a normal
    and a χ², so memory does not grow with images. Differences have variance 1 and mean `shift`.
    """
    n = design.sizes[:, None]
    g, total = len(n), int(n.sum())
    c = RESIDUAL * design.icc / (1 - design.icc)
    scale = 1 / (2 * (c + RESIDUAL))
    patient = scale * (4 * max(PATIENT - c, 0) + 2 * c)  # variances of the two networks' sum
    image = scale * (4 * IMAGE_EFFECT + 2 * RESIDUAL)

    def residual(variance: float) -> tuple[np.ndarray, np.ndarray]:
        means = rng.normal(size=(g, runs)) * np.sqrt(variance / n)
        return means, variance * rng.chisquare(total - g, runs) if total > g else np.zeros(runs)

    own = rng.exponential(size=(g, runs)) - 1 if design.skewed else rng.normal(size=(g, runs))
    noise, within = residual(1 - design.icc)
    both, within_sum = residual(image)
    level = both + rng.normal(size=(g, runs)) * np.sqrt(patient)
    return {
        "d": shift + own * np.sqrt(design.icc) + noise,
        "within": within,
        "s": level,
        "within_s": within_sum,
    }


def p_values(
    design: Design, data: dict, analyses: Sequence[str] = ANALYSES, draws: int = 999, seed: int = 1
) -> dict[str, np.ndarray]:
    """Two-sided P value (runs,) of each analysis; for the bootstraps 0 or 1: does the 95 % interval
    leave out 0?
    """
    n, d, within = design.sizes.astype(float), data["d"], data["within"]
    g, total = len(n), n.sum()
    out = {}
    over_images = n @ d / total
    about = (n[:, None] * (d - over_images) ** 2).sum(0)
    patient_t = d.mean(0) / (d.std(0, ddof=1) / np.sqrt(g))
    cr1 = np.sqrt(g / (g - 1) * ((n[:, None] * (d - over_images)) ** 2).sum(0)) / total

    def t(value: np.ndarray, df: float) -> np.ndarray:
        return 2 * stats.t.sf(np.abs(value), df)

    if IMAGE in analyses:
        se = np.sqrt((within + about) / (total - 1) / total)
        out[IMAGE] = t(over_images / se, total - 1)
    if "paired t, patients" in analyses:
        out["paired t, patients"] = t(patient_t, g - 1)
    if "Wilcoxon signed-rank, patients" in analyses:
        out["Wilcoxon signed-rank, patients"] = stats.wilcoxon(d, axis=0, method="exact").pvalue
    if "sign-flip permutation" in analyses:
        signs = 1 - 2.0 * np.random.default_rng(seed).integers(0, 2, (draws, g))
        hits = (np.abs(signs @ d) >= np.abs(d.sum(0)) * (1 - 1e-12)).sum(0)
        out["sign-flip permutation"] = (hits + 1) / (draws + 1)
    if "cluster-robust t (CR1)" in analyses:
        out["cluster-robust t (CR1)"] = t(over_images / cr1, g - 1)
    if any("mixed model on" in a for a in analyses):
        fit = reml(design.sizes, d[:, None], within)
        z = fit["mean"][0] / fit["se"]
        out["mixed model on differences, t"] = t(z, g - 1)
        out["mixed model on differences, z"] = 2 * stats.norm.sf(np.abs(z))
    if "mixed model, patient intercept only" in analyses:
        out["mixed model, patient intercept only"] = _intercept_only(n, data, over_images, about)
    if any("bootstrap" in a for a in analyses):
        out |= _bootstraps(d, n, over_images, cr1, draws, seed)
    return {name: out[name] for name in analyses}


def _intercept_only(
    n: np.ndarray, data: dict[str, np.ndarray], over_images: np.ndarray, about: np.ndarray
) -> np.ndarray:
    """y ~ network + (1|patient): restricted fit, Wald with 2N − G − 1 degrees of freedom; wrong,
    and popular.

    Within a patient the residual holds the image effect and all of the difference; with equal sizes
    the fit is the ANOVA one: mean square within, or the total where the patients differ less than
    by chance.
    """
    g, total = len(n), n.sum()
    s = data["s"]
    mean = n @ s / total
    between = (n[:, None] * (s - mean) ** 2).sum(0) / 2
    within = (data["within_s"] + data["within"] + about) / 2
    df = 2 * total - g - 1
    variance = np.where(
        between / (g - 1) > within / df, within / df, (within + between) / (2 * total - 2)
    )
    return 2 * stats.t.sf(np.abs(over_images) / np.sqrt(2 * variance / total), df)


def _bootstraps(
    d: np.ndarray, n: np.ndarray, estimate: np.ndarray, se: np.ndarray, draws: int, seed: int
) -> dict[str, np.ndarray]:
    """Bootstraps of the mean over images (whole patients drawn), one set of draws for all runs."""
    g, runs = d.shape
    counts = draw_counts(g, draws, seed)
    weight = counts @ n
    centred = d - estimate
    first = n[:, None] * centred
    mean = (counts @ first) / weight[:, None]  # of the draw, less the estimate
    # Σ w n²(d − m)² expanded about the estimate
    square = (
        counts @ first**2
        - 2 * mean * (counts @ (n[:, None] * first))
        + mean**2 * (counts @ n**2)[:, None]
    )
    error = np.sqrt(np.maximum(square, 0) * g / (g - 1)) / weight[:, None]
    tails = np.array([0.025, 0.975])
    low, high = np.quantile(mean, tails, axis=0)
    out = {"bootstrap, percentile": _outside(estimate + low, estimate + high)}
    with np.errstate(divide="ignore"):  # one patient drawn throughout: an extreme t
        low, high = np.quantile(mean / error, tails, axis=0)
    out["bootstrap-t"] = _outside(estimate - high * se, estimate - low * se)
    left = -first / (n.sum() - n)[:, None]
    jack = left.mean(0) - left
    acceleration = (jack**3).sum(0) / (6 * (jack**2).sum(0) ** 1.5)
    z0 = stats.norm.ppf(((mean < 0).mean(0)).clip(1 / draws, 1 - 1 / draws))
    z = z0 + stats.norm.ppf(tails)[:, None]
    position = stats.norm.cdf(z0 + z / (1 - acceleration * z)) * (draws - 1)
    ordered = np.sort(mean, axis=0)
    low, high = ordered[np.round(position).astype(int), np.arange(runs)] + estimate
    out["bootstrap, BCa"] = _outside(low, high)
    return out


def _outside(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """0.0 (significant) where the interval leaves out 0, else 1.0."""
    return np.where((low > 0) | (high < 0), 0.0, 1.0)


def false_positives(
    design: Design,
    runs: int = 2000,
    seed: int = 1,
    analyses: Sequence[str] = ANALYSES,
    alpha: float = 0.05,
    draws: int = 999,
) -> pd.DataFrame:
    """Share of studies without any difference that each analysis calls significant, with Wilson's
    95 % interval.

    Columns: analysis, icc (of the differences), skewed, equal_sizes, patients, images, runs, rate,
    low, high, coverage (1 − rate: of the 95 % interval that belongs to the test; for one network's
    mean read icc as that of its scores).
    """
    data = sums(design, runs, np.random.default_rng(seed))
    rows = []
    for name, p in p_values(design, data, analyses, draws, seed).items():
        hits = int((p < alpha).sum())
        low, high = stats.binomtest(hits, runs).proportion_ci(0.95, "wilson")
        rows.append(
            {
                "analysis": name,
                "icc": design.icc,
                "skewed": design.skewed,
                "equal_sizes": len(set(design.sizes)) == 1,
                "patients": design.patients,
                "images": int(design.sizes.sum()),
                "runs": runs,
                "rate": hits / runs,
                "low": low,
                "high": high,
                "coverage": 1 - hits / runs,
            }
        )
    return pd.DataFrame(rows)


def curve(
    design: Design,
    iccs: Sequence[float] = (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7),
    runs: int = 2000,
    seed: int = 1,
    analyses: Sequence[str] = (IMAGE, "paired t, patients"),
    draws: int = 999,
) -> pd.DataFrame:
    """:func:`false_positives` over the ICC of the differences, all else equal; one row an ICC and
    analysis.
    """
    parts = [
        false_positives(
            Design(design.patients, design.images, icc, design.skewed),
            runs,
            seed + k,
            analyses,
            draws=draws,
        )
        for k, icc in enumerate(iccs)
    ]
    return pd.concat(parts, ignore_index=True)
