"""Does each choice of a protocol earn its place? One training without it, everything else the same.

A *variant* is a training's settings with one choice turned over, or with one part of the network
switched off; trainings are kept below runs/<study>/ablation and not repeated while their settings
stay the same.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.stats

from helpers import files, metrics, runs, stats
from helpers.errors import NotComputable, StudyError
from helpers.models import catalogue
from helpers.studies import Study
from helpers.training import losses

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays

BASE = "as declared"
#: choice → what it means, for the page
CHOICES = {
    "pretrained": (
        "encoder that has learned on photographs (ImageNet) before, instead of a random start"
    ),
    "frozen": "pretrained encoder not changed in the first epochs",
    "class_weights": "structures weighted in the loss, instead of all alike",
    "focal": "focal loss beside Dice, instead of Dice alone",
    "dice": "Dice loss beside focal, instead of focal alone",
    "augmentation": "training images changed at random, instead of the same ones every time",
    "slow_encoder": "pretrained encoder that learns at a share of the rate, not at the whole",
    "ema": "mean of the weights over steps, instead of the last step's",
    "mirrored": "mean of the answers to the image and to its mirror image, instead of the first",
}
#: what a choice is where the protocol does not make it
SHARE, DECAY = 0.1, 0.99


@dataclass(frozen=True)
class Pair:
    """One choice: the names of the variants with and without it. Which of them the protocol
    declares differs.
    """

    choice: str
    with_: str
    without: str


def variants(
    spec: dict, choices: Sequence[str], parts: Sequence[str] = (), freeze_epochs: int = 0
) -> tuple[dict[str, dict], list[Pair], list[str]]:
    """(name → settings, list of Pair, list of str) for a training's settings (``study.training``)
    and the choices.

    parts: options of the network that are on unless told, such as the modules of dmrnet_r; each is
    turned over.

    A choice that the protocol makes is taken away; one that it does not make is added, where that
    needs nothing new: ImageNet weights (with ``normalise`` unchanged) and class weights. Frozen
    epochs are examined on the pretrained encoder, with ``freeze_epochs`` of them or half of all
    epochs. Choices that this network, loss or augmentation does not have are left out, the last
    list says why. StudyError for an unknown choice, or where nothing is left.
    """
    if unknown := sorted(set(choices) - set(CHOICES)):
        raise StudyError(f"choices: {', '.join(unknown)} is none of {', '.join(CHOICES)}")
    made, pairs, left_out = {BASE: spec}, [], []

    def pair(choice: str, has: bool, **change: Any) -> None:
        """The declared settings against the changed ones; ``has``: the declared ones make the
        choice.
        """
        name = f"{'without' if has else 'with'} {choice}"
        made[name] = spec | change
        pairs.append(Pair(choice, *((BASE, name) if has else (name, BASE))))

    weights = spec["encoder_weights"]
    loss, frozen = losses.resolve(spec["loss"]), freeze_epochs or max(1, spec["epochs"] // 2)
    for choice in choices:
        encoder = choice in ("pretrained", "frozen", "slow_encoder")
        if encoder and not catalogue.entry(spec["name"]).pretrained:
            left_out.append(f"{choice}: {spec['name']} has no encoder that could be pretrained")
        elif choice == "pretrained" and weights != "none":
            pair(choice, True, encoder_weights="none", freeze_epochs=0)
        elif choice == "pretrained":
            pair(choice, False, encoder_weights="imagenet")
        elif choice == "frozen" and weights != "none":
            has = spec["freeze_epochs"] > 0
            pair(choice, has, freeze_epochs=0 if has else frozen)
        elif choice == "frozen":
            made["with pretrained"] = spec | {"encoder_weights": "imagenet"}
            made["with pretrained, frozen"] = made["with pretrained"] | {"freeze_epochs": frozen}
            pairs.append(Pair(choice, "with pretrained, frozen", "with pretrained"))
        elif choice == "slow_encoder" and weights == "none":
            left_out.append("slow_encoder: this training's encoder starts from no weights")
        elif choice == "slow_encoder":
            share = spec["optimiser"].get("encoder_lr", 1)
            rate = 1 if share != 1 else SHARE
            pair(choice, share != 1, optimiser=spec["optimiser"] | {"encoder_lr": rate})
        elif choice == "ema":
            pair(choice, spec["ema"] > 0, ema=0 if spec["ema"] else DECAY)
        elif choice == "mirrored":
            has = spec["options"].get("mirrored", False)
            pair(choice, has, options=spec["options"] | {"mirrored": not has})
        elif choice == "class_weights":
            pair(choice, spec["class_weights"], class_weights=not spec["class_weights"])
        elif choice == "augmentation" and spec["augmentation"]:
            pair(choice, True, augmentation={})
        elif choice == "augmentation":
            left_out.append("augmentation: this training has none")
        elif loss["name"] == "focal_dice" and loss["focal_weight"] and loss["dice_weight"]:
            pair(choice, True, loss=spec["loss"] | {f"{choice}_weight": 0})
        else:
            left_out.append(
                f"{choice}: the loss of this training is {loss['name']}, not focal and Dice"
                " together"
            )
    for part in parts:
        on = spec["options"].get(part, True)
        pair(part, on, options=spec["options"] | {part: not on})
    if not pairs:
        raise StudyError("no choice to examine; " + ("; ".join(left_out) or "name one"))
    return made, pairs, left_out


def run(
    study: Study, made: dict[str, dict], seeds: Sequence[int], arrays: "Arrays", device: Any = None
) -> pd.DataFrame:
    """Counts of every variant and seed, trained where needed: columns of per_image.csv, ``model``
    the variant's name.

    made: name → settings from :func:`variants`. A training of the study itself with the same
    settings is used as it is.
    """
    import torch  # only where something is trained

    from helpers import models, training

    tables = []
    for (
        spec
    ) in made.values():  # an option that the network does not have: said before hours are spent
        with torch.device("meta"):
            models.build(spec["name"], spec["channels"], len(study.classes), **spec["options"])
    for name, spec in made.items():
        for seed in seeds:
            own = runs.folder(study, spec["name"], "main", seed)
            kept = (
                study.run / "ablation" / runs.slug(spec["name"]) / runs.slug(name) / f"main_{seed}"
            )
            folder = own if _same(own, spec) else kept
            if not _same(folder, spec):
                print(f"{name}, seed {seed}: training", flush=True)
                training.run(study, spec, "main", seed, folder, arrays=arrays, device=device)
            table = runs.counts(folder / "counts.csv")
            tables.append(table.assign(model=name))
    return pd.concat(tables, ignore_index=True)


def _same(folder: Path, spec: dict) -> bool:
    """Whether ``folder`` holds a finished training with exactly these settings."""
    path = folder / "weights.json"
    if not path.is_file() or not (folder / "counts.csv").is_file():
        return False
    return files.read_json(path)["training"] == json.loads(json.dumps(spec))


def effects(study: Study, counts: pd.DataFrame, pairs: list[Pair]) -> pd.DataFrame:
    """What each choice brings, by the test of study.yml, adjusted over the choices.

    DataFrame: choice, with, without, metric, class, unit, n, difference (with − without), low,
    high, p, p_adjusted.
    """
    rows = stats.select(counts, "test")
    parts = []
    for pair in pairs:
        both = rows[rows["model"].isin([pair.with_, pair.without])]
        part = stats.declared(both, pair.with_, study.statistics)
        parts.append(
            part.assign(choice=pair.choice, **{"with": pair.with_, "without": pair.without})
        )
    table = stats.adjust(pd.concat(parts, ignore_index=True), study.statistics["multiplicity"])
    return table[
        [
            "choice",
            "with",
            "without",
            "metric",
            "class",
            "unit",
            "n",
            "difference",
            "low",
            "high",
            "p",
            "p_adjusted",
            "unsettled",
        ]
    ]


def search(folder: Path) -> pd.DataFrame:
    """How a protocol was found: what each idea brought to the step that it was added to.

    folder: a file a step, 0.csv onwards, with the counts of each validation image (image_id, tp,
    fp, fn, tn), and in every row the same step, after (number of the step that the idea was added
    to, empty for the first), seed, minutes.

    DataFrame, a row a step: step, after (name of that step), pooled_IoU, Dice (mean over images),
    difference of Dice from that step over the same images with its 95 % interval by paired t (low,
    high; empty where that step is not kept), images, seed, minutes. NotComputable where no step is
    kept, StudyError where two steps are of other images.
    """
    kept = {int(path.stem): files.read_csv(path) for path in folder.glob("*.csv")}
    if not kept:
        raise NotComputable("no search of a protocol is kept for this study")
    dice = {
        number: metrics.scores(counts).set_index("image_id")["Dice"].fillna(0)
        for number, counts in sorted(kept.items())
    }
    rows = []
    for number, own in dice.items():
        counts = kept[number]
        after = counts["after"].iloc[0]
        before = dice.get(after, own * np.nan)
        if set(own.index) != set(before.index):
            raise StudyError(f"{folder}: {after:.0f}.csv and {number}.csv are of other images")
        gain = own - before
        interval = scipy.stats.ttest_1samp(gain, 0).confidence_interval()
        row = {"step": counts["step"].iloc[0], "Dice": own.mean()}
        row["after"] = kept[after]["step"].iloc[0] if after in kept else ""
        row["pooled_IoU"] = metrics.pooled(counts, ["step"])["IoU"].iloc[0]
        row |= {"difference": gain.mean(), "low": interval.low, "high": interval.high}
        rows.append(row | {"images": len(own), **counts.iloc[0][["seed", "minutes"]]})
    return pd.DataFrame(rows)
