"""Agreement between raters against hand calculation, statsmodels and planted differences."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pictures import labels, save
from statsmodels.stats.inter_rater import fleiss_kappa

from helpers import files, studies
from helpers.analyses import raters
from helpers.analyses import readings as people
from helpers.datasets import Arrays
from helpers.errors import NotComputable, StudyError

CLASSES = [
    studies.Class(k, n, n, c, 1.0)
    for k, (n, c) in enumerate(
        [
            ("background", "#000000"),
            ("nerve", "#ffd500"),
            ("muscle", "#e6194b"),
            ("artery", "#2ca02c"),
        ]
    )
]


def index(count, per_patient=2, **more):
    return pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(count)],
            "patient_id": [f"p{k // per_patient}" for k in range(count)],
            "pixel_mm": 0.5,
            "split": "test",
            "height_px": 40,
            "width_px": 60,
        }
    ).assign(**more)


def readings(count=6, seed=0):
    """Three raters and a reference on images of one square each; the second rater draws two pixels
    wider.
    """
    rng = np.random.default_rng(seed)
    masks = np.zeros((4, count, 40, 40), np.uint8)
    for k in range(count):
        y, x = rng.integers(8, 20, 2)
        for r, wider in enumerate((0, 2, 0, 0)):
            masks[r, k, y - wider : y + 10 + wider, x - wider : x + 10 + wider] = 1
    masks[2, 0] = 0  # the third rater overlooks the first
    return people.Readings(("A", "B", "C", "reference"), masks, index(count))


def test_dice_and_distances_by_hand():
    r = readings()
    table = people.compare(r.masks[0], r.masks[1], CLASSES[:2], r.index)
    assert table["Dice"].tolist() == pytest.approx([2 * 100 / (100 + 196)] * 6)
    assert (
        table["hd95_px"].between(2, 2 * np.sqrt(2)).all()
        and (table["hd95_mm"] == table["hd95_px"] / 2).all()
    )
    missed = people.compare(r.masks[0], r.masks[2], CLASSES[:2], r.index).iloc[0]
    assert missed["Dice"] == 0 and np.isnan(missed["hd95_px"])
    neither = people.compare(r.masks[0] * 0, r.masks[2] * 0, CLASSES[:2], r.index)
    assert neither["Dice"].isna().all()


def test_fleiss_kappa_agrees_with_statsmodels():
    r = readings(seed=3)
    votes = (r.masks[:3] == 1).sum(0).ravel()
    expected = fleiss_kappa(np.stack([votes, 3 - votes], 1))
    sums = people.kappa_sums(r.masks[:3], 1, r.index)
    assert sums.shape == (3, 3)
    assert people.kappa(sums.sum(0)) == pytest.approx(expected, rel=1e-12)


def test_kappa_at_its_ends():
    r = readings()
    same = people.kappa_sums(r.masks[[0, 0, 0]], 1, r.index)
    assert people.kappa(same.sum(0)) == pytest.approx(1)
    assert np.isnan(people.kappa(people.kappa_sums(r.masks[:3] * 0, 1, r.index).sum(0)))
    chance = (np.random.default_rng(0).random((3, 6, 80, 80)) < 0.3).astype(np.uint8)
    assert abs(people.kappa(people.kappa_sums(chance, 1, r.index).sum(0))) < 0.02


def test_majority_and_its_ties():
    votes = np.array([[[0, 1, 2, 1]], [[0, 1, 1, 2]], [[1, 1, 2, 3]]], np.uint8)
    assert people.majority(votes, 4).tolist() == [[0, 1, 2, 1]]


def test_staple_outvotes_a_careless_rater():
    rng = np.random.default_rng(1)
    truth = np.zeros((60, 60), np.uint8)
    truth[15:45, 10:30], truth[20:40, 35:55] = 1, 2
    noise = [rng.random(truth.shape) < p for p in (0.02, 0.02, 0.3)]
    drawn = np.stack([np.where(n, rng.integers(0, 3, truth.shape), truth) for n in noise]).astype(
        np.uint8
    )
    found = people.staple(drawn, 3)
    assert (found != truth).mean() < min((d != truth).mean() for d in drawn) / 2
    assert np.array_equal(people.staple(np.stack([truth] * 3), 3), truth)
    assert not people.staple(np.zeros((3, 8, 8), np.uint8), 3).any()


def test_table_of_agreement():
    table = people.agreement(readings(12), CLASSES[:2], draws=400)
    assert table["comparison"].tolist() == [
        "all pairs of raters",
        "A – B",
        "A – C",
        "B – C",
        "A – reference",
        "B – reference",
        "C – reference",
        "majority – reference",
        "STAPLE – reference",
    ]
    row = table.set_index("comparison").loc
    assert row["A – reference", "Dice"] == 1 and np.isnan(
        row["A – reference", "Dice_low"]
    )  # nothing varies
    assert (
        row["C – reference", "Dice"] == pytest.approx(11 / 12)
        and row["C – reference", "images"] == 12
    )
    assert row["majority – reference", "Dice"] == 1
    total = row["all pairs of raters"]
    assert total["images"] == 12  # of which three pairs each have a Dice
    assert np.isnan(total["Dice_low"]) and total["units"] == 6  # five of the six are alike
    assert total["kappa_low"] <= total["kappa"] <= total["kappa_high"]
    assert table["kappa"].notna().sum() == 1


def test_few_patients_give_no_interval():
    row = people.agreement(readings(4), CLASSES[:2], draws=500).iloc[0]
    assert row["units"] == 2 and row[["Dice", "kappa"]].notna().all()
    assert row[[c for c in row.index if c.endswith(("_low", "_high"))]].isna().all()


def test_intervals_resample_patients_not_images():
    """The same images of one patient again and again add no certainty."""
    r = readings(12)
    once = people.agreement(r, CLASSES[:2], draws=500).iloc[0]
    index = r.index.loc[np.repeat(range(12), 4)]
    index = index.assign(image_id=[f"i{k}" for k in range(48)])
    again = people.Readings(r.names, np.repeat(r.masks, 4, axis=1), index)
    four = people.agreement(again, CLASSES[:2], draws=500).iloc[0]
    assert four["kappa"] == pytest.approx(once["kappa"])
    assert (
        four["kappa_low"] == pytest.approx(once["kappa_low"])
        and four["images"] == 4 * once["images"]
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A study with two raters' masks on disk: (arrays, study, data folder)."""
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    root = tmp_path / "data_manifest" / "mine"
    root.mkdir(parents=True)
    rows = ["image_id,rater,mask"]
    for k in range(4):
        for rater in "AB":
            path = tmp_path / "data" / rater / f"i{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, labels())
            rows.append(f"i{k},{rater},{rater}/i{k}.png")
    (root / "annotations.csv").write_text("\n".join(rows) + "\n")
    arrays = Arrays(np.zeros((4, 40, 40), np.uint8), np.zeros((4, 40, 40), np.uint8), index(4))
    mine = SimpleNamespace(root=root, run=tmp_path / "runs" / "mine", ignored=(), classes=CLASSES)
    mine.spec = {"aspect": "squash"}
    return arrays, mine, tmp_path / "data"


