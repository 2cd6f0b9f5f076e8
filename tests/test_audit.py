"""The audit: intervals against brute force, no false alarm on true numbers, every planted
contradiction found.
"""

import re
from itertools import product
from pathlib import Path

import audit_simulation as simulation
import jsonschema
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from helpers.errors import StudyError
from helpers.studies import ROOT
from tools.audit import DEFINITION, GRADES, HOLDS, IMPOSSIBLE, QUESTION, RULES, audit, draft, read
from tools.audit.__main__ import main, text
from tools.audit.comparisons import implied_n, implied_sd, p_of_t, pairs
from tools.audit.false_claims import cases, probability, sd_of_difference
from tools.audit.groups import total_sd, weighted_mean
from tools.audit.interval import Interval, corners, hull, printed
from tools.audit.overlap import dice_of, iou_of, readings
from tools.audit.p_values import fit_together, p_of_means
from tools.audit.reading import SCHEMA

pytestmark = pytest.mark.slow

MANIFEST = ROOT / "data_manifest"
EXAMPLE = ROOT / "examples" / "audit_example.yml"
rng = np.random.default_rng(7)


def inside(interval, count=40):
    """Points of an interval, its ends among them."""
    return np.concatenate(
        [[interval.low, interval.high], rng.uniform(interval.low, interval.high, count)]
    )


def around(value, half):
    return Interval(value - half, value + half)


# --- intervals ---


@pytest.mark.parametrize(
    ("shown", "low", "high"),
    [
        ("0.720", 0.7195, 0.7205),
        ("0.72", 0.715, 0.725),
        ("-5.12", -5.125, -5.115),
        ("43", 42.5, 43.5),
        (".5", 0.45, 0.55),
    ],
)
def test_printed_digits_are_an_interval(shown, low, high):
    found = printed(shown)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert round(found.low + 1e-9, 4) in found and not found.meets(Interval(high + 1e-6, 1e3))


def test_limits_and_counts():
    assert printed("<0.001") == Interval(-np.inf, 0.001) and not printed("<0.001").bounded
    assert printed("≥ 3") == Interval(3.0, np.inf)
    assert printed("112", exact=True) == Interval(112.0, 112.0)
    for wrong in ("0,72", "about 5", "", "1e-3x", "nan"):
        with pytest.raises(ValueError, match="not a printed number"):
            printed(wrong)


@pytest.mark.parametrize("value", ["0.7345", "0.7355", "2.5", "0.125"])
def test_either_rounding_of_a_half_stays_inside(value):
    digits = len(value.split(".")[1]) - 1
    for shown in (f"{float(value):.{digits}f}", str(round(float(value) + 1e-12, digits))):
        assert float(value) in printed(f"{float(shown):.{digits}f}")


# --- formulas against brute force ---


def test_weighted_mean_and_total_sd_hold_every_possible_value():
    means = [around(49.5, 0.05), around(52.0, 0.05), around(52.6, 0.05)]
    sds, sizes = [around(9.5, 0.05), around(9.6, 0.05), around(8.6, 0.05)], [68, 22, 22]
    mean, spread = weighted_mean(means, sizes), total_sd(means, sds, sizes)
    seen = []
    for _ in range(4000):
        m, s = (
            [rng.choice([i.low, i.high, rng.uniform(i.low, i.high)]) for i in box]
            for box in (means, sds)
        )
        centre = np.average(m, weights=sizes)
        lost = rng.integers(2)  # SDs with n - 1 or with n
        square = sum(
            (n - lost) * sd**2 + n * (x - centre) ** 2 for n, x, sd in zip(sizes, m, s, strict=True)
        )
        seen.append((centre, np.sqrt(square / (112 - lost))))
        assert centre in mean and seen[-1][1] in spread
    centres, spreads = np.array(seen).T
    assert mean.low == pytest.approx(centres.min(), abs=0.01) and mean.high == pytest.approx(
        centres.max(), abs=0.01
    )
    assert (spread.low, spread.high) == pytest.approx((spreads.min(), spreads.max()), abs=0.02)


def test_total_sd_is_that_of_the_pooled_values():
    groups = [rng.normal(m, 3, n) for m, n in ((10, 20), (12, 31), (9, 8))]
    exact = (
        [Interval(v, v) for v in (g.mean() for g in groups)],
        [Interval(v, v) for v in (g.std(ddof=1) for g in groups)],
    )
    assert np.concatenate(groups).std(ddof=1) in total_sd(*exact, [20, 31, 8])


@pytest.mark.parametrize("equal", [True, False])
def test_p_of_means_holds_what_scipy_gives(equal):
    a, b = (around(49.5, 0.05), around(9.5, 0.05), 68), (around(52.0, 0.05), around(9.6, 0.05), 22)
    found = p_of_means(a, b, equal)
    points = list(product(inside(a[0], 4), inside(a[1], 4), inside(b[0], 4), inside(b[1], 4)))
    values = [
        stats.ttest_ind_from_stats(m, s, 68, k, r, 22, equal_var=equal).pvalue
        for m, s, k, r in points
    ]
    assert all(v in found for v in values)
    assert (found.low, found.high) == pytest.approx((min(values), max(values)), rel=1e-3)


def test_p_of_means_reaches_one_when_the_means_may_be_equal():
    same = (around(10, 0.5), around(2, 0.5), 20)
    assert p_of_means(same, (around(10.4, 0.5), around(2, 0.5), 20), True).high == pytest.approx(1)


def test_one_t_test_for_several_p_values():
    x = [rng.normal(m, 9, n) for m, n in ((49, 60), (52, 22), (53, 22))]
    groups = [(printed(f"{v.mean():.1f}"), printed(f"{v.std(ddof=1):.1f}"), len(v)) for v in x]
    for equal in (True, False):
        p = [printed(f"{stats.ttest_ind(x[0], v, equal_var=equal).pvalue:.3f}") for v in x[1:]]
        assert fit_together(groups[0], list(zip(groups[1:], p, strict=True)), equal)
    assert not fit_together(groups[0], [(groups[1], Interval(0.99, 1.0)), (groups[2], p[1])], True)


def test_overlap_formulas_hold_for_counts():
    for _ in range(300):
        tp, fp, fn, tn = (int(v) for v in rng.integers(1, 5000, 4))
        iou, p, r = tp / (tp + fp + fn), tp / (tp + fp), tp / (tp + fn)
        i, pi, ri, ti = (printed(f"{v:.3f}") for v in (iou, p, r, tn / (tn + fp)))
        if min(i.low, pi.low, ri.low) <= 0:
            continue
        assert 2 * tp / (2 * tp + fp + fn) in dice_of(i) and iou in iou_of(pi, ri)
        found = readings(
            {k: _Only(v) for k, v in {"IoU": i, "recall": ri, "precision": pi, "TNR": ti}.items()}
        )
        union = tp + fp + fn
        truth = {
            "FPR": (fp / (fp + tn), fp / (tp + fp), fp / union),
            "FNR": (fn / (tp + fn), fn / union),
        }
        for rate, values in truth.items():
            assert all(
                v in interval for v, interval in zip(values, found[rate].values(), strict=True)
            )


