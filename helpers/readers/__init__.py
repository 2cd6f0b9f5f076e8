"""Pictures and masks in, one form out: grey uint8 (rows, columns), class indices uint8 (rows,
columns).

What a file is, is decided by its content; its name must not contradict it. Conventions:

- Rows run down, columns run right, (0, 0) is the top left pixel. ITK writes NIfTI as (column, row[,
  slice]), so a NIfTI array is transposed on reading; its direction matrix is not applied, just as
  ITK and ITK-SNAP keep the index order. A file whose first axis is the rows (a permuted direction
  matrix) is refused.
- Spacing is (row, column) in millimetres of tissue. NIfTI spacing of exactly 1 × 1 or without a
  unit, and the dots per inch of PNG, JPEG and TIFF, say nothing about tissue: unknown, None.
- Colour becomes grey by ITU-R BT.601 luma (0.299 R + 0.587 G + 0.114 B), which leaves grey pixels
  as they are.
- ``file#n`` names frame n (from 0) of a cine, a stack or a volume; ``file.json#name`` one image of
  a COCO, VIA, Label Studio or CVAT file; ``folder/{a.png|b.png}`` files that together are one mask
  (``helpers.readers.united``).
- A size that a file declares is checked before memory is taken for it.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from helpers import files
from helpers.errors import StudyError
from helpers.readers import dicom, labels, pictures, segments, united, videos
from helpers.readers.plausible import doubts
from helpers.studies import Class

__all__ = [
    "Mask",
    "Picture",
    "StudyError",
    "doubts",
    "files_of",
    "frame_count",
    "kind",
    "leads_out",
    "locate",
    "marked",
    "one_picture",
    "open_mask",
    "open_picture",
    "read_frames",
    "read_image",
    "read_mask",
    "sha256",
    "spacing_at",
    "suffix",
]

SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "DICOM": (".dcm", ".dicom", ".ima", ""),
    "NIfTI": (".nii", ".nii.gz"),
    "NRRD": (".nrrd", ".nhdr"),
    "MetaImage": (".mha", ".mhd"),
    "GIF": (".gif",),
    "WebP": (".webp",),
    "video": (".mp4", ".avi", ".mov", ".mkv", ".wmv", ".m4v"),
    "JSON": (".json",),
    "XML": (".xml",),
    "CSV": (".csv",),
}
KNOWN = {s for group in SUFFIXES.values() for s in group} - {""}


@dataclass(frozen=True)
class Picture:
    """pixels: uint8 (frames, rows, columns); spacing_mm: (row, column) or None; notes: what the
    reader changed.
    """

    pixels: np.ndarray
    spacing_mm: tuple[float, float] | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mask:
    """pixels: class indices uint8 (rows, columns); notes: what the reader left out or could not
    tell; covered: of united files, the largest share of a structure that another one covers.
    """

    pixels: np.ndarray
    notes: tuple[str, ...] = ()
    covered: float = 0.0


def locate(path: Path | str) -> tuple[Path, str | None]:
    """'scan.dcm#3' → (Path('scan.dcm'), '3'), 'all.json#P1/a.png' → (Path('all.json'), 'P1/a.png');
    no '#', or a file whose name really holds it → (path, None).
    """
    path, text = Path(path), str(path)
    if "#" not in text or os.path.exists(path):
        return path, None
    marks = [m.start() for m in re.finditer("#", text)]
    own = [k for k in marks if os.path.isfile(text[:k])] or marks[-1:]
    return Path(text[: own[0]]), text[own[0] + 1 :]


def files_of(path: Path | str) -> list[Path]:
    """The files that a cell of a manifest names: one, or several that are united; each is followed
    by the file of its values where that is another, and by the description of its labels.
    """
    named = [locate(file)[0] for file, _ in united.parts(path)] or [locate(path)[0]]
    return [file for one in named for file in (one, *_beside(one))]


def _beside(file: Path) -> list[Path]:
    """The files on which depends what another one shows (list of path)."""
    if not file.name.lower().endswith(files.ACCOMPANIED):
        return []
    described = labels.described_in(file)
    return [*pictures.detached(file), *([described] if described else [])]


def leads_out(path: Path | str, data: Path) -> bool:
    """Whether a file that a cell of a manifest names lies outside the folder ``data``, behind its
    links.
    """
    return not all(part.resolve().is_relative_to(data.resolve()) for part in files_of(path))


def sha256(path: Path | str) -> str:
    """Hex digest of a file's bytes ('#…' and changes are not part of the file); of united files,
    that of their digests, one after the other.
    """
    digests = [files.sha256(file) for file in files_of(path)]
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def suffix(path: Path | str) -> str:
    """The lower-case ending of a file name, '.nii.gz' as one; '' when there is none."""
    name = Path(path).name.lower()
    if name.endswith(".nii.gz"):
        return ".nii.gz"
    end = Path(name).suffix
    return (
        end if end in KNOWN or re.fullmatch(r"\.[a-z]\w*", end) else ""
    )  # '.59' ends a DICOM UID, not a name


def kind(path: Path | str) -> str:
    """What a file holds, by its first bytes: a key of SUFFIXES. StudyError when missing, empty,
    other or misnamed.
    """
    path = Path(path)
    if path.is_dir():
        raise StudyError(f"{path}: is a folder, a file was expected")
    try:
        with path.open("rb") as stream:
            head = stream.read(352)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; check the path against the DATA folder") from None
    except PermissionError:
        raise StudyError(f"{path}: may not be read; ask for read permission on it") from None
    if not head:
        raise StudyError(f"{path}: is empty (0 bytes); copy it again")
    end, found = suffix(path), _sniff(head, suffix(path))
    if found is None:
        raise StudyError(
            f"{path}: is no {_named(end)} file: it starts with {head[:8]!r}; "
            f"give {', '.join(k for k in SUFFIXES if k not in ('CSV', 'XML'))}, or leave it out"
        )
    if end in KNOWN and end not in SUFFIXES[found]:
        raise StudyError(
            f"{path}: is {found} inside but named {end}; rename it to {SUFFIXES[found][0]}"
        )
    return found


def _named(end: str) -> str:
    return next((k for k, ends in SUFFIXES.items() if end and end in ends), "known image or mask")


def _sniff(head: bytes, end: str) -> str | None:
    # DICOM first: its free preamble may hold a TIFF header
    if head[128:132] == b"DICM" or (
        end in (".dcm", ".dicom", ".ima") and dicom.looks_headless(head)
    ):
        return "DICOM"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head.startswith(b"BM") and end in (*SUFFIXES["BMP"], ""):
        return "BMP"
    if head[:2] == b"\x1f\x8b" and end == ".nii.gz":
        return "NIfTI"
    if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] == b"n+2\0":
        return "NIfTI"
    if head.startswith(b"NRRD000"):
        return "NRRD"
    if head.startswith((b"ObjectType", b"NDims")) and end in SUFFIXES["MetaImage"]:
        return "MetaImage"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp" or head.startswith((b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11")):
        return "video"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "video"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] in (b"{", b"[") and end == ".json":
        return "JSON"
    if text[:1] == b"<" and end == ".xml":
        return "XML"
    if text.lstrip(b"#").startswith(b"filename,file_size,file_attributes") and end == ".csv":
        return "CSV"  # the one table that holds outlines: VIA's
    return None


def open_picture(path: Path | str) -> Picture:
    """Every frame of an image file as a Picture; StudyError names the file and what to do."""
    path = Path(path)
    found = kind(path)
    if found in ("JSON", "CSV", "XML"):
        raise StudyError(
            f"{path}: is an annotation, not an image; pictures embedded in JSON are never used"
        )
    if found == "video":
        return Picture(videos.read_video(path)[0], None)
    readers = {"DICOM": dicom.read, "NIfTI": pictures.read_nifti}
    readers |= dict.fromkeys(("NRRD", "MetaImage"), pictures.read_itk)
    return Picture(*readers.get(found, pictures.read_raster)(path))


def read_frames(path: Path | str) -> tuple[np.ndarray, tuple[float, float] | None]:
    """Every frame of an image or cine: (uint8 (frames, rows, columns), spacing_mm (row, column) or
    None).
    """
    picture = open_picture(path)
    return picture.pixels, picture.spacing_mm


def one_picture(path: Path | str, frame: int | None = None) -> Picture:
    """One image as a Picture with a single frame, its notes kept; otherwise as ``read_image``."""
    file, part = locate(path)
    frame = _frame_number(path, part) if part is not None else frame
    picture = open_picture(file)
    count = len(picture.pixels)
    if frame is None and count > 1:
        raise StudyError(
            f"{file}: holds {count} frames, its mask does not say of which it is; call masks by the"
            f" frame ({file.stem}_000 is of the first), outline a stack of {count} slices (NIfTI,"
            " TIFF), or save the outlined frames as pictures of their own"
        )
    if not 0 <= (frame or 0) < count:
        raise StudyError(f"{file}: has no frame {frame}; it holds {count}, counted from 0")
    return Picture(picture.pixels[frame or 0][None], picture.spacing_mm, picture.notes)


def read_image(
    path: Path | str, frame: int | None = None
) -> tuple[np.ndarray, tuple[float, float] | None]:
    """One image: (uint8 (rows, columns), spacing_mm (row, column) or None).

    frame: which frame of a cine, from 0; 'file#3' says the same. A cine without either is an error,
    so that no frame is ever taken by accident.
    """
    picture = one_picture(path, frame)
    return picture.pixels[0], picture.spacing_mm


def _frame_number(path: Path | str, part: str) -> int:
    if not part.isdecimal():
        raise StudyError(f"{path}: '#{part}' names no frame; write a whole number, counted from 0")
    return int(part)


def frame_count(path: Path | str) -> int:
    """How many frames a picture or a mask holds, without decoding them where that is possible."""
    path, found = Path(path), kind(path)
    if found == "DICOM":
        return int(dicom.header(path).get("NumberOfFrames", 1) or 1)
    if found == "video":
        return len(videos.read_video(path)[0])
    return len(marked(path)) if found in ("NIfTI", "NRRD", "MetaImage", "TIFF") else 1


def marked(path: Path | str) -> list[bool]:
    """Whether a stack (NIfTI, NRRD, MetaImage, TIFF) holds something on each of its slices."""
    path, found = Path(path), kind(path)
    if found == "NIfTI":
        values, _ = pictures.open_nifti(path)
        if values.dtype.names:  # colour
            values = np.max([values[n] for n in values.dtype.names], axis=0)
        return [bool(values.any())] if values.ndim == 2 else [bool(v.any()) for v in values.T]
    if found == "TIFF":
        return [bool(np.asarray(frame).any()) for frame in pictures.open_raster(path)[0]]
    return [bool(v.any()) for v in pictures.open_itk(path)[0]]


def spacing_at(
    path: Path | str, outlined: np.ndarray
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """(spacing_mm (row, column) or None, notes) of an image at an outline, bool (rows, columns).

    A DICOM screen may show regions of different spacing side by side: the one in which the outline
    lies counts. Other files have one spacing, or none.
    """
    file, _ = locate(path)
    notes = []
    if kind(file) != "DICOM":
        return open_picture(file).spacing_mm, ()
    return dicom.spacing(dicom.header(file), notes, np.asarray(outlined) > 0), tuple(notes)


def read_mask(
    path: Path | str,
    classes: Sequence[Class],
    *,
    ignored: Sequence[str] = (),
    shape: tuple[int, int] | None = None,
) -> np.ndarray:
    """A mask as class indices, uint8 (rows, columns): the pixels of ``open_mask``."""
    return open_mask(path, classes, ignored=ignored, shape=shape).pixels


def open_mask(
    path: Path | str,
    classes: Sequence[Class],
    *,
    ignored: Sequence[str] = (),
    shape: tuple[int, int] | None = None,
) -> Mask:
    """A mask as a Mask of class indices, whatever drew it, with notes.

    classes: sequence with .index .name .title .colour, optionally .labels (further names in
    annotation files; numbers among them are the values that stand for the class in rasters).
    ignored: label names (annotations, ITK-SNAP, segmentations) and values that are read as
    background. shape: (rows, columns) it must have. PNG, TIFF, BMP: the values are class indices (0
    and 255 also do for one structure), or the colours are the declared ones. NIfTI: the values are
    indices, or what the ITK-SNAP label description beside it calls them; NRRD and MetaImage without
    named segments likewise. DICOM segmentations and .seg.nrrd: segments by name. Labelme, COCO, VIA
    and what is read as COCO (``helpers.readers.foreign``): areas by name. Several files that are
    united: ``helpers.readers.united``. Anything undeclared is an error that lists what was found.
    """
    if united.parts(path):
        mask, notes, share = united.read(path, open_mask, classes, ignored, shape)
        return Mask(mask, tuple(notes), share)
    file, part = locate(path)
    found, notes = kind(file), []
    if found in ("JSON", "XML"):
        mask = labels.from_json(file, part, classes, ignored, shape, notes)
    elif found == "CSV":
        mask = labels.from_table(file, part, classes, ignored, shape, notes)
    elif found == "DICOM":
        mask = segments.from_dicom(file, part, classes, ignored)
    elif found in ("NRRD", "MetaImage"):
        mask = segments.from_itk(file, part, classes, ignored, shape)
    elif found == "NIfTI":
        mask = labels.from_labels(file, _slice(path, file, part, shape, notes), classes, ignored)
    elif found in ("PNG", "TIFF", "BMP", "GIF"):
        frames, _ = pictures.open_raster(file)
        mask = labels.from_raster(file, _one(path, frames, part), classes, ignored)
    else:
        advice = (
            "its losses smear the labels; export PNG"
            if found in ("JPEG", "WebP")
            else "export PNG or NIfTI"
        )
        raise StudyError(f"{file}: a mask cannot be {found}: {advice}")
    turn = "if it lies on its side, write in the form change: [transpose]; else export it again"
    labels.check_shape(file, mask.shape, shape, turn)
    return Mask(mask, tuple(notes))


def _slice(
    path: Path | str, file: Path, part: str | None, shape: tuple[int, int] | None, notes: list[str]
) -> np.ndarray:
    """Voxel values (rows, columns) of a NIfTI mask.

    Saved from a bare array it may hold rows first: its shape tells, where it is not square.
    """
    values, _, unclear = pictures.read_volume(file)
    mask = _one(path, values.T if values.ndim == 2 else values.transpose(2, 1, 0), part)
    if unclear and shape is not None and mask.shape != tuple(shape) == mask.shape[::-1]:
        notes.append("saved with rows first, as its shape shows: rows and columns were exchanged")
        return mask.T
    if mask.shape[0] == mask.shape[1]:
        notes += unclear
    return mask


def _one(path: Path | str, frames: Any, part: str | None) -> Any:
    """The only frame, or the one named after '#'."""
    if part is None and len(frames) > 1 and np.ndim(frames) != 2:
        raise StudyError(
            f"{path}: holds {len(frames)} slices, its image one; name the slice, as in masks:"
            f' "{Path(path).name}#0" of a form, or save each structure as a file of its own'
        )
    if np.ndim(frames) == 2:
        return frames
    number = _frame_number(path, part or "0")
    if number >= len(frames):
        raise StudyError(f"{path}: has no slice {number}; it holds {len(frames)}, counted from 0")
    return frames[number]
