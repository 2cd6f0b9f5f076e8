"""What readers said of outlines whose maker they did not know: acceptability, agreement between
readers, networks against the reference.

Intervals resample whole patients (images where patients are unknown). Sources: weighted kappa,
Cohen 1968 (quadratic weights); coefficient of concordance, Kendall & Babington Smith 1939, with its
correction for ties.
"""

import itertools
import json
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyses import outlines
from helpers.errors import NotComputable, raise_all
from helpers.stats.bootstrap import draw_counts
from helpers.stats.counts import MIN_UNITS
from helpers.stats.multiplicity import adjusted

REFERENCE = "reference"
GRADES = (1, 2, 3, 4)  # not at all, after large changes, after small changes, as it is
ENOUGH = 3  # grade from which on an outline is acceptable
QUESTIONS = {"found": (0, 1), "safe": (0, 1), "acceptable": GRADES}
COPIED = 5  # cases whose answers two people do not give alike in everything
COLUMNS = ["reader", "image_id", "unit", "outline", *QUESTIONS, "rank", "set"]


def answers(given: dict) -> pd.DataFrame:
    """Answers by letter as a table by outline: columns COLUMNS, a row a reader, image and outline;
    NaN for a question that was left open.

    given: name of a file → (reader, case → letter → question → number, key of the outlines).
    StudyError lists every answer that is not one.
    """
    rows, problems, same = [], [], {}
    for name, (reader, cases, key) in given.items():
        other = same.setdefault(json.dumps(cases, sort_keys=True), name)
        if other != name and isinstance(cases, dict) and len(cases) >= COPIED:
            problems.append(f"{name}: holds the very answers of {other}; keep one of the two")
        if not _is_name(reader) or not isinstance(cases, dict):
            problems.append(f"{name}: has no reader's name, or no answers")
            continue
        for case, letters in cases.items():
            known = key["cases"].get(case, {"letters": {}})
            if not isinstance(letters, dict):
                problems.append(f"{name}, case {case}: holds no answers by letter")
                continue
            for letter, said in letters.items():
                if letter not in known["letters"]:
                    problems.append(f"{name}: there is no outline {letter} of case {case}")
                    continue
                if not isinstance(said, dict):
                    problems.append(f"{name}, {case} {letter}: holds no answers")
                    continue
                problems += [f"{name}, {case} {letter}: {p}" for p in _wrong(said, known)]
                who = {
                    "reader": unicodedata.normalize("NFC", " ".join(reader.split())),
                    "image_id": known["image_id"],
                    "set": key.get("set"),
                }
                who["unit"] = known["patient_id"] or known["image_id"]
                rows.append(who | {"outline": known["letters"][letter]} | said)
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    one = table.assign(reader=table["reader"].map(lambda name: str(name).casefold()))
    doubled = table.loc[one.duplicated(["reader", "image_id", "outline"]), "reader"]
    problems += [f"{who}: answered twice; keep one file a reader" for who in set(doubled)]
    if not problems and table.empty:
        problems = ["nothing was answered"]
    raise_all(problems, "answers of readers")
    return table


def _is_name(reader: object) -> bool:
    """Whether this is what a person may be called in a table: some signs that can be printed."""
    return isinstance(reader, str) and bool(reader.strip()) and reader.strip().isprintable()


def _wrong(said: dict, known: dict) -> Iterator[str]:
    allowed = QUESTIONS | {"rank": range(1, len(known["letters"]) + 1)}
    for question, value in said.items():
        # true is 1 to Python, and 1.0 as well: the page saves neither
        if question not in allowed or type(value) is not int or value not in allowed[question]:
            yield f"{question!r} is {value!r}"


