"""DICOM from a scanner to files without a name: pixels cropped, header rebuilt from an allow-list,
ids through a key.

The header is not cleaned but made anew: what is not in ALLOWED does not exist in the result. Dates
become the age at the examination (90 stands for all above 89) and the days since the patient's
first one. Outside the ultrasound region, and outside the fan within it, pixels are black or cut
off; so are words that a text reader finds on the fan. Every other grey value of the fan and the
spacing survive. BurnedInAnnotation is NO only where the text reader looked at the result and found
nothing that could be text; else YES. The sheet shows every picture before and after to a person,
who signs it off. Key and sheet identify people and stay outside the result. Source of the profile:
DICOM PS3.15, Annex E, as an allow-list.
"""

import csv
import datetime
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)
from scipy import ndimage, spatial

from helpers import files, readers
from helpers.errors import StudyError
from helpers.readers import dicom, polygons
from tools.intake import text
from tools.intake.patients import spelling

#: carried over as they are where they hold what they should (numbers, None: text without a word
#: that names somebody); everything else of the header is left behind
ALLOWED = {
    "Manufacturer": None,
    "ManufacturerModelName": None,
    "PatientSex": ("M", "F", "O"),
    "PatientSize": float,
    "PatientWeight": float,
    "PixelSpacing": float,
    "FrameTime": float,
}
#: values that name a person or a place, beside every value that DICOM types as a name
NAMING = (
    "PatientID",
    "OtherPatientIDs",
    "AccessionNumber",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "PatientAddress",
)
REGION = (
    "RegionSpatialFormat",
    "RegionDataType",
    "RegionFlags",
    "PhysicalUnitsXDirection",
    "PhysicalUnitsYDirection",
    "PhysicalDeltaX",
    "PhysicalDeltaY",
)
OLDEST = 90
DARK = 5  # grey levels up to this count as the black around the fan
SHADOW = 60  # grey levels up to this count as noise in a shadow; letters are brighter
SMALLEST = 0.05  # share of the picture that a fan covers at least
# bright pieces smaller than this share of the largest are no part of the fan: scales, logos,
# letters
PART = 0.05
FLAT = 0.5  # share of a piece that has one grey value: a bar or a frame, not tissue
AGE = re.compile(r"\s*(\d{1,3})\s*([YMWD]?)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Clean:
    """frames: uint8 (N, rows, columns) after the crop; box: (top, bottom, left, right) in the
    original; inside: bool (rows, columns), True where the picture was kept; header: Dataset without
    pixels; removed: words that were blackened; doubtful: how many places look like text still, None
    where no text reader is installed; notes: what a person should know.
    """

    frames: np.ndarray
    box: tuple
    inside: np.ndarray
    header: Dataset
    removed: tuple = ()
    doubtful: int | None = None
    notes: tuple = ()

    @property
    def proven(self) -> bool:
        """Whether the pixels were looked through, and nothing was found that could be text."""
        return self.doubtful == 0


def fan(frames: np.ndarray) -> np.ndarray | None:
    """The convex hull of the large pieces of tissue, bool (rows, columns), or None where nothing
    covers SMALLEST.

    frames: uint8 (N, rows, columns). What differs from the screen's own grey is a piece. Thin
    strokes such as text are opened away before the pieces are told apart; bars and frames of one
    grey value are no tissue.
    """
    brightest = frames.max(0)
    screen = _screen(brightest)
    bright = np.abs(brightest.astype(int) - screen) > DARK
    if screen > DARK:  # tissue of the screen's own grey has neighbours that differ from it
        bright |= ndimage.uniform_filter(bright.astype(np.float32), 5, mode="constant") > 0.5
    solid = ndimage.binary_closing(
        np.pad(ndimage.binary_opening(bright, np.ones((3, 3))), 8), np.ones((9, 9))
    )[8:-8, 8:-8]
    pieces, count = ndimage.label(solid)
    if not count:
        return None
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    for piece in np.flatnonzero(sizes >= PART * sizes.max()):
        if np.bincount(brightest[pieces == piece]).max() > FLAT * sizes[piece]:
            sizes[piece] = 0
    if sizes.max() < SMALLEST * solid.size:
        return None
    large = np.flatnonzero(sizes >= PART * sizes.max())  # a shadow can cut the fan in two
    rows, columns = np.nonzero(np.isin(pieces, large))
    corners = np.concatenate(
        [np.stack([columns + dx, rows + dy], 1) for dx in (0, 1) for dy in (0, 1)]
    ).astype(float)
    return polygons.fill(corners[spatial.ConvexHull(corners).vertices], bright.shape)


def _screen(pixels: np.ndarray) -> int:
    """The grey of the screen around the fan: what most of the border has, else black."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    counts = np.bincount(border)
    return int(counts.argmax()) if counts.max() > 0.3 * len(border) else 0


def age(data: Dataset) -> str:
    """'045Y' from PatientAge or from birth and examination dates, at most 090Y; '' where neither is
    there. An age without a unit is in years.
    """
    said = AGE.fullmatch(str(data.get("PatientAge", "") or ""))
    if said and said[2].upper() in ("M", "W", "D"):
        return f"{int(said[1]):03d}{said[2].upper()}"
    if said:
        years = int(said[1])
    else:
        born, seen = (_date(data, k) for k in ("PatientBirthDate", "StudyDate"))
        if born is None or seen is None or seen < born:
            return ""
        years = seen.year - born.year - ((seen.month, seen.day) < (born.month, born.day))
    return f"{min(years, OLDEST):03d}Y"


def _date(data: Dataset, keyword: str) -> datetime.date | None:
    """A DICOM date as datetime.date, or None."""
    try:
        return datetime.datetime.strptime(str(data.get(keyword, "") or ""), "%Y%m%d").date()
    except ValueError:
        return None


def examined(path: Path) -> datetime.date | None:
    """The day of the examination in a file, datetime.date or None."""
    return _date(dicom.header(path), "StudyDate")


def person(path: Path) -> tuple:
    """(words of the name, birth date or '', sex or '') of a file, to tell two people apart."""
    data = dicom.header(path)
    words = frozenset(
        re.findall(r"[^\W\d_]{2,}", str(data.get("PatientName", "") or "").casefold())
    )
    return words, *(str(data.get(k, "") or "") for k in ("PatientBirthDate", "PatientSex"))


def differ(one: tuple, other: tuple) -> bool:
    """Whether two results of ``person`` cannot be one person: other birth dates, other sexes, or
    names without a word in common.
    """
    names = one[0] and other[0] and not one[0] & other[0]
    return bool(names) or any(a and b and a != b for a, b in zip(one[1:], other[1:], strict=True))


def shared_number(people: dict[str, tuple]) -> str | None:
    """Why files of one patient number are of two people, or ''. people: {file: its ``person``}."""
    first, *others = people
    other = next((o for o in others if differ(people[o], people[first])), None)
    return other and (
        f"two people share its patient number: {other} has another name, birth date or sex than"
        f" {first}; say in the form how to read the patient, or exclude one"
    )


def clean(
    path: Path,
    new_id: str,
    secret: str,
    outlined: np.ndarray | None = None,
    first_day: datetime.date | None = None,
) -> Clean:
    """One DICOM file without its identity: Clean. secret: text that makes new identifiers
    unguessable but stable.

    outlined: bool (rows, columns) of the file, what somebody drew; where it leaves the fan and is
    dark throughout, as an acoustic shadow at the edge is and letters are not, the fan reaches as
    far. first_day: datetime.date from which the day of the examination is counted.
    """
    data = dicom.header(path)
    frames, _ = readers.read_frames(path)
    found = dicom.regions(data)
    rows, columns = frames.shape[1:]
    top, bottom, left, right = 0, rows, 0, columns
    if found:
        x0, y0, x1, y1 = np.array([r[:4] for r in found]).T
        top, bottom = max(int(y0.min()), 0), min(int(y1.max()) + 1, rows)
        left, right = max(int(x0.min()), 0), min(int(x1.max()) + 1, columns)
        if bottom - top < 8 or right - left < 8:
            raise StudyError(
                f"{path}: its ultrasound region {found[0][:4]} lies outside the picture; crop it by"
                " hand"
            )
    inside = fan(frames[:, top:bottom, left:right])
    if inside is None:
        raise StudyError(f"{path}: no ultrasound fan found in the picture; crop it by hand")
    if outlined is not None and outlined.shape == (rows, columns):
        dark = frames[:, top:bottom, left:right].max(0) <= SHADOW
        shadow = outlined[top:bottom, left:right] & ~inside
        if dark[
            shadow & ~ndimage.binary_dilation(inside, iterations=3)
        ].all():  # the rim of the fan may be bright
            inside |= shadow & dark
    used_rows, used_columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    cut = np.s_[used_rows[0] : used_rows[-1] + 1, used_columns[0] : used_columns[-1] + 1]
    box = (top + cut[0].start, top + cut[0].stop, left + cut[1].start, left + cut[1].stop)
    inside = inside[cut]
    kept = np.where(inside, frames[:, box[0] : box[1], box[2] : box[3]], 0).astype(np.uint8)
    removed, doubtful = _blacken(kept)
    new, notes = _header(data, kept, found, box, new_id, secret)
    day = _date(data, "StudyDate")
    if first_day and day:
        new.LongitudinalTemporalOffsetFromEvent = float((day - first_day).days)
        new.LongitudinalTemporalEventType = "BASELINE"
    result = Clean(kept, box, inside, new, removed, doubtful, tuple(notes))
    new.BurnedInAnnotation = "NO" if result.proven else "YES"
    return result


def _blacken(frames: np.ndarray) -> tuple[tuple[str, ...], int | None]:
    """Words on frames, uint8 (N, rows, columns), made black in place, and what is left: (words,
    number of places that look like text or None).

    What was blackened is looked through again, because a word can hide another.
    """
    words = []
    for _ in range(3):
        places = text.find(frames)
        read = [p for p in places or () if p.word]
        for place in read:
            top, bottom, left, right = place.box
            frames[:, top:bottom, left:right] = 0
        words += [p.word for p in read]
        if not read:
            break
    return tuple(dict.fromkeys(words)), None if places is None else len(places)


def _header(
    data: Dataset, frames: np.ndarray, found: list, box: tuple, new_id: str, secret: str
) -> tuple[Dataset, list[str]]:
    """(the new header, notes)."""
    new, notes = Dataset(), []
    for name, kind in ALLOWED.items():
        if data.get(name) in (None, ""):
            continue
        if _harmless(data, data[name].value, kind):
            setattr(new, name, data[name].value)
        else:
            notes.append(f"{name} was left out: it holds what it should not")
    new.Modality, new.PatientID, new.PatientName, new.PatientAge = "US", new_id, new_id, age(data)
    if str(data.get("PatientAge") or "").strip().isdecimal():
        notes.append(f"PatientAge {data.PatientAge} has no unit: taken as years")
    elif data.get("PatientAge") and not new.PatientAge:
        notes.append("PatientAge was left out: it is no age")
    new.PatientIdentityRemoved = "YES"
    new.DeidentificationMethod = "header allow-list; pixels outside the fan and words removed"
    new.SOPClassUID = (
        UltrasoundMultiFrameImageStorage if len(frames) > 1 else UltrasoundImageStorage
    )
    pixels = hashlib.sha256(frames.tobytes()).hexdigest()  # for files that lack an identifier
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        digest = hashlib.sha256(f"{secret} {data.get(name) or pixels}".encode()).hexdigest()
        setattr(new, name, UID(f"2.25.{int(digest[:32], 16)}"))
    if found:
        new.SequenceOfUltrasoundRegions = Sequence(_regions(data, box))
    new.Rows, new.Columns = frames.shape[1:]
    new.SamplesPerPixel, new.PhotometricInterpretation, new.PixelRepresentation = (
        1,
        "MONOCHROME2",
        0,
    )
    new.BitsAllocated = new.BitsStored = 8
    new.HighBit = 7
    if len(frames) > 1:
        new.NumberOfFrames = len(frames)
    return new, notes


def _harmless(data: Dataset, value: Any, kind: Any) -> bool:
    """Whether an allowed value is what its kind says, and holds no word that names somebody."""
    if kind is None:
        return not _words(value) & _naming(data)
    if kind is float:
        try:
            return all(np.isfinite(float(v)) for v in np.atleast_1d(value))
        except (TypeError, ValueError):
            return False
    return value in kind


def _naming(data: Dataset) -> set[str]:
    """The words of every name, number and place in a header, sequences and private tags too."""
    words = set()
    for element in data.iterall():
        if element.VR == "PN" or element.keyword in NAMING:
            words |= _words(element.value)
    return words


def _words(value: object) -> set[str]:
    return set(re.findall(r"\w{3,}", str(value).casefold()))


def _regions(data: Dataset, box: tuple) -> Iterator[Dataset]:
    """The regions of the original in the coordinates of the cut, cut off at its border."""
    top, bottom, left, right = box
    for item in data.SequenceOfUltrasoundRegions:
        if not dicom.shows_tissue(item):
            continue
        new = Dataset()
        for name in REGION:
            if name in item:
                setattr(new, name, item[name].value)
        for name, low, size in (("X", left, right - left), ("Y", top, bottom - top)):
            for end in ("Min", "Max"):
                attribute = f"RegionLocation{end}{name}{'0' if end == 'Min' else '1'}"
                setattr(new, attribute, int(np.clip(int(item[attribute].value) - low, 0, size - 1)))
        yield new


def save(result: Clean, path: Path) -> None:
    """Write a Clean as DICOM under a temporary name, then move it into place."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        result.header.SOPClassUID,
        result.header.SOPInstanceUID,
    )
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), result.header, file_meta=meta, preamble=b"\0" * 128)
    pixels = result.frames.tobytes()
    data.PixelData = pixels + b"\0" * (len(pixels) % 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    data.save_as(part, enforce_file_format=True)
    os.replace(part, path)


@dataclass
class Key:
    """Who is who: original id → new id, and the secret that new identifiers are made with. Lives in
    one CSV file.
    """

    path: Path
    secret: str
    ids: dict

    @classmethod
    def open(cls, path: Path | str, *, away_from: Iterable[Path | str]) -> "Key":
        """Read or begin a key file; StudyError where it would lie inside one of the folders
        away_from.
        """
        path = Path(path).resolve()
        for folder in away_from:
            if path.is_relative_to(Path(folder).resolve()):
                raise StudyError(f"{path}: the key identifies people; keep it outside {folder}")
        if not path.exists():
            return cls(path, secrets.token_hex(16), {})
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                rows = [[files.plain_cell(cell) for cell in row] for row in csv.reader(stream)]
        except (OSError, ValueError, csv.Error):
            rows = []
        if not rows or rows[0] != ["original", "new"] or len(rows) < 2 or rows[1][0] != "# secret":
            raise StudyError(
                f"{path}: is no key file; give the one that an earlier run wrote, or a new name"
            )
        return cls(path, rows[1][1], dict(rows[2:]))

    def new(self, original: str) -> str:
        """The new id of a patient, drawn at random the first time; the same for every spelling of
        one patient.
        """
        alike = [new for other, new in self.ids.items() if spelling(other) == spelling(original)]
        if alike:
            self.ids.setdefault(original, alike[0])
        while original not in self.ids:
            drawn = f"S{secrets.randbelow(10**6):06d}"
            if drawn not in self.ids.values():
                self.ids[original] = drawn
        return self.ids[original]

    def save(self) -> None:
        """Write the key, readable by its owner only, under a temporary name first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(self.path.name + ".part")
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            "w",
            encoding="utf-8",
            newline="",
        ) as out:
            csv.writer(out).writerows(
                [files.safe_cell(cell) for cell in row]
                for row in [
                    ("original", "new"),
                    ("# secret", self.secret),
                    *sorted(self.ids.items()),
                ]
            )
        os.replace(part, self.path)
