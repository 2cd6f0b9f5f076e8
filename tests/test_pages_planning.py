"""Page 10: its sentences of small frames."""

import json

import numpy as np
import pandas as pd
import pytest
import stats_data
from conftest import REPOSITORY
from scipy.stats import t
from statsmodels.stats.proportion import proportion_confint

from helpers import stats
from helpers.errors import NotComputable, StudyError
from helpers.pages import planning
from helpers.pages.planning import Spread
from helpers.stats.design import power


@pytest.fixture(scope="module")
def fitted():
    rows = stats_data.per_image(10, 4, models={"qvum": 0.0, "unet": 0.1, "vistr": 2.0})
    return planning.variation(rows, "qvum", "Dice", "QLM")


def test_the_variation_to_plan_with(fitted):
    close = planning.chosen(fitted)
    assert close.rival == "unet" and close.closest
    row = fitted.set_index("model").loc["vistr"]
    far = planning.chosen(fitted, "vistr")
    assert far == Spread(
        row["between"], row["residual"], "vistr", False, told_apart=True, icc_high=row["icc_high"]
    )
    cautious = far.cautious()
    assert cautious.icc == pytest.approx(row["icc_high"]) and cautious.icc > far.icc
    assert cautious.between + cautious.residual == pytest.approx(far.between + far.residual)
    given = planning.chosen(fitted, sd_between=0.3, sd_within=0.4)
    # field by field: from Python 3.13 on a dataclass with a NaN equals no other
    wanted = vars(Spread(0.09, 0.16))
    assert vars(given) == pytest.approx(wanted, nan_ok=True)
    assert given.icc == pytest.approx(0.36)
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
    ).assign(plan=planning.MEASURED)
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
    needed = planning.needed(spread, [0.02], [1, 5])
    options = {"goal": "non-inferiority", "margin": 0.02}
    not_worse = planning.needed(spread, [0.0], [1, 5], **options)
    both = planning.joined(needed, not_worse)
    wide = planning.needs(both, "patient")
    assert wide.shape == (2, 5) and list(wide["goal"]) == ["difference", "non-inferiority"]
    assert planning.joined(needed, NotComputable("no margin")).equals(needed)
    assert "no margin is known" in planning.needs_note(
        NotComputable("no margin is known"), "Dice", "patient"
    )
    assert planning.needs_note(0.02, "Dice", "patient").startswith("Margin 0.02 Dice. Fewest")
    assert planning.worth(spread, "patient")["measured ICC 0.33"].iloc[-1] == pytest.approx(
        22000 / (1 + 999 / 3)
    )
    assert planning.images_each([1, 5], "patient", spread) == [1, 5]
    assert planning.images_each([1, 5], "image", spread) == [1]
    lost = planning.needs(both.assign(patients=np.nan), "patient")
    assert lost.shape == wide.shape, "what needs too many patients is said, not left out"


def test_the_plan_says_what_the_upper_limit_of_the_icc_would_cost(fitted):
    spread = planning.chosen(fitted)
    needed = planning.needed(spread, [0.02], [1, 29])
    by = needed.set_index(["plan", "images"])["patients"]
    assert by[planning.CAUTIOUS, 1] == by[planning.MEASURED, 1]
    assert by[planning.CAUTIOUS, 29] > by[planning.MEASURED, 29]
    text = planning.answer(needed, spread, "qvum", "Dice of QLM", "patient")
    assert f"but up to {spread.icc_high:.2f} would fit" in text
    assert f"**{by[planning.CAUTIOUS, 29]:.0f} patients** with 29 images each" in text


