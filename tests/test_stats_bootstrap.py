"""The matrix form of the cluster bootstrap is the plain one: loops over draws, scipy's, and known
coverage.
"""

import numpy as np
import pandas as pd
import pytest
import stats_data
from scipy import stats as scipy_stats

from helpers import metrics, stats
from helpers.errors import StudyError
from helpers.stats import bootstrap

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows():
    return stats_data.per_image(patients=12, mean_images=9, models={"qvum": 0.0, "unet": 0.3})


def plain(rows, counts, model, class_, metric):
    """Pooled metric of every draw by building the resampled data set row by row."""
    part = rows[(rows["model"] == model) & (rows["class"] == class_)]
    sums = part.groupby("patient_id")[["tp", "fp", "fn", "tn"]].sum()
    out = []
    for draw in counts:
        total = sums.to_numpy().T @ draw
        out.append(
            float(metrics.scores(pd.DataFrame([total], columns=sums.columns))[metric].iloc[0])
        )
    return np.array(out)


def test_percentile_interval_is_the_loop(rows):
    counts = stats.draw_counts(12, 400, 3)
    assert (counts.sum(1) == 12).all()
    loop = plain(rows, counts, "unet", "QLM", "Dice")
    ours = stats.intervals(
        rows, ["Dice"], ["QLM"], ["pooled"], method="percentile", draws=400, seed=3
    )
    ours = ours.set_index("model").loc["unet"]
    assert (ours["low"], ours["high"]) == pytest.approx(
        tuple(np.quantile(loop, [0.025, 0.975])), rel=1e-10
    )
    assert ours["estimate"] == pytest.approx(
        metrics.pooled(rows).set_index(["model", "class"]).loc[("unet", "QLM"), "Dice"], rel=1e-12
    )


def test_mean_over_classes_is_resampled_with_its_classes_together(rows):
    counts = stats.draw_counts(12, 300, 3)
    loop = np.mean([plain(rows, counts, "unet", c, "IoU") for c in ("EIT", "QLM", "bone")], axis=0)
    ours = stats.intervals(
        rows, ["IoU"], ["foreground"], ["pooled"], method="percentile", draws=300, seed=3
    )
    ours = ours.set_index("model").loc["unet"]
    assert (ours["low"], ours["high"]) == pytest.approx(
        tuple(np.quantile(loop, [0.025, 0.975])), rel=1e-10
    )


def test_bootstrap_t_is_the_loop(rows):
    """Per-patient mean: the standard error in every draw is SD/√G, so bootstrap-t can be written
    out.
    """
    x = stats.wide(stats.values(rows, "Dice", "QLM"))["unet"].to_numpy()
    counts = stats.draw_counts(12, 500, 9)
    t = []
    for draw in counts.astype(int):
        sample = np.repeat(x, draw)
        t.append((sample.mean() - x.mean()) / (sample.std(ddof=1) / np.sqrt(12)))
    low, high = np.quantile(t, [0.025, 0.975])
    se = x.std(ddof=1) / np.sqrt(12)
    ours = (
        stats.intervals(rows, ["Dice"], ["QLM"], ["per_patient"], draws=500, seed=9)
        .set_index("model")
        .loc["unet"]
    )
    assert ours["se"] == pytest.approx(se, rel=1e-10)
    assert (ours["low"], ours["high"]) == pytest.approx(
        (x.mean() - high * se, x.mean() - low * se), rel=1e-9
    )


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_scipys_bootstrap_agrees_up_to_its_draws(rows, method):
    x = stats.wide(stats.values(rows, "Dice", "QLM"))["unet"].to_numpy()
    peer = scipy_stats.bootstrap(
        (x,), np.mean, method=method, n_resamples=20_000, rng=np.random.default_rng(0)
    )
    ours = stats.intervals(
        rows, ["Dice"], ["QLM"], ["per_patient"], method=method.lower(), draws=20_000
    )
    ours = ours.set_index("model").loc["unet"]
    width = ours["high"] - ours["low"]
    assert ours["low"] == pytest.approx(peer.confidence_interval.low, abs=0.03 * width)
    assert ours["high"] == pytest.approx(peer.confidence_interval.high, abs=0.03 * width)


def test_t_interval_of_a_difference_is_the_paired_t(rows):
    ours = stats.intervals(
        rows, ["Dice"], ["QLM"], ["per_patient"], method="t", headline="qvum"
    ).iloc[0]
    test = stats.paired_t(stats.values(rows, "Dice", "QLM"), "qvum").iloc[0]
    assert (ours["estimate"], ours["low"], ours["high"]) == pytest.approx(
        (test["difference"], test["low"], test["high"]), rel=1e-9
    )


def test_difference_keeps_the_pairing(rows):
    """The same patients are drawn for both networks: shared difficulty cancels, the interval is
    narrower.
    """
    each = stats.intervals(rows, ["Dice"], ["QLM"], ["per_patient"], method="t").set_index("model")
    paired = stats.intervals(
        rows, ["Dice"], ["QLM"], ["per_patient"], method="t", headline="qvum"
    ).iloc[0]
    assert paired["se"] < np.hypot(each.loc["qvum", "se"], each.loc["unet", "se"])


