"""Masks that name their segments: DICOM segmentation objects (PS3.3 A.51) and 3D Slicer's
``.seg.nrrd``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset

from helpers.errors import StudyError
from helpers.readers import dicom, pictures
from helpers.readers.labels import areas, from_labels
from helpers.studies import Class


def from_dicom(
    path: Path, part: str | None, classes: Sequence[Class], ignored: Sequence[str] = ()
) -> np.ndarray:
    """The mask of a DICOM segmentation, uint8 (rows, columns).

    part: the frame of a cine, from 0 (text) or None, where the segmentation refers to several.
    """
    data = dicom.header(path, pixels=True)
    if "SegmentSequence" not in data:
        raise StudyError(f"{path}: is a DICOM picture and no segmentation; give its mask")
    names = {int(s.SegmentNumber): _name(s) for s in data.SegmentSequence}
    stored = dicom.decoded(path, data)
    if len(np.setdiff1d(stored, (0, stored.max()))):
        raise StudyError(f"{path}: holds probabilities; export it as a binary segmentation")
    frames = data.get("PerFrameFunctionalGroupsSequence", ())
    if len(frames) != len(stored):
        raise StudyError(f"{path}: says of {len(frames)} of its {len(stored)} frames what they are")
    shared = data.get("SharedFunctionalGroupsSequence", [{}])[0]  # what all frames have in common
    found = {}
    for described, pixels in zip(frames, stored, strict=True):
        segment = _group(described, shared, "SegmentIdentificationSequence")
        number = segment[0].get("ReferencedSegmentNumber") if segment else None
        if number not in names:
            raise StudyError(f"{path}: does not say which segment a frame shows; export it again")
        source = _source(_group(described, shared, "DerivationImageSequence"))
        found.setdefault(source, []).append((names[number], pixels > 0))
    shapes = _one(path, found, part)
    return areas(path, shapes, stored.shape[1:], classes, ignored)


def _name(segment: Dataset) -> str:
    """What a segment is called; the label of its own is what people see in their tool."""
    return str(segment.get("SegmentLabel") or f"segment {segment.SegmentNumber}").strip()


def _group(described: Dataset, shared: Mapping, name: str) -> Sequence:
    return described.get(name) or shared.get(name) or ()


def _source(derivations: Sequence) -> int | str | None:
    """What a frame of the segmentation lies on: the frame of a cine, from 0, or the UID of a
    picture.
    """
    for derived in derivations:
        for source in derived.get("SourceImageSequence", ()):
            number = source.get("ReferencedFrameNumber")
            if number is not None:
                return int(np.atleast_1d(number)[0]) - 1
            return str(source.get("ReferencedSOPInstanceUID"))
    return None


def _one(path: Path, found: dict, part: str | None) -> list[tuple[str, np.ndarray]]:
    """The segments of the one picture, or of the frame that part names."""
    if part is not None:
        if part.isdecimal():
            return found.get(int(part), [])
        raise StudyError(f"{path}: '#{part}' names no frame; write a whole number, counted from 0")
    if len(found) > 1:
        raise StudyError(
            f"{path}: outlines {len(found)} frames; name the one of the picture, as '{path}#0'"
        )
    return next(iter(found.values()), [])


def from_itk(
    path: Path,
    part: str | None,
    classes: Sequence[Class],
    ignored: Sequence[str] = (),
    shape: tuple[int, int] | None = None,
) -> np.ndarray:
    """The mask of a 3D Slicer segmentation, uint8 (rows, columns), through the names of its
    segments; of a NRRD or MetaImage file that names none, by its values.

    shape: (rows, columns) of the picture, of which Slicer may have saved only the part that is
    drawn in.
    """
    values, _, header = pictures.open_itk(path)
    if values.ndim == 3:
        values = values[..., None]
    number = int(part) if part and part.isdecimal() else 0
    if (part is None and len(values) > 1) or number >= len(values):
        raise StudyError(
            f"{path}: holds {len(values)} slices; name the one of the picture, as '{path}#0'"
        )
    if not any(key.endswith("_Name") for key in header) and values.shape[-1] == 1:
        return from_labels(path, values[number, ..., 0], classes, ignored)
    pixels, shapes, known = values[number], [], np.zeros(values.shape[1:], bool)
    for key, name in header.items():
        if key.startswith("Segment") and key.endswith("_Name"):
            own = key.removesuffix("_Name")
            layer = int(header.get(f"{own}_Layer", 0))
            label = int(header.get(f"{own}_LabelValue", 1))
            drawn = pixels[..., layer] == label
            known[..., layer] |= drawn
            if drawn.any():
                shapes.append((name, drawn))
    if unnamed := int(((pixels != 0) & ~known).sum()):
        raise StudyError(
            f"{path}: {unnamed} pixels belong to no named segment; save it as a segmentation"
            " (.seg.nrrd), or export PNG"
        )
    mask = areas(path, shapes, pixels.shape[:2], classes, ignored)
    offset = header.get("Segmentation_ReferenceImageExtentOffset", "").split()[1::-1]
    if shape is None or not offset:
        return mask
    sides = [(int(n), a - int(n) - b) for n, a, b in zip(offset, shape, mask.shape, strict=True)]
    return np.pad(mask, sides) if min(map(min, sides)) >= 0 else mask  # else refused for its size
