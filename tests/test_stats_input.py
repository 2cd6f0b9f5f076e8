"""Bad results are refused in a sentence, and the order of rows changes nothing."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import stats_data
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import stats
from helpers.errors import NotComputable, StudyError

SETTINGS = {
    "metric": "Dice",
    "class": "QLM",
    "test": "patient_t",
    "interval": "bootstrap_t",
    "margin": 0.02,
    "draws": 200,
    "seed": 1,
    "multiplicity": "holm",
}


@pytest.fixture
def rows():
    return stats_data.per_image(patients=8, mean_images=4, models={"qvum": 0.0, "unet": 0.3})


def refuse(frame, *matches):
    with pytest.raises(StudyError) as error:
        stats.check(frame)
    for match in matches:
        assert match in str(error.value)


def test_good_results_pass_and_come_back_in_one_order(rows):
    shuffled = rows.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(stats.check(shuffled), stats.check(rows))


def test_a_network_missing_on_some_images(rows):
    lost = (rows["model"] == "unet") & (rows["image_id"].isin(["i0001", "i0003"]))
    refuse(
        rows[~lost], "model unet has no result for 2 of", "test images of fold main", "i0001, i0003"
    )


def test_a_duplicated_row(rows):
    refuse(pd.concat([rows, rows.iloc[[5]]]), "given more than once", str(rows["image_id"].iloc[5]))


@pytest.mark.parametrize("value", [-1, 2.5, np.nan, np.inf])
def test_negative_broken_or_absent_counts(rows, value):
    broken = rows.astype({"tp": float})
    broken.loc[3, "tp"] = value
    refuse(broken, "must be whole numbers of at least 0; 1 row(s) are not, line 5")


def test_text_in_a_count(rows):
    refuse(
        rows.astype({"tp": object}).replace({"tp": {rows["tp"].iloc[0]: "many"}}),
        "must be whole numbers",
    )


def test_counts_that_are_not_the_images_pixels(rows):
    rows.loc[7, "tn"] += 10
    refuse(
        rows,
        f"image {rows['image_id'].iloc[7]}: tp + fp + fn + tn is 4096 in one row and 4106 in"
        " another",
    )


def test_one_reference_for_all_predictions(rows):
    """One network's results of two images exchanged: each adds up, and the references differ."""
    exchanged = {"i0001": "i0003", "i0003": "i0001"}
    own = rows["model"] == "unet"
    rows.loc[own, "image_id"] = rows.loc[own, "image_id"].replace(exchanged)
    refuse(rows, "image i0001: ", "and one reference for all predictions")


def test_what_one_class_has_too_much_the_others_lack(rows):
    """Of two classes the one's false positives are the other's false negatives: 5 and 4."""
    nerve, ground = rows.iloc[:1].assign(**{"class": "nerve"}), rows.iloc[:1]
    nerve = nerve.assign(tp=10, fp=5, fn=2, tn=83)
    ground = ground.assign(**{"class": "background"}, tp=83, fp=2, fn=5, tn=10)
    assert len(stats.check(pd.concat([nerve, ground]))) == 2
    ground = ground.assign(tp=84, fp=1, fn=4, tn=11)
    refuse(pd.concat([nerve, ground]), "nerve has 5 false positives, more than the other classes")


def test_classes_that_do_not_cover_the_image(rows):
    refuse(rows[rows["class"] != "bone"], "every class, background included, needs a row")


def test_a_patient_in_two_splits(rows):
    rows.loc[rows["image_id"] == "i0000", "split"] = "train"
    refuse(rows, f"patient {rows['patient_id'].iloc[0]} is in the splits test, train of fold main")


def test_a_split_by_image_shares_patients_on_purpose_but_never_an_image(rows):
    first = rows["image_id"] == "i0000"
    rows.loc[first, "split"] = "train"
    assert len(stats.check(rows, unit="image")) == len(rows)
    with pytest.raises(
        StudyError, match="image i0000 is in the splits train, test of fold main"
    ) as error:
        stats.check(pd.concat([rows, rows[first].assign(split="test", seed=1)]), unit="image")
    assert "patient" not in str(error.value)


def test_patients_known_for_some_images_only(rows):
    rows.loc[rows["image_id"] == "i0002", "patient_id"] = ""
    refuse(rows, "patient_id is empty for 1 images (i0002) but filled for others")


def test_missing_column_and_empty_table(rows):
    refuse(rows.drop(columns=["fn", "fold"]), "column(s) fold, fn missing; it has study, model")
    refuse(rows.iloc[:0], "no rows")


def test_several_problems_are_reported_together(rows):
    rows.loc[[7, 27], "tn"] += 10
    with pytest.raises(StudyError) as error:
        stats.check(rows)
    assert len(str(error.value).splitlines()) == 2


