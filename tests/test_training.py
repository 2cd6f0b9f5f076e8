"""The training loop: it learns, it resumes to the same bits, its schedule and augmentation are what
the papers say.
"""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from helpers import datasets, files, models, studies, training
from helpers.errors import StudyError
from helpers.models import inference
from helpers.training import augment, checkpoint, loop, schedule

pytestmark = pytest.mark.slow

PAPER = {
    "name": "warmup_cosine",
    "lr_start": 1e-5,
    "lr_min": 1e-6,
    "warmup_epochs": 3,
    "tail_epochs": 5,
}


@pytest.fixture
def arrays():
    """Twelve images in which a bright square is the quadratus lumborum."""
    rng = np.random.default_rng(0)
    masks = np.zeros((12, 32, 32), np.uint8)
    for mask in masks:
        y, x = rng.integers(4, 16, 2)
        mask[y : y + 12, x : x + 12] = 2
    images = (rng.integers(0, 60, masks.shape) + masks * 90).astype(np.uint8)
    index = pd.DataFrame(
        {"image_id": [f"i{i}" for i in range(12)], "patient_id": [f"p{i // 2}" for i in range(12)]}
    )
    index = index.assign(
        split=["train"] * 8 + ["val"] * 2 + ["test"] * 2, pixel_mm=0.5, cv_fold=[0, 1, 2] * 4
    )
    return datasets.Arrays(images, masks, index)


@pytest.fixture
def phantom():
    return studies.load("phantom")


def settings(phantom, **change):
    base = {
        "epochs": 3,
        "batch": 4,
        "optimiser": {"name": "adam", "lr": 0.002},
        "schedule": {"name": "constant"},
    }
    return phantom.training("unet", "main") | base | {"name": "femoral_unet"} | change


def test_the_published_learning_rates():
    """networks.md 1.5: oracle of the public code's curve."""
    wanted = {
        0: 1e-5,
        1: 2e-5,
        2: 5e-5,
        3: 1e-4,
        10: 9.859e-5,
        25: 8.668e-5,
        50: 4.881e-5,
        75: 1.210e-5,
        95: 1e-6,
        99: 1e-6,
    }
    for epoch, lr in wanted.items():
        assert schedule.learning_rate(PAPER, 1e-4, epoch, 100) == pytest.approx(lr, rel=1e-3), epoch


def test_one_cycle_rises_then_falls():
    rates = [schedule.learning_rate({"name": "one_cycle"}, 0.01, e / 10, 10) for e in range(100)]
    assert max(rates) == pytest.approx(0.01, rel=1e-3) and np.argmax(rates) == 30
    assert rates[0] == pytest.approx(0.0004) and rates[-1] < 1e-4


@pytest.mark.slow
def test_it_learns_and_writes_what_it_should(arrays, phantom, tmp_path):
    counts = training.run(phantom, settings(phantom, epochs=25), "main", 1, tmp_path, arrays, "cpu")
    history = pd.read_csv(tmp_path / "history.csv")
    assert history.train_loss.iloc[-1] < 0.7 * history.train_loss.iloc[0]
    assert len(counts) == 12 * 4 and counts[["tp", "fp", "fn", "tn"]].sum(axis=1).eq(32 * 32).all()
    assert set(counts.split) == {"train", "val", "test"}
    record = json.loads((tmp_path / "weights.json").read_text())
    assert record["sha256"] == files.sha256(tmp_path / "weights.safetensors")
    assert record["kept_epoch"] == history.epoch[history.val_loss.idxmin()]
    assert np.load(tmp_path / "predictions.npy").shape == (12, 32, 32)
    assert not (tmp_path / "unfinished").exists()
    kept = counts[(counts.split == "val")].groupby("image_id")[["tp", "fn"]].sum()
    assert history.val_accuracy[record["kept_epoch"] - 1] == pytest.approx(
        kept.tp.sum() / (kept.tp + kept.fn).sum()
    )
    assert history.train_accuracy.iloc[-1] > history.train_accuracy.iloc[0]


