"""What the networks cost and how fast they are, for Table 4 on any machine.

    python benchmarks/speed.py --out speed.json python benchmarks/speed.py --devices cuda:0
    --seconds 5 --batches 1 8 32 128 --precision float32 bfloat16 --compiled

Needs torch, numpy and segmentation-models-pytorch (with what it brings) alone, so that it runs on a
machine without the rest of the study. Beside the networks of the Q-VUM paper it times the library's
own VGG16 U-Net as a yardstick. Prints a line a measurement; --out keeps everything as JSON with
code version, libraries, machine and parameters.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import numpy as np
import torch

from helpers import files, models, provenance
from helpers.analyses import speed
from helpers.errors import StudyError

MODELS = ("qvum", "unet", "unetpp", "bpsegsys_r", "vistr", "smp:Unet/vgg16")
LINE = (
    "  {device} {precision}{how} {data} batch {batch}: {ms_median:.2f} ms an image ({ms_q25:.2f} to"
    " {ms_q75:.2f}; p95 {ms_p95:.2f}, p99 {ms_p99:.2f}), {fps:.1f} images/s, first call"
    " {first_call_s:.1f} s"
)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=MODELS, help="names of helpers.models")
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[1, 4], help="images at a time, growing"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="for each measurement; at least three repeats"
    )
    parser.add_argument("--devices", nargs="+", help="cpu, cuda:0, mps; default: all found")
    parser.add_argument(
        "--precision", nargs="+", default=["float32"], choices=["float32", "bfloat16"]
    )
    parser.add_argument("--compiled", action="store_true", help="also with torch.compile")
    parser.add_argument("--images", help="real images, a .npy file uint8 N×H×W of the stated size")
    parser.add_argument("--out", help="JSON file to write")
    return parser.parse_args()


def main():
    args = arguments()
    real = np.load(args.images) if args.images else None
    if real is not None and (real.dtype != np.uint8 or real.shape[1:] != (args.size, args.size)):
        sys.exit(
            f"error: {args.images}: is {real.dtype} {real.shape}, must be uint8"
            f" N×{args.size}×{args.size}"
        )
    known = dict(speed.devices())
    if unknown := set(args.devices or known) - set(known):
        sys.exit(f"error: no device {', '.join(sorted(unknown))} here; found {', '.join(known)}")
    torch.backends.cudnn.benchmark = True
    costs, rows, started = [], [], time.perf_counter()
    for name in args.models:
        channels = models.entry(name).channels
        costs.append(speed.cost(name, channels, args.classes, args.size))
        print(
            "{model}: {parameters:,} parameters, {GMACs:.1f} GMACs at {size_px} px".format(
                **costs[-1]
            ),
            flush=True,
        )
        for device in args.devices or known:
            for precision in args.precision:
                for compiled in [False, True] if args.compiled else [False]:
                    found = speed.measure(
                        name,
                        channels,
                        args.classes,
                        args.size,
                        device,
                        real=real,
                        batches=args.batches,
                        precision=precision,
                        compiled=compiled,
                        seconds=args.seconds,
                    )
                    rows += found
                    for r in found:
                        print(LINE.format(how=" compiled" if compiled else "", **r), flush=True)
    print(f"{len(rows)} measurements in {time.perf_counter() - started:.0f} s")
    if args.out:
        about = {
            "code": provenance.code_version(),
            "libraries": provenance.libraries(),
            "devices": known,
            "hardware": provenance.hardware(),
            "time": provenance.now(),
            "cuda": torch.version.cuda,
            "parameters": vars(args),
        }
        result = {
            "about": about,
            "counted": speed.COUNTED,
            "timed": speed.TIMED,
            "cost": costs,
            "speed": rows,
        }
        files.write_json(result, args.out)


if __name__ == "__main__":
    try:
        main()
    except StudyError as error:
        sys.exit(f"error: {error}")
