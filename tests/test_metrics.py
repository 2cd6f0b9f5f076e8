"""Metrics against scikit-learn, MONAI, surface-distance and hand-computed values."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score, precision_score, recall_score

from helpers import metrics
from helpers.studies import Class

CLASSES = tuple(Class(i, n, n, "#000000", 1.0) for i, n in enumerate(["background", "EIT", "QLM"]))


@pytest.fixture
def monai():
    """MONAI's metrics; imported where they are used, since torch is large."""
    return pytest.importorskip("monai.metrics")


def one_hot(*masks):
    torch = pytest.importorskip("torch")
    return [torch.from_numpy(np.stack([~m, m])[None]).float() for m in masks]


@pytest.fixture
def pair():
    rng = np.random.default_rng(3)
    reference = rng.integers(0, 3, (40, 50), dtype=np.uint8)
    prediction = np.where(
        rng.random((40, 50)) < 0.7, reference, rng.integers(0, 3, (40, 50))
    ).astype(np.uint8)
    return prediction, reference


def test_confusion_is_scikit_learns(pair):
    assert (metrics.confusion(*pair, 3) == confusion_matrix(pair[1].ravel(), pair[0].ravel())).all()


def test_scores_are_scikit_learns(pair):
    table = metrics.scores(pd.DataFrame(metrics.counts(*pair, 3), columns=metrics.COUNTS))
    flat = pair[1].ravel(), pair[0].ravel()
    for name, peer in [
        ("IoU", jaccard_score),
        ("Dice", f1_score),
        ("precision", precision_score),
        ("recall", recall_score),
    ]:
        np.testing.assert_allclose(table[name], peer(*flat, average=None), atol=1e-12)


def test_counts_by_hand():
    reference = np.array([[0, 1, 1], [0, 1, 2]], np.uint8)
    prediction = np.array([[0, 1, 0], [1, 1, 2]], np.uint8)
    assert metrics.counts(prediction, reference, 3).tolist() == [
        [1, 1, 1, 3],
        [2, 1, 1, 2],
        [1, 0, 0, 5],
    ]


def test_rates_over_the_union_sum_to_one(pair):
    table = metrics.scores(pd.DataFrame(metrics.counts(*pair, 3), columns=metrics.COUNTS))
    np.testing.assert_allclose(table.IoU + table.FPR_union + table.FNR_union, 1)
    np.testing.assert_allclose(table.TPR + table.FNR, 1)
    np.testing.assert_allclose(table.TNR + table.FPR, 1)


def test_absent_from_both_is_undefined_absent_from_one_is_zero():
    both = metrics.scores(pd.DataFrame([[0, 0, 0, 9]], columns=metrics.COUNTS)).iloc[0]
    assert both[["IoU", "Dice", "recall", "precision"]].isna().all()
    missed = metrics.scores(pd.DataFrame([[0, 0, 3, 6]], columns=metrics.COUNTS)).iloc[0]
    assert (missed[["IoU", "Dice", "recall", "precision"]] == 0).all() and missed.FNR == 1
    # drawn although not there: nothing to find, so TPR and FNR are both undefined
    drawn = metrics.scores(pd.DataFrame([[0, 3, 0, 6]], columns=metrics.COUNTS)).iloc[0]
    assert (drawn[["IoU", "Dice", "precision"]] == 0).all()
    assert drawn[["recall", "TPR", "FNR"]].isna().all()


def test_pooled_and_per_patient_differ_as_they_should():
    rows = [
        ("m", "A", "p1", 90, 10, 0, 0),
        ("m", "A", "p1", 80, 10, 10, 0),
        ("m", "A", "p2", 1, 1, 1, 97),
    ]
    frame = pd.DataFrame(rows, columns=["model", "class", "patient_id", *metrics.COUNTS])
    assert metrics.pooled(frame).IoU[0] == pytest.approx(171 / 203)
    patients = metrics.per_patient(frame).set_index("patient_id")
    assert patients.IoU["p1"] == pytest.approx((0.9 + 0.8) / 2)
    assert patients.images.tolist() == [2, 1]


def test_overall_counts_background_or_not(pair):
    table = metrics.rows(*pair, CLASSES).assign(model="m")
    with_background = metrics.overall(table).iloc[0]
    each = metrics.scores(table)
    assert with_background.mIoU == pytest.approx(each.IoU.mean())
    assert with_background.mPA == pytest.approx(each.recall.mean())
    assert with_background.accuracy == pytest.approx((pair[0] == pair[1]).mean())
    assert metrics.overall(table, background=False).iloc[0].mIoU == pytest.approx(
        each.IoU[1:].mean()
    )


