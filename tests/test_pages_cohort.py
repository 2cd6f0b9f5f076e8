"""Page 1 as functions of small tables: patients known and not, shared, few, without traits."""

import numpy as np
import pandas as pd
import pytest

from helpers import pages, stats
from helpers.errors import NotComputable
from helpers.pages import Page, cohort


def images(splits="train train val test test", patients="a b c d e"):
    frame = pd.DataFrame({"split": splits.split(), "patient_id": patients.split()})
    return frame.assign(image_id=[f"i{k}" for k in frame.index])


def people(**columns):
    given = {"age_years": [50.0, 60, 40, 55, 65], "sex": ["male", "female"] * 2 + ["male"]}
    return pd.DataFrame({"patient_id": list("abcde")} | given | columns)


def test_in_words():
    flow = stats.flow(images(), people(excluded=[None] * 5))
    text = cohort.in_words(flow, images(), "A note. ")
    assert text.startswith("**5 patients** with 5 images were studied: 2 to learn from, 1 to tune")
    assert "No patient is in two of these groups." in text and text.endswith("*A note.*")


def test_patients_that_are_known_by_name_only():
    """ids in images.csv but no patients.csv: they are counted, not called unknown."""
    assert "**5 patients** with 5 images" in cohort.in_words(stats.flow(images(), None), images())


@pytest.mark.parametrize("reasons", [{}, {"excluded": ["declined", None, None, None, None]}])
def test_a_person_without_images_is_counted_where_the_others_are(reasons):
    """What was assessed is what was left out and what was studied."""
    frame = images("train val test", "b c d")
    flow = stats.flow(frame, people(**reasons))
    counts = flow.groupby("stage")["patients"].sum()
    assert counts["assessed"] == 5 == counts["excluded"] + counts["included"]
    missing = flow.loc[flow["reason"] == "no image in this run", "patients"]
    assert missing.tolist() == [1 if reasons else 2]
    assert "2 people were assessed but left out" in cohort.in_words(flow, frame)


def test_unknown_patients():
    frame = images().assign(patient_id=np.nan)
    text = cohort.in_words(stats.flow(frame, None), frame)
    assert text.startswith("**5 images** were studied, 2 of them to test.")
    assert "nobody can say how many patients" in text and "No patient is" not in text


def test_one_patient_in_all_and_one_in_two_splits():
    frame = images(patients="a a a a a")
    text = cohort.in_words(stats.flow(frame, None), frame)
    assert text.startswith("**1 patient** with 5 images") and "**1 of them are in more than" in text


@pytest.mark.parametrize(
    ("patients", "message"),
    [
        (None, "came without any information on patients"),
        (people(patient_id=list("vwxyz")), "describes none of the patients"),
        (people()[["patient_id"]], "none of age, height, weight, BMI and sex"),
        (people().iloc[2:], "nobody of the training group"),
    ],
)
def test_no_table_1_says_why(patients, message):
    with pytest.raises(NotComputable, match=message):
        cohort.summary(cohort.groups(patients, images()))


def test_table_1_of_what_is_known():
    given = {"policy": "given", "unit": "patient"}
    described = cohort.summary(cohort.groups(people(), images()))
    table = cohort.table1(described, images())
    assert "missing" not in table and any(c.startswith("P,") for c in table)
    assert "were given, not drawn" in cohort.table1_note(described, images(), given)
    drawn = cohort.table1_note(described, images(), {"policy": "patient k-fold"})
    assert "drawn at random" in drawn
    with pytest.raises(NotComputable, match="No value of Table 1 is missing"):
        cohort.missing(described)
    lacking = cohort.summary(cohort.groups(people(sex=["male", None] * 2 + ["male"]), images()))
    assert "missing" in cohort.table1(lacking, images()) and len(cohort.missing(lacking)) == 8


def test_groups_that_share_patients_get_no_p():
    both = images(patients="a b c a e")
    described = cohort.summary(cohort.groups(people(), both))
    assert not any(c.startswith("P,") for c in cohort.table1(described, both))
    note = cohort.table1_note(described, both, {"policy": "given"})
    assert note == "No P values: groups that share patients cannot be tested."


def test_the_largest_difference_and_none():
    described = cohort.summary(cohort.groups(people(), images()))
    balance = stats.table1_tests(described, "training")
    assert cohort.largest(balance).startswith("The largest difference is in **")
    with pytest.raises(NotComputable, match="too few patients"):
        cohort.largest(balance.assign(smd=np.nan))


def test_devices():
    assert cohort.devices(images())["device"].tolist() == ["not recorded"]
    named = images().assign(device=["x", "x", "x", "y", None])
    assert cohort.devices(named)["images"].tolist() == [3, 1, 1]


def test_a_page_gives_a_reason_once(monkeypatch):
    shown = []
    monkeypatch.setattr(pages, "display", shown.append)
    page = Page("phantom", "quick")
    why, other = NotComputable("No patients."), NotComputable("No pixels")
    page.table("table1", why)
    page.table("balance", why)
    page.say(str, why)
    page.figure("figure", len, other)
    assert [text.data for text in shown] == ["*No patients.*", "*No pixels.*"]
