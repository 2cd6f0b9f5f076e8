"""Kept numbers: which, in what form, and that a run can be laid out from them again."""

import json
import re
import shutil
from types import SimpleNamespace

import kept_run
import pandas as pd
import pytest
import yaml
from conftest import shrink, workflow

from helpers import datasets, files, stats, studies
from helpers.errors import StudyError
from helpers.workflow import keep

pytestmark = pytest.mark.slow


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", shrink(tmp_path))
    return kept_run.finished()


def change(study, **changed):
    """The study with other settings in its protocol."""
    path = study.root / "study.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["protocols"]["quick"] |= changed
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return studies.load(study.name, study.protocol)


def kept(study):
    place = keep.folder(study)
    return sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file())


def test_each_finished_training_is_kept_at_once_and_the_folder_grows(study):
    last = study.run / "train/tlf_unet/main_1"
    text = (last / "weights.json").read_text()
    (last / "weights.json").unlink()  # not finished yet
    keep.main(["--study", "phantom"])
    assert len(kept(study)) == 4 * 3 and "tlf_unet" not in str(kept(study))
    before = {name: (keep.folder(study) / name).read_bytes() for name in kept(study)}
    (last / "weights.json").write_text(text)
    keep.main(["--study", "phantom"])
    assert len(kept(study)) == 5 * 3
    assert {name: (keep.folder(study) / name).read_bytes() for name in before} == before


def test_nothing_but_numbers_and_records_is_kept(study):
    (study.run / "train/tlf_unet/main_1/predictions.npy").write_bytes(b"outlines")
    kept_run.page(study, "06_cases", {"tables/areas.csv": "a\n1\n", "figures/worst.png": "png"})
    written, left = keep.keep(study)
    assert not left and sorted(p.suffix for p in written) == sorted(
        [".gz", ".gz", ".json"] * 5 + [".csv"]
    )


def test_a_training_is_laid_out_again_byte_for_byte(study, tmp_path):
    keep.keep(study)
    for (model, fold, seed), path in keep.trainings(study).items():
        keep.restore(path, tmp_path / "again")
        place = study.run / "train" / model / f"{fold}_{seed}"
        for name in (*keep.TABLES, keep.RECORD):
            assert (tmp_path / "again" / name).read_bytes() == (place / name).read_bytes()
    assert list(keep.trainings(study)) == study.trainings()


def test_counts_read_from_what_is_kept_pass_every_check(study):
    keep.keep(study)
    rows = pd.concat([keep.counts(path) for path in keep.trainings(study).values()])
    assert stats.check(rows)["image_id"].nunique() == len(studies.images(study))


@pytest.mark.parametrize(
    ("changed", "word"), [({"epochs": 9}, "epochs"), ({"loss": {"name": "bce"}}, "loss")]
)
def test_a_training_with_other_settings_is_neither_kept_nor_used(study, changed, word):
    keep.keep(study)
    now = change(study, **changed)
    with pytest.raises(StudyError, match=f"main_1: has another {word}"):
        keep.keep(now)
    with pytest.raises(StudyError, match=f"trained with another {word} than the study has now"):
        keep.trainings(now)


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("manifest_sha256", "0", "images.csv"),
        ("class_weights", [1, 1], "weights of the classes"),
        ("classes", ["background"], "classes"),
        ("fold", "cv9", "fold cv9"),
        ("study", "other", "femoral_unet of other"),
    ],
)
def test_a_record_says_in_what_it_differs(study, key, value, word):
    record = json.loads((study.run / "train/femoral_unet/main_1/weights.json").read_text())
    assert keep.differs(record, study) == []
    assert keep.differs(record | {key: value}, study) == [word]


