"""DICOM pictures: any photometric interpretation and compression that pydicom with GDCM decodes, to
uint8 grey.

Colour is decoded by what the stream holds: headers that call YCbCr RGB, or the reverse, are common.
Spacing: ``SequenceOfUltrasoundRegions`` (PS3.3 C.8.5.5: PhysicalDelta in centimetres), else
``PixelSpacing``.
"""

import io
import textwrap
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_fragments, generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import DeflatedExplicitVRLittleEndian, SegmentationStorage

from helpers.errors import StudyError
from helpers.readers import videos
from helpers.readers.plausible import check_size

MOST_DEFLATED = 1 << 30  # bytes of a deflated data set; reading it takes a few times as many
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
CENTIMETRES = 3  # value of PhysicalUnits…Direction
TWO_D = 1  # RegionSpatialFormat
TISSUE = (1, 2)  # RegionDataType: tissue, colour flow over tissue
VIDEO = "1.2.840.10008.1.2.4.10"  # MPEG-2 …100, …101; H.264 …102 to …106; HEVC …107, …108
CLEARLY = 2.0  # times nearer to grey one reading of the colours must be than the other
LEAST_USED = 8  # a picture without a window fills at least this part, 1 in so many, of its bits


def looks_headless(head: bytes) -> bool:
    """Whether bytes without the 128-byte preamble start as a DICOM data set: group 0002 or 0008,
    even element.
    """
    return head[:2] in (b"\x02\0", b"\x08\0", b"\0\x02", b"\0\x08") and len(head) > 8


def header(path: Path, pixels: bool = False) -> Dataset:
    """The data set of a file, with or without its pixels; StudyError when it is no DICOM."""
    try:
        _check_deflated(path)
        return dcmread(path, stop_before_pixels=not pixels, force=True)
    except (
        InvalidDicomError,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        NotImplementedError,
        zlib.error,
    ) as error:
        if isinstance(error, StudyError):
            raise
        raise StudyError(
            f"{path}: is no readable DICOM ({_line(error)}); export it again"
        ) from error
    except RecursionError:
        raise StudyError(f"{path}: its sequences are nested too deeply; export it again") from None


def _check_deflated(path: Path) -> None:
    """A deflated data set unpacks as a whole: refuse the one that would fill the memory."""
    try:
        meta = read_file_meta_info(path)
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        return  # without the preamble there is no transfer syntax, thus nothing deflated
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    unpacked, unpack = 0, zlib.decompressobj(-zlib.MAX_WBITS)
    with open(path, "rb") as stream:
        stream.seek(132 + 12 + meta.FileMetaInformationGroupLength)
        while block := stream.read(1 << 16):
            while block:
                unpacked += len(unpack.decompress(block, 1 << 24))
                block = unpack.unconsumed_tail
                if unpacked > MOST_DEFLATED:
                    raise StudyError(
                        f"{path}: unpacks to more than {MOST_DEFLATED >> 30} GB; leave it out"
                    )


def read(path: Path) -> tuple[np.ndarray, tuple[float, float] | None, tuple[str, ...]]:
    """(uint8 (frames, rows, columns), spacing_mm or None, notes) of a DICOM image or cine.

    More than 8 bits: values within 0–255 without a window are grey levels already; else the window
    of the file (VOI LUT), else the full range of BitsStored, is mapped to 0–255.
    """
    data = header(path, pixels=True)
    if "PixelData" not in data:
        raise StudyError(f"{path}: is DICOM without a picture (no PixelData); leave it out")
    if data.get("SOPClassUID") == SegmentationStorage:
        raise StudyError(f"{path}: is a DICOM segmentation, that is a mask and not an image")
    notes = []
    grey = _video(path, data, notes) if is_video(data) else _still(path, data, notes)
    return grey, spacing(data, notes), tuple(notes)


def decoded(path: Path, data: Dataset, raw: bool = False) -> np.ndarray:
    """The stored values (frames, rows, columns[, samples]) of a data set; StudyError where they
    cannot be decoded or declare a size that no picture has. raw: colour as the stream holds it.
    """
    samples = data.get("SamplesPerPixel", 1)
    try:
        rows, columns, frames = (data.get(k) for k in ("Rows", "Columns", "NumberOfFrames"))
        # more than a byte is mapped to one, through numbers of eight
        sample = samples * (8 if int(data.get("BitsAllocated") or 8) > 8 else 1)
        check_size(path, rows, columns, frames, sample)
        _check_streams(path, data)
        stored = pixel_array(data, raw=raw) if raw else data.pixel_array
    except StudyError:
        raise
    except Exception as error:  # each decoder has its own exceptions; all mean the same to the user
        raise StudyError(
            f"{path}: the picture cannot be decoded ({_line(error)}); export it again"
        ) from error
    return stored if stored.ndim == (4 if samples > 1 else 3) else stored[None]


