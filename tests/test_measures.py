"""Area, thickness, depth and centroids of shapes whose measures are known."""

import numpy as np
import pandas as pd
import pytest
from pictures import CLASSES

from helpers import datasets, stats
from helpers.analyses import measures
from helpers.errors import NotComputable
from helpers.figures import agreement as figure
from helpers.pages import measures as page


def shape(inside, size=(120, 160), spacing=(1.0, 1.0)):
    """The pixels whose centres, (x, y) in mm, are inside."""
    y, x = np.indices(size) + 0.5
    return inside(x * spacing[1], y * spacing[0])


def bar(angle, long=60.0, wide=8.0, centre=(80.0, 60.0)):
    """A bar turned by an angle, as a function of (x, y)."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))

    def inside(x, y):
        x, y = x - centre[0], y - centre[1]
        return (abs(c * x + s * y) <= long / 2) & (abs(-s * x + c * y) <= wide / 2)

    return inside


@pytest.mark.parametrize("angle", [0, 7, 30, 45, 90, 135])
def test_a_bar_has_its_width_and_length_at_every_angle(angle):
    found = measures.profile(shape(bar(angle)))
    inner = found.thickness[(found.position > 5) & (found.position < 55)]
    assert np.median(found.thickness) == pytest.approx(8, abs=0.25)
    assert inner.min() > 7 and inner.max() < 9
    assert found.position[0] + found.position[-1] == pytest.approx(60, abs=1)


@pytest.mark.parametrize("angle", [0, 30, 90])
def test_pixels_twice_as_high_as_wide(angle):
    spacing = (0.2, 0.1)
    area = shape(bar(angle, 8.0, 2.0, (8.0, 12.0)), spacing=spacing)
    row = measures.measure(area.astype(np.uint8), CLASSES[:2], spacing).iloc[0]
    assert row["unit"] == "mm" and row["area"] == pytest.approx(16, rel=0.03)
    assert row["thickness"] == pytest.approx(2, abs=0.07)
    assert row["length"] == pytest.approx(8, abs=0.25)


def test_a_disc():
    disc = shape(lambda x, y: (x - 80) ** 2 + (y - 60) ** 2 <= 40**2)
    row = measures.measure(disc.astype(np.uint8), CLASSES[:2]).iloc[0]
    assert row["unit"] == "px" and row["area"] == pytest.approx(np.pi * 1600, rel=0.005)
    assert (row["row"], row["column"]) == (59.5, 79.5)
    assert row["length"] == pytest.approx(80, abs=1)


def test_a_curved_layer_is_measured_across_its_course():
    ring = shape(lambda x, y: (abs(np.hypot(x - 80, y - 130) - 100) <= 3) & (abs(x - 80) < 60))
    found = measures.profile(ring)
    # straight down it would be 6 in the middle and 7.5 at the ends
    assert np.nanmedian(found.thickness) == pytest.approx(6, abs=0.2)
    assert np.nanquantile(found.thickness, 0.95) < 6.7


def test_a_layer_that_swells_and_has_a_gap():
    area = shape(lambda x, y: (abs(y - 60) <= np.where(x < 80, 3, 6)) & (abs(x - 80) < 60))
    area[:, 100:110] = False
    found = measures.profile(area)
    at = np.searchsorted(found.position, [20, 85, 100])
    assert found.thickness[at[0]] == pytest.approx(6, abs=0.3)
    assert np.isnan(found.thickness[at[1]])
    assert found.thickness[at[2]] == pytest.approx(12, abs=0.3)


def test_depth_is_counted_from_the_skin_in_the_same_column():
    pixels = np.zeros((120, 160), np.uint8)
    pixels[20:, :] = 90
    pixels[5:9, 2:14] = 255  # words above the picture
    area = np.zeros((120, 160), np.uint8)
    area[50:60, 60:80] = 1
    row = measures.measure(area, CLASSES[:2], (0.5, 0.5), pixels).iloc[0]
    assert row["depth_edge"] == pytest.approx(15)
    assert row["depth_centre"] == pytest.approx(17.5)


@pytest.mark.parametrize(
    ("rows", "columns", "edge", "centre"),
    [
        ((5, 15), (40, 60), False, False),  # above the skin
        ((25, 45), (40, 60), False, True),  # through it
        ((40, 50), (105, 115), False, False),  # beside the ultrasound
        ((40, 50), (40, 60), True, True),
    ],
)
def test_there_is_no_depth_above_or_beside_the_ultrasound(rows, columns, edge, centre):
    pixels, area = np.zeros((100, 120), np.uint8), np.zeros((100, 120), np.uint8)
    pixels[30:90, 20:100] = 90
    area[slice(*rows), slice(*columns)] = 1
    row = measures.measure(area, CLASSES[:2], None, pixels).iloc[0]
    assert row["area"] == area.sum()
    assert (row["depth_edge"] == rows[0] - 30) if edge else np.isnan(row["depth_edge"])
    assert (row["depth_centre"] == sum(rows) / 2 - 30) if centre else np.isnan(row["depth_centre"])
    assert measures.measure(area, CLASSES[:2], None, pixels * 0)["depth_edge"].isna().all()


def test_what_is_not_drawn_has_no_measure():
    table = measures.measure(np.zeros((9, 9), np.uint8), CLASSES)
    assert table["class"].tolist() == ["nerve", "muscle", "artery"]
    assert table["area"].eq(0).all() and table[["thickness", "depth_edge", "row"]].isna().all(
        axis=None
    )


def test_distance_of_centroids():
    one, other = np.zeros((2, 40, 40), bool)
    one[10:12, 10:12], other[13:15, 14:16] = True, True
    assert measures.distance(one, other) == 5
    assert measures.distance(one, other, (2.0, 1.0)) == pytest.approx(np.hypot(6, 4))
    assert np.isnan(measures.distance(one, other & False))


def study(spacing):
    """Eight patients with two images each: a bar of 8 × 40 pixels, drawn two rows thicker and three
    columns further right; the last image has nothing drawn.
    """
    masks, drawn = np.zeros((2, 16, 64, 64), np.uint8)
    masks[:, 20:28, 10:50], drawn[:, 20:30, 13:53] = 1, 1
    drawn[-1] = 0
    index = pd.DataFrame({"image_id": [f"i{k}" for k in range(16)], "patient_id": np.nan})
    index["patient_id"] = [f"p{k // 2}" for k in range(16)]
    index[["pixel_row_mm", "pixel_column_mm"]] = spacing
    images = np.full((16, 64, 64), 90, np.uint8)
    return datasets.Arrays(images, masks, index), drawn


def test_agreement_by_hand():
    arrays, drawn = study((0.5, 0.25))
    table = measures.compared(arrays, drawn, np.arange(16), CLASSES[:2])
    assert table["unit"].eq("mm").all() and table["area_difference"].isna().sum() == 1
    one = table.iloc[0]
    assert one["area"] == 40 and one["area_difference"] == pytest.approx(2 * 40 * 0.125)
    assert one["thickness_difference"] == pytest.approx(1, abs=0.05)
    assert one["depth_centre_difference"] == pytest.approx(0.5)
    assert one["centre_distance"] == pytest.approx(np.hypot(1 * 0.5, 3 * 0.25))
    found = page.agreement(table).set_index("measure")
    assert found.loc["area", "bias"] == pytest.approx(10) and pd.isna(found.loc["area", "low"])
    assert found.loc["area", "unit"] == "mm²" and found.loc["area", "n_images"] == 15
    said = page.in_words(found.reset_index(), table, "nerve")
    assert "area **+10 mm²** (in every image); median thickness **+1.0 mm**" in said
    assert "px" not in said
    drawing = figure.bland_altman(table, found.reset_index(), "nerve", "unet")
    # the study's style, once used, puts titles to the left
    titles = [a.get_title() or a.get_title("left") for a in drawing.axes]
    assert titles == list(page.TITLES.values())


def test_limits_are_those_of_the_statistics():
    """One bias and one pair of limits for an area, whoever asks."""
    rng = np.random.default_rng(0)
    each = rng.normal(5, 3, 40)
    table = pd.DataFrame({"image_id": [f"i{k}" for k in range(40)], "class": "nerve", "unit": "mm"})
    table["unit_id"] = [f"p{k // 4}" for k in range(40)]
    table["area"], table["area_difference"], table["centre_distance"] = 50.0, each, 1.0
    areas = pd.DataFrame({"model": "m", "patient_id": table["unit_id"], "difference": each})
    areas = areas.assign(image_id=table["image_id"], mean=50 + each / 2, unit="mm²")
    same = ["bias", "low", "high", "limit_low", "limit_high", "n_images", "n_units"]
    found, expected = page.agreement(table, ("area",)), stats.bland_altman(areas)
    pd.testing.assert_frame_equal(found[same], expected[same])


def test_pixels_are_never_averaged_with_millimetres():
    arrays, drawn = study((0.5, 0.25))
    arrays.index.loc[:3, ["pixel_row_mm", "pixel_column_mm"]] = np.nan
    table = measures.compared(arrays, drawn, np.arange(16), CLASSES[:2])
    found = page.agreement(table)
    assert found["unit"].tolist() == ["mm²", "mm", "mm"] and found["n_images"].eq(11).all()
    assert "the size of a pixel being unknown: 4 images." in page.in_words(found, table, "nerve")
    arrays, drawn = study((np.nan, np.nan))
    table = measures.compared(arrays, drawn, np.arange(16), CLASSES[:2])
    said = page.in_words(page.agreement(table), table, "nerve")
    assert "area **+80 px²**" in said and "The size of a pixel is unknown" in said


def test_too_few_patients_say_so():
    arrays, drawn = study((0.5, 0.25))
    table = measures.compared(arrays, drawn[:4], np.arange(4), CLASSES[:2])
    with pytest.raises(NotComputable, match="Limits of agreement need 5 patients"):
        page.agreement(table)