class _Only:
    def __init__(self, value):
        self.value = self.fraction = value


def test_corners_and_hull():
    assert corners(lambda a, b: a * b, Interval(-1, 2), Interval(3, 4)) == Interval(-4, 8)
    assert hull(Interval(0, 1), Interval(5, 6)) == Interval(0, 6)


def test_share_of_test_images_with_a_sibling_in_training(tmp_path):
    images, patients, train = 60, 20, 30
    owner = np.repeat(np.arange(patients), 3)
    shares = []
    for _ in range(4000):
        order = rng.permutation(images)
        shares.append(np.isin(owner[order[train:]], owner[order[:train]]).mean())
    content = {
        "entries": [count("i", images), count("t", train), count("p", patients)],
        "checks": [
            {"rule": "split_unit", **{k: {"metric": k[0]} for k in ("images", "train", "patients")}}
        ],
    }
    sentence = audit(simulation.write(content, tmp_path / "paper.yml"))["sentence"].iloc[0]
    told = float(sentence.split("about ")[1].split("%")[0]) / 100
    assert told == pytest.approx(np.mean(shares), abs=0.01)


def test_implied_sd_and_n_recover_the_truth():
    for n in (8, 22, 60, 637):
        d = rng.normal(0.02, 0.05, n)
        t, p = stats.ttest_1samp(d, 0)
        shown = printed(f"{t:.2f}")
        assert d.std(ddof=1) in implied_sd(around(d.mean(), 5e-4), shown, n)
        assert p in p_of_t(shown, n - 1)
        low, high = implied_n(shown, printed(f"{p:.3f}"))
        assert low <= n <= high
        fits = [k for k in range(2, 400) if p_of_t(shown, k - 1).meets(printed(f"{p:.3f}"))]
        assert not fits or (min(fits) == low and (high >= 400 or max(fits) == high))
    assert implied_n(printed("5.00"), printed("0.900")) is None


# --- the chance of a false claim (arXiv 2505.04720) ---


@pytest.mark.parametrize("congruence", [0.0, 0.5, 0.9])
def test_chance_of_a_false_claim_is_the_formula_at_icc_0(congruence):
    a, b, n = (0.86, 0.10), (0.85, 0.12), 80
    variance = a[1] ** 2 + b[1] ** 2 - 2 * congruence * a[1] * b[1]
    expected = stats.t.cdf(np.sqrt(n) * (b[0] - a[0]) / np.sqrt(variance), n - 1)
    sd = sd_of_difference(*(Interval(s, s) for s in (a[1], b[1], congruence)))
    assert sd.low == sd.high == pytest.approx(np.sqrt(variance))
    found = probability(a[0] - b[0], sd.low, cases(n, patients=10, icc=0.0))
    assert found == pytest.approx(expected, abs=1e-12)
    assert probability(a[0] - b[0], sd.low, cases(n, 10, 0.3)) > expected
    assert cases(n, 10, 1.0) == 10 and cases(n, None) == cases(n, n) == n


def test_chance_of_a_false_claim_is_the_share_of_true_differences_below_0():
    d = rng.normal(0.01, 0.08, 60)
    t = stats.ttest_1samp(d, 0)
    assert probability(d.mean(), d.std(ddof=1), 60) == pytest.approx(
        stats.ttest_1samp(d, 0, alternative="greater").pvalue
    )
    assert probability(t.statistic, np.sqrt(60), 60) == pytest.approx(
        probability(d.mean(), d.std(ddof=1), 60)
    )


def test_sd_of_a_difference_holds_every_value_of_its_box():
    a, b, r = Interval(0.08, 0.12), Interval(0.1, 0.11), Interval(0.5, 0.95)
    found = sd_of_difference(a, b, r)
    x, y, z = (rng.uniform(i.low, i.high, 20_000) for i in (a, b, r))
    values = np.sqrt(x**2 + y**2 - 2 * z * x * y)
    assert found.low <= values.min() and values.max() <= found.high
    assert (found.low, found.high) == pytest.approx((values.min(), values.max()), abs=2e-3)


def test_patients_decide_whether_a_claim_is_doubtful(tmp_path):
    rows = [*pair(), count("patients_test", 60)]  # one image a patient
    claims = {"claims": [BETTER]}
    assert found_in(rows, tmp_path, **claims).empty
    found = found_in([*pair(), count("patients_test", 4)], tmp_path, **claims)
    found = found[found["rule"] == "chance of a false claim"]
    assert "60 images of 4 patients" in found["sentence"].iloc[0]


def test_a_t_that_favours_the_rival_makes_the_claim_unlikely(tmp_path):
    tie = pair("-3.10")
    tie[1]["value"] = simulation.Printed("0.700")  # as printed the two are alike
    more = [
        e("Dice", "0.800", **A, n=60),
        e("Dice", "0.780", model="B", n=60),
        e("Dice_t_vs_A", "2.80", model="B", unit="t"),
    ]
    found = found_in([*tie, *more], tmp_path, claims=[BETTER])
    chance = found.loc[found["rule"] == "chance of a false claim", "implied"].iloc[0]
    assert chance.startswith("chance 0.99")


# --- no false alarms ---


@pytest.mark.parametrize("seed", range(12))
def test_true_numbers_give_no_finding(seed, tmp_path):
    table = audit(simulation.write(simulation.paper(1000 + seed), tmp_path / "paper.yml"))
    assert len(table) > 40
    assert list(table.loc[table["grade"] != HOLDS, "sentence"]) == []


# --- planted contradictions ---


A = {"model": "A"}


def e(metric, value, **more):
    shown = simulation.Printed(value) if isinstance(value, str) else value
    return {"metric": metric, "value": shown, "unit": "fraction", **more}


def count(metric, value, **more):
    return e(metric, value, **{"unit": "patients", **more})


def cohort(group, mean, sd, n):
    return e("age", mean, sd=simulation.Printed(sd), n=n, unit="years", **{"class": group})


def pair(t="3.10", p="0.003", **more):
    rows = [e("IoU", "0.700", **A, n=60, **more), e("IoU", "0.680", model="B", n=60, **more)]
    return [
        *rows,
        e("IoU_t_vs_A", t, model="B", unit="t"),
        e("IoU_p_vs_A", p, model="B", unit="p-value"),
    ]


