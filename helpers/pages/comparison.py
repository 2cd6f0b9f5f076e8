"""Page 5: is the headline network better than the others, by the declared test, and does the answer
depend on the test?

Its sentences on a comparison are those of the front page, the model card and the terminal too:
all are made of the rows of ``stats.declared``.
"""

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import pandas as pd

from helpers import stats
from helpers.errors import NotComputable
from helpers.figures import model_label
from helpers.figures.tables import ROUNDING, beside_zero, number, p_text, setting, two_digits, words
from helpers.figures.tables import counted as count

#: verdict of ``stats.declared`` → how it is said of the headline network
SAID = {
    "better": "better than",
    "worse": "worse than",
    "not shown to differ": "not shown to differ from",
    stats.UNSETTLED: "not judged against",
    "not tested": "not tested against",
}
#: rule for what has no score → how it is said
RULES = {"zero": "as 0", "one": "as 1"}
#: verdict of a claim → how it is counted
CLAIMS = {
    "holds": "hold, counted by patient too",
    "reversed": "reversed (the other network is ahead, by patient too)",
    "does not survive": "only over images, and perhaps chance over patients",
    "not claimed": "only over images and for the other network",
    "not shown by either": "shown neither over images nor over patients",
    "cannot be tested": "not to be tested: too few patients, or no variation",
}
SHOWN = ["test", "model", "difference", "low", "high", "p", "p_adjusted"]
CLAIMS_NOTE = (
    "mIoU, mPA, Dice: means over all structures and the background of IoU, of the share found, of"
    " Dice. Acc: share of pixels in their right class. By patient: paired t, or"
    " repeated-measures analysis of variance (ANOVA) for structures."
)


def several(rows: pd.DataFrame, headline: str, settings: dict) -> pd.DataFrame:
    """The rows; NotComputable for one network, or where no image has a score of all of them."""
    if rows["model"].nunique() < 2:
        raise NotComputable(
            f"Only {model_label(headline)} has results: there is nothing to compare it with"
        )
    stats.common(rows, settings["metric"], settings["class"])
    return rows


