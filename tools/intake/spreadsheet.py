"""A table as offices hand it over: CSV of any separator and encoding, or an Excel file."""

import csv
import datetime
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import charset_normalizer
import openpyxl
import pandas as pd

from helpers.errors import StudyError, raise_all
from helpers.files import plain_cell
from tools.intake import variables

#: encodings that are tried where the text is not UTF-8; the first is Excel's in western Europe
ENCODINGS = ["cp1252", "cp1250", "gb18030", "big5", "shift_jis", "cp949", "cp1251", "mac_roman"]
EUROPEAN = ("cp1252", "cp1250", "mac_roman")
SPOKEN = {"cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp1251": "Windows-1251"}
#: what a table of people may hold: cells, and bytes once an Excel file is unpacked
CELLS, UNPACKED = 2_000_000, 500_000_000
WORD = re.compile(r"[^\W\d_]+")


def read(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """(frame of text, index is the row in the file from 1; sentences on how it was read)."""
    numbered, notes = cells(path)
    start = _header(numbered) or 0
    if start:
        notes.append(f"The headings of the table were taken from its row {numbered[start][0]}.")
    (_, header), *body = numbered[start:]
    width = len(header)  # a separator too many ends a row with nothing
    body = [(k, r if any(c.strip() for c in r[width:]) else r[:width]) for k, r in body]
    ragged = [
        f"row {k}: {len(r)} cells, the header has {len(header)}"
        for k, r in body
        if len(r) != len(header)
    ]
    raise_all(ragged, path)
    if not body:
        raise StudyError(f"{path}: has a header but no patient; give one row a patient")
    frame = pd.DataFrame([[plain_cell(c) for c in r] for _, r in body], columns=header, dtype=str)
    frame.index = [k for k, _ in body]
    return frame, notes


def cells(path: Path) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """([(row number, cells)] of the rows that hold something; sentences on how it was read)."""
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise StudyError(f"{path}: no such file; give the table of patients as CSV") from None
    if raw[:4] == b"\xd0\xcf\x11\xe0" and "EncryptedPackage".encode("utf-16le") in raw:
        raise StudyError(f"{path}: is protected by a password; save it without, or as CSV")
    if raw[:4] == b"\xd0\xcf\x11\xe0":
        raise StudyError(f"{path}: is an old spreadsheet (.xls); save it as .xlsx or 'CSV UTF-8'")
    if raw[:4] == b"PK\x03\x04":
        numbered, notes = _excel(path)
    else:
        text, notes = decoded(raw)
        if "\0" in text:
            raise StudyError(f"{path}: is no text; save the table as 'CSV UTF-8' or .xlsx")
        if not text.strip():
            raise StudyError(f"{path}: is empty; give one row a patient")
        try:
            numbered = _filled(_rows(text))
        except csv.Error as error:
            raise StudyError(f"{path}: is no table ({error}); give one row a patient") from None
    if not numbered:
        raise StudyError(f"{path}: is empty; give one row a patient")
    return numbered, notes


def sheets(path: Path) -> list[str]:
    """The names of an Excel file's sheets that hold something; of other files none."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return []
    book = openpyxl.load_workbook(path, read_only=True)
    return [s.title for s in book.worksheets if any(True for _ in s.iter_rows(max_row=1))]


def _filled(rows: list[list[str]]) -> list[tuple[int, list[str]]]:
    """[(row number, cells)] of the rows that hold something."""
    return [(k, r) for k, r in enumerate(rows, 1) if any(cell.strip() for cell in r)]


def _header(numbered: list[tuple[int, list[str]]]) -> int | None:
    """Place of the first row that names a patient, among the first ten, or None: titles and merged
    cells may stand above it, which fill fewer cells than headings do.
    """
    filled = [sum(bool(c.strip()) for c in r) for _, r in numbered[:10]]
    known = [k for k, (_, r) in enumerate(numbered[:10]) if any(_is_patient(c) for c in r)]
    first = next((k for k in known if filled[k] > max([1, *filled[:k]])), None)
    while first is not None and first + 1 in known and filled[first + 1] >= filled[first]:
        first += 1  # a heading that was merged over two rows: the lower one names the columns
    return first


def _is_patient(cell: str) -> bool:
    return variables.canonical(cell) == "patient_id"


def decoded(raw: bytes) -> tuple[str, list[str]]:
    """(text, sentences): UTF-8 or UTF-16 by their marks, else the encoding that reads best.

    Where it is not UTF-8, words with other than ASCII letters are shown, for a person to judge.
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace"), ["The table was read as UTF-16."]
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        pass
    best = charset_normalizer.from_bytes(raw, cp_isolation=ENCODINGS).best()
    encoding = _chosen(raw, best.encoding if best else None)
    text = raw.decode(encoding)
    words = [w for w in dict.fromkeys(WORD.findall(text)) if not w.isascii()]
    return text, [
        f"The table is no UTF-8; it was read as {SPOKEN.get(encoding, encoding.upper())}. Are these"
        f" words right: {', '.join(words[:6])}? Else save it as 'CSV UTF-8'."
    ]


def _chosen(raw: bytes, guess: str | None) -> str:
    """The encoding of a text that is not UTF-8.

    Single letters among ASCII ones, or two of them inside of a word as in 'Größe', are a European
    text, which East Asian encodings read as well, two letters as one sign; a guess from a handful
    of letters is worth less than that Chinese tables are mostly GB18030.
    """
    runs = re.findall(rb"[\x80-\xff]+", raw)
    inside = re.findall(rb"[A-Za-z][\x80-\xff]{2}(?=[A-Za-z])", raw)
    if sum(len(r) == 1 for r in runs) + len(inside) > len(runs) / 2:
        order = [guess, "cp1252"] if guess in EUROPEAN else ["cp1252", guess]
    elif sum(map(len, runs)) < 200:
        order = ["gb18030", guess, "cp1252"]
    else:
        order = [guess, "gb18030", "cp1252"]
    for encoding in filter(None, order):
        try:
            raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def _rows(text: str) -> list[list[str]]:
    """Cells of a CSV; Excel's first line 'sep=;' names the separator and is no row, though it
    counts in the numbers of rows.
    """
    told = re.match(r'"?sep=(.)"?\s*\r?\n', text, re.IGNORECASE)
    if told:
        body = list(csv.reader(io.StringIO(text[told.end() :]), delimiter=told[1]))
        return [[], *body]
    first = next(line for line in text.splitlines() if line.strip())
    likely = sorted(",;\t|", key=first.count, reverse=True)  # a title may hold other ones
    read = [list(csv.reader(io.StringIO(text), delimiter=separator)) for separator in likely]
    return next((rows for rows in read if _header(_filled(rows)) is not None), read[0])


def _excel(path: Path) -> tuple[list[tuple[int, list[str]]], list[str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > UNPACKED:
                raise StudyError(f"{path}: unpacks to more than {UNPACKED:,} bytes; save its table")
            sheets = [n for n in archive.namelist() if n.startswith("xl/worksheets/")]
            merged = any(b"<mergeCell " in archive.read(name) for name in sheets)
        books = [
            openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=values)
            for values in (True, False)
        ]
    except StudyError:
        raise
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        OSError,
        openpyxl.utils.exceptions.InvalidFileException,
    ) as error:
        raise StudyError(
            f"{path}: is no readable .xlsx ({error}); save it as .xlsx or CSV"
        ) from None
    filled, left = [], CELLS
    for sheet, written in zip(*(book.worksheets for book in books), strict=True):
        rows = []
        for one in (sheet, written):
            one.reset_dimensions()  # what a sheet says of its size may be the whole grid
        for row, own in zip(
            *(s.iter_rows(values_only=True) for s in (sheet, written)), strict=True
        ):
            left -= 1 + len(row)
            if left < 0:
                raise StudyError(f"{path}: holds more than {CELLS:,} cells; save the table alone")
            for value, formula in zip(row, own, strict=True):
                if value is None and str(formula).startswith("="):
                    raise StudyError(
                        f"{path}: sheet {sheet.title!r}, row {len(rows) + 1}: the formula {formula}"
                        " has no value in the file; open it in Excel and save it, or save a CSV"
                    )
            rows.append([_cell(value) for value in row])
        if any(any(r) for r in rows):
            filled.append((sheet.title, rows))
    several = _unmerged(path, dict(filled)) if merged else set()
    if not filled:
        raise StudyError(f"{path}: is empty; give one row a patient")
    named = [sheet for sheet in filled if _header(_filled(sheet[1])) is not None]
    title, rows = (named or filled)[0]
    width = max(k + 1 for r in rows for k, cell in enumerate(r) if cell)
    rows = [(r + [""] * width)[:width] for r in rows]
    notes = [f"The table was read from the sheet {title!r} of an Excel file."]
    if title in several:
        notes.append("Cells that were merged over several rows count for each of these.")
    if others := [t for t, _ in filled if t != title]:
        notes.append(f"Its other sheets were not read: {', '.join(others)}.")
    return _filled(rows), notes


def _unmerged(path: Path, sheets: dict[str, list[list[str]]]) -> set[str]:
    """Fills the rows of every sheet {title: rows} where one cell stands for several of them, as a
    person sees it; the titles of those with such cells. Cells over columns alone are titles.
    """
    try:
        book = openpyxl.load_workbook(path, data_only=True)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise StudyError(f"{path}: is no readable .xlsx ({error}); save it as CSV") from None
    several = set()
    for title, rows in sheets.items():
        for cells in book[title].merged_cells.ranges:
            told = [
                c for row in rows[cells.min_row - 1 :][:1] for c in row[cells.min_col - 1 :][:1]
            ]
            if cells.max_row == cells.min_row or not any(told):
                continue
            several.add(title)
            for row in filter(any, rows[cells.min_row : cells.max_row]):  # none below the table
                row += [""] * (cells.min_col - len(row))
                row[cells.min_col - 1] = told[0]
    return several


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
