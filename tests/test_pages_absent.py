"""Structures that an image does not show: one policy on every page, and no verdict that hangs on a
rule for them.
"""

import numpy as np
import pandas as pd
import pytest
import stats_data

from helpers import stats, studies
from helpers.analyses import outlines
from helpers.errors import NotComputable
from helpers.pages import absent, comparison

pytestmark = pytest.mark.slow

SETTINGS = studies.load("phantom", "quick").statistics | {"draws": 200}


def results(scores, there=None, drawn=None, pixels=1000):
    """One structure: network → Dice of each image (one a patient); there: which images show it;
    drawn: network → pixels drawn in those that do not.
    """
    rows = []
    for model, dice in scores.items():
        for k, value in enumerate(dice):
            tp = round(100 * value)
            counts = (tp, 100 - tp, 100 - tp)
            if there is not None and not there[k]:
                counts = (0, (drawn or {}).get(model, np.zeros(len(dice), int))[k], 0)
            row = {
                "model": model,
                "class": "nerve",
                "patient_id": f"p{k:02d}",
                "image_id": f"i{k:02d}",
            }
            rows.append(row | dict(zip(("tp", "fp", "fn"), counts, strict=True)))
    rows = pd.DataFrame(rows)
    rows["tn"] = pixels - rows[["tp", "fp", "fn"]].sum(axis=1)
    return rows.assign(fold="main", seed=0, split="test")


def compared(rows):
    return stats.declared(rows, "qvum", SETTINGS | {"class": "nerve"})


def spread(mean, n=12, sd=0.05):
    return mean + sd * np.sin(np.arange(n) * 2.3)


def test_how_often_and_how_large_it_was_drawn_where_there_is_none():
    rows = results(
        {"qvum": spread(0.7, 6)}, [True] * 2 + [False] * 4, {"qvum": [0, 0, 0, 10, 30, 0]}
    )
    sides = pd.Series(0.5, [f"i{k:02d}" for k in range(6)])
    row = next(outlines.found(rows, sides).itertuples())
    assert (row.absent, row.drawn_where_none, row.mean_px, row.largest_px) == (4, 2, 20, 30)
    assert (row.mean_mm2, row.largest_mm2, row.largest_percent) == (5, 7.5, 3)
    assert absent.drawn(row) == (
        "drawn in 2 of the 4 images that do not show it (on average 5.0, at most 7.5 mm², 3.0 % of"
        " the image)"
    )
    unknown = next(outlines.found(rows).itertuples())
    assert "on average 20, at most 30 pixels" in absent.drawn(unknown)
    partly = next(outlines.found(rows, sides.drop("i03")).itertuples())
    assert np.isnan(partly.largest_mm2), "half of the sizes are no size"
    assert absent.of_structure(outlines.found(rows), "nerve").startswith("nerve was drawn in 2 of")
    assert absent.of_structure(outlines.found(rows[rows["fn"] > 0]), "nerve") == ""


def test_every_network_is_said():
    rows = results(
        {"qvum": spread(0.7, 6), "unet": spread(0.6, 6)},
        [True] * 4 + [False] * 2,
        {"unet": [0] * 5 + [40]},
    )
    text = absent.of_networks(rows, "nerve")
    assert "- Q-VUM: nerve drawn in none of the 2 images that do not show it." in text
    assert "- U-Net: nerve drawn in 1 of the 2 images that do not show it (40 pixels, 4.0 %" in text
    sides = pd.Series(0.3, index=rows["image_id"].unique())
    assert "(3.6 mm², 4.0 %" in absent.of_networks(rows, "nerve", sides)
    thrice = pd.concat([rows.assign(seed=k) for k in (1, 2, 3)])
    several = absent.of_networks(thrice, "nerve")
    assert "drawn in 3 of the 6 outlines of images that do not show it" in several
    assert "a structure drawn in 1 of the 2" in absent.of_networks(rows, "foreground")
    shown = absent.of_networks(rows[rows["image_id"] < "i04"], "nerve")
    assert shown == "Every image shows nerve, so it cannot be drawn where there is none."


