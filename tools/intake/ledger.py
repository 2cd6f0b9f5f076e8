"""What became of every file of the folder: each is counted once."""

from collections import Counter, defaultdict
from pathlib import Path

from helpers import readers
from tools.intake import find, layouts

#: in this order on the page; the first that holds for a file counts
PICTURE, EXCLUDED, REFUSED = "pictures used", "pictures excluded", "pictures refused"
MASK, REST_MASK = "masks and outlines", "masks of no used picture"
DESCRIPTION, TABLE = "label descriptions", "tables"
SYSTEM, IGNORED = "hidden, or left by a system", "not looked at"
ORDER = (PICTURE, EXCLUDED, REFUSED, MASK, REST_MASK, DESCRIPTION, TABLE, SYSTEM, IGNORED)
TABLES = (".csv", ".xlsx", ".xls", ".tsv", ".ods")


def ledger(data, form, images, refused, drawn=None, others=()):
    """{file: (role, why)} of every file under DATA.

    images: images.csv as written; drawn: annotations.csv or None; others: files that were read
    beside them (table of patients, of spacings).
    """
    data, roles = Path(data), {}
    there = find.whole_folder(data)
    known = set(there)

    def note(files, role, why=""):
        for file in files:
            for own in [file] if file in known else [p.as_posix() for p in readers.files_of(file)]:
                if own in known:
                    roles.setdefault(own, (role, why))

    used = images[images["split"] != "excluded"]
    out = images[images["split"] == "excluded"]
    note(used["image"], PICTURE)
    note(used["mask"], MASK)
    note(drawn["mask"] if drawn is not None else (), MASK)
    for row in out.itertuples():
        note([row.image], EXCLUDED, row.excluded)
        note([row.mask], REST_MASK, "its picture is excluded")
    for r in refused:
        note([r.file], REFUSED, r.reason)
    note(others, TABLE)
    return {f: roles.get(f) or _rest(f, data, form) for f in there}


def _rest(file, data, form):
    end = readers.suffix(file)
    if find.left_by_system(file):
        return SYSTEM, ""
    if end in (".txt", ".label") and "label" in Path(file).name.lower():
        return DESCRIPTION, ""
    if end in TABLES:
        return TABLE, "not read: give it as PATIENTS= if it is the table of patients"
    if end in (".json", ".xml", ".txt") and (found := layouts.tool(data / file)):
        why = layouts.ADVICE.get(found)
        return (IGNORED, f"{found} is not read; {why}") if why else (REST_MASK, f"{found}")
    if end in find.MASKS and find.masklike(file):
        return REST_MASK, "belongs to no picture that is used"
    if form.images and end in find.IMAGES:
        return IGNORED, f"does not match images: {', '.join(form.images)}"
    if end in find.VIDEOS:
        return IGNORED, "a video; name its pictures in the form, or export single frames"
    if not end:
        return IGNORED, "no ending, and no DICOM inside"
    if end in find.IMAGES:
        return REST_MASK, "belongs to no picture that is used"
    return IGNORED, f"{end} is neither a picture nor a mask"


def summary(roles):
    """[(role, files)] in order, roles without a file left out; the numbers add up to the folder."""
    count = Counter(role for role, _ in roles.values())
    return [(role, count[role]) for role in ORDER if count[role]]


def reasons(roles):
    """[(role, why, files, an example)] of the files that are neither used nor on another list of
    the page.
    """
    found = defaultdict(list)
    for file, (role, why) in roles.items():
        if role in (REST_MASK, TABLE, IGNORED) and why:
            found[role, why].append(file)
    return [(role, why, len(files), files[0]) for (role, why), files in found.items()]
