"""Page 2 as functions of small tables: gates, near-duplicates, agreement, what is not known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.datasets import Arrays
from helpers.errors import NotComputable
from helpers.figures import sheets
from helpers.leakage import Gate
from helpers.pages import images


def gates(*passed):
    return [Gate(f"gate {k}", how, "") for k, how in enumerate(passed)]


def test_in_words():
    summary = {"images": 10, "patients": 4, "different_sizes": 1}
    phantom = study()
    text = images.in_words(summary, gates(True, True), phantom)
    assert text.startswith(
        "**10 images** of 4 patients, all of one size. Of 2 checks 2 passed and none failed. \n\n"
        f"The structures: {phantom.foreground[0].title}"
    )
    text = images.in_words(
        summary | {"patients": None, "different_sizes": 3}, gates(True, False, None), phantom
    )
    assert "of an unknown number of patients, in 3 different sizes" in text
    assert "**1 failed** (gate 1); 1 could not be made (gate 2)." in text
    assert "may therefore be better than they would be" in text
    absent = [SimpleNamespace(name="classes present", passed=False)]
    assert "better" not in images.in_words(
        summary, absent, phantom
    )  # hides nothing, flatters nobody


def classes(**areas):
    """class → areas in train and test."""
    rows = [("train", c, pair[0]) for c, pair in areas.items()]
    rows += [("test", c, pair[1]) for c, pair in areas.items()]
    frame = pd.DataFrame(rows, columns=["split", "class", "area"])
    return frame.assign(image_id="i", x=0.5, y=0.5, parts=1)


def test_structures_that_no_image_of_a_split_shows():
    found = classes(nerve=(0.1, 0.2), bone=(0.1, 0.0))
    assert "**Shown by no image: bone in test.**" in images.nowhere(found)
    assert images.nowhere(classes(nerve=(0.1, 0.2))) == ""
    table = images.class_table(found)
    assert len(table) == 3 and table["area_percent"].tolist() == [10, 10, 20]
    later = images.class_table(found.replace({"split": {"train": "test", "test": "train"}}))
    assert later["split"].tolist() == ["train", "test", "test"]
    with pytest.raises(NotComputable, match="No image shows any structure"):
        images.class_table(classes(nerve=(0.0, 0.0)))


def per_image(**more):
    known = {"patient_id": ["a", "b", "b"], "split": ["train", "val", "test"], "device": "x"}
    frame = {"image_id": list("xyz"), "width_px": 60, "height_px": 40, "pixel_mm": 0.2}
    return pd.DataFrame(known | frame | {"grey_mean": 50.0, "grey_sd": 9.0} | more)


def test_splits_in_order_and_unknown_patients_as_a_dash():
    table = images.split_table(per_image(split=["test", "external", "train"]))
    assert table["split"].tolist() == ["train", "test", "external"]
    unknown = images.split_table(per_image(patient_id=None))
    assert unknown["patients"].isna().all()


@pytest.mark.parametrize(
    "more", [{}, {"patient_id": None, "device": None, "pixel_mm": np.nan}], ids=["known", "unknown"]
)
def test_fingerprint_is_drawn_of_whatever_is_known(more):
    colours = [SimpleNamespace(name=n, colour="#0072b2") for n in ("nerve", "bone")]
    found = classes(nerve=(0.1, 0.2), bone=(0.0, 0.0))  # a class that is nowhere
    fig = sheets.fingerprint(per_image(**more), found, SimpleNamespace(foreground=colours))
    assert [t.get_text() for t in fig.axes[3].get_xticklabels()] == ["nerve", "bone"]


def pairs(counts):
    columns = ["bits", "image_id", "other", "split", "other_split", "counts"]
    rows = [(3, "i0", "i1", "train", "test", counts), (5, "i2", "i3", "train", "train", False)]
    return pd.DataFrame(rows, columns=columns)


def test_near_duplicates_in_words():
    index = pd.DataFrame({"split": ["train", "test", "test"], "patient_id": [None] * 3})
    text = images.near_in_words(pairs(True), index)
    assert text.startswith("1 pair across splits, 1 within one. **1 of 2 test images**")
    assert "lower bound for shared patients" in text
    assert len(images.closest(images.across(pairs(True)))) == 1
    with pytest.raises(NotComputable, match="No pair lies across a split"):
        images.across(pairs(False))


def agreement(**dice):
    rows = [
        {"kind": kind, "comparison": f"{kind} {k}", "class": c, "Dice": d, "hd95_mm": np.nan}
        for k, kind in enumerate(["between raters", "rater to reference", "rater to reference"])
        for c, d in dice.items()
    ]
    return pd.DataFrame(rows).assign(Dice_low=np.nan, Dice_high=np.nan)


def study(synthetic=False):
    names = [SimpleNamespace(name=n, title=n) for n in ("nerve", "bone")]
    return SimpleNamespace(foreground=names, synthetic=synthetic)


def test_agreement_in_words_says_what_nobody_drew_and_who_the_raters_are():
    table = agreement(nerve=0.8, bone=np.nan)
    text = images.agreement_in_words(table, study())
    assert text.startswith("Any two of the 2 raters agree with a mean Dice of: nerve 0.800.")
    assert "Drawn by nobody: bone." in text
    assert "simulated raters" in images.agreement_in_words(table, study(synthetic=True))
    with pytest.raises(NotComputable, match="No two people drew any structure"):
        images.agreement_in_words(agreement(nerve=np.nan, bone=np.nan), study())
    assert images.agreement_columns(table)[2] == "Dice" and "hd95_px" in images.agreement_columns(
        table
    )


def test_contact_sheet_of_one_image():
    index = pd.DataFrame({"image_id": ["a"], "patient_id": [None]})
    arrays = Arrays(np.zeros((1, 8, 8), np.uint8), np.zeros((1, 8, 8), np.uint8), index)
    one = [SimpleNamespace(index=1, name="nerve", colour="#0072b2")]
    chosen = sheets.choose(index, 12)
    assert chosen == [0]
    assert sheets.sheet(arrays, SimpleNamespace(foreground=one), chosen).axes
