"""How far measures taken on a network's outlines agree with those on the reference: a table, a
sentence, a figure for a page.
"""

import itertools

import numpy as np
import pandas as pd

from helpers import stats
from helpers.analyses import measures
from helpers.errors import NotComputable
from helpers.figures.tables import number, two_digits
from helpers.pages.comparison import signed

TITLES = {"area": "area", "thickness": "median thickness", "depth_centre": "depth of the centre"}


def one_unit(compared: pd.DataFrame) -> tuple[pd.DataFrame, str, int]:
    """(rows, unit, images left out): millimetres where any image has them, since pixels of several
    sizes cannot be averaged with them. compared: of ``measures.compared``.
    """
    unit = "mm" if compared["unit"].eq("mm").any() else "px"
    own = compared["unit"] == unit
    return compared[own], unit, int(compared.loc[~own, "image_id"].nunique())


def agreement(compared: pd.DataFrame, of: tuple[str, ...] = measures.AGREED) -> pd.DataFrame:
    """Bias and limits of agreement, a row a class and measure. of: some of ``measures.AGREED``.

    Columns: class, measure, those of ``bland_altman`` (limits NaN where nothing varies) and
    centre_distance (median). NotComputable where no structure has enough patients.
    """
    rows, unit, _ = one_unit(compared)
    found = []
    for (name, own), measure in itertools.product(rows.groupby("class", sort=False), of):
        known = own[own[f"{measure}_difference"].notna()]
        if known["unit_id"].nunique() < stats.MIN_UNITS:
            continue
        difference = known[f"{measure}_difference"]
        each = pd.DataFrame({"model": TITLES[measure], "patient_id": known["unit_id"]})
        each["difference"], each["mean"] = difference, known[measure] + difference / 2
        each["unit"] = f"{unit}²" if measure == "area" else unit
        told = stats.bland_altman(each.assign(image_id=known["image_id"]))
        told.insert(0, "class", name)
        told["centre_distance"] = own["centre_distance"].median()
        found.append(told.rename(columns={"model": "measure"}))
    if not found:
        raise NotComputable(
            f"Limits of agreement need {stats.MIN_UNITS} patients in whom both outlines can be"
            " measured"
        )
    return pd.concat(found, ignore_index=True)


def in_words(table: pd.DataFrame, compared: pd.DataFrame, target: str) -> str:
    """What the table says of the most important structure, Markdown. target: its name."""
    own = table[table["class"] == target]
    if own.empty:
        raise NotComputable(
            f"{target.replace('_', ' ')} can be measured in too few patients to say how far"
            " measures agree"
        )
    parts = [
        f"{r.measure} **{signed(r.bias, places)} {r.unit}** ("
        + (
            "in every image"
            if pd.isna(r.low)
            else f"{number(r.limit_low, places)} to {number(r.limit_high, places)}"
        )
        + ")"
        for r in own.itertuples()
        for places in [two_digits(np.nanmax(np.abs([r.bias, r.limit_low, r.limit_high])))]
    ]
    centres = own["centre_distance"].iloc[0]
    _, unit, left = one_unit(compared)
    said = (
        f"On the network's outlines of {target.replace('_', ' ')}, measures differ from those on"
        f" the reference by: {'; '.join(parts)}. In brackets are the limits between which 95 % of"
        f" single images lie; their centres are {number(centres, two_digits(centres))} {unit} apart"
        " in the median. Only images in which both outline the structure can be compared."
    )
    if unit == "px":
        said += " The size of a pixel is unknown, so that lengths are in pixels of the array."
    if left:
        images = "1 image" if left == 1 else f"{left} images"
        said += f" Left out, the size of a pixel being unknown: {images}."
    return said
