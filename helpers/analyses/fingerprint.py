"""What a study's images are like: sizes, spacing, grey levels, where the classes lie and how large
they are.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import ndimage

from helpers import files, provenance
from helpers.studies import Class, Study

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


def save(summary: dict, study: Study) -> None:
    """Write runs/<study>/tables/fingerprint.json."""
    path = study.run / "tables" / "fingerprint.json"
    files.write_json(summary, path)
    provenance.made(path)
