"""Several files that together are the mask of one picture, named in one cell of a manifest, and
masks that are changed on reading.

``masks/{p1_mask.png|p1_mask_1.png}``: parts of one mask, both in the folder ``masks``.
``{nerve/p1.png=nerve|vessel/p1.png=vessel}``: every file is one structure, whatever value it is
drawn in. ``masks/{p1.png}+transpose+fill``: a file, changed in this order.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
from scipy import ndimage

from helpers.errors import StudyError
from helpers.readers import labels
from helpers.studies import Class

CELL = re.compile(r"^(?P<folder>(?:.*/)?)\{(?P<parts>[^{}]+)\}(?P<changes>(?:\+\w+)*)$")
PART = re.compile(r"^(?P<file>.+?)(?:=(?P<name>[^{}|=/\\.]+))?$")
#: share of the smaller part from which two parts are two drawings of one thing
SAME = 0.5


def filled(mask: np.ndarray) -> np.ndarray:
    """Class indices uint8 (rows, columns) in which every outline is an area: what each structure
    encloses becomes its own where nothing is marked.
    """
    result = mask.copy()
    for index in np.unique(mask[mask > 0]):
        result[ndimage.binary_fill_holes(mask == index) & (mask == 0)] = index
    return result


#: what can be done to a mask that was drawn or saved otherwise than its picture
CHANGES: dict[str, Callable] = {
    "fill": filled,
    "transpose": np.transpose,
    "mirror": np.fliplr,
    "upside_down": np.flipud,
    "half_turn": lambda mask: mask[::-1, ::-1],
    "invert": lambda mask: (mask == 0).astype(np.uint8),
}


def changed(cell: str, changes: Sequence[str]) -> str:
    """A cell of a manifest with names of CHANGES put to it."""
    whole = cell if CELL.match(cell) else written([(cell, None)])
    if whole is None:
        raise StudyError(f"{cell}: its name holds one of {{}}|=\\, rename it to have it changed")
    return "+".join([whole, *changes])


def written(parts: list[tuple[str, str | None]]) -> str | None:
    """The cell for files (relative to DATA) and the structure that each is, or None where a name
    cannot be written so.
    """
    if any(re.search(r"[{}|=\\]", file) for file, _ in parts):
        return None
    folders = [PurePosixPath(file).parts[:-1] for file, _ in parts]
    common = []
    for level in zip(*folders, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    inner = [
        "/".join(PurePosixPath(file).parts[len(common) :]) + (f"={name}" if name else "")
        for file, name in parts
    ]
    return "/".join([*common, "{" + "|".join(inner) + "}"])


def parts(path: str | Path) -> list[tuple[Path, str | None]]:
    """[(file, structure or None)] of a cell; empty where the path is an ordinary one."""
    cell = CELL.match(Path(path).as_posix())
    if not cell or os.path.exists(path):  # a cell may be longer than any name of a file
        return []
    found = [PART.match(text) for text in cell["parts"].split("|")]
    return [(Path(cell["folder"] + part["file"]), part["name"]) for part in found if part]


def read(
    path: Path | str,
    open_one: Callable,
    classes: Sequence[Class],
    ignored: Sequence[str] = (),
    shape: tuple[int, ...] | None = None,
) -> tuple[np.ndarray, list[str], float]:
    """(class indices uint8 (rows, columns), notes, the largest share of a part that another
    structure covers) of united files, changed as the cell says.

    open_one: ``open_mask``, for one of them. Where two structures overlap, the class with the
    higher index lies on top, and the note says how much. StudyError where parts of one structure
    overlap so much that they are two drawings of it.
    """
    named, drawn, notes = labels.names(classes, ignored), [], []
    changes = _changes(path, classes)
    if shape is not None and "transpose" in changes:
        shape = shape[::-1]
    for file, name in parts(path):
        index = named.get(str(name).lower(), 0)
        if name and not index:
            if name.lower() in named:  # ignored
                continue
            raise StudyError(f"{file}: is the structure {name!r}, which no class is called")
        mask = open_one(
            file, _only(classes, index) if name else classes, ignored=ignored, shape=shape
        )
        notes += [f"{file.name}: {note}" for note in mask.notes]
        found = [index] if name else [int(i) for i in np.unique(mask.pixels) if i]
        drawn += [(file, i, mask.pixels == (1 if name else i)) for i in found]
        shape = mask.pixels.shape
    more, share = _overlaps(drawn, classes)
    if shape is None:
        raise StudyError(f"{path}: every structure of it is ignored; give its picture")
    united = np.zeros(shape, np.uint8)
    for _, index, area in sorted(drawn, key=lambda item: item[1]):
        united[area] = index
    for change in changes:
        united = CHANGES[change](united)
    return np.ascontiguousarray(united), [*notes, *more], share


def _changes(path: Path | str, classes: Sequence[Class]) -> list[str]:
    """The names of CHANGES in a cell."""
    cell = CELL.match(Path(path).as_posix())
    found = cell["changes"].split("+")[1:] if cell else []
    if unknown := sorted(set(found) - CHANGES.keys()):
        raise StudyError(f"{path}: {unknown[0]!r} is none of the changes {', '.join(CHANGES)}")
    if "invert" in found and len(classes) != 2:
        raise StudyError(f"{path}: only a mask of one structure can be inverted")
    return found


def _only(classes: Sequence[Class], index: int) -> tuple[Class, Class]:
    """Background and one class, which may be drawn in 1, 255, its own number, values or colour."""
    chosen = classes[index]
    values = [v for v in getattr(chosen, "labels", ()) if str(v).isdecimal()] or [str(index)]
    names = [v for v in getattr(chosen, "labels", ()) if not str(v).isdecimal()]
    return (classes[0], replace(chosen, index=1, labels=(*names, *dict.fromkeys(["1", *values]))))


def _overlaps(
    drawn: list[tuple[Path, int, np.ndarray]], classes: Sequence[Class]
) -> tuple[list[str], float]:
    """(sentences on the parts that overlap, the largest share of a part that another structure
    covers).
    """
    notes, most = [], 0.0
    for (one, i, a), (other, j, b) in combinations(drawn, 2):
        both = int((a & b).sum())
        share = both / max(1, min(a.sum(), b.sum()))
        if i == j and share > SAME:
            raise StudyError(
                f"{other}: covers {share:.0%} of what {one.name} outlines, as two drawings of one"
                " structure do, not two parts; leave one out, or, if two people drew them, write in"
                ' the form masks: {anna: "…", ben: "…"} and reference: anna'
            )
        if i != j and both:
            low, high = sorted((i, j))
            most = max(most, share)
            notes.append(
                f"{classes[low].title} and {classes[high].title} overlap in {both} pixels, which"
                f" count as {classes[high].title}"
            )
    return notes, most
