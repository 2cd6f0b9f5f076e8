"""Tables with a row a picture: what they say of each, and whose each is.

Nothing is guessed: where two columns could name the pictures or the patients, or numbers could
be those of rows, the table is refused until the form names the columns.
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pandas as pd

from helpers.errors import StudyError
from tools.intake import find, ledger, patients, spreadsheet, variables
from tools.intake.form import Form
from tools.intake.patterns import plain, stem
from tools.intake.tables import some

MOST, WIDEST = 20, 60  # tables of a folder that are looked into, and columns of one
#: what a column of pictures is called, and one of patients; what is neither
FILE = re.compile(r"(?i)image|file|picture|bild|photo|scan|clip|name")
PERSON = re.compile(r"(?i)patient|pazient|pacient|subj|case|person|proband|participant|mrn|sujet")
#: … and what only says something of one
OF_ONE = re.compile(
    r"(?i)\b(age|alter|sex|gender|height|weight|count|type|status|date)\b|subjective"
)
ROW = ("id", "code")  # of a patient, or of a row
DRAWN = re.compile(r"(?i)mask|label|segm|annot")
#: a frame of a cine, and its cine
FRAME = re.compile(r"(.+\.\w+)#\d+")
NO_ROW = "the table of pictures has no row of it that says whose it is"


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


def read(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """(the table in a file: text, its index the rows of the file, every column with its own name;
    sentences on how it was read).
    """
    frame, notes = spreadsheet.read(path)
    if twice := sorted(set(frame.columns[frame.columns.duplicated()]) - {""}):
        raise StudyError(f"{path}: two columns are called {twice[0]}; call them apart")
    return frame.loc[:, ~frame.columns.duplicated()], notes


def rows(cells: pd.Series, images: Sequence[str], others: Sequence[str] = ()) -> dict[str, list]:
    """{picture: index of all cells that name it, by its path or an end of it, with or without its
    ending}; StudyError where a cell names several files, of these or of the others that lie there.
    """
    at, found, named = defaultdict(list), {}, defaultdict(set)
    for row, cell in cells.items():
        at[_key(cell.strip())].append(row)
    for image in dict.fromkeys([*images, *others]):
        file = cine[1] if (cine := FRAME.fullmatch(image)) else image
        *above, last = PurePosixPath(file).parts
        ends = (
            "/".join([*above[k:], n]) for k in range(len(above) + 1) for n in (last, stem(last))
        )
        names = {_key(n) for n in (image, *ends)} & at.keys()
        if names:
            found[image] = sorted(row for name in names for row in at[name])
        for name in names:
            named[name].add(file)
    for name, files in named.items():
        if len(files) > 1:
            where = f"row {at[name][0]}: {name} names {some(sorted(files), 2)}"
            raise StudyError(f"{where}; give the paths of the pictures, as they lie in DATA")
    return {image: found[image] for image in images if image in found}


def _key(name: str) -> str:
    """A name as it is compared: spreadsheets take the zeros from '001'."""
    return name.lstrip("0") or "0" if name.isdecimal() else plain(name)


def naming(
    frame: pd.DataFrame, images: Sequence[str], others: Sequence[str] = ()
) -> tuple[str, dict[str, list]]:
    """(the column that names the pictures, ``rows`` of it); StudyError where none does, or where
    it could be another.
    """
    found, wrong = {}, []
    for column in frame:
        try:
            if here := rows(frame[column], images, others):
                found[column] = here
        except StudyError as error:
            wrong.append(error)
    if wrong and not found:
        raise wrong[0]
    if not images:
        return "", {}  # what follows says that there are none
    called = [c for c in frame if FILE.search(c) and not (personal(c) or DRAWN.search(c))]
    if not found:
        cells = frame[called[0] if called else frame.columns[0]]
        raise StudyError(
            f"names none of the pictures, such as {images[0]}; it names {some([*cells], 3)}: write"
            " them as they lie in DATA, with or without folder and ending"
        )
    own = [c for c in found if c in called]
    best, *more = own or list(found)  # what is called so is meant, whatever numbers stand beside it
    sure = best in called and 2 * len(found[best]) > len(images)
    empty = [] if sure else [c for c in called if c not in found]  # 'scanner' is no rival
    if any(found[c] != found[best] for c in more) or empty:
        raise StudyError(f"it could be column {' or '.join([best, *more, *empty])} of pictures")
    if best not in called and frame[best].str.fullmatch(r"\s*\d*\s*").all():
        raise StudyError(f"are the numbers of column {best or '(without a heading)'} of pictures?")
    return best, found[best]


def personal(column: str) -> bool:
    """Whether a column is called as one of patients."""
    if variables.canonical(column) == "patient_id":
        return True
    return bool(PERSON.search(column)) and not OF_ONE.search(variables.spelled(column))


def owner(frame: pd.DataFrame, pictures: str) -> str:
    """The column that names the patient, besides that of the pictures; StudyError where none does,
    or where it could be another.
    """
    there = [column for column in frame if column != pictures and personal(column)]
    own = [column for column in there if variables.spelled(column) not in ROW]
    if len(own) != 1:
        could = f"it could be column {' or '.join(own or there)}" if there else "no column says so"
        raise StudyError(f"who is the patient? {could}")
    return own[0]


def whose(
    form: Form,
    data: Path | str,
    form_path: Path | str | None,
    images: Sequence[str],
    others: Sequence[str] = (),
) -> tuple[Form, str | None, list[str]]:
    """(the form, its patient's `of` filled from its `table`: picture → patient; the file in DATA
    that was read for it, or None; sentences). A picture without a row, or of an unknown patient, is
    nobody's. others: pictures that lie there too.
    """
    if "table" not in form.patient or not images:
        return form, None, []
    said = form.patient["table"]
    said = {"file": said} if isinstance(said, str) else said
    path, name = located(said["file"], "patient.table", data, form_path)
    frame, notes = read(path)
    try:
        told = [said[key] for key in ("picture", "patient") if key in said]
        if absent := [column for column in told if column not in frame]:
            raise StudyError(f"has no column {absent[0]}; it has {', '.join(frame)}")
        if "picture" in said:
            column = said["picture"]
            found = rows(frame[column], images, others) or naming(frame[[column]], images)[1]
        else:
            column, found = naming(frame, images, others)
        own = said.get("patient") or owner(frame, column)
        of = _people(frame[own], found)
    except StudyError as error:
        named = f"{{file: {json.dumps(said['file'], ensure_ascii=False)}, picture: …, patient: …}}"
        raise StudyError(
            f"{path}: {error}; the form can name both columns: patient: {{table: {named}}}"
        ) from None
    count = len({patients.spelling(p) for p in of.values()})
    each = ": each is a patient of its own; is that so?" if count == len(of) > 1 else "."
    notes.append(
        f"Whose a picture is was read from {path.name}, pictures by column {column}, patients by"
        f" column {own}: {count} patients of {len(of)} pictures{each}"
    )
    return replace(form, patient=form.patient | {"of": of}), name, notes


def _people(cells: pd.Series, found: dict[str, list]) -> dict[str, str]:
    """{picture: patient} of those that are known."""
    cells = cells.str.strip()
    if cells.str.fullmatch(r"(\d+\.0)?").all():  # numbers, as some programs save them
        cells = cells.str.removesuffix(".0")
    cells = cells.mask(cells.str.casefold().isin(["", *patients.UNKNOWN.split()]), "")
    of = {}
    for image, at in found.items():
        people = sorted(set(cells[at]))
        if len(people) > 1:
            where = f"{cells.name}, row {', '.join(map(str, at))}"
            raise StudyError(f"{where}: {image} is of {' and '.join(map(repr, people))}")
        if people[0]:
            of[image] = people[0]
    return of


def suggested(data: Path | str, images: Sequence[str]) -> str:
    """The line of a form, where a table in the folder says of every picture whose it is; or ''."""
    tables = [f for f in find.everything(Path(data)) if f.lower().endswith(ledger.TABLES)]
    for name in tables[:MOST]:
        try:
            frame, _ = read(Path(data) / name)
            column, found = naming(frame.iloc[:, :WIDEST], images)
            own = owner(frame, column)
            known = len(_people(frame[own], found)) == len(images)
        except (StudyError, *find.ODD):
            continue
        if known:
            return (
                f"; {name} says of every picture whose it is (column {own}): if that is a person,"
                f" write patient: {{table: {json.dumps(name, ensure_ascii=False)}}}"
            )
    return ""
