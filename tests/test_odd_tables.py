"""What is said of odd tables of results: few patients, networks that are alike, perfect or empty;
the right number, or the right reason why there is none.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from helpers import stats
from helpers.analyses import outlines, raters
from helpers.errors import NotComputable
from helpers.figures import tables
from helpers.pages import cases, comparison, more_statistics, segmentation

SETTINGS = {"metric": "Dice", "class": "nerve", "test": "patient_t", "interval": "bootstrap_t"}
SETTINGS |= {"draws": 200, "seed": 1, "multiplicity": "holm"}


def results(seeds=(1,), **dice):
    """network → Dice of each patient, to the hundredth; an image each, 100 pixels of nerve."""
    rows = []
    for model, scores in dice.items():
        for k, value in enumerate(scores):
            for seed in seeds:
                wrong = round(100 * (1 - value))
                nerve = (100 - wrong, wrong, wrong, 800 - wrong)
                ground = (800 - wrong, wrong, wrong, 100 - wrong)
                for name, counts in (("nerve", nerve), ("background", ground)):
                    row = {"model": model, "fold": "main", "seed": seed, "split": "test"}
                    row |= {"patient_id": f"p{k}", "image_id": f"i{k}", "class": name}
                    rows.append(row | dict(zip(("tp", "fp", "fn", "tn"), counts, strict=True)))
    return pd.DataFrame(rows)


def values(**dice):
    return stats.values(results(**dice), "Dice", "nerve")


def test_no_interval_of_a_difference_leaves_what_dice_allows():
    """One perfect, one nearly empty but for a patient: mean 0.82, t of 4 degrees reaches 1.3."""
    v = values(qvum=[1, 1, 1, 1, 1], unet=[0, 0, 0, 0.02, 0.88])
    d = np.array([1, 1, 1, 0.98, 0.12])
    plain = scipy_stats.ttest_1samp(d, 0)
    assert plain.confidence_interval().high > 1.2
    row = stats.paired_t(v, "qvum").iloc[0]
    assert row["p"] == pytest.approx(plain.pvalue) and row["high"] == 1
    assert row["low"] == pytest.approx(plain.confidence_interval().low)
    for test in (stats.cluster_robust, stats.mixed_differences, stats.mixed_models):
        assert test(v, "qvum")[["low", "high"]].abs().max(axis=None) <= 1
    assert stats.pairs(stats.wide(v))[["low", "high"]].abs().max(axis=None) <= 1
    distance = v.assign(metric="HD95", value=v["value"] * 40)  # no share: nothing is cut
    assert stats.paired_t(distance, "qvum")["high"].iloc[0] > 40


def test_no_interval_of_a_subgroup_or_of_the_luck_of_training_leaves_it_either():
    rows = results(seeds=(1, 2), qvum=[1, 1, 1, 1, 0.4], unet=[0.1, 0, 0, 0, 0])
    rows.loc[(rows["seed"] == 2) & (rows["model"] == "unet"), ["tp", "fp", "fn"]] = (30, 70, 70)
    groups = pd.DataFrame({"patient_id": [f"p{k}" for k in range(5)], "variable": "sex"})
    groups = groups.assign(group="male")
    found = stats.subgroups(rows, groups, "qvum", "Dice", "nerve").iloc[0]
    assert found["mean"] == pytest.approx(0.88) and found["high"] == 1
    luck = stats.training_luck(rows, "qvum", "Dice", "nerve", draws=100).iloc[0]
    assert -1 <= luck["t_low"] < luck["t_high"] <= 1
    flat = stats.subgroups(results(qvum=[0.9] * 5), groups, "qvum", "Dice", "nerve").iloc[0]
    assert np.isnan(flat["low"]) and flat["note"] == "all alike: no interval"


def test_a_difference_that_is_the_same_for_all_has_no_p_by_rounding():
    """0.3 − 0.2 and 0.8 − 0.7 differ in the 17th digit, which is no variation."""
    table = pd.DataFrame({"a": [0.3, 0.8, 0.5, 0.9, 0.4], "b": [0.2, 0.7, 0.4, 0.8, 0.3]})
    assert np.ptp((table["a"] - table["b"]).to_numpy()) > 0
    row = stats.pairs(table).iloc[0]
    assert row["difference"] == pytest.approx(0.1) and np.isnan(row["p"])


def test_networks_that_are_alike_are_said_to_be_and_no_number_is_none():
    v = values(qvum=[0.8] * 6, unet=[0.8] * 6, vistr=[0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    same = stats.rm_table(stats.wide(v)[["qvum", "unet"]])
    table = more_statistics.omnibus(same, stats.friedman(stats.wide(v)))
    assert table["df"].tolist() == ["", 2] and table["note"].iloc[0] == "no variation: no test"
    spread = more_statistics.spread(stats.differences(v, "qvum"), "patient")
    assert spread.startswith(
        "Differences from VisTR vary between patients, those from U-Net do not"
    )
    with pytest.raises(NotComputable, match="do not vary"):
        stats.normality(values(qvum=[0.8] * 6, unet=[0.7] * 6), "qvum")
    equal = stats.equivalence(values(qvum=[0.8] * 6, unet=[0.8] * 6), "qvum", 0.02)
    with pytest.raises(NotComputable, match="cannot be shown: no variation between the units"):
        comparison.equivalent(equal, 0.02, "Dice")


def test_p_is_adjusted_for_the_comparisons_that_have_one():
    """U-Net differs by the same in every patient, so one comparison of two is tested."""
    rows = results(qvum=[0.9, 0.9, 0.9, 0.9, 0.9], unet=[0.8] * 5, vistr=[0.5, 0.6, 0.55, 0.7, 0.4])
    tests = stats.declared(rows, "qvum", SETTINGS)
    assert comparison.tested(tests) == 1
    assert "one comparison" in comparison.answer(tests, SETTINGS)
    row = tests.set_index("model").loc["vistr"]
    assert row["p_adjusted"] == row["p"]


def test_the_reason_of_a_claim_is_the_true_one():
    few = results(qvum=[0.9, 0.8], unet=[0.5, 0.6])
    flat = results(qvum=[0.9] * 6, unet=[0.5] * 6)
    for rows, why in ((few, "fewer than 5 units"), (flat, "no variation between the units")):
        found = stats.claims(rows, "qvum", SETTINGS)
        assert found["sentence"].str.contains(f"cannot be compared on .*: {why}", regex=True).all()


def test_no_margin_from_people_who_are_alike(monkeypatch):
    study = SimpleNamespace(statistics={"metric": "Dice", "class": "nerve"})
    monkeypatch.setattr(raters, "ceiling", lambda study: {"nerve": 1.0})
    with pytest.raises(NotComputable, match="alike in every image"):
        raters.margin(study)


def test_one_is_not_many():
    assert tables.counted(1, "patient") == "1 patient" and tables.counted(0, "image") == "0 images"
    tests = stats.declared(results(qvum=[0.9], unet=[0.5]), "qvum", SETTINGS)
    said = comparison.answer(tests, SETTINGS)
    assert "on 1 patient by" in said and "1 patient is too few: a test needs at least 5" in said


def test_a_small_area_has_the_digits_that_show_it():
    """Structures of a few square millimetres: 0.39, not 0."""
    row = {"bias": -0.394, "low": -0.46, "high": -0.33, "unit": "mm²", "n_units": 7, "slope": 0}
    text = cases.areas_in_words(pd.DataFrame([row | {"class": "nerve"}]))
    assert text == "- **nerve**: on average 0.39 mm² too small."
    assert [tables.two_digits(x) for x in (116, 11.6, 1.16, 0.394, 0.0021, 0)] == [0, 0, 1, 2, 4, 0]


def test_several_trainings_are_not_several_images():
    rows = results(seeds=(1, 2, 3), qvum=[0.9, 0.8, 0.7, 0.6, 0.5])
    rows = rows.assign(hd95_px=1.0, assd_px=0.5, hd95_mm=0.3, assd_mm=0.15)
    found = outlines.found(rows)
    assert segmentation.found_in_words(found) == (
        "- **nerve**: found in 15 of the 15 outlines of images that show it, missed in none."
    )
    own = rows[rows["class"] == "nerve"]
    assert outlines.distances(own, "mm", 100, 1)[["images", "without_distance"]].iloc[
        0
    ].tolist() == [5, 0]
    assert stats.huang(rows, "nerve", by=["model"])[["n_images", "shown"]].iloc[0].tolist() == [
        5,
        5,
    ]
    believed = outlines.believed(own, {"hd95_mm": own}, 1, 100)
    assert believed["n"].tolist() == [5, 5]


def test_millimetres_hold_where_two_people_never_both_drew():
    """A second reader who drew nothing leaves no distance, and takes nothing from the scale."""
    rows = results(qvum=[0.9, 0.8]).assign(hd95_px=1.0, hd95_mm=0.3)
    nobody = pd.DataFrame({"class": ["nerve"], "hd95_px": [np.nan], "hd95_mm": [np.nan]})
    assert outlines.scale(rows, nobody) == "mm"
    assert outlines.scale(rows, nobody.assign(hd95_px=2.0)) == "px"


def test_a_structure_may_be_called_like_a_word_of_the_tables():
    names = ["model", "low", "high", "p", "n", "estimate"]
    study = SimpleNamespace(classes=[SimpleNamespace(name=c) for c in ("background", *names)])
    matrix = np.diag([90, 4, 3, 2, 1, 5, 6]) + np.eye(7, k=1)
    table = segmentation.by_reference(segmentation.confusion_table(matrix, study))
    shown, _ = tables.readable(table)
    assert shown.columns.tolist() == ["reference", "background", *names]
    assert shown.loc[0, "p"] == "0.000" and shown["reference"].tolist()[1:] == names
    scores = pd.DataFrame({"model": "qvum", "class": names, "metric": "Dice", "estimate": 0.5})
    scores = scores.assign(estimand="per_patient", low=0.4, high=0.6)
    shown, _ = tables.readable(more_statistics.dice_by_structure(scores, "patient"))
    assert shown.columns.tolist() == ["network", *names] and shown.loc[0, "network"] == "Q-VUM"
