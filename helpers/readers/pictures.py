"""Raster files (PNG, JPEG, TIFF, BMP) and NIfTI, decoded to grey uint8; what is unclear is refused,
never guessed.
"""

import zlib

import nibabel
import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from helpers.errors import StudyError

EXIF_ORIENTATION = 0x0112


def open_raster(path):
    """The decoded frames of a raster file, EXIF rotation applied, with notes."""
    try:
        with Image.open(path) as picture:
            turned = picture.getexif().get(EXIF_ORIENTATION, 1) not in (0, 1)
            frames = [
                ImageOps.exif_transpose(f.copy()) if turned else f.copy()
                for f in ImageSequence.Iterator(picture)
            ]
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        raise StudyError(
            f"{path}: cannot be decoded, it is damaged or cut short ({error}); copy it again"
        ) from error
    return frames, ("rotated as its EXIF orientation says",) if turned else ()


def read_raster(path):
    """(uint8 (frames, rows, columns), None, notes) of a PNG, JPEG, TIFF or BMP file."""
    frames, notes = open_raster(path)
    if len({f.size for f in frames}) > 1:
        raise StudyError(
            f"{path}: its {len(frames)} pages differ in size; save each as a file of its own"
        )
    return np.stack([_grey(path, f) for f in frames]), None, notes


def _grey(path, picture):
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


def _as_uint8(path, values):
    """Values that already are grey levels 0–255 as uint8; anything else is refused, never rescaled
    by a guess.
    """
    if not np.isfinite(values).all():
        raise StudyError(
            f"{path}: has {int((~np.isfinite(values)).sum())} pixels that are NaN or infinite;"
            " export again"
        )
    low, high = values.min(), values.max()
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


def open_nifti(path):
    """(array (column, row[, slice]) or with a colour dtype, header zooms in mm or None)."""
    try:
        volume = nibabel.load(path)
        values = np.asanyarray(volume.dataobj)
    except (
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
        OSError,
        EOFError,
        ValueError,
        zlib.error,
    ) as error:
        raise StudyError(
            f"{path}: cannot be decoded, it is damaged or cut short ({error}); copy it again"
        ) from error
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim not in (2, 3):
        raise StudyError(
            f"{path}: has {values.ndim} axes {values.shape}; a picture has two, a stack three"
        )
    turn = np.abs(volume.affine[:3, :2])
    if turn[:, 0].max() > 0 and (np.argmax(turn[:, 0]), np.argmax(turn[:, 1])) == (1, 0):
        raise StudyError(
            f"{path}: is stored with rows and columns exchanged; export it in the orientation of"
            " the image"
        )
    scale = {"mm": 1.0, "meter": 1e3, "micron": 1e-3}.get(volume.header.get_xyzt_units()[0])
    column, row = (float(z) for z in volume.header.get_zooms()[:2])
    known = scale is not None and (column, row) != (1.0, 1.0) and column > 0 and row > 0
    return values, (row * scale, column * scale) if known else None


def read_nifti(path):
    """(uint8 (frames, rows, columns), spacing_mm or None, notes) of a NIfTI file."""
    values, spacing = open_nifti(path)
    if values.dtype.names:  # colour: a structure of R, G, B
        rgb = np.stack([values[n].astype(float) for n in values.dtype.names[:3]])
        values = np.tensordot([0.299, 0.587, 0.114], rgb, 1)
    values = values[:, :, None] if values.ndim == 2 else values
    return np.ascontiguousarray(_as_uint8(path, values).transpose(2, 1, 0)), spacing, ()
