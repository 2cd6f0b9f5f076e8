"""DICOM pictures: any photometric interpretation and compression that pydicom with GDCM decodes, to
uint8 grey.

Spacing: ``SequenceOfUltrasoundRegions`` (PS3.3 C.8.5.5: PhysicalDelta in centimetres), else
``PixelSpacing``.
"""

import textwrap

import numpy as np
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

from helpers.errors import StudyError

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
CENTIMETRES = 3  # value of PhysicalUnits…Direction
TISSUE, TWO_D = 1, 1  # RegionDataType, RegionSpatialFormat


def looks_headless(head):
    """Whether bytes without the 128-byte preamble start as a DICOM data set: group 0002 or 0008,
    even element.
    """
    return head[:2] in (b"\x02\0", b"\x08\0", b"\0\x02", b"\0\x08") and len(head) > 8


def header(path, pixels=False):
    """The data set of a file, with or without its pixels; StudyError when it is no DICOM."""
    try:
        return dcmread(path, stop_before_pixels=not pixels, force=True)
    except (
        InvalidDicomError,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise StudyError(f"{path}: is no readable DICOM ({error}); export it again") from error


def read(path):
    """(uint8 (frames, rows, columns), spacing_mm or None, notes) of a DICOM image or cine.

    More than 8 bits: the window of the file (VOI LUT), else the full range of BitsStored, is mapped
    to 0–255.
    """
    data = header(path, pixels=True)
    if "PixelData" not in data:
        raise StudyError(f"{path}: is DICOM without a picture (no PixelData); leave it out")
    try:
        stored = data.pixel_array
    except Exception as error:  # each decoder has its own exceptions; all mean the same to the user
        raise StudyError(
            f"{path}: the picture cannot be decoded ({_line(error)}); export it again"
        ) from error
    notes = []
    samples = data.get("SamplesPerPixel", 1)
    frames = stored if stored.ndim == (4 if samples > 1 else 3) else stored[None]
    grey = _colour(path, frames) if samples > 1 else _monochrome(path, data, frames, notes)
    return grey, spacing(data, notes), tuple(notes)


def _line(error):
    return textwrap.shorten(str(error), 160, placeholder=" …")


def _colour(path, frames):
    """RGB (pydicom has already converted YBR and JPEG colour) to grey."""
    if frames.dtype != np.uint8:
        raise StudyError(
            f"{path}: colour in {frames.dtype.itemsize * 8} bits; export it in 8 bits a channel"
        )
    if np.array_equal(frames[..., 0], frames[..., 1]) and np.array_equal(
        frames[..., 0], frames[..., 2]
    ):
        return np.ascontiguousarray(frames[..., 0])
    return np.round(frames @ LUMA).astype(np.uint8)


def _monochrome(path, data, frames, notes):
    photometric = str(data.get("PhotometricInterpretation", ""))
    if photometric == "PALETTE COLOR":
        colours = apply_color_lut(frames, data)
        shift = 8 * (colours.dtype.itemsize - 1)  # 16-bit palettes carry 8 bits in the high byte
        return np.round((colours >> shift)[..., :3] @ LUMA).astype(np.uint8)
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise StudyError(
            f"{path}: photometric interpretation {photometric!r} is not readable; export it as"
            " MONOCHROME2"
        )
    bits = int(data.get("BitsStored", 8))
    if bits == 1:
        raise StudyError(
            f"{path}: has 1 bit a pixel, that is a mask and not an image; export the image in 8"
            " bits"
        )
    if bits <= 8 and frames.min() >= 0:
        grey = frames.astype(np.uint8)
    else:
        grey = _windowed(data, frames, bits)
        notes.append(f"{bits} bits mapped to 8")
    if photometric == "MONOCHROME1":
        grey = 255 - grey
        notes.append("inverted (MONOCHROME1)")
    return grey


def _windowed(data, frames, bits):
    """Stored values → 0–255 through the file's window (PS3.3 C.11.2.1.2), look-up table, or full
    range of its bits.
    """
    if "VOILUTSequence" in data:
        top = 2.0 ** int(data.VOILUTSequence[0].LUTDescriptor[2]) - 1
        share = apply_voi_lut(apply_modality_lut(frames, data), data, prefer_lut=True) / top
    elif "WindowWidth" in data and "WindowCenter" in data:
        centre, width = (
            float(np.atleast_1d(data[key].value)[0]) for key in ("WindowCenter", "WindowWidth")
        )
        share = (apply_modality_lut(frames, data) - (centre - 0.5)) / max(width - 1, 1e-12) + 0.5
    else:
        low = -(2 ** (bits - 1)) if data.get("PixelRepresentation") else 0
        share = (frames.astype(float) - low) / (2**bits - 1)
    return np.round(255 * np.clip(share, 0, 1)).astype(np.uint8)


def regions(data):
    """The ultrasound regions as (x0, y0, x1, y1, spacing (row, column) in mm or None),
    two-dimensional tissue only.
    """
    found = []
    for item in data.get("SequenceOfUltrasoundRegions", []):
        if item.get("RegionSpatialFormat") != TWO_D or item.get("RegionDataType") != TISSUE:
            continue
        units = (item.get("PhysicalUnitsYDirection"), item.get("PhysicalUnitsXDirection"))
        deltas = [abs(float(item.get(f"PhysicalDelta{axis}") or 0)) * 10 for axis in "YX"]
        box = [int(item[f"RegionLocation{k}"].value) for k in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        found.append(
            (
                *box,
                tuple(deltas) if units == (CENTIMETRES, CENTIMETRES) and min(deltas) > 0 else None,
            )
        )
    return found


def spacing(data, notes=None):
    """(row, column) in mm, or None where the file does not say. Of several regions the largest
    counts, with a note.
    """
    known = [r for r in regions(data) if r[4]]
    if known:
        if len({r[4] for r in known}) > 1 and notes is not None:
            notes.append(
                "several ultrasound regions with different spacing: the largest one's was taken"
            )
        return max(known, key=lambda r: (r[2] - r[0]) * (r[3] - r[1]))[4]
    pair = data.get("PixelSpacing")
    return (float(pair[0]), float(pair[1])) if pair is not None and min(pair) > 0 else None
