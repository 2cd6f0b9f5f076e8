"""nnU-Net v2 on the femoral images: our split in its layout, its own plan, our counts.

    python benchmarks/nnunet/femoral.py --data ../femoral --epochs 20 --iterations 50

Writes runs/nnunet/raw/Dataset001_Femoral (imagesTr, labelsTr, imagesTs, dataset.json), trains
configuration 2d on our training images, choosing by our validation images (splits_final.json), and
predicts the 62 test images. cases.csv has a row a test image with TP, FP, FN, TN at its own size,
for `make compare`; printed are Huang's three numbers, epochs and the time. See README.md beside.
"""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
WORK = ROOT / "runs" / "nnunet"
NAME, NUMBER = "Dataset001_Femoral", 1
for part in ("raw", "preprocessed", "results"):  # nnU-Net reads them when it is imported
    os.environ[f"nnUNet_{part}"] = str(WORK / part)
PROCESSES = "nnUNet_n_proc_DA"
os.environ[PROCESSES] = "1"

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from helpers import files, metrics, provenance, readers, studies  # noqa: E402


def lay_out(study, data, limit):
    """Write our images and outlines in nnU-Net's layout; returns split → names of its cases."""
    images = studies.images(study)
    if limit:
        images = images.groupby("split").head(limit)
    shutil.rmtree(WORK, ignore_errors=True)  # nnU-Net takes every file that lies there
    place, cases = WORK / "raw" / NAME, {}
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    for row in images.itertuples():
        pixels, _ = readers.read_image(Path(data) / row.image)
        learnt = row.split != "test"
        folder = "imagesTr" if learnt else "imagesTs"
        Image.fromarray(pixels).save(place / folder / f"{row.image_id}_0000.png")
        if learnt:
            mask = readers.read_mask(Path(data) / row.mask, study.classes, shape=pixels.shape)
            Image.fromarray(mask).save(place / "labelsTr" / f"{row.image_id}.png")
        cases.setdefault(row.split, []).append(row.image_id)
    about = {
        "channel_names": {"0": "ultrasound"},
        "labels": {c.name: c.index for c in study.classes},
        "numTraining": len(cases["train"]) + len(cases["val"]),
        "file_ending": ".png",
    }
    files.write_json(about, place / "dataset.json")
    return cases


def plan(cases):
    """nnU-Net's own planning and preprocessing, and our split as its fold 0."""
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    api.extract_fingerprints([NUMBER], num_processes=1, check_dataset_integrity=True)
    api.plan_experiments([NUMBER])
    api.preprocess([NUMBER], configurations=("2d",), num_processes=(1,))
    split = [{"train": cases["train"], "val": cases["val"]}]
    files.write_json(split, WORK / "preprocessed" / NAME / "splits_final.json")


def train(epochs, iterations, device):
    """Train fold 0; returns the trainer."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    place = WORK / "preprocessed" / NAME
    plans, about = (
        json.loads((place / f"{n}.json").read_text()) for n in ("nnUNetPlans", "dataset")
    )
    plans["continue_training"] = False
    trainer = nnUNetTrainer(plans, "2d", 0, about, device)
    trainer.num_epochs, trainer.num_iterations_per_epoch = epochs, iterations
    trainer.num_val_iterations_per_epoch = max(1, iterations // 5)
    os.environ[PROCESSES] = "0"  # no processes beside: what it takes is its own time
    trainer.run_training()
    return trainer


def predict(trainer, device):
    """Outlines of the test images as PNG below runs/nnunet/predicted."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=device, perform_everything_on_device=False)
    folder = trainer.output_folder_base
    predictor.initialize_from_trained_model_folder(folder, (0,), "checkpoint_final.pth")
    out = WORK / "predicted"
    out.mkdir(exist_ok=True)
    predictor.predict_from_files_sequential(
        str(WORK / "raw" / NAME / "imagesTs"), str(out), overwrite=True
    )
    return out


def score(study, data, names, predicted):
    """A row a test image: case, algorithm and our counts at its own size (list of dict)."""
    rows = []
    for row in studies.images(study).set_index("image_id").loc[names].itertuples():
        drawn = np.asarray(Image.open(predicted / f"{row.Index}.png"))
        mask = readers.read_mask(Path(data) / row.mask, study.classes, shape=drawn.shape)
        tp, fp, fn, tn = metrics.counts(drawn, mask, len(study.classes))[1]
        found = {"case": row.Index, "algorithm": "nnU-Net v2", "class": study.target}
        rows.append(found | {"TP": tp, "FP": fp, "FN": fn, "TN": tn})
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="the folder of `make data STUDY=femoral`")
    parser.add_argument("--epochs", type=int, default=20, help="nnU-Net's own: 1000")
    parser.add_argument(
        "--iterations", type=int, default=250, help="batches an epoch; its own: 250"
    )
    parser.add_argument("--images", type=int, help="so many of each split only, to try it")
    parser.add_argument("--device", default=None, help="cuda or cpu; cuda where there is one")
    args = parser.parse_args()
    import pandas as pd
    import torch

    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    study = studies.load("femoral")
    cases = lay_out(study, args.data, args.images)
    plan(cases)
    started, processor = time.monotonic(), time.process_time()
    trainer = train(args.epochs, args.iterations, device)
    seconds = {"wall": time.monotonic() - started, "processor": time.process_time() - processor}
    rows = pd.DataFrame(score(study, args.data, cases["test"], predict(trainer, device)))
    files.write_csv(rows, WORK / "cases.csv")
    counts = rows.rename(columns=str.lower).assign(model="nnU-Net v2")
    each = metrics.scores(counts)["IoU"].fillna(0)
    low, median, high = each.quantile([0.25, 0.5, 0.75])
    about = vars(args) | {
        "batch": trainer.batch_size,
        "patch": list(trainer.configuration_manager.patch_size),
        "training_images": len(cases["train"]),
        "seconds": seconds,
        "hardware": provenance.hardware(),
        "time": provenance.now(),
    }
    files.write_json(about, WORK / "about.json")
    print(
        f"nnU-Net v2, {args.epochs} epochs of {args.iterations} batches of {trainer.batch_size},"
        f" patches of {about['patch']}, {seconds['wall'] / 60:.1f} minutes"
        f" ({seconds['processor'] / 60:.1f} of processor) on {device}: pooled IoU"
        f" {metrics.pooled(counts)['IoU'].iloc[0]:.3f}, median {median:.3f} ({low:.3f} to"
        f" {high:.3f}), above 0.5: {100 * (each > 0.5).mean():.1f} % of {len(each)} images"
    )


if __name__ == "__main__":
    main()
