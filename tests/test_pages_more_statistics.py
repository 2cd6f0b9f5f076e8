"""Page 13: its sentences and layouts of small frames."""

import pandas as pd
import pytest
import stats_data

from helpers import stats, studies
from helpers.errors import NotComputable
from helpers.pages import more_statistics as more

pytestmark = pytest.mark.slow

MODELS = {"qvum": 0.0, "unet": 0.3, "vistr": 3.0}


@pytest.fixture(scope="module")
def rows():
    return stats_data.per_image(8, 4, models=MODELS, seed=3)


def test_a_wild_network_is_named():
    calm = pd.DataFrame({"unet": [0.1, 0.2, 0.3], "vistr": [0.1, 0.2, 0.3]})
    wild = calm.assign(vistr=calm["vistr"] * 3)
    assert more.spread(calm, "patient") == ""
    assert "VisTR vary 3.0 times as much between patients as those from U-Net" in more.spread(
        wild, "patient"
    )


def test_omnibus_and_pairs_side_by_side(rows):
    table = more.three_networks(stats.by_model(rows, "Dice", "QLM"))
    anova, ranks = stats.rm_table(table), stats.friedman(table)
    both = more.omnibus(anova, ranks)
    assert both["p"].tolist() == [anova["p_gg"], ranks["p"].iloc[0]]
    by_rank = [stats.pairs(table, name) for name in ("nemenyi", "conover")]
    pairs = more.all_pairs(stats.pairs(table), *by_rank)
    assert pairs["P, Nemenyi"].tolist() == by_rank[0]["p_adjusted"].tolist()
    with pytest.raises(NotComputable, match="two networks"):
        more.three_networks(table[["qvum", "unet"]])


def test_the_chance_of_being_first_is_that_of_the_headline():
    ranks = pd.DataFrame({"model": ["qvum", "qvum", "unet"], "p_first": [0.03, 0.8, 0.97]})
    assert more.first_again(ranks, "qvum").startswith(
        "Q-VUM is first in 3 % to 80 % of resampled test sets (lowest and highest of 2 ways"
    )


def test_tables_of_the_paper_keep_their_numbers(rows):
    scores = stats.intervals(rows, more.METRICS, estimands=["pooled", "per_patient"], draws=200)
    table = more.table3(stats.table3(rows, "qvum"), scores)
    assert len(table) == 12 and table["pooled"].notna().all()
    assert (
        (table["pooled_low"] < table["pooled"]) & (table["pooled"] < table["pooled_high"])
    ).all()
    dice = more.dice_by_structure(scores, "patient")
    assert list(dice["network"]) == ["Q-VUM", "U-Net", "VisTR"] and "background" not in dice
    tukey = stats.tukey_models(rows)
    wide = more.tukey_p(tukey)
    assert len(wide) == 3 and len(wide.columns) == 1 + tukey["metric"].nunique()


def test_the_studys_own_design_is_simulated_where_it_is_known(rows):
    icc = stats.icc(rows, "qvum", "Dice", "QLM")
    mean = more.icc_of_differences(icc)
    made = more.designs(rows, mean)
    assert list(made) == ["ICC 0.5", "unequal", "skewed", "this study"]
    assert "this study" not in more.designs(rows, NotComputable("no patients"))
    few = rows[rows["patient_id"].isin(["p00", "p01"])]
    assert "this study" not in more.designs(few, mean)
    with pytest.raises(NotComputable, match="no ICC"):
        more.icc_of_differences(icc[icc["what"] == "score"])
    alarms = more.simulated(lambda design, runs: pd.DataFrame({"runs": [runs]}), made, 7)
    assert list(alarms["design"]) == list(made) and (alarms["runs"] == 7).all()


def test_false_alarms_in_words():
    rates = {"analysis": "paired t over images", "rate": [0.6, 0.18]}
    alarms = pd.DataFrame(rates | {"design": ["ICC 0.5", "this study"]})
    text = more.false_alarms(alarms, 0.357)
    assert "60 of 100 studies" in text and "(0.36) of this study it is 18 of 100" in text
    assert "this study" not in more.false_alarms(alarms.iloc[:1], NotComputable("none"))
    wide = more.percent(alarms, "analysis", "design")
    assert wide["ICC 0.5"].iloc[0] == pytest.approx(60)


def test_what_cannot_be_said_is_said(rows):
    study = studies.load("phantom", "quick")
    with pytest.raises(NotComputable, match="one random start"):
        more.several_seeds(rows)
    with pytest.raises(NotComputable, match="Patients are not known"):
        more.patients(rows.assign(patient_id=""))
    with pytest.raises(NotComputable, match="no subgroups"):
        more.groups(study, rows.assign(patient_id=""))
    with pytest.raises(NotComputable, match="changes nothing"):
        more.where_empty(pd.DataFrame({"absent_both": [0, 0]}))


def test_every_network_and_structure_is_told_by_subgroup(rows):
    """The headline network's own rows are those of ``stats.subgroups``; a structure without a score
    is left out.
    """
    ids = sorted(set(rows["patient_id"]))
    people = pd.DataFrame({"patient_id": ids, "device": ["a", "b"] * (len(ids) // 2)})
    groups = stats.memberships(people)
    found = more.subgroups(rows, groups, "qvum", "Dice", "QLM")
    structures = set(rows["class"]) - {"background"}
    assert set(zip(found["model"], found["class"], strict=True)) == {
        *((m, "QLM") for m in MODELS),
        *(("qvum", c) for c in structures),
    }
    own = stats.subgroups(rows, groups, "qvum", "Dice", "QLM")
    pd.testing.assert_frame_equal(found.head(2), own)
    none = rows.copy()
    none.loc[none["class"] != "QLM", ["tp", "fp", "fn"]] = 0
    assert set(more.subgroups(none, groups, "qvum", "Dice", "QLM")["class"]) == {"QLM"}
