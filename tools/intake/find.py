"""Which files are images, which could be masks, whose they are."""

import functools
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from helpers import readers
from helpers.errors import StudyError
from helpers.readers import dicom, pictures
from tools.intake import layouts, segmentations, several
from tools.intake.form import Form
from tools.intake.patterns import matches, plain, stem
from tools.intake.tables import natural, some

VOLUMES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".wmv", ".m4v")
IMAGES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".dib"),
    *(".dcm", ".dicom", ".ima"),
    *(*VOLUMES, ".gif", ".webp", *VIDEOS, ""),
)
RASTERS = (".png", ".tif", ".tiff", ".bmp", ".gif")
MASKS = (*IMAGES[:-1], ".json", ".csv", ".xml", ".txt")
MASK_WORD = (
    r"masks?|msk|labels?|lbl|seg|segs|segmentations?|segmentation_?masks?|annotations?|anno|ann|gt"
    r"|segmentation_?class(?:png|raw)?|(?:ground[ _-]?)?truths?|outlines?|contours?"
    r"|masken?|masques?|mascaras?|m\u00e1scaras?|maschere"
)
MASK_FOLDER = re.compile(
    rf"(?i)^(?:(.*[ _-])?({MASK_WORD})([ _-].*)?|labels(Tr|Ts|Va)|rater.*|senior)$"
)
WORD_BY_NUMBER = r"masks?|labels?|segs?|segmentations?"
MASK_ENDING = re.compile(
    rf"(?i)([ _.-]({MASK_WORD})|(?<=\d)({WORD_BY_NUMBER}))([ _-]?\(?\d{{1,2}}\)?)?$"
)
MASK_START = re.compile(
    rf"(?i)^({MASK_WORD})[ _-]|^({WORD_BY_NUMBER})(?=\d)|^task-\d+-annotation-\d+-by-"
)
IMAGE_AFFIX = re.compile(r"(?i)^(img|image|im|us)[ _-]|[ _-](img|image|us)$")
#: what pictures are called beside their number
IMAGE_WORD = re.compile(
    r"img|image|im|us|input|orig|original|raw|src|source|bmode|frame|scan|photo|pic|picture|bild"
)
#: folders that tell apart pictures from masks, and nothing else
IMAGE_FOLDER = re.compile(
    r"(?i)^(images?|imgs?|pictures?|photos?|frames?|scans?|bilder|raw|data|jpegimages|originals?"
    r"|inputs?|b[ _-]?modes?|ultrasounds?)$"
)
#: folders and endings of what programs draw for people to look at: pictures with outlines in them,
#: or every shape in a colour of its own
DERIVED = re.compile(
    r"(?i)^(.*[ _-])?(overlays?|vis|viz|visuali[sz]ations?|previews?|blend(ed|s)?|thumb(nail)?s?"
    r"|masks_human|segmentationobject|segmentationclass(visuali[sz]ation|npy))$"
)
#: … and so of endings, which a thumb's picture has too
DERIVED_ENDING = re.compile(r"(?i)[ _-](overlay|vis|viz|preview|blend|thumb(nail)?)$")
#: … and of what a network drew, which is no reference
PREDICTED = re.compile(
    r"(?i)(?:^|[ _.-])((preds?|predict(s|ed|ions?)?)(tr|ts|va)?|infer(s|red|ences?)?"
    r"|probabilit(y|ies)|softmax|logits?)(?=$|[ _.-])"
)
#: a folder of pictures and masks together, which says of neither what it is
BOTH = re.compile(r"(?i)[ _-](and|und|et|y|with|mit)[ _-]|[&+]")
#: nnU-Net's further channels, which elsewhere are frames
CHANNEL = re.compile(r"((?:.*/)?images(?:Tr|Ts|Va)/.*)_000[1-9](\.[^/]+)")
#: folders of nnU-Net
SET = re.compile(r"(?:images|labels)(Tr|Ts|Va)")
#: between the words of a folder's name: 'trainval-mask', 'trainMasks'
WORDS = re.compile(r"[ _.-]+|(?<=[a-z])(?=[A-Z])")
ONE_PICTURE = 12  # files of a folder that may be one picture and its structures
FEW_VALUES = 8  # a picture of so few grey values is a mask
FEW_COLOURS = 32  # … or of so few colours of a palette


