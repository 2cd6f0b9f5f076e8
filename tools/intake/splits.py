"""Splits: whole patients, alike in size, structures and devices; seeded, and never drawn again
silently.
"""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd

from helpers.datasets import units
from helpers.errors import StudyError
from helpers.schemas import EXTERNAL
from tools.intake import by_picture, find, ledger, patients
from tools.intake.patterns import matches, plain, stem
from tools.intake.tables import sample

SET = r"([ _-]?(set|data(set)?|images?|imgs?|pictures?|frames?|\d+|[a-d]))?"
#: folders by which authors say which pictures are for what
FOLDERS = {
    EXTERNAL: rf"(.*[ _-])?external([ _-]?(test(ing)?|val(id(ation)?)?|cohort|site))*{SET}",
    "train": rf"(.*[ _-])?train(ing)?([ _+-]?val)?{SET}|imagesTr|tr",
    "val": rf"(.*[ _-])?val(id(ation)?)?{SET}|dev|imagesVa|va",
    "test": rf"(.*[ _-])?test(ing)?{SET}|imagesTs|te|ts|holdout",
}
#: … and among other words, where they are of one split: 'Training_Input', 'test_internal'
WORDS = {
    "train": {
        *("train", "training", "trainingsdaten", "trainingsmenge", "lerndaten", "entrenamiento"),
        *("entraînement", "entrainement", "apprentissage", "addestramento", "treino"),
    },
    "val": {
        *("valid", "validation", "validierung", "validierungsdaten", "validación", "validacion"),
        *("validazione", "validação", "validacao"),
    },
    "test": {"test", "testing", "testdaten", "testmenge", "prueba", "pruebas", "teste"},
}
#: words beside them that say no more than that pictures are divided
PLAIN = re.compile(
    r"(?i)(tr|va|te|ts|dev|holdout|val|external|sets?|data|dataset|images?|imgs?|pictures?|frames?|site"
    r"|cohort|imagestr|imagests|imagesva|trainval|[a-d]|input|output|internal|masks?|labels?)"
)
#: what a heading of a list is
HEADING = re.compile(r"(?i)(#|image|img|file|path|name|id|patient|case|subject)[\w .,;#-]*")
#: what is learned from, in one way or another; the rest is for tests
LEARN = ("train", "val")
#: what a column of the split is called
SPLIT = re.compile(r"(?i)(data[ _]?)?(sets?|splits?|subsets?|partitions?|usage)([ _]name)?")
EMPTY = ("", "nan", "na", "n/a", "none", "-")


def is_split(folder: str) -> bool:
    """Whether a folder's name says what its pictures are for."""
    return split_of(folder) is not None


def split_of(folder: str) -> str | None:
    """What the pictures of a folder are for by its name: a key of FOLDERS, or None."""
    for name, pattern in FOLDERS.items():
        if re.fullmatch(pattern, folder, re.IGNORECASE):
            return name
    words = set(re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", folder).casefold()))
    told = [name for name, some in WORDS.items() if words & some]
    return told[0] if len(told) == 1 else None


def list_of(file: str) -> str | None:
    """What the pictures in a list are for by its name, or None: 'train_2.txt', 'test.csv', but not
    'training_log.csv'.
    """
    name = stem(file)
    if file.lower().endswith((".txt", ".json")):
        return split_of(name)
    fits = (s for s, pattern in FOLDERS.items() if re.fullmatch(pattern, name, re.IGNORECASE))
    return next(fits, None) if file.lower().endswith(".csv") else None


def by_folder(images: list[str]) -> dict[str, str] | None:
    """The authors' own split, image → train, val, test or external: by their folders, where there
    are at least two of them; images that lie in none are to learn from. Else None.
    """
    found = dict.fromkeys(images, "train") | _told_by_folders(images)
    return found if len(set(found.values())) > 1 and "train" in found.values() else None


def _told_by_folders(images: list[str]) -> dict[str, str]:
    found = {}
    for image in images:
        told = [split for part in PurePosixPath(image).parts[:-1] if (split := split_of(part))]
        if told:
            found[image] = EXTERNAL if EXTERNAL in told else told[0]
    return found


def by_authors(
    images: list[str], data: Path, people: Sequence[str | None] = ()
) -> tuple[dict[str, str] | None, list[str], list[str]]:
    """(the authors' own split or None, the files that say it, doubts): by lists of pictures, of
    their folders or of patients (train.txt, val.txt, of which trainval.txt is no third one), by a
    table with a column of it, else by folders. people: the patient of each image, where known.

    StudyError where of two of these one would test what the other learns from. That a table says a
    split that is not wholly understood is a doubt.
    """
    listed, doubts = _by_lists(images, data, people)
    tables, more = _by_tables(images, data, people)
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
                    " or tested? Mend one of them, or write split: in a form"
                )
            by.setdefault(image, (split, source))
    for sources in (listed, tables):
        found = {image: split for own in sources.values() for image, split in own.items()}
        whole = dict.fromkeys(images, "train") | (folders or {}) | found
        if found and len(set(whole.values())) > 1 and "train" in whole.values():
            return whole, list(sources), doubts
        if found and set(found) < set(images):
            doubts.append(
                f"{' and '.join(sources)} say only what {' and '.join(sorted(set(found.values())))}"
                " pictures are: the split was drawn anew. Add the other lists, or write split: in a"
                " form."
            )
    return folders, [], doubts + (_words_beside(images) if folders else [])


