"""Masks from values, colours and outlines to class indices.

Areas that overlap: the class with the higher index lies on top, within one class areas unite. A
shape called a hole, or background, is cut out of the shapes drawn before it. How an outline becomes
pixels is said in ``helpers.readers.polygons``.
"""

import csv
import json
import re
import shlex
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers.errors import StudyError, raise_all
from helpers.readers import annotations, foreign
from helpers.readers.plausible import check_length
from helpers.readers.polygons import check_outline, fill
from helpers.studies import Class

MANY = 20  # values, more than structures are
NEARLY = 1e-3  # of a whole number, as values stored by a scale are
#: a line of a label description of ITK-SNAP
DESCRIPTION = re.compile(rb'(?m)^\s*\d+(\s+[\d.]+){6}\s+".+"\s*$')


def _listed(found: dict, limit: int = 8) -> str:
    items = [f"{name} ({count} px)" for name, count in sorted(found.items(), key=lambda kv: -kv[1])]
    return ", ".join(items[:limit]) + (
        f" and {len(items) - limit} more" if len(items) > limit else ""
    )


def _declared(classes: Sequence[Class]) -> str:
    known = ", ".join(f"{c.index} {c.name}" for c in classes)
    return f"{known}; declare what was found under classes, or its label under ignored"


def _colours(classes: Sequence[Class], ignored: Sequence[str] = ()) -> tuple[dict[int, int], bool]:
    """({colour: class index, 0 where it is ignored}, whether the colours of masks are among the
    labels). A colour that two classes share stands for neither.
    """
    named = [(label, c.index) for c in classes for label in getattr(c, "labels", ())]
    told, left_out = (
        [(label, i) for label, i in pairs if re.fullmatch("#[0-9a-fA-F]{6}", str(label))]
        for pairs in (named, [(label, 0) for label in ignored])
    )
    known = {}
    for pairs in (left_out, [(c.colour, c.index) for c in classes], told):
        found: dict[int, set[int]] = {}
        for colour, index in pairs:
            found.setdefault(int(str(colour)[1:], 16), set()).add(index)
        known |= {colour: min(some) for colour, some in found.items() if len(some) == 1}
    return known, bool(told)


def _hex(value: int) -> str:
    return f"#{int(value):06x}"


def _small(values: np.ndarray) -> bool:
    """Whether values are non-negative and few enough to count in a table, which is faster than
    sorting them.
    """
    return values.size > 0 and values.min() >= 0 and values.max() < 1 << 16


def _mapped(values: np.ndarray, table: dict[int, int]) -> np.ndarray:
    """values → uint8 through a dict; every value must be in it."""
    if _small(values):
        lookup = np.zeros(int(values.max()) + 1, np.uint8)
        for value, index in table.items():
            if 0 <= value < len(lookup):
                lookup[value] = index
        return lookup[values]
    unique, inverse = np.unique(values, return_inverse=True)
    return np.array([table[int(v)] for v in unique], np.uint8)[inverse].reshape(values.shape)


def _histogram(values: np.ndarray) -> dict[int, int]:
    """{value: pixels} of the values that occur."""
    if _small(values):
        counts = np.bincount(values.ravel())
        return {int(v): int(counts[v]) for v in np.flatnonzero(counts)}
    unique, counts = np.unique(values, return_counts=True)
    return dict(zip(unique.tolist(), counts.tolist(), strict=True))


def from_raster(
    path: Path, picture: Image.Image, classes: Sequence[Class], ignored: Sequence[str] = ()
) -> np.ndarray:
    """A PIL picture as class indices: by value (1, L, LA, P, 16 bit, grey stored as colour), by
    palette colour (P) or by colour (RGB, RGBA).
    """
    if picture.mode in ("RGB", "RGBA", "LA"):
        return _by_colour(path, np.asarray(picture), classes, ignored)
    if picture.mode == "F":
        return from_labels(path, np.asarray(picture), classes, ignored)
    if picture.mode not in ("1", "L", "P") and not picture.mode.startswith("I"):
        raise StudyError(
            f"{path}: a mask of type {picture.mode!r}; export class indices (8 bit) or the declared"
            " colours"
        )
    values = np.asarray(picture).astype(np.int64)
    if picture.mode == "P":
        return _by_palette(path, values, picture, classes, ignored)
    return _by_index(path, values, classes, ignored)


def _by_index(
    path: Path, values: np.ndarray, classes: Sequence[Class], ignored: Sequence[str] = ()
) -> np.ndarray:
    found, known = _histogram(values), _values(path, classes, ignored)
    if len(classes) == 2 and set(found) <= {0, 255}:
        known = {255: 1} | known  # the usual black and white of one structure
    if undeclared := {v: n for v, n in found.items() if v not in known}:
        smooth = "; so many values have smoothed edges, JPEG and probabilities: export it without"
        raise StudyError(
            f"{path}: undeclared values {_listed(undeclared)}; declared are {_declared(classes)}"
            + smooth * (len(undeclared) > MANY)
        )
    return _mapped(values, known)


