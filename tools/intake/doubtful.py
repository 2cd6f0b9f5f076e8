"""What makes a whole set doubtful, as sentences that stand first on the page: outlines that are
copies, numbers that may be structures, classes that may be slips, raters who draw something else,
people whom DICOM numbers merge or split.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
from scipy import ndimage

from helpers import alike, readers
from helpers.errors import StudyError
from helpers.readers import dicom, united
from helpers.studies import Class
from tools.intake import agreement, deidentify, find
from tools.intake.check import Record
from tools.intake.several import NUMBERED

SLIP = 0.05  # share of the pictures up to which a class may be a slip of one outline
STRAY = 4  # px: as small is what a slip of the brush leaves
MOSTLY = 0.9  # share of the pictures that must agree on something for it to be a rule
SURE = 0.4  # of the grey values' spread that an outline explains which surely is its picture's
WORSE = 0.5  # times as well as the best does an outline fit that is another picture's
APART = 0.3  # Dice of two raters below which they hardly draw one thing
UNNAMED = ("class_", "value_", "colour_")  # what classes are called that nothing names
ALIKE = 0.8  # of two words, as difflib counts, from which one may be a spelling of the other
DRAWN = (*find.RASTERS, *find.VOLUMES)  # masks that number their structures
BOX = 5  # px of the thumbnail, from which a rectangle is no accident of the grid
#: how several changed copies of one picture are called, by Roboflow
VERSION = re.compile(r"(.+)\.rf\.[0-9a-f]{8,}")
#: how a changed copy of a picture is called
COPY = re.compile(
    r"(.+?)[ _-]+\(?(aug(mented)?|[hv]?flip(ped)?|mirror(ed)?|rot(ated)?|copy|kopie|copia|noise"
    r"|blur)[ _-]?\d*\)?"
)
COPIES = (
    "copies in training and test make every number too good, and are no further cases. Leave them"
    " out in the form (exclude, or the pattern of images)."
)
NEAR = 40  # of 256 bits of a hash, up to which two pictures may be one
FEWEST = 5  # pictures from which a set says anything


def copied(records: list[Record]) -> list[str]:
    """Different pictures with the very same outline, which fits one of them and not the other;
    those of one cine apart.
    """
    groups = defaultdict(list)
    for r in records:
        if any(r.areas):
            groups[r.size, r.areas, r.drawn.tobytes()].append(r)
    found = []
    for own in groups.values():
        files = {r.pair.image.partition("#")[0] for r in own}
        if len(files) < 2 or len({r.pixels for r in own}) < 2:
            continue
        fits = [agreement.fit(r.picture, r.drawn) for r in own]
        best = int(np.argmax([fit for fit, _ in fits]))
        if fits[best][1] > SURE:
            other = own[best].pair.image_id
            found += [
                (r.pair.image_id, other)
                for r, (fit, _) in zip(own, fits, strict=True)
                if fit < WORSE * fits[best][0]
            ]
    if not found:
        return []
    return [
        f"{len(found)} pictures have exactly the outline of another one, which it fits better"
        f" ({found[0][0]} that of {found[0][1]}): was a mask copied, or saved under two names?"
    ]


def changed_copies(records: list[Record]) -> list[str]:
    """Pictures that are called as changed copies of others ('07_aug1' beside '07'), or of one
    ('07_png.rf.4ac2…' and '07_png.rf.91d0…').
    """
    cores = {r.pair.image_id: find.core(r.pair.image) for r in records}
    copies = {name: m[1] for name, core in cores.items() if (m := COPY.fullmatch(core))}
    found = [(name, of) for name, of in copies.items() if of in cores.values()]
    first: dict[str, str] = {}
    for name, core in cores.items():
        if (m := VERSION.fullmatch(core)) and first.setdefault(m[1], name) != name:
            found.append((name, first[m[1]]))
    if not found:
        return []
    return [
        f"{len(found)} pictures are called as changed copies of others ({found[0][0]} of"
        f" {found[0][1]}): {COPIES}"
    ]


def mirrored_copies(records: list[Record]) -> list[str]:
    """Pictures that are others mirrored or turned by half, brighter or saved again perhaps."""
    pictures, found = [r.picture for r in records], []
    bits, count = alike.hashes(pictures), len(pictures)
    for turn in (np.fliplr, np.flipud, lambda p: np.rot90(p, 2)):
        both = [*pictures, *map(turn, pictures)]
        all_bits = np.concatenate([bits, alike.hashes(both[count:])])
        first, second, _ = alike.pairs_within(all_bits, NEAR)
        across = (first < second - count) & (second >= count)  # every two once, none with itself
        first, second = first[across], second[across]
        fine = alike.agreement(both, first, second)
        sure = fine > np.maximum(MOSTLY, alike.agreement(pictures, first, second - count) + SURE)
        pairs = sorted(zip(first[sure].tolist(), (second[sure] - count).tolist(), strict=True))
        found += [(records[a], records[b]) for a, b in pairs]
    found = [(a, b) for a, b in found if a.alike != b.alike]  # the same bytes are said of each
    if not found:
        return []
    one, other = (r.pair.image_id for r in found[0])
    return [
        f"{len({b.pair.image_id for _, b in found})} pictures are others mirrored or turned"
        f" ({other} of {one}): {COPIES}"
    ]


def numbered(records: list[Record], data: Path) -> list[str]:
    """Numbered files that were united, where every picture has as many: structures have that, not
    lesions.
    """
    ruled = [r for r in records if r.pair.rule == NUMBERED]
    parts = [[file for file, _ in united.parts(data / r.pair.mask)] for r in ruled]
    # others name their structures
    counts = Counter(len(own) for own in parts if all(readers.suffix(f) in DRAWN for f in own))
    count, often = counts.most_common(1)[0] if counts else (0, 0)
    if len(records) < FEWEST or count < 2 or often < MOSTLY * len(records):
        return []
    return [
        f"{often} of {len(records)} pictures have {count} masks each that differ by a number, and"
        " they were united as one structure. If the numbers are structures, visits or versions,"
        " give them names in a form (masks: with {class}, or one of them)."
    ]


def slips(records: list[Record], classes: Sequence[Class]) -> list[str]:
    """Classes that are outlined in hardly any picture, or in single pixels alone."""
    found = []
    for k, c in enumerate(classes[1:] if len(classes) > 2 else ()):
        shown = [r for r in records if r.areas[k] > 0]
        pixels = [r.areas[k] * r.size[0] * r.size[1] for r in shown]
        if not shown or len(records) < 10:
            continue
        if max(pixels) < STRAY + 0.5:
            what = f"has at most {max(pixels):.0f} pixels in a picture"
        elif len(shown) <= SLIP * len(records):
            what = f"is outlined in {len(shown)} of {len(records)} pictures"
        else:
            continue
        found.append(
            f"{c.title} {what} ({shown[0].pair.image_id}): is it a structure, or a slip of a name"
            " or a colour? If it is none, write its label under ignored, or mend that mask."
        )
    return found


def boxes(records: list[Record], classes: Sequence[Class]) -> list[str]:
    """Structures that are upright rectangles in every picture: a detector's boxes, no outlines."""
    found = []
    for c in classes[1:]:
        shown = [r.drawn == c.index for r in records if r.areas[c.index - 1] > 0]
        parts = [one for area in shown for one in _parts(area)]
        filled = sum(any(p.all() for p in _parts(area)) for area in shown)
        large = [min(one.shape) >= BOX for one in parts]
        if len(shown) >= FEWEST and filled > MOSTLY * len(shown) and np.mean(large) > MOSTLY:
            found.append(
                f"{c.title} is an upright rectangle in {filled} of {len(shown)} pictures: are these"
                " boxes around it? Every number would be of boxes; outline its border instead."
            )
    return found


