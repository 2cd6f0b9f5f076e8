"""Networks against public implementations with equal weights, and what single networks can do."""

import pytest
import torch
import torchvision
from torch import nn

from helpers import models
from helpers.errors import StudyError
from helpers.models import catalogue, vistr_parts
from helpers.models.qvum import VGG16
from helpers.training import losses

pytestmark = pytest.mark.slow

torch.set_num_threads(1)


def copy_in_order(source, target):
    """Give ``target`` the weights of ``source``: both list the same layers, perhaps in another
    order of depth.
    """
    with torch.no_grad():
        for a, b in zip(source, target, strict=True):
            assert type(a) is type(b)
            b.load_state_dict(a.state_dict())


def layers(module):
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
    return [m for m in module.modules() if isinstance(m, kinds)]


def randomise(module):
    torch.manual_seed(3)
    for layer in layers(module):
        nn.init.normal_(layer.weight, 0.1 if isinstance(layer, nn.BatchNorm2d) else 0.0, 0.1)
        if layer.bias is not None:
            nn.init.normal_(layer.bias, 0, 0.1)
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    return module.eval()


def assert_equal(ours, peer, channels=1, side=64):
    x = torch.rand(2, channels, side, side)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), peer.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_unet_equals_monai():
    monai = pytest.importorskip("monai.networks.nets.basic_unet")
    w = [8, 16, 32, 64, 128]
    common = {"act": "relu", "norm": "batch", "bias": False, "dropout": 0.0}
    peer = monai.BasicUNet(2, 1, 3, (*w, 8), upsample="deconv", **common)
    # its last level keeps the width when it enlarges; the paper halves it there too
    peer.upcat_1 = monai.UpCat(2, 16, 8, 8, upsample="deconv", halves=True, **common)
    ours = randomise(models.build("unet", 1, 3, width=8))
    found = [peer.conv_0, peer.down_1, peer.down_2, peer.down_3, peer.down_4]
    up = [
        m
        for k in (4, 3, 2, 1)
        for m in (getattr(peer, f"upcat_{k}").upsample, getattr(peer, f"upcat_{k}").convs)
    ]
    ours_up = [m for k in (3, 2, 1, 0) for m in (ours.raise_[k], ours.up[k])]
    for a, b in zip([*ours.down, *ours_up, ours.head], [*found, *up, peer.final_conv], strict=True):
        copy_in_order(layers(a), layers(b))
    assert_equal(ours, peer)


