"""The papers' analyses, the paired ones, and the tables made of them, against independent
calculations.
"""

import numpy as np
import pandas as pd
import pytest
import stats_data
from scipy import stats as scipy_stats
from statsmodels.stats import anova as sm_anova
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from helpers import metrics, stats
from helpers.errors import NotComputable

pytestmark = pytest.mark.slow

SETTINGS = {
    "metric": "Dice",
    "class": "QLM",
    "test": "patient_t",
    "interval": "bootstrap_t",
    "margin": 0.02,
    "draws": 2000,
    "seed": 1,
    "multiplicity": "holm",
}


@pytest.fixture(scope="module")
def rows():
    return stats_data.per_image()


@pytest.fixture(scope="module")
def dice(rows):
    return stats.values(rows, "Dice", "QLM")


def test_ratio_is_the_metrics_module(rows):
    expected = metrics.scores(rows)
    for metric in metrics.RATIOS:
        ours = stats.ratio(rows[["tp", "fp", "fn", "tn"]].to_numpy(), metric)
        assert ours == pytest.approx(expected[metric].to_numpy(), nan_ok=True, rel=1e-14)


def test_values_of_all_classes_are_the_overall_metrics(rows):
    per_image = metrics.overall(rows, ["model", "image_id"]).set_index(["model", "image_id"])
    for name, metric in stats.OVERALL.items():
        ours = stats.values(rows, metric, "all").set_index(["model", "image_id"])["value"]
        theirs = per_image["accuracy" if name == "Acc" else name].reindex(ours.index)
        assert ours.to_numpy() == pytest.approx(theirs.to_numpy(), rel=1e-13)


def test_seeds_are_averaged(rows):
    two = pd.concat([rows, stats_data.per_image(seed=0, effect=0.15).assign(seed=7)])
    assert stats.values(two, "Dice", "QLM")["value"].to_numpy() == pytest.approx(
        stats.values(rows, "Dice", "QLM")["value"].to_numpy(), rel=1e-14
    )


def test_table3(rows):
    table = stats.table3(rows, "qvum").set_index(["metric", "model"])
    pooled = metrics.overall(rows).set_index("model")
    a, b = (
        stats.values(rows[rows["model"] == m], "IoU", "all")["value"].to_numpy()
        for m in ("qvum", "unet")
    )
    t, p = scipy_stats.ttest_rel(a, b)
    row = table.loc[("mIoU", "unet")]
    assert (row["t"], row["p"], row["df"]) == (
        pytest.approx(t, rel=1e-10),
        pytest.approx(p, rel=1e-8),
        len(a) - 1,
    )
    assert row["pooled"] == pytest.approx(pooled.loc["unet", "mIoU"], rel=1e-14)
    assert np.isnan(table.loc[("mIoU", "qvum"), "t"])
    assert (table["label"] == "as in the paper; assumes independent images").all()
    assert table["family"].iloc[0] == "Table 3: 16 tests"


def test_huang_and_bonaldi(rows):
    row = stats.huang(rows, "QLM").set_index("model").loc["unet"]
    part = rows[(rows["class"] == "QLM") & (rows["model"] == "unet")]
    iou = part["tp"] / (part["tp"] + part["fp"] + part["fn"])
    assert row["pooled_IoU"] == pytest.approx(
        part["tp"].sum() / (part[["tp", "fp", "fn"]].sum().sum())
    )
    assert (row["median"], row["q1"]) == (
        pytest.approx(iou.median()),
        pytest.approx(iou.quantile(0.25)),
    )
    assert row["accuracy"] == pytest.approx((iou > 0.5).mean())
    exact = part.head(2).assign(tp=10, fp=5, fn=5)
    assert stats.huang(exact, "QLM")["accuracy"].iloc[0] == 0  # strictly above 0.5
    bonaldi = stats.bonaldi(rows).set_index("model").loc["unet"]
    assert bonaldi["IoU"] == pytest.approx(
        metrics.overall(rows).set_index("model").loc["unet", "mIoU"]
    )


def test_holm_and_fdr_leave_nan_out_of_the_family():
    assert stats.adjusted([0.01, np.nan, 0.03]) == pytest.approx([0.02, np.nan, 0.03], nan_ok=True)
    assert stats.adjusted([0.01, np.nan, 0.03], "fdr") == pytest.approx(
        [0.02, np.nan, 0.03], nan_ok=True
    )
    rng = np.random.default_rng(0)
    p = rng.random(50)
    assert stats.adjusted(p, "fdr") == pytest.approx(scipy_stats.false_discovery_control(p))


