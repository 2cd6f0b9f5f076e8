"""Which files are images, which mask belongs to which, whose they are."""

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image

from helpers import readers
from helpers.errors import StudyError
from helpers.readers import dicom, pictures
from tools.intake import layouts, several
from tools.intake.patterns import Places, matches, plain, stem
from tools.intake.tables import natural

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".wmv", ".m4v")
IMAGES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".dicom", ".ima"),
    *(".nii", ".nii.gz", ".nrrd", ""),
)
RASTERS = (".png", ".tif", ".tiff", ".bmp")
MASKS = (*IMAGES[:-1], ".json", ".csv", ".xml", ".txt")
MASK_WORD = (
    r"masks?|msk|labels?|lbl|seg|segs|segmentations?|segmentation_?masks?|annotations?|anno|ann|gt"
    r"|ground[ _-]?truths?|outlines?|contours?|masken?|masques?|mascaras?|m\u00e1scaras?|maschere"
)
MASK_FOLDER = re.compile(
    rf"(?i)^(?:(.*[ _-])?({MASK_WORD})([ _-].*)?|labels(Tr|Ts|Va)|rater.*|senior)$"
)
MASK_ENDING = re.compile(rf"(?i)[ _.-]({MASK_WORD})([ _-]?\(?\d{{1,2}}\)?)?$")
MASK_START = re.compile(rf"(?i)^({MASK_WORD})[ _-]")
IMAGE_AFFIX = re.compile(r"(?i)^(img|image|im|us)[ _-]|[ _-](img|image|us)$")
#: folders that tell apart pictures from masks, and nothing else
IMAGE_FOLDER = re.compile(
    r"(?i)^(images?|imgs?|pictures?|photos?|scans?|bilder|raw|data|jpegimages)$"
)
ONE_PICTURE = 12  # files of a folder that may be one picture and its structures
FEW_VALUES = 8  # a picture of so few grey values is a mask


