"""Pages 3, 4, 6, 12 as functions of small tables: what is absent, missed, alone or too little."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers import metrics, stats, studies
from helpers.analyses import outlines
from helpers.analyses import reliability as measuring
from helpers.errors import NotComputable
from helpers.figures import curves, structures
from helpers.pages import cases, reliability, segmentation, train

pytestmark = pytest.mark.slow

#: tp, fp, fn of one image of 1000 pixels
GOOD, BAD, MISSED, EMPTY, WRONG = (80, 10, 10), (20, 60, 60), (0, 0, 90), (0, 0, 0), (0, 40, 0)


def study(*names, **more):
    classes = tuple(
        studies.Class(k, n, n.upper(), "#0072b2", 1.0) for k, n in enumerate(("background", *names))
    )
    given = {"headline": "qvum", "synthetic": False, "spec": {"seeds": [1]}, "target": names[0]}
    return SimpleNamespace(classes=classes, foreground=classes[1:], **given | more)


def results(patients=6, each=2, model="qvum", **counts):
    """Rows of per_image.csv: class → what every image shows, or a list that is gone through."""
    rows = []
    for k in range(patients * each):
        for name, found in counts.items():
            tp, fp, fn = found[k % len(found)] if isinstance(found, list) else found
            row = {"model": model, "fold": "main", "seed": 1, "split": "test", "class": name}
            row |= {"patient_id": f"p{k // each}", "image_id": f"i{k:02d}"}
            rows.append(row | {"tp": tp, "fp": fp, "fn": fn, "tn": 1000 - tp - fp - fn})
    return pd.DataFrame(rows)


def measured(rows, names):
    return stats.intervals(rows, classes=names, draws=200, seed=1)


# --- page 4


def test_dice_of_each_structure_with_its_promised_range():
    rows = results(nerve=[GOOD, BAD, GOOD], bone=GOOD)
    text = segmentation.in_words(measured(rows, ["nerve", "bone"]), study("nerve", "bone"))
    assert "highest Dice on **bone**, lowest on **nerve**" in text
    assert "The structures: NERVE; BONE." in text


def test_no_range_is_promised_to_few_patients():
    rows = results(patients=3, nerve=[GOOD, BAD, GOOD])
    text = segmentation.in_words(measured(rows, ["nerve"]), study("nerve"))
    assert "95 % interval" not in text and "No interval (nerve): fewer than 5 units" in text
    assert "highest" not in text and "The structures" not in text


def test_a_structure_that_is_nowhere_is_said_and_stops_nothing():
    rows = results(nerve=[GOOD, BAD], bone=EMPTY)
    both = study("nerve", "bone")
    text = segmentation.in_words(measured(rows, ["nerve", "bone"]), both)
    assert "Without a score, being in no test image and never drawn: bone." in text
    with pytest.raises(NotComputable, match="Fewer than two structures"):
        segmentation.several(rows, both)
    with pytest.raises(NotComputable, match="has one structure"):
        segmentation.several(rows, study("nerve"))
    with pytest.raises(NotComputable, match="nothing to score"):
        segmentation.in_words(measured(results(nerve=EMPTY), ["nerve"]), study("nerve"))


def test_too_few_images_or_patients_to_compare_structures():
    both = study("nerve", "bone")
    with pytest.raises(NotComputable, match="a score in two test images or more"):
        segmentation.several(results(patients=1, each=1, nerve=GOOD, bone=BAD), both)
    rows = results(patients=3, nerve=[GOOD, BAD], bone=GOOD)
    means = stats.by_class(segmentation.several(rows, both), "qvum", "Dice")
    with pytest.raises(
        NotComputable, match="3 of 3 patients have every structure; a comparison within"
    ):
        segmentation.complete(means)
    many = stats.by_class(results(nerve=[GOOD, BAD], bone=GOOD), "qvum", "Dice")
    assert segmentation.complete(many) is many


def test_a_structure_has_one_row_and_its_better_interval_in_the_cell():
    row = {"class": "nerve", "estimand": "pooled", "low": 0.5, "high": 0.7, "instead": ""}
    rows = [
        row | {"metric": "IoU", "estimate": 0.61234},
        row | {"metric": "Dice", "estimate": 0.75, "low": np.nan, "high": np.nan},
        row
        | {"metric": "recall", "estimate": 0.8, "instead": "t", "instead_low": 0.45}
        | {"instead_high": 0.9},
    ]
    shown = segmentation.by_metric(pd.DataFrame(rows)).iloc[0].tolist()
    cells = ["0.612 (0.500 to 0.700)", "0.750", "0.800 (0.500 to 0.700); or 0.450 to 0.900"]
    assert shown == ["nerve", "pooled", *cells]


def test_several_structures_leave_out_the_absent_one():
    rows = results(nerve=GOOD, bone=BAD, artery=EMPTY, background=GOOD)
    kept = segmentation.several(rows, study("nerve", "bone", "artery"))
    assert set(kept["class"]) == {"background", "nerve", "bone"}


def test_found_missed_and_drawn_where_none_in_words():
    rows = results(nerve=[GOOD, MISSED], bone=WRONG, artery=EMPTY, vein=[GOOD, WRONG])
    text = segmentation.found_in_words(outlines.found(rows)).splitlines()
    assert text == [
        "- **nerve**: found in 6 of the 12 images that show it, missed in 6.",
        "- **bone**: in no test image, so it can be neither found nor missed; drawn in 12 of the 12"
        " images that do not show it (on average 40, at most 40 pixels, 4.0 % of the image).",
        "- **artery**: in no test image, so it can be neither found nor missed; drawn in none of"
        " the 12 images that do not show it.",
        "- **vein**: found in 6 of the 6 images that show it, missed in none; drawn in 6 of the 6"
        " images that do not show it (on average 40, at most 40 pixels, 4.0 % of the image).",
    ]


def with_distances(rows, mm=2.0):
    there = (rows["tp"] > 0) & (rows["tp"] + rows["fn"] > 0)
    px = pd.Series(np.arange(len(rows)) % 3 + 1.0).where(there)
    return rows.assign(hd95_px=px, assd_px=px / 2, hd95_mm=px * mm, assd_mm=px * mm / 2)


def table_of_distances(rows, own, people=None):
    people = pd.DataFrame(columns=["class", "hd95_mm"]) if people is None else people
    off = outlines.distances(rows, outlines.scale(rows, people), 200, 1)
    near = rows[["image_id", "patient_id", "class"]].assign(nsd=0.8)
    surface = segmentation.surface_table(near, 200, 1)
    return segmentation.distance_table(off, people, surface, own)


def test_distances_in_mm_stand_beside_people_s():
    rows, own = with_distances(results(nerve=GOOD, bone=[GOOD, MISSED])), study("nerve", "bone")
    people = pd.DataFrame({"class": ["nerve"], "images": [30], "hd95_mm": [3.0], "assd_mm": [1.0]})
    table = table_of_distances(rows, own, people)
    assert table["between"].tolist() == ["Q-VUM – reference", "two people", "Q-VUM – reference"]
    assert table["without_distance"].tolist()[::2] == [0, 6]
    assert table["nsd"].dropna().to_list() == pytest.approx([0.8, 0.8])
    text = segmentation.distances_in_words(table, own)
    assert "nerve 4.0 mm (two people 3.0)" in text and "bone 4.0 mm." in text
    simulated = table_of_distances(rows, study("nerve", "bone", synthetic=True), people)
    assert "two simulated raters" in set(simulated["between"])


def test_distances_in_pixels_where_the_spacing_is_not_known():
    rows, own = with_distances(results(nerve=GOOD), np.nan), study("nerve")
    table = table_of_distances(rows, own)
    assert "hd95_px" in table and "hd95_mm" not in table
    assert "nerve 2.0 px." in segmentation.distances_in_words(table, own)
    with pytest.raises(NotComputable, match="no distance"):
        table_of_distances(with_distances(results(nerve=MISSED)), own)


def test_what_is_taken_for_what():
    matrix = np.array([[90, 10, 0], [5, 15, 0], [0, 0, 0]])
    table = segmentation.confusion_table(matrix, study("nerve", "bone"))
    assert table.loc["nerve"].tolist() == [25, 75, 0] and table.loc["bone"].isna().all()
    said = segmentation.worst_confusion(table)
    assert said.endswith("(background) not at all: 25 % of nerve as background.")
    assert structures.confusion(table).axes[0].get_xlabel() == "drawn as"


def test_figure_of_structures_with_one_that_is_nowhere():
    rows, own = results(nerve=[GOOD, BAD], bone=EMPTY), study("nerve", "bone")
    pooled = measured(rows, ["nerve", "bone"]).query("estimand == 'pooled'")
    fig = structures.scores(own, pooled, segmentation.dots(rows), {"nerve": 0.8})
    assert [ax.get_title("left") or ax.get_title() for ax in fig.axes] == ["nerve", "bone"]
    assert fig.legends[0].get_texts()[0].get_text().startswith("Dice that two people")
    assert not structures.scores(own, pooled, segmentation.dots(rows), {}).legends


def test_image_scores_by_split():
    rows = pd.concat([results(nerve=GOOD).assign(split=s) for s in ("test", "external", "train")])
    found = segmentation.by_split(rows, study("nerve"))["split"]
    assert list(dict.fromkeys(found)) == ["train", "test"]
    with pytest.raises(NotComputable, match="No image has an IoU of nerve"):
        segmentation.by_split(results(nerve=EMPTY), study("nerve"))


# --- page 6


def failed(rows, own, acceptable=0.5):
    table = cases.each(own, stats.failures, rows, "Dice", threshold=acceptable)
    return cases.failures_in_words(table, outlines.found(rows), own, acceptable)


def test_failures_say_what_is_absent_and_what_is_drawn_where_none():
    rows = results(nerve=[GOOD, BAD], bone=EMPTY, artery=WRONG)
    assert failed(rows, study("nerve", "bone", "artery")) == (
        "Outlines with a Dice below 0.5: **6 of 12 for nerve; bone is in no test image and was"
        " never drawn; 12 of 12 for artery, which is in no test image; artery drawn in 12 of the"
        " 12 images that do not show it (on average 40, at most 40 pixels, 4.0 % of the image)**."
    )


def test_the_cases_are_those_of_every_page():
    rows, own = results(nerve=[BAD, GOOD, EMPTY], bone=GOOD), study("nerve", "bone")
    scores = stats.case_values(rows, "qvum", "nerve")
    chosen = stats.telling(rows, "qvum", "nerve")
    table = cases.each(own, stats.failures, rows, "Dice")
    text = cases.in_words(chosen, scores, table, outlines.found(rows), own, 0.5)
    assert text.startswith("On the typical test image Q-VUM reaches a Dice of nerve of **0.89**;")
    assert cases.worst(scores, own, 3) == ["i00", "i03", "i06"]
    with pytest.raises(NotComputable, match="none is the worst"):
        cases.worst(scores.iloc[:0], own)


def test_one_network_has_no_rivals():
    arrays = SimpleNamespace(masks=None)
    with pytest.raises(NotComputable, match="One network was trained"):
        cases.rivals(None, arrays, {"qvum": None})
    assert list(cases.rivals(None, arrays, {"qvum": 1, "unet": 2})) == [
        "image",
        "reference",
        "Q-VUM",
        "U-Net",
    ]


def test_areas_too_large_too_small_by_chance_and_nowhere():
    own = study("nerve", "bone", "artery")
    sizes = [(50 + 5 * k, 20, 0) for k in range(5)]
    rows = results(nerve=sizes, bone=[(40, 10, 0), (40, 0, 10), (45, 5, 0)], artery=EMPTY)
    areas = cases.each(own, stats.areas, rows)
    table = cases.limits(areas)
    assert table["class"].tolist() == ["nerve", "bone"]
    text = cases.areas_in_words(table.assign(bias=[2.0, -0.1], low=[1.5, -1.0], high=[2.5, 1.0]))
    assert "- **nerve**: on average 2.0 % of the image too large" in text
    assert "- **bone**: on average 0.10 % of the image too small, which may be chance" in text
    assert len(structures.areas(own, areas, table).axes) == 3
    with pytest.raises(NotComputable, match="no area to compare"):
        cases.limits(cases.each(study("nerve"), stats.areas, results(nerve=EMPTY)))


def test_figure_of_failures_with_one_image():
    rows = metrics.scores(results(patients=1, each=1, nerve=GOOD, bone=EMPTY))
    assert len(structures.failures(study("nerve", "bone"), rows, 0.5).axes) == 1


# --- page 12


def test_rightly_empty_images_are_no_errors():
    rows, own = results(nerve=[GOOD, EMPTY, BAD]), study("nerve")
    ids = sorted(rows["image_id"].unique())
    dice = stats.case_values(rows, "qvum", "nerve")
    scored = reliability.scored(np.linspace(1, 0, 12), ids, dice, own)
    assert len(scored) == 8 and scored["dice"].min() == 0.25
    curve = measuring.risk_coverage(scored)
    text = reliability.doubt_in_words(curve, len(ids), 0.8, own)
    assert "On 8 test images (4 more show no nerve, and none was drawn" in text
    assert curve["risk"].iloc[-1] == pytest.approx(1 - (8 / 9 + 0.25) / 2)
    with pytest.raises(NotComputable, match="Fewer than five test images have a Dice of nerve"):
        reliability.scored(np.zeros(12), ids, dice.iloc[:1], own)
    assert curves.risk_coverage(curve, "qvum").axes


def test_doubt_that_helps_and_doubt_that_does_not():
    dice = np.array([0.9, 0.8, 0.85, 0.1, 0.9])
    for confidence, verdict in ((dice, "its doubt helps"), (-dice, "of little use")):
        curve = measuring.risk_coverage(pd.DataFrame({"confidence": confidence, "dice": dice}))
        assert f"**{verdict}**" in reliability.doubt_in_words(curve, 5, 0.8, study("nerve"))


def test_how_sure_it_is():
    table = pd.DataFrame(
        {"class": ["nerve"] * 2, "said": [0.3, 0.9], "true": [0.2, 0.7], "pixels": 10, "ece": 0.15}
    )
    said = reliability.sure_in_words(table)
    assert said == "Of what it says of single pixels it is **too sure** (calibration error 0.15)."
    assert "**too unsure**" in reliability.sure_in_words(table.assign(true=[0.5, 1.0]))
    with pytest.raises(NotComputable, match="no pixel any chance"):
        reliability.sure_in_words(table.iloc[:0])
    assert curves.calibration(table, study("nerve", "bone")).axes


def test_changes_leave_out_a_structure_that_is_nowhere():
    levels = [(k, x) for k, v in measuring.CHANGES.items() for x in v]
    table = pd.DataFrame(levels, columns=["change", "level"])
    plain = table["level"] == table["change"].map(measuring.UNCHANGED)
    nerve = table.assign(**{"class": "nerve", "Dice": np.where(plain, 0.8, 0.5)})
    both = pd.concat([nerve, nerve.assign(**{"class": "bone", "Dice": np.nan})])
    assert "noise 0.80 → 0.50; gain 0.80 → 0.50" in reliability.changes_in_words(both)
    with pytest.raises(NotComputable, match="no change can be examined"):
        reliability.changes_in_words(nerve.assign(Dice=np.nan))
    assert curves.robustness(both, measuring.UNCHANGED, study("nerve", "bone")).axes


# --- page 3


def history(val=(0.5, 0.3, 0.4)):
    curve = {"epoch": [1, 2, 3], "lr": 0.1, "train_loss": 0.2, "val_loss": list(val)}
    return pd.DataFrame(curve | {"train_accuracy": 0.9, "val_accuracy": list(val), "seconds": 60.0})


def test_the_epoch_that_was_kept_is_the_record_s(tmp_path):
    (tmp_path / "weights.json").write_text('{"kept_epoch": 3}')
    kept = train.kept_epoch(tmp_path)
    text = train.in_words(history(), "qvum", kept)
    assert "3 epochs, 3.0 minutes" in text and "lowest (0.300) after epoch 2" in text
    assert text.endswith("Kept are those of epoch 3.")
    assert train.in_words(history(), "qvum", 2).endswith("Those weights are kept.")


def test_a_training_without_validation_images():
    curve = history([np.nan] * 3)
    assert "No images were set aside to tune it; the weights of epoch 3" in train.in_words(
        curve, "qvum", 3
    )
    assert len(curves.learning(curve, 3, "qvum").axes) == 3
