"""Does each choice of a protocol earn its place? One training without it, everything else the same.

A *variant* is a training's settings with one choice turned over; trainings are kept below runs/<study>/ablation and not
repeated while their settings stay the same.
"""

import json
from dataclasses import dataclass

import pandas as pd

from helpers import losses, stats, steps
from helpers.errors import StudyError

BASE = "as declared"
#: choice → what it means, for the page
CHOICES = {
    "pretrained": "encoder that has learned on photographs (ImageNet) before, instead of a random start",
    "frozen": "pretrained encoder not changed in the first epochs",
    "class_weights": "structures weighted in the loss, instead of all alike",
    "focal": "focal loss beside Dice, instead of Dice alone",
    "dice": "Dice loss beside focal, instead of focal alone",
    "augmentation": "training images changed at random, instead of the same ones every time",
}


@dataclass(frozen=True)
class Pair:
    """One choice: the names of the variants with and without it. Which of them the protocol declares differs."""

    choice: str
    with_: str
    without: str


def variants(spec, choices, freeze_epochs=0):
    """(name → settings, list of Pair) for a training's settings (``study.training``) and the choices to examine.

    A choice that the protocol makes is taken away; one that it does not make is added, where that needs nothing new:
    ImageNet weights (with ``normalise`` unchanged) and class weights. Frozen epochs are examined on the pretrained
    encoder, with ``freeze_epochs`` of them or half of all epochs. StudyError for an unknown choice, or one that cannot
    be examined with this loss or without an augmentation.
    """
    if unknown := sorted(set(choices) - set(CHOICES)):
        raise StudyError(f"choices: {', '.join(unknown)} is none of {', '.join(CHOICES)}")
    made, pairs, problems = {BASE: spec}, [], []

    def pair(choice, has, **change):
        """The declared settings against the changed ones; ``has``: the declared ones make the choice."""
        name = f"{'without' if has else 'with'} {choice}"
        made[name] = spec | change
        pairs.append(Pair(choice, *((BASE, name) if has else (name, BASE))))

    weights = spec["encoder_weights"]
    loss, frozen = losses.resolve(spec["loss"]), freeze_epochs or max(1, spec["epochs"] // 2)
    for choice in choices:
        if choice == "pretrained":
            change = (
                {"encoder_weights": "none", "freeze_epochs": 0}
                if weights != "none"
                else {"encoder_weights": "imagenet"}
            )
            pair(choice, weights != "none", **change)
        elif choice == "frozen" and weights != "none":
            has = spec["freeze_epochs"] > 0
            pair(choice, has, freeze_epochs=0 if has else frozen)
        elif choice == "frozen":
            made["with pretrained"] = spec | {"encoder_weights": "imagenet"}
            made["with pretrained, frozen"] = made["with pretrained"] | {"freeze_epochs": frozen}
            pairs.append(Pair(choice, "with pretrained, frozen", "with pretrained"))
        elif choice == "class_weights":
            pair(choice, spec["class_weights"], class_weights=not spec["class_weights"])
        elif choice == "augmentation" and spec["augmentation"]:
            pair(choice, True, augmentation={})
        elif (
            choice in ("focal", "dice")
            and loss["name"] == "focal_dice"
            and loss["focal_weight"]
            and loss["dice_weight"]
        ):
            pair(choice, True, loss=spec["loss"] | {f"{choice}_weight": 0})
        else:
            problems.append(f"{choice}: the protocol's loss is {loss['name']}, its augmentation {spec['augmentation']}")
    if problems:
        raise StudyError("choices that cannot be taken away from this protocol: " + "; ".join(problems))
    return made, pairs


def run(study, made, seeds, arrays, device=None):
    """Counts of every variant and seed, trained where needed: columns of per_image.csv, ``model`` the variant's name.

    made: name → settings from :func:`variants`. A training of the study itself with the same settings is used as it is.
    """
    from helpers import training  # torch only where something is trained

    tables = []
    for name, spec in made.items():
        for seed in seeds:
            own = steps.folder(study, spec["name"], "main", seed)
            folder = own if _same(own, spec) else study.run / "ablation" / steps.slug(name) / f"main_{seed}"
            if not _same(folder, spec):
                print(f"{name}, seed {seed}: training", flush=True)
                training.run(study, spec, "main", seed, folder, arrays=arrays, device=device)
            table = pd.read_csv(folder / "counts.csv", dtype={"patient_id": str, "image_id": str})
            tables.append(table.assign(model=name))
    return pd.concat(tables, ignore_index=True)


def _same(folder, spec):
    """Whether ``folder`` holds a finished training with exactly these settings."""
    path = folder / "weights.json"
    if not path.is_file() or not (folder / "counts.csv").is_file():
        return False
    return json.loads(path.read_text(encoding="utf-8"))["training"] == json.loads(json.dumps(spec))


def effects(study, counts, pairs):
    """What each choice brings, by the test of study.yml, adjusted over the choices.

    DataFrame: choice, with, without, metric, class, unit, n, difference (with − without), low, high, p, p_adjusted.
    """
    rows = stats.select(counts, "test")
    parts = []
    for pair in pairs:
        both = rows[rows["model"].isin([pair.with_, pair.without])]
        part = stats.declared(both, pair.with_, study.statistics)
        parts.append(part.assign(choice=pair.choice, **{"with": pair.with_, "without": pair.without}))
    table = stats.adjust(pd.concat(parts, ignore_index=True), study.statistics["multiplicity"])
    return table[["choice", "with", "without", "metric", "class", "unit", "n", "difference", "low", "high", "p",
                  "p_adjusted"]]  # fmt: skip
