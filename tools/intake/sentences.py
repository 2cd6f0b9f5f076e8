"""What is said of a set in words: what stands first (patients unknown, splits that leak, few
tested, a manifest or a study.yml of before that says otherwise), and what was assumed.
"""

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

import pandas as pd

from helpers import studies
from helpers.schemas import EXTERNAL
from tools.intake import by_picture, check
from tools.intake.split_words import FOLDERS
from tools.intake.tables import some

FEW = 5  # patients in the test set


def nobody_known(data: Path, records: list[check.Record], authors: dict[str, str] | None) -> str:
    """What follows where no patient is known: a sentence, the first thing to know."""
    images = [r.pair.image for r in records]
    perhaps = by_picture.suggested(data, images) or ("" if authors else _perhaps_patients(images))
    return (
        "No patient is known: images of one person may be in training and test, and every test"
        f" counts images as if each were a person. Name the patient in a form{perhaps}."
    )


def _perhaps_patients(images: list[str]) -> str:
    """The line of a form, where pictures lie in several folders that may be a person each, or
    are called alike but for what follows a last _ or -.
    """
    places = {PurePosixPath(image).parent for image in images}
    if len(places) > 1 and len({p.parent for p in places}) == 1:
        above, names = next(iter(places)).parent, sorted(p.name for p in places)
        start = "" if above == PurePosixPath(".") else f"{above}/"
        how, pattern = f"lie in {len(names)} folders", f"{re.escape(start)}([^/]+)/"
    else:
        pattern = "([^/]+)[_-][^/_-]+$"
        begun = [re.search(pattern, image) for image in images]
        names = sorted({one[1] for one in begun if one})
        how = f"begin with {len(names)} names"
        if not all(begun) or not 1 < len(names) < len(images):
            return ""
    return (
        f"; they {how} ({some(names, 3)}): if each is a person, write patient:"
        f" {{pattern: '{pattern}'}}"
    )


def kept_split(images: pd.DataFrame, previous: pd.DataFrame | None) -> bool:
    """Whether any image is where the earlier manifest had it because it was there."""
    if previous is None:
        return False
    keys = ["patient_id"] if images["patient_id"].notna().any() else ["image_id"]
    known = {tuple(row) for row in previous[keys].dropna().itertuples(index=False)}
    return any(tuple(row) in known for row in images[keys].itertuples(index=False))


def assumed(
    records: list[check.Record],
    kept_split: bool,
    authors: dict[str, str] | None = None,
    elsewhere: bool = False,
) -> list[str]:
    """What was assumed without being told, as sentences."""
    found = []
    unknown = [r.pair.image_id for r in records if not r.spacing_mm]
    if len(unknown) == len(records):
        found.append("No pixel spacing is known: distances will be in pixels only.")
    elif unknown:
        found.append(
            f"The pixel spacing of {len(unknown)} pictures is unknown ({', '.join(unknown[:5])}"
            f"{', …' * (len(unknown) > 5)}): they have no distances in millimetres."
        )
    if authors:
        counts = {s: sum(v == s for v in authors.values()) for s in FOLDERS}
        counted = ", ".join(
            f"{counts[s]} {s}" for s in (*studies.SPLITS, EXTERNAL) if s != EXTERNAL or counts[s]
        )
        found.append(
            f"Folders, lists or a table of the set say which pictures are for what ({counted})"
            f"{'' if elsewhere else '; it was kept so'}. What they do not say was drawn from the"
            " pictures to learn from."
        )
    if kept_split:
        found.append(
            "Images and patients of the earlier manifest kept their split; only new ones were"
            " drawn."
        )
    for rule in sorted({r.pair.rule for r in records} - {""}):
        ruled = [r.pair for r in records if r.pair.rule == rule]
        found.append(
            f"{len(ruled)} pictures have several mask files, or one of several, which were united"
            f" because {rule}:"
            f" {ruled[0].image_id} from {ruled[0].mask}."
        )
    for note in sorted({n for r in records for n in r.notes}):
        noted = [r.pair.image_id for r in records if note in r.notes]
        found.append(
            f"{len(noted)} images: {note}"
            f" ({', '.join(noted[:5])}{', …' if len(noted) > 5 else ''})."
        )
    return found


def shared(images: pd.DataFrame, records: list[check.Record]) -> list[str]:
    """What follows from pictures that are the same, mirrored or turned ones too, in different
    splits: sentences, the first thing to know.
    """
    split, where = images.set_index("image_id")["split"], defaultdict(list)
    for r in records:
        if split[r.pair.image_id] != "excluded":
            where[r.alike].append(r.pair.image_id)
    apart = [names for names in where.values() if len({split[n] for n in names}) > 1]
    if not apart:
        return []
    one, *_, other = sorted(apart[0], key=lambda n: split[n])
    return [
        f"{len(apart)} pictures are in several splits, the same, mirrored or turned ({one} in"
        f" {split[one]}, {other} in {split[other]}): every number will be too good. Leave copies"
        " out in the form (exclude, or duplicates: exclude), or keep them with their patient."
    ]


def overruled(images: pd.DataFrame, authors: dict[str, str], folder: Path) -> list[str]:
    """A sentence where an earlier manifest kept pictures elsewhere than the authors' lists, tables
    or folders say now.
    """
    told = images["image"].map(authors)
    drawn = (told == "train") & ~images["split"].isin(set(authors.values()) - {"train"})
    other = images[
        told.notna() & (images["split"] != told) & ~drawn & (images["split"] != "excluded")
    ]
    if other.empty:
        return []
    one = other.iloc[0]
    return [
        f"{len(other)} pictures are elsewhere than folders, lists or a table of the set say, such"
        f" as {one['image']}: {one['split']}, and {authors[one['image']]} there, because an earlier"
        f" manifest had them so. To follow the authors, delete {folder.name}/images.csv in"
        " data_manifest and run make manifest again."
    ]


def few_tested(images: pd.DataFrame) -> list[str]:
    """What follows from a test set of few patients: sentences, the first thing to know."""
    tested = images.loc[images["split"] == "test", "patient_id"].dropna().nunique()
    known = images.loc[images["split"] != "excluded", "patient_id"].dropna().nunique()
    if not 0 < tested < FEW:
        return []
    if tested == 1:
        follows = "no interval and no comparison over patients can be computed from it"
    else:
        follows = "intervals over patients will be wide, and differences hardly shown"
    return [
        f"The test set holds {tested} of {known} patients: what it says of a network is said of"
        f" {'this person' if tested == 1 else 'these people'} alone, {follows}. The"
        " cross-validation (page 8) tests every patient once; better are more patients."
    ]


def otherwise(changed: dict, content: dict) -> list[str]:
    """What a study.yml that is kept says otherwise than this intake would: sentences, the first
    thing to know.
    """
    names = [[c["name"] for c in each["classes"]] for each in (changed, content)]
    units = [each.get("split", {}).get("unit", "patient") for each in (changed, content)]
    tests = [each.get("statistics", {}).get("test", "none") for each in (changed, content)]
    found = []
    if names[0] != names[1]:
        found.append(
            f"The kept study.yml has the classes {', '.join(names[0])}, this intake"
            f" {', '.join(names[1])}: masks are read by the first."
        )
    if units[0] != units[1]:
        found.append(
            f"The kept study.yml counts by {units[0]} (split: unit: {units[0]}, statistics: test:"
            f" {tests[0]}), this intake by {units[1]} (unit: {units[1]}, test: {tests[1]}): what"
            " is printed goes by the first. Change both lines, or delete the file."
        )
    return found