def test_the_written_weights_make_the_written_predictions(arrays, phantom, tmp_path):
    training.run(phantom, settings(phantom), "main", 1, tmp_path, arrays, "cpu")
    record = json.loads((tmp_path / "weights.json").read_text())
    network = models.build("femoral_unet", 3, 4)
    network.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    again = inference.predict(
        network, torch.from_numpy(arrays.images.copy()), record["normalisation"], 8, record["bf16"]
    )
    assert (again == np.load(tmp_path / "predictions.npy")).all()


@pytest.mark.parametrize("ema", [0, 0.7])
def test_a_killed_training_goes_on_to_the_same_weights(arrays, phantom, tmp_path, monkeypatch, ema):
    spec = settings(phantom, epochs=4, ema=ema)
    training.run(phantom, spec, "main", 5, tmp_path / "whole", arrays, "cpu")
    real, calls = checkpoint.save_state, []

    def killed(*args):
        real(*args)
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_state", killed)
    with pytest.raises(KeyboardInterrupt):
        training.run(
            phantom, spec, "main", 5, tmp_path / "cut", arrays, "cpu", checkpoint_seconds=0
        )
    monkeypatch.undo()
    training.run(phantom, spec, "main", 5, tmp_path / "cut", arrays, "cpu", checkpoint_seconds=0)
    whole, cut = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[k], cut[k]) for k in whole)
    losses = [
        pd.read_csv(tmp_path / name / "history.csv").val_loss.tolist() for name in ("whole", "cut")
    ]
    assert losses[0] == losses[1] and len(losses[1]) == 4


def test_the_mean_of_the_weights_is_validated_and_kept(arrays, phantom, tmp_path, monkeypatch):
    """The kept weights are the running mean of every step's, from the first step's on."""
    steps, update = [], torch.optim.swa_utils.AveragedModel.update_parameters

    def watched(average, network):
        steps.append({k: v.clone() for k, v in network.state_dict().items()})
        update(average, network)

    monkeypatch.setattr(torch.optim.swa_utils.AveragedModel, "update_parameters", watched)
    spec = settings(phantom, epochs=2, ema=0.6, checkpoint="last")
    training.run(phantom, spec, "main", 1, tmp_path, arrays, "cpu")
    kept = load_file(tmp_path / "weights.safetensors")
    assert len(steps) == 4
    for name, value in kept.items():
        mean = steps[0][name].double()
        for step in steps[1:]:
            mean = 0.6 * mean + 0.4 * step[name].double()
        torch.testing.assert_close(value.double(), mean, rtol=1e-4, atol=1e-6)
        assert not torch.equal(value, steps[-1][name])


def test_a_mirrored_network_is_validated_by_what_it_answers():
    torch.manual_seed(0)
    network = models.build("unetpp", 1, 2, mirrored=True).eval()
    x, y = torch.rand(1, 1, 32, 32), torch.randint(0, 2, (1, 32, 32))
    loss = torch.nn.functional.cross_entropy
    with torch.no_grad():
        assert models.training_loss(network, x, y, loss) == loss(network(x), y)


def test_mirrored_networks_answer_alike_for_an_image_and_its_mirror_image():
    torch.manual_seed(0)
    network = models.build("femoral_unet", 1, 2, mirrored=True).eval()
    images = torch.rand(2, 1, 16, 24)
    found, turned = network(images), network(images.flip(-1))
    torch.testing.assert_close(turned, found.flip(-1))
    plain = models.build("femoral_unet", 1, 2).eval()
    plain.load_state_dict(network.state_dict())
    torch.testing.assert_close(found, (plain(images) + plain(images.flip(-1)).flip(-1)) / 2)
    torch.testing.assert_close(network.train()(images), plain.train()(images))


def test_a_state_of_other_settings_is_not_taken_up(arrays, phantom, tmp_path, capsys):
    folder = tmp_path / "unfinished"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"key": "other", "file": "none", "epoch": 2}))
    training.run(phantom, settings(phantom, epochs=1), "main", 1, tmp_path, arrays, "cpu")
    assert "going on" not in capsys.readouterr().out


def test_cross_validation_counts_only_the_fold(arrays, phantom, tmp_path):
    counts = training.run(phantom, settings(phantom, epochs=1), "cv2", 1, tmp_path, arrays, "cpu")
    assert set(counts.image_id) == set(arrays.index.image_id[arrays.index.cv_fold == 1])
    assert set(counts.split) == {"test"}


