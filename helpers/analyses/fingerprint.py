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
    flat = np.asarray(arrays.images).reshape(len(frame), -1)
    p01, p99 = np.percentile(flat, [1, 99], axis=1)
    return frame.assign(
        grey_mean=flat.mean(1),
        grey_sd=flat.std(1),
        grey_p01=p01,
        grey_p99=p99,
        share_black=(flat == 0).mean(1),
    )


def classes(arrays: "Arrays", declared: Sequence[Class]) -> pd.DataFrame:
    """One row an image and foreground class: image_id, split, class, area (share of the image), x,
    y, parts.

    x, y: centre of gravity as a share of width and height (0 left/top; NaN where the class is
    absent); parts: number of 4-connected pieces.
    """
    rows = []
    for (_, image), mask in zip(arrays.index.iterrows(), arrays.masks, strict=True):
        for c in declared[1:]:
            area = np.asarray(mask) == c.index
            middle = (np.argwhere(area).mean(0) + 0.5) / area.shape if area.any() else [np.nan] * 2
            found = (area.mean(), *middle[::-1], ndimage.label(area)[1])
            rows.append((image["image_id"], image["split"], c.name, *found))
    return pd.DataFrame(rows, columns=["image_id", "split", "class", "area", "x", "y", "parts"])


def summary(per_image: pd.DataFrame) -> dict:
    """How many images, patients (None where unknown) and different sizes there are."""
    patients = per_image["patient_id"].dropna().nunique()
    sizes = per_image[["width_px", "height_px"]].drop_duplicates()
    return {"images": len(per_image), "patients": patients or None, "different_sizes": len(sizes)}
