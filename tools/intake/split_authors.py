"""The authors' own split of a set, as folders, lists and tables say it.

What is plain is taken; what looks like a split and is not understood is asked about.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path, PurePosixPath

import pandas as pd

from helpers.errors import StudyError
from helpers.schemas import EXTERNAL
from tools.intake import by_picture, find, ledger, patients, split_lists, spreadsheet, variables
from tools.intake.split_words import (
    BY_HAND,
    COMMON,
    is_split,
    of_cell,
    other_words,
    split_of,
    words,
)

#: what is learned from, in one way or another; the rest is for tests
LEARN = ("train", "val")
#: what a column of the split is called; the first word may as well name a source
SPLIT = re.compile(
    r"(?i)(data[ _]?)?(sets?|splits?|subsets?|partitions?|usage)([ _]name)?|(daten)?aufteilung"
    r"|partici[oó]n|reparto|r[ée]partition|数据集(划分)?|划分"
)
SOURCE = re.compile(r"(?i)(data[ _]?)?sets?([ _]name)?|数据集")
YES, NO = ("1", "1.0", "yes", "true", "x", "ja", "y"), ("0", "0.0", "no", "false", "", "nein", "n")
FEW = 4  # different words of a column that may be a split
EMPTY = ("", "nan", "na", "n/a", "none", "-")


def by_folder(images: list[str]) -> dict[str, str] | None:
    """The authors' own split, image → train, val, test or external: by their folders, where there
    are at least two of them; images that lie in none are to learn from. Else None.
    """
    found = dict.fromkeys(images, "train") | _told_by_folders(images)
    return found if len(set(found.values())) > 1 and "train" in found.values() else None


def _told_by_folders(images: list[str]) -> dict[str, str]:
    """image → what its folders say; a folder that all of them share says nothing."""
    found = {}
    folders = {image: PurePosixPath(image).parts[:-1] for image in images}
    shared = sum(1 for parts in _columns(folders.values()) if len(set(parts)) == 1)
    for image, parts in folders.items():
        told = [split for part in parts[shared:] if (split := split_of(part))]
        if told:
            found[image] = EXTERNAL if EXTERNAL in told else told[0]
    return found


def _columns(folders: Iterable[tuple[str, ...]]) -> list[tuple]:
    """The levels of several paths, from the top as long as all are alike, and one more."""
    levels = []
    for parts in zip_longest(*folders):
        levels.append(parts)
        if len(set(parts)) > 1:
            break
    return levels


def by_authors(
    images: list[str], data: Path, people: Sequence[str | None] = ()
) -> tuple[dict[str, str] | None, list[str], list[str]]:
    """(the authors' own split or None, the files that say it, doubts): by lists of pictures, of
    their folders or of patients (train.txt, val.txt, of which trainval.txt is no third one), by a
    table with a column of it, else by folders. people: the patient of each image, where known.

    StudyError where of two of these one would test what the other learns from. That something is
    called as a split, and is not wholly understood, is a doubt.
    """
    tables, doubts, looked = _by_tables(images, data, people)
    listed, more = split_lists.read(images, data, people, looked)
    doubts += more
    folders = by_folder(images)
    told = {**listed, **tables, "its folder": _told_by_folders(images) if folders else {}}
    by: dict[str, tuple[str, str]] = {}  # image → its split, and who said so first
    for source, found in told.items():
        for image, split in found.items():
            first, other = by.get(image, (split, source))
            if (first in LEARN) != (split in LEARN):
                raise StudyError(
                    f"{image} is {first} by {other}, {split} by {source}: is it to be learned from"
                    f" or tested? Mend one of them, or {BY_HAND}"
                )
            by.setdefault(image, (split, source))
    for sources in (listed, tables):
        found = {image: split for own in sources.values() for image, split in own.items()}
        whole = dict.fromkeys(images, "train") | (folders or {}) | found
        if found and len(set(whole.values())) > 1 and "train" in whole.values():
            if sources is listed:
                doubts += _unlisted(listed, found, images, folders)
            return whole, list(sources), doubts
        if found:
            doubts.append(
                f"{' and '.join(sources)} say only what {' and '.join(sorted(set(found.values())))}"
                f" pictures are: the split was drawn anew. Add the other lists, or {BY_HAND}."
            )
    return folders, [], doubts + (_words_beside(images) if folders else _in_names(images))


def _in_names(images: list[str]) -> list[str]:
    """A sentence where the names of all pictures say a split: 'train_001.png', 'test_011.png'."""
    told = [[s for word in words(PurePosixPath(i).stem) if (s := split_of(word))] for i in images]
    named = {one[0] for one in told if one}
    if len(named) < 2 or "train" not in named or not all(told):
        return []
    return [
        f"The pictures' names say {' and '.join(sorted(named))}, and the split was drawn anew. If"
        " they are the authors' split, put each part into a folder called so, or"
        f" {BY_HAND}."
    ]


def _unlisted(
    sources: dict, found: dict[str, str], images: list[str], folders: dict | None
) -> list[str]:
    """A sentence on pictures that no list names, though one says what to learn from."""
    left = [image for image in images if image not in found]
    if not left or folders or "train" not in found.values():
        return []
    return [
        f"{len(left)} pictures stand in none of {' and '.join(list(sources)[:4])}, such as"
        f" {left[0]}: they are learned from. Leave them out in the form (exclude), or add them to a"
        " list."
    ]


def _words_beside(images: list[str]) -> list[str]:
    """A sentence where pictures lie beside the folders of a split, in others that are called after
    something: 'test' beside 'retest', or 'VA' beside 'CCA', may be what was done, and no test set.
    """
    told = _told_by_folders(images)
    folders = {part for image in told for part in PurePosixPath(image).parts[:-1] if is_split(part)}
    beside = {PurePosixPath(i).parts[:-1] for i in images if i not in told}
    shared = set.intersection(*map(set, beside)) if len(beside) > 1 else set()
    named = {p for parts in beside for p in parts if p not in shared or not told} - {""}
    others = sorted(p for p in named if not all(map(COMMON.fullmatch, words(p) or [""])))
    other = sorted(f for f in folders if other_words(f))
    if not (others or (other and named)):
        return []
    return [
        f"The folders' names were taken for a split: {', '.join(sorted(folders)[:4])}; pictures of"
        f" {', '.join(others[:4] or sorted(named)[:4])} are to learn from. If"
        f" {(other or sorted(folders))[0]} says something else, write split: {{policy: patient"
        " k-fold}, or image k-fold, in a form."
    ]


def _by_tables(
    images: list[str], data: Path, people: Sequence[str | None]
) -> tuple[dict[str, dict[str, str]], list[str], set[str]]:
    """(file → image → split, doubts, the files that these are of): of the tables in the folder with
    a column of train, val, test and the like, and a row a picture or a patient; that of the most
    pictures last.
    """
    tables = [f for f in find.everything(data) if f.lower().endswith(ledger.TABLES)]
    tables.sort(key=lambda f: (not split_lists.is_called_so(f), f.count("/")))
    found, doubts, looked = {}, [], set()
    for file in tables[: by_picture.MOST]:
        if split_lists.is_log(file):
            continue  # numbers of a training
        try:
            frame = by_picture.read(data / file)[0].iloc[:, : by_picture.WIDEST]
        except (StudyError, *find.ODD) as error:
            if why := _perhaps(data / file, error):
                doubts.append(f"{file} {why} {BY_HAND}.")
                looked.add(file)
            continue
        frame, flags = _of_flags(frame)
        if len({*map(of_cell, sheets := spreadsheet.sheets(data / file))} - {None}) > 1:
            doubts.append(
                f"{file} has the sheets {', '.join(sheets[:4])}, of which only one is read: save"
                f" each as a list of its own, train.csv, val.csv and test.csv, or {BY_HAND}."
            )
            looked.add(file)
            continue
        if any(of_cell(c) for c in frame):
            continue  # a list without headings
        cells = {c: frame[c].str.strip() for c in frame}
        told = {c: own.map(split_of if SPLIT.fullmatch(c) else of_cell) for c, own in cells.items()}
        own = [c for c, of in told.items() if 2 * of.notna().sum() > len(of) and _differ(of)]
        own = own or [c for c in frame if SPLIT.fullmatch(c) and _differ(cells[c])]
        own = own or [c for c in frame if told[c].notna().any() and 1 < cells[c].nunique() <= FEW]
        own = [c for c in own if told[c].notna().any() or not SOURCE.fullmatch(c)]
        if not own:
            continue
        rows, why = _rows(frame.drop(columns=own), images, people)
        called = any(SPLIT.fullmatch(c) for c in own)
        unread = {v for c in own for v in cells[c][told[c].isna()] if v.lower() not in EMPTY}
        if len(own) > 1:
            why = f"its columns {' and '.join(own)} could both say it"
        elif not rows and not called:
            continue  # of a training, or of something else
        elif not rows:
            why = f"it is not clear of which: {why}"
        elif "train" not in told[own[0]].values or not _differ(told[own[0]]):
            why = f"its words {', '.join(sorted(unread)[:4])} were not understood"
        else:
            each = {i: set(told[own[0]][at].dropna()) for i, at in rows.items()}
            if both := sorted(image for image, of in each.items() if len(of) > 1):
                raise StudyError(f"{file}: {both[0]} is {' and '.join(sorted(each[both[0]]))}")
            found[file] = {image: of.pop() for image, of in each.items() if of}
            looked.add(file)
            if flags:
                doubts.append(
                    f"{file}: yes and no of {' and '.join(repr(c) for c in flags)} were taken for"
                    f" the split. If they say something else, {BY_HAND}."
                )
            if not unread:
                continue
            why = f"what it calls {', '.join(sorted(unread)[:4])} was taken as not said"
        looked.add(file)
        doubts.append(
            f"{file} says in column {own[0]!r} what pictures are for, but {why.rstrip('?.')}. If it"
            " is the authors' split, call its columns image and split, its words train, val and"
            f" test, or {BY_HAND}."
        )
    return dict(sorted(found.items(), key=lambda item: len(item[1]))), doubts, looked


def _of_flags(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """(the table with a column 'split' in place of columns that are each called as a split and say
    yes or no, 'Train', 'is_test'; these columns).
    """
    called = {c: of_cell(re.sub(r"(?i)^(is|in)[ _]|[ _]set$", "", c.strip())) for c in frame}
    said = {c: frame[c].str.strip().str.casefold() for c, split in called.items() if split}
    flags = {c: own.isin(YES) for c, own in said.items() if own.isin([*YES, *NO]).all()}
    if not flags or "split" in frame or pd.DataFrame(flags).sum(axis=1).gt(1).any():
        return frame, []
    rest = "test" if {called[c] for c in flags} == {"train"} else "train"
    split = pd.Series(rest, frame.index)
    for column, yes in flags.items():
        split[yes] = called[column]
    return frame.drop(columns=list(flags)).assign(split=split), list(flags)


def _perhaps(path: Path, error: Exception) -> str:
    """Why a table that cannot be read may hold the split, by its headings or sheets, or ''."""
    try:
        cells = spreadsheet.cells(path)[0]
    except (StudyError, *find.ODD):
        return ""
    if not any(SPLIT.fullmatch(c.strip()) and not SOURCE.fullmatch(c) for c in cells[0][1]):
        return ""
    told = str(error).partition(f"{path.name}: ")[2].replace("\n", " ")
    return f"seems to say what pictures are for, and cannot be read ({told[:120]}): mend it, or"


def _differ(cells: pd.Series) -> bool:
    return len({*cells.dropna()}) > 1


def _counts(cells: pd.Series, people: int) -> bool:
    """Whether a column only counts the rows, which are more or fewer than the people."""
    counted = ([*map(str, range(k, k + len(cells)))] for k in (0, 1))
    return len(cells) != people and cells.str.strip().tolist() in counted


def _rows(
    frame: pd.DataFrame, images: list[str], people: Sequence[str | None]
) -> tuple[dict[str, list], str]:
    """(image → the rows that name it, or its patient; why there are none)."""
    try:
        return by_picture.naming(frame, images)[1], ""
    except StudyError as error:
        why = str(error)
    whose = {i: patients.spelling(p) for i, p in zip_longest(images, people) if p}
    found = {}
    for column in filter(by_picture.personal, frame):
        at = defaultdict(list)
        for row, cell in frame[column].items():
            at[patients.spelling(cell)].append(row)
        found[column] = {image: at[p] for image, p in whose.items() if p in at}
    many = len({*whose.values()})
    own = {c: rows for c, rows in found.items() if rows and not _counts(frame[c], many)}
    # 'id' may count the rows where another column is called after people
    own = {c: r for c, r in own.items() if variables.spelled(c) not in by_picture.ROW} or own
    other = [c for c in found if c not in own and variables.spelled(c) not in by_picture.ROW]
    if len(own) > 1 or (own and other):
        return {}, f"it could be column {' or '.join([*own, *other])} of patients"
    return next(iter(own.values()), {}), "" if own else why