def test_standard_error_of_a_pooled_ratio_is_the_linearised_one():
    rng = np.random.default_rng(1)
    d = rng.uniform(50, 150, (30, 1, 1))
    n = d * rng.uniform(0.6, 0.9, (30, 1, 1))
    value, se = bootstrap.evaluate(stats.Ratios(n, d, np.ones(1)), np.ones((1, 30)))
    e = (n - value * d).ravel() / d.sum()
    assert se[0, 0] == pytest.approx(np.sqrt(30 / 29 * (e**2).sum()), rel=1e-12)


def test_memory_is_bounded_by_blocks(rows, monkeypatch):
    whole = stats.intervals(rows, ["Dice"], draws=700)
    monkeypatch.setattr(bootstrap, "BLOCK", 100)
    pd.testing.assert_frame_equal(whole, stats.intervals(rows, ["Dice"], draws=700), rtol=1e-12)


def test_fewer_than_five_patients_get_no_interval_and_a_reason():
    few = stats_data.per_image(patients=4, mean_images=8)
    out = stats.intervals(few, ["Dice"], ["QLM"], draws=200)
    assert out["low"].isna().all()
    assert out["estimate"].notna().all()
    assert out["note"].str.contains("fewer than 5 units").all()
    test = stats.paired_t(stats.values(few, "Dice", "QLM"), "qvum")
    assert test["p"].isna().all()
    assert test["note"].str.contains("fewer than 5").all()


def test_a_single_patient_is_an_estimate_without_interval():
    out = stats.intervals(
        stats_data.per_image(patients=1, mean_images=8), ["Dice"], ["QLM"], draws=200
    )
    assert out["estimate"].notna().all()
    assert out["low"].isna().all()


def test_constant_metric_has_no_interval(rows):
    same = rows.copy()
    size = same[["tp", "fp", "fn", "tn"]].sum(axis=1)
    share = {"background": 0.7, "EIT": 0.1, "QLM": 0.1, "bone": 0.1}
    same["tp"] = (size * same["class"].map(share)).round().astype(int)
    same["fp"] = same["fn"] = 0
    same["tn"] = size - same["tp"]
    out = stats.intervals(same, ["Dice"], ["QLM"], draws=200)
    assert (out["estimate"] == 1).all()
    assert out["low"].isna().all()
    assert out["note"].str.contains("no variation").all()
    assert (
        stats.paired_t(stats.values(same, "Dice", "QLM"), "qvum")["note"]
        .str.contains("no variation")
        .all()
    )


def test_intervals_stay_between_0_and_1():
    good = stats_data.per_image(patients=6, mean_images=3, models={"a": -4.0, "b": -3.0})
    out = stats.intervals(good, draws=500, method=["bootstrap_t", "percentile", "bca", "t"])
    assert out["high"].max() <= 1
    assert out["low"].min() >= 0


def test_a_structure_that_nobody_has_is_left_out_of_the_mean_over_classes(rows):
    extra = rows[rows["class"] == "bone"].assign(**{"class": "nerve", "tp": 0, "fp": 0, "fn": 0})
    extra["tn"] = 64 * 64
    more = pd.concat([rows, extra], ignore_index=True)
    before = stats.intervals(rows, ["IoU"], ["all"], draws=200)
    after = stats.intervals(more, ["IoU"], ["all"], draws=200)
    assert after["estimate"].to_numpy() == pytest.approx(before["estimate"].to_numpy(), rel=1e-12)
    alone = stats.intervals(more, ["IoU"], ["nerve"], draws=200)
    assert alone["estimate"].isna().all()


UNKNOWN = {
    "unknown interval method 'magic'; known: bootstrap_t": {"method": "magic"},
    "unknown metric 'F1'; known: IoU": {"metrics": ["F1"]},
    "class liver is not in the results": {"classes": ["liver"]},
    "unknown estimand 'micro'": {"estimands": ["micro"]},
    "unknown empty policy 'skip'": {"empty": "skip"},
    "no results for the headline model 'resnet'": {"headline": "resnet"},
}


@pytest.mark.parametrize("match", UNKNOWN)
def test_unknown_names_are_named(rows, match):
    with pytest.raises(StudyError, match=match):
        stats.intervals(rows, **{"draws": 100} | UNKNOWN[match])


def test_coverage_at_22_patients():
    """1,500 studies at once, a pooled ratio with known value: bootstrap-t covers, percentile and
    BCa fall short.
    """
    rng = np.random.default_rng(11)
    studies, g = 1500, 22
    d = rng.uniform(50, 150, (g, studies, 1))
    n = d * (
        0.8
        + rng.normal(0, 0.06, (g, studies, 1))
        - 0.05 * (rng.exponential(size=(g, studies, 1)) - 1)
    )
    r = bootstrap.resample(
        stats.Ratios(n, d, np.ones(1)), 999, 1, ("bootstrap_t", "percentile", "bca")
    )
    cover = {}
    for method in ("bootstrap_t", "percentile", "bca", "t"):
        low, high, *_ = bootstrap.limits(r, method, 0.95)
        cover[method] = ((low <= 0.8) & (high >= 0.8)).mean()
    assert cover["bootstrap_t"] == pytest.approx(0.95, abs=0.02)
    for method in ("percentile", "bca"):
        assert 0.90 < cover[method] < cover["bootstrap_t"]
