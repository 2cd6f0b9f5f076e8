"""Does anything that leaves the house name a person? Names, birth dates and original ids of a key
file are looked for in every text that belongs to a study.
"""

import csv
import gzip
import html
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

from helpers import files, studies
from helpers.errors import StudyError

#: what is read as text; everything else is counted, and said not to have been looked at
TEXTS = (
    ".html",
    ".js",
    ".json",
    ".csv",
    ".ipynb",
    ".svg",
    ".md",
    ".txt",
    ".yml",
    ".log",
    ".sha256",
    ".xml",
)
SHORTEST = 4  # a shorter id or name stands in every text by chance
DATES = ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y")
#: columns of a key file that name nobody
OWN = ("new", "patient_id", "secret")


def needles(key: Path | str) -> tuple[set[str], int]:
    """(what to look for, how many cells are too short to look for): set of str in lower case, int.

    key: the CSV that de-identification wrote, or any other with a header; every cell counts but
    those of the column 'new'. A name counts as a whole and in parts, a date in five spellings.
    """
    try:
        with open(key, newline="", encoding="utf-8-sig") as file:
            header, *rows = [[files.plain_cell(c) for c in row] for row in csv.reader(file) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise StudyError(f"{key}: cannot be read as a key file ({error})") from None
    kept = [k for k, name in enumerate(header) if name.strip().lower() not in OWN]
    new = {_plain(c) for r in rows for k, c in enumerate(r) if k not in kept}
    cells = {row[k].strip() for row in rows if row[0] != "# secret" for k in kept if k < len(row)}
    found = set()
    for cell in cells - {""}:
        found |= {cell, *re.split(r"[\^,;|\s]+", cell)}
        for spelling in DATES:
            try:
                day = datetime.strptime(cell, spelling)
            except ValueError:
                continue
            found |= {day.strftime(other) for other in DATES}
    found = {_plain(text.strip("=+-@.'\"()")) for text in found}
    found = {text for text in found if len(text) >= SHORTEST}
    return found - new, sum(len(cell) < SHORTEST for cell in cells - {""})


def places(study: studies.Study) -> list[Path]:
    """Every file of a study that may be passed on: its manifest, its run without images, its
    reports (sorted list).
    """
    run = [p for p in study.run.rglob("*") if "data" not in p.relative_to(study.run).parts[:1]]
    others = [*study.root.rglob("*"), *(studies.ROOT / "reports" / study.name).rglob("*")]
    return sorted(p for p in [*run, *others] if p.is_file())


def search(study: studies.Study, key: Path | str) -> tuple[list[str], str]:
    """(problems, sentence on what was looked at): where a text or a file's name holds what the key
    file names. A problem tells file and row of the key, never the name itself.
    """
    wanted, short = needles(key)
    problems, texts, others = [], 0, 0
    for path in places(study):
        problems += _in(path.name, f"{path}: its name", wanted)
        if path.suffix in (".zip", ".docx"):
            problems += _in_zip(path, wanted)
        elif path.suffix == ".gz":
            texts += 1
            content = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
            problems += _in(content, str(path), wanted)
        elif path.suffix in TEXTS:
            texts += 1
            problems += _in(path.read_text(encoding="utf-8", errors="replace"), str(path), wanted)
        else:
            others += 1
    said = f"{len(wanted)} names, dates and ids looked for in {texts} texts and all file names"
    said += f"; not looked into: {others} pictures, arrays and weights" * bool(others)
    said += f"; {short} cells of the key are too short to look for" * bool(short)
    return problems, said


def _in(text: str, where: str, wanted: set[str]) -> Iterator[str]:
    """A line for each needle that stands in a text by itself, not within a longer word or
    number; signs may be escaped as HTML, JSON and addresses do, accents stand apart as in the
    names of files on a Mac.
    """
    text = re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), text)
    text = _plain(unquote(html.unescape(text)))
    for needle in sorted(wanted):
        if needle in text:
            alone = re.search(rf"(?<![\w.]){re.escape(needle)}(?!\w|\.\d)", text)
            if alone:
                line = text.count("\n", 0, alone.start()) + 1
                yield f"{where}, line {line}: holds an entry of the key ({len(needle)} signs)"


def _plain(text: str) -> str:
    """A text without what is written now one way, now another."""
    return unicodedata.normalize("NFKC", text).casefold()


def _in_zip(path: Path, wanted: set[str]) -> Iterator[str]:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        for name in archive.namelist():
            if Path(name).suffix in TEXTS:
                text = archive.read(name).decode("utf-8", "replace")
                yield from _in(text, f"{path}: {name}", wanted)
