"""Pretrained encoders: where weights come from, what is frozen when, what learns slowly. Clips:
of one patient.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from helpers import datasets, models, studies, training
from helpers.errors import StudyError
from helpers.models import encoders, inference
from helpers.models.qvum import VGG16
from helpers.training import losses, schedule

pytestmark = pytest.mark.slow

torch.set_num_threads(1)
VGG = (
    Path(os.environ.get("QVUM_DATA", "../shared/data")).parent
    / "weights/vgg16_imagenet_features.safetensors"
)
needs_vgg = pytest.mark.skipif(
    not VGG.is_file(),
    reason=f"needs {VGG.name} in weights/ beside QVUM_DATA (default ../shared/data)",
)


@needs_vgg
def test_imagenet_weights_reach_qvum(monkeypatch):
    stored = load_file(VGG)
    network = models.build("qvum", 3, 4, encoder_weights=str(VGG))
    found = {k: v for k, v in network.encoder.state_dict().items() if k.endswith("weight")}
    assert len(found) == 13
    assert all(torch.equal(found[k], stored[k]) for k in found)
    assert models.provenance(network)["sha256"] == hashlib.sha256(VGG.read_bytes()).hexdigest()
    grey = models.build("qvum", 1, 4, encoder_weights=str(VGG))
    x = torch.rand(1, 1, 32, 32)
    with torch.no_grad():  # one channel: as if the grey image were copied to three
        torch.testing.assert_close(grey.encoder(x)[0], network.encoder(x.expand(-1, 3, -1, -1))[0])
    monkeypatch.setenv("ENCODER_WEIGHTS", str(VGG))
    assert (
        models.provenance(models.build("qvum", 3, 4, encoder_weights="imagenet"))["file"]
        == VGG.name
    )
    with pytest.raises(StudyError, match=r"no resnet34 weights .* lacks bn1.bias"):
        models.build("bpsegsys_r", 3, 4, encoder_weights="imagenet")


@pytest.fixture
def vgg_file(tmp_path):
    """A file with the tensors of VGG16's convolutions and one more, as torchvision would name
    them.
    """
    tensors = {k: torch.rand_like(v) for k, v in VGG16(3).state_dict().items()}
    save_file(tensors | {"classifier.0.weight": torch.zeros(2)}, tmp_path / "vgg.safetensors")
    return tmp_path / "vgg.safetensors"


def test_frozen_encoder_is_released_and_only_a_pretrained_one_is_frozen(vgg_file):
    network = models.build("qvum", 3, 2, encoder_weights=str(vgg_file))
    assert models.freeze_encoder(network, True) == 14_714_688
    before = network.encoder.features[0].weight.clone()
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    x, y = torch.rand(1, 3, 16, 16), torch.ones(1, 16, 16, dtype=torch.int64)
    criterion = losses.build({"name": "ce"})
    nn.init.normal_(network.head.weight)
    models.training_loss(network, x, y, criterion).backward()
    optimiser.step()
    assert torch.equal(network.encoder.features[0].weight, before)
    assert network.head.weight.grad is not None
    models.freeze_encoder(network, False)
    assert all(p.requires_grad for p in network.parameters())
    scratch = models.build("qvum", 3, 2)
    assert models.freeze_encoder(scratch, True) == 0
    assert all(p.requires_grad for p in scratch.parameters())
    assert models.freeze_encoder(models.build("femoral_unet", 1, 2), True) == 0
    assert models.provenance(scratch) == {"encoder_weights": "none"}


def test_frozen_stem_of_vistr_stays_frozen(tmp_path):
    whole = torchvision.models.resnet50(weights=None).state_dict()
    save_file(
        {k: v for k, v in whole.items() if not k.startswith("fc.")}, tmp_path / "r50.safetensors"
    )
    network = models.build(
        "vistr", 3, 2, backbone="resnet50", encoder_weights=str(tmp_path / "r50.safetensors")
    )
    models.freeze_encoder(network, True)
    models.freeze_encoder(network, False)
    frozen = {n for n, p in network.named_parameters() if not p.requires_grad}
    assert (
        frozen == {n for n in frozen if n.startswith(("encoder.conv1", "encoder.layer1"))} != set()
    )
    assert sum(p.numel() for n, p in network.named_parameters() if n in frozen) == 222_400
    network.freeze_stem = False
    models.freeze_encoder(network, False)
    assert all(p.requires_grad for p in network.parameters())


def test_weights_that_cannot_be_had_are_an_error(tmp_path, monkeypatch, vgg_file):
    with pytest.raises(StudyError, match="no such file"):
        models.build("qvum", 3, 4, encoder_weights=str(tmp_path / "gone.safetensors"))
    with pytest.raises(StudyError, match="unet has no encoder to pretrain"):
        models.build("unet", 3, 4, encoder_weights=str(vgg_file))
    with pytest.raises(StudyError, match="take 1 or 3 channels"):
        models.build("qvum", 2, 4, encoder_weights=str(vgg_file))
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(StudyError, match="is not a safetensors file"):
        models.build("qvum", 3, 4, encoder_weights=str(tmp_path / "text.safetensors"))

    def offline(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.delenv("ENCODER_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(
        StudyError, match=r"ENCODER_WEIGHTS=/path/file.safetensors .* or connect to the network"
    ):
        models.build("qvum", 3, 4, encoder_weights="imagenet")


def test_several_weight_files_the_fitting_one_is_taken(tmp_path, monkeypatch, vgg_file):
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    monkeypatch.setenv(
        "ENCODER_WEIGHTS", os.pathsep.join([str(tmp_path / "other.safetensors"), str(vgg_file)])
    )
    assert encoders.load(VGG16(3), "imagenet", "vgg16")["file"] == vgg_file.name


SMALL = "smp:FPN/resnet18"


@pytest.fixture
def resnet18_file(tmp_path):
    """A file with the tensors of ResNet-18 as torchvision names them."""
    whole = torchvision.models.resnet18(weights=None).state_dict()
    save_file(
        {k: v for k, v in whole.items() if not k.startswith("fc.")}, tmp_path / "r18.safetensors"
    )
    return str(tmp_path / "r18.safetensors")


def spec(**change):
    """The settings of one quick training."""
    base = {
        "epochs": 4,
        "batch": 2,
        "optimiser": {"name": "adam", "lr": 1e-3},
        "schedule": {"name": "constant"},
    }
    quick = {
        "augmentation": {},
        "channels": 1,
        "normalise": "none",
        "freeze_epochs": 0,
        "checkpoint": "last",
    }
    return studies.load("phantom").training("qvum", "main") | base | quick | change


def numbered(patients):
    """A study whose images all carry the number of their patient as their grey value."""
    values = np.array(patients, np.uint8)[:, None, None] * np.ones((1, 32, 32), np.uint8)
    index = pd.DataFrame({"patient_id": [f"p{p}" for p in patients]})
    return datasets.Arrays(
        values, np.arange(len(values) * 1024).reshape(-1, 32, 32).astype(np.uint8) % 4, index
    )


def test_frozen_epochs_pass_before_the_encoder_learns(resnet18_file, tmp_path, monkeypatch):
    network = models.build(SMALL, 1, 4, encoder_weights=resnet18_file)
    seen, real = [], models.freeze_encoder

    def watched(network, frozen):
        seen.append(
            (
                frozen,
                network.encoder.conv1.weight.detach().clone(),
                network.network.decoder.p5.weight.clone(),
            )
        )
        return real(network, frozen)

    monkeypatch.setattr(models, "freeze_encoder", watched)
    rows = np.arange(4)
    training.fit(
        network,
        numbered([0, 1, 2, 3]),
        rows,
        rows[:0],
        spec(freeze_epochs=2),
        [1.0] * 4,
        1,
        tmp_path / "s",
    )
    frozen, encoder, decoder = zip(*seen, strict=True)
    assert frozen == (True, True, False, False)
    assert torch.equal(encoder[0], encoder[2]) and not torch.equal(encoder[2], encoder[3])
    assert not torch.equal(decoder[0], decoder[1])


def test_a_pretrained_encoder_can_learn_more_slowly(resnet18_file):
    entry = {"name": "sgd", "lr": 1.0, "encoder_lr": 0.1}
    network = models.build(SMALL, 1, 2, encoder_weights=resnet18_file)
    optimiser = schedule.optimiser(entry, network)
    schedule.set_rate(optimiser, 0.5)
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    moved = {n: float((before[n] - p).detach().mean()) for n, p in network.named_parameters()}
    assert {round(v, 4) for n, v in moved.items() if n.startswith("network.encoder.")} == {0.05}
    assert {round(v, 4) for n, v in moved.items() if not n.startswith("network.encoder.")} == {0.5}
    scratch = schedule.optimiser(entry, models.build(SMALL, 1, 2))
    assert [g["share"] for g in scratch.param_groups] == [
        1.0
    ]  # nothing was learned before: all learn alike


def test_clips_are_of_one_patient():
    patients = ["a", "b", "a", "a", "b", np.nan, np.nan]
    positions = np.array([3, 4, 5, 6, 7, 8, 9])
    assert inference.clips(positions, patients, 1) is positions
    assert inference.clips(positions, patients, 2).tolist() == [3, 5, 6, 6, 4, 7, 8, 8, 9, 9]
    assert inference.clips(positions[:0], [], 2).tolist() == []


class Clips(nn.Module):
    """A clip network whose class is the grey value; it remembers the grey values of all frames
    it read.
    """

    clip_length = 2

    def __init__(self):
        super().__init__()
        self.scale, self.read = nn.Parameter(torch.ones(1)), []

    def forward(self, x):
        self.read += (x[:, 0, 0, 0] * 255).round().long().tolist()
        return -self.scale * (x * 255 - torch.arange(4)[:, None, None]) ** 2


def test_a_clip_network_never_sees_two_patients_together(tmp_path, monkeypatch):
    arrays, network = numbered([0, 1, 0, 0, 2, 2, 3, 3, 3, 1]), Clips()
    arrays.index[["image_id", "split", "pixel_mm"]] = [
        [f"i{i}", s, 0.5] for i, s in enumerate(["train"] * 6 + ["val"] * 3 + ["test"])
    ]
    monkeypatch.setattr(models, "build", lambda *_, **__: network)
    training.run(
        studies.load("phantom"),
        spec(epochs=1, encoder_weights="none", checkpoint="best"),
        "main",
        1,
        tmp_path,
        arrays,
        "cpu",
    )
    assert all(a == b for a, b in zip(network.read[::2], network.read[1::2], strict=True))
    drawn = np.load(tmp_path / "predictions.npy")
    assert (drawn == arrays.images).all()  # each image once, in its own place
