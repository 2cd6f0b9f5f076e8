"""Squashed, or kept in shape: what `aspect` is worth on the 50 validation images of the femoral
study; no test image is read.

    python benchmarks/aspect.py --data ../femoral          # trains what is missing
    python benchmarks/aspect.py                            # prints what is kept

The small network by protocol quick, three random starts each way. Outlines are brought back to each
file's own size and counted there, so that both ways answer to the same pixels. Kept in
reports/femoral/results/aspect.csv: the counts of every aspect (column model), seed and image.
Printed: pooled IoU and mean Dice, and the difference of Dice, image by image, with two
95 % intervals: over the images alone (paired t), and over images and random starts.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from scipy import stats as distributions

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers import cache, datasets, files, metrics, stats, studies

ROOT = studies.ROOT
KEPT = ROOT / "reports/femoral/results/aspect.csv"
NETWORK, SEEDS = "femoral_unet", (11, 12, 13)


def own_size(study, arrays, data, folder):
    """Counts of the block region in the validation images at their files' own size, a row an image,
    of the network in a folder.
    """
    from helpers.models import trained

    predictor, rows = trained.load(folder), []
    for row in arrays.index.iloc[arrays.rows("main", "val")].itertuples():
        image, mask, _, problems = cache.read_row(row, data, study.classes, study.ignored)
        if problems:
            raise SystemExit("\n".join(problems))
        drawn = trained.segment(predictor, image[None])[0]
        rows.append((row.image_id, *metrics.counts(drawn, mask, len(study.classes))[1]))
    return pd.DataFrame(rows, columns=["image_id", *metrics.COUNTS])


def measure(data):
    """Train every start that is not kept yet, both ways; each is kept at once."""
    from femoral_search import without_test

    from helpers import training

    work = ROOT / "runs" / "aspect"
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "data_manifest").exists():
        (work / "data_manifest").symlink_to(ROOT / "data_manifest")
    studies.ROOT = work  # its cache must not replace that of the study's own run
    kept = [pd.read_csv(KEPT)] if KEPT.is_file() else []
    done = {pair for table in kept for pair in zip(table["model"], table["seed"], strict=True)}
    for aspect in ("squash", "keep"):
        todo = [seed for seed in SEEDS if (aspect, seed) not in done]
        if not todo:
            continue
        study = studies.load("femoral", f"quick,aspect={aspect}")
        cache.build(study, data)
        arrays = without_test(datasets.load(study))
        for seed in todo:
            out = work / f"{aspect}_{seed}"
            spec = study.training(NETWORK, "main")
            training.run(study, spec, "main", seed, out, arrays=arrays)
            found = own_size(study, arrays, Path(data), out)
            found.insert(0, "model", aspect)
            found.insert(1, "seed", seed)
            kept.append(found)
            files.write_csv(pd.concat(kept), KEPT)


def printed(kept):
    """The lines of the table: each way, then the difference. kept: rows of KEPT."""
    own = metrics.scores(kept)
    for aspect, rows in own.groupby("model", sort=False):
        pooled = metrics.pooled(rows, ["seed"])["IoU"]
        means = rows.groupby("seed")["Dice"].mean()
        for name, values in (("pooled IoU", pooled), ("mean Dice", means)):
            listed = ", ".join(f"{v:.3f}" for v in values)
            yield f"{aspect:6}  {name} {values.mean():.3f} (seeds: {listed})"
    each = own.pivot_table(index="image_id", columns="model", values="Dice")
    gain = each["keep"] - each["squash"]
    alone = distributions.ttest_1samp(gain, 0).confidence_interval()
    yield (
        f"keep − squash, Dice: {gain.mean():+.3f} ({alone.low:+.3f} to {alone.high:+.3f} over"
        f" {len(gain)} images)"
    )
    rows = kept.assign(fold="main", split="val", patient_id="", **{"class": "region"})
    both = stats.training_luck(rows, "keep", "Dice", "region").iloc[0]
    yield (
        f"with the random starts: {both['t_low']:+.3f} to {both['t_high']:+.3f}, P ="
        f" {both['p']:.2g}; {100 * both['seed_share']:.0f} % of the variance is theirs"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="the folder of `make data STUDY=femoral`")
    args = parser.parse_args()
    if args.data:
        measure(args.data)
    if KEPT.is_file():
        print(*printed(pd.read_csv(KEPT)), sep="\n")
    else:
        print(f"{KEPT}: no training is kept yet; give --data")


if __name__ == "__main__":
    main()