def enough(table: Any, unit: str) -> Any:
    """What has a row a unit, or NotComputable for fewer than a test or a ranking needs."""
    if len(table) < stats.MIN_UNITS:
        raise NotComputable(
            f"Results of {count(len(table), unit)}; this needs at least {stats.MIN_UNITS}"
        )
    return table


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign, '+0.027', '−0.004', beside 0 '+0.0003'."""
    text = number(value, beside_zero(value, digits))
    return text if text.startswith(("−", "–")) else f"+{text}"


def p_value(row: dict | pd.Series, many: int) -> str:
    """'P = 0.005, adjusted for 4 comparisons', or '' where nothing was tested."""
    if pd.isna(row["p_adjusted"]):
        return ""
    p = p_text(row["p_adjusted"])
    adjusted = f", adjusted for {many} comparisons" if many > 1 else ""
    return f"P {p if p.startswith('<') else f'= {p}'}{adjusted}"


def size(row: dict, many: int) -> str:
    """'difference +0.027 (95 % interval +0.011 to +0.043; P = 0.005, …)' of ``stats.declared``."""
    parts = []
    # a limit beside 0 has as many digits as show on which side
    sizes = (abs(row[c]) for c in ("difference", "low", "high"))
    digits = max(3, two_digits(min((s for s in sizes if s > ROUNDING), default=1)) - 1)
    if pd.notna(row["low"]):
        limits = (signed(row[end], digits) for end in ("low", "high"))
        parts.append(f"95 % interval {' to '.join(limits)}")
    parts += [p_value(row, many)] if p_value(row, many) else []
    parts += [row["why"]] if row["why"] else []
    return f"difference {signed(row['difference'], digits)}" + (
        f" ({'; '.join(parts)})" if parts else ""
    )


def aside(row: dict) -> str:
    """A sentence where verdict and interval differ, or the rule for absent structures matters."""
    parts = filter(None, [row["differ"], beside(row), otherwise(row)])
    text = "".join(f". {part}" for part in parts)
    return f"{text}." if text else ""


def beside(row: dict) -> str:
    """The interval that stands in for one that covers too seldom, a sentence, else ''."""
    if not row.get("instead"):
        return ""
    return (
        f"Such an interval holds the truth in {100 * row['coverage']:.1f} % of studies like this"
        f" one; another kind ({row['instead']}) gives {signed(row['instead_low'])} to"
        f" {signed(row['instead_high'])}"
    )


def otherwise(row: dict) -> str:
    """What the test gives where images without a score are counted, a sentence, else ''."""
    said = {}
    for rule, how in RULES.items():
        if row.get(f"{rule}_verdict"):
            p = p_text(row[f"{rule}_p"])
            found = f"{signed(row[f'{rule}_difference'])} (P {p if p[0] == '<' else f'= {p}'})"
            said.setdefault((found, row[f"{rule}_verdict"]), []).append(how)
    if not said:
        return ""
    each = [f"{' or '.join(how)} {found}, {v}" for (found, v), how in said.items()]
    text = f"With images without a score counted {'; '.join(each)}"
    if row["unsettled"]:
        text += ": the answer hangs on that rule, so it is no verdict"
    return text


def left_out(unscored: pd.DataFrame, metric: str, class_: str) -> str:
    """How many images a comparison leaves out, and for whom; of ``stats.unscored``."""
    lost, first = unscored[unscored["undefined"] > 0], unscored.iloc[0]
    if lost.empty:
        return ""
    each = ", ".join(f"{model_label(r.model)} {r.undefined}" for r in lost.itertuples())
    whose = f", of {count(first['patients'], 'patient')}" if first["patients"] else ""
    many = f"{first['in_any']} of {count(first['images'], 'image')}{whose}"
    to_find = metric in ("recall", "TPR", "FNR")
    why = "nothing of it is there to find" if to_find else "it is neither there nor drawn"
    if class_ in (stats.ALL, stats.FOREGROUND):
        what = f"**In {many}, a structure has no {metric}** and is left out of the image's mean"
    else:
        what = f"**Left out of the comparison: {many}**, without a {metric} of {words(class_)}"
    return f"{what}, because {why} (images by network: {each})."


def listed(names: Iterable[str]) -> str:
    """'a, b and c'."""
    names = list(names)
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def tested(tests: pd.DataFrame) -> int:
    """How many comparisons have a P, and are adjusted for. tests: of ``stats.declared``."""
    return int(tests["p"].notna().sum())


def finding(tests: pd.DataFrame) -> str:
    """The verdicts in a phrase: 'better than BPSegSys-R and VisTR; not shown to differ from …'."""
    parts = [
        f"{said} {listed(map(model_label, tests.loc[tests['verdict'] == verdict, 'model']))}"
        for verdict, said in SAID.items()
        if (tests["verdict"] == verdict).any()
    ]
    return "; ".join(parts)


def asked(trial: Collection[str]) -> str:
    """Who asked for a test. trial: ``Page.trial``, what was changed by hand."""
    return "the test asked for in this trial" if trial else "the test that study.yml declares"


def answer(tests: pd.DataFrame, settings: dict, trial: Collection[str] = ()) -> str:
    """Page 5 in words: the declared test, then a line a network. tests: of ``stats.declared``."""
    first, many = tests.iloc[0], tested(tests)
    how = (
        f"P adjusted for {many} comparisons by {setting(settings['multiplicity'])}"
        if many > 1
        else "one comparison"
    )
    lines = [
        f"- **{model_label(row['headline'])} is {SAID[row['verdict']]}"
        f" {model_label(row['model'])}**: {size(row, 1)}{aside(row)}"
        for row in tests.to_dict("records")
    ]
    text = (
        f"Compared on {count(first['n'], first['unit'])} by {asked(trial)}"
        f" ({first['test']}, {first['metric']} of {words(first['class'])}; {how}).\n\n"
    )
    return text + "\n".join(lines)


def luck(rows: pd.DataFrame) -> str:
    """From how many random starts each network was trained, and what that leaves open, Markdown.
    rows: those compared.
    """
    starts = rows.groupby("model")["seed"].nunique()
    if starts.min() > 1:
        each = " or ".join(map(str, sorted(set(starts))))
        return (
            f"Each network was trained from {each} random starts (seeds), whose results are"
            " averaged; how much of the variance of a difference is theirs stands on page 13."
        )
    if starts.max() > 1:
        once = " and ".join(model_label(name) for name in starts.index[starts == 1])
        others = " or ".join(map(str, sorted({*starts} - {1})))
        return (
            f"**One seed of {once} was run** (one random start), {others} of the others, whose"
            " results are averaged. Another start gives another network: a difference from"
            f" {once} may be the luck of that start, which is in no interval here."
        )
    return (
        "**One seed was run**: a network was trained from one random start. Another start gives"
        " another network, and that luck is in no interval here; three seeds or more would show it."
    )


def counted_by(tests: pd.DataFrame, unit: str) -> str:
    """A warning where the declared test counts images although patients are known; else ''."""
    if tests["unit"].iloc[0] == unit:
        return ""
    return (
        "The declared test counts images as independent, which they are not: trust the rows by"
        " patient below."
    )


def table(tests: pd.DataFrame) -> pd.DataFrame:
    """The declared test as it is shown: a row a network, unadjusted and adjusted P."""
    columns = ["model", "verdict", *SHOWN[2:], *stats.BESIDE, "why", "differ"]
    return tests[[c for c in columns if c in tests]]


def table_note(tests: pd.DataFrame, settings: dict) -> str:
    """What stands under the declared test."""
    first, rule = tests.iloc[0], f" {stats.rule(tests)}" if "coverage" in tests else ""
    return (
        f"{first['metric']} of {words(first['class'])}, {model_label(first['headline'])} minus the"
        f" network named; {first['test']} over {count(first['n'], first['unit'])}. P adjusted by"
        f" {setting(settings['multiplicity'])}; the verdict is by the adjusted P. The 95 %"
        f" interval ({setting(settings['interval'])}) is not adjusted.{rule}"
        f" Images left out because a network has no score: {first['dropped_images']:.0f}"
    )


def margin_note(margin: float, metric: str) -> str:
    """What stands under a table of equivalence."""
    return f"Margin {margin:.3g} {metric}. Interval: 90 %, as two one-sided tests at 5 % need."


def equivalent(found: pd.DataFrame, margin: float, metric: str) -> str:
    """Which networks are surely no further apart than the margin, of ``stats.equivalence``."""
    names = [model_label(m) for m in found.loc[found["p_equivalent"] < 0.05, "model"]]
    if found["p_equivalent"].isna().all():
        raise NotComputable(
            f"That a difference is surely too small to matter cannot be shown: {_reasons(found)}"
        )
    text = f"The difference that is too small to matter (the margin) is {margin:.3g} {metric}."
    if not names:
        return f"{text} Against no network is the difference surely smaller than that."
    each = ", each at 5 % and not adjusted for their number" if len(found) > 1 else ""
    return f"{text} Surely smaller is the difference from {listed(names)}{each}."


def _reasons(rows: pd.DataFrame) -> str:
    """The notes of tests that could not be made, each once."""
    return "; ".join(dict.fromkeys(note.removesuffix(": no test") for note in rows["note"]))


def others(every: pd.DataFrame) -> pd.DataFrame:
    """The other tests, those that are the same number by algebra in one row a network.

    every: rows of ``stats.compare``. Columns: test, unit, model, difference, low, high, p,
    p_adjusted.
    """
    rows = every[~every["role"].isin(["declared", "declared interval"])]
    rows = rows.assign(key=rows["test"] + rows["unit"])
    merged, names = {}, {}
    for key, part in rows.groupby("key", sort=False):
        twin = next((k for k, other in merged.items() if _same(part, other)), key)
        merged.setdefault(twin, part)
        names.setdefault(twin, []).append(part["test"].iloc[0])
    if not merged:
        raise NotComputable("There is no other test to compare with")
    if rows[["p", "low"]].isna().all(axis=None):
        raise NotComputable(f"No other test can be made: {_reasons(rows)}")
    parts = [part.assign(test=" = ".join(names[key])) for key, part in merged.items()]
    return pd.concat(parts, ignore_index=True)[["test", "unit", *SHOWN[1:]]]


def _same(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    """Whether tests give the same P and interval: of few patients P may be the same by chance."""
    columns = ["difference", "low", "high", "p"]
    a, b = (part.set_index("model")[columns].astype(float).sort_index() for part in (a, b))
    known = a["low"].notna().any() and a.shape == b.shape
    return known and np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True)


def by_test(others: pd.DataFrame) -> pd.DataFrame | None:
    """The P of :func:`others`, a row a test, a column a network; None where there is none."""
    tested = others.dropna(subset="p")
    if tested.empty:
        return None
    cells, adjusted = tested["p"].map(p_text), tested["p_adjusted"].map(p_text)
    cells = cells.where(cells == adjusted, cells + " (" + adjusted + ")")
    wide = tested.assign(cell=cells, network=tested["model"].map(model_label)).pivot_table(
        index=["test", "unit"], columns="network", values="cell", aggfunc="first", sort=False
    )
    return wide.reset_index()


def others_note(tests: pd.DataFrame) -> str:
    """What stands under the table of the other tests."""
    first = tests.iloc[0]
    return (
        f"P, and in brackets, where it is another, P adjusted over the networks; {first['metric']}"
        f" of {words(first['class'])}, {model_label(first['headline'])} against the network named."
        " Joined by =: the same number by algebra. Differences, intervals (not adjusted) and the"
        " bootstraps, which have no P: the figure, and with every digit the file"
    )


def agreement(tests: pd.DataFrame, others: pd.DataFrame) -> str:
    """Whether another test would have given another answer, as a sentence.

    tests: the declared one; others: as :func:`others`.
    """
    declared, unjudged = tests.set_index("model"), ["not tested", stats.UNSETTLED]
    tested = others.dropna(subset=["p_adjusted"])
    tested = tested[tested["model"].isin(declared.index[~declared["verdict"].isin(unjudged)])]
    if tested.empty:
        return ""
    other = tested[_sign(tested) != tested["model"].map(_sign(declared))]
    distinct = tested[["test", "unit"]].drop_duplicates()
    if other.empty:
        return f"All other tests agree ({len(distinct)} that differ by more than algebra)."
    named = [
        f"{model_label(model)} ({', '.join(part['test'] + ' over ' + part['unit'] + 's')})"
        for model, part in other.groupby("model", sort=False)
    ]
    return f"Another test would have given another answer against: {'; '.join(named)}."


def _sign(rows: pd.DataFrame) -> pd.Series:
    """1 better, −1 worse, 0 not shown to differ, by the adjusted P."""
    return np.sign(rows["difference"]).where(rows["p_adjusted"] < 0.05, 0)


def drawn(every: pd.DataFrame) -> pd.DataFrame:
    """The rows with an interval, a line a test."""
    rows = every.dropna(subset=["low"])
    if rows.empty:
        raise NotComputable("No difference has an interval, so there is none to draw")
    return rows.assign(line=rows["test"] + ", " + rows["unit"] + "s")


def forest_label(tests: pd.DataFrame, margin: float | None) -> str:
    """What stands under the figure of all tests. margin: None for an unknown one."""
    first = tests.iloc[0]
    name = model_label(first["headline"])
    text = (
        f"{first['metric']} of {words(first['class'])}, {name} minus the other: right of 0 {name}"
        f" is ahead\n95 % intervals, not adjusted for {len(tests)} networks; each panel has its own"
        " scale"
    )
    if margin is None:
        return text
    return f"{text}\nshaded: differences up to {margin:.3g}, too small to matter"


def known(margin: float | NotComputable | None) -> float | None:
    """The margin, or None where there is none to draw."""
    return None if isinstance(margin, NotComputable) else margin


def by_patient(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, or NotComputable where a claim cannot be held against patients."""
    if not stats.has_patients(rows):
        raise NotComputable(
            "A claim can only be held against patients, and they are not known here"
        )
    return rows


def counted(claims: pd.DataFrame) -> str:
    """All claims counted by verdict, as a sentence. claims: as ``stats.claims``."""
    parts = []
    for verdict, said in CLAIMS.items():
        part = claims[claims["verdict"] == verdict]
        if len(part):
            of = f" of {len(claims)}" if not parts else ""
            about = (part["claim"] == "structures differ").sum()
            structures = f" ({about} about structures)" if about else ""
            parts.append(f"{len(part)}{of} {said}{structures}")
    return f"Claims of the paper's kind, tested on these results: **{'; '.join(parts)}**."
