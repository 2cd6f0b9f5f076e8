"""Pictures of cases: an image, its reference, what each network drew. No torch: predictions come
from files.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers import figures
from helpers.figures import fullsize
from helpers.studies import Study

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays


def _position(arrays: "Arrays", image_id: str) -> int:
    return int(np.flatnonzero(arrays.index["image_id"] == image_id)[0])


def grid(
    study: Study,
    arrays: "Arrays",
    chosen: dict[str, str],
    panels: dict[str, np.ndarray | None],
    dice: pd.Series,
) -> Figure:
    """A figure with one row a case and one column a panel.

    chosen: row name → image_id; panels: column title → masks uint8 (N, H, W), or None for the bare
    image; dice: Series of the headline's Dice by image_id, written beside each row.
    """
    width = min(figures.PAGE, 1.75 * len(panels))
    places = [_position(arrays, image_id) for image_id in chosen.values()]
    high = _heights(arrays, places, width / len(panels))
    fig, axes = plt.subplots(
        *(len(chosen), len(panels)),
        figsize=(width, sum(high) + 0.5),
        squeeze=False,
        height_ratios=high,
    )
    for row, (name, image_id), place in zip(axes, chosen.items(), places, strict=True):
        part, (tall, wide) = arrays.frame(place), fullsize.size(arrays, place)
        for ax, (title, masks) in zip(row, panels.items(), strict=True):
            mask = np.zeros_like(arrays.masks[place]) if masks is None else masks[place]
            shown = figures.overlay(arrays.images[place][part], mask[part], study)
            ax.imshow(shown, interpolation="bicubic", extent=(0, wide, tall, 0))
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if ax in axes[0]:
                ax.set_title(title, loc="center", fontsize=8)
        row[0].set_ylabel(f"{name}\n{image_id}\nDice {dice[image_id]:.2f}")
    legend(fig, study)
    return fig


def _heights(arrays: "Arrays", places: Sequence[int], width: float) -> list[float]:
    """How high images of one width are drawn."""
    sizes = [fullsize.size(arrays, place) for place in places]
    return [width * tall / wide for tall, wide in sizes]


def legend(fig: Figure, study: Study) -> None:
    """One legend of the study's classes below a figure."""
    patches = [
        plt.matplotlib.patches.Patch(color=c.colour, label=c.title) for c in study.foreground
    ]
    fig.legend(handles=patches, loc="outside lower center", ncols=1 if len(patches) > 2 else 2)


def contours(
    study: Study,
    arrays: "Arrays",
    image_ids: Sequence[str],
    masks: np.ndarray,
    dice: pd.Series,
) -> Figure:
    """Images with the reference outlined in white, the prediction in the class colours."""
    columns, rows = 4, -(-len(image_ids) // 4)
    places = [_position(arrays, image_id) for image_id in image_ids]
    high = max(_heights(arrays, places, figures.PAGE / columns))
    size = (figures.PAGE, (high + 0.2) * rows + 0.6)
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image_id, place in zip(axes.flat, image_ids, places, strict=False):
        fullsize.outlined(ax, study, arrays, place, masks)
        ax.set_title(
            f"{image_id}: Dice {dice[image_id]:.2f}", loc="center", fontsize=7, fontweight="normal"
        )
    legend(fig, study)
    return fig
