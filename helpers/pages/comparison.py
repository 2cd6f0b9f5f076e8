"""Page 5: is the headline network better than the others, by the declared test, and does the answer
depend on the test?

Its sentences on a comparison are those of the front page, the model card and the terminal too:
all are made of the rows of ``stats.declared``.
"""

import pandas as pd

from helpers import stats
from helpers.errors import NotComputable
from helpers.figures import model_label
from helpers.figures.tables import number, p_text, words

#: verdict of ``stats.declared`` → how it is said of the headline network
SAID = {
    "better": "better than",
    "worse": "worse than",
    "not told apart": "not shown to differ from",
    "not tested": "not tested against",
}
#: verdict of a claim → how it is counted
CLAIMS = {
    "holds": "hold, counted by patient too",
    "reversed": "are reversed: the other network is ahead, by patient too",
    "does not survive": "hold over images only, and may be chance over patients",
    "not claimed": "are held over images by the other network, and may be chance over patients",
    "not shown by either": "are shown neither over images nor over patients",
    "cannot be tested": "cannot be tested: too few patients, or no variation",
}
SHOWN = ["test", "model", "difference", "low", "high", "p", "p_adjusted"]
CLAIMS_NOTE = (
    "Overall metrics are means over all structures and the background. By patient: paired t, or"
    " repeated-measures analysis of variance (ANOVA) for structures."
)


def several(rows, headline):
    """The rows, or NotComputable where only one network has results."""
    if rows["model"].nunique() < 2:
        raise NotComputable(
            f"Only {model_label(headline)} has results: there is nothing to compare it with"
        )
    return rows


def enough(table, unit):
    """Units × networks, or NotComputable for fewer units than a test or a ranking needs."""
    if len(table) < stats.MIN_UNITS:
        raise NotComputable(
            f"Results of {len(table)} {unit}s; this needs at least {stats.MIN_UNITS}"
        )
    return table


def signed(value, digits=3):
    """A difference with its sign, '+0.027', '−0.004'."""
    text = number(value, digits)
    return text if text.startswith(("−", "–")) else f"+{text}"


def p_value(row, many):
    """'P = 0.005, adjusted for 4 comparisons', or '' where nothing was tested."""
    if pd.isna(row["p_adjusted"]):
        return ""
    p = p_text(row["p_adjusted"])
    adjusted = f", adjusted for {many} comparisons" if many > 1 else ""
    return f"P {p if p.startswith('<') else f'= {p}'}{adjusted}"


def size(row, many):
    """'difference +0.027 (95 % interval +0.011 to +0.043; P = 0.005, …)' of a row of
    ``stats.declared``; what is not there is left out.
    """
    parts = []
    if pd.notna(row["low"]):
        parts.append(f"95 % interval {signed(row['low'])} to {signed(row['high'])}")
    parts += [p_value(row, many)] if p_value(row, many) else []
    parts += [row["note"]] if row["note"] else []
    return f"difference {signed(row['difference'])}" + (f" ({'; '.join(parts)})" if parts else "")


def listed(names):
    """'a, b and c'."""
    names = list(names)
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def finding(tests):
    """The verdicts in one phrase: 'better than BPSegSys-R and VisTR; not shown to differ from
    U-Net'. tests: rows of ``stats.declared``.
    """
    parts = [
        f"{said} {listed(map(model_label, tests.loc[tests['verdict'] == verdict, 'model']))}"
        for verdict, said in SAID.items()
        if (tests["verdict"] == verdict).any()
    ]
    return "; ".join(parts)


def answer(tests, settings):
    """Page 5 in words: the declared test, then a line a network. tests: of ``stats.declared``."""
    first, many = tests.iloc[0], len(tests)
    how = (
        f"P adjusted for {many} comparisons by {settings['multiplicity'].capitalize()}"
        if many > 1
        else "one comparison"
    )
    lines = [
        f"- **{model_label(row['headline'])} is {SAID[row['verdict']]}"
        f" {model_label(row['model'])}**: {size(row, 1)}"
        for row in tests.to_dict("records")
    ]
    text = (
        f"Compared on {first['n']} {first['unit']}s by the test that study.yml declares"
        f" ({first['test']}, {first['metric']} of {words(first['class'])}; {how}).\n\n"
    )
    return text + "\n".join(lines)


def counted_by(tests, unit):
    """A warning where the declared test counts images although patients are known; else ''."""
    if tests["unit"].iloc[0] == unit:
        return ""
    return (
        "The declared test counts images as independent, which they are not: trust the rows by"
        " patient below."
    )
