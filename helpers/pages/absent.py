"""What pages say of structures that an image does not show: one policy, one set of sentences.

Absent from reference and prediction: no score, counted and said. Drawn where there is none: how
often, and how large. Rows are those of ``outlines.found``; pages 4, 5, 6 and 12 say them.
"""

from typing import TYPE_CHECKING, Any

import pandas as pd

from helpers import stats
from helpers.analyses import outlines
from helpers.errors import NotComputable
from helpers.figures import model_label
from helpers.figures.tables import counted, number, two_digits, words

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays


def sides(arrays: "Arrays") -> pd.Series:
    """Side of an evaluated pixel in mm by image_id, for ``outlines.found``; NaN where unknown."""
    return arrays.index.set_index("image_id")["pixel_mm"]


def known(sides: pd.Series | NotComputable) -> pd.Series | None:
    """The sides, or None where they were not to be had (NotComputable)."""
    return None if isinstance(sides, NotComputable) else sides


def that_show(number: int, it: bool = True, trainings: int = 1) -> str:
    """'12 images that show it', '1 image that does not show it'; of several trainings, which each
    drew every image, '36 outlines of images that show it'.
    """
    if trainings > 1:
        return f"{number} outlines of images that {'' if it else 'do not '}show it"
    verb = (
        ("shows" if it else "does not show") if number == 1 else ("show" if it else "do not show")
    )
    return f"{counted(number, 'image')} that {verb} it"


def drawn(row: Any) -> str:
    """'drawn in 3 of the 12 images that do not show it (on average 140, at most 900 pixels, 2.1 %
    of the image)'; '' where every image shows it. row: of ``outlines.found``.
    """
    if not row.absent:
        return ""
    if not row.drawn_where_none:
        return f"drawn in none of the {that_show(row.absent, False, row.trainings)}"
    often = f"drawn in {row.drawn_where_none} of the {that_show(row.absent, False, row.trainings)}"
    return f"{often} ({_size(row)})"


def _size(row: Any) -> str:
    in_mm = pd.notna(row.largest_mm2)
    mean, largest = (row.mean_mm2, row.largest_mm2) if in_mm else (row.mean_px, row.largest_px)
    size = f"{number(largest, two_digits(largest) if in_mm else 0)} {'mm²' if in_mm else 'pixels'}"
    if row.drawn_where_none > 1:
        size = f"on average {number(mean, two_digits(mean) if in_mm else 0)}, at most {size}"
    return f"{size}, {number(row.largest_percent, 1)} % of the image"


def of_networks(rows: pd.DataFrame, class_: str, sides: pd.Series | None = None) -> str:
    """Where each network drew what is not there, Markdown list. class_: or a mean over several;
    sides: of :func:`sides`, None where unknown.
    """
    several = class_ in (stats.ALL, stats.FOREGROUND)
    own = rows if several else rows[rows["class"] == class_]
    what = "a structure" if several else words(class_)
    found = outlines.found(own, sides, by="model")
    if not found["absent"].any():
        what = "every structure" if several else what
        return f"Every image shows {what}, so it cannot be drawn where there is none."
    lines = [f"- {model_label(row.model)}: {what} {drawn(row)}." for row in found.itertuples()]
    return "\n".join(lines)


def of_structure(found: pd.DataFrame, class_: str) -> str:
    """The same of one network and structure (of ``outlines.found``), a sentence or ''."""
    row = next(found[found["class"] == class_].itertuples())
    return f"{words(class_)} was {drawn(row)}." if row.absent else ""
