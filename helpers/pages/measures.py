"""How far measures taken on a network's outlines agree with those on the reference: a table, a
sentence, a figure for a page.
"""

import pandas as pd

from helpers.analyses import limits, measures
from helpers.errors import NotComputable

#: of a bias and its limits: field of limits.Agreement → column
ENDS = {"bias": "bias", "low": "lower_limit", "high": "upper_limit"}
TITLES = {"area": "area", "thickness": "median thickness", "depth_centre": "depth of the centre"}


def one_unit(compared: pd.DataFrame) -> tuple[pd.DataFrame, str, int]:
    """(rows, unit, images left out): millimetres where any image has them, since pixels of several
    sizes cannot be averaged with them. compared: of ``measures.compared``.
    """
    unit = "mm" if compared["unit"].eq("mm").any() else "px"
    own = compared["unit"] == unit
    return compared[own], unit, int(compared.loc[~own, "image_id"].nunique())


def agreement(
    compared: pd.DataFrame, draws: int, seed: int, of: tuple[str, ...] = measures.AGREED
) -> pd.DataFrame:
    """Bias and limits of agreement, a row a class and measure. of: some of ``measures.AGREED``.

    Columns: class, measure, unit, images, patients; bias, lower_limit and upper_limit, each with
    …_low and …_high (95 % intervals over patients); centre_distance (median).
    NotComputable where no structure has enough patients.
    """
    rows, unit, _ = one_unit(compared)
    found, why = [], None
    for name, own in rows.groupby("class", sort=False):
        for measure in of:
            try:
                told = limits.of_agreement(
                    own[f"{measure}_difference"], own["unit_id"], draws, seed
                )
            except NotComputable as error:
                why = error
                continue
            row = {"class": name, "measure": TITLES[measure]}
            row |= {"unit": f"{unit}²" if measure == "area" else unit}
            row |= {"images": told.images, "patients": told.patients}
            for end, column in ENDS.items():
                low, high = told.intervals[end]
                row |= {column: getattr(told, end), f"{column}_low": low, f"{column}_high": high}
            found.append(row | {"centre_distance": own["centre_distance"].median()})
    if not found:
        raise why or NotComputable("No structure is in any image: nothing can be measured")
    return pd.DataFrame(found)


def in_words(table: pd.DataFrame, compared: pd.DataFrame, target: str) -> str:
    """What the table says of the most important structure, Markdown. target: its name."""
    own = table[table["class"] == target]
    if own.empty:
        raise NotComputable(
            f"{target.replace('_', ' ')} can be measured in too few patients to say how far"
            " measures agree"
        )
    parts = [
        f"{r.measure} **{r.bias:+.3g} {r.unit}** ({r.lower_limit:.3g} to {r.upper_limit:.3g})"
        for r in own.itertuples()
    ]
    _, unit, left = one_unit(compared)
    said = (
        f"On the network's outlines of {target.replace('_', ' ')}, measures differ from those on"
        f" the reference by: {'; '.join(parts)}. In brackets are the limits between which 95 % of"
        f" single images lie; their centres are {own['centre_distance'].iloc[0]:.3g} {unit} apart"
        " in the median. Only images in which both outline the structure can be compared."
    )
    if unit == "px":
        said += " The size of a pixel is unknown, so that lengths are in pixels of the array."
    if left:
        said += f" {left} images without a known pixel size were left out."
    return said