SEXES = {
    "rule": "categories",
    "metrics": ["male", "female"],
    "groups": ["a", "b"],
    "total": "total",
}
BY_GROUP = (("a", 10, (4, 6)), ("b", 8, (5, 3)), ("total", 18, (9, 9)))
SEX_ROWS = [
    count(m, k, n=n, **{"class": g})
    for g, n, ks in BY_GROUP
    for m, k in zip(("male", "female"), ks, strict=True)
]
AGES = [
    cohort("total", "50.6", "9.4", 112),
    cohort("training", "49.5", "9.5", 68),
    cohort("validation", "52.0", "9.6", 22),
    cohort("test", "52.6", "8.6", 22),
]
OVERLAP = [
    e("IoU", "0.600", **A),
    e("Dice", "0.750", **A),
    e("precision", "0.750", **A),
    e("recall", "0.750", **A),
]
RATES = [
    e("TPR", "0.800", **A),
    e("FNR", "0.200", **A),
    e("TNR", "0.990", **A),
    e("FPR", "0.010", **A),
]
CLASSES = [
    e("mIoU", "0.650", **A),
    *(e("IoU", v, model="A", **{"class": c}) for c, v in (("x", "0.600"), ("y", "0.700"))),
]
MEANS = {"rule": "class_mean", "mean": {"metric": "mIoU"}, "of": [{"class": "x"}, {"class": "y"}]}
SEX_P = [e("sex_p", "0.343", unit="p-value", **{"class": "a vs b"}), *SEX_ROWS]
TWO = {
    "rule": "two_by_two",
    "p": {"metric": "sex_p"},
    "rows": ["a", "b"],
    "columns": ["male", "female"],
}
BEST = {
    "text": "x is best",
    "highest": {"metric": "IoU", "class": "x"},
    "among": [{"metric": "IoU", "class": "y"}],
}
SPLIT = {
    "rule": "proportion",
    "ratio": [6, 2, 2],
    "parts": [{"metric": m} for m in ("n1", "n2", "n3")],
}
LOSS = [e("loss_val", "0.40", unit="cross-entropy"), e("accuracy_pixel_val", "0.90")]
#: rule as reported, entries that agree, {index: the same entry with a value that does not}, grade,
#: more of the file
PERCENT = [count("male", 38, n=68), e("male_percent", "55.9", n=68, unit="percent")]
GOOD = {"definition": "share of images with IoU > 0.5"}
BOTH = [e("mIoU", "0.820", **A), e("Dice_mean", "0.880", **A)]
TWO_CLASSES = [e("IoU", "0.70", **{"class": "x"}), e("IoU", "0.60", **{"class": "y"})]
BETTER = {
    "text": "A is better",
    "greater": [{"metric": "IoU", **A}, {"metric": "IoU", "model": "B"}],
}
SCORES = [
    e("IoU", v, model=m, n=200, sd=simulation.Printed("0.100"))
    for m, v in (("A", "0.750"), ("B", "0.700"))
]
PLANTED = [
    (
        "sums",
        [
            count("images_total", 100),
            count("images_train", 60),
            count("images_val", 20),
            count("images_test", 20),
        ],
        {3: 21},
        IMPOSSIBLE,
        {},
    ),
    ("categories", SEX_ROWS, {0: 5}, IMPOSSIBLE, {"checks": [SEXES]}),
    ("percentages", PERCENT, {1: "59.5"}, IMPOSSIBLE, {}),
    ("percentages", PERCENT, {1: "55.8"}, QUESTION, {}),
    ("shares", [e("accuracy", "0.839", n=62, **GOOD)], {0: "0.845"}, IMPOSSIBLE, {}),
    (
        "order",
        [e("IoU_q1", "0.60"), e("IoU_median", "0.70"), e("IoU_q3", "0.80")],
        {1: "0.58"},
        IMPOSSIBLE,
        {},
    ),
    (
        "proportions",
        [count("n1", 60), count("n2", 21), count("n3", 19)],
        {0: 90},
        QUESTION,
        {"checks": [SPLIT]},
    ),
    (
        "repeats",
        [e("IoU", "0.72", **A, table="1"), e("IoU", "0.718", **A, table="2")],
        {1: "0.728"},
        QUESTION,
        {},
    ),
    (
        "repeats",
        [e("age_mean", "51.4", unit="years"), e("age", "51.38", unit="years")],
        {1: "51.46"},
        IMPOSSIBLE,
        {"checks": [{"rule": "same", "entries": [{"metric": "age_mean"}, {"metric": "age"}]}]},
    ),
    (
        "overlap identities",
        [e("IoU", "0.600", table="1"), e("Dice", "0.750", table="2")],
        {1: "0.590"},
        QUESTION,
        {},
    ),
    (
        "split by image",
        [count("images_total", 40), count("images_train", 30), count("people", 40)],
        {2: 10},
        QUESTION,
        {
            "checks": [
                {
                    "rule": "split_unit",
                    "images": {"metric": "images_total"},
                    "train": {"metric": "images_train"},
                    "patients": {"metric": "people"},
                }
            ]
        },
    ),
    ("mean of all patients", AGES, {0: "51.4"}, IMPOSSIBLE, {}),
    ("SD of all patients", AGES, {1: "42.0"}, IMPOSSIBLE, {}),
    (
        "SD within range",
        [
            e("x_mean", "0.50", sd=simulation.Printed("0.20"), n=20),
            e("x_min", "0.10"),
            e("x_max", "0.90"),
        ],
        {2: "0.55"},
        IMPOSSIBLE,
        {},
    ),
    (
        "P from means and SDs",
        [*AGES, e("age_p", "0.286", unit="p-value", **{"class": "training vs validation"})],
        {4: "0.028"},
        QUESTION,
        {},
    ),
    (
        "which test",
        [
            *AGES,
            e("age_p", "0.286", unit="p-value", **{"class": "training vs validation"}),
            e("age_p", "0.174", unit="p-value", **{"class": "training vs test"}),
        ],
        {5: "0.500"},
        QUESTION,
        {},
    ),
    ("P from counts", SEX_P, {0: "0.034"}, DEFINITION, {"checks": [TWO]}),
    (
        "sign of t",
        [
            *pair(),
            e("Dice", "0.800", model="A", n=60),
            e("Dice", "0.780", model="B", n=60),
            e("Dice_t_vs_A", "2.80", model="B", unit="t"),
            e("mPA", "0.80", **A),
            e("mPA", "0.78", model="B"),
            e("mPA_t_vs_A", "2.50", model="B", unit="t"),
        ],
        {2: "-3.10"},
        DEFINITION,
        {},
    ),
    ("size of t", pair(), {2: "31.0"}, QUESTION, {}),
    ("P and t", pair(), {3: "0.300"}, IMPOSSIBLE, {}),
    ("units behind P", [*pair("2.00", "0.050"), count("patients_test", 60)], {4: 6}, QUESTION, {}),
    ("overlap identities", OVERLAP, {1: "0.590"}, IMPOSSIBLE, {}),
    ("overlap identities", OVERLAP, {0: "0.760"}, IMPOSSIBLE, {}),
    (
        "overlap identities",
        [{**x, "definition": "pooled"} for x in OVERLAP],
        {1: "0.700"},
        DEFINITION,
        {},
    ),
    ("rates", RATES, {1: "0.250"}, IMPOSSIBLE, {}),
    ("rates", [*RATES, e("IoU", "0.600", **A)], {3: "0.250"}, DEFINITION, {}),
    ("means over classes", CLASSES, {0: "0.750"}, DEFINITION, {"checks": [MEANS]}),
    ("means over classes", CLASSES, {0: "0.300"}, IMPOSSIBLE, {"checks": [MEANS]}),
    ("IoU and Dice means", BOTH, {1: "0.760"}, IMPOSSIBLE, {}),
    ("IoU and Dice means", BOTH, {1: "0.930"}, IMPOSSIBLE, {}),
    ("claims in the text", TWO_CLASSES, {1: "0.80"}, IMPOSSIBLE, {"claims": [BEST]}),
    ("claims in the text", TWO_CLASSES, {1: "0.70"}, QUESTION, {"claims": [BEST]}),
    (
        "claims in the text",
        [e("time", "0.05", unit="s")],
        {0: "0.50"},
        QUESTION,
        {"claims": [{"text": "real time", "at_most": {"entry": {"metric": "time"}, "value": 0.1}}]},
    ),
    (
        "training against test",
        [e("IoU_train", "0.720"), e("IoU_test", "0.700")],
        {1: "0.600"},
        QUESTION,
        {},
    ),
    ("training against test", [e("loss_train", "0.30"), LOSS[0]], {0: "0.02"}, QUESTION, {}),
    ("loss and accuracy", LOSS, {0: "0.05"}, IMPOSSIBLE, {}),
    ("chance of a false claim", pair(), {2: "1.10"}, QUESTION, {"claims": [BETTER]}),
    ("chance of a false claim", SCORES, {0: "0.701"}, QUESTION, {"claims": [BETTER]}),
]


