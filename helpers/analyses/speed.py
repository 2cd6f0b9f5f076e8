"""What a network costs and how fast it is: counted without running, timed on every device found.

Timed is what a user waits for: uint8 images in memory to class maps in memory (copy to the device,
division by 255, normalisation, network, argmax, copy back); reading files is left out. Repeats are
timed one by one after warm-up calls, with the device synchronised, and given as median and
quartiles; a CUDA device also times itself by events. The precision is the one that results are
scored in: bfloat16 where the device is faster with it, else float32.
"""

import itertools
import math
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from helpers import models, provenance
from helpers.models import inference

#: what is counted, printed under the tables
COUNTED = (
    "Counted for one image. Multiply-adds (MACs): half the operations of torch.utils.flop_counter"
    f" (torch {torch.__version__.split('+')[0]}), which counts convolutions, matrix products and"
    " attention. Activations: the peak memory in float32, most bytes of intermediate results alive"
    " at once, without the weights (4 bytes a parameter) and the working space of libraries."
)
TIMED = (
    "From uint8 image in memory to class map in memory; files are not read. ms an image: median"
    " (quartiles) of single, synchronised repeats after warm-up. First call: the very first one,"
    " compilation included where there is any."
)


#: times of a batch: median, quartiles, and what one in 20 and one in 100 exceeds
MS = ("ms_median", "ms_q25", "ms_q75", "ms_p95", "ms_p99")


class _Count(TorchDispatchMode):
    """What is done while the mode is on: ``operations`` (floating point, by torch's own formulas)
    and ``peak``, the most bytes of live tensor storage at one time.

    known: tensors that do not count (weights, input), nor do views of them.
    """

    def __init__(self, known: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.operations = self.live = self.peak = 0
        self.seen = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence = (), options: dict | None = None
    ) -> Any:
        result = function(*arguments, **(options or {}))
        if formula := flop_registry.get(function._overloadpacket):
            self.operations += formula(*arguments, **(options or {}), out_val=result)
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.seen:
                    self._born(storage)
        return result

    def _born(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self.seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._died, key, size)

    def _died(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.live -= size


def cost(name: str, channels: int, classes: int, size: int, **options: Any) -> dict:
    """What one image of size × size costs a network: dict(model, size_px, parameters, GMACs,
    activations_MiB).

    Counted on shapes alone, so no arithmetic is done and any size is quick.
    """
    return {"model": name} | _count(_shapes(name, channels, classes, options), channels, size)


def costs(networks: Sequence[dict], classes: int, sizes: Sequence[int]) -> pd.DataFrame:
    """The costs of several networks at several sides, DataFrame with a row each (see :func:`cost`).

    networks: dicts with name, channels and options, as a study's models are; classes: how many.
    """
    rows = {}
    for m in networks:
        network = _shapes(m["name"], m["channels"], classes, m["options"])
        for size in sizes:
            rows[size, m["name"]] = {"model": m["name"]} | _count(network, m["channels"], size)
    return pd.DataFrame([rows[size, m["name"]] for size in sizes for m in networks])


def _shapes(name: str, channels: int, classes: int, options: dict) -> nn.Module:
    with torch.device("meta"):
        network = models.build(name, channels, classes, **options)
    return network.eval().requires_grad_(False)


def _count(network: nn.Module, channels: int, size: int) -> dict:
    images = torch.zeros(1, channels, size, size, device="meta")
    with torch.no_grad(), _Count([*network.parameters(), *network.buffers(), images]) as counted:
        network(images)
    return {
        "size_px": size,
        "parameters": sum(p.numel() for p in network.parameters()),
        "GMACs": counted.operations / 2e9,
        "activations_MiB": counted.peak / 2**20,
    }


def convolutions(name: str, channels: int, classes: int, size: int, **options: Any) -> pd.DataFrame:
    """Every convolution of a network in the order in which it computes: columns layer, channels,
    side_px.

    name, channels (of the image), classes, options: as ``helpers.models.build``; size: side of the
    image in pixels. channels, side_px: of what it gives. Nothing is computed.
    """
    rows = []

    def note(_layer: nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
        rows.append((len(rows) + 1, output.shape[1], output.shape[-1]))

    once = {key: value for key, value in options.items() if key != "mirrored"}
    network = _shapes(name, channels, classes, once)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            layer.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, channels, size, size, device="meta"))
    return pd.DataFrame(rows, columns=["layer", "channels", "side_px"])


