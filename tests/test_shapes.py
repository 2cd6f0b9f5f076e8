"""Outlines in Labelme and COCO files: filled to the pixel, encoded and named in every way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import CLASSES, coco, labelme, labels

from helpers import readers
from helpers.readers import annotations, polygons

# --- Outlines
# ------------------------------------------------------------------------------


def box(x0, y0, x1, y1):
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def test_labelme_box_of_whole_pixels(tmp_path):
    for kind, points in (
        ("polygon", box(8, 5, 30, 15)),
        ("rectangle", [[30, 15], [8, 5]]),
        ("rectangle", box(8, 5, 30, 15)),
    ):
        found = readers.read_mask(labelme(tmp_path / "a.json", [("nerve", points, kind)]), CLASSES)
        assert np.array_equal(found, np.where(labels() == 1, 1, 0))


def test_labelme_circle(tmp_path):
    found = readers.read_mask(
        labelme(tmp_path / "a.json", [("nerve", [[30, 20], [42, 20]], "circle")]), CLASSES
    )
    y, x = np.mgrid[:40, :60] + 0.5
    assert abs(int(found.sum()) - np.pi * 144) < 6
    assert ((found > 0) != (np.hypot(x - 30, y - 20) < 12)).sum() <= 8


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_labelme_encodings_and_names(tmp_path, encoding):
    path = labelme(
        tmp_path / "a.json",
        [("神经", box(8, 5, 30, 15)), ("MUSCLE", box(40, 20, 55, 30))],
        encoding=encoding,
    )
    assert np.array_equal(readers.read_mask(path, CLASSES), np.where(labels() == 3, 0, labels()))


def test_labelme_ignored_and_embedded_picture(tmp_path):
    shapes_ = [("nerve", box(8, 5, 30, 15)), ("spine", box(0, 0, 60, 40))]
    path = labelme(tmp_path / "a.json", shapes_, imageData="not a picture at all")
    assert np.array_equal(
        readers.read_mask(path, CLASSES, ignored=["spine"]), np.where(labels() == 1, 1, 0)
    )


def test_labelme_without_size_takes_that_of_the_image(tmp_path):
    path = labelme(tmp_path / "a.json", [("nerve", box(8, 5, 30, 15))], size=(None, None))
    assert readers.read_mask(path, CLASSES, shape=(40, 60)).shape == (40, 60)


def test_no_shapes_is_an_empty_mask(tmp_path):
    assert not readers.read_mask(labelme(tmp_path / "a.json", []), CLASSES).any()


def test_overlap_the_higher_class_lies_on_top(tmp_path):
    small, large = ("artery", box(10, 10, 20, 20)), ("muscle", box(0, 0, 40, 40))
    for order in ([small, large], [large, small]):
        found = readers.read_mask(labelme(tmp_path / "a.json", order), CLASSES)
        assert (found[10:20, 10:20] == 3).all() and (found == 2).sum() == 1500


@pytest.mark.parametrize(("other", "said"), [(15, "lies in part"), (50, "is lost")])
def test_what_lies_under_another_structure_is_said(tmp_path, other, said):
    shapes = [("muscle", box(10, 10, 20, 20)), ("artery", box(5, 5, other, 30))]
    notes = readers.open_mask(labelme(tmp_path / "a.json", shapes), CLASSES).notes
    assert notes == (f"muscle {said} under artery",)
    apart = [("muscle", box(10, 10, 20, 20)), ("muscle", box(15, 15, 25, 25))]
    assert not readers.open_mask(labelme(tmp_path / "a.json", apart), CLASSES).notes


def test_slightly_self_crossing_outline_is_filled(tmp_path):
    points = [[5, 5], [30, 5], [30, 30], [5, 30], [5, 4], [6, 6]]
    assert polygons.crossings(np.array(points, float)) > 0
    found = readers.read_mask(labelme(tmp_path / "a.json", [("nerve", points)]), CLASSES)
    assert abs(int(found.sum()) - 625) <= 25


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(3, 12))
def test_fill_agrees_with_the_winding_number(seed, corners):
    points = np.random.default_rng(seed).uniform(-5, 35, (corners, 2))
    y, x = np.mgrid[:30, :30] + 0.5
    angles = np.arctan2(points[:, 1, None, None] - y, points[:, 0, None, None] - x)
    turns = np.diff(angles, axis=0, append=angles[:1])
    winding = np.round(((turns + np.pi) % (2 * np.pi) - np.pi).sum(0) / (2 * np.pi))
    assert np.array_equal(polygons.fill(points, (30, 30)), winding != 0)


def test_neighbouring_outlines_share_no_pixel_and_leave_none_out():
    edge = np.array([[10.0, 0], [14.5, 13], [9.25, 30]])
    left = polygons.fill(np.vstack([[[0, 0]], edge, [[0, 30]]]), (30, 30))
    right = polygons.fill(np.vstack([edge, [[30, 30], [30, 0]]]), (30, 30))
    assert (left ^ right).all()


def test_area_is_unbiased():
    rng = np.random.default_rng(3)
    error = []
    for _ in range(300):
        points = polygons.circle(rng.uniform(35, 45, 2), rng.uniform(50, 60, 2))
        x, y = points.T
        error.append(
            polygons.fill(points, (80, 80)).sum() - abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
        )
    assert abs(np.mean(error)) < 4 * np.std(error) / np.sqrt(300)


# --- COCO
# ------------------------------------------------------------------------------


def packed(counts):
    """COCO's compressed run lengths, written out from its definition (the inverse of the
    reader's).
    """
    text = ""
    for k, value in enumerate(counts):
        value -= counts[k - 2] if k > 2 else 0
        while True:
            bits, value = value & 31, value >> 5
            last = (value == 0 and not bits & 16) or (value == -1 and bits & 16)
            text += chr(48 + (bits if last else bits | 32))
            if last:
                break
    return text


def runs(mask):
    flat = np.r_[0, mask.ravel(order="F").astype(int)]
    ends = np.flatnonzero(np.diff(np.r_[flat, -1]))
    return np.diff(np.r_[0, ends]).tolist()


def test_coco_polygon_and_run_lengths(tmp_path):
    wanted = labels() == 1
    size = list(wanted.shape)
    for number, segmentation in enumerate(
        (
            [[8, 5, 30, 5, 30, 15, 8, 15]],
            {"size": size, "counts": runs(wanted)},
            {"size": size, "counts": packed(runs(wanted))},
            [[8, 5, 20, 5, 20, 15, 8, 15], [20, 5, 30, 5, 30, 15, 20, 15]],
        )
    ):
        found = readers.read_mask(coco(tmp_path / f"{number}.json", [segmentation]), CLASSES)
        assert np.array_equal(found, wanted)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.floats(0.02, 0.98))
def test_coco_run_lengths_come_back(seed, share):
    mask = np.random.default_rng(seed).random((23, 17)) < share
    for counts in (runs(mask), packed(runs(mask))):
        assert np.array_equal(
            annotations.run_lengths("x", 1, {"size": [23, 17], "counts": counts}, (23, 17)), mask
        )


def test_coco_known_packed_string():
    # 6 × 6 image, a 2 × 2 block in rows 2–3, columns 1–2: counts 8 2 4 2 20; 8, 2, 4 plain,
    # then
    # 2−2, 20−4
    assert annotations._decompressed("8240`0") == [8, 2, 4, 2, 20]


def test_coco_image_by_name(tmp_path):
    path = coco(tmp_path / "a.json", [[[8, 5, 30, 5, 30, 15, 8, 15]]], images=3)
    assert readers.read_mask(f"{path}#0.png", CLASSES).sum() == 220
    assert readers.read_mask(f"{path}#2.png", CLASSES).sum() == 0
