"""What clinicians measure on an outline: area, thickness, depth under the skin, its middle.

Everything is in millimetres of tissue where the size of a pixel is known, in pixels where it is not
(column ``unit``). Pixels may be higher than wide; distances respect that.

Thickness is the distance across a layer at right angles to its course. The outline is laid along
its longest axis (principal component); at every step along it the marked tissue is added up, gaps
are left out, and the sum is multiplied by the cosine of the local slope of the layer's middle line.
A straight bar has its width everywhere, a disc of radius r a median of 1.73 r.

Depth is counted straight down the picture, from the first row of the ultrasound in the same column,
which is the skin under the probe. Beside the middle of a curved probe it is a little less than the
way of the beam. Above the skin, and where a column shows no ultrasound, there is no depth.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from helpers import datasets
from helpers.studies import Class

COLUMNS = ("area", "thickness", "length", "depth_edge", "depth_centre", "row", "column")
#: measures of which agreement is told
AGREED = ("area", "thickness", "depth_centre")
STEPS = 2  # samples a pixel
#: share of the length on either side over which the slope of a layer's middle line is taken
SMOOTH = 0.05
PART = 0.1  # of the largest bright part of a screen: less is text or a scale
DARK = 4  # grey level under which a neighbourhood is black


class Profile(NamedTuple):
    """position: along the layer from its left end, float (n,), evenly spaced; thickness: float
    (n,), NaN in gaps. Both in the unit of the spacing.
    """

    position: np.ndarray
    thickness: np.ndarray


def profile(area: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)) -> Profile:
    """How thick an area, bool (rows, columns), is along its longest axis.

    spacing: (row, column), in mm for a result in mm.
    """
    rows, columns = np.nonzero(area)
    if len(rows) < 2:
        return Profile(np.zeros(0), np.zeros(0))
    points = np.stack([columns * spacing[1], rows * spacing[0]], 1)
    middle = points.mean(0)
    along = np.linalg.eigh(np.cov((points - middle).T))[1][:, 1]
    along = along if along[0] > 0 or (along[0] == 0 and along[1] > 0) else -along
    across = np.array([-along[1], along[0]])
    step = min(spacing) / STEPS
    reach = [np.abs((points - middle) @ axis).max() + max(spacing) for axis in (along, across)]
    u, v = (np.arange(-r, r + step, step) for r in reach)
    x, y = (middle[k] + along[k] * u[:, None] + across[k] * v[None] for k in (0, 1))
    # order 1: the sum across is the width to a part of a pixel, the border lies where it is 0.5
    drawn = ndimage.map_coordinates(
        np.asarray(area, float), [y / spacing[0], x / spacing[1]], order=1, mode="constant"
    )
    used = np.flatnonzero(drawn.max(1) >= 0.5)
    drawn = drawn[used[0] : used[-1] + 1]
    there = drawn.max(1) >= 0.5
    line = (drawn * v).sum(1) / np.maximum(drawn.sum(1), 1e-9)
    line = np.interp(np.arange(len(line)), np.flatnonzero(there), line[there])
    wide = drawn.sum(1) * step / np.sqrt(1 + _slope(line, step) ** 2)
    return Profile((np.arange(len(wide)) + 0.5) * step, np.where(there, wide, np.nan))


def _slope(line: np.ndarray, step: float) -> np.ndarray:
    """Slope of a line sampled every ``step``, taken over 2 × SMOOTH of its length."""
    half = max(1, round(SMOOTH * len(line)))
    places = np.arange(len(line))
    low, high = np.maximum(places - half, 0), np.minimum(places + half, len(line) - 1)
    return (line[high] - line[low]) / np.maximum((high - low) * step, step)


def field(pixels: np.ndarray) -> np.ndarray:
    """Where the ultrasound is in grey values uint8 (rows, columns): bool (rows, columns).

    Between the first and last bright pixel of its row or of its column (vessels in it are black
    too). Two pictures side by side both count, small parts such as text do not.
    """
    bright = ndimage.uniform_filter(pixels.astype(np.float32), 5) >= DARK
    parts, count = ndimage.label(bright)
    if not count:
        return np.ones(pixels.shape, bool)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    bright = np.isin(parts, np.flatnonzero(sizes >= PART * sizes.max()))

    def between(axis: int) -> np.ndarray:
        ahead = np.maximum.accumulate(bright, axis)
        return ahead & np.flip(np.maximum.accumulate(np.flip(bright, axis), axis), axis)

    return between(0) | between(1)


def measure(
    mask: np.ndarray,
    classes: Sequence[Class],
    spacing_mm: tuple[float, float] | None = None,
    pixels: np.ndarray | None = None,
) -> pd.DataFrame:
    """Measures of every foreground class of one mask, class indices uint8 (rows, columns).

    spacing_mm: (row, column) or None where it is unknown. pixels: the picture, for the depth.
    Columns: class, unit ('mm' or 'px'), area (unit²), thickness (median), length (of the longest
    axis), depth_edge (of its highest point), depth_centre, row and column of the centroid (pixels
    from 0). NaN: not drawn, or for the depth no picture.
    """
    spacing = spacing_mm or (1.0, 1.0)
    top = None
    if pixels is not None:
        seen = field(pixels) & (pixels >= DARK)
        top = np.where(seen.any(0), seen.argmax(0), np.nan)
    rows = []
    for c in classes[1:]:
        found = dict.fromkeys(COLUMNS, np.nan) | {"area": 0.0}
        if (area := mask == c.index).any():
            found = _measured(area, spacing, top)
        rows.append({"class": c.name, "unit": "mm" if spacing_mm else "px"} | found)
    return pd.DataFrame(rows)


def _measured(
    area: np.ndarray, spacing: tuple[float, float], top: np.ndarray | None
) -> dict[str, float]:
    row, column = (float(v.mean()) for v in np.nonzero(area))
    along = profile(area, spacing)
    found = {
        "area": float(area.sum() * spacing[0] * spacing[1]),
        "thickness": float(np.nanmedian(along.thickness)) if len(along.thickness) else np.nan,
        "length": float(along.position[0] + along.position[-1]) if len(along.position) else np.nan,
        "depth_edge": np.nan,
        "depth_centre": np.nan,
        "row": row,
        "column": column,
    }
    if top is not None:
        depths = (area.argmax(0) - top)[area.any(0) & np.isfinite(top)]
        edge = depths.min(initial=np.inf)  # of no column under the probe: infinite
        centre = row + 0.5 - top[round(column)]
        for name, depth in ("depth_edge", edge), ("depth_centre", centre):
            found[name] = float(depth * spacing[0]) if 0 <= depth < np.inf else np.nan
    return found


def distance(
    one: np.ndarray, other: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)
) -> float:
    """Distance of the centroids of two areas, bool (rows, columns), in the unit of the spacing; NaN
    where one is empty.
    """
    if not one.any() or not other.any():
        return np.nan
    apart = [np.nonzero(one)[k].mean() - np.nonzero(other)[k].mean() for k in (0, 1)]
    return float(np.hypot(*np.multiply(apart, spacing)))


def compared(
    arrays: datasets.Arrays, drawn: np.ndarray, positions: np.ndarray, classes: Sequence[Class]
) -> pd.DataFrame:
    """Measures of the reference and of what a network drew, side by side.

    arrays: ``datasets.Arrays``; drawn: class indices uint8 (len(positions), H, W); positions: int
    (n,), of the images. A row an image and class: image_id, unit_id (the patient, or the image
    where patients are unknown), class, unit ('mm' or 'px'), and for area, thickness and
    depth_centre the reference, the drawn one (``…_drawn``) and the difference
    (``…_difference``, drawn minus reference); centre_distance. NaN where one of them is empty.
    """
    sides, tables = datasets.spacing(arrays.index), []
    for position, found in zip(positions, drawn, strict=True):
        part = arrays.frame(position)
        mask, pixels = (
            np.array(arrays.masks[position][part]),
            np.array(arrays.images[position][part]),
        )
        found = found[part]
        row_mm, column_mm = map(float, sides[position])
        spacing = (row_mm, column_mm) if np.isfinite(row_mm * column_mm) else None
        table, other = (measure(m, classes, spacing, pixels) for m in (mask, found))
        row = arrays.index.iloc[position]
        patient = row["patient_id"] if isinstance(row["patient_id"], str) else None
        table.insert(0, "image_id", row["image_id"])
        table.insert(1, "unit_id", patient or f"image {row['image_id']}")
        both = table["area"].gt(0) & other["area"].gt(0)
        for name in AGREED:
            table[name] = table[name].where(both)
            table[f"{name}_drawn"] = other[name].where(both)
            table[f"{name}_difference"] = table[f"{name}_drawn"] - table[name]
        table["centre_distance"] = [
            distance(mask == c.index, found == c.index, spacing or (1.0, 1.0)) for c in classes[1:]
        ]
        tables.append(table)
    extra = [f"{n}{end}" for n in AGREED for end in ("", "_drawn", "_difference")]
    columns = ["image_id", "unit_id", "class", "unit", *extra, "centre_distance"]
    return pd.concat(tables, ignore_index=True)[columns]
