"""Labelme, COCO and VIA files as shapes: [(label, outlines or pixels), …] and the size (rows,
columns).
"""

import base64
import binascii
import csv
import io
import json
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np
from PIL import Image

from helpers.errors import StudyError
from helpers.readers.plausible import check_size
from helpers.readers.polygons import circle, ellipse, fill
from helpers.studies import Class

#: shapes of four or more corners, whatever a tool calls them
CORNERS = ("polygon", "rectangle", "rotation", "quadrilateral", "oriented_rectangle")
#: marks that enclose nothing, such as the places where a model was told what is background
MARKS = ("point", "points", "line", "linestrip")
#: a ring of a many-ringed outline that is smaller is a speck, left by a tool that traced pixels
SPECK = 4.0  # px²


#: what people call a shape that is cut out of another
HOLES = ("background", "hole", "loch", "hintergrund", "trou", "fond", "hueco", "fondo", "buco")


def is_hole(label: object) -> bool:
    """Whether a label says that its shape is a hole."""
    return str(label).strip().casefold().strip("_ ") in HOLES


def labelme(
    path: Path, content: Any, shape: tuple[int, int] | None = None, ignored: Sequence[str] = ()
) -> tuple[Sequence[tuple[str | None, list | np.ndarray]], tuple[int, int]]:
    """(shapes, (rows, columns)) of a Labelme or X-AnyLabeling file: polygon, rectangle (turned
    too), circle and mask; imageData is never looked at.

    shape: the size to use where the file does not state one. ignored: labels that are left out
    before their shapes are looked at; a hole is kept, because it is part of what it is cut out of.
    """
    size = (content.get("imageHeight"), content.get("imageWidth"))
    if not all(_whole(n) for n in size):
        if shape is None:
            raise StudyError(
                f"{path}: imageHeight and imageWidth are missing; save it again with a newer"
                " Labelme"
            )
        size = (shape[0], shape[1])
    size = (int(size[0]), int(size[1]))
    check_size(path, *size)
    left_out = {str(label).lower() for label in ignored}
    shapes = []
    for number, drawn in enumerate(content["shapes"], 1):
        if not isinstance(drawn, dict):
            raise StudyError(f"{path}: shape {number} is no shape; save it again")
        hole = is_hole(drawn.get("label")) and drawn.get("shape_type") not in MARKS
        if hole or str(drawn.get("label")).lower() not in left_out:
            shapes.append((drawn.get("label"), _area(path, number, drawn, size)))
    return shapes, size


