"""Cases at the full resolution of their files, outlines over them, a scale bar where the scale is
known.
"""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import studies

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays

BARS_CM = (10, 5, 2, 1, 0.5)


def cases(
    study: studies.Study,
    arrays: "Arrays",
    chosen: dict[str, str],
    drawn: np.ndarray,
    width: float = 5.2,
) -> Figure:
    """A figure with a row a case: the image, and beside it the image with the reference in white
    and the network's outline in the colour of its class.

    chosen: heading → image_id; drawn: uint8 (N, H, W) of the network, in the order of ``arrays``.
    """
    ids = arrays.index["image_id"].to_numpy()
    places = {heading: int(np.flatnonzero(ids == name)[0]) for heading, name in chosen.items()}
    sizes = [size(arrays, place) for place in places.values()]
    heights = [width / 2 * high / wide + 0.35 for high, wide in sizes]
    fig, axes = plt.subplots(
        *(len(chosen), 2), figsize=(width, sum(heights)), squeeze=False, height_ratios=heights
    )
    for (plain, beside), (heading, place) in zip(axes, places.items(), strict=True):
        shown = show(plain, study, arrays, place)
        outlined(beside, study, arrays, place, drawn)
        plain.set_title(heading, fontsize=10)
        if scale_known(arrays.index.iloc[place]):
            _bar(plain, shown)
    lines = [
        plt.matplotlib.lines.Line2D([], [], color=c.colour, label=c.name.replace("_", " "))
        for c in study.foreground
    ]
    fig.legend(handles=lines, loc="outside lower center", ncols=len(lines), fontsize=10)
    return fig


def show(ax: Axes, study: studies.Study, arrays: "Arrays", place: int) -> tuple[float, ...]:
    """Draw an image as its file has it; returns its height and width (:func:`size`)."""
    high, wide = size(arrays, place)
    pixels = image(study, arrays, place)
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(0, wide, high, 0))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return high, wide


def outlined(
    ax: Axes, study: studies.Study, arrays: "Arrays", place: int, drawn: np.ndarray
) -> None:
    """Draw an image with the reference in white and the network's outline in its classes' colours.

    drawn: uint8 (N, H, W) of the network, in the order of ``arrays``.
    """
    shown = show(ax, study, arrays, place)
    part = arrays.frame(place)
    _outlines(ax, study, arrays.masks[place][part], shown, reference=True)
    _outlines(ax, study, drawn[place][part], shown)


def image(study: studies.Study, arrays: "Arrays", place: int) -> np.ndarray:
    """The image as its file has it; as the networks saw it where the file is no longer there."""
    path = studies.folder(study) / arrays.index["image"].iloc[place]
    from helpers import readers  # every image format: a page without images must not need them

    return (
        readers.read_image(path)[0] if path.is_file() else arrays.images[place][arrays.frame(place)]
    )


def size(arrays: "Arrays", place: int) -> tuple[float, ...]:
    """Height and width in which an image is shown, whatever the shape of its array."""
    row = arrays.index.iloc[place]
    sides = arrays.masks[place][arrays.frame(place)].shape
    return extent(row, sides, (row["height_px"], row["width_px"]))


def scale_known(row: pd.Series) -> bool:
    return np.isfinite(row["pixel_mm"])


def extent(row: pd.Series, sides: tuple[int, ...], shape: tuple[int, ...]) -> tuple[float, ...]:
    """Height and width of what is shown, in mm where the scale is known, else in pixels.

    sides: pixels of the part of the array into which the file was resized.
    """
    if not scale_known(row):
        return shape
    if "pixel_row_mm" in row:
        return row["pixel_row_mm"] * sides[0], row["pixel_column_mm"] * sides[1]
    mm = row["pixel_mm"] * sides[0] / np.sqrt(row["height_px"] * row["width_px"])
    return mm * row["height_px"], mm * row["width_px"]


def _outlines(
    ax: Axes,
    study: studies.Study,
    mask: np.ndarray,
    size: tuple[float, ...],
    reference: bool = False,
) -> None:
    rows, columns = (
        (np.arange(n) + 0.5) * length / n for n, length in zip(mask.shape, size, strict=True)
    )
    for c in study.foreground:
        if (mask == c.index).any():
            colour = "white" if reference else c.colour
            ax.contour(
                columns, rows, mask == c.index, levels=[0.5], colors=[colour], linewidths=1.1
            )


def _bar(ax: Axes, size: tuple[float, ...]) -> None:
    """A scale bar of a round number of centimetres, at most a third of the width."""
    fitting = [cm for cm in BARS_CM if 10 * cm <= size[1] / 3]
    if not fitting:
        return
    cm, at = fitting[0], 0.95 * size[0]
    ax.plot([0.05 * size[1], 0.05 * size[1] + 10 * cm], [at, at], color="white", linewidth=2)
    ax.text(0.05 * size[1], 0.93 * size[0], f"{cm:g} cm", color="white", fontsize=9)
