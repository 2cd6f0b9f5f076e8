"""Lists of pictures or patients that say what these are for: train.txt, val.csv, split.json.

A list may have several columns, a heading, and names with or without folders and endings. All
lists of a folder are read in one way, that which understands most.
"""

import functools
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, zip_longest
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from helpers import readers
from helpers.errors import StudyError
from helpers.schemas import EXTERNAL
from tools.intake import by_picture, find, ledger, spreadsheet
from tools.intake.patterns import plain, stem
from tools.intake.split_words import BY_HAND, of_cell, other_words, split_of, words

TEXTS = (".txt", ".list", ".lst")
#: what may hold a list, read here or not
ENDINGS = (*TEXTS, *ledger.TABLES, ".json", ".xml", ".mat", ".pkl", ".npy", ".npz")
#: what a table that is a list is called besides its split
LISTING = re.compile(
    r"(?i)(ids?|lists?|names?|files?|filenames?|cases?|patients?|subjects?|fold|split|masks?|labels?)"
)
#: a file of the whole split: 'splits_final.json', 'Datenaufteilung.xlsx'
WHOLE = re.compile(
    r"(?i)(.*[ _-])?(data)?(splits?|folds?|partitions?)([ _-].*)?|.*(aufteilung|划分).*"
)
#: what a column of the folds of a cross-validation is called
FOLD = re.compile(r"(?i)\s*(cv|k)?[ _-]?folds?([ _-]?(id|nr|no|number))?\s*")
#: words of what a training leaves behind
LOG = re.compile(
    r"(?i)logs?|loss(es)?|histor(y|ies)|results?|metrics?|scores?|times?|predictions?|epochs?"
)
FOLDS = "folds"  # of a cross-validation, in one file
ANEW = (
    ", of which each picture is tested once: folds are drawn anew here, and a test set of the"
    " authors is not among them."
)
LARGEST = 1 << 27  # bytes of a list
COLUMNS = 6  # of a list that are looked at
ORDER = ("train", "val", "test", EXTERNAL)


@dataclass(frozen=True)
class List:
    """source: its file, with the split where that holds several; lines: as written; cells: those of
    each line.
    """

    source: str
    split: str
    lines: list[str]
    cells: list[list[str]]


def is_log(file: str) -> bool:
    """Whether a file is called as what a training, or a test, leaves behind."""
    return any(map(LOG.fullmatch, re.findall(r"[^\W\d_]+", stem(file))))


def is_called_so(file: str) -> bool:
    """Whether a file is called as a list of what pictures are for, or as a whole split."""
    named = split_of(stem(file)) or WHOLE.fullmatch(stem(file))
    return bool(file.lower().endswith(ENDINGS) and named and not _is_else(file))


def _is_else(file: str) -> bool:
    """Whether a file's name says that it holds something else: numbers of a training, settings,
    'test_set_pixel_size.csv', and 'train_masks.csv', as masks are no pictures.
    """
    named = words(stem(file))
    if is_log(file) or not file.lower().endswith(ledger.TABLES):
        return is_log(file)
    only = [w for w in named if not LISTING.fullmatch(w)]
    mask = any(re.fullmatch("masks?|labels?", w) for w in named)
    return not WHOLE.fullmatch(stem(file)) and (mask or other_words(" ".join(only)))


