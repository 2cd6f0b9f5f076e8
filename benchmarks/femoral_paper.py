"""Huang 2019 as printed: the kept trainings of its network by its own protocol, beside its numbers.

Reads reports/femoral/results/paper (counts at 256 px, a folder a training) and prints pooled IoU,
median IoU with quartiles, and the share of images with IoU above 0.5, of the 62 test images and of
the ten folds, as far as they are kept.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from helpers import metrics, studies  # noqa: E402
from helpers.workflow import keep  # noqa: E402

PRINTED = {
    "main": "printed     pooled 0.638   median 0.644 (0.555 to 0.735)   above 0.5: 83.9 %",
    "folds": "printed     pooled 0.656 (0.628 to 0.672)   above 0.5: 88.4 % (82.1 to 90.7)",
}


def measured(path):
    """(pooled IoU, quartiles of the images' IoU, % of images above 0.5) of a kept training."""
    rows = keep.counts(path)
    rows = rows[(rows["class"] != "background") & (rows["split"] == "test")]
    each = metrics.scores(rows)["IoU"].fillna(0)
    quartiles = each.quantile([0.25, 0.5, 0.75]).tolist()
    return metrics.pooled(rows)["IoU"].iloc[0], quartiles, 100 * (each > 0.5).mean()


def main():
    kept = keep.trainings(studies.load("femoral", "paper"))
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
                f"{fold:5} {seed}    pooled {pooled:.3f}   median {median:.3f} ({low:.3f} to"
                f" {high:.3f})   above 0.5: {above:.1f} %"
            )
        for name, values in zip(
            ("pooled", "median", "above"), zip(*found, strict=True), strict=True
        ):
            print(f"{name}: {min(values):.3f} to {max(values):.3f} over {len(values)}")


if __name__ == "__main__":
    main()
