"""What became of every file of the folder: each is counted once."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from helpers import readers
from helpers.errors import StudyError
from tools.intake import find, layouts
from tools.intake.form import Form
from tools.intake.tables import some

#: in this order on the page; the first that holds for a file counts
PICTURE, EXCLUDED, REFUSED = "pictures used", "pictures excluded", "pictures refused"
MASK, REST_MASK = "masks and outlines", "masks of no used picture"
DESCRIPTION, VALUES, TABLE = "label descriptions", "values that a header names", "tables"
SYSTEM, IGNORED = "hidden, or left by a system", "not looked at"
ORDER = (PICTURE, EXCLUDED, REFUSED, MASK, REST_MASK, DESCRIPTION, VALUES, TABLE, SYSTEM, IGNORED)
NO_PICTURE = "belongs to no picture that is used"
NEITHER = "is neither a picture nor a mask"
TABLES = (".csv", ".xlsx", ".xls", ".tsv", ".ods")


def ledger(
    data: Path,
    form: Form,
    images: pd.DataFrame,
    refused: list[find.Refused],
    drawn: pd.DataFrame | None = None,
    others: Sequence[str] = (),
) -> dict[str, tuple[str, str]]:
    """{file: (role, why)} of every file under DATA.

    images: images.csv as written; drawn: annotations.csv or None; others: files that were read
    beside them (table of patients, of spacings).
    """
    used = images[images["split"] != "excluded"]
    out = images[images["split"] == "excluded"]
    told = [(name, PICTURE, "") for name in used["image"]]
    told += [(name, MASK, "") for name in used["mask"]]
    told += [(name, MASK, "") for name in (drawn["mask"] if drawn is not None else ())]
    for row in out.itertuples():
        told.append((row.image, EXCLUDED, row.excluded))
        told.append((row.mask, REST_MASK, "its picture is excluded"))
    told += [(r.file, REFUSED, r.reason) for r in refused]
    told += [(name, TABLE, "") for name in others]
    return whole(data, form, told)


def whole(
    data: Path | str, form: Form, told: list[tuple[str, str, str]]
) -> dict[str, tuple[str, str]]:
    """{file: (role, why)} of every file under DATA.

    told: [(file or cell of a manifest, role, why)], of which the first that names a file holds; of
    the others their name and content say what they are.
    """
    there, roles = find.whole_folder(data), {}
    known = set(there)
    for name, role, why in told:
        for own in _named(Path(data), name):
            if own in known:
                own_role = role == TABLE or readers.suffix(own) in (*find.MASKS, "")
                roles.setdefault(own, (role, why) if own_role else (VALUES, ""))
    return {f: roles.get(f) or _rest(f, Path(data), form) for f in there}


def _named(data: Path, name: str) -> list[str]:
    """The files under DATA that a file or a cell of a manifest names."""
    try:
        return [Path(os.path.relpath(p, data)).as_posix() for p in readers.files_of(data / name)]
    except StudyError:
        return [name]


def _rest(file: str, data: Path, form: Form) -> tuple[str, str]:
    end = readers.suffix(file)
    if find.left_by_system(file):
        return SYSTEM, ""
    if end in (".txt", ".label") and "label" in Path(file).name.lower():
        return DESCRIPTION, ""
    if end in TABLES:
        return TABLE, "not read: give it as PATIENTS= if it is the table of patients"
    told = (".json", ".xml", ".txt", *layouts.ENDINGS, *layouts.DICOM)
    if end in told and (found := layouts.tool(data / file)):
        why = layouts.ADVICE.get(found)
        return (IGNORED, f"{found} is not read; {why}") if why else (REST_MASK, f"{found}")
    if find.derived(file):
        return IGNORED, "called an overlay, a preview or a prediction"
    if end in find.MASKS and find.masklike(file):
        return REST_MASK, NO_PICTURE
    if form.images and end in find.IMAGES:
        return IGNORED, f"does not match images: {', '.join(form.images)}"
    if not end:
        return IGNORED, "no ending, and no DICOM inside"
    if end in find.IMAGES:
        return IGNORED, "not taken as a picture, and a mask of none that is used"
    return IGNORED, f"{end} {NEITHER}"


def not_masks(roles: dict[str, tuple[str, str]], data: Path) -> list[str]:
    """The sentence, as a list, on files that are named as masks, serve no picture, and hold many
    values: pictures that nobody would miss ('GT_01/1.dcm').
    """
    rest = [f for f, told in roles.items() if told == (REST_MASK, NO_PICTURE)]
    odd = [f for f in rest if readers.suffix(f) in find.IMAGES and not find.few_values(data / f)]
    if not odd:
        return []
    return [
        f"{len(odd)} files were left out because they are named as masks, or lie in a folder named"
        f" so ({some(odd)}), but they hold many grey values, as pictures do: if they are pictures,"
        " rename them."
    ]


def unread(roles: dict[str, tuple[str, str]]) -> list[str]:
    """The sentence, as a list, on files of a kind that is not read, for which masks wait."""
    masks = [f for f, told in roles.items() if told == (REST_MASK, NO_PICTURE)]
    waiting = {find.core(f) for f in masks if readers.suffix(f) in find.IMAGES}  # no LICENSE.txt
    others = [f for f, (role, why) in roles.items() if role == IGNORED and why.endswith(NEITHER)]
    lost = [f for f in others if find.core(f) in waiting]
    if not lost:
        return []
    return [
        f"{len(lost)} files have a mask and are of a kind that is not read ({some(lost)}): if they"
        " are pictures, save them as PNG."
    ]


def summary(roles: dict[str, tuple[str, str]]) -> list[tuple[str, int]]:
    """[(role, files)] in order, roles without a file left out; the numbers add up to the folder."""
    count = Counter(role for role, _ in roles.values())
    return [(role, count[role]) for role in ORDER if count[role]]


def reasons(roles: dict[str, tuple[str, str]]) -> list[tuple[str, str, int, str]]:
    """[(role, why, files, an example)] of the files that are neither used nor on another list of
    the page.
    """
    found = defaultdict(list)
    for file, (role, why) in roles.items():
        if role in (REST_MASK, TABLE, IGNORED) and why:
            found[role, why].append(file)
    return [(role, why, len(files), files[0]) for (role, why), files in found.items()]
