"""What HD95, ASSD and the surface Dice cost, beside MONAI, in one run on the same masks.

Prints milliseconds of processor time an image (median and range over rounds that alternate, after a
warm-up), their ratio, the largest disagreement, and what 637 images of five networks take on two
cores. Masks: ellipses with rough outlines, three structures of 224 × 224 pixels, as the Q-VUM
paper's test set has them. Needs MONAI and torch (the tests' extra).
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from monai import metrics as monai
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers import metrics

IMAGES, ROUNDS, SIZE, CLASSES, TOLERANCES = 20, 5, 224, 4, (1.0, 2.0)
WHOLE = 637 * 5


def mask(draw):
    """Class indices uint8 (SIZE, SIZE): three rough ellipses side by side."""
    y, x = np.indices((SIZE, SIZE))
    rough = ndimage.gaussian_filter(draw.normal(size=(SIZE, SIZE)), 6) * 3
    out = np.zeros((SIZE, SIZE), np.uint8)
    for k, (row, column) in enumerate([(60, 70), (120, 150), (170, 80)], start=1):
        high, wide = draw.uniform(18, 30), draw.uniform(30, 55)
        out[((y - row) / high) ** 2 + ((x - column) / wide) ** 2 + rough < 1] = k
    return out


def ours(pairs):
    return np.array(
        [
            [metrics.boundary(p == c, r == c, tolerances=TOLERANCES) for c in range(1, CLASSES)]
            for p, r in pairs
        ]
    )


def with_counts(pairs):
    for p, r in pairs:
        metrics.counts(p, r, CLASSES)
    return ours(pairs)


def theirs(pairs):
    found = []
    for p, r in pairs:
        p, r = (torch.from_numpy(np.stack([m == c for c in range(CLASSES)])[None]) for m in (p, r))
        own = [monai.compute_hausdorff_distance(p, r, percentile=95)]
        own.append(monai.compute_average_surface_distance(p, r, symmetric=True))
        own += [
            monai.compute_surface_dice(p, r, [t] * (CLASSES - 1), use_subvoxels=False)
            for t in TOLERANCES
        ]
        found.append(torch.stack([m[0] for m in own], dim=1).numpy())
    return np.array(found)


def main():
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    pairs = [(mask(draw), mask(draw)) for _ in range(IMAGES)]
    ways = {"ours": ours, "ours, with counts": with_counts, "MONAI": theirs}
    spent, results = {name: [] for name in ways}, {}
    for number in range(ROUNDS + 1):
        for name, function in ways.items():
            started = time.process_time()
            results[name] = function(pairs)
            if number:  # the first round warms up
                spent[name].append(1000 * (time.process_time() - started) / IMAGES)
    for name, values in spent.items():
        print(
            f"{name}: {np.median(values):.2f} ms an image ({min(values):.2f} to {max(values):.2f}),"
            f" {WHOLE} on two cores {np.median(values) * WHOLE / 2000:.1f} s"
        )
    ratios = [b / a for a, b in zip(spent["ours"], spent["MONAI"], strict=True)]
    print(f"MONAI / ours: {np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")
    apart = np.abs(results["ours"] - results["MONAI"]).max((0, 1))
    named = ("HD95", "ASSD", *(f"NSD {t:g} px" for t in TOLERANCES))
    print(", ".join(f"{n} {d:.1e}" for n, d in zip(named, apart, strict=True)), "apart at most")


if __name__ == "__main__":
    main()
