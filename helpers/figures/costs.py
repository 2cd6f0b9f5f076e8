"""Figures of networks: their layers, their cost and their speed."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure

from helpers import figures


def layers(convolutions: pd.DataFrame, model: str) -> Figure:
    """A bar a convolution, from the image to the outlines: height is the side of the picture there,
    the number its channels. convolutions: of ``speed.convolutions``.
    """
    deepest = convolutions.loc[
        convolutions["side_px"] == convolutions["side_px"].min(), "layer"
    ].max()
    way = (convolutions["layer"] <= deepest).map({True: "down", False: "up"})
    fig, ax = plt.subplots(figsize=(figures.PAGE, 2.4))
    seaborn.barplot(
        convolutions.assign(way=way),
        x="layer",
        y="side_px",
        hue="way",
        palette={"down": figures.model_colour(model), "up": "#E69F00"},
        width=0.8,
        ax=ax,
    )
    for place, row in enumerate(convolutions.itertuples()):
        ax.annotate(
            f" {row.channels}",
            (place, row.side_px),
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=6,
        )
    ax.set(
        xlabel=f"convolutions of {figures.model_label(model)} in order",
        ylabel="side of the picture (px)",
    )
    ax.xaxis.set_major_locator(plt.MaxNLocator(12, integer=True))
    ax.margins(y=0.2)
    ax.legend(loc="upper center")
    return fig


def speed(live: pd.DataFrame, sums: pd.Series) -> Figure:
    """Left: time for one image of each network; right: against its arithmetic.

    live: a row a network, columns ms_median, ms_q25, ms_q75, index the network; sums: Series of
    billion multiply-adds.
    """
    colours = {name: figures.model_colour(name) for name in live.index}
    fig, (left, right) = plt.subplots(1, 2, figsize=(figures.PAGE, 2.8))
    table = (
        live.rename_axis("model").reset_index().assign(arithmetic=lambda t: t["model"].map(sums))
    )
    options = {"hue": "model", "palette": colours, "legend": False}
    seaborn.barplot(table, x="ms_median", y="model", ax=left, **options)
    ends = [live["ms_median"] - live["ms_q25"], live["ms_q75"] - live["ms_median"]]
    left.errorbar(live["ms_median"], range(len(live)), xerr=ends, fmt="none", color="black", lw=1)
    left.set_yticks(range(len(live)), [figures.model_label(name) for name in live.index])
    left.set(xlabel="ms an image (median, quartiles)", ylabel="", title="Time for one image")
    seaborn.scatterplot(table, x="arithmetic", y="ms_median", ax=right, **options)
    lowest, highest = -np.inf, live["ms_median"].max()
    for row in table.sort_values("ms_median").itertuples():  # names stand apart, at the right edge
        lowest = max(row.ms_median, lowest + highest / 12)
        right.annotate(
            figures.model_label(row.model),
            (row.arithmetic, row.ms_median),
            (1.02, lowest),
            textcoords=("axes fraction", "data"),
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.5},
            fontsize=7,
            va="center",
        )
    right.set(
        xlabel="multiply-adds an image, billion",
        ylabel="ms an image",
        title="Does arithmetic explain it?",
    )
    right.margins(x=0.1)
    right.set_ylim(0, 1.1 * max(lowest, highest))
    return fig
