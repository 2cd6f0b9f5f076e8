"""Which cases tell of a network: one rule for every page."""

import pandas as pd

from helpers.errors import NotComputable
from helpers.stats.values import values


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
