"""A plan is called declared before any result only where the seal proves it."""

import pandas as pd
import pytest
import yaml
from report_run import fabricate, root_of

from helpers import files, plan, studies
from helpers.errors import StudyError
from helpers.pages import summary
from tools.book import plan as page

pytestmark = pytest.mark.slow


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", root_of(tmp_path, "phantom"))
    return studies.load("phantom")


def train(study, started):
    record = {"started": started}
    files.write_json(record, study.run / "train" / "qvum" / "main_11" / "03_train.json")


def declare(study, **statistics):
    path = study.root / "study.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["statistics"] |= statistics
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return studies.load("phantom")


def test_a_plan_sealed_before_the_training_is_declared_before_any_result(study):
    assert plan.state(study).why == "no plan was sealed before the first training"
    plan.seal(study)
    train(study, "2999-01-01 00:00:00 UTC")
    found = plan.state(study)
    assert found.before and found.first == "2999-01-01 00:00:00 UTC" and not found.changes
    assert found.sealed["plan"]["statistics"]["test"] == "patient_t"


def test_a_change_after_the_seal_is_named_and_the_seal_stays(study):
    plan.seal(study)
    train(study, "2999-01-01 00:00:00 UTC")
    kept = plan.path(study).read_bytes()
    study = declare(study, test="sign_flip")
    plan.seal(study)
    assert plan.path(study).read_bytes() == kept
    found = plan.state(study)
    assert not found.before and "changed after it was sealed" in found.why
    assert found.changes == (("statistics, test", "patient_t", "sign_flip"),)


def test_an_image_moved_to_another_split_is_a_change(study):
    plan.seal(study)
    path = study.root / "images.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(",test,", ",train,", 1), encoding="utf-8")
    names = [name for name, *_ in plan.state(study).changes]
    assert names == ["images, train", "images, test", "images, assignment sha256"]


def test_a_change_on_the_command_line_is_one(study):
    plan.seal(study)
    found = plan.state(studies.load("phantom", "quick,epochs=2"))
    assert found.changes == (("protocols, quick, on the command line", None, "epochs=2"),)
    assert found.why.startswith("this run was asked for with epochs=2") and not found.before


def test_a_seal_made_after_a_training_proves_nothing(study):
    train(study, "2999-01-01 00:00:00 UTC")
    plan.seal(study)
    assert "after the first training" in plan.state(study).why


def test_a_training_older_than_the_seal_is_seen(study):
    plan.seal(study)
    train(study, "2001-01-01 00:00:00 UTC")
    assert "after the first training" in plan.state(study).why


def test_a_plan_sealed_again_before_any_training_keeps_the_earlier_hash(study):
    plan.seal(study)
    first = plan.state(study).sealed
    plan.seal(study)
    assert plan.state(study).sealed == first
    study = declare(study, margin=0.05)
    plan.seal(study)
    second = plan.state(study).sealed
    assert second["earlier"] == [{"sha256": first["sha256"], "time": first["time"]}]
    assert plan.state(study).before


@pytest.mark.parametrize("old, new", [("patient_t", "sign_flip"), ('"time": "20', '"time": "19')])
def test_an_altered_plan_is_refused(study, old, new):
    plan.seal(study)
    text = plan.path(study).read_text(encoding="utf-8")
    assert old in text
    plan.path(study).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(StudyError, match=r"plan\.json: is not what was sealed"):
        plan.state(study)


@pytest.mark.parametrize("text", ['{"sha256": "', "[]", "{}", "null", "[" * 100_000])
def test_a_damaged_plan_is_refused_before_anything_runs(study, text):
    plan.seal(study)
    plan.path(study).write_text(text, encoding="utf-8")
    for asked in (plan.seal, plan.state):
        with pytest.raises(StudyError, match=r"plan\.json: is not what was sealed"):
            asked(study)
    assert plan.path(study).read_text(encoding="utf-8") == text


def test_the_pages_say_declared_before_any_result_only_when_proven(study):
    assert "no plan was sealed" in summary.declared(plan.state(study))
    assert "no plan was sealed" in page.verdict(plan.state(study))
    plan.seal(study)
    train(study, "2999-01-01 00:00:00 UTC")
    found = plan.state(study)
    for said in (summary.declared(found), page.verdict(found)):
        assert (
            said.startswith("**Declared before any result") and found.sealed["sha256"][:16] in said
        )
    declare(study, metric="IoU")
    found = plan.state(study)
    for said in (summary.declared(found), page.verdict(found)):
        assert "Not declared before any result: the plan was changed" in said


def test_plan_and_run_stand_side_by_side(tmp_path, monkeypatch):
    made = fabricate(tmp_path, "phantom", monkeypatch)
    text = page.page(made)
    assert "Planned and run" not in text
    for folder in (made.run / "train").iterdir():
        folder.rename(made.run / folder.name)
    plan.seal(made)
    (made.run / "train").rmdir()
    for name in ("qvum", "unet"):
        files.write_json({}, made.run / "train" / name / "main_11" / "03_train.json")
    text = page.page(declare(made, test="sign_flip"))
    assert "<td>Test</td><td>paired t over patients</td>" in text
    assert "<td>sign-flip permutation over patients</td>" in text
    assert "<td>statistics, test</td><td>patient_t</td><td>sign_flip</td>" in text
    assert "<td>Networks</td><td>Q-VUM, U-Net</td><td>the same</td>" in text
    images = studies.images(made)["split"].value_counts()  # the protocol takes two of each patient
    counts = f"{images['train']}, {images['val']}, {images['test']}"
    assert f"<td>Images (train, val, test)</td><td>{counts}</td><td>the same</td>" in text


def test_a_protocol_that_divides_the_patients_anew_was_planned_so(study):
    frame = studies.images(study)
    people = frame["patient_id"].unique()[:2]
    path = study.root / "study.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    divided = content["protocols"]["quick"] | {
        "split": {"test": [str(people[0])], "val": [str(people[1])]}
    }
    content["protocols"]["divided"] = divided
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    study = studies.load("phantom", "divided")
    plan.seal(study)
    counts = studies.images(study)["split"].value_counts()
    told = page._planned(plan.state(study).sealed["plan"], study)["Images (train, val, test)"]
    assert told == f"{counts['train']}, {counts['val']}, {counts['test']}"


def test_the_outcome_counts_the_comparisons_that_were_tested(study):
    nothing = {"low": None, "high": None, "p": None, "p_adjusted": None}
    first = {"low": 0.01, "high": 0.03, "p": 0.01, "p_adjusted": 0.02, "verdict": "better"}
    rows = [
        {"model": "unet", "difference": 0.02, "why": "", "differ": ""} | first,
        {"model": "unetpp", "difference": 0.02, "why": "", "differ": ""} | first,
        {"model": "vistr", "verdict": "not tested", "difference": 0.1, "why": "all alike"}
        | nothing,
    ]
    files.write_csv(pd.DataFrame(rows), study.run / "tables" / "comparison_declared.csv")
    said = page._outcome(study)
    assert said.count("adjusted for 2 comparisons") == 2 and "not tested against VisTR" in said
