"""UBPD by scanner: what the kept trainings of its protocols reach, printed as the README has it.

Reads reports/ubpd/results/<protocol> and the scanners of data_manifest/ubpd/patients.csv. For each
protocol and network: Dice of the nerve, mean over patients, by scanner (95 % t interval) and P of
the interaction (Welch), seeds averaged and their range beside it; how often the nerve was found,
missed, or drawn where there is none; what learning four classes at once costs the nerve (nerve42
against published42, paired by patient); and the other scanner of those that learnt on one.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats as distributions

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers import stats, studies
from helpers.analyses import outlines
from helpers.errors import StudyError
from helpers.figures import model_label
from helpers.workflow import keep

PROTOCOLS = (
    *("quick", "published42", "published94", "published33", "nerve42"),
    *("machine1", "machine2"),
)
NERVE = "nerve"


def kept(protocol):
    """The rows of per_image.csv of a protocol's kept trainings on its own split; None where none
    is kept.
    """
    study = studies.load("ubpd", protocol)
    try:
        found = keep.trainings(study)
    except StudyError as error:
        if "no kept numbers" not in str(error):
            raise
        return None
    rows = [keep.counts(path) for (_, fold, _), path in found.items() if fold == "main"]
    return pd.concat(rows, ignore_index=True)


def by_patient(rows, model):
    """Dice of the nerve by patient (Series), images averaged within seeds, then seeds."""
    each = stats.values(rows[rows["model"] == model], "Dice", NERVE)
    return each.groupby("patient_id")["value"].mean().dropna()


def interval(low, high):
    return f"{low:.3f} to {high:.3f}" if np.isfinite(low) else "no interval"


def said(values, lowest=0):
    """'0.571 (0.430 to 0.710; 11 patients)': mean and t interval, within what the values can be;
    none of fewer than five patients, or where all are alike.
    """
    n, mean, spread = len(values), values.mean(), values.std(ddof=1)
    known = n > 4 and spread > 0
    half = distributions.t.ppf(0.975, n - 1) * spread / np.sqrt(n) if known else np.nan
    ends = interval(np.maximum(mean - half, lowest), np.minimum(mean + half, 1))
    return f"{mean:.3f} ({ends}; {n} patients)"


def one_network(rows, model, groups):
    """Print a network's nerve by scanner on the rows of one split."""
    own = rows[rows["model"] == model]
    table = stats.subgroups(own, groups, model, "Dice", NERVE)
    each = [
        f"{g.group} {g.mean:.3f} ({interval(g.low, g.high)}, n {g.n})" for g in table.itertuples()
    ]
    seeds = [by_patient(part, model).mean() for _, part in own.groupby("seed")]
    spread = f"{len(seeds)} seeds {min(seeds):.3f} to {max(seeds):.3f}"
    spread = spread if len(seeds) > 1 else "one seed"
    p = table["p_interaction"].iloc[0]
    print(
        f"  {model_label(model)}: {said(by_patient(own, model))}, {spread}; {'; '.join(each)}"
        + (f"; interaction P {p:.3g}" if np.isfinite(p) else "")
    )
    found = outlines.found(own[own["class"] == NERVE]).iloc[0]
    print(
        f"    outlines of the nerve: found {found['found']} of {found['present']}, missed"
        f" {found['missed']}, drawn in {found['drawn_where_none']} of {found['absent']} images"
        " without one"
    )


def gap(four, alone):
    """Print the nerve's Dice learnt alone minus with three more classes, paired by patient."""
    for model in sorted(set(four["model"]) & set(alone["model"])):
        seeds = set(four.loc[four["model"] == model, "seed"])
        seeds &= set(alone.loc[alone["model"] == model, "seed"])
        both = [by_patient(part[part["seed"].isin(seeds)], model) for part in (alone, four)]
        differences = (both[0] - both[1]).dropna()
        fall = 100 * differences.mean() / both[0].mean()
        print(
            f"  {model_label(model)}, {len(seeds)} seed(s): alone minus four classes"
            f" {said(differences, -1)}: a fall by {fall:.0f} %"
        )


def main():
    people = studies.patients(studies.load("ubpd"))
    groups = people.rename(columns={"device": "group"}).assign(variable="scanner")
    results = {name: found for name in PROTOCOLS if (found := kept(name)) is not None}
    for name, rows in results.items():
        for split in ("test", "external"):
            own = rows[rows["split"] == split]
            if own.empty:
                continue
            print(f"{name}, {split}: {own['image_id'].nunique()} images")
            for model in dict.fromkeys(own["model"]):
                one_network(own, model, groups[["patient_id", "variable", "group"]])
    if {"published42", "nerve42"} <= set(results):
        print("the nerve alone against four classes at once, the same test patients:")
        gap(*(results[n].query("split == 'test'") for n in ("published42", "nerve42")))


if __name__ == "__main__":
    main()
