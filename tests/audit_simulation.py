"""A paper that cannot contradict itself: every number computed from simulated data, then
rounded.
"""

import numpy as np
import yaml
from scipy import stats

from helpers.metrics import counts_of

COHORTS = ("training", "validation", "test")


class Printed(float):
    """A float that YAML writes with the digits it was printed with."""

    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.text = text
        return self


yaml.SafeDumper.add_representer(
    Printed, lambda d, v: d.represent_scalar("tag:yaml.org,2002:float", v.text)
)


def rounded(value, digits):
    """As a journal prints it."""
    return Printed(f"{value:.{digits}f}")


def entry(metric, value, **more):
    return {"table": "Table 1", "metric": metric, "value": value, "unit": "fraction", **more}


def people(rng, digits):
    """Table 1: ages with a total, P values of Student's t, sexes with percentages and Pearson's
    chi-square.
    """
    sizes = [int(n) for n in rng.integers(12, 80, 3)]
    ages = [rng.normal(50 + rng.normal(0, 2), rng.uniform(5, 12), n) for n in sizes]
    men = [int(rng.integers(3, n - 2)) for n in sizes]
    rows = []
    for name, x in [("total", np.concatenate(ages)), *zip(COHORTS, ages, strict=True)]:
        shown = {"sd": rounded(x.std(ddof=1), digits), "n": len(x), "unit": "years", "class": name}
        rows.append(entry("age", rounded(x.mean(), digits), **shown))
    whole = np.concatenate(ages)
    rows += [
        entry(
            "span_mean",
            rounded(whole.mean(), 1),
            sd=rounded(whole.std(ddof=1), 1),
            n=len(whole),
            unit="years",
        ),
        entry("span_min", rounded(whole.min(), 1), unit="years"),
        entry("span_max", rounded(whole.max(), 1), unit="years"),
    ]
    shown = {"sd": rounded(whole.std(ddof=1), digits + 1), "n": len(whole), "unit": "years"}
    rows.append(
        entry(
            "age_mean",
            rounded(whole.mean(), digits + 1),
            table="Text",
            **{"class": "total"},
            **shown,
        )
    )
    for name, m, n in [("total", sum(men), sum(sizes)), *zip(COHORTS, men, sizes, strict=True)]:
        for metric, k in (("male", m), ("female", n - m)):
            rows.append(entry(metric, k, n=n, unit="patients", **{"class": name}))
            rows.append(
                entry(
                    f"{metric}_percent",
                    rounded(100 * k / n, 1),
                    n=n,
                    unit="percent",
                    **{"class": name},
                )
            )
    for other in (1, 2):
        against = {"class": f"training vs {COHORTS[other]}", "unit": "p-value"}
        rows.append(
            entry("age_p", rounded(stats.ttest_ind(ages[0], ages[other]).pvalue, 3), **against)
        )
        table = [[men[i], sizes[i] - men[i]] for i in (0, other)]
        rows.append(
            entry(
                "sex_p",
                rounded(stats.chi2_contingency(table, correction=False).pvalue, 3),
                **against,
            )
        )
    checks = [
        {
            "rule": "categories",
            "metrics": ["male", "female"],
            "groups": list(COHORTS),
            "total": "total",
        }
    ]
    twins = [{"metric": "age", "class": "total"}, {"metric": "age_mean"}]
    checks.append({"rule": "same", "entries": twins})
    for other in (1, 2):
        p = {"metric": "sex_p", "class": f"training vs {COHORTS[other]}"}
        checks.append(
            {
                "rule": "two_by_two",
                "p": p,
                "rows": ["training", COHORTS[other]],
                "columns": ["male", "female"],
            }
        )
    parts = [
        entry(f"patients_{s}", n, unit="count")
        for s, n in zip(("train", "val", "test"), sizes, strict=True)
    ]
    return rows + parts + [entry("patients_total", sum(sizes), unit="count")], checks


