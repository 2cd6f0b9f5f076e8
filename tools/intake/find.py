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
from tools.intake import layouts
from tools.intake.patterns import Places, matches, plain, stem
from tools.intake.tables import natural

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".wmv", ".m4v")
IMAGES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".dicom", ".ima"),
    *(".nii", ".nii.gz", ".nrrd", ""),
)
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
FEW_VALUES = 8  # a picture of so few grey values is a mask


@dataclass(frozen=True)
class Pair:
    """An image and its mask, relative to DATA with '/'; raters: name → mask of everyone who drew
    it; told: what the form's pattern read from the image's name.
    """

    image_id: str
    image: str
    mask: str
    raters: dict
    told: dict = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used, and why."""

    file: str
    reason: str


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
    """(images, sentences): of files that share a stem, those of a few grey values are the masks
    of the others.
    """
    alike = defaultdict(list)
    for file in found:
        alike[plain(core(file))].append(file)
    masks = []
    for group in alike.values() if data else ():
        if len(group) > 1:
            flat = [f for f in group if few_values(Path(data) / f)]
            masks += flat if len(flat) < len(group) else []
    if not masks:
        return found, []
    return [f for f in found if f not in set(masks)], [
        f"{len(masks)} files hold few grey values and are called as a picture is ({masks[0]}, …):"
        " they were taken as masks."
    ]


def few_values(path):
    """Whether a raster file holds few values or a palette, as masks do."""
    if readers.suffix(path) not in (".png", ".tif", ".tiff", ".bmp"):
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
    """(pairs, refused): every image with its mask, by the form's patterns or by its
    name. A mask that would serve several images serves none.
    """
    told = {i: _told(i, form) for i in chosen}
    ids, places = identifiers(chosen), Places(files)
    shared = layouts.Shared(files, data) if data is not None else layouts.Shared((), None)
    by_core = defaultdict(list)
    for file in files if not form.masks else ():
        if readers.suffix(file) in MASKS and file not in told and not shared.is_one(file):
            by_core[core(file)].append(file)
    pairs, refused = [], []
    for image in chosen:
        if isinstance(form.masks, dict):
            drawn, where = {}, {}
            for rater, template in form.masks.items():
                found, where[rater] = places.found(template, image, told[image])
                if len(found) == 1:
                    drawn[rater] = shared.linked(found[0], image)
            if form.reference not in drawn:
                refused.append(
                    Refused(
                        image,
                        f"no mask of the reference {form.reference!r} at {where[form.reference]}",
                    )
                )
            else:
                others = {rater: m for rater, m in drawn.items() if rater != form.reference}
                pairs.append(Pair(ids[image], image, drawn[form.reference], others, told[image]))
            continue
        if form.masks:
            asked = [places.found(t, image, told[image]) for t in form.masks]
            found = list(dict.fromkeys(m for masks, _ in asked for m in masks if m != image))
            tried = ", ".join(dict.fromkeys(where for _, where in asked))
            reason = f"no mask found at {tried}; correct the key masks of the form"
        else:
            found = _named_alike(image, by_core) or shared.of(image)
            reason = (
                f"no mask found: no other file is called {stem(image)} or {stem(image)}_mask, and"
                " no COCO or VIA file names it; outline it, or write in the form where its mask"
                ' lies, such as masks: "masks/{stem}.png"'
            )
        if not found:
            refused.append(Refused(image, reason))
        elif len(found) > 1:
            refused.append(Refused(image, _several(found, form)))
        elif readers.suffix(found[0]) in (".jpg", ".jpeg"):
            lossy = f"its mask {found[0]} is JPEG, whose losses smear the labels; export PNG"
            refused.append(Refused(image, lossy))
        else:
            pairs.append(Pair(ids[image], image, shared.linked(found[0], image), {}, told[image]))
    serving = defaultdict(list)
    for p in pairs:
        serving[p.mask].append(p.image)
    for p in [p for p in pairs if len(serving[p.mask]) > 1]:
        pairs.remove(p)
        others = [i for i in serving[p.mask] if i != p.image]
        refused.append(
            Refused(
                p.image,
                f"its mask {p.mask} would serve {len(others)} other pictures too ({others[0]}, …);"
                ' say in the form which is whose, such as images: ["images/{patient}/{frame}.png"]'
                ' and masks: "masks/{patient}/{frame}.png"',
            )
        )
    used = {p.mask.partition("#")[0] for p in pairs}  # of another picture: a mask and no picture
    return [p for p in pairs if p.image not in used], [r for r in refused if r.file not in used]


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


def _several(found, form):
    listed = ", ".join(found[:6]) + (", …" if len(found) > 6 else "")
    if form.masks:
        return (
            f"{len(found)} masks are found by the form: {listed}; one mask a picture is needed."
            " Unite the structures or lesions in one file, or write a pattern that finds one file,"
            ' such as images: ["images/{patient}/{frame}.png"] and masks:'
            ' "masks/{patient}/{frame}.png"'
        )
    return (
        f"{len(found)} masks could be its own: {listed}; unite them in one file if each holds a"
        ' part, or write in the form which counts, such as masks: "{folder}/{stem}_mask.png"'
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
    image, mask = Path(data) / pair.image, Path(data) / pair.mask
    if (
        pair.raters
        or readers.suffix(pair.mask) not in (".nii", ".nii.gz")
        or readers.kind(image) != "DICOM"
    ):
        return [pair]
    count = int(dicom.header(image).get("NumberOfFrames", 1) or 1)
    slices = pictures.open_nifti(mask)[0]
    if count == 1 or slices.ndim != 3 or slices.shape[2] != count:
        return [pair]
    drawn = [k for k in range(count) if slices[..., k].any()]
    return [
        Pair(f"{pair.image_id}_{k:03d}", f"{pair.image}#{k}", f"{pair.mask}#{k}", {}, pair.told)
        for k in drawn
    ]


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
