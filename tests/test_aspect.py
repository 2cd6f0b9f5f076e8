"""Images that are not square: kept in shape on request, with what lies beside them neither learned
from nor scored, and distances right in both ways.
"""

import dataclasses
from types import SimpleNamespace

import numpy as np
import odd_run
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensorMode

from helpers import cache, datasets, leakage, metrics, models, runs, stats, studies
from helpers.analyses import readings, reliability
from helpers.errors import StudyError
from helpers.models import inference, trained
from helpers.pages import summary, train
from helpers.training import augment, loop, losses
from helpers.workflow import settings
from tools.book import plan, verify

pytestmark = pytest.mark.slow

CLASSES = (
    studies.Class(0, "background", "", "#000000", 1.0),
    studies.Class(1, "nerve", "", "#00ff00", 1.0),
)


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
        found = cache._pixel_mm((40, 80), (0.5, 0.5), np.nan, (height, width))
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
    squashed = dataclasses.replace(wide, spec=wide.spec | {"aspect": "squash"})
    assert settings.cache_settings(squashed) != settings.cache_settings(wide)
    with pytest.raises(StudyError, match="another `aspect`"):
        datasets.load(squashed)


def test_the_command_line_can_ask_for_it(wide):
    assert studies.load(wide.name, "quick,aspect=keep").spec["aspect"] == "keep"
    assert studies.load(wide.name, "quick,aspect=squash").spec["aspect"] == "squash"
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


def test_the_part_of_each_image_is_cut_out():
    """Two images of different shape, of two people each: (2, people, H, W)."""
    index = pd.DataFrame([(2, 0, 4, 8), (0, 3, 8, 2)], columns=datasets.FRAME)
    stack = np.arange(2 * 3 * 64).reshape(2, 3, 8, 8)
    wide, high = datasets.framed(stack, index)
    assert (wide == stack[0, :, 2:6]).all() and (high == stack[1, :, :, 3:5]).all()
    assert [a.shape for a in datasets.framed(stack, index[[]])] == [(3, 8, 8)] * 2