def test_reading_masks_of_raters(folder):
    arrays, mine, data = folder
    found = people.read(mine, arrays, data=data)
    assert found.names == ("A", "B", "reference") and found.masks.shape == (3, 4, 40, 40)
    assert set(np.unique(found.masks[0])) == {0, 1, 2, 3} and not found.masks[2].any()
    assert studies.folder(mine) == mine.run / "data"


def test_what_the_form_ignores_is_ignored_in_raters_masks_too(folder):
    arrays, mine, data = folder
    mine.classes, mine.ignored = CLASSES[:3], ("3",)
    found = people.read(mine, arrays, data=data)
    assert set(np.unique(found.masks[0])) == {0, 1, 2}
    mine.ignored = ()
    with pytest.raises(StudyError, match="undeclared values 3"):
        people.read(mine, arrays, data=data)


def test_image_that_one_rater_did_not_draw_is_left_out(folder):
    arrays, mine, data = folder
    table = mine.root / "annotations.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    assert len(people.read(mine, arrays, data=data).index) == 3


def test_broken_masks_of_raters_are_reported_together(folder):
    arrays, mine, data = folder
    save(data / "A" / "i1.png", labels(40, 61))
    (data / "B" / "i2.png").unlink()
    with pytest.raises(StudyError) as raised:
        people.read(mine, arrays, data=data)
    assert (
        str(raised.value)
        == f"{mine.root / 'annotations.csv'}: 2 problems\n  - image_id i1, rater A:"
        f" {data / 'A' / 'i1.png'}: the mask has 40 rows × 61 columns, its image 40 × 60; export"
        f" it at the size of the image\n  - image_id i2, rater B: {data / 'B' / 'i2.png'} is"
        " missing; restore it, or take the row out of the table"
    )


def test_an_outline_that_is_not_the_listed_one_is_not_measured(folder):
    """Its bytes are those of annotations.csv, and it lies in the folder of the images."""
    arrays, mine, data = folder
    path = mine.root / "annotations.csv"
    table = pd.read_csv(path, dtype=str)
    table["sha256_mask"] = [files.sha256(data / name) for name in table["mask"]]
    table.loc[table["image_id"] != "i0", "sha256_mask"] = None  # not every digest is known
    table.to_csv(path, index=False)
    before = people.read(mine, arrays, data=data)
    save(data / "A" / "i0.png", labels()[::-1])
    with pytest.raises(StudyError, match=r"i0, rater A: .*i0\.png has changed \(sha256"):
        people.read(mine, arrays, data=data)
    (data / "B" / "i1.png").rename(data.parent / "outside.png")
    (data / "B" / "i1.png").symlink_to(data.parent / "outside.png")
    with pytest.raises(StudyError, match=r"i1, rater B: .*i1\.png leads out of .* by a link"):
        people.read(mine, arrays, data=data)
    assert len(before.index)


def test_two_masks_of_one_rater(folder):
    arrays, mine, data = folder
    table = mine.root / "annotations.csv"
    table.write_text(table.read_text() + "i0,A,A/i1.png\n")
    with pytest.raises(StudyError, match="image_id i0: two masks of rater A; keep one"):
        people.read(mine, arrays, data=data)


def test_one_rater_only_is_said_and_stops_nothing(folder):
    arrays, mine, data = folder
    table = mine.root / "annotations.csv"
    table.write_text(
        "\n".join(line for line in table.read_text().splitlines() if ",B," not in line) + "\n"
    )
    with pytest.raises(NotComputable, match="no image of split 'test' that every one of two"):
        people.read(mine, arrays, data=data)
    table.unlink()
    with pytest.raises(NotComputable, match="One outline an image is all there is"):
        people.read(mine, arrays, data=data)


def test_people_who_read_pixels_that_are_not_square():
    """An outline two rows lower is 2 × the height of a pixel off, not 2 × its mean side."""
    masks = np.zeros((2, 1, 40, 40), np.uint8)
    masks[0, 0, 10:20, 10:30] = masks[1, 0, 12:22, 10:30] = 1
    sides = index(1, pixel_row_mm=1.0, pixel_column_mm=0.5, pixel_mm=np.sqrt(0.5))
    row = people.compare(masks[0], masks[1], CLASSES[:2], sides).iloc[0]
    assert (row["hd95_px"], row["hd95_mm"]) == (2, 2.0)


def saved(mine, agreement):
    raters.save(agreement, mine)
    return mine


def declaring(mine, **statistics):
    mine.name, mine.statistics = "mine", {"metric": "Dice", "class": "nerve"} | statistics
    return mine


def test_ceiling_tolerance_and_margin_come_from_the_results(folder):
    mine = declaring(saved(folder[1], people.agreement(readings(), CLASSES[:2], draws=200)))
    dice = (11 * 200 / 296 + 5) / 18  # one of three missed one image
    assert raters.ceiling(mine)["nerve"] == pytest.approx(dice)
    assert raters.margin(mine) == pytest.approx((1 - dice) / 2)
    assert 1 < raters.tolerance(mine) < 3
    assert raters.margin(declaring(mine, margin=0.03)) == 0.03


def test_the_tolerance_is_one_for_all_classes_and_at_least_a_pixel(folder):
    apart = pd.DataFrame({"kind": "between raters", "class": ["nerve", "bone"], "Dice": 0.9})
    mine = declaring(saved(folder[1], apart.assign(assd_px=[1.06, 0.84])))
    assert raters.tolerance(mine) == 1.0
    assert raters.tolerance(saved(mine, apart.assign(assd_px=[2.0, 3.0]))) == 2.5


def test_where_two_people_never_drew_the_same(folder):
    mine = declaring(saved(folder[1], NotComputable("nobody")))
    assert raters.ceiling(mine) == {} and raters.tolerance(mine) == 1.0
    with pytest.raises(NotComputable, match="declares no margin of equivalence"):
        raters.margin(mine)


def test_a_missing_result_names_the_page_that_makes_it(folder):
    with pytest.raises(StudyError, match=r"agreement\.csv: no such file; notebooks/02_images"):
        raters.margin(declaring(folder[1]))