def test_normalisation_is_fitted_on_training_images_only(arrays, phantom):
    norm = inference.normalisation(settings(phantom, normalise="train"), arrays.images[:8])
    assert norm["mean"][0] == pytest.approx(arrays.images[:8].mean() / 255)
    with pytest.raises(StudyError, match="normalise: imagenet needs channels: 3"):
        inference.normalisation(settings(phantom, normalise="imagenet", channels=1), arrays.images)


def test_a_diverging_training_says_what_to_do(arrays, phantom, tmp_path):
    spec = settings(phantom, optimiser={"name": "sgd", "lr": 1e30}, epochs=5)
    with pytest.raises(StudyError, match=r"not finite in epoch \d; lower optimiser.lr"):
        training.run(phantom, spec, "main", 1, tmp_path, arrays, "cpu")


def test_an_empty_split_is_an_error(arrays, phantom, tmp_path):
    empty = datasets.Arrays(arrays.images, arrays.masks, arrays.index.assign(split="val"))
    with pytest.raises(StudyError, match="no image in train"):
        training.run(phantom, settings(phantom), "main", 1, tmp_path, empty, "cpu")


def warp(spec, image=None, n=1, seed=0):
    image = torch.rand(1, 1, 40, 40) if image is None else image
    masks = (image[:, 0] > 0.5).long()
    out = augment.augment(
        image.expand(n, -1, -1, -1),
        masks.expand(n, -1, -1),
        spec,
        torch.Generator().manual_seed(seed),
    )
    return image, masks, *out


def test_no_augmentation_changes_nothing():
    image, masks, warped, labels = warp({})
    torch.testing.assert_close(warped, image, atol=1e-5, rtol=0)
    assert torch.equal(labels, masks)


def test_flips_and_rotation_are_exact():
    image, _, warped, _ = warp({"flip_horizontal": 1})
    torch.testing.assert_close(warped, image.flip(3), atol=1e-5, rtol=0)
    image, _, warped, _ = warp({"flip_vertical": 1})
    torch.testing.assert_close(warped, image.flip(2), atol=1e-5, rtol=0)
    image, _, warped, labels = warp({"rotation_deg": [90, 90]})
    torch.testing.assert_close(warped, image.rot90(-1, (2, 3)), atol=1e-4, rtol=0)  # clockwise
    assert labels.shape == (1, 40, 40)


def test_scale_two_doubles_the_area_fourfold():
    square = torch.zeros(1, 1, 64, 64)
    square[..., 24:40, 24:40] = 1
    _, masks, _, labels = warp({"scale": [2, 2]}, square)
    assert int(labels.sum()) == pytest.approx(4 * int(masks.sum()), rel=0.05)
    _, masks, _, labels = warp({"scale": [0.25, 0.25]}, square)
    assert int(labels.sum()) == pytest.approx(int(masks.sum()) / 16, abs=4)


def test_each_sample_draws_its_own_change_and_seeds_repeat():
    spec = {
        "scale": [0.5, 2],
        "rotation_deg": [0, 180],
        "distortion": 0.03,
        "gamma": [0.7, 1.4],
        "aspect": 0.3,
    }
    *_, warped, _ = warp(spec, n=4)
    assert all(not torch.equal(warped[0], warped[i]) for i in range(1, 4))
    torch.manual_seed(1)
    fixed = torch.rand(1, 1, 40, 40)
    assert torch.equal(warp(spec, fixed, 4, 7)[2], warp(spec, fixed, 4, 7)[2])
    assert not torch.equal(warp(spec, fixed, 4, 7)[2], warp(spec, fixed, 4, 8)[2])


