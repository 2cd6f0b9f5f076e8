"""Which classes the masks hold, where no form names them."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers import readers, schemas
from helpers.errors import StudyError
from helpers.readers import annotations, dicom, labels, pictures, united
from helpers.studies import Class
from tools.intake import find, layouts, palettes
from tools.intake import form as forms
from tools.intake.pairing import Pair

MOST = 20  # classes; more are values of something else
NOTHING = ("", "None", "undefined")  # what attributes hold that were not chosen
FEW = 0.2  # share of the masks from which what they hold is no slip


class Many(Exception):
    """A file of more colours than a mask has, or of fractions."""


@dataclass
class Found:
    """Label names as written, values above 0, and colours other than black, that masks of so many
    pictures hold; odd: a file of more values than classes can be; together: whether one file holds
    several values; seen: all of these as they are compared, rare ones too; counted: whether every
    file holds the numbers from 1 on, some more and some fewer, as the single lesions of a picture;
    attributes: those of outlines that have several.
    """

    names: set = field(default_factory=set)
    values: set = field(default_factory=set)
    colours: set = field(default_factory=set)
    odd: str = ""
    pictures: int = 1
    together: bool = False
    seen: set = field(default_factory=set)
    counted: bool = False
    attributes: str = ""


def look(pairs: list[Pair], data: Path | str) -> Found:
    """Found of all masks; what only a few hold as no other does is refused by its own file later:
    one that cannot be opened, names among numbers, numbers among names, 255 among indices.
    """
    parts = Counter(part for p in pairs for part in _parts(Path(data) / p.mask))
    each = [Found(names={name}, pictures=n) for (_, name), n in parts.items() if name]
    for path, number in sorted((file, n) for (file, name), n in parts.items() if not name):
        one = Found(pictures=number)
        try:
            _one(path, one)
        except Many:
            one = Found(odd=path.relative_to(data).as_posix(), pictures=number)
        except (StudyError, OSError, AttributeError, LookupError, TypeError, ValueError):
            continue
        if len(one.values) > MOST:
            one = Found(odd=path.relative_to(data).as_posix(), pictures=number)
        each.append(one)
    seen = {spelled(n) for f in each for n in (*f.names, *f.values)}
    seen |= {f"#{bytes(c).hex()}" for f in each for c in f.colours}
    rare = FEW * sum(f.pictures for f in each if f.names or f.values or f.colours or f.odd)
    for holds in (lambda f: f.names, lambda f: f.values, lambda f: 255 in f.values):
        if sum(f.pictures for f in each if holds(f)) < rare:
            each = [f for f in each if not holds(f)]
    held = [f.values for f in each if f.values]
    found = Found(
        odd=next((f.odd for f in each if f.odd), ""),
        counted=len({len(v) for v in held}) > 2 and all(max(v) == len(v) for v in held),
        together=any(len(f.values) > 1 for f in each),
        attributes=next((f.attributes for f in each if f.attributes), ""),
        seen=seen,
    )
    for kind in ("names", "values", "colours"):
        setattr(found, kind, set().union(*(getattr(f, kind) for f in each)))
    return found


def _parts(path: Path | str) -> list[tuple[Path, str | None]]:
    """[(file, the structure that all of it is, or None)] of a mask."""
    return [(readers.locate(f)[0], n) for f, n in united.parts(path) or [(Path(path), None)]]


def _one(path: Path, found: Found) -> None:
    end = readers.suffix(path)
    if end in (".json", ".csv", ".xml"):
        found.names |= _annotated(path, found)
    elif end in (".nii", ".nii.gz"):
        values = labels.whole(np.unique(pictures.open_nifti(path)[0]))
        numbers = {int(v) for v in values if np.isfinite(v)} - {0}
        if described := labels.descriptions(path):
            found.names |= {name for value, name in described.items() if value in numbers}
        else:
            found.values |= numbers
    elif end in find.VOLUMES:  # NRRD, MetaImage
        values, _, header = pictures.open_itk(path)
        numbers = {int(v) for v in np.unique(values)} - {0}
        named = {k: n for k, n in header.items() if re.fullmatch(r"Segment\d+_Name", k)}
        for key, name in named.items():
            if int(header.get(key.replace("_Name", "_LabelValue"), 1)) in numbers:
                found.names.add(name)
        if not named:
            found.values |= numbers
    elif end in (".dcm", ".dicom", ".ima", ""):
        segments = dicom.header(path).get("SegmentSequence", ())
        found.names |= {str(s.get("SegmentLabel", "")).strip() for s in segments} - {""}
    else:
        _raster(path, found)


def _annotated(path: Path, found: Found) -> set[str]:
    """The labels that outlines of a file really have: a category that no outline uses is none.
    Where they have several attributes, or one several of its values, that is noted in found.
    """
    kind, table = layouts.tool(path), readers.suffix(path) == ".csv"
    content: Any = {}
    if table and kind == "VIA":
        content = annotations.via_table(path.read_text(encoding="utf-8-sig"))
    elif not table:
        content = labels.load_json(path)[0]
    if kind == "Labelme":
        return {str(s.get("label")) for s in content["shapes"]}
    if kind == "COCO":
        used = {str(a.get("category_id")) for a in content["annotations"]}
        return {str(c["name"]) for c in content["categories"] if str(c.get("id")) in used}
    if kind == "VIA":
        entries = content.get("_via_img_metadata", content).values()
        regions = [r for e in entries for r in _listed(e["regions"])]
        each = [r.get("region_attributes") or {} for r in regions]
        said = {(k, v) for told in each for k in told for v in _attributes({k: told[k]})}
        ticked = any(len({*_attributes(told)}) > 1 for told in each)
        if ticked or len({name for name, _ in said}) > 1:
            found.attributes = ", ".join(f"{k}: {v}" for k, v in sorted(said)[:MOST])
        return {v for _, v in said}
    return set()


def _listed(regions: Any) -> Iterable:
    return regions.values() if isinstance(regions, dict) else regions


def _attributes(attributes: dict) -> Iterator[str]:
    for value in attributes.values():
        ticked = [k for k, on in value.items() if on] if isinstance(value, dict) else [value]
        yield from (str(v).strip() for v in ticked if str(v).strip() not in NOTHING)


def _raster(path: Path, found: Found) -> None:
    with Image.open(path) as picture:
        if picture.mode in ("L", "P", "1", "I;16", "I", "F"):
            for number in range(getattr(picture, "n_frames", 1)):
                picture.seek(number)
                values = np.unique(np.asarray(picture))
                if (values != np.round(values)).any():
                    raise Many
                found.values |= {int(v) for v in values} - {0}
            return
        counted: Any = picture.convert("RGB").getcolors(MOST + 1)
    if counted is None:
        raise Many
    colours = {colour for _, colour in counted}
    if all(len(set(colour)) == 1 for colour in colours):
        found.values |= {colour[0] for colour in colours} - {0}
    else:
        found.colours |= colours - {(0, 0, 0)}


def classes_of(
    pairs: list[Pair], data: Path, form: forms.Form
) -> tuple[tuple[Class, ...], list[str]]:
    """(classes, sentences): the form's, else what the masks hold, named as there."""
    files = sorted({file for p in pairs for file, _ in _parts(Path(data) / p.mask)})
    by_colour = palettes.colours(files)
    if form.classes:
        _check_colours(by_colour, form.classes)
        _check_order(data, form)
        return form.classes, _unheard(look(pairs, data), form.ignored) if form.ignored else []
    if by_colour:
        known = forms.labels(_of_colours(by_colour, told=True))
        return known, [
            "The masks' palettes number the colours differently: the colours were taken as classes."
        ]
    found = look(pairs, data)
    if found.attributes:
        raise StudyError(
            f"classes: outlines have several attributes ({found.attributes}), and nothing says"
            " which names the structure; write the structures in a form, such as classes: [{name:"
            " nerve}]"
        )
    unheard = _unheard(found, form.ignored)
    left_out = {spelled(i) for i in form.ignored}
    found.colours = {c for c in found.colours if f"#{bytes(c).hex()}" not in left_out}
    if below := sorted(v for v in found.values if v < 0):
        raise StudyError(
            f"classes: the masks hold the value {below[0]}; the background is 0 and the structures"
            " are 1, 2, …: export them so"
        )
    spellings = defaultdict(set)
    for name in found.names:
        if spelled(name) not in left_out and not annotations.is_hole(name):
            spellings[spelled(name)].add(name)
    values = sorted(found.values - {int(i) for i in form.ignored if str(i).isdecimal()})
    if spellings and values:
        raise StudyError(
            f"classes: some masks name their classes ({', '.join(sorted(found.names))}), others"
            f" number them ({', '.join(map(str, values))}); say in a form which number is which"
        )
    described = None
    if spellings:
        entries, notes = _of_names(spellings)
    elif found.colours and not values:
        entries, notes = _of_colours(found.colours, names=labelmap(data)), []
    elif described := nnunet_labels(data, form.ignored):
        entries, notes = described, []
    else:
        entries, notes = _of_values(values, found.together), []
        if found.counted:
            listed = ", ".join(f'"{v}"' for v in values)
            notes.append(
                f"The masks hold the numbers 1 to {max(values)}, some all and some only the first:"
                " are they the single lesions of a picture, of one structure? Then write in a form"
                f" classes: [{{name: lesion, labels: [{listed}]}}]."
            )
    if not entries and found.names == set() and _only_tables(pairs):
        entries = [{"name": "structure"}]
    if not entries and found.odd:
        raise StudyError(
            f"classes: {found.odd} and others hold more than {MOST} values or colours, a mask holds"
            " one for each structure. Smoothed edges, probabilities, JPEG, and pictures with"
            " outlines drawn into them do so: export the outlined areas alone, without smoothing"
        )
    if not entries:
        raise StudyError(
            f"classes: {pairs[0].mask} and the other masks hold nothing but background; outline the"
            " structures, or name in a form where their masks lie"
        )
    if len(entries) > MOST:
        raise StudyError(
            f"classes: the masks hold {len(entries)} different labels; name the classes in a form,"
            " each with its labels"
        )
    for entry in entries:
        if entry["name"].lower() in schemas.RESERVED:  # pages use these words for something else
            entry |= {"name": f"{entry['name']}_1", "title": entry.get("title", entry["name"])}
    known = forms.labels(entries)
    named = ", ".join(c.name if c.title.isascii() else f"{c.name} ({c.title})" for c in known[1:])
    source = "dataset.json" if described else "the masks"
    told = f"No form names the classes; they were taken from {source}: {named}."
    return known, [*unheard, told, *notes]