def test_sign_flip_enumerates_small_samples():
    v = stats.values(
        stats_data.per_image(patients=8, models={"qvum": 0, "unet": 0.2}), "Dice", "QLM"
    )
    d = stats.differences(v, "qvum")["unet"].to_numpy()
    expected = scipy_stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert stats.sign_flip(v, "qvum")["p"].iloc[0] == pytest.approx(expected, rel=1e-12)


def test_sign_flip_at_random_is_scipys(dice):
    table = stats.differences(dice, "qvum")
    flip = stats.sign_flip(dice, "qvum", draws=20_000).set_index("model")["p"]
    for model in table:
        peer = scipy_stats.permutation_test(
            (table[model].to_numpy(),),
            np.mean,
            permutation_type="samples",
            n_resamples=20_000,
            rng=5,
        )
        assert flip[model] == pytest.approx(peer.pvalue, abs=0.015)


def test_cluster_robust_is_statsmodels(dice):
    import statsmodels.formula.api as smf

    table = stats.differences(dice, "qvum", "image")
    owner = (
        dice.drop_duplicates("image_id").set_index("image_id")["patient_id"].reindex(table.index)
    )
    ours = stats.cluster_robust(dice, "qvum").set_index("model")
    for model in table:
        data = pd.DataFrame({"d": table[model].to_numpy(), "g": pd.factorize(owner)[0]})
        fit = smf.ols("d ~ 1", data).fit(
            cov_type="cluster", cov_kwds={"groups": data["g"]}, use_t=True
        )
        assert ours.loc[model, "statistic"] == pytest.approx(fit.tvalues.iloc[0], rel=1e-8)
        assert ours.loc[model, "p"] == pytest.approx(fit.pvalues.iloc[0], rel=1e-6)


def test_repeated_measures_and_rank_tests_against_peers(rows):
    table = stats.by_model(rows, "Dice", "QLM")
    long = table.reset_index().melt("patient_id", var_name="model", value_name="y")
    peer = sm_anova.AnovaRM(long, "y", "patient_id", within=["model"]).fit().anova_table
    ours = stats.rm_table(table)
    assert ours["statistic"] == pytest.approx(peer["F Value"].iloc[0], rel=1e-8)


def test_pairs_by_ranks_are_the_textbooks(rows):
    table = stats.by_model(rows, "Dice", "QLM").round(2)  # with ties
    ranks, (n, k) = table.rank(axis=1), table.shape
    sums, df = ranks.sum(), (n - 1) * (k - 1)
    spread = 2 * (n * (ranks**2).to_numpy().sum() - (sums**2).sum()) / df
    for row in stats.pairs(table, "nemenyi").itertuples():  # Demšar 2006, section 3.2.2
        q = abs(ranks[row.a].mean() - ranks[row.b].mean()) / np.sqrt(k * (k + 1) / (12 * n))
        assert row.p == pytest.approx(scipy_stats.studentized_range.sf(q, k, np.inf), rel=1e-6)
    for row in stats.pairs(table, "conover").itertuples():  # Conover 1999, section 5.8
        t = abs(sums[row.a] - sums[row.b]) / np.sqrt(spread)
        assert row.p == pytest.approx(2 * scipy_stats.t.sf(t, df), rel=1e-6)


def test_equivalence_is_statsmodels(dice):
    table = stats.wide(dice)
    for row in stats.equivalence(dice, "qvum", 0.02).itertuples():
        p, lower, upper = ttost_paired(
            table["qvum"].to_numpy(), table[row.model].to_numpy(), -0.02, 0.02
        )
        assert (row.p_equivalent, row.p_not_inferior) == (
            pytest.approx(p, rel=1e-8),
            pytest.approx(lower[1], rel=1e-8),
        )
        assert row.p_not_superior == pytest.approx(upper[1], rel=1e-8)


