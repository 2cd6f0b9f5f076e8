"""The simulation of false alarms agrees with an independent one, and the bootstrap inside it with
the real one.
"""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from helpers import stats
from helpers.stats import bootstrap, mixed
from helpers.stats.design import false_alarms

pytestmark = pytest.mark.slow

DESIGNS = {
    "A": stats.Design(icc=0.0),
    "C": stats.Design(icc=0.2),
    "B": stats.Design(icc=0.5),
    "E": stats.Design(icc=0.5, skewed=True),
}
# an independent simulation's rates in %, with the 95 % interval it printed (columns A, C, B, E)
OTHERS = {
    false_alarms.IMAGE: [(4.4, 5.2), (43.2, 45.1), (60.7, 62.6), (61.2, 63.1)],
    "paired t, patients": [(4.4, 5.2), (4.4, 5.2), (4.6, 5.4), (7.3, 8.4)],
    "Wilcoxon signed-rank, patients": [(4.2, 5.0), (4.0, 4.8), (4.1, 4.9), (11.4, 12.6)],
    "sign-flip permutation": [(4.0, 5.3), (3.5, 4.7), (4.6, 6.0), (7.1, 8.8)],
    "cluster-robust t (CR1)": [(4.4, 5.2), (4.4, 5.2), (4.6, 5.4), (7.3, 8.4)],
    "mixed model on differences, t": [(2.6, 4.1), (3.0, 4.7), (3.9, 5.8), (6.7, 9.1)],
    "mixed model on differences, z": [(3.4, 5.2), (4.2, 6.2), (5.1, 7.2), (7.7, 10.2)],
    "mixed model, patient intercept only": [(0.0, 0.4), (24.8, 28.6), (50.5, 54.9), (49.9, 54.2)],
    "bootstrap, percentile": [(5.8, 7.4), (5.3, 6.7), (6.4, 8.0), (8.4, 10.2)],
    "bootstrap, BCa": [(5.9, 7.5), (5.2, 6.7), (6.3, 7.9), (7.6, 9.3)],
    "bootstrap-t": [(4.2, 5.5), (3.7, 5.0), (4.3, 5.7), (5.2, 6.6)],
}


@pytest.mark.parametrize(("column", "name"), list(enumerate(DESIGNS)))
def test_rates_agree_with_an_independent_simulation(column, name):
    """Two estimates agree when their difference is within 3.5 of its standard errors (44
    comparisons).
    """
    runs = 2000
    ours = stats.false_positives(DESIGNS[name], runs, seed=10 + column).set_index("analysis")[
        "rate"
    ]
    for analysis, rates in OTHERS.items():
        low, high = (x / 100 for x in rates[column])
        theirs, error = (low + high) / 2, (high - low) / (2 * 1.96)
        spread = np.hypot(error, np.sqrt(max(theirs, 0.002) * (1 - theirs) / runs))
        assert abs(ours[analysis] - theirs) < 3.5 * spread, (analysis, ours[analysis], theirs)


def test_unequal_numbers_of_images_leave_the_patient_level_test_right():
    ours = stats.false_positives(stats.Design(images=stats.UNEQUAL), 2000, seed=3).set_index(
        "analysis"
    )["rate"]
    assert ours["paired t, patients"] == pytest.approx(0.05, abs=0.018)
    assert ours[false_alarms.IMAGE] > 0.55
    assert ours["mixed model, patient intercept only"] > 0.5


def test_curve_rises_with_the_icc():
    table = stats.curve(stats.Design(), iccs=(0, 0.1, 0.5), runs=1000)
    image = table[table["analysis"] == false_alarms.IMAGE]["rate"].to_numpy()
    assert (np.diff(image) > 0.1).all()
    assert table[table["analysis"] == "paired t, patients"]["rate"].max() < 0.08


