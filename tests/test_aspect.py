"""Images that are not square: kept in shape on request, with what lies beside them neither learned
from nor scored, and distances right in both ways.
"""

import dataclasses

import numpy as np
import odd_run
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from helpers import datasets, metrics, runs, stats, studies
from helpers.errors import StudyError
from helpers.models import trained
from helpers.training import loop
from helpers.workflow import settings


def test_the_longer_side_fills_the_array():
    assert datasets.frame((271, 515), 96, "keep") == (22, 0, 51, 96)
    assert datasets.frame((515, 271), 96, "keep") == (0, 22, 96, 51)
    assert datasets.frame((515, 271), 96) == (0, 0, 96, 96)
    wide = np.full((10, 20), 3, np.uint8)
    fitted = datasets.resize_mask(wide, 8, "keep")
    assert (fitted[2:6] == 3).all() and not fitted[[0, 1, 6, 7]].any()
    assert (datasets.resize_mask(wide, 8) == 3).all()
    assert (datasets.resize_image(wide, 8, "keep") == fitted).all()


def test_a_gap_of_two_millimetres_is_one_in_either_way():
    """Pixels of 0.5 mm in an image of 40 × 80: two blocks whose upper edges lie 4 mm apart."""
    first, second = np.zeros((2, 40, 80), np.uint8)
    first[8:20, 20:60], second[16:28, 20:60] = 1, 1  # 8 rows of 0.5 mm
    for aspect, sides in (("squash", (0.5 * 40 / 40, 0.5 * 80 / 40)), ("keep", (1.0, 1.0))):
        a, b = (datasets.resize_mask(m, 40, aspect) == 1 for m in (first, second))
        height, width = datasets.frame((40, 80), 40, aspect)[2:]
        found = datasets._pixel_mm((40, 80), (0.5, 0.5), np.nan, (height, width))
        assert found[:2] == pytest.approx(sides)
        assert metrics.distances(a, b, found[:2])[0] == pytest.approx(4.0)
        assert a.sum() * found[0] * found[1] == pytest.approx(12 * 40 * 0.25)


@pytest.fixture
def wide(tmp_path, monkeypatch):
    """An odd study whose files are 30 × 60, its aspect kept; the outlines are as 32 × 32 were."""
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    write, declare, drawn = odd_run._write_pictures, odd_run._write_study, odd_run._drawn

    def pictures(images, masks, data, rng):
        large = [Image.fromarray(m).resize((60, 30), Image.Resampling.NEAREST) for m in masks]
        write(images, np.stack([np.asarray(m) for m in large]), data, rng)

    def study(odd, place):
        declare(odd, place)
        content = yaml.safe_load((place / "study.yml").read_text())
        content["protocols"]["quick"]["aspect"] = "keep"
        (place / "study.yml").write_text(yaml.safe_dump(content, sort_keys=False))

    def inside(odd, mask, worse, rng):
        found = drawn(odd, mask, worse, rng)
        found[:8], found[24:] = 0, 0
        return found

    monkeypatch.setattr(odd_run, "_write_pictures", pictures)
    monkeypatch.setattr(odd_run, "_write_study", study)
    monkeypatch.setattr(odd_run, "_drawn", inside)
    return odd_run.build(odd_run.Odd(), tmp_path)


def test_a_study_that_keeps_the_aspect_scores_the_image_alone(wide):
    arrays = datasets.load(wide)
    assert arrays.padded and arrays.images.shape[1:] == (32, 32)
    assert arrays.index[datasets.FRAME].drop_duplicates().to_numpy().tolist() == [[8, 0, 16, 32]]
    assert not np.asarray(arrays.images)[:, :8].any() and not arrays.masks[:, 24:].any()
    assert arrays.inside([0, 1]).sum() == 2 * 16 * 32
    # 30 rows of 0.3 mm in 16, 60 columns of 0.3 mm in 32
    assert datasets.spacing(arrays.index)[0] == pytest.approx((0.5625, 0.5625))
    rows = stats.read(wide)
    assert (rows[["tp", "fp", "fn", "tn"]].sum(axis=1) == 16 * 32).all()
    squashed = dataclasses.replace(wide, spec={k: v for k, v in wide.spec.items() if k != "aspect"})
    assert settings.cache_settings(squashed) != settings.cache_settings(wide)
    with pytest.raises(StudyError, match="another `aspect`"):
        datasets.load(squashed)


def test_the_command_line_can_ask_for_it(wide):
    assert studies.load(wide.name, "quick,aspect=keep").spec["aspect"] == "keep"
    assert "aspect" not in studies.load(wide.name, "quick,aspect=squash").spec
    with pytest.raises(StudyError, match="ASPECT=wide: squash or keep"):
        studies.load(wide.name, "quick,aspect=wide")


def test_an_outline_comes_back_at_the_size_of_the_file(wide):
    folder = runs.folder(wide, wide.headline, "main", 1)
    predictor = trained.load(folder, "cpu")
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))  # it lies on a device

        def forward(self, x):
            seen.append(x)
            lit = (x[:, :1] > 0.5).float()
            return torch.cat([1 - lit, lit, lit * 0], 1)

    frames = np.zeros((1, 30, 60), np.uint8)
    frames[0, :, 20:40] = 255
    found = trained.segment(dataclasses.replace(predictor, network=Spy()), frames)
    assert found.shape == (1, 30, 60) and not seen[0][0, 0, :8].any()
    assert (found[0, :, 22:38] == 1).all() and not found[0, :, :18].any()


def test_what_lies_beside_the_image_is_not_learned_from(wide, tmp_path):
    """Other labels there change nothing; other labels in the image do."""
    arrays, spec = datasets.load(wide), wide.training(wide.headline, "main")
    masks = {"same": np.array(arrays.masks), "beside": np.array(arrays.masks)}
    masks["beside"][~arrays.inside(np.arange(len(arrays.index)))] = 2
    masks["inside"] = np.where(masks["same"] == 1, 2, masks["same"]).astype(np.uint8)
    losses = {}
    for name, labels in masks.items():
        torch.manual_seed(0)
        network = odd_run.models.build(spec["name"], spec["channels"], 3, **spec["options"])
        own = datasets.Arrays(arrays.images, labels, arrays.index)
        train, val = own.rows("main", "train"), own.rows("main", "val")
        given = network, own, train, val, spec | {"epochs": 1}, [1.0] * 3, 1
        losses[name] = loop.fit(*given, tmp_path / name, name, 1e9)[0]
    columns = ["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    pd.testing.assert_frame_equal(losses["same"][columns], losses["beside"][columns])
    assert losses["same"]["train_loss"][0] != losses["inside"]["train_loss"][0]