def test_another_encoder_file_is_another_training(study, tmp_path, monkeypatch):
    record = keep.record(study.run / "train/femoral_unet/main_1")
    path = tmp_path / "vgg.safetensors"
    path.write_bytes(b"weights")
    training = record["training"] | {"encoder_weights": "imagenet"}
    record |= {"training": training, "encoder": {"sha256": files.sha256(path)}}
    changed = SimpleNamespace(**{k: getattr(study, k) for k in ("name", "root", "models")})
    changed.trainings, changed.classes = study.trainings, study.classes
    changed.training = lambda model, fold: training
    monkeypatch.setenv("ENCODER_WEIGHTS", str(path))
    assert keep.differs(record, changed) == []
    path.write_bytes(b"other weights")
    assert keep.differs(record, changed) == ["encoder file"]
    path.unlink()  # kept numbers are read where the file is not
    assert keep.differs(record, changed) == []


def test_tables_of_another_protocol_or_older_than_a_training_are_left_out(study):
    kept_run.page(study, "06_cases", {"tables/areas.csv": "a\n"}, "2026-01-02 03:00:00 UTC")
    kept_run.page(study, "02_images", {"results/agreement.csv": "b\n"}, protocol="paper")
    _, left = keep.keep(study)
    assert left == [
        "02_images: was made under protocol 'paper'",
        "06_cases: is older than a training; run `make study` to its end",
    ]
    assert not any(name.startswith(("tables", "results")) for name in kept(study))


def test_nothing_is_kept_of_a_study_that_has_not_run(study):
    for record in study.run.glob("train/*/*/weights.json"):
        record.unlink()
    with pytest.raises(StudyError, match=r"no finished training of protocol 'quick' to keep; run"):
        keep.keep(study)
    assert not (studies.ROOT / "reports").exists()
    with pytest.raises(StudyError, match="no kept numbers of protocol 'quick'; `make keep` keeps"):
        keep.trainings(study)


@pytest.mark.parametrize("text", ["{", "[]", '{"study": "phantom"}', "[" * 100_000])
@pytest.mark.parametrize("ask", [keep.trainings, keep.reusable])
def test_a_damaged_record_is_named(study, ask, text):
    keep.keep(study)
    shutil.rmtree(study.run)
    (keep.folder(study) / "train/femoral_unet/cv2_1/weights.json").write_text(text, "utf-8")
    with pytest.raises(StudyError, match=r"cv2_1/weights\.json: .*put the original back"):
        ask(study)


@pytest.mark.parametrize("spoil", ["cut", "changed", "no gzip", "large"])
def test_damaged_counts_are_named(study, monkeypatch, tmp_path, spoil):
    keep.keep(study)
    place = keep.folder(study) / "train/femoral_unet/cv2_1"
    path = place / "counts.csv.gz"
    content = path.read_bytes()
    spoilt = {"cut": content[:-20], "changed": content[:40] + b"xxxx" + content[44:]}
    path.write_bytes(spoilt.get(spoil, content if spoil == "large" else b"a,b\n"))
    if spoil == "large":
        monkeypatch.setattr(keep, "LARGEST", 100)
    for ask in (lambda: keep.counts(place), lambda: keep.restore(place, tmp_path / "there")):
        with pytest.raises(StudyError, match=r"counts\.csv\.gz: (cannot be read|unpacks to more)"):
            ask()


def test_a_folder_that_is_called_like_no_training_is_named(study):
    keep.keep(study)
    place = keep.folder(study) / "train/femoral_unet"
    shutil.copytree(place / "cv2_1", place / "cv2_1 (copy)")
    with pytest.raises(StudyError, match=r"cv2_1 \(copy\): is called like no training"):
        keep.trainings(study)


@pytest.mark.parametrize("column", ["model", "fold", "seed"])
def test_counts_in_the_folder_of_another_training_are_no_ones(study, column):
    keep.keep(study)
    place = keep.folder(study) / "train/femoral_unet/cv2_1"
    path = place / "counts.csv.gz"
    rows = pd.read_csv(path, dtype=keep.TEXT)
    other = {"model": "tlf_unet", "fold": "cv1", "seed": 7}[column]
    rows.assign(**{column: other}).to_csv(path, index=False)
    with pytest.raises(StudyError, match=r"in the folder of femoral_unet/cv2_1; put the original"):
        keep.counts(place)


