"""Figures of the statistics: each draws one tidy table and returns a matplotlib figure. No numbers are made here."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import FancyArrowPatch

GREY = "#5b5b5b"


def _text(row, what):
    images = "" if pd.isna(row["images"]) else f"\n{int(row['images'])} images"
    patients = "" if pd.isna(row["patients"]) else f"\n{int(row['patients'])} patients"
    return f"{what}{patients}{images}"


def flow_chart(flow: pd.DataFrame, width: float = 6.8):
    """Who was assessed, excluded (with reasons) and included, and where they went; `flow` from cohort.flow."""
    rows = {stage: part for stage, part in flow.groupby("stage", sort=False)}
    reasons = rows.get("excluded", flow.iloc[:0])
    fig, axes = plt.subplots(figsize=(width, 3.4 + 0.13 * len(reasons)))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.axis("off")
    box = {"boxstyle": "square,pad=0.5", "facecolor": "white", "edgecolor": GREY}

    def put(x, y, text, **options):
        axes.text(x, y, text, ha=options.pop("ha", "center"), va="center", bbox=box, fontsize=8, **options)

    def arrow(start, end):
        axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=GREY, zorder=0))

    top = "assessed" if "assessed" in rows else "included"
    if top == "assessed":
        arrow((0.3, 0.9), (0.3, 0.46))
        put(0.3, 0.9, _text(rows["assessed"].iloc[0], "Assessed"))
    if len(reasons):
        lines = [f"Excluded: {int(reasons['patients'].sum())} patients"]
        lines += [f"· {int(r['patients'])} {r['reason']}" for _, r in reasons.iterrows()]
        arrow((0.3, 0.68), (0.5, 0.68))
        put(0.5, 0.68, "\n".join(lines), ha="left")
    splits = [s for s in ("train", "val", "test") if s in rows]
    for x, split in zip(np.linspace(0.15, 0.85, len(splits)), splits, strict=True):
        arrow((0.3, 0.4), (x, 0.1))
        put(x, 0.1, _text(rows[split].iloc[0], {"train": "Training", "val": "Validation", "test": "Test"}[split]))
    put(0.3, 0.4, _text(rows["included"].iloc[0], "Included"))
    return fig


def forest(table: pd.DataFrame, by: str, value: str = "difference", colour=GREY, zero: float = 0.0, bands=(),
           xlabel: str = "", width: float = 6.8):  # fmt: skip
    """Estimates with intervals, one line a row, labelled by column `by`.

    `table` needs columns `by`, `value`, low, high; `colour` is one colour or a list; `bands`: vertical lines to draw
    (for instance ± a margin).
    """
    fig, axes = plt.subplots(figsize=(width, 0.6 + 0.24 * len(table)))
    y = np.arange(len(table))[::-1]
    colours = [colour] * len(table) if isinstance(colour, str) else list(colour)
    axes.axvline(zero, color="black", linewidth=0.8)
    for x in bands:
        axes.axvline(x, color=GREY, linewidth=0.8, linestyle=":")
    for row, at, c in zip(table.to_dict("records"), y, colours, strict=True):
        axes.plot([row["low"], row["high"]], [at, at], color=c, linewidth=1.6)
        axes.plot(row[value], at, "o", color=c, markersize=4)
    axes.set_yticks(y, table[by])
    axes.set(xlabel=xlabel, ylim=(-0.7, len(table) - 0.3))
    axes.spines[["top", "right"]].set_visible(False)
    return fig


def boxes(table: pd.DataFrame, x: str, y: str, colours: dict | None = None, ylabel: str = "", width: float = 6.8,
          height: float = 2.8):  # fmt: skip
    """Box plots of column y for each value of x in order of appearance: median, quartiles, whiskers to 1.5 IQR."""
    names = list(dict.fromkeys(table[x]))
    fig, axes = plt.subplots(figsize=(width, height))
    data = [table.loc[table[x] == name, y].dropna().to_numpy() for name in names]
    drawn = axes.boxplot(data, widths=0.6, patch_artist=True, flierprops={"markersize": 2.5, "marker": "o"},
                         medianprops={"color": "black"})  # fmt: skip
    for patch, name in zip(drawn["boxes"], names, strict=True):
        patch.set(facecolor=(colours or {}).get(name, "#c9d6e2"), edgecolor=GREY)
    axes.set_xticks(range(1, len(names) + 1), names, rotation=0 if len(names) < 9 else 45)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    return fig


def tukey(table: pd.DataFrame, width: float = 6.8):
    """Figure 4: Tukey's pairwise differences with adjusted 95 % intervals, a panel an indicator (column metric)."""
    names = list(dict.fromkeys(table["metric"]))
    fig, panels = plt.subplots(1, len(names), figsize=(width, 0.9 + 0.25 * len(table) / len(names)), sharey=True)
    for axes, name in zip(np.atleast_1d(panels), names, strict=True):
        part = table[table["metric"] == name]
        y = np.arange(len(part))[::-1]
        axes.axvline(0, color="black", linewidth=0.8)
        axes.hlines(y, part["low"], part["high"], color=GREY)
        axes.plot(part["difference"], y, "o", color=GREY, markersize=4)
        axes.set_yticks(y, [f"{a} − {b}" for a, b in zip(part["a"], part["b"], strict=True)])
        axes.set_title(name)
        axes.spines[["top", "right"]].set_visible(False)
    return fig


def folds(table: pd.DataFrame, columns=("pooled_IoU", "accuracy"), width: float = 6.8):
    """Huang's Figure 5: one point a fold for each column, joined by a line; `table` has a column fold."""
    fig, axes = plt.subplots(figsize=(width, 2.6))
    at = np.arange(1, len(table) + 1)
    for column, colour in zip(columns, ["#0072B2", "#D55E00", "#009E73"], strict=False):
        axes.plot(at, table[column], marker="o", color=colour, label=column.replace("_", " "))
    axes.set(xticks=at, xticklabels=table["fold"], ylim=(0, 1), xlabel="fold")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return fig