def test_a_comparison_says_whom_it_leaves_out():
    rows = results(
        {"qvum": spread(0.8), "unet": spread(0.6)},
        [True] * 9 + [False] * 3,
        {"unet": [0] * 11 + [40]},
    )
    counted = stats.unscored(rows, "Dice", "nerve")
    assert counted.set_index("model")["undefined"].to_dict() == {"qvum": 3, "unet": 2}
    assert (counted["in_any"] == 3).all() and (counted["patients"] == 3).all()
    text = comparison.left_out(counted, "Dice", "nerve")
    assert "Left out of the comparison: 3 of 12 images, of 3 patients" in text
    assert "Q-VUM 3, U-Net 2" in text
    whole = stats.unscored(rows[rows["image_id"] < "i09"], "Dice", "nerve")
    assert comparison.left_out(whole, "Dice", "nerve") == ""
    mean = stats.unscored(rows, "Dice", "all")
    assert "a structure has no Dice" in comparison.left_out(mean, "Dice", "all")
    unknown = stats.unscored(rows.assign(patient_id=""), "Dice", "nerve")
    assert "patients" not in comparison.left_out(unknown, "Dice", "nerve")


def test_the_other_rules_stand_beside_the_verdict():
    rows = results({"qvum": spread(0.8), "unet": 0.6 + 0 * spread(0)}, [True] * 9 + [False] * 3)
    row = compared(rows).iloc[0]
    assert (row["verdict"], row["unsettled"], row["n"]) == ("better", "", 9)
    assert row["zero_difference"] == pytest.approx(row["difference"] * 9 / 12)
    text = comparison.otherwise(row)
    assert text.startswith("With images without a score counted as 0 or as 1 +0.1")
    assert text.endswith("better") and comparison.aside(row) == f". {text}."


def test_a_verdict_that_hangs_on_the_rule_is_none():
    """The rival draws in every image without the structure: it is spared where those are left out,
    and far behind where a rightly empty image is worth something.
    """
    rows = results(
        {"qvum": spread(0.7), "unet": 0.7 - spread(0.7) + 0.7},
        [True] * 6 + [False] * 6,
        {"unet": [0] * 6 + [50] * 6},
    )
    tests = compared(rows)
    row = tests.iloc[0]
    assert (row["zero_verdict"], row["one_verdict"]) == ("not shown to differ", "better")
    assert (row["verdict"], row["unsettled"]) == (stats.UNSETTLED, "one")
    answer = comparison.answer(tests, SETTINGS)
    assert "Q-VUM is not judged against U-Net" in answer and "better than" not in answer
    assert "the answer hangs on that rule, so it is no verdict" in answer
    assert comparison.finding(tests) == "not judged against U-Net"


def test_where_every_image_has_a_score_there_is_no_other_rule():
    row = compared(results({"qvum": spread(0.8), "unet": 0.6 + 0 * spread(0)})).iloc[0]
    assert row["zero_verdict"] == "" and comparison.otherwise(row) == ""


def test_a_structure_that_is_nowhere_stops_a_comparison_in_a_sentence():
    rows = results({"qvum": spread(0.7), "unet": spread(0.6)}, [False] * 12)
    for function in (stats.declared, stats.compare):
        with pytest.raises(NotComputable, match="No image has a Dice of nerve for every network"):
            function(rows, "qvum", SETTINGS | {"class": "nerve"})
    with pytest.raises(NotComputable, match="cannot be ranked"):
        stats.ranking(rows, ["Dice"], ["nerve"], draws=100)
    assert stats.failures(rows, "Dice", "nerve")["undefined"].tolist() == [12, 12]
    note = stats.intervals(rows, ["Dice"], ["nerve"], draws=100)["note"]
    assert note.str.contains("nowhere there and nowhere drawn").all()


def test_of_a_mean_over_structures_the_rule_is_the_same():
    rows = stats_data.per_image(12, 3, models={"qvum": 0.0, "unet": 0.6}, empty=0.4, seed=3)
    row = stats.declared(rows, "qvum", SETTINGS | {"class": "foreground"}).iloc[0]
    assert row["dropped_images"] < 36 and row["zero_verdict"] != ""
    assert row["zero_difference"] != pytest.approx(row["difference"])
