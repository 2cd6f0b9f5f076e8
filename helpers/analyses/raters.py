"""How far people agree, as the page of the images measured it: what other pages hold a network
against.

The numbers lie in runs/<study>/results/agreement.csv (made from :mod:`readings`); it has no rows
where no two people outlined the same images.
"""

import pandas as pd

from helpers import runs
from helpers.errors import NotComputable
from helpers.studies import Study

PAGE = "02_images"
COLUMNS = ("comparison", "kind", "class", "Dice", "assd_px")


def save(agreement: pd.DataFrame | NotComputable, study: Study) -> None:
    """Write results/agreement.csv. agreement: the frame of ``readings.agreement``, or the
    NotComputable in its place.
    """
    none = isinstance(agreement, NotComputable)
    runs.save_result(pd.DataFrame(columns=COLUMNS) if none else agreement, study, "agreement")


def between(study: Study) -> pd.DataFrame:
    """The rows of any two raters, a row a class (columns of ``readings.agreement``); empty where
    no two people outlined the same images. StudyError where the page has not been made.
    """
    table = runs.result(study, "agreement", PAGE)
    return table[table["kind"] == "between raters"]


def ceiling(study: Study) -> dict[str, float]:
    """Mean Dice of two raters, class → value; empty where there are none."""
    rows = between(study).dropna(subset="Dice")
    return dict(zip(rows["class"], rows["Dice"], strict=True))


def tolerance(study: Study) -> float:
    """How far off an outline may lie, in pixels, one number for all classes: the mean surface
    distance of two raters, and never less than a pixel.

    Distances between pixel centres are 0, 1, 1.41 …: tolerances on both sides of 1 would make one
    class look far better than another for no other reason.
    """
    apart = between(study)["assd_px"].mean()
    return max(1.0, float(apart)) if pd.notna(apart) else 1.0


def margin(study: Study) -> float:
    """The margin of equivalence: study.yml's, or half the disagreement of two raters, (1 − Dice) /
    2 of its class. NotComputable where there is neither.
    """
    declared, name = study.statistics.get("margin"), study.statistics["class"]
    if declared is not None:
        return declared
    people = ceiling(study).get(name) if study.statistics["metric"] == "Dice" else None
    if people is None:
        raise NotComputable(
            "study.yml declares no margin of equivalence (statistics.margin), and there is no Dice"
            f" between two people for {name}, so no margin is known"
        )
    if people == 1:
        raise NotComputable(
            f"Two people outline {name} alike in every image, and half of no disagreement is no"
            " margin: declare one in study.yml (statistics.margin)"
        )
    return (1 - people) / 2
