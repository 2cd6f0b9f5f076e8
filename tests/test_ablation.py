"""Ablations: which settings are turned over, what is trained again and what is not, on a tiny
study.
"""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import datasets, studies
from helpers.analyses import ablation
from helpers.errors import StudyError

pytestmark = pytest.mark.slow

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def phantom():
    return studies.load("phantom", "quick")


def declared(phantom, **change):
    return phantom.training(phantom.headline, "main") | change


def test_each_choice_changes_its_own_setting_alone(phantom):
    spec = declared(
        phantom,
        class_weights=True,
        augmentation={"flip_horizontal": 0.5},
        encoder_weights="none",
        loss={"name": "focal_dice"},
    )
    made, pairs, _ = ablation.variants(
        spec, ["pretrained", "class_weights", "focal", "dice", "augmentation"]
    )
    changed = {name: {k: v[k] for k in v if v[k] != spec[k]} for name, v in made.items()}
    assert changed == {
        "as declared": {},
        "with pretrained": {"encoder_weights": "imagenet"},
        "without class_weights": {"class_weights": False},
        "without focal": {"loss": {"name": "focal_dice", "focal_weight": 0}},
        "without dice": {"loss": {"name": "focal_dice", "dice_weight": 0}},
        "without augmentation": {"augmentation": {}},
    }
    found = {p.choice: (p.with_, p.without) for p in pairs}
    assert found["pretrained"] == ("with pretrained", "as declared")
    assert found["focal"] == ("as declared", "without focal")


def test_frozen_epochs_are_examined_on_the_pretrained_encoder(phantom):
    made, (pair,), _ = ablation.variants(
        declared(phantom, encoder_weights="none", epochs=12), ["frozen"]
    )
    assert (pair.with_, pair.without) == ("with pretrained, frozen", "with pretrained")
    assert made[pair.with_]["freeze_epochs"] == 6
    assert made[pair.without]["freeze_epochs"] == 0
    spec = declared(phantom, encoder_weights="imagenet", freeze_epochs=5)
    made, (pair,), _ = ablation.variants(spec, ["frozen"])
    assert (pair.with_, made[pair.without]["freeze_epochs"]) == ("as declared", 0)


def test_choices_of_the_training_that_a_protocol_may_make_or_not(phantom):
    choices = ["slow_encoder", "ema", "mirrored"]
    rate = {"name": "adamw", "lr": 0.0003, "encoder_lr": 0.3}
    every = {"optimiser": rate, "ema": 0.99, "options": {"mirrored": True}}
    spec = declared(phantom, encoder_weights="imagenet", **every)
    made, pairs, _ = ablation.variants(spec, choices)
    changed = {name: {k: v[k] for k in v if v[k] != spec[k]} for name, v in made.items()}
    assert changed == {
        "as declared": {},
        "without slow_encoder": {"optimiser": spec["optimiser"] | {"encoder_lr": 1}},
        "without ema": {"ema": 0},
        "without mirrored": {"options": {"mirrored": False}},
    }
    assert all(pair.with_ == "as declared" for pair in pairs)
    plain = declared(phantom, encoder_weights="imagenet")
    made, pairs, _ = ablation.variants(plain, choices)
    assert made["with slow_encoder"]["optimiser"]["encoder_lr"] == 0.1
    assert made["with ema"]["ema"] == 0.99 and made["with mirrored"]["options"]["mirrored"]
    assert all(pair.without == "as declared" for pair in pairs)
    bare = declared(phantom, encoder_weights="none")
    assert "starts from no weights" in ablation.variants(bare, choices)[2][0]


def test_parts_of_a_network_are_switched_off(phantom):
    spec = declared(phantom, name="dmrnet_r", options={"aeh": False})
    made, pairs, _ = ablation.variants(spec, [], ["amd", "aeh"])
    assert made["without amd"] == spec | {"options": {"aeh": False, "amd": False}}
    assert made["with aeh"] == spec | {"options": {"aeh": True}}
    assert [(p.with_, p.without) for p in pairs] == [
        ("as declared", "without amd"),
        ("with aeh", "as declared"),
    ]


def test_what_cannot_be_taken_away_is_an_error(phantom):
    with pytest.raises(
        StudyError,
        match="no choice to examine; frozen: unet has no encoder that could be pretrained",
    ):
        ablation.variants(declared(phantom, name="unet"), ["frozen"])
    with pytest.raises(StudyError, match="choices: colour is none of pretrained"):
        ablation.variants(declared(phantom), ["colour"])
    bare = declared(phantom, loss={"name": "ce"}, augmentation={})
    with pytest.raises(
        StudyError, match=r"focal: the loss of this training is ce, .*augmentation: this training"
    ):
        ablation.variants(bare, ["focal", "augmentation"])
    _, pairs, left_out = ablation.variants(bare, ["focal", "class_weights"])
    assert ([p.choice for p in pairs], len(left_out)) == (["class_weights"], 1)


@pytest.fixture
def tiny(phantom, tmp_path, monkeypatch):
    """The phantom study in a folder of its own, and arrays of discs: six patients a split, two
    images each.
    """
    shutil.copytree(phantom.root, tmp_path / "data_manifest/phantom")
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    rows, columns = np.mgrid[:16, :16]
    generator = np.random.default_rng(0)
    masks = np.stack(
        [
            ((rows - r) ** 2 + (columns - c) ** 2 < 20) * 2
            for r, c in generator.integers(4, 12, (36, 2))
        ]
    )
    images = (60 * masks + generator.integers(0, 60, masks.shape)).astype(np.uint8)
    index = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(36)],
            "patient_id": [f"p{k // 2}" for k in range(36)],
            "split": np.repeat(["train", "val", "test"], 12),
            "pixel_mm": 0.5,
            "cv_fold": -1,
        }
    )
    return phantom, datasets.Arrays(images, masks.astype(np.uint8), index)


def test_variants_are_trained_once_and_compared(tiny, capsys):
    study, arrays = tiny
    spec = declared(study, name="femoral_unet", channels=1, image_size=16, epochs=2, batch=6)
    made, pairs, _ = ablation.variants(spec, ["class_weights", "dice"])
    counts = ablation.run(study, made, [11], arrays, device="cpu")
    assert capsys.readouterr().out.count("training\n") == 3
    assert set(counts["model"]) == set(made)
    again = ablation.run(study, made, [11], arrays, device="cpu")
    assert "training" not in capsys.readouterr().out
    pd.testing.assert_frame_equal(counts, again)
    made["without dice"] = made["without dice"] | {"epochs": 1}
    ablation.run(study, made, [11], arrays, device="cpu")
    assert capsys.readouterr().out.count("training\n") == 1
    made, *_ = ablation.variants(spec, [], ["wings"])
    with pytest.raises(StudyError, match="femoral_unet has no option wings"):
        ablation.run(study, made, [11], arrays)
    effects = ablation.effects(study, counts, pairs)
    assert effects["choice"].tolist() == ["class_weights", "dice"]
    assert effects["n"].tolist() == [6, 6]
    test = counts[(counts["split"] == "test") & (counts["class"] == study.target)]
    dice = (
        (2 * test.tp / (2 * test.tp + test.fp + test.fn))
        .groupby([test.model, test.patient_id])
        .mean()
    )
    expected = [(dice[p.with_] - dice[p.without]).mean() for p in pairs]
    assert effects["difference"].tolist() == pytest.approx(expected)