def devices() -> list[tuple[str, str]]:
    """Every device torch can use here: list of (device name for torch, what it is in words)."""
    found = [(f"cuda:{i}", torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append(("mps", "Apple GPU"))
    threads = torch.get_num_threads()
    said = f"{provenance.processor()}, {threads} thread{'s' if threads > 1 else ''}"
    return [*found, ("cpu", said)]


def scored_precision(device: torch.device | str) -> str:
    """ "bfloat16" or "float32": what predictions are made in on this device."""
    return "bfloat16" if inference.has_bf16(torch.device(device)) else "float32"


def _timed(call: Callable, device: torch.device) -> tuple[float, float]:
    """(by the wall clock, by a CUDA device's own clock or NaN) seconds of one call, until the
    device has finished.
    """
    if device.type != "cuda":
        start = time.perf_counter()
        call()
        if device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter() - start, math.nan
    with torch.cuda.device(device):  # events belong to the current device
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        first.record()
        call()
        last.record()
        torch.cuda.synchronize(device)
        return time.perf_counter() - start, first.elapsed_time(last) / 1000


def _call(
    network: Any,
    images: torch.Tensor,
    device: torch.device,
    precision: str,
    norm: tuple[float, float],
) -> torch.Tensor:
    """One timed unit: uint8 N×H×W on the processor to class map uint8 N×H×W on the processor."""
    mean, std = norm
    with (
        torch.inference_mode(),
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"),
    ):
        x = images.to(device, non_blocking=True)[:, None].float().div_(255).sub_(mean).div_(std)
        x = x.expand(-1, network.in_channels, -1, -1).contiguous(memory_format=torch.channels_last)
        return network(x).argmax(1).to(torch.uint8).cpu()


def timings(
    network: nn.Module,
    images: torch.Tensor,
    device: torch.device | str,
    *,
    precision: str = "float32",
    norm: tuple[float, float] = (0.0, 1.0),
    seconds: float = 1.0,
    least: int = 3,
    warm_up: int = 2,
) -> dict:
    """Repeat one batch for about ``seconds`` (at least ``least`` times) after warm-up; dict of
    times.

    network: on ``device``, eval mode; images: uint8 N×H×W on the processor; norm: mean and SD after
    division by 255. Returns first_call_s, repeats, warm_up and, for the batch, ``MS``; on CUDA also
    device_ms, the median by the device's own clock, and peak_MiB, everything it held at once,
    weights included (elsewhere None).
    """
    device = torch.device(device)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)

    def once() -> tuple[float, float]:
        return _timed(lambda: _call(network, images, device, precision, norm), device)

    first, *_ = [once()[0] for _ in range(warm_up)]
    times, began = [], time.perf_counter()
    while len(times) < least or time.perf_counter() - began < seconds:
        times.append(once())
    wall, own = (1000 * np.array(each) for each in zip(*times, strict=True))
    found: dict = {"first_call_s": first, "warm_up": warm_up, "repeats": len(times)}
    found |= dict(zip(MS, np.percentile(wall, [50, 25, 75, 95, 99]).tolist(), strict=True))
    found["device_ms"] = float(np.median(own)) if cuda else None
    return found | {"peak_MiB": torch.cuda.max_memory_allocated(device) / 2**20 if cuda else None}


def measure(
    name: str,
    channels: int,
    classes: int,
    size: int,
    device: torch.device | str,
    *,
    real: np.ndarray | None = None,
    batches: Sequence[int] = (1, 2, 4, 8),
    precision: str | None = None,
    compiled: bool = False,
    seconds: float = 1.0,
    least: int = 3,
    **options: Any,
) -> list[dict]:
    """Speed of one network on one device: list of dicts, one row for each batch size and kind of
    data.

    real: uint8 N×H×W images of the study at ``size``, or None; dummy images (uniform noise) are
    timed too, with real ones at the first batch size alone. Batch sizes grow while images per
    second still rise by 5 %. precision: None for the one that results are scored in. Rows: model,
    device, data, batch, size_px, fps (images per second), precision, compiled, and the entries of
    ``timings``, its times in ms divided by the batch.
    """
    device, precision = torch.device(device), precision or scored_precision(device)
    torch.manual_seed(0)
    network = models.build(name, channels, classes, **options).eval()
    network = network.to(device).to(memory_format=torch.channels_last)
    if compiled:
        network = cast(torch.nn.Module, torch.compile(network))
    noise = torch.randint(0, 256, (max(batches), size, size), dtype=torch.uint8)
    pools = ([("real", torch.as_tensor(np.array(real)))] if real is not None else []) + [
        ("dummy", noise)
    ]
    rows = []
    for data, pool in pools:
        best = 0.0
        for batch in batches if data == "real" or real is None else batches[:1]:
            images = pool[torch.arange(batch) % len(pool)]
            row = timings(
                network, images, device, precision=precision, seconds=seconds, least=least
            )
            fps = 1000 * batch / row["ms_median"]
            row |= {k: row[k] / batch for k in (*MS, "device_ms") if row[k] is not None}
            about = {"model": name, "device": str(device), "data": data, "batch": batch}
            about |= {"size_px": size, "fps": fps, "precision": precision, "compiled": compiled}
            rows.append(about | row)
            if fps < 1.05 * best:
                break
            best = max(best, fps)
    return rows


def compare(
    networks: Sequence[dict],
    classes: int,
    size: int,
    real: np.ndarray | None,
    batches: Sequence[int],
    seconds: float,
    compiled: bool = False,
) -> pd.DataFrame:
    """Speed of several networks on every device found: DataFrame with the rows of :func:`measure`.

    networks: dicts with name, channels and options; compiled: also with torch.compile.
    """
    rows, hows = [], [False, True] if compiled else [False]
    for (device, _), m, how in itertools.product(devices(), networks, hows):
        rows += measure(
            *(m["name"], m["channels"], classes, size, device),
            real=real,
            batches=batches,
            seconds=seconds,
            compiled=how,
            **m["options"],
        )
    return pd.DataFrame(rows)