@pytest.mark.parametrize(
    ("rule", "entries", "change", "grade", "more"),
    PLANTED,
    ids=[f"{p[0]}-{i}" for i, p in enumerate(PLANTED)],
)
def test_a_planted_contradiction_is_found_and_its_true_twin_is_not(
    rule, entries, change, grade, more, tmp_path
):
    def run(rows):
        table = audit(simulation.write({"entries": rows, **more}, tmp_path / "paper.yml"))
        return table[table["rule"] == rule]

    true = run(entries)
    assert len(true) and set(true["grade"]) == {HOLDS}
    wrong = [
        {**row, "value": e("", change[i])["value"]} if i in change else row
        for i, row in enumerate(entries)
    ]
    found = run(wrong)
    found = found[found["grade"] != HOLDS]
    assert grade in set(found["grade"])
    assert found["sentence"].str.len().gt(20).all() and found["explanations"].str.len().gt(5).all()
    assert found["where"].str.len().gt(0).all() and found["implied"].str.len().gt(0).all()


def test_every_rule_has_a_planted_contradiction(tmp_path):
    labels = {
        row["rule"]
        for path in MANIFEST.glob("*/published.yml")
        for row in audit(path).to_dict("records")
    }
    labels |= set(audit(simulation.write(simulation.paper(3), tmp_path / "paper.yml"))["rule"])
    assert labels <= {p[0] for p in PLANTED}
    # the rule limits, which reports nothing that holds, has a test of its own
    assert len(RULES) == 25 and set(GRADES) == {p[3] for p in PLANTED}


# --- of two prints of one number, and totals elsewhere ---


COHORTS = [{**x, "table": "Table 1"} for x in AGES]
TEXT = e("age_mean", "50.60", sd=simulation.Printed("9.44"), n=112, unit="years", table="Text")
TEXT["class"] = "total"
SAME = {"rule": "same", "entries": [{"metric": "age", "class": "total"}, {"metric": "age_mean"}]}


def found_in(rows, tmp_path, **more):
    table = audit(simulation.write({"entries": rows, **more}, tmp_path / "paper.yml"))
    return table[table["grade"] != HOLDS]


def test_the_sharper_of_two_prints_is_used_as_well(tmp_path):
    assert found_in([*COHORTS, TEXT], tmp_path, checks=[SAME]).empty
    # 9.3 fits the cohorts, whose SD is at least 9.3155; 9.25 does not
    total = {**COHORTS[0], "sd": simulation.Printed("9.3")}
    rows = [total, *COHORTS[1:], {**TEXT, "sd": simulation.Printed("9.25")}]
    found = found_in(rows, tmp_path, checks=[SAME])
    assert list(found["rule"]) == ["SD of all patients"]
    assert "9.25 is printed" in found["sentence"].iloc[0]
    assert found["where"].iloc[0].startswith("Table 1, total, age (with the digits of Text);")
    assert found_in(rows, tmp_path).empty  # nothing says that they are one number


def test_the_sharper_print_under_another_name_of_the_metric(tmp_path):
    rates = [
        e("recall", "0.80", table="1", n=50),
        e("FNR", "0.204", table="1", n=50),
    ]
    assert found_in(rates, tmp_path).empty
    found = found_in([*rates, e("TPR", "0.803", table="2", n=50)], tmp_path)
    assert list(found["rule"]) == ["rates"] and "0.803" in found["sentence"].iloc[0]


def test_prints_that_differ_are_reported_once_and_not_mixed(tmp_path):
    other = {**TEXT, "value": simulation.Printed("51.60")}
    assert list(found_in([*COHORTS, other], tmp_path, checks=[SAME])["rule"]) == ["repeats"]


@pytest.mark.parametrize(("mean", "rules"), [("50.6", []), ("51.4", ["mean of all patients"])])
def test_a_total_in_another_table_than_its_parts_is_checked(mean, rules, tmp_path):
    total = {**COHORTS[0], "value": simulation.Printed(mean), "table": "Abstract"}
    assert list(found_in([total, *COHORTS[1:]], tmp_path)["rule"]) == rules
    del total["sd"]  # a mean alone is enough
    assert list(found_in([total, *COHORTS[1:]], tmp_path)["rule"]) == rules


def test_a_total_that_only_repeats_one_is_not_reported_twice(tmp_path):
    rows = [{**x, "value": simulation.Printed("51.4")} if x is COHORTS[0] else x for x in COHORTS]
    rows.append({**rows[0], "table": "Abstract"})
    assert list(found_in(rows, tmp_path)["rule"]) == ["mean of all patients"]


