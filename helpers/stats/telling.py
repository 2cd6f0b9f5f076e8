"""Which cases tell of a network, and whether its own doubt finds them: one rule for every page."""

import numpy as np
import pandas as pd

from helpers.errors import NotComputable
from helpers.stats.values import values

KEEP = 0.8  # share of the images that a network keeps, the rest goes to a human
HELPS, LITTLE = 0.5, 0.2  # share of the possible gain from which doubt helps, helps a little


def case_values(rows: pd.DataFrame, headline: str, target: str) -> pd.Series:
    """Dice of the target structure of each test image for one network, image_id → value.

    Seeds are averaged; images in which it is undefined (neither drawn nor there) are left out.
    """
    own = rows[(rows["model"] == headline) & (rows["class"] == target)]
    if own.empty:
        return pd.Series(dtype=float, name="value")
    scores = values(rows[rows["model"] == headline], "Dice", target).dropna(subset="value")
    return scores.groupby("image_id")["value"].mean().sort_index()


def telling(rows: pd.DataFrame, headline: str, target: str) -> dict[str, str]:
    """The best, the typical (median) and the worst test image of a network: name → image_id.

    By :func:`case_values`; of equal ones the first by name. NotComputable where no image has the
    target structure.
    """
    dice = case_values(rows, headline, target).sort_values(kind="stable")
    if dice.empty:
        raise NotComputable(f"No test image shows {target}, and {headline} drew it in none")
    return {"best": dice.index[-1], "typical": dice.index[len(dice) // 2], "worst": dice.index[0]}


def doubt(curve: pd.DataFrame, keep: float = KEEP) -> tuple[float, float, float, float]:
    """(mean error of all images, of those kept by the network's own doubt, of those kept if the
    worst were known, share of the possible gain; NaN where no image is worse than another).

    curve: columns coverage, risk, best (``analyses.reliability.risk_coverage``).
    """
    kept = curve.loc[(curve["coverage"] - keep).abs().idxmin()]
    whole = curve.loc[curve["coverage"].idxmax(), "risk"]
    gain, possible = whole - kept["risk"], whole - kept["best"]
    return whole, kept["risk"], kept["best"], gain / possible if possible > 1e-9 else np.nan