def read(
    images: list[str], data: Path, people: Sequence[str | None], looked: set[str]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """(source → image → split, those to learn from first; doubts on lists that are not understood,
    or not to their last line). looked: files that were read otherwise.
    """
    pictures, exact, groups = _known(images, people)
    found: list[List] = []
    doubts: list[str] = []
    tagged = defaultdict(list)
    for file in sorted(find.everything(data)):
        if file in looked or _is_of_one(plain(stem(file)), pictures):
            if split := _tag(data / file):
                tagged[split].append(stem(file))
            continue  # such as YOLO's text of one picture
        try:
            own = _lists(data / file, file)
        except (StudyError, *find.ODD):
            own = []
        if own == FOLDS:
            doubts.append(f"{file} holds the folds of a cross-validation{ANEW}")
        elif isinstance(own, list) and own:
            found += own
        elif own is not None and is_called_so(file):
            doubts.append(_not_read(file))
    if len(tagged) > 1:
        lists = ((f"tags of Supervisely ({s})", s, own) for s, own in tagged.items())
        found += [List(source, s, own, [[n] for n in own]) for source, s, own in lists]
    found.sort(key=lambda one: ORDER.index(one.split))
    meant, unclear = _meaning(found, pictures, exact, groups)
    told: dict[str, dict[str, str]] = {}
    for one in found:
        each = meant.get(one.source, [])
        lost = [line for line, image in zip(one.lines, each, strict=False) if not image]
        if lost and lost[0] == one.lines[0] and _is_heading(lost[0]):
            lost, each = lost[1:], each[1:]
        named = set().union(*filter(None, each))
        if unclear:
            doubts.append(f"{one.source}: {unclear}")
        elif 2 * len(lost) < len(each):
            told[one.source] = dict.fromkeys(named, one.split)
            if lost:
                doubts.append(
                    f"{one.source}: {len(lost)} of its {len(each)} lines name no picture here, such"
                    f" as {lost[0]!r}: was a picture renamed, or is it lost? Its split was drawn."
                )
        elif named or is_called_so(one.source.partition(" (")[0]):
            doubts.append(_not_read(one.source, next(iter(lost), "")))
    return _without_folds(*_without_folders_of_folds(told, doubts))


def _known(images: list[str], people: Sequence[str | None]) -> tuple[dict, dict, dict]:
    """(names → the images that they may mean; whole names alone; folders and patients → theirs)."""
    pictures, exact, groups = defaultdict(set), defaultdict(set), defaultdict(set)
    for image, patient in zip_longest(images, people):
        for name in (image, PurePosixPath(image).name):
            exact[plain(name)].add(image)
        for name in (image, PurePosixPath(image).name, stem(image)):
            pictures[plain(name)].add(image)
        for name in {*PurePosixPath(image).parts[:-1], patient} - {None}:
            groups[plain(name)].add(image)
    return pictures, exact, groups


def _is_of_one(name: str, pictures: dict) -> bool:
    """Whether a file is called as one picture, or as one and what is told of it."""
    begun = (name[: m.start()] for m in re.finditer(r"[ _.-]", name))
    return name in pictures or any(start in pictures for start in begun)


def _lists(path: Path, file: str) -> list[List] | str | None:
    """The lists in a file: none where it holds none, None where it is something else, FOLDS."""
    split, whole = split_of(stem(file)), bool(WHOLE.fullmatch(stem(file)))
    end, several = readers.suffix(path), None
    if _is_else(file) or not (split or whole or end in (".xml", ".json")):
        return []
    if end == ".json":
        content = _parsed(path)
        if isinstance(content, list) and content and all(isinstance(c, dict) for c in content):
            if any(_by_split(c) for c in content):
                return FOLDS
            if own := _records(file, content):
                return own
        several = _by_split(content)
        names = content.get("images") if isinstance(content, dict) else content
        if not (split or whole or (several and path.name == "dataset.json")):
            return None  # outlines, settings
        if isinstance(content, dict) and not (several or whole or names):
            return None
        rows = [[name] for name in _names(names)]
    elif end == ".xml":
        several, rows = _subsets(path), []
    elif end in TEXTS:
        text = spreadsheet.decoded(path.read_bytes())[0]
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if whole:
            several = _by_word([re.split(r"[\s,;]+", line) for line in lines])
        rows = [re.split(r"[,;\t]+", line) for line in lines]
    elif end in (".csv", ".tsv", ".xlsx"):
        rows = [cells for _, cells in spreadsheet.cells(path)[0]]
        if whole:
            several = _by_word(rows)
            if not several and any(map(FOLD.fullmatch, rows[0])):
                return FOLDS
    else:
        return []
    if several:
        return [
            List(f"{file} ({s})", s, own, [re.split(r"[,;\t]+", n) for n in own])
            for s, own in several.items()
        ]
    if not (split and rows):
        return []
    return [List(file, split, [",".join(r) for r in rows], rows)]


def _records(file: str, content: list[dict]) -> list[List]:
    """The lists in JSON with an entry a picture, which says its split."""
    found = defaultdict(list)
    for entry in content:
        said = [s for v in entry.values() if isinstance(v, str) and (s := of_cell(v))]
        if len(said) == 1 and (name := _names([entry])):
            found[said[0]] += name
    own = found if len(found) > 1 else {}
    return [List(f"{file} ({s})", s, names, [[n] for n in names]) for s, names in own.items()]


def _parsed(path: Path) -> Any:
    if path.stat().st_size > LARGEST:
        return None
    text = spreadsheet.decoded(path.read_bytes())[0]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _names(entries: Any) -> list[str]:
    """The names in a list of names, or of entries that hold one."""
    if not isinstance(entries, list):
        return []
    keys = ("image", "file_name", "img", "filename", "name")
    held = [
        next((e[k] for k in keys if k in e), None) if isinstance(e, dict) else e for e in entries
    ]
    return [name for name in held if isinstance(name, str) and name]


def _by_split(content: Any) -> dict[str, list[str]] | None:
    """Split → names, of JSON with a list for each split; None where it is none."""
    if not isinstance(content, dict):
        return None
    named = {s: _names(own) for k, own in content.items() if (s := split_of(str(k)))}
    return named if len(named) > 1 and all(named.values()) else None


def _tag(path: Path) -> str | None:
    """The split that Supervisely's tags of one picture say, or None."""
    if readers.suffix(path) != ".json" or path.parent.name != "ann":
        return None
    content = _parsed(path)
    tags = content.get("tags") if isinstance(content, dict) else None
    named = {split_of(str(t.get("name"))) for t in tags or () if isinstance(t, dict)} - {None}
    return named.pop() if len(named) == 1 else None


def _subsets(path: Path) -> dict[str, list[str]] | None:
    """Split → names, of CVAT's file that says of each picture to which subset it belongs."""
    found = defaultdict(list)
    for entry in re.findall(r"<image\b[^>]*>", path.read_text(encoding="utf-8", errors="replace")):
        told = dict(re.findall(r'(\w+)="([^"]*)"', entry))
        if split := split_of(told.get("subset", "")):
            found[split].append(told.get("name", ""))
    return dict(found) if len(found) > 1 else None


def _by_word(rows: list[list[str]]) -> dict[str, list[str]] | None:
    """Split → lines, of rows of cells in which one cell says the split; None of others."""
    found = defaultdict(list)
    for cells in rows:
        said = {k: s for k, cell in enumerate(cells) if (s := split_of(cell.strip()))}
        if len(said) == 1:
            at, split = said.popitem()
            found[split].append(",".join(c for k, c in enumerate(cells) if k != at))
    counted = sum(map(len, found.values()))
    return dict(found) if len(found) > 1 and counted >= len(rows) - 1 else None


def _meaning(
    found: list[List], pictures: dict, exact: dict, groups: dict
) -> tuple[dict[str, list], str]:
    """({source: the images of each of its lines, or None}, why that is unclear, or '').

    Whole names of pictures are believed first, then what the headings say, then the reading that
    understands most.
    """
    headings = {k: c for one in found for k, c in enumerate(one.cells[0]) if _is_heading(c)}
    persons = {k for k, c in headings.items() if by_picture.personal(c)}
    files = {k for k, c in headings.items() if by_picture.FILE.search(c)} - persons
    lines = sum(len(one.lines) for one in found)
    widest = min(COLUMNS, max((len(c) for one in found for c in one.cells), default=0))
    ways = [("line", 0), *(("cell", k) for k in range(widest))]
    if any(re.search(r"\s", line) for one in found for line in one.lines):
        ways += [("word", k) for k in range(COLUMNS)]
    look = functools.cache(functools.partial(_look_up, (exact, pictures, groups)))
    read: list[tuple[tuple[int, bool, int], dict[str, list]]] = []
    many, people = 0, {}
    for how, k in ways:
        whole, seen, theirs = ({one.source: [] for one in found} for _ in range(3))
        for one in found:
            for text in _texts(one, how, k):
                of = look(one.source.rpartition("/")[0], text)
                for meant, table in zip(of, (whole, seen, theirs), strict=True):
                    table[one.source].append(meant)
        read.append(((_count(whole), how != "line" and k in files, _count(seen)), seen))
        if _count(theirs) > many and (k in persons or not persons):
            many, people = _count(theirs), theirs
    best, seen = max(read, key=lambda one: one[0])
    if best[2] and any(how == best and not _alike(other, seen) for how, other in read):
        return seen, "two of its columns could name pictures; leave one of them. " + _drawn()
    if 2 * best[0] > lines:
        return seen, ""
    if persons:
        return (people if 2 * many > lines else seen), ""
    if many and many == best[2] and not _alike(people, seen):
        return seen, "its lines could be pictures, or patients and their folders. " + _drawn()
    return (people if many > best[2] else seen), ""


def _drawn() -> str:
    return f"The split was drawn anew; write pictures with their endings, or {BY_HAND}."


def _texts(one: List, how: str, k: int) -> list[str]:
    if how == "line":
        return one.lines
    split = one.cells if how == "cell" else [re.split(r"[\s,;]+", line) for line in one.lines]
    return [cells[k].strip() if k < len(cells) else "" for cells in split]


def _look_up(tables: Sequence[dict], above: str, text: str) -> list[set | None]:
    """What a text of a list in the folder ``above`` means, in whole names, in names, of which it
    must be one, and among patients and folders: images or None each.
    """
    if not text:
        return [None, None, None]
    path = unquote(text).replace("\\", "/")
    there = (PurePosixPath(above) / path).as_posix()  # as seen from where the list lies
    forms = [plain(n) for n in (there, path, PurePosixPath(path).name, stem(path)) if n]
    found = [next((table[f] for f in forms if f in table), None) for table in tables]
    one_alone = [m if m and len(m) == 1 else None for m in found[:2]]
    return [*one_alone, found[2]]


def _count(meant: dict[str, list]) -> int:
    return sum(m is not None for own in meant.values() for m in own)


def _alike(one: dict[str, list], other: dict[str, list]) -> bool:
    """Whether two readings give every list the same images."""
    return all(
        set().union(*filter(None, one[s])) == set().union(*filter(None, other[s])) for s in one
    )


def _is_heading(text: str) -> bool:
    """Whether a line that names no picture may be a heading: words, and no file's name."""
    return not re.search(r"\d", text) and readers.suffix(text.strip()) not in readers.KNOWN


def _without_folders_of_folds(
    told: dict[str, dict[str, str]], doubts: list[str]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """(told, doubts) without the lists of folders of which one tests what another learns from:
    'fold_0/test.txt' and 'fold_1/train.txt'.
    """
    by: dict[PurePosixPath, dict[str, set]] = defaultdict(lambda: defaultdict(set))
    for source, own in told.items():
        for image, split in own.items():
            by[PurePosixPath(source).parent]["test" if split == "test" else "learn"].add(image)
    folds = {
        place
        for place, other in permutations(by, 2)
        if place.parent == other.parent and by[place]["test"] & by[other]["learn"]
    }
    if not folds:
        return told, doubts
    listed = ", ".join(sorted(map(str, folds))[:3])
    doubts.append(f"{listed} hold the folds of a cross-validation{ANEW}")
    return {s: t for s, t in told.items() if PurePosixPath(s).parent not in folds}, doubts


def _without_folds(
    told: dict[str, dict[str, str]], doubts: list[str]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """(told, doubts) where pictures are to be learned from in one list and stop a training in
    another, as in the folds of a cross-validation: then all of these are to learn from.
    """
    own = {
        s: set(t) for s, t in told.items() if "train" in t.values() and "val" not in stem(s).lower()
    }
    val = {s: set(t) for s, t in told.items() if "val" in t.values()}
    both = [(a, b) for a in own for b in val if own[a] & val[b]]
    if not both:
        return told, doubts
    a, b = both[0]
    doubts.append(
        f"{a} and {b} share pictures, as the folds of a cross-validation do: folds are drawn anew"
        " here, and so is what stops a training."
    )
    told = {s: dict.fromkeys(t, "train") if s in {*own, *val} else t for s, t in told.items()}
    return told, doubts


def _not_read(file: str, line: str = "") -> str:
    said = f", such as {line[:40]!r}," if line else ""
    return (
        f"{file} is called as a list of what pictures are for, and what it holds{said} names none"
        " of them: the authors' split may be lost. Write the pictures as they lie here, a line"
        f" each, in train.txt, val.txt and test.txt, or {BY_HAND}."
    )
