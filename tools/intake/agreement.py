"""Does an outline agree with its picture: what a person should look at before believing it.

Nothing here changes a mask. Three measures, each an everyday fault of a folder: an outline on black
outside the ultrasound, a drawn line in place of an area, and an outline that follows the edges of
the picture better when it is turned or mirrored.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import SimpleITK
from scipy import ndimage, stats

from helpers import readers
from helpers.analyses import measures
from helpers.readers import pictures, united
from helpers.studies import Class

if TYPE_CHECKING:  # which asks this module
    from tools.intake.check import Record

OUTSIDE = 0.2  # share of an outlined area on black beside the ultrasound
MOST = 0.5  # share of the picture from which a structure in its four corners is its background
WHOLE = 0.9  # share of the ultrasound from which an outline is that of its field
WALL = 0.15  # a ring is thin whose wall is a smaller part of the side of the square of its area
THIN = 0.1  # a line loses more than 90 % of its area when one pixel is taken from its border
BETTER = 1.2  # times the edge strength of the given outline, in the median of the set
ALIKE = 0.7  # share of the pictures that must agree on it
MOSTLY = 0.65  # … of those that fit the outline of a neighbour better
FEWEST = 5  # comparisons with neighbours
EXPLAINED = 0.15  # of the grey values' spread, by outlines that are somewhere near
CHANCE = 0.02  # of so many pictures agreeing by accident
IN_ORDER = 400  # pictures that are held against their neighbours
FRAME = 5  # px inside the border of the ultrasound
RIM = 12  # pixels from which a line says something
MOSTLY_BETWEEN, AROUND = 0.9, 0.5  # shares: of the line, and of the border of what it surrounds
SMOOTHED = (
    "is a rim of a pixel or two around what has a higher number: were the masks smoothed, or"
    " resized with smoothing? Export the outlined areas alone, without smoothing, at the size of"
    " the pictures"
)
NOTHING = "nothing is outlined"  # of a mask that is empty
ALONE = 1.8  # times the edge strength, for one picture
WORDS = {
    "mirror": "mirrored left to right",
    "upside_down": "turned upside down",
    "half_turn": "turned by half a circle",
    "transpose": "with rows and columns exchanged",
}
TURNS = {name: united.CHANGES[name] for name in WORDS}


def thin(area: np.ndarray, mask: np.ndarray | None = None) -> str:
    """Why perhaps only the outline of an area, bool (rows, columns), is marked: words, or ''.

    mask: class indices of its shape; a wall around what is marked as something else is no outline.
    """
    if area.sum() < 12:
        return ""
    filled = ndimage.binary_fill_holes(area)
    if mask is not None:
        filled &= area | (mask == 0)
    ring = filled.sum() > 1.5 * area.sum()
    if ndimage.binary_erosion(area).sum() < THIN * area.sum():
        return f"{'a ring' if ring else 'a line'} of one or two pixels"
    wide = 2 * ndimage.distance_transform_edt(area).max()
    if ring and wide < WALL * np.sqrt(filled.sum()):
        return f"a ring of {wide:.0f} pixels around something that is not marked"
    return ""


def rim(mask: np.ndarray, index: int) -> bool:
    """Whether what is thin of a class lies between lower numbers and higher ones and surrounds
    these, as numbers do that smoothing, or a resize, made between those of a mask.

    mask: class indices (rows, columns).
    """
    higher, area = mask > index, mask == index
    square = np.ones((3, 3), bool)
    body = ndimage.binary_opening(area, square)
    line = area & ~ndimage.binary_dilation(body, square)
    if line.sum() < RIM or not higher.any():
        return False
    near = [ndimage.binary_dilation(side, square, iterations=2) for side in (higher, mask < index)]
    between = line & near[0] & near[1]
    border = ndimage.binary_dilation(higher) & ~higher
    around = (border & ndimage.binary_dilation(between, square)).sum() / border.sum()
    return between.sum() > MOSTLY_BETWEEN * line.sum() and around > AROUND


def doubts(pixels: np.ndarray, mask: np.ndarray, classes: Sequence[Class]) -> list[str]:
    """What makes the outlines of one picture implausible: list of sentences for a clinician."""
    found = []
    if not mask.any():
        return found
    field = measures.field(pixels)
    outside = 1 - field[mask > 0].mean()
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
        elif (shown := area[field].mean()) > WHOLE:
            found.append(
                f"{c.title} covers {shown:.0%} of the ultrasound picture: is this the mask of the"
                " field, and not of a structure?"
            )
        elif rim(mask, c.index):
            found.append(f"{c.title} {SMOOTHED}")
        elif what := thin(area, mask):
            found.append(
                f"{c.title} is {what}, not an area: is only the outline marked? Then write in the"
                " form change: [fill]"
            )
    return found


def with_reference(
    pixels: np.ndarray, mask: np.ndarray, other: np.ndarray, classes: Sequence[Class]
) -> tuple[float, str]:
    """(mean Dice over the structures that either outlines, NaN where neither does; what makes a
    rater's own outlines implausible, or '').
    """
    dice = [
        2 * ((mask == c.index) & (other == c.index)).sum() / total
        for c in classes[1:]
        if (total := (mask == c.index).sum() + (other == c.index).sum())
    ]
    said = doubts(pixels, other, classes) if other.any() else [NOTHING]
    return float(np.mean(dice)) if dice else np.nan, next(iter(said), "")


def turned(pixels: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """How much stronger the edges of the picture are along the mask when it is turned or mirrored:
    {turn: ratio}, only turns that fit the picture and change the mask.
    """
    # the border of the ultrasound is the strongest edge of all, and no structure's
    inside = ndimage.binary_erosion(measures.field(pixels), iterations=FRAME, border_value=1)
    edges = np.where(inside, _edges(pixels), 0)
    ratios = {name: _stronger(edges, mask, turn(mask)) for name, turn in TURNS.items()}
    return {name: ratio for name, ratio in ratios.items() if ratio is not None}


def _edges(pixels: np.ndarray) -> np.ndarray:
    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), 1.5)
    return np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1))


def _stronger(edges: np.ndarray, mask: np.ndarray, other: np.ndarray) -> float | None:
    """How much stronger edges are along another mask; None where it does not fit, or is alike."""
    if other.shape != mask.shape or not other.any() or (given := _strength(edges, mask)) <= 0:
        return None
    both = ((other > 0) & (mask > 0)).sum() / ((other > 0) | (mask > 0)).sum()
    return _strength(edges, other) / given if both < 0.8 else None


def _strength(edges: np.ndarray, mask: np.ndarray) -> float:
    """Mean strength of the picture's edges along the borders of a mask."""
    border = np.zeros(mask.shape, bool)
    for axis in (0, 1):
        step = np.diff(mask.astype(np.int16), axis=axis) != 0
        border |= np.pad(step, [(0, 1 - axis), (0, axis)])
    return float(edges[border].mean()) if border.any() else 0.0


def facing(path: Path | str) -> str | None:
    """Where columns and rows run by the header of a volume, such as 'LP' (to the left, to the back)
    as ITK writes a picture; '' where the header does not say it, None for other files.
    """
    file, _ = readers.locate(path)
    found = readers.kind(file)
    if found == "NIfTI":
        volume: Any = nibabel.load(file)
        told = any(int(volume.header[f"{form}_code"]) for form in ("qform", "sform"))
        affine = volume.affine if told else np.eye(4)
        return "" if pictures.unoriented(affine) else "".join(nibabel.aff2axcodes(affine)[:2])
    if found not in ("NRRD", "MetaImage"):
        return None
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    affine, size = np.eye(4), reader.GetDimension()
    affine[:size, :size] = np.reshape(reader.GetDirection(), (size, size))[:3, :3]
    return "".join(nibabel.aff2axcodes(np.diag([-1, -1, 1, 1]) @ affine)[:2])


def mirrored(image: Path | str, mask: Path | str) -> str:
    """What the headers say of a mask that is stored otherwise than its picture: a sentence, or ''.

    A picture that is no volume is stored as ITK writes one.
    """
    seen, drawn = facing(image), facing(mask)
    seen = "LP" if seen is None else seen
    if not seen or not drawn or seen == drawn:
        return ""
    names = {(True, False): "mirror", (False, True): "upside_down", (True, True): "half_turn"}
    turn = names[seen[0] != drawn[0], seen[1] != drawn[1]]
    return (
        f"by its header the mask is stored {WORDS[turn]} against its picture. Does the outline fit?"
        f" Else write in the form change: [{turn}]"
    )


def of_the_set(records: "list[Record]") -> tuple[str, float] | None:
    """(turn, ratio) that most outlines of a set fit better, or None; records have .turned."""
    best = None
    for name in TURNS:
        ratios = np.array([r.turned[name] for r in records if name in r.turned])
        if len(ratios) >= 4 and np.mean(ratios > 1) >= ALIKE and np.median(ratios) > BETTER:
            best = max(best or (name, 0), (name, float(np.median(ratios))), key=lambda b: b[1])
    return best


def of_the_order(records: "list[Record]") -> str | None:
    """The sentence on a set whose pictures, in their order, fit the outlines of others better than
    their own: of their neighbours, of those in the reverse order, or of those in the order of
    letters, 1, 10, 11, 2; or None.
    """
    some, found = records[:IN_ORDER], []
    edges = [_edges(r.picture) for r in some]
    for place, others in _orders([PurePosixPath(r.pair.image).name for r in some]).items():
        ratios, shares = [], []
        for k, at in enumerate(others):
            if at is None or at == k:
                continue
            own, drawn = some[k], some[at].drawn
            if own.drawn.shape == drawn.shape and own.drawn.any() and drawn.any():
                (given, _), (fit, share) = (
                    _fit(own.picture, edges[k], mask) for mask in (own.drawn, drawn)
                )
                ratios += [fit / given] if given > 0 else []
                shares.append(share)
        if len(ratios) >= FEWEST and np.median(shares) > EXPLAINED:
            found.append((float(np.median(ratios)), sum(r > 1 for r in ratios), len(ratios), place))
    times, better, count, place = max(found, default=(0.0, 0, 1, ""))
    chance = stats.binomtest(better, count, alternative="greater").pvalue
    if times <= 1 or (chance > CHANCE and (times < BETTER or better < MOSTLY * count)):
        return None
    return (
        f"{better} of {count} pictures fit the outline {place} better than their own, typically"
        f" {times:.1f} times as well: do pictures and masks begin at different numbers, or was one"
        " of them sorted anew?"
    )


def _orders(names: list[str]) -> dict[str, list[int | None]]:
    """Words → the place of the other outline for each picture, by the names of all."""
    count = len(names)
    numbered = [[int(t) if t.isdigit() else t for t in re.split(r"(\d+)", n)] for n in names]
    by_number = sorted(range(count), key=numbered.__getitem__)
    by_letter = sorted(range(count), key=names.__getitem__)
    rank = {k: place for place, k in enumerate(by_letter)}
    return {
        "of the picture before them": [k - 1 if k else None for k in range(count)],
        "of the picture after them": [k + 1 if k + 1 < count else None for k in range(count)],
        "at the same place from the other end": [count - 1 - k for k in range(count)],
        "at their place in the order 1, 10, 11, 2": [by_number[rank[k]] for k in range(count)],
    }


def fit(pixels: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """``_fit`` of one picture."""
    return _fit(pixels, _edges(pixels), mask)


def _fit(pixels: np.ndarray, edges: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """(how well outlines fit a picture: the strength of its edges along them, times the second; the
    share of the grey values' standard deviation in and around them that the outlines explain).
    """
    wide = max(2, int(np.sqrt((mask > 0).sum()) / 6))
    around = ndimage.binary_dilation(mask > 0, iterations=wide)
    grey, groups = pixels[around].astype(float), mask[around]
    explained = np.zeros(len(grey))
    for index in np.unique(groups):
        explained[groups == index] = grey[groups == index].mean()
    share = float(explained.std() / max(grey.std(), 1e-9))
    return _strength(edges, mask) * share, share


def of_one(record: "Record") -> str | None:
    """The sentence on a picture whose outline fits far better turned, or None."""
    name, ratio = max(record.turned.items(), key=lambda item: item[1], default=("", 0))
    if ratio < ALONE:
        return None
    return f"its outline follows the picture's edges {ratio:.1f} times better {WORDS[name]}"
