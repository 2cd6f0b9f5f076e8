"""Does an outline agree with its picture: what a person should look at before believing it.

Nothing here changes a mask. Three measures, each an everyday fault of a folder: an outline on black
outside the ultrasound, a drawn line in place of an area, and an outline that follows the edges of
the picture better when it is turned or mirrored.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from helpers.analyses import measures
from helpers.readers import united
from helpers.studies import Class

if TYPE_CHECKING:  # which asks this module
    from tools.intake.check import Record

OUTSIDE = 0.2  # share of an outlined area on black beside the ultrasound
MOST = 0.5  # share of the picture from which a structure in its four corners is its background
WALL = 0.15  # a ring is thin whose wall is a smaller part of the side of the square of its area
THIN = 0.1  # a line loses more than 90 % of its area when one pixel is taken from its border
BETTER = 1.2  # times the edge strength of the given outline, in the median of the set
ALIKE = 0.7  # share of the pictures that must agree on it
ALONE = 1.8  # times the edge strength, for one picture
WORDS = {
    "mirror": "mirrored left to right",
    "upside_down": "turned upside down",
    "half_turn": "turned by half a circle",
    "transpose": "with rows and columns exchanged",
}
TURNS = {name: united.CHANGES[name] for name in WORDS}


def thin(area: np.ndarray) -> str:
    """Why perhaps only the outline of an area, bool (rows, columns), is marked: words, or ''."""
    if area.sum() < 12:
        return ""
    filled = ndimage.binary_fill_holes(area)
    ring = filled.sum() > 1.5 * area.sum()
    if ndimage.binary_erosion(area).sum() < THIN * area.sum():
        return f"{'a ring' if ring else 'a line'} of one or two pixels"
    wide = 2 * ndimage.distance_transform_edt(area).max()
    if ring and wide < WALL * np.sqrt(filled.sum()):
        return f"a ring of {wide:.0f} pixels around something that is not marked"
    return ""


def doubts(pixels: np.ndarray, mask: np.ndarray, classes: Sequence[Class]) -> list[str]:
    """What makes the outlines of one picture implausible: list of sentences for a clinician."""
    found = []
    if not mask.any():
        return found
    outside = 1 - measures.field(pixels)[mask > 0].mean()
    if outside > OUTSIDE:
        found.append(
            f"{outside:.0%} of what is outlined lies on black, outside the ultrasound picture: is"
            " it this picture's outline?"
        )
    for c in classes[1:]:
        area = mask == c.index
        if area.mean() > MOST and area[[0, 0, -1, -1], [0, -1, 0, -1]].all():
            found.append(
                f"{c.title} covers {area.mean():.0%} of the picture, with its four corners: are"
                " black and white exchanged? Then write in the form change: [invert]"
            )
        elif what := thin(area):
            found.append(
                f"{c.title} is {what}, not an area: is only the outline marked? Then write in the"
                " form change: [fill]"
            )
    return found


def turned(pixels: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """How much stronger the edges of the picture are along the mask when it is turned or mirrored:
    {turn: ratio}, only turns that fit the picture and change the mask.
    """
    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), 1.5)
    edges = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1))
    given = _strength(edges, mask)
    found = {}
    for name, turn in TURNS.items():
        other = turn(mask)
        if other.shape != mask.shape or given <= 0:
            continue
        both = ((other > 0) & (mask > 0)).sum() / max(1, ((other > 0) | (mask > 0)).sum())
        if both < 0.8:
            found[name] = _strength(edges, other) / given
    return found


def _strength(edges: np.ndarray, mask: np.ndarray) -> float:
    """Mean strength of the picture's edges along the borders of a mask."""
    border = np.zeros(mask.shape, bool)
    for axis in (0, 1):
        step = np.diff(mask.astype(np.int16), axis=axis) != 0
        border |= np.pad(step, [(0, 1 - axis), (0, axis)])
    return float(edges[border].mean()) if border.any() else 0.0


def of_the_set(records: "list[Record]") -> tuple[str, float] | None:
    """(turn, ratio) that most outlines of a set fit better, or None; records have .turned."""
    best = None
    for name in TURNS:
        ratios = np.array([r.turned[name] for r in records if name in r.turned])
        if len(ratios) >= 4 and np.mean(ratios > 1) >= ALIKE and np.median(ratios) > BETTER:
            best = max(best or (name, 0), (name, float(np.median(ratios))), key=lambda b: b[1])
    return best


def of_one(record: "Record") -> str | None:
    """The sentence on a picture whose outline fits far better turned, or None."""
    name, ratio = max(record.turned.items(), key=lambda item: item[1], default=("", 0))
    if ratio < ALONE:
        return None
    return f"its outline follows the picture's edges {ratio:.1f} times better {WORDS[name]}"
