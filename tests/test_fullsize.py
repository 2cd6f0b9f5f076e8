"""Cases at full resolution: the file's pixels, the scanner's scale, outlines where they belong."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import datasets, studies
from helpers.figures import fullsize, pictures

matplotlib.use("Agg")


@pytest.fixture
def study(tmp_path, monkeypatch):
    given = studies.load("phantom", "quick")
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    return given


def arrays(mm, shape=(90, 120), **columns):
    masks = np.zeros((1, 64, 64), np.uint8)
    masks[0, 10:30, 20:40] = 1
    index = pd.DataFrame(
        {"image_id": ["a"], "image": ["a.png"], "height_px": shape[0], "width_px": shape[1]}
        | {"pixel_mm": mm}
        | columns
    )
    return datasets.Arrays(np.full((1, 64, 64), 7, np.uint8), masks, index)


def draw(study, given):
    fig = fullsize.cases(study, given, {"Worst": "a"}, given.masks)
    plt.close(fig)
    return fig.axes


def test_the_files_own_pixels_are_shown_where_the_file_is_there(study):
    given = arrays(np.nan)
    assert draw(study, given)[0].images[0].get_array().shape == (64, 64), "as the network saw it"
    folder = study.run / "data"
    folder.mkdir(parents=True)
    Image.fromarray(np.zeros((90, 120), np.uint8)).save(folder / "a.png")
    plain, outlined = draw(study, given)
    assert plain.images[0].get_array().shape == (90, 120)
    assert plain.get_title() or plain.get_title("left") == "Worst"
    assert not plain.lines, "no bar where the scale is unknown"
    (first, *_) = outlined.collections
    x, y = first.get_paths()[0].get_extents().get_points().mean(0)
    assert (x, y) == pytest.approx((120 * 30 / 64, 90 * 20 / 64)), "outline over its own place"


@pytest.mark.parametrize(
    "columns", [{}, {"pixel_row_mm": 1.5 * 90 / 64, "pixel_column_mm": 1.5 * 120 / 64}]
)
def test_the_bar_is_a_round_number_of_centimetres_of_the_scanner(study, columns):
    mm = 1.5 * np.sqrt(90 * 120) / 64  # the file's pixels are 1.5 mm, so it shows 13.5 × 18 cm
    plain, _ = draw(study, arrays(mm, **columns))
    assert plain.images[0].get_extent() == pytest.approx((0, 180, 135, 0))
    (bar,) = plain.lines
    assert np.ptp(bar.get_xdata()) == pytest.approx(50) and plain.texts[0].get_text() == "5 cm"


def test_images_that_are_not_square_keep_their_shape_wherever_they_are_shown(study):
    given, dice = arrays(np.nan, shape=(60, 120)), pd.Series({"a": 0.5})
    shown = pictures.grid(study, given, {"worst": "a"}, {"image": None, "drawn": given.masks}, dice)
    many = pictures.contours(study, given, ["a"] * 8, given.masks, dice)
    for axes in (*shown.axes, *many.axes):
        assert axes.images[0].get_extent() == pytest.approx((0, 120, 60, 0))
    assert shown.get_figheight() == pytest.approx(0.5 + 1.75 / 2)
    assert many.get_figheight() < 3, "two rows of flat images, no empty space between"
    plt.close("all")
