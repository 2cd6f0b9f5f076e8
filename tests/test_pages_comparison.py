"""Page 5: its sentences and tables, of small frames."""

import numpy as np
import pandas as pd
import pytest
import stats_data

from helpers import stats, studies
from helpers.errors import NotComputable
from helpers.figures.tables import p_text
from helpers.pages import comparison

pytestmark = pytest.mark.slow

SETTINGS = studies.load("phantom", "quick").statistics | {"draws": 200}
EQUAL = {"qvum": 0.0, "unet": 0.4, "vistr": 2.0}


def same_size(rows, images=4):
    """The first images of every patient, as many of each."""
    kept = rows[["patient_id", "image_id"]].drop_duplicates().groupby("patient_id").head(images)
    return rows[rows["image_id"].isin(kept["image_id"])]


@pytest.fixture(scope="module")
def rows():
    return stats_data.per_image(10, 12, models=EQUAL, seed=2)


def test_tests_that_are_one_number_by_algebra_stand_in_one_row(rows):
    equal = comparison.others(stats.compare(same_size(rows), "qvum", SETTINGS))
    names = list(dict.fromkeys(equal["test"]))
    assert "mixed model on differences = cluster-robust t (CR1)" in names
    apart = comparison.others(stats.compare(rows, "qvum", SETTINGS))
    assert {"mixed model on differences", "cluster-robust t (CR1)"} <= set(apart["test"])
    assert not apart["test"].str.contains("=").any(), "the smallest P of two tests is no algebra"
    assert not equal.duplicated(["test", "unit", "model"]).any()


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.0003, 0.0117, "+0.0060 (95 % interval +0.0003 to +0.0117"),
        (-0.00002, 0.012, "+0.00599 (95 % interval −0.00002 to +0.01200"),
        (0.0, 0.012, "+0.006 (95 % interval +0.000 to +0.012"),
        (0.001, 0.011, "+0.006 (95 % interval +0.001 to +0.011"),
        (-1e-12, 0.012, "+0.006 (95 % interval +0.000 to +0.012"),
    ],
)
def test_a_limit_beside_0_says_on_which_side(low, high, said):
    row = {"difference": (low + high) / 2, "low": low, "high": high, "why": ""}
    assert f"difference {said}" in comparison.size(row | {"p_adjusted": 0.04}, 1)


def test_another_interval_beside_0_says_on_which_side():
    row = {"instead": "t", "coverage": 0.92, "instead_low": -0.0002, "instead_high": 0.01}
    assert comparison.beside(row).endswith("(t) gives −0.0002 to +0.010")


def test_raw_and_adjusted_p_stand_side_by_side(rows):
    tests = stats.declared(rows, "qvum", SETTINGS)
    shown = comparison.table(tests)
    assert {"verdict", "p", "p_adjusted", "low", "high"} <= set(shown)
    assert "Holm" in comparison.table_note(tests, SETTINGS)
    assert (shown["p"] <= shown["p_adjusted"]).all()


def _tests(**verdicts):
    p = {"better": 0.01, "not shown to differ": 0.4, "not tested": float("nan")}
    return pd.DataFrame(
        [
            {"model": m, "verdict": v, "difference": 0.1, "p_adjusted": p[v]}
            for m, v in verdicts.items()
        ]
    )


def test_p_of_every_test_is_one_row_beside_what_it_is_adjusted_to():
    rows = [
        ("t", "patient", "unet", 0.0104, 0.0208),
        ("t", "patient", "vistr", 0.00001, 0.00002),
        ("bootstrap", "patient", "unet", np.nan, np.nan),
    ]
    others = pd.DataFrame(rows, columns=["test", "unit", "model", "p", "p_adjusted"])
    table = comparison.by_test(others)
    assert list(table) == ["test", "unit", "U-Net", "VisTR"]
    assert table.to_numpy().tolist() == [["t", "patient", "0.010 (0.021)", "< 0.001"]]
    assert comparison.by_test(others[others["test"] == "bootstrap"]) is None


def _others(model, p, test="sign-flip", difference=0.1):
    row = {"test": test, "unit": "patient", "model": model, "difference": difference}
    return pd.DataFrame([row | {"p": p, "p_adjusted": p}])


def test_another_answer_of_another_test_is_named():
    declared = _tests(unet="better")
    assert comparison.agreement(declared, _others("unet", 0.02)).startswith("All other tests agree")
    said = comparison.agreement(declared, _others("unet", 0.2))
    assert said == (
        "Another test would have given another answer against: U-Net (sign-flip over patients)."
    )
    other_way = comparison.agreement(declared, _others("unet", 0.02, difference=-0.1))
    assert "U-Net" in other_way
    assert comparison.agreement(_tests(unet="not tested"), _others("unet", 0.02)) == ""