def _words_beside(images: list[str]) -> list[str]:
    """A sentence where the folders of a split have other words in their names, and pictures lie
    beside them: 'stress_test' beside 'rest' may be what was done, and no test set.
    """
    told = _told_by_folders(images)
    folders = {part for image in told for part in PurePosixPath(image).parts[:-1] if is_split(part)}
    other = sorted(f for f in folders if _other_words(f))
    beside = sorted({PurePosixPath(i).parent.name for i in images if i not in told} - {""})
    if not (other and beside):
        return []
    return [
        f"The folders' names were taken for a split: {', '.join(sorted(folders)[:4])}; pictures of"
        f" {', '.join(beside[:4])} are to learn from. If {other[0]} says something else, write"
        " split: {policy: patient k-fold} in a form."
    ]


def _other_words(folder: str) -> bool:
    """Whether a folder's name has words that say nothing of a split."""
    words = re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", folder).casefold())
    return not all(PLAIN.fullmatch(w) or any(w in own for own in WORDS.values()) for w in words)


def _lines(path: Path, split: str) -> dict[str, list[str]]:
    """Split → the lines of a list, a text or a COCO file of its pictures; {} of other JSON."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if path.suffix.lower() != ".json":
        return {split: [line.strip() for line in text.splitlines() if line.strip()]}
    content = _parsed(text)
    if not (isinstance(content, dict) and isinstance(content.get("images"), list)):
        return {}
    names = [i.get("file_name") for i in content["images"] if isinstance(i, dict)]
    return {split: [str(name) for name in names if name]}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _by_lists(
    images: list[str], data: Path, people: Sequence[str | None]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """(file → image → split, of the lists in the folder, those to learn from first; doubts on lists
    that are not understood, or not to their last line).
    """
    known, whose = defaultdict(set), defaultdict(set)
    for image, patient in zip_longest(images, people):
        for name in (image, PurePosixPath(image).name, stem(image)):
            known[plain(name)].add(image)
        for name in {*PurePosixPath(image).parts[:-1], patient} - {None}:
            whose[plain(name)].add(image)
    order = ["train", "val", "test", EXTERNAL]
    pictures, groups, texts = {}, {}, {}
    lines: dict[str, list[str]] = {}
    doubts: list[str] = []
    for file in sorted(find.everything(data)):
        if _called_split(file):
            own = _several_lists(data / file)
            doubts += [] if own else [_not_read(file)]
        elif plain(stem(file)) in known:
            continue  # says something of one picture, as YOLO's text does
        else:
            own = _lines(data / file, split) if (split := list_of(file)) else None
        for split, names in (own or {}).items():
            source = f"{file} ({split})" if _called_split(file) else file
            texts[source], lines[source] = split, names
    for file in sorted(texts, key=lambda f: order.index(texts[f])):
        cells = [re.split(r"[\s,;]+", line)[0] for line in lines[file]]
        pictures[file] = [_one(known, names) for names in zip(lines[file], cells, strict=True)]
        groups[file] = [whose.get(plain(line)) for line in lines[file]]
    # '7' may be a patient and a frame: all lists are of one kind, that which leaves least open
    of_one_kind = max(
        (pictures, groups), key=lambda read: sum(map(bool, chain.from_iterable(read.values())))
    )
    found: dict[str, dict[str, str]] = {}
    for file, meant in of_one_kind.items():
        lost = [line for line, image in zip(lines[file], meant, strict=True) if not image]
        if lost and lost[0] == lines[file][0] and HEADING.fullmatch(lost[0]):
            lost, meant = lost[1:], meant[1:]
        if 2 * len(lost) < len(meant):
            found[file] = dict.fromkeys(set().union(*filter(None, meant)), texts[file])
            if lost:
                doubts.append(
                    f"{file}: {len(lost)} of its {len(meant)} lines name no picture here, such as"
                    f" {lost[0]!r}: was a picture renamed, or is it lost? Its split was drawn."
                )
        else:
            doubts.append(_not_read(file, next(iter(lost), "")))
    return found, doubts


def _not_read(file: str, line: str = "") -> str:
    said = f", such as {line[:40]!r}," if line else ""
    return (
        f"{file} is called as a list of what pictures are for, and what it holds{said} names none"
        " of them: the authors' split may be lost. Write the pictures as they lie here, a line"
        " each, in train.txt, val.txt and test.txt, or write split: in a form."
    )


def _called_split(file: str) -> bool:
    """Whether a JSON file is called as the split of a set: 'splits_final.json', 'split.json'."""
    return bool(re.fullmatch(r"(?i)(.*[ _-])?(data)?splits?([ _-].*)?\.json", Path(file).name))


def _several_lists(path: Path) -> dict[str, list[str]] | None:
    """Split → names, of JSON with a list for each split; None where it is none."""
    content = _parsed(path.read_text(encoding="utf-8-sig", errors="replace"))
    if not isinstance(content, dict):
        return None
    named = {split: own for k, own in content.items() if (split := split_of(str(k)))}
    good = len(named) > 1 and all(
        isinstance(own, list) and all(isinstance(n, str) for n in own) for own in named.values()
    )
    return named if good else None


def _by_tables(
    images: list[str], data: Path, people: Sequence[str | None]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """(file → image → split, doubts): of the tables in the folder with a column of train, val, test
    and the like, and a row a picture or a patient; that of the most pictures last.
    """
    tables = [f for f in find.everything(data) if f.lower().endswith(ledger.TABLES)]
    found, doubts = {}, []
    for file in [f for f in tables if not list_of(f)][: by_picture.MOST]:
        try:
            frame = by_picture.read(data / file)[0].iloc[:, : by_picture.WIDEST]
        except (StudyError, *find.ODD):
            continue
        cells = {c: frame[c].str.strip() for c in frame}
        told = {c: own.map(split_of) for c, own in cells.items()}
        own = [c for c, of in told.items() if 2 * of.notna().sum() > len(of) and _differ(of)]
        own = own or [c for c in frame if SPLIT.fullmatch(c) and _differ(cells[c])]
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
            if not unread:
                continue
            why = f"what it calls {', '.join(sorted(unread)[:4])} was taken as not said"
        doubts.append(
            f"{file} says in column {own[0]!r} what pictures are for, but {why.rstrip('?.')}. If it"
            " is the authors' split, call its columns image and split, its words train, val and"
            " test, or write split: in a form."
        )
    return dict(sorted(found.items(), key=lambda item: len(item[1]))), doubts


def _differ(cells: pd.Series) -> bool:
    return len({*cells.dropna()}) > 1


def _rows(
    frame: pd.DataFrame, images: list[str], people: Sequence[str | None]
) -> tuple[dict[str, list], str]:
    """(image → the rows that name it, or its patient; why there are none)."""
    try:
        return by_picture.naming(frame, images)[1], ""
    except StudyError as error:
        why = str(error)
    whose = {i: patients.spelling(p) for i, p in zip_longest(images, people) if p}
    for column in filter(by_picture.personal, frame):
        at = defaultdict(list)
        for row, cell in frame[column].items():
            at[patients.spelling(cell)].append(row)
        if found := {image: at[p] for image, p in whose.items() if p in at}:
            return found, ""
    return {}, why


def _one(known: dict[str, set], names: tuple[str, ...]) -> set[str] | None:
    """The one image that names mean, with or without folders and ending."""
    paths = [unquote(name).replace("\\", "/") for name in names]
    forms = (n for name in paths for n in (name, PurePosixPath(name).name, stem(name)))
    return next((known[n] for f in forms if len(known.get(n := plain(f), ())) == 1), None)


def folds(
    units: pd.Series | np.ndarray,
    features: np.ndarray,
    count: int,
    seed: int,
    fixed: dict | None = None,
) -> np.ndarray:
    """A fold 0 … count − 1 for every row (int array), all rows of a unit together.

    units: (N,) names, patients or images; features: (N, F) non-negative, what every fold should
    have its share of (a column of ones, areas of the classes, one column a device). Units come
    largest first, in seeded order within equal size, and each goes where the folds' shares stay
    closest to even. fixed: unit → the folds allowed.
    """
    units = pd.Series(np.asarray(units, object))
    table = pd.DataFrame(np.asarray(features, float)).groupby(units).sum().sort_index()
    totals = table.sum().to_numpy()
    load = table.to_numpy() / np.where(totals > 0, totals, 1) * count
    if len(table) < count:
        found = ", ".join(map(str, table.index[:5]))
        raise StudyError(
            f"a split into {count} needs at least {count} patients, cines or images, found"
            f" {len(table)}: {found}; if those are no people, say in the form whose pictures these"
            " are (patient)"
        )
    place = {name: k for k, name in enumerate(table.index)}
    sums, chosen, everywhere = np.zeros((count, load.shape[1])), {}, list(range(count))
    shuffled = np.random.default_rng(seed).permutation(len(table))
    order = [table.index[k] for k in shuffled[np.argsort(-load[shuffled, 0], kind="stable")]]
    fixed = fixed or {}
    for unit in sorted(order, key=lambda u: u not in fixed):  # decided ones first
        after = sums + load[place[unit]]
        allowed = fixed.get(unit, everywhere)
        growth = (after**2).sum(1) - (sums**2).sum(1)
        chosen[unit] = allowed[int(np.argmin(growth[allowed]))]
        sums[chosen[unit]] = after[chosen[unit]]
    return units.map(chosen).to_numpy(int)


def names(fold: np.ndarray) -> np.ndarray:
    """Fold numbers as splits: fold 0 is the test set, fold 1 the validation set, the others
    train.
    """
    return np.array(["test", "val", "train"], object)[np.minimum(fold, 2)]


def _chosen(
    images: list[str], matching: dict[str, list[str]], rules: dict[str, dict], seed: int
) -> np.ndarray:
    """Splits by pattern: every image in exactly one. A rule that chooses takes its images
    before one that does not.
    """
    taken = {}
    for name, rule in sorted(rules.items(), key=lambda item: "choose" not in item[1]):
        free = [i for i in matching[name] if i not in taken]
        if "choose" in rule:
            if rule["choose"] > len(free):
                raise StudyError(
                    f"split {name}: {rule['choose']} images of {rule['of']!r} wanted, there are"
                    f" {len(free)}"
                )
            free = list(sample(free, rule["choose"], seed))
        elif clash := [i for i in matching[name] if i in taken and "choose" not in rules[taken[i]]]:
            raise StudyError(
                f"split: {clash[0]} is in {taken[clash[0]]} and in {name}; change the patterns"
            )
        taken |= dict.fromkeys(free, name)
    if missing := [i for i in images if i not in taken]:
        raise StudyError(
            f"split: {len(missing)} images are in none, among them {missing[0]}; add a pattern for"
            " them"
        )
    return np.array([taken[i] for i in images], object)


def _one_split_each(units: pd.Series, own: pd.Series) -> None:
    """StudyError where a patient lies in two of the authors' folders."""
    each = own.groupby(units).unique()
    if len(both := each[each.map(len) > 1]):
        raise StudyError(
            f"split: patient {both.index[0]} lies in the folders for {' and '.join(both.iloc[0])};"
            " if that is one person, write in the form split: {policy: patient k-fold} to draw it"
            " by patient instead; if they were numbered anew in each folder, let the patient hold"
            " it (patient: {pattern: '((?:train|val|test)/[^/]+)/'}, with your folders)"
        )


