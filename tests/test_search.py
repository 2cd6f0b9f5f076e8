"""Programs that read or make kept results of the femoral study: what a step of the search is worth,
that no test image is in it, the seed's share of the variance, and what keeping the shape is worth.
"""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import datasets, files, provenance, studies
from helpers.analyses import ablation
from helpers.errors import NotComputable, StudyError
from helpers.models import encoders, qvum

sys.path.insert(0, str(provenance.REPOSITORY / "benchmarks"))
import aspect
import ensemble
import femoral_paper
import femoral_restoring
import femoral_search


def counts(tp):
    """Per-image rows whose Dice is tp / 10."""
    tp = np.array(tp)
    rows = pd.DataFrame({"image_id": [f"i{k}" for k in range(len(tp))], "model": "qvum"})
    return rows.assign(**{"class": "nerve"}, tp=tp, fp=10 - tp, fn=10 - tp, tn=50)


def kept_step(folder, number, tp, after=None):
    said = {"step": f"idea {number}", "after": after, "seed": 11, "minutes": 2.5}
    files.write_csv(counts(tp).assign(**said), folder / f"{number}.csv")


def test_a_step_is_worth_its_mean_gain_by_image(tmp_path):
    kept_step(tmp_path, 0, [4, 5, 6, 7])
    kept_step(tmp_path, 1, [5, 5, 8, 8], after=0)
    kept_step(tmp_path, 3, [5, 5, 8, 8], after=2)
    steps = ablation.search(tmp_path)
    gains = np.array([0.1, 0.0, 0.2, 0.1])
    half = 3.182446 * gains.std(ddof=1) / 2  # t, 3 degrees of freedom
    own = steps.iloc[1]
    assert steps["step"].tolist() == ["idea 0", "idea 1", "idea 3"]
    assert own["difference"] == pytest.approx(gains.mean())
    assert (own["low"], own["high"]) == pytest.approx((0.1 - half, 0.1 + half), abs=1e-6)
    assert own["pooled_IoU"] == pytest.approx(26 / (26 + 14 + 14))
    assert own["Dice"] == pytest.approx(0.65) and (own["images"], own["seed"]) == (4, 11)
    assert steps["difference"].isna().tolist() == [True, False, True]  # 2 is not kept


def test_an_idea_is_held_against_the_step_that_it_was_added_to(tmp_path):
    kept_step(tmp_path, 0, [4, 5, 6, 7])
    kept_step(tmp_path, 1, [8, 9, 9, 9], after=0)
    kept_step(tmp_path, 2, [5, 5, 8, 8], after=0)  # the first idea is left out again
    steps = ablation.search(tmp_path)
    assert steps["after"].tolist() == ["", "idea 0", "idea 0"]
    assert steps["difference"].iloc[2] == pytest.approx(0.1)


def test_steps_of_other_images_are_not_compared(tmp_path):
    kept_step(tmp_path, 0, [4, 5, 6, 7])
    kept_step(tmp_path, 1, [4, 5, 6], after=0)
    with pytest.raises(StudyError, match=r"0\.csv and 1\.csv are of other images"):
        ablation.search(tmp_path)


def test_a_study_without_a_search_says_so(tmp_path):
    with pytest.raises(NotComputable, match="no search"):
        ablation.search(tmp_path)


def test_what_is_kept_of_the_search_was_trained_as_its_steps_say():
    """A step whose settings were changed since would stand in the report under the new name."""
    kept = sorted(femoral_search.KEPT.glob("*.csv"))
    for path in kept:
        assert femoral_search.is_kept(int(path.stem)), path
        steps = set(pd.read_csv(path)["step"])
        assert steps == {list(femoral_search.STEPS)[int(path.stem)]}
        assert len(pd.read_csv(path)) == 50
    assert kept


def test_no_pixel_of_a_test_image_is_left():
    index = pd.DataFrame({"split": ["train", "val", "test"]})
    full = datasets.Arrays(np.full((3, 2, 2), 9, np.uint8), np.ones((3, 2, 2), np.uint8), index)
    blank = femoral_search.without_test(full)
    assert blank.images[:2].all() and not blank.images[2].any() and not blank.masks[2].any()


def test_the_protocol_is_the_best_of_the_steps():
    """The one with the highest Dice on the validation images, of those that are one training."""
    steps = ablation.search(femoral_search.KEPT)
    chosen = steps["step"][steps["Dice"].idxmax()]
    found = femoral_search.settings(list(femoral_search.STEPS).index(chosen))
    spec = studies.load("femoral", "best").training("qvum", "main")
    assert {key: spec[key] for key in found} == found


def test_the_seeds_share_of_the_variance():
    """Means of three seeds vary by 0.01 (their variance), means of images by 0.04 / 4 images."""
    image = np.array([-0.3, -0.1, 0.1, 0.3]) * (0.04 / (0.2 / 3)) ** 0.5
    by_seed = pd.DataFrame({k: 0.5 + image + shift for k, shift in enumerate((-0.1, 0.0, 0.1))})
    share, low, high = femoral_paper.seeds_share(by_seed)
    assert share == pytest.approx(0.5)
    # F(0.975; 2, 3) = 16.044, F(0.025; 2, 3) = 1 / 39.165
    assert (low, high) == pytest.approx((1 / 17.044, 39.165 / 40.165), abs=1e-4)


