"""Difference against mean, with bias and limits of agreement (Bland & Altman 1986)."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from helpers import figures
from helpers.errors import NotComputable


def bland_altman(compared: pd.DataFrame, table: pd.DataFrame, class_: str, model: str) -> Figure:
    """A panel a measure. compared: of ``measures.compared``; table: of
    ``pages.measures.agreement``; class_: name of the structure; model: the network's.
    NotComputable where the table has no row of the structure.
    """
    told = table[table["class"] == class_]
    if told.empty:
        raise NotComputable(f"{class_.replace('_', ' ')} can be measured in too few patients")
    of_unit = compared["unit"] == told["unit"].iloc[0].rstrip("²")
    rows = compared[(compared["class"] == class_) & of_unit]
    names = {"area": "area", "median thickness": "thickness", "depth of the centre": "depth_centre"}
    fig, axes = plt.subplots(1, len(told), figsize=(figures.PAGE, 2.6), squeeze=False)
    for ax, row in zip(axes[0], told.itertuples(), strict=True):
        name = names[row.measure]
        mean = (rows[name] + rows[f"{name}_drawn"]) / 2
        ax.scatter(mean, rows[f"{name}_difference"], s=9, color=figures.model_colour(model))
        for value, style in ((row.bias, "-"), (row.limit_low, "--"), (row.limit_high, "--")):
            ax.axhline(value, color="#444444", lw=0.9, ls=style)
        ax.axhspan(row.low, row.high, color="#444444", alpha=0.12, lw=0)
        ax.set(title=row.measure, xlabel=f"mean of both ({row.unit})")
    axes[0][0].set_ylabel("drawn minus reference")
    return fig
