"""Pictures of the data: contact sheets with masks drawn on, pairs side by side, the fingerprint as a figure."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import figures


def choose(index, count, seed=1):
    """Positions (list of int) for a contact sheet: as many different patients as possible, seeded."""
    order = np.random.default_rng(seed).permutation(len(index))
    units = index["patient_id"].fillna(index["image_id"]).to_numpy(object)[order]
    turn = pd.Series(units).groupby(units).cumcount()  # a patient's second image only after everyone's first
    return sorted(order[np.argsort(turn.to_numpy(), kind="stable")][:count].tolist())


def sheet(arrays, study, positions, titles=None, columns=6):
    """A figure of images with their masks as outlines, titles under each (default: image_id)."""
    rows = -(-len(positions) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(figures.PAGE, figures.PAGE * rows / columns * 1.15), squeeze=False)
    titles = titles or [arrays.index["image_id"].iloc[k] for k in positions]
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, k, title in zip(axes.flat, positions, titles, strict=False):
        axis.imshow(figures.overlay(arrays.images[k], arrays.masks[k], study, contour=True), interpolation="nearest")
        axis.set_title(title, fontsize=6, pad=2)
    figures.class_legend(fig, study, loc="upper center", ncols=len(study.foreground), bbox_to_anchor=(0.5, 0))
    fig.tight_layout(pad=0.3)
    return fig


def pairs(arrays, study, evidence, count=6):
    """The first rows of a near-duplicate report (``helpers.gates.near_duplicates``), image above its other."""
    where = {name: k for k, name in enumerate(arrays.index["image_id"])}
    shown = evidence.head(count)
    top = [where[i] for i in shown["image_id"]]
    bottom = [where[i] for i in shown["other"]]
    first = [f"{r.image_id} ({r.split})\n{r.bits} bits" for r in shown.itertuples()]
    second = [f"{r.other} ({r.other_split})" for r in shown.itertuples()]
    return sheet(arrays, study, top + bottom, first + second, columns=max(len(shown), 1))


def fingerprint(per_image, per_class, study):
    """Four panels: sizes of the files, grey levels, size of each structure, where each structure lies."""
    fig, axes = plt.subplots(2, 2, figsize=(figures.PAGE, figures.PAGE * 0.75))
    colours = figures.class_colours(study)
    sizes, grey, area, place = axes.flat
    counts = per_image.groupby(["width_px", "height_px"]).size().reset_index(name="images")
    sizes.scatter(
        counts["width_px"], counts["height_px"], s=10 + 90 * counts["images"] / counts["images"].max(), alpha=0.5
    )
    sizes.set(xlabel="width of the file, px", ylabel="height of the file, px", title="Sizes")
    for split, group in per_image.groupby("split", sort=False):
        grey.hist(group["grey_mean"], bins=25, histtype="step", density=True, label=f"{split} ({len(group)})")
    grey.set(xlabel="mean grey level of an image (0–255)", ylabel="density", title="Brightness")
    grey.legend()
    names = list(colours)
    for k, name in enumerate(names):
        mine = per_class[(per_class["class"] == name) & (per_class["area"] > 0)]
        area.boxplot(100 * mine["area"], positions=[k], widths=0.6, patch_artist=True, flierprops={"markersize": 2},
                     boxprops={"facecolor": colours[name]}, medianprops={"color": "black"})  # fmt: skip
        place.scatter(mine["x"], mine["y"], s=4, alpha=0.5, color=colours[name], label=name.replace("_", " "))
    area.set_xticks(range(len(names)), [n.replace("_", " ") for n in names])
    area.set(ylabel="area, % of the image", title="Size of the structures")
    place.set(xlim=(0, 1), ylim=(1, 0), xlabel="left – right", ylabel="top – bottom", title="Centres of the structures")
    place.legend()
    fig.tight_layout()
    return fig
