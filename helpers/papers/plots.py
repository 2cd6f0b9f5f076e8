"""Figures of what was printed: beside ours, and against what it can be. Each draws one table of
this package.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import figures
from helpers.errors import NotComputable
from helpers.papers import Paper
from helpers.papers.grades import DEFINITION, HOLDS, IMPOSSIBLE, QUESTION
from helpers.papers.words import reason

COLOURS = {HOLDS: "#9ecae1", QUESTION: "#f2c14e", DEFINITION: "#e08214", IMPOSSIBLE: "#b2182b"}
GREY = "#5b5b5b"


def beside(table: pd.DataFrame) -> Figure:
    """Printed numbers (black diamonds), ours with 95 % intervals (dots), a row a metric.

    table: of ``papers.compare``. Rows without an interval of ours are left out; a quantity printed
    in several places, or under two names, is drawn once. Hollow dots: not comparable. Returns a
    figure; NotComputable where no row may be compared at all.
    """
    rows = table.dropna(subset=["ours_low", "ours"]).drop_duplicates(
        ["model", "class", "printed_low", "ours"]
    )
    if rows.empty:
        raise NotComputable("This run measures none of the printed numbers")
    if (rows["verdict"] == "not comparable").all():
        raise NotComputable(f"No printed number can be compared with this run{reason(table)}")
    fig, axes = plt.subplots(figsize=(figures.PAGE, 0.9 + 0.2 * len(rows)))
    for y, row in enumerate(rows.itertuples()):
        colour = figures.model_colour(row.our_model)
        face = "white" if row.verdict == "not comparable" else colour
        axes.plot(
            [row.ours_low, row.ours_high],
            [y, y],
            color=colour,
            linewidth=2.5,
            solid_capstyle="butt",
        )
        axes.plot(row.ours, y, "o", color=colour, markersize=5, markerfacecolor=face)
        axes.plot((row.printed_low + row.printed_high) / 2, y, "D", color="black", markersize=4)
    told = ["quantity", *(c for c in ("structure", "model") if len(rows[c].unique()) > 1)]
    names = [" · ".join(row) for row in rows[told].itertuples(index=False)]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("value (0 to 1)")
    handles = [
        plt.Line2D([], [], marker="D", color="black", linestyle="", label="printed in the paper")
    ]
    hollow = (rows["verdict"] == "not comparable").all()
    for model in rows["our_model"].unique():
        label = f"{figures.model_label(model)}, this run (95 % interval)"
        colour = figures.model_colour(model)
        face = "white" if hollow else colour
        handles.append(
            plt.Line2D([], [], marker="o", color=colour, markerfacecolor=face, label=label)
        )
    axes.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False
    )
    axes.grid(axis="x", alpha=0.3)
    return fig


def checks(paper: Paper) -> Figure:
    """How many checks of each paper hold, how many findings of each grade: a bar a paper.

    Of this paper and the others here. Returns a figure.
    """
    titles = paper.checks["title"]
    counts = pd.crosstab(titles, paper.checks["grade"])
    counts = counts.reindex(index=titles.unique(), columns=list(COLOURS), fill_value=0)
    shares = counts.div(counts.sum(axis=1), axis=0)
    fig, axes = plt.subplots(figsize=(figures.PHONE, 1.0 + 0.5 * len(counts)))
    left = np.zeros(len(counts))
    for grade, colour in COLOURS.items():
        axes.barh(
            range(len(counts)), shares[grade], left=left, color=colour, height=0.62, label=grade
        )
        for y, (share, count) in enumerate(zip(shares[grade], counts[grade], strict=True)):
            if count:
                dark = grade == IMPOSSIBLE
                axes.text(
                    left[y] + share / 2,
                    y,
                    str(count),
                    ha="center",
                    va="center",
                    color="white" if dark else "black",
                )
        left += shares[grade].to_numpy()
    labels = [f"{title}\n{n} check{'s' * (n != 1)}" for title, n in counts.sum(axis=1).items()]
    axes.set_yticks(range(len(counts)), labels)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xticks=[])
    _bare(axes)
    fig.legend(loc="outside upper center", ncols=2, frameon=False)
    return fig


def contradictions(paper: Paper) -> Figure:
    """Each contradiction with one number: grey where it can lie, red where it was printed.

    Every row has its own scale: what matters is whether the mark lies on the bar. Returns a figure;
    NotComputable when no number lies outside its range.
    """
    rows = paper.own
    rows = rows[(rows["grade"] == IMPOSSIBLE) & rows["printed_low"].notna()]
    if rows.empty:
        raise NotComputable("No printed number lies outside its possible range")
    fig, axes = plt.subplots(figsize=(figures.PHONE, 0.9 + 0.42 * len(rows)))
    for y, row in enumerate(rows.itertuples()):
        printed = (row.printed_low + row.printed_high) / 2
        low, high = min(row.possible_low, printed), max(row.possible_high, printed)
        pad = 0.25 * (high - low)
        low, span = low - pad, high - low + 2 * pad

        def at(value: float, low: float = low, span: float = span) -> float:
            return (value - low) / span

        axes.plot([0, 1], [y, y], color="#dddddd", linewidth=0.8, zorder=0)
        bar = max(at(row.possible_high) - at(row.possible_low), 0.012)
        axes.barh(y, bar, left=at(row.possible_low), height=0.5, color="#bdbdbd")
        axes.plot(at(printed), y, "D", color=COLOURS[IMPOSSIBLE], markersize=7)
        text: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 7}
        axes.text(
            at(printed), y - 0.36, f"printed {printed:.4g}", color=COLOURS[IMPOSSIBLE], **text
        )
        middle = at((row.possible_low + row.possible_high) / 2)
        axes.text(
            middle,
            y - 0.36,
            f"possible {row.possible_low:.4g}–{row.possible_high:.4g}",
            color=GREY,
            **text,
        )
    names = [f"{row.quantity}\n{row.rule}" for row in rows.itertuples()]
    axes.set_yticks(range(len(rows)), names)
    axes.set(ylim=(len(rows) - 0.5, -0.8), xlim=(-0.02, 1.02), xticks=[])
    _bare(axes)
    return fig


def _bare(axes: Axes) -> None:
    """Axes without ticks, grid and frame."""
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
