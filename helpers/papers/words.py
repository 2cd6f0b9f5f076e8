"""The tables of this package for reading: short names, one verdict a line, the findings of an audit
as prose.
"""

import re

import pandas as pd

from helpers import figures
from tools.audit import GRADES

WHY = (
    "Ours with 95 % interval where it is a metric. Verdicts: “reproduced” needs the paper's images,"
    " network and training; synthetic images show that the study runs, never that a number holds; a"
    " setting, a speed or a P value of other images is shown beside the printed one but not judged."
)
HEADINGS = {grade: grade[0].upper() + grade[1:] for grade in GRADES}


def metric_name(metric):
    """A metric as a reader would say it: 'mIoU_t_vs_QVUM' → 't of mIoU against QVUM'."""
    if found := re.fullmatch(r"(\w+)_(t|p)_vs_(\w+)", metric):
        return f"{found[2].replace('p', 'P')} of {found[1].replace('_', ' ')} against {found[3]}"
    if found := re.fullmatch(r"(\w+?)_(?:anova_)?p", metric):
        return f"P of {found[1].replace('_', ' ')}"
    return re.sub(r" percent$", " %", metric.replace("_", " "))


def _digits(printed):
    """Decimals of a printed number, its SD and limit sign aside: '51.4 ± 9.3' → 1, '<0.001' → 3."""
    return len(printed.split(" ")[0].partition(".")[2])


def readable(table):
    """``published.compare`` in words: table, what, printed, ours, verdict, why. Rows with ours,
    what can be compared first.
    """
    shown = table[table["ours"].notna()].sort_values(
        "verdict", key=lambda v: v == "not comparable", kind="stable"
    )
    what = [
        " · ".join(
            x
            for x in (
                r.model,
                {"all4": "all 4 classes"}.get(r.structure, r.structure),
                metric_name(r.metric),
            )
            if x
        )
        for r in shown.rename(columns={"class": "structure"}).itertuples()
    ]
    digits = [_digits(text) for text in shown["printed"]]
    cells = zip(shown["ours"], shown["ours_low"], shown["ours_high"], digits, strict=True)
    names = [figures.model_label(m) for m in shown["our_model"]]
    ours = [
        (
            figures.p_text(cell[0])
            if name.startswith("P of")
            else (
                f"{figures.interval_text(*cell)}"
                f" {model if why.startswith('another network') else ''}".strip()
            )
        )
        for cell, name, model, why in zip(
            cells, map(metric_name, shown["metric"]), names, shown["why"], strict=True
        )
    ]
    return pd.DataFrame(
        {
            "table": shown["table"],
            "what": what,
            "printed": shown["printed"],
            "ours": ours,
            "verdict": shown["verdict"],
            "why": shown["why"],
        }
    )


def findings(audit):
    """The findings of an audit as Markdown, gravest first: what, where and printed, what follows,
    why perhaps.
    """
    lines = []
    for grade in GRADES:
        rows = audit[audit["grade"] == grade]
        if len(rows):
            lines += [f"### {HEADINGS[grade]} ({len(rows)})", ""]
        for row in rows.itertuples():
            lines += [
                f"- **{row.sentence}**",
                "",
                '  <details class="study-finding"><summary>Printed, and why perhaps</summary>',
            ]
            lines += [
                "",
                f"  *Printed:* {row.printed} ({row.where}). *Follows:* {row.implied}; allowing for",
            ]
            lines += [f"  {row.tolerance}. *Perhaps* {row.explanations}.", "", "  </details>", ""]
    return (
        re.sub(r"(?<=\w)_(?=\w)", r"\\_", "\n".join(lines))
        if lines
        else "*No finding: every check holds.*"
    )