def _whole(value: object) -> bool:
    """Whether a side is a number of pixels, 40.0 too, as tables make of it."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and value > 0
        and float(value).is_integer()
    )


def _area(
    path: Path, number: int, shape: Any, size: tuple[int, int]
) -> list[np.ndarray] | np.ndarray:
    """One shape as [outline (n, 2)] or as pixels bool (rows, columns)."""
    kind, named = shape.get("shape_type") or "polygon", f"shape {number} ({shape.get('label')})"
    try:
        points = np.array(shape.get("points", []), float)
    except (TypeError, ValueError):
        raise StudyError(f"{path}: {named}: points are not pairs of numbers") from None
    if kind in CORNERS and (kind == "polygon" or len(points) >= 4):
        return [points]
    if kind not in ("rectangle", "circle", "mask"):
        raise StudyError(
            f"{path}: {named} is a {kind}, which encloses no area; draw a polygon, or write its"
            " label under ignored in the form"
        )
    if points.shape != (2, 2):
        raise StudyError(f"{path}: {named}: a {kind} has two points, not {len(points)}")
    if kind == "mask":
        return _pixels(path, named, shape.get("mask"), points, size)
    (x0, y0), (x1, y1) = points
    return [circle(*points) if kind == "circle" else _box(x0, y0, x1, y1)]


def _box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)


def _pixels(
    path: Path, named: str, text: str, points: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """An area that a model proposed: a small PNG (base64) between two corner pixels, both
    included.
    """
    try:
        with Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG",)) as picture:
            check_size(path, picture.height, picture.width)
            drawn = np.asarray(picture) > 0
    except StudyError:
        raise
    except (
        TypeError,
        ValueError,
        OSError,
        SyntaxError,
        binascii.Error,
        Image.DecompressionBombError,
    ) as error:
        raise StudyError(f"{path}: {named}: its mask cannot be decoded ({error})") from None
    (x0, y0), (x1, y1) = np.round(points).astype(int)
    if drawn.ndim != 2 or drawn.shape != (y1 - y0 + 1, x1 - x0 + 1):
        raise StudyError(
            f"{path}: {named}: its mask has {drawn.shape[0]} × {drawn.shape[1]} pixels, its corners"
            f" enclose {y1 - y0 + 1} × {x1 - x0 + 1}; draw it again"
        )
    if min(x0, y0) < 0 or y1 >= size[0] or x1 >= size[1]:
        raise StudyError(f"{path}: {named}: its mask lies outside the picture; draw it again")
    area = np.zeros(size, bool)
    area[y0 : y1 + 1, x0 : x1 + 1] = drawn
    return area


def coco(
    path: Path,
    content: Any,
    part: str | None = None,
    notes: list[str] | None = None,
    ignored: Sequence[str] = (),
) -> tuple[Sequence[tuple[str, list | np.ndarray]], tuple[int, int]]:
    """(shapes, (rows, columns)) of one image of a COCO file: polygons and run lengths (plain or
    compressed).

    part: the image's file name (with or without its folders) or id. notes: list that gains what was
    left out. ignored: labels that are left out before their outlines are looked at. Ids link as
    text, so that 1 and '1' are one.
    """
    images = content["images"]
    if part is None and len(images) != 1:
        raise StudyError(
            f"{path}: describes {len(images)} images; name one as '{path.name}#<file name of the"
            " image>'"
        )
    image = images[0] if part is None else _image(path, images, part)
    categories = {str(c.get("id")): c.get("name") for c in content["categories"]}
    size = (image.get("height"), image.get("width"))
    if not all(_whole(n) for n in size):
        raise StudyError(
            f"{path}: image {image.get('file_name')!r} has no height and width; export it again"
        )
    size = (int(size[0]), int(size[1]))
    check_size(path, *size)
    _check_links(path, content)
    left_out = {str(label).lower() for label in ignored}
    own = [a for a in content["annotations"] if str(a.get("image_id")) == str(image.get("id"))]
    told = [(n, categories.get(str(a.get("category_id"))), a) for n, a in enumerate(own, 1)]
    told = [(n, k, a) for n, k, a in told if is_hole(k) or str(k).lower() not in left_out]
    _check_crowds(path, [entry for _, _, entry in told])
    runs = sum(isinstance(entry.get("segmentation"), dict) for _, _, entry in told)
    check_size(path, *size, runs)  # each becomes a picture
    shapes = []
    for number, label, entry in told:
        if label is None:
            raise StudyError(
                f"{path}: annotation {number} has category {entry.get('category_id')}, which is not"
                " listed"
            )
        shapes.append((label, _segmentation(path, number, entry.get("segmentation"), size, notes)))
    return shapes, size


def _image(path: Path, images: list, part: str) -> Any:
    """The one image that part names: its whole file name or id, else its file name without
    folders.
    """
    chosen = [i for i in images if part in (str(i.get("file_name")), str(i.get("id")))]
    chosen = chosen or [i for i in images if _base(i.get("file_name")) == _base(part)]
    if len(chosen) != 1:
        raise StudyError(
            f"{path}: has {len(chosen)} images called {part!r}; it must be exactly one"
        )
    return chosen[0]


def _base(name: object) -> str:
    return PurePosixPath(unquote(str(name)).replace("\\", "/")).name


def _check_links(path: Path, content: Any) -> None:
    """Every annotation belongs to one image of the file, and to one category: a link that finds
    nothing is an outline lost, one that finds two an outline of another picture.
    """
    for what, name in (("images", "file_name"), ("categories", "name")):
        first = {}
        for entry in content[what]:
            other = first.setdefault(str(entry.get("id")), entry)
            if other.get(name) != entry.get(name):
                raise StudyError(
                    f"{path}: {other.get(name)} and {entry.get(name)} have one id,"
                    f" {entry.get('id')}, under {what}: were two files put together? Give each its"
                    " own, or keep two files"
                )
    known = {str(i.get("id")) for i in content["images"]}
    lost = [a for a in content["annotations"] if str(a.get("image_id")) not in known]
    if lost:
        named = sorted({str(a.get("image_id", "no image_id")) for a in lost})
        raise StudyError(
            f"{path}: {len(lost)} of {len(content['annotations'])} annotations belong to no image"
            f" of the file (image_id {', '.join(named[:5])}); export it again"
        )


def _check_crowds(path: Path, own: list[dict]) -> None:
    """Beside single outlines of a category, iscrowd marks an area that nobody outlined and that
    does not count; alone it is how tools write a mask.
    """
    kinds = {}
    for entry in own:
        kinds.setdefault(str(entry.get("category_id")), set()).add(bool(entry.get("iscrowd")))
    if any(len(found) > 1 for found in kinds.values()):
        raise StudyError(
            f"{path}: an area is marked iscrowd, that is as one which does not count, beside single"
            " outlines of its category; set its iscrowd to 0 if it is an outline, else delete it"
        )


def _segmentation(
    path: Path,
    number: int,
    found: Any,
    size: tuple[int, int],
    notes: list[str] | None = None,
) -> list[np.ndarray] | np.ndarray:
    if callable(found):  # of another tool: pixels, or an outline with holes
        return found(size)
    if isinstance(found, dict):
        return run_lengths(path, number, found, size)
    rings = [found] if found and isinstance(found[0], int | float) else found
    try:
        outlines = [np.reshape(np.array(flat, float), (-1, 2)) for flat in rings or ()]
    except (TypeError, ValueError):
        outlines = []
    if not outlines:
        raise StudyError(
            f"{path}: annotation {number} has no outline of x, y pairs, such as a box alone; draw"
            " the structure's border"
        )
    good = [ring for ring in outlines if not is_speck(ring)]
    if nested(good, size):
        raise StudyError(
            f"{path}: annotation {number}: one of its rings lies inside another, as a hole does,"
            " but COCO unites rings; export run lengths (RLE) or a PNG, or delete the inner ring"
        )
    if good and len(good) < len(outlines) and notes is not None:
        notes.append(
            f"annotation {number}: {len(outlines) - len(good)} of its {len(outlines)} rings are"
            f" specks under {SPECK:g} px² and were left out"
        )
    return good or outlines


def nested(rings: list[np.ndarray], size: tuple[int, int]) -> bool:
    """Whether one of the outlines [(n, 2), …] lies in another."""
    drawn = [fill(ring, size) for ring in rings] if len(rings) > 1 else []
    return any(a.any() and not (a & ~b).any() for a, b in permutations(drawn, 2))


def is_speck(points: np.ndarray) -> bool:
    """Whether an outline (n, 2) encloses less than SPECK."""
    x, y = points.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2 < SPECK


def run_lengths(path: Path | str, number: int, found: Any, size: tuple[int, int]) -> np.ndarray:
    """COCO run lengths (down the columns, background first) as bool (rows, columns)."""
    counts = found.get("counts")
    runs = _decompressed(counts) if isinstance(counts, str) else counts
    try:
        fits = tuple(found.get("size", ())) == tuple(size) and sum(runs) == size[0] * size[1]
        fits = fits and min(runs) >= 0
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise StudyError(
            f"{path}: annotation {number}: run lengths do not fill {size[0]} × {size[1]} pixels;"
            " export again"
        )
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size, order="F")


def _decompressed(text: str) -> list[int]:
    """COCO's packed counts: 5 bits a character from '0' on, bit 5 says more follow, from the
    third on differences.
    """
    runs, position = [], 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            if position == len(text):
                return []  # ends in the middle of a number: fills no image
            bits = ord(text[position]) - 48
            value |= (bits & 31) << shift
            more, shift, position = bool(bits & 32), shift + 5, position + 1
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs


def is_via(content: dict) -> bool:
    """Whether parsed JSON is a project or an export of the VGG Image Annotator (versions 1 and
    2).
    """
    if not isinstance(content, dict):
        return False
    entries = content.get("_via_img_metadata", content)
    return (
        isinstance(entries, dict)
        and bool(entries)
        and all(isinstance(e, dict) and {"filename", "regions"} <= set(e) for e in entries.values())
    )


def via_bytes(content: Any, name: str) -> int | None:
    """How many bytes a picture had when it was outlined, as VIA notes it, or None; None too where
    several pictures have one size, which a program has made up.
    """
    entries = list(content.get("_via_img_metadata", content).values())
    if len(entries) > 1 and len({e.get("size") for e in entries}) == 1:
        return None
    sizes = {e.get("size") for e in entries if _base(e["filename"]) == _base(name)}
    size = sizes.pop() if len(sizes) == 1 else None
    return size if _whole(size) else None


def via_table(text: str) -> dict[str, dict]:
    """The content of VIA's CSV export as its JSON export: {key: {filename, regions}}."""
    entries = {}
    for row in csv.DictReader(io.StringIO(text)):
        name = row.get("filename") or row.get("#filename")
        told = str(row.get("file_size") or "")
        size = int(told) if told.isdecimal() else -1
        entry = entries.setdefault(name, {"filename": name, "size": size, "regions": []})
        if drawn := json.loads(row["region_shape_attributes"]):
            told = json.loads(row["region_attributes"] or "{}")
            entry["regions"].append({"shape_attributes": drawn, "region_attributes": told})
    return entries


