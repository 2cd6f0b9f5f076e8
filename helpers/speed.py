"""What a network costs and how fast it is: counted without running, timed on every device found.

Timed is what a user waits for: uint8 images in memory to class maps in memory (copy to the device, division by 255,
normalisation, network, argmax, copy back); reading files is left out. Repeats are timed one by one after warm-up
calls, with the device synchronised, and given as median and quartiles. No pandas: results are lists of dicts.
"""

import platform
import time
import weakref

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from helpers import models

#: what is counted, printed under the tables
COUNTED = (
    f"Parameters and MACs at the stated size, batch 1. MACs: half the operations of torch.utils.flop_counter (torch "
    f"{torch.__version__.split('+')[0]}), which counts convolutions, matrix products and attention. Peak memory: the "
    "most bytes of intermediate results alive at once in float32, weights not included, counted operation by "
    "operation; the working space of libraries is left out."
)
TIMED = (
    "From uint8 image in memory to class map in memory; files are not read. Median with quartiles over single, "
    "synchronised repeats after warm-up; first call: the time of the very first one, compilation included where there "
    "is any."
)


class _Peak(TorchDispatchMode):
    """Bytes of live tensor storage made while the mode is on: ``peak`` is the most at one time.

    known: tensors that do not count (weights, input), nor do views of them.
    """

    def __init__(self, known):
        super().__init__()
        self.live, self.peak = 0, 0
        self.seen = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.seen:
                    self._born(storage)
        return result

    def _born(self, storage):
        key, size = storage._cdata, storage.nbytes()
        self.seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._died, key, size)

    def _died(self, key, size):
        self.seen.discard(key)
        self.live -= size


def cost(name, channels, classes, size, **options):
    """What one image of size × size costs a network: dict(model, size_px, parameters, trained_parameters, GMACs,
    activations_MiB). Counted on shapes alone, so no arithmetic is done and any size is quick."""
    with torch.device("meta"):
        network = models.build(name, channels, classes, **options).eval()
        images = torch.zeros(1, channels, size, size)
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    network.requires_grad_(False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    with torch.no_grad(), _Peak([*network.parameters(), *network.buffers(), images]) as memory:
        network(images)
    return {
        "model": name,
        "size_px": size,
        "parameters": sum(p.numel() for p in network.parameters()),
        "trained_parameters": trained,
        "GMACs": counter.get_total_flops() / 2e9,
        "activations_MiB": memory.peak / 2**20,
    }


def devices():
    """Every device torch can use here: list of (device name for torch, what it is in words)."""
    found = [(f"cuda:{i}", torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append(("mps", "Apple GPU"))
    return [*found, ("cpu", f"{_processor()}, {torch.get_num_threads()} thread(s)")]


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _call(network, images, device, precision, norm):
    """One timed unit: uint8 N×H×W on the processor to class map uint8 N×H×W on the processor."""
    mean, std = norm
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        x = images.to(device, non_blocking=True)[:, None].float().div_(255).sub_(mean).div_(std)
        x = x.expand(-1, network_channels(network), -1, -1).contiguous(memory_format=torch.channels_last)
        return network(x).argmax(1).to(torch.uint8).cpu()


def network_channels(network):
    """Input channels of a network, compiled or not."""
    return getattr(network, "_orig_mod", network).in_channels


def timings(network, images, device, *, precision="float32", norm=(0.0, 1.0), seconds=1.0, least=3, warm_up=2):
    """Repeat one batch for about ``seconds`` (at least ``least`` times) after warm-up; dict of times.

    network: on ``device``, eval mode; images: uint8 N×H×W on the processor; norm: mean and SD after division by 255.
    Returns first_call_s, repeats, warm_up and, for the batch, ms_median, ms_q25, ms_q75; peak_MiB on CUDA.
    """
    device = torch.device(device)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    marks, times = time.perf_counter(), []
    _call(network, images, device, precision, norm)
    _wait(device)
    first = time.perf_counter() - marks
    for _ in range(warm_up - 1):
        _call(network, images, device, precision, norm)
    _wait(device)
    began = time.perf_counter()
    while len(times) < least or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        _call(network, images, device, precision, norm)
        _wait(device)
        times.append(time.perf_counter() - start)
    low, median, high = (float(v) * 1000 for v in np.percentile(times, [25, 50, 75]))
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if cuda else None
    return {"first_call_s": first, "warm_up": warm_up, "repeats": len(times), "ms_median": median, "ms_q25": low,
            "ms_q75": high, "peak_MiB": peak}  # fmt: skip


def measure(name, channels, classes, size, device, *, real=None, batches=(1, 2, 4, 8), precision="float32",
            compiled=False, seconds=1.0, least=3, **options):  # fmt: skip
    """Speed of one network on one device: list of dicts, one row for each batch size and kind of data.

    real: uint8 N×H×W images of the study at ``size``, or None; dummy images (uniform noise) are timed too, with real
    ones at the first batch size alone. Batch sizes grow while images per second still rise by 5 %. Rows: model, device,
    data, batch, size_px, fps (images per second), ms per image (median and quartiles), precision, compiled, and the
    entries of ``timings``.
    """
    device = torch.device(device)
    torch.manual_seed(0)
    network = models.build(name, channels, classes, **options).eval()
    network = network.to(device, memory_format=torch.channels_last)
    if compiled:
        network = torch.compile(network)
    noise = torch.randint(0, 256, (max(batches), size, size), dtype=torch.uint8)
    pools = ([("real", torch.as_tensor(np.array(real)))] if real is not None else []) + [("dummy", noise)]
    rows = []
    for data, pool in pools:
        best = 0.0
        for batch in batches if data == "real" or real is None else batches[:1]:
            images = pool[torch.arange(batch) % len(pool)]
            row = timings(network, images, device, precision=precision, seconds=seconds, least=least)
            fps = 1000 * batch / row["ms_median"]
            per_image = {f"ms_{k}": row.pop(f"ms_{k}") / batch for k in ("median", "q25", "q75")}
            rows.append({"model": name, "device": str(device), "data": data, "batch": batch, "size_px": size,
                         "fps": fps, **per_image, "precision": precision, "compiled": compiled, **row})  # fmt: skip
            if fps < 1.05 * best:
                break
            best = max(best, fps)
    return rows
