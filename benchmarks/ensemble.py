"""Several trainings as one network: the class of the highest mean probability over random starts,
beside the single ones, image by image.

    python benchmarks/ensemble.py --study femoral --protocol best  # after `make study`
    python benchmarks/ensemble.py                                  # prints what is kept

The weights of a finished run are read (runs/<study>/train/<model>/<fold>_<seed>); counts of the
validation and test images at the network's own size are kept in
reports/<study>/results/ensembles/<protocol>_<model>.csv. Trainings of other folds than `main` have
learned from some of its test images and are left out.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers import datasets, files, metrics, runs, studies
from helpers.errors import StudyError

KEPT = studies.ROOT / "reports"
SPLITS = ("val", "test")


def together(members, images):
    """Class of the highest mean probability over networks (trained.Predictor) of uint8 images (N,
    rows, columns): uint8 (N, rows, columns).
    """
    import torch

    from helpers.models import inference

    shown, total = torch.from_numpy(np.array(images)), 0
    for one in members:
        found = inference.logits(one.network, shown, one.norm)
        total = total + torch.cat([logits.float().softmax(1) for logits in found])
    return total.argmax(1).to(torch.uint8).numpy()


def measure(study, model):
    """Keep and return the counts of the trainings of one network and of their mean; StudyError
    where fewer than two are finished.
    """
    from helpers.models import trained
    from helpers.training import fold

    seeds = study.spec["seeds"]
    folders = [runs.folder(study, model, "main", seed) for seed in seeds]
    folders = [path for path in folders if (path / "weights.safetensors").is_file()]
    if len(folders) < 2:
        raise StudyError(f"{study.run}: fewer than two finished trainings of {model}")
    members, wanted = [trained.load(path) for path in folders], study.training(model, "main")
    for path, one in zip(folders, members, strict=True):
        if one.record["training"] != wanted:
            raise StudyError(f"{path}: trained with other settings; run `make study` again")
    arrays = datasets.load(study)
    at = np.concatenate([arrays.rows("main", split) for split in SPLITS])
    drawn = together(members, arrays.images[at])
    drawn *= arrays.inside(at)
    rows = [runs.counts(path / "counts.csv") for path in folders]
    rows.append(fold.count(study, arrays, at, drawn, f"mean of {len(folders)}", "main", 0))
    table = pd.concat(rows, ignore_index=True)
    table = table[table["split"].isin(SPLITS) & (table["class"] == study.target)]
    table = table[["model", "seed", "split", "image_id", "class", *metrics.COUNTS]]
    name = f"{study.protocol}_{model}.csv"
    files.write_csv(table, KEPT / study.name / "results" / "ensembles" / name)
    return table


def printed(table):
    """The lines of one kept table: each training, their mean network, and what it gains in Dice."""
    for split, rows in table.groupby("split", sort=False):
        scores = metrics.scores(rows)
        scores["Dice"] = scores["Dice"].fillna(0)
        for (model, seed), own in scores.groupby(["model", "seed"], sort=False):
            name = f"{model} {seed}" if seed else model
            pooled, above = metrics.pooled(own, ["model"])["IoU"].iloc[0], (own["IoU"] > 0.5).mean()
            yield (
                f"{split:5} {name:12} pooled IoU {pooled:.3f}, Dice {own['Dice'].mean():.3f},"
                f" IoU above 0.5: {100 * above:.1f} %"
            )
        single = scores[scores["seed"] > 0].groupby("image_id")["Dice"].mean()
        gain = scores[scores["seed"] == 0].set_index("image_id")["Dice"] - single
        least, most = ttest_1samp(gain, 0).confidence_interval()
        yield (
            f"{split:5} gain over the mean of the single ones: Dice {gain.mean():+.3f}"
            f" ({least:+.3f} to {most:+.3f}, {len(gain)} images)"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study")
    parser.add_argument("--protocol", default="best")
    parser.add_argument("--model", default="qvum")
    args = parser.parse_args()
    if args.study:
        measure(studies.load(args.study, args.protocol), args.model)
    kept = sorted(KEPT.glob("*/results/ensembles/*.csv"))
    for path in kept:
        print(f"{path.parts[-4]}, {path.stem}", *printed(files.read_csv(path)), sep="\n")
    if not kept:
        print("no ensemble is kept yet; give --study")


if __name__ == "__main__":
    try:
        main()
    except StudyError as error:
        sys.exit(f"error: {error}")
