"""Millimetres a pixel of pictures that do not say it: one number, or a table."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from helpers.errors import StudyError
from tools.intake import spreadsheet
from tools.intake.form import Form
from tools.intake.patterns import plain, stem

COLUMN = re.compile(r"(?i)spacing|pixel.?size|mm.?(per|/).?pixel")
LENGTH = re.compile(r"(?i)\bmm\b")  # where no column says more
UNIT = re.compile(r"(?i)(?<![a-zµ])(cm|µm|um|m)(?![a-z])")
AXIS = re.compile(r"(?i)(?<![a-z])(x|y|rows?|columns?|cols?|width|height)(?![a-z])")
FILE = re.compile(r"(?i)image|file|picture|bild|name|^id$")


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
    beside = [Path(data) / value, *([Path(form_path).parent / value] if form_path else [])]
    path = next((p for p in beside if p.is_file()), None)
    if path is None:
        raise StudyError(
            f"spacing_mm: {value}: no such file, in DATA or beside the form; give a number of"
            " millimetres, or a table of pictures and millimetres"
        )
    frame, _ = spreadsheet.read(path)
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

    def of(image: str) -> float | None:
        names = (image, PurePosixPath(image).name, stem(image))
        return next((table[plain(n)] for n in names if plain(n) in table), None)

    if images and not any(of(image) for image in images):
        raise StudyError(
            f"{path}: names none of the pictures, such as {images[0]}; it names"
            f" {', '.join(list(table)[:3])}"
        )
    return of, value if path == beside[0] else None
