"""How fast a network learns here, beside the loops that people write: one run, the same network.

    python benchmarks/training.py                          # Q-VUM, 64 px, batch 8
    python benchmarks/training.py --size 224 --batch 32 --images 512 --device cuda

Ours is ``training.fit``. Beside it smp's and torchvision's way (Dataset, transforms.v2 a sample,
DataLoader) and MONAI's (CacheDataset, random dictionary transforms, DataLoader), each in float32
and the plain layout as their documentation shows it, and in our precision with channels last;
network, batch, optimiser and kinds of augmentation are the same. Epochs of all loops alternate; the
first of each warms up. Printed: images a second, the ratio of ours to each (median and range over
rounds), and what share of the device's own convolution rate in the same run ours reaches (a
training step is taken for three forward passes).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers import datasets, models, provenance, studies, training
from helpers.analyses import speed
from helpers.models import inference

CLASSES = 4
SPEC = {
    "optimiser": {"name": "adamw", "lr": 1e-4, "weight_decay": 0.01},
    "schedule": {"name": "constant"},
    "loss": {"name": "ce_dice"},
    "class_weights": False,
    "augmentation": {
        "scale": [0.8, 1.25],
        "rotation_deg": [-20, 20],
        "shift": 0.1,
        "flip_horizontal": 0.5,
    },
    "checkpoint": "last",
    "encoder_weights": "none",
    "normalise": "none",
}


PLAIN, LAST = torch.contiguous_format, torch.channels_last


def network(args):
    torch.manual_seed(0)
    return models.build(args.model, 3, CLASSES).to(args.device).train()


def clocked(args, epoch):
    """Images a second of one epoch, by the clock asked for, the device's work included."""
    clock = time.process_time if args.clock == "processor" else time.perf_counter
    started = clock()
    epoch()
    if args.device.type == "cuda":
        torch.cuda.synchronize()
    return args.images / (clock() - started)


def ours(args, images, masks):
    """A function that learns one epoch by ``training.fit``."""
    index = pd.DataFrame({"patient_id": [None] * len(images)})
    arrays, built = datasets.Arrays(images, masks, index), network(args)
    spec = studies.DEFAULTS | SPEC | {"epochs": 1, "batch": args.batch}
    train, none = np.arange(len(images)), np.arange(0)

    def epoch():
        with tempfile.TemporaryDirectory() as folder:
            training.fit(built, arrays, train, none, spec, [1.0] * CLASSES, 0, Path(folder), "ours")

    return epoch


class Samples(Dataset):
    """Images and masks as a user of torchvision holds them, changed at random one by one."""

    def __init__(self, images, masks):
        from torchvision import tv_tensors
        from torchvision.transforms import v2

        self.pairs = [
            (tv_tensors.Image(np.repeat(x[None], 3, 0)), tv_tensors.Mask(y))
            for x, y in zip(images, masks, strict=True)
        ]
        self.change = v2.Compose(
            [
                v2.RandomAffine(20, translate=(0.1, 0.1), scale=(0.8, 1.25)),
                v2.RandomHorizontalFlip(),
                v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
            ]
        )

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, k):
        return self.change(*self.pairs[k])


def torchvision(args, images, masks):
    import segmentation_models_pytorch as smp

    dice, entropy = smp.losses.DiceLoss("multiclass"), torch.nn.CrossEntropyLoss()
    data = Samples(images, masks)
    return loop(args, data, lambda b: b, lambda x, y: dice(x, y) + entropy(x, y))


