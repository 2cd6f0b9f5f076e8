"""Which files are images, which mask belongs to which, whose they are."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from helpers import readers
from helpers.errors import StudyError
from helpers.readers import dicom, pictures
from tools.intake.tables import natural

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".dicom", ".nii", ".nii.gz", "")
MASKS = (".png", ".tif", ".tiff", ".bmp", ".nii", ".nii.gz", ".json")
MASK_FOLDER = re.compile(
    r"(?i)^(masks?|labels?|seg|segmentations?|annotations?|gt|ground_?truth|rater.*|senior)([_-].*)?$"
)
MASK_ENDING = re.compile(r"(?i)[ _-](mask|label|labels|seg|segmentation|annotation|gt)$")


@dataclass(frozen=True)
class Pair:
    """An image and its mask, relative to DATA with '/'; raters: name → mask of everyone who drew
    it.
    """

    image_id: str
    image: str
    mask: str
    raters: dict


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used, and why."""

    file: str
    reason: str


def stem(path):
    """File name without its ending ('.nii.gz' is one)."""
    name = PurePosixPath(path).name
    end = readers.suffix(name)
    return name[: len(name) - len(end)] if end else name


def _hidden(parts):
    return any(
        p.startswith((".", "~")) or p in ("__MACOSX", "Thumbs.db", "desktop.ini") for p in parts
    )


def everything(data):
    """Every file under DATA, relative, natural order; hidden ones and what systems leave behind are
    not looked at.
    """
    found = [p.relative_to(data) for p in Path(data).rglob("*") if p.is_file()]
    return sorted((p.as_posix() for p in found if not _hidden(p.parts)), key=natural)


def images(files, form):
    """The files that are images: by the form's patterns, else by ending unless their name or folder
    says mask.
    """
    if form.images:
        return [f for f in files if any(PurePosixPath(f).match(p) for p in form.images)]
    found = [f for f in files if readers.suffix(f) in IMAGES and not _masklike(f)]
    # annotations.json beside no picture, README, licence: files without an ending count only when
    # they are DICOM
    return [
        f for f in found if readers.suffix(f) or re.fullmatch(r"[\w.-]*\d", PurePosixPath(f).name)
    ]


def _masklike(file):
    path = PurePosixPath(file)
    return any(MASK_FOLDER.match(part) for part in path.parts[:-1]) or bool(
        MASK_ENDING.search(stem(file))
    )


def _template(pattern, image):
    path = PurePosixPath(image)
    text = pattern.replace("{folder}", str(path.parent)).replace("{up}", str(path.parent.parent))
    return str(PurePosixPath(text.replace("{stem}", stem(image))))


def pair(files, chosen, form):
    """(pairs, refused): every image with its mask, by the form's patterns or by its name."""
    there, pairs, refused = set(files), [], []
    by_stem = defaultdict(list)
    for file in set(files) - set(chosen):
        if readers.suffix(file) in MASKS:
            by_stem[MASK_ENDING.sub("", stem(file)).lower()].append(file)
    ids = identifiers(chosen)
    for image in chosen:
        if isinstance(form.masks, dict):
            drawn = {
                rater: m for rater, t in form.masks.items() if (m := _template(t, image)) in there
            }
            if form.reference not in drawn:
                where = _template(form.masks[form.reference], image)
                refused.append(
                    Refused(image, f"no mask of the reference {form.reference!r} at {where}")
                )
            else:
                others = {rater: m for rater, m in drawn.items() if rater != form.reference}
                pairs.append(Pair(ids[image], image, drawn[form.reference], others))
            continue
        if form.masks:
            tried = [_template(t, image) for t in form.masks]
            found = [
                m for m in dict.fromkeys(tried) if m.partition("#")[0] in there
            ]  # one COCO file serves many
        else:
            tried, found = ["a file of the same name"], sorted(by_stem[stem(image).lower()])
        if not found:
            refused.append(Refused(image, f"no mask found; looked for {', '.join(tried)}"))
        elif len(found) > 1 and not form.masks:
            refused.append(
                Refused(
                    image,
                    f"{len(found)} masks could be its own: {', '.join(found)}; say which in the"
                    " form",
                )
            )
        else:
            pairs.append(Pair(ids[image], image, found[0], {}))
    return pairs, refused


def frames(pairs, data):
    """Pairs with every cine whose mask is a stack of as many slices replaced by its outlined
    frames, 'cine.dcm#7'.
    """
    result = []
    for pair in pairs:
        image, mask = Path(data) / pair.image, Path(data) / pair.mask
        if (
            pair.raters
            or readers.suffix(pair.mask) not in (".nii", ".nii.gz")
            or readers.kind(image) != "DICOM"
        ):
            result.append(pair)
            continue
        count = int(dicom.header(image).get("NumberOfFrames", 1) or 1)
        slices = pictures.open_nifti(mask)[0]
        if count == 1 or slices.ndim != 3 or slices.shape[2] != count:
            result.append(pair)
            continue
        drawn = [k for k in range(count) if slices[..., k].any()]
        result += [
            Pair(f"{pair.image_id}_{k:03d}", f"{pair.image}#{k}", f"{pair.mask}#{k}", {})
            for k in drawn
        ]
    return result


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


def patient(image, data, form):
    """The patient of an image (text) or None where nothing says; StudyError where the form's
    pattern does not match.
    """
    if "pattern" in form.patient:
        match = re.search(form.patient["pattern"], image)
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