def _check_streams(path: Path, data: Dataset) -> None:
    """A compressed frame has a size of its own, which decoders believe."""
    if not data.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    frames = generate_frames(data.PixelData, number_of_frames=int(data.get("NumberOfFrames") or 1))
    for frame in frames:
        if found := _stream_size(frame):
            check_size(path, *found)


def _stream_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG or JPEG-LS stream by its frame header, of JPEG 2000 by Pillow;
    None for others.
    """
    if frame[:2] != b"\xff\xd8":
        try:
            with Image.open(io.BytesIO(frame), formats=("JPEG2000",)) as picture:
                return picture.size[::-1]
        except (OSError, ValueError, SyntaxError):
            return None
    at = 2
    while at + 9 < len(frame):
        marker = frame[at + 1]
        if frame[at] != 0xFF:
            return None
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = (int.from_bytes(frame[at + k : at + k + 2], "big") for k in (5, 7))
            return rows, columns
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big") if marker != 0xFF else 1
    return None


def _line(error: Exception) -> str:
    return textwrap.shorten(" ".join(str(error).split()), 160, placeholder=" …")


def is_video(data: Dataset) -> bool:
    """Whether a data set wraps a video stream (MPEG-2, H.264, HEVC)."""
    return str(data.file_meta.get("TransferSyntaxUID", "")).startswith(VIDEO)


def _video(path: Path, data: Dataset, notes: list[str]) -> np.ndarray:
    """The frames of a wrapped video; its own number of frames counts, with a note where the header
    says another.
    """
    _offsets, *stream = generate_fragments(data.PixelData)
    try:
        frames = videos.read_stream(path, b"".join(stream))
    except StudyError as error:
        raise StudyError(
            f"{path}: the cine is compressed as {data.file_meta.TransferSyntaxUID.name} and cannot"
            " be decoded; ask the scanner for it uncompressed or as JPEG, or export MP4"
        ) from error
    declared = int(data.get("NumberOfFrames") or 1)
    if len(frames) != declared:
        notes.append(f"the header says {declared} frames, the video holds {len(frames)}")
    return frames


def _still(path: Path, data: Dataset, notes: list[str]) -> np.ndarray:
    if data.get("SamplesPerPixel", 1) == 1:
        return _monochrome(path, data, _aligned(path, data, notes), notes)
    return _grey(path, rgb(path, data, notes))


def _aligned(path: Path, data: Dataset, notes: list[str]) -> np.ndarray:
    """The stored values of a grey picture, moved down where HighBit says that they lie higher than
    BitsStored, and the bits below are empty.
    """
    bits, high = int(data.get("BitsStored", 8)), int(data.get("HighBit", 0)) + 1
    if high <= bits:
        return decoded(path, data)
    data.BitsStored = high  # else the decoder cuts them off
    frames = decoded(path, data)
    data.BitsStored = bits
    if (frames & ((1 << high - bits) - 1)).any():
        return decoded(path, data)
    notes.append(f"the {bits} bits of a pixel lie {high - bits} higher than usual")
    return frames >> (high - bits)


def rgb(path: Path, data: Dataset, notes: list[str]) -> np.ndarray:
    """Colour (frames, rows, columns, 3) as RGB: by the reading of the stream's three components in
    which the picture is nearly grey, as ultrasound is; by the header where that is unclear.
    """
    with warnings.catch_warnings():  # pydicom warns of headers that contradict their stream
        warnings.simplefilter("ignore")
        by_header = decoded(path, data)
        stream = decoded(path, data, raw=True)
    if by_header.dtype != np.uint8 or stream.shape != by_header.shape:
        return by_header
    if (planes := _by_planes(data, stream)) is not None:
        how = "pixel by pixel" if data.get("PlanarConfiguration") == 1 else "plane by plane"
        notes.append(f"colours are stored {how}, which the header denies")
        return planes
    some = stream[:: 1 + len(stream) // 4]  # a few frames of a cine will do
    a, b, c = (some[..., k].astype(np.int16) for k in range(3))
    from_grey = {
        "RGB": float((np.abs(b - a) + np.abs(c - a)).mean()),
        "YBR_FULL": float((np.abs(b - 128) + np.abs(c - 128)).mean()),
    }
    near, far = sorted(from_grey, key=lambda name: from_grey[name])
    if from_grey[near] * CLEARLY > from_grey[far]:
        return by_header
    found = stream if near == "RGB" else convert_color_space(stream, near, "RGB", per_frame=True)
    by_hand = np.abs(found.astype(np.int16) - by_header).mean() > 2
    if by_hand:
        said = data.get("PhotometricInterpretation")
        notes.append(f"colours decoded as {near[:3]}: the header says {said}, the stream does not")
    return found if by_hand else by_header


def _by_planes(data: Dataset, stream: np.ndarray) -> np.ndarray | None:
    """Frames (frames, rows, columns, 3) whose colours are stored by plane where the header says by
    pixel, or the reverse, else None: only then the three are nearly the same, as in ultrasound,
    and neighbours alike.
    """
    if data.file_meta.TransferSyntaxUID.is_encapsulated or np.ptp(stream, -1).mean() < 1:
        return None
    count, rows, columns, _ = stream.shape
    if data.get("PlanarConfiguration") == 1:
        other = np.moveaxis(stream, -1, 1).reshape(count, rows, columns, 3)
    else:
        other = np.moveaxis(stream.reshape(count, 3, rows, columns), 1, -1)
    if np.ptp(other, -1).mean() * CLEARLY > np.ptp(stream, -1).mean():
        return None
    steps = [np.abs(np.diff(a[0, ..., 0].astype(int), axis=0)).mean() for a in (other, stream)]
    return np.ascontiguousarray(other) if steps[0] <= steps[1] else None


def _grey(path: Path, frames: np.ndarray) -> np.ndarray:
    """RGB (frames, rows, columns, 3) to grey."""
    if frames.dtype != np.uint8:
        raise StudyError(
            f"{path}: colour in {frames.dtype.itemsize * 8} bits; export it in 8 bits a channel"
        )
    if np.array_equal(frames[..., 0], frames[..., 1]) and np.array_equal(
        frames[..., 0], frames[..., 2]
    ):
        return np.ascontiguousarray(frames[..., 0])
    return np.round(frames @ LUMA).astype(np.uint8)


def _monochrome(path: Path, data: Dataset, frames: np.ndarray, notes: list[str]) -> np.ndarray:
    photometric = str(data.get("PhotometricInterpretation", ""))
    if photometric == "PALETTE COLOR":
        colours = apply_color_lut(frames, data)
        # 16-bit palettes carry 8 bits in the high byte; some writers leave them in the low one
        shift = 8 if colours.max() > 255 else 0
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
    scaled = (float(data.get("RescaleSlope") or 1), float(data.get("RescaleIntercept") or 0))
    if bits <= 8 and frames.min() >= 0 and scaled == (1, 0):
        grey = frames.astype(np.uint8)
    else:
        grey = _to_eight_bits(path, data, frames, bits, notes)
    if photometric == "MONOCHROME1":
        grey = 255 - grey
        notes.append("inverted (MONOCHROME1)")
    return grey


def _to_eight_bits(
    path: Path, data: Dataset, frames: np.ndarray, bits: int, notes: list[str]
) -> np.ndarray:
    """Grey values of more than 8 bits, or with a sign, as uint8."""
    windowed = "VOILUTSequence" in data or _window(data) is not None
    values = apply_modality_lut(frames, data)
    if not windowed and values.min() >= 0 and values.max() <= 255:
        notes.append(f"{bits} bits that hold grey values 0–255: taken as they are")
        return np.round(values).astype(np.uint8)
    used = np.ptp(frames.astype(np.int64)) + 1
    if not windowed and used * LEAST_USED < 2**bits:
        raise StudyError(
            f"{path}: has {bits} bits a pixel and no window, but its values {frames.min()} to"
            f" {frames.max()} fill little of them; export it in 8 bits, or with a window"
        )
    notes.append(f"{bits} bits mapped to 8")
    return _windowed(data, frames, bits)


def _window(data: Dataset) -> tuple[float, float] | None:
    """(centre, width) of a file's first window, or None: one narrower than 1 is none."""
    found = [data.get(key) for key in ("WindowCenter", "WindowWidth")]
    if any(v is None or np.size(v) == 0 for v in found):
        return None
    centre, width = (float(np.atleast_1d(v)[0]) for v in found)
    return (centre, width) if width >= 1 else None


