"""Page 11: its sentences of small frames."""

import pandas as pd
import pytest
import stats_data

from helpers import metrics, studies
from helpers.analyses import ablation as trainings
from helpers.pages import ablation as page

pytestmark = pytest.mark.slow


def effects(**changed):
    row = {"choice": "class_weights", "with": "a", "without": "b", "metric": "Dice", "class": "QLM"}
    numbers = {"difference": 0.05, "low": 0.01, "high": 0.09, "p": 0.01, "p_adjusted": 0.02}
    return pd.DataFrame([row | numbers | changed])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "*class weights* **helps**: Dice of QLM +0.050 (+0.010 to +0.090, P = 0.020)"),
        ({"difference": -0.05}, "**does harm**: Dice of QLM −0.050"),
        ({"p_adjusted": 0.3}, "is not shown to make a difference"),
        ({"p_adjusted": float("nan"), "low": float("nan")}, "is not tested"),
    ],
)
def test_what_a_choice_brings(changed, said):
    text = page.answer(effects(**changed), [11])
    assert said in text and "One random start" in text and "nan" not in text
    assert "Seed 11; the others" in page.answer(effects(), [11, 12])


def test_the_training_that_is_taken_apart():
    study = studies.load("phantom", "quick")
    fastest = study.spec["cross_validation"]["models"][0]
    assert page.settings(study)["name"] == fastest
    assert page.settings(study, "qvum", 2)["epochs"] == 2
    other = page.settings(study, "dmrnet_r")
    assert other["name"] == "dmrnet_r" and other["encoder_weights"] == "none"
    _, pairs, _ = trainings.variants(page.settings(study), ["class_weights"])
    plan = page.plan(pairs)
    assert plan["choice"].tolist() == ["class weights"]
    assert "weighted in the loss" in plan["what it is"].iloc[0]
    note = page.plan_note(page.settings(study, "qvum"), ["augmentation: this training has none"])
    assert note.startswith("Q-VUM, epochs: ") and "Left out: augmentation: this" in note
    assert page.chosen({"a": True, "b": False}) == ["a"]


def test_every_variant_pooled():
    rows = stats_data.per_image(3, 2, models={"as_declared": 0.0, "without_dice": 0.4})
    table = page.variants(rows, "QLM").set_index("variant")
    own = rows[(rows["class"] == "QLM") & (rows["model"] == "without_dice")]
    expected = metrics.pooled(own, ["model"])["Dice"].iloc[0]
    assert table.loc["without dice", "Dice"] == pytest.approx(expected)
    assert {"mIoU", "accuracy", "precision", "recall", "IoU"} <= set(table)
