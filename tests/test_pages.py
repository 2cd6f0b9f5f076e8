"""What every page of the book shares: one study, one place to write to, one way of saying that a
number cannot be had.
"""

import json
import shutil

import matplotlib
import pandas as pd
import pytest
import stats_data
from conftest import REPOSITORY

from helpers import figures, pages, schemas, studies
from helpers.errors import NotComputable, StudyError
from helpers.figures import tables
from helpers.pages import Page, train

matplotlib.use("Agg")


@pytest.fixture
def root(tmp_path, monkeypatch):
    shutil.copytree(
        REPOSITORY / "data_manifest" / "phantom", tmp_path / "data_manifest" / "phantom"
    )
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    with matplotlib.rc_context():  # a page sets the study's style
        yield tmp_path


def _fails(*given):
    raise NotComputable("Too few patients")


def test_what_cannot_be_computed_is_a_sentence_wherever_it_is_passed_on(root, monkeypatch):
    shown = []
    monkeypatch.setattr(pages, "display", shown.append)
    page = Page("phantom", "quick")
    reason = page.ask(_fails)
    assert isinstance(reason, NotComputable)
    assert page.ask(len, reason) is reason and page.ask(dict, x=reason) is reason
    for other in (reason, NotComputable("Too few images"), NotComputable("No spacing")):
        for way, *given in ((page.say, len), (page.table, "x"), (page.figure, "x", len)):
            way(*given, other)
        assert shown.pop().data == f"*{other}.*" and not shown  # said once
    page.keep("x", reason)
    assert not list(root.glob("runs/**/x.*"))


def test_the_study_as_declared_writes_to_its_own_tables(root):
    declared = studies.load("phantom", "quick").statistics
    page = Page(
        "phantom",
        "quick",
        name="05_comparison",
        metric="",
        class_name=declared["class"],
        test=declared["test"],
        unit="patient",
        margin=0.0,
    )
    assert page.trial == {} and page.settings == declared
    page.keep("t", pd.DataFrame({"a": [1]}))
    assert (root / "runs/phantom/tables/t.csv").is_file()


@pytest.mark.parametrize(
    "changed",
    [
        {"split": "val"},
        {"metric": "IoU"},
        {"class_name": "EIT"},
        {"test": "sign_flip"},
        {"unit": "image"},
        {"margin": 0.03},
        {"simulations": 50},
    ],
)
def test_other_parameters_leave_the_studys_tables_alone(root, changed, capsys):
    page = Page("phantom", "quick", name="05_comparison", **changed)
    page.keep("t", pd.DataFrame({"a": [1]}))
    folder = root / "runs/phantom/tryout/05_comparison"
    assert (folder / "tables/t.csv").is_file() and not (root / "runs/phantom/tables").exists()
    assert len(json.loads((folder / "parameters.json").read_text())) == 1 == len(page.trial)
    said = pages.trial_text(page.study, page.trial, folder)
    assert str(next(iter(page.trial.values()))) in said and "A trial" in said


def test_a_unit_names_its_test_and_does_not_contradict_one(root):
    assert Page("phantom", "quick", unit="image").settings["test"] == "image_t"
    with pytest.raises(StudyError, match="'sign_flip' counts by patient"):
        Page("phantom", "quick", test="sign_flip", unit="image")
    with pytest.raises(StudyError, match="unit 'frame' is unknown"):
        Page("phantom", "quick", unit="frame")


def test_a_page_reads_only_the_tables_that_are_there(root):
    page = Page("phantom", "quick")
    page.keep("folds", pd.DataFrame({"a": [1], "b": [2]}))
    assert list(page.read("folds", "areas")) == ["folds"]


def test_rows_are_those_of_the_split(root):
    results = root / "runs/phantom/results/per_image.csv"
    results.parent.mkdir(parents=True)
    stats_data.per_image(patients=3, mean_images=2, models={"qvum": 0.0}).to_csv(
        results, index=False
    )
    page = Page("phantom", "quick")
    assert set(page.rows["split"]) == {"test"} and page.unit == "patient"
    with pytest.raises(StudyError, match="no results for split 'val'"):
        _ = Page("phantom", "quick", "val").rows


@pytest.mark.parametrize("key", ["test", "interval", "multiplicity"])
def test_every_setting_of_the_statistics_has_words(key):
    known = schemas.STUDY["properties"]["statistics"]["properties"][key]["enum"]
    assert all(tables.setting(name) not in (name, name.replace("_", " ")) for name in known)


def test_settings_of_a_training_are_said_in_words():
    change = {"rotation_deg": [-15, 15], "shift": 0.05, "scale": [0.8, 1.25]}
    said = "turned by −15° to 15°, shifted by up to 5 %, 0.8 to 1.25 times as large"
    assert train.words(change) == said and train.words({}) == "none"
    assert train.words({"name": "adam", "lr": 0.001}) == "Adam (learning rate 0.001)"
    schedule = {"name": "warmup_cosine", "lr_min": 1e-06, "warmup_epochs": 3}
    said = "warm-up, then cosine (lowest learning rate 0.000001, warmup epochs 3)"
    assert train.words(schedule) == said
    assert train.words({"aspect": 0.3}) == "sides changed by up to 30 %"
    assert train.words({"name": "one_cycle"}) == "one cycle" and train.words("none") == "none"


def test_a_table_shows_the_rows_asked_for_and_its_file_has_all(root, capsys):
    page = Page("phantom", "quick")
    frame = pd.DataFrame({"a": ["x", "y", "z"]})
    page.table("some", frame, only=frame["a"] != "y")
    assert len(pd.read_csv(studies.ROOT / "runs/phantom/tables/some.csv")) == 3
    told = pd.DataFrame({"b": ["told otherwise"]})
    styler = figures.save_table(frame, page.study, "some", shown=told)
    assert "told otherwise" in styler.to_html() and ">x<" not in styler.to_html()
    assert len(pd.read_csv(studies.ROOT / "runs/phantom/tables/some.csv")) == 3
    with pytest.raises(TypeError, match="would reach no function"):
        page.table("some", frame, other=1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metric": "FNR"}, "counts errors, of which less is better, .*; compare recall"),
        ({"metric": "FPR_union"}, "counts errors, of which less is better"),
        ({"margin": 20}, "margin 20: scores lie from 0 to 1"),
        ({"metric": "recall", "margin": 0.05}, None),
    ],
)
def test_what_a_page_cannot_compare_by_is_refused(changed, said):
    declared = {"metric": "Dice", "class": "QLM", "test": "patient_t", "margin": 0.02}
    if said is None:
        assert pages._settings(declared, changed) == (changed, {})
    else:
        with pytest.raises(StudyError, match=said):
            pages._settings(declared, changed)
