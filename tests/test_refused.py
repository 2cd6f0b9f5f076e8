"""What cannot go well is refused in one line that names the key, before anything runs."""

import os
import shutil
from types import SimpleNamespace

import pytest
import yaml
from conftest import shrink

from helpers import studies
from helpers.errors import StudyError
from helpers.workflow import networks, settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return shrink(tmp_path_factory.mktemp("refused"))


@pytest.fixture
def root(manifest, tmp_path, monkeypatch):
    shutil.copytree(manifest / "data_manifest", tmp_path / "data_manifest")
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def here(monkeypatch):
    """Networks are built in this process, which has imported torch already."""

    def run(command, **options):
        try:
            networks.main(command[command.index("networks") + 1 :])
        except StudyError as error:
            return SimpleNamespace(returncode=1, stderr=f"error: {error}")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(settings, "subprocess", SimpleNamespace(run=run))


def change(root, edit):
    path = root / "data_manifest/phantom/study.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    edit(content, content["protocols"]["quick"])
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def refused(root):
    """The line with which a request ends."""
    with pytest.raises((StudyError, SystemExit)) as stop:
        settings.refuse(studies.load("phantom"))
    return str(stop.value.code if isinstance(stop.value, SystemExit) else stop.value)


def model(**fields):
    return lambda content, quick: quick["models"][1].update(fields)


def quick(**fields):
    return lambda content, quick: quick.update(fields)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (model(name="tlf_unett"), "no network 'tlf_unett'; there are qvum"),
        (model(name="smp:Unett/resnet18", options={}), "no architecture 'Unett'"),
        (model(name="smp:Unet/resnet19", options={}), "resnet19"),
        (model(options={"widht": 8}), "tlf_unet has no option widht"),
        (model(options={"width": "eight"}), "tlf_unet: option width is like 16, not 'eight'"),
        (model(options={"width": True}), "tlf_unet: option width is like 16, not True"),
        (model(options={"mirrored": "no"}), "tlf_unet: option mirrored is like False, not 'no'"),
        (model(options={"width": 0}), "weights, some layers without any"),
        (model(options={"width": -8}), "tlf_unet: cannot be built with options"),
        (model(options={"width": 10**9}), "options.width: 1000000000 is greater"),
        (model(encoder_weights="imagenet"), "tlf_unet has no encoder to pretrain"),
        (model(encoder_weights="/no/file"), "no such file: /no/file"),
        (model(name="femoral_unet", options={}), "every network and its folder once"),
        (quick(seeds=[1, 1]), r"seeds: [1, 1] has non-unique"),
        (quick(seeds=[-1]), "seeds.0: -1 is less"),
        (quick(seeds=[2**40]), "seeds.0: 1099511627776 is greater"),
        (quick(image_size=10**6), "image_size: 1000000 is greater"),
        (quick(epochs=1.0), "epochs: 1.0 is not of type 'integer'"),
        (quick(batch=True), "batch: True is not of type 'integer'"),
        (quick(optimiser={"name": "adam", "lr": 1e9}), "optimiser.lr: 1000000000.0 is greater"),
        (quick(augmentation={"scale": [2, 1]}), "augmentation.scale: the lower value first"),
        (quick(loss={"name": "ce", "gama": 2}), "gama"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_runs(root, here, edit, said):
    change(root, edit)
    message = refused(root)
    assert said in message and "study.yml" in message
    assert len(message.splitlines()) <= 3 and not (root / "runs").exists()


def test_networks_are_built_in_a_process_of_their_own(root):
    change(root, model(options={"width": 50_000}))
    message = refused(root)
    assert "make a network of 18,935,006,900,004 weights" in message and "study.yml" in message
    assert len(message.splitlines()) == 1 and not (root / "runs").exists()


@pytest.mark.parametrize(
    ("value", "said"),
    [("010", "010 is not a plain whole number"), ("1:30", "1:30 is not"), ("1.0e+999", "1.0e")],
)
def test_a_number_that_yaml_reads_as_another_is_refused(root, value, said):
    path = root / "data_manifest/phantom/study.yml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("batch: 4", f"batch: {value}"), encoding="utf-8")
    assert said in refused(root)


def test_a_good_study_is_not_refused_and_nothing_is_written(root, here, capsys):
    settings.refuse(studies.load("phantom"))
    assert not (root / "runs").exists() and capsys.readouterr().err == ""


def test_a_choice_of_networks_keeps_their_folds_and_says_which_it_leaves_out(root, here, capsys):
    change(
        root,
        lambda content, quick: quick.update(models=[{"name": "femoral_unet"}, {"name": "unet"}]),
    )
    change(
        root,
        lambda content, quick: quick["cross_validation"].update(models=["femoral_unet", "unet"]),
    )
    study = studies.load("phantom", "quick,models=femoral_unet")
    assert [fold for _, fold, _ in study.trainings()] == ["main", "cv1", "cv2", "cv3"]
    settings.refuse(study)
    assert "note: MODELS leaves out unet" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to_is_one_line(root, here, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: "reports" not in str(path))
    (root / "reports").mkdir()
    assert "reports: cannot be written to" in refused(root)
    settings.refuse(studies.load("phantom"), writes=False)
