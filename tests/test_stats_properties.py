"""What must hold of every number whatever the results: it lies where it can lie, holds its own
estimate, turns round when the networks change places, and does not depend on order or names.
"""

import numpy as np
import pandas as pd
import pytest
import stats_data
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import metrics, stats
from helpers.analyses import outlines
from helpers.stats import bootstrap
from helpers.stats.intervals import METHODS

pytestmark = pytest.mark.slow

ASKED = {"method": METHODS, "draws": 200, "estimands": tuple(stats.ESTIMANDS)}
MEASURES = ("IoU", "recall", "precision")
tables = st.builds(
    stats_data.drawn_at_random,
    st.integers(0, 2**32 - 1),
    patients=st.integers(1, 9),
    images=st.integers(1, 4),
    structures=st.integers(1, 3),
    absent=st.sampled_from([0.0, 0.3, 0.8]),
    alike=st.sampled_from([0.0, 0.5, 0.9]),
)
some = settings(max_examples=12, deadline=None)


def sound(table, least, most):
    """Every interval lies within its range and holds its estimate; where there is none a note says
    why.
    """
    none = table["low"].isna()
    assert (none == table["high"].isna()).all() and (none == (table["note"] != "")).all()
    kept = table[~none]
    assert (kept["n_units"] >= stats.MIN_UNITS).all()
    assert kept["low"].between(least, most).all() and kept["high"].between(least, most).all()
    assert (kept["low"] <= kept["estimate"] + 1e-8).all()
    assert (kept["estimate"] <= kept["high"] + 1e-8).all()
    assert table["estimate"].dropna().between(least, most).all()


@some
@given(tables)
def test_intervals_lie_where_they_can(rows):
    stats.check(rows)
    sound(stats.intervals(rows, MEASURES, **ASKED), 0, 1)


@some
@given(tables)
def test_differences_lie_where_they_can_and_turn_round_with_the_networks(rows):
    one, other = (stats.intervals(rows, MEASURES, headline=m, **ASKED) for m in ("a", "b"))
    sound(one, -1, 1)
    assert (one["note"] == other["note"]).all()
    for column, turned in {"estimate": "estimate", "low": "high", "high": "low"}.items():
        np.testing.assert_allclose(one[column], -other[turned], rtol=0, atol=1e-9)


@some
@given(tables, st.integers(0, 99))
def test_neither_the_order_of_rows_nor_names_matter(rows, seed):
    before = stats.intervals(rows, MEASURES, headline="a", **ASKED)
    shuffled = rows.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(
        before, stats.intervals(shuffled, MEASURES, headline="a", **ASKED)
    )
    renamed = rows.replace({"model": {"a": "z9", "b": "0"}, "class": {"x": "zz", "y": "aa"}})
    renamed["patient_id"] = "q" + renamed["patient_id"]
    after = stats.intervals(renamed, MEASURES, headline="z9", **ASKED)
    after = after.replace({"class": {"zz": "x", "aa": "y"}})
    keys = ["estimand", "class", "metric", "method"]
    both = before.merge(after, on=keys, suffixes=("", "_after"), validate="one_to_one")
    for column in ("estimate", "se", "low", "high"):
        np.testing.assert_allclose(both[column], both[f"{column}_after"], rtol=0, atol=1e-9)


@some
@given(tables, st.integers(0, 99))
def test_other_names_of_patients_change_draws_but_no_test(rows, seed):
    ids = sorted(set(rows["patient_id"]))
    names = dict(zip(ids, np.random.default_rng(seed).permutation(ids), strict=True))
    renamed = rows.assign(patient_id=rows["patient_id"].map(names))
    for metric in ("Dice", "IoU"):
        one, other = (stats.values(r, metric, stats.ALL) for r in (rows, renamed))
        for test in (stats.paired_t, stats.wilcoxon, stats.sign_flip, stats.cluster_robust):
            pd.testing.assert_frame_equal(test(one, "a"), test(other, "a"), rtol=1e-7, atol=1e-9)


@some
@given(tables)
def test_effects_turn_round_with_the_networks(rows):
    each = stats.values(rows, "IoU", stats.ALL)
    one, other = (
        stats.effect_sizes(each, m, draws=200).set_index("measure")[["value", "low", "high"]]
        for m in ("a", "b")
    )
    sums = {"share better": 1, "next better": 1}
    for name in one.index:
        value, low, high = one.loc[name]
        turned = sums.get(name, 0) - other.loc[name, ["value", "high", "low"]]
        np.testing.assert_allclose([value, low, high], turned, rtol=0, atol=1e-6)
        if not np.isnan(low):
            assert low - 1e-9 <= value <= high + 1e-9


