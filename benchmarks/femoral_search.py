"""How protocol `best` of the femoral study was chosen: one idea after the other, judged on the 50
validation images; no test image is read.

    python benchmarks/femoral_search.py --data ../femoral              # trains what is missing
    python benchmarks/femoral_search.py --data ../femoral --steps 5 6  # these alone
    python benchmarks/femoral_search.py                                # prints what is kept

Each step adds one idea to those before it and is a training of its own: machines can share them.
The last is the protocol itself, whose kept training is not repeated. Kept in
reports/femoral/results/search, a file a step: the counts of each validation image, with the step's
settings, minutes and code. Printed: pooled IoU, mean Dice, and the difference of Dice from the step
before, image by image, with its 95 % interval (paired t). The epoch is chosen on the same images,
in every step alike.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers import cache, datasets, files, metrics, provenance, studies
from helpers.analyses import ablation
from helpers.workflow import keep

ROOT = studies.ROOT
KEPT = ROOT / "reports/femoral/results/search"
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
#: idea → (number of the step that it is added to, what it changes)
STEPS = {
    "random encoder": (None, {}),
    "ImageNet encoder": (0, {"encoder_weights": "imagenet"}),
    "encoder learns at 0.3 of the rate": (1, {"optimiser": RATE | {"encoder_lr": 0.3}}),
    "mean of the weights over steps": (2, {"ema": 0.99}),
    "mean with the mirror image": (3, {"options": {"mirrored": True}}),
    "stronger augmentation": (4, {"augmentation": STRONGER}),
    "128 px": (5, {"image_size": 128}),
    "24 epochs": (6, {"epochs": 24}),
    # what did not help is left out again, and what did is taken further
    "step 2 for 24 epochs": (2, {"epochs": 24}),
    "batches of 8": (8, {"batch": 8}),
    "48 epochs": (9, {"epochs": 48}),
    "encoder that has restored training images": (9, {"encoder_weights": "restored"}),
}


def settings(number):
    """What step `number` trains with (dict)."""
    after, change = list(STEPS.values())[number]
    return (START if after is None else settings(after)) | change


def digest(spec):
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:12]


def is_kept(number):
    """Whether step `number` was trained with the settings that it has now."""
    path = KEPT / f"{number}.csv"
    kept = set(pd.read_csv(path, dtype=str)["settings"]) if path.is_file() else set()
    return kept == {digest(settings(number))}


def keep_step(number, counts, minutes, code):
    """Keep the validation images of a training's counts (rows of per_image.csv)."""
    own = counts[(counts["split"] == "val") & (counts["class"] != "background")]
    step, (after, _) = list(STEPS.items())[number]
    said = {"step": step, "after": after, "seed": SEED, "minutes": round(minutes, 1)}
    said |= {"settings": digest(settings(number)), "code": code}
    rows = own.sort_values("image_id")[["image_id", *metrics.COUNTS]].assign(**said)
    files.write_csv(rows, KEPT / f"{number}.csv")


def keep_own():
    """Keep, as the step that it is, the training of the protocol that is kept already."""
    path = keep.trainings(studies.load("femoral", "best")).get(("qvum", "main", SEED))
    if path:
        about, history = keep.record(path), pd.read_csv(path / "history.csv.gz")
        minutes = history["seconds"].sum() / 60
        trained = digest({key: about["training"][key] for key in START})
        for number in range(len(STEPS)):
            if trained == digest(settings(number)) and not is_kept(number):
                keep_step(number, keep.counts(path), minutes, about["code"])


def without_test(arrays):
    """The arrays with the test images' pixels and outlines blank: nothing can be learnt of them."""
    images, masks = arrays.images.copy(), arrays.masks.copy()
    for array in (images, masks):
        array[arrays.rows("main", "test")] = 0
    return datasets.Arrays(images, masks, arrays.index)


def search(data, steps):
    """Train every one of the steps that is not kept yet, in order; each is kept at once."""
    import femoral_restoring

    from helpers import training

    keep_own()
    work = ROOT / "runs" / "search"
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "data_manifest").exists():
        (work / "data_manifest").symlink_to(ROOT / "data_manifest")
    studies.ROOT = work  # its cache must not replace that of the study's own run
    size = None
    for number in [step for step in steps if not is_kept(step)]:
        spec = settings(number)
        study = studies.load("femoral", f"best,size={spec['image_size']}")
        if size != spec["image_size"]:
            cache.build(study, data)
            arrays, size = without_test(datasets.load(study)), spec["image_size"]
        started, spec = time.monotonic(), study.training("qvum", "main") | spec
        with tempfile.TemporaryDirectory() as folder:
            if spec["encoder_weights"] == "restored":
                spec["encoder_weights"] = str(Path(folder) / "encoder.safetensors")
                pixels = arrays.images[arrays.rows("main", "train")]
                femoral_restoring.encoder(pixels, spec, SEED, spec["encoder_weights"])
            counts = training.run(study, spec, "main", SEED, Path(folder) / "run", arrays=arrays)
        minutes = (time.monotonic() - started) / 60
        keep_step(number, counts, minutes, provenance.code_version())
        print(*printed(), sep="\n", flush=True)


def printed():
    """The lines of the table."""
    for line in ablation.search(KEPT).itertuples():
        gain = ""
        if pd.notna(line.difference):
            gain = f", {line.difference:+.3f} ({line.low:+.3f} to {line.high:+.3f})"
        yield f"{line.step}: pooled IoU {line.pooled_IoU:.3f}, Dice {line.Dice:.3f}{gain}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="the folder of `make data STUDY=femoral`")
    every = range(len(STEPS))
    said = "their numbers, from 0 (default: all)"
    parser.add_argument("--steps", type=int, nargs="+", choices=every, default=every, help=said)
    args = parser.parse_args()
    if args.data:
        search(args.data, args.steps)
    if any(KEPT.glob("*.csv")):
        print(*printed(), sep="\n")
    else:
        print(f"{KEPT}: no step is kept yet; give --data")


if __name__ == "__main__":
    main()
