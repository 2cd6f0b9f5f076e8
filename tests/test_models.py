"""Every network through one tester: shapes, gradients, sizes, channels, published size; those
that a study trains also files, precision, compilation and learning.

Shapes are computed on the meta device, where no number is: they do not depend on weights.
"""

import copy
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from helpers import models
from helpers.errors import StudyError
from helpers.models import catalogue, inference, vistr, vistr_parts
from helpers.training import losses

pytestmark = pytest.mark.slow

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

    @pytest.fixture(scope="class")
    def cached(self):
        """The class's network in evaluation mode, built once; ``network`` is for who changes it."""
        return self.build().eval()

    @pytest.fixture
    def network(self, cached):
        return copy.deepcopy(cached)

    def shape(self, channels, classes, *size):
        """Shape of the logits for two images, computed without a number."""
        with torch.device("meta"):
            return self.build(channels, classes).eval()(torch.zeros(2, channels, *size)).shape

    def test_gradients_reach_every_parameter(self, network):
        network.train()
        with torch.no_grad():  # parts that start at exactly zero would hide what lies behind them
            for parameter in network.parameters():
                if not parameter.any():
                    parameter.normal_(0, 0.02)
        target = torch.randint(0, 3, (2, 64, 64), generator=torch.Generator().manual_seed(2))
        models.training_loss(network, images(1, 64, 64), target, CRITERION).backward()
        without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert [n for n in without if n not in self.no_gradient] == []
        assert all(p.grad.isfinite().all() for p in network.parameters())

    def test_any_size(self, cached):
        with torch.device("meta"):
            network = self.build().eval()
            for size in ((32, 32), (37, 50), (65, 33)):
                assert network(torch.zeros(2, 1, *size)).shape == (2, 3, *size)
        with torch.no_grad():
            logits = cached(images(1, 37, 50))
        assert logits.shape == (2, 3, 37, 50)
        assert logits.isfinite().all()

    def test_one_to_eight_classes(self):
        for channels, classes in ((1, 1), (1, 2), (1, 8), (3, 1), (3, 5)):
            assert self.shape(channels, classes, 64, 64) == (2, classes, 64, 64)

    def test_wrong_channels_are_named(self, cached):
        with pytest.raises(ValueError, match="N×1×H×W"):
            cached(images(3))

    def test_published_size(self):
        published = catalogue.entry(self.name).parameters
        assert published
        for channels, classes, options, count in published:
            with torch.device("meta"):
                network = models.build(self.name, channels, classes, **options)
            found = sum(p.numel() for p in network.parameters())
            assert found == count, f"{found} weights; parameters in catalogue.yml says {count}"

    def test_unknown_option_is_named(self):
        with pytest.raises(StudyError, match="wdith"):
            models.build(self.name, 1, 2, wdith=3)


class TrainedTests(NetworkTests):
    """Also inherited by every network that a protocol of data_manifest trains."""

    def learner(self):
        return models.build(self.name, 1, 2, **self.options)

    def test_training_mode_changes_only_normalisation_and_dropout(self, network):
        network.train()
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

    def test_weights_survive_a_file(self, network, tmp_path):
        other = copy.deepcopy(network)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(0.1)
            save_file(
                {k: v.contiguous() for k, v in network.state_dict().items()},
                tmp_path / "w.safetensors",
            )
            other.load_state_dict(load_file(tmp_path / "w.safetensors"))
            assert torch.equal(network(images(1)), other(images(1)))

    def test_channels_last_changes_nothing(self, network):
        with torch.no_grad():
            expected = network(images(1))
            found = network.to("cpu", memory_format=torch.channels_last)(images(1))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)

    def test_bfloat16(self, cached):
        network = cached
        with torch.no_grad():
            exact = network(images(1)).softmax(1)
            with torch.autocast("cpu", torch.bfloat16):
                close = network(images(1)).float().softmax(1)
        assert (exact - close).abs().mean() < 0.02

    def test_weights_rounded_once_give_the_same_answers(self, network, monkeypatch):
        monkeypatch.setattr(inference, "has_bf16", lambda device: True)
        norm = {"mean": [0.0], "std": [1.0]}
        shown = (255 * images(1)[:, 0]).byte()
        (expected,) = inference.logits(network, shown, norm)
        (found,) = inference.logits(inference.as_scored(network), shown, norm)
        assert torch.equal(found, expected)
        assert any(p.dtype == torch.bfloat16 for p in network.parameters())

    @pytest.mark.slow
    def test_compiles_in_one_graph(self, network):
        torch._dynamo.reset()
        with torch.no_grad():
            compiled = torch.compile(network, backend="eager", fullgraph=True, dynamic=False)
            odd = images(1, 37, 50)
            torch.testing.assert_close(compiled(odd), network(odd))

    @pytest.mark.slow
    def test_learns_four_images_by_heart(self):
        torch.manual_seed(0)
        x, target = blobs()
        network = self.learner()
        optimiser = torch.optim.Adam(network.parameters(), self.learning_rate, fused=True)
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


class TestQVUM(TrainedTests):
    name = "qvum"
    learning_rate = 1e-3


class TestUNet(TrainedTests):
    name, options = "unet", {"width": 8}
    learning_rate = 1e-2


class TestUNetBilinear(NetworkTests):
    name, options = "unet_bilinear", {"width": 8}


class TestUNetValid(NetworkTests):
    name, options = "unet_valid", {"width": 8}


class TestUNetPlusPlus(TrainedTests):
    name, options = "unetpp", {"width": 8}


class TestUNetPlusPlusKeras(NetworkTests):
    name, options = "unetpp", {"width": 8, "layout": "keras"}


class TestBPSegSysR(TrainedTests):
    name = "bpsegsys_r"


class TestVisTR(TrainedTests):
    name, options = "vistr", {"backbone": "resnet50"}
    learning_rate = 2e-3
    # the first decoder layer attends over zeros: its self-attention weights cannot matter yet
    # (Carion 2020)
    no_gradient = tuple(
        f"transformer.decode.0.{p}"
        for p in ("attend.in_proj_weight", "attend.out_proj.weight", "norms.0.weight")
    )

    def learner(self):
        """With two layers for six, and narrower ones: learning takes the same path through them."""

        def narrow(width, heads, inner, layers, dropout):
            return vistr_parts.Transformer(width, heads, 512, layers=2, dropout=dropout)

        with mock.patch.object(vistr, "Transformer", narrow):
            return super().learner()


class TestVisTRClips(NetworkTests):
    """In no protocol; what it shares with single images is tested there."""

    name, options = "vistr", {"backbone": "resnet50", "clip_length": 3}
    no_gradient = TestVisTR.no_gradient


class TestFemoralUNet(TrainedTests):
    name = "femoral_unet"


class TestKerasStarter(NetworkTests):
    name, options = "keras_starter", {"width": 8}


class TestTLFUNet(TrainedTests):
    name, options = "tlf_unet", {"width": 8}


class TestDilatedUNetR(NetworkTests):
    name, options = "dilated_unet_r", {"width": 8}


class TestDMRNetR(TrainedTests):
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


def _others():
    """A class for every network of the catalogue that has none above, with its default options."""
    tested = {each.name for each in NetworkTests.__subclasses__() if hasattr(each, "name")}
    tested |= {each.name for each in TrainedTests.__subclasses__()}
    for name in sorted(set(models.NAMES) - tested):
        yield f"Test_{name}", type(f"Test_{name}", (NetworkTests,), {"name": name})


globals().update(_others())