def _unheard(found: Found, ignored: Sequence[str]) -> list[str]:
    """A sentence on what the form ignores and no mask holds."""
    lost = [i for i in ignored if spelled(i) not in found.seen]
    if not lost:
        return []
    held = ", ".join(sorted(found.seen)[:MOST]) or "nothing"
    return [
        f"The form ignores {', '.join(map(repr, lost))}, which no mask holds (they hold {held}): is"
        " it written as in the masks?"
    ]


def _check_colours(found: set | None, classes: Sequence[Class]) -> None:
    """StudyError where the masks' palettes go by colour, and the form does not say which."""
    declared = {label.lower() for c in classes for label in (c.colour, *c.labels)}
    hexed = sorted(f"#{bytes(c).hex()}" for c in found or ())
    if undeclared := [c for c in hexed if c not in declared]:
        raise StudyError(
            "classes: the masks' palettes number the colours differently, so that the colour"
            f" counts: {', '.join(undeclared)}. Write each in the form, such as classes: [{{name:"
            f' {classes[1].name}, labels: ["{undeclared[0]}"]}}]'
        )


def _check_order(data: Path | str, form: forms.Form) -> None:
    """StudyError where dataset.json has a name of the form at another value than its place says."""
    described = nnunet_labels(data, form.ignored) or []
    values = {spelled(e["title"]): value for value, e in enumerate(described, 1)}
    for c in (form.classes or ())[1:]:
        value = values.get(spelled(c.name), values.get(spelled(c.title), c.index))
        if value != c.index and not any(label.isdecimal() for label in c.labels):
            raise StudyError(
                f"classes: {c.name} stands at place {c.index} of the form, and is the value {value}"
                f" in dataset.json; order the classes by value, or write labels: [{value}] there"
            )


