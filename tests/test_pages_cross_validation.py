"""Page 8: its sentences of small frames."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import stats_data

from helpers import stats, studies
from helpers.errors import NotComputable
from helpers.pages import cross_validation as page
from helpers.pages import summary


@pytest.fixture(scope="module")
def study():
    return studies.load("phantom", "quick")


def results(known=True):
    """A study's own split and three folds of one network."""
    own = stats_data.per_image(5, 2, models={"qvum": 0.0, "unet": 0.2}, known=known)
    parts = [own]
    for k in (1, 2, 10):
        fold = stats_data.per_image(5, 2, models={"unet": 0.2}, seed=k, known=known)
        new = fold.assign(fold=f"cv{k}", image_id=fold["image_id"] + f"_{k}")
        if known:
            new = new.assign(patient_id=fold["patient_id"] + f"_{k}")
        parts.append(new)
    return pd.concat(parts, ignore_index=True)


def huang(values, own):
    names = [f"fold {k + 1}" for k in range(len(values))]
    per_fold = pd.DataFrame({"model": "unet", "fold": names, "shown": 5, "pooled_IoU": values})
    return per_fold, pd.DataFrame({"model": ["unet"], "shown": [5], "pooled_IoU": [own]})


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (0.55, "No.** On the quadratus lumborum muscle (QLM), U-Net reaches a pooled IoU of 0.550"),
        (0.7, "It may be.**"),
        (0.4, "No, rather an unlucky one.**"),
        (np.nan, "It cannot be said of U-Net**"),
    ],
)
def test_was_the_split_a_lucky_one(study, own, said):
    folds = page.held_out(results())
    text = page.answer(study, folds, *huang([0.5, 0.6, np.nan], own))
    assert said in text and "nan" not in text
    assert "Q-VUM itself was not cross-validated" in text
    if own == own:
        assert "in 2 folds 0.500 to 0.600" in text


def test_a_fold_of_the_test_images_says_nothing_about_luck(study):
    """It made a lucky test set lie "within the range of the folds"."""
    rows = results()
    twin = rows[(rows["fold"] == "main") & (rows["model"] == "unet")].assign(fold="cv3")
    folds = page.held_out(pd.concat([rows, twin]))
    assert list(dict.fromkeys(folds["fold"]))[2] == f"fold 3{page.TWIN}"
    per_fold, own = huang([0.5, 0.6, 0.7], 0.7)
    per_fold["fold"] = per_fold["fold"].replace("fold 3", f"fold 3{page.TWIN}")
    text = page.answer(study, folds, per_fold, own)
    assert "It may be.**" in text and "in 2 folds 0.500 to 0.600" in text
    assert "Left out: fold 3 (= test set), the very same images." in text
    both = page.both(per_fold, own)
    assert "above all 2 folds" in summary.worries(study, summary_rows(), {"folds": both})
    assert len(page.others(both)) == 2


def summary_rows():
    """No structures: what the front page says of them is not asked here."""
    columns = ["title", "below", "scored", "shown"]
    return pd.DataFrame(columns=columns)


def test_a_split_that_shares_patients_is_no_luck(study):
    shared = dataclasses.replace(study, split=study.split | {"unit": "image"})
    folds = page.held_out(results())
    assert page.once(folds) and not page.once(page.held_out(results(known=False)))
    text = page.answer(shared, folds, *huang([0.5, 0.6], 0.7))
    assert "Yes, it shares patients" in text and "folds keep each patient together" in text


def test_folds_are_in_order_and_each_network_by_itself():
    folds = page.held_out(results())
    assert list(dict.fromkeys(folds["fold"])) == ["fold 1", "fold 2", "fold 10"]
    both = pd.concat([folds, folds.assign(model="vistr")])
    out = page.by_network(both, stats.huang, "QLM")
    assert list(out["model"]) == ["unet"] * 3 + ["vistr"] * 3
    alone = stats.huang(folds, "QLM")
    pd.testing.assert_frame_equal(out.iloc[:3], alone, check_like=True)
    scores = page.scores(folds, "Dice", "QLM")
    assert len(scores) == folds["image_id"].nunique()


def test_what_is_not_there_is_said(study):
    rows = results()
    with pytest.raises(NotComputable, match="No cross-validation has been run"):
        page.held_out(rows[rows["fold"] == "main"])
    with pytest.raises(NotComputable, match="No images from another hospital"):
        page.external(rows)
    folds = page.held_out(rows)
    with pytest.raises(NotComputable, match="not trained on the study's own split"):
        page.own_split(rows[~((rows["fold"] == "main") & (rows["model"] == "unet"))], folds)
    reason = NotComputable("none")
    assert page.caveat(study, rows, reason).startswith("The patient is the unit")


def test_images_from_elsewhere(study):
    rows = results()
    other = rows[rows["fold"] == "main"].assign(split="external")
    other["image_id"] += "_e"
    found = page.external(pd.concat([rows, other]))
    assert set(found["split"]) == {"test", "external"} and set(found["fold"]) == {"main"}
    assert set(page.external_target(found, "QLM")["split"]) == {"external"}