def test_keeping_the_shape_is_worth_its_gain_on_every_image():
    """Dice of five images 0.1 lower on average, a seed alike; the starts add nothing to doubt."""
    lost = np.array([0, 1, 1, 1, 2])
    ways = {"squash": 8 - 0 * lost, "keep": 8 - lost}
    each = [counts(tp).assign(model=way, seed=seed) for way, tp in ways.items() for seed in (1, 2)]
    lines = list(aspect.printed(pd.concat(each).drop(columns="class")))
    half = 2.776445 * lost.std(ddof=1) / 10 / 5**0.5  # t, 4 degrees of freedom
    assert lines[0] == f"squash  pooled IoU {40 / 60:.3f} (seeds: {40 / 60:.3f}, {40 / 60:.3f})"
    assert lines[3] == "keep    mean Dice 0.700 (seeds: 0.700, 0.700)"
    interval = f"{-0.1 - half:+.3f} to {-0.1 + half:+.3f}"
    assert lines[4] == f"keep − squash, Dice: -0.100 ({interval} over 5 images)"
    assert lines[5].startswith(f"with the random starts: {interval}, P = ")
    assert lines[5].endswith("; 0 % of the variance is theirs")


def test_what_is_said_of_keeping_the_shape_is_what_is_kept():
    difference, starts = [t.replace("-", "−") for t in aspect.printed(pd.read_csv(aspect.KEPT))][
        -2:
    ]
    gain, interval = difference.split()[4], starts.split(": ")[1].split(",")[0]
    page = (provenance.REPOSITORY / "CORRECTNESS.md").read_text(encoding="utf-8")
    assert f"Dice {gain} ({interval}) on its 50 validation images" in page


def test_an_encoder_restores_what_was_blanked(tmp_path):
    """Of bright squares two in five are blanked; what was learned fits the encoder it is for."""
    draw = torch.Generator().manual_seed(0)
    hidden = femoral_restoring.blanked(400, 32, draw)
    squares = hidden.unflatten(2, (8, 4)).unflatten(4, (8, 4))
    assert torch.equal(squares.amax((3, 5)), squares.amin((3, 5)))  # whole squares of 4 × 4
    assert hidden.float().mean().item() == pytest.approx(0.4, abs=0.01)

    images = np.full((2, 16, 16), 200, np.uint8)
    images[:, 8:] = 60
    spec = {"name": "qvum", "channels": 3, "batch": 2, "normalise": "train", "augmentation": {}}
    spec |= {"optimiser": {"name": "adamw", "lr": 0.0003}, "schedule": {"name": "one_cycle"}}
    path = tmp_path / "encoder.safetensors"
    lost = femoral_restoring.encoder(images, spec, 11, path, start="none", epochs=10)
    assert lost[-1] < lost[0] / 2
    began, learned = qvum.VGG16(3), qvum.VGG16(3)
    assert encoders.load(learned, str(path), "vgg16")["sha256"] == files.sha256(path)
    pairs = zip(began.state_dict().values(), learned.state_dict().values(), strict=True)
    assert not any(torch.equal(a, b) for a, b in pairs)


def test_a_mean_of_networks_is_the_mean_of_their_chances():
    """Two unsure networks are outvoted by a sure one: 0.6, 0.6 and 0.1 for the second class."""

    class Constant(torch.nn.Module):
        def __init__(self, chance):
            super().__init__()
            self.logit = torch.nn.Parameter(torch.tensor(chance / (1 - chance)).log())

        def forward(self, x):
            return torch.cat([0 * x[:, :1], 0 * x[:, :1] + self.logit], 1)

    norm = {"mean": [0.0], "std": [1.0]}
    members = [SimpleNamespace(network=Constant(c), norm=norm) for c in (0.6, 0.6, 0.1)]
    pixels = np.zeros((2, 4, 6), np.uint8)
    assert not ensemble.together(members, pixels).any()
    assert ensemble.together(members[:2], pixels).shape == (2, 4, 6)
    assert ensemble.together(members[:2], pixels).all()


def test_what_a_mean_of_networks_gains():
    """Dice 0.5 and 0.6 singly, 0.6 together, of each of three images, one of them a tenth more."""
    each = {("qvum", 11): [5, 5, 5], ("qvum", 12): [6, 6, 6], ("mean of 2", 0): [6, 6, 7]}
    tables = [
        counts(tp).assign(model=model, seed=seed, split="test")
        for (model, seed), tp in each.items()
    ]
    lines = list(ensemble.printed(pd.concat(tables)))
    gains = np.array([0.05, 0.05, 0.15])
    half = 4.302653 * gains.std(ddof=1) / 3**0.5  # t, 2 degrees of freedom
    assert lines[0] == "test  qvum 11      pooled IoU 0.333, Dice 0.500, IoU above 0.5: 0.0 %"
    assert lines[2] == "test  mean of 2    pooled IoU 0.463, Dice 0.633, IoU above 0.5: 33.3 %"
    assert lines[3].startswith("test  gain over the mean of the single ones: Dice +0.083 (")
    interval = f"({gains.mean() - half:+.3f} to {gains.mean() + half:+.3f}, 3 images)"
    assert lines[3].endswith(interval)
