"""Raster files (PNG, JPEG, TIFF, BMP, GIF, WebP), NIfTI, NRRD and MetaImage, decoded to grey uint8;
what is unclear is refused, never guessed.
"""

import re
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK
from PIL import Image, ImageOps, UnidentifiedImageError

from helpers.errors import StudyError
from helpers.readers.plausible import check_size

EXIF_ORIENTATION = 0x0112
#: modes of Pillow of which a band is a byte
BYTES = ("1", "L", "LA", "RGB", "RGBA", "YCbCr", "CMYK")
ROTATED = "rotated as its EXIF orientation says"
#: where a header says in which file its values lie
DETACHED = re.compile(rb"(?im)^(?:ElementDataFile *=|data ?file *:) *(\S[^\r\n]*?)\s*$")
#: where a NRRD header says in which unit its spacing is
UNITS = re.compile(rb'(?im)^(?:space )?units: *"([^"]*)"')
MILLIMETRES = {b"": 1.0, b"mm": 1.0, b"cm": 10.0, b"m": 1e3, b"um": 1e-3, "µm".encode(): 1e-3}
MOST_HEADER = 1 << 16  # bytes
#: how ITK calls a kind of pixel: "vector of 8-bit unsigned integer"
BITS = re.compile(r"(\d+)-bit")
CLOSE = 0.01  # of a pixel's side: as near are two statements of one size
#: what a NIfTI file says that was saved from a bare array, in which rows may come first
UNORIENTED = "saved without an orientation: rows and columns may be exchanged"


def open_raster(path: Path) -> tuple[list[Image.Image], tuple[str, ...]]:
    """(frames as PIL pictures, EXIF rotation applied; notes) of a raster file.

    A phone's photo that holds more pictures (MPO: a preview, a burst) is its first one.
    """
    notes = []
    try:
        with warnings.catch_warnings():  # sizes are checked here
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                count = getattr(picture, "n_frames", 1)
                if picture.format == "MPO":
                    if count > 1:
                        notes.append(f"a photo that holds {count} pictures: the first was taken")
                    count = 1
                # a palette becomes colours, and what is no byte takes four
                sample = len(picture.getbands()) if picture.mode in BYTES else 4
                check_size(path, picture.height, picture.width, count, sample)
                turned = picture.getexif().get(EXIF_ORIENTATION, 1)
                if turned not in (0, 1):
                    notes.append(ROTATED)
                if picture.format == "TIFF" and turned > 4 and picture.tile[0][0] != "libtiff":
                    raise StudyError(  # Pillow takes rows for columns there
                        f"{path}: an uncompressed TIFF that its orientation entry turns; save it as"
                        " PNG, as it is to be seen"
                    )
                frames = []
                for number in range(count):
                    picture.seek(number)
                    check_size(path, picture.height, picture.width)
                    frames.append(ImageOps.exif_transpose(picture))
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        zlib.error,
        struct.error,
        OverflowError,
        MemoryError,
        Image.DecompressionBombError,
    ) as error:
        if isinstance(error, StudyError):
            raise
        if isinstance(error, Image.DecompressionBombError):  # before its size could be asked for
            raise StudyError(
                f"{path}: declares more pixels than any picture here has ({error}); leave it out or"
                " cut it"
            ) from None
        raise StudyError(
            f"{path}: cannot be decoded, it is damaged or cut short ({error}); copy it again"
        ) from error
    return frames, tuple(notes)


def read_raster(path: Path) -> tuple[np.ndarray, None, tuple[str, ...]]:
    """(uint8 (frames, rows, columns), None, notes) of a raster file."""
    frames, notes = open_raster(path)
    if len({f.size for f in frames}) > 1:
        raise StudyError(
            f"{path}: its {len(frames)} pages differ in size; save each as a file of its own"
        )
    return np.stack([_grey(path, f) for f in frames]), None, notes


def _grey(path: Path, picture: Image.Image) -> np.ndarray:
    if picture.mode == "1":
        raise StudyError(
            f"{path}: has 1 bit a pixel, that is a mask and not an image; export the image in 8"
            " bits"
        )
    if picture.mode.startswith(("I", "F")):
        return _as_uint8(path, np.asarray(picture))
    if picture.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema() != (255, 255):
            raise StudyError(
                f"{path}: has transparent pixels, whose grey is undefined; export it without"
                " transparency"
            )
        picture = picture.convert("RGB")
    if picture.mode == "P":
        picture = picture.convert("RGB")
    return np.asarray(picture.convert("L"))