def _values(path: Path, classes: Sequence[Class], ignored: Sequence[str]) -> dict[int, int]:
    """Value → class index: the numbers among a class's labels, its index where it has none; ignored
    numbers → 0.
    """
    told = {
        c.index: [int(v) for v in getattr(c, "labels", ()) if str(v).isdecimal()] for c in classes
    }
    known = {int(v): 0 for v in ignored if str(v).isdecimal()}
    for index, values in told.items():
        for value in values or [index]:
            if known.setdefault(value, index) != index:
                raise StudyError(
                    f"{path}: value {value} would be {known[value]} {classes[known[value]].name} as"
                    f" well as {index} {classes[index].name}; give both classes' values as labels"
                    " in the form"
                )
    return known


def _by_palette(
    path: Path,
    values: np.ndarray,
    picture: Image.Image,
    classes: Sequence[Class],
    ignored: Sequence[str] = (),
) -> np.ndarray:
    palette = np.asarray(picture.getpalette("RGB") or [], np.int64).reshape(-1, 3) @ [65536, 256, 1]
    known, told = _colours(classes, ignored)
    used = sorted(_histogram(values))
    coloured = all(v < len(palette) and int(palette[v]) in known for v in used)
    if not coloured:
        return _by_index(path, values, classes, ignored)
    by_colour = {v: known[int(palette[v])] for v in used}
    as_indices = {c.index for c in classes}.issuperset(used)
    if as_indices and not told and any(v != index for v, index in by_colour.items()):
        raise StudyError(
            f"{path}: its palette's colours and its indices name different classes; export indices"
            " in grey"
        )
    return _mapped(values, by_colour)


def _by_colour(
    path: Path, pixels: np.ndarray, classes: Sequence[Class], ignored: Sequence[str] = ()
) -> np.ndarray:
    """Colours, or grey values stored as colour, with or without transparency, which is
    background.
    """
    hidden = np.zeros(pixels.shape[:2], bool)
    if pixels.shape[2] in (2, 4):
        if not np.isin(pixels[..., -1], (0, pixels[..., -1].max())).all():
            raise StudyError(f"{path}: half-transparent pixels; export the mask without smoothing")
        hidden = pixels[..., -1] == 0
    background = list(bytes.fromhex(classes[0].colour[1:]))
    colours = pixels[..., :3] if pixels.shape[2] > 2 else np.repeat(pixels[..., :1], 3, 2)
    values = np.where(hidden[..., None], background, colours).astype(np.int64) @ [65536, 256, 1]
    known, _ = _colours(classes, ignored)
    undeclared = {_hex(v): n for v, n in _histogram(values).items() if v not in known}
    if undeclared and (colours == colours[..., :1]).all():
        mask = _by_index(
            path, np.where(hidden, 0, colours[..., 0]).astype(np.int64), classes, ignored
        )
    elif undeclared:
        declared = ", ".join(f"{c.colour} {c.name}" for c in classes)
        raise StudyError(
            f"{path}: undeclared colours {_listed(undeclared)}; declared are {declared}; declare"
            " what was found as the colour of a class, or under ignored"
        )
    else:
        mask = _mapped(values, known)
    if hidden.any() and not hidden.all() and not mask.any():
        raise StudyError(
            f"{path}: nothing but background is opaque; if its transparency is the mask, export"
            " that as black and white"
        )
    return mask


def names(classes: Sequence[Class], ignored: Sequence[str] = ()) -> dict[str, int]:
    """Label as written (lower case) → class index; ignored labels → 0. Name, title and .labels of a
    class all count.
    """
    table = {str(label).lower(): 0 for label in ignored}
    for c in classes:
        for label in (c.name, c.title, *getattr(c, "labels", ())):
            table[str(label).lower()] = c.index
    return table


def described_in(path: Path | str) -> Path | None:
    """The file of the ITK-SNAP label description beside a mask, or None.

    Looked for as <stem>.txt, <stem>.label, <stem>_labels.txt, labels.txt, labels.label, in this
    order, else as the only file of the folder that reads so.
    """
    path = Path(path)
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    usual = (f"{stem}.txt", f"{stem}.label", f"{stem}_labels.txt", "labels.txt", "labels.label")
    beside = next((p for name in usual if (p := path.with_name(name)).is_file()), None)
    if beside is None and path.parent.is_dir():
        return _only_description(path.parent, path.parent.stat().st_mtime_ns)
    return beside