#: what a damaged file makes a library raise, StudyError (a ValueError) among them
ODD = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, NotImplementedError),
    *(OSError, RuntimeError, TypeError, ValueError),
)


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used, and why; masks: what was found for it."""

    file: str
    reason: str
    masks: tuple = field(default=(), compare=False)


def refusal(file: str, error: Exception, data: Path | str) -> Refused:
    """A file that raised one of ODD, as Refused: the reader's words, paths as seen from DATA."""
    reason = f"cannot be read ({type(error).__name__}: {error}); export it again or leave it out"
    if isinstance(error, StudyError):
        reason = str(error).replace(f"{Path(data)}{os.sep}", "")
    return Refused(file, reason.removeprefix(f"{file}: "))


def left_by_system(file: str) -> bool:
    """Whether a file is hidden, or left behind by a system."""
    return any(
        p.startswith((".", "~")) or p in ("__MACOSX", "Thumbs.db", "desktop.ini")
        for p in PurePosixPath(file).parts
    )


def whole_folder(data: Path | str) -> list[str]:
    """Every file under DATA, relative, natural order; StudyError for a name in another encoding,
    as archives from Windows leave behind, which no table can hold.
    """
    found = [p.relative_to(data).as_posix() for p in Path(data).rglob("*") if p.is_file()]
    if odd := [name for name in found if not name.isprintable() and not _utf8(name)]:
        raise StudyError(
            f"DATA={data}: {len(odd)} names are not UTF-8, such as {os.fsencode(odd[0])!r}; unpack"
            " the archive again with its encoding told (unzip -O CP1252), or rename the files"
        )
    return sorted(found, key=natural)


