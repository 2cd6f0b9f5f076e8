"""How often an interval covers, in studies drawn from a study's own units."""

import numpy as np
import pytest
import stats_data

from helpers import stats
from helpers.stats.design.coverage import KINDS, coverage


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
