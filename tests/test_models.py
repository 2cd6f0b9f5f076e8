"""Every network through one tester: shapes, gradients, sizes, channels, files, compilation,
published size.
"""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from helpers import models
from helpers.errors import StudyError
from helpers.models import catalogue
from helpers.training import losses

torch.set_num_threads(1)
CRITERION = losses.build({"name": "focal_dice"}, None)
NORMS = (nn.BatchNorm2d, nn.Dropout)


def images(channels, height=32, width=32, count=2, seed=0):
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


def blobs(count=4, size=32):
    """Four images whose classes can be told by brightness, and their masks (classes 0 and 1)."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    masks = torch.stack(
        [((rows - 10 - 3 * i) ** 2 + (columns - 20 + 2 * i) ** 2 < 50).long() for i in range(count)]
    )
    noise = torch.rand(count, size, size, generator=torch.Generator().manual_seed(1))
    return (0.7 * masks + 0.3 * noise)[:, None], masks


class NetworkTests:
    """Inherited by every network. options: smaller than published where the network allows it."""

    name: str
    options: dict = {}  # noqa: RUF012
    #: parameters whose gradient is zero by construction at the start, with the reason in the
    #: subclass
    no_gradient: tuple = ()
    learning_rate = 3e-3

    def build(self, channels=1, classes=3, **options):
        torch.manual_seed(0)
        return models.build(self.name, channels, classes, **self.options | options)

    def test_gradients_reach_every_parameter(self):
        network = self.build()
        with torch.no_grad():  # parts that start at exactly zero would hide what lies behind them
            for parameter in network.parameters():
                if not parameter.any():
                    parameter.normal_(0, 0.02)
        target = torch.randint(0, 3, (2, 64, 64), generator=torch.Generator().manual_seed(2))
        models.training_loss(network, images(1, 64, 64), target, CRITERION).backward()
        without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert [n for n in without if n not in self.no_gradient] == []
        assert all(p.grad.isfinite().all() for p in network.parameters())

    @pytest.mark.parametrize(("height", "width"), [(32, 32), (37, 50), (65, 33)])
    def test_any_size(self, height, width):
        with torch.no_grad():
            logits = self.build().eval()(images(1, height, width))
        assert logits.shape == (2, 3, height, width)
        assert logits.isfinite().all()

    @pytest.mark.parametrize(("channels", "classes"), [(1, 1), (3, 2), (3, 8)])
    def test_channels_and_classes(self, channels, classes):
        with torch.no_grad():
            logits = self.build(channels, classes).eval()(images(channels))
        assert logits.shape == (2, classes, 32, 32)

    def test_one_to_eight_classes(self):
        for channels in (1, 3):
            for classes in range(1, 9):
                with torch.device("meta"):  # shapes alone
                    logits = self.build(channels, classes).eval()(torch.zeros(1, channels, 64, 64))
                assert logits.shape == (1, classes, 64, 64)

    def test_wrong_channels_are_named(self):
        with pytest.raises(ValueError, match="N×3×H×W"):
            self.build(3).eval()(images(1))

    def test_training_mode_changes_only_normalisation_and_dropout(self):
        network = self.build().train()
        for module in network.modules():
            if isinstance(module, NORMS):
                module.eval()
            if isinstance(module, nn.MultiheadAttention):
                module.dropout = 0.0
            if hasattr(module, "frozen"):
                module.frozen = True
        with torch.no_grad():
            training = network(images(1))
            torch.testing.assert_close(training, network.eval()(images(1)))

    def test_weights_survive_a_file(self, tmp_path):
        network, other = self.build().eval(), self.build().eval()
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(0.1)
            save_file(
                {k: v.contiguous() for k, v in network.state_dict().items()},
                tmp_path / "w.safetensors",
            )
            other.load_state_dict(load_file(tmp_path / "w.safetensors"))
            assert torch.equal(network(images(1)), other(images(1)))

    def test_compiles_in_one_graph(self):
        network = self.build().eval()
        torch._dynamo.reset()
        with torch.no_grad():
            compiled = torch.compile(network, backend="eager", fullgraph=True)
            for size in ((32, 32), (37, 50)):
                torch.testing.assert_close(compiled(images(1, *size)), network(images(1, *size)))

    def test_channels_last_changes_nothing(self):
        network = self.build().eval()
        with torch.no_grad():
            expected = network(images(1))
            found = network.to("cpu", memory_format=torch.channels_last)(images(1))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)

    def test_bfloat16(self):
        network = self.build().eval()
        with torch.no_grad():
            exact = network(images(1)).softmax(1)
            with torch.autocast("cpu", torch.bfloat16):
                close = network(images(1)).float().softmax(1)
        assert (exact - close).abs().mean() < 0.02

    def test_published_size(self):
        published = catalogue.entry(self.name).parameters
        assert published
        for channels, classes, options, count in published:
            with torch.device("meta"):
                network = models.build(self.name, channels, classes, **options)
            assert sum(p.numel() for p in network.parameters()) == count

    def test_unknown_option_is_named(self):
        with pytest.raises(StudyError, match="wdith"):
            models.build(self.name, 1, 2, wdith=3)

    def test_learns_four_images_by_heart(self):
        torch.manual_seed(0)
        x, target = blobs()
        network = models.build(self.name, 1, 2, **self.options)
        optimiser = torch.optim.Adam(network.parameters(), self.learning_rate)
        dice = 0.0
        for step in range(300):
            network.train()
            optimiser.zero_grad()
            models.training_loss(network, x, target, CRITERION).backward()
            optimiser.step()
            if step % 5 == 4:
                network.eval()
                with torch.no_grad():
                    found = network(x).argmax(1)
                dice = float(2 * (found * target).sum() / (found.sum() + target.sum()))
                if dice > 0.95:
                    return
        raise AssertionError(f"Dice {dice:.3f} after 300 steps")

    def test_exports_to_onnx(self, tmp_path):
        import onnxruntime

        network, x = self.build().eval(), images(1)
        with torch.no_grad():
            program = torch.export.export(network, (x,))
            torch.testing.assert_close(program.module()(x), network(x))
            torch.onnx.export(
                program, f=str(tmp_path / "n.onnx"), dynamo=True, optimize=False, verbose=False
            )
            session = onnxruntime.InferenceSession(
                tmp_path / "n.onnx", providers=["CPUExecutionProvider"]
            )
            (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
            torch.testing.assert_close(torch.from_numpy(found), network(x), atol=1e-4, rtol=1e-4)


class TestQVUM(NetworkTests):
    name = "qvum"


class TestUNet(NetworkTests):
    name, options = "unet", {"width": 8}
    learning_rate = 1e-2


class TestUNetBilinear(NetworkTests):
    name, options = "unet_bilinear", {"width": 8}


class TestUNetValid(NetworkTests):
    name, options = "unet_valid", {"width": 8}


class TestUNetPlusPlus(NetworkTests):
    name, options = "unetpp", {"width": 8}


class TestUNetPlusPlusKeras(NetworkTests):
    name, options = "unetpp", {"width": 8, "layout": "keras"}


class TestBPSegSysR(NetworkTests):
    name = "bpsegsys_r"


class TestVisTR(NetworkTests):
    name, options = "vistr", {"backbone": "resnet50"}
    learning_rate = 1e-3
    # the first decoder layer attends over zeros: its self-attention weights cannot matter yet
    # (Carion 2020)
    no_gradient = tuple(
        f"transformer.decode.0.{p}"
        for p in ("attend.in_proj_weight", "attend.out_proj.weight", "norms.0.weight")
    )


class TestVisTRClips(TestVisTR):
    options = {"backbone": "resnet50", "clip_length": 3}  # noqa: RUF012


class TestFemoralUNet(NetworkTests):
    name = "femoral_unet"


class TestKerasStarter(NetworkTests):
    name, options = "keras_starter", {"width": 8}


class TestTLFUNet(NetworkTests):
    name, options = "tlf_unet", {"width": 8}


class TestDilatedUNetR(NetworkTests):
    name, options = "dilated_unet_r", {"width": 8}


class TestDMRNetR(NetworkTests):
    name = "dmrnet_r"


class TestZoo(NetworkTests):
    name, options = "smp:FPN/resnet18", {"decoder_dropout": 0.0}

    def test_published_size(self):
        import segmentation_models_pytorch as smp

        with torch.device("meta"):
            ours, peer = self.build(3, 4), smp.create_model("FPN", "resnet18", None, 3, 4)
        assert sum(p.numel() for p in ours.parameters()) == sum(
            p.numel() for p in peer.parameters()
        )