def _parts(area: np.ndarray) -> list[np.ndarray]:
    """The parts of an area, bool, each in the smallest rectangle that holds it."""
    labels, _ = ndimage.label(area)
    return [area[place] for place in ndimage.find_objects(labels)]


def smoothed(records: list[Record], classes: Sequence[Class]) -> None:
    """StudyError where the masks hold grey values of which most pictures show rims: not one is a
    structure.
    """
    seen = sum(any(agreement.SMOOTHED in words for words in r.doubts) for r in records)
    if seen > len(records) / 2 and any(c.name.startswith("value_") for c in classes):
        held = ", ".join(c.name.removeprefix("value_") for c in classes[1:])
        raise StudyError(
            f"classes: the masks hold the values {held}, and in {seen} of {len(records)} pictures"
            " some of them are rims of a pixel or two around others, as smoothed edges are. Export"
            " the outlined areas alone, without smoothing; if each value is a structure, name them"
            " in a form"
        )


def never_together(records: list[Record], classes: Sequence[Class]) -> list[str]:
    """Labels that nothing names, or that are called alike, of which no picture shows both: one
    structure written in two ways, or two structures.
    """
    shown = [np.array([r.areas[k] > 0 for r in records]) for k in range(len(classes) - 1)]
    enough = max(2.0, SLIP * len(records))
    pairs = []
    for one, other in combinations([k for k, own in enumerate(shown) if own.any()], 2):
        a, b = classes[1 + one], classes[1 + other]
        often = min(shown[one].sum(), shown[other].sum()) > enough
        unnamed = often and all(c.name.startswith(UNNAMED) for c in (a, b))
        if (unnamed or _alike(a.name, b.name)) and not (shown[one] & shown[other]).any():
            pairs.append((a, b, int(shown[one].sum()), int(shown[other].sum())))
    if not pairs:
        return []
    a, b, first, second = pairs[0]
    return [
        f"{a.title} is outlined in {first} pictures, {b.title} in {second} others, and no picture"
        " shows both: is it one structure, written in two ways? Then write in a form classes:"
        " [{name: …, labels: [both]}], with what the masks hold."
    ]