def test_counts_and_scores_without_sd_are_no_means(tmp_path):
    rows = [count("male", k, n=n, **{"class": g}) for g, n, (k, _) in BY_GROUP]
    scores = [
        e("IoU", "0.90", n=20, **{"class": "all"}),
        *(e("IoU", "0.50", n=10, **{"class": c}) for c in "xy"),
    ]
    table = audit(simulation.write({"entries": [*rows, *scores]}, tmp_path / "paper.yml"))
    assert not table["rule"].str.contains("of all patients").any()


def test_networks_whose_names_begin_alike_are_told_apart(tmp_path):
    rows = [
        e("IoU", "0.700", model="U-Net++", n=60),
        e("IoU", "0.650", model="U-Net", n=60),
        e("IoU", "0.680", model="B", n=60),
        e("IoU_t_vs_UNet", "-3.10", model="B", unit="t"),
    ]
    pair = next(iter(pairs(read(simulation.write({"entries": rows}, tmp_path / "p.yml")))))
    assert pair.reference.model == "U-Net" and pair.t.quantity == "t of IoU against U-Net"


# --- the four papers ---


def findings(study, rule=None, grade=None):
    table = audit(MANIFEST / study / "published.yml")
    table = table[table["grade"] != HOLDS]
    if rule:
        table = table[table["rule"] == rule]
    return table[table["grade"] == grade] if grade else table


def test_qvum_table_1_totals_lie_above_their_cohorts():
    found = findings("phantom", "mean of all patients", IMPOSSIBLE)
    assert sorted(found["metric"]) == ["age", "height", "weight"]
    assert (found["printed_low"] > found["possible_high"]).all()
    spread = findings("phantom", "SD of all patients").set_index("metric")
    assert sorted(spread.index) == ["age", "weight"]
    # 9.3 in the table fits the cohorts, the 9.25 of the text does not
    assert "9.25 is printed" in spread.loc["age", "sentence"]
    assert "Results text" in spread.loc["age", "where"]


def test_qvum_p_values_are_students_and_pearsons():
    table = audit(MANIFEST / "phantom" / "published.yml").set_index("rule")
    assert table.loc["which test", "sentence"].endswith("are all those of Student's t.")
    assert table.loc["P from counts", "sentence"].str.endswith("Pearson's chi-square.").all()
    assert (table.loc["P from means and SDs", "grade"] == HOLDS).all()


def test_qvum_rates_fit_only_over_the_union():
    found = findings("phantom", "rates")
    assert len(found) == 6 and set(found["grade"]) == {DEFINITION}
    assert found["sentence"].str.contains("share of the union").all()
    assert not found["sentence"].str.contains("false discovery").any()


def test_qvum_comparisons():
    sign = findings("phantom", "sign of t", DEFINITION)
    assert (
        len(sign) == 1
        and "BPSegSys" in sign["where"].iloc[0]
        and "-5.12" in sign["printed"].iloc[0]
    )
    size = findings("phantom", "size of t", QUESTION)
    assert size["printed"].str.contains("63.36").any()
    units = findings("phantom", "units behind P", QUESTION)
    assert len(units) == 2 and units["sentence"].str.contains("22 patients").all()


def test_qvum_means_include_the_background_and_claims_are_weighed():
    assert sorted(findings("phantom", "means over classes", DEFINITION)["metric"]) == [
        "Dice_mean",
        "mIoU",
        "mPA",
    ]
    doubtful = findings("phantom", "chance of a false claim", QUESTION)
    assert sorted(doubtful["metric"]) == ["Dice_mean", "accuracy_pixel", "mPA"]
    assert doubtful["sentence"].str.contains("BPSegSys is as good or better").all()
    assert doubtful["sentence"].str.contains("22 patients, if .* alike with an ICC of 0.3").all()
    claims = findings("phantom", "claims in the text")
    assert (
        claims.loc[claims["grade"] == QUESTION, "sentence"]
        .str.contains("lowest false-negative|best accuracy")
        .all()
    )
    assert claims.loc[claims["grade"] == IMPOSSIBLE, "sentence"].str.contains("Discussion").all()
    assert len(claims) == 3


def test_bonaldi_dice_below_iou_and_the_overfit():
    found = findings("tlf_phantom", grade=IMPOSSIBLE)
    assert (
        list(found["metric"]) == ["Dice_test1"]
        and "one of the 3 structures" in found["explanations"].iloc[0]
    )
    assert len(findings("tlf_phantom", "training against test")) == 2


def test_huang_and_dmrnet_have_no_contradiction():
    assert set(findings("femoral")["rule"]) == {"training against test"}
    assert findings("shamrock_phantom").empty


# --- the file and the command ---


def test_the_schema_alone_accepts_every_file_here():
    for path in [*MANIFEST.glob("*/published.yml"), EXAMPLE]:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        jsonschema.validate(content, SCHEMA, jsonschema.Draft202012Validator)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