def blob(seed, shape=(60, 70)):
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    centre, radius = rng.uniform(20, 40, 2), rng.uniform(6, 15, 2)
    return ((y - centre[0]) / radius[0]) ** 2 + ((x - centre[1]) / radius[1]) ** 2 < 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_distances_agree_with_monai(seed, monai):
    p, r = blob(seed), blob(seed + 100)
    both = one_hot(p, r)
    hd95 = monai.compute_hausdorff_distance(*both, include_background=False, percentile=95)
    assd = monai.compute_average_surface_distance(*both, include_background=False, symmetric=True)
    found = metrics.distances(p, r)
    assert found[0] == pytest.approx(float(hd95), abs=1e-4)
    assert found[1] == pytest.approx(float(assd), abs=1e-4)


@pytest.mark.parametrize(
    "size, shift", [((18, 34), (6, 0)), ((12, 35), (0, 4)), ((22, 10), (0, 1))]
)
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 1.3)])
def test_boundary_metrics_equal_surface_distance_where_conventions_agree(size, shift, spacing):
    """The peer measures on a dual grid with weighted contours. Of a rectangle moved along a side
    both take the shift for HD95, and all of the outline lies within it; with square pixels, which
    the peer weights alike, shares and means differ by the corners alone.
    """
    peer = pytest.importorskip(
        "surface_distance", reason="the peer surface-distance is not installed"
    )
    p, r = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    p[8 : 8 + size[0], 9 : 9 + size[1]] = True
    r[8 + shift[0] : 8 + shift[0] + size[0], 9 + shift[1] : 9 + shift[1] + size[1]] = True
    moved = float(np.hypot(*np.multiply(shift, spacing)))
    both = peer.compute_surface_distances(r, p, spacing_mm=spacing)
    hd95, assd, nsd, all_of_it = metrics.boundary(p, r, spacing, (moved / 2, moved))
    assert hd95 == pytest.approx(peer.compute_robust_hausdorff(both, 95), abs=1e-12)
    assert hd95 == pytest.approx(moved, abs=1e-12)
    assert all_of_it == pytest.approx(peer.compute_surface_dice_at_tolerance(both, moved)) == 1
    if spacing[0] == spacing[1]:
        theirs = peer.compute_surface_dice_at_tolerance(both, moved / 2)
        assert nsd == pytest.approx(theirs, abs=0.01)
        assert assd == pytest.approx(np.mean(peer.compute_average_surface_distance(both)), rel=0.05)
    same = peer.compute_surface_distances(p, p, spacing_mm=spacing)
    assert metrics.boundary(p, p, spacing, (0.0,)) == (0, 0, 1)
    assert peer.compute_robust_hausdorff(same, 95) == 0


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [0.5, 1.0, 3.0])
def test_surface_dice_agrees_with_monai(tolerance, monai):
    p, r = blob(5), blob(6)
    both = one_hot(p, r)
    peer = monai.compute_surface_dice(*both, [tolerance], include_background=False)
    assert metrics.surface_dice(p, r, tolerance) == pytest.approx(float(peer), abs=1e-6)
    assert metrics.surface_dice(p, np.zeros_like(p), tolerance) == 0
    assert np.isnan(metrics.surface_dice(np.zeros_like(p), np.zeros_like(p), tolerance))


def test_distance_of_an_empty_mask_is_undefined_and_spacing_scales():
    p, r = blob(1), blob(2)
    assert all(np.isnan(metrics.distances(np.zeros_like(p), r)))
    np.testing.assert_allclose(
        metrics.distances(p, r, (0.5, 0.5)), np.array(metrics.distances(p, r)) / 2
    )


def test_wrong_shapes_and_values_are_refused():
    with pytest.raises(ValueError, match="shapes must be equal"):
        metrics.counts(np.zeros((2, 2), int), np.zeros((2, 3), int), 2)
    with pytest.raises(ValueError, match=r"prediction holds 0…5, expected 0…1"):
        metrics.counts(np.array([0, 5]), np.array([0, 1]), 2)


@pytest.mark.parametrize("seed", range(6))
def test_one_pass_gives_every_boundary_metric(seed):
    p, r, spacing = blob(seed), blob(seed + 50), (0.7, 1.3)
    hd95, assd, *nsd = metrics.boundary(p, r, spacing, (0.5, 2.0))
    assert (hd95, assd) == metrics.distances(p, r, spacing)
    assert nsd == [metrics.surface_dice(p, r, t, spacing) for t in (0.5, 2.0)]


@pytest.mark.parametrize("n", [1, 2, 3, 20, 21, 400])
def test_percentile_is_numpy_s_to_the_last_bit(n):
    values = np.random.default_rng(n).gamma(2, size=n)
    assert metrics._percentile(values, 95) == np.percentile(values, 95)


@pytest.mark.parametrize("seed", range(4))
def test_a_surface_is_the_mask_without_its_erosion(seed):
    mask = np.pad(np.random.default_rng(seed).random((30, 40)) < 0.6, 1)
    expected = mask & ~ndimage.binary_erosion(mask)
    assert np.array_equal(metrics._surface(mask), expected)
