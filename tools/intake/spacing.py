"""Millimetres a pixel of pictures that do not say it: one number, or a table."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from helpers.errors import StudyError
from tools.intake import find, ledger
from tools.intake.by_picture import MOST, located, naming, read
from tools.intake.form import Form

COLUMN = re.compile(r"(?i)spacing|pixel.?size|mm.?(per|/).?pixel")
LENGTH = re.compile(r"(?i)\W*mm\W*")  # where no column says more
INVERSE = re.compile(r"(?i)(px|pixels?) ?(per|/) ?(mm|cm)")
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
    frame, _ = read(path)
    if inverse := next((c for c in frame if INVERSE.search(c)), None):
        raise StudyError(f"{path}: column {inverse}: give the millimetres of a pixel")
    number = [c for c in frame if COLUMN.search(c)] or [c for c in frame if LENGTH.fullmatch(c)]
    pair = len(number) == 2 and all(AXIS.search(c) for c in number)
    if len(number) == len(frame.columns) or not (len(number) == 1 or pair):
        raise StudyError(
            f"{path}: needs a column of picture names (image) and one of millimetres"
            f" (pixel_spacing_mm); it has {', '.join(frame.columns)}"
        )
    try:
        _, found = naming(frame.drop(columns=number), images)
    except StudyError as error:
        raise StudyError(f"{path}: {error}; call the one column image") from None
    unit = UNIT.search(number[0].replace("μ", "µ"))  # the Greek letter, and the sign for millionth
    scale = {"cm": 10, "µm": 1e-3, "um": 1e-3, "m": 1e3}[unit[1].lower()] if unit else 1
    table = {row: _mm(frame.loc[row, number], scale, f"{path}: row {row}") for row in frame.index}
    of = {}
    for image, at in found.items():
        known = {table[row] for row in at}
        if len(known) > 1:
            where = f"{path}: row {', '.join(map(str, at))}"
            raise StudyError(f"{where}: {image} has several spacings")
        of[image] = known.pop()
    return of.get, inside


def offered(data: Path, images: Sequence[str]) -> list[str]:
    """The sentence, as a list, on a table in the folder that says the size of the pictures' pixels,
    which nothing asked for.
    """
    tables = [f for f in find.everything(data) if f.lower().endswith(ledger.TABLES)][:MOST]
    for file in tables:
        try:
            mm, _ = told(Form(spacing_mm=file), data, None, images)
        except (StudyError, *find.ODD):
            continue
        if all(mm(image) is not None for image in images):  # else it may be of other pictures
            return [
                f"{file} says the size of a pixel in mm for every picture: for distances in mm"
                f' write spacing_mm: "{file}" in a form.'
            ]
    return []


def _mm(texts: Sequence[str], scale: float, where: str) -> float | None:
    """Millimetres from one cell, or the mean of two, across and down, as it is noted elsewhere;
    None where nothing stands.
    """
    if not any(t.strip() for t in texts):
        return None
    try:
        mm = math.prod(float(t.replace(",", ".")) * scale for t in texts) ** (1 / len(texts))
    except ValueError:
        mm = 0
    if not 1e-4 <= mm <= 10:
        raise StudyError(f"{where}: {', '.join(texts)!r} is no spacing in mm")
    return mm
