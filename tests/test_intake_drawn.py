"""How masks and drawings are drawn: boxes, smoothed edges, and drawings that were saved into the
picture.
"""

import numpy as np
import pytest
from pictures import dicom, save
from PIL import Image, ImageDraw, ImageFilter
from test_intake_doubtful import fill, first, outline, picture

from helpers.errors import StudyError
from tools.intake.make import make

pytestmark = pytest.mark.usefixtures("root")

BOXES = "structure is an upright rectangle in 12 of 12 pictures: are these boxes"


def box(k, count=12):
    rows, columns = np.nonzero(outline(k))
    mask = np.zeros((60, 80), np.uint8)
    mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 255
    return mask if k < count else outline(k)


def two_boxes(k):
    """Of one picture two boxes that overlap."""
    return box(k) | (np.roll(box(k), (5, 6), (0, 1)) if k == 3 else 0)


def test_one_picture_of_two_boxes_hides_them_not(data):
    fill(data, {"masks/{k}.png": two_boxes})
    assert "structure is an upright rectangle in 11 of 12 pictures" in first(data)


@pytest.mark.parametrize(
    ("draw", "asked"), [(box, True), (outline, False), (lambda k: box(k, 10), False)]
)
def test_boxes_are_no_outlines(data, draw, asked):
    fill(data, {"masks/{k}.png": draw})
    assert (BOXES in first(data)) == asked


def smooth(k, levels):
    """An outline whose edge is smoothed, in so many grey values."""
    soft = Image.fromarray(outline(k)).filter(ImageFilter.GaussianBlur(0.7))
    steps = np.round(np.asarray(soft) / 255 * (levels - 1))
    return np.round(steps * 255 / (levels - 1)).astype(np.uint8)


@pytest.mark.parametrize("levels", [3, 4, 8, 16])
def test_smoothed_edges_are_no_structures(data, levels):
    fill(data, {"masks/{k}.png": lambda k: smooth(k, levels)})
    with pytest.raises(StudyError, match="in 12 of 12 pictures some of them are rims of a pixel"):
        make("mine", data)


def resized(k):
    """Numbers 0 and 2 with what a smoothing resize makes between them, and a true 1 elsewhere."""
    mask = np.round(smooth(k, 3) / 127.5).astype(np.uint8)
    mask[48:56, 60:75] = 1
    return mask


def nested(k):
    """A structure within a wide one, as a nerve in its sheath."""
    mask = outline(k, 1)
    mask[outline(k + 1) & np.roll(outline(k), (2, 2), (0, 1)) > 0] = 2
    return mask


@pytest.mark.parametrize(("draw", "asked"), [(resized, True), (nested, False)])
def test_numbers_that_a_resize_made_are_asked_about(data, draw, asked):
    fill(data, {"masks/{k}.png": draw})
    assert ("class_1 is a rim of a pixel or two around" in first(data)) == asked


def drawn(k, colour, filled=False, place=0):
    """A picture in whose copy the border of outline k + place was drawn, or its area filled."""
    canvas = Image.fromarray(picture(k)).convert("RGB")
    rows, columns = np.nonzero(outline(k + place))
    corners = [*map(int, (columns.min(), rows.min(), columns.max(), rows.max()))]
    ImageDraw.Draw(canvas).ellipse(corners, fill=colour if filled else None, outline=colour)
    return canvas


RED, WHITE = (230, 30, 30), (255, 255, 255)


@pytest.mark.parametrize(
    ("name", "colour", "filled", "said"),
    [
        ("{k}.png", RED, False, "colour follows what is outlined"),
        ("{k}.jpg", RED, False, "colour follows what is outlined"),
        ("{k}.dcm", RED, False, "colour follows what is outlined"),
        ("{k}.png", (180, 60, 60), True, "what is outlined, and is hardly anywhere else"),
        ("{k}.bmp", WHITE, False, "a line of one grey level follows what is outlined"),
        ("{k}.jpg", WHITE, False, "a line of one grey level follows what is outlined"),
        ("{k}.png", (120, 120, 120), False, "a line of one grey level follows what is outlined"),
    ],
)
def test_a_drawing_that_was_saved_into_the_picture(data, name, colour, filled, said):
    fill(data, {"masks/{k}.png": outline})
    for k in range(12):
        canvas, path = drawn(k, colour, filled), data / "images" / name.format(k=k)
        (data / f"images/{k}.png").unlink()
        if path.suffix == ".dcm":
            dicom(path, np.asarray(canvas), PatientID=f"P{k}")
        else:
            save(path, np.asarray(canvas))
    assert said in first(data)


def test_a_dashed_line_that_was_saved_into_the_picture(data):
    fill(data, {"masks/{k}.png": outline})
    for k in range(12):
        canvas, dashes = picture(k), np.asarray(drawn(k, WHITE).convert("L")) == 255
        rows, columns = np.nonzero(dashes)
        dashes[rows, columns] = (rows + columns) // 4 % 2 == 0
        save(data / f"images/{k}.png", np.where(dashes, 200, canvas).astype(np.uint8))
    assert "a line of one grey level follows what is outlined" in first(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda k: picture(k),
        lambda k: np.asarray(Image.fromarray(picture(k)).convert("RGB")),
        lambda k: np.asarray(drawn(k, RED, place=15)),  # a mark of the scanner elsewhere
        lambda k: np.dstack([picture(k), picture(k) // 2, picture(k) // 4]),  # a tinted picture
        lambda k: np.maximum(picture(k), outline(k)),  # bright all over
    ],
)
def test_ordinary_pictures_hold_no_drawing(data, change):
    fill(data, {"masks/{k}.png": outline})
    for k in range(12):
        save(data / f"images/{k}.png", change(k))
    assert "saved into the picture" not in first(data)


def test_negative_numbers_are_no_structures(data):
    fill(data, {"masks/{k}.png": lambda k: None})
    for k in range(12):
        values = outline(k, 1).astype(np.float32) - (outline(k) == 0)
        save(data / f"masks/{k}.tif", values)
    with pytest.raises(StudyError, match="the masks hold the value -1; the background is 0"):
        make("mine", data)