def nnunet_labels(data: Path | str, ignored: Sequence[str] = ()) -> list[dict[str, str]] | None:
    """The classes that nnU-Net's dataset.json names, in the order of their values, or None."""
    told = _one_of_several(data, "dataset.json", _labels_of)
    if not isinstance(told, dict):
        return None
    pairs = [(k, v) if str(v).isdecimal() else (v, k) for k, v in told.items()]  # both are used
    named = {int(v): str(n) for n, v in pairs if str(v).isdecimal()}
    named.pop(0, None)
    skipped = {v for v, n in named.items() if n.casefold() == "ignore"}
    if undecided := skipped - {int(i) for i in ignored if str(i).isdecimal()}:
        raise StudyError(
            f"classes: dataset.json calls the value {min(undecided)} 'ignore', which are pixels"
            " that nobody judged; to read them as background, write in a form ignored:"
            f' ["{min(undecided)}"]'
        )
    named = {v: n for v, n in named.items() if v not in skipped}
    if sorted(named) != list(range(1, len(named) + 1)):
        return None
    safe = {v: re.sub(r"[^A-Za-z0-9_+-]+", "_", n).strip("_") for v, n in named.items()}
    if len(set(safe.values()) - {"", "background"}) < len(named):
        return None
    return [{"name": safe[v], "title": named[v]} for v in sorted(named)]