def _windowed(data: Dataset, frames: np.ndarray, bits: int) -> np.ndarray:
    """Stored values → 0–255 through the file's window (PS3.3 C.11.2.1.2), look-up table, or full
    range of its bits.
    """
    if "VOILUTSequence" in data:
        top = 2.0 ** int(data.VOILUTSequence[0].LUTDescriptor[2]) - 1
        share = apply_voi_lut(apply_modality_lut(frames, data), data, prefer_lut=True) / top
    elif window := _window(data):
        centre, width = window
        values, shape = apply_modality_lut(frames, data), data.get("VOILUTFunction", "LINEAR")
        share = (values - (centre - 0.5)) / max(width - 1, 1e-12) + 0.5
        if shape == "SIGMOID":
            share = 1 / (1 + np.exp(-4 * (values - centre) / width))
    else:
        low = -(2 ** (bits - 1)) if data.get("PixelRepresentation") else 0
        share = (frames.astype(float) - low) / (2**bits - 1)
    return np.round(255 * np.clip(share, 0, 1)).astype(np.uint8)


def regions(data: Dataset) -> list[tuple]:
    """The ultrasound regions as (x0, y0, x1, y1, spacing (row, column) in mm or None),
    two-dimensional tissue (with or without colour flow) only.
    """
    found = []
    for item in data.get("SequenceOfUltrasoundRegions", []):
        if not shows_tissue(item):
            continue
        units = (item.get("PhysicalUnitsYDirection"), item.get("PhysicalUnitsXDirection"))
        deltas = [abs(float(item.get(f"PhysicalDelta{axis}") or 0)) * 10 for axis in "YX"]
        box = [int(item[f"RegionLocation{k}"].value) for k in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        known = units == (CENTIMETRES, CENTIMETRES) and min(deltas) > 0
        found.append((*box, tuple(deltas) if known else None))
    return found


def shows_tissue(item: Dataset) -> bool:
    """Whether a region (item of SequenceOfUltrasoundRegions) is a picture and no trace or scale."""
    return item.get("RegionSpatialFormat") == TWO_D and item.get("RegionDataType") in TISSUE


def spacing(
    data: Dataset, notes: list[str], outlined: np.ndarray | None = None
) -> tuple[float, float] | None:
    """(row, column) in mm, or None where the file does not say, with a note where it says several.

    outlined: bool (rows, columns) of the file; of regions with different spacing, the one in which
    it lies counts. Without it, or where it lies in none or several, spacing is unknown.
    """
    every = regions(data)
    found = [r for r in every if r[4]]
    size = data.get("Columns"), data.get("Rows")
    if found and all(size) and any(x1 > size[0] or y1 > size[1] for _, _, x1, y1, _ in every):
        notes.append(
            f"an ultrasound region reaches beyond the picture of {size[0]} × {size[1]} pixels,"
            " which was made smaller or cut since: spacing unknown"
        )
        return None
    if found and outlined is not None and outlined.any():
        held = {r: _within(r, *np.nonzero(outlined)) for r in found}
        if len({r[4] for r in found}) > 1:
            found = [r for r in found if held[r] > 0.99]
        elif sum(held.values()) < 0.5:
            found = []
    known = {r[4] for r in found}
    if len(known) > 1 or (not known and any(r[4] for r in every)):
        notes.append(
            "its ultrasound regions have different spacings, or the outline lies in none of them:"
            " spacing unknown"
        )
        return None
    pair = data.get("PixelSpacing")
    told = pair is not None and min(pair) > 0 and list(pair) != [1, 1]
    if known:
        own = known.pop()
        if told and not np.allclose(own, [float(side) for side in pair], rtol=0.05):
            notes.append(
                f"PixelSpacing says {pair[0]:g} × {pair[1]:g} mm, the ultrasound region"
                f" {own[0]:g} × {own[1]:g}: spacing unknown"
            )
            return None
        return own
    if pair is None or min(pair) <= 0:
        return None
    if not told:
        notes.append("PixelSpacing of 1 × 1 mm, as programs write that know none: spacing unknown")
        return None
    return float(pair[0]), float(pair[1])


def _within(region: tuple, rows: np.ndarray, columns: np.ndarray) -> float:
    """Share of pixels that lie in a region."""
    x0, y0, x1, y1, _ = region
    return float(((columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1)).mean())