def _alike(one: str, other: str) -> bool:
    """Whether two names differ by a slip, or one says more than the other: 'nerve' and 'nervr' or
    'nerve area', but not 'left lobe' and 'right lobe' or 'lateralis' and 'medialis'.
    """
    words = [re.findall(r"[^\W_]+", name.casefold()) for name in (one, other)]
    if len(words[0]) != len(words[1]):
        within = set(words[0]) <= set(words[1]) or set(words[1]) <= set(words[0])
        return within or "".join(words[0]) == "".join(words[1])
    differ = [pair for pair in zip(*words, strict=True) if pair[0] != pair[1]]
    return all(SequenceMatcher(None, *pair).ratio() >= ALIKE for pair in differ)


def raters(records: list[Record]) -> list[str]:
    """Raters whose outlines have little in common with the reference, or everything."""
    names = sorted({name for r in records for name in r.agreed})
    found = []
    for name in names:
        # that both find nothing says that they agree
        own = [r.agreed[name] for r in records if name in r.agreed and any(r.areas)]
        dice = np.array([d for d, _ in own if not np.isnan(d)])
        told = [words for _, words in own if words]
        empty = sum(words == agreement.NOTHING for words in told)
        if len(own) < FEWEST:
            continue
        if empty > len(own) / 2:
            found.append(f"{name} outlined nothing in {empty} of {len(own)} pictures.")
        elif len(told) > len(own) / 2:
            found.append(f"{name}: in {len(told)} of {len(own)} pictures {told[0]}")
        elif len(dice) and (dice == 1).mean() > MOSTLY:
            found.append(
                f"{name}'s outlines are exactly those of the reference in {int((dice == 1).sum())}"
                f" of {len(own)} pictures: is it a second person's drawing, or a copy?"
            )
        elif len(dice) and np.median(dice) < APART:
            found.append(
                f"{name}'s outlines and those of the reference typically overlap by a Dice of"
                f" {np.median(dice):.2f}: are they mirrored, of other pictures, with classes"
                " exchanged, or black and white?"
            )
    return found


