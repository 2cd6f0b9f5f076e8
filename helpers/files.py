"""Files written whole or not at all, and the digest of their bytes."""

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.errors import StudyError

if TYPE_CHECKING:  # most who write a file need no tables
    import pandas as pd

#: how a file begins that is being written, or was when its process was killed
PART = ".part-"
#: endings of files whose values may lie, or be explained, in a file beside them
ACCOMPANIED = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr", ".tif", ".tiff")
#: how a cell begins that a spreadsheet would run, behind any apostrophes
FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def sha256(path: Path | str) -> str:
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_sha256(path: Path | str) -> str:
    """Hex digest of a file's bytes; read once in a process as long as its size and time stay."""
    return _digest(Path(path).resolve(), state(path))


@cache
def _digest(path: Path, _: tuple[int, int]) -> str:
    return sha256(path)


@contextmanager
def whole(path: Path | str) -> Iterator[Path]:
    """A temporary name beside ``path``, of the same ending, moved into place if the block ends
    well; another process that writes the same file has a name of its own.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{PART}{os.getpid()}-{path.name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_json(path: Path | str) -> Any:
    """What a JSON file holds; StudyError that names it where it cannot be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=_once)
    except (OSError, ValueError, RecursionError) as error:
        raise StudyError(
            f"{path}: cannot be read ({error}); put the original back, or make it again"
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dict; ValueError where a key is given twice, of which one would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(n for n in names if names.count(n) > 1)!r} is given twice")
    return found


def write_json(value: object, path: Path | str) -> None:
    """Write JSON whole or not at all; what JSON does not know is written as text."""
    with whole(path) as part:
        part.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")


def safe_cell(value: Any) -> Any:
    """A cell that no spreadsheet runs: text that begins like a formula (= + - @, tab, line end) and
    is no number gets an apostrophe in front. :func:`plain_cell` takes it away again.
    """
    text = isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value)
    return f"'{value}" if text else value


def plain_cell(value: Any) -> Any:
    """What :func:`safe_cell` was given, unchanged."""
    guarded = isinstance(value, str) and value[:1] == "'" and FORMULA.match(value)
    return value[1:] if guarded else value


def csv_text(frame: "pd.DataFrame") -> str:
    """A table as CSV text whose cells no spreadsheet runs. Floats keep every digit."""
    frame = _cells(frame, safe_cell)
    # the csv module leaves a lone \r unquoted, and a reader would end the row there
    texts = [text for i in _texts(frame) for text in _different(frame.iloc[:, i])]
    bare = any("\r" in text for text in [*map(str, frame.columns), *texts])
    quoting = csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL
    return frame.to_csv(index=False, lineterminator="\n", quoting=quoting)


def write_csv(frame: "pd.DataFrame", path: Path | str) -> None:
    """Write a table (see :func:`csv_text`) whole or not at all."""
    with whole(path) as part:
        part.write_bytes(csv_text(frame).encode())


def read_csv(path: Path | str, content: bytes | None = None, **options: Any) -> "pd.DataFrame":
    """The table that :func:`write_csv` wrote, DataFrame: cells unchanged, floats to the last digit.

    Only an empty cell is a missing value: a patient or class called "NA" is one. content: of the
    file, where it is packed. options: as pandas.read_csv takes them, dtype above all. StudyError
    where it is no such table.
    """
    import pandas as pd  # here, not above: most who write a file need no tables

    usual = {"keep_default_na": False, "na_values": [""], "encoding": "utf-8"}
    try:
        frame = pd.read_csv(path if content is None else io.BytesIO(content), **usual | options)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; put it back, or make it again") from None
    except ValueError as error:  # pandas' own are such
        raise StudyError(f"{path}: not a readable CSV: {' '.join(str(error).split())}") from None
    return _cells(frame, plain_cell)


def read_rows(path: Path | str) -> list[dict[str, str]]:
    """The rows of a CSV, one dict of text each, cells as :func:`read_csv` gives them (list)."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [[plain_cell(cell) for cell in row] for row in csv.reader(file)]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:] if row]


def _texts(frame: "pd.DataFrame") -> list[int]:
    """Positions of the columns that may hold text (list of int)."""
    return [i for i, dtype in enumerate(frame.dtypes) if dtype.kind not in "biufcmM"]


def _different(column: "pd.Series") -> list[str]:
    """The different texts of a column (list of str)."""
    return [value for value in column.dropna().unique() if isinstance(value, str)]


def _cells(frame: "pd.DataFrame", change: Callable) -> "pd.DataFrame":
    """The frame with ``change`` applied to its texts and to the names of its columns."""
    frame = frame.rename(columns=change)
    for i in _texts(frame):
        column = frame.iloc[:, i]
        if any(change(text) != text for text in _different(column)):
            new = column.astype(object).map(change)
            frame.isetitem(i, new if column.dtype == "category" else new.astype(column.dtype))
    return frame


def write_record(about: dict, made: Iterable[str], path: Path | str, base: Path | str) -> None:
    """Write a step's record: about, files (relative to ``base``), size, time and digest of each."""
    states = {name: [*state(Path(base, name)), sha256(Path(base, name))] for name in made}
    content = about | {"files": list(states), "states": states}
    write_json(content | {"digest": _own(content)}, path)


def _own(content: dict) -> str:
    """Digest of what a record says."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def changed(record: Path | str, base: Path | str, every_byte: bool = False) -> list[str]:
    """Files of a step's record that are gone or hold other bytes; itself where it cannot be read.

    A file of the same size and time is taken as it is, unless ``every_byte`` is asked for; of any
    other the bytes are compared.
    """
    try:
        content = read_json(record)
        digest = content.pop("digest", None)  # records of earlier versions have none
        if digest is not None and digest != _own(content):
            return [os.path.relpath(record, base)]
        known = {name: content["states"][name] for name in content["files"]}
        return [name for name in known if not _as_known(Path(base, name), known[name], every_byte)]
    except (ValueError, LookupError, TypeError):
        return [os.path.relpath(record, base)]


def _as_known(path: Path, known: list, every_byte: bool) -> bool:
    """Whether a file is there and as write_record noted it: size, time, digest."""
    *about, digest = known
    same = not every_byte and path.is_file() and [*state(path)] == about
    return same or (path.is_file() and sha256(path) == digest)


def state(path: Path | str) -> tuple[int, int]:
    """Size and modification time (ns) of a file."""
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns
