"""What is found in a folder, and how it is divided: masks by name, natural order, seeded
splits.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers import studies
from tools.intake import find, form, pairing, sentences, splits, tables

# --- finding
# ------------------------------------------------------------------------------


def test_masks_are_found_by_name():
    files = [
        "a/x_1.png",
        "a/x_1_mask.png",
        "b/y 2.jpg",
        "masks/Y 2.PNG",
        "z.dcm",
        "z.nii.gz",
        "q.jpg",
        "readme",
        "1.2.840.7",
    ]
    chosen = find.images(files, form.Form())
    assert chosen == ["a/x_1.png", "b/y 2.jpg", "z.dcm", "z.nii.gz", "q.jpg", "1.2.840.7"]
    chosen.remove("z.nii.gz")
    pairs, refused = pairing.pair(files, chosen, form.Form())
    assert {p.image: p.mask for p in pairs} == {
        "a/x_1.png": "a/x_1_mask.png",
        "b/y 2.jpg": "masks/Y 2.PNG",
        "z.dcm": "z.nii.gz",
    }
    assert [p.image_id for p in pairs] == ["x_1", "y_2", "z"]
    assert [r.file for r in refused] == ["q.jpg", "1.2.840.7"]


def test_several_masks_are_not_guessed():
    files = ["a.png", "masks/a.png", "a.json"]
    _, refused = pairing.pair(files, ["a.png"], form.Form())
    assert refused[0].reason.startswith("2 masks could be its own: a.json, masks/a.png; they are")


def test_same_name_in_two_folders():
    assert find.identifiers(["p1/a.png", "p2/a.png", "b.png"]) == {
        "p1/a.png": "p1_a",
        "p2/a.png": "p2_a",
        "b.png": "b",
    }


def test_natural_order():
    assert sorted(["s10", "s9", "s1"], key=tables.natural) == ["s1", "s9", "s10"]


def test_hidden_files_are_left_alone(tmp_path):
    for name in (".DS_Store", "__MACOSX/a.png", "._a.png", "a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find.everything(tmp_path) == ["a.png"]


# --- splits
# ------------------------------------------------------------------------------


def test_folds_keep_patients_together_and_shares_even():
    rng = np.random.default_rng(0)
    units = np.repeat([f"p{k}" for k in range(60)], rng.integers(3, 20, 60))
    areas = rng.random((len(units), 2)) * (rng.random((len(units), 2)) < 0.4)
    device = (np.array([int(u[1:]) for u in units]) % 3 == 0).astype(float)
    features = np.column_stack([np.ones(len(units)), areas, device])
    found = splits.folds(units, features, 5, seed=3)
    assert pd.DataFrame({"u": units, "f": found}).groupby("u")["f"].nunique().max() == 1
    share = pd.DataFrame(features).groupby(found).sum() / features.sum(0) * 5
    assert share.to_numpy().min() > 0.9 and share.to_numpy().max() < 1.1
    random = (
        pd.DataFrame(features)
        .groupby(
            pd.Series(units).map(dict(zip(np.unique(units), rng.integers(0, 5, 60), strict=True)))
        )
        .sum()
        / features.sum(0)
        * 5
    )
    assert np.abs(share - 1).to_numpy().mean() < np.abs(random - 1).to_numpy().mean() / 3
    assert np.array_equal(found, splits.folds(units, features, 5, seed=3))
    assert not np.array_equal(found, splits.folds(units, features, 5, seed=4))


def test_order_of_rows_does_not_matter():
    units, features = np.repeat(list("abcdefgh"), 3), np.ones((24, 1))
    back = splits.folds(units[::-1], features, 4, seed=1)[::-1]
    assert np.array_equal(splits.folds(units, features, 4, seed=1), back)


def test_given_split_with_a_seeded_choice():
    frame = pd.DataFrame(
        {
            "image": (
                [f"trainset/s_{k}.jpg" for k in range(20)]
                + [f"testset/s_{k}.jpg" for k in range(4)]
            )
        }
    )
    frame = frame.assign(image_id=frame["image"], patient_id=None, device=None)
    rule = {
        "policy": "given",
        "seed": 42,
        "given": {
            "test": {"of": "testset/*"},
            "train": {"of": "trainset/*"},
            "val": {"of": "trainset/*", "choose": 5},
        },
    }
    found = splits.draw(frame, np.zeros((24, 1)), rule)
    assert {s: int((found == s).sum()) for s in ("train", "val", "test")} == {
        "train": 15,
        "val": 5,
        "test": 4,
    }
    expected = np.random.default_rng(42).choice(20, 5, replace=False)
    assert set(np.flatnonzero(found == "val")) == set(expected)


def test_the_femoral_split_follows_its_written_rule():
    frame = pd.read_csv(
        Path(studies.__file__).parent.parent / "data_manifest" / "femoral" / "images.csv"
    )
    assert frame["split"].value_counts().to_dict() == {"train": 450, "test": 62, "val": 50}
    pool = sorted(
        frame.loc[frame["split"] != "test", "image_id"], key=lambda n: int(n.split("_")[1])
    )
    chosen = {pool[k] for k in np.random.default_rng(42).choice(500, 50, replace=False)}
    assert chosen == set(frame.loc[frame["split"] == "val", "image_id"])


def test_a_list_that_is_complete_does_not_end_in_dots():
    """'lie in 2 folders (anna, bert, …)' let one look for a third."""
    two = ["anna/1.png", "anna/2.png", "bert/1.png"]
    assert "lie in 2 folders (anna, bert): if each" in sentences._perhaps_patients(two)
    four = [f"{name}/{k}.png" for name in "abcd" for k in "12"]
    assert "lie in 4 folders (a, b, c, …): if each" in sentences._perhaps_patients(four)
    _, notes = find._without_derived(["a.png", "b.png", "b_overlay.png"])
    assert notes == [
        "1 files are called overlays, previews or predictions (b_overlay.png): left out."
    ]