def test_verdicts_of_equivalence():
    z = scipy_stats.norm.ppf((np.arange(22) + 0.5) / 22)
    z /= z.std(ddof=1)
    wanted = {
        "better": (0.05, 0.01),
        "better, within the margin": (0.005, 0.002),
        "equivalent": (0.0, 0.005),
        "not inferior": (0.01, 0.03),
        "undecided": (0.0, 0.2),
        "worse": (-0.05, 0.01),
        "worse, within the margin": (-0.005, 0.002),
    }
    scores = {"qvum": np.zeros(22)} | {
        name: -(mean + sd * z) for name, (mean, sd) in wanted.items()
    }
    frame = pd.concat(
        [
            pd.DataFrame(
                {
                    "model": name,
                    "patient_id": [f"p{i:02d}" for i in range(22)],
                    "image_id": [f"i{i:02d}" for i in range(22)],
                    "value": v,
                }
            )
            for name, v in scores.items()
        ]
    ).assign(**{"class": "QLM", "metric": "Dice"})
    table = stats.equivalence(frame, "qvum", 0.02)
    assert list(table["verdict"]) == list(table["model"])
    assert (
        stats.equivalence(frame[frame["patient_id"] < "p04"], "qvum", 0.02)["verdict"].unique()
        == "cannot be tested"
    )


def test_a_patient_of_two_groups_is_in_both_and_counted_once():
    images = pd.DataFrame(
        {
            "patient_id": ["a", "a", "b", "c", "d"],
            "image_id": range(5),
            "split": ["test", "train", "train", "val", "external"],
        }
    )
    patients = pd.DataFrame(
        {
            "patient_id": ["a", "b", "c", "d", "e"],
            "age_years": [40.0, 50, 60, 70, 99],
            "excluded": [None, None, None, None, "declined"],
        }
    )
    cohort = stats.by_split(patients, images)
    assert list(cohort["split"]) == ["train", "train", "val", "test", "external"]
    assert list(cohort["patient_id"]) == ["a", "b", "c", "a", "d"]
    table = stats.table1(stats.summarise(cohort, "split", ["age_years", "height_cm"], ["sex"]))
    assert table["total (n = 4)"].to_list() == ["55.0 ± 12.9"]
    assert table["train (n = 2)"].to_list() == ["45.0 ± 7.1"]
    assert stats.flow(images, patients).set_index("stage")["patients"].to_dict() == {
        "assessed": 5,
        "excluded": 1,
        "included": 4,
        "train": 2,
        "val": 1,
        "test": 1,
        "external": 1,
    }


def _people(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"patient_id": map(str, range(n))} | columns)


def test_a_standardised_difference_is_0_only_where_there_is_none():
    split = ["train"] * 3 + ["test"] * 3
    found = {}
    for name, sex in {"apart": "mmmfff", "alike": "mffmff", "one": "mmmmmm"}.items():
        table = stats.summarise(_people(split=split, sex=list(sex)), "split", [], ["sex"])
        found[name] = stats.table1_tests(table).iloc[0]["smd"]
    assert found == {"apart": np.inf, "alike": pytest.approx(0), "one": 0}
    ages = {"apart": [40] * 3 + [50] * 3, "alike": [40] * 6, "few": [40] * 3 + [50, None, None]}
    for name, values in ages.items():
        table = stats.summarise(_people(split=split, age=values), "split", ["age"], [])
        found[name] = stats.table1_tests(table).iloc[0]["smd"]
    assert (found["apart"], found["alike"]) == (np.inf, 0) and np.isnan(found["few"])
    half = stats.summarise(
        _people(split=["train"] * 4 + ["test"] * 4, sex=list("mmffmmfx")), "split", [], ["sex"]
    )
    assert 0 < stats.table1_tests(half).iloc[0]["smd"] < np.inf
    alone = stats.summarise(
        _people(split=["train"] * 4 + ["test"], sex=list("ffffm")), "split", [], ["sex"]
    )
    tested = stats.table1_tests(alone).iloc[0]  # one person is no group, as one age is none
    assert np.isnan(tested["smd"]) and np.isnan(tested["p"]) and "fewer than two" in tested["note"]


def test_a_table_of_patients_prints_no_number_that_is_none():
    people = _people(
        split=["train"] * 3 + ["val"] * 2 + ["test"] * 2,
        age=[40, 50, 60, 70, None, None, None],
        sex=["m", "f", "f", "m", "m", None, None],
    )
    table = stats.table1(stats.summarise(people, "split", ["age"], ["sex"]))
    cells = table.filter(regex="n = ").to_numpy().ravel()
    assert not any("nan" in cell for cell in cells)
    row = table.set_index("characteristic").loc["age"]
    assert (row["val (n = 2)"], row["test (n = 2)"]) == ("70.0", "–")


