"""What a step made is compared, by content, before anything believes it."""

import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import shrink

from helpers import datasets, files, studies
from helpers.errors import StudyError
from helpers.workflow import results, settings
from tools.book import verify


def spoil(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A study's folder in which every kind of step has left a file and its record."""
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    run = tmp_path / "runs/x"
    made = {
        "data.json": "data/images/a.png",
        "cache.json": "cache/images.npy",
        "results.json": "results/per_image.csv",
        "printed.json": "results/printed.csv",
        "notebooks/00_summary.json": "tables/headline.csv",
        "train/unet/main_1/03_train.json": "train/unet/main_1/history.csv",
        "book.json": "../../reports/x/book/index.html",
    }
    for record, name in made.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("content")
        results.made(run / record, run / name)
    return SimpleNamespace(run=run, made=made)


def test_nothing_changed_is_nothing_to_do(run):
    assert settings.forget_changed(run) == []
    assert all((run.run / record).is_file() for record in run.made)


@pytest.mark.parametrize("number", range(7))
def test_a_changed_byte_of_any_step_forgets_that_step_alone(run, number):
    record, name = list(run.made.items())[number]
    spoil(run.run / name)
    plan = settings.forget_changed(run, forget=False)
    assert [os.path.basename(name) in line for line in plan] == [True]
    assert (run.run / record).is_file()  # a plan writes nothing
    assert settings.forget_changed(run) == plan
    assert [r for r in run.made if not (run.run / r).is_file()] == [record]
    assert (run.run / name).is_file()  # what a reader has open stays until the new one is whole


def test_a_record_that_is_no_record_is_forgotten_too(run):
    (run.run / "book.json").write_text('{"files": ')
    assert "book.json is not as it was made" in settings.forget_changed(run)[0]
    assert not (run.run / "book.json").exists()


@pytest.mark.parametrize("text", ["[]", "{}", "[" * 5000, '{"files": 3}', b"\xff"])
def test_any_text_in_place_of_a_record_is_no_record(run, text):
    path = run.run / "book.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert files.changed(path, studies.ROOT) == ["runs/x/book.json"]
    content = {"files": ["a"], "states": {"a": 7}}
    path.write_text(json.dumps(content))
    assert files.changed(path, studies.ROOT) == ["runs/x/book.json"]


def test_a_record_that_leaves_out_a_file_is_no_record(run):
    path = run.run / "book.json"
    text = path.read_text()
    content = json.loads(text)
    content["files"].clear()
    path.write_text(json.dumps(content))
    assert files.changed(path, studies.ROOT) == ["runs/x/book.json"]
    path.write_text(text.replace("digest", "Digest"))  # as an earlier version wrote it
    assert files.changed(path, studies.ROOT) == []


def test_every_byte_is_compared_where_it_is_asked_for(run):
    """A change that keeps size and time: the next run does not see it, verify does."""
    path = run.run / "results/per_image.csv"
    times = os.stat(path)
    spoil(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert files.changed(run.run / "results.json", studies.ROOT) == []
    assert list(verify.recorded(run)) == [
        f"{path}: is not what {run.run / 'results.json'} says was made"
    ]
    (run.run / "cache.json").unlink()
    assert "cache.json: is missing; run `make study` again" in next(verify.recorded(run))


def test_two_writers_of_one_file_do_not_meet(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    with files.whole(path) as one:
        one.write_text("one")
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with files.whole(path) as other:
            other.write_text("other")
        assert one.read_text() == "one" and path.read_text() == "other"
    assert path.read_text() == "one" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_had_begun_is_removed_with_the_next_run(run):
    left = run.run / "results/.part-7-per_image.csv"
    left.write_text("half")
    settings.only_one(run).close()
    assert not left.exists() and (run.run / "results/per_image.csv").exists()


def test_a_file_is_read_once_a_process_until_it_changes(tmp_path, monkeypatch):
    path, read = tmp_path / "a", []
    path.write_bytes(b"one")
    whole = files.sha256
    monkeypatch.setattr(files, "sha256", lambda p: read.append(p) or whole(p))
    first = files.known_sha256(path)
    assert files.known_sha256(path) == first and len(read) == 1
    path.write_bytes(b"other")
    assert files.known_sha256(path) == whole(path) != first


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", shrink(tmp_path))
    return studies.load("phantom")


def test_another_encoder_file_of_the_same_name_is_another_training(study, tmp_path, monkeypatch):
    spec = dict(study.models[0], encoder_weights="imagenet")
    path = tmp_path / "vgg.safetensors"
    monkeypatch.setenv("ENCODER_WEIGHTS", str(path))
    with pytest.raises(StudyError, match=r"vgg\.safetensors"):
        settings.encoder_files(spec)
    path.write_bytes(b"weights")
    first = settings.encoder_files(spec)
    moved = tmp_path / "elsewhere"
    shutil.copy(path, moved)
    assert settings.encoder_files(spec | {"encoder_weights": str(moved)}) == first
    path.write_bytes(b"Weights")
    assert settings.encoder_files(spec) != first
    assert settings.encoder_files(spec | {"encoder_weights": "none"}) == []


def test_a_damaged_cache_is_named_and_made_again(study):
    folder = study.run / "cache"
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", np.zeros((2, 4, 4), np.uint8))
    known = {"images.npy": files.sha256(folder / "images.npy")}
    files.write_json({"sha256": known}, folder / "check.json")
    results.made(study.run / "cache.json", folder)
    spoil(folder / "images.npy")
    with pytest.raises(StudyError, match=r"images\.npy: is not what was checked; run `make study"):
        datasets.load(study)
    assert "images.npy is not as it was made; cache" in settings.forget_changed(study)[0]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"size": 96, "aspect": "squash"}, "checked with size 96; cache is made again"),
        ({"size": 32, "aspect": "keep"}, "checked with aspect keep; cache is made again"),
        ({"size": 32, "aspect": "squash"}, None),
        ({"size": 32}, None),
    ],
)
def test_a_cache_that_was_checked_by_hand_otherwise_is_made_again(study, made, said):
    other = studies.load(study.name, f"{study.protocol},size=32")
    folder = study.run / "cache"
    folder.mkdir(parents=True)
    files.write_json(made | {"sha256": {}}, folder / "check.json")
    results.made(study.run / "cache.json", folder)
    plan = settings.forget_changed(other, forget=False)
    assert (study.run / "cache.json").is_file() and bool(plan) == bool(said)
    found = settings.forget_changed(other)
    assert [said in line for line in found] == [True] * bool(said)
    assert (study.run / "cache.json").is_file() == (said is None)


def test_the_workflow_waits_for_every_record_it_compares():
    """A record that no rule makes would be forgotten, and nothing made again."""
    text = (studies.Path(settings.__file__).parents[2] / "Snakefile").read_text(encoding="utf-8")
    for pattern in settings.RECORDS:
        name = pattern.replace("train/*/*/", "").replace("notebooks/*", "notebooks/{{page}}")
        assert name in text, pattern


def test_joined_results_leave_their_record(run, monkeypatch):
    rows = {"study": ["x"], "model": ["unet"], "image_id": ["007"], "class": ["NA"], "tp": [1]}
    part = run.run / "train/unet/main_1/counts.csv"
    files.write_csv(pd.DataFrame(rows), part)
    run.trainings = lambda: [("unet", "main", 1)]
    monkeypatch.setattr(studies, "load", lambda name, protocol: run)
    results.main(["--study", "x"])
    assert json.loads((run.run / "results.json").read_text())["files"] == [
        "runs/x/results/per_image.csv"
    ]
    assert (run.run / "results/per_image.csv").read_bytes() == part.read_bytes()
