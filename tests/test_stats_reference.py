"""Every test agrees with R: values in tests/reference/reference.json, made by make_reference.R
beside it.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import stats
from helpers.stats import cohort

FOLDER = Path(__file__).parent / "reference"
R = json.loads((FOLDER / "reference.json").read_text())
CLOSED, FITTED = {"rel": 1e-8, "abs": 1e-10}, {"rel": 1e-4}


@pytest.fixture(scope="module")
def scores():
    return pd.read_csv(FOLDER / "scores.csv").assign(**{"class": "s", "metric": "recall"})


@pytest.fixture(scope="module")
def counts(scores):
    """Pixel counts with exactly these recalls: the networks as networks."""
    tp = (scores["value"] * 1e6).round().astype(int)
    return scores.drop(columns=["value", "metric"]).assign(tp=tp, fp=0, fn=10**6 - tp, tn=0, seed=0)


@pytest.fixture(scope="module")
def structures(counts):
    """The same with the networks as structures of one network."""
    return counts.assign(**{"class": counts["model"], "model": "m"})


def test_versions_of_r_are_stored():
    assert R["versions"]["R"].startswith("R version")
    assert set(R["versions"]) == {"R", "lme4", "lmerTest", "emmeans", "jsonlite"}


def test_table1():
    ref = R["table1"]
    people = pd.DataFrame(
        {
            "age_years": ref["train"] + ref["test"],
            "split": ["train"] * len(ref["train"]) + ["test"] * len(ref["test"]),
        }
    )
    row = stats.table1_tests(stats.summarise(people, "split", ["age_years"], [])).iloc[0]
    assert row["statistic"] == pytest.approx(ref["t"], **CLOSED)
    assert (row["df"], row["p"]) == (ref["df"], pytest.approx(ref["p"], **CLOSED))
    table = [
        {"variable": "sex", "level": level, "group": group, "n": sum(counts), "count": n}
        for group, counts in zip(["train", "val"], ref["sex"], strict=True)
        for level, n in zip(["male", "female"], counts, strict=True)
    ]
    row = stats.table1_tests(pd.DataFrame(table, columns=[*table[0], "mean", "sd"])).iloc[0]
    assert row["statistic"] == pytest.approx(ref["chi2"], **CLOSED)
    assert row["p"] == pytest.approx(ref["chi2_p"], **CLOSED)
    assert round(row["p"], 3) == 0.792  # as printed in the Q-VUM paper's Table 1


@pytest.mark.parametrize("unit", ["image", "patient"])
def test_paired(scores, unit):
    t = stats.paired_t(scores, "a", unit).set_index("model")
    w = stats.wilcoxon(scores, "a", unit).set_index("model")
    normal = stats.normality(scores, "a", unit).set_index("model")
    for model, ref in R[f"{unit}s"].items():
        for ours, theirs in {
            "difference": "difference",
            "statistic": "t",
            "df": "df",
            "p": "p",
            "low": "low",
            "high": "high",
        }.items():
            assert t.loc[model, ours] == pytest.approx(ref[theirs], **CLOSED)
        assert w.loc[model, "statistic"] == pytest.approx(ref["wilcoxon"], **CLOSED)
        assert w.loc[model, "p"] == pytest.approx(ref["wilcoxon_p"], **CLOSED)
        assert normal.loc[model, "W"] == pytest.approx(ref["shapiro_w"], rel=1e-5)
        assert normal.loc[model, "p"] == pytest.approx(ref["shapiro_p"], rel=1e-4)


def test_anova_and_tukey_over_images(counts, structures):
    ref = R["anova"]
    for row in [
        stats.anova_models(counts, {"mPA": "recall"}).iloc[0],
        stats.anova_classes(structures, "m", ["recall"]).iloc[0],
    ]:
        assert row["statistic"] == pytest.approx(ref["f"], **CLOSED)
        assert (row["df1"], row["df2"], row["p"]) == (
            ref["df1"],
            ref["df2"],
            pytest.approx(ref["p"], **CLOSED),
        )
    for ours in [
        stats.tukey_models(counts, {"mPA": "recall"}),
        stats.tukey_classes(structures, "m", ["recall"]),
    ]:
        ours = ours.set_index(["a", "b"])
        for pair in R["tukey"]:
            second, first = pair["pair"].split("-")
            row = ours.loc[(first, second)]
            assert -row["difference"] == pytest.approx(pair["difference"], **CLOSED)
            # R integrates the studentised range to about 1e-9 absolute only, and its quantile
            # to
            # about 1e-5
            assert row["p"] == pytest.approx(pair["p"], abs=1e-8)
            assert (-row["high"], -row["low"]) == pytest.approx(
                (pair["low"], pair["high"]), abs=1e-6
            )


def test_repeated_measures_over_patients(counts, structures):
    ref = R["repeated"]
    one = stats.rm_table(stats.by_model(counts, "recall", "s"))
    two = stats.rm_anova(structures, "m", "recall").iloc[0]
    for row in [one, two]:
        assert row["statistic"] == pytest.approx(ref["f"], **CLOSED)
        assert (row["df1"], row["df2"]) == (ref["df1"], ref["df2"])
        assert row["p"] == pytest.approx(ref["p"], **CLOSED)
        assert row["p_gg"] == pytest.approx(ref["p_gg"], **CLOSED)
        assert row["epsilon"] == pytest.approx(
            ref["epsilon"], abs=5e-5
        )  # R prints four digits of it
    friedman = stats.friedman(stats.by_model(counts, "recall", "s")).iloc[0]
    assert friedman["statistic"] == pytest.approx(ref["friedman"], **CLOSED)
    assert friedman["p"] == pytest.approx(ref["friedman_p"], **CLOSED)


def test_multiplicity():
    ref = R["adjust"]
    assert stats.adjusted(ref["p"]) == pytest.approx(ref["holm"], **CLOSED)
    assert stats.adjusted(ref["p"], "fdr") == pytest.approx(ref["fdr"], **CLOSED)


def test_mixed_model_of_differences(scores):
    ours = stats.mixed_differences(scores, "a").set_index("model")
    for model, ref in R["mixed"].items():
        row = ours.loc[model]
        assert row["difference"] == pytest.approx(ref["difference"], **FITTED)
        assert row["difference"] / row["statistic"] == pytest.approx(ref["se"], **FITTED)
        assert row["between"] == pytest.approx(ref["between"], **FITTED)
        assert row["residual"] == pytest.approx(ref["residual"], **FITTED)
        assert row["df"] == 11  # patients − 1; lmerTest's Satterthwaite is near it
        assert ref["satterthwaite_df"] == pytest.approx(11, abs=2)


def test_mixed_model_of_all_networks(scores):
    ours = stats.mixed_models(scores, "a").set_index("model")
    ref = R["mixed_all"]
    assert ours["between"].iloc[0] == pytest.approx(ref["between"], **FITTED)
    assert ours["residual"].iloc[0] == pytest.approx(ref["residual"], **FITTED)
    for name, estimate, se, df in zip(
        ref["contrast"], ref["estimate"], ref["se"], ref["df"], strict=True
    ):
        row = ours.loc[name.split()[0]]
        assert row["difference"] == pytest.approx(-estimate, **FITTED)
        assert row["se"] == pytest.approx(se, **FITTED)
        assert row["df"] == pytest.approx(df, rel=0.1)


def test_printed_table1_recomputes_the_papers_p_values():
    """Q-VUM, Table 1: each printed P lies within what rounding of the printed means and SDs
    allows.
    """
    printed = [
        ("age", "val", 49.5, 9.5, 68, 52.0, 9.6, 22, 0.273),
        ("age", "test", 49.5, 9.5, 68, 52.6, 8.6, 22, 0.174),
        ("height", "val", 166.0, 8.7, 68, 167.1, 9.6, 22, 0.633),
        ("height", "test", 166.0, 8.7, 68, 166.2, 9.0, 22, 0.949),
        ("weight", "val", 66.2, 12.5, 68, 65.4, 12.4, 22, 0.793),
        ("weight", "test", 66.2, 12.5, 68, 64.7, 11.7, 22, 0.613),
    ]
    for variable, group, m1, s1, n1, m2, s2, n2, p in printed:
        found = []
        for a in (-0.05, 0, 0.05):
            for b in (-0.05, 0, 0.05):
                same = {"variable": variable, "level": ""}
                rows = [
                    same | {"group": "train", "n": n1, "mean": m1 + a, "sd": s1},
                    same | {"group": group, "n": n2, "mean": m2 + b, "sd": s2},
                ]
                found.append(stats.table1_tests(pd.DataFrame(rows)).iloc[0]["p"])
        assert min(found) <= p <= max(found), (variable, group)
    assert cohort.PRINTED_GROUPS["training"] == "train"
    assert np.isfinite(found).all()