def _as_uint8(path: Path, values: np.ndarray) -> np.ndarray:
    """Values that already are grey levels 0–255 as uint8; anything else is refused, never rescaled
    by a guess.
    """
    if not np.isfinite(values).all():
        raise StudyError(
            f"{path}: has {int((~np.isfinite(values)).sum())} pixels that are NaN or infinite;"
            " export again"
        )
    low, high = values.min(), values.max()
    for wide in (257, 256):  # 16 bits that a program made of 8
        if values.dtype.kind in "iu" and low >= 0 and high > 255 and not (values % wide).any():
            values, high = values // wide, high // wide
    if low < 0 or high > 255:
        raise StudyError(
            f"{path}: has values {low:g} to {high:g} ({values.dtype}), grey levels 0 to 255 are"
            " needed; export it in 8 bits"
        )
    if high <= 1 and (values != np.round(values)).any():
        raise StudyError(
            f"{path}: has grey levels as fractions of 1, 0 to 255 are needed; export it in 8 bits"
        )
    return np.round(values).astype(np.uint8)


def open_nifti(path: Path) -> tuple[np.ndarray, tuple[float, float] | None]:
    """(array (column, row[, slice]) or with a colour dtype; spacing (row, column) in mm or
    None).
    """
    return read_volume(path)[:2]


def read_volume(path: Path) -> tuple[np.ndarray, tuple[float, float] | None, tuple[str, ...]]:
    """As ``open_nifti``, and the notes on what is unclear.

    Axes of length 1 are dropped, so that (column, row, 1, time) is a stack; the fifth axis of NIfTI
    holds components: three or four of them are colour.
    """
    try:
        volume: Any = nibabel.load(path)  # of one of the library's many classes
        shape = tuple(n for k, n in enumerate(volume.shape) if k < 2 or n > 1)
        columns, rows = (*volume.shape, 1, 1)[:2]
        stored = np.dtype(volume.dataobj.dtype)
        sample = stored.itemsize if volume.dataobj.slope == 1 or stored.names else 8  # scaled
        check_size(path, rows, columns, int(np.prod(shape[2:], dtype=object)), sample)
        values = np.asanyarray(volume.dataobj).reshape(shape)
    except (
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
        OSError,
        EOFError,
        ValueError,
        OverflowError,
        MemoryError,
        zlib.error,
    ) as error:
        if isinstance(error, StudyError):
            raise
        raise StudyError(
            f"{path}: cannot be decoded, it is damaged or cut short ({error}); copy it again"
        ) from error
    if len(volume.shape) == 5 and volume.shape[4] in (3, 4) and not values.dtype.names:
        values = _components(path, values)
    if values.ndim not in (2, 3):
        raise StudyError(
            f"{path}: has {values.ndim} axes {values.shape}; a picture has two, a stack three"
        )
    turn = np.abs(volume.affine[:3, :2])
    if turn[:, 0].max() > 0 and list(turn.argmax(0)) == [1, 0]:
        raise StudyError(
            f"{path}: is stored with rows and columns exchanged; export it in the orientation of"
            " the image"
        )
    notes = (UNORIENTED,) if unoriented(volume.affine) else ()
    sides, zooms = nibabel.affines.voxel_sizes(volume.affine)[:2], volume.header.get_zooms()[:2]
    if not np.allclose(sides, zooms, rtol=CLOSE):
        sizes = " and ".join(f"{a:.4g} × {b:.4g}" for a, b in (zooms, sides))
        return values, None, (*notes, f"gives two sizes of a pixel, {sizes}: spacing unknown")
    scale = {"mm": 1.0, "meter": 1e3, "micron": 1e-3}.get(volume.header.get_xyzt_units()[0])
    column, row = (float(z) for z in volume.header.get_zooms()[:2])
    told = (column, row) != (1.0, 1.0) and column > 0 and row > 0
    return values, (row * scale, column * scale) if scale and told else None, notes


def unoriented(affine: np.ndarray) -> bool:
    """Whether an affine only scales, as one that was made for a bare array; ITK's also turns."""
    scales = np.diag(affine)[:3]
    return bool((affine[:3, :3] == np.diag(scales)).all() and scales[0] > 0 and scales[1] > 0)