@pytest.fixture(params=[(6, 32), (32, 20)], ids=["flat", "narrow"])
def kept_and_bare(request):
    """Ten images kept in shape, and the same without anything around them (Arrays): what is
    measured of the one is so of the other.
    """
    rng, size, count = np.random.default_rng(0), 32, 10
    top, left, height, width = datasets.frame(request.param, size, "keep")
    masks = np.zeros((count, height, width), np.uint8)
    for mask in masks:
        y, x = rng.integers(0, height // 2), rng.integers(0, width // 2)
        mask[y : y + height // 3, x : x + width // 3] = 1
    images = (rng.integers(0, 200, masks.shape) + 50 * masks).astype(np.uint8)
    index = pd.DataFrame({"image_id": [f"i{k}" for k in range(count)]}).assign(
        patient_id=[f"p{k // 2}" for k in range(count)],
        split=["train"] * 5 + ["test"] * 5,
        sha256_image=[f"{k:064x}" for k in range(count)],
        pixel_mm=0.5,
    )
    around = (0, 0), (top, size - top - height), (left, size - left - width)
    kept = [np.pad(stack, around) for stack in (images, masks)]
    frames = dict(zip(datasets.FRAME, (top, left, height, width), strict=True))
    return datasets.Arrays(*kept, index.assign(**frames)), datasets.Arrays(images, masks, index)


def test_people_agree_on_what_is_in_the_image(kept_and_bare):
    """Fleiss' kappa and the consensus of three people, of whom one is careless."""
    found = []
    for arrays in kept_and_bare:
        inside, rng = arrays.inside(), np.random.default_rng(1)
        drawn = np.repeat(arrays.masks[None], 4, 0)
        for outlines, often in zip(drawn, (0.05, 0.1, 0.3, 0), strict=True):
            outlines[inside] ^= rng.random(int(inside.sum())) < often
        names = ("A", "B", "C", readings.REFERENCE)
        people = readings.Readings(names, drawn, arrays.index)
        found.append(readings.agreement(people, CLASSES, draws=50))
    pd.testing.assert_frame_equal(*found)
    assert found[0]["kappa"][0] < 0.9


def test_pictures_are_alike_by_what_they_show(kept_and_bare):
    """The edge of what is black around would make the fine detail of any two agree."""
    study = SimpleNamespace(classes=CLASSES, run=SimpleNamespace(rglob=lambda _: []))
    gates = [leakage.run(study, arrays, threshold=256) for arrays in kept_and_bare]
    assert [g.name for g in gates[0]][3] == "near-duplicate images"
    pd.testing.assert_frame_equal(*(of[3].evidence for of in gates))
    assert gates[0][3].evidence["detail"].max() < 0.5


def test_grey_levels_are_those_of_the_image(kept_and_bare):
    spec = {"normalise": "train", "channels": 1}
    kept, bare = (inference.normalisation(spec, arrays.shown()) for arrays in kept_and_bare)
    assert kept == bare and kept["mean"][0] == pytest.approx(kept_and_bare[1].images.mean() / 255)
    record = {"model": "unet", "fold": "main", "training": {"checkpoint": "best"}}
    norm = inference.normalisation(spec, kept_and_bare[0].shown(np.arange(5)))
    gate = leakage.normalisation([record | {"normalisation": norm}], kept_and_bare[0])
    assert gate.passed


class Dark(torch.nn.Module):
    """Draws what is dark, and so everything that lies beside an image."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return torch.cat([x * self.scale, 1 - x], 1)


def test_trust_is_measured_in_the_image(kept_and_bare):
    norm, found = {"mean": [0.0], "std": [1.0]}, []
    for arrays in kept_and_bare:
        chance = reliability.probabilities(Dark(), arrays, norm)
        drawn = chance.argmax(1)
        assert drawn.sum() and not drawn[~arrays.inside()].any()
        sure = reliability.confidence(chance, 1)
        table = reliability.calibration(chance, arrays.masks, CLASSES)
        robust = reliability.robustness(Dark(), arrays, drawn, norm, CLASSES)
        found.append((pd.DataFrame({"sure": sure}), table, robust))
    for kept, bare in zip(*found, strict=True):
        pd.testing.assert_frame_equal(kept, bare)


def test_a_change_leaves_black_what_lies_beside(kept_and_bare):
    kept, bare = kept_and_bare
    for kind, levels in reliability.CHANGES.items():
        for level in levels:
            one, other = (reliability.change(arrays, kind, level) for arrays in (kept, bare))
            assert not one.images[~kept.inside()].any() and not one.masks[~kept.inside()].any()
            assert (np.stack(one.shown()) == other.images).all()


def test_what_augmentation_brings_in_from_beside_is_not_learned():
    masks, spec = torch.ones(1, 32, 32, dtype=torch.long), {"scale": [0.5, 0.5]}
    masks[:, :8] = losses.IGNORED
    for beside in (0, losses.IGNORED):
        given = torch.zeros(1, 1, 32, 32), masks, spec, torch.Generator()
        labels = augment.augment(*given, beside)[1][0]
        assert (labels[12:24, 8:24] == 1).all() and (labels[8:12, 8:24] == losses.IGNORED).all()
        assert (labels[:8] == beside).all() and (labels[:, 24:] == beside).all()


SPEC = {"loss": {"name": "focal_dice"}, "class_weights": True}
SPEC |= {"augmentation": {"scale": [0.5, 0.5]}, "channels": 1}
NORM = {"mean": [0.0], "std": [1.0]}


def test_a_training_learns_from_the_image_alone(kept_and_bare, monkeypatch):
    """Of images made half as large a quarter of the pixels is left, in the loss and accuracy."""
    counted = []

    def build(spec, weights):
        return lambda logits, target: counted.append(target != losses.IGNORED) or logits.sum()

    monkeypatch.setattr(loop.losses, "build", build)
    kept, bare = kept_and_bare
    examine = loop._examiner(torch.device("cpu"), kept, NORM, SPEC, [1.0, 1.0])
    _, accuracy = examine(Dark(), np.arange(10), torch.Generator())
    assert int(counted[0].sum()) == bare.masks.size / 4
    _, accuracy = examine(
        lambda x: torch.cat([x * 0, x * 0 - 1], 1), np.arange(10), torch.Generator()
    )
    assert accuracy == pytest.approx(float((bare.masks == 0).mean()), abs=0.03)


def test_no_step_waits_for_the_device(kept_and_bare):
    """On tensors without values whatever needs one is refused."""
    examine, network = loop._examiner, models.build("femoral_unet", 1, 2)
    spec = SPEC | {"augmentation": SPEC["augmentation"] | {"distortion": 0.02, "gamma": [0.5, 2]}}
    for arrays in kept_and_bare:
        with FakeTensorMode(allow_non_fake_inputs=True):
            given = torch.device("cpu"), arrays, NORM, spec, [1.0, 1.0]
            loss, _ = examine(*given)(network, np.arange(4), torch.Generator())
        assert loss.shape == ()


def test_accuracy_is_the_share_of_right_pixels_to_the_bit(kept_and_bare):
    bare = kept_and_bare[1]
    examine = loop._examiner(torch.device("cpu"), bare, NORM, SPEC, [1.0, 1.0])
    _, accuracy = examine(Dark(), np.arange(10))
    hits = torch.from_numpy((bare.images < 127.5).astype(int) == bare.masks)
    assert accuracy == hits.float().mean()


def test_a_book_counts_what_a_training_counts(wide):
    assert list(verify.counted(wide)) == []


def test_pages_say_that_images_keep_their_shape(wide):
    spec, arrays = wide.training(wide.headline, "main"), datasets.load(wide)
    told = train.procedure(wide, spec, "main", 1, arrays).set_index("setting")["value"]
    assert told["image size"] == "32 × 32 px, 3 channels, shape kept"
    assert "32 × 32 pixels, 2 epochs, images kept in shape" in summary.limits(
        wide, stats.read(wide)
    )
    sides = [plan._side(spec) for spec in ({"image_size": 32}, wide.spec)]
    assert sides == ["32 px", "32 px, shape kept"]
