"""Page 10: its sentences of small frames."""

import json

import numpy as np
import pandas as pd
import pytest
import stats_data
from conftest import REPOSITORY

from helpers import stats
from helpers.errors import NotComputable, StudyError
from helpers.pages import planning
from helpers.pages.planning import Spread


@pytest.fixture(scope="module")
def fitted():
    rows = stats_data.per_image(10, 4, models={"qvum": 0.0, "unet": 0.1, "vistr": 2.0})
    return planning.variation(rows, "qvum", "Dice", "QLM")


def test_the_variation_to_plan_with(fitted):
    close = planning.chosen(fitted)
    assert close.rival == "unet" and close.closest
    row = fitted.set_index("model").loc["vistr"]
    assert planning.chosen(fitted, "vistr") == Spread(row["between"], row["residual"], "vistr")
    given = planning.chosen(fitted, sd_between=0.3, sd_within=0.4)
    assert given == Spread(0.09, pytest.approx(0.16)) and given.icc == pytest.approx(0.36)
    with pytest.raises(StudyError, match="no estimate for comparator 'dmrnet'; there are: unet"):
        planning.chosen(fitted, "dmrnet")


def test_where_no_plan_can_be_made(fitted):
    few = stats_data.per_image(3, 4, models={"qvum": 0.0, "unet": 0.1})
    one = stats_data.per_image(8, 2, models={"qvum": 0.0})
    reason = planning.chosen(planning.variation(few, "qvum", "Dice", "QLM"))
    assert isinstance(reason, NotComputable) and "at least 5 patients" in str(reason)
    with pytest.raises(NotComputable) as only:
        planning.variation(one, "qvum", "Dice", "QLM")
    reason = planning.chosen(only.value)
    assert isinstance(reason, NotComputable) and "Only Q-VUM has results" in str(reason)
    given = planning.chosen(only.value, sd_between=0.1)
    assert given.between == pytest.approx(0.01), "a spread that is given needs no results"
    assert isinstance(planning.joined(reason, reason), NotComputable)
    assert list(planning.worth(reason, "patient"))[2:] == ["ICC 0.05", "ICC 0.2", "ICC 0.5"]


def test_the_answer_in_words():
    needed = pd.DataFrame(
        {"difference": [0.01, 0.01, 0.02], "images": [1, 5, 1], "patients": [311, np.nan, 80]}
    )
    text = planning.answer(needed, Spread(1, 1, "unet", True), "qvum", "Dice of QLM", "patient")
    assert (
        "- for a difference of **0.01**: **311 patients** with 1 image each, or **more than 100,000"
        " patients** with 5 images each\n- for a difference of **0.02**: **80 patients** with"
    ) in text
    assert text.endswith("Q-VUM against U-Net, the closest rival here.")
    alone = planning.answer(needed, Spread(1, 1), "qvum", "Dice", "image", 0.9)
    assert "**311 images**, or" in alone and "90 %" in alone and "closest" not in alone


def test_tables_of_what_is_needed():
    spread = Spread(0.001, 0.002, "unet")
    needed = stats.patients_needed(spread.between, spread.residual, [0.02], [1, 5])
    options = {"goal": "non-inferiority", "margin": 0.02}
    not_worse = stats.patients_needed(spread.between, spread.residual, [0.0], [1, 5], **options)
    both = planning.joined(needed, not_worse)
    wide = planning.needs(both, "patient")
    assert wide.shape == (2, 4) and list(wide["goal"]) == ["difference", "non-inferiority"]
    assert planning.joined(needed, NotComputable("no margin")).equals(needed)
    assert "no margin is known" in planning.needs_note(
        NotComputable("no margin is known"), "Dice", "patient"
    )
    assert planning.needs_note(0.02, "Dice", "patient").startswith("Margin 0.02 Dice. Fewest")
    assert planning.worth(spread, "patient")["measured ICC 0.33"].iloc[-1] == pytest.approx(
        22000 / (1 + 999 / 3)
    )
    assert planning.images_each([1, 5], "patient") == [1, 5]
    assert planning.images_each([1, 5], "image") == [1]


def test_the_page_says_what_it_plans_with_where_nothing_else_is_asked_for():
    path = REPOSITORY / "notebooks" / "10_planning.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "".join(next(c["source"] for c in cells if c["metadata"].get("tags")))
    for usual in (planning.DIFFERENCES, planning.PATIENTS, planning.IMAGES):
        assert f"empty: {', '.join(map(str, usual))}" in text
    assert f"0: {planning.POWER}" in text
