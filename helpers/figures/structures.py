"""Figures of structures: their scores with intervals, what was drawn in place of what, areas."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from helpers import figures
from helpers.figures import statistics
from helpers.studies import Study

ORDER = ("IoU", "recall", "precision", "Dice")


def scores(
    study: Study, pooled: pd.DataFrame, dots: pd.DataFrame, ceiling: dict[str, float]
) -> Figure:
    """A panel a structure: bars of the pooled scores with their intervals, a dot a patient (or
    image), and the Dice of two people as a dotted line.

    pooled: of ``stats.intervals``; dots: columns class and ORDER; ceiling: class → Dice.
    """
    fig, axes = plt.subplots(
        1, len(study.foreground), figsize=(figures.PAGE, 2.8), sharey=True, squeeze=False
    )
    order, line = list(ORDER), None
    for ax, c in zip(axes[0], study.foreground, strict=True):
        rows = pooled[pooled["class"] == c.name].set_index("metric").reindex(order)
        seaborn.barplot(
            x=order, y=rows["estimate"].to_numpy(), color=c.colour, alpha=0.55, width=0.7, ax=ax
        )
        each = dots[dots["class"] == c.name].melt(value_vars=order)
        style = {"color": "#333333", "alpha": 0.35, "size": 2.5}
        with statistics.steady():
            seaborn.stripplot(each, x="variable", y="value", order=order, ax=ax, **style)
        error = [rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]]
        ax.errorbar(
            order, rows["estimate"], yerr=error, fmt="none", color="black", capsize=3, lw=1.2
        )
        if c.name in ceiling:
            line = ax.hlines(ceiling[c.name], 2.6, 3.4, color="#0072B2", ls=":", lw=2, zorder=4)
        ax.set(title=c.name.replace("_", " "), ylim=(0, 1.02), xlabel="", ylabel="")
        ax.tick_params(axis="x", rotation=30)
    axes[0, 0].set_ylabel("overlap or share (1 is perfect)")
    if line is not None:
        said = f"Dice that {figures.two_people(study)} reach with each other"
        fig.legend([line], [said], loc="outside lower center")
    return fig


def confusion(table: pd.DataFrame) -> Figure:
    """What the pixels of each class (row) were drawn as (column), in percent."""
    names = [str(name).replace("_", " ") for name in table]
    side = min(figures.PAGE, 1.6 + 0.75 * len(table))
    fig, ax = plt.subplots(figsize=(side, 0.75 * side))
    seaborn.heatmap(
        pd.DataFrame(table.to_numpy(float), index=names, columns=names),
        annot=True,
        fmt=".1f",
        vmin=0,
        vmax=100,
        cmap=LinearSegmentedColormap.from_list("share", ["white", "#0072B2"]),
        cbar=False,
        linewidths=0.5,
        ax=ax,
    )
    ax.set(xlabel="drawn as", ylabel="in the reference", title="Share of the pixels (%)")
    ax.tick_params(axis="y", rotation=0)
    ax.grid(False)
    return fig


def failures(study: Study, scored: pd.DataFrame, acceptable: float) -> Figure:
    """Dice of every image, worst on the left, a line a structure; dashed: what is acceptable.

    scored: columns class and Dice.
    """
    fig, ax = plt.subplots(figsize=(figures.PHONE, 2.6))
    for c in study.foreground:
        values = scored.loc[scored["class"] == c.name, "Dice"].dropna().sort_values()
        at = [100 * k / max(len(values) - 1, 1) for k in range(len(values))]
        ax.plot(at, values, ".-", color=c.colour, lw=0.8, label=c.name.replace("_", " "))
    ax.axhline(acceptable, color="#444444", ls="--", lw=1)
    ax.set(xlabel="test images, from worst to best (%)", ylabel="Dice", ylim=(-0.02, 1))
    ax.legend(loc="lower right")
    return fig


def areas(study: Study, areas: pd.DataFrame, limits: pd.DataFrame) -> Figure:
    """Difference of areas against their mean, a panel a structure; dashed: bias and limits.

    areas: of ``stats.areas`` with column class; limits: of ``stats.bland_altman`` with class.
    """
    fig, axes = plt.subplots(1, len(study.foreground), figsize=(figures.PAGE, 2.6), squeeze=False)
    for ax, c in zip(axes[0], study.foreground, strict=True):
        own, lines = areas[areas["class"] == c.name], limits[limits["class"] == c.name]
        ax.plot(own["mean"], own["difference"], ".", color=c.colour, markersize=3)
        for value in lines[["bias", "limit_low", "limit_high"]].to_numpy(float).ravel():
            ax.axhline(value, color="#444444", ls="--", lw=1)
        ax.axhline(0, color="#999999", lw=0.8)
        unit = own["unit"].iloc[0] if len(own) else "nowhere and never drawn"
        ax.set(
            title=c.name.replace("_", " "),
            xlabel=f"area, mean of both outlines ({unit})",
            ylabel=f"drawn minus reference ({unit})",
        )
    return fig
