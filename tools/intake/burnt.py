"""Is the drawing saved in the picture itself: a network would learn to see it, and find nothing in
a picture that nobody has drawn on.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from helpers import readers
from helpers.readers import dicom, pictures

VIVID = 60  # between the strongest and the weakest of red, green and blue: no grey, however tinted
WHITE = 250  # grey levels from which a pen may have drawn; one of a darker grey drew in one level
GREY = ("1", "L", "I", "F", "I;16")  # modes of Pillow
CLOSE = 2  # px beside the border of an outline
MOSTLY = 0.5  # share of the border, or of the area, that a drawing covers …
ELSEWHERE = 0.1  # … and how much of that share other places may have


def doubt(image: Path, pixels: np.ndarray, mask: np.ndarray) -> list[str]:
    """A sentence where colour, or one grey level, runs along or fills what is outlined and hardly
    anything else. pixels: uint8 (rows, columns), as read; mask: class indices of its shape.
    """
    inside = mask > 0
    border = inside & ~ndimage.binary_erosion(inside)
    away = ~ndimage.binary_dilation(inside, iterations=2 * CLOSE)
    if not away.any():
        return []
    vivid = _vivid(image, pixels.shape)
    if vivid is not None:
        along, filled = _near(vivid)[border].mean(), vivid[inside].mean()
        rest = vivid[away].mean()
        if max(along, filled) > MOSTLY and rest < ELSEWHERE * max(along, filled):
            where = "follows" if along >= filled else "fills"
            return [
                f"colour {where} what is outlined, and is hardly anywhere else: was the drawing"
                " saved into the picture? Then a network learns to see the drawing; use the picture"
                " as the scanner made it (colour of a blood flow does no harm)"
            ]
    band = _near(border)
    white, grey = pixels >= WHITE, pixels == np.bincount(pixels[band]).argmax()
    rare = _near(white)[away].mean() < ELSEWHERE
    alone = grey[away].mean() < ELSEWHERE * grey[band].mean()
    for pen, nowhere_else in ((white, rare), (grey, alone)):
        within = pen[ndimage.binary_erosion(inside, iterations=2 * CLOSE)]
        follows = nowhere_else and _near(pen)[border].mean() > 1 - ELSEWHERE
        if follows and within.size and within.mean() < ELSEWHERE:
            return [
                "a line of one grey level follows what is outlined: was the drawing saved into the"
                " picture? Then a network learns to see the drawing; use the picture as the scanner"
                " made it"
            ]
    return []


def _near(marked: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(marked, np.ones((2 * CLOSE + 1,) * 2))


def _vivid(image: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Which pixels of a colour picture are of a colour, bool (rows, columns); None of others."""
    file, part = readers.locate(image)
    if readers.kind(file) == "DICOM":
        data = dicom.header(file, pixels=True)
        if data.get("SamplesPerPixel") != 3 or part is not None or dicom.is_video(data):
            return None
        colours = dicom.rgb(file, data, [])[0]
    elif readers.kind(file) in ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WebP"):
        with Image.open(file) as picture:
            if picture.mode in GREY:
                return None
        colours = np.asarray(pictures.open_raster(file)[0][int(part or 0)].convert("RGB"))
    else:
        return None
    return np.ptp(colours, 2) >= VIVID if colours.shape[:2] == shape else None