def test_the_caveat_says_what_a_split_by_image_costs():
    assert "little about new patients" in stats.caveat("patient", {"unit": "image"})
    assert "new patients" not in stats.caveat("patient", {"policy": "given"})


def test_effect_sizes(dice):
    d = stats.differences(dice, "qvum")["unet"].to_numpy()
    ours = stats.effect_sizes(dice, "qvum").set_index(["model", "measure"]).loc["unet"]
    dz = d.mean() / d.std(ddof=1)
    assert ours.loc["dz", "value"] == pytest.approx(dz)
    # the interval's ends are the noncentralities at which t is a 97.5 % and a 2.5 % event
    n = len(d)
    assert scipy_stats.nct.cdf(dz * n**0.5, n - 1, ours.loc["dz", "low"] * n**0.5) == pytest.approx(
        0.975, abs=1e-6
    )
    assert scipy_stats.nct.cdf(
        dz * n**0.5, n - 1, ours.loc["dz", "high"] * n**0.5
    ) == pytest.approx(0.025, abs=1e-6)
    assert ours.loc["Hedges g", "value"] == pytest.approx(
        dz * (1 - 3 / (4 * (n - 1) - 1)), rel=1e-3
    )
    assert ours.loc["share better", "value"] == pytest.approx((d > 0).mean())
    r = scipy_stats.rankdata(np.abs(d))
    assert ours.loc["rank-biserial", "value"] == pytest.approx(
        (r[d > 0].sum() - r[d < 0].sum()) / r.sum()
    )


def test_where_every_patient_is_better_no_bootstrap_says_1_to_1(dice):
    """All draws of such patients are alike: their interval would promise that none can be worse."""
    easy = dice.assign(value=dice["value"] + (dice["model"] == "qvum"))
    ours = stats.effect_sizes(easy, "qvum").set_index(["model", "measure"]).loc["unet"]
    rank = ours.loc["rank-biserial"]
    assert rank["value"] == 1 and np.isnan(rank[["low", "high"]].astype(float)).all()
    assert "lies on one side" in rank["note"]
    assert 0.5 < ours.loc["share better", "low"] < 1 and ours.loc["dz", "note"] == ""


def test_icc_by_hand_and_design_effect():
    y, g = np.array([1.0, 2, 3, 5, 6, 7, 2, 2, 5]), np.repeat(["a", "b", "c"], 3)
    means = np.array([2.0, 6, 3])
    between = 3 * ((means - y.mean()) ** 2).sum() / 2
    within = (2 + 2 + 6) / 6
    out = stats.anova_icc(y, g)
    assert out["icc"] == pytest.approx((between - within) / (between + 2 * within))
    assert out["n_effective"] == pytest.approx(9 / (1 + 2 * out["icc"]))
    assert out["low"] < out["icc"] < out["high"]


def test_icc_finds_what_was_put_in():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(400), 20)
    y = rng.normal(size=400)[g] * np.sqrt(0.2) + rng.normal(size=len(g)) * np.sqrt(0.8)
    assert stats.anova_icc(y, g)["icc"] == pytest.approx(0.2, abs=0.03)


def test_icc_of_differences_is_not_that_of_scores(rows):
    table = stats.icc(rows, "qvum", "Dice", "QLM").set_index(["what", "model"])
    assert table.loc[("score", "unet"), "icc"] > table.loc[("difference", "unet"), "icc"]


def test_ranking_is_certain_when_the_gap_is_wide():
    f = stats_data.per_image(models={"good": -0.5, "bad": 0.5, "middle": 0.0}, effect=0.02)
    table = stats.ranking(f, ["Dice"], ["QLM"], draws=200)
    for order in stats.ORDERS:
        part = table[table["order"] == order].set_index("model")
        assert list(part["rank"].sort_values().index) == ["good", "middle", "bad"]
        assert part.loc["good", "p_first"] == 1
        assert (part["tau"] == 1).all()
    assert table.groupby(["metric", "class", "order"])["p_first"].sum().to_numpy() == pytest.approx(
        1
    )


def test_ranking_of_equal_networks_is_a_toss_up():
    one = stats_data.per_image(models={"a": 0.0}, patients=10)
    both = pd.concat([one, one.assign(model="b")])
    table = stats.ranking(both, ["Dice"], ["QLM"], draws=100)
    assert (table["p_first"] == 0.5).all()
    assert (table["rank"] == 1.5).all()


