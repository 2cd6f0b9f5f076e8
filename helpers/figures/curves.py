"""Figures of curves: learning, and how far a network's certainty and its outlines hold."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn
from matplotlib.figure import Figure

from helpers import figures
from helpers.studies import Study

CHANGES = {
    "noise": "added noise (share of grey range)",
    "gain": "gain (dB)",
    "depth": "shown depth (1: recorded)",
}


def learning(history: pd.DataFrame, kept: int, model: str) -> Figure:
    """Loss, accuracy and learning rate by epoch; dotted: the epoch whose weights were kept.

    history: epoch, lr, train_loss, val_loss, train_accuracy, val_accuracy.
    """
    colour = figures.model_colour(model)
    fig, axes = plt.subplots(1, 3, figsize=(figures.PAGE, 2.4))
    titles = {"loss": "Error: lower is better", "accuracy": "Pixels right: higher is better"}
    for ax, (what, title) in zip(axes, titles.items(), strict=False):
        lines = {f"train_{what}": ("training", "#888888"), f"val_{what}": ("validation", colour)}
        for column, (label, shade) in lines.items():
            ax.plot(history["epoch"], history[column], color=shade, marker="o", label=label)
        ax.axvline(kept, color=colour, ls=":", lw=1)
        ax.set(xlabel="epoch (dotted: weights kept)", ylabel=what, title=title)
    axes[0].legend()
    axes[2].plot(history["epoch"], history["lr"], color="#444444")
    axes[2].set(xlabel="epoch", ylabel="learning rate", title="Size of the corrections")
    return fig


def risk_coverage(curve: pd.DataFrame, model: str) -> Figure:
    """Mean error of the images that the network keeps, against how many it keeps."""
    fig, ax = plt.subplots(figsize=(figures.COLUMN * 1.3, 2.6))
    kept, colour = 100 * curve["coverage"], figures.model_colour(model)
    ax.plot(kept, curve["risk"], color=colour, label="by its own doubt")
    ax.plot(kept, curve["best"], color="#999999", ls="--", label="if the worst were known")
    ax.axhline(curve["risk"].iloc[-1], color="#444444", lw=0.8, ls=":", label="by chance")
    ax.set(xlabel="images kept by the network (%)", ylabel="mean error (1 − Dice)", ylim=(0, None))
    ax.legend()
    return fig


def calibration(table: pd.DataFrame, study: Study) -> Figure:
    """What is true against what the network says, a line a structure."""
    fig, ax = plt.subplots(figsize=(figures.COLUMN * 1.3, 2.8))
    ax.plot([0, 1], [0, 1], color="#999999", ls="--", lw=1)
    for c in study.foreground:
        rows = table[table["class"] == c.name]
        ax.plot(rows["said"], rows["true"], "o-", color=c.colour, label=c.name.replace("_", " "))
    ax.set(xlabel="what the network says", ylabel="what is true", xlim=(0, 1), ylim=(0, 1))
    ax.legend()
    return fig


def robustness(table: pd.DataFrame, unchanged: dict[str, float], study: Study) -> Figure:
    """Pooled Dice against each change of the image, a line a structure; dotted: as recorded.

    table: of ``reliability.robustness``; unchanged: change → level of the image as recorded.
    """
    fig, axes = plt.subplots(1, len(CHANGES), figsize=(figures.PAGE, 2.6), sharey=True)
    for ax, (kind, label) in zip(axes, CHANGES.items(), strict=True):
        seaborn.lineplot(
            table[table["change"] == kind],
            x="level",
            y="Dice",
            hue="class",
            palette=figures.class_colours(study),
            marker="o",
            markeredgewidth=0,
            legend=ax is axes[-1],
            ax=ax,
        )
        ax.axvline(unchanged[kind], color="#999999", lw=0.8, ls=":")
        ax.set(xlabel=label, ylabel="Dice (pooled)", ylim=(0, 1))
    axes[-1].legend(title="")
    return fig