def people(records: list[Record], data: Path) -> list[str]:
    """DICOM numbers of patients that contradict names, examinations or folders."""
    named = [r for r in records if r.patient and "patient" not in r.pair.told]
    files = {r.pair.image: readers.locate(data / r.pair.image)[0] for r in named}
    named = [r for r in named if readers.kind(files[r.pair.image]) == "DICOM"]
    if len({r.patient for r in named}) < 2:
        return []
    persons: dict[tuple, set[str]] = defaultdict(set)
    examined: dict[str, set[str]] = defaultdict(set)
    places: dict[str, set[str]] = defaultdict(set)
    dates = []
    for r in named:
        header, person = dicom.header(files[r.pair.image]), deidentify.person(files[r.pair.image])
        if all(person[:2]):
            persons[person[:2]].add(str(r.patient))
        if uid := str(header.get("StudyInstanceUID", "") or ""):
            examined[uid].add(str(r.patient))
        dates.append(str(header.get("StudyDate", "") or "") == r.patient)
        if where := str(header.get("InstitutionName", "") or "").strip():
            places[str(r.patient)].add(where)
    found = []
    exams = [*examined.values()] if len(examined) > 1 else []  # one for all is a program's filling
    told = (("name and birth date", [*persons.values()]), ("examination", exams))
    for what, groups in told:
        several = [sorted(own) for own in groups if len(own) > 1]
        if several:
            found.append(
                f"{len(several)} times files of one {what} have several patient numbers"
                f" ({' and '.join(several[0][:2])}): one person may be in training and test. Say in"
                " the form how to read the patient."
            )
    if apart := {p: sorted(where) for p, where in places.items() if len(where) > 1}:
        number, sites = next(iter(apart.items()))
        found.append(
            f"{len(apart)} patient numbers stand in files of several institutions, such as"
            f" {number!r} in those of {' and '.join(sites[:2])}: is that one person? Else let the"
            " folder of the institution be part of the patient (patient: {pattern: …} in a form)."
        )
    if all(dates):
        found.append(
            "Every patient's number is the date of the examination: people examined on one day are"
            " one, and one examined twice is two. Say in the form how to read the patient."
        )
    return found + _against_folders(named)


def _against_folders(named: list[Record]) -> list[str]:
    """Folders that hold several pictures each, and numbers that go otherwise."""
    folders: dict[str, set[str]] = defaultdict(set)
    numbers: dict[str, set[str]] = defaultdict(set)
    for r in named:
        folder = PurePosixPath(r.pair.image).parent.as_posix()
        folders[folder].add(str(r.patient))
        numbers[str(r.patient)].add(folder)
    numbered = sum(bool(re.search(r"\d", PurePosixPath(f).name)) for f in folders)
    if len(folders) < 3 or len(named) < 2 * len(folders) or 2 * numbered < len(folders):
        return []  # folders of diagnoses or centres
    if len(numbers) == len(named):
        return [
            f"Each of {len(named)} files has a patient number of its own, in {len(folders)}"
            " folders: are the numbers of patients, or of files? If a folder is a person, write"
            " patient: {pattern: '([^/]+)/[^/]+$'} in a form."
        ]
    alone = [p for p, own in numbers.items() if len(own) == 1 and folders[next(iter(own))] == {p}]
    over = sorted(p for p, own in numbers.items() if len(own) > 1)
    if over and len(alone) >= len(numbers) / 2:
        where = sorted(numbers[over[0]])
        return [
            f"Patient number {over[0]!r} stands in the folders {' and '.join(where[:2])}, the"
            " others in one each: is that one person? Else write patient: {pattern:"
            " '([^/]+)/[^/]+$'} in a form."
        ]
    return []
