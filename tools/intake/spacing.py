"""Millimetres a pixel of pictures that do not say it: one number, or a table."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from helpers.errors import StudyError
from tools.intake.by_picture import FILE, located, read, rows
from tools.intake.form import Form
from tools.intake.patterns import plain

COLUMN = re.compile(r"(?i)spacing|pixel.?size|mm.?(per|/).?pixel")
LENGTH = re.compile(r"(?i)\bmm\b")  # where no column says more
UNIT = re.compile(r"(?i)(?<![a-zµ])(cm|µm|um|m)(?![a-z])")
AXIS = re.compile(r"(?i)(?<![a-z])(x|y|rows?|columns?|cols?|width|height)(?![a-z])")


def told(
    form: Form,
    data: Path | str,
    form_path: Path | str | None = None,
    images: Sequence[str] = (),
) -> tuple[Callable, str | None]:
    """A function of an image (path relative to DATA) → mm or None, by the form's spacing_mm, and
    the file in DATA that was read for it, or None.
    """
    value = form.spacing_mm
    if isinstance(value, str) and (number_mm := re.fullmatch(r"(\d*[.,]?\d+)\s*(?:mm)?", value)):
        value = float(number_mm[1].replace(",", "."))
    if value is None or not isinstance(value, str):
        return (lambda image: value), None
    path, inside = located(value, "spacing_mm", data, form_path)
    frame = read(path)
    number = [c for c in frame if COLUMN.search(c)] or [c for c in frame if LENGTH.search(c)]
    name = [c for c in frame if FILE.search(c) and c not in number]
    pair = len(number) == 2 and all(AXIS.search(c) for c in number)
    if not name or not (len(number) == 1 or pair):
        raise StudyError(
            f"{path}: needs a column of picture names (image) and one of millimetres"
            f" (pixel_spacing_mm); it has {', '.join(frame.columns)}"
        )
    table, unit = {}, UNIT.search(number[0])
    scale = {"cm": 10, "µm": 1e-3, "um": 1e-3, "m": 1e3}[unit[1].lower()] if unit else 1
    for row, image in frame[name[0]].items():
        texts = frame.loc[row, number]  # of two, across and down, the mean is noted as elsewhere
        try:
            mm = math.prod(float(t.replace(",", ".")) * scale for t in texts) ** (1 / len(texts))
        except ValueError:
            mm = 0
        if not 1e-4 <= mm <= 10:
            raise StudyError(f"{path}: row {row}: {', '.join(texts)!r} is no spacing in mm")
        if table.setdefault(plain(image.strip()), mm) != mm:
            raise StudyError(f"{path}: row {row}: {image.strip()} has another spacing above")
    try:
        found = rows(frame[name[0]], images)
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from None
    if images and not found:
        raise StudyError(
            f"{path}: names none of the pictures, such as {images[0]}; it names"
            f" {', '.join(list(table)[:3])}"
        )
    of = {image: table[plain(frame.loc[at[0], name[0]].strip())] for image, at in found.items()}
    return of.get, inside