@dataclass(frozen=True)
class Pair:
    """An image and its mask, relative to DATA with '/'; raters: name → mask of everyone who drew
    it; told: what the form's pattern read from the image's name; rule: by which several masks were
    united.
    """

    image_id: str
    image: str
    mask: str
    raters: dict
    told: dict = field(default_factory=dict, compare=False)
    rule: str = field(default="", compare=False)


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used, and why; masks: what was found for it."""

    file: str
    reason: str
    masks: tuple = field(default=(), compare=False)


def left_by_system(file):
    """Whether a file is hidden, or left behind by a system."""
    return any(
        p.startswith((".", "~")) or p in ("__MACOSX", "Thumbs.db", "desktop.ini")
        for p in PurePosixPath(file).parts
    )


def whole_folder(data):
    """Every file under DATA, relative, natural order."""
    found = [p.relative_to(data).as_posix() for p in Path(data).rglob("*") if p.is_file()]
    return sorted(found, key=natural)


def everything(data):
    """Every file under DATA that somebody put there: relative, natural order."""
    return [f for f in whole_folder(data) if not left_by_system(f)]


def images(files, form, data=None):
    """The files that are images, as ``pictures_in`` finds them."""
    return pictures_in(files, form, data)[0]


def pictures_in(files, form, data=None):
    """(images, sentences): by the form's patterns, else by ending and content; what looks like a
    mask is no image, and that is said where a form would have it.
    """
    if form.images:
        found = [f for f in files if any(matches(p, f) is not None for p in form.images)]
        masks = [f for f in found if masklike(f)]
        if masks and len(masks) < len(found):
            found = [f for f in found if f not in set(masks)]
            return found, [
                f"{len(masks)} files match {', '.join(form.images)} but are named as masks, or lie"
                f" in a folder of masks ({masks[0]}, …): they were not taken as pictures."
            ]
        return found, []
    found = [f for f in files if readers.suffix(f) in IMAGES and not masklike(f)]
    found = [f for f in found if readers.suffix(f) or _dicom_without_ending(f, data)]
    return _without_unnamed_masks(found, data)


def _dicom_without_ending(file, data):
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


def _without_unnamed_masks(found, data):
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
    for place, group in folders.items() if data else ():
        if place != PurePosixPath() and 1 < len(group) <= ONE_PICTURE:
            flat = [f for f in group if few_values(Path(data) / f)]
            masks += flat if len(flat) == len(group) - 1 else []
    for group in alike.values() if data else ():
        if len(group) > 1:
            flat = [f for f in group if few_values(Path(data) / f)]
            masks += flat if len(flat) < len(group) else []
    if not masks:
        return found, []
    masks = list(dict.fromkeys(masks))
    return [f for f in found if f not in set(masks)], [
        f"{len(masks)} files hold few grey values and are called as a picture is, or lie beside one"
        f" ({masks[0]}, …): they were taken as masks."
    ]


def few_values(path):
    """Whether a raster file holds few values or a palette, as masks do."""
    if readers.suffix(path) not in RASTERS:
        return False
    try:
        with Image.open(path) as picture:
            if picture.mode in ("1", "P"):
                return True
            return picture.convert("RGB").getcolors(FEW_VALUES) is not None
    except (OSError, ValueError, SyntaxError):
        return False


def masklike(file):
    """Whether a file's name or folder says that it is a mask; of several folders the deepest
    speaks ('My segmentation/images' holds pictures).
    """
    path, name = PurePosixPath(file), stem(file)
    if MASK_ENDING.search(name) or MASK_START.search(name):
        return True
    for part in reversed(path.parts[:-1]):
        if MASK_FOLDER.match(part):
            return True
        if IMAGE_FOLDER.match(part) and part.lower() not in ("data", "raw"):
            return False
    return path.name.lower().endswith(".seg.nrrd")


def core(file):
    """What an image and its mask share of their names: without ending, 'mask', 'img' and so on."""
    name = stem(file)
    if readers.suffix(name) in IMAGES[:-1]:  # p1.png.json
        name = stem(name)
    bare = IMAGE_AFFIX.sub("", MASK_START.sub("", MASK_ENDING.sub("", name)))
    return plain(bare or name)


def _folders(file):
    """The folders that say more than picture or mask: nnU-Net's imagesTr and labelsTr are both
    'tr'.
    """
    found = set()
    for part in PurePosixPath(file).parts[:-1]:
        if set_name := re.fullmatch(r"(?:images|labels)(Tr|Ts|Va)", part):
            found.add(set_name[1].lower())
        elif not (IMAGE_FOLDER.match(part) or MASK_FOLDER.match(part)):
            found.add(plain(part))
    return found


def pair(files, chosen, form, data=None):
    """(pairs, refused): every image with its mask or masks, by the form's patterns or by their
    names; several are united by rule (``several``). A mask that would serve several images serves
    none.
    """
    told = {i: _told(i, form) for i in chosen}
    ids, places = identifiers(chosen), Places(files)
    shared = layouts.Shared(files, data) if data is not None else layouts.Shared((), None)
    where = _by_form(chosen, form, places, told) if form.masks else {}
    found = where or _by_name(files, chosen, shared)
    serving, refused = defaultdict(set), {}
    for image, drawn in found.items():
        for masks, _ in drawn.values():
            for mask in masks:
                serving[shared.linked(mask, image)].add(image)
    rules = _rules(found, form)
    pairs = []
    for image, drawn in found.items():
        cells, rule = {}, ""
        for rater, (masks, tried) in drawn.items():
            linked = [shared.linked(m, image) for m in masks]
            others = [i for m in linked for i in serving[m] if i != image]
            why, cell = _refusal(image, linked, tried, others, form, shared), None
            if not why and (len(linked) > 1 or rules[rater].is_structure(image, linked)):
                cell, rule = rules[rater].unite(image, linked)
                why = "" if cell else _several(linked)
            if rater == form.reference and why:
                refused[image] = Refused(image, why, tuple(linked))
            elif why and (masks or rater is None):
                refused.setdefault(image, Refused(image, why, tuple(linked)))
            elif linked:
                cells[rater] = cell or linked[0]
        if image not in refused:
            reference = cells.pop(form.reference)
            pairs.append(Pair(ids[image], image, reference, cells, told[image], rule))
    used = {m.partition("#")[0] for d in found.values() for masks, _ in d.values() for m in masks}
    return (
        [p for p in pairs if p.image not in used],  # of another picture: a mask and no picture
        [r for r in refused.values() if r.file not in used],
    )


def _by_form(chosen, form, places, told):
    """image → {rater: (masks, where they were looked for)}; rater None where one drew."""
    raters = form.masks if isinstance(form.masks, dict) else {None: form.masks}
    found = {}
    for image in chosen:
        found[image] = {}
        for rater, templates in raters.items():
            templates = (templates,) if isinstance(templates, str) else templates
            asked = [places.found(t, image, told[image]) for t in templates]
            masks = list(dict.fromkeys(m for masks, _ in asked for m in masks if m != image))
            tried = ", ".join(dict.fromkeys(where for _, where in asked))
            found[image][rater] = (sorted(masks, key=natural), tried)
    return found


def _by_name(files, chosen, shared):
    """As ``_by_form``, by what the files are called and where they lie."""
    images, by_core, longer = set(chosen), defaultdict(list), defaultdict(list)
    masks = [f for f in files if readers.suffix(f) in MASKS and f not in images]
    masks = [f for f in masks if not shared.is_one(f)]
    texts = (".txt", ".xml", ".csv")  # label descriptions and tables lie beside masks too
    masks = [f for f in masks if readers.suffix(f) not in texts or shared.known.get(f)]
    cores = {core(i) for i in chosen}
    for mask in masks:
        by_core[core(mask)].append(mask)
        if core(mask) not in cores and (own := several.within(core(mask), cores)):
            longer[own].append(mask)
    found = {}
    for image in chosen:
        own = _named_alike(image, by_core) or shared.of(image) or _named_alike(image, longer)
        found[image] = {None: ([m for m in own if not shared.holds_none(m)] or own, "")}
    taken = {m for drawn in found.values() for m in drawn[None][0]}
    beside = _beside(chosen, [m for m in masks if m not in taken])
    for image, drawn in found.items():
        if not drawn[None][0] and beside.get(image):
            found[image] = {None: (beside[image], "")}
    return found


def _beside(chosen, masks):
    """image → the masks of its folder, where it is the only picture there: 'x/images/1.png' and all
    of 'x/masks'.
    """

    def home(file):
        parts = PurePosixPath(file).parts[:-1]
        return tuple(p for p in parts if not (IMAGE_FOLDER.match(p) or MASK_FOLDER.match(p)))

    pictures, drawn = defaultdict(list), defaultdict(list)
    for image in chosen:
        pictures[home(image)].append(image)
    for mask in masks:
        if readers.suffix(mask) in RASTERS:
            drawn[home(mask)].append(mask)
    alone = {own[0]: folder for folder, own in pictures.items() if folder and len(own) == 1}
    return {image: sorted(drawn[folder], key=natural) for image, folder in alone.items()}


def _rules(found, form):
    """rater → ``several.Rules`` of its masks."""
    raters = list(next(iter(found.values()), {}))
    by_rater = {r: {i: drawn[r][0] for i, drawn in found.items()} for r in raters}
    words = re.compile(MASK_WORD)
    return {r: several.Rules(masks, form.classes, words) for r, masks in by_rater.items()}


def _refusal(image, masks, tried, others, form, shared):
    """Why the masks found for an image cannot be its own, or ''."""
    if not masks and tried:
        whose = f"of the reference {form.reference!r} " if form.reference else ""
        return f"no mask {whose}found at {tried}; correct the key masks of the form"
    if told := shared.unread(masks):
        return told
    if not masks:
        return (
            f"no mask found: no other file is called {stem(image)} or {stem(image)}_mask, and"
            " no COCO or VIA file names it; outline it, or write in the form where its mask"
            ' lies, such as masks: "masks/{stem}.png"'
        )
    if others:
        return (
            f"its mask {masks[0]} would serve {len(set(others))} other pictures too"
            f" ({min(others, key=natural)}, …); say in the form which is whose, such as"
            f" {several.advice(image, masks)}"
        )
    if lossy := [m for m in masks if readers.suffix(m) in (".jpg", ".jpeg")]:
        return f"its mask {lossy[0]} is JPEG, whose losses smear the labels; export PNG"
    return ""


def _told(image, form):
    return next((t for p in form.images if (t := matches(p, image)) is not None), {})


def _named_alike(image, by_core):
    """The masks whose names say that they belong to an image: those of the same folders first."""
    found = by_core.get(core(image), [])
    if not found and re.search(r"_0000$", core(image)):  # nnU-Net's first channel
        found = by_core.get(core(image).removesuffix("_0000"), [])
    own = _folders(image)
    best = max((len(own & _folders(f)) for f in found), default=0)
    return sorted((f for f in found if len(own & _folders(f)) == best), key=natural)


def _several(found):
    listed = ", ".join(found[:6]) + (", …" if len(found) > 6 else "")
    return (
        f"{len(found)} masks could be its own: {listed}; they are neither numbered nor named after"
        " the classes. Name them so, or write in the form which counts, such as masks:"
        ' "{folder}/{stem}_mask.png", or, if several people drew them, masks: {anna:'
        ' "anna/{stem}.png", ben: "ben/{stem}.png"} and reference: anna'
    )


def frames(pairs, data):
    """(pairs, refused): every cine whose mask is a stack of as many slices replaced by its outlined
    frames, 'cine.dcm#7'. Each file is on its own.
    """
    result, refused = [], []
    for pair in pairs:
        try:
            result += _frames(pair, data)
        except StudyError as error:
            refused.append(Refused(pair.image, str(error).replace(f"{data}/", "")))
    return result, refused


def _frames(pair, data):
    return [
        Pair(f"{pair.image_id}_{k:03d}", f"{pair.image}#{k}", f"{pair.mask}#{k}", {}, pair.told)
        for k, drawn in enumerate(stack(pair, data))
        if drawn
    ] or [pair]


def stack(pair, data):
    """Whether something is outlined on each frame of a cine whose mask is a stack of as many
    slices: list of bool; empty for every other pair.
    """
    image, mask = Path(data) / pair.image, Path(data) / pair.mask
    if (
        pair.raters
        or readers.suffix(pair.mask) not in (".nii", ".nii.gz")
        or readers.kind(image) != "DICOM"
    ):
        return []
    count = int(dicom.header(image).get("NumberOfFrames", 1) or 1)
    slices = pictures.open_nifti(mask)[0]
    if count == 1 or slices.ndim != 3 or slices.shape[2] != count:
        return []
    return [bool(slices[..., k].any()) for k in range(count)]


def identifiers(chosen):
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


def patient(image, data, form, told=()):
    """The patient of an image (text) or None where nothing says; StudyError where the form's
    pattern does not match. told: what the pattern of the images read from its name.
    """
    if not form.patient and "patient" in dict(told):
        return dict(told)["patient"]
    if "pattern" in form.patient:
        match = re.search(form.patient["pattern"], unicodedata.normalize("NFC", image))
        if not match or not match.groups() or not match[1]:
            raise StudyError(
                f"{image}: the pattern {form.patient['pattern']!r} finds no patient in this path"
            )
        return match[1]
    return tag(image, data, form.patient.get("tag", "PatientID"), required="tag" in form.patient)


def device(image, data, form):
    """The device of an image (text) or None: by the form, else the DICOM model name."""
    if "name" in form.device:
        return form.device["name"]
    return tag(
        image, data, form.device.get("tag", "ManufacturerModelName"), required="tag" in form.device
    )


#: the note on an image whose header names somebody
IDENTIFIED = "the file names a person or a birth date; before sharing: make anonymous"


def identified(image, data):
    """Whether a DICOM file still names or dates a person: a birth date, or a name that is not the
    patient's number.
    """
    path = readers.locate(Path(data) / image)[0]
    if readers.kind(path) != "DICOM":
        return False
    header = dicom.header(path)
    name, number = (str(header.get(k, "") or "").strip() for k in ("PatientName", "PatientID"))
    return bool(header.get("PatientBirthDate")) or name not in ("", number)


def tag(image, data, keyword, required=False):
    """A DICOM value as text or None; required: its absence is a StudyError."""
    path = readers.locate(Path(data) / image)[0]
    value = None
    if readers.kind(path) == "DICOM":
        value = str(dicom.header(path).get(keyword, "") or "").strip() or None
    if value is None and required:
        raise StudyError(f"{image}: has no DICOM value {keyword}, which the form asks for")
    return value


def patient_folder(image):
    """The folder that numbers a patient, such as 'patient03' or 'P 7', or None."""
    for part in PurePosixPath(image).parts[:-1]:
        if re.fullmatch(
            r"(?i)(patient|pat|subject|subj|sub|case|proband|paciente|paziente|p)[ _-]?\d+", part
        ):
            return part
    return None
