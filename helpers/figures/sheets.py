"""Pictures of the data: contact sheets with masks drawn on, pairs side by side, the fingerprint
as a figure.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import figures
from helpers.studies import Study

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays


def choose(index: pd.DataFrame, count: int) -> list[int]:
    """Positions for a contact sheet, seeded: as many different patients as possible."""
    order = np.random.default_rng(1).permutation(len(index))
    units = index["patient_id"].fillna(index["image_id"]).to_numpy(object)[order]
    turn = (
        pd.Series(units).groupby(units).cumcount()
    )  # a patient's second image only after everyone's first
    return sorted(order[np.argsort(turn.to_numpy(), kind="stable")][:count].tolist())


def sheet(
    arrays: "Arrays",
    study: Study,
    positions: Sequence[int],
    titles: Sequence[str] | None = None,
    columns: int = 6,
) -> Figure:
    """A figure of images with their masks as outlines, titles under each (default: image_id)."""
    rows = -(-len(positions) // columns)
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(figures.PAGE, figures.PAGE * rows / columns * 1.15),
        squeeze=False,
        layout="constrained",
    )
    titles = titles or [arrays.index["image_id"].iloc[k] for k in positions]
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, k, title in zip(axes.flat, positions, titles, strict=False):
        axis.imshow(
            figures.overlay(arrays.images[k], arrays.masks[k], study, contour=True),
            interpolation="nearest",
        )
        axis.set_title(title, fontsize=6, pad=2)
    figures.class_legend(fig, study, loc="outside lower center", ncols=len(study.foreground))
    return fig


def pairs(arrays: "Arrays", study: Study, evidence: pd.DataFrame) -> Figure:
    """The first rows of ``leakage.near_duplicates``, an image above its other."""
    where = {name: k for k, name in enumerate(arrays.index["image_id"])}
    shown = evidence.head(6)
    top = [where[i] for i in shown["image_id"]]
    bottom = [where[i] for i in shown["other"]]
    first = [f"{r.image_id} ({r.split})\n{r.bits} bits" for r in shown.itertuples()]
    second = [f"{r.other} ({r.other_split})" for r in shown.itertuples()]
    return sheet(arrays, study, top + bottom, first + second, columns=max(len(shown), 1))


def fingerprint(per_image: pd.DataFrame, per_class: pd.DataFrame, study: Study) -> Figure:
    """Six panels: file sizes, pixel sizes, grey levels; size and place of each structure,
    images per patient. What is not known leaves its panel empty, and the panel says so.
    """
    fig, axes = plt.subplots(2, 3, figsize=(figures.PAGE, figures.PAGE * 0.6), layout="constrained")
    sizes, pixels, grey, area, place, patients = axes.flat
    _sizes(sizes, per_image)
    pixels.hist(per_image["pixel_mm"].dropna(), bins=25, color="#888888")
    pixels.set(xlabel="side of an evaluated pixel, mm", ylabel="images", title="Depth setting")
    if per_image["pixel_mm"].isna().all():
        pixels.set(xticks=[], yticks=[], xlabel="not known")
    _brightness(grey, per_image)
    shown = per_class[per_class["area"] > 0].assign(percent=lambda rows: 100 * rows["area"])
    _places(area, place, shown, figures.class_colours(study))
    _images_each(patients, per_image)
    return fig


def _sizes(axes: Axes, per_image: pd.DataFrame) -> None:
    counts = per_image.groupby(["width_px", "height_px"]).size().reset_index(name="images")
    share = counts["images"] / counts["images"].max()
    axes.scatter(counts["width_px"], counts["height_px"], s=10 + 90 * share, alpha=0.5)
    axes.set(xlabel="width, px", ylabel="height, px", title="Size of the files")
    if len(counts) == 1:
        axes.annotate(
            f"all {per_image.shape[0]}",
            (counts["width_px"][0], counts["height_px"][0]),
            (6, 6),
            textcoords="offset points",
        )


def _brightness(axes: Axes, per_image: pd.DataFrame) -> None:
    counts = per_image["split"].value_counts()
    named = {s: f"{s} ({counts[s]})" for s in ("train", "val", "test", "external") if s in counts}
    seaborn.boxplot(
        per_image.assign(split=per_image["split"].map(named)),
        x="grey_mean",
        y="split",
        order=list(named.values()),
        color="white",
        linecolor="black",
        width=0.6,
        fliersize=2,
        ax=axes,
    )
    axes.set(xlabel="mean grey level (0–255)", ylabel="", title="Brightness")


def _places(area: Axes, place: Axes, shown: pd.DataFrame, colours: dict[str, str]) -> None:
    """Size and centres of the structures that an image shows."""
    seaborn.boxplot(
        shown,
        x="class",
        y="percent",
        hue="class",
        order=list(colours),
        palette=colours,
        width=0.6,
        fliersize=2,
        ax=area,
    )
    area.set_xticks(range(len(colours)), [name.replace("_", " ") for name in colours])
    area.set(xlabel="", ylabel="area, % of the image", title="Size of the structures")
    seaborn.scatterplot(
        shown, x="x", y="y", hue="class", palette=colours, s=6, alpha=0.5, legend=False, ax=place
    )
    place.set(
        xlim=(0, 1),
        ylim=(1, 0),
        xlabel="left – right",
        ylabel="top – bottom",
        title="Their centres",
    )


def _images_each(axes: Axes, per_image: pd.DataFrame) -> None:
    device = per_image["device"].fillna("device not known")
    images = per_image.groupby([device, "patient_id"]).size()
    axes.set(xlabel="images of a patient", ylabel="patients", title="Images per patient")
    if images.empty:
        axes.set(xticks=[], yticks=[], xlabel="patients not known")
        return
    for name, values in images.groupby(level=0):
        axes.hist(values, bins=np.arange(0.5, images.max() + 1.5).tolist(), alpha=0.6, label=name)
    axes.margins(y=0.4)  # room for the legend
    axes.legend()