ONE = {"entries": [e("IoU", "0.7")]}
IOU = {"metric": "IoU"}
BAD = [
    ({"entries": []}, "entries: must be a list"),
    ({"entriez": []}, "key entriez is unknown; entries: must be a list"),
    (None, "is empty; examples/audit_example.yml"),
    ({**ONE, "claim": []}, "claim: unknown key"),
    ({"entries": [{"metric": "IoU"}]}, r"entries\[0\] \(IoU\).value: missing"),
    (
        {"entries": [{"metric": "IoU", "value": "0,734"}]},
        r"\(IoU\).value: '0,734' is not a printed number",
    ),
    ({"entries": [{"metric": "IoU", "value": True}]}, r"entries\[0\] \(IoU\).value"),
    ({"entries": [e("IoU", "73.4")]}, r"entries\[0\] \(IoU\).value: 73.4 is no fraction"),
    ({"entries": [e("IoU", "0.7", N=5)]}, r"entries\[0\] \(IoU\).N: unknown field"),
    ({"entries": [e("IoU", "0.7", n=0)]}, r"entries\[0\] \(IoU\).n: 0 must be a whole number"),
    (
        {"entries": [e("IoU", "0.7", n=6.5)]},
        r"entries\[0\] \(IoU\).n: .*6.5.* must be a whole number",
    ),
    ({"entries": [e("age", "5.0", sd=-1.0)]}, r"entries\[0\] \(age\).sd: -1.0 is negative"),
    ({"entries": ["IoU 0.7"]}, r"entries\[0\]: must be a mapping"),
    ({**ONE, "checks": [{"rule": "summ"}]}, r"checks\[0\].rule: 'summ' is unknown"),
    ({**ONE, "checks": [{"rule": "sum", "total": IOU}]}, r"checks\[0\] \(sum\).parts: missing"),
    (
        {**ONE, "checks": [{"rule": "same", "entries": [], "x": 1}]},
        r"checks\[0\] \(same\).x: unknown key",
    ),
    (
        {**ONE, "checks": [{"rule": "jensen", "iou": {"metric": "I"}, "dice": {"metric": "D"}}]},
        r"checks\[0\] \(jensen\).*no entry",
    ),
    (
        {**ONE, "checks": [{"rule": "jensen", "iou": {"metrik": "I"}, "dice": {"metric": "D"}}]},
        r"checks\[0\].*metrik",
    ),
    (
        {**ONE, "checks": [{"rule": "jensen", "iou": "IoU", "dice": {"metric": "D"}}]},
        r"checks\[0\].*IoU",
    ),
    ({**ONE, "claims": [{"text": "best"}]}, r"claims\[0\]: needs exactly one of"),
    ({**ONE, "claims": [{"text": "best", "highest": IOU}]}, r"claims\[0\].*among"),
    ({**ONE, "claims": [{"highest": IOU, "among": [IOU]}]}, r"claims\[0\].*text"),
    ({**ONE, "claims": [{"text": "fast", "at_most": {"entry": IOU}}]}, r"claims\[0\].*value"),
    ({**ONE, "claims": [{"text": "x", "equal": [IOU], "among": [IOU]}]}, r"claims\[0\].among: unk"),
    ({**ONE, "claims": "best"}, "claims: must be a list of mappings, found 'best'"),
    ({**ONE, "checks": ["sum"]}, r"checks\[0\]: must be a mapping with a rule, found 'sum'"),
    (
        {**ONE, "checks": [{"rule": "proportion", "parts": [IOU], "ratio": [0]}]},
        r"ratio\[0\]: must be",
    ),
    (
        {**ONE, "layout": [{"item": "Tab 2", "shows": "x", "page": "04_x"}]},
        r"layout\[0\].item: must",
    ),
    ({**ONE, "same_images": "yes"}, "same_images: must be true or false, found 'yes'"),
    *(({**ONE, "claims": [x]}, r"claims\[0\]: .*found") for x in (None, 7, 0.5, True, [], [7])),
    (
        {**ONE, "claims": [{"text": "x", "greater": [IOU]}]},
        r"greater: must be a list of at least two",
    ),
    ({**ONE, "claims": [{"text": "x", "equal": [IOU]}]}, r"equal: must be a list of at least two"),
    *(
        ({"entries": [e("IoU", "0.7", unit=x)]}, r"\(IoU\).unit: must be text")
        for x in ([], {}, True)
    ),
    ({"entries": [{**e("IoU", "0.7"), "class": ["a"]}]}, r"\(IoU\).class: must be text"),
    *(
        ({"entries": [e("IoU", "70", unit=x)]}, rf"\(IoU\).unit: '{x}': write percent")
        for x in ("%", "Percent", "per cent", "percentage")
    ),
    ({"entries": [e("IoU", "0.7", unit="Fraction")]}, r"\(IoU\).unit: 'Fraction': write fraction"),
]


@pytest.mark.parametrize(("content", "message"), BAD)
def test_a_bad_file_is_one_clear_error_with_the_key(content, message, tmp_path):
    path = simulation.write(content, tmp_path / "paper.yml")
    with pytest.raises(StudyError, match=message) as error:
        audit(path)
    assert "paper.yml" in str(error.value)


def test_all_problems_of_a_file_are_reported_together(tmp_path):
    path = simulation.write({"entries": [{"metric": "a"}, {"value": "x"}]}, tmp_path / "paper.yml")
    with pytest.raises(StudyError) as error:
        read(path)
    assert all(
        part in str(error.value)
        for part in ("3 problems", "entries[0] (a).value", "entries[1].metric", "entries[1].value")
    )


@pytest.mark.parametrize(
    "content", ["entries: [", "a: 1\na: 2\nentries: [{metric: x, value: 1}]", "just text"]
)
def test_a_file_that_is_no_such_yaml(content, tmp_path):
    path = tmp_path / "paper.yml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(StudyError, match=r"paper\.yml: (not valid YAML|entries)"):
        read(path)


@pytest.mark.parametrize(
    "value", ["010", "1:30", "0x1F", "1_0", "1_0.5", "1:30.5", "1.0e+999", "1.0e-9"]
)
def test_a_number_that_yaml_reads_as_another_is_none(tmp_path, value):
    """010 is 8 to YAML, 1:30 is 90, and nobody prints 1.0e-9."""
    path = tmp_path / "p.yml"
    path.write_text(f"entries:\n  - {{metric: a, value: {value}}}\n", encoding="utf-8")
    with pytest.raises(StudyError, match=r"not a printed number|not a plain whole number"):
        read(path)


def test_absent_file_and_folder(tmp_path):
    with pytest.raises(StudyError, match="no such file"):
        read(tmp_path / "none.yml")
    with pytest.raises(StudyError, match="is a folder"):
        read(tmp_path)


def test_trailing_zeros_are_kept(tmp_path):
    (tmp_path / "p.yml").write_text(
        "entries:\n  - {metric: IoU, value: 0.720}\n  - {metric: n, value: 7, unit: count}\n"
    )
    first, second = read(tmp_path / "p.yml").everything
    assert (
        first.text == "0.720"
        and first.value.low == pytest.approx(0.7195)
        and second.value == Interval(7.0, 7.0)
    )


def test_the_example_has_findings_of_each_grade_and_checks_that_hold():
    assert set(audit(EXAMPLE)["grade"]) == {HOLDS, *GRADES}
    assert "invented" in EXAMPLE.read_text(encoding="utf-8").lower()


def test_command_prints_findings_and_writes_the_table(tmp_path, capsys):
    main([str(EXAMPLE), "--csv", str(tmp_path / "out.csv")])
    shown = capsys.readouterr().out
    table = audit(EXAMPLE)
    assert shown.startswith(f"{len(table)} checks") and "not an accusation" in shown
    assert text(table, everything=True).count("\n- ") == len(table) > text(table).count("\n- ")
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == len(table) + 1
    with pytest.raises(StudyError, match="no such file"):
        main([str(tmp_path / "none.yml")])
    with pytest.raises(StudyError, match="PAPER is missing"):
        main([""])
    main(
        [str(tmp_path / "none.yml"), "--out", str(tmp_path / "results")]
    )  # a study without a paper
    assert (tmp_path / "results" / "printed.csv").read_text(encoding="utf-8").count("\n") == 1


def test_helpers_know_nothing_of_the_audit():
    files = [*(ROOT / "helpers").rglob("*.py"), ROOT / "notebooks" / "09_published.ipynb"]
    assert len(files) > 50
    for path in files:
        assert not re.search(r"(from|import) tools\b", path.read_text(encoding="utf-8")), path