def pixels(rng, digits):
    """Pooled metrics of three structures and background from one confusion matrix, and their
    means.
    """
    share = np.array([0.85, 0.03, 0.04, 0.08])
    matrix = np.array(
        [
            rng.multinomial(int(1e6 * s), rng.dirichlet(np.where(np.arange(4) == i, 60, 1.5)))
            for i, s in enumerate(share)
        ]
    )
    tp, fp, fn, tn = counts_of(matrix).T
    values = {
        "IoU": tp / (tp + fp + fn),
        "Dice": 2 * tp / (2 * tp + fp + fn),
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "TNR": tn / (tn + fp),
        "FPR": fp / (tn + fp),
        "FNR": fn / (tp + fn),
    }
    rows = [
        entry(metric, rounded(v[c], digits), model="A", definition="pooled", **{"class": f"c{c}"})
        for metric, v in values.items()
        for c in (1, 2, 3)
    ]
    means = {"mIoU": "IoU", "mPA": "recall", "Dice_mean": "Dice"}
    rows += [
        entry(m, rounded(values[k][1:].mean(), digits), model="A", **{"class": "all"})
        for m, k in means.items()
    ]
    checks = [
        {
            "rule": "class_mean",
            "mean": {"metric": m},
            "of": [{"metric": k, "class": f"c{c}"} for c in (1, 2, 3)],
        }
        for m, k in means.items()
    ]
    best = int(values["IoU"][1:].argmax()) + 1
    others = [{"metric": "IoU", "class": f"c{c}"} for c in (1, 2, 3) if c != best]
    gap = values["IoU"][best] - np.delete(values["IoU"][1:], best - 1).max()
    told = [
        {"text": "the best", "highest": {"metric": "IoU", "class": f"c{best}"}, "among": others}
    ]
    return rows, checks, told if gap > 2 * 10.0**-digits else []


def images(rng, digits, n):
    """Means over n images, quartiles, a share of good images, paired tests of two networks,
    losses.
    """
    base = rng.beta(8, 3, n)
    other = np.clip(base + rng.normal(-0.01, 0.05, n), 0.01, 0.99)
    rows = []
    for model, iou in (("A", base), ("B", other)):
        more = {"model": model, "n": n, "class": "nerve", "definition": "mean over images"}
        for metric, values in (("IoU", iou), ("Dice", 2 * iou / (1 + iou))):
            rows.append(entry(metric, rounded(values.mean(), digits), **more))
        if model == "A":
            q = np.quantile(iou, [0.25, 0.5, 0.75])
            rows += [
                entry(f"IoU_image_{k}", rounded(v, digits), **more)
                for k, v in zip(("q1", "median", "q3"), q, strict=True)
            ]
            good = more | {"definition": "share of images with IoU > 0.5"}
            rows.append(entry("accuracy", rounded((iou > 0.5).mean(), digits), **good))
    test = stats.ttest_rel(base, other)
    more = {"model": "B", "class": "nerve"}
    rows.append(entry("IoU_t_vs_A", rounded(test.statistic, 2), unit="t", **more))
    rows.append(entry("IoU_p_vs_A", rounded(test.pvalue, 3), unit="p-value", **more))
    accuracy = rng.uniform(0.8, 0.99)
    loss = -(1 - accuracy) * np.log(rng.uniform(0.05, 0.5)) + accuracy * rng.uniform(0.01, 0.1)
    rows.append(entry("accuracy_pixel_val", rounded(accuracy, 2), model="A"))
    rows.append(entry("loss_val", rounded(loss, 2), model="A", unit="cross-entropy"))
    return rows


def paper(seed):
    """The content of a file of printed numbers, as a dict."""
    rng = np.random.default_rng(seed)
    digits = int(rng.integers(2, 5))
    table1, checks1 = people(rng, int(rng.integers(0, 3)))
    table2, checks2, told = pixels(rng, digits)
    # one image a patient
    test = next(e["value"] for e in table1 if e["metric"] == "patients_test")
    entries = table1 + table2 + images(rng, digits, test)
    return {"paper": "simulated", "entries": entries, "checks": checks1 + checks2, "claims": told}


def write(content, path):
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path
