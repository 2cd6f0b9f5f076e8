"""How the audit says things: keys of a file in words, and the sentences of its rules
(sentences.yml).
"""

import re
from pathlib import Path
from typing import Any

import yaml

SENTENCES = yaml.safe_load(Path(__file__).with_name("sentences.yml").read_text(encoding="utf-8"))
#: parts of a metric's name that come last in the file and first in words
FIRST = {
    "mean": "mean",
    "median": "median",
    "min": "lowest",
    "max": "highest",
    "q1": "1st quartile of",
    "q3": "3rd quartile of",
    "sum": "pooled",
}
NAMES = {
    "accuracy_pixel": "pixel accuracy",
    "precision_as_text": "precision",
    "IoU_image": "IoU of an image",
    "IoU_sum_cv": "pooled IoU in cross-validation",
    "IoU_cv": "IoU in cross-validation",
    "accuracy_cv": "accuracy in cross-validation",
    "loss_class_weight": "weight in the loss",
    "loss_weight_focal": "weight of the focal loss",
    "loss_weight_dice": "weight of the Dice loss",
    "aug_scale_min": "smallest scale",
    "aug_scale_max": "largest scale",
    "aug_rotation_max_deg": "largest rotation (°)",
    "Dice_low_images": "Dice of poor images",
}
COMPARED = re.compile(r"(?P<metric>\w+)_(?P<test>[tp])_vs_(?P<network>.+)")
SET = {"train": "training set", "val": "validation set"}


def say(rule: str, key: str, **values: Any) -> str:
    """A sentence of a rule, filled with values (text, or anything with a format)."""
    return re.sub(r"(?<=\d)%", " %", SENTENCES[rule][key].format(**values))


def why(rule: str, key: str = "why") -> tuple[str, ...]:
    """The innocent explanations of a rule, likeliest first."""
    return tuple(SENTENCES[rule][key])


def metric(name: str, against: str = "") -> str:
    """A metric as a reader would say it: 'mIoU_t_vs_QVUM' → 't of mIoU against QVUM'. against: how
    the paper writes the network after ``vs``.
    """
    if found := COMPARED.fullmatch(name):
        of = metric(found["metric"])
        return f"{found['test'].replace('p', 'P')} of {of} against {against or found['network']}"
    if found := re.fullmatch(r"(\w+?)_(?:anova_)?p", name):
        return f"P of {metric(found[1])}"
    if name in NAMES:
        return NAMES[name]
    stem, _, last = name.rpartition("_")
    if last in FIRST and stem:
        return f"{FIRST[last]} {metric(stem)}"
    if last == "percent" and stem:
        return f"{metric(stem)} %"
    if last == "total" and stem:
        return f"{metric(stem)} in all"
    return name.replace("_", " ")


def images(name: str) -> str:
    """The set of images that a metric's ending means: 'test1' → 'test set 1'."""
    return SET.get(name) or re.sub(r"^test", "test set ", name).strip()


def quantity(stem: str, set_: str = "", definition: str = "", against: str = "") -> str:
    """A metric with its set, and what a rate is a share of where that is unusual."""
    shares = re.match(r"(FPR|FNR)$", stem) and "TP+FP+FN" in definition.replace(" ", "")
    parts = [metric(stem, against), "(share of the union)" if shares else ""]
    parts.append(f"({images(set_)})" if set_ else "")
    return " ".join(filter(None, parts))


def structure(name: str) -> str:
    """A class of a file in words: 'all4' → 'all 4 classes'."""
    return re.sub(r"^all(\d+)$", r"all \1 classes", name).replace("_", " ")