def test_the_manifests_say_nothing_twice():
    for path in MANIFEST.glob("*/published.yml"):
        keys = [
            tuple(row.get(k) for k in ("table", "model", "class", "metric"))
            for row in yaml.safe_load(path.read_text())["entries"]
        ]
        assert len(keys) == len(set(keys)), path


def test_the_manifests_of_one_paper_agree():
    papers = {}
    for path in sorted(MANIFEST.glob("*/published.yml")):
        paper = read(path)
        first = papers.setdefault(paper.name, paper)
        assert (paper.everything, paper.checks, paper.claims) == (
            first.everything,
            first.checks,
            first.claims,
        ), path


# --- a draft from a paper's tables ---

PRINTED_TABLES = Path(__file__).parent / "printed_tables"


TABLES = """
**Table 1. Patients**

| Characteristics | Total (n = 112) | Training cohort (n = 68) | Test cohort (n = 22) | P value |
|---|---|---|---|---|
| Age, years | 51.4 ± 9.3 | 49.5 ± 9.5 | 52.6 ± 8.6 | 0.174 |
| Male | 62 (55.4) | 38 (55.9%) | 11 (50.0) | |

Table 2

| Model | Dice (%) | IoU | HD95 (mm) | Note |
|:--|--:|--:|--:|---|
| Net A | 84.10 | 0.720 | 3.20 (1.10) | ours |
| Net B* | <80 | 0.70 | – | |
| Net C | 1 |
"""


def test_a_draft_keeps_the_digits_and_says_what_it_could_not_place(tmp_path):
    (tmp_path / "paper.md").write_text(TABLES, encoding="utf-8")
    drafts = [draft.draft(*table) for table in draft.tables(tmp_path / "paper.md")]
    path = tmp_path / "draft.yml"
    path.write_text(draft.text("smith2030", drafts), encoding="utf-8")
    found = {(x.table, x.model or x.structure, x.metric): x for x in read(path).everything}
    age = found["Table 1. Patients", "total", "Age"]
    assert (str(age), age.n, age.unit) == ("51.4 ± 9.3", 112, "years")
    males = found["Table 1. Patients", "training cohort", "Male"]
    assert (males.value, males.n) == (Interval(38.0, 38.0), 68)
    assert found["Table 1. Patients", "training cohort", "Male_percent"].text == "55.9"
    dice = found["Table 2", "Net A", "Dice"]
    assert (dice.text, dice.unit) == ("84.10", "percent")
    assert found["Table 2", "Net A", "IoU"].text == "0.720"
    assert found["Table 2", "Net B", "Dice"].text == "<80"
    assert found["Table 2", "Net A", "HD95"].sd is None
    assert len(found) == 3 + 2 * 3 + 3 + 2
    missing = [line for d in drafts for line in d.missing]
    for part in (
        "P value, Age, years: 0.174",
        "Note: ours",
        "is it an SD?",
        "Net C: 2 cells under 5 headings",
    ):
        assert sum(part in line for line in missing) == 1, part
    assert len(missing) == 4
    assert all(line in path.read_text(encoding="utf-8") for line in missing)


PAGE = """<html><body><p>Methods.</p>
<table><caption>Table 4. Networks</caption>
<tr><th>Model</th><th colspan="2">Dice (%)</th><th>Note</th></tr>
<tr><td>Net A</td><td>84.10 &plusmn; 3.20</td><td>85.00</td><td>ours</td></tr>
</table><table><tr><th>Net</th><th>IoU</th></tr><tr><td>B</td><td>0.70</td></tr></table></body></html>"""


def test_a_draft_from_a_web_page(tmp_path):
    (tmp_path / "paper.html").write_text(PAGE, encoding="utf-8")
    found = dict(draft.tables(tmp_path / "paper.html"))
    assert found["paper"] == [["Net", "IoU"], ["B", "0.70"]]
    made = draft.draft("Table 4. Networks", found["Table 4. Networks"])
    assert [(e["model"], e["value"], e.get("sd"), e["unit"]) for e in made.entries] == [
        ("Net A", "84.10", "3.20", "percent"),
        ("Net A", "85.00", None, "percent"),
    ]
    assert made.missing == ["Table 4. Networks, Net A, Note: ours"]


def test_a_share_in_brackets_is_no_percentage_and_a_plural_no_second():
    rows = [["", "All (n = 227)", "Test (n = 50)"], ["Artifacts", "1 (0.004)", "1 (2)"]]
    made = draft.draft("Table 1", rows).entries
    assert [(e["metric"], e["value"], e["unit"]) for e in made] == [
        ("Artifacts", "1", "patients"),
        ("Artifacts_share", "0.004", "fraction"),
        ("Artifacts", "1", "patients"),
        ("Artifacts_percent", "2", "percent"),
    ]


#: findings on the printed tables in printed_tables/ that an ordinary definition makes innocent, by
#: hand: a Dice that is the training loss with another sign is of probabilities, not of outlines
FALSE_ALARMS = {
    ("PMC11888921", "overlap identities", "U-Net training"),
    ("PMC7276369", "overlap identities", "U-Net, Dice; "),
}


def test_printed_tables_of_other_papers_raise_few_false_alarms(tmp_path, capsys):
    """21 tables of 20 papers, as printed; every finding was read by hand."""
    parts, path = [], tmp_path / "paper.yml"
    names = pd.read_csv(PRINTED_TABLES / "sources.csv")["file"]
    assert {f"{name}.csv" for name in names} == {
        p.name for p in PRINTED_TABLES.glob("*.csv") if p.stem != "sources"
    }
    for name in names:
        drafts = [draft.draft(*t) for t in draft.tables(PRINTED_TABLES / f"{name}.csv")]
        path.write_text(draft.text(name, drafts), encoding="utf-8")
        parts.append(audit(path))
    table = pd.concat(parts, ignore_index=True)
    found = table[table["grade"] != HOLDS]
    wrong = {
        r.Index
        for r in found.itertuples()
        if any((r.paper, r.rule) == f[:2] and f[2] in r.where for f in FALSE_ALARMS)
    }
    assert len(wrong) == len(FALSE_ALARMS)
    for rule, checks in table.groupby("rule"):
        own = found[found["rule"] == rule]
        false = len(wrong & set(own.index))
        print(f"{rule}: {len(checks)} checks, {len(own)} findings, {false} false alarms")
        assert false <= 0.02 * len(checks), rule
    assert len(table) > 400 and 15 < len(found) < 30
    # contradictions that nobody disputes: more Jaccard than Dice, percentages in each other's rows
    assert "thorax-204775" in set(found["paper"]) and "wcmc-1278515-isic2017" in set(found["paper"])
    swapped = found[(found["paper"] == "s41598-024-82909-3") & (found["rule"] == "percentages")]
    assert swapped["where"].str.contains("Lesion").sum() == 4


