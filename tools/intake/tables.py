"""The rows of images.csv, and where each picture's split came from."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.readers import sha256

COLUMNS = [
    "image_id",
    "patient_id",
    "image",
    "mask",
    "split",
    "sha256_image",
    "sha256_mask",
    "device",
    "pixel_spacing_mm",
]


def some(names: Sequence[str], most: int = 1) -> str:
    """The first names of a list, 'a, b, …' where there are more."""
    return ", ".join(names[:most]) + ", …" * (len(names) > most)


def natural(name: str) -> list[int | str]:
    """Sort key that puts 'sample_2' before 'sample_10'."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(name))]


def image_table(rows: list[dict], data: Path | str) -> pd.DataFrame:
    """images.csv from one dict a picture: sha256 of both files added, columns in order, rows in
    natural id order.

    rows: dicts with image_id, image, mask (relative to data) and split; patient_id, device,
    pixel_spacing_mm and excluded where known. 'excluded' becomes a column only when a row has it.
    """
    frame = pd.DataFrame(list(rows))
    frame["sha256_image"] = [sha256(Path(data) / name) for name in frame["image"]]
    frame["sha256_mask"] = [sha256(Path(data) / name) for name in frame["mask"]]
    columns = [
        *COLUMNS,
        *(["excluded"] if "excluded" in frame and frame["excluded"].notna().any() else []),
    ]
    order = sorted(range(len(frame)), key=lambda i: natural(frame["image_id"].iloc[i]))
    return frame.reindex(columns=columns).iloc[order].reset_index(drop=True)


def sample(names: list[str], count: int, seed: int) -> set[str]:
    """A seeded choice of count of names (set): sorted naturally, then numpy's
    default_rng(seed).choice.
    """
    ordered = sorted(names, key=natural)
    return {
        ordered[i] for i in np.random.default_rng(seed).choice(len(ordered), count, replace=False)
    }
