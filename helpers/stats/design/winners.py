"""How often does a study of equal networks find a winner? Several comparisons at once, by
simulation without loops.
"""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.stats.design.false_alarms import Design


def _wishart(runs: int, k: int, df: int, rng: np.random.Generator) -> np.ndarray:
    """(runs, k, k) Wishart matrices of identity scale by Bartlett's decomposition; 0 for df = 0."""
    if df == 0:
        return np.zeros((runs, k, k))
    a = np.tril(rng.normal(size=(runs, k, k)), -1)
    if df < k:
        z = rng.normal(size=(runs, k, df))
        return z @ z.transpose(0, 2, 1)
    for i in range(k):
        a[:, i, i] = np.sqrt(rng.chisquare(df - i, runs))
    return a @ a.transpose(0, 2, 1)


def pair_p_values(
    design: Design, networks: int, runs: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P of the paired t between every two of `networks` equal networks, over images and over
    patients.

    Returns three arrays (runs, networks, networks): image-level P, patient-level P, difference of
    means over images. What networks share (difficulty of patient and image) cancels, so only
    patient-by-network effects and residuals are drawn, with the design's ICC of a difference.
    """
    n = design.sizes.astype(float)
    g, total, k = len(n), n.sum(), networks
    own = rng.exponential(size=(runs, k, g)) - 1 if design.skewed else rng.normal(size=(runs, k, g))
    means = own * np.sqrt(design.icc) + rng.normal(size=(runs, k, g)) * np.sqrt(
        (1 - design.icc) / n
    )
    within = _wishart(runs, k, int(total) - g, rng) * (1 - design.icc)
    d = means[:, :, None] - means[:, None]  # (runs, k, k, G)
    over_images = d @ n / total
    diagonal = np.einsum("rii->ri", within)
    ss = (
        diagonal[:, :, None]
        + diagonal[:, None]
        - 2 * within
        + (n * (d - over_images[..., None]) ** 2).sum(-1)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        image = over_images / np.sqrt(ss / (total - 1) / total)
        patient = d.mean(-1) / (d.std(-1, ddof=1) / np.sqrt(g))
    return (
        2 * stats.t.sf(np.abs(image), total - 1),
        2 * stats.t.sf(np.abs(patient), g - 1),
        over_images,
    )


def winners(
    design: Design, networks: int = 5, runs: int = 2000, seed: int = 1, alpha: float = 0.05
) -> pd.DataFrame:
    """Share of studies of equal networks that report a difference, or a winner.

    Claims: "any" of the comparisons of one named network with the others is significant, unadjusted
    and by Holm; "best beats all": the network that happens to be first is significantly better than
    every other one. Columns: claim, adjustment, unit, networks, icc, runs, rate, low, high
    (Wilson).
    """
    image, patient, difference = pair_p_values(design, networks, runs, np.random.default_rng(seed))
    best = np.argmax(difference.sum(2), axis=1)
    rows = []
    for unit, p in [("image", image), ("patient", patient)]:
        named = p[:, 0, 1:]
        # some P stays below alpha after Holm where the smallest, times their number, does
        smallest = named.shape[1] * named.min(1)
        others = p[np.arange(runs), best].copy()
        others[np.arange(runs), best] = 0  # itself: no condition
        claims = [
            ("any", "none", (named < alpha).any(1)),
            ("any", "holm", smallest < alpha),
            ("best beats all", "none", (others < alpha).all(1)),
        ]
        for claim, adjustment, hit in claims:
            low, high = stats.binomtest(int(hit.sum()), runs).proportion_ci(0.95, "wilson")
            rows.append(
                {
                    "claim": claim,
                    "adjustment": adjustment,
                    "unit": unit,
                    "networks": networks,
                    "icc": design.icc,
                    "runs": runs,
                    "rate": hit.mean(),
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows)