def test_percent_and_fraction_are_one_number(tmp_path):
    """84.1 % Dice beside an IoU of 0.72: 2 · 0.72 / 1.72 = 0.837, and 0.841 is too much."""
    (tmp_path / "t.csv").write_text("Net,Dice (%),IoU\nA,83.7,0.720\nB,84.1,0.720\n", "utf-8")
    (tmp_path / "t.yml").write_text(
        draft.text("x", [draft.draft(*t) for t in draft.tables(tmp_path / "t.csv")]), "utf-8"
    )
    table = audit(tmp_path / "t.yml").sort_values("where")
    assert table["grade"].tolist() == [HOLDS, IMPOSSIBLE]
    assert "72.00 to 83.76" in table["implied"].iloc[0] or "83.7" in table["implied"].iloc[0]


def test_a_draft_from_csv_and_files_without_tables(tmp_path, capsys):
    (tmp_path / "Table 3.csv").write_text("Network,mIoU\nNet A,0.730\n", encoding="utf-8")
    draft.main([str(tmp_path / "Table 3.csv"), "--paper", "x"])
    path = tmp_path / "draft.yml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    (only,) = read(path).everything
    assert (only.table, only.model, only.metric, only.text) == ("Table 3", "Net A", "mIoU", "0.730")
    (tmp_path / "empty.md").write_text("no table", encoding="utf-8")
    with pytest.raises(StudyError, match="no table with printed numbers"):
        draft.main([str(tmp_path / "empty.md")])
    with pytest.raises(StudyError, match="cannot be read"):
        draft.main([str(tmp_path / "none.md")])


# --- what the numbers are, before they are compared


def audited(tmp_path, *entries, checks=()):
    """(grade, rule) of every check of a small paper."""
    path = tmp_path / "paper.yml"
    told = {"study": "s", "table": "T", "model": None, "class": "a", "sd": None, "n": None}
    told |= {"unit": None, "definition": None, "note": None}
    content = {"entries": [told | entry for entry in entries], "checks": list(checks)}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return [(row.grade, row.rule) for row in audit(path).itertuples()]


def numbers(*pairs, **more):
    return [{"metric": metric, "value": value} | more for metric, value in pairs]


@pytest.mark.parametrize("unit", [None, "people", "count"])
@pytest.mark.parametrize(
    ("value", "percent", "grade"),
    [("21", "35.0", HOLDS), ("21", "34.2", IMPOSSIBLE), ("63", "105.0", IMPOSSIBLE)],
)
def test_what_is_printed_without_a_point_was_counted(tmp_path, unit, value, percent, grade):
    """21 of 60 are 35.0 %, however the count is quoted; 63 of 60 is nobody's percentage."""
    count = {"metric": "smokers", "value": value, "unit": unit, "n": 60}
    share = {"metric": "smokers_percent", "value": percent, "unit": "percent", "n": 60}
    assert (grade, "percentages") in audited(tmp_path, count, share)


@pytest.mark.parametrize(
    ("metric", "value", "unit", "wrong"),
    [
        ("IoU", "104", "percent", True),
        ("Dice", "100.0", "percent", False),
        ("smokers", "-3", "count", True),
        ("age_p", "7.5", None, True),
        ("age_p", "-0.03", None, True),
        ("age_p", "<0.001", None, False),
        ("age_p", "1.00", None, False),
    ],
)
def test_what_no_number_of_its_kind_can_be(tmp_path, metric, value, unit, wrong):
    found = audited(tmp_path, {"metric": metric, "value": value, "unit": unit, "n": 60})
    assert ((IMPOSSIBLE, "limits") in found) == wrong


@pytest.mark.parametrize("value", ["<5", "≥3"])
def test_a_limit_takes_part_in_no_count(tmp_path, value):
    share = {"definition": "share of patients with a nerve", "n": 60}
    given = [
        *numbers(("found", value), **share),
        *numbers(("patients_excluded", value), ("patients_test", value), ("images_test", value)),
        {"metric": "age_mean", "value": value, "sd": "3", "class": "total", "n": 30},
        {"metric": "age_mean", "value": "50", "sd": "3", "class": "b", "n": 15},
        {"metric": "age_mean", "value": "51", "sd": "3", "class": "c", "n": 15},
    ]
    audited(tmp_path, *given)


def test_a_declared_check_of_a_limit_or_of_nobody_is_named(tmp_path):
    given = numbers(("images_train", "<5"), ("images_test", "0"), ("images_val", "0"), n=60)
    for parts, said in (
        (("train", "test"), "is printed as <5, a limit"),
        (("test", "val"), "all 0"),
    ):
        check = {"rule": "proportion", "parts": [{"metric": f"images_{p}"} for p in parts]}
        with pytest.raises(StudyError, match=said):
            audited(tmp_path, *given, checks=[check | {"ratio": [1, 1]}])


def test_a_table_with_a_row_of_nobody_has_a_p_of_one(tmp_path):
    cells = [
        {"metric": metric, "value": value, "class": group, "unit": "count"}
        for group in "ab"
        for metric, value in (("yes", "0"), ("no", "30"))
    ]
    check = {"rule": "two_by_two", "p": {"metric": "yes_p"}, "rows": ["a", "b"]}
    check |= {"columns": ["yes", "no"]}
    p = {"metric": "yes_p", "value": "1.000", "class": "comparison"}
    assert (HOLDS, "P from counts") in audited(tmp_path, *cells, p, checks=[check])


@pytest.mark.parametrize("metric", ["age_median", "age_min", "IoU", "AUC"])
def test_what_is_no_mean_has_no_mean_over_groups(tmp_path, metric):
    each = [("total", "50", 90), ("b", "50", 60), ("c", "62", 30)]
    given = [{"metric": metric, "value": v, "class": g, "n": n} for g, v, n in each]
    assert not audited(tmp_path, *given)
    mean = [entry | {"metric": "age_mean"} for entry in given]
    assert (IMPOSSIBLE, "mean of all patients") in audited(tmp_path, *mean)


def test_fractions_and_percentages_are_one_number(tmp_path):
    given = [
        {"metric": "IoU", "value": "0.720", "unit": "fraction", "table": "T1"},
        {"metric": "IoU", "value": "72.0", "unit": "percent", "table": "T2"},
    ]
    same = {"rule": "same", "entries": [{"metric": "IoU", "table": t} for t in ("T1", "T2")]}
    assert audited(tmp_path, *given, checks=[same]) == [(HOLDS, "repeats")]
    given[1]["value"] = "73.0"
    assert (IMPOSSIBLE, "repeats") in audited(tmp_path, *given, checks=[same])
