"""Where headers put a picture and its mask. Both are read by index, so that two headers which put
the same index at different places would silently lay an outline beside what was outlined.
"""

from pathlib import Path

import numpy as np
import SimpleITK

from helpers import readers

#: formats whose header says where a pixel lies
PLACED = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
FAR = 0.5  # of a pixel
ADVICE = "does the outline fit? Else resample the mask onto its picture, and run this again"


def apart(image: Path, mask: Path) -> str:
    """That a mask lies elsewhere than its picture, a sentence, or '' (also where a header says
    nothing, or their sizes differ, which is said elsewhere).

    Compared are the corners, to half a pixel, and in which order the slices run; what lies between
    slices may be time.
    """
    one, other = (_header(readers.locate(file)[0]) for file in (image, mask))
    if one is None or other is None or one[0][:2] != other[0][:2]:
        return ""
    (size, origin, axes), (_, start, steps) = one, other
    if (_bare(*one[1:]) or _bare(*other[1:])) and not np.array_equal(axes, steps):
        return ""
    moved, pixels = start - origin, np.linalg.norm(axes, axis=0)
    if not start.any():  # of a mask that was given a spacing and no place
        moved = 0 * moved
    for k, name in enumerate(("columns", "rows")):
        shift = moved @ axes[:, k] / pixels[k] ** 2
        if abs(shift) > FAR:
            return f"by its header the mask lies {shift:+.1f} {name} beside its picture: {ADVICE}"
        if (size[k] - 1) * np.linalg.norm(steps[:, k] - axes[:, k]) > FAR * pixels[k]:
            return f"by its header the mask has other {name} than its picture: {ADVICE}"
    if axes.shape[1] > 2 and steps.shape[1] > 2 and size[2] > 1:
        if axes[:, 2] @ steps[:, 2] < 0:
            return f"by its header the mask has its slices in the other order: {ADVICE}"
        shift = moved @ axes[:, 2] / pixels[2] ** 2
        if np.allclose(axes[:, 2], steps[:, 2]) and abs(shift) > FAR:
            return f"by its header the mask lies {shift:+.1f} slices beside its picture: {ADVICE}"
    return ""


def _header(path: Path) -> tuple[tuple[int, ...], np.ndarray, np.ndarray] | None:
    """(size, origin, a step along each axis) in mm; None for a file that says nothing of them."""
    if not path.name.lower().endswith(PLACED):
        return None
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:  # which is said when it is read
        return None
    n = reader.GetDimension()
    origin, spacing = np.array(reader.GetOrigin()), np.array(reader.GetSpacing())
    axes = np.reshape(reader.GetDirection(), (n, n)) * spacing
    return reader.GetSize(), _three(origin), _three(axes)[:, : min(n, 3)]


def _bare(origin: np.ndarray, axes: np.ndarray) -> bool:
    """Whether a header says nothing of its place, as one that was made of a bare array."""
    return not origin.any() and np.array_equal(np.abs(axes), np.eye(*axes.shape))


def _three(values: np.ndarray) -> np.ndarray:
    """The same along three axes of space: a plane lies at 0, time is left out."""
    whole = np.zeros((3,) * values.ndim)
    room = tuple(slice(0, min(3, n)) for n in values.shape)
    whole[room] = values[room]
    return whole