def via(
    path: Path,
    content: Any,
    classes: Sequence[Class],
    part: str | None = None,
    shape: tuple[int, int] | None = None,
    ignored: Sequence[str] = (),
) -> tuple[Sequence[tuple[str, list | np.ndarray]], tuple[int, int]]:
    """(shapes, (rows, columns)) of one image of a VIA file: polygon, rect, circle and ellipse.

    part: the image's file name. shape: the size of the image, which VIA does not note. The label of
    a region is the attribute whose value is declared; without any attribute, the one structure of
    the study.
    """
    if shape is None:
        raise StudyError(f"{path}: VIA does not note the size of a picture; give its picture")
    entries = list(content.get("_via_img_metadata", content).values())
    named = [{"file_name": e["filename"], "id": None} | e for e in entries]
    if part is None and len(named) != 1:
        raise StudyError(
            f"{path}: describes {len(named)} images; name one as '{path.name}#<file name of the"
            " image>'"
        )
    regions = (named[0] if part is None else _image(path, named, part))["regions"]
    left_out, shapes = {str(label).lower() for label in ignored}, []
    for number, region in enumerate(regions.values() if isinstance(regions, dict) else regions, 1):
        label = _via_label(region.get("region_attributes") or {}, classes)
        if is_hole(label) or str(label).lower() not in left_out:
            drawn = region.get("shape_attributes") or {}
            shapes.append((label, [_via_outline(path, number, label, drawn)]))
    return shapes, (shape[0], shape[1])