def _labels_of(path: Path) -> Any:
    try:
        return labels.load_json(path)[0].get("labels")
    except (StudyError, AttributeError):
        return None


def _one_of_several(data: Path | str, name: str, read: Callable[[Path], Any]) -> Any:
    """What the files of one name in the folder say of the labels, None where there is none;
    StudyError where they say different things.
    """
    first = {}
    for path in sorted(Path(data).rglob(name)):
        if (said := read(path)) and (other := first.setdefault("said", (path, said)))[1] != said:
            where = " and ".join(p.relative_to(data).as_posix() for p in (other[0], path))
            raise StudyError(
                f"classes: {where} name the labels differently, so that one number would be two"
                " structures; make a study of each folder, or give the masks one numbering"
            )
    return first["said"][1] if first else None


def spelled(label: str) -> str:
    """A label as it is compared: lower case, single blanks, composed letters."""
    return " ".join(unicodedata.normalize("NFC", str(label)).casefold().split())


def _of_names(spellings: dict) -> tuple[list[dict], list[str]]:
    entries, notes, taken = [], [], set()
    for k, key in enumerate(sorted(spellings), 1):
        written = sorted(spellings[key])
        name = re.sub(r"[^A-Za-z0-9_+-]+", "_", key).strip("_") or f"class_{k}"
        if len(written) == 1:
            name = re.sub(r"[^A-Za-z0-9_+-]+", "_", written[0]).strip("_") or name
        if name in taken:
            name = f"{name}_{k}"
        taken.add(name)
        entries.append({"name": name, "title": written[0].strip() or name, "labels": written})
        if len(written) > 1:
            listed = " and ".join(repr(w) for w in written)
            notes.append(f"The labels {listed} were taken as one class.")
    return entries, notes


def _of_values(values: list[int], together: bool = True) -> list[dict]:
    """Class entries of the values above 0; together: whether some mask holds two of them."""
    if values in ([255], [1]):
        return [{"name": "structure"}]
    if len(values) == 1 and values[0] > MOST:
        return [{"name": "structure", "labels": [str(values[0])]}]
    if not together and values and max(values) > MOST:
        listed = ", ".join(map(str, values))
        labels = ", ".join(f'"{v}"' for v in values)
        raise StudyError(
            f"classes: some masks are drawn in one value, others in another ({listed}), and none in"
            " two. If they mean one structure, write in a form classes: [{name: nerve, labels:"
            f" [{labels}]}}]; else one class for each value"
        )
    if 255 in values and max(values[:-1], default=0) <= MOST:
        raise StudyError(
            f"classes: the masks hold the values {', '.join(map(str, values))}; 255 often means 'do"
            " not count"
            "'"
            '. Write in a form either ignored: ["255"], or the classes, each with its'
            ' value, such as classes: [{name: nerve, labels: ["255"]}]'
        )
    if values and max(values) > MOST:
        return [{"name": f"value_{v}", "labels": [str(v)]} for v in values]
    gaps = values != list(range(1, len(values) + 1))
    return [{"name": f"class_{v}"} | ({"labels": [str(v)]} if gaps else {}) for v in values]


def _of_colours(
    colours: set[tuple[int, int, int]], told: bool = False, names: dict[str, str] | None = None
) -> list[dict]:
    hexed, names = [bytes(c).hex() for c in sorted(colours)], names or {}
    return [
        {"name": f"colour_{h}", "title": f"colour #{h}", "colour": f"#{h}"}
        | ({"name": names[h]} | {"title": names[h]} if h in names else {})
        | ({"labels": [f"#{h}"]} if told else {})
        for h in hexed
    ]


def labelmap(data: Path | str) -> dict[str, str]:
    """{colour (hex): class} of the labelmap.txt that CVAT writes; empty where there is none."""
    return _one_of_several(data, "labelmap.txt", _colours_of) or {}


def _colours_of(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = re.findall(r"(?m)^([A-Za-z0-9_+-]+):(\d{1,3}),(\d{1,3}),(\d{1,3}):", lines)
    known = {bytes(map(int, c)).hex(): name for name, *c in found if max(map(int, c)) < 256}
    return known if len(set(known.values()) - {"background"}) >= len(known) - 1 else {}


def _only_tables(pairs: list[Pair]) -> bool:
    return bool(pairs) and all(
        readers.suffix(file) in (".csv", ".json", ".xml")
        for p in pairs
        for file, _ in _parts(p.mask)
    )
