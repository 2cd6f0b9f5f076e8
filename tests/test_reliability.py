"""Calibration, risk–coverage and changes of the image, by hand and by construction."""

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.analyses import reliability
from helpers.datasets import Arrays
from helpers.studies import Class

pytestmark = pytest.mark.slow


def arrays(images, masks, patients=None):
    """patients: whose each image is; None: unknown."""
    owners = patients or [np.nan] * len(images)
    return Arrays(images, masks, pd.DataFrame({"patient_id": owners}))


CLASSES = (Class(0, "background", "", "#000000", 1.0), Class(1, "nerve", "", "#00ff00", 1.0))


def test_a_calibrated_forecast_lies_on_the_diagonal():
    rng = np.random.default_rng(0)
    p = rng.random((4, 100, 100)).astype(np.float32)
    reference = (rng.random(p.shape) < p).astype(np.uint8)
    table = reliability.calibration(np.stack([1 - p, p], 1), reference, CLASSES)
    assert len(table) == 10 and table.pixels.sum() == (p >= reliability.LOWEST).sum()
    np.testing.assert_allclose(table.said, table.true, atol=0.03)
    assert table.ece.iloc[0] < 0.02


def test_an_overconfident_forecast_is_found():
    reference = np.zeros((1, 10, 10), np.uint8)
    reference[0, :5] = 1
    p = np.full((1, 10, 10), 0.95)
    table = reliability.calibration(np.stack([1 - p, p], 1), reference, CLASSES)
    assert table.ece.iloc[0] == pytest.approx(0.45) and table.true.iloc[0] == 0.5


def test_risk_falls_when_doubt_is_right_and_ends_at_the_mean():
    dice = np.array([0.9, 0.5, 0.7, 0.1])
    right = reliability.risk_coverage(pd.DataFrame({"confidence": dice, "dice": dice}))
    assert right.risk.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.45]) and right.risk.equals(
        right.best
    )
    wrong = reliability.risk_coverage(pd.DataFrame({"confidence": -dice, "dice": dice}))
    assert (wrong.risk >= wrong.best - 1e-12).all() and wrong.risk.iloc[-1] == pytest.approx(
        1 - dice.mean()
    )


def test_confidence_is_the_mean_over_what_was_drawn_and_zero_for_nothing():
    p = np.zeros((2, 2, 2, 2))
    p[0, 1, 0] = [0.9, 0.7]
    p[0, 0] = 1 - p[0, 1]
    p[1, 0] = 1
    np.testing.assert_allclose(reliability.confidence(p, 1), [0.8, 0.0])


def test_changes_do_what_they_say():
    images = np.zeros((1, 40, 41), np.uint8)
    masks = np.zeros_like(images)
    images[0, 10:20, 15:26], masks[0, 10:20, 15:26] = 100, 1
    same = reliability.change(arrays(images, masks), "depth", 1)
    assert (same.images == images).all() and (same.masks == masks).all()
    reference = reliability.change(arrays(images, masks), "depth", 2).masks
    assert reference.sum() == pytest.approx(masks.sum() / 4, rel=0.25)
    assert np.argwhere(reference[0]).mean(0) == pytest.approx(
        [7.2, 20], abs=0.8
    )  # nearer to the probe, still central
    brighter = reliability.change(arrays(images, masks), "gain", 6).images
    assert brighter[0, 12, 20] == round(100 + 25.5) and brighter[0, 0, 0] == 0
    noisy = reliability.change(arrays(images, masks), "noise", 0.1).images
    again = reliability.change(arrays(images, masks), "noise", 0.1).images
    assert (again == noisy).all() and noisy.std() > images.std()


def test_robustness_measures_every_change_and_the_plain_images_alike():
    class Bright(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, x):
            return torch.cat([torch.zeros_like(x), x - 0.3 * self.scale], 1)

    images = np.zeros((2, 24, 24), np.uint8)
    images[:, 4:12, 8:16] = 120
    masks = (images > 0).astype(np.uint8)
    norm = {"mean": [0.0], "std": [1.0]}
    shown = arrays(images, masks)
    drawn = reliability.probabilities(Bright(), shown, norm).argmax(1)
    table = reliability.robustness(Bright(), shown, drawn, norm, CLASSES)
    assert len(table) == sum(map(len, reliability.CHANGES.values()))
    plain = table[(table.level == np.where(table.change == "depth", 1, 0))]
    assert plain.Dice.eq(1).all() and table.Dice.min() < 1


def test_a_network_that_reads_clips_sees_those_that_it_was_scored_on():
    class Clip(torch.nn.Module):
        """Draws on an image what is bright in the first of its clip of two."""

        clip_length = 2

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, x):
            first = x[::2].repeat_interleave(2, 0) * self.scale
            return torch.cat([0.3 + 0 * first, first], 1)

    images, norm = np.zeros((5, 24, 24), np.uint8), {"mean": [0.0], "std": [1.0]}
    images[:, 4:12, 8:16] = np.array([120, 0, 0, 120, 0])[:, None, None]
    shown = arrays(images, (images > 0).astype(np.uint8), ["a", "b", "a", "b", "c"])
    drawn = reliability.probabilities(Clip(), shown, norm).argmax(1)
    assert drawn.any((1, 2)).tolist() == [True, False, True, False, False]
    table = reliability.robustness(Clip(), shown, drawn, norm, CLASSES)
    bright = (table.change == "gain") & (table.level > -12)
    assert np.allclose(table.loc[bright, "Dice"], 0.5)


def test_the_image_as_recorded_is_not_computed_again(monkeypatch):
    seen = []

    def predict(network, images, norm, bf16=False):
        seen.append(bf16)
        return np.zeros(images.shape, np.uint8)

    monkeypatch.setattr(reliability.inference, "predict", predict)
    images = np.zeros((2, 24, 24), np.uint8)
    images[:, :8], masks = 100, np.zeros_like(images)
    masks[:, :8] = 1
    shown = arrays(images, masks)
    table = reliability.robustness(None, shown, masks, None, CLASSES, bf16=True)
    assert seen == [True] * sum(len(v) - 1 for v in reliability.CHANGES.values())
    plain = table["level"] == table["change"].map(reliability.UNCHANGED)
    assert table.loc[plain, "Dice"].eq(1).all() and table.loc[~plain, "Dice"].eq(0).all()


def test_confidence_is_of_the_structure_that_is_asked_for():
    p = np.zeros((1, 3, 2, 2))
    p[0, 1, 0], p[0, 2, 1] = [0.9, 0.7], [0.6, 0.6]
    p[0, 0] = 1 - p[0].sum(0)
    assert reliability.confidence(p, 1)[0] == pytest.approx(0.8)
    assert reliability.confidence(p, 2)[0] == pytest.approx(0.6)
