"""Which engine is the fastest that still gives the study's outlines, and whether it keeps up live.

    python benchmarks/inference.py                        # Q-VUM, 224 px, random weights
    python benchmarks/inference.py --model runs/phantom/train/qvum/main_11 --images images.npy
    python benchmarks/inference.py --live --model femoral --study femoral:quick

Engines: eager float32, eager bfloat16 (as results are scored), torch.compile, ONNX Runtime and
OpenVINO; one that is not installed is named and left out. All are timed in one run, an image at a
time, in rounds that alternate, after a warm-up. Printed: percentiles 50, 95 and 99 of the latency,
the median ratio to eager float32 with its range over rounds, how many pixels keep their class and
how far a probability moves. The fastest within --tolerance (share of pixels of another class) is
named. --live: from frame to overlay, cine in and overlay video out, and which of a study's kept
networks is small and not inferior to its headline network (one-sided, by the declared margin).
Beside the engines the roof: the convolution rate that this machine reaches in the same run, and
what it would allow this network.
"""

import argparse
import contextlib
import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers import datasets, figures, models, provenance, stats, studies
from helpers.analyses import speed
from helpers.errors import StudyError
from helpers.models import inference, trained
from helpers.readers import videos
from helpers.workflow import keep
from tools.predict import exports

PERCENTILES = (50, 95, 99)
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def eager(network, bf16):
    """An engine: float32 (1, C, H, W) to logits, as the study predicts."""

    def run(x):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return network(x).float()

    return run


def compiled(network, bf16):
    return eager(torch.compile(network), bf16)


def exported(network, x, folder):
    """The network as an ONNX file."""
    path = Path(folder) / "network.onnx"
    with contextlib.redirect_stdout(None):
        torch.onnx.export(network, (x.contiguous(),), str(path), dynamo=True, verbose=False)
    return path


