"""Page 3, how a network learns: sentences and tables as functions of frames."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from helpers import figures, files, metrics
from helpers.figures import tables
from helpers.pages.images import SPLITS
from helpers.studies import Study

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays

#: settings that are a change of a picture, in words
CHANGES = {
    "scale": "{0:g} to {1:g} times as large",
    "rotation_deg": "turned by {0:g}° to {1:g}°",
    "shift": "shifted by up to {0:.0%}",
    "aspect": "sides changed by up to {0:.0%}",
    "flip_horizontal": "mirrored in {0:.0%}",
    "flip_vertical": "upside down in {0:.0%}",
    "distortion": "distorted by {0:.0%}",
    "probability": "warped at all in {0:.0%}",
    "gamma": "gamma {0:g} to {1:g}",
}
#: numbers of a setting, in words
RATES = {
    "lr": "learning rate",
    "lr_start": "learning rate at first",
    "lr_min": "lowest learning rate",
    "encoder_lr": "of it for the encoder",
}
COLUMNS = ["split", "class", "IoU", "Dice", "precision", "recall"]


def history(folder: Path) -> pd.DataFrame:
    """The learning history of a training: epoch, lr, losses, accuracies, seconds."""
    return files.read_csv(folder / "history.csv")


def kept_epoch(folder: Path) -> int:
    """The epoch (from 1) whose weights were kept, as the training's record says."""
    return files.read_json(folder / "weights.json")["kept_epoch"]


def in_words(curve: pd.DataFrame, model: str, kept: int) -> str:
    """How long it learned and which epoch was kept, Markdown.

    curve: epoch, train_loss, val_loss, seconds; kept: the epoch (from 1).
    """
    minutes = curve["seconds"].sum() / 60
    epochs = f"{len(curve)} epoch{'s' if len(curve) > 1 else ''}"
    text = f"**{figures.model_label(model)}** learned for {epochs}, {minutes:.1f} minutes. "
    if curve["val_loss"].isna().all():
        return text + f"No images were set aside to tune it; the weights of epoch {kept} are kept."
    best = curve.loc[curve["val_loss"].idxmin()]
    text += (
        f"The validation loss was lowest ({best['val_loss']:.3f}) after epoch {best['epoch']:.0f};"
        f" the training loss was {best['train_loss']:.3f} there. "
    )
    same = kept == best["epoch"]
    return text + ("Those weights are kept." if same else f"Kept are those of epoch {kept}.")


def pooled(counts: pd.DataFrame) -> pd.DataFrame:
    """Scores pooled over all pixels of each split, a row a structure. counts: per-image rows."""
    own = counts[counts["class"] != "background"]
    table = metrics.pooled(own, ["split", "class"])[COLUMNS]
    return table.sort_values("split", key=lambda s: s.map(SPLITS.index), kind="stable")


def words(value: object) -> str:
    """A setting as a page says it: a name, and what belongs to it in brackets."""
    if not isinstance(value, dict):
        return tables.setting(value)
    known = [_part(k, v) for k, v in value.items() if k != "name"]
    said = ", ".join(known).replace("-", "−").replace("%", " %") or "none"
    if "name" not in value:
        return said
    return tables.setting(value["name"]) + (f" ({said})" if known else "")


def _part(key: str, value: object) -> str:
    if key in CHANGES:
        return CHANGES[key].format(*(value if isinstance(value, list) else [value]))
    value = tables.setting(value) if isinstance(value, str) else value
    if isinstance(value, float):
        value = f"{value:.8f}".rstrip("0").rstrip(".")
    return f"{RATES.get(key) or tables.words(key)} {value}"


def procedure(study: Study, spec: dict, fold: str, seed: int, arrays: "Arrays") -> pd.DataFrame:
    """The training procedure (setting, value, meaning): what papers keep in a supplement."""
    sizes = {split: len(arrays.rows(fold, split)) for split in ("train", "val", "test")}
    weights = (
        ", ".join(f"{c.name} {c.weight:g}" for c in study.classes)
        if spec["class_weights"]
        else "all 1"
    )

    rows = [
        (
            "network",
            figures.model_label(spec["name"])
            + (f" ({words(spec['options'])})" if spec["options"] else ""),
            "",
        ),
        (
            "images",
            f"{sizes['train']} / {sizes['val']} / {sizes['test']}",
            "training / validation / test",
        ),
        (
            "image size",
            (
                f"{arrays.images.shape[1]} × {arrays.images.shape[2]} px,"
                f" {tables.counted(spec['channels'], 'channel')}"
                + (", shape kept" if arrays.padded else "")
            ),
            "a grey image is copied to all channels",
        ),
        (
            "intensity",
            words(spec["normalise"]),
            "none: 0…1; else minus mean, over SD, of ImageNet's or the training images",
        ),
        (
            "encoder starts from",
            words(spec["encoder_weights"]),
            "ImageNet: weights learned on photographs; none: random",
        ),
        (
            "frozen epochs",
            spec["freeze_epochs"],
            "first epochs in which the pretrained encoder is not changed",
        ),
        (
            "augmentation",
            words(spec["augmentation"]),
            "random changes to each training image, drawn anew every time",
        ),
        ("loss", words(spec["loss"]), "what is made small"),
        ("class weights", weights, "how much a pixel of each structure counts in the loss"),
        ("optimiser", words(spec["optimiser"]), "how weights are changed"),
        ("schedule", words(spec["schedule"]), "how the learning rate changes"),
        (
            "epochs, batch",
            f"{spec['epochs']}, {spec['batch']}",
            "passes over the images; images a step",
        ),
        (
            "weights kept",
            words(spec["checkpoint"]),
            "best: of the lowest validation loss",
        ),
        ("seed", seed, "same seed, same machine, same result"),
    ]
    return pd.DataFrame(rows, columns=["setting", "value", "meaning"]).astype(str)
