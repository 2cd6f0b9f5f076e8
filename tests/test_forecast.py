"""A plan says what a run will cost, from trainings that were timed, and writes nothing."""

import os

import pytest
from conftest import shrink, workflow

from helpers import files, runs, studies
from helpers.workflow import forecast, keep

HOUR = {"started": "2026-01-01 10:00:00 UTC", "finished": "2026-01-01 11:00:00 UTC"}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", shrink(tmp_path))
    return studies.load("phantom")


def record(study, model, fold):
    """What is known of a training that took an hour."""
    spec = study.training(model, fold)
    weights = [c.weight for c in study.classes] if spec["class_weights"] else None
    known = {"study": study.name, "model": model, "fold": fold, "seed": 1, "training": spec}
    known |= {"classes": [c.name for c in study.classes], "class_weights": weights}
    manifest = files.sha256(study.root / "images.csv")
    return known | {"manifest_sha256": manifest, "images": {"train": 12}} | HOUR


def done(study, model, fold, **changes):
    """Leave the record of a training that took an hour."""
    folder = runs.folder(study, model, fold, 1)
    files.write_json(record(study, model, fold) | changes, folder / "weights.json")
    (folder / "03_train.json").write_text("{}")


def test_without_any_training_the_hours_are_unknown(study):
    said = forecast.lines(study)
    assert said[:2] == [
        "5 of 5 trainings are still to be done",
        "hours: unknown, no training has been timed here yet",
    ]


def test_hours_come_from_trainings_that_were_timed(study):
    done(study, "femoral_unet", "main")  # 12 images, one epoch: an hour
    said = forecast.lines(study)
    assert said[0] == "4 of 5 trainings are still to be done"
    # three folds learn from 12 of 36 images, an hour each; tlf_unet is taken for an average network
    assert (
        "about 2.0 hours of training, 2 side by side" in said[1] and "(4.0 hours in all)" in said[1]
    )
    assert said[2].startswith("longest chain: check, one training of 60 minutes, results")
    assert said[3] == "never timed, so taken for an average network: tlf_unet"


def test_a_training_of_other_settings_is_still_to_be_done(study):
    done(
        study,
        "femoral_unet",
        "main",
        training=study.training("femoral_unet", "main") | {"epochs": 9},
    )
    assert ("femoral_unet", "main", 1) in forecast.missing(study)


def test_a_training_of_another_list_of_images_is_still_to_be_done(study):
    done(study, "femoral_unet", "main", manifest_sha256="0" * 64)
    assert ("femoral_unet", "main", 1) in forecast.missing(study)


def test_a_kept_training_was_timed_too_and_a_kept_fold_is_not_to_be_done(study):
    kept = keep.folder(study) / "train" / "femoral_unet"
    for name in ("main_1", "cv1_1"):
        known = record(study, "femoral_unet", name.removesuffix("_1"))
        files.write_json(known, kept / name / "weights.json")
        (kept / name / "counts.csv.gz").write_bytes(b"")
    assert list(forecast.measured()) == ["femoral_unet"]
    left = forecast.missing(study)  # pages show outlines of main, which are not kept
    assert ("femoral_unet", "main", 1) in left and ("femoral_unet", "cv1", 1) not in left


def test_disk_is_the_cache_predictions_and_weights(study):
    weights = runs.folder(study, "femoral_unet", "main", 1) / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    for name in (weights, runs.folder(study, "tlf_unet", "main", 1) / weights.name):
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_bytes(bytes(2_000_000))
    assert forecast.lines(study)[-1] == "disk: about 10 MB beside the images"


@pytest.mark.slow
def test_a_plan_writes_nothing_of_the_study(study):
    """Snakemake's own notes aside, which lie in .snakemake."""
    before = sorted(studies.ROOT.rglob("*"))
    forecast.lines(study)
    workflow(studies.ROOT, "--dry-run")
    after = [p for p in studies.ROOT.rglob("*") if ".snakemake" not in p.parts]
    assert sorted(after) == before


@pytest.mark.slow
def test_a_plan_beside_a_running_study_is_not_refused_and_leaves_its_lock(study):
    from helpers.workflow import settings

    held = settings.only_one(study)
    done = workflow(studies.ROOT, "--dry-run")
    assert done.returncode == 0, done.stderr
    second = workflow(studies.ROOT)
    assert second.returncode != 0
    assert f"process {os.getpid()}) is at work here" in second.stderr
    assert not (study.run / "data.json").exists()
    held.close()
