"""Labelme and COCO files as shapes: [(label, outlines or pixels), …] and the size (rows,
columns).
"""

import numpy as np

from helpers.errors import StudyError
from helpers.readers.polygons import circle


def labelme(path, content, shape=None):
    """(shapes, (rows, columns)) of a Labelme file: polygon, rectangle and circle; imageData is
    never looked at.

    shape: the size to use where the file does not state one.
    """
    size = (content.get("imageHeight"), content.get("imageWidth"))
    if not all(isinstance(n, int) and n > 0 for n in size):
        if shape is None:
            raise StudyError(
                f"{path}: imageHeight and imageWidth are missing; save it again with a newer"
                " Labelme"
            )
        size = tuple(shape)
    return [
        (s.get("label"), [_outline(path, n, s)]) for n, s in enumerate(content["shapes"], 1)
    ], size


def _outline(path, number, shape):
    kind = shape.get("shape_type") or "polygon"
    try:
        points = np.array(shape.get("points", []), float)
    except (TypeError, ValueError):
        raise StudyError(
            f"{path}: shape {number} ({shape.get('label')}): points are not pairs of numbers"
        ) from None
    if kind == "polygon" or (kind == "rectangle" and len(points) == 4):
        return points
    if kind in ("rectangle", "circle"):
        if points.shape != (2, 2):
            raise StudyError(
                f"{path}: shape {number} ({shape.get('label')}): a {kind} has two points, not"
                f" {len(points)}"
            )
        (x0, y0), (x1, y1) = points
        return (
            circle(points[0], points[1])
            if kind == "circle"
            else np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        )
    raise StudyError(
        f"{path}: shape {number} ({shape.get('label')}) is a {kind}, which encloses no area; draw a"
        " polygon"
    )


def coco(path, content, part=None):
    """(shapes, (rows, columns)) of one image of a COCO file: polygons and run lengths (plain or
    compressed).
    """
    images = content["images"]
    if part is None and len(images) != 1:
        raise StudyError(
            f"{path}: describes {len(images)} images; name one as '{path.name}#<file name of the"
            " image>'"
        )
    chosen = [i for i in images if part is None or part in (i.get("file_name"), str(i.get("id")))]
    if len(chosen) != 1:
        raise StudyError(
            f"{path}: has {len(chosen)} images called {part!r}; it must be exactly one"
        )
    image, categories = chosen[0], {c["id"]: c["name"] for c in content["categories"]}
    size = (image.get("height"), image.get("width"))
    if not all(isinstance(n, int) and n > 0 for n in size):
        raise StudyError(
            f"{path}: image {image.get('file_name')!r} has no height and width; export it again"
        )
    shapes = []
    for number, entry in enumerate(
        (a for a in content["annotations"] if a.get("image_id") == image["id"]), 1
    ):
        label = categories.get(entry.get("category_id"))
        if label is None:
            raise StudyError(
                f"{path}: annotation {number} has category {entry.get('category_id')}, which is not"
                " listed"
            )
        shapes.append((label, _segmentation(path, number, entry.get("segmentation"), size)))
    return shapes, size


def _segmentation(path, number, found, size):
    if isinstance(found, dict):
        return run_lengths(path, number, found, size)
    if not found or any(len(flat) % 2 for flat in found):
        raise StudyError(f"{path}: annotation {number} has no outline of x, y pairs; draw it again")
    return [np.reshape(flat, (-1, 2)).astype(float) for flat in found]


def run_lengths(path, number, found, size):
    """COCO run lengths (down the columns, background first) as bool (rows, columns)."""
    counts = found.get("counts")
    runs = _decompressed(counts) if isinstance(counts, str) else counts
    if (
        tuple(found.get("size", ())) != size
        or sum(runs or ()) != size[0] * size[1]
        or min(runs) < 0
    ):
        raise StudyError(
            f"{path}: annotation {number}: run lengths do not fill {size[0]} × {size[1]} pixels;"
            " export again"
        )
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size, order="F")


def _decompressed(text):
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
