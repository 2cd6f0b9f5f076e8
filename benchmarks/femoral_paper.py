"""Huang 2019 as printed: the kept trainings of its network by its own protocol, beside its numbers.

Reads reports/femoral/results/paper (counts at 256 px, a folder a training) and prints pooled IoU,
median IoU with quartiles, and the share of images with IoU above 0.5, of the 62 test images and of
the ten folds, as far as they are kept. In …/paper_repeat lies seed 42 as earlier code trained it:
the same seed, but other numbers drawn from it.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pandas as pd  # noqa: E402
from scipy.stats import f  # noqa: E402

from helpers import metrics, stats, studies  # noqa: E402
from helpers.workflow import keep  # noqa: E402

PRINTED = {
    "main": "printed     pooled 0.638   median 0.644 (0.555 to 0.735)   above 0.5: 83.9 %",
    "folds": (
        "printed, median (quartiles) of ten folds     pooled 0.656 (0.628 to 0.672)"
        "   above 0.5: 88.4 % (82.1 to 90.7)"
    ),
}


def tested(path):
    """The rows of a kept training's test images."""
    rows = keep.counts(path)
    return rows[(rows["class"] != "background") & (rows["split"] == "test")]


def each_iou(path):
    """IoU of every test image (Series by image_id), 0 where nothing was drawn."""
    return metrics.scores(tested(path)).set_index("image_id")["IoU"].fillna(0)


def measured(path):
    """(pooled IoU, quartiles of the images' IoU, % of images above 0.5) of a kept training."""
    rows, each = tested(path), each_iou(path)
    quartiles = each.quantile([0.25, 0.5, 0.75]).tolist()
    return metrics.pooled(rows)["IoU"].iloc[0], quartiles, 100 * (each > 0.5).mean()


def seeds_share(by_seed):
    """Of the variance of one training's mean IoU, the share (0…1) that is the random start's, with
    its 95 % interval by F; the rest is the images' (variance over images of the mean over seeds, by
    their number). by_seed: DataFrame, images × seeds.
    """
    images, seeds = by_seed.shape
    ratio = by_seed.mean().var(ddof=1) / (by_seed.mean(axis=1).var(ddof=1) / images)
    low, high = f.ppf([0.975, 0.025], seeds - 1, images - 1)
    return tuple(r / (1 + r) for r in (ratio, ratio / low, ratio / high))


def best():
    """Print what is kept of protocol `best`, a line a training, at its own size; then its Q-VUM
    beside the same random starts by the settings of `quick` (protocol `live`), image by image. In
    …/best_first lies what was called so before the search went on.
    """
    study = studies.load("femoral", "best")
    kept = keep.trainings(study)
    for path in keep.folder(study).with_name("best_first").glob("train/qvum/main_*"):
        kept["qvum", "first", path.name[-2:]] = path
    print("protocol best, on the same 62 test images; aimed at: pooled 0.760, above 0.5: 96.0 %")
    for key, path in kept.items():
        pooled, (low, median, high), above = measured(path)
        print(
            f"{key[0]}, {key[1]:5} {key[2]}    pooled {pooled:.3f}   median {median:.3f}"
            f" ({low:.3f} to {high:.3f})   above 0.5: {above:.1f} %"
        )
    ways = {"best": kept, "quick": keep.trainings(studies.load("femoral", "live"))}
    rows = [
        tested(path).assign(model=way)
        for way, trainings in ways.items()
        for (model, fold, _), path in trainings.items()
        if (model, fold) == ("qvum", "main")
    ]
    rows = pd.concat(rows, ignore_index=True)
    if "best" in set(rows["model"]):
        found = stats.training_luck(rows, "best", "IoU", study.target).iloc[0]
        print(
            f"IoU of an image beside quick: {found['difference']:+.3f} ({found['t_low']:+.3f} to"
            f" {found['t_high']:+.3f}, {found['n']} images, {found['seeds_headline']} and"
            f" {found['seeds_model']} random starts)"
        )


def main():
    study = studies.load("femoral", "paper")
    kept = keep.trainings(study)
    for path in keep.folder(study).with_name("paper_repeat").glob("train/femoral_unet/main_*"):
        kept["femoral_unet", "main", f"{path.name[-2:]} again"] = path
    for part, printed in PRINTED.items():
        own = {key: path for key, path in kept.items() if (key[1] == "main") == (part == "main")}
        if not own:
            continue
        print(printed)
        found = []
        for (_, fold, seed), path in own.items():
            pooled, (low, median, high), above = measured(path)
            found.append((pooled, median, above))
            print(
                f"{fold:5} {seed!s:8}    pooled {pooled:.3f}   median {median:.3f} ({low:.3f} to"
                f" {high:.3f})   above 0.5: {above:.1f} %"
            )
        for name, values in zip(
            ("pooled", "median", "above"), zip(*found, strict=True), strict=True
        ):
            low, median, high = pd.Series(values).quantile([0.25, 0.5, 0.75])
            print(
                f"{name}: median {median:.3f} (quartiles {low:.3f} to {high:.3f}),"
                f" from {min(values):.3f} to {max(values):.3f} over {len(values)}"
            )
        if part == "main" and len(own) > 1:
            by_seed = pd.DataFrame({k: each_iou(path) for k, path in enumerate(own.values())})
            share, low, high = (100 * value for value in seeds_share(by_seed))
            print(
                f"the seed's share of the variance of a training's mean IoU: {share:.0f} %"
                f" ({low:.0f} to {high:.0f})"
            )
    best()


if __name__ == "__main__":
    main()
