"""Programs that read or make kept results of the femoral study: what a step of the search is worth,
that no test image is in it, the seed's share of the variance, and what keeping the shape is worth.
"""

import sys

import numpy as np
import pandas as pd
import pytest

from helpers import datasets, provenance, studies

sys.path.insert(0, str(provenance.REPOSITORY / "benchmarks"))
import aspect
import femoral_paper
import femoral_search


def counts(tp):
    """Per-image rows whose Dice is tp / 10."""
    tp = np.array(tp)
    rows = pd.DataFrame({"image_id": [f"i{k}" for k in range(len(tp))], "model": "qvum"})
    return rows.assign(**{"class": "nerve"}, tp=tp, fp=10 - tp, fn=10 - tp, tn=50)


def test_a_step_is_worth_its_mean_gain_by_image():
    first, before = femoral_search.row("start", counts([4, 5, 6, 7]), None, 1)
    assert first["gain"] is None and before.tolist() == [0.4, 0.5, 0.6, 0.7]
    own, _ = femoral_search.row("next", counts([5, 5, 8, 8]), before, 1)
    gains = np.array([0.1, 0.0, 0.2, 0.1])
    half = 3.182446 * gains.std(ddof=1) / 2  # t, 3 degrees of freedom
    assert own["gain"] == pytest.approx(gains.mean())
    assert (own["low"], own["high"]) == pytest.approx((0.1 - half, 0.1 + half), abs=1e-6)
    assert own["pooled_IoU"] == pytest.approx(26 / (26 + 14 + 14))


def test_no_pixel_of_a_test_image_is_left():
    index = pd.DataFrame({"split": ["train", "val", "test"]})
    full = datasets.Arrays(np.full((3, 2, 2), 9, np.uint8), np.ones((3, 2, 2), np.uint8), index)
    blank = femoral_search.without_test(full)
    assert blank.images[:2].all() and not blank.images[2].any() and not blank.masks[2].any()


def test_the_steps_end_at_the_protocol():
    spec = studies.load("femoral", "best").training("qvum", "main")
    found = dict(femoral_search.START)
    for change in femoral_search.STEPS.values():
        found |= change
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
