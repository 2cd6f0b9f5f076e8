"""Page 6, what it looks like and where it fails: sentences and tables as functions of frames."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from helpers import figures, stats
from helpers.errors import NotComputable
from helpers.figures import tables
from helpers.pages import absent
from helpers.studies import Study

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays

FAILED = (
    "Below: images in which the Dice of the structure is under {acceptable}, a link to them;"
    " their share. Interval: 95 %, Wilson. 5th percentile: in 5 of 100 images it is worse."
    " A structure absent from both outlines has no score; drawn where it is not, or missed, it"
    " scores 0. {rule}"
)
AGREEMENT = (
    "Bias: the average of network minus reference. SD: how much that varies between patients, and"
    " between the images of one. Limits of agreement: 95 % of single images lie between. Slope:"
    " of the difference on the mean of both outlines; 0 where it does not change with size, −2 if"
    " everybody were drawn alike."
)
#: a slope of the difference on the mean of both below which sizes are drawn less than half as
#: different as they are: if drawn = a + b × reference, the slope is 2 (b − 1) / (b + 1)
FLAT = -2 / 3


def each(study: Study, function: Callable, *given: Any, **options: Any) -> pd.DataFrame:
    """``function(*given, class_=name, **options)`` for every structure, the tables one below the
    other with column class.
    """
    parts = [
        function(*given, class_=c.name, **options).assign(**{"class": c.name})
        for c in study.foreground
    ]
    return pd.concat(parts, ignore_index=True)


def worst(scores: pd.Series, study: Study, count: int = 8) -> list[str]:
    """The images of the lowest Dice (list of image_id), worst first; NotComputable where none has
    one. scores: of ``stats.case_values``.
    """
    if scores.empty:
        raise NotComputable(
            f"No test image has a Dice of {study.target.replace('_', ' ')}, so none is the worst"
        )
    return list(scores.sort_values(kind="stable").index[:count])


def in_words(
    cases: dict[str, str],
    scores: pd.Series,
    failed: pd.DataFrame,
    found: pd.DataFrame,
    study: Study,
    acceptable: float,
) -> str:
    """How good the typical and the worst case are, and how many fail, Markdown.

    cases: of ``stats.telling``; scores: of ``stats.case_values``; failed: of ``stats.failures``
    for each structure; found: of ``outlines.found`` for the headline network.
    """
    target, label = study.target.replace("_", " "), figures.model_label(study.headline)
    return (
        f"On the typical test image {label} reaches a Dice of {target} of"
        f" **{scores[cases['typical']]:.2f}**; on the worst **{scores[cases['worst']]:.2f}**."
        f" {failures_in_words(failed, found, study, acceptable)}"
    )


def failures_in_words(
    failed: pd.DataFrame, found: pd.DataFrame, study: Study, acceptable: float
) -> str:
    """How many outlines of each structure the headline network fails, absent structures said."""
    own = failed[failed["model"] == study.headline].set_index("class")
    drawn = {row[0]: row for row in found.itertuples(index=False)}
    listed = []
    for c in study.foreground:
        name, row, where = c.name.replace("_", " "), own.loc[c.name], drawn[c.name]
        if row["n"] == 0:
            listed.append(f"{name} is in no test image and was never drawn")
            continue
        text = f"{row['below']} of {row['n']} for {name}"
        text += "" if where.present else ", which is in no test image"
        text += f"; {name} {absent.drawn(where)}" if where.drawn_where_none else ""
        listed.append(text)
    return f"Outlines with a Dice below {acceptable}: **{'; '.join(listed)}**."


def panels(
    study: Study, arrays: "Arrays", drawn: dict[str, np.ndarray]
) -> dict[str, np.ndarray | None]:
    """The columns of a figure of cases: title → masks. drawn: name → masks."""
    named = {figures.model_label(name): masks for name, masks in drawn.items()}
    return {"image": None, "reference": arrays.masks} | named


def rivals(
    study: Study, arrays: "Arrays", drawn: dict[str, np.ndarray]
) -> dict[str, np.ndarray | None]:
    """The columns of the figure of all networks; NotComputable where there is one."""
    if len(drawn) < 2:
        raise NotComputable("One network was trained: there is no other to set beside it")
    return panels(study, arrays, drawn)


def own_rows(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The headline network's rows of its first training."""
    return rows[(rows["model"] == study.headline) & (rows["seed"] == study.spec["seeds"][0])]


def limits(areas: pd.DataFrame) -> pd.DataFrame:
    """Bias and limits of agreement of each structure (``stats.bland_altman``), column class first;
    NotComputable where no structure has an area.
    """
    if areas.empty:
        raise NotComputable("No structure is in a test image or was drawn: no area to compare")
    parts = {
        name: stats.bland_altman(own.drop(columns="class"))
        for name, own in areas.groupby("class", sort=False)
    }
    return pd.concat(parts, names=["class"]).reset_index("class").reset_index(drop=True)


def areas_in_words(table: pd.DataFrame) -> str:
    """Too much or too little, a sentence a structure, Markdown list. table: of :func:`limits`."""
    lines = []
    for row in table.to_dict("records"):
        way = "too large" if row["bias"] > 0 else "too small"
        unit, few = row["unit"], row["n_units"] < stats.MIN_UNITS
        size = tables.number(abs(row["bias"]), tables.two_digits(row["bias"]))
        text = f"on average {size} {unit} {way}"
        if row["bias"] == 0:
            text = "on average neither too large nor too small"
        if pd.isna(row["low"]):
            why = "too few patients for" if few else "the same in every image, so without"
            text += f" ({why} an interval)"
        elif row["low"] <= 0 <= row["high"]:
            text += ", which may be chance"
        if row["slope"] < FLAT:
            text += (
                "; small ones are drawn too large and large ones too small, as if every patient had"
                " the same"
            )
        lines.append(f"- **{row['class'].replace('_', ' ')}**: {text}.")
    return "\n".join(lines)
