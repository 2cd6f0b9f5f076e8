"""Table 1: who was studied. As the paper computes it, and what says more than its P values."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from helpers import schemas
from helpers.errors import StudyError
from helpers.studies import imageless

SPLITS = (*schemas.SPLITS, schemas.EXTERNAL)

P_VALUES = (
    "The split was drawn at random, so the hypothesis that the groups come from one population is"
    " true by construction: these P values test the random numbers. The standardised mean"
    " difference says how far apart the groups are."
)


def summarise(
    patients: pd.DataFrame, by: str, continuous: Iterable[str], categorical: Iterable[str]
) -> pd.DataFrame:
    """Summary statistics, one row a group and variable (and level), plus group "total".

    `patients`: one row a patient (with patient_id: one for each of its groups; "total" counts it
    once). Columns: variable, level ("" for continuous), group, n, missing, mean, sd, count, percent
    (of the non-missing). Variables that `patients` lacks, or knows of nobody, are left out.
    """
    everyone = patients.drop_duplicates("patient_id") if "patient_id" in patients else patients
    groups = [("total", everyone), *patients.groupby(by, sort=False)]
    continuous, categorical = (
        [c for c in columns if c in patients and patients[c].notna().any()]
        for columns in (continuous, categorical)
    )
    rows = []
    for variable in continuous:
        for group, part in groups:
            x = pd.to_numeric(part[variable]).dropna()
            rows.append(
                {
                    "variable": variable,
                    "level": "",
                    "group": group,
                    "n": len(x),
                    "missing": len(part) - len(x),
                    "mean": x.mean(),
                    "sd": x.std(ddof=1),
                }
            )
    for variable in categorical:
        levels = sorted(patients[variable].dropna().unique(), key=str)
        for level in levels:
            for group, part in groups:
                x = part[variable].dropna()
                count = int((x == level).sum())
                rows.append(
                    {
                        "variable": variable,
                        "level": level,
                        "group": group,
                        "n": len(x),
                        "missing": len(part) - len(x),
                        "count": count,
                        "percent": 100 * count / len(x) if len(x) else np.nan,
                    }
                )
    return pd.DataFrame(
        rows,
        columns=["variable", "level", "group", "n", "missing", "mean", "sd", "count", "percent"],
    )


def table1_tests(
    summary: pd.DataFrame, reference: str = "train", others: Sequence[str] | None = None
) -> pd.DataFrame:
    """The paper's tests from summary statistics alone: `reference` against each other group.

    Student's t with equal variances (df = n1 + n2 − 2) for rows with mean and sd; Pearson's χ²
    without continuity correction for rows with counts. Works on :func:`summarise`'s frame or on a
    printed table brought into that form. Columns: variable, reference, group, test, statistic, df,
    p, smd, note. `smd`: |difference| of means over the root mean variance; for levels √(d'S⁻¹d)
    (Yang & Dalton 2012), which for two levels is the usual one. It is infinite where the groups
    differ and do not vary, and unknown where a group has nobody.
    """
    known = list(dict.fromkeys(summary["group"]))
    if reference not in known:
        raise StudyError(f"group {reference!r} is not in the table; there are {', '.join(known)}")
    others = [g for g in known if g not in (reference, "total")] if others is None else others
    rows = []
    for variable in dict.fromkeys(summary["variable"]):
        part = summary[summary["variable"] == variable]
        for group in others:
            a, b = part[part["group"] == reference], part[part["group"] == group]
            test = _student if part["mean"].notna().any() else _pearson
            rows.append({"variable": variable, "reference": reference, "group": group} | test(a, b))
    return pd.DataFrame(rows)


def _student(a: pd.DataFrame, b: pd.DataFrame) -> dict:
    (n1, m1, s1), (n2, m2, s2) = (x[["n", "mean", "sd"]].iloc[0].astype(float) for x in (a, b))
    out = {
        "test": "Student t (equal variances)",
        "statistic": np.nan,
        "df": n1 + n2 - 2,
        "p": np.nan,
        "smd": np.nan,
    }
    if min(n1, n2) < 2:
        return out | {"note": "fewer than two values in a group: no test"}
    out["smd"] = _over(abs(m1 - m2), np.sqrt((s1**2 + s2**2) / 2))
    if not s1 + s2 > 0:
        return out | {"note": "no variation: no test"}
    t, p = stats.ttest_ind_from_stats(m1, s1, n1, m2, s2, n2, equal_var=True)
    return out | {"statistic": t, "p": p, "note": ""}


def _over(distance: float, spread: float) -> float:
    """A distance in units of a spread: 0 only for no distance, infinite for one without spread."""
    return distance / spread if spread > 0 else np.inf if distance > 0 else 0.0


def _pearson(a: pd.DataFrame, b: pd.DataFrame) -> dict:
    table = np.array([a["count"].to_numpy(float), b["count"].to_numpy(float)])
    table = table[:, table.sum(0) > 0]
    out = {
        "test": "Pearson χ² (no continuity correction)",
        "statistic": np.nan,
        "df": table.shape[1] - 1,
        "p": np.nan,
        "smd": np.nan,
    }
    if (table.sum(1) == 0).any():
        return out | {"note": "nothing known of a group: no test"}
    if (table.sum(1) < 2).any():
        return out | {"note": "fewer than two values in a group: no test"}
    if table.shape[1] < 2:
        return out | {"smd": 0.0, "note": "one level only: no test"}
    chi2, p, df, expected = stats.chi2_contingency(table, correction=False)
    share = table / table.sum(1, keepdims=True)
    d = (share[0] - share[1])[1:]
    s = sum(np.diag(q[1:]) - np.outer(q[1:], q[1:]) for q in share) / 2
    inverse = np.linalg.pinv(s)
    unexplained = np.abs(d - s @ inverse @ d).max()  # a difference between levels that do not vary
    smd = np.inf if unexplained > 1e-9 else float(np.sqrt(max(d @ inverse @ d, 0)))
    note = (
        "an expected count is below 5: Fisher's exact test is the safer one"
        if expected.min() < 5
        else ""
    )
    return out | {"statistic": chi2, "df": df, "p": p, "smd": smd, "note": note}


def table1(summary: pd.DataFrame, reference: str = "train") -> pd.DataFrame:
    """Table 1 as printed, from :func:`summarise`: a line a variable or level, a column a group,
    "mean ± SD" or "n (%)".

    Then P and SMD of each group against `reference`, and missing (in all patients). See
    :func:`table1_tests`.
    """
    tests = table1_tests(summary, reference)
    size = summary.drop_duplicates("group").set_index("group")[["n", "missing"]].sum(axis=1)
    rows = []
    for (variable, level), part in summary.groupby(["variable", "level"], sort=False):
        row = {"characteristic": variable + (f": {level}" if level else "")}
        for cell in part.itertuples():
            row[f"{cell.group} (n = {size[cell.group]})"] = _cell(cell)
        first = variable not in {r["characteristic"].split(":")[0] for r in rows}
        for test in tests[tests["variable"] == variable].itertuples():
            row[f"P, {reference} v. {test.group}"] = test.p if first else np.nan
            row[f"SMD, {reference} v. {test.group}"] = test.smd if first else np.nan
        rows.append(row | {"missing": int(part.loc[part["group"] == "total", "missing"].iloc[0])})
    return pd.DataFrame(rows)


def _cell(cell: Any) -> str:
    """ "mean ± SD" or "n (%)" of a row of :func:`summarise`; what nobody knows is "–", and one
    value alone has no SD.
    """
    if not cell.n:
        return "–"
    if cell.level != "":
        return f"{int(cell.count)} ({cell.percent:.1f})"
    return f"{cell.mean:.1f}" + (f" ± {cell.sd:.1f}" if cell.n > 1 else "")


#: why somebody is left out whom nobody excluded
NO_IMAGE = "no image in this run"


def flow(images: pd.DataFrame, patients: pd.DataFrame | None) -> pd.DataFrame:
    """Figure 1 as a table: stage (assessed, excluded, included, then the splits), reason, patients,
    images.

    patients is NaN where no patients are known; assessed and excluded appear only where excluded
    people are listed, or people of whom there is no image.
    """
    known = images["patient_id"].notna().all()
    rows = []
    if patients is not None:
        told = patients.get("excluded", pd.Series(index=patients.index, dtype=object))
        reasons = told.mask(imageless(patients, images), NO_IMAGE)
        if "excluded" in patients or reasons.notna().any():
            rows.append({"stage": "assessed", "patients": len(patients)})
        counts = reasons.value_counts()
        rows += [{"stage": "excluded", "reason": r, "patients": n} for r, n in counts.items()]
    parts = [
        ("included", images),
        *((s, images[images["split"] == s]) for s in SPLITS if s in set(images["split"])),
    ]
    for stage, part in parts:
        who = part["patient_id"].nunique() if known else np.nan
        rows.append({"stage": stage, "patients": who, "images": len(part)})
    return pd.DataFrame(rows, columns=["stage", "reason", "patients", "images"])


def by_split(patients: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """One row a patient and split that has images of it, in the order of SPLITS; excluded people
    are left out.

    A study that is divided by image has patients in several splits: several rows.
    """
    pairs = images.dropna(subset=["patient_id"])[["patient_id", "split"]].drop_duplicates()
    if "excluded" in patients:
        patients = patients[patients["excluded"].isna()]
    out = patients.merge(pairs, on="patient_id", validate="one_to_many")
    return out.sort_values(
        ["split", "patient_id"], key=lambda c: c.map(SPLITS.index) if c.name == "split" else c
    )


PRINTED_GROUPS = {"total": "total", "training": "train", "validation": "val", "test": "test"}


def printed_table1(entries: list[dict]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The paper's printed Table 1 (entries of published.yml) as a summary frame, and its printed P
    values.

    Returns (summary as from :func:`summarise`, printed: variable, group, printed_p).
    """
    rows, printed = [], []
    sizes = {}
    table = [e for e in entries if str(e.get("table")) == "Table 1"]
    for e in table:
        group = PRINTED_GROUPS.get(e["class"])
        if e["metric"] in ("age", "height", "weight") and group:
            rows.append(
                {
                    "variable": e["metric"],
                    "level": "",
                    "group": group,
                    "n": e["n"],
                    "mean": e["value"],
                    "sd": e["sd"],
                }
            )
            sizes[group] = e["n"]
        elif e["metric"].endswith("_p"):
            printed.append(
                {
                    "variable": e["metric"].removesuffix("_p"),
                    "group": PRINTED_GROUPS[e["class"].split()[-1]],
                    "printed_p": float(e["value"]),
                }
            )
    for e in table:
        if e["metric"] in ("male", "female"):
            group = PRINTED_GROUPS[e["class"]]
            rows.append(
                {
                    "variable": "sex",
                    "level": e["metric"],
                    "group": group,
                    "n": sizes[group],
                    "count": int(e["value"]),
                    "percent": 100 * e["value"] / sizes[group],
                }
            )
    summary = pd.DataFrame(
        rows,
        columns=["variable", "level", "group", "n", "missing", "mean", "sd", "count", "percent"],
    )
    return summary, pd.DataFrame(printed, columns=["variable", "group", "printed_p"])
