"""Tables of this room for reading: one verdict a line, the paper's own tables and figures line by
line, the findings of an audit as prose.
"""

import re
from html import escape
from typing import Any

import pandas as pd

from helpers import figures
from helpers.errors import NotComputable
from helpers.figures.tables import minus
from helpers.papers import Paper
from helpers.papers.grades import GRADES

WHY = (
    "Intervals of ours stand on the page named. Verdicts: “reproduced” needs the paper's images,"
    " network and training; synthetic images show that the study runs, never that a number holds; a"
    " setting, a speed or a P value of other images is shown beside the printed one but not judged."
)
HEADINGS = {grade: grade[0].upper() + grade[1:] for grade in GRADES}
AGAINST = r"( against .+)$"  # in the name of a test: the network that it compares with
BESIDE = ["item", "shows", "row", "printed", "ours", "verdict", "page"]
SHOWN = [column for column in BESIDE if column != "shows"]


def _digits(printed: str) -> int:
    """Decimals of a printed number, its SD and limit sign aside: '51.4 ± 9.3' → 1, '<0.001' → 3."""
    return len(printed.split(" ")[0].partition(".")[2])


def _ours(row: Any, interval: bool = True) -> str:
    """Our number of one row of ``papers.compare``, with as many decimals as the printed one."""
    if row.quantity.startswith("P of"):
        return figures.p_text(row.ours)
    low, high = (row.ours_low, row.ours_high) if interval else (float("nan"),) * 2
    return figures.interval_text(row.ours, low, high, _digits(row.printed))


def comparable(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``papers.compare`` that can be compared, as ``readable``; NotComputable for none."""
    shown = table[(table["verdict"] != "not comparable") & table["ours"].notna()]
    if shown.empty:
        raise NotComputable(f"No printed number can be compared with this run{reason(table)}")
    return readable(shown)


def reason(table: pd.DataFrame) -> str:
    """Why printed numbers cannot be compared, mostly: ': synthetic images', or empty."""
    why = table.loc[table["ours"].notna() & (table["verdict"] == "not comparable"), "why"]
    return f": {why.mode()[0]}" if len(why) else ""


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """``papers.compare`` in words: table, what, printed, ours, verdict, why. Rows with ours, what
    can be compared first.
    """
    shown = table[table["ours"].notna()].sort_values(
        "verdict", key=lambda v: v == "not comparable", kind="stable"
    )
    rows = [
        (
            row.table,
            " · ".join(filter(None, (row.model, row.structure, row.quantity))),
            row.printed,
            _ours(row) + _stand_in(row),
            row.verdict,
            row.why,
        )
        for row in shown.itertuples()
    ]
    return pd.DataFrame(rows, columns=["table", "what", "printed", "ours", "verdict", "why"])


def _stand_in(row: Any) -> str:
    other = row.why.startswith("another network")
    return f" {figures.model_label(row.our_model)}" if other else ""


def items_of(place: str) -> set[str]:
    """The tables and figures that a place names: 'Results text/Fig 3' → {'Figure 3'}."""
    found = re.findall(r"\b(Table|Fig(?:ure)?\.?)\s*(\w*\d\w*)", place)
    return {f"{'Table' if kind == 'Table' else 'Figure'} {number}" for kind, number in found}


def beside(paper: Paper, table: pd.DataFrame) -> pd.DataFrame:
    """The paper's tables and figures beside ours, a printed line a row: columns ``BESIDE``.

    table: of ``papers.compare``. row: network and structure; printed, ours: the numbers of that
    line; a figure without printed numbers has one row, and what it shows is the row's name.
    NotComputable where the paper's tables and figures are not listed.
    """
    if paper.items.empty:
        raise NotComputable("Which tables and figures the paper has is not written down here")
    places = table["table"].map(items_of)
    rows = []
    for item in paper.items.itertuples():
        start = (item.item, item.shows)
        page = f"page {int(item.page[:2])}"
        lines = table[[item.item in named for named in places]]
        if lines.empty:
            rows.append((*start, item.shows, "a picture", "a picture", "to be looked at", page))
        for row, line in lines.groupby(_line(lines), sort=False):
            names = line["quantity"].str.replace(AGAINST, "", regex=True)
            each = list(zip(names, line.itertuples(), strict=True))
            printed = ", ".join(f"{name} {n.printed}" for name, n in each)
            ours = ", ".join(f"{name} {_ours(n, interval=False)}" for name, n in each)
            ours = ours if line["ours"].notna().any() else "–"
            rows.append((*start, row or "in all", printed, ours, _verdict(line), page))
    return pd.DataFrame(rows, columns=BESIDE)


def _line(lines: pd.DataFrame) -> pd.Series:
    """What the line of each number is called: network, structure, what it is tested against."""
    who = [" · ".join(filter(None, (row.model, row.structure))) for row in lines.itertuples()]
    return pd.Series(who, lines.index) + lines["quantity"].str.extract(AGAINST)[0].fillna("")


def _verdict(line: pd.DataFrame) -> str:
    """The verdicts of one line, counted where there are several, else with the reasons."""
    counts = line["verdict"].value_counts()
    if len(counts) > 1:
        return ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    reasons = "; ".join(filter(None, line["why"].unique()))
    return counts.index[0] + (f": {reasons}" if reasons else "")


def findings(paper: Paper) -> str:
    """The findings about a paper as Markdown, gravest first."""
    lines, checks = [], paper.own
    for grade in GRADES:
        rows = checks[checks["grade"] == grade]
        if len(rows):
            lines += [f"### {HEADINGS[grade]} ({len(rows)})", ""]
        for row in rows.itertuples():
            lines += [
                f"- {escape(row.sentence, quote=False)}",
                "",
                '  <details class="study-finding"><summary>Printed, and why perhaps</summary>',
                "",
                "  " + escape(_details(row), quote=False),
                "",
                "  </details>",
                "",
            ]
    return minus("\n".join(lines)) if lines else "*No finding: every check holds.*"


def _details(row: Any) -> str:
    return (
        f"*Printed:* {row.printed} ({row.where}). *Follows:* {row.implied}; allowing for"
        f" {row.tolerance}. *Perhaps* {row.explanations}."
    )
