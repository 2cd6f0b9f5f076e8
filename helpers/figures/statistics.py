"""Figures of the statistics: each draws one tidy table and returns a matplotlib figure. No numbers
are made here.
"""

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from helpers import figures
from helpers.figures.tables import counted, words

GREY = "#5b5b5b"
WIDTH = 6.8  # of a page, in inches
COLOURS = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]


def _text(row: pd.Series, what: str) -> str:
    known = [(row[f"{noun}s"], noun) for noun in ("patient", "image")]
    return "\n".join([what, *(counted(n, noun) for n, noun in known if pd.notna(n))])


def flow_chart(flow: pd.DataFrame) -> Figure:
    """Who was assessed, excluded and why, included, and where they went; of ``stats.flow``."""
    rows = {stage: part for stage, part in flow.groupby("stage", sort=False)}
    reasons = rows.get("excluded", flow.iloc[:0])
    lines = [
        textwrap.fill(f"· {int(r['patients'])} {r['reason']}", 30, subsequent_indent="   ")
        for _, r in reasons.iterrows()
    ]
    height = 3.4 + 0.13 * "".join(f"{line}\n" for line in lines).count("\n")
    fig, axes = plt.subplots(figsize=(4.4, height))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.axis("off")
    box = {"boxstyle": "square,pad=0.5", "facecolor": "white", "edgecolor": GREY}

    def put(x: float, y: float, text: str, **options: Any) -> None:
        axes.text(
            x, y, text, ha=options.pop("ha", "center"), va="center", bbox=box, fontsize=8, **options
        )

    def arrow(start: tuple[float, float], end: tuple[float, float]) -> None:
        axes.add_patch(
            FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=GREY, zorder=0)
        )

    top = "assessed" if "assessed" in rows else "included"
    if top == "assessed":
        arrow((0.2, 0.92), (0.2, 0.44))
        put(0.2, 0.92, _text(rows["assessed"].iloc[0], "Assessed"))
    if len(reasons):
        lines.insert(0, f"Excluded: {counted(reasons['patients'].sum(), 'patient')}")
        arrow((0.2, 0.68), (0.42, 0.68))
        put(0.42, 0.68, "\n".join(lines), ha="left")
    titles = {"train": "Training", "val": "Validation", "test": "Test", "external": "Other data"}
    splits = [s for s in titles if s in rows]
    for x, split in zip(np.linspace(0.13, 0.87, len(splits)), splits, strict=True):
        arrow((0.2, 0.38), (x, 0.1))
        put(x, 0.1, _text(rows[split].iloc[0], titles[split]))
    put(0.2, 0.38, _text(rows["included"].iloc[0], "Included"))
    return fig