def _via_label(attributes: dict, classes: Sequence[Class]) -> str:
    """What a region is: checkboxes are {"nerve": true}, other attributes are text."""
    found = []
    for value in attributes.values():
        ticked = [k for k, on in value.items() if on] if isinstance(value, dict) else [value]
        found += [str(v).strip() for v in ticked if str(v).strip()]
    declared = {
        str(label).lower()
        for c in classes
        for label in (c.name, c.title, *getattr(c, "labels", ()))
    }
    known = [v for v in found if v.lower() in declared]
    if known or found:
        return (known or found)[0]
    return classes[1].name if len(classes) == 2 else "without a label"


def _via_outline(path: Path, number: int, label: str, drawn: dict) -> np.ndarray:
    kind = drawn.get("name")
    try:
        if kind in ("polygon", "polyline"):
            outline = np.stack([drawn["all_points_x"], drawn["all_points_y"]], 1).astype(float)
            if kind == "polyline" and np.hypot(*(outline[0] - outline[-1])) > 2:
                kind = "polyline that is not closed"
            else:
                return outline
        elif kind == "rect":
            x, y, width, height = (float(drawn[k]) for k in ("x", "y", "width", "height"))
            return _box(x, y, x + width, y + height)
        elif kind in ("circle", "ellipse"):
            centre = np.array([drawn["cx"], drawn["cy"]], float)
            across, down = ("r", "r") if kind == "circle" else ("rx", "ry")
            turn = float(drawn.get("theta") or 0)
            return ellipse(centre, float(drawn[across]), float(drawn[down]), turn)
    except (KeyError, TypeError, ValueError):
        raise StudyError(
            f"{path}: region {number} ({label}): its {kind} lacks its points; draw it again"
        ) from None
    raise StudyError(
        f"{path}: region {number} ({label}) is a {kind}, which encloses no area; draw a polygon, or"
        " write its label under ignored in the form"
    )