def test_reading_the_results_of_a_study_by_its_split(rows, tmp_path):
    study = SimpleNamespace(run=tmp_path, split={"policy": "given"})
    with pytest.raises(StudyError, match="no such file"):
        stats.read(study)
    (tmp_path / "results").mkdir()
    rows.loc[rows["image_id"] == "i0000", "split"] = "train"
    rows.assign(patient_id="007", image_id=rows["image_id"].str.replace("i", "")).to_csv(
        tmp_path / "results" / "per_image.csv", index=False
    )
    with pytest.raises(StudyError, match="patient 007 is in the splits test, train"):
        stats.read(study)
    study.split["unit"] = "image"
    back = stats.read(study)
    assert back["patient_id"].iloc[0] == "007"  # ids are text: leading zeros stay
    assert "0000" in set(back["image_id"])


def test_select_and_folds_name_what_exists(rows):
    with pytest.raises(
        StudyError, match=r"split 'val' of fold 'main'; there are folds main and splits test$"
    ):
        stats.select(rows, "val")
    with pytest.raises(StudyError, match="no results for model resnet; there are qvum, unet"):
        stats.select(rows, models=["resnet"])
    assert stats.folds(rows).empty
    many = pd.concat(
        [
            rows.assign(fold=f, split=s)
            for f, s in [("cv10", "val"), ("cv2", "test"), ("cv2", "val")]
        ]
    )
    assert list(stats.folds(many)["fold"].unique()) == ["cv2", "cv10"]
    assert list(stats.folds(many)["split"].unique()) == ["test", "val"]


def test_comparisons_name_what_is_missing(rows):
    v = stats.values(rows, "Dice", "QLM")
    with pytest.raises(
        StudyError, match="no results for the headline model 'vistr'; there are qvum, unet"
    ):
        stats.paired_t(v, "vistr")
    with pytest.raises(StudyError, match="a comparison needs at least two models"):
        stats.paired_t(v[v["model"] == "qvum"], "qvum")
    with pytest.raises(
        StudyError,
        match="class 'liver' is not in the results; there are EIT, QLM, background, bone",
    ):
        stats.values(rows, "Dice", "liver")
    with pytest.raises(StudyError, match=r"statistics.test 'vibes' is unknown"):
        stats.declared(rows, "qvum", SETTINGS | {"test": "vibes"})
    with pytest.raises(StudyError, match="margin must be above 0"):
        stats.equivalence(v, "qvum", 0)


def test_two_classes_have_no_structures_to_compare():
    f = stats_data.per_image(
        patients=6, shares={"nerve": 0.1}, models={"qvum": 0.0, "unet": 0.1}, known=False
    )
    stats.check(f)
    with pytest.raises(NotComputable, match="needs two; the results have nerve"):
        stats.anova_classes(f, "qvum")
    assert set(stats.intervals(f, ["Dice"], draws=200)["class"]) == {"all", "background", "nerve"}
    assert "each image counts as independent" in stats.caveat(stats.default_unit(f))


def everything(frame):
    """Every table of the comparison page, as one list of frames."""
    v = stats.values(frame, "Dice", "QLM")
    return [
        stats.compare(frame, "qvum", SETTINGS),
        stats.claims(frame, "qvum", SETTINGS),
        stats.table3(frame, "qvum"),
        stats.tukey_classes(frame, "qvum", ["TPR"]),
        stats.intervals(frame, ["IoU", "Dice"], draws=200),
        stats.ranking(frame, ["Dice"], ["QLM", "all"], draws=100),
        stats.icc(frame, "qvum", "Dice", "QLM"),
        stats.effect_sizes(v, "qvum", draws=100),
        stats.equivalence(v, "qvum", 0.02),
        stats.bland_altman(stats.areas(frame, "QLM")),
        stats.empty_policies(frame, "Dice", "QLM"),
        stats.failures(frame, "Dice", "QLM"),
        stats.pairs(stats.by_model(frame, "Dice", "QLM")),
    ]


@pytest.fixture(scope="module")
def in_order():
    """Results in order, and every table of them."""
    models = {"qvum": 0.0, "unet": 0.3, "vistr": 0.1}
    frame = stats_data.per_image(patients=7, mean_images=3, models=models, empty=0.1)
    return frame, everything(frame)


@pytest.mark.slow
@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_rows_changes_nothing(in_order, seed):
    frame, tables = in_order
    order = np.random.default_rng(seed).permutation(len(frame))
    shuffled = frame.iloc[order].reset_index(drop=True)
    for one, two in zip(tables, everything(shuffled), strict=True):
        pd.testing.assert_frame_equal(one, two, rtol=1e-12, atol=1e-14)
