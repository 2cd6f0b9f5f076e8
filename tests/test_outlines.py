"""Found, missed, drawn where there is none; distances in mm where pixels are not square."""

import numpy as np
import pandas as pd
import pytest

from helpers import cache, datasets, metrics, studies
from helpers.analyses import outlines

CLASSES = [studies.Class(k, n, n, "#000000", 1.0) for k, n in enumerate(("background", "nerve"))]


def rows(**more):
    """One image each: found, missed, rightly empty, drawn where there is none."""
    counts = [(50, 10, 5, 935), (0, 20, 55, 925), (0, 0, 0, 1000), (0, 30, 0, 970)]
    frame = pd.DataFrame(counts, columns=metrics.COUNTS)
    frame["image_id"], frame["patient_id"] = list("abcd"), list("xxyy")
    return frame.assign(**{"class": "nerve", "hd95_px": [2, 9, np.nan, np.nan]} | more)


def test_found_missed_and_drawn_where_there_is_none():
    row = outlines.found(rows()).iloc[0]
    expected = {"outlines": 4, "present": 2, "found": 1, "missed": 1, "absent": 2}
    assert row[list(expected)].to_dict() == expected
    assert (row["drawn_where_none"], row["largest_percent"]) == (1, 3.0)


def test_a_structure_that_is_nowhere_and_never_drawn():
    nowhere = rows().assign(tp=0, fp=0, fn=0, tn=1000)
    row = outlines.found(nowhere).iloc[0]
    assert (row["present"], row["absent"], row["drawn_where_none"]) == (0, 4, 0)
    assert np.isnan(row["largest_percent"])


def test_distances_are_by_patient_and_leave_out_what_has_none():
    frame = rows(assd_px=1.0, hd95_mm=np.nan, assd_mm=np.nan)
    assert outlines.scale(frame) == "px"
    row = outlines.distances(frame, "px", 100, 1).iloc[0]
    assert (row["images"], row["without_distance"], row["hd95_px"]) == (2, 2, 5.5)
    assert np.isnan(row["hd95_px_low"])  # one patient
    many = pd.concat([frame.assign(patient_id=f"p{k}", hd95_px=2.0 + k) for k in range(8)])
    row = outlines.distances(many, "px", 500, 1).iloc[0]
    assert row["hd95_px_low"] < row["hd95_px"] < row["hd95_px_high"]


def test_unknown_patients_make_the_image_the_unit():
    assert outlines.with_unit(rows(patient_id=""))["unit"].tolist() == list("abcd")
    assert outlines.with_unit(rows(patient_id=np.nan))["unit"].tolist() == list("abcd")


def test_pixels_twice_as_high_as_wide():
    """Two rows lower, one column to the right: 2 × 1 mm and 1 × 0.5 mm apart."""
    masks = np.zeros((3, 40, 40), np.uint8)
    masks[0, 10:20, 10:30] = masks[1, 12:22, 10:30] = masks[2, 10:20, 12:32] = 1
    sides = (1.0, 0.5)
    lower = metrics.rows(masks[1], masks[0], CLASSES, sides).iloc[1]
    aside = metrics.rows(masks[2], masks[0], CLASSES, sides).iloc[1]
    assert (lower["hd95_px"], lower["hd95_mm"]) == (2, 2.0)
    assert (aside["hd95_px"], aside["hd95_mm"]) == (2, 1.0)
    same = metrics.rows(masks[1], masks[0], CLASSES, 0.7).iloc[1]
    assert same["hd95_mm"] == pytest.approx(1.4)
    assert np.isnan(metrics.rows(masks[1], masks[0], CLASSES).iloc[1]["hd95_mm"])


def test_the_index_keeps_height_and_width_of_a_pixel():
    """A file of 300 rows × 600 columns with pixels of 0.2 mm, made 100 × 100."""
    assert cache._pixel_mm((300, 600), (0.2, 0.2), np.nan, (100, 100)) == pytest.approx(
        (0.6, 1.2, np.sqrt(0.72))
    )
    assert cache._pixel_mm((300, 600), None, 0.2, (100, 100))[:2] == pytest.approx((0.6, 1.2))
    assert np.isnan(cache._pixel_mm((300, 600), None, np.nan, (100, 100))).all()
    frame = pd.DataFrame({"pixel_row_mm": [0.6], "pixel_column_mm": [1.2], "pixel_mm": [0.85]})
    assert datasets.spacing(frame).tolist() == [[0.6, 1.2]]
    assert datasets.spacing(frame[["pixel_mm"]]).tolist() == [[0.85, 0.85]]