@some
@given(tables)
def test_a_pooled_mean_and_its_interval_are_of_one_definition(rows):
    """metrics.overall, Table 3 and the interval's own estimate, absent structures and all."""
    table = stats.intervals(rows, ["IoU", "recall", "Dice"], [stats.ALL], ["pooled"], draws=200)
    table = table.pivot_table(index="model", columns="metric", values="estimate", dropna=False)
    plain = metrics.overall(rows).set_index("model")
    for name, metric in metrics.OVERALL.items():
        np.testing.assert_allclose(table[metric], plain[name].loc[table.index], rtol=1e-9)
    each = stats.intervals(rows, MEASURES, estimands=["pooled"], draws=200)
    each = each[each["class"] != "all"].set_index(["model", "class"])
    pooled = metrics.pooled(rows).set_index(["model", "class"])
    for metric in MEASURES:
        own = each.loc[each["metric"] == metric, "estimate"]
        own = own[own.index.isin(pooled.index)]
        np.testing.assert_allclose(own, pooled[metric].loc[own.index], rtol=1e-9)


def means(values, sizes=None):
    """A mean over images as ratios: one value a unit, and how many images it has."""
    values, sizes = np.asarray(values, float), np.ones(len(values)) if sizes is None else sizes
    n = np.asarray(sizes, float)[:, None, None]
    return stats.Ratios(values[:, None, None] * n, n, np.ones(1))


@pytest.mark.parametrize("gap", [0, 1e-13, 1e-12, 1e-6, 1e-4])
def test_eight_patients_of_whom_six_are_alike_have_no_interval(gap):
    """A draw of alike ones has no scatter to divide by: +0.010 (−0.001 to +151,850) before."""
    alike = 0.01 + gap * np.arange(6)
    r = bootstrap.resample(means([*alike, 0.03, -0.01]), 2000, 1)
    found = bootstrap.limits(r, "bootstrap_t", 0.95, (-1, 1))
    assert np.isnan(found.low[0]) and np.isnan(found.high[0])
    assert found.note[0] in (bootstrap.FEW_VALUES, bootstrap.ALIKE)
    assert (gap > 1e-9) is bool(found.note[0] == bootstrap.ALIKE)


def test_a_hundred_images_against_one_have_no_limit_that_cannot_be():
    """One patient has nearly all images: +0.050 (+0.050 to +473.9) before."""
    rng = np.random.default_rng(1)
    for others in (1, 4, 9, 20):
        values = [0.05, *(0.05 + 0.001 * rng.normal(size=others))]
        r = bootstrap.resample(means(values, [100, *[1] * others]), 2000, 1)
        found = bootstrap.limits(r, "bootstrap_t", 0.95, (-1, 1))
        if found.note[0] == "":
            assert -1 <= found.low[0] <= r.estimate[0] <= found.high[0] <= 1
            assert found.high[0] - found.low[0] < 0.1
        else:
            assert np.isnan(found.low[0])


def test_five_different_values_are_enough_and_four_are_not():
    for values, note in {(1, 2, 4, 8, 16): "", (1, 2, 4, 8, 8): bootstrap.FEW_VALUES}.items():
        r = bootstrap.resample(means(values), 4000, 1, ("percentile",))
        assert bootstrap.limits(r, "percentile", 0.95).note[0] == note


def test_only_units_with_a_value_count():
    """Nine patients of whom four have the structure are four."""
    values, there = np.arange(9) / 10.0, np.arange(9) < 4
    ratios = stats.Ratios((values * there)[:, None, None], there[:, None, None] * 1.0, np.ones(1))
    r = bootstrap.resample(ratios, 200, 1)
    assert r.units[0] == 4 and bootstrap.limits(r, "t", 0.95).note[0] == bootstrap.TOO_FEW


def test_distances_have_no_negative_limit():
    rows = pd.DataFrame({"unit": list("abcdefg"), "hd95_px": [0.0, 0.1, 0.2, 0.3, 0.4, 2, 0.5]})
    row = outlines.means(rows, ["hd95_px"], 2000, 1)
    assert 0 <= row["hd95_px_low"] <= row["hd95_px"] <= row["hd95_px_high"]


def test_ties_count_half_on_both_sides():
    each = pd.DataFrame(
        {"model": np.repeat(["a", "b"], 9), "image_id": [*range(9)] * 2, "class": "x"}
    ).assign(metric="Dice", patient_id=lambda t: "p" + t["image_id"].astype(str))
    each["value"] = [0.5, 0.6, 0.7, 0.8, 0.1, 0.2, 0.3, 0.4, 0.5, *[0.45] * 8, 0.5]
    one, other = (
        stats.effect_sizes(each, m).set_index("measure").loc["share better"] for m in ("a", "b")
    )
    assert one["value"] == pytest.approx(0.5) == other["value"]
    assert (one["low"], one["high"]) == pytest.approx((1 - one["high"], 1 - one["low"]))