def acceptability(table: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """How often readers found an outline right, safe and acceptable (grade of ENOUGH or better), a
    row an outline: outline, answers, images, units, each share with _low and _high.
    """
    found = []
    for name in sorted(table["outline"].unique(), key=lambda name: (name != REFERENCE, name)):
        own = table[table["outline"] == name]
        shares = own.assign(acceptable=_acceptable(own)).astype(dict.fromkeys(QUESTIONS, float))
        counted = {"outline": name, "answers": len(own), "images": own["image_id"].nunique()}
        counted["units"] = own["unit"].nunique()
        found.append(counted | outlines.means(shares, QUESTIONS, draws, seed))
    return pd.DataFrame(found)


def against_reference(table: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """Acceptability of each network minus that of the reference, same reader and image: outline,
    pairs, units, difference with low and high, p (paired t over patients), p_adjusted (Holm).

    NotComputable where no reader judged a network and the reference on the same image.
    """
    wide = _wide(table.assign(share=_acceptable(table)), "share")
    if REFERENCE not in wide or wide.shape[1] < 2:
        raise NotComputable("The reference and a network must both be judged to be compared")
    found = []
    for name in wide.columns.drop(REFERENCE):
        pairs = (wide[name] - wide[REFERENCE]).dropna().rename("difference").reset_index()
        by_unit = pairs.groupby("unit")["difference"].mean()
        enough = len(by_unit) >= MIN_UNITS and np.ptp(by_unit) > 0
        found.append(
            {"outline": name, "pairs": len(pairs), "units": len(by_unit)}
            | outlines.means(pairs, ["difference"], draws, seed)
            | {"p": stats.ttest_1samp(by_unit, 0).pvalue if enough else np.nan}
        )
    out = pd.DataFrame(found)
    return out.assign(p_adjusted=adjusted(out["p"]))


def by_patient(table: pd.DataFrame) -> pd.DataFrame:
    """Share of acceptable answers, a row a unit (lowest mean first), a column an outline."""
    shares = table.assign(share=_acceptable(table)).pivot_table("share", "unit", "outline")
    order = shares.mean(axis=1).sort_values(kind="stable").index
    return shares.loc[order].reset_index().rename_axis(columns=None)


def kappa(confusion: np.ndarray) -> Any:
    """Weighted kappa, quadratic weights, of confusion matrices, float (…, K, K) → (…): 1 perfect, 0
    as by chance; NaN where both readers gave one and the same grade throughout.
    """
    k = confusion.shape[-1]
    weights = (np.arange(k)[:, None] - np.arange(k)) ** 2
    total = confusion.sum((-2, -1))
    expected = confusion.sum(-1)[..., :, None] * confusion.sum(-2)[..., None, :]
    apart, chance = (confusion * weights).sum((-2, -1)), (expected * weights).sum((-2, -1))
    ratio = np.full(np.shape(total), np.nan)
    np.divide(apart * total, chance, out=ratio, where=chance > 0)
    return 1 - ratio


def agreement(table: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """Weighted kappa of the grades of every two readers: readers, outlines (that both graded),
    units, kappa with kappa_low and kappa_high (percentiles over draws of patients).

    NotComputable with one reader.
    """
    grades = _wide(table, "acceptable", ("unit", "image_id", "outline"), "reader")
    found = []
    for a, b in itertools.combinations(grades.columns, 2):
        both = grades[[a, b]].dropna().astype(int)
        each = _confusions(both)
        counted = {"readers": f"{a} – {b}", "outlines": len(both), "units": len(each)}
        low = high = np.nan
        if len(each) >= MIN_UNITS:
            drawn = kappa(np.tensordot(draw_counts(len(each), draws, seed), each, 1))
            if np.isfinite(drawn).any():
                low, high = np.nanpercentile(drawn, [2.5, 97.5])
        value = float(kappa(each.sum(0)))
        found.append(counted | {"kappa": value, "kappa_low": low, "kappa_high": high})
    if not found:
        raise NotComputable("One reader alone has no other to agree with")
    return pd.DataFrame(found)


def _confusions(grades: pd.DataFrame) -> np.ndarray:
    """A confusion matrix a unit, float (units, K, K), of the grades of two readers."""
    units = pd.factorize(grades.index.get_level_values("unit"))[0]
    matrices = np.zeros((len(set(units)), len(GRADES), len(GRADES)))
    np.add.at(matrices, (units, *(grades.to_numpy().T - 1)), 1)
    return matrices


def concordance(ranks: np.ndarray) -> float:
    """Kendall's W of places, float (readers, outlines), corrected for ties: 1 where all agree; NaN
    where every reader ties everything.
    """
    ranks = stats.rankdata(ranks, axis=1)
    m, k = ranks.shape
    sizes = [np.unique(row, return_counts=True)[1] for row in ranks]
    ties = sum((t**3 - t).sum() for t in sizes)
    spread = ((ranks.sum(0) - m * (k + 1) / 2) ** 2).sum()
    most = m**2 * (k**3 - k) / 12 - m * ties / 12
    return spread / most if most > 0 else np.nan


def places(table: pd.DataFrame, draws: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(places of outlines, agreement on them). Places: outline, images, place (mean rank over
    readers and images, ties shared) with place_low and place_high, a row an outline, best first.

    Agreement: one row with images, units, W (mean of Kendall's W of an image over its readers) and
    its interval; only images that two readers or more ranked in full. NotComputable where no image
    was ranked in full.
    """
    ranked = _wide(table, "rank").dropna()
    if ranked.empty:
        raise NotComputable("No reader gave every outline of an image a place")
    own = pd.DataFrame(stats.rankdata(ranked, axis=1), ranked.index, ranked.columns)
    long = own.melt(value_name="place", ignore_index=False).reset_index()
    mean = [
        {"outline": name, "images": part["image_id"].nunique()}
        | outlines.means(part, ["place"], draws, seed)
        for name, part in long.groupby("outline")
    ]
    each = [
        {"unit": unit, "image_id": image, "W": concordance(part.to_numpy())}
        for (image, unit), part in ranked.groupby(level=["image_id", "unit"])
        if len(part) > 1
    ]
    rows = pd.DataFrame(each, columns=["unit", "image_id", "W"]).dropna()
    counted = {"images": len(rows), "units": rows["unit"].nunique()}
    together = pd.DataFrame([counted | outlines.means(rows, ["W"], draws, seed)])
    return pd.DataFrame(mean).sort_values("place", ignore_index=True), together


def _acceptable(table: pd.DataFrame) -> pd.Series:
    """1.0 where the grade is ENOUGH or better, 0.0 below, NaN where none was given."""
    return (table["acceptable"] >= ENOUGH).where(table["acceptable"].notna()).astype(float)


def _wide(
    table: pd.DataFrame,
    value: str,
    index: Sequence[str] = ("reader", "image_id", "unit"),
    columns: str = "outline",
) -> pd.DataFrame:
    """One column of the table, spread over ``columns``; an answer stands once, so none is lost."""
    known = table.dropna(subset=value)
    return known.pivot_table(index=list(index), columns=columns, values=value, aggfunc="first")