def _allowed(kept: dict[str, str], count: int) -> dict[str, list[int]]:
    """unit → the folds allowed, so that it stays in its split; a split that nobody has is drawn
    from what was to learn from.
    """
    have = set(kept.values())
    learn = [k for k in range(count) if k > 1 or (k == 0 and "test" not in have)]
    learn += [1] if "val" not in have else []
    allowed = {"test": [0], "val": [1], "train": sorted(learn)}
    return {unit: allowed[split] for unit, split in kept.items()}


def draw(
    frame: pd.DataFrame,
    areas: np.ndarray,
    rule: dict,
    previous: pd.DataFrame | None = None,
    authors: dict[str, str] | None = None,
) -> np.ndarray:
    """The split of every row (object array of train, val, test, external).

    Where patients are unknown the frames of a cine stay together.
    frame: image_id, patient_id, image, device; areas: (N, classes − 1) share of each structure;
    rule: policy, folds, seed, given of the form. previous: image_id, patient_id, split of an
    earlier manifest; what it says stays. authors: image → split of the authors' folders; what they
    kept apart stays apart, what they did not is drawn from what they learned from.
    """
    if rule.get("policy") == "given":
        matching = {
            n: [i for i in frame["image"] if matches(r["of"], i) is not None]
            for n, r in rule["given"].items()
        }
        return _chosen(frame["image"].tolist(), matching, rule["given"], rule.get("seed", 42))
    by_patient = frame["patient_id"].notna().any() and rule.get("policy") != "image k-fold"
    if by_patient and frame["patient_id"].isna().any():
        first = frame.loc[frame["patient_id"].isna(), "image"].iloc[0]
        raise StudyError(
            f"split by patient: {first} has none; say in the form how to read it, or split by image"
        )
    if rule.get("policy") == "patient k-fold" and not by_patient:
        raise StudyError(
            "split by patient: no image has a patient; say in the form how to read it from the path"
        )

    def together(frame: pd.DataFrame) -> pd.Series:
        if rule.get("policy") == "image k-fold":
            return frame["image_id"]
        return units(frame if by_patient else frame.assign(patient_id=None))

    unit, own = together(frame), frame["image"].map(authors or {})
    kept: dict[str, str] = {}
    if previous is not None:
        before = previous[previous["split"].isin(FOLDERS)]
        found = before.groupby(together(before))["split"].first()
        kept = found[found.index.isin(unit)].to_dict()  # of those who are still there
    if authors:
        _one_split_each(unit, own)
    if (outside := ((own == EXTERNAL) | (unit.map(kept) == EXTERNAL)).to_numpy()).any():
        drawn = np.full(len(frame), EXTERNAL, object)
        rest = frame[~outside].reset_index(drop=True)
        drawn[~outside] = draw(rest, areas[~outside], rule, previous, authors)
        return drawn
    count = rule.get("folds") or min(5, max(3, unit.nunique()))
    devices = pd.get_dummies(frame["device"].fillna("unknown")).to_numpy(float)
    features = np.column_stack([np.ones(len(frame)), areas, devices])
    fixed = _allowed(dict(zip(unit, own, strict=True)), count) if authors else {}
    fixed |= _allowed({u: split for u, split in kept.items() if split != EXTERNAL}, count)
    return names(folds(unit, features, count, rule.get("seed", 42), fixed))
