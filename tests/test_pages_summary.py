"""The front page: its sentences of small frames, also for studies of which little is known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import stats_data

from helpers import stats, studies
from helpers.errors import NotComputable, StudyError
from helpers.figures import model_label
from helpers.pages import comparison, summary

SHARES = stats_data.SHARES


@pytest.fixture(scope="module")
def study():
    given = studies.load("phantom", "quick")
    return dataclasses.replace(given, statistics=given.statistics | {"draws": 200})


def rows_of(patients=8, images=3, **options):
    options = {"models": {"qvum": 0.0, "unet": 0.3}, "seed": 1} | options
    return stats_data.per_image(patients, images, **options)


def page(study, rows):
    """(declared tests or the reason why not, headline table, structures)."""
    try:
        compared = comparison.several(rows, study.headline, study.statistics)
        tests = stats.declared(compared, study.headline, study.statistics)
    except NotComputable as reason:
        tests = reason
    return tests, summary.headline(study, rows, tests), summary.structures(study, rows)


def without(rows, class_, drawn=False):
    """The rows with one structure in no reference (and in no prediction, unless drawn)."""
    own = rows["class"] == class_
    fp = rows["fp"].where(~own, rows["fp"] + rows["tp"] if drawn else 0)
    changed = rows.assign(tp=rows["tp"].where(~own, 0), fn=rows["fn"].where(~own, 0), fp=fp)
    total = rows[["tp", "fp", "fn", "tn"]].sum(axis=1)
    return changed.assign(tn=total - changed[["tp", "fp", "fn"]].sum(axis=1))


def test_every_structure_has_a_line_with_the_right_numbers(study):
    rows = rows_of()
    _, table, structures = page(study, rows)
    assert list(structures["class"]) == ["QLM", "EIT", "bone"]
    own = rows[(rows["model"] == "qvum") & (rows["class"] == "EIT")]
    row = structures.set_index("class").loc["EIT"]
    dice = 2 * own["tp"] / (2 * own["tp"] + own["fp"] + own["fn"])
    weak = own[dice < 0.5]
    assert row["below"] == len(weak) and row["units_below"] == weak["patient_id"].nunique()
    drawn, true = (own["tp"] + own["fp"]).sum(), (own["tp"] + own["fn"]).sum()
    assert row["area_percent"] == pytest.approx(100 * (drawn / true - 1))
    assert row["shown"] == row["images"] == len(own) and row["missed"] == 0
    lines = summary.found(structures).splitlines()
    assert len(lines) == 3 and "Quadratus lumborum" in lines[0]
    assert f"found in all {len(own)} images" in lines[1]
    for name in SHARES:
        assert table["what"].str.startswith(f"Dice of {name}, Q-VUM").any()
        assert table["what"].str.contains(f"Dice of {name} below 0.5").any()


def test_missed_and_drawn_where_there_is_none(study):
    rows = rows_of(empty=0.3)
    own = (rows["class"] == "QLM") & (rows["model"] == "qvum")
    missed = rows[own & (rows["tp"] > 0)].index[0]
    rows.loc[missed, "fn"] += rows.loc[missed, "tp"]
    rows.loc[missed, "tp"] = 0
    row = summary.structures(study, rows).set_index("class").loc["QLM"]
    part = rows[own]
    shown = part["tp"] + part["fn"] > 0
    assert row["missed"] == 1 and row["shown"] == shown.sum() < row["images"]
    assert row["drawn_absent"] == (part["fp"][~shown] > 0).sum()
    said = summary.found(summary.structures(study, rows)).splitlines()[0]
    assert f"missed in 1 of {shown.sum()} images that show it" in said


def test_borders_are_in_mm_only_where_every_image_has_them(study):
    rows = rows_of().assign(assd_px=2.0, assd_mm=5.0)
    assert summary.structures(study, rows)[["border", "border_unit"]].iloc[0].tolist() == [5, "mm"]
    rows.loc[rows["image_id"] == rows["image_id"].iloc[0], "assd_mm"] = np.nan
    assert summary.structures(study, rows)[["border", "border_unit"]].iloc[0].tolist() == [2, "px"]


def test_the_answer_of_a_study_with_patients(study):
    rows = rows_of()
    tests, table, _ = page(study, rows)
    first = table.iloc[0]
    assert list(table.columns) == summary.COLUMNS and table["value"].notna().all()
    assert first["low"] < first["value"] < first["high"] and "8 patients" in first["how"]
    text = summary.answer(study, rows, table)
    assert f"{first['value']:.2f} (95 % interval {first['low']:.2f} to" in text
    assert "8 patients that it had never seen" in text
    few = table.assign(value=table["value"] * 0.1)
    assert "hardly learned" in summary.rivals(tests, few)
    assert "hardly learned" not in summary.rivals(tests, table)
    assert "no patient in two groups" in summary.studied(study)


def test_one_network(study):
    rows = rows_of(models={"qvum": 0.0})
    tests, table, structures = page(study, rows)
    assert isinstance(tests, NotComputable)
    assert "Q-VUM" in summary.answer(study, rows, table)
    assert summary.worries(study, structures, {}).startswith("- ")


def test_another_network_is_never_shown_as_the_headline(study):
    rows = rows_of(models={"unet": 0.0})
    with pytest.raises(StudyError, match="no rows of the headline network 'qvum'; there are unet"):
        summary.headline(study, rows, NotComputable("one network"))


def test_fewer_than_five_patients_have_no_interval(study):
    rows = rows_of(patients=3)
    tests, table, _ = page(study, rows)
    assert table["low"].iloc[0] != table["low"].iloc[0]
    assert "interval" not in summary.answer(study, rows, table)
    assert "fewer than 5" in table["how"].iloc[0]
    said = summary.rivals(tests, table)
    assert "not tested against U-Net" in said and "3 patients are too few" in said


def test_who_was_trained_once_is_a_limit(study):
    rows = rows_of()
    once, other = sorted(rows["model"].unique())[:2]
    said = "was trained once on this split"
    more = pd.concat([rows, rows[rows["model"] == other].assign(seed=99)])
    for found, told in ((rows, "Each network"), (more, model_label(once))):
        lines = [line for line in summary.limits(study, found).splitlines() if said in line]
        assert len(lines) == 1 and lines[0].startswith(f"- {told} {said}")
    assert said not in summary.limits(study, pd.concat([rows, rows.assign(seed=99)]))


def test_unknown_patients(study):
    study = dataclasses.replace(
        study,
        statistics=study.statistics | {"test": "image_t"},
        split=study.split | {"unit": "image"},
    )
    rows = rows_of(known=False)
    _, table, structures = page(study, rows)
    n = rows["image_id"].nunique()
    assert f"On {n} images (it may have seen" in summary.answer(study, rows, table)
    assert "each image counts as independent" in summary.limits(study, rows)
    assert "patient" not in summary.worries(study, structures.assign(below=2), {})


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("class_", ["EIT", "QLM"])
def test_a_structure_in_no_test_image(study, class_, drawn):
    rows = without(rows_of(), class_, drawn)
    _, table, structures = page(study, rows)
    line = next(t for t in summary.found(structures).splitlines() if "in none of the" in t)
    assert "nothing can be said of it" in line and "Dice" not in line
    assert ("it was drawn in" in line) == drawn
    assert "no test image shows the" in summary.worries(study, structures, {})
    answer = summary.answer(study, rows, table)
    if class_ == "QLM" and not drawn:
        assert answer.startswith("No test image shows the quadratus lumborum")
        with pytest.raises(NotComputable):
            stats.telling(rows, "qvum", "QLM")
    assert "nan" not in answer + summary.found(structures)


def test_what_should_worry_is_made_of_what_other_pages_found(study):
    _, _, structures = page(study, rows_of())
    structures = structures.assign(below=[2, 0, 0], units_below=2)
    scored = structures["scored"].iloc[0]
    limits = {"low": [40.0, -26.0], "high": [172.0, 177.0]}
    folds = pd.DataFrame(
        {
            "model": "bpsegsys_r",
            "fold": ["the study's test set", "fold 1", "fold 2"],
            "shown": 9,
            "pooled_IoU": [0.59, 0.5, 0.55],
        }
    )
    found = {
        "areas": pd.DataFrame(
            {"model": "qvum", "class": ["QLM", "bone"], "bias": [116.0, 75.0], "unit": "mm²"}
            | limits
        ),
        "folds": folds,
        "rater_agreement": pd.DataFrame(
            {"kind": ["between raters"], "class": ["QLM"], "Dice": [0.82]}
        ),
        "robustness": pd.DataFrame(
            {
                "change": ["noise", "noise", "gain", "gain"],
                "level": [0.0, 0.2, 0.0, 6.0],
                "class": "QLM",
                "Dice": [0.77, 0.61, 0.77, 0.76],
            }
        ),
        "risk_coverage": pd.DataFrame(
            {"coverage": [0.8, 1.0], "risk": [0.19, 0.2], "best": [0.1, 0.2]}
        ),
        "gates": pd.DataFrame({"gate": ["a", "b"], "result": ["passed", "FAILED"], "found": "3"}),
        "claims": pd.DataFrame(
            {"verdict": ["holds", "reversed"], "sentence": ["x.", "U-Net beats Q-VUM on mPA."]}
        ),
    }
    said = summary.worries(study, structures, found)
    for part in (
        "**It fails** (Dice below 0.5, of little use; page 6): the quadratus lumborum muscle in 2"
        f" of {scored} images (2 of 8 patients).",
        "quadratus lumborum muscle 116 mm² too large (+40 to +172).",
        "may be a lucky one",
        "agree to a Dice of 0.82",
        "more noise (0.77 to 0.61)",
        "It does not know when it fails",
        "A check of the data failed**: b, 3",
        "U-Net beats Q-VUM on mPA (the mean share",
    ):
        assert part in said, part
    for part in ("another gain", "75", "Not examined", "bone"):
        assert part not in said, part
    calm = found | {
        "folds": folds.assign(pooled_IoU=[0.52, 0.5, 0.55]),
        "gates": found["gates"].assign(result="does not apply"),
        "risk_coverage": found["risk_coverage"].assign(risk=[0.1, 0.2]),
    }
    said = summary.worries(study, structures.assign(below=0), calm)
    for part in ("lucky", "fails", "check of the data"):
        assert part not in said, part


def test_what_was_not_examined_is_said(study):
    _, _, structures = page(study, rows_of())
    said = summary.worries(study, structures, {})
    assert "Not examined in this run: other divisions" in said and "(page 12)" in said


@pytest.mark.parametrize(
    ("citation", "named"), [("unpublished", False), ("Unpublished.", False), ("Wang 2024", True)]
)
def test_what_the_page_was_made_from(study, tmp_path, monkeypatch, citation, named):
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    results = study.run / "results" / "per_image.csv"
    results.parent.mkdir(parents=True)
    results.write_text("x\n")
    record = {"code": "abc", "manifest_sha256": "f" * 64}
    study = dataclasses.replace(study, citation=citation)
    said = summary.made(study, rows_of(), record, "now")
    assert ("After: Wang 2024" in said) == named and "unpublished" not in said.lower()
    assert "73cb3858a687a849" in said, "sha256 of per_image.csv"
    assert "people from the list of images (sha256 ffffffffffffffff…) and of patients" in said
    assert "Every number on this page" not in said, "worries and people come from elsewhere"


def test_rivals_that_hardly_learned_are_named(study):
    rows = rows_of(models={"qvum": 0.0, "unet": 0.3, "vistr": 6.0})
    tests, table, _ = page(study, rows)
    assert summary.hardly(table) == ["VisTR"]
    assert summary.rivals_heading(tests).startswith("Q-VUM: better than U-Net and VisTR")
    assert summary.rivals_heading(NotComputable("one network")) == ""


def test_the_table_of_numbers_leaves_out_what_the_sentences_say(study):
    _, table, _ = page(study, rows_of())
    left_out = table[~summary.levels(table)]
    assert list(left_out["what"]) == ["Dice of QLM, Q-VUM minus U-Net"]


def test_points_and_means_of_the_figure_are_those_of_the_table(study):
    rows = rows_of()
    _, table, _ = page(study, rows)
    points, means = summary.means(study, rows, table)
    assert list(means["name"]) == ["qvum", "unet"] and len(points) == 16
    mean = points[points["name"] == "qvum"]["value"].mean()
    assert means["value"].iloc[0] == pytest.approx(mean)