def _components(path: Path, values: np.ndarray) -> np.ndarray:
    """Colour on a fifth axis (…, 3 or 4) as NIfTI's colour dtype."""
    if values.min() < 0 or values.max() > 255 or (values != np.round(values)).any():
        raise StudyError(f"{path}: has colours that are not 0 to 255; export it in 8 bits")
    colour = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    return np.ascontiguousarray(values[..., :3].astype(np.uint8)).view(colour)[..., 0]


def read_nifti(path: Path) -> tuple[np.ndarray, tuple[float, float] | None, tuple[str, ...]]:
    """(uint8 (frames, rows, columns), spacing_mm or None, notes) of a NIfTI file."""
    values, spacing, notes = read_volume(path)
    if values.dtype.names:  # colour: a structure of R, G, B
        values = _luma([values[name] for name in values.dtype.names[:3]])
    values = values[:, :, None] if values.ndim == 2 else values
    return np.ascontiguousarray(_as_uint8(path, values).transpose(2, 1, 0)), spacing, notes


def _header(path: Path) -> bytes:
    """The text in front of the values of a NRRD or MetaImage file."""
    with path.open("rb") as file:
        return re.split(rb"\n\r?\n", file.read(MOST_HEADER))[0]


def detached(path: Path) -> list[Path]:
    """The file, as a list, in which the values of a header lie (of ``.mhd`` and ``.nhdr`` always,
    of ``.mha`` and ``.nrrd`` where they name one); of other files, and where the header is missing,
    an empty list.
    """
    end = path.suffix.lower()
    if end not in (".mhd", ".nhdr", ".mha", ".nrrd") or not path.is_file():
        return []
    header = _header(path)
    told = DETACHED.search(header)
    name = told[1].decode("utf-8", "replace") if told else ""
    if end in (".mha", ".nrrd") and name.upper() in ("", "LOCAL"):
        return []
    if not name or "%" in name or name.split()[0].upper() in ("LIST", "LOCAL"):
        raise StudyError(f"{path}: does not name the one file of its values; save it as .mha")
    return [path.with_name(name) if "/" not in name else path.parent / name]


def open_itk(path: Path) -> tuple[np.ndarray, tuple[float, float] | None, dict[str, str]]:
    """(values (slices, rows, columns[, layers]), spacing (row, column) in mm or None, header
    {key: text}) of a NRRD or MetaImage file.
    """
    if missing := [file for file in detached(path) if not file.is_file()]:
        raise StudyError(f"{path}: its values should lie in {missing[0].name}, which is missing")
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        if reader.GetDimension() < 2:
            raise StudyError(f"{path}: has one axis; a picture has two, a stack three")
        columns, rows, *more = reader.GetSize()
        layers = reader.GetNumberOfComponents()
        bits = BITS.search(SimpleITK.GetPixelIDValueAsString(reader.GetPixelIDValue()))
        sample = layers * max(1, int(bits[1]) // 8 if bits else 8)
        check_size(path, rows, columns, int(np.prod(more, dtype=object)), sample)
        image = reader.Execute()
    except RuntimeError as error:
        told = (
            str(error).strip().splitlines()[-1][:160] if str(error).strip() else "no reason given"
        )
        raise StudyError(
            f"{path}: cannot be decoded, it is damaged or cut short ({told}); copy it again"
        ) from None
    values = SimpleITK.GetArrayFromImage(image)
    if values.ndim - (layers > 1) == 2:
        values = values[None]
    column, row = image.GetSpacing()[:2]
    named = UNITS.search(_header(path)) if path.suffix.lower() in (".nrrd", ".nhdr") else None
    scale = MILLIMETRES.get(named[1].lower() if named else b"")
    known = scale and (column, row) != (1.0, 1.0)
    spacing = (row * scale, column * scale) if known else None
    return values, spacing, {k: image.GetMetaData(k) for k in image.GetMetaDataKeys()}


def read_itk(path: Path) -> tuple[np.ndarray, tuple[float, float] | None, tuple[str, ...]]:
    """(uint8 (frames, rows, columns), spacing_mm or None, notes) of a NRRD or MetaImage file."""
    values, spacing, _ = open_itk(path)
    if values.ndim == 4 and values.shape[3] in (3, 4):
        values = _luma([values[..., k] for k in range(3)])
    if values.ndim != 3:
        raise StudyError(f"{path}: has {values.ndim} axes {values.shape}; a stack has three")
    return _as_uint8(path, values), spacing, ()


def _luma(colours: Sequence[np.ndarray]) -> np.ndarray:
    """Grey of red, green and blue."""
    return np.tensordot([0.299, 0.587, 0.114], np.stack([c.astype(float) for c in colours]), 1)
