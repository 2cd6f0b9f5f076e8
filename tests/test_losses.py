"""Losses against values worked out by hand, their gradients, and other libraries where the
convention is the same.
"""

import math

import pytest
import torch

from helpers.errors import StudyError
from helpers.training import losses

pytestmark = pytest.mark.slow

WEIGHTS = [1.0, 2.0, 3.0, 1.0]
#: two pixels, two classes: the true class has p = 0.8 (class 1) and p = 0.6 (class 0)
LOGITS = torch.tensor([[0.2, 0.6], [0.8, 0.4]]).log().reshape(1, 2, 1, 2)
TARGET = torch.tensor([[[1, 0]]])


def sample(classes=4, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 6, 5, generator=generator, dtype=dtype)
    return logits, torch.randint(0, classes, (2, 6, 5), generator=generator)


def value(spec, weights=None, logits=LOGITS, target=TARGET):
    return losses.build(spec, weights)(logits, target).item()


def test_focal_textbook_by_hand():
    expected = 0.5 * (-math.log(0.8) * 0.2**2 * 2 - math.log(0.6) * 0.4**2) / 2
    spec = {"name": "focal_dice", "focal_weight": 1, "dice_weight": 0, "focal_form": "textbook"}
    assert value(spec, [1.0, 2.0]) == pytest.approx(expected, rel=1e-5)


def test_focal_as_coded_has_the_weight_inside():
    # class 1 has weight 2: its focusing term is (1 − 0.8²)², not (1 − 0.8)²
    expected = 0.5 * (-2 * math.log(0.8) * (1 - 0.8**2) ** 2 - math.log(0.6) * 0.4**2) / 2
    spec = {"name": "focal_dice", "focal_weight": 1, "dice_weight": 0, "focal_form": "as_coded"}
    assert value(spec, [1.0, 2.0]) == pytest.approx(expected, rel=1e-5)


def test_both_focal_forms_agree_at_weight_one_and_differ_otherwise():
    logits, target = sample()
    forms = [
        {"name": "focal_dice", "dice_weight": 0, "focal_form": f} for f in ("as_coded", "textbook")
    ]
    a, b = (value(f, None, logits, target) for f in forms)
    assert a == pytest.approx(b, rel=1e-6)
    a, b = (value(f, WEIGHTS, logits, target) for f in forms)
    assert a > b * 1.1


def test_dice_by_hand():
    # class 0: p 0.2 + 0.6, truth 1 pixel, overlap 0.6; class 1: p 0.8 + 0.4, truth 1, overlap 0.8
    expected = 1 - (2 * 0.6 / 1.8 + 2 * 0.8 / 2.2) / 2
    spec = {"name": "focal_dice", "focal_weight": 0, "dice_weight": 1, "smooth": 0}
    assert value(spec) == pytest.approx(expected, rel=1e-5)
    assert value(spec | {"include_background": False}) == pytest.approx(1 - 1.6 / 2.2, rel=1e-5)


def test_dice_over_the_batch_is_not_the_mean_over_images():
    logits, target = sample(2)
    target[0] = 0
    batch, image = (losses.dice(logits, target, over=o).item() for o in ("batch", "image"))
    assert abs(batch - image) > 0.01
    single = torch.stack(
        [losses.dice(logits[i : i + 1], target[i : i + 1]) for i in range(2)]
    ).mean()
    assert image == pytest.approx(single.item(), rel=1e-6)


def test_an_absent_class_scores_by_the_smoothing_alone():
    logits = torch.tensor([40.0, 0.0, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    target = torch.zeros(1, 4, 4, dtype=torch.int64)
    assert losses.dice(logits, target).item() == pytest.approx(0, abs=1e-5)


def test_focal_and_dice_are_weighed_and_added():
    logits, target = sample()
    parts = [{"focal_weight": 1, "dice_weight": 0}, {"focal_weight": 0, "dice_weight": 1}]
    focal, dice = (value({"name": "focal_dice", **p}, WEIGHTS, logits, target) for p in parts)
    both = value(
        {"name": "focal_dice", "focal_weight": 0.5, "dice_weight": 0.5}, WEIGHTS, logits, target
    )
    assert both == pytest.approx(0.5 * focal + 0.5 * dice, rel=1e-6)
    assert value({"name": "focal_dice"}, WEIGHTS, logits, target) == pytest.approx(both)


def test_cross_entropy_by_hand_and_as_in_torch():
    assert value({"name": "ce"}) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2, rel=1e-6)
    logits, target = sample()
    expected = torch.nn.functional.cross_entropy(logits, target, torch.tensor(WEIGHTS)).item()
    assert value({"name": "ce"}, WEIGHTS, logits, target) == pytest.approx(expected, rel=1e-6)


def test_bce_of_one_structure_is_cross_entropy():
    logits, target = sample(2)
    assert value({"name": "bce"}, None, logits, target) == pytest.approx(
        value({"name": "ce"}, None, logits, target), rel=1e-5
    )


def test_bce_of_several_structures_is_one_sigmoid_each():
    z = torch.tensor([0.0, 1.5, -0.5]).reshape(1, 3, 1, 1)
    sigmoid = [1 / (1 + math.exp(-v)) for v in (1.5, -0.5)]
    expected = -(math.log(1 - sigmoid[0]) + math.log(sigmoid[1])) / 2
    assert value({"name": "bce"}, None, z, torch.tensor([[[2]]])) == pytest.approx(
        expected, rel=1e-6
    )


def test_bce_dice_by_hand():
    dice = 1 - 2 * 0.8 / (0.8 + 0.4 + 1)
    bce = -(math.log(0.8) + math.log(0.6)) / 2
    assert value({"name": "bce_dice", "smooth": 0}) == pytest.approx(0.5 * bce + dice, rel=1e-5)


def test_log_cosh_dice_by_hand():
    dice = value({"name": "focal_dice", "focal_weight": 0, "dice_weight": 1})
    assert value({"name": "logcosh_dice"}) == pytest.approx(math.log(math.cosh(dice)), rel=1e-5)


@pytest.mark.parametrize("name", losses.DEFAULTS)
def test_gradients(name):
    logits, target = sample(3, torch.float64)
    logits = logits[..., :2, :2].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        losses.build({"name": name}, [1, 2, 3]), (logits, target[..., :2, :2])
    )