def monai(args, images, masks):
    from monai import data, losses, transforms

    keys = ["image", "label"]
    change = transforms.Compose(
        [
            transforms.EnsureTyped(keys),
            transforms.RandAffined(
                keys,
                prob=1.0,
                rotate_range=0.35,
                translate_range=args.size // 10,
                scale_range=0.2,
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            transforms.RandFlipd(keys, prob=0.5, spatial_axis=1),
        ]
    )
    items = [
        {"image": np.repeat(x[None] / np.float32(255), 3, 0), "label": y[None].astype(np.float32)}
        for x, y in zip(images, masks, strict=True)
    ]
    cached = data.CacheDataset(items, change, progress=False)
    both = losses.DiceCELoss(to_onehot_y=True, softmax=True)
    return loop(
        *(args, cached, lambda b: (b["image"], b["label"][:, 0].long())),
        lambda x, y: both(x, y[:, None]),
    )


def loop(args, data, pair, criterion):
    """(precision, layout) → a function that learns one epoch in the usual loop."""
    loader = DataLoader(data, args.batch, shuffle=True, drop_last=True, num_workers=args.workers)

    def make(bf16, layout):
        built = network(args).to(memory_format=layout)
        optimiser = torch.optim.AdamW(built.parameters(), lr=1e-4, weight_decay=0.01)

        def epoch():
            for x, y in map(pair, loader):
                x, y = x.to(args.device, memory_format=layout), y.to(args.device).long()
                optimiser.zero_grad()
                with torch.autocast(args.device.type, torch.bfloat16, enabled=bf16):
                    loss = criterion(built(x).float(), y)
                loss.backward()
                optimiser.step()
                loss.item()  # what such loops print

        return epoch

    return make


def roof(args, bf16, seconds=1.0):
    """GFLOP/s of a 3 × 3 convolution, 256 channels, 56 × 56 pixels, eight images: the best seen."""
    kind, n = torch.bfloat16 if bf16 else torch.float32, 8
    layer = torch.nn.Conv2d(256, 256, 3, padding=1).to(args.device, kind)
    layer = layer.to(memory_format=torch.channels_last)
    x = torch.rand(n, 256, 56, 56, device=args.device, dtype=kind)
    x = x.to(memory_format=torch.channels_last)
    clock = time.process_time if args.clock == "processor" else time.perf_counter
    work, best, began = n * 2 * 9 * 256 * 256 * 56 * 56, 0.0, time.perf_counter()
    with torch.inference_mode():
        while time.perf_counter() - began < seconds:
            started = clock()
            layer(x)
            if args.device.type == "cuda":
                torch.cuda.synchronize()
            best = max(best, work / (clock() - started))
    return best / 1e9


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="qvum")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--images", type=int, default=32, help="an epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="of the peers' DataLoader")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", type=torch.device, default=inference.best_device())
    parser.add_argument(
        "--clock", choices=["wall", "processor"], default="wall", help="processor: a shared machine"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.images -= args.images % args.batch
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (args.images, args.size, args.size), dtype=np.uint8)
    masks = draw.integers(0, CLASSES, images.shape, dtype=np.uint8)
    bf16 = inference.has_bf16(args.device)
    loops = {"ours": ours(args, images, masks)}
    for name, make in (("torchvision", torchvision), ("MONAI", monai)):
        peer = make(args, images, masks)
        loops |= {f"{name}, float32 as documented": peer(False, PLAIN)}
        precision = "bfloat16" if bf16 else "float32"
        loops |= {f"{name}, {precision} and channels last": peer(bf16, LAST)}
    speeds = {name: [] for name in loops}
    for number in range(args.rounds + 1):
        for name, epoch in loops.items():
            found = clocked(args, epoch)
            if number:  # the first warms up
                speeds[name].append(found)
    where = torch.cuda.get_device_name() if args.device.type == "cuda" else provenance.processor()
    print(
        f"{args.model}, {args.size} px, batch {args.batch}, {args.images} images an epoch, {where},"
        f" {torch.get_num_threads()} threads, {args.clock} time"
    )
    first = np.array(speeds["ours"])
    for name, own in speeds.items():
        ratios = first / np.array(own)
        print(
            f"{name}: {np.median(own):.1f} images/s ({min(own):.1f} to {max(own):.1f}); ours is"
            f" × {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
        )
    gmacs = speed.cost(args.model, 3, CLASSES, args.size)["GMACs"]
    most = roof(args, bf16)
    reached = 6 * gmacs * np.median(first)
    print(
        f"roof {most:.0f} GFLOP/s in {'bfloat16' if bf16 else 'float32'}; ours {reached:.0f},"
        f" {100 * reached / most:.0f} % of it"
    )


if __name__ == "__main__":
    main()
