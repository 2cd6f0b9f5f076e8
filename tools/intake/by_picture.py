"""Tables with a row a picture: what they say of each, and whose each is."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pandas as pd

from helpers.errors import StudyError
from tools.intake import find, ledger, spreadsheet, variables
from tools.intake.form import Form
from tools.intake.patterns import plain, stem
from tools.intake.tables import some

MOST, WIDEST = 20, 60  # tables of a folder that are looked into, and columns of one
#: what a column of pictures is called
FILE = re.compile(r"(?i)image|file|picture|bild|name|^id$")


def located(
    value: str, key: str, data: Path | str, form_path: Path | str | None
) -> tuple[Path, str | None]:
    """(path of a table that the form names under key; its name in DATA, None where it lies beside
    the form).
    """
    beside = [Path(data) / value, *([Path(form_path).parent / value] if form_path else [])]
    path = next((p for p in beside if p.is_file()), None)
    if path is None:
        raise StudyError(
            f"{key}: {value}: no such file, in DATA or beside the form; give a table with a row a"
            " picture"
        )
    return path, value if path == beside[0] else None


def read(path: Path) -> pd.DataFrame:
    """The table in a file: text, its index the rows of the file; every column has its own name."""
    frame, _ = spreadsheet.read(path)
    if twice := sorted(set(frame.columns[frame.columns.duplicated()]) - {""}):
        raise StudyError(f"{path}: two columns are called {twice[0]}; call them apart")
    return frame.loc[:, ~frame.columns.duplicated()]


def rows(cells: pd.Series, images: Sequence[str]) -> dict[str, list]:
    """{picture: index of the cells that name it, by path, name or stem}; StudyError where a cell
    names several files.
    """
    at, found, named = defaultdict(list), {}, defaultdict(set)
    for row, cell in cells.items():
        at[plain(cell.strip())].append(row)
    for image in images:
        file = image.rpartition("#")[0] or image  # a frame is of its cine
        names = [plain(n) for n in (image, file, PurePosixPath(file).name, stem(file))]
        if key := next((n for n in names if n in at), None):
            found[image] = at[key]
            named[key].add(file)
    for key, files in named.items():
        if len(files) > 1:
            where = f"row {at[key][0]}: {key} names {some(sorted(files), 2)}"
            raise StudyError(f"{where}; give the paths of the pictures, as they lie in DATA")
    return found


def naming(frame: pd.DataFrame, images: Sequence[str]) -> tuple[str | None, dict[str, list]]:
    """(the column whose cells name most of the pictures, or None; ``rows`` of it). Of two that name
    as many, such as numbers, the one that is called so; StudyError where that is not one either.
    """
    found, wrong = {}, []
    for column in frame:
        try:
            found[column] = rows(frame[column], images)
        except StudyError as error:
            wrong.append(error)
    most = max(map(len, found.values()), default=0)
    if wrong and not most:
        raise wrong[0]
    best = [column for column in found if most and len(found[column]) == most]
    if len(best) > 1:
        called = [column for column in best if FILE.search(column)]
        if len(called) != 1:
            raise StudyError(f"columns {', '.join(best)} name the pictures: call one of them image")
        best = called
    return (best[0], found[best[0]]) if best else (None, {})


def owners(frame: pd.DataFrame, pictures: str) -> list[str]:
    """The columns that name a patient, besides that which names the pictures."""
    return [c for c in frame if c != pictures and variables.canonical(c) == "patient_id"]


def whose(
    form: Form, data: Path | str, form_path: Path | str | None, images: Sequence[str]
) -> tuple[Form, str | None]:
    """(the form, its patient's `of` filled from its `table`: picture → patient; the file in DATA
    that was read for it, or None). A picture without a row is nobody's.
    """
    if "table" not in form.patient:
        return form, None
    path, name = located(form.patient["table"], "patient.table", data, form_path)
    frame = read(path)
    try:
        column, found = naming(frame, images)
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from None
    if column is None:
        raise StudyError(f"{path}: names none of the pictures, such as {images[0]}")
    if len(own := owners(frame, column)) != 1:
        raise StudyError(
            f"{path}: {', '.join(own) or 'no column'} names a patient; call the one column so that"
            f" does, of {', '.join(c for c in frame if c != column)}"
        )
    of = {}
    for image, at in found.items():
        people = sorted(set(frame.loc[at, own[0]].str.strip()))
        if len(people) > 1 or not people[0]:
            where = f"{path}: {own[0]}, row {', '.join(map(str, at))}"
            raise StudyError(f"{where}: {image} is of {' and '.join(map(repr, people))}")
        of[image] = people[0]
    return replace(form, patient=form.patient | {"of": of}), name


def suggested(data: Path | str, images: Sequence[str]) -> str:
    """The line of a form, where a table in the folder says of every picture whose it is; or ''."""
    tables = [f for f in find.everything(Path(data)) if f.lower().endswith(ledger.TABLES)]
    for name in tables[:MOST]:
        try:
            frame = read(Path(data) / name)
            column, found = naming(frame.iloc[:, :WIDEST], images)
        except find.ODD:
            continue
        if column and len(found) == len(images) and len(own := owners(frame, column)) == 1:
            return (
                f"; {name} says of every picture whose it is (column {own[0]}): if that is a"
                f" person, write patient: {{table: '{name}'}}"
            )
    return ""
