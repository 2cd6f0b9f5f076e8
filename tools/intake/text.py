"""Where letters stand in a picture: PP-OCRv4's detector and reader, which come with
``rapidocr-onnxruntime`` and run offline.

The detector finds letters of 8 pixels and 30 grey levels on speckle; it also takes a bright blob
for a letter now and then. The reader tells them apart: letters it reads with a score above 0.9, of
a blob it makes nothing. Thus a place that is read is text and is blackened; one that is found and
half read, or too small to be read surely, is a doubt for a person to look at.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

LONG_SIDE = 1600  # pixels to which a picture is enlarged, three times at most: small letters grow
SURE = 0.5  # the reader's own score from which a word counts
NOTHING = 0.2  # below this score nothing is written on a place
LARGE = 16  # pixels; letters so high are read surely
LETTERS = 2  # so many letters or digits make a word


@dataclass(frozen=True)
class Place:
    """box: (top, bottom, left, right) in pixels, as a slice has them; word: what is read there, ''
    where nothing is.
    """

    box: tuple
    word: str


@functools.cache
def _reader() -> Any:
    """The text reader, or None where it is not installed."""
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError:
        return None
    return RapidOCR(text_score=0.0)


def available() -> bool:
    """Whether pictures can be looked through for text on this machine."""
    return _reader() is not None


def find(frames: np.ndarray) -> list[Place] | None:
    """Every place of frames, uint8 (N, rows, columns), that looks like text: list of Place, or None
    where no text reader is installed.

    Of a cine the brightest and the darkest projection (letters that stay stand out in the darkest)
    and the first, middle and last frame are looked through.
    """
    if not available():
        return None
    looked = [frames[0]]
    if len(frames) > 1:
        looked += [frames.max(0), frames.min(0), frames[len(frames) // 2], frames[-1]]
    return [place for pixels in looked for place in _places(pixels)]


def _places(pixels: np.ndarray) -> list[Place]:
    rows, columns = pixels.shape
    scale = min(3.0, max(1.0, LONG_SIDE / max(pixels.shape)))
    size = (round(columns * scale), round(rows * scale))
    large = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    found, _ = _reader()(np.repeat(np.asarray(large)[..., None], 3, 2), use_cls=False)
    places = []
    for corners, word, score in found or ():
        x, y = np.array(corners).T / scale
        top, left = max(int(y.min()) - 2, 0), max(int(x.min()) - 2, 0)
        bottom, right = (
            min(int(np.ceil(y.max())) + 2, rows),
            min(int(np.ceil(x.max())) + 2, columns),
        )
        if float(score) < NOTHING and np.ptp(y) >= LARGE:
            continue
        read = float(score) >= SURE and sum(c.isalnum() for c in word) >= LETTERS
        places.append(Place((top, bottom, left, right), word if read else ""))
    return places