def test_bland_altman_one_image_a_patient_is_the_textbook(rows):
    one = rows.drop_duplicates(["model", "patient_id", "class"])
    areas = stats.areas(one, "QLM")
    row = stats.bland_altman(areas).set_index("model").loc["unet"]
    d = areas.loc[areas["model"] == "unet", "difference"]
    assert row["bias"] == pytest.approx(d.mean())
    assert row["limit_high"] == pytest.approx(d.mean() + 1.959964 * d.std(ddof=1), rel=1e-6)
    assert row["low"] == pytest.approx(
        scipy_stats.ttest_1samp(d, 0).confidence_interval().low, rel=1e-8
    )


def test_empty_rule_is_a_sensitivity_row():
    f = stats_data.per_image(empty=0.1, patients=8)
    table = stats.empty_policies(f, "Dice", "QLM").set_index(["model", "policy"])
    kept, zero, one = (table.loc[("unet", p), "mean"] for p in ("undefined", "zero", "one"))
    assert zero < kept < one
    assert (
        table.loc[("unet", "undefined"), "n"] + table.loc[("unet", "undefined"), "absent_both"]
        == table.loc[("unet", "zero"), "n"]
    )
    dropped = stats.paired_t(stats.values(f, "Dice", "QLM"), "qvum")["dropped_images"]
    assert (dropped == table.loc[("unet", "zero"), "absent_both"]).all()


def test_subgroups_interaction_is_welch(rows):
    people = pd.DataFrame(
        {"patient_id": sorted(set(rows["patient_id"])), "sex": ["male", "female"] * 11}
    )
    table = stats.subgroups(rows, stats.memberships(people), "unet", "Dice", "QLM")
    v = stats.wide(stats.values(rows, "Dice", "QLM"))["unet"]
    split = [v[(people["sex"] == s).to_numpy()] for s in ("male", "female")]
    expected = scipy_stats.ttest_ind(*split, equal_var=False)
    assert table["p_interaction"].iloc[0] == pytest.approx(expected.pvalue, rel=1e-10)
    assert table.set_index("group").loc["male", "mean"] == pytest.approx(split[0].mean())


def test_a_subgroup_of_four_has_no_interval_and_its_variable_no_test(rows):
    people = pd.DataFrame(
        {"patient_id": sorted(set(rows["patient_id"])), "sex": ["male"] * 4 + ["female"] * 18}
    )
    table = stats.subgroups(rows, stats.memberships(people), "unet", "Dice", "QLM").set_index(
        "group"
    )
    assert table.loc["male", ["low", "high"]].isna().all() and table["p_interaction"].isna().all()
    assert table.loc["male", "note"] == "fewer than 5 patients: no interval"
    assert table.loc["female", ["low", "high"]].notna().all()


def test_the_interval_of_a_subgroup_lies_where_the_metric_can(rows):
    some = rows[rows["class"] == "QLM"].copy()
    first = sorted(set(some["patient_id"]))[:11]
    for k, patient in enumerate(first):  # most at 1, one at 0: the t interval would leave the scale
        own = some["patient_id"] == patient
        some.loc[own, ["fp", "fn"]] = 0 if k else 1000
        some.loc[own, "tp"] = 1000 if k else 0
    people = pd.DataFrame({"patient_id": sorted(set(some["patient_id"]))})
    people["sex"] = np.where(people["patient_id"].isin(first), "male", "female")
    table = stats.subgroups(some, stats.memberships(people), "unet", "Dice", "QLM")
    male = table.set_index("group").loc["male"]
    assert male["mean"] == pytest.approx(10 / 11) and male["high"] == 1 and male["low"] < 0.8


def test_declared_comparison_and_claims(rows):
    every = stats.compare(rows, "qvum", SETTINGS)
    assert list(every["role"].unique()) == [
        "declared",
        "sensitivity",
        "declared interval",
        stats.LABEL,
    ]
    first = every[every["role"] == "declared"]
    assert (first["test"] == "paired t").all()
    assert (first["unit"] == "patient").all()
    claims = stats.claims(rows, "qvum", SETTINGS)
    assert len(claims) == 4 * 4 + 4
    assert set(claims["verdict"]) <= {
        "holds",
        "reversed",
        "does not survive",
        "not shown by either",
    }
    assert claims["valid_p"].between(0, 1).all()