def test_sufficient_statistics_are_those_of_drawn_images():
    """Variances and ICC of the drawn differences are the design's."""
    design = stats.Design(patients=40, images=10, icc=0.3)
    data = false_alarms.sums(design, 3000, np.random.default_rng(0))
    residual = data["within"].mean() / (40 * 9)
    between = data["d"].var(0, ddof=1).mean() - residual / 10
    assert residual == pytest.approx(0.7, abs=0.01)
    assert between == pytest.approx(0.3, abs=0.01)


def test_bootstraps_of_the_simulation_are_those_of_the_study():
    design = stats.Design(patients=15, images=tuple(range(3, 18)), icc=0.4)
    data = false_alarms.sums(design, 40, np.random.default_rng(5), shift=0.5)
    n, d = design.sizes.astype(float), data["d"]
    estimate = n @ d / n.sum()
    se = np.sqrt(15 / 14 * ((n[:, None] * (d - estimate)) ** 2).sum(0)) / n.sum()
    ours = false_alarms._bootstraps(d, n, estimate, se, 999, 1)
    top = (n[:, None] * d)[..., None]
    r = bootstrap.resample(
        stats.Ratios(top, np.broadcast_to(n[:, None, None], top.shape), np.ones(1)),
        999,
        1,
        ("bootstrap_t", "bca"),
    )
    for name, method in [
        ("bootstrap, percentile", "percentile"),
        ("bootstrap-t", "bootstrap_t"),
        ("bootstrap, BCa", "bca"),
    ]:
        low, high, *_ = bootstrap.limits(r, method, 0.95)
        significant = (low > 0) | (high < 0)
        # BCa picks whole draws in the simulation and interpolates in the study: one run may differ
        assert np.sum(significant != (ours[name] == 0)) <= (1 if method == "bca" else 0)


def test_reml_of_balanced_groups_is_the_anova_one():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(10, 6)) + rng.normal(size=(10, 1)) * 2
    fit = mixed.reml(
        np.full(10, 6),
        y.mean(1)[:, None, None],
        np.array([((y - y.mean(1, keepdims=True)) ** 2).sum()]),
    )
    within = y.var(1, ddof=1).mean()
    between = y.mean(1).var(ddof=1) - within / 6
    assert fit["residual"][0] == pytest.approx(within, rel=1e-6)
    assert fit["between"][0] == pytest.approx(between, rel=1e-6)
    assert fit["mean"][0, 0] == pytest.approx(y.mean(), rel=1e-12)


def test_reml_is_zero_where_groups_differ_less_than_by_chance():
    y = np.array([[1.0, -1, 2, -2], [1.5, -1.5, 1, -1], [2, -2, 0.5, -0.5]])
    fit = mixed.reml(np.full(3, 4), y.mean(1)[:, None, None], np.array([(y**2).sum()]))
    assert fit["between"][0] == 0
    assert fit["se"][0] == pytest.approx(scipy_stats.sem(y.ravel()), rel=1e-8)


# an independent simulation's rates in %: image level any, Holm, best; patient level any, Holm, best
WINNERS = {
    0.0: [15.6, 4.5, 0.3, 15.9, 4.2, 0.3],
    0.2: [86.4, 73.0, 20.0, 16.2, 4.5, 0.2],
    0.5: [96.3, 92.0, 38.5, 16.1, 4.5, 0.3],
}


@pytest.mark.parametrize("icc", WINNERS)
def test_winners_among_equal_networks_as_an_independent_simulation_finds(icc):
    """Five equal networks, 5,000 runs there: any of four unadjusted, by Holm, and the best beating
    all four.
    """
    table = stats.winners(stats.Design(icc=icc), 5, 3000)
    assert list(table["unit"]) == ["image"] * 3 + ["patient"] * 3
    for ours, theirs in zip(table["rate"], np.array(WINNERS[icc]) / 100, strict=True):
        assert (
            abs(ours - theirs)
            < 3.5 * np.sqrt(theirs * (1 - theirs) * (1 / 3000 + 1 / 5000)) + 0.001
        )