def test_one_image_a_patient_is_planned_on_the_safe_side():
    """10 patients with 29 images in place of 218 with one, before: the ICC was read as 0."""
    rows = stats_data.per_image(40, 29, models={"qvum": 0.0, "unet": 0.3}, seed=4)
    one = rows[rows["image_id"].isin(rows.drop_duplicates("patient_id")["image_id"])]
    few = one["image_id"].unique()[[0, 9, 19, 29]]
    owners = one.loc[one["image_id"].isin(few), "patient_id"].unique()
    nearly = rows[rows["image_id"].isin(one["image_id"]) | rows["patient_id"].isin(owners)]
    for part in (one, nearly):
        values = stats.values(part, "Dice", "QLM")
        mixed = [f(values, "qvum").iloc[0] for f in (stats.mixed_differences, stats.mixed_models)]
        for fit in mixed:
            assert "cannot be told apart" in fit["note"] and np.isnan(fit["icc"])
            assert 0 < fit["p"] < 1
        spread = planning.chosen(planning.variation(part, "qvum", "Dice", "QLM"))
        assert not spread.told_apart and (spread.icc, spread.residual) == (1, 0)
        assert planning.images_each([1, 5, 29], "patient", spread) == [1]
        needed = planning.needed(spread, [0.02], [1])
        text = planning.answer(needed, spread, "qvum", "Dice", "patient")
        assert "cannot be told apart" in text and "29 images" not in text
        assert "measured" not in " ".join(planning.worth(spread, "patient"))
        with pytest.raises(NotComputable, match="cannot be told apart"):
            stats.icc(part, "qvum", "Dice", "QLM")
    values = stats.values(one, "Dice", "QLM")
    plain = stats.paired_t(values, "qvum").iloc[0]
    for fit in (f(values, "qvum").iloc[0] for f in (stats.mixed_differences, stats.mixed_models)):
        assert (fit["p"], fit["low"]) == pytest.approx((plain["p"], plain["low"]), rel=1e-6)
    spread = planning.chosen(planning.variation(one, "qvum", "Dice", "QLM"))
    assert spread.between == pytest.approx(plain["sd"] ** 2)
    safe = planning.needed(spread, [0.02], [1])["patients"].iloc[0]
    truth = planning.chosen(planning.variation(rows, "qvum", "Dice", "QLM"))
    assert safe > 0.5 * planning.needed(truth, [0.02], [1])["patients"].iloc[0]


def test_the_page_says_what_it_plans_with_where_nothing_else_is_asked_for():
    path = REPOSITORY / "notebooks" / "10_planning.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "".join(next(c["source"] for c in cells if c["metadata"].get("tags")))
    for usual in (planning.DIFFERENCES, planning.PATIENTS, planning.IMAGES):
        assert f"empty: {', '.join(map(str, usual))}" in text
    assert f"0: {planning.POWER}" in text


def test_patients_until_a_number_is_known_so_well():
    n = stats.for_precision(0.001, 0.002, [0.02], [1, 29])["patients"]
    for patients, variance in zip(n, (0.003, 0.001 + 0.002 / 29), strict=True):
        half = [t.ppf(0.975, k - 1) * np.sqrt(variance / k) for k in (patients - 1, patients)]
        assert half[0] > 0.02 >= half[1]
    assert np.isnan(stats.for_precision(1e6, 0, [1e-6], [1])["patients"].iloc[0])
    n = stats.for_share(0.9, 0.05)
    wide = [np.ptp(proportion_confint(0.9 * k, k, method="wilson")) / 2 for k in (n - 1, n)]
    assert wide[0] > 0.05 >= wide[1]
    assert [stats.for_never(rate) for rate in (0.1, 0.05, 0.01)] == [29, 59, 299]
    upper = proportion_confint(0, 59, 0.1, method="beta")[1]  # one-sided 95 %, exact
    assert upper < 0.05 < proportion_confint(0, 58, 0.1, method="beta")[1]


def test_precision_in_a_table():
    table = planning.precision(Spread(0.001, 0.002), [0.02], [1, 5], "Dice of QLM", "patient")
    assert table["to_know"].str.startswith("a difference in Dice of QLM").sum() == 2
    assert "299" in set(table["patients"])
    without = planning.precision(NotComputable("none"), [0.02], [1], "Dice", "image")
    assert len(without) == len(table) - 2 and list(without)[-1] == "images"


def test_power_rises_with_the_difference_also_where_a_tail_has_no_number():
    """scipy's lower tail of the non-central t is not a number far out; it is nothing there."""
    found = [
        power.exact_power(1e-9, 0.00168, n, 29, difference)
        for n in (5, 8, 12)
        for difference in (0.02, 0.05, 0.1, 0.2)
    ]
    assert np.isfinite(found).all() and min(found) > 0.8
