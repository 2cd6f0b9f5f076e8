"""Palettes of masks: whether the numbers of a set mean its structures, or the colours do."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from helpers import readers
from helpers.errors import StudyError

BLACK = "#000000"


def used(path: Path) -> dict[int, str]:
    """{value: '#rrggbb'} of the values that a raster file with a coloured palette holds; else
    empty.
    """
    if readers.suffix(path) not in (".png", ".tif", ".tiff", ".bmp", ".gif"):
        return {}
    try:
        with Image.open(path) as picture:
            if picture.mode != "P":
                return {}
            colours = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
            values = np.unique(np.asarray(picture))
    except (OSError, ValueError, SyntaxError):
        return {}
    return {int(v): f"#{bytes(colours[v]).hex()}" for v in values if v < len(colours)}


def colours(files: list[Path]) -> set[tuple[int, int, int]] | None:
    """The colours other than black of a set whose numbers do not mean its structures, else None.

    Numbers mean nothing where a number has another colour in another file, or where black is not
    the lowest of them.
    """
    of_value, of_colour, example = defaultdict(set), defaultdict(set), {}
    for path in files:
        for value, colour in used(path).items():
            of_value[value].add(colour)
            of_colour[colour].add(value)
            example[colour] = path
    turned = BLACK in of_colour and min(of_colour[BLACK]) > 0
    contradicted = any(len(c) > 1 for c in of_value.values())
    if not turned and not contradicted:
        return None
    if BLACK not in of_colour:
        raise StudyError(
            f"{next(iter(example.values()))}: a number has another colour in another mask, and"
            " black, the background, is in none; export the masks with one palette"
        )
    parts = (tuple(bytes.fromhex(c[1:])) for c in of_colour if c != BLACK)
    return {(red, green, blue) for red, green, blue in parts}