def onnx_runtime(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: torch.from_numpy(session.run(None, {name: x.contiguous().numpy()})[0])


def openvino(path, threads, precision):
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
    settings |= {"PERFORMANCE_HINT": "LATENCY"}
    network = openvino.Core().compile_model(str(path), "CPU", settings)
    return lambda x: torch.from_numpy(network([x.contiguous().numpy()])[0].copy())


def engines(network, x, threads, folder, compile_too):
    """(name → engine, names that are not installed) for this machine."""
    bf16 = inference.has_bf16(torch.device("cpu"))
    found, missing = {"eager float32": eager(network, False)}, []
    if bf16:
        found["eager bfloat16"] = eager(network, True)
    if compile_too:
        found["compiled"] = compiled(network, bf16)
    there = {n: importlib.util.find_spec(n) for n in ("onnx", "onnxscript", "onnxruntime")}
    lacking = [name for name, spec in there.items() if spec is None]
    if lacking:
        return found, [f"ONNX Runtime and OpenVINO ({', '.join(lacking)})"]
    path = exported(network, x, folder)
    found["ONNX Runtime float32"] = onnx_runtime(path, threads)
    if importlib.util.find_spec("openvino") is None:
        return found, ["OpenVINO (openvino)"]
    found["OpenVINO float32"] = openvino(path, threads, "f32")
    if bf16:
        found["OpenVINO bfloat16"] = openvino(path, threads, "bf16")
    return found, missing


def roof(bf16, clock, seconds=1.0):
    """GFLOP/s of a 3 × 3 convolution of 256 channels, 56 × 56 pixels: the best of several calls."""
    kind = torch.bfloat16 if bf16 else torch.float32
    layer = torch.nn.Conv2d(256, 256, 3, padding=1).to(kind, memory_format=torch.channels_last)
    x = torch.rand(1, 256, 56, 56).to(kind, memory_format=torch.channels_last)
    work, best, began = 2 * 9 * 256 * 256 * 56 * 56, 0.0, time.perf_counter()
    with torch.inference_mode():
        while time.perf_counter() - began < seconds:
            started = clock()
            layer(x)
            best = max(best, work / (clock() - started))
    return best / 1e9


def agreement(reference, logits):
    """(share of pixels of another class, largest change of a probability) against the reference."""
    other = (reference.argmax(1) != logits.argmax(1)).float().mean().item()
    return other, (reference.softmax(1) - logits.softmax(1)).abs().max().item()


def compare(network, images, norm, threads, rounds, tolerance, compile_too, clock):
    """Time every engine in alternating rounds and print a line each; returns the chosen name."""
    batch = [inference.prepare(image[None, None], norm) for image in images]
    with tempfile.TemporaryDirectory() as folder:
        found, missing = engines(network, batch[0], threads, folder, compile_too)
        times, apart = {name: [] for name in found}, {}
        for number in range(rounds + 1):
            for name, engine in list(found.items()):
                try:
                    own, logits = [], []
                    for x in batch:
                        started = clock()
                        logits.append(engine(x))
                        own.append(1000 * (clock() - started))
                except Exception as error:  # a compiler or a library that this machine lacks
                    missing.append(f"{name} ({type(error).__name__})")
                    del found[name], times[name]
                    continue
                if number:  # the first round warms up, and tells how far answers lie apart
                    times[name].append(own)
                else:
                    apart[name] = torch.cat(logits)
    first, fits = np.array(times["eager float32"]), {}
    for name, own in times.items():
        other, moved = agreement(apart["eager float32"], apart[name])
        low, mid, high = np.percentile(own, PERCENTILES)
        ratios = np.median(first, 1) / np.median(own, 1)
        print(
            f"{name}: p50 {low:.1f}, p95 {mid:.1f}, p99 {high:.1f} ms an image; × eager float32"
            f" {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f});"
            f" {100 * other:.3f} % of pixels of another class, a probability moves by at most"
            f" {moved:.3f}"
        )
        if other <= tolerance:
            fits[name] = low
    print("".join(f"not here: {name}\n" for name in missing), end="")
    chosen = min(fits, key=fits.get)
    print(f"chosen: {chosen}, the fastest with at most {100 * tolerance:g} % of other pixels")
    return chosen, fits[chosen]


def live(predictor, frames, rate, rounds, folder, clock):
    """Time what a viewer waits for, frame by frame, and the way from cine to overlay video."""
    times = []
    for number in range(rounds + 1):
        for frame in frames:
            started = clock()
            mask = trained.segment(predictor, frame[None])[0]
            figures.overlay(frame, mask, predictor, contour=True)
            if number:
                times.append(1000 * (clock() - started))
    low, mid, high = np.percentile(times, PERCENTILES)
    print(
        f"live, {predictor.record['training']['name']} at {predictor.size} px, frames of"
        f" {frames.shape[2]} × {frames.shape[1]}: p50 {low:.1f}, p95 {mid:.1f}, p99 {high:.1f} ms"
        f" from frame to overlay ({len(times)} frames)"
    )
    cine, out = Path(folder) / "cine.mp4", Path(folder) / "overlay.mp4"
    exports.video(
        (np.repeat(f[..., None] / 255, 3, 2) for f in frames), frames.shape[1:], rate, cine
    )
    started = clock()
    read, rate = videos.read_video(cine)
    masks = trained.segment(predictor, read)
    drawn = (
        figures.overlay(f, m, predictor, contour=True) for f, m in zip(read, masks, strict=True)
    )
    exports.video(drawn, read.shape[1:], rate, out)
    seconds = clock() - started
    print(f"cine of {len(read)} frames to overlay video: {len(read) / seconds:.1f} frames a second")


def smaller(study):
    """Print which kept networks are smaller than the headline network of a study, and whether one
    is not inferior by the study's margin: the network to use live.
    """
    kept = keep.trainings(study)
    rows = pd.concat([keep.counts(path) for path in kept.values()], ignore_index=True)
    rows = stats.select(stats.check(rows, "kept counts"))
    head, settings = study.headline, study.statistics
    records = {
        model: keep.record(path) for (model, fold, _), path in kept.items() if fold == "main"
    }
    size = {model: about["parameters"] for model, about in records.items() if about}
    each = stats.values(rows, settings["metric"], settings["class"])
    table = stats.equivalence(each, head, settings["margin"], stats.default_unit(rows))
    for row in table.itertuples():
        if size[row.model] < size[head]:
            enough = "not inferior" if row.p_not_superior < stats.ALPHA else "may be inferior"
            print(
                f"{row.model}, {size[row.model]:,} of {size[head]:,} parameters:"
                f" {-row.difference:+.3f} {settings['metric']} ({-row.high:+.3f} to"
                f" {-row.low:+.3f}, 90 %) beside {head}, {enough} by {settings['margin']}"
            )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", help="folder of a training, or a study whose network comes along"
    )
    parser.add_argument(
        "--name", default="qvum", help="without --model: random weights of this one"
    )
    parser.add_argument("--size", type=int, default=224, help="without --model: side in pixels")
    parser.add_argument("--images", help=".npy file, uint8 (N, rows, columns); noise without it")
    parser.add_argument("--count", type=int, default=8, help="images a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tolerance", type=float, default=0.001)
    parser.add_argument("--uncompiled", action="store_true", help="leave torch.compile out")
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="processor: on a machine that others use"
    )
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--study", help="with --live: STUDY:PROTOCOL whose kept networks to judge")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    frames = np.load(args.images) if args.images else None
    if frames is None:
        frames = draw.integers(0, 256, (args.count, 271, 515), dtype=np.uint8)
    frames = frames[: args.count]
    print(
        f"{provenance.processor()}, {args.threads} threads, {args.clock} time, load"
        f" {os.getloadavg()[0]:.1f}"
    )
    if args.live:
        if args.study:
            smaller(studies.load(*args.study.split(":")))
        with tempfile.TemporaryDirectory() as folder:
            predictor = trained.load(args.model or "femoral", "cpu")
            live(predictor, frames, 25, args.rounds, folder, CLOCKS[args.clock])
        return
    if args.model:
        loaded = trained.load(args.model, "cpu", as_scored=False)
        network, size, norm = loaded.network, loaded.size, loaded.norm
        training = loaded.record["training"]
        name, options = training["name"], training.get("options", {})
    else:
        name, size, options = args.name, args.size, {}
        channels = models.entry(name).channels
        network = models.build(name, channels, 4).to(memory_format=torch.channels_last).eval()
        norm = {"mean": [0.0] * channels, "std": [1.0] * channels}
    small = torch.from_numpy(np.stack([datasets.resize_image(f, size) for f in frames]))
    gmacs = speed.cost(name, network.in_channels, network.classes, size, **options)["GMACs"]
    print(f"{name}, {size} px, {gmacs:.1f} billion multiply-adds an image")
    chosen, ms = compare(
        *(network, small, norm, args.threads, args.rounds, args.tolerance, not args.uncompiled),
        CLOCKS[args.clock],
    )
    bf16 = "bfloat16" in chosen or (
        chosen == "compiled" and inference.has_bf16(torch.device("cpu"))
    )
    for kind in (False, True) if inference.has_bf16(torch.device("cpu")) else (False,):
        rate = roof(kind, CLOCKS[args.clock])
        most = rate / (2 * gmacs)
        text = f"roof in {'bfloat16' if kind else 'float32'}: {rate:.0f} GFLOP/s"
        text += f", at most {most:.1f} images a second"
        if kind == bf16:
            text += f"; {chosen} makes {1000 / ms:.1f}, {100 * 1000 / ms / most:.0f} % of it"
        print(text)


if __name__ == "__main__":
    try:
        main()
    except StudyError as error:
        sys.exit(f"error: {error}")