@pytest.mark.parametrize("name", losses.DEFAULTS)
def test_ignored_pixels_count_for_nothing(name):
    logits, target = sample()
    criterion = losses.build({"name": name}, WEIGHTS)
    ignored = target.clone()
    ignored[:, :3] = losses.IGNORED
    expected = criterion(logits[:, :, 3:], target[:, 3:])
    torch.testing.assert_close(criterion(logits, ignored), expected)
    noise = logits.clone()
    noise[:, :, :3] += 5
    torch.testing.assert_close(criterion(noise, ignored), expected)
    assert criterion(logits, torch.full_like(target, losses.IGNORED)).isfinite()


@pytest.mark.parametrize("name", losses.DEFAULTS)
def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_more(name):
    _, target = sample()
    sure = 120 * torch.nn.functional.one_hot(target, 4).movedim(-1, 1).float() - 60
    sure[:, 0] = (
        0  # sigmoids ask foreground against background: the other structures must lie below it
    )
    criterion = losses.build({"name": name}, WEIGHTS)
    assert criterion(sure, target).item() == pytest.approx(0, abs=1e-4)
    assert criterion(sure, (target + 1) % 4).item() > 0.3


@pytest.mark.parametrize("name", losses.DEFAULTS)
def test_half_precision_logits_are_widened(name):
    logits, target = sample()
    criterion = losses.build({"name": name}, WEIGHTS)
    close = criterion(logits.bfloat16(), target)
    assert close.dtype == torch.float32
    assert close.item() == pytest.approx(criterion(logits, target).item(), rel=0.02)


def test_dice_equals_monai():
    monai = pytest.importorskip("monai.losses")
    logits, target = sample()
    peer = monai.DiceLoss(
        softmax=True, to_onehot_y=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5
    )
    torch.testing.assert_close(losses.dice(logits, target), peer(logits, target[:, None]))
    peer = monai.DiceLoss(
        softmax=True, to_onehot_y=True, include_background=False, smooth_nr=1e-5, smooth_dr=1e-5
    )
    found = losses.dice(logits, target, include_background=False, over="image")
    torch.testing.assert_close(found, peer(logits, target[:, None]))


def test_focal_textbook_equals_monai():
    monai = pytest.importorskip("monai.losses")
    logits, target = sample()
    peer = monai.FocalLoss(
        use_softmax=True, to_onehot_y=True, gamma=2.0, weight=WEIGHTS, reduction="none"
    )
    expected = 0.5 * peer(logits, target[:, None]).sum(1).mean()
    torch.testing.assert_close(
        losses.focal(logits, target, torch.tensor(WEIGHTS), focal_form="textbook"), expected
    )


def test_dice_and_focal_equal_segmentation_models():
    smp = pytest.importorskip("segmentation_models_pytorch.losses")
    logits, target = sample()
    peer = smp.DiceLoss("multiclass", smooth=1e-5)
    torch.testing.assert_close(losses.dice(logits, target), peer(logits, target))
    two, mask = sample(2)
    difference = two[:, 1:] - two[:, :1]
    peer = smp.FocalLoss("binary", gamma=2.0)
    torch.testing.assert_close(
        2 * losses.focal(two, mask, focal_form="textbook"), peer(difference, mask[:, None].float())
    )
    peer = smp.SoftBCEWithLogitsLoss()
    torch.testing.assert_close(losses.bce(two, mask), peer(difference, mask[:, None].float()))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "dicey"}, "'dicey' is none of focal_dice"),
        ({"name": "ce", "gamma": 2}, "ce has no key gamma"),
        ({"name": "focal_dice", "focal_form": "mine"}, "'mine' is none of as_coded, textbook"),
        ({"name": "focal_dice", "gamma": "two"}, "gamma: must be a number"),
        ({"name": "focal_dice", "focal_weight": 0, "dice_weight": 0}, "nothing would be learnt"),
        ({}, "None is none of"),
    ],
)
def test_a_wrong_loss_entry_is_named(spec, message):
    with pytest.raises(StudyError, match=message):
        losses.build(spec)


def test_class_weights_must_fit_the_classes():
    logits, target = sample()
    with pytest.raises(ValueError, match="3 class weights for logits of 4"):
        losses.build({"name": "ce"}, [1, 2, 3])(logits, target)