def test_tests_and_intervals_compare_the_same_images():
    rows = stats_data.per_image(patients=8, mean_images=8, empty=0.3)
    every = stats.compare(rows, "qvum", SETTINGS)
    part = every[
        (every["model"] == "unet") & every["test"].isin(["paired t", "cluster bootstrap-t"])
    ]
    part = part[part["unit"] == "patient"]
    assert len(part) == 2
    assert np.ptp(part["difference"]) < 1e-11
    assert set(part["dropped_images"]) == {every["dropped_images"].iloc[0]}
    assert set(part["n_images"]) == {every["n_images"].iloc[0]}


def test_a_network_that_differs_in_one_patient_only_does_not_survive():
    f = stats_data.per_image(
        models={"qvum": 0.0, "unet": 0.0}, effect=0.0, patients=12, mean_images=40
    )
    lucky = (
        (f["model"] == "unet")
        & (f["class"].isin(["QLM", "background"]))
        & (f["patient_id"] == "p03")
    )
    moved = f.loc[lucky & (f["class"] == "QLM"), "tp"] // 2
    for class_, plus in [("QLM", "fn"), ("background", "fp")]:
        at = lucky & (f["class"] == class_)
        f.loc[at, plus] += moved.to_numpy()
        f.loc[at, "tp" if class_ == "QLM" else "tn"] -= moved.to_numpy()
    stats.check(f)
    claim = stats.claims(f, "qvum", SETTINGS).set_index(["metric"]).loc["Dice"]
    assert claim["paper_p"] < 0.05
    assert claim["verdict"] == "does not survive"


def test_unknown_patients_leave_images_as_the_unit():
    f = stats_data.per_image(known=False, patients=10)
    for function in (stats.claims, stats.declared, stats.compare):
        with pytest.raises(NotComputable, match="patients, and they are not known here"):
            function(f, "qvum", SETTINGS)
    with pytest.raises(NotComputable, match="Patients are not known"):
        stats.icc(f, "qvum", "Dice", "QLM")
    every = stats.compare(f, "qvum", SETTINGS | {"test": "image_t"})
    assert (every["unit"] == "image").all()


def test_power_by_simulation_is_the_exact_power():
    from helpers.stats.design.power import exact_power

    for goal, margin, difference in [("difference", 0, 0.01), ("non-inferiority", 0.02, 0.0)]:
        got = stats.simulate_power(
            3e-4, 6e-3, difference, 22, 29, goal=goal, margin=margin, runs=40_000
        )
        assert got == pytest.approx(
            exact_power(3e-4, 6e-3, difference, 22, 29, goal=goal, margin=margin), abs=0.01
        )
    for between in (0.0, 0.1, 0.5):
        dz = 0.2 / np.sqrt(between + (1 - between) / 29)
        peer = np.ceil(TTestPower().solve_power(dz, power=0.8, alpha=0.05))
        assert stats.patients_needed(between, 1 - between, [0.2], [29])["patients"].iloc[0] == peer


def test_training_luck_needs_two_seeds_and_adds_their_variance():
    base = stats_data.per_image(patients=10, mean_images=6, models={"qvum": 0.0, "unet": 0.2})
    one = stats.training_luck(base, "qvum", "Dice", "QLM", draws=500).iloc[0]
    assert "one training" in one["note"]
    assert np.isnan(one["low"])
    # the same images under three starts, of which each shifts the network's errors as a whole
    shift = {1: 0.0, 2: 0.15, 3: -0.15}
    many = pd.concat(
        [
            stats_data.per_image(
                patients=10, mean_images=6, models={"qvum": e, "unet": 0.2 - e}
            ).assign(seed=k)
            for k, e in shift.items()
        ]
    )
    row = stats.training_luck(many, "qvum", "Dice", "QLM", draws=4000).iloc[0]
    patients_only = stats.paired_t(stats.values(many, "Dice", "QLM"), "qvum").iloc[0]
    assert (row["seeds_headline"], row["seeds_model"], row["note"]) == (3, 3, "")
    assert row["difference"] == pytest.approx(patients_only["difference"], rel=1e-12)
    assert row["se_patients"] == pytest.approx(
        patients_only["difference"] / patients_only["statistic"], rel=1e-9
    )
    assert row["t_high"] - row["t_low"] > patients_only["high"] - patients_only["low"]
    spread = (row["high"] - row["low"]) / (2 * 1.96)
    assert spread > row["se_patients"]
    assert spread == pytest.approx(np.hypot(row["se_patients"], row["se_seeds"]), rel=0.25)
    share = row["se_seeds"] ** 2 / (row["se_patients"] ** 2 + row["se_seeds"] ** 2)
    assert row["seed_share"] == pytest.approx(share) and 0 < share < 1