def _utf8(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def everything(data: Path) -> list[str]:
    """Every file under DATA that somebody put there: relative, natural order; without what Labelme
    unpacks of 'x.json' into 'x_json/'.
    """
    files = [f for f in whole_folder(data) if not left_by_system(f)]
    unpacked = {f"{f.removesuffix('.json')}_json" for f in files if f.endswith(".json")}
    return [f for f in files if f.rpartition("/")[0] not in unpacked]


def linked(data: Path | str) -> list[str]:
    """The sentence, as a list, on folders under DATA that are links, whose files are not seen."""
    links = [p.relative_to(data) for p in Path(data).rglob("*") if p.is_symlink() and p.is_dir()]
    told = (
        f"{len(links)} folders are links, which are not followed ({', '.join(map(str, links[:3]))})"
    )
    return [f"{told}: copy the folders themselves into DATA"] if links else []


def images(files: list[str], form: Form, data: Path | None = None) -> list[str]:
    """The files that are images, as ``pictures_in`` finds them."""
    return pictures_in(files, form, data)[0]


def pictures_in(
    files: list[str], form: Form, data: Path | None = None
) -> tuple[list[str], list[str]]:
    """(images, sentences): by the form's patterns, else by ending and content; what looks like a
    mask is no image, and that is said where a form would have it.
    """
    if form.images:
        found = [f for f in files if any(matches(p, f) is not None for p in form.images)]
        own = outlined(files)
        found, notes = _without_derived(_without_segmentations(found, data), own)
        masks = [f for f in found if masklike(f) and f not in own]
        if masks and len(masks) < len(found):
            found = [f for f in found if f not in set(masks)]
            return found, [
                *notes,
                f"{len(masks)} files match {', '.join(form.images)} but are named as masks, or lie"
                f" in a folder of masks ({some(masks)}): they were not taken as pictures.",
            ]
        return found, notes
    own, top = outlined(files), shared_levels(files)
    found = [f for f in files if readers.suffix(f) in IMAGES and (f in own or not masklike(f, top))]
    found = [f for f in found if readers.suffix(f) or _dicom_without_ending(f, data)]
    masks = [f for f in files if readers.suffix(f) in IMAGES and masklike(f, top) and f not in own]
    found, notes = _without_derived(_without_segmentations(found, data), own, top, masks)
    found, more = _without_unnamed_masks(found, data)
    return found, [*notes, *more]


def outlined(files: list[str]) -> set[str]:
    """The files that are named as masks, or as previews, and are pictures all the same, because
    they have a mask of their own: 'GT_01/1.dcm' (a patient's initials) beside 'GT_01/1_mask.png',
    'images/Ann_1.png' with 'masks/Ann_1.png'. Another picture that it could be of speaks against.
    """
    masks, pictures = set(), set()  # places and names of what masks are of; cores of pictures
    top = shared_levels(files)
    for file in files:
        path = PurePosixPath(file)
        if ending := MASK_ENDING.search(stem(file)):
            masks.add((str(path.parent), plain(stem(file)[: ending.start()])))
        if path.parts[:-1] and MASK_FOLDER.match(path.parts[-2]):
            masks.add(("", plain(stem(file))))
        if readers.suffix(file) in IMAGES and not (masklike(file, top) or derived(file, top=top)):
            pictures |= {(said(str(path.parent)), n) for n in (core(file), plain(stem(file)))}
    found = set()
    for file in files:
        path, name = PurePosixPath(file), plain(stem(file))
        if CHANNEL.match(file) and ("", name) in masks:
            found.add(file)  # a picture that is counted from 0000
        by_name = bool(path.parts[:-1] and IMAGE_FOLDER.match(path.parts[-2]))
        of = {(str(path.parent), name), *([("", name)] if by_name else [])}
        odd = masklike(file, top) or DERIVED_ENDING.search(stem(file))
        bare = core(file), plain(DERIVED_ENDING.sub("", stem(file)))
        if odd and of & masks and not pictures & {(said(str(path.parent)), n) for n in bare}:
            found.add(file)
    return found


def _without_derived(
    files: list[str], outlined: Collection[str] = (), top: int = 0, masks: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """(files, sentences): without overlays and previews, but for those with a mask of their own,
    and without nnU-Net's further channels, where others are left. masks: files of which some may
    be overlays or predictions too, which is said.
    """
    there, notes = set(files), []
    drawn = [f for f in files if derived(f, top=top) and f not in outlined]
    if len(drawn) == len(files):
        drawn = []
    if told := [*drawn, *(f for f in masks if derived(f, top=top))]:
        notes.append(
            f"{len(told)} files are called overlays, previews or predictions ({some(told)}): left"
            " out."
        )
        files = [f for f in files if f not in set(drawn)]
    more = [
        f
        for f in files
        if (m := CHANNEL.match(f)) and f"{m[1]}_0000{m[2]}" in there and f not in outlined
    ]
    if more:
        notes.append(
            f"{len(more)} files are further channels ({some(more)}): the first, _0000, was read."
        )
    return [f for f in files if f not in set(more)], notes


def derived(file: str, names: Collection[str] = (), top: int = 0) -> bool:
    """Whether a file's folder, or its name, says that it was drawn for people to look at, or by a
    network. names: of pictures (plain stems), which are called so themselves; of the folders the
    ``top`` ones say nothing.
    """
    name, above = stem(file), PurePosixPath(file).parts[top:-1]
    if any(DERIVED.match(p) or PREDICTED.search(p) for p in above):
        return True
    said = DERIVED_ENDING.search(name) or PREDICTED.search(name)
    return plain(name) not in names and bool(said)


def _without_segmentations(found: list[str], data: Path | None) -> list[str]:
    drawn = segmentations.among(found, data)
    contours = {f for f in found if data is not None and layouts.is_contours(Path(data) / f)}
    return [f for f in found if f not in drawn and f not in contours]


def _dicom_without_ending(file: str, data: Path | None) -> bool:
    """Whether a file without an ending is a DICOM picture, by its content where it can be
    opened.
    """
    name = PurePosixPath(file).name
    if name.upper() == "DICOMDIR":
        return False
    if data is None:
        return bool(re.fullmatch(r"[\w.-]*\d", name))
    try:
        return readers.kind(Path(data) / file) == "DICOM"
    except StudyError:
        return False


def _without_unnamed_masks(found: list[str], data: Path | None) -> tuple[list[str], list[str]]:
    """(images, sentences): of files that share a stem, or a small folder, those of a few grey
    values are the masks of the others.
    """
    alike, cores = defaultdict(list), {core(file) for file in found}
    for file in found:
        name = core(file)
        alike[several.within(name, cores) or name].append(file)
    folders = defaultdict(list)
    for file in found:
        folders[PurePosixPath(file).parent].append(file)
    masks = []
    if data is None:
        return found, []
    for place, group in folders.items():
        if place != PurePosixPath() and 1 < len(group) <= ONE_PICTURE:
            flat = [f for f in group if few_values(Path(data) / f)]
            masks += flat if len(flat) == len(group) - 1 else []
    for group in alike.values():
        if len(group) > 1:
            flat = [f for f in group if few_values(Path(data) / f)]
            masks += flat if len(flat) < len(group) else []
    if not masks:
        return found, []
    masks = list(dict.fromkeys(masks))
    return [f for f in found if f not in set(masks)], [
        f"{len(masks)} files hold few grey values and are called as a picture is, or lie beside one"
        f" ({some(masks)}): they were taken as masks."
    ]


def few_values(path: Path) -> bool:
    """Whether a raster file or a volume holds few values, or a palette, as masks do."""
    try:
        if readers.suffix(path) in VOLUMES:
            nifti = readers.kind(path) == "NIfTI"
            held = pictures.open_nifti(path)[0] if nifti else pictures.open_itk(path)[0]
            return not held.dtype.names and len(np.unique(held)) <= FEW_VALUES
        if readers.suffix(path) not in RASTERS:
            return False
        with Image.open(path) as picture:
            if picture.mode in ("1", "P"):
                return picture.getcolors(FEW_COLOURS) is not None
            return picture.convert("RGB").getcolors(FEW_VALUES) is not None
    except (OSError, ValueError, SyntaxError):
        return False


def one_value(path: Path) -> bool:
    """Whether a mask holds one value besides 0, as that of a single structure does, or so many as
    smoothed edges make; True for what holds outlines, or cannot be opened, which is said when it is
    read.
    """
    try:
        if readers.suffix(path) in VOLUMES:
            nifti = readers.kind(path) == "NIfTI"
            held = pictures.open_nifti(path)[0] if nifti else pictures.open_itk(path)[0]
            values = 1 if held.dtype.names else len(np.setdiff1d(held, 0))
        elif readers.suffix(path) in RASTERS:
            with Image.open(path) as picture:
                colours = picture.convert("RGB").getcolors(FEW_COLOURS) or []
            values = sum(colour != (0, 0, 0) for _, colour in colours)
        else:
            return True
    except (OSError, ValueError, SyntaxError):
        return True
    return values <= 1


def shared_levels(files: list[str]) -> int:
    """How many folders lie above all pictures and masks, and so tell none of them apart: the name
    of a set, 'Nerve segmentation/'.
    """
    parts = [PurePosixPath(f).parts[:-1] for f in files if readers.suffix(f) in IMAGES]
    levels = zip(*parts, strict=False)
    shared = [own[0] for own in takewhile(lambda own: len({*own}) == 1, levels)]
    bare = [k for k, part in enumerate(shared) if re.fullmatch(MASK_WORD, part.lower())]
    return min([len(shared), *bare])  # 'masks/' above everything: its pictures are missing


def masklike(file: str, top: int = 0) -> bool:
    """Whether a file's name or folder says that it is a mask; of several folders the deepest
    speaks ('My segmentation/images' holds pictures), and the ``top`` ones say nothing.
    """
    path, name = PurePosixPath(file), stem(file)
    if MASK_ENDING.search(name) or MASK_START.search(name):
        return True
    for part in reversed(path.parts[top:-1]):
        if MASK_FOLDER.match(part) and not BOTH.search(part):
            return True
        said = {w.lower() for w in WORDS.split(part)} - {"data", "raw"}
        if any(map(IMAGE_FOLDER.match, said)) and not re.search(r"\d", part):
            return False
    return path.name.lower().endswith(".seg.nrrd")


def folders(file: str) -> set[str]:
    """The folders that say more than picture or mask: nnU-Net's imagesTr and labelsTr are both
    'tr'.
    """
    found = set()
    for part in PurePosixPath(file).parts[:-1]:
        if set_name := SET.fullmatch(part):
            found.add(set_name[1].lower())
        elif not (IMAGE_FOLDER.match(part) or MASK_FOLDER.match(part)):
            found.add(plain(part))
    return found


@functools.cache
def words(folder: str) -> frozenset[str]:
    """The words of folders that say more than picture or mask: 'train' of 'trainval-mask' and of
    'labelsTr'. A number says no more than which rater's.
    """
    found = set()
    for part in PurePosixPath(folder).parts:
        if set_name := SET.fullmatch(part):
            found.add(set_name[1].lower())
        elif not IMAGE_FOLDER.match(part):
            found |= {plain(w) for w in WORDS.split(part) if re.search(r"[^\W\d_]", w)}
    only = {w for w in found if not re.fullmatch(MASK_WORD, w)}
    return frozenset(w for w in only if not IMAGE_FOLDER.match(w))


@functools.cache
def said(folder: str) -> frozenset[str]:
    """``folders`` and ``words``: 'trainval-image' and 'trainval-mask' are both 'trainval'."""
    return words(folder) | frozenset(folders(str(PurePosixPath(folder, "file"))))


def core(file: str) -> str:
    """What an image and its mask share of their names: without ending, 'mask', 'img' and so on."""
    name = stem(file)
    if readers.suffix(name) in IMAGES[:-1]:  # p1.png.json
        name = stem(name)
    bare = IMAGE_AFFIX.sub("", MASK_START.sub("", MASK_ENDING.sub("", name)))
    return plain(bare or name)


def identifiers(chosen: list[str]) -> dict[str, str]:
    """image → image_id: its stem, with its folders in front where stems are not unique; other
    letters become '_'.
    """
    count = defaultdict(int)
    for image in chosen:
        count[stem(image)] += 1
    full = {
        i: stem(i) if count[stem(i)] == 1 else str(PurePosixPath(i).with_name(stem(i)))
        for i in chosen
    }
    safe = {image: re.sub(r"[^A-Za-z0-9_.-]+", "_", name) for image, name in full.items()}
    if len(set(safe.values())) < len(safe):
        safe = {image: f"{name}_{k}" for k, (image, name) in enumerate(safe.items())}
    return safe


#: what programs write into PatientID in the place of a person
NO_ONE = re.compile(
    r"(?i)anon(ym(ous|ized|ised|e|isiert)?)?|unknown|unbekannt|none|n/?a|no ?(id|name)|null|0+|-+"
    r"|x+|test|patient|default|removed|deleted"
)


def patient(image: str, data: Path, form: Form, told: Any = ()) -> str | None:
    """The patient of an image (text) or None where nothing says; StudyError where the form's
    pattern does not match. told: what the pattern of the images read from its name.
    """
    if "table" in form.patient:
        return form.patient.get("of", {}).get(image)
    if not form.patient and "patient" in dict(told):
        return dict(told)["patient"]
    if "pattern" in form.patient:
        match = re.search(form.patient["pattern"], unicodedata.normalize("NFC", image))
        if not match or not match.groups() or not match[1]:
            raise StudyError(
                f"{image}: the pattern {form.patient['pattern']!r} finds no patient in this path"
            )
        return match[1]
    found = tag(image, data, form.patient.get("tag", "PatientID"), required="tag" in form.patient)
    return None if found and NO_ONE.fullmatch(found) else found


def device(image: str, data: Path, form: Form) -> str | None:
    """The device of an image (text) or None: by the form, else the DICOM model name."""
    if "name" in form.device:
        return form.device["name"]
    return tag(
        image, data, form.device.get("tag", "ManufacturerModelName"), required="tag" in form.device
    )


#: the note on an image whose header names somebody
IDENTIFIED = "the file names a person or a birth date; before sharing: make anonymous"


def identified(image: str, data: Path | str) -> bool:
    """Whether a DICOM file still names or dates a person: a birth date, or a name that is not the
    patient's number.
    """
    path = readers.locate(Path(data) / image)[0]
    if readers.kind(path) != "DICOM":
        return False
    header = dicom.header(path)
    name, number = (str(header.get(k, "") or "").strip() for k in ("PatientName", "PatientID"))
    return bool(header.get("PatientBirthDate")) or name not in ("", number)


def tag(image: str, data: Path | str, keyword: str, required: bool = False) -> str | None:
    """A DICOM value as text or None; required: its absence is a StudyError."""
    path = readers.locate(Path(data) / image)[0]
    value = None
    if readers.kind(path) == "DICOM":
        value = str(dicom.header(path).get(keyword, "") or "").strip() or None
    if value is None and required:
        raise StudyError(f"{image}: has no DICOM value {keyword}, which the form asks for")
    return value


#: a folder that numbers a patient
PATIENT_FOLDER = (
    r"(?i)(?:^|/)((?:patient|pat|subject|subj|sub|case|proband|paciente|paziente|p)[ _-]?\d+)/"
)


def patient_folder(image: str) -> str | None:
    """The folder that numbers a patient, such as 'patient03' or 'P 7', or None."""
    found = re.search(PATIENT_FOLDER, image)
    return found[1] if found else None
