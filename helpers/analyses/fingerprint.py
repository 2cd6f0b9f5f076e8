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
            y, x = (
                ((np.argwhere(area).mean(0) + 0.5) / area.shape) if area.any() else (np.nan, np.nan)
            )
            rows.append(
                (
                    image["image_id"],
                    image["split"],
                    c.name,
                    area.mean(),
                    x,
                    y,
                    ndimage.label(area)[1],
                )
            )
    return pd.DataFrame(rows, columns=["image_id", "split", "class", "area", "x", "y", "parts"])


def summary(per_image: pd.DataFrame, per_class: pd.DataFrame) -> dict:
    """The fingerprint as one dict for JSON: counts and five-number summaries; unknown is None."""

    def five(values: pd.Series) -> list[float] | None:
        values = values.dropna()
        return (
            [float(v) for v in np.percentile(values, [0, 25, 50, 75, 100])] if len(values) else None
        )

    areas = {
        name: {
            "images": int((group["area"] > 0).sum()),
            "area": five(group.loc[group["area"] > 0, "area"]),
            "x": five(group["x"]),
            "y": five(group["y"]),
            "parts": five(group["parts"]),
        }
        for name, group in per_class.groupby("class", sort=False)
    }
    patients = per_image["patient_id"].dropna()
    sizes = per_image.groupby(["width_px", "height_px"]).size().sort_values(ascending=False)
    return {
        "images": len(per_image),
        "patients": int(patients.nunique()) if len(patients) else None,
        "images_per_patient": five(patients.value_counts()),
        "images_per_device": per_image["device"].fillna("unknown").value_counts().to_dict(),
        "images_per_split": per_image["split"].value_counts().to_dict(),
        "sizes": {f"{w}×{h}": int(n) for (w, h), n in sizes.head(20).items()},
        "different_sizes": len(sizes),
        "pixel_mm": five(per_image["pixel_mm"]),
        **{
            key: five(per_image[key])
            for key in ("grey_mean", "grey_sd", "grey_p01", "grey_p99", "share_black")
        },
        "classes": areas,
    }
