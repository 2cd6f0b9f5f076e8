"""Does a decoded picture look like a picture, and is its declared size one that a picture has."""

from pathlib import Path

import numpy as np

from helpers.errors import StudyError

FEW_VALUES = 8  # a picture of so few grey levels is a mask or a drawing
SQUEEZED = 32  # grey levels between which all but 0.2 % of a squeezed picture lie
MOST_SIDE = 20_000  # pixels
MOST_PIXELS = 1 << 27  # a frame
MOST_BYTES = 1 << 32  # all frames together
MOST_TEXT = 1 << 29  # bytes of a JSON or CSV file


def doubts(pixels: np.ndarray) -> list[str]:
    """What makes a picture implausible, in words for a person: list of str, empty when all is well.

    pixels: uint8 (rows, columns) or (frames, rows, columns), as read. A flat, two-valued or
    squeezed picture often is one whose grey values were decoded wrongly, or a mask.
    """
    levels = np.flatnonzero(np.bincount(np.asarray(pixels).ravel(), minlength=256))
    if len(levels) == 1:
        return [f"flat: every pixel has the grey value {levels[0]}"]
    if len(levels) <= FEW_VALUES:
        held = ", ".join(map(str, levels))
        return [f"only {len(levels)} grey values ({held}): is it a mask, not a picture?"]
    low, high = np.percentile(pixels, (0.1, 99.9))
    if high - low < SQUEEZED:
        return [
            f"squeezed: nearly all grey values lie between {low:.0f} and {high:.0f} of 0–255;"
            " were they decoded rightly?"
        ]
    return []


def check_size(
    path: Path,
    rows: int | str | None,
    columns: int | str | None,
    frames: int | str | None = 1,
    sample: int = 1,
) -> None:
    """StudyError where a declared size is one that no picture has, before memory is taken for
    it. sample: bytes that a pixel takes once it is read.
    """
    rows, columns, frames = int(rows or 0), int(columns or 0), int(frames or 1)
    many = f"{frames:,} × " if frames > 1 else ""
    if min(rows, columns, frames) < 1:
        raise StudyError(f"{path}: declares {many}{rows} × {columns} pixels; export it again")
    if (
        max(rows, columns) > MOST_SIDE
        or rows * columns > MOST_PIXELS
        or rows * columns * frames * sample > MOST_BYTES
    ):
        raise StudyError(
            f"{path}: declares {many}{rows:,} × {columns:,} pixels, more than any picture here has"
            f" ({MOST_SIDE:,} a side, {MOST_BYTES >> 30} GB in all); leave it out or cut it"
        )


def check_length(path: Path) -> None:
    """StudyError where a text file is longer than any annotation, before it is read."""
    size = path.stat().st_size
    if size > MOST_TEXT:
        raise StudyError(
            f"{path}: has {size >> 20} MB of text, more than {MOST_TEXT >> 20}; export it without"
            " embedded pictures, or in parts"
        )