def test_unetpp_equals_monai():
    monai = pytest.importorskip("monai.networks.nets.basic_unetplusplus")
    common = {"act": "relu", "norm": None, "bias": True, "dropout": 0.0}
    peer = monai.BasicUNetPlusPlus(
        2, 1, 3, (8, 16, 32, 64, 128, 8), upsample="deconv", deep_supervision=True, **common
    )
    for j in range(1, 5):  # as in U-Net: its first level keeps the width when it enlarges
        mended = monai.UpCat(2, 16, 8 * j, 8, upsample="deconv", halves=True, **common)
        setattr(peer, f"upcat_0_{j}", mended)
    ours = randomise(models.build("unetpp", 1, 3, width=8, layout="keras"))
    for i in range(5):
        copy_in_order(layers(ours.blocks[f"{i}_0"]), layers(getattr(peer, f"conv_{i}_0")))
        for j in range(1, 5 - i):
            node = getattr(peer, f"upcat_{i}_{j}")
            copy_in_order([ours.raise_[f"{i}_{j}"]], layers(node.upsample))
            copy_in_order(layers(ours.blocks[f"{i}_{j}"]), layers(node.convs))
    for j in range(1, 5):
        copy_in_order([ours.heads[str(j)]], layers(getattr(peer, f"final_conv_0_{j}")))
    x = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        for a, b in zip(ours.eval()._heads(x), peer.eval()(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_qvum_encoder_equals_segmentation_models():
    smp = pytest.importorskip("segmentation_models_pytorch")
    peer = smp.encoders.get_encoder("vgg16", depth=4, weights=None).eval()
    ours = VGG16(3)
    ours.load_state_dict({k: v for k, v in peer.state_dict().items() if k in ours.state_dict()})
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for a, b in zip(ours(x), peer(x), strict=True):
            assert torch.equal(a, b)


def test_qvum_joins_the_widths_of_the_paper():
    network = models.build("qvum", 3, 4)
    assert [block[0].in_channels for block in reversed(network.decoder)] == [1024, 768, 384, 192]
    assert sum(p.numel() for p in network.encoder.parameters()) == 14_714_688


def test_bpsegsys_is_the_library_network():
    smp = pytest.importorskip("segmentation_models_pytorch")
    ours = models.build("bpsegsys_r", 3, 4)
    peer = smp.Unet("resnet34", encoder_weights=None, classes=4)
    peer.load_state_dict(ours.network.state_dict())
    assert_equal(ours, peer, 3)


def test_vistr_backbone_equals_torchvision():
    peer = torchvision.models.resnet50(weights=None).eval()
    ours = vistr_parts.Backbone(3, "resnet50").eval()
    for module in peer.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    ours.load_state_dict({k: v for k, v in peer.state_dict().items() if k in ours.state_dict()})
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        stem = peer.maxpool(peer.relu(peer.bn1(peer.conv1(x))))
        expected = peer.layer4(peer.layer3(peer.layer2(peer.layer1(stem))))
        torch.testing.assert_close(ours(x)[-1], expected)


def test_deformable_convolution_equals_torchvision():
    torch.manual_seed(0)
    layer = vistr_parts.DeformableConv(6, 4)
    nn.init.normal_(
        layer.offset.weight, 0, 1.0
    )  # offsets of several pixels, some beyond the border
    nn.init.normal_(layer.offset.bias, 0, 1.0)
    x = torch.randn(2, 6, 9, 11)
    with torch.no_grad():
        expected = torchvision.ops.deform_conv2d(x, layer.offset(x), layer.weight, padding=1)
        torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_generalised_iou_equals_torchvision():
    boxes = torch.rand(2, 20, 4) * 0.5 + 0.1
    convert = torchvision.ops.box_convert
    a, b = (convert(v, "cxcywh", "xyxy") for v in boxes)
    expected = torchvision.ops.generalized_box_iou(a, b).diagonal()
    torch.testing.assert_close(vistr_parts.generalised_iou(*boxes), expected)


def test_boxes_of_masks_equal_torchvision():
    target = torch.zeros(2, 20, 30, dtype=torch.int64)
    target[0, 3:9, 10:25], target[1, 0:20, 29:30] = 1, 2
    present, boxes = vistr_parts.detection_targets(target, 2)
    assert present.tolist() == [[True, False], [False, True]]
    corners = torchvision.ops.masks_to_boxes(
        (target == torch.tensor([1, 2])[:, None, None]).float()
    )
    corners[:, 2:] += 1  # torchvision gives the last pixel, a box ends after it
    expected = torchvision.ops.box_convert(corners, "xyxy", "cxcywh") / torch.tensor(
        [30, 20, 30, 20]
    )
    torch.testing.assert_close(torch.stack([boxes[0, 0], boxes[1, 1]]), expected)
    assert not boxes[0, 1].any()


def test_authors_vistr_trains_as_many_numbers_as_they_print():
    with torch.device("meta"):
        network = models.build("vistr", 3, 2, clip_length=36, outputs=42, freeze_stem=True)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 75_709_217


def test_unetpp_answers_with_its_last_head():
    network = models.build("unetpp", 1, 3, width=8).eval()
    x = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(x), network._heads(x)[-1])


def test_deep_supervision_trains_every_head():
    network = models.build("unetpp", 1, 3, width=8)
    x, y = torch.rand(2, 1, 20, 24), torch.randint(0, 3, (2, 20, 24))
    criterion = losses.build({"name": "ce"})
    loss = models.training_loss(network.eval(), x, y, criterion)
    expected = torch.stack(
        [criterion(h[..., :20, :24], y) for h in network._heads(network.prepare(x))]
    ).mean()
    torch.testing.assert_close(loss, expected)


def test_vistr_reads_clips_and_fills_the_last_one():
    network = models.build("vistr", 1, 3, backbone="resnet50", clip_length=2).eval()
    assert models.clip_length(network) == 2
    assert models.clip_length(models.build("femoral_unet", 1, 2)) == 1
    x = torch.rand(3, 1, 32, 32)
    with torch.no_grad():
        found = network(x)
        assert found.shape == (3, 3, 32, 32)
        torch.testing.assert_close(found, network(torch.cat([x, x[-1:]]))[:3])
        assert not torch.allclose(network(x[[0, 0]])[0], found[0])  # its neighbour matters


def test_sigmoid_networks_agree_with_softmax():
    network = models.build("femoral_unet", 1, 2).eval()
    x = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        logits = network(x)
    assert not logits[:, 0].any()
    torch.testing.assert_close(logits.softmax(1)[:, 1], logits[:, 1].sigmoid())


def test_original_unet_has_the_sizes_of_the_paper():
    network = models.build("unet_valid", 1, 2, width=2).eval()
    with torch.no_grad():
        assert network.valid(torch.rand(1, 1, 572, 572)).shape == (1, 2, 388, 388)


@pytest.mark.parametrize("part", ["amd", "dar", "aeh", "basa", "ermha"])
def test_every_part_of_dmrnet_can_be_switched_off(part):
    with torch.device("meta"):
        whole, less = (
            models.build("dmrnet_r", 1, 5),
            models.build("dmrnet_r", 1, 5, **{part: False}),
        )
        assert less(torch.zeros(1, 1, 32, 32)).shape == (1, 5, 32, 32)
    removed = {
        "amd": 3_492_416,
        "dar": 1_983_152,
        "aeh": 186_542,
        "basa": 1_184,
        "ermha": 4_215_810,
    }[part]
    assert (
        sum(p.numel() for p in whole.parameters()) - sum(p.numel() for p in less.parameters())
        == removed
    )


def test_unknown_networks_are_named():
    with pytest.raises(StudyError, match="no network 'unett'; there are qvum, unet"):
        models.build("unett", 3, 4)
    with pytest.raises(StudyError, match="no architecture 'Unett'"):
        models.build("smp:Unett/resnet18", 3, 4)
    with pytest.raises(StudyError, match="resnet19"):
        models.build("smp:Unet/resnet19", 3, 4)
    with pytest.raises(StudyError, match="at least one channel"):
        models.build("unet", 0, 4)


def test_reconstructions_say_so():
    for name in models.NAMES:
        entry = catalogue.entry(name)
        assert entry.is_reconstruction == entry.label.endswith("-R") == name.endswith("_r")
    assert not catalogue.entry("smp:Unet/resnet18").is_reconstruction
