"""DICOM from a scanner to files without a name: pixels cropped, header rebuilt from an allow-list,
ids through a key.

The header is not cleaned but made anew: what is not in ALLOWED does not exist in the result. Dates
become the age at the examination (90 stands for all above 89). Outside the ultrasound region, and
outside the fan within it, pixels are black or cut off; inside it every grey value and the spacing
survive. Text that lies on the fan itself is not removed: the sheet shows every picture before and
after to a person, who signs it off. Key and sheet identify people and stay outside the result.
Source of the profile: DICOM PS3.15, Annex E, as an allow-list.
"""

import csv
import hashlib
import io
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)
from scipy import ndimage, spatial

from helpers import readers
from helpers.errors import StudyError
from helpers.readers import dicom, polygons
from tools.intake.patients import spelling

#: carried over as they are; everything else of the header is left behind
ALLOWED = (
    "Manufacturer",
    "ManufacturerModelName",
    "PatientSex",
    "PatientSize",
    "PatientWeight",
    "PixelSpacing",
    "FrameTime",
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
CONFIDENCE = 60  # per cent from which tesseract's word counts


@dataclass(frozen=True)
class Clean:
    """frames: uint8 (N, rows, columns) after the crop; box: (top, bottom, left, right) in the
    original; inside: bool (rows, columns), True where the picture was kept; header: Dataset without
    pixels.
    """

    frames: np.ndarray
    box: tuple
    inside: np.ndarray
    header: Dataset


def fan(frames):
    """The convex hull of the large bright pieces, bool (rows, columns), or None where nothing
    covers SMALLEST.

    frames: uint8 (N, rows, columns). Thin strokes such as text are opened away before the pieces
    are told apart.
    """
    bright = frames.max(0) > DARK
    solid = ndimage.binary_closing(
        np.pad(ndimage.binary_opening(bright, np.ones((3, 3))), 8), np.ones((9, 9))
    )[8:-8, 8:-8]
    pieces, count = ndimage.label(solid)
    if not count:
        return None
    sizes = np.bincount(pieces.ravel())[1:]
    if sizes.max() < SMALLEST * solid.size:
        return None
    large = 1 + np.flatnonzero(sizes >= PART * sizes.max())  # a shadow can cut the fan in two
    rows, columns = np.nonzero(np.isin(pieces, large))
    corners = np.concatenate(
        [np.stack([columns + dx, rows + dy], 1) for dx in (0, 1) for dy in (0, 1)]
    ).astype(float)
    return polygons.fill(corners[spatial.ConvexHull(corners).vertices], bright.shape)


def age(data):
    """'045Y' from PatientAge or from birth and examination dates, at most 090Y; '' where neither is
    there.
    """
    text = str(data.get("PatientAge", "") or "")
    if text[:3].isdigit() and text.endswith("Y"):
        years = int(text[:3])
    else:
        born, seen = (str(data.get(k, "") or "") for k in ("PatientBirthDate", "StudyDate"))
        if not (len(born) == len(seen) == 8 and (born + seen).isdigit()):
            return text if text.endswith(("M", "W", "D")) else ""
        years = int(seen[:4]) - int(born[:4]) - (seen[4:] < born[4:])
    return f"{min(years, OLDEST):03d}Y"


def clean(path, new_id, secret, outlined=None):
    """One DICOM file without its identity: Clean. secret: text that makes new identifiers
    unguessable but stable.

    outlined: bool (rows, columns) of the file, what somebody drew; where it leaves the fan and is
    dark throughout, as an acoustic shadow at the edge is and letters are not, the fan reaches as
    far.
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
    return Clean(kept, box, inside, _header(data, kept, found, box, new_id, secret))


def _header(data, frames, found, box, new_id, secret):
    new = Dataset()
    for name in ALLOWED:
        if data.get(name) not in (None, ""):
            setattr(new, name, data[name].value)
    new.Modality, new.PatientID, new.PatientName, new.PatientAge = "US", new_id, new_id, age(data)
    new.PatientIdentityRemoved, new.DeidentificationMethod = (
        "YES",
        "header allow-list; pixels outside the fan removed",
    )
    new.BurnedInAnnotation = "NO"
    new.SOPClassUID = (
        UltrasoundMultiFrameImageStorage if len(frames) > 1 else UltrasoundImageStorage
    )
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        digest = hashlib.sha256(f"{secret} {data.get(name, '')}".encode()).hexdigest()
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
    return new


def _regions(data, box):
    """The regions of the original in the coordinates of the cut, cut off at its border."""
    top, bottom, left, right = box
    for item in data.SequenceOfUltrasoundRegions:
        if (
            item.get("RegionSpatialFormat") != dicom.TWO_D
            or item.get("RegionDataType") != dicom.TISSUE
        ):
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


def save(result, path):
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
    def open(cls, path, *, away_from):
        """Read or begin a key file; StudyError where it would lie inside one of the folders
        away_from.
        """
        path = Path(path).resolve()
        for folder in away_from:
            if path.is_relative_to(Path(folder).resolve()):
                raise StudyError(f"{path}: the key identifies people; keep it outside {folder}")
        if not path.exists():
            return cls(path, secrets.token_hex(16), {})
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
        if not rows or rows[0] != ["original", "new"] or len(rows) < 2 or rows[1][0] != "# secret":
            raise StudyError(
                f"{path}: is no key file; give the one that an earlier run wrote, or a new name"
            )
        return cls(path, rows[1][1], dict(rows[2:]))

    def new(self, original):
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

    def save(self):
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
                [["original", "new"], ["# secret", self.secret], *sorted(self.ids.items())]
            )
        os.replace(part, self.path)


def residual_text(pixels):
    """Words that tesseract reads in a picture, uint8 (rows, columns): list, or None where it is not
    installed.

    Speckle sometimes looks like a short word: a person decides what the words are.
    """
    program = shutil.which("tesseract")
    if program is None:
        return None
    scale = max(1, round(1600 / max(pixels.shape)))
    buffer = io.BytesIO()
    picture = Image.fromarray(255 - pixels)  # dark letters on white are what it was made for
    picture.resize(
        (pixels.shape[1] * scale, pixels.shape[0] * scale), Image.Resampling.BICUBIC
    ).save(buffer, "PNG")
    alone = os.environ | {"OMP_THREAD_LIMIT": "1"}  # its threads slow each other down
    result = subprocess.run(
        [program, "stdin", "stdout", "--psm", "11", "tsv"],
        input=buffer.getvalue(),
        env=alone,
        capture_output=True,
        check=True,
        timeout=600,
    )
    words = []
    for line in csv.DictReader(
        result.stdout.decode("utf-8", "replace").splitlines(),
        delimiter="\t",
        quoting=csv.QUOTE_NONE,
    ):
        text = (line.get("text") or "").strip()
        if float(line.get("conf") or -1) >= CONFIDENCE and sum(c.isalnum() for c in text) >= 3:
            words.append(text)
    return words