def test_a_test_that_was_asked_for_by_hand_is_not_called_declared(rows):
    tests = stats.declared(rows, "qvum", SETTINGS)
    assert "by the test that study.yml declares" in comparison.answer(tests, SETTINGS)
    trial = comparison.answer(tests, SETTINGS, {"test": "sign_flip"})
    assert "by the test asked for in this trial" in trial and "declares" not in trial


def test_findings_in_one_phrase():
    tests = _tests(
        unet="better", vistr="better", unetpp="not shown to differ", bpsegsys_r="not tested"
    )
    assert comparison.finding(tests) == (
        "better than U-Net and VisTR; not shown to differ from U-Net++;"
        " not tested against BPSegSys-R"
    )
    assert comparison.listed(["a", "b", "c"]) == "a, b and c" and comparison.listed(["a"]) == "a"


def test_all_claims_are_counted():
    verdicts = ["holds"] * 3 + ["reversed", "does not survive"]
    claims = pd.DataFrame({"verdict": verdicts, "claim": ["structures differ"] + ["better"] * 4})
    assert comparison.counted(claims) == (
        "Claims of the paper's kind, tested on these results: **3 of 5 hold, counted by patient"
        " too (1 about structures); 1 reversed (the other network is ahead, by patient too); 1 only"
        " over images, and perhaps chance over patients**."
    )
    assert sum(int(part.split()[0]) for part in _counts(comparison.counted(claims))) == 5


def _counts(text):
    return text.split("**")[1].split("; ")


def test_every_verdict_of_a_claim_can_be_counted():
    assert set(comparison.CLAIMS) == set(stats.as_claimed.SENTENCES)


@pytest.mark.parametrize(
    ("p", "said"), [((0.01, 0.2), "from U-Net."), ((0.2, 0.2), "Against no network")]
)
def test_what_is_surely_within_the_margin_is_named(p, said):
    found = pd.DataFrame({"model": ["unet", "vistr"], "p_equivalent": p})
    text = comparison.equivalent(found, 0.02, "Dice")
    assert said.rstrip(".") in text and "0.02 Dice" in text


def test_what_cannot_be_said_is_said(rows):
    one = rows[rows["model"] == "qvum"]
    with pytest.raises(NotComputable, match="Only Q-VUM has results"):
        comparison.several(one, "qvum", SETTINGS)
    nowhere = rows.assign(tp=0, fn=0, fp=0)
    with pytest.raises(NotComputable, match="No image has a Dice of QLM for every network"):
        comparison.several(nowhere, "qvum", SETTINGS)
    with pytest.raises(NotComputable, match="at least 5"):
        comparison.enough(pd.DataFrame({"qvum": [0.1]}), "patient")
    with pytest.raises(NotComputable, match="not known"):
        comparison.by_patient(rows.assign(patient_id=""))
    with pytest.raises(NotComputable, match="none to draw"):
        comparison.drawn(pd.DataFrame({"low": [float("nan")]}))


def test_a_test_over_images_is_warned_of_where_patients_are_known():
    over_images = pd.DataFrame({"unit": ["image"]})
    assert "which they are not" in comparison.counted_by(over_images, "patient")
    assert comparison.counted_by(over_images, "image") == ""


def test_a_p_that_decides_is_printed_with_the_digits_that_decide():
    row = {"p_adjusted": 0.04996}
    assert comparison.p_value(row, 1) == "P = 0.04996"
    for p, text in {0.0494: "0.049", 0.0496: "0.0496", 0.05: "0.050", 0.0504: "0.050"}.items():
        assert p_text(p) == text
    assert p_text(0.0004) == "< 0.001" and p_text(float("nan")) == "–"


def test_how_many_seeds_were_run_stands_with_the_comparison():
    rows = pd.DataFrame({"model": ["a", "a", "b"], "seed": [1, 2, 1]})
    assert "**One seed of b was run** (one random start), 2 of the others" in comparison.luck(rows)
    assert "**One seed was run**" in comparison.luck(rows[rows["seed"] == 1])
    both = pd.DataFrame({"model": list("aaabbb"), "seed": [1, 2, 3] * 2})
    assert "from 3 random starts (seeds)" in comparison.luck(both)
    assert "from 2 or 3 random starts" in comparison.luck(both.iloc[:5])
