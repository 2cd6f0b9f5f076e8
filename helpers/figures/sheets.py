"""Pictures of the data: contact sheets with masks drawn on, pairs side by side, the fingerprint
as a figure.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import figures


def choose(index, count, seed=1):
    """Positions (list of int) for a contact sheet: as many different patients as possible,
    seeded.
    """
    order = np.random.default_rng(seed).permutation(len(index))
    units = index["patient_id"].fillna(index["image_id"]).to_numpy(object)[order]
    turn = (
        pd.Series(units).groupby(units).cumcount()
    )  # a patient's second image only after everyone's first
    return sorted(order[np.argsort(turn.to_numpy(), kind="stable")][:count].tolist())


def sheet(arrays, study, positions, titles=None, columns=6):
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


def pairs(arrays, study, evidence, count=6):
    """The first rows of a near-duplicate report (``helpers.leakage.near_duplicates``), image
    above its other.
    """
    where = {name: k for k, name in enumerate(arrays.index["image_id"])}
    shown = evidence.head(count)
    top = [where[i] for i in shown["image_id"]]
    bottom = [where[i] for i in shown["other"]]
    first = [f"{r.image_id} ({r.split})\n{r.bits} bits" for r in shown.itertuples()]
    second = [f"{r.other} ({r.other_split})" for r in shown.itertuples()]
    return sheet(arrays, study, top + bottom, first + second, columns=max(len(shown), 1))


def fingerprint(per_image, per_class, study):
    """Six panels: file sizes, pixel sizes, grey levels; size and place of each structure,
    images per patient.
    """
    fig, axes = plt.subplots(2, 3, figsize=(figures.PAGE, figures.PAGE * 0.6), layout="constrained")
    colours = figures.class_colours(study)
    sizes, pixels, grey, area, place, patients = axes.flat
    counts = per_image.groupby(["width_px", "height_px"]).size().reset_index(name="images")
    share = counts["images"] / counts["images"].max()
    sizes.scatter(counts["width_px"], counts["height_px"], s=10 + 90 * share, alpha=0.5)
    sizes.set(xlabel="width, px", ylabel="height, px", title="Size of the files")
    if len(counts) == 1:
        sizes.annotate(
            f"all {per_image.shape[0]}",
            (counts["width_px"][0], counts["height_px"][0]),
            (6, 6),
            textcoords="offset points",
        )
    known = per_image["pixel_mm"].dropna()
    pixels.hist(known, bins=25, color="#888888")
    pixels.set(xlabel="side of an evaluated pixel, mm", ylabel="images", title="Depth setting")
    if known.empty:
        pixels.set(xticks=[], yticks=[], xlabel="not known")
    splits = [
        split for split in ("train", "val", "test", "external") if split in set(per_image["split"])
    ]
    values = [per_image.loc[per_image["split"] == split, "grey_mean"] for split in splits]
    grey.boxplot(
        values,
        orientation="horizontal",
        widths=0.6,
        flierprops={"markersize": 2},
        medianprops={"color": "black"},
    )
    grey.set_yticks(
        range(1, len(splits) + 1), [f"{x} ({len(v)})" for x, v in zip(splits, values, strict=True)]
    )
    grey.set(xlabel="mean grey level (0–255)", title="Brightness")
    grey.invert_yaxis()
    names = list(colours)
    for k, name in enumerate(names):
        mine = per_class[(per_class["class"] == name) & (per_class["area"] > 0)]
        area.boxplot(
            100 * mine["area"],
            positions=[k],
            widths=0.6,
            patch_artist=True,
            flierprops={"markersize": 2},
            boxprops={"facecolor": colours[name]},
            medianprops={"color": "black"},
        )
        place.scatter(mine["x"], mine["y"], s=4, alpha=0.5, color=colours[name])
    area.set_xticks(range(len(names)), [n.replace("_", " ") for n in names])
    area.set(ylabel="area, % of the image", title="Size of the structures")
    place.set(
        xlim=(0, 1),
        ylim=(1, 0),
        xlabel="left – right",
        ylabel="top – bottom",
        title="Their centres",
    )
    device = per_image["device"].fillna("device not known")
    images = per_image.groupby([device, "patient_id"]).size()
    for name, values in images.groupby(level=0):
        patients.hist(values, bins=np.arange(0.5, images.max() + 1.5), alpha=0.6, label=name)
    patients.set(xlabel="images of a patient", ylabel="patients", title="Images per patient")
    if images.empty:
        patients.set(xticks=[], yticks=[], xlabel="patients not known")
    else:
        patients.margins(y=0.4)  # room for the legend
        patients.legend()
    return fig
