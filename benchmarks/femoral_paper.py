"""Huang 2019 as printed: the kept trainings of its network by its own protocol, beside its numbers.

Reads reports/femoral/results/paper (counts of the 62 test images at 256 px, a file a seed) and
prints pooled IoU, median IoU with quartiles, and the share of images with IoU above 0.5.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from helpers import files, metrics  # noqa: E402

PRINTED = "printed     pooled 0.638   median 0.644 (0.555 to 0.735)   above 0.5: 83.9 %"


def main():
    print(PRINTED)
    found = []
    for path in sorted((ROOT / "reports/femoral/results/paper").glob("*_main_*_counts.csv")):
        rows = files.read_csv(path)
        rows = rows[rows["class"] != "background"]
        pooled = metrics.pooled(rows)["IoU"].iloc[0]
        each = metrics.scores(rows)["IoU"].fillna(0)
        low, median, high = each.quantile([0.25, 0.5, 0.75])
        above = 100 * (each > 0.5).mean()
        found.append((pooled, median, above))
        seed = path.stem.split("_")[-2]
        print(
            f"seed {seed}     pooled {pooled:.3f}   median {median:.3f} ({low:.3f} to {high:.3f})"
            f"   above 0.5: {above:.1f} %"
        )
    for name, values in zip(("pooled", "median", "above"), zip(*found, strict=True), strict=True):
        print(f"{name}: {min(values):.3f} to {max(values):.3f} over {len(values)} seeds")


if __name__ == "__main__":
    main()
