"""What a study's images are like: sizes, spacing, grey levels, where the classes lie and how large
they are.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import ndimage

from helpers.studies import Class

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays


def images(arrays: "Arrays") -> pd.DataFrame:
    """One row an image: image_id, patient_id, split, device, height_px, width_px, pixel_mm, grey
    levels in 0–255.

    height_px and width_px are the file's; pixel_mm is that of an evaluated pixel (NaN unknown).
    grey_mean, grey_sd, grey_p01, grey_p99, share_black (exactly 0) are measured on the evaluated
    image.
    """
    columns = ["image_id", "patient_id", "split", "device", "height_px", "width_px", "pixel_mm"]
    frame = arrays.index.reindex(columns=columns).reset_index(drop=True)
    grey = [np.asarray(arrays.images[k][arrays.frame(k)]) for k in range(len(frame))]
    return frame.assign(
        grey_mean=[g.mean() for g in grey],
        grey_sd=[g.std() for g in grey],
        grey_p01=[np.percentile(g, 1) for g in grey],
        grey_p99=[np.percentile(g, 99) for g in grey],
        share_black=[(g == 0).mean() for g in grey],
    )


def classes(arrays: "Arrays", declared: Sequence[Class]) -> pd.DataFrame:
    """One row an image and foreground class: image_id, split, class, area (share of the image), x,
    y, parts.

    x, y: centre of gravity as a share of width and height (0 left/top; NaN where the class is
    absent); parts: number of 4-connected pieces.
    """
    rows = []
    for k, image in enumerate(arrays.index.to_dict("records")):
        mask = np.asarray(arrays.masks[k])[arrays.frame(k)]
        for c in declared[1:]:
            area = mask == c.index
            middle = (np.argwhere(area).mean(0) + 0.5) / area.shape if area.any() else [np.nan] * 2
            found = (area.mean(), *middle[::-1], ndimage.label(area)[1])
            rows.append((image["image_id"], image["split"], c.name, *found))
    return pd.DataFrame(rows, columns=["image_id", "split", "class", "area", "x", "y", "parts"])


def summary(per_image: pd.DataFrame) -> dict:
    """How many images, patients (None where unknown) and different sizes there are."""
    patients = per_image["patient_id"].dropna().nunique()
    sizes = per_image[["width_px", "height_px"]].drop_duplicates()
    return {"images": len(per_image), "patients": patients or None, "different_sizes": len(sizes)}
