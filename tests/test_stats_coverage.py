"""How often an interval covers, in studies drawn from a study's own units."""

import numpy as np
import pandas as pd
import pytest
import stats_data
from statsmodels.stats.proportion import proportion_confint

from helpers import stats
from helpers.stats.design.coverage import KINDS, _acceleration, coverage


def ratios(values):
    values = np.asarray(values, float)[:, None, None]
    return stats.Ratios(values, np.ones_like(values), np.ones(1))


def test_it_is_that_of_a_plain_loop():
    """The t interval of a mean has no draws in it, so a loop over the same studies is the same."""
    x = np.random.default_rng(3).exponential(size=14)
    found = coverage(ratios(x), ("t",), runs=300, draws=2, seed=7)["t"][0]
    held = []
    for counts in stats.draw_counts(14, 300, 7).astype(int):
        sample = np.repeat(x, counts)
        half = 2.1603686564610127 * sample.std(ddof=1) / np.sqrt(14)  # t of 13 degrees, 97.5 %
        held.append(abs(sample.mean() - x.mean()) <= half)
    assert found == pytest.approx(np.mean(held))


def test_bell_shaped_units_are_covered_and_skewed_ones_less():
    rng = np.random.default_rng(1)
    normal = coverage(ratios(rng.normal(size=30)), runs=600, seed=2)
    skewed = coverage(ratios(rng.exponential(size=15) ** 3), runs=600, seed=2)
    assert set(normal) == set(KINDS)
    assert all(c[0] == pytest.approx(0.95, abs=0.03) for c in normal.values())
    assert skewed["percentile"][0] < 0.88 and skewed["t"][0] < 0.9


def test_too_few_units_have_no_coverage():
    assert np.isnan(coverage(ratios([1, 2, 3, 4]), runs=20)["t"][0])


def test_where_it_falls_short_the_interval_that_covers_most_stands_beside_it():
    rows = stats_data.per_image(12, 3, models={"qvum": 0.0}, seed=2)
    asked = {"classes": ["EIT", "QLM", "bone"], "draws": 400, "runs": 300}
    table = stats.covered(rows, ["Dice", "precision"], method="percentile", **asked)
    plain = stats.intervals(
        rows, ["Dice", "precision"], asked["classes"], method="percentile", draws=400
    )
    assert table[["estimate", "low", "high"]].equals(plain[["estimate", "low", "high"]])
    short = table["coverage"] < stats.ENOUGH
    assert short.any() and table["coverage"].between(0.7, 1).all()
    beside = table["instead"] != ""
    assert (beside == table["instead_low"].notna()).all() and short[beside].all() and beside.any()
    assert (table["instead_low"] <= table["estimate"])[beside].all()
    wider = table["instead_high"] - table["instead_low"] > table["high"] - table["low"]
    assert wider[beside].all()


def images(of_patients, known=True):
    """An image each, `hit` as given for each patient: rows of ``shares``."""
    rows = [
        (f"P{k}" if known else f"{k}-{i}", f"{k}-{i}", hit)
        for k, own in enumerate(of_patients)
        for i, hit in enumerate(own)
    ]
    return pd.DataFrame(rows, columns=["unit", "image_id", "hit"]).assign(
        what="failed", hit=lambda f: f["hit"] == 1
    )


def test_a_share_of_independent_images_has_wilsons_interval_and_covers():
    found = stats.shares(images([[1], [0]] * 6 + [[0]] * 28), ["what"]).iloc[0]
    wilson = proportion_confint(6, 40, 0.05, "wilson")
    assert (found["hits"], found["n"]) == (6, 40)
    assert [found["low"], found["high"]] == pytest.approx(wilson)
    assert found["coverage"] > 0.93 and found["instead"] == ""


def test_images_of_one_patient_that_fail_together_are_worth_fewer_images():
    """Twelve patients of ten images, of whom three fail throughout: as good as 3 of 12."""
    found = stats.shares(images([[1] * 10] * 3 + [[0] * 10] * 9), ["what"]).iloc[0]
    assert [found["low"], found["high"]] == pytest.approx(
        proportion_confint(30, 120, 0.05, "wilson")
    )
    assert found["coverage"] < 0.7 and found["instead"].startswith("Wilson")
    # worth: p(1−p)/SE² with SE² of the mean of 12 patients, by z over t of 11 degrees of freedom
    worth = 0.25 * 0.75 / (0.25 * 0.75 / 11) * (1.959964 / 2.200985) ** 2
    own = proportion_confint(0.25 * worth, worth, 0.05, "wilson")
    assert [found["instead_low"], found["instead_high"]] == pytest.approx(own, rel=1e-5)


def test_a_share_that_nobody_or_everybody_has_cannot_be_examined():
    found = stats.shares(images([[0, 0]] * 8), ["what"]).iloc[0]
    assert found["low"] == 0 and found["high"] == pytest.approx(
        proportion_confint(0, 16, 0.05, "wilson")[1]
    )
    assert np.isnan(found["coverage"]) and found["instead"] == ""
    few = stats.shares(images([[0, 1]] * 4), ["what"]).iloc[0]
    assert np.isnan(few["low"]) and "fewer than 5" in few["note"]


def test_the_declared_difference_says_how_often_its_interval_covers():
    rows = stats_data.per_image(12, 3, models={"qvum": 0.0, "unet": -0.05}, seed=2)
    settings = {"metric": "Dice", "class": "QLM", "test": "patient_t", "interval": "percentile"}
    settings |= {"draws": 300, "seed": 1, "multiplicity": "holm"}
    plain = stats.declared(rows, "qvum", settings)
    found = stats.declared(rows, "qvum", settings, runs=200)
    assert found[plain.columns.tolist()].equals(plain)
    row = found.iloc[0]
    assert 0.7 < row["coverage"] < stats.ENOUGH and row["instead"] in ("t", "bootstrap-t")
    assert row["instead_low"] < row["low"] and row["high"] < row["instead_high"]


def test_several_trainings_do_not_make_more_images():
    once = images([[1, 0, 0]] * 2 + [[0, 0]] * 8)
    thrice = stats.shares(pd.concat([once] * 3), ["what"]).iloc[0]
    assert thrice.equals(stats.shares(once, ["what"]).iloc[0]) and thrice["n"] == 22


def test_a_declared_bca_interval_can_be_examined():
    """Its acceleration is the jackknife's over the drawn study, units that repeat included."""
    x = np.random.default_rng(5).exponential(size=9)
    counts = np.array([2, 0, 1, 1, 3, 0, 1, 1, 0.0])
    sample = np.repeat(x, counts.astype(int))
    left = (sample.sum() - sample) / (len(sample) - 1)
    away = left.mean() - left
    wanted = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    assert _acceleration(ratios(x), counts)[0] == pytest.approx(wanted)
    found = coverage(ratios(x), ("bca", "percentile"), runs=150, draws=200, seed=3)
    assert 0.6 < found["percentile"][0] <= found["bca"][0] + 0.1 <= 1.1