def forest(
    table: pd.DataFrame,
    by: str,
    panel: str | None = None,
    colour: Callable = lambda name: GREY,
    title: Callable | type = str,
    margin: float | None = None,
    xlabel: str = "",
    heading: str = "",
    width: float = WIDTH,
) -> Figure:
    """Differences with intervals: a line each value of column `by`, a panel (and scale) each value
    of column `panel`.

    `table` needs columns `by`, difference, low, high; `colour` and `title` take a panel's value, or
    a line's where there are no panels. Differences up to ± `margin` are shaded. A heading says what
    was found.
    """
    panels = list(dict.fromkeys(table[panel])) if panel else [""]
    names = list(dict.fromkeys(table[by]))
    height = 0.8 + 0.22 * len(names) + 0.15 * (xlabel.count("\n") + 1) + (0.3 if heading else 0)
    fig, grid = plt.subplots(
        *(1, len(panels)),
        figsize=(width, height),
        sharey=True,
        squeeze=False,
        gridspec_kw={"wspace": 0.08},  # numbers of two panels stand apart
    )
    for axes, name in zip(grid[0], panels, strict=True):
        part = table[table[panel] == name] if panel else table
        y = [-names.index(value) for value in part[by]]
        colours = [colour(name if panel else value) for value in part[by]]
        if margin:
            axes.axvspan(-margin, margin, color="#e3e3e3", linewidth=0)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.hlines(y, part["low"], part["high"], color=colours, linewidth=1.6)
        axes.scatter(part["difference"], y, color=colours, s=16, zorder=3)
        axes.set_title(title(name) if panel else "", fontsize=8)
        axes.set_ylim(0.6 - len(names), 0.6)
        axes.locator_params(axis="x", nbins=2 if panel else 5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
        axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_yticks(-np.arange(len(names)), names if panel else [title(n) for n in names])
    fig.supxlabel(xlabel, fontsize=8)
    if heading:
        fig.suptitle(textwrap.fill(heading, int(14 * width)), fontsize=9)
    return fig


def boxes(
    table: pd.DataFrame,
    x: str,
    y: str,
    ylabel: str = "",
    width: float = WIDTH,
    panel: str | None = None,
    title: Callable = str,
) -> Figure:
    """Box plots of column y for each value of x in order of appearance: median, quartiles, whiskers
    to 1.5 IQR, and every row as a point; a panel each value of column `panel`, named by `title`.
    """
    panels = list(dict.fromkeys(table[panel])) if panel else [""]
    names = list(dict.fromkeys(table[x]))
    fig, grid = plt.subplots(1, len(panels), figsize=(width, 2.8), sharey=True, squeeze=False)
    for axes, name in zip(grid[0], panels, strict=True):
        part = table[table[panel] == name] if panel else table
        common = {"data": part, "x": x, "y": y, "order": names, "ax": axes}
        seaborn.boxplot(
            **common, width=0.6, color="#c9d6e2", linecolor=GREY, linewidth=1, showfliers=False
        )
        with steady():
            seaborn.stripplot(**common, color="black", alpha=0.35, size=2, jitter=0.25)
        axes.set(xlabel="", ylabel=ylabel)
        axes.set_title(title(name), fontsize=8)
        crowded = len(names) * len(panels) >= 9
        axes.tick_params(axis="x", rotation=45 if crowded else 0)
        axes.spines[["top", "right"]].set_visible(False)
    return fig


def strips(
    points: pd.DataFrame,
    means: pd.DataFrame,
    colour: Callable = lambda name: GREY,
    title: Callable = str,
    xlabel: str = "",
    heading: str = "",
    width: float = 4.2,
) -> Figure:
    """A line a name: every value as a grey point, the mean as a diamond, its interval as a bar.

    points: columns name, value; means: columns name, value, low, high, in the order to draw.
    """
    names = list(means["name"])
    fig, axes = plt.subplots(figsize=(width, 1.2 + 0.4 * len(names)))
    with steady():
        seaborn.stripplot(
            points, x="value", y="name", order=names, ax=axes, color="#9a9a9a", size=3, jitter=0.25
        )
    for y, row in enumerate(means.to_dict("records")):
        own = {"color": colour(row["name"]), "zorder": 3}
        axes.plot([row["low"], row["high"]], [y, y], linewidth=4, **own)
        axes.plot(row["value"], y, "D", markersize=7, **own)
    axes.set(xlim=(0, 1), xlabel=xlabel, ylabel="", title=textwrap.fill(heading, int(9 * width)))
    axes.set_yticks(range(len(names)), [title(name) for name in names])
    return fig


@contextmanager
def steady() -> Iterator[None]:
    """The same scatter every time: seaborn draws it from numpy's global state, put back after."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def tukey(table: pd.DataFrame) -> Figure:
    """Figure 4: Tukey's differences with adjusted 95 % intervals, a panel a metric."""
    said = "difference, first minus second; Tukey's 95 % intervals; each panel has its own scale"
    pairs = table.assign(pair=table["a"] + " − " + table["b"])
    return forest(pairs, "pair", "metric", title=words, xlabel=said)


def folds(table: pd.DataFrame, own: pd.DataFrame) -> Figure:
    """Huang's Figure 5: pooled IoU and accuracy, a point a fold, a panel a network; dashed: the
    study's own split, `own`.
    """
    networks = list(dict.fromkeys(table["model"]))
    fig, grid = plt.subplots(1, len(networks), figsize=(WIDTH, 2.6), sharey=True, squeeze=False)
    for axes, name in zip(grid[0], networks, strict=True):
        part, mine = table[table["model"] == name], own[own["model"] == name]
        at = np.arange(1, len(part) + 1)
        for column, colour in zip(("pooled_IoU", "accuracy"), COLOURS, strict=False):
            axes.plot(at, part[column], marker="o", color=colour, label=column.replace("_", " "))
            for value in mine[column].dropna():
                axes.axhline(value, color=colour, linestyle="--", linewidth=1)
        axes.set(xticks=at, xticklabels=part["fold"], ylim=(0, 1))
        axes.set_title(figures.model_label(name), fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0, -1].legend(frameon=False)
    fig.supxlabel("fold (dashed: the study's own test set)", fontsize=8)
    return fig


def ranking(ranks: pd.DataFrame, pairs: pd.DataFrame) -> Figure:
    """One figure of a ranking, networks from best to worst on average over the ways of ranking.

    Left: chance of being first (shade) and rank on the data (number) for each way. Middle: rank
    distribution under resampling for the first way (area of a dot: share of draws; cross: the
    data). Right: who beats whom. `ranks` from ranks.ranking, `pairs` from repeated.pairs.
    """
    best = list(ranks.groupby("model")["mean_rank"].mean().sort_values(kind="stable").index)
    m, names = len(best), [figures.model_label(model) for model in best]
    ways = ranks["metric"] + " " + ranks["class"].str.replace("_", " ") + ", " + ranks["order"]
    order = list(dict.fromkeys(ways))
    first, rank = (
        ranks.pivot_table(index=ways, columns="model", values=v).loc[order, best].to_numpy()
        for v in ("p_first", "rank")
    )
    fig, (a, b, c) = plt.subplots(
        1, 3, figsize=(WIDTH, 1.4 + 0.2 * max(len(order), m)), width_ratios=[1.1, 1, 1]
    )
    a.imshow(first, cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
    for (y, x), value in np.ndenumerate(rank):
        a.text(x, y, f"{value:g}", ha="center", va="center", fontsize=6.5)
    a.set_xticks(range(m), names, rotation=90)
    a.set_yticks(range(len(order)), order)
    a.set_title("rank by each way of ranking\n(dark: likely to be first)", fontsize=7)
    part = ranks[ways == order[0]].set_index("model")
    for y, model in enumerate(best):
        share = np.array([part.loc[model, f"p_rank{r + 1}"] for r in range(m)])
        b.scatter(np.arange(m) + 1, np.full(m, y), s=110 * share, color=figures.model_colour(model))
        b.plot(part.loc[model, "rank"], y, "x", color="black", markersize=4)
    b.set(xlim=(0.4, m + 0.6), ylim=(m - 0.4, -0.6), xticks=range(1, m + 1), xlabel="rank")
    b.set_yticks(range(m), names)
    b.set_title(f"rank if others were tested\n({order[0]})", fontsize=7)
    sure = pairs[pairs["p_adjusted"] < 0.05]
    won = {(r.a, r.b) if r.difference > 0 else (r.b, r.a) for r in sure.itertuples()}
    c.imshow(
        [[(x, y) in won for y in best] for x in best],
        cmap="Greens",
        vmin=0,
        vmax=1.6,
        aspect="auto",
    )
    c.set_xticks(range(m), names, rotation=90)
    c.set_yticks(range(m), names)
    c.set_title("green: row beats column\n(P < 0.05, adjusted over all pairs)", fontsize=7)
    for axes in (a, b, c):
        axes.grid(False)
    return fig


def false_alarms(curve: pd.DataFrame, own: pd.DataFrame) -> Figure:
    """False-positive rate against the ICC of the differences, a line an analysis; `own`: rows of a
    study's own design (columns analysis, icc, rate), drawn as diamonds.
    """
    fig, axes = plt.subplots(figsize=(WIDTH, 2.8))
    for (name, part), colour in zip(curve.groupby("analysis", sort=False), COLOURS, strict=False):
        axes.plot(part["icc"], 100 * part["rate"], marker="o", color=colour, label=name)
        axes.fill_between(
            part["icc"], 100 * part["low"], 100 * part["high"], color=colour, alpha=0.2, linewidth=0
        )
        mine = own[own["analysis"] == name]
        axes.plot(
            mine["icc"], 100 * mine["rate"], "D", color=colour, markeredgecolor="black", zorder=3
        )
    if len(own):
        axes.plot(
            [],
            [],
            "D",
            color="white",
            markeredgecolor="black",
            label="this study's patients, images and ICC",
        )
    axes.axhline(5, color="black", linewidth=0.8, linestyle=":")
    axes.set(
        xlabel="intraclass correlation of the differences", ylabel="false alarms, %", ylim=(0, None)
    )
    axes.set_title(
        "lines: 22 patients with 29 images each; dotted: the 5 % that are allowed", fontsize=8
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return fig


def power(table: pd.DataFrame, goal: float = 0.8) -> Figure:
    """Power against patients, a line a number of images each, a panel a true difference."""
    differences = list(dict.fromkeys(table["difference"]))
    fig, panels = plt.subplots(
        1, len(differences), figsize=(WIDTH, 2.6), sharey=True, squeeze=False
    )
    for axes, difference in zip(panels.ravel(), differences, strict=True):
        part = table[table["difference"] == difference]
        for (images, line), colour in zip(part.groupby("images"), COLOURS, strict=False):
            axes.plot(
                line["patients"],
                line["power"],
                marker="o",
                markersize=3,
                color=colour,
                label=str(images),
            )
        axes.axhline(goal, color="black", linewidth=0.8, linestyle=":")
        axes.set(title=f"true difference {difference:g}", xlabel="patients", ylim=(0, 1.02))
        axes.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set_ylabel("power")
    panels[0, -1].legend(frameon=False, title="images each")
    return fig
