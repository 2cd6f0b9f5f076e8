"""Splits: whole patients, alike in size, structures and devices; seeded, and never drawn again
silently.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from helpers.datasets import units
from helpers.errors import StudyError
from helpers.schemas import EXTERNAL
from tools.intake import by_picture, find, ledger
from tools.intake.patterns import matches, plain, stem
from tools.intake.tables import sample

SET = r"([ _-]?(set|data(set)?|images?|imgs?|pictures?|frames?|\d+|[a-d]))?"
#: folders by which authors say which pictures are for what
FOLDERS = {
    EXTERNAL: rf"(.*[ _-])?external([ _-]?(test(ing)?|val(id(ation)?)?|cohort|site))*{SET}",
    "train": rf"(.*[ _-])?train(ing)?([ _+-]?val)?{SET}|imagesTr",
    "val": rf"(.*[ _-])?val(id(ation)?)?{SET}|dev|imagesVa",
    "test": rf"(.*[ _-])?test(ing)?{SET}|imagesTs|holdout",
}
#: … and among other words, where they are of one split: 'Training_Input', 'test_internal'
WORDS = {
    "train": {"train", "training"},
    "val": {"valid", "validation"},
    "test": {"test", "testing"},
}


def is_split(folder: str) -> bool:
    """Whether a folder's name says what its pictures are for."""
    return split_of(folder) is not None


def split_of(folder: str) -> str | None:
    """What the pictures of a folder are for by its name: a key of FOLDERS, or None."""
    for name, pattern in FOLDERS.items():
        if re.fullmatch(pattern, folder, re.IGNORECASE):
            return name
    words = set(re.findall(r"[^\W\d_]+", folder.casefold()))
    told = [name for name, some in WORDS.items() if words & some]
    return told[0] if len(told) == 1 else None


def by_folder(images: list[str]) -> dict[str, str] | None:
    """The authors' own split, image → train, val, test or external: by their folders, where there
    are at least two of them; images that lie in none are to learn from. Else None.
    """
    found = {}
    for image in images:
        told = [split for part in PurePosixPath(image).parts[:-1] if (split := split_of(part))]
        if told:
            found[image] = EXTERNAL if EXTERNAL in told else told[0]
    found = dict.fromkeys(images, "train") | found
    return found if len(set(found.values())) > 1 and "train" in found.values() else None


def by_authors(
    images: list[str], data: Path, people: Sequence[str | None] = ()
) -> tuple[dict[str, str] | None, list[str], list[str]]:
    """(the authors' own split or None, the files that say it, doubts): by lists of pictures, of
    their folders or of patients (train.txt, val.txt, of which trainval.txt is no third one), by a
    table with a column of it, else by folders. people: the patient of each image, where known.

    StudyError where a picture is to be tested and learned from. That a table says a split, but not
    clearly of which pictures, is a doubt.
    """
    known, whose, found = defaultdict(set), defaultdict(set), {}
    lists, doubts = [], []
    for image, patient in zip_longest(images, people):
        for name in (image, PurePosixPath(image).name, stem(image)):
            known[plain(name)].add(image)
        for name in {*PurePosixPath(image).parts[:-1], patient} - {None}:
            whose[plain(name)].add(image)
    texts = [f for f in find.everything(data) if f.endswith(".txt") and split_of(stem(f))]
    order = ["train", "val", "test", EXTERNAL]
    pictures, groups = {}, {}  # file → what each of its lines means, read in either way
    for file in sorted(texts, key=lambda f: order.index(str(split_of(stem(f))))):
        lines = (data / file).read_text(encoding="utf-8", errors="replace").splitlines()
        lines = [line.strip() for line in lines if line.strip()]
        pictures[file] = [_one(known, (line, line.split()[0])) for line in lines]
        groups[file] = [whose.get(plain(line)) for line in lines]
    # '7' may be a patient and a frame: all lists are of one kind, that which leaves least open
    of_one_kind = max(
        (pictures, groups), key=lambda read: sum(map(bool, chain.from_iterable(read.values())))
    )
    for file, listed in of_one_kind.items():
        if 2 * sum(map(bool, listed)) > len(listed):
            meant, split = set().union(*filter(None, listed)), str(split_of(stem(file)))
            both = sorted(meant & found.keys()) if split in ("test", EXTERNAL) else ()
            if both:
                raise StudyError(
                    f"{file}: names {both[0]}, which {' or '.join(lists)} names too: is it to be"
                    " learned from or tested? Take it out of one list, or write split: in a form"
                )
            lists.append(file)
            found |= dict.fromkeys(meant, split)
    if not found:
        found, lists, doubts = _by_table(images, data, people)
    if len(set(found.values())) > 1 and "train" in found.values():
        return dict.fromkeys(images, "train") | found, lists, doubts
    return by_folder(images), [], doubts


def _by_table(
    images: list[str], data: Path, people: Sequence[str | None]
) -> tuple[dict[str, str], list[str], list[str]]:
    """(image → split, the file that says it, doubts): of the first table in the folder with a
    column of nothing but train, val, test and the like, and a row a picture or a patient.
    """
    doubts = []
    tables = [f for f in find.everything(data) if f.lower().endswith(ledger.TABLES)]
    for file in tables[: by_picture.MOST]:
        try:
            frame = by_picture.read(data / file)[0].iloc[:, : by_picture.WIDEST]
        except (StudyError, *find.ODD):
            continue
        told = {c: {v: split_of(v) for v in frame[c].str.strip()} for c in frame}
        own = [c for c, of in told.items() if None not in of.values() and len({*of.values()}) > 1]
        if len(own) != 1 or "train" not in told[own[0]].values():
            continue
        splits, rest = frame[own[0]].str.strip().map(told[own[0]]), frame.drop(columns=own)
        try:
            rows = by_picture.naming(rest, images)[1]
        except StudyError as error:
            rows = _of_people(rest, images, people)
            if not rows and not str(error).startswith(by_picture.NONE):
                doubts.append(
                    f"{file} has a column {own[0]!r} that says what pictures are for, but not of"
                    f" which, and was not used: {error} If it is the authors' split, call its"
                    " columns image and split, or write split: in a form."
                )
            if not rows:
                continue
        found = {image: set(splits[at]) for image, at in rows.items()}
        if both := sorted(image for image, of in found.items() if len(of) > 1):
            raise StudyError(f"{file}: {both[0]} is {' and '.join(sorted(found[both[0]]))}")
        return {image: of.pop() for image, of in found.items()}, [file], doubts
    return {}, [], doubts


def _of_people(
    frame: pd.DataFrame, images: list[str], people: Sequence[str | None]
) -> dict[str, list]:
    """Image → the rows of the column that names the most patients; {} where none does."""
    whose = {i: plain(p) for i, p in zip_longest(images, people) if p}
    best: dict[str, list] = {}
    for column in frame:
        at = frame.index.to_series().groupby(frame[column].map(plain)).agg(list)
        found = {image: at[patient] for image, patient in whose.items() if patient in at.index}
        best = found if len(found) > len(best) else best
    return best


def _one(known: dict[str, set], names: tuple[str, ...]) -> set[str] | None:
    """The one image that names mean, with or without folders and ending."""
    forms = (n for name in names for n in (name, PurePosixPath(name).name, stem(name)))
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
            " write in the form split: {policy: patient k-fold} to draw it by patient instead"
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