@cache
def _only_description(folder: Path, _: int) -> Path | None:
    """The one file of a folder that reads as a description; looked for once until it changes."""
    others = [*folder.glob("*.txt"), *folder.glob("*.label")]
    described = [p for p in others if DESCRIPTION.search(p.read_bytes()[:4096])]
    return described[0] if len(described) == 1 else None


def descriptions(path: Path | str) -> dict[int, str] | None:
    """The ITK-SNAP label description beside a mask as {value: label}, or None. A line: value, red,
    green, blue, alpha, visible, mesh, "label".
    """
    if (beside := described_in(path)) is None:
        return None
    table = {}
    for number, line in enumerate(beside.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            fields = shlex.split(line)
            table[int(fields[0])] = fields[7]
        except (ValueError, IndexError):
            raise StudyError(
                f"{beside}, line {number}: {line.strip()!r} is no label; "
                'it reads: value R G B alpha visible mesh "name"'
            ) from None
    return table


def whole(values: np.ndarray) -> np.ndarray:
    """Values of a mask, those that lie NEARLY at a whole number moved to it."""
    near = np.round(values)
    return np.where(np.abs(values - near) < NEARLY, near, values)


def from_labels(
    path: Path, values: np.ndarray, classes: Sequence[Class], ignored: Sequence[str] = ()
) -> np.ndarray:
    """Voxel values (rows, columns) as class indices: through the label description beside the file,
    if there is one.
    """
    if values.dtype.names:
        raise StudyError(f"{path}: holds colours; export the segmentation, not a rendering of it")
    if not np.isfinite(values).all():
        raise StudyError(
            f"{path}: has {int((~np.isfinite(values)).sum())} pixels that are NaN or infinite;"
            " export again"
        )
    values = whole(values)
    if (values != np.round(values)).any():
        raise StudyError(
            f"{path}: has fractions such as {values[values != np.round(values)][0]:g}, as"
            " probabilities do; a mask holds whole numbers: export it thresholded"
        )
    values = values.astype(np.int64)
    if (described := descriptions(path)) is None:
        return _by_index(path, values, classes, ignored)
    table, found = names(classes, ignored), _histogram(values)
    known = {v: table[label.lower()] for v, label in described.items() if label.lower() in table}
    known[0] = 0  # 'Clear Label'
    if undeclared := {
        f"{v} {described.get(v, 'without a name')!r}": n for v, n in found.items() if v not in known
    }:
        raise StudyError(
            f"{path}: undeclared labels {_listed(undeclared)}; declared are {_declared(classes)}"
        )
    return _mapped(values, known)


def areas(
    path: Path,
    shapes: Sequence[tuple[str | None, Any]],
    size: tuple[int, int],
    classes: Sequence[Class],
    ignored: Sequence[str] = (),
    notes: list[str] | None = None,
) -> np.ndarray:
    """Paint [(label, bool (rows, columns) or outlines [(n, 2), …]), …] in class order: uint8 (rows,
    columns).

    Every problem of the file is reported together: undeclared labels, outlines that are no area,
    holes in nothing. notes: list that gains what was cut out.
    """
    table, problems, painted = names(classes, ignored), [], []
    holes = {number for number, (label, _) in enumerate(shapes) if _cuts(label, table)}
    labelled = {str(label) for k, (label, _) in enumerate(shapes) if k not in holes}
    if unknown := sorted(label for label in labelled if label.lower() not in table):
        problems.append(
            f"undeclared labels {', '.join(map(repr, unknown))}; declared are {_declared(classes)}"
        )
    for number, (label, area) in enumerate(shapes, 1):
        if isinstance(area, list):
            outlines = [np.asarray(points, float) for points in area]
            wrong = [w for points in outlines if (w := check_outline(points, size))]
            problems += [f"shape {number} ({label}): {w}; draw it again" for w in wrong]
            area = None if wrong else np.any([fill(points, size) for points in outlines], 0)
        painted.append((table.get(str(label).lower(), 0), area))
    raise_all(problems, path)
    empty = sum(index > 0 and not area.any() for index, area in painted)
    if empty and notes is not None:
        notes.append(f"{empty} outlines are so small that they hold no pixel")
    painted = _cut(path, painted, holes, notes)
    mask = np.zeros(size, np.uint8)
    drawn: dict[int, np.ndarray] = {}
    for index, area in sorted(painted, key=lambda pair: pair[0]):
        if index:
            mask[area] = index
            drawn[index] = drawn.get(index, False) | area
    for low, high in combinations(drawn, 2):
        if notes is not None and (drawn[low] & drawn[high]).any():
            lies = "lies in part" if (mask == low).any() else "is lost"
            notes.append(f"{classes[low].title} {lies} under {classes[high].title}")
    return mask


def _cuts(label: str | None, table: dict[str, int]) -> bool:
    """Whether a shape is a hole, and no structure of the study is called so."""
    return annotations.is_hole(label) and not table.get(str(label).lower())


def _cut(
    path: Path, painted: list[tuple[int, np.ndarray]], holes: set[int], notes: list[str] | None
) -> list[tuple[int, np.ndarray]]:
    """The areas [(index, bool (rows, columns)), …] without the holes, each taken out of what was
    drawn before it, as drawing tools show it.
    """
    painted, cut = list(painted), 0
    for hole in sorted(holes):
        area, lost = painted[hole][1], 0
        for k in range(hole):
            index, drawn = painted[k]
            if index:
                lost += int((drawn & area).sum())
                painted[k] = index, drawn & ~area
        over = [drawn & area for index, drawn in painted[hole + 1 :] if index]
        if not lost and area.any() and over and np.any(over, 0).sum() > area.sum() / 2:
            raise StudyError(
                f"{path}: shape {hole + 1} is a hole, but lies under what it shall be cut out of;"
                " draw it after that, or bring it to the front"
            )
        cut += lost > 0
    if cut and notes is not None:
        notes.append(f"{cut} shapes called a hole, or background, were cut out of the outlines")
    return painted


def load_json(path: Path | str) -> tuple[dict, str]:
    """(content, encoding) of a JSON file in UTF-8 (with or without a mark) or GB18030, or of CVAT's
    XML; outlines of Supervisely, Label Studio and CVAT as COCO tells them (``foreign``).
    """
    path = Path(path)
    check_length(path)
    raw = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = raw.decode(encoding)
            if path.suffix.lower() == ".xml":
                return foreign.cvat(path, text), encoding
            return foreign.converted(path, json.loads(text)), encoding
        except UnicodeDecodeError:
            continue
        except json.JSONDecodeError as error:
            raise StudyError(
                f"{path}: broken JSON in line {error.lineno} ({error.msg}); save it again"
            ) from None
        except RecursionError:
            raise StudyError(
                f"{path}: is nested too deeply for an annotation; save it again"
            ) from None
        except ValueError as error:  # a number of thousands of digits
            raise StudyError(f"{path}: broken JSON ({error}); save it again") from None
    raise StudyError(f"{path}: neither UTF-8 nor GB18030 text; save it again in UTF-8")


def from_json(
    path: Path,
    part: str | None,
    classes: Sequence[Class],
    ignored: Sequence[str] = (),
    shape: tuple[int, int] | None = None,
    notes: list[str] | None = None,
) -> np.ndarray:
    """The mask in a Labelme, COCO, VIA, Supervisely, Label Studio or CVAT file; part: name of the
    image in a file with several.

    notes: list that gains what was left out.
    """
    content, _ = load_json(path)
    if isinstance(content, dict) and isinstance(content.get("shapes"), list):
        shapes, size = annotations.labelme(path, content, shape, ignored)
    elif isinstance(content, dict) and {"images", "annotations", "categories"} <= set(content):
        shapes, size = annotations.coco(path, content, part, notes, ignored)
    elif annotations.is_via(content):
        shapes, size = annotations.via(path, content, classes, part, shape, ignored)
    else:
        raise StudyError(
            f"{path}: neither Labelme (key 'shapes') nor COCO (keys 'images', 'annotations',"
            " 'categories') nor VIA (file names with 'regions') nor Supervisely (keys 'objects',"
            " 'size') nor tasks of Label Studio"
        )
    check_shape(path, size, shape)
    return areas(path, shapes, size, classes, ignored, notes)


def from_table(
    path: Path,
    part: str | None,
    classes: Sequence[Class],
    ignored: Sequence[str] = (),
    shape: tuple[int, int] | None = None,
    notes: list[str] | None = None,
) -> np.ndarray:
    """The mask in VIA's CSV export; notes: list that gains what was cut out."""
    check_length(Path(path))
    try:
        content = annotations.via_table(Path(path).read_text(encoding="utf-8-sig"))
    except (
        UnicodeDecodeError,
        csv.Error,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise StudyError(
            f"{path}: is no table of outlines as VIA writes it ({error}); export it again"
        ) from None
    shapes, size = annotations.via(path, content, classes, part, shape, ignored)
    return areas(path, shapes, size, classes, ignored, notes)


def check_shape(
    path: Path,
    size: tuple[int, int],
    shape: tuple[int, int] | None,
    turn: str = "correct them in the file, or export it again",
) -> None:
    """StudyError where a mask of ``size`` does not fit an image of ``shape`` (None: fits all);
    turn: what to do where height and width are exchanged.
    """
    if shape is None or tuple(size) == tuple(shape):
        return
    advice = "export it at the size of the image"
    if tuple(size) == tuple(shape)[::-1]:
        advice = f"height and width are exchanged: {turn}"
    raise StudyError(
        f"{path}: the mask has {size[0]} rows × {size[1]} columns, its image "
        f"{shape[0]} × {shape[1]}; {advice}"
    )
