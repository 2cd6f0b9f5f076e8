"""One network trained on one fold, and everything that is written about it."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from helpers import datasets, files, metrics, models, provenance
from helpers.errors import StudyError
from helpers.models import catalogue, inference
from helpers.studies import Study
from helpers.training import checkpoint, loop

#: what a training leaves in its folder
MADE = ("weights.safetensors", "weights.json", "predictions.npy", "counts.csv", "history.csv")


def run(
    study: Study,
    spec: dict,
    fold: str,
    seed: int,
    out: Path,
    arrays: datasets.Arrays | None = None,
    device: torch.device | str | None = None,
    checkpoint_seconds: float = 60.0,
) -> pd.DataFrame:
    """Train one network on one fold, write everything about it to ``out``; its counts.

    spec: ``study.training(name, fold)``; fold: 'main' or 'cv1', 'cv2', …. Writes ``MADE``:
    predictions.npy is uint8 (N, H, W), counts.csv has the rows of per_image.csv; both of every
    image in fold 'main', of the test images in the others.
    """
    arrays = arrays or datasets.load(study)
    device = torch.device(device) if device else inference.best_device()
    name, started = spec["name"], provenance.now()
    train, val, test = (arrays.rows(fold, split) for split in ("train", "val", "test"))
    if spec["checkpoint"] == "last" and fold != "main":
        # nobody looks at the validation images: learn from them
        train, val = np.sort(np.concatenate([train, val])), val[:0]
    for split, positions in (("train", train), ("test", test)):
        if not len(positions):
            raise StudyError(
                f"{study.name}, fold {fold}: no image in {split}; see the split column of"
                " images.csv"
            )
    torch.manual_seed(seed)
    network = models.build(
        name,
        spec["channels"],
        len(study.classes),
        encoder_weights=spec["encoder_weights"],
        **spec["options"],
    ).to(device)
    weights = [c.weight for c in study.classes]
    unfinished, label = out / "unfinished", f"{name} {fold} seed {seed}"
    history, norm = loop.fit(
        network, arrays, train, val, spec, weights, seed, unfinished, label, checkpoint_seconds
    )
    network = network.to(memory_format=torch.channels_last)  # the layout that networks answer in
    kept = np.arange(len(arrays.index)) if fold == "main" else test
    predictions = _predict(network, arrays, kept, norm, 2 * spec["batch"])
    counts = count(study, arrays, kept, predictions, name, fold, seed)
    best = history["val_loss"].idxmin() if spec["checkpoint"] == "best" else history.index[-1]
    record = provenance.record(
        study,
        model=name,
        fold=fold,
        seed=seed,
        training=spec,
        classes=[c.name for c in study.classes],
        class_weights=weights if spec["class_weights"] else None,
        titles=[c.title for c in study.classes],
        colours=[c.colour for c in study.classes],
        normalisation=norm,
        encoder=models.provenance(network),
        sources=catalogue.code(name),
        parameters=sum(p.numel() for p in network.parameters()),
        images={"train": len(train), "val": len(val), "test": len(test)},
        device=str(device),
        bf16=inference.has_bf16(device),
        threads=torch.get_num_threads(),
        started=started,
        finished=provenance.now(),
        kept_epoch=int(history.loc[best, "epoch"]),
    )
    with files.whole(out / "predictions.npy") as part:
        np.save(part, predictions)
    files.write_csv(history, out / "history.csv")
    checkpoint.save_weights(network, out / "weights.safetensors", record)
    files.write_csv(counts, out / "counts.csv")
    provenance.made(*((out / file).resolve() for file in MADE))
    shutil.rmtree(unfinished)
    return counts


def _predict(
    network: nn.Module, arrays: datasets.Arrays, positions: np.ndarray, norm: dict, batch: int
) -> np.ndarray:
    """Class of every pixel of the images at some positions, uint8 (N, H, W), in their order."""
    patients = arrays.index["patient_id"].iloc[positions]
    order = inference.clips(positions, patients, models.clip_length(network))
    images = torch.from_numpy(np.array(arrays.images[order]))
    found = inference.predict(network, images, norm, batch)
    found = found[np.unique(order, return_index=True)[1]]  # without the repeats of short clips
    return found * arrays.inside(positions)  # nothing is drawn beside an image


def count(
    study: Study,
    arrays: datasets.Arrays,
    positions: np.ndarray,
    predictions: np.ndarray,
    model: str,
    fold: str,
    seed: int,
) -> pd.DataFrame:
    """The rows of per_image.csv of predictions (uint8 (N, H, W), one for each position)."""
    tables = []
    sides = datasets.spacing(arrays.index)
    for position, prediction in zip(positions, predictions, strict=True):
        image = arrays.index.iloc[position]
        part, reference = arrays.frame(position), arrays.masks[position]
        table = metrics.rows(prediction[part], reference[part], study.classes, sides[position])
        split = image["split"] if fold == "main" else "test"
        first = {"study": study.name, "model": model, "fold": fold, "seed": seed, "split": split}
        first |= {name: image[name] for name in ("patient_id", "image_id")}
        tables.append(pd.DataFrame({**first, **table}))
    return pd.concat(tables, ignore_index=True)