def test_labels_stay_classes_and_probability_zero_warps_none():
    image = torch.rand(3, 1, 32, 32)
    masks = torch.randint(0, 4, (3, 32, 32))
    spec = {"scale": [0.5, 1.5], "rotation_deg": [0, 90], "distortion": 0.05}
    _, labels = augment.augment(image, masks, spec, torch.Generator().manual_seed(0))
    assert labels.dtype == masks.dtype and set(labels.unique().tolist()) <= {0, 1, 2, 3}
    same, labels = augment.augment(
        image, masks, spec | {"probability": 0.0}, torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(same, image, atol=1e-5, rtol=0)
    assert torch.equal(labels, masks)


def interrupted(phantom, spec, arrays, folder, monkeypatch):
    """A training that was killed when it had written its first state."""
    real = checkpoint.save_state

    def killed(*given):
        real(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            training.run(phantom, spec, "main", 5, folder, arrays, "cpu", checkpoint_seconds=0)


@pytest.mark.parametrize(
    "what", ["image", "outline", "swap", "weight", "cut", "state", "best", "number"]
)
def test_a_state_of_other_images_or_settings_is_not_gone_on_from(
    what, arrays, phantom, tmp_path, monkeypatch, capsys
):
    spec = settings(phantom, epochs=2)
    interrupted(phantom, spec, arrays, tmp_path, monkeypatch)
    images, masks, index = arrays.images.copy(), arrays.masks.copy(), arrays.index.copy()
    first = arrays.rows("main", "train")[0]
    if what == "image":
        images[first, 0, 0] ^= 1
    elif what == "outline":
        masks[first, 0, 0] ^= 1
    elif what == "swap":  # as many images as before, but one of them was a test image
        index.loc[[first, arrays.rows("main", "test")[0]], "split"] = ["test", "train"]
    elif what == "weight":
        classes = [dataclasses.replace(c, weight=c.weight + 1) for c in phantom.classes]
        phantom = dataclasses.replace(phantom, classes=tuple(classes))
        spec = spec | {"class_weights": True}
    elif what == "number":
        path = tmp_path / "unfinished/state.json"
        path.write_text(path.read_text().replace('"epoch": 1', '"epoch": 2'))
    else:  # a file that is shorter, or in which one bit has turned
        path = next((tmp_path / "unfinished").glob(f"{what.replace('cut', 'state')}*.safetensors"))
        content = path.read_bytes()
        path.write_bytes(
            content[:100] if what == "cut" else content[:-1] + bytes([content[-1] ^ 1])
        )
    training.run(phantom, spec, "main", 5, tmp_path, datasets.Arrays(images, masks, index), "cpu")
    said = capsys.readouterr().out
    assert "training starts again" in said and "going on after" not in said


def test_an_epoch_without_a_number_is_never_the_best(arrays, phantom, tmp_path, monkeypatch):
    seen = iter([[0.5, 0.9], [float("nan"), 0.9], [0.7, 0.9]])
    monkeypatch.setattr(loop, "_validate", lambda *_: next(seen))
    training.run(phantom, settings(phantom, epochs=3), "main", 5, tmp_path, arrays, "cpu")
    assert json.loads((tmp_path / "weights.json").read_text())["kept_epoch"] == 1
    monkeypatch.setattr(loop, "_validate", lambda *_: [float("nan")] * 2)
    with pytest.raises(StudyError, match="validation loss was not a number in any epoch"):
        training.run(phantom, settings(phantom, epochs=2), "main", 5, tmp_path, arrays, "cpu")


def test_weights_that_are_no_numbers_are_never_kept(arrays, phantom, tmp_path, monkeypatch):
    real = torch.optim.Adam.step

    def broken(self, *given):
        real(self, *given)
        self.param_groups[0]["params"][0].data[0] = float("nan")

    spec = settings(phantom, epochs=1, batch=64) | {"checkpoint": "last"}
    spec["optimiser"] = {"name": "adam", "lr": 0.001}
    monkeypatch.setattr(loop, "_validate", lambda *_: [0.5, 0.5])
    monkeypatch.setattr(torch.optim.Adam, "step", broken)
    with pytest.raises(StudyError, match="the kept weights are not finite"):
        training.run(phantom, spec, "main", 5, tmp_path, arrays, "cpu")
    assert not (tmp_path / "counts.csv").exists()


def test_batches_cover_once_and_drop_a_short_last():
    parts = loop._batches(10, 4, 1, torch.Generator().manual_seed(0))
    assert [len(p) for p in parts] == [4, 4] and len(set(torch.cat(parts).tolist())) == 8
    assert [len(p) for p in loop._batches(3, 4, 1, torch.Generator().manual_seed(0))] == [3]
    clips = loop._batches(8, 4, 2, torch.Generator().manual_seed(0))
    assert all((p[1::2] - p[::2]).eq(1).all() for p in clips)
