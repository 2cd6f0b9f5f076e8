"""How protocol `best` of the femoral study was chosen: one idea after the other, judged on the 50
validation images; no test image is read.

    python benchmarks/femoral_search.py --data ../femoral          # trains what is missing
    python benchmarks/femoral_search.py                            # prints what is kept

Each step adds one idea to those before it. Kept after each training: a row of
reports/femoral/results/search.csv with the pooled IoU, the mean Dice, and the difference of Dice
from the step before with its 95 % interval over the validation images (paired t), and in search/
beside it the Dice of each image, so that another machine goes on where this one stopped. The epoch
is chosen on the same images, in every step alike.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from scipy import stats as distributions

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers import cache, datasets, files, metrics, provenance, studies

ROOT = studies.ROOT
KEPT = ROOT / "reports/femoral/results/search.csv"
SEED = 11
GENERAL = {"scale": [0.8, 1.25], "rotation_deg": [-20, 20], "shift": 0.1}
GENERAL |= {"flip_horizontal": 0.5, "gamma": [0.7, 1.4]}
STRONGER = {"scale": [0.7, 1.4], "aspect": 0.1, "rotation_deg": [-25, 25], "shift": 0.12}
STRONGER |= {"flip_horizontal": 0.5, "distortion": 0.02, "gamma": [0.6, 1.6]}
RATE = {"name": "adamw", "lr": 0.0003, "weight_decay": 0.01}
START = {
    "image_size": 96,
    "epochs": 10,
    "batch": 16,
    "optimiser": RATE,
    "augmentation": GENERAL,
    "encoder_weights": "none",
    "normalise": "imagenet",
    "ema": 0,
    "options": {},
}
STEPS = {
    "random encoder": {},
    "ImageNet encoder": {"encoder_weights": "imagenet"},
    "encoder learns at 0.3 of the rate": {"optimiser": RATE | {"encoder_lr": 0.3}},
    "mean of the weights over steps": {"ema": 0.99},
    "mean with the mirror image": {"options": {"mirrored": True}},
    "stronger augmentation": {"augmentation": STRONGER},
    "128 px": {"image_size": 128},
    "24 epochs": {"epochs": 24},
}


def validation(study, spec, arrays):
    """The counts of the validation images after one training (rows of per_image.csv)."""
    from helpers import training

    with tempfile.TemporaryDirectory() as folder:
        counts = training.run(study, spec, "main", SEED, Path(folder) / "run", arrays=arrays)
    own = counts[(counts["split"] == "val") & (counts["class"] == study.target)]
    return own.sort_values("image_id")


def without_test(arrays):
    """The arrays with the test images' pixels and outlines blank: nothing can be learnt of them."""
    images, masks = arrays.images.copy(), arrays.masks.copy()
    for array in (images, masks):
        array[arrays.rows("main", "test")] = 0
    return datasets.Arrays(images, masks, arrays.index)


def row(name, own, before, minutes):
    """One line of the table. before: Dice of the step before by image, None for the first."""
    dice = metrics.scores(own).set_index("image_id")["Dice"].fillna(0)
    found = {"step": name, "pooled_IoU": metrics.pooled(own)["IoU"].iloc[0], "Dice": dice.mean()}
    found |= dict.fromkeys(("gain", "low", "high"))
    if before is not None:
        gain = dice - before
        interval = distributions.ttest_1samp(gain, 0).confidence_interval()
        found |= {"gain": gain.mean(), "low": interval.low, "high": interval.high}
    found |= {"images": len(dice), "seed": SEED, "minutes": round(minutes, 1)}
    return found | {"code": provenance.code_version()}, dice


def search(data):
    """Train every step that is not kept yet, in order; each is kept at once."""
    work = ROOT / "runs" / "search"
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "data_manifest").exists():
        (work / "data_manifest").symlink_to(ROOT / "data_manifest")
    studies.ROOT = work  # its cache must not replace that of the study's own run
    rows = pd.read_csv(KEPT).to_dict("records") if KEPT.is_file() else []
    spec, size, before = START, None, None
    for number, (name, change) in enumerate(STEPS.items()):
        spec = spec | change
        each = KEPT.with_suffix("") / f"dice_{number}.csv"
        if number < len(rows) and rows[number]["step"] == name and each.is_file():
            before = pd.read_csv(each, index_col="image_id")["Dice"]
            continue
        study = studies.load("femoral", f"best,size={spec['image_size']}")
        if size != spec["image_size"]:
            cache.build(study, data)
            arrays, size = without_test(datasets.load(study)), spec["image_size"]
        started = time.monotonic()
        own = validation(study, study.training("qvum", "main") | spec, arrays)
        found, before = row(name, own, before, (time.monotonic() - started) / 60)
        files.write_csv(before.reset_index(), each)
        rows = [*rows[:number], found]
        files.write_csv(pd.DataFrame(rows), KEPT)
        print(found, flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="the folder of `make data STUDY=femoral`")
    args = parser.parse_args()
    if args.data:
        search(args.data)
    if not KEPT.is_file():
        print(f"{KEPT}: no step is kept yet; give --data")
        return
    for found in pd.read_csv(KEPT).itertuples():
        gain = ""
        if pd.notna(found.gain):
            gain = f", {found.gain:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
        print(f"{found.step}: pooled IoU {found.pooled_IoU:.3f}, Dice {found.Dice:.3f}{gain}")


if __name__ == "__main__":
    main()
