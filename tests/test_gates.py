"""Every gate passes on clean data and fails on a planted leak."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from helpers import alike, leakage
from helpers.analyses import fingerprint
from helpers.datasets import Arrays
from helpers.errors import StudyError
from helpers.figures import sheets

pytestmark = pytest.mark.slow

CLASSES = [SimpleNamespace(index=0, name="background"), SimpleNamespace(index=1, name="nerve")]
SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 4


def speckle(coarse, fine):
    """A random picture, uint8 (64, 64): structure from one seed, speckle from another."""
    parts = []
    for seed, blur in ((coarse, 4), (fine, 1)):
        noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(64, 64)), blur)
        parts.append(noise / noise.std())
    return np.uint8(np.clip(128 + 45 * parts[0] + 8 * parts[1], 0, 255))


def arrays(**changes):
    """Twelve different images of six patients, two each, with a square nerve in each; columns may
    be replaced.
    """
    index = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(12)],
            "patient_id": [f"p{k // 2}" for k in range(12)],
            "split": SPLITS,
            "sha256_image": [f"{k:064x}" for k in range(12)],
            "device": "A",
            "height_px": 64,
            "width_px": 80,
            "pixel_mm": 0.2,
            "cv_fold": [k // 4 for k in range(12)],
        }
    ).assign(**changes)
    masks = np.zeros((12, 64, 64), np.uint8)
    masks[:, 16:32, 32:48] = 1
    return Arrays(np.stack([speckle(k, 100 + k) for k in range(12)]), masks, index)


def test_clean_data_pass_every_gate():
    data = arrays()
    study = SimpleNamespace(classes=CLASSES, run=SimpleNamespace(rglob=lambda _: []))
    found = leakage.run(study, data)
    assert [g.passed for g in found] == [True, True, True, True, None]
    assert leakage.require(found) is found
    assert leakage.table(found)["result"].tolist() == ["passed"] * 4 + ["does not apply"]


def test_patient_in_two_splits():
    data = arrays(
        patient_id=["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p0", "p9", "p10", "p11"]
    )
    gate = leakage.patients_disjoint(data.index)
    assert gate.passed is False
    assert gate.evidence.to_dict("list") == {
        "division": ["main", "cross-validation"],
        "patient": ["p0", "p0"],
        "in": ["test, train", "cv1, cv3"],
    }
    with pytest.raises(
        StudyError,
        match="gates: 1 problem\n  - patients disjoint: 11 patients, 2 of them in more than",
    ):
        leakage.require([gate])


def test_patient_in_two_folds_of_the_cross_validation_only():
    gate = leakage.patients_disjoint(arrays(cv_fold=[0, 1, *[k // 4 for k in range(2, 12)]]).index)
    assert gate.passed is False
    assert gate.evidence["division"].tolist() == ["cross-validation"]


def test_an_external_image_does_not_hide_a_patient_in_two_folds():
    index = arrays(cv_fold=[0, 1, *[k // 4 for k in range(2, 12)]]).index
    index.loc[index.index[-1], ["cv_fold", "split", "patient_id"]] = [-1, "external", "far away"]
    gate = leakage.patients_disjoint(index)
    assert gate.passed is False and "cross-validation" in set(gate.evidence["division"])


def test_unknown_patients_do_not_pass():
    assert leakage.patients_disjoint(arrays(patient_id=None).index).passed is None
    some = arrays().index.assign(patient_id=[None, *[f"p{k // 2}" for k in range(1, 12)]])
    gate = leakage.patients_disjoint(some)
    assert gate.passed is False and gate.found.endswith("; 1 images without a patient")


def test_identical_file_in_two_splits():
    data = arrays()
    data.index.loc[11, "sha256_image"] = data.index.loc[0, "sha256_image"]
    gate = leakage.identical(data.index)
    assert (
        gate.passed is False and gate.found == "1 byte-identical copies, 1 of them in another split"
    )
    assert gate.evidence.iloc[0].tolist() == ["i0", "i11", "train", "test"]


def test_identical_file_within_one_split_is_only_reported():
    data = arrays()
    data.index.loc[1, "sha256_image"] = data.index.loc[0, "sha256_image"]
    gate = leakage.identical(data.index)
    assert gate.passed and len(gate.evidence) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda i, r: np.uint8(np.clip(i + r.normal(0, 6, i.shape), 0, 255)),
        lambda i, r: np.uint8(i * 0.7 + 30),
        lambda i, r: np.uint8(ndimage.shift(i, (0, 0.5), order=1, mode="nearest")),
        lambda i, r: np.uint8(ndimage.gaussian_filter(i, 1.0)),
    ],
    ids=["noise", "gain", "shift", "blur"],
)
def test_near_duplicate_in_two_splits(change):
    data = arrays()
    data.images[10] = change(data.images[2].astype(float), np.random.default_rng(0))
    gate = leakage.near_duplicates(data.images, data.index)
    assert gate.passed is False
    assert gate.found == "1 pairs of different splits that look alike, 1 with a test image"
    assert gate.evidence.loc[0, ["image_id", "other"]].tolist() == ["i2", "i10"]


def test_looking_alike_counts_where_patients_are_unknown():
    data = arrays()
    data.images[10] = speckle(2, 999)  # the structure of i2 with other speckle
    gate = leakage.near_duplicates(data.images, data.index, threshold=80)
    assert len(gate.evidence) == 1 and gate.evidence["detail"].iloc[0] < leakage.DETAIL
    assert gate.passed is True  # two known patients who look alike
    unknown = leakage.near_duplicates(data.images, data.index.assign(patient_id=None), threshold=80)
    assert unknown.passed is False and unknown.evidence["counts"].tolist() == [True]


def test_threshold_counts_bits():
    bits = np.zeros((3, 256), bool)
    bits[1, :40], bits[2, :41] = True, True
    first, second, distance = alike.pairs_within(bits, 40)
    assert list(zip(first, second, distance, strict=True)) == [(1, 2, 1), (0, 1, 40)]
    assert len(alike.pairs_within(np.array([[False] * 256, [True] * 256]), 40)[0]) == 0


@pytest.mark.parametrize("threshold", [0, 10, 40])
def test_pairs_are_those_of_every_comparison(threshold):
    """2,000 random hashes, of which 300 have a neighbour that is 0 to 60 bits away."""
    rng = np.random.default_rng(3)
    bits = rng.random((2000, 256)) < 0.5
    for k in range(300):
        bits[1999 - k] = bits[k]
        changed = rng.choice(256, rng.integers(0, 61), replace=False)
        bits[1999 - k, changed] ^= True
    bits[500:503] = bits[500]
    signs = bits.astype(int) * 2 - 1
    every = np.triu((256 - signs @ signs.T) // 2 + 1, 1) - 1  # −1 below the diagonal
    wanted = {(i, j, every[i, j]) for i, j in np.argwhere((every >= 0) & (every <= threshold))}
    first, second, distance = alike.pairs_within(bits, threshold)
    assert set(zip(first, second, distance, strict=True)) == wanted and len(first) == len(wanted)
    assert (np.diff(distance) >= 0).all() and len(wanted) >= 3


@pytest.mark.parametrize("count", [0, 1])
def test_one_image_has_no_pair(count):
    assert [len(p) for p in alike.pairs_within(np.zeros((count, 256), bool), 40)] == [0, 0, 0]


def test_of_many_frames_of_one_split_the_closest_are_listed(monkeypatch):
    data = arrays()
    data.images[:6] = data.images[0]
    data.images[10] = data.images[0]
    every = leakage.near_duplicates(data.images, data.index)
    monkeypatch.setattr(leakage, "LISTED", 4)
    gate = leakage.near_duplicates(data.images, data.index)
    assert len(every.evidence) == 21 and len(gate.evidence) == 4 + 6
    assert gate.evidence["counts"].sum() == every.evidence["counts"].sum() == 6
    assert gate.found.endswith("; 11 more within one split are not listed")


def test_the_mean_of_training_pixels_is_exact():
    images = np.random.default_rng(0).integers(0, 256, (2100, 8, 8), dtype=np.uint8)
    rows = np.arange(3, 2090)
    values = images[rows] / 255
    found = leakage._mean_and_deviation(images[rows])
    np.testing.assert_allclose(found, (values.mean(), values.std()), rtol=1e-12)


def test_class_missing_in_one_split():
    data = arrays()
    data.masks[6:8] = 0
    gate = leakage.classes_present(data.masks, data.index, CLASSES)
    assert gate.passed is False and gate.found == "missing: nerve in val"


def test_class_missing_in_one_fold():
    data = arrays()
    data.masks[4:8] = 0
    gate = leakage.classes_present(data.masks, data.index, CLASSES)
    assert gate.found == "missing: nerve in val, nerve in cv2"


def record(data, rows, fold="main", checkpoint="best"):
    values = data.images[rows] / 255
    return {
        "model": "unet",
        "fold": fold,
        "training": {"checkpoint": checkpoint},
        "normalisation": {"kind": "train", "mean": [values.mean()], "std": [values.std()]},
    }


def test_normalisation_fitted_on_training_images():
    data = arrays()
    good = [
        record(data, data.rows("main", "train")),
        record(data, data.rows("cv1", "train"), "cv1"),
        record(
            data, np.sort(np.r_[data.rows("cv1", "train"), data.rows("cv1", "val")]), "cv1", "last"
        ),
    ]
    assert leakage.normalisation(good, data).passed is True
    leaked = leakage.normalisation([*good, record(data, np.arange(12))], data)
    assert leaked.passed is False
    assert leaked.evidence["fits"].tolist() == [True, True, True, False]
    assert (
        leaked.found == "4 trainings, 1 of them with other values than their training images give"
    )


def test_records_are_found_under_the_run(tmp_path):
    data = arrays()
    (tmp_path / "models" / "unet").mkdir(parents=True)
    (tmp_path / "models" / "unet" / "weights.json").write_text(
        json.dumps(record(data, data.rows("main", "train")))
    )
    assert (
        leakage.normalisation(leakage.records(SimpleNamespace(run=tmp_path)), data).passed is True
    )


def test_fingerprint():
    data = arrays(patient_id=["p0"] * 2 + [f"p{k}" for k in range(1, 11)])
    data.masks[0] = 0
    per_image, per_class = fingerprint.images(data), fingerprint.classes(data, CLASSES)
    assert per_class.loc[1, ["area", "x", "y", "parts"]].tolist() == [1 / 16, 40 / 64, 24 / 64, 1]
    assert per_class.loc[0, ["area", "parts"]].tolist() == [0, 0] and np.isnan(
        per_class.loc[0, "x"]
    )
    assert per_image["grey_mean"].iloc[3] == pytest.approx(data.images[3].mean())
    assert fingerprint.summary(per_image) == {"images": 12, "patients": 11, "different_sizes": 1}


def test_fingerprint_says_nothing_about_the_unknown():
    data = arrays(patient_id=None, pixel_mm=np.nan, device=None)
    assert fingerprint.summary(fingerprint.images(data))["patients"] is None


def test_contact_sheet_shows_as_many_patients_as_fit():
    index = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(30)],
            "patient_id": [f"p{min(k, 9)}" for k in range(30)],
        }
    )
    chosen = sheets.choose(index, 10)
    assert index["patient_id"].iloc[chosen].nunique() == 10 and chosen == sheets.choose(index, 10)
    assert len(set(sheets.choose(index, 30))) == 30


def test_figures_of_the_data():
    study = SimpleNamespace(foreground=[SimpleNamespace(index=1, name="nerve", colour="#ffd500")])
    data = arrays()
    data.images[10] = data.images[2]
    assert len(sheets.sheet(data, study, [0, 1, 2, 3], columns=3).axes) == 6
    evidence = leakage.near_duplicates(data.images, data.index).evidence
    assert [
        a.get_title() or a.get_title(loc="left") for a in sheets.pairs(data, study, evidence).axes
    ] == [
        "i2 (train)\n0 bits",
        "i10 (test)",
    ]
    figure = sheets.fingerprint(fingerprint.images(data), fingerprint.classes(data, CLASSES), study)
    titles = [a.get_title(loc="left") or a.get_title() for a in figure.axes]
    assert titles[0] == "Size of the files" and "Images per patient" in titles