@pytest.mark.parametrize("key", ["model", "fold", "seed"])
def test_a_record_in_the_folder_of_another_training_is_named(study, key):
    keep.keep(study)
    path = keep.folder(study) / "train/femoral_unet/cv2_1/weights.json"
    other = {"model": "tlf_unet", "fold": "cv1", "seed": 7}[key]
    files.write_json(files.read_json(path) | {key: other}, path)
    with pytest.raises(
        StudyError, match=r"weights\.json is that of .* folder of femoral_unet/cv2_1"
    ):
        keep.trainings(study)


@pytest.mark.parametrize("spoil", ["negative", "half", "no history"])
def test_what_cannot_be_counts_does_not_replace_what_is_kept(study, spoil):
    keep.keep(study)
    place = keep.folder(study) / "train/femoral_unet/cv2_1"
    before, source = keep.counts(place), study.run / "train/femoral_unet/cv2_1"
    rows = pd.read_csv(source / "counts.csv", dtype=keep.TEXT)
    if spoil == "no history":
        (source / "history.csv").unlink()
    elif spoil == "half":
        rows.iloc[::2].to_csv(source / "counts.csv", index=False)
    else:
        rows.assign(tp=-rows["tp"]).to_csv(source / "counts.csv", index=False)
    with pytest.raises(StudyError, match=r"counts\.csv|history\.csv"):
        keep.keep(study)
    pd.testing.assert_frame_equal(keep.counts(place), before)


# --- what need not be trained again


def only_kept(study):
    """Nothing of the run is left but what was kept; returns the trainings that can be taken."""
    keep.keep(study)
    shutil.rmtree(study.run)
    return keep.reusable(study)


def test_folds_are_taken_from_kept_numbers_and_what_pages_draw_is_not(study):
    assert keep.reusable(study) == {}  # nothing is kept
    assert sorted(only_kept(study)) == [f"femoral_unet/cv{k}_1" for k in (1, 2, 3)]
    assert keep.reusable(change(study, epochs=7)) == {}
    (keep.folder(study) / "train/femoral_unet/cv2_1/weights.json").unlink()
    study = change(study, epochs=1)
    assert sorted(keep.reusable(study)) == ["femoral_unet/cv1_1", "femoral_unet/cv3_1"]
    done = study.run / "train/femoral_unet/cv1_1/03_train.json"
    done.parent.mkdir(parents=True)
    done.touch()  # trained here
    assert sorted(keep.reusable(study)) == ["femoral_unet/cv3_1"]


def test_further_seeds_are_taken_too(study):
    two = change(study, seeds=[1, 2])
    kept_run.train(two, studies.images(two), "tlf_unet", "main", 2, 9)
    assert "tlf_unet/main_2" in only_kept(two) and "tlf_unet/main_1" not in keep.reusable(two)


def test_a_fold_of_other_images_is_not_taken(study):
    before = (study.run / "train/femoral_unet/cv2_1/counts.csv").read_bytes()
    only_kept(study)
    index = studies.images(study).assign(cv_fold=lambda f: datasets.folds(study, f))
    files.write_csv(index, study.run / "cache/index.csv")
    keep.restored(["--study", "phantom", "femoral_unet/cv2_1"])
    assert (study.run / "train/femoral_unet/cv2_1/counts.csv").read_bytes() == before
    files.write_csv(index.assign(cv_fold=0), study.run / "cache/index.csv")
    with pytest.raises(StudyError, match="not of the images that cv2 has here; REPEAT=1"):
        keep.restored(["--study", "phantom", "femoral_unet/cv2_1"])


@pytest.mark.slow
@pytest.mark.parametrize("repeat", ["", "1"])
def test_the_workflow_trains_only_what_is_not_kept(study, monkeypatch, repeat):
    only_kept(study)
    monkeypatch.setenv("REPEAT", repeat)
    done = workflow(studies.ROOT, "--dry-run", "--quiet", "rules")
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert ("taken from kept numbers" in text) == (not repeat)
    steps = dict(re.findall(r"^(train|fold|kept) +(\d+)$", text, re.M))
    assert steps == ({"train": "2", "fold": "3"} if repeat else {"train": "2", "kept": "3"})