def test_interval_of_dz_far_from_0_and_of_either_sign():
    from helpers.stats.effects import noncentral_interval

    for n in (5, 22, 88):
        for t in (0.0, 3.4839, 13.0, 60.0):
            low, high = noncentral_interval(t, n - 1, n)
            assert noncentral_interval(-t, n - 1, n) == pytest.approx(
                (-high, -low), rel=1e-6, abs=1e-8
            )
            assert low < t / np.sqrt(n) < high
            assert scipy_stats.nct.cdf(t, n - 1, low * np.sqrt(n)) == pytest.approx(0.975, abs=1e-6)
        near, far = (np.array(noncentral_interval(t, n - 1, n)) / t for t in (149.0, 999.0))
        assert near == pytest.approx(far, rel=1e-3)
        assert noncentral_interval(-1e9, n - 1, n)[0] == pytest.approx(-1e9 * far[1], rel=1e-9)


def test_a_structure_that_is_drawn_though_never_there_has_one_mean_over_classes():
    """mPA 0.492 stood beside its interval 0.979 to 0.988: 0 of 0 was 0 in one and nothing in the
    other. It is nothing to find; the overlap, which is drawn wrongly, is 0.
    """
    f = stats_data.per_image(8, 3, models={"qvum": 0.0, "unet": 0.3}, shares={"QLM": 0.1})
    nowhere = f[f["class"] == "QLM"].assign(**{"class": "nerve"})
    pixels = nowhere[["tp", "fp", "fn", "tn"]].sum(axis=1)
    drawn = np.where(nowhere["model"] == "qvum", 3, 0)
    more = pd.concat([f, nowhere.assign(tp=0, fp=drawn, fn=0, tn=pixels - drawn)])
    both = stats.intervals(more, ["IoU", "recall"], ["all"], ["pooled"], draws=400)
    both = both.set_index(["metric", "model"])
    plain = metrics.overall(more).set_index("model")
    printed = stats.table3(more, "qvum").set_index(["metric", "model"])
    for name, metric in {"mPA": "recall", "mIoU": "IoU"}.items():
        for model in ("qvum", "unet"):
            row = both.loc[metric, model]
            assert row["low"] < row["estimate"] < row["high"]
            assert row["estimate"] == pytest.approx(plain.loc[model, name])
            assert row["estimate"] == pytest.approx(printed.loc[(name, model), "pooled"])
    assert both.loc[("recall", "qvum"), "estimate"] > 0.7
    before = metrics.overall(f).set_index("model")["mIoU"]
    assert both.loc[("IoU", "qvum"), "estimate"] == pytest.approx(2 / 3 * before["qvum"])
    assert both.loc[("IoU", "unet"), "estimate"] == pytest.approx(before["unet"])


def test_comparisons_of_nearly_nothing_say_why_they_cannot_be():
    f = stats_data.per_image(6, 2, models={"qvum": 0.0, "unet": 0.3})
    one = f[f["image_id"] == f["image_id"].iloc[0]]
    for function in (stats.anova_models, stats.tukey_models):
        with pytest.raises(NotComputable, match="There is one test image"):
            function(one)
    with pytest.raises(NotComputable, match="Fewer than two structures have a score in two images"):
        stats.tukey_classes(one, "qvum", ["TPR"])
    with pytest.raises(NotComputable, match="2 of 2 units have every one of qvum, unet"):
        stats.pairs(stats.by_model(f, "Dice", "QLM").head(2))
    perfect = f.assign(tp=f["tp"] + f["fn"], fp=0, fn=0)
    perfect["tn"] = 64 * 64 - perfect["tp"]
    none = ["p", "low", "high"]
    assert stats.tukey_classes(perfect, "qvum", ["TPR"])[none].isna().all(axis=None)
    assert stats.anova_models(perfect)["p"].isna().all()
    assert stats.tukey_models(perfect)[none].isna().all(axis=None)
    alike = stats.pairs(stats.by_model(perfect, "Dice", "QLM"))
    assert alike["p"].isna().all() and alike["difference"].eq(0).all()
