"""What networks cost, counted; how fast they are, timed: on this processor, and in what order on a
CUDA device.
"""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from helpers import models, provenance
from helpers.analyses import speed
from helpers.models import inference

pytestmark = pytest.mark.slow

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("name", "channels", "classes", "gmacs"),
    [
        ("qvum", 3, 4, 43.1),
        ("unet", 3, 4, 36.9),
        ("unet_bilinear", 3, 4, 30.6),
        ("bpsegsys_r", 3, 4, 6.0),
        ("dilated_unet_r", 1, 2, 21.4),
    ],
)
def test_arithmetic_at_224(name, channels, classes, gmacs):
    assert speed.cost(name, channels, classes, 224)["GMACs"] == pytest.approx(gmacs, abs=0.05)


def test_memory_is_counted_as_by_hand():
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)).to("meta")
    x = torch.zeros(1, 1, 64, 64, device="meta")
    with torch.no_grad(), speed._Count([*network.parameters(), x]) as counted:
        network(x)
    assert counted.operations == 2 * 64 * 64 * 9 * (1 * 8 + 8 * 4)
    assert counted.peak == (8 + 4) * 64 * 64 * 4  # both outputs are alive while the second is made


def test_speed_is_measured_for_real_and_dummy_images():
    rows = speed.measure(
        "femoral_unet",
        1,
        2,
        32,
        "cpu",
        real=[np.zeros((32, 32), np.uint8)] * 2,
        batches=(1, 2),
        seconds=0,
    )
    assert (rows[0]["data"], rows[0]["batch"]) == ("real", 1)
    assert {r["data"] for r in rows} == {"real", "dummy"}
    for row in rows:
        assert row["repeats"] >= 3
        assert row["ms_q25"] <= row["ms_median"] <= row["ms_q75"]
        assert row["fps"] == pytest.approx(1000 / row["ms_median"])


def test_a_cuda_device_is_waited_for_before_and_after(monkeypatch):
    said = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            said.append("record")

        def elapsed_time(self, other):
            assert other is not self
            said.append("read")
            return 5.0

    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: said.append("wait"))
    wall, own = speed._timed(lambda: said.append("call"), torch.device("cuda:0"))
    assert said == ["wait", "record", "call", "record", "wait", "read"]
    assert own == 0.005 and wall > 0  # each by its own clock


def test_a_compiled_network_is_timed_too():
    network = models.build("femoral_unet", 1, 2).eval()
    compiled = torch.compile(network, backend="eager")
    row = speed.timings(compiled, torch.zeros(2, 16, 16, dtype=torch.uint8), "cpu", seconds=0)
    assert (row["repeats"], row["device_ms"], row["peak_MiB"]) == (3, None, None)


def test_the_benchmark_alone_writes_everything_about_its_run(tmp_path):
    np.save(tmp_path / "real.npy", np.zeros((2, 32, 32), np.uint8))
    command = [
        sys.executable,
        ROOT / "benchmarks/speed.py",
        "--models",
        "femoral_unet",
        "--size",
        "32",
    ]
    rest = [
        "--devices",
        "cpu",
        "--seconds",
        "0",
        "--images",
        tmp_path / "real.npy",
        "--out",
        tmp_path / "speed.json",
    ]
    done = subprocess.run(command + rest, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "speed.json").read_text())
    assert {(r["data"], r["batch"]) for r in found["speed"]} >= {("real", 1), ("dummy", 1)}
    assert found["cost"][0]["parameters"] == sum(
        p.numel() for p in models.build("femoral_unet", 1, 4).parameters()
    )
    assert found["about"]["devices"]["cpu"]
    assert torch.__version__.startswith(found["about"]["libraries"]["torch"])
    absent = subprocess.run(
        [*command, "--devices", "cuda:7"], capture_output=True, text=True, check=False
    )
    assert absent.returncode == 1 and absent.stderr.startswith(
        "error: no device cuda:7 here; found"
    )


def test_the_paper_network_goes_down_and_up():
    found = speed.convolutions("qvum", 3, 4, 64)
    assert (
        found["side_px"].iloc[0] == found["side_px"].iloc[-1] == 64
        and found["channels"].iloc[-1] == 4
    )
    encoder, decoder = found[:13], found[13:]
    assert encoder["channels"].tolist() == [
        64,
        64,
        128,
        128,
        256,
        256,
        256,
        512,
        512,
        512,
        512,
        512,
        512,
    ]
    assert encoder["side_px"].is_monotonic_decreasing and decoder["side_px"].is_monotonic_increasing


def test_costs_of_several_networks_and_sizes_build_each_once():
    networks = [{"name": n, "channels": 1, "options": {}} for n in ("femoral_unet", "tlf_unet")]
    table = speed.costs(networks, 2, [32, 64])
    assert table["model"].tolist() == ["femoral_unet", "tlf_unet"] * 2
    assert table["size_px"].tolist() == [32, 32, 64, 64]
    alone = speed.cost("femoral_unet", 1, 2, 64)
    assert table.iloc[2].to_dict() == alone


def test_networks_are_timed_in_the_precision_that_scores_them(monkeypatch):
    monkeypatch.setattr(inference, "has_bf16", lambda device: True)
    networks = [{"name": "femoral_unet", "channels": 1, "options": {}}]
    real = [np.zeros((32, 32), np.uint8)]
    table = speed.compare(networks, 2, 32, real, [1], 0)
    assert set(table["precision"]) == {"bfloat16"} and set(table["data"]) == {"real", "dummy"}
    monkeypatch.setattr(inference, "has_bf16", lambda device: False)
    assert speed.scored_precision("cpu") == "float32"


def test_the_processor_is_described_once():
    assert provenance.hardware()["processor"] == provenance.processor()
    assert speed.devices()[-1][1].startswith(provenance.processor())
